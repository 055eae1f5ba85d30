"""Quantile portfolios of a sorted signal, bought and held: layers, top and bottom tenth, top 100, the whole universe.

One pass over the days does everything for one schedule of decisions:

1. Value the stocks held at today's execution price (a halted stock at its last one) and so every portfolio.
2. If a decision taken ``delay`` days ago executes today, take the stocks usable then, highest signal first.
3. Each portfolio is a range of the sorted stocks, equally weighted. Stocks that tie across an end of a range enter with
   the share of their tied block that lies inside, which is the mean over all ways of breaking the tie: groups stay
   equal in size and no result depends on the order of the stocks.
4. Turnover is ``sum |w - w_drifted|``; the net value pays half of the two-sided cost on it.
"""

from dataclasses import dataclass

import numpy as np
from numba import njit

from mg_portfolio.arguments import EvaluationError, dense, flags
from mg_portfolio.evaluation.forward_returns import carry_forward, check_rebalance
from mg_portfolio.evaluation.rank_ic import Sorted, sort_rows

FIXED_COUNT = 100
MIN_STOCKS = 30

SKIP_REASONS = (
    "made",
    "too few stocks in the universe",
    "too few stocks with a signal",
    "too few stocks with an execution price",
)
"""Why a rebalance was skipped, by the codes of `Tracks.reason`; code 0 is one that was made."""


@dataclass(frozen=True)
class Tracks:
    """Portfolios of T schedules over the same days.

    Attributes
    ----------
    names : tuple of str (P,)
        ``layer1`` (highest signal) .. ``layerG``, ``top10pct``, ``bottom10pct``, ``top100``, ``universe``.
    gross, net : ndarray of float64 (T, P, D)
        NAV at the execution price, 1.0 when first bought; NaN before.
    decided : list of ndarray of int (R,)
        Day index of each scheduled decision, one array a track.
    reason : list of ndarray of int (R,)
        Index into `SKIP_REASONS`: 0 where the rebalance was made.
    stocks : list of ndarray of int (R, 3)
        Stocks in the universe, of those with a signal, of those with an execution price.
    turnover : list of ndarray of float64 (R, P)
        Two-way turnover; NaN where the rebalance was skipped and on the first purchase.
    """

    names: tuple[str, ...]
    gross: np.ndarray
    net: np.ndarray
    decided: list[np.ndarray]
    reason: list[np.ndarray]
    stocks: list[np.ndarray]
    turnover: list[np.ndarray]

    def index(self, name: str) -> int:
        """Index of a portfolio on the P axis."""
        return self.names.index(name)


@njit(nogil=True, cache=True)
def _ranges(count, groups, low, high):
    """Range [low, high) of every portfolio among ``count`` sorted stocks."""
    for g in range(groups):
        low[g] = (g * count + groups - 1) // groups
        high[g] = ((g + 1) * count + groups - 1) // groups
    tenth = (count + 9) // 10
    low[groups], high[groups] = 0, tenth
    low[groups + 1], high[groups + 1] = count - tenth, count
    low[groups + 2], high[groups + 2] = 0, min(FIXED_COUNT, count)
    low[groups + 3], high[groups + 3] = 0, count


@njit(nogil=True, cache=True)
def _grow(held, count, today, entry, start, end, ties, low, high, step, upto, growth):
    """Growth of every portfolio since it was last bought, from each held stock's; tied stocks share their mean."""
    for k in range(count):
        step[k] = today[held[k]] / entry[k]
    if ties:
        for k in range(count):
            if start[k] == k and end[k] > k + 1:
                total = 0.0
                for j in range(k, end[k]):
                    total += step[j]
                for j in range(k, end[k]):
                    step[j] = total / (end[k] - k)
    for k in range(count):
        upto[k + 1] = upto[k] + step[k]
    for p in range(len(growth)):
        growth[p] = (upto[high[p]] - upto[low[p]]) / (high[p] - low[p])


@njit(nogil=True, cache=True)
def _candidates(signal, order, count, price, names, keys):
    """Write the stocks with an execution price, and their signals, highest first; returns how many they are."""
    n = 0
    for k in range(count - 1, -1, -1):
        s = order[k]
        if np.isfinite(price[s]) and price[s] > 0.0:
            keys[n] = signal[s]
            names[n] = s
            n += 1
    return n


