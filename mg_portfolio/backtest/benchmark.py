"""Benchmark: its value from daily returns or weights, and its weights at each close."""

from collections.abc import Iterator, Mapping
from itertools import pairwise

import numpy as np

from mg_axes import Layout, is_labelled
from mg_portfolio.backtest.holdings import Holdings, holdings_from_weights
from mg_portfolio.backtest.market_panel import Day, MarketPanel
from mg_portfolio.errors import BacktestError

Benchmark = np.ndarray | Mapping[Day, np.ndarray] | None
"""Daily returns (D,), daily weights (D, S), or weights by the day they are bought; labelled ones are aligned."""
_LAYOUT = Layout("ds", otherwise="d")


def benchmark_nav(market: MarketPanel, benchmark: Benchmark, start: int) -> np.ndarray:
    """Index value from ``start`` on, 1 there; NaN without a benchmark.

    Parameters
    ----------
    market : MarketPanel
        Prices and tradability of D days and S stocks.
    benchmark : Benchmark
        Daily returns (D,), daily weights (D, S), weights by the day they are bought, or None.
    start : int
        Index of the first day.

    Returns
    -------
    (D - start,) float
        Value at each close.

    Raises
    ------
    BacktestError
        A shape does not fit the panel, or a day has no return.
    """
    count = len(market.days) - start
    if benchmark is None:
        return np.full(count, np.nan)
    if isinstance(benchmark, Mapping) and not is_labelled(benchmark):
        return _drifting_index(market, benchmark, start)
    given = np.asarray(market.on_axes({"benchmark": _LAYOUT}, {"benchmark": benchmark})["benchmark"], dtype=np.float64)
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
    """Index weights at each close from ``start`` to the last day but one, for attribution.

    Parameters
    ----------
    market : MarketPanel
        Prices and tradability of D days and S stocks.
    benchmark : Benchmark
        Daily weights (D, S), or weights by the day they are bought.
    start : int
        Index of the first day.

    Returns
    -------
    (T - 1, S) float
        Weights, each row summing to one.

    Raises
    ------
    BacktestError
        The benchmark was given as returns, which have no weights, or not at all.
    """
    last = len(market.days) - 1
    if isinstance(benchmark, Mapping) and not is_labelled(benchmark):
        out = np.zeros((last - start, len(market.symbols)))
        for first, after, owned in _held(market, benchmark, start):
            first, after = max(first, start), min(after, last)
            worth = market.mark[first:after] * owned.units  # (days, S)
            out[first - start : after - start] = worth / (worth.sum(axis=1, keepdims=True) + owned.cash)
        return out
    if benchmark is not None:
        benchmark = market.on_axes({"benchmark": _LAYOUT}, {"benchmark": benchmark})["benchmark"]
    weights = None if benchmark is None else np.asarray(benchmark, dtype=np.float64)
    if weights is None or weights.ndim != 2:
        raise BacktestError("attribution needs the benchmark's weights: give them by day, not as returns")
    w = np.nan_to_num(weights[start:-1])
    return w / w.sum(axis=1, keepdims=True)


def _daily_index_returns(market: MarketPanel, weights: np.ndarray, start: int) -> np.ndarray:
    """Returns of weights reset at each close."""
    w = np.nan_to_num(weights[start:-1])
    total = w.sum(axis=1)
    if (total <= 0.0).any():
        raise BacktestError(
            f"benchmark weights were all zero on {market.days[start + int(np.argmin(total))]}: give every day's, or a "
            "mapping of the days on which they were set"
        )
    before, after = market.mark[start:-1], market.mark[start + 1 :]
    growth = np.divide(after, before, out=np.ones_like(before), where=before > 0.0)
    return (w * growth).sum(axis=1) / total - 1.0


def _drifting_index(market: MarketPanel, schedule: Mapping[Day, np.ndarray], start: int) -> np.ndarray:
    """Value of weights bought at the close of their days without cost, drifting in between; 1 at ``start``."""
    nav, level = np.empty(len(market.days)), 1.0
    for first, after, owned in _held(market, schedule, start):
        nav[first : after + 1] = level * (market.mark[first : after + 1] @ owned.units + owned.cash)
        level = nav[min(after, len(nav) - 1)]  # the day of the next weights is still earned with these
    return nav[start:] / nav[start]


def _held(market: MarketPanel, schedule: Mapping[Day, np.ndarray], start: int) -> Iterator[tuple[int, int, Holdings]]:
    """Holdings of the index between the closes of the days ``first`` and ``after``, from ``start`` to the end."""
    weights = {market.index(day): w for day, w in schedule.items()}
    earlier = [d for d in weights if d <= start]
    if not earlier:
        raise BacktestError(
            f"benchmark weights began after {market.days[start]}, the first day: give those in force on it"
        )
    order = [max(earlier), *sorted(d for d in weights if d > start)]
    for first, after in pairwise([*order, len(market.days)]):
        yield first, after, holdings_from_weights(market, weights[first], first, "benchmark weights")
