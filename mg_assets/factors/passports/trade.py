"""Passports of the 8 trade-by-trade factors. Source: Huatai 2023-12-08 (series 72), chart 25."""

from mg_assets.factors.passports.spec import PAIRS, SUSPENDED, ZERO, FactorSpec, columns

SOURCE = "Huatai 2023-12-08 (series 72), chart 25"
ORDERS_OF_TRADES = columns("trades", "time", "seq", "price", "volume", "buy_order", "sell_order")
ACTIVE = columns("trades", "time", "seq", "price", "volume", "side")
BIG = "big: ln A > mean(ln A) + std(ln A) + 1e-9 over all parent buy and sell orders of the stock's day"
BIG_RIVALS = (
    "fixed money limits of quote vendors (200 thousand to 1 million yuan big, above that extra big): the share then "
    "follows the stock's size",
    "the size of the single trade instead of the parent order",
    "a threshold of each side's own mean and deviation",
)
BIG_WHY = (
    "The report aggregates trades into orders but states no limit; Haitong's earlier series takes the log amount and "
    "mean plus one deviation, which adapts to each stock and day. The multiple is a parameter and is recorded."
)
BIG_EDGE = (
    "Order numbers <= 0 belong to no order: their amount stays in the day's total. No order is big where all have the "
    "same amount."
)
ACTIVE_RIVALS = (
    "aggressor inferred from quotes and ticks (Lee and Ready 1991)",
    "bulk volume classification, which splits a bar's volume by its price change (Easley, Lopez de Prado and O'Hara "
    "2012)",
)
ACTIVE_WHY = (
    "The exchanges' order numbers identify the aggressor exactly, so nothing is inferred; auctions have none and count "
    "as unknown."
)


def _trade(
    name: str,
    direction: int,
    units: str,
    formula: str,
    meaning: str,
    inputs: tuple[str, ...],
    edges: str,
    rivals: tuple[str, ...],
    why: str,
) -> FactorSpec:
    return FactorSpec(
        name, "trade", direction, formula, ("trades",), SOURCE, units, meaning, inputs, "1 day",
        f"{SUSPENDED} {edges}", rivals, why,
    )  # fmt: skip


SPECS = (
    _trade(
        "bigorder_amt_perc",
        +1,
        "fraction",
        f"(sum(A of big buy orders) + sum(A of big sell orders)) / (2 * day's amount); {BIG}",
        "Share of the day's amount that big orders traded.",
        ORDERS_OF_TRADES,
        f"{BIG_EDGE} Both auctions are in it, after-hours trades are not.",
        (*BIG_RIVALS, "big buy orders alone over the day's amount"),
        BIG_WHY,
    ),
    _trade(
        "early_bigorder_buy_perc",
        +1,
        "fraction",
        "B / (B + S); B, S = amount from 09:30:00.000 to before 10:00:00.000 of trades whose buy, sell order is big",
        "Big buyers against big sellers in the first half-hour.",
        ORDERS_OF_TRADES,
        f"{ZERO} The threshold of big orders is the whole day's. The opening auction is not early.",
        (
            *BIG_RIVALS,
            "B over the session's amount, or (B - S) over it: open_big_net_buy_share",
            "limit from the early session alone, or from earlier days",
        ),
        "The report says big buying as a share of big trading; the day's limit marks the same orders big in every "
        "factor.",
    ),
    _trade(
        "bigorder_ret2",
        -1,
        "fraction",
        "sum(g_j) over trades whose buy or sell order is big; g_j = ln(p_j / p_{j-1}), g_0 = 0",
        "Price change that trades of big orders brought about.",
        ORDERS_OF_TRADES,
        f"{BIG_EDGE} A trade whose two orders are both big counts once. 0 where no order is big.",
        (
            *BIG_RIVALS,
            "minutes with a large average trade instead of orders: bigorder_ret",
            "compounded simple returns",
        ),
        "It differs from bigorder_ret in the granularity of the data; log changes of consecutive trades add up to "
        "the day's, so the big part and the rest make the whole.",
    ),
    _trade(
        "early_active_bigorder_ret",
        +1,
        "fraction",
        "sum(g_j) over trades from 09:30:00.000 to before 10:00:00.000 whose active side's order is big",
        "Price change that big aggressive orders brought about in the first half-hour.",
        (*ORDERS_OF_TRADES, "trades.side"),
        f"{BIG_EDGE} The first early trade's change is from the trade before it, which may be the auction's.",
        (*BIG_RIVALS[:2], *ACTIVE_RIVALS, "active buy orders alone"),
        f"{ACTIVE_WHY} The report says active big orders, so both sides.",
    ),
    _trade(
        "concentration_diff",
        -1,
        "fraction",
        "(sum(A_b^2 over buy orders) - sum(A_s^2 over sell orders)) / (day's amount)^2",
        "Whether buying or selling is concentrated in few orders.",
        ORDERS_OF_TRADES,
        "Order numbers <= 0 belong to no order: their amount stays in the day's total.",
        (
            "the concentration of buy or of sell orders alone: the report finds it nearly the same as the amount "
            "factor and drops it",
            "the difference of Gini coefficients or entropies",
        ),
        "The report's own: the difference of the two sums of squares, which takes the amount out.",
    ),
    _trade(
        "early_active_buy_perc",
        +1,
        "fraction",
        "amount of buyer-initiated trades / amount of trades with an active side, 09:30:00.000 to before 10:00:00.000",
        "Aggressive buying as a share of aggressive trading in the first half-hour.",
        ACTIVE,
        f"{ZERO} The opening auction has no active side.",
        (
            *ACTIVE_RIVALS,
            "over the session's whole amount, auction included",
            "net active buying over amount: 2 * this factor - 1",
        ),
        ACTIVE_WHY,
    ),
    _trade(
        "corr_netactivebuy_lastret",
        -1,
        "correlation",
        "corr(net_m, r_{m-1}), m = 1..239; net_m = buyer- minus seller-initiated amount of bar m",
        "Whether aggressive buyers chase the minute before.",
        ACTIVE,
        f"{PAIRS} r_m are returns of bars made of the same trades; bars before the first trade have none.",
        (*ACTIVE_RIVALS, "net volume or net count instead of net amount", "net over the bar's amount"),
        f"{ACTIVE_WHY} The report says net active buying of a minute, so an amount in yuan, not a share.",
    ),
    _trade(
        "corr_netactivebuy_nextret",
        -1,
        "correlation",
        "corr(net_m, r_{m+1}), m = 0..238; net_m = buyer- minus seller-initiated amount of bar m",
        "Whether aggressive buying is followed by a rise within the day.",
        ACTIVE,
        f"{PAIRS} r_m are returns of bars made of the same trades; bars before the first trade have none.",
        (*ACTIVE_RIVALS, "net volume or net count instead of net amount", "net over the bar's amount"),
        f"{ACTIVE_WHY} Both sides lie inside the day: nothing of the next day is in it.",
    ),
)
