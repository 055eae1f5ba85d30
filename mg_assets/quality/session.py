"""Whether a day's rows fill the session from the market's opening to its close, exchange by exchange.

The day is measured, not the stock: one that is suspended during the session, or does not trade at its end, is no error.

- **Ends.** An exchange is short where none of its stocks has a row in the last three minutes (the closing auction, or
  continuous trading before there was one), or none before 09:31; with many stocks, where most of those with rows have
  none in the last three minutes.
- **Holes.** Minutes in which the number of stocks with rows falls from one minute to the next and comes back so: to
  none, or with many stocks to less than 40% (20% at an end of the session). What is expected is the least of the ten
  and three minutes before, of those after, and of the rest of the day.
- **Absent.** No row of an exchange of which stocks should trade by the reference, although most of the other exchanges'
  are there (a lake of some chosen stocks is none), or although the partition before has many of its stocks.

Exchanges with rows of one stock each are measured together. :data:`mg_assets.market.sessions.SHORT_SESSIONS` and
:data:`~mg_assets.market.sessions.HALTS` list the days that ended early or were interrupted.
"""

import datetime as dt

import numpy as np
import pyarrow as pa

from mg_assets.lake.store import Lake
from mg_assets.lake.table_view import PartitionReader, View, encode
from mg_assets.market.sessions import CLOSE, HALTS, session_end
from mg_assets.quality.kernels import marks
from mg_assets.quality.kernels.ticks import scan_session
from mg_assets.quality.shared_checks import expected_symbols
from mg_assets.quality.suite import Check, Limit, Measures

OPENED = 571 * marks.MINUTE  # 09:31; opening auctions print at 09:25
LAST_MINUTES = 3 * marks.MINUTE  # closing auctions take orders from 14:57
SHORT_DAY_MINUTES = 5 * marks.MINUTE  # how exactly the end of a day that was cut short is known
MANY = 20  # stocks that a share of them needs
UNCLOSED_SHARE = 0.5
MINUTES = 2 * marks.HALF_DAY
AROUND = 10  # minutes before and after a hole that say what is expected in it
EDGE = 3  # and those next to it
BESIDE = 5  # with fewer on one side of it, what is expected is the other side's
FEW = 0.4  # of the stocks expected that have rows in a hole
MISSED = 30.0  # expected and missing, in stocks times minutes: less may be chance
DEVIATIONS = 6.0  # and so many standard deviations of what is expected and of what is met
PARTIAL_MINUTES = 5  # of a hole in which some stocks have rows
MAIN = ("SH", "SZ")  # that every vendor of the whole market delivers

SESSION = Check(
    "session",
    "Each exchange's rows reach from 09:31 to the last three minutes before the close, without a hole; at most "
    f"{UNCLOSED_SHARE:.0%} of its stocks end before (with {MANY} stocks or more; days that the exchange itself ended "
    "early or interrupted are known); no exchange is absent",
    (
        Limit("late_exchanges"),
        Limit("short_exchanges"),
        Limit("unclosed_share", None, UNCLOSED_SHARE),
        Limit("holes"),
        Limit("absent_exchanges"),
    ),
)


class SessionRows:
    """Where in the session the rows of a partition are; batches hold whole symbols.

    Attributes
    ----------
    symbols : list of str (S,)
        With rows before 15:05.
    first, last : list of int (S,)
        Milliseconds since midnight of their first and last row.
    rows, stocks : dict of str to ndarray of int64 (240,)
        By exchange, rows of each minute of the two sessions, and stocks that have any.
    """

    def __init__(self) -> None:
        self.symbols: list[str] = []
        self.first: list[int] = []
        self.last: list[int] = []
        self.rows: dict[str, np.ndarray] = {}
        self.stocks: dict[str, np.ndarray] = {}

    def add_ticks(self, symbol: pa.ChunkedArray, time: np.ndarray) -> None:
        """Add rows by symbol and time, in milliseconds since midnight."""
        codes, words = encode(symbol)
        names, exchange = _exchanges(words)
        first, last = np.full(len(words), np.iinfo(np.int64).max), np.full(len(words), -1)
        rows, stocks = (np.zeros((len(names), MINUTES), np.int64) for _ in range(2))
        scan_session(codes, time, exchange, first, last, rows, stocks)
        self._add(words, first, last, names, rows, stocks)

    def add_bars(self, codes: np.ndarray, words: np.ndarray, minute: np.ndarray, volume: np.ndarray) -> None:
        """Add minute bars, one a symbol and minute; those with volume count, from their beginning to their end."""
        names, exchange = _exchanges(words)
        at = np.flatnonzero((volume > 0) & (codes >= 0) & (minute >= 0) & (minute < MINUTES))
        stock, clock = codes[at], _clock_of(minute[at].astype(np.int64))
        first, last = np.full(len(words), np.iinfo(np.int64).max), np.full(len(words), -1)
        np.minimum.at(first, stock, clock)
        np.maximum.at(last, stock, clock + marks.MINUTE)
        place = exchange[stock] * MINUTES + minute[at]
        bars = np.bincount(place, minlength=len(names) * MINUTES).reshape(-1, MINUTES)
        self._add(words, first, last, names, bars, bars)

    def _add(
        self, words: np.ndarray, first: np.ndarray, last: np.ndarray, names: list[str], rows: np.ndarray,
        stocks: np.ndarray,
    ) -> None:  # fmt: skip
        there = last >= 0
        self.symbols += words[there].tolist()
        self.first += first[there].tolist()
        self.last += last[there].tolist()
        for i, name in enumerate(names):
            self.rows[name] = self.rows.get(name, 0) + rows[i]
            self.stocks[name] = self.stocks.get(name, 0) + stocks[i]


