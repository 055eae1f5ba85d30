"""Paths of the 8 trade-by-trade factors and of the monitor's two of big orders."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from mg_assets.factors.explanation.bar_paths import Made, minute_returns
from mg_assets.factors.explanation.factor_path import Trail
from mg_assets.factors.explanation.recorded_statistics import corr, mean_over_std, ratio, spread, total
from mg_assets.factors.explanation.stock_day import MINUTES, clock, milliseconds, minutes_of, sessions

MARGIN = 1e-9
_SHOWN = ["seq", "time", "session", "price", "volume", "amount"]


@dataclass(frozen=True)
class RestoredTrades:
    """A stock's trades with what is known of each, and the orders that they restore.

    Attributes
    ----------
    rows : DataFrame
        Every row of the lake in sequence order: ``session``, bar ``minute``, whether it ``counts`` and else ``why``
        not, ``active`` side, ``amount``, price change ``g``, and of its two orders the amount and whether they are big.
    counted : DataFrame
        The rows that count.
    orders : DataFrame
        Restored orders by amount, largest first: side, order, trades, amount, ln_amount, big.
    mean, std, threshold : float
        Of ``ln_amount``; infinite threshold where no trade bears an order number.
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


def restore(trades: pd.DataFrame, multiple: float) -> RestoredTrades:
    """Find which trades count, restore the orders and judge which are big."""
    rows = trades.sort_values("seq", kind="stable").reset_index(drop=True)
    ms = milliseconds(rows["time"])
    session = sessions(ms)
    rows["session"] = session
    rows["minute"] = minutes_of(ms, session)
    price, volume = rows["price"], rows["volume"]
    rows["why"] = np.select(
        [~((price > 0) & np.isfinite(price)), ~((volume > 0) & np.isfinite(volume)), rows["minute"] < 0],
        ["price is not above 0", "volume is not above 0", "outside 09:15 to 15:05"],
        "",
    )
    rows["counts"] = rows["why"] == ""
    rows["amount"] = price * volume
    continuous = ~np.isin(session, ("opening auction", "closing auction"))
    rows["active"] = np.where(continuous & rows["side"].isin((1, -1)), rows["side"], 0)

    counted = rows[rows["counts"]].copy()
    before = counted["price"].shift(1)
    moved = before.notna() & (counted["price"] != before)
    counted["g"] = np.where(moved, np.log(counted["price"] / before), 0.0)
    orders = _restored_orders(counted)
    logs = orders["ln_amount"].tolist()
    mean, std = spread(logs) if logs else (math.nan, math.nan)
    threshold = mean + multiple * std + MARGIN if logs else math.inf
    orders["big"] = orders["ln_amount"] > threshold
    for side in ("buy", "sell"):
        of_side = orders[orders["side"] == side].set_index("order")
        counted[f"{side}_amount"] = counted[f"{side}_order"].map(of_side["amount"])
        counted[f"big_{side}"] = counted[f"{side}_order"].isin(of_side.index[of_side["big"]])
    rows = rows.join(counted[["g", "buy_amount", "sell_amount", "big_buy", "big_sell"]])
    return RestoredTrades(rows, counted, orders, mean, std, threshold, _minutes(counted))


def _restored_orders(counted: pd.DataFrame) -> pd.DataFrame:
    parts = []
    for side in ("buy", "sell"):
        of_side = counted[counted[f"{side}_order"] > 0].groupby(f"{side}_order")
        part = pd.DataFrame(
            {"trades": of_side.size(), "amount": of_side["amount"].agg(total), "first": of_side["time"].first()}
        )
        part = part.rename_axis("order").reset_index()
        part.insert(0, "side", side)
        parts.append(part)
    orders = pd.concat(parts, ignore_index=True).sort_values("amount", ascending=False, kind="stable")
    orders["ln_amount"] = [math.log(a) for a in orders["amount"]]
    return orders.reset_index(drop=True)


def _minutes(counted: pd.DataFrame) -> pd.DataFrame:
    by_bar = counted.groupby("minute")
    prices = pd.DataFrame({"open": by_bar["price"].first(), "close": by_bar["price"].last()}).reindex(range(MINUTES))
    first = int(counted["minute"].min()) if len(counted) else MINUTES
    close = prices["close"].ffill()
    r = minute_returns(prices["open"], close, first, math.nan)
    early = counted["session"] == "early"

    def per_bar(amounts: pd.Series) -> np.ndarray:
        return amounts.groupby(counted["minute"]).agg(total).reindex(range(MINUTES), fill_value=0.0).to_numpy(float)

    return pd.DataFrame(
        {
            "minute": range(MINUTES),
            "clock": [clock(m) for m in range(MINUTES)],
            "net": per_bar(counted["amount"] * counted["active"]),
            "big_buy": per_bar(counted["amount"].where(early & counted["big_buy"], 0.0)),
            "big_sell": per_bar(counted["amount"].where(early & counted["big_sell"], 0.0)),
            "r": r,
        }
    )


