"""Paths of the 15 minute-bar factors and of the monitor's three that need bars alone."""

import math
from collections.abc import Callable, Iterator
from fractions import Fraction

import numpy as np
import pandas as pd

from mg_assets.factors.explanation.factor_path import Trail
from mg_assets.factors.explanation.recorded_statistics import corr, ratio, skew, total
from mg_assets.factors.explanation.stock_day import MINUTES, clock

PRICES = ["open", "high", "low", "close"]
Made = tuple[float, pd.DataFrame]


def filled_bars(rows: pd.DataFrame) -> pd.DataFrame:
    """All 240 bars of a day: those with trades as they are, the others with the last close; returns and amplitude."""
    stated = rows.set_index("minute").reindex(range(MINUTES))
    priced = (stated[PRICES] > 0).all(axis=1) & np.isfinite(stated[PRICES]).all(axis=1)
    counts = (stated["volume"] > 0) & priced
    first = int(counts.argmax()) if counts.any() else MINUTES
    leading = stated.iloc[:first]
    known = leading.loc[~(leading["volume"] > 0) & (leading["close"] > 0) & np.isfinite(leading["close"]), "close"]
    previous = float(known.iloc[0]) if len(known) else math.nan
    bars = stated[[*PRICES, "volume", "amount", "num_trades"]].astype(float)
    bars.loc[~counts, ["volume", "amount", "num_trades"]] = 0.0
    last = bars["close"].where(counts).ffill().fillna(previous)
    for name in PRICES:
        bars[name] = bars[name].where(counts, last)
    bars["r"] = minute_returns(bars["open"], bars["close"], first, previous)
    bars["amplitude"] = bars["high"] / bars["low"] - 1
    bars.insert(0, "counts", counts)
    return _stamped(bars)


