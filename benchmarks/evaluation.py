"""Time of judging signals, beside the same done with pandas and scipy.

    python benchmarks/evaluation.py [--full]

prints a markdown table; ``--full`` adds one signal over 11 years of 5,000 stocks. Both sides of a row are checked to
agree.
"""

import argparse
import time
from collections.abc import Callable

import numpy as np
import pandas as pd
from scipy import stats

from mg_portfolio.evaluation import correlations, evaluate, forward_returns, long_short, rank_ic_by_day


def market(days: int, stocks: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    signal = rng.standard_normal((days, stocks))
    returns = 0.02 * rng.standard_normal((days, stocks))
    returns[2:] += 0.001 * signal[:-2]
    signal[rng.random(signal.shape) < 0.05] = np.nan
    calendar = np.busday_offset("2013-01-04", np.arange(days), roll="forward")
    return signal, 10 * np.exp(np.cumsum(returns, axis=0)), rng.random(signal.shape) < 0.95, calendar


def scipy_rank_ic(signal: np.ndarray, forward: np.ndarray, universe: np.ndarray) -> np.ndarray:
    out = np.full(len(signal), np.nan)
    for d in range(len(signal)):
        at = universe[d] & np.isfinite(signal[d]) & np.isfinite(forward[d])
        if at.sum() > 2:
            out[d] = stats.spearmanr(signal[d, at], forward[d, at])[0]
    return out


def pandas_rank_ic(signal: np.ndarray, forward: np.ndarray, universe: np.ndarray) -> np.ndarray:
    both = universe & np.isfinite(signal) & np.isfinite(forward)
    left, right = (pd.DataFrame(np.where(both, values, np.nan)).rank(axis=1) for values in (signal, forward))
    return left.corrwith(right, axis=1).to_numpy()


def pandas_layers(signal: np.ndarray, price: np.ndarray, universe: np.ndarray, every: int, groups: int) -> np.ndarray:
    """NAV of the layers on the first track, one frame a holding period."""
    table = pd.DataFrame(price).ffill()
    navs, level = [], np.ones(groups)
    for t in range(0, len(price) - 1, every):
        at = universe[t] & np.isfinite(signal[t]) & np.isfinite(price[t + 1])
        score = pd.Series(signal[t, at], np.flatnonzero(at)).sort_values(ascending=False)
        layer = pd.Series(np.arange(len(score)) * groups // len(score), score.index)
        window = table.iloc[t + 1 : t + 2 + every, score.index]
        grown = (window / window.iloc[0]).T.groupby(layer).mean().T * level
        navs.append(grown.iloc[1:])
        level = grown.iloc[-1].to_numpy()
    return pd.concat(navs).to_numpy()


def timed(run: Callable[[], object], repeats: int) -> tuple[float, object]:
    best, result = np.inf, None
    for _ in range(repeats):
        start = time.process_time()
        result = run()
        best = min(best, time.process_time() - start)
    return best, result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true", help="add one signal of 2,670 days by 5,000 stocks")
    options = parser.parse_args()
    rows = []

    def row(task: str, peer: str, peer_time: float | None, ours: float) -> None:
        ratio = "" if peer_time is None else f"{peer_time / ours:.0f}x"
        rows.append((task, peer, "" if peer_time is None else f"{peer_time:.3f}", f"{ours:.3f}", ratio))

    signal, price, universe, days = market(400, 200)
    forward = forward_returns(price, 5)
    evaluate(signal, price, universe, days)  # compiled and cached before the clock starts
    correlations(np.stack([signal, signal]), universe)
    ours, found = timed(lambda: rank_ic_by_day(signal, forward, universe), 5)
    for peer, run in (("scipy, a call a day", scipy_rank_ic), ("pandas rank, corrwith", pandas_rank_ic)):
        peer_time, expected = timed(lambda run=run: run(signal, forward, universe), 2)
        np.testing.assert_allclose(found, expected, atol=1e-12)
        row("RankIC, 400 days x 200 stocks", peer, peer_time, ours)

    ours, found = timed(lambda: evaluate(signal, price, universe, days, tracks=0), 5)
    peer_time, expected = timed(lambda: pandas_layers(signal, price, universe, 5, 10), 2)
    length = min(len(expected), len(days) - 2)
    np.testing.assert_allclose(found.portfolios.gross[0, :10, 2 : 2 + length], expected[:length].T, rtol=1e-10)
    row("10 layers of one track (ours: with every metric)", "pandas, a frame a period", peer_time, ours)

    ours, _ = timed(lambda: [evaluate(signal, price, universe, days, groups=5) for _ in range(34)], 3)
    row("34 factors, all metrics, 5 tracks, 400 x 200", "", None, ours)
    stack = np.random.default_rng(1).standard_normal((34, *signal.shape))
    ours, found = timed(lambda: correlations(stack, universe), 2)
    row("34 x 34 mean daily Spearman, 400 x 200", "", None, ours)
    ours, _ = timed(lambda: long_short(signal, price, universe, days), 5)
    row("weekly long-short, 400 x 200", "", None, ours)
    if options.full:
        signal, price, universe, days = market(2670, 5000)
        ours, _ = timed(lambda: evaluate(signal, price, universe, days), 1)
        row("one signal, all metrics, 5 tracks, 2,670 x 5,000", "", None, ours)
    print("| task | peer | peer, s of one core | ours, s of one core | ratio |\n|---|---|---:|---:|---:|")
    for cells in rows:
        print("| " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
