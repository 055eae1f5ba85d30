"""Sensitivity to the rebalancing weekday: the same portfolio decided on each weekday.

A portfolio that trades once a week has five paths, one a weekday, and a published one is one of them. Their spread is
luck: figures that differ by less do not differ.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from mg_axes import as_days
from mg_portfolio.backtest.execution import Execution
from mg_portfolio.backtest.rebalance import DecisionPanel, PortfolioPath, rebalance, simulate_decisions
from mg_portfolio.catalog import PortfolioSpec
from mg_portfolio.costs import Costs, CostSchedule
from mg_portfolio.metrics import performance_metrics

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri")
FIGURES = (
    "excess_annual",
    "tracking_error",
    "information_ratio",
    "excess_max_drawdown",
    "turnover_two_way_per_rebalance",
)


def mondays(days: np.ndarray) -> np.ndarray:
    """Monday of each day's calendar week, ``datetime64[D] (D,)``."""
    days = as_days(days)
    return days - (days.astype("int64") + 3) % 7  # 1970-01-01 was a Thursday


def weekday_decisions(days: np.ndarray) -> dict[str, np.ndarray]:
    """Decision days of each weekday's path.

    Parameters
    ----------
    days : (D,) datetime64[D]
        Trading days, ascending.

    Returns
    -------
    dict of weekday to (W,) int
        One index a calendar week: the week's last session up to the weekday, or its first where it begins later. So
        Friday's path decides on the last session of every week.
    """
    days = as_days(days)
    monday = mondays(days)
    weekday = (days - monday).astype("int64")
    first = np.flatnonzero(np.r_[True, monday[1:] != monday[:-1]])
    after = np.r_[first[1:], len(days)]
    out = {}
    for k, name in enumerate(WEEKDAYS):
        upto = np.array([np.searchsorted(weekday[a:b], k, side="right") for a, b in zip(first, after, strict=True)])
        out[name] = first + np.maximum(upto - 1, 0)
    return out


@dataclass(frozen=True, eq=False)
class WeekdaySensitivity:
    """Spread of one portfolio's weekday paths, over the days on which all of them are invested.

    Attributes
    ----------
    days : (T,) datetime64[D]
        From the day of the latest first purchase to the end.
    relative_nav : dict of weekday to (T,) float
        1 on the first day.
    figures : DataFrame
        One row a weekday, columns of ``FIGURES``.
    """

    days: np.ndarray
    relative_nav: dict[str, np.ndarray]
    figures: pd.DataFrame

    def table(self) -> pd.DataFrame:
        """Tabulate the figures of each weekday and their spread.

        Returns
        -------
        DataFrame
            One row a weekday, then ``mean``, ``std``, ``min`` and ``max``.
        """
        spread = self.figures.agg(["mean", "std", "min", "max"])
        return pd.concat([self.figures, spread]).rename_axis("decided on")


def weekday_sensitivity(paths: Mapping[str, PortfolioPath]) -> WeekdaySensitivity:
    """Compare a portfolio's weekday paths over the days on which all are invested.

    Parameters
    ----------
    paths : mapping of weekday to PortfolioPath
        Simulated on one panel.

    Returns
    -------
    WeekdaySensitivity
        Their relative values and figures.
    """
    start = max(np.datetime64(path.result.rebalances["traded"].iloc[0], "D") for path in paths.values())
    relative, figures = {}, {}
    days = np.zeros(0, "datetime64[D]")
    for name, path in paths.items():
        result = path.result
        inside = slice(int(np.searchsorted(result.days, start)), None)
        days = result.days[inside]
        ratio = result.relative_nav[inside]
        relative[name] = ratio / ratio[0]
        turnover = result.turnover
        found = performance_metrics(
            result.nav[inside], result.benchmark_nav[inside], days, turnover[turnover.index > start]
        )
        figures[name] = {key: found[key] for key in FIGURES}
    return WeekdaySensitivity(days, relative, pd.DataFrame.from_dict(figures, orient="index"))


def simulate_weekday_paths(
    panel: DecisionPanel,
    spec: PortfolioSpec,
    weeks: np.ndarray,
    existing: Mapping[str, PortfolioPath] | None = None,
    cost: Costs | CostSchedule | None = None,
    execution: Execution | None = None,
) -> dict[str, PortfolioPath]:
    """Rebalance a portfolio once for each weekday.

    Parameters
    ----------
    panel : DecisionPanel
        Data at each close.
    spec : PortfolioSpec
        Limits, costs and signal of the portfolio.
    weeks : (W,) datetime64[D]
        Mondays of the weeks that decide.
    existing : mapping of weekday to PortfolioPath, optional
        Paths that were simulated before.
    cost : Costs or CostSchedule, optional
        Default: the specification's.
    execution : Execution, optional
        With the capital at the portfolio's first decision.

    Returns
    -------
    dict of weekday to PortfolioPath
        Without those that were not invested for a day.
    """
    days = panel.market.days
    monday = mondays(days)
    out = {}
    for name, chosen in weekday_decisions(days).items():
        path = (existing or {}).get(name)
        if path is None:
            inside = chosen[np.isin(monday[chosen], as_days(weeks, "weeks"))]
            path = simulate_decisions(panel, spec, rebalance(panel, spec, inside, cost, execution), cost, execution)
        if path is not None and _invested(path):
            out[name] = path
    return out


def _invested(path: PortfolioPath) -> bool:
    """Whether there is a day after the first purchase."""
    traded = path.result.rebalances["traded"]
    return len(traded) > 0 and np.datetime64(traded.iloc[0], "D") < path.result.days[-1]
