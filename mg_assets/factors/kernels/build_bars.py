"""Minute bars from trades, and daily bars from minute bars."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
import pyarrow as pa

from mg_assets.errors import DataError
from mg_assets.factors.kernels.cache import kernel
from mg_assets.factors.kernels.clock import MINUTES
from mg_assets.factors.kernels.columns import StockRows
from mg_assets.factors.kernels.minute import bar_rows
from mg_assets.factors.kernels.session import MINUTE_ARRAYS, carry_closes, session_minutes
from mg_assets.market.schema import MINUTE_BARS, PERIOD_BARS

_FROM_REFERENCE = ("prev_close", "adj_factor", "up_limit", "down_limit", "suspended", "st", "float_shares")


def bars_from_trades(trades: pd.DataFrame, prev_close: pd.Series | Mapping[str, float] | None = None) -> pd.DataFrame:
    """One-minute bars of a day, 240 rows for every stock with at least one session trade.

    Parameters
    ----------
    trades : DataFrame
        ``trades`` of one day (yuan, shares), in any order; taken in the order of ``seq``. Rows with
        price <= 0 or volume <= 0 and after-hours trades are left out.
    prev_close : Series or mapping of symbol to float, optional
        The exchange's reference price, which bars before the day's first trade carry.

    Returns
    -------
    DataFrame
        Columns of ``minute_bars``, sorted by symbol and minute. A bar without trades has volume,
        amount and number of trades 0 and the previous close as its four prices; before the first
        trade that is ``prev_close``, NaN where unknown.

    Raises
    ------
    DataError
        A column is missing or not of its kind, or a time or a symbol is null.
    """
    rows = StockRows("trades", trades, ("time", "price", "volume"), by_seq=True)
    day = np.empty((len(rows), len(MINUTE_ARRAYS), MINUTES))
    _day_kernel(rows.offsets, rows.times(), rows.floats("price"), rows.numbers("volume"), day)
    symbol, columns = bar_columns(rows.symbols, day, prev_close)
    named = {"symbol": pd.array(symbol.cast(pa.large_string()), dtype="str"), **columns}
    return pd.DataFrame(named, columns=MINUTE_BARS.names, copy=False)


def bar_columns(
    symbols: np.ndarray, day: np.ndarray, prev_close: pd.Series | Mapping[str, float] | None
) -> tuple[pa.DictionaryArray, dict[str, np.ndarray]]:
    """Columns of ``minute_bars`` from minute arrays.

    Parameters
    ----------
    symbols : ndarray of object (S,)
    day : ndarray (S, 10, 240)
        Rows :data:`MINUTE_ARRAYS`; prices of bars without trades are overwritten by the close before.
    prev_close : Series or mapping of symbol to float, optional
        Of bars before the first trade.

    Returns
    -------
    symbol : DictionaryArray
    columns : dict of str to ndarray
        Without the stocks that have no trades.
    """
    reference = np.full(len(symbols), np.nan)
    if prev_close is not None:
        given = pd.Series(prev_close, dtype=np.float64)
        at = pd.Index(given.index).get_indexer(symbols)
        reference[at >= 0] = given.to_numpy()[at[at >= 0]]
        reference[~(reference > 0)] = np.nan
    traded = np.zeros(len(symbols), bool)
    carry_closes(day, reference, traded)
    if not traded.all():
        symbols, day = symbols[traded], day[traded]
    codes = np.repeat(np.arange(len(symbols), dtype=np.int32), MINUTES)
    fields = {name: day[:, MINUTE_ARRAYS.index(name)].reshape(-1) for name in MINUTE_BARS.names[2:]}
    return pa.DictionaryArray.from_arrays(codes, pa.array(list(symbols), pa.string())), {
        "minute": np.tile(np.arange(MINUTES, dtype=np.int16), len(symbols)),
        **{name: values.astype(MINUTE_BARS.field(name).type.to_pandas_dtype()) for name, values in fields.items()},
    }


@kernel(nogil=True)
def _day_kernel(offsets, stamps, price, volume, day):
    most = 0
    for s in range(len(offsets) - 1):
        most = max(most, offsets[s + 1] - offsets[s])
    amount = np.empty(most)
    last_price = np.empty(most)
    run_end = np.empty(most, np.int64)
    run_minute = np.empty(most, np.int16)
    run_phase = np.empty(most, np.int8)
    side = np.zeros(most, np.int8)
    for s in range(len(offsets) - 1):
        rows = slice(offsets[s], offsets[s + 1])
        n = offsets[s + 1] - offsets[s]
        session_minutes(
            stamps[rows],
            price[rows],
            volume[rows],
            side[:n],
            day[s],
            amount,
            last_price,
            run_end,
            run_minute,
            run_phase,
        )


def daily_from_minutes(minute_bars: pd.DataFrame, reference: pd.DataFrame | None = None) -> pd.DataFrame:
    """Daily bars of every listed stock from its minute bars.

    Parameters
    ----------
    minute_bars : DataFrame
        ``minute_bars`` of one day, in any order.
    reference : DataFrame, optional
        ``reference`` of that day: one row a listed stock. Previous close, adjustment factor, limits, suspension, ST
        and float shares are taken from it as they are; ``suspended`` that is null becomes "without trades", ``st`` that
        is null becomes False. Without it, or without rows: every stock that has minute bars, 1 as the adjustment
        factor, and nulls for the rest.

    Returns
    -------
    DataFrame
        Columns of ``daily_bars`` (raw prices), sorted by symbol, one row a symbol of ``reference``.
        Prices are those of the bars with trades, ``vwap`` = amount / volume. Without trades:
        volume, amount and number of trades 0, prices = previous close, ``vwap`` NaN. ``num_trades``
        is null where a bar with trades has none. ``attrs["without_reference"]`` lists symbols of
        the bars that ``reference`` lacks; they have no row.

    Raises
    ------
    DataError
        A column is missing, ``reference`` has a symbol twice, or a minute is outside 0..239 or
        occurs twice in a stock's day.
    """
    if reference is None or reference.empty:
        reference = _no_reference(minute_bars["symbol"])
    lacking = [c for c in ("symbol", *_FROM_REFERENCE) if c not in reference.columns]
    if lacking:
        raise DataError(f"table 'reference' lacks the columns {lacking}; give it the lake's columns")
    listed = reference.sort_values("symbol", kind="stable").reset_index(drop=True)
    symbols = listed["symbol"].to_numpy(dtype=object)
    twice = listed["symbol"][listed["symbol"].duplicated()]
    if len(twice):
        raise DataError(f"table 'reference' has {twice.iloc[0]} twice; a day has one row a symbol")

    rows = bar_rows(minute_bars)
    sums = np.zeros((len(rows), 7))  # open, high, low, close, volume, amount, num_trades
    minutes = rows.integers("minute")
    wrong = _daily_kernel(
        rows.offsets, minutes, rows.floats("open"), rows.floats("high"), rows.floats("low"), rows.floats("close"),
        rows.floats("volume"), rows.floats("amount"), rows.floats("num_trades"), sums,
    )  # fmt: skip
    if wrong >= 0:
        raise rows.wrong_minute(wrong, int(minutes[wrong]))
    at = pd.Index(symbols).get_indexer(rows.symbols)
    day = np.zeros((len(symbols), 7))
    day[at[at >= 0]] = sums[at >= 0]

    empty = ~(day[:, 4] > 0)
    prev_close = listed["prev_close"].to_numpy(np.float64, na_value=np.nan)
    day[empty, :4] = prev_close[empty, None]
    with np.errstate(invalid="ignore"):
        vwap = day[:, 5] / np.where(empty, np.nan, day[:, 4])
    frame = pd.DataFrame(
        {
            "symbol": listed["symbol"],
            **{name: day[:, i] for i, name in enumerate(("open", "high", "low", "close"))},
            "vwap": vwap,
            "volume": day[:, 4].astype(np.int64),
            "amount": day[:, 5],
            "num_trades": pd.array(day[:, 6], dtype="Float64").astype("Int64"),
            **{name: listed[name] for name in _FROM_REFERENCE},
        }
    )
    frame["suspended"] = listed["suspended"].astype("boolean").fillna(pd.Series(empty)).to_numpy(bool)
    frame["st"] = listed["st"].astype("boolean").fillna(False).to_numpy(bool)
    frame.attrs["without_reference"] = sorted(map(str, rows.symbols[at < 0]))
    return frame[PERIOD_BARS.names]


def _no_reference(symbols: pd.Series) -> pd.DataFrame:
    """What stands in for the reference of a source that has none: the stocks, and 1 as the adjustment factor."""
    frame = pd.DataFrame({"symbol": sorted(symbols.unique())})
    return frame.assign(**dict.fromkeys(_FROM_REFERENCE, np.nan)).assign(adj_factor=1.0, suspended=None, st=None)


@kernel(nogil=True, error_model="numpy")
def _daily_kernel(offsets, minute, open_, high, low, close, volume, amount, trades, sums):
    """Return the row whose minute is wrong, or -1."""
    seen = np.empty(MINUTES, np.bool_)
    for s in range(len(offsets) - 1):
        seen[:] = False
        first = MINUTES
        last = -1
        row = sums[s]
        for i in range(offsets[s], offsets[s + 1]):
            m = minute[i]
            if m < 0 or m >= MINUTES or seen[m]:
                return i
            seen[m] = True
            if not (volume[i] > 0.0 and open_[i] > 0.0 and high[i] > 0.0 and low[i] > 0.0 and close[i] > 0.0):
                continue
            row[1] = high[i] if last < 0 else max(row[1], high[i])
            row[2] = low[i] if last < 0 else min(row[2], low[i])
            if m < first:
                first = m
                row[0] = open_[i]
            if m > last:
                last = m
                row[3] = close[i]
            row[4] += volume[i]
            row[5] += amount[i]
            row[6] += trades[i]
    return -1
