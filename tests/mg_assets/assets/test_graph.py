"""The whole graph on a small simulated market, built once as a user would: `mg run` in a process of its own."""

import datetime as dt
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import dagster as dg
import golden
import numpy as np
import pandas as pd
import pytest

from mg_assets.assets import make, report
from mg_assets.assets.models import SIGNALS
from mg_assets.lake.partition_keys import WHOLE
from mg_assets.lake.store import Lake
from mg_assets.market.calendar import shift
from mg_portfolio.report.weekly.inputs import DEEP, HANDMADE, WeeklyReport
from mg_portfolio.report.weekly.tables import EVALUATION_METRICS


def test_every_table_has_its_partitions(lake):
    assert len(lake.keys("trades")) == len(lake.keys("intraday_factors")) == 120
    assert lake.keys("hf_gru_model") == lake.keys("lf_multitask_model") == ["2023H1"]
    for signal in ("hf_equal_weight", "hf_gru", "lf_multitask", "fused"):
        keys = lake.keys(signal)
        assert keys[0] == "2023-01-03"
        assert keys[-1] == "2023-03-03"
        assert len(lake.day(signal, keys[-1])) > 60
    for table in ("weights_csi500_turnover30", "weights_csi1000_turnover30"):
        weights = lake.day(table, lake.keys(table)[-1])
        assert weights["weight"].sum() == pytest.approx(1.0, abs=1e-9)
    assert lake.has("factor_evaluation", WHOLE)
    assert lake.has("csi500_turnover30_backtest", WHOLE)


def test_content_changes_with_its_recipe_alone(built, lake, request):
    """See ``tests/golden``; ``make golden`` writes the file."""
    now = golden.content_of(lake, built.settings)
    if request.config.getoption("write_golden"):
        golden.save(now)
    lines = golden.differences(golden.load(), now)
    assert not lines, "\n".join(lines)


def test_the_run_ends_in_a_table_and_the_path_of_the_report(built):
    text = built.first.stdout
    for word in ("planted_signal", "published", "csi500_turnover30", "Weekly report", "mg ui "):
        assert word in text
    path = next(line for line in text.splitlines() if line.startswith("Weekly report")).split(":", 1)[1].strip()
    html = Path(path).read_text()
    assert "csi500_turnover30" in html
    assert "http://" not in html.replace("http://www.w3.org", "")


def test_the_report_takes_the_monitors_models_of_the_deployment(lake, tmp_path, monkeypatch):
    """Each factor once: evaluated where it is a signal of the deployment, absent with the reason where it is not."""
    for table in ("reference", "daily_bars", "factor_scores", "hf_gru"):
        shutil.copytree(f"{lake.root}/{table}", tmp_path / table)
    here = Lake(tmp_path)
    for key in here.keys("hf_gru"):
        here.write(DEEP[2], key, here.table("hf_gru", key))
    monkeypatch.setattr(report, "_SHOWN", ("hf_gru", DEEP[2]))
    factors, evaluations = report._factors(here, report._market(here, here.keys("daily_bars")), "2023-02-27")
    made = WeeklyReport(dt.date(2023, 3, 3), "simulated", factors=tuple(factors))
    assert [f.name for f in made.factors] == [*HANDMADE, *DEEP, "hf_gru"]
    found = {f.name: f for f in made.factors}
    assert not found[DEEP[2]].absent
    np.testing.assert_array_equal(found[DEEP[2]].long_short, found["hf_gru"].long_short)
    assert "catalog" in found[DEEP[0]].absent["en"]
    # One name, one figure: the evaluation of the lake's last day is the report's
    table = lake.day("signal_evaluation", WHOLE).set_index("name")
    own = {row.subject: row for row in evaluations}["hf_gru"]
    for metric in EVALUATION_METRICS:
        assert own.metrics[metric] == pytest.approx(table.loc["hf_gru", metric], nan_ok=True), metric
    assert own.spread["rank_ic_mean"] == pytest.approx(table.loc["hf_gru", "rank_ic_track_std"])


@pytest.mark.slow
def test_a_weeks_report_knows_nothing_of_later_days(built, lake, tmp_path):
    """The same page from the lake as it ended then: later partitions gone, later rows and returns overwritten."""
    week, day = "2023-02-13", "2023-02-17"
    then = Lake(tmp_path)
    for table in [p.name for p in Path(lake.root).iterdir() if p.is_dir() and not p.name.startswith(".")]:
        for key in lake.keys(table):
            if key in (WHOLE, "2023H1") or key <= day:
                shutil.copytree(lake.folder(table, key), then.folder(table, key))
    for key in then.keys("labels"):
        late = [n for n in ("ret_5", "ret_10", "ret_20") if str(shift(key, int(n[4:]) + 1)) > day]
        rows = then.day("labels", key)
        if late:
            then.write("labels", key, rows.assign(**dict.fromkeys(late, np.nan)))
    for name in ("csi500_turnover30", "csi1000_turnover30"):
        account = then.day(f"{name}_backtest", WHOLE)
        numbers = [c for c in account.columns if c not in ("date", "symbol")]
        account.loc[account["date"] > day, numbers] = 99.0
        then.write(f"{name}_backtest", WHOLE, account)
    script = Path(__file__).parents[2] / "helpers" / "report_of_week.py"
    pages = [
        subprocess.run(
            [sys.executable, str(script), root, week, day],
            env=built.environment, capture_output=True, text=True, check=True,
        ).stdout
        for root in (lake.root, then.root)
    ]  # fmt: skip
    assert "2023-02-13 to 2023-02-17" in pages[0]
    assert pages[0] == pages[1]


