"""Rows and steps of the 15 minute-bar factors and of the monitor's three that need bars alone."""

import math
from collections.abc import Callable, Iterator

import numpy as np
import pandas as pd

from mg_assets.factors.explanation.factor_path import Recipe, Trail
from mg_assets.factors.explanation.recorded_statistics import check_denominator, record_moments, record_pairs, total
from mg_assets.factors.explanation.stock_day import clock
from mg_assets.factors.kernels.clock import EARLY_MINUTES, LATE_MINUTE, MINUTES
from mg_assets.factors.kernels.minute import BAR_ARRAYS, day_bars, top_bars
from mg_assets.factors.kernels.moments import LEAST_PAIRS, LEAST_PAIRS_SESSION


def filled_bars(rows: pd.DataFrame) -> pd.DataFrame:
    """All 240 bars of a day as the kernel lays them out: those without trades carry the last close."""
    arrays, traded = day_bars(rows)
    stated = rows.set_index("minute").reindex(range(MINUTES))
    filled = dict(zip(BAR_ARRAYS, arrays, strict=True))
    if not traded.any():  # the kernel leaves the prices of such a day unset
        nothing = np.full(MINUTES, math.nan)
        filled |= {name: nothing for name in ("open", "close", "r", "amplitude")}
    bars = pd.DataFrame(
        {
            "minute": range(MINUTES),
            "clock": [clock(m) for m in range(MINUTES)],
            "half_hour": np.arange(MINUTES) // 30 + 1,
            "counts": traded,
            "open": filled["open"],
            "high": np.where(traded, stated["high"], filled["close"]),
            "low": np.where(traded, stated["low"], filled["close"]),
            **{name: filled[name] for name in ("close", "volume", "amount", "num_trades", "r", "amplitude")},
        }
    )
    return bars


def bar_paths(bars: pd.DataFrame) -> Iterator[tuple[str, Recipe]]:
    """Yield (name, function that records the steps and returns the rows) for each factor of bars."""
    r = bars["r"]

    def skew_of(part: pd.DataFrame) -> Recipe:
        def path(trail: Trail) -> pd.DataFrame:
            record_moments(trail, part["r"], 3)
            return part[["minute", "clock", "counts", "close", "r"]]

        return path

    def corr_of(x: pd.Series, y: pd.Series, least: int = LEAST_PAIRS) -> Recipe:
        def path(trail: Trail) -> pd.DataFrame:
            record_pairs(trail, x, y, least)
            return bars.loc[x.index, ["minute", "clock", "counts"]].assign(**{str(x.name): x, str(y.name): y})

        return path

    def share_of(half_hour: int) -> Recipe:
        def path(trail: Trail) -> pd.DataFrame:
            table = bars[["minute", "clock", "volume"]].assign(inside=bars["half_hour"] == half_hour)
            trail.add(f"volume of half-hour {half_hour}", total(table.loc[table["inside"], "volume"]), "shares")
            day = trail.add("volume of the day", total(table["volume"]), "shares, both auctions included")
            check_denominator(trail, day)
            return table

        return path

    early = slice(None, EARLY_MINUTES)
    yield "late_skew_ret", skew_of(bars.iloc[LATE_MINUTE:])
    yield "down_vol_perc", _on(_down_variance, bars)
    yield "corr_ret_lastret", corr_of(r.iloc[1:], r.shift(1).iloc[1:].rename("r_last"))
    yield "corr_close_nextopen", corr_of(bars["close"].iloc[:-1], bars["open"].shift(-1).iloc[:-1].rename("next_open"))
    for k in range(2, 8):
        yield f"volume_perc{k}", share_of(k)
    yield "corr_volume_item", corr_of(bars["volume"], bars["num_trades"])
    yield "early_corr_volume_ret", corr_of(bars["volume"].iloc[early], r.iloc[early], LEAST_PAIRS_SESSION)
    yield "bigorder_ret", _on(_top_bars, bars)
    yield "down_single_amt_perc", _on(_down_trade_size, bars)
    yield "corr_volume_amplitude", corr_of(bars["volume"], bars["amplitude"])
    yield "intraday_skew", skew_of(bars)
    yield "improved_reversal", _on(_reversal, bars)
    yield "tail_volume_share", share_of(8)


