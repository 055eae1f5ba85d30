"""A range gives what its days give one by one; memory, neighbours and errors."""

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from mg_assets.errors import DataError
from mg_assets.lake.store import Lake
from mg_assets.lake.table_view import CACHED, PartitionReader, SuiteRun, View, encode
from mg_assets.quality import SUITES, run_suite, suite_for
from mg_assets.quality.engine import validate_limits
from mg_assets.quality.suite import Limit, Measures, plain

SPOILED = ("trades", "minute_bars", "daily_bars", "reference", "intraday_factors", "factor_scores", "labels", "fused",
           "weights_csi500_turnover30")  # fmt: skip


def spoil(lake: Lake, table: str, seed: int) -> None:
    """Faults in some partitions: a value far off, rows lost, an unsound schema."""
    rng = np.random.default_rng(seed)
    keys = lake.keys(table)
    column = {"trades": "price", "minute_bars": "close", "daily_bars": "close", "reference": "prev_close",
              "intraday_factors": "volume_perc2", "factor_scores": "volume_perc2", "labels": "ret_5",
              "fused": "score"}.get(table, "weight")  # fmt: skip
    for key in rng.choice(keys[-5:], 2, replace=False):
        frame = lake.day(table, key)
        at = rng.integers(len(frame))
        lake.write(table, key, frame.assign(**{column: frame[column].where(frame.index != at, 1e6)}),
                   lake.metadata(table, key))  # fmt: skip
    key = keys[-1 - int(rng.integers(5))]
    lake.write(table, key, lake.day(table, key).iloc[: rng.integers(2, 8)], lake.metadata(table, key))


@pytest.mark.parametrize(
    "table", [t if t in ("trades", "daily_bars", "fused") else pytest.param(t, marks=pytest.mark.slow) for t in SPOILED]
)
def test_a_range_is_its_days(lake, table):
    spoil(lake, table, seed=len(table))
    keys = lake.keys(table)[-6:]
    whole = run_suite(table, lake, keys)
    days = [run_suite(table, lake, [k]) for k in keys]
    assert any(not o.passed for o in whole)
    for i, outcome in enumerate(whole):
        parts = [d[i] for d in days]
        assert outcome.passed == all(p.passed for p in parts)
        assert outcome.bad == [row for p in parts for row in p.bad][: len(outcome.bad)]
        assert outcome.observed["bad_partitions"] == [k for p in parts for k in p.observed["bad_partitions"]]
        for name, (low, high) in outcome.observed["measures"].items():
            spans = [p.observed["measures"][name] for p in parts if name in p.observed["measures"]]
            assert (low, high) == (min(s[0] for s in spans), max(s[1] for s in spans))


def test_only_the_past_counts(lake):
    """Halving every later partition changes nothing of an earlier one."""
    days = lake.keys("labels")
    before = run_suite("labels", lake, days[:25])
    for day in days[25:]:
        lake.write("labels", day, lake.day("labels", day).iloc[:5])
    assert run_suite("labels", lake, days[:25]) == before


def test_previous_names_the_past(lake):
    days = lake.keys("labels")
    for day in days[:20]:
        lake.write("labels", day, lake.day("labels", day).iloc[:5])
    by = {p: {o.name: o.passed for o in run_suite("labels", lake, [days[30]], past)}["size_band"]
          for p, past in (("all", None), ("recent", days[20:30]), ("none", []))}  # fmt: skip
    assert by == {"all": False, "recent": True, "none": True}


def test_neighbours_of_another_schema_do_not_crash_a_suite(lake):
    """Their own suites report them."""
    import pyarrow.parquet as pq

    key = lake.keys("trades")[20]
    for table in ("orders", "reference", "trades", "minute_bars", "daily_bars", "labels", "fused", "intraday_factors",
                  "factor_scores"):  # fmt: skip
        part = lake.table(table, key)
        os.unlink(lake.path(table, key))
        pq.write_table(part.drop_columns(["symbol"]).replace_schema_metadata(None), lake.path(table, key))
    for table, suite in SUITES.items():
        if table not in ("weights", "quarantine") and any(c.name == "schema" for c in suite.checks):
            keys = [k for k in lake.keys(table) if abs(np.datetime64(k) - np.datetime64(key)).astype(int) < 9]
            outcomes = {o.name: o for o in run_suite(table, lake, keys)}
            assert outcomes["schema"].passed == (key not in outcomes["schema"].observed["bad_partitions"])


