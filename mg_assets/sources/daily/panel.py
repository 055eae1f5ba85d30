"""A whole history of daily bars in memory, indexed by day.

From whatever columns a source has to the lake's daily bars:

1. Invalid rows go to the quarantine; rows before the listing are left out (counted).
2. A day without volume is a suspended one. It carries the reference price, volume 0. So does a day without a row
   while a stock is halted (:mod:`mg_assets.sources.daily.halts`).
3. ``adj_factor``: the source's, or chained from close and next day's reference price
   (``f_t = f_{t-1} * close_{t-1} / prev_close_t``), or 1. A step that the reference price contradicts is corrected,
   a return beyond the limit is named (:mod:`mg_assets.sources.daily.adjustments`).
4. ``prev_close``: the source's, or the last traded adjusted close over the day's factor, on the tick.
5. ``vwap = amount / volume``; without amounts ``(high + low + close) / 3`` stands in and
   amount stays null (noted).
6. Limits: the source's, or the boards' rules (:mod:`mg_assets.market.rules`).
"""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pandas as pd

from mg_assets.errors import DataError
from mg_assets.market.rules import board_codes, limit_percent, price_limits, round_to_tick, unknown_rules
from mg_assets.market.schema import PERIOD_BARS
from mg_assets.market.sessions import HALT_SESSIONS
from mg_assets.sources.base import no_quarantine
from mg_assets.sources.daily.adjustments import CORRECTED, REMARKS, TradedRows, corrected_steps, named, notes_of
from mg_assets.sources.daily.halts import with_halts
from mg_assets.sources.daily.vetting import FUNDAMENTALS, OHLC, DailyRows, quiet_days, vetted

SLACK = 1e-6  # yuan
DEBUT = "the first row's prices are beyond the limit that a listed stock has, so it counts as the listing day"
ADDED = "rows_added_for_halts"
"""Column and note: rows that the source does not have."""


@dataclass(frozen=True)
class DailyPanel:
    """Finished daily bars of a whole history, sorted by day, then symbol.

    Attributes
    ----------
    days : ndarray of datetime64[D] (D,)
    offsets : ndarray of int64 (D + 1,)
        Rows of day ``d`` are ``offsets[d]:offsets[d + 1]``.
    axis : ndarray of object (S,)
    symbol : ndarray of int32 (n,)
    columns : dict of str to ndarray (n,)
    absent : frozenset of str
        Columns that the source does not have: null, or a stand-in.
    quarantine : DataFrame
        With a further column ``date`` (NaT where unread).
    notes : dict
    remarks : DataFrame
        Columns :data:`~mg_assets.sources.daily.adjustments.REMARKS`: what is odd about a stock's price on a day.
    """

    days: np.ndarray
    offsets: np.ndarray
    axis: np.ndarray
    symbol: np.ndarray
    columns: dict[str, np.ndarray]
    absent: frozenset[str]
    quarantine: pd.DataFrame
    notes: dict[str, object]
    remarks: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=list(REMARKS)))

    @cached_property
    def names(self) -> pd.api.extensions.ExtensionArray:
        """The axis as a pandas string array, made once: taking from it is cheap."""
        return pd.array(self.axis, dtype="str")

    def slice_of(self, day: np.datetime64) -> slice | None:
        """Rows of a day; None where the panel has none."""
        at = int(np.searchsorted(self.days, day))
        if at == len(self.days) or self.days[at] != day:
            return None
        return slice(int(self.offsets[at]), int(self.offsets[at + 1]))

    def bars(self, day: np.datetime64) -> pd.DataFrame | None:
        """The day's bars in the lake's schema."""
        rows = self.slice_of(day)
        if rows is None:
            return None
        columns = {n: self.columns[n][rows] for n in PERIOD_BARS.names if n != "symbol"}
        return pd.DataFrame({"symbol": self.names.take(self.symbol[rows]), **columns})

    def day_notes(self, day: np.datetime64) -> dict[str, object]:
        """What is to be said of the day alone: rows added for halted stocks, and odd prices by stock."""
        notes: dict[str, object] = {}
        rows = self.slice_of(day)
        if rows is not None and (added := int(np.sum(self.columns[ADDED][rows]))):
            notes[ADDED] = added
        mine = self.remarks[self.remarks["date"] == day]
        for what, odd in mine.groupby("what", sort=True):
            notes[f"{what}_today"] = [named(row, self.axis) for row in odd.itertuples()]
            if what == CORRECTED:
                notes[f"{what}_stocks"] = sorted(str(self.axis[i]) for i in odd["symbol"])
        return notes

    def quarantined(self, day: np.datetime64) -> pd.DataFrame:
        """Invalid rows of the day.

        Returns
        -------
        DataFrame
            A row of a day without valid rows counts for the next day that has some (or the last one), a row without a
            readable date for the first day, so that every invalid row is in some day's quarantine.
        """
        if not len(self.quarantine) or not len(self.days):
            return no_quarantine()
        return self.quarantine[self.quarantine_days() == day].drop(columns="date").reset_index(drop=True)

    def quarantine_days(self) -> np.ndarray:
        """The day in whose quarantine each invalid row is, ``datetime64[D]``."""
        if not len(self.quarantine):
            return np.empty(0, "datetime64[D]")
        dates = self.quarantine["date"].to_numpy("datetime64[D]")
        home = np.minimum(np.searchsorted(self.days, dates), len(self.days) - 1)
        home[np.isnat(dates)] = 0
        return self.days[home]


