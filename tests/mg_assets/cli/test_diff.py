"""``mg diff`` on a small lake of a vendor's files, one a day: before and after a corrected close is built."""

from contextlib import redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

import dagster as dg
import numpy as np
import pandas as pd
import pytest
import yaml

from mg_assets.assets import ASSETS, TABLES
from mg_assets.cli.main import main
from mg_assets.cli.plan import partition_keys, partition_ranges
from mg_assets.lake.restatement import Replacement
from mg_assets.lake.store import Lake
from mg_assets.market.calendar import trading_days
from mg_assets.orchestration.lineage import ENTRY
from mg_assets.orchestration.orphaned_runs import TAG
from mg_assets.orchestration.resources import ComputeResource, LakeResource, SourceResource
from mg_assets.settings import settings
from mg_assets.sources import build_source

DAYS = [str(d) for d in trading_days("2023-02-01", "2023-03-10")]
CORRECTED = DAYS[12]
COLUMNS = ("date", "symbol", "open", "high", "low", "close", "volume", "amount", "prev_close", "adj_factor")
STEPS = (("reference", "daily_bars"), ("weekly_bars",), ("daily_factors", "common_factors"), ("labels",))


def diff(named: Path, *arguments: str) -> str:
    """What ``mg diff`` prints with a settings file."""
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(StringIO()) as out:
        patch.setenv("MG_SETTINGS", str(named))
        settings.cache_clear()
        assert main(["diff", *arguments]) == 0
    settings.cache_clear()
    return out.getvalue()


class Vendor:
    """A vendor's folder, the lake that is built from it, and the settings that name both."""

    def __init__(self, folder: Path, lake: Lake):
        self.root, self.lake = folder / "vendor", lake
        (self.root / "daily").mkdir(parents=True)
        rng = np.random.default_rng(7)
        close = np.round(20 * np.exp(np.cumsum(rng.normal(0, 0.02, (len(DAYS) + 1, 8)), axis=0)), 2)
        for d, day in enumerate(DAYS):
            now, before = close[d + 1], close[d]
            frame = pd.DataFrame(
                {
                    "date": day,
                    "symbol": [f"{600000 + i}.SH" for i in range(8)],
                    "open": before,
                    "high": np.round(np.maximum(now, before) + 0.05, 2),
                    "low": np.round(np.minimum(now, before) - 0.05, 2),
                    "close": now,
                    "volume": rng.integers(1, 50, 8) * 10_000,
                    "prev_close": before,
                    "adj_factor": 2.0,
                }
            )
            frame["amount"] = (frame["volume"] * (frame["high"] + frame["low"]) / 2).round(2)
            self.write(day, frame)
        mapping = {"name": "vendor", "daily": {"files": "daily/{date}.csv", "columns": {c: c for c in COLUMNS}}}
        (self.root / "vendor.yaml").write_text(yaml.safe_dump(mapping))
        self.options = {"root": str(self.root), "config": str(self.root / "vendor.yaml")}
        self.settings = folder / "settings.yaml"
        named = {"lake": self.lake.root, "source": {"kind": "mapped", **self.options}}
        self.settings.write_text(yaml.safe_dump(named))

    def path(self, day: str) -> Path:
        return self.root / "daily" / f"{day.replace('-', '')}.csv"

    def read(self, day: str) -> pd.DataFrame:
        return pd.read_csv(self.path(day))

    def write(self, day: str, frame: pd.DataFrame) -> None:
        frame.to_csv(self.path(day), index=False)

    def correct(self, day: str, symbol: str, **values: float) -> None:
        frame = self.read(day)
        for column, value in values.items():
            frame.loc[frame["symbol"] == symbol, column] = value
        self.write(day, frame)

    def diff(self, *arguments: str) -> str:
        """What ``mg diff`` prints."""
        return diff(self.settings, *arguments)

    def build(self) -> list[list[dg.AssetMaterialization]]:
        """Build what is stale, step by step as ``mg run`` does."""
        source, results = build_source("mapped", self.options), []
        resources = {
            "lake": LakeResource(root=self.lake.root),
            "source": SourceResource(kind="mapped", options=self.options),
            "compute": ComputeResource(device="cpu", workers=1),
        }
        for tables in STEPS:
            first = "2023-01-30" if tables == ("weekly_bars",) else DAYS[0]
            keys = [k for k in partition_keys(tables[0]) if first <= k <= DAYS[-1]]
            stale = {t: TABLES.stale(self.lake, source, t, keys) for t in tables}
            for names, first, last in partition_ranges(stale, partition_keys(tables[0])):
                ends = {"dagster/asset_partition_range_start": first, "dagster/asset_partition_range_end": last}
                with dg.DagsterInstance.ephemeral() as instance:
                    run = dg.materialize(
                        ASSETS, selection=dg.AssetSelection.assets(*names), instance=instance,
                        resources=resources, tags={**ends, TAG: "one mg run"},
                    )  # fmt: skip
                    made = instance.all_logs(run.run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION)
                    results.append([e.asset_materialization for e in made])
        return results


