"""Rows and steps of the 8 trade-by-trade factors and of the monitor's two of big orders."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from mg_assets.factors.explanation.factor_path import Recipe, Trail
from mg_assets.factors.explanation.recorded_statistics import (
    check_denominator,
    record_mean_and_std,
    record_pairs,
    total,
)
from mg_assets.factors.explanation.stock_day import clock, milliseconds, sessions
from mg_assets.factors.kernels.clock import EARLY_MINUTES, MINUTES
from mg_assets.factors.kernels.day_trades import day_trades

_SHOWN = ["seq", "time", "session", "price", "volume", "amount"]


@dataclass(frozen=True)
class StockTrades:
    """A stock's trades as the kernel sees them, and the parent orders they are aggregated into.

    Attributes
    ----------
    rows : DataFrame
        Every row of the lake in sequence order: ``session``, bar ``minute``, whether it ``counts`` and else ``why``
        not, ``active`` side, ``amount``, price change ``g``, and of its two orders the amount and whether they are big.
    counted : DataFrame
        The rows that count.
    orders : DataFrame
        Parent orders by amount, largest first: side, order, trades, amount, ln_amount, big.
    mean, std, threshold : float
        Of ``ln_amount``; infinite threshold where no trade has an order ID.
    minutes : DataFrame
        240 bars: net active amount, big net amount, return.
    """

    rows: pd.DataFrame
    counted: pd.DataFrame
    orders: pd.DataFrame
    mean: float
    std: float
    threshold: float
    minutes: pd.DataFrame

    @property
    def early(self) -> pd.DataFrame:
        """Counted trades of the early session."""
        return self.counted[self.counted["session"] == "early"]

    @property
    def amount(self) -> float:
        """The day's amount, yuan."""
        return total(self.counted["amount"])


def marked_trades(trades: pd.DataFrame, multiple: float) -> StockTrades:
    """Run the kernel's steps over a stock's trades and keep what it finds of each row and order."""
    day = day_trades(trades, multiple)
    rows = trades.sort_values("seq", kind="stable").reset_index(drop=True)
    rows["session"] = sessions(milliseconds(rows["time"]))
    rows["minute"] = day.minute
    rows["volume"] = rows["volume"].astype(float)
    price, volume = rows["price"], rows["volume"]
    rows["counts"] = day.amount > 0
    rows["why"] = np.select(
        [rows["counts"], ~((price > 0) & np.isfinite(price)), ~((volume > 0) & np.isfinite(volume))],
        ["", "price is not above 0", "volume is not above 0"],
        "outside 09:15 to 15:05",
    )
    rows["amount"] = price * volume
    rows["active"] = np.where(day.continuous & rows["side"].isin((1, -1)), rows["side"], 0)
    before = np.append(day.last_price[:1], day.last_price[:-1])
    moved = day.last_price != before
    shown = {"g": np.log(np.divide(day.last_price, before, out=np.ones(len(rows)), where=moved))}
    orders = []
    for side, slots, amounts, big in (
        ("buy", day.buy_slot, day.buy_amount, day.marks & 1),
        ("sell", day.sell_slot, day.sell_amount, day.marks & 2),
    ):
        shown[f"{side}_amount"] = np.where(slots > 0, amounts[slots], np.nan)
        shown[f"big_{side}"] = big > 0
        table = pd.DataFrame(
            {"order": rows[f"{side}_order"], "amount": shown[f"{side}_amount"], "big": shown[f"big_{side}"]}
        )
        grouped = table[rows["counts"] & (slots > 0)].groupby("order")
        orders.append(grouped.first().assign(side=side, trades=grouped.size()).reset_index())
    rows = rows.assign(**{name: pd.Series(values).where(rows["counts"]) for name, values in shown.items()})
    counted = rows[rows["counts"]].astype({"big_buy": bool, "big_sell": bool})
    parents = pd.concat(orders, ignore_index=True).sort_values("amount", ascending=False, kind="stable")
    parents["ln_amount"] = [math.log(a) for a in parents["amount"]]
    parents = parents[["side", "order", "trades", "amount", "ln_amount", "big"]].reset_index(drop=True)
    minutes = _minutes(counted, day.net, day.returns)
    return StockTrades(rows, counted, parents, day.mean, day.std, day.threshold, minutes)


def _minutes(counted: pd.DataFrame, net: np.ndarray, returns: np.ndarray) -> pd.DataFrame:
    early = counted[counted["session"] == "early"]

    def per_bar(big: str) -> np.ndarray:
        amounts = early.loc[early[big], "amount"].groupby(early.loc[early[big], "minute"])
        return amounts.agg(total).reindex(range(MINUTES), fill_value=0.0).to_numpy(float)

    return pd.DataFrame(
        {
            "minute": range(MINUTES),
            "clock": [clock(m) for m in range(MINUTES)],
            "net": net,
            "big_buy": per_bar("big_buy"),
            "big_sell": per_bar("big_sell"),
            "r": returns,
        }
    )


