"""RiceQuant's bundle, as rqalpha and rqdatac write it: daily bars, corporate actions, suspensions, ST, listing.

One HDF5 file a kind, in it one dataset a stock, named ``600000.XSHG``:

- ``stocks.h5``: datetime (20230103000000), open, high, low, close, volume, total_turnover, limit_up, limit_down and
  (newer bundles) prev_close. Unadjusted; prices in yuan, or in 1/10,000 yuan where they are whole numbers (older ones).
- ``ex_cum_factor.h5``: start_date, ex_cum_factor: the adjustment factor from that day on.
- ``dividends.h5`` (dividend_cash_before_tax per round_lot shares, ex_dividend_date) and ``split_factor.h5`` (ex_date,
  split_factor): where the two above are missing, the reference price of an ex-day follows from them.
- ``suspended_days.h5``, ``st_stock_days.h5``: the days.
- ``instruments.pk``: a pickle of plain values (listed_date, de_listed_date, industry_name). Nothing else is loaded.

The bundle has no index members and no free float. Source: rqalpha (``rqalpha/data/bundle.py``).
"""

import io
import pickle
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from mg_assets.errors import DataError, SourceError
from mg_assets.market.rules import round_to_tick
from mg_assets.sources.daily.dataset import DatasetSource
from mg_assets.sources.daily.history import DailyHistory
from mg_assets.sources.daily.members import Industries
from mg_assets.sources.daily.panel import build_panel
from mg_assets.sources.daily.vetting import OHLC, DailyRows
from mg_assets.sources.fingerprint import file_digests
from mg_assets.sources.io.dates import dates_of_parts, to_date
from mg_assets.sources.io.symbols import is_a_share, symbol_axis, to_symbol

BARS = "stocks.h5"
FILES = (BARS, "ex_cum_factor.h5", "dividends.h5", "split_factor.h5", "suspended_days.h5", "st_stock_days.h5",
         "instruments.pk")  # fmt: skip
OTHER_FILES = ("indexes.h5", "funds.h5", "futures.h5", "yield_curve.h5", "trading_dates.npy", "future_info.json",
               "share_transformation.json")  # fmt: skip
"""Of a bundle, but nothing of the lake's tables is in them."""
FIELDS = {
    **dict.fromkeys((*OHLC, "volume", "prev_close")),
    "total_turnover": "amount", "limit_up": "up_limit", "limit_down": "down_limit",
}  # fmt: skip
PRICES = (*OHLC, "prev_close", "limit_up", "limit_down")
REQUIRED = (*OHLC, "volume")
WHOLE_UNIT = 1e-4  # yuan, of a price that is stored as a whole number
DAY_SECONDS = 1_000_000  # 20230103000000
BROKEN_PICKLE = (pickle.UnpicklingError, EOFError, AttributeError, IndexError, KeyError, TypeError, ValueError,
                 OverflowError, MemoryError, RecursionError, ImportError)  # fmt: skip
BROKEN_FILE = (OSError, RuntimeError, KeyError, ValueError, TypeError, AttributeError, MemoryError)
"""What h5py raises on damaged bytes."""
CAVEATS = ("Industries are those of the day on which the bundle was made.",)


