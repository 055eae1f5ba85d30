"""Passports of the 15 minute-bar factors. Source: Huatai 2023-12-08 (series 72), chart 6."""

from mg_assets.factors.passports.spec import (
    EMPTY_BARS,
    MOMENT,
    PAIRS,
    SESSION_PAIRS,
    SUSPENDED,
    ZERO,
    FactorSpec,
    columns,
)

SOURCE = "Huatai 2023-12-08 (series 72), chart 6"
RETURNS = columns("minute_bars", "open", "close", "volume")
REALISED_SKEW = (
    "realised skewness of Amaya, Christoffersen, Jacobs and Vasquez (2015): sqrt(N) * sum(r^3) / sum(r^2)^1.5, about "
    "zero instead of the mean"
)


def _minute(
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
        name, "minute", direction, formula, ("minute_bars",), SOURCE, units, meaning, inputs, "1 day",
        f"{SUSPENDED} {edges}", rivals, why,
    )  # fmt: skip


def _volume_share(k: int) -> FactorSpec:
    start = ("10:00", "10:30", "11:00", "13:00", "13:30", "14:00")[k - 2]
    end = ("10:30", "11:00", "11:30", "13:30", "14:00", "14:30")[k - 2]
    return _minute(
        f"volume_perc{k}",
        +1,
        "fraction",
        f"sum(volume_m, m = {30 * (k - 1)}..{30 * k - 1}) / sum(volume_m, m = 0..239)",
        f"Share of the day's volume that trades from {start} to {end}.",
        columns("minute_bars", "volume"),
        "The auctions' volume is part of the day's (bars 0 and 239); after-hours volume is not.",
        (
            "share of the amount instead of the volume: the same up to the drift of the price within the day",
            "denominator without the auctions, or with the after-hours fixed-price trades of STAR and ChiNext",
        ),
        "The report says volume of the half-hour over volume of the day; the bars hold what both auctions and the "
        "continuous session trade.",
    )


