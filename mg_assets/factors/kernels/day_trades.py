"""What the kernel finds of each trade of one stock's day, for the explanation of its factors."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from mg_assets.factors.kernels.big_orders import amounts_by_slot, parent_orders
from mg_assets.factors.kernels.clock import CONTINUOUS, EARLY, MINUTES
from mg_assets.factors.kernels.minute import minute_returns
from mg_assets.factors.kernels.parent_orders import scratch_size
from mg_assets.factors.kernels.session import (
    ACTIVE_BUY,
    ACTIVE_SELL,
    CLOSE,
    MINUTE_ARRAYS,
    OPEN,
    TRADES,
    session_minutes,
)
from mg_assets.factors.kernels.trade import trade_rows


@dataclass(frozen=True)
class DayTrades:
    """What the kernel finds of each trade and parent order of one stock, for its explanation.

    Attributes
    ----------
    minute : ndarray of int (n,)
        Bar of each row in the order of ``seq``, -1 outside the session.
    continuous : ndarray of bool (n,)
        Rows of the continuous session.
    amount, last_price : ndarray (n,)
        Yuan, 0 for a row that does not count; price of the row or of the last one that counts.
    buy_slot, sell_slot : ndarray of int (n,)
        Index of the row's parent orders in the amounts, 0 for none.
    buy_amount, sell_amount : ndarray
        Amount of each parent order, yuan.
    marks : ndarray of int8 (n,)
        1 for a big buy order, 2 for a big sell order, 3 for both.
    threshold, mean, std : float
        Of ln A.
    net, returns : ndarray (240,)
        Net active amount (yuan) and return of each bar.
    """

    minute: np.ndarray
    continuous: np.ndarray
    amount: np.ndarray
    last_price: np.ndarray
    buy_slot: np.ndarray
    sell_slot: np.ndarray
    buy_amount: np.ndarray
    sell_amount: np.ndarray
    marks: np.ndarray
    threshold: float
    mean: float
    std: float
    net: np.ndarray
    returns: np.ndarray


def day_trades(trades: pd.DataFrame, big_order_std: float) -> DayTrades:
    """One stock's trades as :func:`~mg_assets.factors.kernels.trade.trade_factors` sees them."""
    rows, n = trade_rows(trades), len(trades)
    amount, last_price, minutes = np.empty(n), np.empty(n), np.empty((len(MINUTE_ARRAYS), MINUTES))
    run_end, run_minute, run_phase = np.empty(n, np.int64), np.empty(n, np.int16), np.empty(n, np.int8)
    runs = session_minutes(
        rows.times(), rows.floats("price"), rows.numbers("volume"), rows.signs("side"), minutes, amount, last_price,
        run_end, run_minute, run_phase,
    )  # fmt: skip
    lengths = np.diff(run_end[:runs], prepend=0)
    slots = np.empty(n, np.uint32), np.empty(n, np.uint32)
    logs = np.empty(n + 1), np.empty(n + 1)
    big = np.empty(n + 1, np.bool_), np.empty(n + 1, np.bool_)
    scratch = np.empty(scratch_size(n), np.uint64), np.empty(scratch_size(n), np.uint32)
    marks = np.empty(n, np.int8)
    buys, sells, _, _, threshold, mean, std = parent_orders(
        rows.integers("buy_order"), rows.integers("sell_order"), amount, float(big_order_std), *slots, *logs, *big,
        *scratch, marks,
    )  # fmt: skip
    amounts = np.empty(buys), np.empty(sells)
    for slot, values in zip(slots, amounts, strict=True):
        amounts_by_slot(slot, amount, n, len(values), values)
    returns = np.empty(MINUTES)
    minute_returns(minutes[OPEN], minutes[CLOSE], minutes[TRADES] > 0.0, np.nan, returns)
    return DayTrades(
        np.repeat(run_minute[:runs], lengths),
        np.isin(np.repeat(run_phase[:runs], lengths), (CONTINUOUS, EARLY)),
        amount, last_price, *slots, *amounts, marks, threshold, mean, std,
        minutes[ACTIVE_BUY] - minutes[ACTIVE_SELL], returns,
    )  # fmt: skip
