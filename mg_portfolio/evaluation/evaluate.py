"""Signal evaluation: rank correlations, quantile portfolios, tracks, long-short, by year.

1. `ForwardReturns.from_prices` computes each day's forward returns and their order, once for all signals.
2. Each signal is sorted once a day; from that order `daily_statistics` computes the correlations and precisions of
   every day, `simulate_sorted` the portfolios of every track.
3. A result is the mean over tracks, one for each day of the rebalance cycle on which one could have started; the
   correlations of a track are those of its own decision days.
4. What depends on these alone (years, spread between tracks, confidence) is computed on first access.
"""

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from mg_axes import DAYS, FLAGS, PANEL, SYMBOLS, align, aligned, is_labelled
from mg_portfolio.arguments import EvaluationError, dense, flags
from mg_portfolio.evaluation.forward_returns import ForwardReturns, forward_returns
from mg_portfolio.evaluation.ic_decay import ic_decay
from mg_portfolio.evaluation.long_short import LongShort, long_short
from mg_portfolio.evaluation.orthogonalize import orthogonalize
from mg_portfolio.evaluation.quantile_portfolios import MIN_STOCKS, simulate_sorted
from mg_portfolio.evaluation.rank_ic import daily_statistics, rank_ic_by_day, rank_rows, sort_rows
from mg_portfolio.evaluation.rebalance_days import period_schedule, track_schedule
from mg_portfolio.evaluation.result import Evaluation
from mg_portfolio.evaluation.signal_correlation import signal_correlations
from mg_portfolio.evaluation.tradable_universe import days_listed, tradable_next_day

__all__ = [
    "Evaluation",
    "ForwardReturns",
    "LongShort",
    "days_listed",
    "evaluate",
    "evaluate_all",
    "forward_returns",
    "ic_decay",
    "long_short",
    "orthogonalize",
    "period_schedule",
    "rank_ic_by_day",
    "rank_rows",
    "signal_correlations",
    "tradable_next_day",
]


@aligned(EvaluationError, by=("price",), signal=PANEL, price=PANEL, tradable=FLAGS, days=DAYS)
def evaluate(
    signal: np.ndarray,
    price: np.ndarray,
    tradable: np.ndarray | None = None,
    days: np.ndarray | None = None,
    direction: int = 1,
    every: int = 5,
    groups: int = 10,
    tracks: int | Iterable[int] | None = None,
    delay: int = 1,
    cost: float = 0.003,
    min_stocks: int = MIN_STOCKS,
) -> Evaluation:
    """Evaluate a signal by its forward returns.

    Parameters
    ----------
    signal : ndarray of float (D, S), or labelled
        As of the close of each day. A stock without a finite value is not in that day's universe. Labelled panels
        (pandas, Polars, Arrow, xarray; see :mod:`mg_axes`) are aligned on the dates and symbols of ``price``.
    price : ndarray of float (D, S), or labelled
        Adjusted execution prices, yuan (T+1 vwap by default); NaN where the stock did not trade.
    tradable : ndarray of bool (D, S), or labelled, optional
        The universe, from `tradable_next_day`; by default the stocks that have a price on the day of execution. A
        label that it lacks is False.
    days : ndarray of datetime64[D] (D,), optional
        Trading days, ascending; by default the dates of ``price``.
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
        Two-sided cost of the net results, a fraction of the value traded.
    min_stocks : int
        A rebalance or correlation with fewer stocks is skipped, and counted in the exclusions.

    Returns
    -------
    Evaluation
        Daily correlations, portfolios by track, and every figure derived from them.

    Raises
    ------
    EvaluationError
        Panels of different shapes or with labels that ``price`` has not, days out of order, a direction other than 1 or
        -1, or a setting out of range.

    Notes
    -----
    Source: Huatai 2023-12-08 (charts 7, 26, 37, 45, 52, 57), Huatai 2023-08-22 (chart 10: weighted correlations,
    precision), Haitong 2023 series 88 (tables 3 to 5: tracks, Top 10% and Top 100, costs).
    """
    signal = dense("signal", signal)
    price = dense("price", price, signal.shape)
    tradable = _priced(price, delay) if tradable is None else flags("tradable", tradable, signal.shape)
    forward = ForwardReturns.from_prices(price, tradable, days, every, delay)
    return _evaluate_one(signal, direction, forward, groups, _offsets(tracks, every), cost, min_stocks)