@njit(nogil=True, cache=True)
def _tied_blocks(keys, count, start, end):
    """Ends of the block of equal keys that each entry is in; returns whether any block has two."""
    ties = False
    k = 0
    while k < count:
        j = k + 1
        while j < count and keys[j] == keys[k]:
            j += 1
        ties = ties or j > k + 1
        for i in range(k, j):
            start[i], end[i] = k, j
        k = j
    return ties


@njit(nogil=True, cache=True)
def _trade(fresh, weight, names, begin, finish, start, end, low, high, held, old_begin, old_finish):
    """Write one portfolio's new weights to ``fresh``; returns its two-way turnover and leaves ``weight`` all 0."""
    traded = 0.0
    for k in range(begin, finish):
        s = names[k]
        inside = min(end[k], high) - max(start[k], low)
        fresh[s] = inside / (end[k] - start[k]) / (high - low)
        traded += abs(fresh[s] - weight[s])
        weight[s] = 0.0
    for k in range(old_begin, old_finish):
        traded += weight[held[k]]
        weight[held[k]] = 0.0
    return traded


@njit(nogil=True, cache=True)
def _simulate(signal, order, counts, in_universe, price, last, scheduled, delay, groups, min_stocks, cost_side):
    days, stocks = signal.shape
    portfolios = groups + 4
    rebalances = 0
    for d in range(days - delay):
        if scheduled[d]:
            rebalances += 1
    gross = np.full((portfolios, days), np.nan)
    net = np.full((portfolios, days), np.nan)
    decided = np.zeros(rebalances, np.int64)
    reason = np.zeros(rebalances, np.int64)
    usable = np.zeros((rebalances, 3), np.int64)
    turnover = np.full((rebalances, portfolios), np.nan)

    # Of what is held, in descending order of the signal when last bought
    held = np.empty(stocks, np.int64)
    entry = np.empty(stocks)
    start = np.empty(stocks, np.int64)  # of the block of ties that a stock is in
    end = np.empty(stocks, np.int64)
    weight = np.zeros((portfolios, stocks))  # by stock, when last bought
    low = np.zeros(portfolios, np.int64)
    high = np.zeros(portfolios, np.int64)
    begin = np.zeros(portfolios, np.int64)  # low and high widened to whole blocks of ties
    finish = np.zeros(portfolios, np.int64)
    growth = np.ones(portfolios)  # since last bought
    level = np.ones(portfolios)
    level_net = np.ones(portfolios)
    step = np.empty(stocks)
    upto = np.zeros(stocks + 1)  # running sum of the stocks' growth
    n_held = 0
    ties = False

    fresh = np.zeros((portfolios, stocks))
    names = np.empty(stocks, np.int64)
    keys = np.empty(stocks)
    r = 0
    for d in range(days):
        if n_held > 0:
            _grow(held, n_held, last[d], entry, start, end, ties, low, high, step, upto, growth)
            for p in range(portfolios):
                gross[p, d] = level[p] * growth[p]
                net[p, d] = level_net[p] * growth[p]
        t = d - delay
        if t < 0 or not scheduled[t]:
            continue
        n = _candidates(signal[t], order[t], counts[t], price[d], names, keys)
        usable[r, 0], usable[r, 1], usable[r, 2] = in_universe[t], counts[t], n
        decided[r] = t
        if n < min_stocks:
            reason[r] = 1 if in_universe[t] < min_stocks else (2 if counts[t] < min_stocks else 3)
            r += 1
            continue

        for p in range(portfolios):  # drift what is held before anything is overwritten
            for k in range(begin[p], finish[p]):
                s = held[k]
                weight[p, s] *= last[d, s] / entry[k] / growth[p]
        ties = _tied_blocks(keys, n, start, end)
        old_begin, old_finish = begin.copy(), finish.copy()
        _ranges(n, groups, low, high)
        for p in range(portfolios):
            begin[p], finish[p] = start[low[p]], end[high[p] - 1]
            traded = _trade(
                fresh[p], weight[p], names, begin[p], finish[p], start, end, low[p], high[p], held, old_begin[p],
                old_finish[p],
            )  # fmt: skip
            level[p] = gross[p, d] if n_held > 0 else 1.0
            level_net[p] = (net[p, d] if n_held > 0 else 1.0) * (1.0 - cost_side * traded)
            gross[p, d] = level[p]
            net[p, d] = level_net[p]
            if n_held > 0:
                turnover[r, p] = traded
        weight, fresh = fresh, weight  # all of the old ones are 0 again
        for k in range(n):
            held[k] = names[k]
            entry[k] = price[d, names[k]]
        n_held = n
        r += 1
    return gross, net, decided, reason, usable, turnover


