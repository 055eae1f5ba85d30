"""A signal's figures under the conditions of the report that published it."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from mg_portfolio.evaluation import correlations, evaluate, forward_returns, rank_ic_by_day
from mg_portfolio.layers import MIN_STOCKS
from mg_portfolio.report.published import period_bounds
from mg_portfolio.report.study_layouts import (
    CONDITIONS,
    RANK_IC_GRID,
    Conditions,
    period_of,
    report_of,
    subjects,
)
from mg_portfolio.summary import TOP_COUNT_NEEDS, finite_mean

MIN_DAYS = 30
NOT_TRAINED, FEW_DAYS, FEW_STOCKS, UNDEFINED = "not trained", "few days", "few stocks", "undefined"


@dataclass(frozen=True)
class Measured:
    """Figures of one signal.

    Attributes
    ----------
    values : dict of str to float
        Metric of :func:`~mg_portfolio.evaluation.evaluate`'s summary, and of series 88's table 3, to its value.
    first, last : datetime64[D]
        The days tested.
    days : int
    """

    values: dict[str, float]
    first: np.datetime64
    last: np.datetime64
    days: int

    def why(self, metric: str) -> str:
        """Why a figure is NaN; empty where it is not."""
        if np.isfinite(self.values.get(metric, np.nan)):
            return ""
        few = metric.startswith("top100") and self.values["stocks_mean"] < TOP_COUNT_NEEDS
        return FEW_STOCKS if few else UNDEFINED


def study_rows(signal: np.ndarray, days: np.ndarray, period: str) -> slice:
    """The days on which a signal is tested.

    Those of the published period where at least `MIN_DAYS` of them have the signal, so that both figures are of the
    same days; else every day from the signal's first on.

    Parameters
    ----------
    signal : ndarray of float (D, S)
    days : ndarray of datetime64[D] (D,)
    period : str
        ``2017-01-04/2023-11-30``, or empty.

    Returns
    -------
    slice
        Empty where the signal has fewer than `MIN_DAYS` days.
    """
    has = np.isfinite(signal).any(axis=1)
    if has.sum() < MIN_DAYS:
        return slice(0, 0)
    stop = len(days)
    if period:
        start, end = period_bounds(period)
        inside = (days >= start) & (days <= end)
        if (has & inside).sum() >= MIN_DAYS:
            has, stop = has & inside, int(np.flatnonzero(inside)[-1]) + 1
    return slice(int(np.flatnonzero(has)[0]), stop)


def measure(
    subject: str, signal: np.ndarray, prices: Mapping[str, np.ndarray], tradable: np.ndarray, days: np.ndarray
) -> Measured | None:
    """Test a signal as the report that has it did.

    Parameters
    ----------
    subject : str
        The signal's name in the catalog; what no table has is tested weekly at T+1 vwap in ten layers.
    signal : ndarray of float (D, S)
        NaN where a stock has none: it is not in the universe that day.
    prices : mapping of str to ndarray of float (D, S)
        ``vwap``, ``open``, ``close``: adjusted, yuan, NaN where the stock did not trade.
    tradable : ndarray of bool (D, S)
    days : ndarray of datetime64[D] (D,)

    Returns
    -------
    Measured or None
        None where the signal has fewer than `MIN_DAYS` days.
    """
    report = report_of(subject)
    rows = study_rows(signal, days, period_of(report))
    if rows.stop == 0:
        return None
    how = CONDITIONS[report]
    values = dict(
        evaluate(
            signal[rows], prices[how.price][rows], tradable[rows], days[rows],
            every=how.every, groups=how.groups, delay=how.delay,
        ).summary
    )  # fmt: skip
    if subject in subjects("table 3", "haitong_88"):
        for metric, grid in RANK_IC_GRID.items():
            values[metric] = _rank_ic(signal[rows], prices[grid.price][rows], tradable[rows], grid)
    tested = days[rows]
    return Measured(values, tested[0], tested[-1], len(tested))


def _rank_ic(signal: np.ndarray, price: np.ndarray, tradable: np.ndarray, how: Conditions) -> float:
    """RankIC's mean over each track's days, mean over tracks: `evaluate`'s ``rank_ic_mean`` without its portfolios."""
    daily = rank_ic_by_day(signal, forward_returns(price, how.every, how.delay), tradable, MIN_STOCKS)
    return finite_mean(np.array([finite_mean(daily[track :: how.every]) for track in range(how.every)]))


class MeanCorrelations:
    """Mean over days of the Spearman correlations between signals, a stretch of days at a time.

    The whole history of every signal need not be in memory at once: 65 signals of 5,000 stocks and 1,650 days are
    4.3 GB. Adding stretch by stretch gives what `correlations` gives for all days.
    """

    def __init__(self, names: tuple[str, ...]) -> None:
        self.names = names
        self._total = np.zeros((len(names), len(names)))
        self._days = np.zeros((len(names), len(names)), np.int64)

    def add(self, signals: np.ndarray, universe: np.ndarray) -> None:
        """Add days: ``signals`` of shape ``(N, D, S)``, ``universe`` ``(D, S)``."""
        for d in range(universe.shape[0]):
            daily = correlations(signals[:, d : d + 1], universe[d : d + 1])
            counts = np.isfinite(daily)
            self._total[counts] += daily[counts]
            self._days += counts

    def join(self, other: "MeanCorrelations") -> None:
        """Add the days of another one of the same names."""
        self._total += other._total
        self._days += other._days

    @property
    def days(self) -> np.ndarray:
        """Days behind each mean ``(N, N)``."""
        return self._days.copy()

    @property
    def matrix(self) -> np.ndarray:
        """The means ``(N, N)``; NaN where no day counts."""
        return np.where(self._days > 0, self._total / np.maximum(self._days, 1), np.nan)