def test_every_suite_is_small_with_unique_check_names():
    for suite in SUITES.values():
        names = [c.name for c in suite.checks]
        assert len(set(names)) == len(names) <= 13
        assert all(name.isidentifier() for name in names)
        assert all(c.limits and c.description for c in suite.checks)
    assert suite_for("weights_anything") is SUITES["weights"]
    assert suite_for("quarantine_trades") is SUITES["quarantine"]


def test_unknown_table():
    with pytest.raises(DataError, match="no quality suite for table 'nothing'"):
        run_suite("nothing", Lake("nowhere"), ["2020-01-02"])


def test_empty_lake_is_not_applicable(tmp_path):
    for table in [*SUITES, "weights_x"]:
        for outcome in run_suite(table, Lake(tmp_path), ["2020-01-02"]):
            assert outcome.passed
            assert outcome.observed["note"] == "not applicable"


def test_great_expectations_decides():
    frame = pd.DataFrame({"partition": list("abcd"), "x": [0, 2.0, np.nan, np.inf], "y": [np.nan] * 4, "z": range(4)})
    limits = [Limit("x"), Limit("y"), Limit("z", 1, 2), Limit("z", None, 3), Limit("z", 0, None)]
    results = validate_limits(frame, limits)
    assert [(results[x].passed, results[x].bad) for x in limits] == [
        (False, ("b", "d")), (True, ()), (False, ("a", "d")), (True, ()), (True, ())]  # fmt: skip
    with pytest.raises(DataError, match="'lost' could not be validated"):
        validate_limits(frame, [Limit("lost")])


def test_analytics_are_off_and_the_context_is_made_once():
    from mg_assets.quality.engine import _batches

    assert _batches() is _batches()
    assert os.environ["GX_ANALYTICS_ENABLED"] == "False"


def test_the_cache_is_bounded(clean):
    run = SuiteRun(clean, "labels", clean.keys("labels"))
    for i in range(3 * CACHED):
        run.cached(("n", str(i)), lambda i=i: i)
    assert len(run._cache) == CACHED
    assert run.cached(("n", str(3 * CACHED - 1)), lambda: -1) == 3 * CACHED - 1


def test_batches_hold_whole_symbols(lake):
    key = lake.keys("trades")[0]
    whole = lake.table("trades", key).replace_schema_metadata(None)
    os.unlink(lake.path("trades", key))  # a hard link: never written through
    pq.write_table(whole, lake.path("trades", key), row_group_size=29)  # another writer: stocks over several groups
    with PartitionReader(lake, "trades", key) as rows:
        parts = list(rows.batches(["symbol", "seq"]))
        seen: list[str] = []
        for offset, part in parts:
            codes, words = encode(part["symbol"])
            assert offset == sum(len(p) for o, p in parts if o < offset)
            here = list(dict.fromkeys(words[codes]))
            assert not set(here) & set(seen)
            seen += here
        assert sum(len(p) for _, p in parts) == len(whole)
        some = rows.between("600003.SH", "600005.SH", ["symbol", "seq"])
        assert set(some["symbol"].to_pylist()) == {"600003.SH", "600004.SH", "600005.SH"}
        assert len(some) == sum(s in ("600003.SH", "600004.SH", "600005.SH") for s in whole["symbol"].to_pylist())


def test_remote_lakes_read_alike(clean):
    import fsspec

    memory = fsspec.filesystem("memory")
    memory.pipe_file("/lake/labels/date=2020-03-02/part.parquet", Path(clean.path("labels", "2020-03-02")).read_bytes())
    lake = Lake("memory://lake")
    assert all(o.passed for o in run_suite("labels", lake, ["2020-03-02"]))
    memory.rm("/lake", recursive=True)


def test_plain_values_survive_json():
    import json

    measures = Measures()
    measures.put(
        "x", np.float64(2), day=np.datetime64("2020-01-02"), n=np.int64(3), bad=np.nan, far=np.inf, ok=np.True_
    )
    assert json.loads(json.dumps(measures.examples["x"][0])) == {
        "day": "2020-01-02", "n": 3, "bad": None, "far": "inf", "ok": True}  # fmt: skip
    assert plain(None) is None


def test_dagster_stays_out():
    import subprocess
    import sys

    code = "import sys, mg_assets.quality; sys.exit(bool({'dagster', 'great_expectations'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_views_see_their_partition(clean):
    key = clean.keys("trades")[2]
    view = View(SuiteRun(clean, "trades", clean.keys("trades")), key)
    assert view.day.isoformat() == key
    assert view.has("orders")
    assert not view.has("quarantine")
    assert view.other("quarantine_trades") is None
    assert view.run.before(key, 20) == clean.keys("trades")[:2]