def simulate_tracks(
    signal: np.ndarray,
    price: np.ndarray,
    universe: np.ndarray,
    schedules: list[np.ndarray],
    groups: int = 10,
    delay: int = 1,
    cost: float = 0.003,
    min_stocks: int = MIN_STOCKS,
) -> Tracks:
    """Hold the portfolios cut from a signal along each schedule of decisions.

    Parameters
    ----------
    signal : ndarray of float (D, S)
        Higher is better; a stock without a finite signal is not in that day's universe.
    price : ndarray of float (D, S)
        Adjusted execution prices, yuan; NaN where the stock did not trade.
    universe : ndarray of bool (D, S)
    schedules : list of ndarray of bool (D,)
        Days on whose close a decision is taken, one array a track.
    groups : int
        Layers; at least 2.
    delay : int
        Trading days from decision to execution.
    cost : float
        Two-sided cost as a fraction of value (0.003 = 0.3% for a purchase and its sale); half is paid on each side.
    min_stocks : int
        A rebalance with fewer stocks is skipped: holdings drift on.

    Returns
    -------
    Tracks

    Raises
    ------
    EvaluationError
        Panels of different shapes, ``groups`` below 2 or ``delay`` below 0.
    """
    signal = dense("signal", signal)
    price = dense("price", price, signal.shape)
    universe = flags("universe", universe, signal.shape)
    last = carry_forward(price)
    ordered = sort_rows(signal, universe)
    return simulate_sorted(
        signal, ordered, universe.sum(axis=1), price, last, schedules, groups, delay, cost, min_stocks
    )


def simulate_sorted(
    signal: np.ndarray,
    ordered: Sorted,
    in_universe: np.ndarray,
    price: np.ndarray,
    last: np.ndarray,
    schedules: list[np.ndarray],
    groups: int,
    delay: int,
    cost: float,
    min_stocks: int,
) -> Tracks:
    """`simulate_tracks` of a signal already sorted, for many signals on the same prices.

    Parameters
    ----------
    signal, price : ndarray of float64 (D, S)
        See `simulate_tracks`.
    ordered : tuple
        `mg_portfolio.evaluation.rank_ic.sort_rows` of the signal over the universe.
    in_universe : ndarray of int64 (D,)
        Stocks of the universe.
    last : ndarray of float64 (D, S)
        `mg_portfolio.evaluation.forward_returns.carry_forward` of the prices.
    schedules, groups, delay, cost, min_stocks
        See `simulate_tracks`.

    Returns
    -------
    Tracks

    Raises
    ------
    EvaluationError
        ``groups`` below 2, ``delay`` below 0 or a schedule of another length.
    """
    check_rebalance(1, delay)
    if groups < 2:
        raise EvaluationError(f"groups was {groups}, expected at least 2")
    simulated = [
        _simulate(
            signal,
            *ordered,
            in_universe,
            price,
            last,
            flags("schedule", s, signal.shape[:1]),
            delay,
            groups,
            min_stocks,
            cost / 2,
        )
        for s in schedules
    ]
    names = (*(f"layer{g + 1}" for g in range(groups)), "top10pct", "bottom10pct", "top100", "universe")
    gross, net, decided, reason, stocks, turnover = (list(column) for column in zip(*simulated, strict=True))
    return Tracks(names, np.stack(gross), np.stack(net), decided, reason, stocks, turnover)
