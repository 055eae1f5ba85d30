"""Which minute bar each row of one file is, as the file itself shows.

1. The spacing of each stock-day's bars is measured: a file of 5-, 15-, 30- or 60-minute bars is refused.
2. The labels are measured: a file of starts (13:00 and no 11:30 or 15:00) is read as one where its mapping says ends,
   and the other way round; rows without a clear convention keep the mapping's.
3. Nothing trades from 11:30 to 13:00 and from 15:00 to 15:05: a bar labelled a minute into a break holds the last
   trades before it. Where a file of ends has no 11:30, its 13:00 is that bar.
"""

from dataclasses import replace

import numpy as np

from mg_assets.errors import DataError
from mg_assets.sources.daily.mapped_table import MappedTable
from mg_assets.sources.daily.mapping import TableMapping
from mg_assets.sources.io.dates import to_date
from mg_assets.sources.io.times import UNREADABLE, day_number, days_and_milliseconds

BARS = 240
OUTSIDE, AFTER_HOURS, QUIET, OTHER_DAY, COARSE = -1, -2, -3, -4, -5
MORNING, NOON, AFTERNOON, CLOSE = 9 * 60 + 30, 11 * 60 + 30, 13 * 60, 15 * 60
AUCTION, BEFORE_LAST = 9 * 60 + 15, 14 * 60 + 56
FEW = 0.02
"""Share of stock-days at which a label counts as none."""
HOUR = 60
DAYS_OF_LONG_BARS = 3  # two bars a day may be a stock that hardly traded


def place_bars(table: MappedTable, mapping: TableMapping) -> MappedTable:
    """One file's rows with the day and the bar of each.

    Parameters
    ----------
    table : MappedTable
    mapping : TableMapping
        Its option ``label`` says whether times are the minutes' ``end`` or ``start``.

    Returns
    -------
    MappedTable
        ``placed`` has ``day`` (int64, 20230201; 0 where the time has no date), ``bar`` (int16, 0..239, ``OUTSIDE``,
        ``AFTER_HOURS``, ``QUIET``: a row of the break without volume, ``COARSE``: of a stock-day of longer bars) and
        ``part`` (int8, -1 opening auction's row, 0 the bar's own, +1 a row after its close).

    Raises
    ------
    DataError
        No time can be read, or these are no 1-minute bars.
    """
    day, clock = days_and_milliseconds(table.text["time"])
    if len(clock) and np.all(clock == UNREADABLE):
        raise DataError(
            f"{table.paths[0]}: no value of column {mapping.named('time')!r} is a time of the day, the first is "
            f"{str(table.text['time'][0])!r}; write times as 2023-02-01 09:31:00, 93100000 or milliseconds since 1970"
        )
    date = days_of_rows(table, day)
    coarse = _coarse_rows(table, date, clock)
    traded = table.numbers["volume"] > 0
    label = str(mapping.options["label"])
    seconds = 59_999 if label == "end" else 0  # 11:29:59 ends the minute 11:29
    minute = (clock[traded & (table.symbol >= 0)] + seconds) // 60_000
    label, noon, remarks = _measured_label(label, minute)
    bar, part = _bars(clock, traded, label == "end", noon)
    bar[coarse] = COARSE
    placed = {"day": day, "bar": bar, "part": part}
    return replace(table, placed=placed, remarks=(*table.remarks, *remarks))


def days_of_rows(table: MappedTable, day: np.ndarray) -> np.ndarray:
    """Each row's day as a number: of its date or file name, else ``day``, that of its time."""
    if np.isnat(table.date).all():
        return day
    own = day_number(table.date)
    return np.where(own != 0, own, day)


