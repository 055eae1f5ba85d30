"""Rows and steps of the 4 order-by-order factors and of the monitor's two of buying intent."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from mg_assets.factors.explanation.factor_path import Recipe, Trail
from mg_assets.factors.explanation.recorded_statistics import (
    check_denominator,
    record_mean_and_std,
    record_moments,
    record_pairs,
    total,
)
from mg_assets.factors.explanation.stock_day import clock, milliseconds, minutes_of, sessions
from mg_assets.factors.explanation.trade_paths import StockTrades
from mg_assets.factors.kernels.clock import EARLY_MINUTES, OUTSIDE, order_phase
from mg_assets.factors.kernels.order import is_valid_order

_SHOWN = ["seq", "time", "session", "order_id", "kind", "side", "price", "volume"]


def marked_orders(orders: pd.DataFrame) -> pd.DataFrame:
    """Every order in sequence with ``session``, ``minute``, whether it ``counts`` and else ``why`` not."""
    rows = orders.sort_values("seq", kind="stable").reset_index(drop=True)
    rows["volume"] = rows["volume"].astype(float)
    ms = milliseconds(rows["time"])
    rows["session"] = sessions(ms)
    rows["minute"] = minutes_of(ms)
    inside = np.array([order_phase(t) != OUTSIDE for t in ms.tolist()], bool)
    valid = [is_valid_order(p, float(v)) for p, v in zip(rows["price"].tolist(), rows["volume"].tolist(), strict=True)]
    rows["counts"] = inside & np.array(valid, bool)
    rows["why"] = np.select(
        [rows["counts"], rows["price"] <= 0, ~inside & (rows["volume"] > 0)],
        ["", "price is not above 0", "outside 09:15 to 15:00:00.999"],
        "volume is not above 0",
    )
    return rows


def order_paths(rows: pd.DataFrame) -> Iterator[tuple[str, Recipe]]:
    """Yield (name, function that records the steps and returns the rows) for each factor of orders alone."""
    entered = rows.loc[rows["counts"] & (rows["kind"] != "cancel"), _SHOWN]
    early = entered[entered["session"] == "early"]
    bids = entered[(entered["side"] == 1) & (entered["kind"] == "limit") & np.isfinite(entered["price"])]

    def by_side(power: int) -> Recipe:
        def path(trail: Trail) -> pd.DataFrame:
            for sign, of in ((1, ", buy"), (-1, ", sell")):
                record_moments(trail, entered.loc[entered["side"] == sign, "volume"], power, of)
            return entered

        return path

    def early_kurt(trail: Trail) -> pd.DataFrame:
        record_moments(trail, early["volume"], 4)
        return early

    def size_and_price(trail: Trail) -> pd.DataFrame:
        record_pairs(trail, bids["volume"], bids["price"])
        return bids

    yield "skew_order_diff", by_side(3)
    yield "kurt_order_diff", by_side(4)
    yield "early_kurt_order", early_kurt
    yield "corr_buyorder_volume_price", size_and_price


def intent_paths(trades: StockTrades, rows: pd.DataFrame) -> Iterator[tuple[str, Recipe]]:
    """Yield (name, function that records the steps and returns the rows) for the two factors of trades and orders."""
    bars = _intent(trades, rows)

    def share(trail: Trail) -> pd.DataFrame:
        for name in ("active_net", "buy_entered", "buy_withdrawn", "sell_entered", "sell_withdrawn"):
            trail.add(name.replace("_", " "), total(bars[name]), f"yuan, {EARLY_MINUTES} bars")
        trail.add("sum of intent", total(bars["intent"]), "active net + bought entered - withdrawn - the same sold")
        amount = trail.add("early amount", total(trades.early["amount"]), f"yuan, {len(trades.early)} trades")
        check_denominator(trail, amount, "the early amount")
        return bars

    def strength(trail: Trail) -> pd.DataFrame:
        record_mean_and_std(trail, bars["intent"])
        return bars

    yield "open_buy_intent_share", share
    yield "open_buy_intent_strength", strength


def _intent(trades: StockTrades, rows: pd.DataFrame) -> pd.DataFrame:
    early = rows[rows["counts"] & (rows["session"] == "early") & np.isfinite(rows["price"])]
    value = early["price"] * early["volume"]
    bars = pd.DataFrame({"minute": range(EARLY_MINUTES), "clock": [clock(m) for m in range(EARLY_MINUTES)]})
    bars["active_net"] = trades.minutes["net"].iloc[:EARLY_MINUTES]
    for side, sign in (("buy", 1), ("sell", -1)):
        for kind, word in (("limit", "entered"), ("cancel", "withdrawn")):
            chosen = (early["side"] == sign) & (early["kind"] == kind)
            per_bar = value[chosen].groupby(early.loc[chosen, "minute"]).agg(total)
            bars[f"{side}_{word}"] = per_bar.reindex(range(EARLY_MINUTES), fill_value=0.0).to_numpy(float)
    buy, sell = (bars[f"{side}_entered"] - bars[f"{side}_withdrawn"] for side in ("buy", "sell"))
    return bars.assign(intent=bars["active_net"] + buy - sell)
