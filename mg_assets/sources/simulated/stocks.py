"""The exchange's stocks: symbols, boards, industries, listing dates and what is fixed about each."""

from dataclasses import dataclass

import numpy as np

from mg_assets.market.calendar import trading_days
from mg_assets.sources.simulated.random_streams import RandomStream, generator
from mg_assets.sources.simulated.settings import SimulationSettings
from mg_portfolio.exchange_rules import CHINEXT, STAR, history

INDUSTRIES = (
    "Electronics",
    "Pharmaceuticals",
    "Machinery",
    "Basic Chemicals",
    "Computers",
    "Power Equipment and New Energy",
    "Automobiles",
    "Utilities and Power",
    "Communications",
    "Light Manufacturing",
    "Construction",
    "Transportation",
    "Media",
    "Real Estate",
    "Nonferrous Metals",
    "Food and Beverages",
    "Defence",
    "Retail and Trade",
    "Textiles and Apparel",
    "Home Appliances",
    "Building Materials",
    "Agriculture",
    "Non-bank Finance",
    "Steel",
    "Consumer Services",
    "Petroleum",
    "Coal",
    "Banks",
    "Conglomerates",
    "Diversified Finance",
)
"""The 30 industries of the usual first-level classification, largest first."""

CHINEXT_OPENS, STAR_OPENS = (history("opens", board)[0][0] for board in (CHINEXT, STAR))
LISTING_SPAN = 2672
"""Trading days after the start over which the later stocks are listed (eleven years)."""

_RANGES = {
    ("main", "SZ"): (0, 2000, 1000, 3000),
    ("chinext", "SZ"): (300000, 301000),
    ("main", "SH"): (600000, 603000, 601000, 605000),
    ("star", "SH"): (688000, 689000),
}


@dataclass(frozen=True)
class Stocks:
    """What never changes of the S stocks, symbols ascending.

    ``list_row`` is the row of the listing day, counted in trading days from the market's start
    (negative: listed before it); prices are in ticks of 0.01 yuan.
    """

    symbols: np.ndarray
    board: np.ndarray
    industry: np.ndarray
    industry_code: np.ndarray
    list_date: np.ndarray
    list_row: np.ndarray
    beta: np.ndarray
    volatility: np.ndarray
    turnover: np.ndarray
    first_ticks: np.ndarray
    float_shares: np.ndarray
    total_shares: np.ndarray
    payer: np.ndarray
    dividend_yield: np.ndarray
    pb: np.ndarray
    roe: np.ndarray
    covered: np.ndarray


def make_stocks(settings: SimulationSettings) -> Stocks:
    """Draw the stocks of a market; depends on seed, stocks, start and the shares, never on ``end``."""
    rng = generator(settings.seed, RandomStream.STOCKS)
    n = settings.stocks
    list_row, list_date = _listing_days(settings, rng)
    board, exchange = _boards(list_date, rng)
    codes = _codes(board, exchange, list_row, rng)
    symbols = np.array([f"{c:06d}.{x}" for c, x in zip(codes, exchange, strict=True)], dtype=object)
    order = np.argsort(symbols.astype(str), kind="stable")
    size = 1.0 / (np.arange(len(INDUSTRIES)) + 5.0)
    code = rng.choice(len(INDUSTRIES), n, p=size / size.sum())
    price = np.clip(np.exp(np.log(16.0) + 0.55 * rng.standard_normal(n)), 4.0, 200.0)
    cap = np.exp(np.log(4.5e9) + 1.0 * rng.standard_normal(n))
    ticks = np.round(price * 100).astype(np.int64)
    float_shares = np.round(cap / ticks)  # a round number of lots: cap / ticks = hundreds of shares
    return Stocks(
        symbols=symbols[order],
        board=board[order],
        industry=np.array(INDUSTRIES, dtype=object)[code],
        industry_code=code,
        list_date=list_date[order],
        list_row=list_row[order],
        beta=np.clip(1.0 + 0.25 * rng.standard_normal(n), 0.3, 1.9),
        volatility=settings.idiosyncratic_vol * np.exp(0.22 * rng.standard_normal(n)),
        turnover=np.exp(np.log(0.011) + 0.55 * rng.standard_normal(n)),
        first_ticks=ticks,
        float_shares=float_shares * 100,
        total_shares=np.round(float_shares * (1.0 + rng.random(n))) * 100,
        payer=rng.random(n) < 0.65,
        dividend_yield=np.exp(np.log(0.013) + 0.5 * rng.standard_normal(n)),
        pb=np.clip(np.exp(np.log(2.6) + 0.55 * rng.standard_normal(n)), 0.5, 20.0),
        roe=0.09 + 0.06 * rng.standard_normal(n),
        covered=rng.random(n) < 0.8,
    )


def _listing_days(settings: SimulationSettings, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    n = settings.stocks
    known = max(1, round(n * settings.listed_at_start))
    days = trading_days(settings.start)
    start = np.datetime64(settings.start, "D")
    oldest = np.datetime64("1993-01-04", "D")
    age = (rng.random(known) ** 1.6 * ((start - oldest).astype(int) - 150)).astype(int) + 150
    before = start - age.astype("timedelta64[D]")
    later = np.sort(
        ((np.arange(n - known) + rng.random(n - known)) / max(n - known, 1) * (LISTING_SPAN - 2)).astype(int)
    )
    row = np.concatenate([-age * 243 // 365 - 1, later + 1])
    beyond = np.maximum(row[known:] - len(days) + 1, 0)  # past the known calendar: only the order matters
    after = days[np.minimum(row[known:], len(days) - 1)] + (beyond * 3 // 2).astype("timedelta64[D]")
    return row, np.concatenate([before, after])


def _boards(list_date: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    u = rng.random(len(list_date))
    star = (list_date >= STAR_OPENS) & (u < 0.3)
    chinext = (list_date >= CHINEXT_OPENS) & (u > 0.55)
    board = np.select([star, chinext], ["star", "chinext"], "main").astype(object)
    shanghai = star | ((rng.random(len(u)) < 0.5) & ~chinext)
    return board, np.where(shanghai, "SH", "SZ").astype(object)


def _codes(board: np.ndarray, exchange: np.ndarray, list_row: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Numbers of the stocks: ascending by listing day inside each board, with gaps."""
    codes = np.empty(len(board), np.int64)
    for (name, place), bases in _RANGES.items():
        at = np.flatnonzero((board == name) & (exchange == place))
        at = at[np.argsort(list_row[at], kind="stable")]
        pool = np.concatenate([b + np.arange(1, 1000) for b in bases])
        wide = pool[: max(2 * 999, len(at))] if len(bases) > 2 else pool[: max(999, len(at))]
        codes[at] = wide[np.sort(rng.choice(len(wide), len(at), replace=False))]
    return codes
