"""What models and portfolios need of a source, and in which words a run or a proposal says that it is not there."""

import math
from collections.abc import Sequence

import numpy as np

from mg_assets.cli.coverage import Coverage
from mg_assets.factors.registry import own_factors
from mg_assets.modelling.panels import chosen_columns
from mg_models.data.splits import split
from mg_models.errors import TrainingError
from mg_models.specs.data import InputSpec
from mg_models.specs.model import ModelSpec
from mg_portfolio.catalog import PortfolioSpec

DAILY_PANELS = ("daily", "weekly", "monthly", "price_volume", "daily_factors")
DAILY_TABLES = {"daily_bars", "reference", "daily_factors", "common_factors"}
ROW_DAYS = {"weekly": 5, "monthly": 21}
"""Trading days in a row of a panel; else one."""
YEAR_SHARE = 150
"""Days that features over a year's bars need."""
NO_TICKS = "ticks or minute bars, which the source has not; give them in the same folder, or in a composite source"
MEMBERS = 100
"""Of an index that must have rows before a portfolio that follows it says anything."""


def input_days(spec: ModelSpec, coverage: Coverage) -> tuple[str, ...]:
    """Days on which all inputs of a model can be made."""
    return min((_days_of(spec, i, coverage) for i in spec.inputs), key=len)


def _days_of(spec: ModelSpec, i: InputSpec, coverage: Coverage) -> tuple[str, ...]:
    return coverage.intraday if _of_ticks(spec, i) else coverage.bars


def _of_ticks(spec: ModelSpec, i: InputSpec) -> bool:
    """Whether an input is made of ticks or minute bars."""
    if not i.columns:
        return i.panel not in DAILY_PANELS
    own = {factor.table: factor.tables for factor in own_factors().values()}
    return any(not DAILY_TABLES.issuperset(own.get(table, (table,))) for table in chosen_columns(spec, i).values())


def _begins(spec: ModelSpec, i: InputSpec, coverage: Coverage, whole: bool) -> str:
    """First day on which an input's window may do; empty where there is none."""
    days, before = _days_of(spec, i, coverage), window(i, whole)
    return days[before] if before < len(days) else ""


def window(spec: InputSpec, whole: bool) -> int:
    """Days before which an input's window has too few rows; with ``whole`` those that fill it."""
    if spec.panel == "price_volume":
        return YEAR_SHARE if whole else 0
    share = spec.rows if whole else math.ceil(spec.min_share * spec.rows) - 2  # the period to date is a row
    return max(share, 0) * ROW_DAYS.get(spec.panel, 1)


def model_problem(spec: ModelSpec, coverage: Coverage, half_year: str, whole: bool = False) -> str | None:
    """Why a model cannot be trained for a half-year, and the remedy; None where nothing speaks against it.

    Parameters
    ----------
    spec : ModelSpec
    coverage : Coverage
    half_year : str
        ``2023H1``.
    whole : bool
        Count only days whose windows are full: what a proposal relies on. Else every day that might do.

    Returns
    -------
    str or None
    """
    days = input_days(spec, coverage)
    if not days:
        of_ticks = any(_of_ticks(spec, i) for i in spec.inputs)
        return f"{spec.name} needs {NO_TICKS if of_ticks else 'daily bars, which the source has not'}"
    if coverage.stocks and max(coverage.stocks) < spec.min_stocks:
        return (
            f"{spec.name} needs {spec.min_stocks} stocks a day, the source has {max(coverage.stocks)}; give more "
            f"stocks, or set models: {{{spec.name}: {{min_stocks: {least_stocks(coverage)}}}}}"
        )
    if spec.universe and not coverage.columns & {"float_shares", "total_shares"} and coverage.stocks:
        return (
            f"{spec.name} ranks market values and needs total or float shares, which the source has not; give a table "
            "of them"
        )
    axis = np.array(days, "datetime64[D]")
    begins = [_begins(spec, i, coverage, whole) for i in spec.inputs]
    usable = axis >= np.datetime64(max(begins)) if all(begins) else np.zeros(len(axis), bool)
    try:
        split(axis, half_year, spec.horizon, spec.split, usable=usable)
    except TrainingError as error:
        return f"{spec.name}, {error}"
    return None


def least_stocks(coverage: Coverage) -> int:
    """Stocks a day that a model may ask for where there are few: half of the usual day's, at least 10."""
    return max(10, int(np.median(coverage.stocks)) // 2)


def portfolio_problem(spec: PortfolioSpec, coverage: Coverage, signals: Sequence[str]) -> str | None:
    """Why a portfolio cannot be built, and the remedy; None where nothing speaks against it."""
    if spec.signal not in signals:
        return (
            f"{spec.name} is built on the signal {spec.signal}, which is not planned; give it another under portfolios"
        )
    needed = ("members", "weights") if spec.benchmark_from == "index_weights" else ("members",)
    lacking = [part for part in needed if not _has(part, spec.index, coverage)]
    if lacking:
        equal = ", set benchmark_from: equal_members" if lacking == ["weights"] else ""
        return (
            f"{spec.name} needs {' and '.join(lacking)} of {spec.index}, which the source has not; give a table of "
            f"index weights (docs/sources.md: membership, weights){equal}, or take it out of portfolios"
        )
    return None


def _has(part: str, index: str, coverage: Coverage) -> bool:
    return coverage.members[index] > 0 if part == "members" else f"{index}_weight" in coverage.columns