def trade_paths(restored: RestoredTrades) -> Iterator[tuple[str, Callable[[Trail], Made]]]:
    """Name and reckoning of each factor of trades."""
    early = restored.early
    yield "bigorder_amt_perc", lambda trail: _big_share(restored, trail)
    yield "early_bigorder_buy_perc", lambda trail: _early_big_buying(restored, trail)
    yield "bigorder_ret2", lambda trail: _moved(restored, restored.counted, trail)
    yield "early_active_bigorder_ret", lambda trail: _moved(restored, early, trail, active=True)
    yield "concentration_diff", lambda trail: _concentration(restored, trail)
    yield "early_active_buy_perc", lambda trail: _active_buying(early, trail)
    yield "corr_netactivebuy_lastret", lambda trail: _net_and_return(restored, trail, 1)
    yield "corr_netactivebuy_nextret", lambda trail: _net_and_return(restored, trail, -1)
    yield "open_big_net_buy_share", lambda trail: _big_net(restored, trail, strength=False)
    yield "open_big_net_buy_strength", lambda trail: _big_net(restored, trail, strength=True)


def _big_orders(restored: RestoredTrades, trail: Trail) -> None:
    """The figures that make an order big."""
    orders = restored.orders
    trail.add(
        "restored orders",
        len(orders),
        f"{(orders['side'] == 'buy').sum()} buy, {(orders['side'] == 'sell').sum()} sell",
    )
    if len(orders):
        trail.add("mean of ln A", restored.mean, "A in yuan, buy and sell pooled")
        trail.add("std of ln A", restored.std, "population")
        trail.add("threshold of ln A", restored.threshold, f"big above {math.exp(restored.threshold):,.2f} yuan")
    trail.add("big orders", int(orders["big"].sum()))


def _big_share(restored: RestoredTrades, trail: Trail) -> Made:
    orders = restored.orders
    _big_orders(restored, trail)
    big = orders[orders["big"]]
    parts = [
        trail.add(f"amount of big {side} orders", total(big.loc[big["side"] == side, "amount"]), "yuan")
        for side in ("buy", "sell")
    ]
    day = trail.add("amount of the day", restored.amount, f"yuan, {len(restored.counted)} trades")
    return sum(parts) / (2 * day), orders


def _early_big_buying(restored: RestoredTrades, trail: Trail) -> Made:
    _big_orders(restored, trail)
    early = restored.early
    rows = early.loc[early["big_buy"] | early["big_sell"], [*_SHOWN, "buy_order", "big_buy", "sell_order", "big_sell"]]
    buy = trail.add("early amount, buy order big", total(rows.loc[rows["big_buy"], "amount"]), "yuan")
    sell = trail.add("early amount, sell order big", total(rows.loc[rows["big_sell"], "amount"]), "yuan")
    return ratio(buy, buy + sell, trail, "the early amount of big orders"), rows


def _moved(restored: RestoredTrades, among: pd.DataFrame, trail: Trail, active: bool = False) -> Made:
    _big_orders(restored, trail)
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
    return total(rows["g"]), rows


def _concentration(restored: RestoredTrades, trail: Trail) -> Made:
    orders = restored.orders[["side", "order", "trades", "amount"]].assign(squared=restored.orders["amount"] ** 2)
    parts = [
        trail.add(f"sum of A^2, {side}", total(orders.loc[orders["side"] == side, "squared"]), "yuan^2")
        for side in ("buy", "sell")
    ]
    day = trail.add("amount of the day", restored.amount, "yuan")
    return (parts[0] - parts[1]) / day**2, orders


def _active_buying(early: pd.DataFrame, trail: Trail) -> Made:
    rows = early.loc[early["active"] != 0, [*_SHOWN, "active"]]
    buy = trail.add("early amount, buyer-initiated", total(rows.loc[rows["active"] == 1, "amount"]), "yuan")
    known = trail.add(
        "early amount, active side known", total(rows["amount"]), f"yuan, {len(rows)} of {len(early)} trades"
    )
    return ratio(buy, known, trail, "the early amount with a known active side"), rows


def _net_and_return(restored: RestoredTrades, trail: Trail, shift: int) -> Made:
    name = "r_last" if shift == 1 else "r_next"
    pairs = restored.minutes[["minute", "clock", "net"]].assign(**{name: restored.minutes["r"].shift(shift)})
    pairs = pairs.iloc[1:] if shift == 1 else pairs.iloc[:-1]
    return corr(pairs["net"], pairs[name], trail), pairs


def _big_net(restored: RestoredTrades, trail: Trail, strength: bool) -> Made:
    _big_orders(restored, trail)
    bars = restored.minutes.loc[:29, ["minute", "clock", "big_buy", "big_sell"]]
    bars = bars.assign(difference=bars["big_buy"] - bars["big_sell"])
    if strength:
        return mean_over_std(bars["difference"].tolist(), trail), bars
    net = trail.add("sum of the differences", total(bars["difference"]), "yuan")
    amount = trail.add("early amount", total(restored.early["amount"]), f"yuan, {len(restored.early)} trades")
    return ratio(net, amount, trail, "the early amount"), bars
