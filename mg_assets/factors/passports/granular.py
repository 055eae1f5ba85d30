"""Passports of the 14 multi-granularity features, each on bars of 240, 60 and 30 minutes.

Source: Haitong 2023 (series 88) names the granularities and not the features: this set is the project's.
"""

from mg_assets.factors.passports.spec import PAIRS, SUSPENDED, FactorSpec, columns

SOURCE = "granularities: Haitong 2023 (series 88), section 1; the feature is the project's choice"
EMPTY = "NaN for a bar without trades."
STILL = "0 for a bar without trades, which keeps the last price; NaN before the first price."
DAILY_BAR = (
    "The bar of the whole day is relative to the mean of the trailing 20 days, today included (at least 10 finite)."
)
FLOW = columns("trades", "time", "seq", "price", "volume", "side")
ORDERS = columns("trades", "time", "seq", "price", "volume", "buy_order", "sell_order")


def _feature(
    name: str,
    units: str,
    formula: str,
    meaning: str,
    inputs: tuple[str, ...],
    edges: str,
    rivals: tuple[str, ...],
    why: str,
    needs: tuple[str, ...] = ("minute_bars",),
    lookback: str = "1 day",
) -> FactorSpec:
    return FactorSpec(
        name, "granular", 0, formula, needs, SOURCE, units, meaning,
        tuple(f"minute_bars.{i}" if "." not in i else i for i in inputs), lookback, f"{SUSPENDED} {edges}", rivals, why,
    )  # fmt: skip


SPECS = (
    _feature(
        "ret",
        "fraction",
        "close / open - 1; the day's first bar: close / previous close - 1",
        "Return of the bar.",
        ("open", "close", "volume", "daily_bars.prev_close"),
        f"{STILL} The first bar is NaN where the previous close is unknown.",
        ("log return", "close to close, so that a gap between bars is in a return"),
        "The night belongs to one step alone, the first.",
        ("minute_bars", "daily_bars"),
    ),
    _feature(
        "amplitude",
        "fraction",
        "high / low - 1",
        "Height of the bar.",
        ("high", "low", "volume"),
        STILL,
        (
            "(high - low) / previous close, the exchanges' amplitude",
            "ln(high / low), as in Parkinson's volatility (1980)",
        ),
        "Needs no other bar.",
    ),
    _feature(
        "vwap_dev",
        "fraction",
        "close / vwap - 1, vwap = amount / volume",
        "Whether the bar closes above its average price.",
        ("close", "volume", "amount"),
        EMPTY,
        ("vwap / close, as vwap2close", "deviation from the day's vwap up to the bar"),
        "Zero-centred, and closed within the bar.",
    ),
    _feature(
        "log_amount",
        "log",
        "ln(1 + amount), amount in yuan",
        "How much traded.",
        ("amount",),
        "0 for a bar without trades.",
        ("amount over free-float market value", "ln(volume)"),
        "The 1 keeps an empty bar finite and changes nothing else: amounts are thousands of yuan and more.",
    ),
    _feature(
        "volume_share",
        "fraction",
        "volume of the bar / volume of the day; daily bar: volume / trailing 20 days' mean volume",
        "When in the day the volume came; for the day, whether it was a busy one.",
        ("volume", "daily_bars.volume", "daily_bars.adj_factor"),
        f"NaN where the denominator is 0. {DAILY_BAR}",
        ("turnover: over free-float shares", "over the same bar's mean in the last days"),
        "Of the day's own volume, the daily bar would always be 1.",
        ("minute_bars", "daily_bars"),
        "1 day; the daily bar 20 days",
    ),
    _feature(
        "realized_vol",
        "fraction",
        "sqrt(sum(r_m^2))",
        "Realised volatility of the bar, not annualised.",
        ("open", "close", "volume"),
        f"{STILL} Minute returns that are not finite are left out.",
        (
            "5-minute returns, against bid-ask bounce",
            "range-based (Parkinson 1980)",
            "bipower variation, without jumps",
        ),
        "Minutes are the finest step that every source has, and a 30-minute bar needs that many.",
    ),
    _feature(
        "skew",
        "moment",
        "skew(r_m) = m3 / m2^1.5",
        "Asymmetry of the bar's minute returns.",
        ("open", "close", "volume"),
        "NaN with fewer than 5 returns or flat ones.",
        ("realised skewness about zero (Amaya, Christoffersen, Jacobs and Vasquez 2015)",),
        "The same statistic as late_skew_ret and intraday_skew.",
    ),
    _feature(
        "down_vol_share",
        "fraction",
        "sum(r_m^2 where r_m < 0) / sum(r_m^2)",
        "Share of the bar's variance from falling minutes.",
        ("open", "close", "volume"),
        "NaN where the denominator is 0.",
        ("down over up semivariance",),
        "The same statistic as down_vol_perc, which is this on the daily bar.",
    ),
    _feature(
        "corr_volume_ret",
        "correlation",
        "corr(volume_m, r_m)",
        "Whether volume comes with rising minutes.",
        ("open", "close", "volume"),
        f"{PAIRS} In 30-minute bars 5 pairs are enough.",
        (
            "corr(volume, |r|): volume with movement either way",
            "corr(volume, close), as CPV (Soochow Securities 2020-02-23)",
        ),
        "A return is stationary, a price is not.",
    ),
    _feature(
        "amt_per_trade",
        "ratio",
        "(amount / num_trades of the bar) / (the same of the day); daily bar: over the trailing 20 days' mean",
        "Size of the average trade against the day's, or the day's against the month's.",
        ("amount", "num_trades", "daily_bars.amount", "daily_bars.num_trades"),
        f"NaN where a denominator is 0 or the source has no trade counts. {DAILY_BAR}",
        ("amount per trade in yuan, or its log: a measure of size",),
        "Relative, so that it compares across stocks.",
        ("minute_bars", "daily_bars"),
        "1 day; the daily bar 20 days",
    ),
    _feature(
        "active_buy_share",
        "fraction",
        "buyer-initiated amount / amount of trades with an active side",
        "Aggressive buying as a share of aggressive trading.",
        FLOW,
        "NaN where no trade of the bar has an active side, and where the source has minute bars alone.",
        ("aggressor inferred from ticks (Lee and Ready 1991)", "net active buying over amount"),
        "The same statistic as early_active_buy_perc.",
        ("trades",),
    ),
    _feature(
        "big_net_buy_share",
        "fraction",
        "(amount of trades whose buy order is big - whose sell order is big) / amount of the bar",
        "Big buyers minus big sellers, over what traded.",
        (*ORDERS, "amount"),
        "NaN for a bar without amount, and where the source has minute bars alone. Big as in bigorder_amt_perc, over "
        "the whole day.",
        ("limit from the bar's own orders", "active big orders alone"),
        "The same statistic as open_big_net_buy_share.",
        ("trades", "minute_bars"),
    ),
    _feature(
        "path_efficiency",
        "fraction",
        "|close / open - 1| / sum(|r_m|)",
        "How straight the price went: 1 without a step back.",
        ("open", "close", "volume"),
        "NaN where nothing moved.",
        ("Kaufman's efficiency ratio, the same on price differences",),
        "Returns instead of differences, as everywhere else in the set.",
    ),
    _feature(
        "max_minute_share",
        "fraction",
        "max(volume_m) / volume of the bar",
        "How concentrated the volume is in one minute.",
        ("volume",),
        EMPTY,
        ("sum of squared shares (Herfindahl)", "entropy of the minutes' shares"),
        "The simplest one: it names the minute that matters.",
    ),
)
