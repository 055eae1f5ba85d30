"""Stocks of a user's score table that the source does not know."""

import datetime as dt

import numpy as np

from mg_assets.cli.coverage import SAMPLED
from mg_assets.errors import MgError
from mg_assets.modelling.score_tables import ScoreTable
from mg_assets.sources.base import Source

TABLES = ("reference", "daily_bars", "minute_bars")
NAMED = 5


def unknown_stocks(scores: ScoreTable, source: Source) -> list[str]:
    """Stocks with a score that the source has neither on their last day with one nor on some days of the table.

    Parameters
    ----------
    scores : ScoreTable
    source : Source
        Days that it does not have are not looked at.

    Returns
    -------
    list of str
        Ascending.
    """
    last: dict[str, str] = {}
    days = [day for day in scores.days if _table(source, day) is not None]
    for day in days:
        last.update(dict.fromkeys(scores.days[day]["symbol"], day))
    for at in np.unique(np.linspace(0, len(days) - 1, min(SAMPLED, len(days))).round().astype(int)):
        last = _without(last, source, days[at])
    for day in sorted(set(last.values())):
        last = _without(last, source, day)
    return sorted(last)


def named(stocks: list[str]) -> str:
    """The first of the stocks."""
    return ", ".join(stocks[:NAMED]) + (", ..." if len(stocks) > NAMED else "")


def stocks_of(scores: ScoreTable) -> set[str]:
    """Every stock with a score."""
    return {stock for frame in scores.days.values() for stock in frame["symbol"]}


def _table(source: Source, day: str) -> str | None:
    """The table that says which stocks there are on a day."""
    return next((t for t in TABLES if source.has(t, dt.date.fromisoformat(day))), None)


def _without(stocks: dict[str, str], source: Source, day: str) -> dict[str, str]:
    """The stocks that the source does not have on a day; all of them where the day cannot be read, which a run says."""
    table = _table(source, day)
    if table is None or not stocks:
        return stocks
    try:
        here = set(source.load(table, dt.date.fromisoformat(day)).frame["symbol"])
    except MgError:
        return stocks
    return {stock: last for stock, last in stocks.items() if stock not in here}
