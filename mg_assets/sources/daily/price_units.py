"""Whether a file's prices are raw, and each column is in the unit that its mapping states.

Checked on some rows of each file. Amount over volume is the average price, which lies between low and high whatever
the stock and the day; prices that were adjusted leave it, and so does a column in another unit.
"""

import numpy as np

from mg_assets.errors import DataError
from mg_assets.market.calendar import trading_days
from mg_assets.sources.daily.mapped_table import MappedTable
from mg_assets.sources.daily.mapping import VOLUME_STEP, TableMapping
from mg_assets.sources.io.price_level import SAMPLED, are_yuan_and_shares, unit_of_prices

MOST_OUTSIDE = 0.5
"""Share of rows whose average price may lie outside low and high, for reasons of the rows' own."""
SLACK = 0.002
POWER_SLACK = 0.2  # of a decimal power: a day's average price is within a third of its close
STOCKS_MEASURED, FEWEST_GAPS = 50, 8
BARS_OF_AN_HOUR = 4  # a day; fewer rows of a stock and day are copies
WEEK, MONTH = 4, 10  # trading days: weeks with a holiday have 4
DAYS = 1_000_000  # more than there are since 1970
OHLC = ("open", "high", "low", "close")
MONEY = ("close", "volume", "amount")
UNADJUSTED = "export them without adjustment (akshare adjust='', JoinQuant fq=None, baostock adjustflag='3')"