@dataclass
class Story:
    """A close is corrected by 0.05 yuan, a row becomes invalid: what was printed and recorded on the way."""

    vendor: Vendor
    untouched: str
    before: dict[str, pd.DataFrame]
    changed: str
    runs: list[list[dg.AssetMaterialization]]
    rebuilt: str


@pytest.fixture(scope="module", params=["folder", "object store"])
def story(request, tmp_path_factory) -> Story:
    folder = tmp_path_factory.mktemp("diff")
    if request.param == "object store":
        request.getfixturevalue("server")
    vendor = Vendor(folder, Lake(folder / "lake" if request.param == "folder" else "s3://mg/diff"))
    vendor.build()
    untouched = vendor.diff()
    tables = [t for step in STEPS for t in step]
    before = {t: vendor.lake.read(t, vendor.lake.keys(t)) for t in tables}
    row = vendor.read(CORRECTED).set_index("symbol").loc["600003.SH"]
    traded = row["amount"] + 0.02 * row["volume"]
    vendor.correct(CORRECTED, "600003.SH", close=row["close"] + 0.05, high=row["high"] + 0.05, amount=traded)
    vendor.correct(DAYS[-1], "600007.SH", close=-1.0)
    changed = vendor.diff()
    runs = vendor.build()
    return Story(vendor, untouched, before, changed, runs, vendor.diff("--rebuilt"))


def section(text: str, table: str) -> str:
    """A table's part of the report on the last rebuild."""
    return next(part for part in text.split("\n\n") if part.startswith(f"{table}:"))


def test_equal_files_have_no_difference(story):
    assert story.untouched == "the source's files are those that the lake was made from\n"
    assert story.vendor.diff() == story.untouched  # after the rebuild


def test_changed_rows_are_listed_with_old_and_new(story):
    lines = story.changed.splitlines()
    at = lines.index(f"daily_bars {CORRECTED}: 0 rows added, 0 gone, 1 changed (high 1, close 1, vwap 1, amount 1)")
    close = story.before["daily_bars"].query("date == @CORRECTED and symbol == '600003.SH'")["close"].item()
    assert f"    600003.SH  close {close:.8g} -> {close + 0.05:.8g}" in lines[at + 1 : at + 5]
    assert f"daily_bars {DAYS[-1]}: 0 rows added, 1 gone, 0 changed" in lines
    assert "  - 600007.SH" in lines


def test_all_that_was_made_from_the_rows_is_counted(story):
    text = story.changed
    later = DAYS[DAYS.index(CORRECTED) :]
    assert f"daily_factors, common_factors: {len(later)} partitions each, {later[0]} to {later[-1]}" in text
    assert "weekly_bars: 2 partitions, 2023-02-13 to 2023-03-06" in text
    assert f"labels: {len(DAYS)} partitions, {DAYS[0]} to {DAYS[-1]}" in text  # 21 sessions ahead


def test_nothing_is_built_by_a_comparison(story):
    tables = [t for step in STEPS for t in step]
    digests = {(t, k): i.digest for t in tables for k, i in story.vendor.lake.info(t).items()}
    story.vendor.correct(DAYS[0], "600001.SH", volume=7)
    try:
        assert f"daily_bars {DAYS[0]}" in story.vendor.diff("daily_bars")
        assert story.vendor.diff("reference", "--from", DAYS[1]) == story.untouched
        assert digests == {(t, k): i.digest for t in tables for k, i in story.vendor.lake.info(t).items()}
    finally:
        story.vendor.correct(DAYS[0], "600001.SH", volume=int(story.before["daily_bars"].query(
            "date == @DAYS[0] and symbol == '600001.SH'")["volume"].item()))  # fmt: skip