def _bars(clock: np.ndarray, traded: np.ndarray, end: bool, noon: bool) -> tuple[np.ndarray, np.ndarray]:
    """Bar and part of each row, from its time in milliseconds."""
    minute = clock // 60_000
    if end:
        minute = np.where(clock % 60_000 != 0, minute + 1, minute) - 1  # 09:31:00 ends the minute 09:30
    bar, part = np.full(len(clock), OUTSIDE, np.int16), np.zeros(len(clock), np.int8)
    inside = (minute >= MORNING) & (minute < NOON)
    bar[inside] = (minute - MORNING)[inside]
    inside = (minute >= AFTERNOON) & (minute < CLOSE)
    bar[inside] = (minute - AFTERNOON + BARS // 2)[inside]
    auction = (minute >= AUCTION - end) & (minute < MORNING)
    bar[auction], part[auction] = 0, -1
    bar[(minute >= CLOSE) & (minute <= CLOSE + 30)] = AFTER_HOURS
    bar[(minute >= NOON) & (minute < AFTERNOON) & ~traded] = QUIET
    late = (minute == NOON) & traded
    if noon:
        late |= (minute == AFTERNOON - 1) & traded
    bar[late], part[late] = BARS // 2 - 1, 1
    closing = (minute == CLOSE) & (traded | (not end))
    bar[closing], part[closing] = BARS - 1, 1
    bar[clock == UNREADABLE] = OUTSIDE
    return bar, part


def _measured_label(label: str, minute: np.ndarray) -> tuple[str, bool, tuple[str, ...]]:
    """The label that the file's own times show, whether its 13:00 is the bar that ends at 11:30, and what to report."""
    count = np.bincount(minute[(minute >= 0) & (minute <= CLOSE)], minlength=CLOSE + 1)
    noon, afternoon, close, first = (int(count[m]) for m in (NOON, AFTERNOON, CLOSE, MORNING))

    def none(number: int, of: int) -> bool:
        return number <= FEW * of

    starts = afternoon > 0 and none(noon, afternoon) and none(close, afternoon)
    starts = starts and min(first, int(count[BEFORE_LAST])) > 0.5 * afternoon
    ends = noon > 0 and none(afternoon, noon) and close > 0.5 * noon
    if label == "end" and starts:
        return "start", False, ("times are the minutes' starts (13:00, no 11:30 or 15:00): read so",)
    if label == "start" and ends:
        return "end", False, ("times are the minutes' ends (11:30 and 15:00, no 13:00): read so",)
    if afternoon > 0 and none(noon, afternoon):
        late = "the bar that ends at 11:30 is labelled 13:00: read so"
        if label == "end":
            return label, True, (late,)
        full = len(minute) > 0.5 * BARS * afternoon  # a stock that hardly trades has no 09:30 for want of trades
        if none(first, afternoon) and close > 0.5 * afternoon and full:
            return "end", True, ("times are the minutes' ends (15:00, no 09:30): read so", late)
    return label, False, ()


def _coarse_rows(table: MappedTable, date: np.ndarray, clock: np.ndarray) -> np.ndarray:
    """Rows of stock-days whose bars are longer than a minute; raises DataError where most of the file's are."""
    minute = (clock + 30_000) // 60_000
    position = np.where(minute <= NOON, minute - MORNING, minute - AFTERNOON + BARS // 2)
    inside = (table.symbol >= 0) & (position >= 0) & (position <= BARS) & ((minute <= NOON) | (minute >= AFTERNOON))
    at = np.flatnonzero(inside)
    if not len(at):
        return np.zeros(len(clock), bool)
    position, group, mine = position[at], table.symbol[at].astype(np.int64), date[at]
    days = mine[:1] if mine.min() == mine.max() else np.unique(mine)
    if len(days) > 1:
        group = group * len(days) + np.searchsorted(days, mine)
    size = np.bincount(group)
    fine = size > 0
    for k in (2, 3, 5):
        fine &= np.bincount(group[position % k != 0], minlength=len(size)) > 0
    doubtful = np.flatnonzero(~fine[group])
    doubtful = doubtful[np.argsort(group[doubtful], kind="stable")]
    own, first = np.unique(group[doubtful], return_index=True)
    parts = np.split(position[doubtful], first[1:]) if len(own) else []
    found = {g: _spacing(np.unique(part)) for g, part in zip(own.tolist(), parts, strict=True)}
    coarse = {g: s for g, s in found.items() if s}
    if coarse and min(coarse.values()) > HOUR and len(coarse) < DAYS_OF_LONG_BARS:
        coarse = {}
    if coarse and len(coarse) >= len(found) / 2 and len(coarse) > fine.sum():
        stock_day, spacing = next(iter(coarse.items()))
        symbol, day = table.axis[stock_day // len(days)], to_date(int(days[stock_day % len(days)]))
        bars = f"{size[stock_day]} rows, {spacing} minutes apart" if spacing < BARS else "one row"
        what = f"{spacing}-minute bars" if spacing < BARS else "daily bars"
        raise DataError(
            f"{table.paths[0]}: these are {what}, no 1-minute bars: {symbol} has {bars}, on {day}; export 1-minute "
            "bars (no table is made of longer ones)"
        )
    out = np.zeros(len(clock), bool)
    out[at[np.isin(group, [g for g, spacing in coarse.items() if spacing <= HOUR])]] = True
    return out


def _spacing(position: np.ndarray) -> int:
    """Minutes between a stock's bars of a day, of their distinct positions; 0 where these do not fill the day."""
    step = int(np.gcd.reduce(position)) or BARS
    full = BARS // step
    return step if BARS % step == 0 and step > 1 and len(position) >= max(full - 1, min(full, 2)) else 0
