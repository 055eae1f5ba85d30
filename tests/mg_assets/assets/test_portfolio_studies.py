"""Studies of portfolios: each backtested once, stored, resumed after a kill, laid out as in the reports."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import portfolio_market as helper
import pytest

from mg_assets.assets import make
from mg_assets.lake.partition_keys import WHOLE
from mg_assets.lake.store import Lake
from mg_assets.portfolios.study_runs import (
    ALL_WEEKDAYS,
    Job,
    SharedArrays,
    backtest_portfolio,
    fingerprint,
    run_backtests,
)
from mg_assets.portfolios.study_runs import TABLE as CELLS
from mg_assets.portfolios.trading_rules import TradingRules
from mg_assets.settings import load_settings
from mg_models.catalog import COMBINATIONS, get, override, trained_parts
from mg_models.worker_pool import PREFIX
from mg_portfolio.catalog import ALL_PORTFOLIOS, SERIES_88
from mg_portfolio.report.portfolio_study.layouts import STUDIES, portfolios_of
from mg_portfolio.report.signal_study.layouts import SIGNAL_TABLES

NAME = "csi500_turnover30"
EXECUTION = TradingRules(costs="chinese", capital=5e8, participation=0.2, lots=True)

copy_of = helper.copy_of


@pytest.fixture(scope="module")
def market(tmp_path_factory) -> Lake:
    return helper.small_market(tmp_path_factory.mktemp("market"), "2023-03-31")


def jobs(names, mark: str = "a", rules: TradingRules | None = None) -> list[Job]:
    specs = [replace(ALL_PORTFOLIOS[n], signal="fused") for n in names]
    return [Job(spec, fingerprint(spec, rules or TradingRules(), mark)) for spec in specs]


AFTER = {"mon": "Tuesday", "tue": "Wednesday", "wed": "Thursday", "thu": "Friday", "fri": "Monday"}
SERIES_88_NAMES = list(SERIES_88)
GRID = [n for n in SERIES_88 if n.endswith("mixed_input_biagru_5d")][:3]


def test_an_interrupted_study_resumes(market, tmp_path):
    lake, seen = copy_of(market, tmp_path), []
    run_backtests(lake, jobs(GRID[:2]), TradingRules(), on_progress=lambda *done: seen.append(done))
    assert [s[:2] for s in seen] == [(1, 2), (2, 2)]
    written = {n: lake.modified(CELLS, n) for n in GRID[:2]}
    assert lake.path(CELLS, GRID[0]).endswith(f"portfolio_cells/cell={GRID[0]}/part.parquet")
    seen.clear()
    found = run_backtests(lake, jobs(GRID), TradingRules(), on_progress=lambda *done: seen.append(done))
    assert seen == [(1, 1, GRID[2])]
    assert written == {n: lake.modified(CELLS, n) for n in GRID[:2]}
    assert set(found) == set(GRID)
    seen.clear()
    run_backtests(lake, jobs(GRID[:1], mark="b"), TradingRules(), on_progress=lambda *done: seen.append(done))
    run_backtests(lake, jobs(GRID[:1], "b", EXECUTION), EXECUTION, on_progress=lambda *done: seen.append(done))
    assert len(seen) == 2  # other data, other trading: backtested again


def test_five_weekdays_are_the_paths_of_each(market, tmp_path):
    """A portfolio of all weekdays has Friday's account, and that of each other weekday alone beside it."""
    (spec,) = [job.spec for job in jobs(GRID[:1])]
    (tmp_path / "all").mkdir()
    lake = copy_of(market, tmp_path / "all")
    every = Job(spec, fingerprint(spec, TradingRules(), "a", ALL_WEEKDAYS), ALL_WEEKDAYS)
    assert every.fingerprint != jobs(GRID[:1])[0].fingerprint
    account = run_backtests(lake, [every], TradingRules())[spec.name]
    assert len(account.others) == 4
    arrays = SharedArrays.write(tmp_path, lake, [every])
    for path, weekday in list(zip((account, *account.others), ALL_WEEKDAYS, strict=True))[:2]:
        alone = backtest_portfolio(arrays, spec, TradingRules(), (weekday,)).frame
        np.testing.assert_array_equal(path.nav, alone["nav"])
        traded = alone["turnover_two_way"].dropna()
        np.testing.assert_array_equal(path.turnover.to_numpy(), traded)
        assert {str(d) for d in path.turnover.index.day_name()} >= {AFTER[weekday]}
    again = run_backtests(lake, [every], TradingRules(), on_progress=lambda *_: pytest.fail("backtested again"))
    np.testing.assert_array_equal(again[spec.name].others[2].nav, account.others[2].nav)
    assert lake.metadata(CELLS, spec.name)["weekdays"] == 5