def trade_paths(trades: StockTrades) -> Iterator[tuple[str, Recipe]]:
    """Yield (name, function that records the steps and returns the rows) for each factor of trades."""
    yield "bigorder_amt_perc", lambda trail: _big_share(trades, trail)
    yield "early_bigorder_buy_perc", lambda trail: _early_big_buying(trades, trail)
    yield "bigorder_ret2", lambda trail: _moved(trades, trades.counted, trail)
    yield "early_active_bigorder_ret", lambda trail: _moved(trades, trades.early, trail, active=True)
    yield "concentration_diff", lambda trail: _concentration(trades, trail)
    yield "early_active_buy_perc", lambda trail: _active_buying(trades.early, trail)
    yield "corr_netactivebuy_lastret", lambda trail: _net_and_return(trades, trail, 1)
    yield "corr_netactivebuy_nextret", lambda trail: _net_and_return(trades, trail, -1)
    yield "open_big_net_buy_share", lambda trail: _big_net(trades, trail, strength=False)
    yield "open_big_net_buy_strength", lambda trail: _big_net(trades, trail, strength=True)


def _big_orders(trades: StockTrades, trail: Trail) -> None:
    """Record what makes an order big."""
    orders = trades.orders
    sides = ", ".join(f"{(orders['side'] == side).sum()} {side}" for side in ("buy", "sell"))
    trail.add("parent orders", len(orders), sides)
    if len(orders):
        trail.add("mean of ln A", trades.mean, "A in yuan, buy and sell pooled")
        trail.add("std of ln A", trades.std, "population")
        trail.add("threshold of ln A", trades.threshold, f"big above {math.exp(trades.threshold):,.2f} yuan")
    trail.add("big orders", int(orders["big"].sum()))


def _big_share(trades: StockTrades, trail: Trail) -> pd.DataFrame:
    orders = trades.orders
    _big_orders(trades, trail)
    for side in ("buy", "sell"):
        amounts = orders.loc[orders["big"] & (orders["side"] == side), "amount"]
        trail.add(f"amount of big {side} orders", total(amounts), "yuan")
    trail.add("amount of the day", trades.amount, f"yuan, {len(trades.counted)} trades")
    return orders


def _early_big_buying(trades: StockTrades, trail: Trail) -> pd.DataFrame:
    _big_orders(trades, trail)
    early = trades.early
    rows = early.loc[early["big_buy"] | early["big_sell"], [*_SHOWN, "buy_order", "big_buy", "sell_order", "big_sell"]]
    buy = trail.add("early amount, buy order big", total(rows.loc[rows["big_buy"], "amount"]), "yuan")
    sell = trail.add("early amount, sell order big", total(rows.loc[rows["big_sell"], "amount"]), "yuan")
    check_denominator(trail, buy + sell, "the early amount of big orders")
    return rows


def _moved(trades: StockTrades, among: pd.DataFrame, trail: Trail, active: bool = False) -> pd.DataFrame:
    _big_orders(trades, trail)
    if active:
        chosen = ((among["active"] == 1) & among["big_buy"]) | ((among["active"] == -1) & among["big_sell"])
    else:
        chosen = among["big_buy"] | among["big_sell"]
    rows = among.loc[
        chosen, ["seq", "time", "session", "price", "g", "active", "buy_order", "big_buy", "sell_order", "big_sell"]
    ]
    trail.add("trades that count", len(rows), f"of {len(among)}")
    up = trail.add("sum of g > 0", total(rows.loc[rows["g"] > 0, "g"]))
    down = trail.add("sum of g < 0", total(rows.loc[rows["g"] < 0, "g"]))
    trail.add("sum of both", up + down)
    return rows


def _concentration(trades: StockTrades, trail: Trail) -> pd.DataFrame:
    orders = trades.orders[["side", "order", "trades", "amount"]].assign(squared=trades.orders["amount"] ** 2)
    for side in ("buy", "sell"):
        trail.add(f"sum of A^2, {side}", total(orders.loc[orders["side"] == side, "squared"]), "yuan^2")
    trail.add("amount of the day", trades.amount, "yuan")
    return orders


def _active_buying(early: pd.DataFrame, trail: Trail) -> pd.DataFrame:
    rows = early.loc[early["active"] != 0, [*_SHOWN, "active"]]
    trail.add("early amount, buyer-initiated", total(rows.loc[rows["active"] == 1, "amount"]), "yuan")
    note = f"yuan, {len(rows)} of {len(early)} trades"
    known = trail.add("early amount with an active side", total(rows["amount"]), note)
    check_denominator(trail, known, "the early amount with an active side")
    return rows


def _net_and_return(trades: StockTrades, trail: Trail, shift: int) -> pd.DataFrame:
    name = "r_last" if shift == 1 else "r_next"
    pairs = trades.minutes[["minute", "clock", "net"]].assign(**{name: trades.minutes["r"].shift(shift)})
    pairs = pairs.iloc[1:] if shift == 1 else pairs.iloc[:-1]
    record_pairs(trail, pairs["net"], pairs[name])
    return pairs


def _big_net(trades: StockTrades, trail: Trail, strength: bool) -> pd.DataFrame:
    _big_orders(trades, trail)
    bars = trades.minutes.loc[: EARLY_MINUTES - 1, ["minute", "clock", "big_buy", "big_sell"]]
    bars = bars.assign(difference=bars["big_buy"] - bars["big_sell"])
    if strength:
        record_mean_and_std(trail, bars["difference"])
    else:
        trail.add("sum of the differences", total(bars["difference"]), "yuan")
        amount = trail.add("early amount", total(trades.early["amount"]), f"yuan, {len(trades.early)} trades")
        check_denominator(trail, amount, "the early amount")
    return bars
