"""What a source has, what is proposed for it, and what a run refuses before it builds anything."""

import datetime as dt
import re

import numpy as np
import pytest

from mg_assets.cli.coverage import Coverage, coverage_of
from mg_assets.cli.plan import RunSpan, check_run, run_steps
from mg_assets.cli.proposal import propose
from mg_assets.cli.requirements import model_problem
from mg_assets.lake.store import Lake
from mg_assets.market.calendar import trading_days
from mg_assets.settings import Settings
from mg_assets.sources import build_source
from mg_models.catalog import CATALOG, override

NOTHING: dict[str, tuple[str, ...]] = dict.fromkeys(("trades", "orders", "minute_bars", "daily_bars", "reference"), ())
PRICES = tuple(f"minute_bars.{c}" for c in ("open", "high", "low", "close", "amount"))
YEARS = tuple(trading_days("2021-01-04", "2023-12-29").astype(str).tolist())


def covers(stocks: int = 30, columns: tuple[str, ...] = (), members: int = 0, **days: tuple[str, ...]) -> Coverage:
    counts = dict.fromkeys(("csi300", "csi500", "csi1000"), members)
    return Coverage(NOTHING | days, (stocks,) * 3, frozenset(columns), counts)


def daily(days=YEARS) -> dict[str, tuple[str, ...]]:
    return {"daily_bars": days, "reference": days}


def test_daily_bars_of_30_stocks_give_models_that_train():
    found = propose(covers(**daily()))
    assert found.settings["catalog"] == ["lf_multitask", "price_volume_ensemble"]
    assert found.settings["run"] == {
        "daily_from": "2021-01-04", "until": "2023-12-29", "half_years": ["2023H1", "2023H2"]
    }  # fmt: skip
    assert found.settings["first_model"] == "2023H1"
    assert found.settings["models"]["lf_multitask"] == {"min_stocks": 15}
    assert found.settings["portfolios"] == {}
    assert found.settings["evaluation"] == {"universes": ["all"]}
    left = " ".join(found.left_out)
    for what in ("need ticks or minute bars", "portfolios: need weights", "universes of index members"):
        assert what in left
    Settings.model_validate({"source": {"kind": "simulated"}, **found.settings})


def test_the_graph_begins_with_a_source_from_before_2013():
    early = tuple(trading_days("2009-01-05", "2012-12-31").astype(str).tolist())
    found = propose(covers(**daily(early + YEARS))).settings
    assert (found["first_day"], found["run"]["daily_from"]) == ("2009-01-05", "2009-01-05")
    assert Settings.model_validate({"source": {"kind": "simulated"}, **found}).first_day == "2009-01-05"
    assert "first_day" not in propose(covers(**daily())).settings


@pytest.mark.parametrize(
    ("has", "why"),
    [
        (covers(8, **daily()), "models: need 15 stocks or more, the source has 8"),
        (covers(300, **daily(YEARS[:120])), "price_volume_mlp, retrain 2021H2: 0 training and 0 validation days"),
        (
            covers(300, **daily(YEARS[:20])),
            "needs 30 days and 30 stocks that trade, the source has 20 and 300",
        ),
    ],
)
def test_what_is_too_little_is_left_out_and_said(has, why):
    found = propose(has)
    assert found.settings["catalog"] == found.settings["run"]["half_years"] == []
    assert any(why in line for line in found.left_out), found.left_out


@pytest.mark.parametrize(("stocks", "said"), [(30, True), (34, True), (35, False)])
def test_days_with_a_halt_may_fall_out_of_an_evaluation(stocks, said):
    lines = propose(covers(stocks, **daily())).left_out
    assert any("fewer than 30 stocks trade: the source has" in line for line in lines) == said


def test_index_weights_bring_portfolios_and_universes():
    columns = ("csi300_weight", "csi300_member")
    found = propose(covers(800, columns, members=300, **daily()))
    assert found.settings["portfolios"] == {"csi300_turnover30": {"signal": "price_volume_ensemble"}}
    assert found.settings["evaluation"]["universes"] == ["all", "csi300", "csi500", "csi1000"]


def test_a_large_market_is_proposed_what_trains_in_minutes():
    found = propose(covers(5000, **daily()))
    assert found.settings["catalog"] == ["price_volume_ensemble"]
    assert any("lf_multitask: an hour of training" in line for line in found.left_out)


def test_minute_bars_alone_need_no_days_by_hand():
    found = propose(covers(20, minute_bars=YEARS[:40]))
    assert found.settings["run"]["ticks_from"] == YEARS[0]
    assert any("16 of the 34 intraday factors are null: need level-2 ticks" in line for line in found.left_out), (
        found.left_out
    )
    uncounted = propose(covers(20, ("minute_bars.volume", *PRICES), minute_bars=YEARS[:40]))
    assert any("19 of the 34 intraday factors are null" in line for line in uncounted.left_out), uncounted.left_out
    assert any("reference price, limits, ST" in line for line in found.left_out)
    assert any(line.startswith("minute bars of 40 days") and "daily bars made" in line for line in found.carries)


