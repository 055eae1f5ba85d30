"""All 34 intraday factors of one day in one call: each table is read once."""

import numpy as np
import pandas as pd

from mg_assets.factors.kernels.big_orders import BIG_ORDER_STD
from mg_assets.factors.kernels.minute import bar_rows, bar_values
from mg_assets.factors.kernels.monitor import bar_part, flow_part, union_of
from mg_assets.factors.kernels.order import OrderFlow, order_flow, order_rows
from mg_assets.factors.kernels.trade import TradeFlow, trade_flow, trade_rows
from mg_assets.factors.registry import ALL34, HF27, MINUTE, TRADE


def intraday_factors(
    trades: pd.DataFrame | None,
    orders: pd.DataFrame | None,
    minute_bars: pd.DataFrame | None,
    big_order_std: float = BIG_ORDER_STD,
) -> pd.DataFrame:
    """The 34 intraday factors of every stock of one day.

    Parameters
    ----------
    trades, orders, minute_bars : DataFrame or None
        The day's tables in the lake's columns; None where the source has no such table.
    big_order_std : float
        Multiple of the standard deviation in the big-order threshold; kept in ``attrs``.

    Returns
    -------
    DataFrame
        Index ``symbol`` ascending (all symbols of the tables given), columns
        :data:`mg_assets.factors.registry.ALL34`. A stock that has no trades (neither in ``trades``
        nor in the bars) is suspended and NaN throughout; a table that is None leaves its factors NaN.

    Raises
    ------
    DataError
        A table does not have the lake's columns and kinds, or a minute occurs twice.
    """
    from_trades = None if trades is None else trade_rows(trades)
    from_orders = None if orders is None else order_rows(orders)
    from_bars = None if minute_bars is None else bar_rows(minute_bars)
    return combined(
        None if from_trades is None else (from_trades.symbols, trade_flow(from_trades, big_order_std)),
        None if from_orders is None else (from_orders.symbols, order_flow(from_orders)),
        None if from_bars is None else (from_bars.symbols, *bar_values(from_bars)),
        big_order_std,
    )


def combined(
    of_trades: tuple[np.ndarray, TradeFlow] | None,
    of_orders: tuple[np.ndarray, OrderFlow] | None,
    of_bars: tuple[np.ndarray, np.ndarray, np.ndarray] | None,
    big_order_std: float,
) -> pd.DataFrame:
    """Join the results of the tables by symbol.

    Parameters
    ----------
    of_trades, of_orders : tuple of symbols (S,) and flow, or None
        Symbols ascending; None: no such table.
    of_bars : tuple of symbols (S,), values (S, 18) and whether the stock traded (S,), or None
    big_order_std : float
        Kept in ``attrs``.

    Returns
    -------
    DataFrame
        As :func:`intraday_factors`.
    """
    symbols = union_of(*(part[0] for part in (of_trades, of_orders, of_bars) if part is not None))
    values = np.full((len(symbols), len(ALL34)), np.nan)
    monitor = values[:, len(HF27) :]
    order_columns = slice(len(MINUTE) + len(TRADE), len(HF27))
    traded = np.zeros(len(symbols), bool)
    if of_bars is not None:
        bar_symbols, bars, bars_traded = of_bars
        at = np.searchsorted(symbols, bar_symbols)
        values[at, : len(MINUTE)] = bars[:, : len(MINUTE)]
        bar_part(monitor, at, bars)
        traded[at] |= bars_traded
    if of_orders is not None:
        values[np.searchsorted(symbols, of_orders[0]), order_columns] = of_orders[1].factors
    if of_trades is not None:
        trade_symbols, flow = of_trades
        at = np.searchsorted(symbols, trade_symbols)
        values[at, len(MINUTE) : len(MINUTE) + len(TRADE)] = flow.factors
        flow_part(monitor, symbols, trade_symbols, flow, of_orders)
        traded[at] |= flow.traded
    if of_trades is not None or of_bars is not None:
        values[~traded, order_columns] = np.nan
    frame = pd.DataFrame(values, pd.Index(symbols, name="symbol"), list(ALL34))
    frame.attrs["big_order_std"] = big_order_std
    return frame
