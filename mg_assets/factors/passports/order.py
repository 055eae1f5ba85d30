"""Passports of the 4 order-by-order factors. Source: Huatai 2023-12-08 (series 72), chart 36."""

from mg_assets.factors.passports.spec import MOMENT, PAIRS, SUSPENDED, FactorSpec, columns

SOURCE = "Huatai 2023-12-08 (series 72), chart 36"
SIZES = columns("orders", "time", "side", "price", "volume", "kind")
COUNTED = (
    "Counted are new orders stamped 09:15:00.000 to 15:00:00.999 with volume > 0 and a price that is > 0 or null; "
    "cancellations are not."
)
RIVALS = (
    "volume as published: Shanghai shows only what rests of an order that traded at once",
    "value (price * volume) or ln(volume) instead of volume",
    "cancelled orders left out",
)
WHY = (
    "The report says order volume; what was entered is known on both exchanges once Shanghai's traded part is added "
    "back, and an order is entered before anyone knows whether it will be withdrawn."
)


def _order(
    name: str, units: str, formula: str, meaning: str, edges: str, rivals: tuple[str, ...] = RIVALS, why: str = WHY
) -> FactorSpec:
    return FactorSpec(
        name, "order", -1, formula, ("orders",), SOURCE, units, meaning, SIZES, "1 day",
        f"{SUSPENDED} {COUNTED} {edges}", rivals, why,
    )  # fmt: skip


SPECS = (
    _order(
        "skew_order_diff",
        "moment",
        "skew(volume of buy orders) - skew(volume of sell orders), skew = m3 / m2^1.5",
        "Whether large single orders are on the buy or on the sell side.",
        MOMENT,
    ),
    _order(
        "kurt_order_diff",
        "moment",
        "kurt(volume of buy orders) - kurt(volume of sell orders), kurt = m4 / m2^2 - 3",
        "Whether extreme order sizes are on the buy or on the sell side.",
        MOMENT,
    ),
    _order(
        "early_kurt_order",
        "moment",
        "kurt(volume of all orders stamped 09:30:00.000 to before 10:00:00.000), kurt = m4 / m2^2 - 3",
        "How extreme the largest orders of the first half-hour are.",
        f"{MOMENT} The opening auction's orders are not early.",
        (*RIVALS, "with the opening auction's orders"),
    ),
    _order(
        "corr_buyorder_volume_price",
        "correlation",
        "corr(volume, price) over buy limit orders with a price",
        "Whether large buy orders bid high or wait low.",
        PAIRS,
        (*RIVALS, "price relative to the best quote at entry", "market orders at the price that they traded at"),
        "The report says order volume and order price; a market order has no price.",
    ),
)
