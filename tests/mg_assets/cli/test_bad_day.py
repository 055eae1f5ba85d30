"""`mg run` on a market with a day whose file is cut off and a day that a blocking check rejects, as a user sees it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

CHECKOUT = Path(__file__).parents[3]
SETTINGS = {
    "source": {"kind": "simulated", "stocks": 60, "tick_start": "2023-01-03", "orders_per_stock": 250},
    "end_date": "2023-06-30",
    "first_model": "2023H1",
    "run": {"daily_from": "2022-12-26", "ticks_from": "2023-01-03", "until": "2023-01-13", "half_years": []},
}
DAYS = [f"2023-01-{d:02d}" for d in (3, 4, 5, 6, 9, 10, 11, 12, 13)]
CUT, TAMPERED = DAYS[3], DAYS[6]
GOOD = [d for d in DAYS if d not in (CUT, TAMPERED)]

SCRIPT = """
import contextlib, io, json, sys
from dataclasses import replace
from mg_assets.errors import SourceError
from mg_assets.sources.simulated import SimulatedExchange

CUT, TAMPERED = sys.argv[2:4]
bad = False
load, fingerprint = SimulatedExchange.load, SimulatedExchange.fingerprint


def load_badly(self, table, day):
    if bad and table == "trades" and str(day) == CUT:
        raise SourceError(f"/data/{day}/trades.csv.gz ends inside a row: fetch it again")
    found = load(self, table, day)
    if bad and table == "trades" and str(day) == TAMPERED:
        frame = found.frame.copy()
        frame.loc[frame.index[:7], "price"] *= 1.5
        found = replace(found, frame=frame)
    return found


def mark(self, table, day):
    return fingerprint(self, table, day) + (" bad" if bad and str(day) in (CUT, TAMPERED) else "")


SimulatedExchange.load, SimulatedExchange.fingerprint = load_badly, mark

if __name__ == "__main__":
    import dagster as dg
    from mg_assets.cli.main import main
    from mg_assets.lake.store import Lake
    from mg_assets.settings import settings

    found = []
    for bad, arguments in json.loads(sys.argv[1]):
        with contextlib.redirect_stdout(io.StringIO()) as out:
            code = main(arguments)
        lake = Lake(settings().lake_url)
        tables = [t for t in lake.storage.tables() if not t.startswith("quarantine")]
        digests = {t: {k: i.digest for k, i in lake.info(t).items()} for t in tables}
        with dg.DagsterInstance.get() as instance:
            recorded = sorted(instance.get_materialized_partitions(dg.AssetKey("trades")))
        found.append({"code": code, "text": out.getvalue(), "digests": digests, "recorded": recorded})
    print(json.dumps(found))
"""


def start(folder: Path, runs: list) -> subprocess.Popen:
    """A process that runs ``mg`` several times, each with the source as it is or with its bad days."""
    (folder / "settings.yaml").write_text(yaml.safe_dump({**SETTINGS, "lake": str(folder / "lake")}))
    (folder / "runs.py").write_text(SCRIPT)
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("MG_", "DAGSTER"))}
    return subprocess.Popen(
        [sys.executable, str(folder / "runs.py"), json.dumps(runs), CUT, TAMPERED],
        env=kept | {"MG_SETTINGS": str(folder / "settings.yaml"), "OMP_NUM_THREADS": "1"},
        cwd=CHECKOUT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def finished(process: subprocess.Popen) -> list[dict]:
    out, error = process.communicate()
    assert process.returncode == 0, error[-3000:]
    return json.loads(out.splitlines()[-1])


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """The runs of one lake (bad, bad and skipped, bad again, repaired, again), and a lake without any bad day."""
    run, skip = ["run"], ["run", "--skip-failed"]
    lakes = [
        start(tmp_path_factory.mktemp("bad"), [(True, run), (True, skip), (True, run), (False, run), (False, run)]),
        start(tmp_path_factory.mktemp("clean"), [(False, run)]),
    ]
    (*bad, again), (clean,) = map(finished, lakes)
    return {"bad": bad[0], "skipped": bad[1], "still": bad[2], "repaired": bad[3], "again": again, "clean": clean}


def keys(found: dict, table: str) -> list[str]:
    return list(found["digests"][table])


def test_the_other_days_are_built_and_the_bad_ones_listed(runs):
    found = runs["bad"]
    assert found["code"] == 1
    assert keys(found, "trades") == [d for d in DAYS if d != CUT] == found["recorded"]
    assert keys(found, "minute_bars") == keys(found, "intraday_factors") == GOOD
    assert keys(found, "factor_scores") == DAYS[:3]  # those after read the bad day in their windows
    assert keys(found, "weekly_bars") == ["2022-12-26"]
    assert keys(found, "labels") == DAYS[-2:]
    last = found["text"].split("partitions failed; ")[1].splitlines()
    assert last[1] == f"  trades, orders {CUT}: /data/{CUT}/trades.csv.gz ends inside a row: fetch it again"
    assert "partitions wait for it: minute_bars 1, daily_bars 1, weekly_bars 1" in last[2]
    assert last[3].startswith(f"  trades {TAMPERED}: rejected by the blocking check price_limits: outside_limits = 7")
    assert last[-1].startswith("mg run --skip-failed goes on")


def test_a_failed_check_shows_figures_limits_and_rows(runs):
    lines = [line.split("]", 1)[-1].split() for line in runs["bad"]["text"].splitlines()]
    at = next(i for i, words in enumerate(lines) if words[:4] == ["check", "price_limits", "of", "trades"])
    assert lines[at][4:] == ["rejects", "1", "of", "8", "partitions,", "first", TAMPERED]
    assert lines[at + 2][:6] == ["partition", "measure", "observed", "limit", "row", "symbol"]
    assert lines[at + 3][:5] == [TAMPERED, "outside_limits", "7", "<=", "0"]


def test_skipping_builds_what_reads_windows_without_the_days(runs):
    found = runs["skipped"]
    assert found["code"] == 0
    assert "partitions skipped; " in found["text"]
    assert keys(found, "minute_bars") == keys(found, "factor_scores") == GOOD
    assert keys(found, "weekly_bars") == ["2022-12-26", "2023-01-02", "2023-01-09"]
    assert found["digests"]["weekly_bars"]["2023-01-09"] != runs["clean"]["digests"]["weekly_bars"]["2023-01-09"]


def test_days_that_fail_again_make_nothing_be_built_again(runs):
    found = runs["still"]
    assert found["code"] == 1
    assert found["digests"] == runs["skipped"]["digests"]
    assert "weekly bars: up to date" in found["text"]


def test_after_the_repair_the_lake_is_as_if_nothing_had_been(runs):
    found = runs["repaired"]
    assert found["code"] == 0
    assert "failed" not in found["text"]
    assert found["digests"] == runs["clean"]["digests"]
    assert found["recorded"] == DAYS
    assert "daily bars and reference data: up to date" in found["text"]
    assert "done in" not in runs["again"]["text"]
