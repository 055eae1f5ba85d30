"""CPU time of preparing a day's cross-section, beside the same done with numpy and pandas.

    python benchmarks/crosssection.py [--stocks 5000] [--factors 42]

prints a markdown table: winsorise at five MAD, neutralise to industry and ln cap, z-score, fill. Every contestant is
held to the kernel's values (1e-9). Compilation is left out; CPU time is the process's, threads included.
"""

import argparse
import time
from collections.abc import Callable

import numba as nb
import numpy as np
import pandas as pd

from mg_assets.factors.cross_section import WIDTH, _median, preprocess

Day = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def day(stocks: int, factors: int, seed: int) -> Day:
    """Heavy-tailed factors, 3% missing, 30 industries of uneven size, 95% of the stocks in the universe."""
    rng = np.random.default_rng(seed)
    size = rng.normal(23, 1.2, stocks)
    values = rng.standard_t(3, (stocks, factors)) + 0.3 * (size[:, None] - 23)
    values[rng.random(values.shape) < 0.03] = np.nan
    industry = rng.choice(30, stocks, p=rng.dirichlet(np.full(30, 3.0)))
    return values, industry, size, rng.random(stocks) < 0.95


def clipped(x: np.ndarray) -> np.ndarray:
    middle = np.median(x)
    width = WIDTH * np.median(np.abs(x - middle))
    return np.clip(x, middle - width, middle + width)


def least_squares(fit: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> Callable[..., np.ndarray]:
    """One regression a factor on dummies and size, as textbooks and statsmodels.OLS do it."""

    def run(values, industry, size, universe) -> np.ndarray:
        out = np.where(universe[:, None], 0.0, np.full(values.shape, np.nan))
        for f in range(values.shape[1]):
            rows = np.flatnonzero(universe & np.isfinite(values[:, f]))
            x = clipped(values[rows, f])
            dummies = (industry[rows, None] == np.unique(industry[rows])).astype(float)
            design = np.column_stack([dummies, size[rows] - size[rows].mean()])
            x = x - design @ fit(design, x)
            out[rows, f] = (x - x.mean()) / x.std()
        return out

    return run


def pandas_groups(values, industry, size, universe) -> np.ndarray:
    """Demeaned within industries by groupby, all factors at once where the missing rows allow it."""
    frame = pd.DataFrame(values).where(pd.Series(universe), axis=0)
    middle = frame.median()
    width = WIDTH * (frame - middle).abs().median()
    frame = frame.clip(middle - width, middle + width, axis=1)
    sizes = frame.notna().mul(size, axis=0).where(frame.notna())  # a factor's own rows
    within = frame - frame.groupby(industry).transform("mean")
    sizes = sizes - sizes.groupby(industry).transform("mean")
    rest = within - sizes * ((within * sizes).sum() / (sizes**2).sum())
    scored = (rest - rest.mean()) / rest.std(ddof=0)
    return scored.fillna(0.0).where(pd.Series(universe), axis=0).to_numpy()


def cpu(run: Callable[[Day], object], days: list[Day]) -> float:
    """Median CPU milliseconds a day; no day is seen twice, so that no branch is learnt."""
    run(days[0])
    spent = []
    for one in days[1:]:
        began = time.process_time()
        run(one)
        spent.append(time.process_time() - began)
    return 1e3 * float(np.median(spent))


@nb.njit
def numba_medians(columns):
    total = 0.0
    for column in columns:
        total += np.median(column)
    return total


@nb.njit
def own_medians(columns):
    total = 0.0
    for column in columns:
        total += _median(column)
    return total


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--stocks", type=int, default=5000)
    parser.add_argument("--factors", type=int, default=42)
    chosen = parser.parse_args()
    days = [day(chosen.stocks, chosen.factors, seed) for seed in range(12)]
    contestants: dict[str, Callable[..., np.ndarray]] = {
        "kernel": preprocess,
        "kernel, 2 threads": lambda *d: preprocess(*d, threads=2),
        "pandas groupby": pandas_groups,
        "numpy, normal equations": least_squares(lambda a, x: np.linalg.solve(a.T @ a, a.T @ x)),
        "numpy, lstsq (SVD)": least_squares(lambda a, x: np.linalg.lstsq(a, x)[0]),
        "numpy, pinv (as statsmodels.OLS)": least_squares(lambda a, x: np.linalg.pinv(a) @ x),
    }
    expected = preprocess(*days[0])
    print(f"{chosen.stocks} stocks, {chosen.factors} factors, one day; median of {len(days) - 1} days\n")
    print("| way | CPU ms a day | times the kernel |\n|---|---|---|")
    base = None
    for name, run in contestants.items():
        np.testing.assert_allclose(run(*days[0]), expected, rtol=1e-9, atol=1e-9)
        few = days if name.startswith(("kernel", "pandas")) else days[:4]
        spent = cpu(lambda d, run=run: run(*d), few)
        base = base or spent
        print(f"| {name} | {spent:.1f} | {spent / base:.1f} |")
    columns = [np.ascontiguousarray(np.nan_to_num(d[0]).T) for d in days]
    theirs, ours = cpu(numba_medians, [c.copy() for c in columns]), cpu(own_medians, columns)
    print(f"\nMedians of {chosen.factors} columns: {ours:.2f} ms, numba's np.median {theirs:.2f} ms")


if __name__ == "__main__":
    main()
