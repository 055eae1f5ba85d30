"""Whether a day's rows reach from the market's opening to its close, by exchange.

The day is measured, not the stock: one that is suspended during the session, or does not trade at its end, is no
error. An exchange is short where none of its stocks has a row in the last three minutes (the closing auction, or
continuous trading before there was one), or none before 09:31; with many stocks, where most of those with rows have
none in the last three minutes. Exchanges with rows of one stock each are measured together.
:data:`mg_assets.market.sessions.SHORT_SESSIONS` lists the days that ended early.
"""

import datetime as dt

import numpy as np

from mg_assets.market.sessions import CLOSE, session_end
from mg_assets.quality.suite import Check, Limit, Measures

OPENED = 571 * 60_000  # 09:31; opening auctions print at 09:25
LAST_MINUTES = 3 * 60_000  # closing auctions take orders from 14:57
SHORT_DAY_MINUTES = 5 * 60_000  # how exactly the end of a day that was cut short is known
MANY = 20  # stocks that a share of them needs
UNCLOSED_SHARE = 0.5

SESSION = Check(
    "session",
    "Each exchange's rows reach from 09:31 to the last three minutes before the close; at most "
    f"{UNCLOSED_SHARE:.0%} of its stocks end before (with {MANY} stocks or more; days that the exchange itself ended "
    "early are known)",
    (Limit("late_exchanges"), Limit("short_exchanges"), Limit("unclosed_share", None, UNCLOSED_SHARE)),
)


def measure_session(
    measures: Measures, day: dt.date, symbols: np.ndarray, first: np.ndarray, last: np.ndarray, share: bool = True
) -> None:
    """Measure how far each exchange's rows reach.

    Parameters
    ----------
    measures : Measures
    day : date
    symbols : ndarray of str (S,)
        Stocks with rows; ``600000.SH``.
    first, last : ndarray of int64 (S,)
        Milliseconds since midnight of each stock's first and last row.
    share : bool
        Measure the share of stocks that end early, too.
    """
    if not len(symbols):
        return
    end = session_end(day)
    closes = (end.hour * 60 + end.minute) * 60_000
    reached = closes - (LAST_MINUTES if end == CLOSE else SHORT_DAY_MINUTES)
    exchange = np.array([s[-2:] for s in symbols], dtype=object)
    names, counts = np.unique(exchange, return_counts=True)
    single = np.isin(exchange, names[counts == 1])
    exchange[single] = "+".join(names[counts == 1])
    for name in ("late_exchanges", "short_exchanges"):
        measures.put(name, 0)
    for one in np.unique(exchange).tolist():
        mine = exchange == one
        count, early = int(np.count_nonzero(mine)), int(np.count_nonzero(last[mine] < reached))
        if count == 1 < len(symbols):
            measures.notes.append(f"session: {one} has rows of one stock, which may be suspended")
            continue
        shown = {
            "exchange": one, "first": _clock(first[mine].min()), "last": _clock(last[mine].max()),
            "expected": f"09:31 to {_clock(reached)}", "stocks": count, "ended_early": f"{early / count:.1%}",
        }  # fmt: skip
        for name, bad in (
            ("late_exchanges", first[mine].min() > OPENED),
            ("short_exchanges", last[mine].max() < reached),
        ):
            measures.add(name, int(bad))
            if bad:
                measures.examples.setdefault(name, []).append(shown)
        if share and count >= MANY:
            measures.put_greatest("unclosed_share", early / count, **shown)


def _clock(milliseconds: int) -> str:
    seconds = int(milliseconds) // 1000
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
