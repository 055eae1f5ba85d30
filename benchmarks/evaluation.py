"""Time of evaluating signals, beside alphalens-reloaded, and beside the same done with pandas and scipy.

    python benchmarks/evaluation.py [--small] [--full] [--alphalens PYTHON] [--page docs/performance.md]

prints markdown tables; ``--page`` puts them between the page's marks. ``--alphalens`` names the interpreter that has
alphalens-reloaded (this one by default): 34 factors x 2,670 days x 1,500 stocks x 5 tracks are evaluated here, and the
first ``--slice`` of them there, on the same arrays. ``--small`` is the comparison with pandas and scipy at 400 days x
200 stocks, ``--full`` adds one signal over 11 years of 5,000 stocks. Both sides of a row are checked to agree.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from peers.report import machine, put
from scipy import stats

from mg_portfolio.evaluation.evaluate import (
    Evaluation,
    ForwardReturns,
    evaluate,
    evaluate_all,
    forward_returns,
    long_short,
    orthogonalize,
    rank_ic_by_day,
    signal_correlations,
)

HERE = Path(__file__).parent
FACTORS, DAYS, STOCKS = 34, 2670, 1500


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


def whole(found: Evaluation) -> Evaluation:
    """Ask for what an evaluation works out when it is asked for."""
    _ = found.summary, found.spread, found.by_year, found.excluded, found.confidence
    return found


def beside_alphalens(python: str, sliced: int, factors: int, days: int, stocks: int) -> list[str]:
    """Every factor evaluated here, a slice of them by alphalens; lines of Markdown."""
    noise, price, universe, calendar = market(days, stocks)
    rng = np.random.default_rng(7)
    missing = np.isnan(noise)

    def factor(k: int) -> np.ndarray:
        """Factors that share something with one another and with the returns, and miss the same stocks."""
        if k == 0:
            return noise
        own = np.random.default_rng(k).standard_normal(noise.shape)
        return np.where(missing, np.nan, 0.3 * np.nan_to_num(noise) + own)

    whole(evaluate(*market(60, 80)))  # compiled and cached before the clock starts
    start = time.process_time()
    forward = ForwardReturns.from_prices(price, universe, calendar)
    spent = time.process_time() - start
    found, parts = {}, {"forward returns, once for all": spent, "correlations, portfolios, all tracks": 0.0}
    tables = 0.0
    for k in range(factors):  # one at a time: 34 arrays and their results would be 1.5 GB
        values = factor(k)
        start = time.process_time()
        (result,) = evaluate_all({"f": values}, forward, groups=5).values()
        between = time.process_time()
        whole(result)
        tables += time.process_time() - between
        parts["correlations, portfolios, all tracks"] += between - start
        found[k] = result.rank_ic
    parts["metrics, years, spread, confidence"] = tables
    ours = sum(parts.values())

    with tempfile.TemporaryDirectory() as path:
        folder = Path(path)
        # alphalens buys at the row of the signal: rows are moved so that this is T+1's price
        np.save(folder / "days.npy", calendar[:-1].astype("datetime64[ns]"))
        np.save(folder / "price.npy", price[1:])
        for k in range(sliced):
            np.save(folder / f"factor{k:02d}.npy", np.where(universe, factor(k), np.nan)[:-1])
        command = [python, str(HERE / "peers" / "alphalens_run.py"), path]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"alphalens failed: {done.stderr[-2000:]}")
        theirs = json.loads((folder / "spent.json").read_text())
        rank_ic = np.load(folder / "rank_ic.npy")
    gap = max(float(np.nanmax(np.abs(rank_ic[k] - found[k][:-1]))) for k in range(sliced))
    for k in range(sliced):
        np.testing.assert_array_equal(np.isfinite(rank_ic[k]), np.isfinite(found[k][:-1]))
    assert gap < 1e-9, f"RankIC differs by {gap}"
    each = float(np.mean(theirs["factors"]))
    lines = [
        f"{factors} factors x {days:,} days x {stocks:,} stocks x 5 tracks; alphalens-reloaded {theirs['version']} "
        f"(pandas {theirs['pandas']}) on {sliced} of them.",
        "",
        "| | CPU, s a factor | CPU, s all | ratio |",
        "|---|---:|---:|---:|",
        f"| here | {ours / factors:.2f} | {ours:.1f} | 1 |",
        f"| alphalens-reloaded | {each:.1f} | {each * factors:.0f} (a factor's times {factors}) "
        f"| {each * factors / ours:.0f} |",
        "",
        f"Largest difference of a day's RankIC: {gap:.1e}, the same days without one.",
        "",
        "| part, here | CPU, s all | part, alphalens-reloaded | CPU, s a factor |",
        "|---|---:|---|---:|",
    ]
    left = list(parts.items())
    right = sorted(((name, s / sliced) for name, s in theirs["parts"].items()), key=lambda pair: -pair[1])
    for i in range(max(len(left), len(right))):
        mine = f"| {left[i][0]} | {left[i][1]:.1f} " if i < len(left) else "| | "
        peer = f"| {right[i][0]} | {right[i][1]:.1f} |" if i < len(right) else "| | |"
        lines.append(mine + peer)
    return [*lines, "", *_further(noise, price, universe, calendar, rng)]


def _further(noise: np.ndarray, price: np.ndarray, universe: np.ndarray, days: np.ndarray, rng) -> list[str]:
    """Decay, long-short orthogonal to common factors: what alphalens has no counterpart of, a factor."""
    from mg_portfolio.evaluation.evaluate import ic_decay

    common = rng.standard_normal((*noise.shape, 4))
    industry = rng.integers(0, 30, noise.shape[1])
    orthogonalize(noise[:40], common[:40], universe[:40], industry)
    ic_decay(noise[:40], price[:40], universe[:40])
    decay, _ = timed(lambda: ic_decay(noise, price, universe), 1)
    clean, _ = timed(lambda: long_short(orthogonalize(noise, common, universe, industry), price, universe, days), 1)
    return [
        f"Beyond these, a factor: IC decay over 20 lags {decay:.2f} s; the weekly long-short of what is orthogonal "
        f"to 30 industries and 4 factors {clean:.2f} s.",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--full", action="store_true", help="add one signal of 2,670 days by 5,000 stocks")
    parser.add_argument("--small", action="store_true", help="beside pandas and scipy at 400 days by 200 stocks")
    parser.add_argument("--alphalens", nargs="?", const=sys.executable, metavar="PYTHON")
    parser.add_argument("--slice", type=int, default=1, help="factors that alphalens does (1)")
    parser.add_argument(
        "--size", type=int, nargs=3, default=(FACTORS, DAYS, STOCKS), metavar=("FACTORS", "DAYS", "STOCKS")
    )
    parser.add_argument("--page", type=Path)
    options = parser.parse_args()
    lines = [machine("numba", "numpy", "pandas", "scipy"), ""]
    if options.alphalens:
        lines += [*beside_alphalens(options.alphalens, options.slice, *options.size), ""]
    if options.small or options.full or not options.alphalens:
        lines += beside_pandas(options.full)
    text = "\n".join(lines)
    print(text)
    if options.page:
        put(options.page, "evaluation", text)


def beside_pandas(full: bool) -> list[str]:
    """The parts one by one beside pandas and scipy; lines of Markdown."""
    rows = []

    def row(task: str, peer: str, peer_time: float | None, ours: float) -> None:
        ratio = "" if peer_time is None else f"{peer_time / ours:.0f}x"
        rows.append((task, peer, "" if peer_time is None else f"{peer_time:.3f}", f"{ours:.3f}", ratio))

    signal, price, universe, days = market(400, 200)
    forward = forward_returns(price, 5)
    whole(evaluate(signal, price, universe, days))  # compiled and cached before the clock starts
    signal_correlations(np.stack([signal, signal]), universe)
    ours, found = timed(lambda: rank_ic_by_day(signal, forward, universe), 5)
    for peer, run in (("scipy, a call a day", scipy_rank_ic), ("pandas rank, corrwith", pandas_rank_ic)):
        peer_time, expected = timed(lambda run=run: run(signal, forward, universe), 2)
        np.testing.assert_allclose(found, expected, atol=1e-12)
        row("RankIC, 400 days x 200 stocks", peer, peer_time, ours)

    ours, found = timed(lambda: whole(evaluate(signal, price, universe, days, tracks=0)), 5)
    peer_time, expected = timed(lambda: pandas_layers(signal, price, universe, 5, 10), 2)
    length = min(len(expected), len(days) - 2)
    np.testing.assert_allclose(found.portfolios.gross[0, :10, 2 : 2 + length], expected[:length].T, rtol=1e-10)
    row("10 layers of one track (ours: with every metric)", "pandas, a frame a period", peer_time, ours)

    ours, _ = timed(lambda: [whole(evaluate(signal, price, universe, days, groups=5)) for _ in range(34)], 3)
    row("34 factors, all metrics, 5 tracks, 400 x 200", "", None, ours)
    stack = np.random.default_rng(1).standard_normal((34, *signal.shape))
    ours, found = timed(lambda: signal_correlations(stack, universe), 2)
    row("34 x 34 mean daily Spearman, 400 x 200", "", None, ours)
    ours, _ = timed(lambda: long_short(signal, price, universe, days), 5)
    row("weekly long-short, 400 x 200", "", None, ours)
    if full:
        signal, price, universe, days = market(2670, 5000)
        ours, _ = timed(lambda: whole(evaluate(signal, price, universe, days)), 1)
        row("one signal, all metrics, 5 tracks, 2,670 x 5,000", "", None, ours)
    head = ["| task | peer | peer, s of one core | ours, s of one core | ratio |", "|---|---|---:|---:|---:|"]
    return head + ["| " + " | ".join(cells) + " |" for cells in rows]


if __name__ == "__main__":
    main()