def test_a_second_run_builds_nothing(built, lake):
    before = {p: p.stat().st_mtime_ns for p in Path(lake.root).rglob("part.parquet")}
    again = built.run()
    assert again.returncode == 0, again.stderr[-2000:]
    assert "done in" not in again.stdout
    assert again.stdout.count("up to date") >= 9
    assert {p: p.stat().st_mtime_ns for p in Path(lake.root).rglob("part.parquet")} == before


def test_a_page_lists_the_columns_as_they_are(built):
    with dg.DagsterInstance.from_config(str(built.folder / "lake" / ".dagster")) as instance:
        event = instance.get_latest_materialization_event(dg.AssetKey("signal_evaluation"))
        schema = event.asset_materialization.metadata["dagster/column_schema"].value
    found = {c.name: c for c in schema.columns}
    assert found["name"].type == "string"
    assert found["rank_ic_mean"].type == "double"
    assert found["rank_ic_mean"].description


def test_the_uis_timeline_finds_each_run(built):
    with dg.DagsterInstance.from_config(str(built.folder / "lake" / ".dagster")) as instance:
        runs = instance.get_runs()
    origins = [run.remote_job_origin for run in runs]
    assert {origin.repository_origin.get_label() for origin in origins} == {"__repository__@mg_assets.definitions"}
    assert {origin.job_name for origin in origins} >= {"daily_after_close", "half_yearly_retrain"}
    assert {run.tags["dagster/max_retries"] for run in runs} == {"0"}  # no daemon runs a part of mg run again


def test_models_are_stored_without_pickle_and_with_their_card(lake):
    folder = Path(lake.folder("hf_gru_model", "2023H1"))
    assert sorted(f.name for f in folder.iterdir()) == [
        "part.parquet",
        "seed0.json",
        "seed0.safetensors",
        "seed1.json",
        "seed1.safetensors",
    ]
    card = json.loads((folder / "seed0.json").read_text())
    assert card["ranges"]["valid"]["last"] < "2022-12-20"  # the embargo before the half-year
    assert card["catalog_entry"]["name"] == "hf_gru"


def test_daily_bars_of_a_tick_day_follow_from_its_trades(lake):
    day = lake.keys("trades")[40]
    trades, daily = lake.day("trades", day), lake.day("daily_bars", day).set_index("symbol")
    volume = trades.groupby("symbol")["volume"].sum()
    pd.testing.assert_series_equal(daily.loc[volume.index, "volume"], volume, check_dtype=False)
    last = trades.groupby("symbol")["price"].last()
    np.testing.assert_array_equal(daily.loc[last.index, "close"], last)


def test_prices_join_where_ticks_begin(lake):
    """The daily layer before the first tick day and the trades after it are one market."""
    first = lake.keys("trades")[0]
    before = [d for d in lake.keys("daily_bars") if d < first][-1]
    old, new = (lake.day("daily_bars", d).set_index("symbol") for d in (before, first))
    both = old.index.intersection(new.index)
    continued = old.loc[both, "close"] * old.loc[both, "adj_factor"] / new.loc[both, "adj_factor"]
    np.testing.assert_allclose(new.loc[both, "prev_close"], continued, rtol=2e-3)


def rebuild(lake: Lake, table: str, keys: list[str]) -> None:
    for made in make(table, keys, lake):
        lake.write(table, made.key, made.frame, made.stored)


def linked(lake: Lake, folder: Path) -> Lake:
    """A copy of hard links: a write replaces a file and never changes one. Dagster's databases are left out."""
    ignored = shutil.ignore_patterns(".dagster")
    return Lake(shutil.copytree(lake.root, folder, copy_function=os.link, ignore=ignored))


CUT = "2023-02-10"


@pytest.fixture(scope="session")
def disturbed(lake, tmp_path_factory) -> Lake:
    """A copy with other values on every day after the cut, rebuilt from the factors on."""
    other = linked(lake, tmp_path_factory.mktemp("disturbed") / "lake")
    rng = np.random.default_rng(3)
    for table, kept in (("daily_bars", ("up_limit", "down_limit")), ("intraday_factors", ())):
        for day in [d for d in other.keys(table) if d > CUT]:
            frame = other.day(table, day)
            for column in frame.select_dtypes("float").columns.difference(kept):
                frame[column] *= np.exp(rng.normal(0, 0.3, len(frame)))
            other.write(table, day, frame)
    for table in ("weekly_bars", "monthly_bars"):
        after = [k for k in other.keys(table) if k > CUT[:8] + "00"]
        rebuild(other, table, after)
    days = [d for d in other.keys("fused") if d >= "2023-02-01"]
    for table in ("factor_inputs", "factor_scores", "hf_equal_weight", "hf_gru", "lf_multitask", "fused"):
        rebuild(other, table, days)
    weeks = [w for w in other.keys("weights_csi500_turnover30") if w >= "2023-02-06"]
    for week in weeks:
        other.remove("weights_csi500_turnover30", week)
    rebuild(other, "weights_csi500_turnover30", weeks)
    return other


