"""How good a signal is: rank correlations, layers, tracks, long-short, by year.

A result is the mean over tracks, one for each day of the rebalance cycle on which one could have started. Correlations
are computed once for every day and read at each track's own days.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from mg_portfolio.arguments import EvaluationError, ascending_days, dense, flags
from mg_portfolio.layers import MIN_STOCKS, REASONS, Tracks, forward_returns, simulate_tracks
from mg_portfolio.orthogonal import orthogonalise
from mg_portfolio.pairs import correlations
from mg_portfolio.ranks import daily_statistics, rank_ic_by_day, rank_rows, sort_rows
from mg_portfolio.summary import (
    daily_returns,
    finite_mean,
    long_short_nav,
    mean_metrics,
    mean_over_tracks,
    track_metrics,
)
from mg_portfolio.universe import days_listed, period_schedule, track_schedule, universe

__all__ = [
    "Evaluation",
    "LongShort",
    "correlations",
    "days_listed",
    "evaluate",
    "forward_returns",
    "ic_decay",
    "long_short",
    "orthogonalise",
    "period_schedule",
    "rank_ic_by_day",
    "rank_rows",
    "universe",
]


@dataclass(frozen=True)
class Evaluation:
    """What `evaluate` found about one signal.

    Attributes
    ----------
    days : ndarray of datetime64[D] (D,)
    every, groups, direction : int
    tracks : tuple of int (T,)
        Starting offsets.
    rank_ic, ic, weighted_rank_ic, weighted_ic : ndarray of float64 (D,)
        Correlation of that day's signal with the return that follows; NaN where it has none.
    top_precision, bottom_precision : ndarray of float64 (D,)
    stocks : ndarray of int (D,)
        Stocks behind the day's correlation.
    portfolios : Tracks
        Daily NAVs, turnover and rebalances of every portfolio on every track.
    summary : dict of str to float
        Metric (named as in the published tables) to its mean over tracks; fractions. NaN where not meaningful.
    by_track : DataFrame
        Index track, columns the metrics.
    by_year : DataFrame
        Index calendar year, columns the metrics, mean over tracks. Returns are the year's own, not annualised.
    ledger : DataFrame
        One row a skipped rebalance: date, track, in_universe, with_signal, with_price, reason.
    flat_days : int
        Days with enough stocks and no RankIC, because the signal or the returns do not vary.
    """

    days: np.ndarray
    every: int
    groups: int
    direction: int
    tracks: tuple[int, ...]
    rank_ic: np.ndarray
    ic: np.ndarray
    weighted_rank_ic: np.ndarray
    weighted_ic: np.ndarray
    top_precision: np.ndarray
    bottom_precision: np.ndarray
    stocks: np.ndarray
    portfolios: Tracks
    summary: dict[str, float]
    by_track: pd.DataFrame
    by_year: pd.DataFrame
    ledger: pd.DataFrame
    flat_days: int

    @property
    def skipped(self) -> dict[str, int]:
        """Skipped rebalances by reason, over all tracks."""
        return {str(reason): int(count) for reason, count in self.ledger["reason"].value_counts().items()}

    def nav(self, name: str, net: bool = False) -> np.ndarray:
        """Daily NAV ``(D,)`` of a portfolio, mean over tracks; NaN before the first track holds it."""
        p = self.portfolios.index(name)
        return mean_over_tracks((self.portfolios.net if net else self.portfolios.gross)[:, p])

    def relative_nav(self, name: str, net: bool = False) -> np.ndarray:
        """Daily NAV ``(D,)`` of a portfolio relative to the equal-weight universe, mean over tracks."""
        p, u = self.portfolios.index(name), self.portfolios.index("universe")
        values = self.portfolios.net if net else self.portfolios.gross
        return mean_over_tracks(values[:, p] / self.portfolios.gross[:, u])

    @property
    def layer_nav(self) -> np.ndarray:
        """Relative NAV of the layers ``(G, D)``, the highest signal first, mean over tracks."""
        return np.stack([self.relative_nav(f"layer{g + 1}") for g in range(self.groups)])

    @property
    def long_short_nav(self) -> np.ndarray:
        """Top tenth minus bottom tenth, daily compounded ``(D,)``, mean over tracks."""
        return mean_over_tracks(np.stack([long_short_nav(self.portfolios, k) for k in range(len(self.tracks))]))


@dataclass(frozen=True)
class LongShort:
    """Daily returns of the top tenth against the bottom tenth and against the universe.

    Attributes
    ----------
    days : ndarray of datetime64[D] (D,)
    long_short : ndarray of float64 (D,)
        Top tenth's return minus bottom tenth's, fractions; NaN before the first purchase has been held a day.
    long_excess : ndarray of float64 (D,)
        Top tenth's return relative to the equal-weight universe: ``(1 + top) / (1 + universe) - 1``.
    rebalances, skipped : int
    """

    days: np.ndarray
    long_short: np.ndarray
    long_excess: np.ndarray
    rebalances: int
    skipped: int


def evaluate(
    signal: np.ndarray,
    price: np.ndarray,
    tradable: np.ndarray,
    days: np.ndarray,
    direction: int = 1,
    every: int = 5,
    groups: int = 10,
    tracks: int | Iterable[int] | None = None,
    delay: int = 1,
    cost: float = 0.003,
    min_stocks: int = MIN_STOCKS,
) -> Evaluation:
    """Judge a signal by the returns that follow it.

    Parameters
    ----------
    signal : ndarray of float (D, S)
        Known at the close of each day. A stock without a finite value is not in that day's universe.
    price : ndarray of float (D, S)
        Adjusted execution prices, yuan (T+1 vwap by default); NaN where the stock did not trade.
    tradable : ndarray of bool (D, S)
        The universe, from `universe`.
    days : ndarray of datetime64[D] (D,)
    direction : {1, -1}
        Multiplies the signal.
    every : int
        Trading days between rebalances: 5 weekly, 10 biweekly.
    groups : int
        Layers: 5 for single factors, 10 for model signals.
    tracks : int or iterable of int, optional
        Starting offsets; all ``every`` of them by default.
    delay : int
        Trading days from the decision to its execution; 0 for T's close.
    cost : float
        Two-sided cost of the net results.
    min_stocks : int
        A rebalance or correlation with fewer stocks is skipped and entered in the ledger.

    Returns
    -------
    Evaluation

    Raises
    ------
    EvaluationError
        Panels of different shapes, days out of order, or a direction other than 1 or -1.

    Notes
    -----
    Source: Huatai 2023-12-08 (charts 7, 26, 37, 45, 52, 57), Huatai 2023-08-22 (chart 10: weighted correlations,
    precision), Haitong 2023 series 88 (tables 3 to 5: tracks, Top 10% and Top 100, costs).
    """
    if direction not in (1, -1):
        raise EvaluationError(f"direction was {direction!r}, expected 1 or -1")
    signal = dense("signal", signal) * direction
    price = dense("price", price, signal.shape)
    tradable = flags("tradable", tradable, signal.shape)
    days = ascending_days(days, len(signal))
    offsets = _offsets(tracks, every)
    forward = forward_returns(price, every, delay)
    daily = daily_statistics(signal, forward, sort_rows(signal, tradable), sort_rows(forward, tradable), min_stocks)
    schedules = [track_schedule(len(days), every, offset) for offset in offsets]
    portfolios = simulate_tracks(signal, price, tradable, schedules, groups, delay, cost, min_stocks)

    whole = [track_metrics(daily, portfolios, k, schedules[k], days, every, None) for k in range(len(offsets))]
    years = np.unique(days.astype("datetime64[Y]"))
    yearly = {
        int(year.astype(int)) + 1970: mean_metrics(
            [track_metrics(daily, portfolios, k, schedules[k], days, every, year) for k in range(len(offsets))]
        )
        for year in years
    }
    return Evaluation(
        days=days,
        every=every,
        groups=groups,
        direction=direction,
        tracks=offsets,
        rank_ic=daily[:, 1],
        ic=daily[:, 2],
        weighted_rank_ic=daily[:, 3],
        weighted_ic=daily[:, 4],
        top_precision=daily[:, 5],
        bottom_precision=daily[:, 6],
        stocks=daily[:, 0].astype(np.int64),
        portfolios=portfolios,
        summary=mean_metrics(whole),
        by_track=pd.DataFrame(whole, index=pd.Index(offsets, name="track")),
        by_year=pd.DataFrame.from_dict(yearly, orient="index").rename_axis("year"),
        ledger=_ledger(portfolios, days, offsets),
        flat_days=int(((daily[:, 0] >= min_stocks) & np.isnan(daily[:, 1])).sum()),
    )


def ic_decay(
    signal: np.ndarray,
    price: np.ndarray,
    universe: np.ndarray,
    lags: Iterable[int] = range(1, 21),
    delay: int = 1,
    min_stocks: int = MIN_STOCKS,
) -> dict[int, float]:
    """Mean RankIC of a signal with the return of the single day that comes ``lag`` days later.

    ``lag`` 1 is the return from the execution price at ``T + delay`` to the same price the day after.

    Parameters
    ----------
    signal, price : ndarray of float (D, S)
    universe : ndarray of bool (D, S)
    lags : iterable of int
        From 1.
    delay, min_stocks : int

    Returns
    -------
    dict of int to float
        NaN where no day has both.
    """
    signal = dense("signal", signal)
    one_day = forward_returns(dense("price", price, signal.shape), 1, 0)
    out = {}
    for lag in lags:
        if lag < 1:
            raise EvaluationError(f"lag was {lag}, expected 1 or more")
        shift = delay + lag - 1
        later = np.full_like(one_day, np.nan)
        later[: len(later) - shift] = one_day[shift:]
        out[int(lag)] = finite_mean(rank_ic_by_day(signal, later, universe, min_stocks))
    return out


def long_short(
    signal: np.ndarray,
    price: np.ndarray,
    tradable: np.ndarray,
    days: np.ndarray,
    rebalance: str = "weekly",
    direction: int = 1,
    delay: int = 1,
    min_stocks: int = MIN_STOCKS,
) -> LongShort:
    """Daily long-short and long-excess returns on calendar rebalances, as the weekly monitor follows them.

    Parameters
    ----------
    signal, price : ndarray of float (D, S)
        See `evaluate`; make the signal orthogonal to the common factors first where the definition asks for it.
    tradable : ndarray of bool (D, S)
    days : ndarray of datetime64[D] (D,)
    rebalance : {"weekly", "monthly"}
        Decisions on the last trading day of the period: monthly for hand-made factors, weekly for models.
    direction : {1, -1}
    delay, min_stocks : int

    Returns
    -------
    LongShort

    Notes
    -----
    Source: Haitong weekly 2023-12-15, table 1.
    """
    if direction not in (1, -1):
        raise EvaluationError(f"direction was {direction!r}, expected 1 or -1")
    signal = dense("signal", signal) * direction
    days = ascending_days(days, len(signal))
    held = simulate_tracks(signal, price, tradable, [period_schedule(days, rebalance)], 2, delay, min_stocks=min_stocks)
    top, bottom, every_stock = (
        daily_returns(held.gross[0, held.index(name)]) for name in ("top10pct", "bottom10pct", "universe")
    )
    return LongShort(
        days=days,
        long_short=top - bottom,
        long_excess=(1 + top) / (1 + every_stock) - 1,
        rebalances=int((held.reason[0] == 0).sum()),
        skipped=int((held.reason[0] != 0).sum()),
    )


def _ledger(held: Tracks, days: np.ndarray, offsets: tuple[int, ...]) -> pd.DataFrame:
    rows: list[Mapping[str, object]] = [
        {
            "date": days[held.decided[k][r]],
            "track": offsets[k],
            "in_universe": int(held.stocks[k][r, 0]),
            "with_signal": int(held.stocks[k][r, 1]),
            "with_price": int(held.stocks[k][r, 2]),
            "reason": REASONS[held.reason[k][r]],
        }
        for k in range(len(offsets))
        for r in np.flatnonzero(held.reason[k])
    ]
    columns = ["date", "track", "in_universe", "with_signal", "with_price", "reason"]
    return pd.DataFrame(rows, columns=columns).sort_values(["date", "track"], ignore_index=True)


def _offsets(tracks: int | Iterable[int] | None, every: int) -> tuple[int, ...]:
    if tracks is None:
        return tuple(range(every))
    offsets = (tracks,) if isinstance(tracks, int) else tuple(int(t) for t in tracks)
    wrong = [t for t in offsets if not 0 <= t < every]
    if wrong or not offsets:
        raise EvaluationError(f"tracks was {offsets}, expected offsets from 0 to {every - 1}")
    return offsets