@pytest.mark.parametrize(
    ("days", "first", "single"),
    [
        (YEARS[:40], YEARS[0], 0),
        (YEARS[:20] + YEARS[22:40], YEARS[0], 0),  # a gap of two days
        (YEARS[:3] + YEARS[300:340], YEARS[300], 3),  # days far away from the others
        (YEARS[:9], None, 9),
        (YEARS[:200:10], None, 20),
    ],
)
def test_gaps_between_days_with_ticks(days, first, single):
    found = propose(covers(3, trades=days, orders=days))
    assert found.settings["run"].get("ticks_from") == first
    assert len(found.settings["run"].get("tick_days", ())) == single


class OfDays:
    """A source whose tables exist on given days; their rows are not asked for."""

    name = "of days"

    def __init__(self, **days: tuple[str, ...]):
        self.tables = days

    def days(self) -> np.ndarray:
        return np.array(sorted(set().union(*self.tables.values())), "datetime64[D]")

    def has(self, table: str, day: dt.date) -> bool:
        return str(day) in self.tables.get(table, ())


def settings(run: dict | None = None, **more) -> Settings:
    return Settings.model_validate({"source": {"kind": "simulated"}, "run": run or {}, **more})


def test_the_plan_takes_the_days_that_the_source_has():
    span = RunSpan(settings({"until": YEARS[59]}), OfDays(minute_bars=YEARS[20:60], daily_bars=YEARS[:60]))
    assert (span.days[0], span.tick_days[0], len(span.tick_days)) == (YEARS[0], YEARS[20], 40)
    gaps = RunSpan(settings({"until": YEARS[59]}), OfDays(trades=YEARS[:3] + YEARS[8:9]))
    assert gaps.days == [*YEARS[:3], YEARS[8]]
    assert (gaps.tick_days, gaps.single_tick_days) == ([], gaps.days)


def test_factors_of_daily_bars_begin_where_they_are_said_to():
    """Bars and labels of all days, factors of the last of them; by default of all."""

    def planned(**run) -> dict[str, tuple[str, ...]]:
        source = OfDays(daily_bars=YEARS[:60], reference=YEARS[:60])
        return {step.title: step.keys for step in run_steps(settings({"until": YEARS[59], **run}), source)}

    every, late = planned(), planned(factors_from=YEARS[40])
    assert every["daily and common factors"] == tuple(YEARS[:60])
    assert late["daily and common factors"] == tuple(YEARS[40:60])
    assert late["labels"] == every["labels"] == tuple(YEARS[:60])


def test_nothing_of_ticks_is_planned_without_ticks():
    steps = run_steps(settings({"until": YEARS[59]}), OfDays(daily_bars=YEARS[:60], reference=YEARS[:60]))
    planned = {t for step in steps if step.keys for t in step.tables}
    assert {"daily_bars", "daily_factors", "labels", "factor_evaluation"} <= planned
    assert not planned & {"trades", "orders", "minute_bars", "intraday_factors", "factor_scores", "hf_equal_weight"}


SOURCE = {"stocks": 40, "start": "2022-07-01", "end": "2023-12-29", "tick_start": "2023-11-01"}


@pytest.mark.parametrize(
    ("run", "catalog", "line"),
    [
        ({"half_years": ["2023H1"]}, ["hf_gru"], r"hf_gru, retrain 2023H1: 0 training and 0 validation days"),
        ({"half_years": ["2023H1"]}, ["lf_multitask"], r"lf_multitask, retrain 2023H1: .* needs 20 and 5; give it a"),
        ({"half_years": ["2014H1"]}, ["lf_multitask"], r"run.half_years: 2014H1 is no half-year of the graph: 2023H1"),
    ],
)
def test_a_run_refuses_what_it_cannot_build(tmp_path, run, catalog, line):
    config = settings(run, catalog=catalog, portfolios={}, models={"lf_multitask": {"min_stocks": 15}})
    found, _ = check_run(config, build_source("simulated", SOURCE), Lake(tmp_path))
    assert any(re.match(line, one) for one in found), found


def test_a_run_refuses_an_absent_table_of_scores(tmp_path):
    config = settings({}, signals={"mine": {"table": str(tmp_path / "none.csv")}}, portfolios={})
    (line,), _ = check_run(config, build_source("simulated", SOURCE), Lake(tmp_path))
    assert re.fullmatch(r"signal mine: .*none.csv cannot be read: No such file or directory", line)


def test_months_before_the_ticks_count_for_a_model_of_both():
    """Monthly windows are filled by daily bars, which begin before the ticks."""
    model = override(CATALOG["full_band_multitask"], min_train_days=3, min_valid_days=1, every=2)
    has = covers(60, **daily(YEARS[:440]), trades=YEARS[300:440])
    assert model_problem(model, has, "2022H2") is None
    assert "0 training" in str(
        model_problem(model, covers(60, **daily(YEARS[290:440]), trades=YEARS[300:440]), "2022H2")
    )


def test_the_demonstration_is_not_refused(tmp_path):
    source = build_source("simulated", {"stocks": 60, "tick_start": "2022-01-04"})
    config = settings({"ticks_from": "2022-01-04", "half_years": ["2023H1"]}, models={"lf_multitask": {"seeds": [0]}})
    assert check_run(config, source, Lake(tmp_path)) == ([], [])
    assert coverage_of(source).columns >= {"csi500_weight", "industry", "float_shares"}