class RiceQuantSource(DatasetSource):
    """Daily bars and reference from a RiceQuant bundle.

    Parameters
    ----------
    root : str or Path
        The folder with ``stocks.h5`` (rqalpha's is ``~/.rqalpha/bundle``).
    """

    name = "ricequant"

    def __repr__(self) -> str:
        return f"RiceQuantSource({str(self.root)!r})"

    def _content(self) -> list[object]:
        """All that decides the rows: which files are there, and their digests."""
        if not (self.root / BARS).is_file():
            raise SourceError(f"bundle {self.root} has no {BARS}; point root at the folder that holds it")
        here = [name for name in FILES if (self.root / name).is_file()]
        return ["ricequant", list(zip(here, file_digests([self.root / n for n in here]), strict=True))]

    def _read(self) -> DailyHistory:
        rows = self._rows()
        rows = self._with_flags(rows)
        listed, industry, refused = self._instruments(rows.axis)
        if refused:
            rows.notes["instruments_left_out"] = refused
        panel = build_panel(rows, listed.get("list_date"), delisted=listed.get("delist_date"))
        return DailyHistory(panel, listed, industry=industry, caveats=CAVEATS if industry is not None else ())

    def _rows(self) -> DailyRows:
        """All stocks' rows with their corporate actions, one dataset after the other."""
        path = self.root / BARS
        factors, actions = self._corporate_actions()
        stored: dict[str, list[np.ndarray]] = {}
        keys, others, dates = [], [], []
        for key, raw in self._datasets(BARS, ("datetime", *REQUIRED)):
            if not is_a_share(to_symbol(key) or ""):
                others.append(key)
                continue
            keys.append(key)
            dates.append(_days(raw["datetime"]))
            columns = {
                ours or name: _values(raw, name) for name, ours in FIELDS.items() if name in (raw.dtype.names or ())
            }
            if factors:
                columns["adj_factor"] = _factor_on(dates[-1], factors.get(key))
            elif "prev_close" not in columns and actions:
                columns["prev_close"] = _reference_prices(dates[-1], columns, actions.get(key))
            for name, values in columns.items():
                stored.setdefault(name, []).append(values)
        if not keys:
            raise DataError(f"{path} has no dataset of a stock among {len(others)}; they are named like 600000.XSHG")
        axis, position, _ = symbol_axis(pa.chunked_array([pa.array(keys, pa.string())]))
        sizes = [len(days) for days in dates]
        symbol = np.repeat(position, sizes)
        whole = {n: np.concatenate(v) for n, v in stored.items() if len(v) == len(keys)}
        notes: dict[str, object] = {"stocks": len(axis)}
        if partial := sorted(set(stored) - set(whole)):
            notes["fields_of_some_stocks_only"] = f"{', '.join(partial)}: left out"
        if others:
            notes["datasets_of_other_securities"] = f"{len(others)}: {', '.join(others[:20])}"
        if not factors and "prev_close" not in whole:
            notes["corporate_actions"] = (
                "none: ex_cum_factor.h5, dividends.h5 and split_factor.h5 are not in the bundle"
            )
        names = np.array([f"{path}/{s}" for s in axis], dtype=object)
        return DailyRows(
            axis=axis,
            symbol=symbol,
            date=np.concatenate(dates),
            columns=whole,
            file=names[symbol],
            row=np.concatenate([np.arange(1, size + 1) for size in sizes]),
            notes=notes,
        )

    def _corporate_actions(self) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        """Adjustment factors by stock, or where there are none (ex-day, cash a share, split) by stock."""
        factors = {k: v for k, v in self._datasets("ex_cum_factor.h5", ("start_date", "ex_cum_factor"))}
        if factors:
            return factors, {}
        parts: dict[str, list[tuple[np.datetime64, float, float]]] = {}
        for key, raw in self._datasets("dividends.h5", ("ex_dividend_date", "dividend_cash_before_tax", "round_lot")):
            cash = raw["dividend_cash_before_tax"] / raw["round_lot"]
            parts.setdefault(key, []).extend(zip(_days(raw["ex_dividend_date"]), cash, np.ones(len(cash)), strict=True))
        for key, raw in self._datasets("split_factor.h5", ("ex_date", "split_factor")):
            split = raw["split_factor"].astype(np.float64)
            parts.setdefault(key, []).extend(zip(_days(raw["ex_date"]), np.zeros(len(split)), split, strict=True))
        kind = np.dtype([("day", "datetime64[D]"), ("cash", "f8"), ("split", "f8")])
        return {}, {key: np.array(actions, kind) for key, actions in parts.items()}

    def _with_flags(self, rows: DailyRows) -> DailyRows:
        """The rows with the flags of the two files of days; a suspended day has no volume."""
        position = {s: i for i, s in enumerate(rows.axis)}
        for flag, name in (("suspended", "suspended_days.h5"), ("st", "st_stock_days.h5")):
            if not (self.root / name).is_file():
                continue
            symbols, days = [], []
            for key, raw in self._datasets(name):
                at = position.get(to_symbol(key) or "")
                if at is not None:
                    days.append(_days(raw))
                    symbols.append(np.full(len(raw), at, np.int32))
            on = np.zeros(len(rows.symbol), bool)
            if symbols:
                on = np.isin(_keys(rows.symbol, rows.date), _keys(np.concatenate(symbols), np.concatenate(days)))
            rows.columns[flag] = on & ~(rows.columns["volume"] > 0) if flag == "suspended" else on
        return rows

    def _datasets(self, name: str, fields: tuple[str, ...] = ()) -> Iterator[tuple[str, np.ndarray]]:
        """Each stock's records in a file of the bundle; none where the file is not there."""
        path = self.root / name
        if not path.is_file():
            return
        for key, raw in _stored(path):
            have = raw.dtype.names or ()
            if raw.ndim != 1 or not set(fields) <= set(have):
                raise DataError(f"{path}: dataset {key} has the fields {list(have)}; {list(fields)} were expected")
            yield key, raw

    def stock_names(self) -> dict[str, str]:
        """Names by symbol, as the instruments have them."""
        entries, _ = self._entries()
        found = {to_symbol(str(e.get("order_book_id"))): e.get("symbol") for e in entries}
        return {code: name.strip() for code, name in found.items() if code and isinstance(name, str) and name.strip()}

    def _entries(self) -> tuple[list[Mapping[str, Any]], str]:
        """The instruments, and why the file was left out, where it was."""
        path = self.root / "instruments.pk"
        if not path.is_file():
            return [], ""
        try:
            entries = _PlainUnpickler(io.BytesIO(path.read_bytes())).load()
        except BROKEN_PICKLE as error:
            return [], f"{path} is no pickle of plain values ({error}): listing days and industries are unknown"
        if not isinstance(entries, list) or not all(isinstance(e, Mapping) for e in entries):
            return [], f"{path} holds no list of instruments: listing days and industries are unknown"
        return [{k: v for k, v in e.items() if v is None or isinstance(v, (str, int, float))} for e in entries], ""

    def _instruments(self, axis: np.ndarray) -> tuple[dict[str, np.ndarray], Industries | None, str]:
        """Listing days and industries, and why the file was left out, where it was."""
        entries, refused = self._entries()
        if not entries:
            return {}, None, refused
        codes = pa.chunked_array([pa.array([str(e.get("order_book_id")) for e in entries], pa.string())])
        own, index, _ = symbol_axis(codes)
        place = {s: i for i, s in enumerate(axis)}
        at = np.array([*(place.get(s, -1) for s in own), -1], np.int64)[np.where(index >= 0, index, len(own))]
        listed = {}
        for ours, theirs in (("list_date", "listed_date"), ("delist_date", "de_listed_date")):
            days = np.array([to_date(str(e.get(theirs))) for e in entries], "datetime64[D]")
            days[days >= np.datetime64("2200-01-01")] = np.datetime64("NaT", "D")
            listed[ours] = np.full(len(axis), np.datetime64("NaT", "D"))
            listed[ours][at[at >= 0]] = days[at >= 0]
        words = np.full(len(axis), None, dtype=object)
        names = [e.get("industry_name") or e.get("industry_code") for e in entries]
        words[at[at >= 0]] = [
            n if isinstance(n, str) and n.strip() else None for n, i in zip(names, at, strict=True) if i >= 0
        ]
        known = any(w is not None for w in words)
        industry = Industries(np.array([np.datetime64("NaT", "D")]), (pd.array(words, dtype="str"),)) if known else None
        return listed, industry, ""


