"""Figures of signals under the conditions of the reports that published them."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from mg_portfolio.evaluation.cases import EXECUTIONS, Case
from mg_portfolio.evaluation.evaluate import evaluate_all
from mg_portfolio.evaluation.forward_returns import ForwardReturns
from mg_portfolio.evaluation.quantile_portfolios import MIN_STOCKS
from mg_portfolio.evaluation.rank_ic import daily_statistics, sort_rows
from mg_portfolio.evaluation.report_period import MIN_DAYS, period_figures
from mg_portfolio.evaluation.result import Evaluation
from mg_portfolio.evaluation.track_metrics import MIN_STOCKS_FOR_TOP100, finite_mean, mean_metrics
from mg_portfolio.report.published import period_bounds
from mg_portfolio.report.signal_study.layouts import (
    CONDITIONS,
    ONE_TRACK,
    RANK_IC_GRID,
    UNIVERSE_SUBJECTS,
    YEARS_88,
    MetricColumn,
    period_of,
    report_of,
    subjects,
)

NOT_TRAINED, FEW_DAYS, FEW_STOCKS, UNDEFINED = "not trained", "few days", "few stocks", "undefined"
NO_UNIVERSE, SMALL_UNIVERSE, SHORT_PERIOD = "no universe", "small universe", "short period"
CURVES = {
    "rank_ic": "Spearman correlation of the day's signal with the return to the next rebalance",
    "cumulative_rank_ic": "its running sum, over the sessions between rebalances: the mean over tracks",
    "top_relative_nav": "NAV of the top tenth of ten layers over the universe's, mean over tracks",
    "top10pct_relative_nav": "NAV of the top 10% over the universe's, mean over tracks",
}
"""Columns of a signal's curves."""
_DRAWN = {"top": "layer1", "top10pct": "top10pct"}


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
    spread : dict of str to float
        Standard deviation of a metric over the tracks.
    one_track : dict of str to float
        Metrics of the track that begins on the first day, of the reports in `ONE_TRACK`.
    years : dict of str to SignalFigures
        Figures of each published calendar year, by its period; returns are the year's own.
    universes : dict of str to SignalFigures, or None
        Figures in each named universe; None where the market has no such stocks.
    curves : DataFrame
        Columns ``date`` and `CURVES`.
    """

    values: dict[str, float]
    first: np.datetime64
    last: np.datetime64
    days: int
    spread: dict[str, float] = field(default_factory=dict)
    one_track: dict[str, float] = field(default_factory=dict)
    years: "dict[str, SignalFigures]" = field(default_factory=dict)
    universes: "dict[str, SignalFigures | None]" = field(default_factory=dict)
    curves: pd.DataFrame = field(default_factory=pd.DataFrame)

    def at(self, column: MetricColumn) -> "tuple[SignalFigures, str]":
        """Figures of a column's universe and period, and why they have not its metric; empty where they have."""
        within = self if column.universe == "all" else self.universes.get(column.universe)
        if within is None:
            return self, NO_UNIVERSE
        if column.universe != "all" and not np.isfinite(within.values["rank_ic_mean"]):
            return within, SMALL_UNIVERSE
        own = within.years.get(column.period) if column.period else within
        return (within, SHORT_PERIOD) if own is None else (own, own.why(column.metric))

    def why(self, metric: str) -> str:
        """Why a figure is NaN; empty where it is not."""
        if np.isfinite(self.values.get(metric, np.nan)):
            return ""
        few = metric.startswith("top100") and self.values["stocks_mean"] < MIN_STOCKS_FOR_TOP100
        return FEW_STOCKS if few else UNDEFINED


def measure_signals(
    signals: Mapping[str, np.ndarray],
    prices: Mapping[str, np.ndarray],
    tradable: np.ndarray,
    days: np.ndarray,
    workers: int = 1,
    universes: Mapping[str, np.ndarray | None] | None = None,
    calendar: np.ndarray | None = None,
) -> dict[str, SignalFigures]:
    """Evaluate each signal under the conditions of its report; the signals of one report in one pass.

    Figures are those of the published period where the days have at least `MIN_DAYS` of it, else of every day from the
    signal's first on: :func:`mg_portfolio.evaluation.report_period.period_figures`.

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
    universes : mapping of str to ndarray of bool (D, S), optional
        Masks from `mg_portfolio.evaluation.universes.universe_members`, for the signals of `UNIVERSE_SUBJECTS`.
    calendar : ndarray of datetime64[D], optional
        Trading days of the exchange from the published periods on, by which a report's own track goes on where the
        signal begins later; by default ``days``.

    Returns
    -------
    dict of str to SignalFigures
        Without the signals that have fewer than `MIN_DAYS` days.
    """
    calendar = days if calendar is None else calendar
    enough = {n: s for n, s in signals.items() if np.isfinite(s).any(axis=1).sum() >= MIN_DAYS}
    out: dict[str, SignalFigures] = {}
    for report in dict.fromkeys(map(report_of, enough)):
        own = {n: s for n, s in enough.items() if report_of(n) == report}
        out |= _measure_report(report, own, prices, tradable, days, workers, calendar)
        within = {n: s for n, s in own.items() if n in UNIVERSE_SUBJECTS}
        for universe, mask in (universes or {}).items() if within else ():
            inside = tradable if mask is None else tradable & mask
            for name, found in _measure_report(report, within, prices, inside, days, workers, calendar, False).items():
                out[name].universes[universe] = found
    return {name: out[name] for name in signals if name in out}