def test_a_damaged_account_is_backtested_again(market, tmp_path):
    lake, seen = copy_of(market, tmp_path), []
    before = run_backtests(lake, jobs(GRID[:1]), TradingRules())[GRID[0]]
    path = Path(lake.path(CELLS, GRID[0]))
    path.write_bytes(path.read_bytes()[:-100])
    for again in (1, 0):
        seen.clear()
        found = run_backtests(lake, jobs(GRID[:1]), TradingRules(), on_progress=lambda *done: seen.append(done))
        assert len(seen) == again
        np.testing.assert_array_equal(found[GRID[0]].nav, before.nav)


KILLED = """
    import sys
    from dataclasses import replace
    from mg_assets.portfolios import study_runs
    from mg_assets.lake.store import Lake
    from mg_assets.portfolios.trading_rules import TradingRules
    from mg_portfolio.catalog import ALL_PORTFOLIOS

    study_runs.DECISIONS_PER_WORKER = 1
    if __name__ == "__main__":
        rules = TradingRules()
        specs = [replace(ALL_PORTFOLIOS[name], signal="fused") for name in sys.argv[2:]]
        jobs = [study_runs.Job(spec, study_runs.fingerprint(spec, rules, "a")) for spec in specs]
        study_runs.run_backtests(Lake(sys.argv[1]), jobs, rules, workers=2)
"""


def test_a_killed_study_leaves_no_process_and_resumes(market, tmp_path, monkeypatch):
    """SIGKILL once an account is stored: its processes end; the next run does the others and removes its arrays."""
    (tmp_path / "lake").mkdir()
    (tmp_path / "tmp").mkdir()
    lake, names = copy_of(market, tmp_path / "lake"), SERIES_88_NAMES[:10]
    (tmp_path / "study.py").write_text(textwrap.dedent(KILLED))
    command = [sys.executable, str(tmp_path / "study.py"), lake.root, *names]
    environment = os.environ | {"TMPDIR": str(tmp_path / "tmp"), "OMP_NUM_THREADS": "1"}
    study = subprocess.Popen(command, env=environment, start_new_session=True)
    give_up = time.monotonic() + 120
    while not lake.keys(CELLS) and study.poll() is None and time.monotonic() < give_up:
        time.sleep(0.02)
    study.kill()
    study.wait()
    kept = {n: lake.modified(CELLS, n) for n in lake.keys(CELLS)}
    assert 0 < len(kept) < len(names)
    for _ in range(200):
        try:
            os.killpg(study.pid, 0)
        except ProcessLookupError:
            break
        time.sleep(0.05)
    else:
        os.killpg(study.pid, signal.SIGKILL)
        pytest.fail("processes of the killed study still ran after ten seconds")
    late = {n: lake.modified(CELLS, n) for n in lake.keys(CELLS)}  # what a process was about to store is stored or not
    assert late == kept
    (arrays,) = (tmp_path / "tmp").glob(f"{PREFIX}*")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    seen: list[tuple] = []
    found = run_backtests(lake, jobs(names), TradingRules(), on_progress=lambda *done: seen.append(done))
    assert set(found) == set(names)
    assert {name for _, _, name in seen} == set(names) - set(kept)
    assert kept == {n: lake.modified(CELLS, n) for n in kept}
    assert not arrays.exists()
    assert not list((tmp_path / "tmp").iterdir())


def test_processes_give_the_bits_of_one(market, tmp_path, monkeypatch):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    one, other = copy_of(market, tmp_path / "a"), copy_of(market, tmp_path / "b")
    serial = run_backtests(one, jobs(GRID[:2]), TradingRules())
    monkeypatch.setattr("mg_assets.portfolios.study_runs.DECISIONS_PER_WORKER", 1)
    parallel = run_backtests(other, jobs(GRID[:2]), TradingRules(), workers=2)
    for name in GRID[:2]:
        np.testing.assert_array_equal(serial[name].nav, parallel[name].nav)
        np.testing.assert_array_equal(serial[name].turnover, parallel[name].turnover)


def test_an_index_without_weights_is_a_sentence(market, tmp_path):
    for table in ("daily_bars", "fused", "common_factors"):
        (tmp_path / table).symlink_to(f"{market.root}/{table}", target_is_directory=True)
    lake = Lake(tmp_path)
    for key in market.keys("reference")[:20]:
        lake.write("reference", key, market.day("reference", key).assign(csi500_weight=np.nan))
    found = run_backtests(lake, jobs([NAME]), TradingRules())
    assert found == {NAME: "the source has no csi500 weights"}
    assert (
        run_backtests(lake, jobs([NAME]), TradingRules(), on_progress=lambda *_: pytest.fail("backtested again"))
        == found
    )