def build_panel(
    rows: DailyRows,
    listed: np.ndarray | None = None,
    drop_before_listing: bool = False,
    delisted: np.ndarray | None = None,
) -> DailyPanel:
    """Finish daily bars.

    Parameters
    ----------
    rows : DailyRows
    listed : ndarray of datetime64[D] (S,), optional
        Listing day of each symbol on the axis, NaT where unknown.
    drop_before_listing : bool
        Leave out rows before the listing day.
    delisted : ndarray of datetime64[D] (S,), optional
        First day behind the listing, NaT where unknown or still listed.

    Returns
    -------
    DailyPanel

    Raises
    ------
    DataError
        Columns are missing, or most rows are invalid.
    """
    lacking = [c for c in (*OHLC, "volume") if c not in rows.columns]
    if lacking:
        raise DataError(f"daily rows lack {lacking}; map them (prices in yuan, volume in shares)")
    kept, bad, notes = vetted(rows, listed, drop_before_listing)
    symbol, date = rows.symbol[kept], rows.date[kept]
    raw = {k: v[kept] for k, v in rows.columns.items()}
    symbol, date, raw, added = with_halts(symbol, date, raw, delisted, _days_set_aside(rows.axis, bad))
    if added.any():
        notes["halts_rule"] = (
            f"{int(added.sum())} rows added of stocks that the source leaves out while they are halted: at the "
            f"last price; one without a later row or a delisting date counts as delisted after {HALT_SESSIONS} sessions"
        )
    first = np.ones(len(symbol), bool)
    first[1:] = symbol[1:] != symbol[:-1]
    columns, absent, more, remarks = _finished(raw, symbol, date, first, rows.axis, listed)
    columns[ADDED] = added
    order = np.lexsort((symbol, date))
    date, symbol = date[order], symbol[order]
    days, starts = np.unique(date, return_index=True)
    offsets = np.append(starts, len(date)).astype(np.int64)
    columns = {k: v[order] for k, v in columns.items()}
    return DailyPanel(
        days, offsets, rows.axis, symbol, columns, frozenset(absent), bad, {**rows.notes, **notes, **more}, remarks
    )


