"""The weekly monitor's seven further factors.

``intent_m`` = active buying net of active selling + buy limit orders entered net of withdrawn,
minus the same of sell orders, per bar of the early session.

Source: Haitong weekly, 2023-12-15 (names, meanings, directions).
"""

import numpy as np
import pandas as pd

from mg_assets.factors.kernels.big_orders import BIG_ORDER_STD
from mg_assets.factors.kernels.cache import kernel
from mg_assets.factors.kernels.clock import EARLY_MINUTES
from mg_assets.factors.kernels.minute import bar_rows, bar_values
from mg_assets.factors.kernels.moments import mean_over_std, ratio
from mg_assets.factors.kernels.order import OrderFlow, order_flow, order_rows
from mg_assets.factors.kernels.trade import TradeFlow, trade_flow, trade_rows
from mg_assets.factors.registry import MINUTE, MONITOR

_OF_BARS = np.array([MONITOR.index(n) for n in ("intraday_skew", "improved_reversal", "tail_volume_share")])
_OF_INTENT = np.array([MONITOR.index(n) for n in ("open_buy_intent_share", "open_buy_intent_strength")])
_OF_BIG = np.array([MONITOR.index(n) for n in ("open_big_net_buy_share", "open_big_net_buy_strength")])


def monitor_factors(
    bars: pd.DataFrame | None,
    trades: pd.DataFrame | None,
    orders: pd.DataFrame | None,
    big_order_std: float = BIG_ORDER_STD,
) -> pd.DataFrame:
    """Seven factors of each stock's day from bars, trades and orders.

    Parameters
    ----------
    bars, trades, orders : DataFrame or None
        The day's tables, as in :func:`minute_factors`, :func:`trade_factors` and
        :func:`order_factors`; None where the source has no such table.
    big_order_std : float
        Multiple of the standard deviation in the big-order threshold; kept in ``attrs``.

    Returns
    -------
    DataFrame
        Index ``symbol`` ascending (all symbols of the tables given), columns
        :data:`mg_assets.factors.registry.MONITOR`. NaN where a table that the factor needs is None
        and for a stock without trades.

    Raises
    ------
    DataError
        As the three functions above.
    """
    from_bars = None if bars is None else bar_rows(bars)
    from_trades = None if trades is None else trade_rows(trades)
    from_orders = None if orders is None else order_rows(orders)
    symbols = union_of(*(rows.symbols for rows in (from_bars, from_trades, from_orders) if rows is not None))
    values = np.full((len(symbols), len(MONITOR)), np.nan)
    if from_bars is not None:
        bar_part(values, np.searchsorted(symbols, from_bars.symbols), bar_values(from_bars)[0])
    if from_trades is not None:
        flow = trade_flow(from_trades, big_order_std)
        book = None if from_orders is None else (from_orders.symbols, order_flow(from_orders))
        flow_part(values, symbols, from_trades.symbols, flow, book)
    frame = pd.DataFrame(values, pd.Index(symbols, name="symbol"), list(MONITOR))
    frame.attrs["big_order_std"] = big_order_std
    return frame


def union_of(*axes: np.ndarray) -> np.ndarray:
    """All symbols of some symbol axes, ascending ``(S,)``."""
    return np.unique(np.concatenate(axes)) if axes else np.empty(0, object)


def bar_part(values: np.ndarray, at: np.ndarray, of_bars: np.ndarray) -> None:
    """Write the factors of bars alone into rows ``at`` of ``values (S, 7)``."""
    values[np.ix_(at, _OF_BARS)] = of_bars[:, len(MINUTE) :]


def flow_part(
    values: np.ndarray,
    symbols: np.ndarray,
    trade_symbols: np.ndarray,
    flow: TradeFlow,
    orders: tuple[np.ndarray, OrderFlow] | None,
) -> None:
    """Write the factors of trades (and orders, where given) into ``values (S, 7)``."""
    at = np.searchsorted(symbols, trade_symbols)
    big = np.full((len(trade_symbols), 2), np.nan)
    _share_and_strength(flow.big_net, flow.early_amount, flow.traded, big)
    values[np.ix_(at, _OF_BIG)] = big
    if orders is None:
        return
    order_symbols, order = orders
    book = np.zeros((len(symbols), EARLY_MINUTES))
    book[np.searchsorted(symbols, order_symbols)] = order.book
    intent = np.full((len(trade_symbols), 2), np.nan)
    _share_and_strength(flow.net + book[at], flow.early_amount, flow.traded, intent)
    values[np.ix_(at, _OF_INTENT)] = intent


@kernel(nogil=True, error_model="numpy")
def _share_and_strength(per_bar, early_amount, traded, out):
    """Sum over the early bars / early amount, and mean / std of the bars, per traded stock."""
    for s in range(len(per_bar)):
        if traded[s]:
            out[s, 0] = ratio(per_bar[s].sum(), early_amount[s])
            out[s, 1] = mean_over_std(per_bar[s])
