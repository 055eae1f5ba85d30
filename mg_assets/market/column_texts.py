"""What the columns of the raw tables and bars hold: shown in the UI beside each column."""

from collections.abc import Mapping

from mg_assets.market.schema import INDICES, SNAPSHOT_LEVELS

SYMBOL = "stock: code and exchange, 600519.SH"
_PRICES = {"open": "first price", "high": "highest price", "low": "lowest price", "close": "last price"}
_STATE = {
    "prev_close": "the exchange's reference price, after ex-rights, yuan",
    "adj_factor": "adjusted price = raw price * adj_factor",
    "up_limit": "upper price limit, yuan; null where the stock has none",
    "down_limit": "lower price limit, yuan; null where the stock has none",
    "suspended": "suspended for the whole day",
    "st": "under special treatment (ST, *ST)".replace("*", "\\*"),
    "float_shares": "free-float shares",
}
_DAY = {
    **{name: f"{text} of the day, raw, yuan; null without a trade" for name, text in _PRICES.items()},
    "vwap": "amount / volume, yuan",
    "volume": "shares traded",
    "amount": "yuan traded",
    "num_trades": "number of trades",
    **_STATE,
}
_PERIOD = {
    **{name: f"{text} of the period, adjusted" for name, text in _PRICES.items()},
    "vwap": "volume-weighted price of the period, adjusted",
    "volume": "adjusted volume: raw volume / adj_factor, summed over the sessions",
    "amount": "yuan traded in the period",
    "num_trades": "number of trades in the period",
    "prev_close": "reference price of the period's first session, adjusted",
    "adj_factor": "1: the prices are adjusted",
    "up_limit": "null: limits are of days",
    "down_limit": "null: limits are of days",
    "suspended": "without a trade in the whole period",
    "st": "under special treatment on the period's last session",
    "float_shares": "free-float shares on the period's last session, in adjusted shares",
}
_LEVELS = {
    f"{side}_{what}_{n}": f"{'price, yuan' if what == 'price' else 'volume'} of {side} level {n}; null: no such level"
    for side in ("bid", "ask")
    for what in ("price", "volume")
    for n in range(1, SNAPSHOT_LEVELS + 1)
}
_INDEX = {
    f"{index}_{what}": text
    for index in INDICES
    for what, text in (
        ("member", f"constituent of {index.upper()}"),
        ("weight", f"weight in {index.upper()}, fraction; 0 outside it, null where unknown"),
    )
}

COLUMN_TEXTS: Mapping[str, Mapping[str, str]] = {
    "trades": {
        "time": "exchange time, milliseconds",
        "seq": "sequence number of the exchange's channel",
        "price": "yuan",
        "volume": "shares",
        "buy_order": "number of the buyer's order",
        "sell_order": "number of the seller's order",
        "side": "+1 initiated by the buyer, -1 by the seller, 0 auction or unknown",
    },
    "orders": {
        "time": "exchange time, milliseconds",
        "seq": "sequence number of the exchange's channel",
        "order_id": "number of the order",
        "side": "+1 buy, -1 sell",
        "price": "yuan; null for market orders",
        "volume": "shares; of a cancel those withdrawn",
        "kind": "limit, market, own_best or cancel",
    },
    "snapshots": {
        "time": "the vendor's stamp, milliseconds",
        "last": "last price, yuan; null before the first trade",
        "volume": "shares traded on the day so far",
        "amount": "yuan traded on the day so far",
        "num_trades": "trades of the day so far",
        "total_bid_volume": "shares of all bid levels; null where the vendor has none",
        "total_ask_volume": "shares of all ask levels; null where the vendor has none",
        **_LEVELS,
    },
    "reference": {
        "list_date": "first day of listing",
        "delist_date": "last day of listing; null while it lasts",
        "industry": "level-1 industry",
        **_STATE,
        **_INDEX,
        "pb": "price to book value",
        "pe_ttm": "price to earnings of the last twelve months",
        "pcf_ttm": "price to cash flow of the last twelve months",
        "dividend_yield_12m": "dividends of the last twelve months to price, fraction",
        "eps_fy1": "consensus earnings a share of this fiscal year, yuan",
        "roe_fy1": "consensus return on equity of this fiscal year, fraction",
        "np_fy1": "consensus net profit of this fiscal year, yuan",
        "total_shares": "all shares; null where the source has the free float alone",
    },
    "planted_signal": {"signal": "what the simulated market's returns were made from: the yardstick of every model"},
    "minute_bars": {
        "minute": "0 to 239: the session's minutes, auctions in the first and the last",
        **{name: f"{text} of the minute, yuan; null without a trade" for name, text in _PRICES.items()},
        "volume": "shares traded",
        "amount": "yuan traded",
        "num_trades": "number of trades; null where the source has bars without",
    },
    "daily_bars": _DAY,
    "weekly_bars": _PERIOD,
    "monthly_bars": _PERIOD,
    **{
        key: {"...": "metric of the main case, named as published"}
        for key in ("factor_evaluation", "signal_evaluation")
    },
}
"""Table -> column -> one line; :data:`SYMBOL` for every table's stocks."""

PORTFOLIO_TEXTS: Mapping[str, str] = {
    **{
        f"relative_nav_{day}": f"relative NAV of the same portfolio decided on {name}s"
        for day, name in (("tue", "Tuesday"), ("wed", "Wednesday"), ("thu", "Thursday"), ("fri", "Friday"))
    },
    "units": "units of the stock at adjusted prices",
    "value": "of the portfolio before trading, at the day's prices, in units of the first day's value",
    "side": "buy, sell or payout",
    "unfilled": "orders that were not filled, or only in part",
    "unfilled_weight": "weight of what was planned and not filled",
    "orders": "number of orders",
    "cash": "in units of the first day's value",
    "initial": "whether it is the first purchase of the portfolio",
}
"""Columns of backtests' tables that their assets do not describe."""
