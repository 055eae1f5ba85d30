"""Passports of the 42 daily price-volume and fundamental factors. Source: Huatai 2023-08-22 (series 69), chart 9.

The source names a formula for each and no direction: a model weighs them.
"""

from mg_assets.factors.passports.spec import FactorSpec, columns

SOURCE = "Huatai 2023-08-22 (series 69), chart 9"
ADJUSTED = "All prices are adjusted for splits and dividends; windows are trading days."
WINDOW = "Days without trades are left out of the window; NaN below 60% finite observations."
NOT_GIVEN = "NaN where the source has no such column."
DAY_OFF = "NaN on a day without trades."
ENDS = "NaN where fewer than 60% of the days between have a return."
CLOSE = columns("daily_bars", "close", "adj_factor")
VOLUME = columns("daily_bars", "volume", "adj_factor")
TURN = columns("daily_bars", "volume", "float_shares")
OHLC = columns("daily_bars", "open", "high", "low", "close")
POPULATION = "sample standard deviation (n - 1): larger by one and the same factor for full windows"


def _daily(
    name: str,
    units: str,
    formula: str,
    meaning: str,
    inputs: tuple[str, ...],
    lookback: str,
    edges: str,
    rivals: tuple[str, ...],
    why: str,
    needs: tuple[str, ...] = ("daily_bars",),
) -> FactorSpec:
    return FactorSpec(
        name, "daily", 0, formula, needs, SOURCE, units, meaning, inputs, lookback, f"{DAY_OFF} {edges}", rivals, why
    )  # fmt: skip


def _valuation(
    name: str,
    formula: str,
    column: str,
    meaning: str,
    edges: str,
    rivals: tuple[str, ...],
    why: str,
    lookback: str = "1 day",
) -> FactorSpec:
    return _daily(
        name, "fraction", formula, meaning, columns("reference", column), lookback, f"{NOT_GIVEN} {edges}", rivals, why,
        ("daily_bars", "reference"),
    )  # fmt: skip


def _growth(name: str, column: str, what: str) -> FactorSpec:
    split = " Adjusted for splits, as a price is." if what == "earnings a share" else ""
    return _daily(
        name,
        "fraction",
        f"(x_t - x_{{t-63}}) / |x_{{t-63}}|; x = reference.{column}",
        f"Change of the consensus forecast of {what} over a quarter of trading days.",
        columns("reference", column),
        "64 days",
        f"{NOT_GIVEN} NaN where the forecast 63 days ago is 0 or absent.{split}",
        (
            "denominator with its sign: the growth then turns its sign where forecasts are losses",
            "share of analysts that revised up minus down",
            "a blend of FY1 and FY2 at a constant 12 months ahead: no jump when the fiscal year rolls",
        ),
        "The source says 63-day growth of FY1; the absolute value keeps better forecasts positive for loss makers.",
        ("daily_bars", "reference"),
    )


def _corr(first: str, second: str) -> FactorSpec:
    words = {"ret": "return", "vol": "volume", "turn": "turnover", "vwap": "average price"}
    inputs = {
        "ret": CLOSE,
        "vol": VOLUME,
        "turn": TURN,
        **{p: columns("daily_bars", p, "adj_factor") for p in ("close", "open", "high", "low", "vwap")},
    }
    price = second not in ("vol", "turn")
    rivals = (
        "rank correlation",
        *(("raw prices: an ex-rights day then looks like a move",) if price else ()),
        *(
            ("Qlib's Alpha158 CORR10: corr(close, ln(volume + 1)) over 10 days",)
            if {first, second} == {"vol", "close"}
            else ()
        ),
        *(
            ("Qlib's Alpha158 CORD10: corr(close_t / close_{t-1}, ln(volume_t / volume_{t-1} + 1)) over 10 days",)
            if {first, second} == {"ret", "vol"}
            else ()
        ),
    )
    return _daily(
        f"corr_{first}_{second}",
        "correlation",
        f"corr({first}, {second}) over the last 10 days",
        f"Whether {words[first]} and {words.get(second, second + ' price')} move together over two weeks.",
        tuple(dict.fromkeys((*inputs[first], *inputs[second]))),
        "11 days" if first == "ret" else "10 days",
        f"{ADJUSTED} NaN with fewer than 6 pairs or a flat side; clamped to [-1, 1].",
        rivals,
        "The source says correlation of the two over 10 days; Pearson on adjusted levels is the plain reading.",
    )


def _bar(name: str, formula: str, meaning: str, qlib: str, flat: bool = False) -> FactorSpec:
    """A shape of the day's bar that Qlib's Alpha158 has too."""
    but = ", the same but for 1e-12 in the denominator" if flat else ", the same"
    return _daily(
        name,
        "fraction",
        formula,
        meaning,
        OHLC,
        "1 day",
        f"{'0 where high = low. ' if flat else ''}Raw prices: the adjustment cancels.",
        (f"Qlib's Alpha158 {name.upper()}: {qlib}{but}",),
        "As the source prints it"
        + ("; a bar without height has no body and no shadow, so 0 and not 0/0." if flat else "."),
    )