def _on(path: Callable[[pd.DataFrame, Trail], pd.DataFrame], bars: pd.DataFrame) -> Recipe:
    return lambda trail: path(bars, trail)


def _down_variance(bars: pd.DataFrame, trail: Trail) -> pd.DataFrame:
    table = bars[["minute", "clock", "r"]].assign(squared=bars["r"] ** 2, falling=bars["r"] < 0)
    known = table[np.isfinite(table["r"])]
    falling = known.loc[known["falling"], "squared"]
    trail.add("sum of r^2, falling", total(falling), f"{len(falling)} bars")
    whole = trail.add("sum of r^2", total(known["squared"]), f"{len(known)} bars with a return")
    check_denominator(trail, whole, "the sum of squared returns")
    return table


def _bars_missing_counts(bars: pd.DataFrame, trail: Trail) -> bool:
    """Whether bars with trades lack their number of trades or their amount: the factor then has no value."""
    lacking = bars[bars["counts"] & ~((bars["num_trades"] > 0) & np.isfinite(bars["amount"]))]
    if len(lacking):
        first = lacking["clock"].iloc[0]
        trail.no_value(f"{len(lacking)} bars with trades lack amount or num_trades, first {first}")
    return len(lacking) > 0


def _top_bars(bars: pd.DataFrame, trail: Trail) -> pd.DataFrame:
    table = bars.loc[bars["counts"], ["minute", "clock", "amount", "num_trades", "r"]]
    if _bars_missing_counts(bars, trail):
        return table
    top = np.empty(MINUTES, np.bool_)
    top_bars(*(bars[name].to_numpy().copy() for name in ("amount", "num_trades", "counts")), top)
    table = table.assign(top=top[table["minute"]])
    table.insert(4, "amount_per_trade", table["amount"] / table["num_trades"])
    table = table.sort_values(["top", "amount_per_trade"], ascending=False, kind="stable")
    chosen = table[table["top"]]
    trail.add("bars with trades", len(table))
    trail.add("bars at the top", len(chosen), "(3n + 9) // 10")
    trail.add("least amount per trade at the top", float(chosen["amount_per_trade"].iloc[-1]), "yuan")
    trail.add("product of 1 + r", math.prod(1 + x for x in chosen["r"] if math.isfinite(x)))
    return table


def _down_trade_size(bars: pd.DataFrame, trail: Trail) -> pd.DataFrame:
    table = bars.loc[bars["counts"], ["minute", "clock", "amount", "num_trades", "r"]].assign(falling=bars["r"] < 0)
    if _bars_missing_counts(bars, trail):
        return table
    falling = table[table["falling"]]
    trail.add("amount, falling", total(falling["amount"]), f"yuan, {len(falling)} bars")
    down_trades = trail.add("trades, falling", total(falling["num_trades"]))
    trail.add("amount of the day", total(table["amount"]), f"yuan, {len(table)} bars")
    trail.add("trades of the day", total(table["num_trades"]))
    if down_trades == 0:
        trail.no_value("no bar with trades fell")
    return table


def _reversal(bars: pd.DataFrame, trail: Trail) -> pd.DataFrame:
    table = bars.loc[[EARLY_MINUTES - 1, MINUTES - 1], ["minute", "clock", "counts", "close"]]
    start = trail.add("close_29", float(table["close"].iloc[0]), "yuan, at 10:00")
    trail.add("close_239", float(table["close"].iloc[1]), "yuan, at the close")
    if not math.isfinite(start):
        trail.no_value("nothing traded before 10:00 and no previous close is given")
    return table