def _measure_report(
    report: str,
    signals: Mapping[str, np.ndarray],
    prices: Mapping[str, np.ndarray],
    tradable: np.ndarray,
    days: np.ndarray,
    workers: int,
    calendar: np.ndarray,
    grid: bool = True,
) -> dict[str, SignalFigures]:
    """Figures of signals of one report; with ``grid`` those of series 88's table 3 too."""
    how = CONDITIONS[report]
    forward = _forward_returns(how.case, prices, tradable, days)
    evaluated = evaluate_all(signals, forward, groups=how.groups, from_first=True, workers=workers)
    out = {name: _figures(report, found, calendar) for name, found in evaluated.items()}
    gridded = [name for name in signals if grid and name in subjects("table 3", "haitong_88")]
    if gridded:
        ordered = {name: sort_rows(signals[name], tradable) for name in gridded}
        for metric, case in RANK_IC_GRID.items():
            forward = _forward_returns(case, prices, tradable, days)
            for name in gridded:
                tracks = _track_rank_ic(signals[name], ordered[name], forward, out[name])
                out[name].values[metric] = finite_mean(tracks)
                out[name].spread[metric] = float(tracks.std(ddof=1))
    return out


def _figures(report: str, found: Evaluation, calendar: np.ndarray) -> SignalFigures:
    start, end = period_bounds(period_of(report)) if period_of(report) else (found.days[0], found.days[-1])
    before = int(np.searchsorted(calendar, found.days[0]) - np.searchsorted(calendar, start))
    own = period_figures(found, start, end, max(before, 0))
    inside = (found.days >= own.first) & (found.days <= own.last)
    return SignalFigures(
        dict(own.mean),
        own.first,
        own.last,
        int(inside.sum()),
        dict(own.std),
        own.one if report in ONE_TRACK else {},
        _years(found) if report == "haitong_88" else {},
        curves=_curves(found, inside),
    )


def _years(found: Evaluation) -> dict[str, SignalFigures]:
    """Figures of the published calendar years of which there are `MIN_DAYS` days."""
    out = {}
    for period in YEARS_88:
        start, end = period_bounds(period)
        inside = found.days[(found.days >= start) & (found.days <= end)]
        if len(inside) < MIN_DAYS:
            continue
        tracks = found.metrics_within(start, end)
        spread = {name: float(np.std([track[name] for track in tracks], ddof=1)) for name in tracks[0]}
        out[period] = SignalFigures(mean_metrics(tracks), inside[0], inside[-1], len(inside), spread)
    return out


def _curves(found: Evaluation, inside: np.ndarray) -> pd.DataFrame:
    """Columns ``date`` and `CURVES` over the days of the figures; NAVs are 1 on the first of them that is held."""
    rank_ic = found.rank_ic[inside]
    navs = {f"{short}_relative_nav": found.relative_nav(name)[inside] for short, name in _DRAWN.items()}
    return pd.DataFrame(
        {
            "date": found.days[inside].astype(str),
            "rank_ic": rank_ic,
            "cumulative_rank_ic": np.cumsum(np.nan_to_num(rank_ic)) / found.every,
            **{name: nav / next(iter(nav[np.isfinite(nav)]), np.nan) for name, nav in navs.items()},
        }
    )


def _forward_returns(
    case: Case, prices: Mapping[str, np.ndarray], tradable: np.ndarray, days: np.ndarray
) -> ForwardReturns:
    price, delay = EXECUTIONS[case.execution]
    return ForwardReturns.from_prices(prices[price], tradable, days, case.every, delay)


def _track_rank_ic(
    signal: np.ndarray, ordered: tuple[np.ndarray, np.ndarray], forward: ForwardReturns, own: SignalFigures
) -> np.ndarray:
    """Each track's mean RankIC over a signal's days, the ``rank_ic_mean`` of `evaluate` without portfolios."""
    daily = daily_statistics(signal, forward.returns, ordered, (forward.order, forward.counts), MIN_STOCKS)[:, 1]
    daily = daily[(forward.days >= own.first) & (forward.days <= own.last)]
    return np.array([finite_mean(daily[track :: forward.every]) for track in range(forward.every)])