@pytest.mark.parametrize(
    "table", ["factor_inputs", "factor_scores", "hf_equal_weight", "hf_gru", "lf_multitask", "fused"]
)
def test_the_future_changes_nothing_before_it(lake, disturbed, table):
    days = [d for d in lake.keys("fused") if d >= "2023-02-01"]
    for day in [d for d in days if d <= CUT]:
        pd.testing.assert_frame_equal(disturbed.day(table, day), lake.day(table, day), check_exact=True)
    after = [d for d in days if d > CUT][-1]
    assert not disturbed.day(table, after).equals(lake.day(table, after))  # the disturbance reaches what it may


def test_weights_decided_before_do_not_move(lake, disturbed):
    table = "weights_csi500_turnover30"
    decided = {w: lake.metadata(table, w)["decided"] for w in lake.keys(table)}
    before = [w for w, day in decided.items() if "2023-02-06" <= w and day <= CUT]
    assert before
    for week in before:
        pd.testing.assert_frame_equal(disturbed.day(table, week), lake.day(table, week), check_exact=True)
    last = lake.keys(table)[-1]
    assert not disturbed.day(table, last).equals(lake.day(table, last))


@pytest.mark.parametrize("table", ["factor_scores", "hf_gru", "lf_multitask", "fused", "labels", "hf_icir_weight"])
def test_one_day_at_a_time_equals_all_at_once(lake, tmp_path, table):
    """A scheduled day gives the bytes of the backfill."""
    other = linked(lake, tmp_path / "lake")
    for day in ("2023-01-16", "2023-02-21"):
        rebuild(other, table, [day])
        pd.testing.assert_frame_equal(other.day(table, day), lake.day(table, day), check_exact=True)


def test_a_missing_week_is_an_error_that_names_it(lake, tmp_path):
    from mg_assets.errors import MissingPartitionError

    other = linked(lake, tmp_path / "lake")
    table = "weights_csi500_turnover30"
    weeks = other.keys(table)
    other.remove(table, weeks[-2])
    with pytest.raises(MissingPartitionError, match=weeks[-2]):
        rebuild(other, table, weeks[-1:])


@pytest.mark.slow
def test_every_asset_reads_what_its_windows_hold(built):
    """A table or day that an asset reads and does not declare could change without making it stale."""
    script = built.checkout / "tests" / "helpers" / "reads_of_assets.py"
    done = subprocess.run(
        [sys.executable, script], env=built.environment, cwd=built.checkout, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    undeclared = json.loads(done.stdout)
    for signal in SIGNALS:  # the RankIC beside the scores, where the label is known: no content is made of it
        undeclared.get(signal, {}).pop("labels", None)
    undeclared = {asset: tables for asset, tables in undeclared.items() if tables}
    running = undeclared.pop("lf_multitask")  # opened, of no influence: test_the_current_week_need_not_be_in_the_table
    assert {table: len(keys) for table, keys in running.items()} == {"weekly_bars": 1, "monthly_bars": 1}
    cells = undeclared.pop("portfolio_study_series_72")
    assert set(cells) == {"portfolio_cells"}  # its own finished backtests, each with the digests that it was made from
    assert undeclared == {}


def test_changed_settings_make_partitions_stale(built, lake):
    """Another seed of the market: what was read of the source is stale, and what follows once that has changed."""
    script = (
        "from mg_assets.settings import settings\n"
        "from mg_assets.sources import build_source\n"
        "from mg_assets.lake.store import Lake\n"
        "from mg_assets.assets import TABLES\n"
        "s = settings().source\n"
        "source = build_source(s.kind, s.options)\n"
        "lake = Lake(settings().lake_url)\n"
        "tables = ('trades', 'daily_bars', 'factor_scores')\n"
        "print([len(TABLES.stale(lake, source, t, lake.keys(t)[-5:])) for t in tables])\n"
    )
    env = {k: v for k, v in os.environ.items() if not k.startswith(("MG_", "DAGSTER"))}
    env["MG_SETTINGS"] = str(built.folder / "small.yaml")
    same = subprocess.run(
        [sys.executable, "-c", script], env=env, cwd=built.checkout, capture_output=True, text=True, check=True
    )
    assert same.stdout.strip() == "[0, 0, 0]"
    env["MG_SOURCE"] = json.dumps({**built.settings["source"], "seed": 7})
    other = subprocess.run(
        [sys.executable, "-c", script], env=env, cwd=built.checkout, capture_output=True, text=True, check=True
    )
    assert other.stdout.strip() == "[5, 0, 0]"  # bars and factors are made of ticks: they wait for what these become