def _days_set_aside(axis: np.ndarray, bad: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Symbols (positions on the axis) and dates of the invalid rows that have both."""
    codes = pd.Index(axis).get_indexer(bad["symbol"]) if len(bad) else np.empty(0, np.int64)
    dates = bad["date"].to_numpy("datetime64[D]") if len(bad) else np.empty(0, "datetime64[D]")
    known = (codes >= 0) & ~np.isnat(dates)
    return codes[known], dates[known]


def _finished(
    raw: dict[str, np.ndarray],
    symbol: np.ndarray,
    date: np.ndarray,
    first: np.ndarray,
    axis: np.ndarray,
    listed: np.ndarray | None,
) -> tuple[dict[str, np.ndarray], set[str], dict[str, object], pd.DataFrame]:
    count = len(symbol)
    absent: set[str] = set()
    notes: dict[str, object] = {}
    suspended = quiet_days(raw)
    volume = np.where(suspended, 0, np.nan_to_num(raw["volume"]))
    traded_close = np.where(suspended, np.nan, raw["close"])
    if "st" not in raw:
        absent.add("st")
        notes["st_rule"] = "st is unknown and taken as false: the limits of ST stocks are then too wide"
    st = raw.get("st", np.zeros(count, bool))
    session, start = _sessions(symbol, date, listed)
    board = board_codes(axis)[symbol]
    percent = limit_percent(board, date, st, session, start)
    debut = first & (session == 0) & ~suspended & _beyond_reference(raw, percent)
    if debut.any():
        session, start = _sessions_of_debuts(session, start, first, date, debut)
        percent = limit_percent(board, date, st, session, start)
        notes["listing_days_by_price"] = f"{int(debut.sum())} stocks without a listing day: {DEBUT}"
    factor, remarks = _factor(raw, first, suspended, absent, notes), pd.DataFrame(columns=list(REMARKS))
    at = np.flatnonzero(~suspended)
    if len(at):
        known = raw.get("prev_close", np.full(count, np.nan))
        traded = TradedRows(symbol[at], date[at], *(v[at] for v in (raw["close"], known, factor, *percent)))
        correction, remarks, counts = corrected_steps(traded, "adj_factor" in raw)
        spread = np.full(count, np.nan)
        spread[at] = correction
        factor = factor * _filled(np.where(first & np.isnan(spread), 1.0, spread), first, forward=True)
        notes |= notes_of(remarks, axis, counts)
    prev_close = _reference_price(raw, first, traded_close, factor, notes)
    prev_close = np.where(suspended & np.isnan(prev_close), raw["close"], prev_close)
    prices = {n: np.where(suspended, prev_close, raw[n]) for n in OHLC}

    typical = (prices["high"] + prices["low"] + prices["close"]) / 3
    amount = raw.get("amount", np.full(count, np.nan))
    if "amount" not in raw and "vwap" not in raw:
        absent |= {"amount", "vwap"}
        notes["vwap_rule"] = "no amounts: they stay null, and (high + low + close) / 3 stands in for the vwap"
    if "vwap" in raw:
        vwap = raw["vwap"]
    else:
        with np.errstate(divide="ignore", invalid="ignore"):
            vwap = np.where(amount > 0, amount / volume, typical)
        missing = ~(amount > 0) & ~suspended
        if "amount" in raw and missing.any():
            notes["vwap_stand_ins"] = f"{int(missing.sum())} rows with volume have no amount: (high + low + close) / 3"
    vwap = np.where(suspended, np.nan, vwap)
    given = raw["vwap"] * volume if "vwap" in raw else np.nan
    amount = np.where(suspended, 0.0, np.where(amount > 0, amount, given))

    up, down = raw.get("up_limit"), raw.get("down_limit")
    if up is None or down is None:
        absent |= {"up_limit", "down_limit"} if "st" not in raw else set()
        notes["limit_rule"] = "price limits follow from the reference price and the boards' rules"
        if count and (text := unknown_rules(date.max())):
            notes["rules_unknown"] = text
        up, down = price_limits(prev_close, *percent)
        beyond = ~suspended & ((prices["high"] > up + SLACK) | (prices["low"] < down - SLACK))
        if beyond.any():
            up, down = np.where(beyond, np.nan, up), np.where(beyond, np.nan, down)
            notes["limits_unknown"] = (
                f"{int(beyond.sum())} rows traded outside the limits that follow from their reference price: limits "
                "left null (first days, restructurings, a lacking factor)"
            )
    if "num_trades" not in raw:
        absent.add("num_trades")
    shares = _float_shares(raw, volume, first, absent)
    unknown = np.full(count, np.nan)
    columns = {
        **prices,
        "vwap": vwap,
        "volume": np.rint(volume).astype(np.int64),
        "amount": amount,
        "num_trades": raw.get("num_trades", unknown),
        "prev_close": prev_close,
        "adj_factor": factor,
        "up_limit": up,
        "down_limit": down,
        "suspended": suspended,
        "st": st,
        "float_shares": shares,
        **{n: raw[n] for n in FUNDAMENTALS if n in raw},
    }
    return columns, absent, notes, remarks


def _factor(
    raw: dict[str, np.ndarray], first: np.ndarray, suspended: np.ndarray, absent: set[str], notes: dict[str, object]
) -> np.ndarray:
    if "adj_factor" in raw:
        factor = np.where(raw["adj_factor"] > 0, raw["adj_factor"], np.nan)
        return _filled(factor, first, forward=True, backward=True)
    if "prev_close" in raw:
        close = _filled(np.where(suspended, np.nan, raw["close"]), first, forward=True)
        before = np.concatenate([[np.nan], close[:-1]])
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = before / raw["prev_close"]
        # a reference price equals the last close up to the tick except on an ex-day
        step = np.where(first | ~np.isfinite(ratio) | (ratio <= 0) | (np.abs(ratio - 1) < 1e-6), 0.0, np.log(ratio))
        total = np.cumsum(step)
        notes["adj_factor_rule"] = "chained from last close over the reference price; 1 on a stock's first day"
        return np.exp(total - total[np.maximum.accumulate(np.where(first, np.arange(len(first)), 0))])
    absent.add("adj_factor")
    notes["adj_factor_rule"] = "unknown: 1 everywhere, so returns jump on ex-days; map adj_factor or prev_close"
    return np.ones(len(first))


def _reference_price(
    raw: dict[str, np.ndarray],
    first: np.ndarray,
    traded_close: np.ndarray,
    factor: np.ndarray,
    notes: dict[str, object],
) -> np.ndarray:
    last = _filled(traded_close * factor, first, forward=True)
    before = np.where(first, np.nan, np.concatenate([[np.nan], last[:-1]]))
    computed = round_to_tick(before / factor)
    if "prev_close" in raw:
        return np.where(raw["prev_close"] > 0, raw["prev_close"], computed)
    notes["prev_close_rule"] = "last traded close x its factor / the day's factor, on the tick; null on a first day"
    return computed


def _sessions(symbol: np.ndarray, date: np.ndarray, listed: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Sessions since listing (1 = listing day, 0 = unknown or long ago) and the listing day, per row."""
    from mg_assets.market.calendar import trading_days

    if listed is None or not len(date):
        return np.zeros(len(symbol), np.int64), date
    calendar = trading_days()
    start = listed[symbol]
    known = ~np.isnat(start)
    begin = np.searchsorted(calendar, np.where(known, start, calendar[0]))
    session = np.searchsorted(calendar, date, side="right") - begin
    return np.where(known & (start >= calendar[0]), session, 0), np.where(known, start, date)


def _beyond_reference(raw: dict[str, np.ndarray], percent: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """Rows whose prices are further from the reference price than the limit; without one, further from each other."""
    low, high = raw["low"], raw["high"]
    given = raw.get("prev_close", np.full(len(low), np.nan))
    with np.errstate(divide="ignore", invalid="ignore"):
        reference = np.where(given > 0, given, high / (1 + percent[0] / 100))
        slack = 1 + (0.005 + SLACK) / reference
        return (high > reference * (percent[0] / 100 + slack)) | (low < reference * (2 - percent[1] / 100 - slack))


def _sessions_of_debuts(
    session: np.ndarray, start: np.ndarray, first: np.ndarray, date: np.ndarray, debut: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Sessions since the listing, and its day, also of stocks whose first row is taken for their listing day."""
    from mg_assets.market.calendar import trading_days

    began = np.maximum.accumulate(np.where(first, np.arange(len(first)), 0))
    mine, day = debut[began], date[began]
    calendar = trading_days(date.min(), date.max())
    count = np.searchsorted(calendar, date, side="right") - np.searchsorted(calendar, day)
    return np.where(mine, count, session), np.where(mine, day, start)


def _float_shares(raw: dict[str, np.ndarray], volume: np.ndarray, first: np.ndarray, absent: set[str]) -> np.ndarray:
    if "float_shares" in raw:
        return raw["float_shares"]
    if "turnover" in raw:
        with np.errstate(divide="ignore", invalid="ignore"):
            shares = np.where((raw["turnover"] > 0) & (volume > 0), volume / raw["turnover"], np.nan)
        return _filled(shares, first, forward=True)
    absent.add("float_shares")
    return np.full(len(first), np.nan)


def _filled(values: np.ndarray, first: np.ndarray, forward: bool = False, backward: bool = False) -> np.ndarray:
    """NaN filled with the stock's last value, then (``backward``) with its next one."""
    out = values
    start = np.maximum.accumulate(np.where(first, np.arange(len(first)), 0))
    if forward:
        last = np.maximum.accumulate(np.where(np.isnan(out), 0, np.arange(len(out))))
        out = np.where(last >= start, out[last] if len(out) else out, np.nan)
    if backward:
        ending = np.append(first[1:], True)[::-1] if len(first) else first
        out = _filled(out[::-1], ending, forward=True)[::-1]
    return out