@pytest.mark.parametrize("table", ["daily_factors", "labels", "weekly_bars"])
def test_the_moves_of_each_column_are_those_of_the_values(story, table):
    lake = story.vendor.lake
    now = lake.read(table, lake.keys(table))
    key = list(now.columns[:2])
    both = story.before[table].set_index(key).join(now.set_index(key), how="inner", suffixes=("_old", "_new"))
    lines = story.vendor.diff("--rebuilt", table).splitlines()
    moved = 0
    for column in now.columns[2:]:
        if now[column].dtype.kind not in "if":
            continue
        old, new = both[f"{column}_old"].to_numpy(float), both[f"{column}_new"].to_numpy(float)
        change = pd.Series(np.abs(new - old), both.index)[(old != new) & np.isfinite(old) & np.isfinite(new)]
        if change.empty:
            continue
        moved += 1
        words = next(line.split() for line in lines if line.startswith(f"  {column} "))
        assert words[2:4] == [f"{change.max():.4g}", f"{change.mean():.4g}"]
        assert {*change.idxmax()} <= {*words}  # the day and the stock
    assert moved >= 2


def test_the_causes_are_the_tables_upstream(story):
    assert "; changed: source daily_bars" in section(story.rebuilt, "daily_bars")
    assert "; changed: daily_bars" in section(story.rebuilt, "labels")
    assert "and 1" in section(story.rebuilt, "daily_factors")  # more than ten columns


def test_the_pages_show_rows_moves_and_dependents(story):
    events = [made for run in story.runs for made in run]
    bars = next(
        made for made in events if made.asset_key.to_user_string() == "daily_bars" and made.partition == CORRECTED
    )
    page = bars.metadata["restatement"].value
    assert "1 changed (high 1, close 1, vwap 1, amount 1)" in page
    assert "| 600003.SH | close |" in page
    assert "daily_factors, common_factors" in bars.metadata["restated"].value
    labels = [made for made in events if made.asset_key.to_user_string() == "labels"]
    assert any("| ret_5 |" in m.metadata["restatement"].value for m in labels if "restatement" in m.metadata)
    assert all("Made from" not in m.metadata["restated"].value for m in labels if "restated" in m.metadata)


def test_the_latest_event_of_a_table_has_its_lineage(story):
    def events(table: str) -> list[list[dg.AssetMaterialization]]:
        made = ([m for m in run if m.asset_key.to_user_string() == table] for run in story.runs)
        return [ms for ms in made if ms]

    for *earlier, last in events("labels"):
        assert dg.TableColumnDep("daily_bars", "vwap") in last.metadata[ENTRY].value.deps_by_column["ret_5"]
        assert not any(ENTRY in m.metadata for m in earlier)
    read = [ms[-1].metadata[ENTRY].value.deps_by_column for ms in events("daily_bars")]
    assert read
    assert not any(deps for columns in read for deps in columns.values())  # straight from the source


def test_the_last_run_is_shown_or_all_since_a_day(tmp_path):
    (tmp_path / "settings.yaml").write_text(yaml.safe_dump({"lake": str(tmp_path / "lake")}))
    lake = Lake(tmp_path / "lake")
    for number, (table, day) in enumerate((("fused", DAYS[0]), ("fused", DAYS[1]), ("hf_gru", DAYS[1]))):
        for score in (1.0, 2.0):
            with Replacement(lake, table, day) as replaced:
                lake.write(table, day, pd.DataFrame({"symbol": ["600000.SH"], "score": [score]}))
                replaced.record(f"run {min(number, 1)}")
    last = diff(tmp_path / "settings.yaml", "--rebuilt")
    assert [line.split(";")[0] for line in last.splitlines() if "partition" in line] == [
        f"hf_gru: 1 partition, {DAYS[1]}",
        f"fused: 1 partition, {DAYS[1]}",
    ]
    every = diff(tmp_path / "settings.yaml", "--since", "2023-01-01", "fused")
    assert f"fused: 2 partitions, {DAYS[0]} to {DAYS[1]}" in every
    assert diff(tmp_path / "settings.yaml", "--since", "9999-01-01").startswith("no partition")
    assert diff(tmp_path / "settings.yaml", "--rebuilt", "--to", DAYS[0]).startswith("no partition")


def test_tables_that_the_lake_lacks_are_one_line(story, capsys):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MG_SETTINGS", str(story.vendor.settings))
        settings.cache_clear()
        assert main(["diff", "daily_bar"]) == 2
    settings.cache_clear()
    assert "has no table daily_bar" in capsys.readouterr().err
