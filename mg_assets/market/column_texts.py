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
    f"{side}_{what}_{n}": f"{what} of {side} level {n}, {unit}; null: no such level"
    for side in ("bid", "ask")
    for what, unit in (("price", "yuan"), ("volume", "shares"))
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

_TOP = {"top10pct": "top tenth", "top100": "top 100 stocks"}
_SURE = ("rank_ic_mean", "top_excess_annual", "long_short_annual")
METRICS: Mapping[str, str] = {
    "stocks_mean": "stocks with a signal and a price at a rebalance, mean",
    "rank_ic_mean": "mean Spearman correlation of the signal with the return to the next rebalance",
    "rank_ic_std": "standard deviation of the RankIC of the decisions",
    "rank_ic_ir": "mean / std of the RankIC of the decisions",
    "rank_icir": "the same as rank_ic_ir, as series 69 names it",
    "rank_icir_annual": "rank_ic_ir times the square root of the rebalances of a year",
    "rank_ic_positive_ratio": "share of decisions with a positive RankIC",
    "ic_mean": "mean Pearson correlation of the signal with the return to the next rebalance",
    "icir": "mean / std of the IC of the decisions",
    "weighted_rank_ic_mean": "mean RankIC with weights 0.5^(2 * rank / n), rank 0 the highest signal",
    "weighted_rank_icir": "mean / std of the weighted RankIC",
    "weighted_ic_mean": "mean IC with weights 0.5^(2 * rank / n), rank 0 the highest signal",
    "weighted_icir": "mean / std of the weighted IC",
    "top_precision": "share of the top tenth whose return beats the median",
    "bottom_precision": "share of the bottom tenth whose return is below the median",
    "rebalances": "rebalances made",
    "skipped_rebalances": "rebalances skipped for too few stocks",
    "skipped_tracks": "rebalances skipped for too few stocks, over all tracks",
    "top_annual": "return a year of the highest layer",
    "bottom_annual": "return a year of the lowest layer",
    "benchmark_annual": "return a year of the equal-weight universe at the same execution price",
    "top_excess_annual": "excess a year of the highest layer over the equal-weight universe, geometric",
    "bottom_excess_annual": "excess a year of the lowest layer over the equal-weight universe, geometric",
    "top_tracking_error": "annualised volatility of the highest layer's excess",
    "top_information_ratio": "excess a year of the highest layer over its tracking error",
    "top_monthly_win_rate": "share of months in which the highest layer beats the equal-weight universe",
    "top_turnover_two_way": "two-way turnover of the highest layer at a rebalance: sum |w - w_drifted|",
    "top_excess_track_std": "standard deviation of top_excess_annual over the tracks",
    **{
        f"{k}_excess_gross": f"excess a year of the {text} over the equal-weight universe, before costs"
        for k, text in _TOP.items()
    },
    **{f"{k}_excess_net": f"excess a year of the {text}, net of 0.3% two-sided cost" for k, text in _TOP.items()},
    **{f"{k}_turnover_two_way": f"two-way turnover of the {text} at a rebalance" for k, text in _TOP.items()},
    "long_short_annual": "return a year of the top tenth less the bottom tenth, daily compounded",
    "long_short_hedged_annual": "half of top_annual less bottom_annual, as series 69 prints it",
    "long_short_volatility": "annualised volatility of the top tenth less the bottom tenth",
    "long_short_sharpe": "return a year of the top tenth less the bottom tenth over its volatility",
    "long_short_max_drawdown": "largest drawdown of the top tenth less the bottom tenth",
    **{f"{k}_t": f"Newey-West t of {k}, of all days" for k in _SURE},
    **{f"{k}_low": f"lower end of the 95% interval of {k}, stationary bootstrap of all days" for k in _SURE},
    **{f"{k}_high": f"upper end of the 95% interval of {k}" for k in _SURE},
    **{
        f"rank_ic_lag_{lag}": f"mean RankIC with the return of the single day {lag} after the purchase"
        for lag in range(1, 21)
    },
    **{
        f"orthogonal_{k}_{what}": f"{figure} {text} of what is orthogonal to industry and common factors"
        for k, text in (
            ("long_short", "of the top tenth less the bottom tenth"),
            ("long_excess", "of the top tenth over the equal-weight universe"),
        )
        for what, figure in (
            ("annual", "return a year"),
            ("volatility", "annualised volatility"),
            ("t", "Newey-West t of the daily return"),
            ("monthly_win_rate", "share of months with a positive return"),
        )
    },
    "first_day": "first day evaluated",
    "last_day": "last day evaluated",
}
"""Columns of an evaluation's tables: figure -> one line."""

COLUMN_TEXTS: Mapping[str, Mapping[str, str]] = {
    "trades": {
        "time": "exchange time, milliseconds",
        "seq": "sequence number of the exchange's channel",
        "price": "price, yuan",
        "volume": "shares traded",
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
        table: METRICS
        for evaluation in ("factor_evaluation", "signal_evaluation")
        for table in (evaluation, f"{evaluation}_detail")
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
