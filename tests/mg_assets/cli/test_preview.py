"""``mg run --plan``: what a run would build and why, without building it."""

from pathlib import Path

import pytest
import vendor_exports
import yaml

from mg_assets.cli.estimate import Estimate
from mg_assets.cli.main import main
from mg_assets.lake.store import Lake
from mg_assets.settings import settings
from mg_assets.sources import build_source
from mg_assets.sources.recorded import marks_of

FIRST, LAST = "2023-01-04", "2023-01-18"


@pytest.fixture
def market(tmp_path, monkeypatch):
    """Files of a stock each, and the settings of a lake that is not there yet."""
    vendor_exports.baostock(vendor_exports.market(FIRST, LAST, 3), tmp_path / "files")
    source = {"kind": "mapped", "root": str(tmp_path / "files"), "config": "baostock"}
    named = {"lake": str(tmp_path / "lake"), "source": source, "end_date": LAST, "catalog": [], "portfolios": {},
             "run": {"daily_from": FIRST, "until": LAST, "half_years": []}}  # fmt: skip
    (tmp_path / "settings.yaml").write_text(yaml.safe_dump(named))
    monkeypatch.setenv("MG_SETTINGS", str(tmp_path / "settings.yaml"))
    settings.cache_clear()
    yield tmp_path, build_source("mapped", {k: v for k, v in source.items() if k != "kind"})
    settings.cache_clear()


def planned(capsys) -> list[str]:
    assert main(["run", "--plan"]) == 0
    return [line.strip() for line in capsys.readouterr().out.splitlines()]


def files_of(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if path.is_file()}


def test_an_empty_lake_lacks_everything_and_stays_empty(market, capsys):
    folder, _ = market
    lines = planned(capsys)
    assert f"reference, daily_bars: 11 (absent), {FIRST} to {LAST}" in lines
    assert any(line.startswith("stage 1 of ") and "11 of 11 partitions of 2 tables" in line for line in lines)
    assert "partitions are to be built in about" in lines[-1]
    assert not (folder / "lake").exists()


def test_reasons_and_what_follows_are_counted(market, capsys):
    from mg_assets.assets import TABLES

    folder, source = market
    lake, days = Lake(folder / "lake"), [str(d) for d in source.days()]
    for day in source.days().tolist():
        for table in ("reference", "daily_bars"):
            loaded = source.load(table, day)
            recipe = "old" if table == "reference" and day.isoformat() == LAST else TABLES.recipe(table)
            marks = {"recipe": recipe, "inputs": {}, "source": marks_of(source, table, day.isoformat())}
            lake.write(table, day.isoformat(), loaded.frame, marks)
    for day in days[:4]:
        lake.remove("daily_bars", day)
    before = files_of(folder / "lake")
    lines = planned(capsys)
    assert f"reference: 1 (another definition), {LAST}" in lines
    assert f"daily_bars: 4 (absent), {days[0]} to {days[3]}" in lines
    assert {p for p in files_of(folder / "lake") if p.suffix == ".parquet"} == {
        p for p in before if p.suffix == ".parquet"
    }


def test_a_stage_that_is_expected_counts_what_it_lacks(market):
    from mg_assets.cli.plan import BuildStep

    steps = [BuildStep("labels", ("daily_bars",), tuple(f"2023-02-{d:02d}" for d in range(1, 11)))]
    estimate = Estimate(steps, Lake(market[0] / "lake"), {}, lambda: 0.0)
    whole = estimate.left()
    estimate.expect(1, {"daily_bars": steps[0].keys[:5]})
    assert estimate.left() == pytest.approx(whole / 2)