def _stamped(bars: pd.DataFrame) -> pd.DataFrame:
    bars = bars.rename_axis("minute").reset_index()
    bars.insert(1, "clock", [clock(m) for m in range(MINUTES)])
    bars.insert(2, "half_hour", bars["minute"] // 30 + 1)
    return bars


def minute_returns(open_: pd.Series, close: pd.Series, first: int, previous: float) -> np.ndarray:
    """Close over close before; the first bar with trades close over open; before it 0 where a price is known."""
    r = np.full(MINUTES, math.nan)
    r[:first] = 0.0 if previous > 0 else math.nan
    if first < MINUTES:
        r[first] = close.iloc[first] / open_.iloc[first] - 1
        r[first + 1 :] = close.to_numpy()[first + 1 :] / close.to_numpy()[first:-1] - 1
    return r


def bar_paths(bars: pd.DataFrame) -> Iterator[tuple[str, Callable[[Trail], Made]]]:
    """Name and reckoning of each factor of bars."""
    r = bars["r"]

    def skew_of(part: pd.DataFrame) -> Callable[[Trail], Made]:
        return lambda trail: (skew(part["r"], trail), part[["minute", "clock", "counts", "close", "r"]])

    def corr_of(x: pd.Series, y: pd.Series, least: int = 10) -> Callable[[Trail], Made]:
        pairs = bars.loc[x.index, ["minute", "clock", "counts"]].assign(**{str(x.name): x, str(y.name): y})
        return lambda trail: (corr(x, y, trail, least), pairs)

    def share_of(half_hour: int) -> Callable[[Trail], Made]:
        def share(trail: Trail) -> Made:
            table = bars[["minute", "clock", "volume"]].assign(inside=bars["half_hour"] == half_hour)
            part = trail.add(f"volume of half-hour {half_hour}", total(table.loc[table["inside"], "volume"]), "shares")
            day = trail.add("volume of the day", total(table["volume"]), "shares, both auctions included")
            return ratio(part, day, trail), table

        return share

    yield "late_skew_ret", skew_of(bars.iloc[210:])
    yield "down_vol_perc", lambda trail: _down_variance(bars, trail)
    yield "corr_ret_lastret", corr_of(r.iloc[1:], r.shift(1).iloc[1:].rename("r_last"))
    yield "corr_close_nextopen", corr_of(bars["close"].iloc[:-1], bars["open"].shift(-1).iloc[:-1].rename("next_open"))
    for k in range(2, 8):
        yield f"volume_perc{k}", share_of(k)
    yield "corr_volume_item", corr_of(bars["volume"], bars["num_trades"])
    yield "early_corr_volume_ret", corr_of(bars["volume"].iloc[:30], r.iloc[:30], 5)
    yield "bigorder_ret", lambda trail: _top_bars(bars, trail)
    yield "down_single_amt_perc", lambda trail: _down_trade_size(bars, trail)
    yield "corr_volume_amplitude", corr_of(bars["volume"], bars["amplitude"])
    yield "intraday_skew", skew_of(bars)
    yield "improved_reversal", lambda trail: _reversal(bars, trail)
    yield "tail_volume_share", share_of(8)


def _down_variance(bars: pd.DataFrame, trail: Trail) -> Made:
    table = bars[["minute", "clock", "r"]].assign(squared=bars["r"] ** 2, falling=bars["r"] < 0)
    known = table[np.isfinite(table["r"])]
    down = trail.add(
        "sum of r^2, falling", total(known.loc[known["falling"], "squared"]), f"{known['falling'].sum()} bars"
    )
    whole = trail.add("sum of r^2", total(known["squared"]), f"{len(known)} bars with a return")
    return ratio(down, whole, trail, "the sum of squared returns"), table


def _untold(bars: pd.DataFrame) -> pd.DataFrame:
    """Bars with trades that do not say how many or what they were worth."""
    return bars[bars["counts"] & ~((bars["num_trades"] > 0) & np.isfinite(bars["amount"]))]


def _top_bars(bars: pd.DataFrame, trail: Trail) -> Made:
    table = bars.loc[bars["counts"], ["minute", "clock", "amount", "num_trades", "r"]].copy()
    untold = _untold(bars)
    if len(untold):
        return trail.none(
            f"{len(untold)} bars with trades lack amount or num_trades, first {untold['clock'].iloc[0]}"
        ), table
    each = [Fraction(round(a * 100), int(n)) for a, n in zip(table["amount"], table["num_trades"], strict=True)]
    table.insert(4, "amount_per_trade", [float(x) / 100 for x in each])
    ranked = sorted(range(len(table)), key=lambda i: (-each[i], table["minute"].iloc[i]))
    table = table.iloc[ranked]
    count = (3 * len(table) + 9) // 10
    table.insert(0, "rank", range(1, len(table) + 1))
    table["top"] = table["rank"] <= count
    trail.add("bars with trades", len(table))
    trail.add("bars at the top", count, "(3n + 9) // 10")
    trail.add("least amount per trade at the top", float(table.loc[table["top"], "amount_per_trade"].iloc[-1]), "yuan")
    product = math.prod(1 + x for x in table.loc[table["top"], "r"] if math.isfinite(x))
    trail.add("product of 1 + r", product)
    return product - 1, table.reset_index(drop=True)


def _down_trade_size(bars: pd.DataFrame, trail: Trail) -> Made:
    table = bars.loc[bars["counts"], ["minute", "clock", "amount", "num_trades", "r"]].assign(falling=bars["r"] < 0)
    untold = _untold(bars)
    if len(untold):
        return trail.none(
            f"{len(untold)} bars with trades lack amount or num_trades, first {untold['clock'].iloc[0]}"
        ), table
    falling = table[table["falling"]]
    down_amount = trail.add("amount, falling", total(falling["amount"]), f"yuan, {len(falling)} bars")
    down_trades = trail.add("trades, falling", total(falling["num_trades"]))
    amount = trail.add("amount of the day", total(table["amount"]), f"yuan, {len(table)} bars")
    trades = trail.add("trades of the day", total(table["num_trades"]))
    if down_trades == 0:
        return trail.none("no bar with trades fell"), table
    down = trail.add("amount per trade, falling", down_amount / down_trades, "yuan")
    day = trail.add("amount per trade of the day", ratio(amount, trades, trail, "the number of trades"), "yuan")
    return ratio(down, day, trail), table


def _reversal(bars: pd.DataFrame, trail: Trail) -> Made:
    table = bars.loc[[29, 239], ["minute", "clock", "counts", "close"]]
    start = trail.add("close_29", float(table["close"].iloc[0]), "yuan, at 10:00")
    end = trail.add("close_239", float(table["close"].iloc[1]), "yuan, at the close")
    if not math.isfinite(start):
        return trail.none("nothing traded before 10:00 and no previous close is known"), table
    return end / start - 1, table