def measure_session(view: View, measures: Measures, rows: SessionRows, share: bool = True) -> None:
    """Measure how far each exchange's rows reach, their holes, and which exchange is absent.

    Parameters
    ----------
    view : View
    measures : Measures
    rows : SessionRows
    share : bool
        Measure the share of stocks that end early, too.
    """
    if rows.symbols:
        measure_reach(measures, view.day, rows, share)
        measure_absent(view, measures, rows.symbols)


def measure_reach(measures: Measures, day: dt.date, rows: SessionRows, share: bool = True) -> None:
    """Measure how far each exchange's rows reach, and their holes; arguments as of :func:`measure_session`."""
    end = session_end(day)
    closes = (end.hour * 60 + end.minute) * marks.MINUTE
    reached = closes - (LAST_MINUTES if end == CLOSE else SHORT_DAY_MINUTES)
    first_row, last_row = np.array(rows.first), np.array(rows.last)
    exchange = np.array([s[-2:] for s in rows.symbols], dtype=object)
    names, counts = np.unique(exchange, return_counts=True)
    alone = names[counts == 1].tolist()
    exchange[np.isin(exchange, alone)] = "+".join(alone)
    for name in ("late_exchanges", "short_exchanges", "holes"):
        measures.put(name, 0)
    for one in np.unique(exchange).tolist():
        mine = exchange == one
        first, last = int(first_row[mine].min()), int(last_row[mine].max())
        count, early = int(np.count_nonzero(mine)), int(np.count_nonzero(last_row[mine] < reached))
        if count == 1 < len(rows.symbols):
            measures.notes.append(f"session: {one} has rows of one stock, which may be suspended")
            continue
        shown = {
            "exchange": one, "first": _clock(first), "last": _clock(last),
            "expected": f"09:31 to {_clock(reached)}", "stocks": count, "ended_early": f"{early / count:.1%}",
        }  # fmt: skip
        for name, bad in (("late_exchanges", first > OPENED), ("short_exchanges", last < reached)):
            measures.add(name, int(bad))
            if bad:
                measures.examples.setdefault(name, []).append(shown)
        if share and count >= MANY:
            measures.put_greatest("unclosed_share", early / count, **shown)
        if count > 1:  # a single stock may be suspended for an hour
            _measure_hole(measures, day, rows, one, (first, min(last, reached)), count)


def _measure_hole(
    measures: Measures, day: dt.date, rows: SessionRows, one: str, span: tuple[int, int], count: int
) -> None:
    """Measure the largest hole between an exchange's first and last row."""
    begins = _clock_of(np.arange(MINUTES))
    inside = (begins >= span[0] - span[0] % marks.MINUTE) & (begins < span[1])
    if day in HALTS:
        off, on = ((t.hour * 60 + t.minute) * marks.MINUTE for t in HALTS[day])
        inside &= (begins < off) | (begins >= on)
    at = np.flatnonzero(inside)
    stocks, lines = (np.sum([kept[e] for e in one.split("+")], axis=0)[at] for kept in (rows.stocks, rows.rows))
    found = find_hole(stocks, partial=count >= MANY)
    if found is None:
        return
    a, b, expected = found
    others = np.r_[lines[:a], lines[b:]]
    measures.add("holes", 1)
    measures.examples.setdefault("holes", []).append({
        "exchange": one, "first_minute": _clock(begins[at[a]])[:5], "last_minute": _clock(begins[at[b - 1]])[:5],
        "minutes": b - a, "rows": int(lines[a:b].sum()), "rows_expected": round(float(others.mean()) * (b - a)),
        "stocks_a_minute": f"{stocks[a:b].mean():.1f}", "stocks_expected": f"{expected:.1f}", "stocks": count,
    })  # fmt: skip


