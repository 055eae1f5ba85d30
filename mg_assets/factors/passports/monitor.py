"""Passports of the weekly monitor's 7 further factors. Source: Haitong weekly, 2023-12-15."""

from mg_assets.factors.passports.minute import REALISED_SKEW, RETURNS
from mg_assets.factors.passports.spec import EMPTY_BARS, MOMENT, SUSPENDED, ZERO, FactorSpec, columns
from mg_assets.factors.passports.trade import ACTIVE, ACTIVE_RIVALS, BIG_EDGE, BIG_RIVALS, BIG_WHY, ORDERS_OF_TRADES

SOURCE = "Haitong weekly, 2023-12-15"
LOOKBACK = "1 day (the monitor takes the 20-day mean)"
FLOW = (*ACTIVE, *columns("orders", "time", "side", "price", "volume", "kind"))
INTENT = (
    "intent_m = buyer- minus seller-initiated amount + value of buy limit orders entered minus withdrawn - the same of "
    "sell orders"
)
INTENT_RIVALS = (
    "change of the bid minus change of the ask amounts in the 3-second snapshots' 10 levels instead of the order "
    "stream: moves of the price range then look like orders",
    "orders entered alone, without what is withdrawn",
    *ACTIVE_RIVALS,
)
INTENT_WHY = (
    "The monitor points to Haitong's series 64 for the formula. The order stream shows entering and withdrawing "
    "exactly; a snapshot's difference mixes them with trades and with "
    "levels that come into view."
)
INTENT_EDGE = (
    "A cancellation carries its order's side and limit price, without a price it is skipped; market and own-best "
    "orders are not in the book part. Needs trades and orders."
)


def _monitor(
    name: str,
    direction: int,
    units: str,
    needs: tuple[str, ...],
    formula: str,
    meaning: str,
    inputs: tuple[str, ...],
    edges: str,
    rivals: tuple[str, ...],
    why: str,
) -> FactorSpec:
    return FactorSpec(
        name, "monitor", direction, formula, needs, SOURCE, units, meaning, inputs, LOOKBACK,
        f"{SUSPENDED} {edges}", rivals, why,
    )  # fmt: skip


SPECS = (
    _monitor(
        "intraday_skew",
        -1,
        "moment",
        ("minute_bars",),
        "skew(r_m, m = 0..239) = m3 / m2^1.5",
        "Asymmetry of the day's minute returns.",
        RETURNS,
        f"{MOMENT} {EMPTY_BARS}",
        (REALISED_SKEW, "5-minute returns", "volume-weighted skewness of prices"),
        "The monitor points to Haitong's series 19 for the formula; the biased g1 of minute returns is the "
        "same statistic as late_skew_ret, over the whole day.",
    ),
    _monitor(
        "open_buy_intent_share",
        +1,
        "fraction",
        ("trades", "orders"),
        f"sum(intent_m, m = 0..29) / early amount; {INTENT}",
        "Net buying traded and bid for in the first half-hour, over what traded.",
        FLOW,
        f"{ZERO} {INTENT_EDGE}",
        INTENT_RIVALS,
        INTENT_WHY,
    ),
    _monitor(
        "open_buy_intent_strength",
        +1,
        "ratio",
        ("trades", "orders"),
        f"mean(intent_m) / std(intent_m), m = 0..29, population std; {INTENT}",
        "How steadily the first half-hour's net buying points one way.",
        FLOW,
        f"NaN where the 30 bars are flat. Empty bars count as 0. {INTENT_EDGE}",
        (*INTENT_RIVALS, "sample std: smaller by sqrt(29/30) for every stock"),
        INTENT_WHY,
    ),
    _monitor(
        "open_big_net_buy_share",
        +1,
        "fraction",
        ("trades",),
        "(amount of trades whose buy order is big - whose sell order is big) / amount, 09:30:00.000 to before "
        "10:00:00.000",
        "Big buyers minus big sellers in the first half-hour, over what traded.",
        ORDERS_OF_TRADES,
        f"{ZERO} {BIG_EDGE}",
        (*BIG_RIVALS, "limit from past days' orders instead of the day's own"),
        BIG_WHY,
    ),
    _monitor(
        "open_big_net_buy_strength",
        +1,
        "ratio",
        ("trades",),
        "mean(d_m) / std(d_m), m = 0..29, population std; d_m = amount of trades whose buy order is big - whose sell "
        "order is big",
        "How steadily big orders buy in the first half-hour.",
        ORDERS_OF_TRADES,
        f"NaN where the 30 bars are flat. Empty bars count as 0. {BIG_EDGE}",
        (*BIG_RIVALS, "sample std: smaller by sqrt(29/30) for every stock"),
        BIG_WHY,
    ),
    _monitor(
        "improved_reversal",
        -1,
        "fraction",
        ("minute_bars",),
        "close_239 / close_29 - 1",
        "The day's return without the night and without the first half-hour.",
        columns("minute_bars", "close", "volume"),
        "Empty bars carry the last close; NaN where nothing traded before 10:00 and there is no previous close.",
        (
            "close / previous close - 1, the common reversal: with the night, where news is priced",
            "close / open - 1: with the first half-hour",
            "compounded over 20 days instead of averaged",
        ),
        "The monitor prints the name alone; public accounts of Haitong's series leave out the night and the first "
        "half-hour, "
        "and so does this.",
    ),
    _monitor(
        "tail_volume_share",
        -1,
        "fraction",
        ("minute_bars",),
        "sum(volume_m, m = 210..239) / sum(volume_m, m = 0..239)",
        "Share of the day's volume that trades from 14:30 to the close.",
        columns("minute_bars", "volume"),
        "The closing auction is part of bar 239.",
        (
            "the last 10 or 15 minutes",
            "the closing auction alone, which Shanghai has since 2018-08-20",
            "share of amount",
        ),
        "The monitor's tail session is the last half-hour, the same as late_skew_ret's.",
    ),
)