SPECS = (
    _minute(
        "late_skew_ret",
        -1,
        "moment",
        "skew(r_m, m = 210..239) = m3 / m2^1.5",
        "Asymmetry of the last half-hour's minute returns.",
        RETURNS,
        f"{MOMENT} {EMPTY_BARS}",
        (REALISED_SKEW, "sample skewness with the small-sample factor sqrt(n(n-1)) / (n-2)"),
        "The report names the skew alone; the biased g1 about the mean has no free choice, and with a fixed count of "
        "30 "
        "bars the small-sample factor would not change any ranking.",
    ),
    _minute(
        "down_vol_perc",
        +1,
        "fraction",
        "sum(r_m^2 where r_m < 0) / sum(r_m^2), m = 0..239",
        "Share of the realised variance that comes from falling minutes.",
        RETURNS,
        f"{ZERO} Returns that are not finite are left out; the night is never in a return.",
        (
            "ratio of the square roots, sqrt(sum(r^2 where r < 0)) / sqrt(sum(r^2)): the same order of stocks on one "
            "day, "
            "not after a 20-day mean",
            "up minus down over total, the signed jump variation of Patton and Sheppard (2015) over the variance: "
            "1 - 2 * this factor",
            "down over up semivariance (semivariances: Barndorff-Nielsen, Kinnebrock and Shephard 2010)",
        ),
        "A share of variances adds up over minutes and stays in 0..1; the monitor's downside volatility share is this "
        "one under another name.",
    ),
    _minute(
        "corr_ret_lastret",
        -1,
        "correlation",
        "corr(r_m, r_{m-1}), m = 1..239",
        "First autocorrelation of minute returns: bid-ask bounce against drift.",
        RETURNS,
        f"{PAIRS} {EMPTY_BARS}",
        (
            "the time-series autocorrelation with one common mean and variance for both sides",
            "correlation over bars with trades alone",
        ),
        "The report says correlation of two consecutive minutes' returns, so each side has its own mean; a bar without "
        "trades is a minute in which the price did not move.",
    ),
    _minute(
        "corr_close_nextopen",
        +1,
        "correlation",
        "corr(close_m, open_{m+1}), m = 0..238",
        "How closely a minute opens where the minute before closed: near 1 for continuous trading.",
        columns("minute_bars", "open", "close", "volume"),
        f"{PAIRS} {EMPTY_BARS}",
        ("correlation of the gaps open_{m+1} - close_m with the returns", "over bars with trades alone"),
        "The report's definition taken as it reads, on price levels; empty bars carry the last close on both sides.",
    ),
    *(_volume_share(k) for k in range(2, 8)),
    _minute(
        "corr_volume_item",
        -1,
        "correlation",
        "corr(volume_m, num_trades_m), m = 0..239",
        "Whether volume comes with the number of trades or with their size.",
        columns("minute_bars", "volume", "num_trades"),
        f"{PAIRS} Empty bars count as the pair (0, 0). NaN where the source has no trade counts.",
        ("rank correlation", "correlation over bars with trades alone", "with the auctions' bars left out"),
        "The report says correlation of volume and number of trades over the day, so all 240 bars and Pearson.",
    ),
    _minute(
        "early_corr_volume_ret",
        +1,
        "correlation",
        "corr(volume_m, r_m), m = 0..29",
        "Whether the first half-hour's volume comes with rising prices.",
        RETURNS,
        f"{SESSION_PAIRS} The opening auction is part of bar 0.",
        (
            "morning session 09:30-11:30 for early",
            "price level instead of return, over the whole day, averaged over 20 days: the price-volume correlation "
            "factor CPV (Soochow Securities 2020-02-23)",
        ),
        "The reports' other early factors are of the half-hour after the open; a return is stationary, a price is not.",
    ),
    _minute(
        "bigorder_ret",
        -1,
        "fraction",
        "prod(1 + r_m) - 1 over the (3n + 9) // 10 bars with the largest amount_m / num_trades_m of the n bars with "
        "trades",
        "Return of the minutes in which the average trade was largest.",
        columns("minute_bars", "open", "close", "volume", "amount", "num_trades"),
        "Amounts are compared in whole cents, ties go to the earlier bar. A bar without a finite return keeps its rank "
        "and counts as 1. NaN where a bar with trades lacks its amount or its number of trades.",
        (
            "largest 30% of bars by amount, where a source has no trade counts: another set of bars",
            "parent orders instead of bars: bigorder_ret2",
            "sum of log returns instead of the compounded return",
        ),
        "Haitong's series states the top 30% of minutes by amount per trade and the compounded return; the count is "
        "rounded up so that a day with few bars has at least one.",
    ),
    _minute(
        "down_single_amt_perc",
        +1,
        "ratio",
        "(sum(amount_m) / sum(num_trades_m) over r_m < 0) / (sum(amount_m) / sum(num_trades_m) over the day)",
        "Size of the average trade in falling minutes, relative to the day's.",
        columns("minute_bars", "open", "close", "volume", "amount", "num_trades"),
        f"{ZERO} NaN without a falling minute, and where a bar with trades lacks its amount or its number of trades.",
        (
            "mean over bars of amount per trade instead of the ratio of sums",
            "amount per bar instead of per trade, where a source has no trade counts",
            "share of the amount that trades in falling minutes",
        ),
        "The ratio of sums is the average over trades, which the name says; the monitor's average single outflow share "
        "is the same factor.",
    ),
    _minute(
        "corr_volume_amplitude",
        -1,
        "correlation",
        "corr(volume_m, high_m / low_m - 1), m = 0..239",
        "Whether volume comes with wide bars.",
        columns("minute_bars", "high", "low", "close", "volume"),
        f"{PAIRS} An empty bar has amplitude 0, NaN before the first trade without a previous close.",
        ("amplitude over the open or over the previous close: (high - low) / close_{m-1}", "|close / open - 1|"),
        "The report says amplitude; high / low - 1 needs no other bar and is 0 exactly where the price stood still.",
    ),
)
