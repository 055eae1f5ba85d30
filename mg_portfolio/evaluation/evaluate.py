"""How good a signal is: rank correlations, layers, tracks, long-short, by year.

1. `outcomes` prepares what followed each day, once for all signals: prices, returns, their order.
2. Each signal is sorted once a day; `daily_statistics` reads from that order the correlations and precisions of every
   day, `walk_tracks` the portfolios of every track.
3. A result is the mean over tracks, one for each day of the rebalance cycle on which one could have started; the
   correlations of a track are those of its own decision days.
4. What rests on these alone (years, spread between tracks, confidence) is worked out when it is asked for.
"""

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from mg_portfolio.arguments import EvaluationError, dense, flags
from mg_portfolio.evaluation.forward_returns import Outcomes, outcomes
from mg_portfolio.evaluation.ic_decay import ic_decay
from mg_portfolio.evaluation.long_short import LongShort, long_short
from mg_portfolio.evaluation.orthogonalize import orthogonalise
from mg_portfolio.evaluation.quantile_portfolios import MIN_STOCKS, forward_returns, walk_tracks
from mg_portfolio.evaluation.rank_ic import daily_statistics, rank_ic_by_day, rank_rows, sort_rows
from mg_portfolio.evaluation.result import Evaluation
from mg_portfolio.evaluation.signal_correlation import correlations
from mg_portfolio.evaluation.tradable_universe import days_listed, period_schedule, track_schedule, universe

__all__ = [
    "Evaluation",
    "LongShort",
    "Outcomes",
    "correlations",
    "days_listed",
    "evaluate",
    "evaluate_all",
    "forward_returns",
    "ic_decay",
    "long_short",
    "orthogonalise",
    "outcomes",
    "period_schedule",
    "rank_ic_by_day",
    "rank_rows",
    "universe",
]


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
    signal = dense("signal", signal)
    followed = outcomes(
        dense("price", price, signal.shape), flags("tradable", tradable, signal.shape), days, every, delay
    )
    return _judged(signal, direction, followed, groups, _offsets(tracks, every), cost, min_stocks)


def evaluate_all(
    signals: Mapping[str, np.ndarray],
    followed: Outcomes,
    directions: Mapping[str, int] | None = None,
    groups: int = 10,
    tracks: int | Iterable[int] | None = None,
    cost: float = 0.003,
    min_stocks: int = MIN_STOCKS,
    from_first: bool = False,
    workers: int = 1,
) -> dict[str, Evaluation]:
    """Judge many signals by the same outcomes; each result is `evaluate`'s.

    Parameters
    ----------
    signals : mapping of str to ndarray of float (D, S)
    followed : Outcomes
        From `outcomes`.
    directions : mapping of str to {1, -1}, optional
        1 where a name is absent.
    groups, tracks, cost, min_stocks
        See `evaluate`.
    from_first : bool
        Judge a signal from the first day on which it has a value, so that a later start is no skipped rebalance. One
        without any value is left out of the result.
    workers : int
        Threads; the kernels let go of the interpreter.

    Returns
    -------
    dict of str to Evaluation
    """
    offsets = _offsets(tracks, followed.every)

    def judge(name: str) -> tuple[str, Evaluation] | None:
        signal = dense(f"signal {name}", signals[name], followed.price.shape)
        first = 0
        if from_first:
            has = np.flatnonzero(np.isfinite(signal).any(axis=1))
            if not len(has):
                return None
            first = int(has[0])
        sign = (directions or {}).get(name, 1)
        return name, _judged(signal[first:], sign, followed.since(first), groups, offsets, cost, min_stocks)

    if workers == 1:
        found = list(map(judge, signals))
    else:
        with ThreadPoolExecutor(workers) as pool:
            found = list(pool.map(judge, signals))
    return dict(pair for pair in found if pair is not None)


def _judged(
    signal: np.ndarray,
    direction: int,
    followed: Outcomes,
    groups: int,
    offsets: tuple[int, ...],
    cost: float,
    min_stocks: int,
) -> Evaluation:
    if direction not in (1, -1):
        raise EvaluationError(f"direction was {direction!r}, expected 1 or -1")
    signal = signal if direction == 1 else -signal
    f = followed
    ordered = sort_rows(signal, f.universe)
    daily = daily_statistics(signal, f.forward, ordered, (f.forward_order, f.forward_counts), min_stocks)
    schedules = [track_schedule(len(f.days), f.every, offset) for offset in offsets]
    held = walk_tracks(signal, ordered, f.in_universe, f.price, f.last, schedules, groups, f.delay, cost, min_stocks)
    return Evaluation(
        f.days, f.every, f.delay, groups, direction, min_stocks, offsets, daily, held, f.in_universe, ordered[1]
    )


def _offsets(tracks: int | Iterable[int] | None, every: int) -> tuple[int, ...]:
    if tracks is None:
        return tuple(range(every))
    offsets = (tracks,) if isinstance(tracks, int) else tuple(int(t) for t in tracks)
    wrong = [t for t in offsets if not 0 <= t < every]
    if wrong or not offsets:
        raise EvaluationError(f"tracks was {offsets}, expected offsets from 0 to {every - 1}")
    return offsets