class _PlainUnpickler(pickle.Unpickler):
    """Loads texts, numbers, lists and dicts; a pickle that names any class or function is refused."""

    def find_class(self, module: str, name: str) -> Any:
        """Refuse every class and function."""
        raise pickle.UnpicklingError(f"it names {module}.{name}")


def _stored(path: Path) -> Iterator[tuple[str, np.ndarray]]:
    """The datasets of an HDF5 file, one after the other."""
    try:
        import h5py
    except ImportError as error:
        raise SourceError(f"{path} is an HDF5 file; reading it needs h5py: pip install 'mg[h5]'") from error
    try:
        with h5py.File(path, "r") as file:
            for key in file:
                yield str(key), np.asarray(file[key][()])
    except BROKEN_FILE as error:
        raise SourceError(f"{path} cannot be read as an HDF5 file ({error}); update the bundle again") from error


def _values(raw: np.ndarray, name: str) -> np.ndarray:
    """A field in yuan or shares."""
    values = raw[name]
    if name not in PRICES:
        return np.rint(values.astype(np.float64)) if name == "volume" else values.astype(np.float64)
    if values.dtype.kind in "iu":
        values = values * WHOLE_UNIT
    yuan = np.rint(values.astype(np.float64) * 1000) / 1000
    return np.where(yuan > 0, yuan, np.nan)  # 0 stands for a price that there was not: a first day has no limits


def _keys(symbol: np.ndarray, date: np.ndarray) -> np.ndarray:
    """A number for each stock and day."""
    return symbol.astype(np.int64) * 10**6 + date.astype("datetime64[D]").astype(np.int64)


def _days(numbers: np.ndarray) -> np.ndarray:
    """``20230103`` or ``20230103000000`` as ``datetime64[D]``; NaT where a number is no date."""
    number = np.asarray(numbers).astype(np.int64)
    number = np.where(number >= 10**8, number // DAY_SECONDS, number)
    return dates_of_parts(number // 10_000, number // 100 % 100, number % 100)


def _factor_on(days: np.ndarray, factors: np.ndarray | None) -> np.ndarray:
    """The adjustment factor of each day: that of the last start before or on it; 1 before the first."""
    if factors is None or not len(factors):
        return np.ones(len(days))
    start = _days(factors["start_date"])
    start = np.where(np.isnat(start), np.datetime64("1900-01-01"), start)  # 0: from the beginning
    order = np.argsort(start, kind="stable")
    at = np.searchsorted(start[order], days, side="right") - 1
    return np.where(at >= 0, factors["ex_cum_factor"].astype(np.float64)[order][at], 1.0)


def _reference_prices(days: np.ndarray, columns: Mapping[str, np.ndarray], actions: np.ndarray | None) -> np.ndarray:
    """``(last close - cash) / split`` on the ex-days, on the tick; NaN on all others."""
    out = np.full(len(days), np.nan)
    if actions is None:
        return out
    traded = columns["volume"] > 0
    for day in np.unique(actions["day"][~np.isnat(actions["day"])]):
        at = int(np.searchsorted(days, day))
        before = np.flatnonzero(traded[:at])
        if at < len(days) and len(before):
            mine = actions[actions["day"] == day]
            out[at] = round_to_tick((columns["close"][before[-1]] - mine["cash"].sum()) / mine["split"].prod())
    return out
