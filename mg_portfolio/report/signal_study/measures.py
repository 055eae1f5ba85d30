"""Figures of signals under the conditions of the reports that published them."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from mg_portfolio.evaluation.cases import EXECUTIONS, Case
from mg_portfolio.evaluation.evaluate import evaluate_all
from mg_portfolio.evaluation.forward_returns import ForwardReturns
from mg_portfolio.evaluation.quantile_portfolios import MIN_STOCKS
from mg_portfolio.evaluation.rank_ic import daily_statistics, sort_rows
from mg_portfolio.evaluation.track_metrics import MIN_STOCKS_FOR_TOP100, finite_mean
from mg_portfolio.report.published import period_bounds
from mg_portfolio.report.signal_study.layouts import CONDITIONS, RANK_IC_GRID, period_of, report_of, subjects

MIN_DAYS = 30
NOT_TRAINED, FEW_DAYS, FEW_STOCKS, UNDEFINED = "not trained", "few days", "few stocks", "undefined"


@dataclass(frozen=True)
class SignalFigures:
    """Figures of one signal.

    Attributes
    ----------
    values : dict of str to float
        Metric of the summary of :func:`~mg_portfolio.evaluation.evaluate.evaluate`, and of series 88's table 3, to
        its value.
    first, last : datetime64[D]
        First and last day evaluated.
    days : int
        Trading days evaluated.
    """

    values: dict[str, float]
    first: np.datetime64
    last: np.datetime64
    days: int

    def why(self, metric: str) -> str:
        """Why a figure is NaN; empty where it is not."""
        if np.isfinite(self.values.get(metric, np.nan)):
            return ""
        few = metric.startswith("top100") and self.values["stocks_mean"] < MIN_STOCKS_FOR_TOP100
        return FEW_STOCKS if few else UNDEFINED


def study_rows(signal: np.ndarray, days: np.ndarray, period: str) -> tuple[int, int]:
    """First day and end of the days on which a signal is evaluated.

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
    first, stop : int
        Both 0 where the signal has fewer than `MIN_DAYS` days.
    """
    has = np.isfinite(signal).any(axis=1)
    if has.sum() < MIN_DAYS:
        return 0, 0
    stop = len(days)
    if period:
        start, end = period_bounds(period)
        inside = (days >= start) & (days <= end)
        if (has & inside).sum() >= MIN_DAYS:
            has, stop = has & inside, int(np.flatnonzero(inside)[-1]) + 1
    return int(np.flatnonzero(has)[0]), stop


def measure_signals(
    signals: Mapping[str, np.ndarray],
    prices: Mapping[str, np.ndarray],
    tradable: np.ndarray,
    days: np.ndarray,
    workers: int = 1,
) -> dict[str, SignalFigures]:
    """Evaluate each signal under the conditions of its report; signals of one report and the same days in one pass.

    Parameters
    ----------
    signals : mapping of str to ndarray of float (D, S)
        By the name in the catalog; a signal of no table is evaluated weekly at T+1 vwap in ten layers. NaN where a
        stock has none: it is not in the universe that day.
    prices : mapping of str to ndarray of float (D, S)
        ``vwap``, ``open``, ``close``: adjusted, yuan, NaN where the stock did not trade.
    tradable : ndarray of bool (D, S)
    days : ndarray of datetime64[D] (D,)
    workers : int
        Threads.

    Returns
    -------
    dict of str to SignalFigures
        Without the signals that have fewer than `MIN_DAYS` days.
    """
    together: dict[tuple[str, int, int], list[str]] = {}
    for name, signal in signals.items():
        first, stop = study_rows(signal, days, period_of(report_of(name)))
        if stop:
            together.setdefault((report_of(name), first, stop), []).append(name)
    out = {}
    for (report, first, stop), names in together.items():
        rows, how = slice(first, stop), CONDITIONS[report]
        here = {name: signals[name][rows] for name in names}
        forward = _forward_returns(how.case, prices, tradable, days, rows)
        found = evaluate_all(here, forward, groups=how.groups, workers=workers)
        values = {name: dict(found[name].summary) for name in names}
        gridded = [name for name in names if name in subjects("table 3", "haitong_88")]
        if gridded:
            ordered = {name: sort_rows(here[name], tradable[rows]) for name in gridded}
            for metric, case in RANK_IC_GRID.items():
                forward = _forward_returns(case, prices, tradable, days, rows)
                for name in gridded:
                    values[name][metric] = _rank_ic(here[name], ordered[name], forward)
        for name in names:
            out[name] = SignalFigures(values[name], days[first], days[stop - 1], stop - first)
    return {name: out[name] for name in signals if name in out}


def _forward_returns(
    case: Case, prices: Mapping[str, np.ndarray], tradable: np.ndarray, days: np.ndarray, rows: slice
) -> ForwardReturns:
    price, delay = EXECUTIONS[case.execution]
    return ForwardReturns.from_prices(prices[price][rows], tradable[rows], days[rows], case.every, delay)


def _rank_ic(signal: np.ndarray, ordered: tuple[np.ndarray, np.ndarray], forward: ForwardReturns) -> float:
    """Mean over tracks of each track's mean RankIC: the ``rank_ic_mean`` of `evaluate`, without portfolios."""
    daily = daily_statistics(signal, forward.returns, ordered, (forward.order, forward.counts), MIN_STOCKS)[:, 1]
    return finite_mean(np.array([finite_mean(daily[track :: forward.every]) for track in range(forward.every)]))