def find_hole(stocks: np.ndarray, partial: bool) -> tuple[int, int, float] | None:
    """Find the minutes in which the most is missing.

    Parameters
    ----------
    stocks : ndarray of int (M,)
        Stocks with rows in each minute.
    partial : bool
        Whether minutes in which some stocks have rows are looked at, too.

    Returns
    -------
    tuple of int, int and float, or None
        First minute, the minute behind the last, and the stocks expected in each of them.
    """
    size, total = len(stocks), np.r_[0, np.cumsum(stocks)]
    a, b = np.triu_indices(size + 1, 1)
    a, b = a[b - a < size], b[b - a < size]

    def mean(first: np.ndarray, end: np.ndarray) -> np.ndarray:
        return (total[end] - total[first]) / np.maximum(end - first, 1)

    met, left, right = total[b] - total[a], a >= BESIDE, size - b >= BESIDE  # whether there is enough on that side
    level = (total[-1] - met) / (size - (b - a))
    for minutes in (AROUND, EDGE):
        level = np.where(left, np.minimum(level, mean(np.maximum(a - minutes, 0), a)), level)
        level = np.where(right, np.minimum(level, mean(b, np.minimum(b + minutes, size))), level)
    expected = level * (b - a)
    missing = expected - met
    hole = (missing >= MISSED) & (met == 0)
    if partial:
        begin, end = mean(a, np.minimum(a + EDGE, b)), mean(np.maximum(b - EDGE, a), b)  # both edges are abrupt
        most = np.where(left & right, FEW, FEW / 2) * level
        hole |= (
            (missing >= np.maximum(MISSED, DEVIATIONS * np.sqrt(expected + (b - a) * expected / AROUND)))
            & (np.maximum(np.maximum(begin, end), met / (b - a)) <= most)
            & (b - a >= PARTIAL_MINUTES)
            & (left | right)  # else what is expected is the auctions', in which all stocks trade
        )
    if not hole.any():
        return None
    at = int(np.argmax(np.where(hole, FEW * expected - met, -np.inf)))
    inside = np.flatnonzero(stocks[a[at] : b[at]] <= FEW * level[at]) + int(a[at])  # a fuller minute is no edge
    return int(inside[0]), int(inside[-1]) + 1, float(level[at])


def measure_absent(view: View, measures: Measures, symbols: list[str]) -> None:
    """Measure the exchanges without any row that should have some.

    Parameters
    ----------
    view : View
    measures : Measures
    symbols : list of str (S,)
        Stocks with rows.
    """
    reference = view.reference()
    if reference is None:
        return
    should = expected_symbols(reference, view.day).astype(str)
    present, exchange = set(symbols), np.array([s[-2:] for s in should.tolist()], dtype=str)
    have = {s[-2:] for s in symbols}
    others = should[np.isin(exchange, list(have))]
    most = sum(s in present for s in others.tolist()) > len(others) / 2
    earlier = None
    measures.put("absent_exchanges", 0)
    for one in np.unique(exchange[~np.isin(exchange, list(have))]).tolist():
        earlier = view.trailing(1, _stocks_by_exchange, "exchanges") if earlier is None else earlier
        was = earlier[0].get(one, 0) if earlier else 0
        if (most and one in MAIN) or was >= MANY:
            measures.add("absent_exchanges", 1)
            measures.examples.setdefault("absent_exchanges", []).append({
                "exchange": one, "rows": 0, "stocks_expected": int(np.count_nonzero(exchange == one)),
                "stocks_of_the_partition_before": was, "stocks_of_others": len(symbols),
            })  # fmt: skip


def _stocks_by_exchange(lake: Lake, table: str, key: str) -> dict[str, int]:
    """Number of stocks of each exchange in a partition."""
    with PartitionReader(lake, table, key) as rows:
        if "symbol" not in rows.schema.names or not rows.count:
            return {}
        names, exchange = _exchanges(encode(rows.file.read(["symbol"])["symbol"])[1])
    return dict(zip(names, np.bincount(exchange).tolist(), strict=True))


def _exchanges(words: np.ndarray) -> tuple[list[str], np.ndarray]:
    """The exchanges of symbols, and the index of each symbol's."""
    names, index = np.unique(np.array([w[-2:] for w in words.tolist()], dtype=str), return_inverse=True)
    return names.tolist(), index.astype(np.int64)


def _clock_of(minute: np.ndarray) -> np.ndarray:
    """When minutes 0 to 239 begin, in milliseconds since midnight."""
    noon = marks.AFTERNOON - marks.OPEN - marks.HALF_DAY * marks.MINUTE
    return marks.OPEN + minute * marks.MINUTE + np.where(minute >= marks.HALF_DAY, noon, 0)


def _clock(milliseconds: int) -> str:
    seconds = int(milliseconds) // 1000
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