def run_study(study: str, lake: Lake, said: list[str] | None = None):
    source = SimpleNamespace(name="a simulated market")
    (made,) = make(f"portfolio_study_{study}", [WHOLE], lake, source, log=[].append if said is None else said.append)
    return made


def test_a_study_puts_ours_beside_theirs(market, tmp_path):
    lake = copy_of(market, tmp_path)
    made = run_study("series_72", lake)
    assert made.metadata["backtested"] == made.metadata["portfolios"] == 6
    rows = made.frame
    assert rows["published"].notna().all()
    assert (rows["ours"].isna() == (rows["note"] != "")).all()
    of_2023 = rows[rows["period"].str.startswith("2023-01-01")]
    assert of_2023["ours"].notna().all()
    assert (rows.loc[rows["period"] == "2018", "note"] == "fewer than 20 days of 2018 in the lake").all()
    cell = of_2023[(of_2023["portfolio"] == NAME) & (of_2023["column"] == "2023.01-11")].iloc[0]
    stored = lake.day(CELLS, NAME)
    year = stored["nav"].iloc[-1] / stored["nav"].iloc[0] - 1
    assert cell["ours"] == pytest.approx(year)
    assert cell["first_day"] == stored["date"][1]
    assert f"{100 * year:.1f}% (2.7%)" in made.metadata["chart 65"].value
    assert made.metadata["excess csi1000"].value.startswith("![](data:image/png")
    page = Path(made.metadata["page, en"].value).read_text()
    assert page.count("<svg") == 2
    of_index = rows[rows["portfolio"] == f"{NAME} benchmark"].set_index(["table", "metric"])
    assert set(of_index.loc["chart 64"].index) == {"annual_return", "annual_volatility", "sharpe", "max_drawdown"}
    assert of_index.loc[("chart 64", "max_drawdown"), "published"] == 0.4011
    assert f">{100 * year:.1f}%</td>" in page
    written = {k: lake.modified(CELLS, k) for k in lake.keys(CELLS)}
    assert run_study("series_72", lake).frame.equals(rows)
    assert written == {k: lake.modified(CELLS, k) for k in lake.keys(CELLS)}
    gone, said = lake.keys(CELLS)[2], []
    Path(lake.path(CELLS, gone)).unlink()
    assert run_study("series_72", lake, said).frame.equals(rows)
    assert said[0] == "portfolio_study_series_72: 5 of 6 portfolios are stored from an earlier run"
    assert said[1].startswith("portfolio_study_series_72: 1 of 1 portfolios, 0 s left")
    assert said[1].endswith(gone)


def test_signals_that_a_deployment_lacks_are_said(market, tmp_path):
    made = run_study("series_88", copy_of(market, tmp_path))
    assert made.metadata["backtested"] == 0
    rows = made.frame
    assert rows["ours"].isna().all()
    assert len(rows) == len(rows.dropna(subset="published")) == 272
    why = "not trained here: add mixed_input_biagru_10d to `catalog`"
    assert why in set(rows["note"])
    assert why in made.metadata["table 8"].value
    assert "16.2%" in made.metadata["table 10"].value


@pytest.mark.parametrize(
    ("file", "studies", "half_years"),
    [
        ("portfolio_studies", ("series_88", "series_72", "series_69"), 2),
        ("series_72", ("series_72",), 14),
        ("series_88", ("series_88",), 14),
        ("series_69", ("series_69",), 18),
    ],
)
def test_study_settings_have_every_signal_of_their_pages(monkeypatch, file, studies, half_years):
    for name in [n for n in os.environ if n.startswith("MG_")]:
        monkeypatch.delenv(name)
    config = load_settings(str(Path(__file__).parents[3] / "deploy" / f"{file}.yaml"))
    trained = trained_parts(config.catalog)
    assert set(config.models) == set(trained)
    for name in trained:
        override(get(name), **config.models[name])  # every hyper-parameter is one of its model's
    have = {s for name in trained for s in get(name).signals}
    have |= {n for n in config.catalog if n in COMBINATIONS}
    needed = {ALL_PORTFOLIOS[p].signal for study in studies for p in portfolios_of(study)}
    if len(studies) == 1:  # the signal study's tables of the report, but for what is never trained
        report = STUDIES[studies[0]][0].report
        needed |= {row.subject for table in SIGNAL_TABLES if table.report == report for row in table.rows}
        needed -= {"hf_equal_weight", "hf_icir_weight"}
    assert needed <= have
    assert len(config.run.half_years) == half_years
