"""Value of the benchmark: from its returns, or from its weights."""

from collections.abc import Mapping

import numpy as np

from mg_portfolio.errors import BacktestError
from mg_portfolio.holdings import book_of
from mg_portfolio.market import Day, MarketPanel

Benchmark = np.ndarray | Mapping[Day, np.ndarray] | None
"""Daily returns (D,), daily weights (D, S), or weights by the day they are bought."""


def benchmark_nav(market: MarketPanel, benchmark: Benchmark, start: int) -> np.ndarray:
    """Index value from ``start`` on, 1 there."""
    count = len(market.days) - start
    if benchmark is None:
        return np.full(count, np.nan)
    if isinstance(benchmark, Mapping):
        return _drifting_index(market, benchmark, start)
    given = np.asarray(benchmark, dtype=np.float64)
    if given.shape == (len(market.days), len(market.symbols)):
        returns = _daily_index_returns(market, given, start)
    elif given.shape == (len(market.days),):
        returns = given[start + 1 :]
    else:
        raise BacktestError(
            f"benchmark had shape {given.shape}, expected ({len(market.days)},) returns or "
            f"({len(market.days)}, {len(market.symbols)}) weights"
        )
    bad = np.flatnonzero(~np.isfinite(returns))
    if len(bad):
        raise BacktestError(f"benchmark had no return on {market.days[start + 1 + bad[0]]}: the index needs every day")
    return np.concatenate([[1.0], np.cumprod(1.0 + returns)])


def benchmark_weights(market: MarketPanel, benchmark: Benchmark, start: int) -> np.ndarray:
    """Index weights at each close from ``start`` to the last day but one, for attribution; (T - 1, S).

    Raises
    ------
    BacktestError
        The benchmark was given as returns, which have no weights, or not at all.
    """
    if isinstance(benchmark, Mapping):
        weights = {market.index(day): w for day, w in benchmark.items()}
        out = np.zeros((len(market.days) - 1 - start, len(market.symbols)))
        for t in range(start, len(market.days) - 1):
            known = max((d for d in weights if d <= t), default=None)
            if known is None:
                raise BacktestError(f"benchmark weights began after {market.days[start]}, where the portfolio starts")
            if known == t or t == start:
                book = book_of(market, weights[known], known)
            worth = book.units * market.mark[t]
            out[t - start] = worth / (worth.sum() + book.cash)
        return out
    if benchmark is None or np.ndim(benchmark) != 2:
        raise BacktestError("attribution needs the benchmark's weights: give them by day, not as returns")
    w = np.nan_to_num(np.asarray(benchmark, dtype=np.float64)[start:-1])
    return w / w.sum(axis=1, keepdims=True)


def _daily_index_returns(market: MarketPanel, weights: np.ndarray, start: int) -> np.ndarray:
    """Returns of weights reset at each close."""
    w = np.nan_to_num(weights[start:-1])
    total = w.sum(axis=1)
    if (total <= 0.0).any():
        raise BacktestError(f"benchmark weights were all zero on {market.days[start + int(np.argmin(total))]}")
    before, after = market.mark[start:-1], market.mark[start + 1 :]
    growth = np.divide(after, before, out=np.ones_like(before), where=before > 0.0)
    return (w * growth).sum(axis=1) / total - 1.0


def _drifting_index(market: MarketPanel, schedule: Mapping[Day, np.ndarray], start: int) -> np.ndarray:
    """Weights bought at the close of their days without cost, drifting in between."""
    weights = {market.index(day): w for day, w in schedule.items()}
    order = sorted(weights)
    known = [d for d in order if d <= start]
    if not known:
        raise BacktestError(f"benchmark weights began after {market.days[start]}, where the portfolio starts")
    order = [known[-1], *(d for d in order if d > start)]
    nav = np.empty(len(market.days) - known[-1])
    level = 1.0
    for i, day in enumerate(order):
        after = order[i + 1] + 1 if i + 1 < len(order) else len(market.days)
        book = book_of(market, weights[day], day)
        at = slice(day - known[-1], after - known[-1])
        nav[at] = level * (market.mark[day:after] @ book.units + book.cash)
        level = nav[after - 1 - known[-1]]
    nav = nav[start - known[-1] :]
    return nav / nav[0]