SPECS = (
    _valuation(
        "bp_lf",
        "1 / pb",
        "pb",
        "Book value over market value.",
        "Negative where the book value is.",
        ("book value of the last annual report alone", "book value without goodwill or intangible assets"),
        "lf is the latest report filed; pb comes from the source, so its book value is the source's.",
    ),
    _valuation(
        "ep_ttm",
        "1 / pe_ttm",
        "pe_ttm",
        "Earnings of the last four quarters over market value.",
        "Negative for loss makers; NaN where pe_ttm is 0.",
        (
            "earnings without one-off items",
            "forecast earnings (FY1)",
            "loss makers set to null, as many vendors' PE is",
        ),
        "1/PE is continuous through zero earnings, PE is not.",
    ),
    _valuation(
        "ocfp_ttm",
        "1 / pcf_ttm",
        "pcf_ttm",
        "Net operating cash flow of the last four quarters over market value.",
        "Negative where the cash flow is; NaN where pcf_ttm is 0.",
        ("free cash flow, after investment", "change of cash, which some vendors' PCF uses"),
        "The source prints 1 / net operating cash flow (TTM); the ratio to market value is meant, as in its "
        "neighbours.",
    ),
    _valuation(
        "dyr12",
        "dividend_yield_12m",
        "dividend_yield_12m",
        "Cash dividends of the last 252 trading days over the price.",
        "0 for a stock that paid none, where the source says so.",
        ("dividends of the last fiscal year", "proposed dividends included before the ex-date", "after tax"),
        "The source says 252 days, so what went ex in the last year and nothing announced.",
        "252 days",
    ),
    _growth("con_eps_g", "eps_fy1", "earnings a share"),
    _growth("con_roe_g", "roe_fy1", "return on equity"),
    _growth("con_np_g", "np_fy1", "net profit"),
    _daily(
        "ret_5d",
        "fraction",
        "close_t / close_{t-5} - 1",
        "Return of the last week.",
        CLOSE,
        "6 days",
        f"{ADJUSTED} {ENDS}",
        ("sum of log returns", "the return without the last day, against bid-ask bounce"),
        "The source says the window's return.",
    ),
    _daily(
        "ret_1m",
        "fraction",
        "close_t / close_{t-21} - 1",
        "Return of the last month.",
        CLOSE,
        "22 days",
        f"{ADJUSTED} {ENDS}",
        ("20 days, or the calendar month", "sum of log returns", "the monitor's day part alone: improved_reversal"),
        "The source says 21 days.",
    ),
    _daily(
        "exp_wgt_return_3m",
        "fraction",
        "sum(ret * turn * exp(-age / 3 / 4)) / sum(turn * exp(-age / 3 / 4)) over 63 days, age 0 = today",
        "Return of the last quarter, weighted by turnover and by how recent it is.",
        (*CLOSE, *TURN),
        "64 days",
        f"{ADJUSTED} {WINDOW} NaN where the weights sum to 0.",
        (
            "exp(-age / 63 / 4), N in days and not in months: a half-life of 175 days and not of 8, so hardly a decay",
            "the arithmetic mean of ret * turn * decay, not divided by the weights: large for whatever trades much",
            "turnover weights without decay: wgt_return_3m",
        ),
        "The source gives the window and the kind of weight alone; exp(-age / N / 4) with N = 3 months is that of "
        "Huatai's multi-factor series. Divided by the weights it is a return and compares across stocks.",
    ),
    _daily(
        "std_1m",
        "fraction",
        "std(ret) over 21 days",
        "Volatility of the last month, a day.",
        CLOSE,
        "22 days",
        f"{ADJUSTED} {WINDOW}",
        (
            POPULATION,
            "annualised",
            "realised volatility from minute returns: realized_vol",
            "range-based (Parkinson 1980)",
        ),
        "The source says standard deviation of the daily return over 21 days.",
    ),
    _daily(
        "vstd_1m",
        "shares",
        "std(volume) over 21 days, volumes in shares of the day itself",
        "How much the last month's volume moved.",
        VOLUME,
        "21 days",
        f"{WINDOW} Volumes before a split are scaled to today's shares.",
        (POPULATION, "divided by the mean volume: compares across stocks of any size", "std of ln(volume)"),
        "The source prints the standard deviation of volume over 21 days, and no division by the mean.",
    ),
    _daily(
        "ivr_ff3factor_1m",
        "fraction",
        "std(e) over 21 days, ret = a + b_m * market + b_s * size + b_v * bp + e",
        "Volatility of the last month that market, size and value do not explain.",
        (*CLOSE, "daily_bars.float_shares", "reference.pb"),
        "22 days",
        f"{ADJUSTED} {WINDOW} A factor return that the others explain is passed by. NaN where the source has no pb.",
        (
            "residuals of the Fama-French factors within the calendar month (Ang, Hodrick, Xing and Zhang 2006)",
            "1 - R^2 of the same regression, the share that is not explained",
            "size and value from portfolios sorted by both (Fama and French 1993)",
        ),
        "The source regresses on an all-share index, size and BP returns: market = all shares, size = at or below "
        "minus "
        "above the median value, bp = upper minus lower 30%, weighted by the free-float values of the day before.",
        ("daily_bars", "reference"),
    ),
    _daily(
        "turn_1m",
        "fraction",
        "mean(turn) over 21 days, turn = volume / free-float shares",
        "Turnover of the last month, a day.",
        TURN,
        "21 days",
        WINDOW,
        ("volume over total or over tradable shares", "Barra CNE5 STOM: ln of the 21 days' sum"),
        "What is not free to trade cannot turn over.",
    ),
    _daily(
        "std_turn_1m",
        "fraction",
        "std(turn) over 21 days",
        "How uneven the last month's turnover was.",
        TURN,
        "21 days",
        WINDOW,
        (POPULATION, "divided by the mean"),
        "The source says standard deviation of turnover, which compares across stocks.",
    ),
    _daily(
        "bias_turn_1m",
        "ratio",
        "mean(turn, 21 days) / mean(turn, 504 days)",
        "The last month's turnover against two years'.",
        TURN,
        "504 days",
        f"{WINDOW} NaN where the long mean is 0.",
        (
            "minus 1, as in Huatai's earlier turnover report: the same order of stocks",
            "240 or 480 days for the long mean",
        ),
        "The source prints the ratio and 504 days.",
    ),
    _daily(
        "std_ret_10d",
        "fraction",
        "std(ret) over 10 days",
        "Volatility of the last two weeks, a day.",
        CLOSE,
        "11 days",
        f"{ADJUSTED} {WINDOW}",
        (POPULATION, "annualised"),
        "As the source prints it.",
    ),
    _daily(
        "std_vol_10d",
        "shares",
        "std(volume) over 10 days",
        "How uneven the last two weeks' volume was, in shares.",
        VOLUME,
        "10 days",
        f"{WINDOW} Volume is adjusted for splits to the shares of the day.",
        (
            POPULATION,
            "divided by the mean: compares across stocks of any size",
            "Qlib's Alpha158 VSTD10: std of volume over today's volume",
        ),
        "As the source prints it; it measures size too, which models that see the other factors can take out.",
    ),
    _daily(
        "std_turn_10d",
        "fraction",
        "std(turn) over 10 days",
        "How uneven the last two weeks' turnover was.",
        TURN,
        "10 days",
        WINDOW,
        (POPULATION, "divided by the mean"),
        "As the source prints it.",
    ),
    *(_corr("ret", x) for x in ("close", "open", "high", "low", "vwap", "vol", "turn")),
    *(_corr("vol", x) for x in ("close", "open", "high", "low", "vwap")),
    _daily(
        "low2high",
        "ratio",
        "low / high",
        "How narrow the day's range was: 1 for none.",
        columns("daily_bars", "low", "high"),
        "1 day",
        "Raw prices: the adjustment cancels.",
        ("high / low - 1", "(high - low) / previous close, the exchanges' amplitude"),
        "As the source prints it.",
    ),
    _daily(
        "vwap2close",
        "ratio",
        "vwap / close",
        "Whether the day's average price lies above the close.",
        columns("daily_bars", "vwap", "close"),
        "1 day",
        "Raw prices: the adjustment cancels. NaN where the source has neither a vwap nor an amount.",
        ("the typical price (high + low + close) / 3 for vwap", "close / vwap - 1, as vwap_dev"),
        "As the source prints it.",
    ),
    _bar("kmid", "(close - open) / open", "Body of the day's bar.", "($close-$open)/$open"),
    _bar("klen", "(high - low) / open", "Height of the day's bar.", "($high-$low)/$open"),
    _bar(
        "kmid2",
        "(close - open) / (high - low)",
        "Body as a share of the bar.",
        "($close-$open)/($high-$low+1e-12)",
        True,
    ),
    _bar("kup", "(high - max(open, close)) / open", "Upper shadow.", "($high-Greater($open,$close))/$open"),
    _bar(
        "kup2",
        "(high - max(open, close)) / (high - low)",
        "Upper shadow as a share of the bar.",
        "($high-Greater($open,$close))/($high-$low+1e-12)",
        True,
    ),
    _bar("klow", "(min(open, close) - low) / open", "Lower shadow.", "(Less($open,$close)-$low)/$open"),
    _bar(
        "klow2",
        "(min(open, close) - low) / (high - low)",
        "Lower shadow as a share of the bar.",
        "(Less($open,$close)-$low)/($high-$low+1e-12)",
        True,
    ),
    _bar("ksft", "(2 * close - high - low) / open", "Where the close lies in the bar.", "(2*$close-$high-$low)/$open"),
    _bar(
        "ksft2",
        "(2 * close - high - low) / (high - low)",
        "Where the close lies in the bar, -1 at the low, 1 at the high.",
        "(2*$close-$high-$low)/($high-$low+1e-12)",
        True,
    ),
)
