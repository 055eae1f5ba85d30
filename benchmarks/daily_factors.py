"""CPU time of the daily and common factors, beside pandas' rolling windows.

    python benchmarks/daily_factors.py [--stocks 5000]

prints a markdown table: the 42 daily and 5 common factors of one new day and of a year of days (each with the 504 days
that its windows need), and in pandas the window factors alone (no regression on style returns), over the same panel.
The twins' values agree to 1e-6 (pandas sums run on, so that rounding gathers); reading the lake and compilation are
left out.
"""

import argparse
import time
from collections.abc import Callable

import numpy as np
import pandas as pd

from mg_assets.factors.daily import DAILY42, LOOK_BACK, WINDOWED, DailySeries, daily_factors
from mg_assets.factors.style_factors import common_factors

YEAR = 250


def market(days: int, stocks: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    shape = (days, stocks)
    close = 10 * np.exp(np.cumsum(rng.standard_t(4, shape) * 0.015, axis=0))
    open_ = close * np.exp(rng.normal(0, 0.008, shape))
    high, low = np.maximum(open_, close) * 1.01, np.minimum(open_, close) * 0.99
    volume = np.round(rng.lognormal(14, 0.8, shape))
    volume[rng.random(shape) < 0.015] = 0
    columns = {
        "open": open_, "high": high, "low": low, "close": close, "vwap": (high + low + close) / 3, "volume": volume,
        "amount": volume * close, "adj_factor": np.ones(shape), "float_shares": np.full(shape, 1e9),
    }  # fmt: skip
    for name in ("pb", "pe_ttm", "pcf_ttm", "dividend_yield_12m", "eps_fy1", "roe_fy1", "np_fy1"):
        columns[name] = rng.lognormal(0, 0.5, shape)
    return columns


def rolling(columns: dict[str, np.ndarray]) -> dict[str, pd.DataFrame]:
    """The window factors but ivr_ff3factor_1m, as a pandas user writes them; stocks traded every day agree."""
    frames = {
        n: pd.DataFrame(columns[n]).where(columns["volume"] > 0) for n in ("open", "high", "low", "close", "vwap")
    }
    close, volume = pd.DataFrame(columns["close"]), pd.DataFrame(columns["volume"]).where(columns["volume"] > 0)
    ret = (close / close.shift(1) - 1).where(volume > 0)
    turn = volume / columns["float_shares"]
    out = {
        "ret_5d": close / close.shift(5) - 1,
        "ret_1m": close / close.shift(21) - 1,
        "std_1m": ret.rolling(21, min_periods=13).std(ddof=0),
        "vstd_1m": volume.rolling(21, min_periods=13).std(ddof=0),
        "turn_1m": turn.rolling(21, min_periods=13).mean(),
        "std_turn_1m": turn.rolling(21, min_periods=13).std(ddof=0),
        "std_ret_10d": ret.rolling(10, min_periods=6).std(ddof=0),
        "std_vol_10d": volume.rolling(10, min_periods=6).std(ddof=0),
        "std_turn_10d": turn.rolling(10, min_periods=6).std(ddof=0),
        "corr_ret_vol": ret.rolling(10, min_periods=6).corr(volume),
        "corr_ret_turn": ret.rolling(10, min_periods=6).corr(turn),
    }
    out["bias_turn_1m"] = out["turn_1m"] / turn.rolling(504, min_periods=303).mean()
    weight = top = 0.0
    for age in range(63):
        decayed = turn.where(ret.notna()).shift(age) * np.exp(-age / 12)
        weight = weight + decayed.fillna(0)
        top = top + (decayed * ret.shift(age)).fillna(0)
    out["exp_wgt_return_3m"] = top / weight
    for name, price in frames.items():
        out[f"corr_ret_{name}"] = ret.rolling(10, min_periods=6).corr(price)
        out[f"corr_vol_{name}"] = volume.rolling(10, min_periods=6).corr(price)
    return out


def cpu(run: Callable[[], object], repeats: int = 3) -> float:
    spent = []
    for _ in range(repeats):
        began = time.process_time()
        run()
        spent.append(time.process_time() - began)
    return float(np.median(spent))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--stocks", type=int, default=5000)
    stocks = parser.parse_args().stocks
    columns = market(LOOK_BACK + YEAR, stocks)
    day = {n: np.ascontiguousarray(v[-LOOK_BACK - 1 :]) for n, v in columns.items()}

    def ours(panel: dict[str, np.ndarray], last: int) -> np.ndarray:
        series = DailySeries(panel)
        common_factors(series, last)
        return daily_factors(series, last)

    ours({n: v[:, :20] for n, v in day.items()}, 1)  # compiles
    found = ours(day, 1)[0]
    always = (day["volume"][-64:] > 0).all(axis=0)
    print(f"{stocks} stocks\n\n| what | CPU seconds | ms a day |\n|---|---|---|")
    for name, panel, last in (
        ("42 + 5 factors, one new day", day, 1),
        ("42 + 5 factors, a year of days", columns, YEAR),
    ):
        spent = cpu(lambda panel=panel, last=last: ours(panel, last))
        print(f"| {name} | {spent:.2f} | {1e3 * spent / last:.0f} |")
    twin = {n: frame.to_numpy()[-1] for n, frame in rolling(day).items()}
    for name in twin:
        np.testing.assert_allclose(found[always, DAILY42.index(name)], twin[name][always], rtol=1e-6, atol=1e-9)
    assert set(WINDOWED) - set(twin) == {"ivr_ff3factor_1m"}
    for name, panel, last in (
        ("pandas, 23 of them, one new day", day, 1),
        ("pandas, 23 of them, a year", columns, YEAR),
    ):
        spent = cpu(lambda panel=panel: rolling(panel), 1)
        print(f"| {name} | {spent:.2f} | {1e3 * spent / last:.0f} |")


if __name__ == "__main__":
    main()
