"""The digest of a partition's values: the same for the same values, another for any other."""

from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mg_assets.lake.digest import ContentDigest
from mg_assets.lake.store import Lake
from mg_assets.lake.verify import verify_partition

ROWS = pa.table({
    "symbol": pa.array(["600000.SH", None, "", "000001.SZ", "600000.SH"]),
    "price": pa.array([1.5, float("nan"), None, -0.0, 3.0]),
    "volume": pa.array([1, None, 3, 4, -5], pa.int64()),
    "side": pa.array([1, -1, None, 0, 1], pa.int8()),
    "on": pa.array([True, None, False, True, True]),
    "time": pa.array([0, 1, None, 3, 4], pa.timestamp("ms")),
    "day": pa.array([0, 1, None, 3, 4], pa.date32()),
    "raw": pa.array([b"\0", None, b"", b"x", b"y"]),
})  # fmt: skip


STORED = {
    "rows": 5,
    "columns": {
        "symbol": "dca4e2a9c76c514d", "price": "113c2c944945f6bb", "volume": "d95280def0aa42a5",
        "side": "ede3d8b3183a5a3d", "on": "6a78e0eddb37fa54", "time": "704458dcb94471c0", "day": "40142db2d04949a8",
        "raw": "239941001f33e852",
    },
    "content": "119d1a0f88dffde3",
}  # fmt: skip
"""Of ROWS, on 2026-12-01."""


def digest(*parts: pa.Table) -> dict:
    whole = ContentDigest()
    for part in parts:
        whole.add(part)
    return whole.result()


@given(cuts=st.lists(st.integers(0, 5), max_size=4))
@settings(max_examples=40, deadline=None)
def test_it_does_not_depend_on_how_rows_are_cut(cuts):
    edges = sorted({0, 5, *cuts})
    parts = [ROWS.slice(a, b - a) for a, b in pairwise(edges)]
    assert digest(*parts) == digest(ROWS)
    assert digest(pa.concat_tables([ROWS.slice(0, 0), *parts])) == digest(ROWS)


def test_it_does_not_depend_on_how_text_is_held():
    for kind in (pa.large_string(), pa.dictionary(pa.int32(), pa.string())):
        assert digest(ROWS.set_column(0, "symbol", ROWS["symbol"].cast(kind))) == digest(ROWS)


def test_every_nan_is_the_same_and_values_under_nulls_ignored():
    odd = np.array([0x7FF8000000000001], np.uint64).view(np.float64)[0]
    plain, payload = (pa.table({"v": pa.array([1.0, x])}) for x in (float("nan"), odd))
    assert digest(plain) == digest(payload)
    under = pa.Array.from_buffers(pa.int64(), 2, [pa.py_buffer(b"\x01"), pa.array([1, 77]).buffers()[1]])
    assert digest(pa.table({"v": under})) == digest(pa.table({"v": pa.array([1, None])}))


def test_digests_are_those_of_lakes_that_are_stored():
    """A change of the definition makes every partition of every lake look damaged."""
    assert digest(ROWS) == STORED


@pytest.mark.parametrize("name", ROWS.column_names)
@pytest.mark.parametrize("row", range(5))
def test_one_other_value_changes_its_column_and_the_whole(name, row):
    values = ROWS[name].to_pylist()
    at = ROWS.column_names.index(name)
    other = ROWS[name].to_pylist()
    other[row] = values[0] if values[row] is None or values[row] != values[0] else None
    if other == values:
        return
    changed = digest(ROWS.set_column(at, name, pa.array(other, ROWS[name].type)))
    same = digest(ROWS)
    assert changed["content"] != same["content"]
    assert {n for n in ROWS.column_names if changed["columns"][n] != same["columns"][n]} == {name}


def test_type_name_order_and_signed_zero_count():
    table = pa.table({"a": pa.array([0.0]), "b": pa.array([0.0])})
    others = (
        pa.table({"a": pa.array([0.0], pa.float32()), "b": pa.array([0.0])}),
        pa.table({"a": pa.array([0.0]), "c": pa.array([0.0])}),
        table.select(["b", "a"]),
        pa.table({"a": pa.array([-0.0]), "b": pa.array([0.0])}),
        pa.table({"a": pa.array([None], pa.float64()), "b": pa.array([0.0])}),
        table.slice(0, 0),
    )
    assert len({digest(t)["content"] for t in (table, *others)}) == 7


def test_text_does_not_run_together():
    assert digest(pa.table({"s": ["ab", "c"]})) != digest(pa.table({"s": ["a", "bc"]}))


def test_no_rows_may_come_without_a_buffer():
    """As the Arrow C data interface lets other programs pass them."""
    empty = pa.Array.from_buffers(pa.int64(), 0, [None, None])
    assert empty.buffers()[1] is None
    assert digest(pa.table({"v": empty})) == digest(pa.table({"v": pa.array([], pa.int64())}))


def test_nested_values_have_a_digest_too():
    lists = pa.table({"v": pa.array([[1, 2], None, [3]])})
    assert digest(lists.slice(0, 1), lists.slice(1)) == digest(lists)
    assert digest(lists) != digest(pa.table({"v": pa.array([[1], [2], [3]])}))


FIXED = {
    **{pa.timestamp(unit, tz): [0, None, 5] for unit in ("s", "ms", "us", "ns") for tz in (None, "Asia/Shanghai")},
    **{kind: [0, None, 5] for kind in (pa.time32("s"), pa.time32("ms"), pa.time64("us"), pa.duration("s"), pa.date32(),
                                       pa.uint8(), pa.uint32(), pa.uint64(), pa.float32(), pa.decimal128(9, 2))},
    pa.date64(): [0, None, 86_400_000],
    pa.binary(2): [b"ab", None, b"xy"],
    pa.large_binary(): [b"ab", None, b""],
    pa.string_view(): ["ab", None, ""],
    pa.null(): [None, None, None],
    pa.list_(pa.int32()): [[1], None, []],
}  # fmt: skip


@pytest.mark.parametrize("kind", FIXED, ids=str)
def test_a_file_gives_back_the_digest_of_what_was_written(tmp_path, kind):
    """Whatever types a table has: a file has no seconds, no dates in milliseconds and other names in lists."""
    lake, table = Lake(tmp_path), pa.table({"x": pa.array(FIXED[kind], kind)})
    lake.write("any", "2023-02-01", table)
    found = verify_partition(lake, "any", "2023-02-01")
    assert found.complete
    assert found.damages == ()
    assert digest(lake.table("any", "2023-02-01")) == digest(table)
