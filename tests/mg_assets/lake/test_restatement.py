"""How much a rebuilt partition changed: against a naive comparison, and what is recorded."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from mg_assets.lake.frames import conform
from mg_assets.lake.restatement import FIRST, Replacement, RowComparison, compare_with_stored, overall, recorded
from mg_assets.lake.store import Lake

DAY = "2023-02-01"


def arrow(frame: pd.DataFrame) -> pa.Table:
    return pa.Table.from_pandas(frame, preserve_index=False)


def market(rng, stocks: int, minutes: int) -> pd.DataFrame:
    """Minute bars of a day, some of whose counts of trades are null."""
    symbols = [f"{600000 + i}.SH" for i in range(stocks)]
    n = stocks * minutes
    return pd.DataFrame(
        {
            "symbol": np.repeat(symbols, minutes),
            "minute": np.tile(np.arange(minutes, dtype=np.int16), stocks),
            **{c: rng.uniform(9, 11, n) for c in ("open", "high", "low", "close")},
            "volume": rng.integers(0, 9, n),
            "amount": rng.uniform(0, 9, n),
            "num_trades": pd.array(np.where(rng.random(n) < 0.2, None, 3), dtype="Int32"),
        }
    )


def mutated(rng, bars: pd.DataFrame) -> pd.DataFrame:
    """Some rows gone, some new, some values changed, emptied or filled."""
    out = bars.copy()
    out.loc[rng.choice(len(out), 7, replace=False), "close"] += np.arange(1, 8) / 14
    out.loc[rng.choice(len(out), 5, replace=False), "amount"] = np.nan
    out["num_trades"] = out["num_trades"].fillna(8)
    out = out.drop(index=rng.choice(len(out), 9, replace=False))
    extra = bars.iloc[rng.choice(len(bars), 4, replace=False)].assign(minute=np.arange(200, 204, dtype=np.int16))
    return pd.concat([out, extra]).sort_values(["symbol", "minute"], ignore_index=True)


def figures_of(moved: np.ndarray) -> tuple:
    known = moved[np.isfinite(moved)]
    return len(moved), len(moved) - len(known), known.max(initial=0.0) or None, known.mean() if len(known) else None


def naive(old: pd.DataFrame, new: pd.DataFrame) -> tuple:
    a, b = ({(r.symbol, r.minute): r for r in f.astype(object).itertuples()} for f in (old, new))
    moved: dict[str, list] = {}
    rows = set()
    for key in a.keys() & b.keys():
        for c in old.columns[2:]:
            x, y = getattr(a[key], c), getattr(b[key], c)
            if (x == y) is not True and not (pd.isna(x) and pd.isna(y)):
                rows.add(key)
                moved.setdefault(c, []).append(np.nan if pd.isna(x) or pd.isna(y) else abs(y - x))
    figures = {c: figures_of(np.array(v, float)) for c, v in moved.items()}
    return len(b.keys() - a.keys()), len(a.keys() - b.keys()), len(rows), figures


@pytest.mark.parametrize("seed", range(4))
def test_rows_and_values_are_those_of_a_naive_comparison(seed, tmp_path):
    rng = np.random.default_rng(seed)
    old = market(rng, 6, 30)
    new = mutated(rng, old)
    lake = Lake(tmp_path)
    lake.write("minute_bars", DAY, old)
    whole = conform("minute_bars", new)
    cuts = np.flatnonzero(new["symbol"].ne(new["symbol"].shift()))
    pieces = [whole.slice(a, b - a) for a, b in zip(cuts, [*cuts[1:], len(new)], strict=True)]
    for parts in ([whole], pieces[:-1]):
        given = new if len(parts) == 1 else new[new["symbol"] != new["symbol"].iloc[-1]]
        found = compare_with_stored(lake, "minute_bars", DAY, iter(parts))
        added, gone, changed, figures = naive(old, given)
        assert (found.added, found.gone, found.changed) == (added, gone, changed)
        assert {c: (v.rows, v.filled + v.emptied) for c, v in found.columns.items()} == {
            c: (rows, nulls) for c, (rows, nulls, *_) in figures.items()
        }
        for column, (_, _, largest, mean) in figures.items():
            change = found.columns[column]
            assert change.largest == (largest if largest is None else pytest.approx(largest))
            assert largest is None or abs(change.new - change.old) == change.largest
            assert largest is None or change.mean == pytest.approx(mean)
        assert (len(found.first_changed), len(found.first_added), len(found.first_gone)) == (
            FIRST,
            added,
            min(gone, FIRST),
        )


def test_equal_rows_have_no_difference():
    bars = market(np.random.default_rng(0), 3, 5)
    comparison = RowComparison("minute_bars")
    comparison.add(arrow(bars), arrow(bars.copy()))
    assert not comparison.result()


def test_rows_of_one_key_are_matched_in_their_order():
    old = arrow(pd.DataFrame({"symbol": ["a", "a", "b"], "score": [1.0, 2.0, 3.0]}))
    comparison = RowComparison("anything")
    comparison.add(old, arrow(pd.DataFrame({"symbol": ["a", "a", "a", "b"], "score": [1.0, 5.0, 6.0, 3.0]})))
    found = comparison.result()
    assert (found.added, found.gone, found.changed) == (1, 0, 1)
    assert found.first_changed == ({"row": "a", "column": "score", "old": 2.0, "new": 5.0},)


def test_a_table_without_symbols_is_compared_by_its_names():
    old = pd.DataFrame({"signal": ["gru", "gat"], "year": [2022, 2022], "rank_ic": [0.1, 0.2]})
    comparison = RowComparison("signal_evaluation")
    comparison.add(arrow(old), arrow(old.iloc[::-1].assign(rank_ic=[0.2, 0.4], icir=1.0)))
    found = comparison.result()
    assert (found.changed, found.added_columns) == (1, ("icir",))
    assert (found.columns["rank_ic"].row, found.columns["rank_ic"].largest) == ("gru 2022", pytest.approx(0.3))


def scores(*values: float, symbols: str = "ab") -> pd.DataFrame:
    return pd.DataFrame({"symbol": list(symbols), "score": values})


def rebuild(lake: Lake, table: str, frame, **metadata):
    with Replacement(lake, table, DAY) as replaced:
        lake.write(table, DAY, frame, {"recipe": "1", **metadata})
        return replaced.record("a run")


@pytest.fixture(params=["folder", "object store"])
def lake(request, tmp_path) -> Lake:
    return Lake(tmp_path if request.param == "folder" else f"memory://{tmp_path.name}")


def test_a_first_or_an_equal_build_records_nothing(lake):
    assert rebuild(lake, "fused", scores(1.0, 2.0)) is None
    assert rebuild(lake, "fused", scores(1.0, 2.0), recipe="2") is None
    assert list(recorded(lake)) == []


def test_another_content_is_recorded_with_its_causes(lake):
    rebuild(lake, "fused", scores(1.0, 2.0), source={"daily_bars": "x", "reference": "y"}, inputs={"gru": "1"})
    found = rebuild(lake, "fused", scores(1.0, 2.5), source={"daily_bars": "z", "reference": "y"}, inputs={"gru": "2"})
    assert (found.because, found.definition, found.from_source) == (("source daily_bars", "gru"), False, True)
    change = found.changes.columns["score"]
    assert (change.row, change.old, change.new, change.largest, change.mean) == ("b", 2.0, 2.5, 0.5, 0.5)
    assert change.relative == pytest.approx(0.5 / np.std([1.0, 2.5]))
    (kept,) = recorded(lake)
    assert kept.changes.columns == found.changes.columns
    assert (kept.table, kept.key, kept.because) == ("fused", DAY, found.because)
    again = rebuild(lake, "fused", scores(1.0, 3.5), recipe="2")
    assert again.definition
    assert [r.changes.columns["score"].largest for r in recorded(lake, ["fused"])] == [1.0]  # the last one


def test_an_object_store_is_read_before_the_write(tmp_path):
    lake = Lake(f"memory://{tmp_path.name}")
    lake.write("fused", DAY, scores(1.0, 2.0))
    with Replacement(lake, "fused", DAY) as replaced:
        lake.write("fused", DAY, scores(1.0, 2.5))
        replaced._file.read = None  # a later read would be of the new object
        assert replaced.record("a run").changes.changed == 1


def test_ticks_are_counted_and_their_columns_named(tmp_path):
    lake = Lake(tmp_path)
    trades = pd.DataFrame(
        {
            "symbol": ["600000.SH"] * 2,
            "time": pd.to_datetime(["2023-02-01 09:30", "2023-02-01 09:31"]),
            "seq": [1, 2],
            "price": [10.0, 10.1],
            "volume": [100, 100],
            "buy_order": [1, 3],
            "sell_order": [2, 4],
            "side": [1, 1],
        }
    )
    rebuild(lake, "trades", trades)
    found = rebuild(lake, "trades", trades.assign(price=[10.0, 10.2]))
    assert (found.changes, found.columns, found.old_rows, found.rows) == (None, ("price",), 2, 2)


def test_what_cannot_be_read_is_not_compared(tmp_path):
    lake = Lake(tmp_path)
    rebuild(lake, "fused", scores(1.0, 2.0))
    Path(lake.path("fused", DAY)).write_bytes(b"")
    assert rebuild(lake, "fused", scores(1.0, 2.5)) is None
    assert rebuild(lake, "fused", scores(1.0, 2.0)).changes.changed == 1
    (record,) = Path(tmp_path, "_restatements", "fused").iterdir()
    record.write_text(json.dumps({"table": "fused"}))
    assert list(recorded(lake)) == []


def test_partitions_are_summed_with_the_largest_named(tmp_path):
    lake = Lake(tmp_path)
    parts = []
    for day, value in (("2023-02-01", 2.5), ("2023-02-02", 1.0), ("2023-02-03", np.nan)):
        lake.write("fused", day, scores(1.0, 2.0))
        with Replacement(lake, "fused", day) as replaced:
            lake.write("fused", day, scores(1.0, value))
            parts.append(replaced.record("a run"))
    found = overall(parts)
    change = found.columns["score"]
    assert (found.changed, change.rows, change.emptied) == (3, 3, 1)
    assert (change.largest, change.mean, change.row) == (1.0, 0.75, "b 2023-02-02")
