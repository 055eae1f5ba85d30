"""The 34 intraday factors: names, families, directions, formulas, inputs and sources.

Names, order and directions are those of the published tables, so that results join to them. The
direction is the sign with which a factor predicts returns in its source; factors are stored raw.
"""

from dataclasses import dataclass

HUATAI_MINUTE = "Huatai 2023-12-08 (series 72), chart 6"
HUATAI_TRADE = "Huatai 2023-12-08 (series 72), chart 25"
HUATAI_ORDER = "Huatai 2023-12-08 (series 72), chart 36"
HAITONG_WEEKLY = "Haitong weekly, 2023-12-15"


@dataclass(frozen=True)
class FactorSpec:
    """What a factor is.

    Attributes
    ----------
    name : str
        Column in the factor tables and in the published results.
    family : str
        ``minute``, ``trade``, ``order`` or ``monitor``.
    direction : int
        +1 or -1: the sign of its predictive relation with returns.
    formula : str
        Definition in words and symbols.
    needs : tuple of str
        Lake tables that it is computed from; NaN where one of them is absent.
    source : str
        Report and chart.
    units : str
        ``fraction``, ``correlation``, ``moment`` or ``ratio`` (mean over standard deviation).
    """

    name: str
    family: str
    direction: int
    formula: str
    needs: tuple[str, ...]
    source: str
    units: str


def _minute(name: str, direction: int, units: str, formula: str) -> FactorSpec:
    return FactorSpec(name, "minute", direction, formula, ("minute_bars",), HUATAI_MINUTE, units)


def _trade(name: str, direction: int, units: str, formula: str) -> FactorSpec:
    return FactorSpec(name, "trade", direction, formula, ("trades",), HUATAI_TRADE, units)


def _order(name: str, direction: int, units: str, formula: str) -> FactorSpec:
    return FactorSpec(name, "order", direction, formula, ("orders",), HUATAI_ORDER, units)


def _monitor(name: str, direction: int, units: str, needs: tuple[str, ...], formula: str) -> FactorSpec:
    return FactorSpec(name, "monitor", direction, formula, needs, HAITONG_WEEKLY, units)


_BARS = ("minute_bars",)
_TRADES = ("trades",)
_FLOW = ("trades", "orders")

_SPECS = (
    _minute("late_skew_ret", -1, "moment", "skew(r_m), late session"),
    _minute("down_vol_perc", +1, "fraction", "sum(r_m^2 where r_m < 0) / sum(r_m^2)"),
    _minute("corr_ret_lastret", -1, "correlation", "corr(r_m, r_{m-1}), m = 1..239"),
    _minute("corr_close_nextopen", +1, "correlation", "corr(close_m, open_{m+1}), m = 0..238"),
    *(_minute(f"volume_perc{k}", +1, "fraction", f"volume of half-hour {k} / volume of the day") for k in range(2, 8)),
    _minute("corr_volume_item", -1, "correlation", "corr(volume_m, num_trades_m)"),
    _minute("early_corr_volume_ret", +1, "correlation", "corr(volume_m, r_m), early session"),
    _minute(
        "bigorder_ret",
        -1,
        "fraction",
        "prod(1 + r_m) - 1 over the bars with trades whose amount per trade is among the day's top 30%",
    ),
    _minute(
        "down_single_amt_perc",
        +1,
        "fraction",
        "(sum(amount_m) / sum(num_trades_m) over r_m < 0) / (the same over the day)",
    ),
    _minute("corr_volume_amplitude", -1, "correlation", "corr(volume_m, high_m / low_m - 1)"),
    _trade(
        "bigorder_amt_perc", +1, "fraction", "(big buy orders' amount + big sell orders' amount) / (2 * day's amount)"
    ),
    _trade(
        "early_bigorder_buy_perc",
        +1,
        "fraction",
        "early amount of trades whose buy order is big / (that + early amount of trades whose sell order is big)",
    ),
    _trade("bigorder_ret2", -1, "fraction", "sum(g_j) over trades whose buy or sell order is big"),
    _trade("early_active_bigorder_ret", +1, "fraction", "sum(g_j) over early trades whose active side's order is big"),
    _trade("concentration_diff", -1, "fraction", "(sum(A_buy^2) - sum(A_sell^2)) / (day's amount)^2"),
    _trade(
        "early_active_buy_perc",
        +1,
        "fraction",
        "early amount of buyer-initiated trades / early amount of trades with a known active side",
    ),
    _trade("corr_netactivebuy_lastret", -1, "correlation", "corr(net_m, r_{m-1}), m = 1..239"),
    _trade("corr_netactivebuy_nextret", -1, "correlation", "corr(net_m, r_{m+1}), m = 0..238"),
    _order("skew_order_diff", -1, "moment", "skew(volume of buy orders) - skew(volume of sell orders)"),
    _order("kurt_order_diff", -1, "moment", "kurt(volume of buy orders) - kurt(volume of sell orders)"),
    _order("early_kurt_order", -1, "moment", "kurt(volume of all orders), early session"),
    _order("corr_buyorder_volume_price", -1, "correlation", "corr(volume, price) over buy limit orders with a price"),
    _monitor("intraday_skew", -1, "moment", _BARS, "skew(r_m), whole day"),
    _monitor(
        "open_buy_intent_share",
        +1,
        "fraction",
        _FLOW,
        "sum(intent_m) / early amount; intent_m = net active buying + net limit buying entered, bars 0..29",
    ),
    _monitor("open_buy_intent_strength", +1, "ratio", _FLOW, "mean(intent_m) / std(intent_m), bars 0..29"),
    _monitor(
        "open_big_net_buy_share",
        +1,
        "fraction",
        _TRADES,
        "early (amount of trades whose buy order is big - whose sell order is big) / early amount",
    ),
    _monitor("open_big_net_buy_strength", +1, "ratio", _TRADES, "mean / std of that difference per bar, bars 0..29"),
    _monitor("improved_reversal", -1, "fraction", _BARS, "close_239 / close_29 - 1"),
    _monitor("tail_volume_share", -1, "fraction", _BARS, "volume of half-hour 8 / volume of the day"),
)

FACTORS: dict[str, FactorSpec] = {spec.name: spec for spec in _SPECS}


def _family(name: str) -> tuple[str, ...]:
    return tuple(spec.name for spec in _SPECS if spec.family == name)


MINUTE = _family("minute")
TRADE = _family("trade")
ORDER = _family("order")
MONITOR = _family("monitor")
HF27 = MINUTE + TRADE + ORDER
ALL34 = HF27 + MONITOR
