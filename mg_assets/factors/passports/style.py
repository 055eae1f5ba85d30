"""Passports of the 5 common (style) factors that results are compared and risk is bounded with.

Source: the names in Huatai 2023-12-08 (series 72), charts 49, 56 and 61; the report gives no formulas.
"""

from mg_assets.factors.passports.daily import ADJUSTED, CLOSE, DAY_OFF, ENDS, TURN, WINDOW
from mg_assets.factors.passports.spec import FactorSpec, columns

SOURCE = "Huatai 2023-12-08 (series 72), charts 49, 56, 61 (names alone)"


def _common(
    name: str,
    units: str,
    formula: str,
    meaning: str,
    inputs: tuple[str, ...],
    lookback: str,
    edges: str,
    rivals: tuple[str, ...],
    why: str,
) -> FactorSpec:
    return FactorSpec(
        name, "common", 0, formula, ("daily_bars",), SOURCE, units, meaning, inputs, lookback,
        f"{DAY_OFF} {edges}", rivals, why,
    )  # fmt: skip


SPECS = (
    _common(
        "reversal",
        "fraction",
        "ret_1m = close_t / close_{t-21} - 1",
        "Return of the last month.",
        CLOSE,
        "22 days",
        f"{ADJUSTED} {ENDS}",
        ("5 or 20 days", "with the sign turned, so that higher is better"),
        "The report correlates with reversal without a window; the month is the series' own in its 42 factors.",
    ),
    _common(
        "cap",
        "log",
        "ln(close * float_shares)",
        "Size: the log of the free-float market value, yuan.",
        columns("daily_bars", "close", "float_shares"),
        "1 day",
        "NaN where the float shares are unknown.",
        ("ln of the total market value (Barra CNE5 LNCAP)", "market value without the log"),
        "Weights of the indices that portfolios are built against are free-float ones.",
    ),
    _common(
        "amount",
        "log",
        "ln(mean(amount) over 21 days)",
        "Liquidity: the log of the month's mean amount a day, yuan.",
        columns("daily_bars", "amount", "volume"),
        "21 days",
        WINDOW,
        ("mean of ln(amount)", "one day's amount"),
        "Robust to a single quiet day, and what a portfolio could trade a day.",
    ),
    _common(
        "turnover",
        "fraction",
        "turn_1m = mean(volume / free-float shares) over 21 days",
        "Turnover of the last month, a day.",
        TURN,
        "21 days",
        WINDOW,
        ("Barra CNE5 liquidity: logs of 1, 3 and 12 months' turnover, blended", "over total shares"),
        "The same as the 42 factors' turn_1m, so that one table explains both.",
    ),
    _common(
        "beta",
        "slope",
        "slope of ret on the market return over 252 days, market weighted by the free-float values of the day before",
        "Sensitivity to the market.",
        (*CLOSE, "daily_bars.float_shares"),
        "253 days",
        f"{ADJUSTED} NaN below 120 common observations or where the market is flat.",
        (
            "Barra CNE5 BETA: excess returns, weights with a half-life of 63 days",
            "with lagged market returns added (Dimson 1979), against stale prices",
            "on an index's return instead of all shares'",
        ),
        "Equal weights and 252 days leave nothing to choose; at least 120 days keep new listings out until they have "
        "half a year.",
    ),
)
