"""Paths of the 4 order-by-order factors and of the monitor's two of buying intent."""

from collections.abc import Callable, Iterator

import numpy as np
import pandas as pd

from mg_assets.factors.explanation.bar_paths import Made
from mg_assets.factors.explanation.factor_path import Trail
from mg_assets.factors.explanation.recorded_statistics import corr, kurt, mean_over_std, ratio, skew, total
from mg_assets.factors.explanation.stock_day import clock, milliseconds, minutes_of, sessions
from mg_assets.factors.explanation.trade_paths import RestoredTrades

FIRST, LAST = 33_300_000, 54_000_999  # 09:15:00.000 to 15:00:00.999
_SHOWN = ["seq", "time", "session", "order_id", "kind", "side", "price", "volume"]


def judged_orders(orders: pd.DataFrame) -> pd.DataFrame:
    """Every row of the lake with ``session``, ``minute``, whether it ``counts`` and else ``why`` not; cancels count."""
    rows = orders.sort_values("seq", kind="stable").reset_index(drop=True)
    ms = milliseconds(rows["time"])
    rows["session"] = sessions(ms)
    rows["minute"] = minutes_of(ms, rows["session"].to_numpy())
    rows["why"] = np.select(
        [rows["price"] <= 0, ~(rows["volume"] > 0), (ms < FIRST) | (ms > LAST)],
        ["price is not above 0", "volume is not above 0", "outside 09:15 to 15:00:00.999"],
        "",
    )
    rows["counts"] = rows["why"] == ""
    return rows


def order_paths(rows: pd.DataFrame) -> Iterator[tuple[str, Callable[[Trail], Made]]]:
    """Name and reckoning of each factor of orders alone."""
    entered = rows.loc[rows["counts"] & (rows["kind"] != "cancel"), _SHOWN]
    yield "skew_order_diff", lambda trail: _difference(entered, skew, trail)
    yield "kurt_order_diff", lambda trail: _difference(entered, kurt, trail)
    yield "early_kurt_order", lambda trail: _early_kurt(entered, trail)
    yield "corr_buyorder_volume_price", lambda trail: _size_and_price(entered, trail)


def _difference(entered: pd.DataFrame, statistic: Callable[..., float], trail: Trail) -> Made:
    of_buys = statistic(entered.loc[entered["side"] == 1, "volume"], trail, ", buy")
    of_sells = statistic(entered.loc[entered["side"] == -1, "volume"], trail, ", sell")
    return of_buys - of_sells, entered


def _early_kurt(entered: pd.DataFrame, trail: Trail) -> Made:
    early = entered[entered["session"] == "early"]
    return kurt(early["volume"], trail), early


def _size_and_price(entered: pd.DataFrame, trail: Trail) -> Made:
    bids = entered[(entered["side"] == 1) & (entered["kind"] == "limit") & np.isfinite(entered["price"])]
    return corr(bids["volume"], bids["price"], trail), bids


def intent_paths(restored: RestoredTrades, rows: pd.DataFrame) -> Iterator[tuple[str, Callable[[Trail], Made]]]:
    """Name and reckoning of the two factors of trades and orders."""
    bars = _intent(restored, rows)

    def share(trail: Trail) -> Made:
        for name in ("active_net", "buy_entered", "buy_withdrawn", "sell_entered", "sell_withdrawn"):
            trail.add(name.replace("_", " "), total(bars[name]), "yuan, 30 bars")
        net = trail.add(
            "sum of intent", total(bars["intent"]), "active net + bought entered - withdrawn - the same sold"
        )
        amount = trail.add("early amount", total(restored.early["amount"]), f"yuan, {len(restored.early)} trades")
        return ratio(net, amount, trail, "the early amount"), bars

    yield "open_buy_intent_share", share
    yield "open_buy_intent_strength", lambda trail: (mean_over_std(bars["intent"].tolist(), trail), bars)


def _intent(restored: RestoredTrades, rows: pd.DataFrame) -> pd.DataFrame:
    early = rows[rows["counts"] & (rows["session"] == "early") & np.isfinite(rows["price"])]
    value = early["price"] * early["volume"]
    bars = pd.DataFrame({"minute": range(30), "clock": [clock(m) for m in range(30)]})
    bars["active_net"] = restored.minutes["net"].iloc[:30]
    for side, sign in (("buy", 1), ("sell", -1)):
        for kind, word in (("limit", "entered"), ("cancel", "withdrawn")):
            chosen = (early["side"] == sign) & (early["kind"] == kind)
            per_bar = value[chosen].groupby(early.loc[chosen, "minute"]).agg(total)
            bars[f"{side}_{word}"] = per_bar.reindex(range(30), fill_value=0.0).to_numpy(float)
    bars["intent"] = (
        bars["active_net"]
        + (bars["buy_entered"] - bars["buy_withdrawn"])
        - (bars["sell_entered"] - bars["sell_withdrawn"])
    )
    return bars