def evaluate_all(
    signals: Mapping[str, np.ndarray],
    forward: ForwardReturns,
    directions: Mapping[str, int] | None = None,
    groups: int = 10,
    tracks: int | Iterable[int] | None = None,
    cost: float = 0.003,
    min_stocks: int = MIN_STOCKS,
    from_first: bool = False,
    workers: int = 1,
) -> dict[str, Evaluation]:
    """Evaluate many signals by the same forward returns; each result is the one of `evaluate`.

    Parameters
    ----------
    signals : mapping of str to ndarray of float (D, S), or labelled
        As of the close of each day; NaN where a stock has none. Labelled ones are aligned on the days and symbols of
        ``forward``, which then must come from labelled prices.
    forward : ForwardReturns
        From `ForwardReturns.from_prices`.
    directions : mapping of str to {1, -1}, optional
        1 where a name is absent.
    groups, tracks, cost, min_stocks
        See `evaluate`.
    from_first : bool
        Evaluate a signal from the first day on which it has a value, so that a later start is no skipped rebalance. One
        without any value is not in the result.
    workers : int
        Threads; the kernels release the interpreter lock.

    Returns
    -------
    dict of str to Evaluation
        In the order of ``signals``.

    Raises
    ------
    EvaluationError
        A signal of another shape or with other labels than the prices, or a setting out of range.
    """
    if not isinstance(forward, ForwardReturns):
        raise EvaluationError(
            f"forward was a {type(forward).__name__}, expected ForwardReturns.from_prices(price, universe)"
        )
    offsets = _offsets(tracks, forward.every)

    def evaluate_named(name: str) -> tuple[str, Evaluation] | None:
        signal = dense(f"signal {name}", _on_axes(f"signal {name}", signals[name], forward), forward.price.shape)
        first = 0
        if from_first:
            has = np.flatnonzero(np.isfinite(signal).any(axis=1))
            if not len(has):
                return None
            first = int(has[0])
        sign = (directions or {}).get(name, 1)
        return name, _evaluate_one(signal[first:], sign, forward.since(first), groups, offsets, cost, min_stocks)

    if workers == 1:
        found = list(map(evaluate_named, signals))
    else:
        with ThreadPoolExecutor(workers) as pool:
            found = list(pool.map(evaluate_named, signals))
    return dict(pair for pair in found if pair is not None)


def _on_axes(name: str, signal: np.ndarray, forward: ForwardReturns) -> np.ndarray:
    """A signal on the axes of the forward returns."""
    if not is_labelled(signal):
        return signal
    if forward.symbols is None:
        raise EvaluationError(
            f"{name} has labels, the forward returns have no symbols: compute them from labelled prices"
        )
    axes = {"days": forward.days, "symbols": forward.symbols}
    return align(EvaluationError, {name: PANEL, "days": DAYS, "symbols": SYMBOLS}, {name: signal, **axes})[0][name]


def _priced(price: np.ndarray, delay: int) -> np.ndarray:
    """Stocks that have a price on the day of execution."""
    out = np.zeros(price.shape, bool)
    has_price = np.isfinite(price) & (price > 0)
    out[: len(price) - delay] = has_price[max(delay, 0) :]
    return out


def _evaluate_one(
    signal: np.ndarray,
    direction: int,
    forward: ForwardReturns,
    groups: int,
    offsets: tuple[int, ...],
    cost: float,
    min_stocks: int,
) -> Evaluation:
    if direction not in (1, -1):
        raise EvaluationError(f"direction was {direction!r}, expected 1 or -1")
    signal = signal if direction == 1 else -signal
    f = forward
    ordered = sort_rows(signal, f.universe)
    daily = daily_statistics(signal, f.returns, ordered, (f.order, f.counts), min_stocks)
    schedules = [track_schedule(len(f.days), f.every, offset) for offset in offsets]
    held = simulate_sorted(
        signal, ordered, f.in_universe, f.price, f.last, schedules, groups, f.delay, cost, min_stocks
    )
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