def check_prices(table: MappedTable, mapping: TableMapping) -> MappedTable:
    """Check a file of daily or minute bars.

    Parameters
    ----------
    table : MappedTable
    mapping : TableMapping

    Returns
    -------
    MappedTable
        ``table``.

    Raises
    ------
    DataError
        Prices are adjusted, a column is in another unit, dates are a day early, or bars are not of a day.
    """
    n = table.numbers
    with np.errstate(invalid="ignore"):
        traded = (n["volume"] > 0) & (table.symbol >= 0)
        orderly = (n["low"] <= n["close"]) & (n["close"] <= n["high"])
    _refuse_negative(table, mapping, traded & orderly)
    if "time" not in table.text and "date" in mapping.columns:
        _refuse_early_dates(table, mapping, traded)
        _refuse_longer_bars(table, traded)
        _refuse_shorter_bars(table, traded)
    at = np.flatnonzero(traded & orderly & (n["low"] > 0) & np.isfinite(n["high"]))
    at = at[:: max(len(at) // SAMPLED, 1)]
    if len(at):
        _check_level(table, mapping, at)
        if "amount" in n:
            _check_amount(table, mapping, at)
    return table


def _refuse_negative(table: MappedTable, mapping: TableMapping, bars: np.ndarray) -> None:
    """A bar with trades and negative prices was adjusted forwards."""
    low = table.numbers["low"]
    at = np.flatnonzero(bars & (low < 0) & (table.numbers["high"] > low))
    if len(at):
        row = int(at[0])
        column = next(c for c in OHLC if table.numbers[c][row] < 0)
        raise DataError(
            f"{table.paths[0]}: prices must be unadjusted, but {_where(table, row)} has {table.numbers[column][row]:g} "
            f"in column {mapping.named(column)!r} ({len(at)} such rows); {UNADJUSTED}"
        )


def _refuse_early_dates(table: MappedTable, mapping: TableMapping, traded: np.ndarray) -> None:
    """Dates that a time zone made a day early: some are Sundays, and all are the days before trading days."""
    sessions = trading_days()
    days = np.unique(table.date[traded])
    days = days[(days >= sessions[0]) & (days < sessions[-1])]
    closed = np.setdiff1d(days, sessions)
    if len(closed) and np.isin(days + 1, sessions).all():
        raise DataError(
            f"{table.paths[0]}: the dates in column {mapping.named('date')!r} are a day early: {closed[0]}, a "
            f"{closed[0].item():%A}, has trades, and each of the {len(days)} is the day before a trading day; write "
            "Shanghai's dates, or stamps with their time zone"
        )


def _refuse_longer_bars(table: MappedTable, traded: np.ndarray) -> None:
    """Bars of a week or a month have the columns of daily ones, and their dates lie further apart."""
    at = np.flatnonzero(traded & (table.symbol < STOCKS_MEASURED))
    at = at[np.lexsort((table.date[at], table.symbol[at]))]
    gap = np.diff(np.searchsorted(trading_days(), table.date[at]))
    gap = gap[(np.diff(table.symbol[at]) == 0) & (gap > 0)]
    middle = int(np.median(gap)) if len(gap) >= FEWEST_GAPS else 1
    if middle >= WEEK:
        kind, stock = "weekly" if middle < MONTH else "monthly", table.axis[table.symbol[at[0]]]
        raise DataError(
            f"{table.paths[0]}: these are {kind} bars, no daily ones: the dates of {stock} and others lie {middle} "
            "trading days apart; export daily bars (weekly and monthly ones are made of them)"
        )


def _refuse_shorter_bars(table: MappedTable, traded: np.ndarray) -> None:
    """Bars of minutes or an hour have the columns of daily ones, and several rows a stock and day."""
    at = np.flatnonzero(traded & (table.symbol < STOCKS_MEASURED) & ~np.isnat(table.date))
    stock_day = table.symbol[at].astype(np.int64) * DAYS + table.date[at].astype("datetime64[D]").astype(np.int64)
    _, first, size = np.unique(stock_day, return_index=True, return_counts=True)
    if len(size) and np.median(size) >= BARS_OF_AN_HOUR:
        raise DataError(
            f"{table.paths[0]}: these are bars of less than a day, no daily ones: {_where(table, int(at[first[0]]))} "
            f"has {size[0]} rows; export daily bars, or ingest them as minute bars"
        )


def _check_level(table: MappedTable, mapping: TableMapping, at: np.ndarray) -> None:
    close, volume, amount = (table.numbers[c][at] if c in table.numbers else np.empty(0) for c in MONEY)
    found = unit_of_prices(close, len(amount) > 0 and are_yuan_and_shares(amount, volume, close))
    if found is None:
        return
    level, guess = found
    unit = guess * mapping.units.get("close", mapping.units.get("price", 1.0))
    remedy = f"set units.price {unit:g} (mg ingest --price-unit {unit:g})" if guess == guess else UNADJUSTED
    raise DataError(
        f"{table.paths[0]}: column {mapping.named('close')!r} is {level:,.0f} in the middle, which no A share has cost "
        f"in yuan: prices must be unadjusted, in yuan; {remedy}"
    )


def _check_amount(table: MappedTable, mapping: TableMapping, at: np.ndarray) -> None:
    """Average prices between low and high, or what contradicts it."""
    n = table.numbers
    step = max(float(mapping.options.get(VOLUME_STEP, 1)), mapping.units.get("volume", 1.0))
    volume, amount, low, high, close = (n[c][at] for c in ("volume", "amount", "low", "high", "close"))
    known = (amount > 0) & np.isfinite(amount) & np.isfinite(volume) & (volume >= 20 * step)
    if not known.any():
        return
    volume, amount, low, high, close, at = (v[known] for v in (volume, amount, low, high, close, at))
    average = amount / volume
    slack = SLACK * close + high * step / volume + 0.01
    outside = (average < low - slack) | (average > high + slack)
    if outside.mean() <= MOST_OUTSIDE:
        return
    ratio = float(np.median(average / close))
    row = int(at[np.argmax(outside)])
    power = round(float(np.log10(ratio)))
    names = [mapping.named(c) for c in ("amount", "volume", "close")]
    head = (
        f"{table.paths[0]}: {names[0]!r} over {names[1]!r} is {ratio:.4g} times {names[2]!r} in the middle, first at "
        f"{_where(table, row)}"
    )
    if power == 0 or abs(np.log10(ratio) - power) > POWER_SLACK:
        raise DataError(f"{head}: prices must be unadjusted; {UNADJUSTED}, or correct the units of the mapping")
    raise DataError(f"{head}: a unit is wrong; {_unit_remedy(mapping, power, float(np.median(close)))}")


def _unit_remedy(mapping: TableMapping, power: int, level: float) -> str:
    """Which unit explains that the average price is ``10**power`` closes."""
    volume, amount = (mapping.units.get(c, 1.0) for c in ("volume", "amount"))
    if power in (2, -2):
        right = volume * 10.0**power
        what = "lots" if right == 100 else "shares" if right == 1 else f"units of {right:g} shares"
        return f"volumes look like {what}: set units.volume {right:g} (mg ingest --volume-unit {right:g})"
    right = amount / 10.0**power
    text = f"set units.amount {right:g} (mg ingest --amount-unit {right:g})"
    if power < 0 and level * 10.0**power > 0.5:
        text += f", or units.price {10.0**power:g} (mg ingest --price-unit {10.0**power:g})"
    return text


def _where(table: MappedTable, row: int) -> str:
    """Stock and day of a row."""
    stamp = table.text["time"][row] if np.isnat(table.date[row]) and "time" in table.text else table.date[row]
    return f"{table.axis[table.symbol[row]]} on {stamp}"
