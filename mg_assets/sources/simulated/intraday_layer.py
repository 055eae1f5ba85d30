"""A simulated day as the lake's tables of orders and trades.

``simulate_day`` is a function of (settings.seed, plan) alone, stock by stock: a stock's rows are the same whichever
stocks are in the plan. The first trade of every stock that is not suspended prints at ``plan.open``, the last at
``plan.close``; the volume comes near ``plan.volume``.
"""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numba import njit

from mg_assets.errors import DataError
from mg_assets.market.schema import ORDER_KINDS
from mg_assets.sources.simulated.continuous_flow import FlowParameters
from mg_assets.sources.simulated.day_plan import DayPlan
from mg_assets.sources.simulated.informed_trading import tilt_of
from mg_assets.sources.simulated.kernel_random import normal, stock_seeds
from mg_assets.sources.simulated.matching_book import new_matching_book
from mg_assets.sources.simulated.price_path import MINUTES, draw_path, draw_volume, new_course
from mg_assets.sources.simulated.settings import SimulationSettings
from mg_assets.sources.simulated.stock_day import simulate_stock
from mg_assets.sources.simulated.tape import (
    BUY_ID,
    C_ORDERS,
    C_TRADES,
    ID,
    KIND,
    O_SIDE,
    O_TICK,
    SELL_ID,
    SEQ,
    STOCK,
    T_SIDE,
    T_TICK,
    TIME,
    VOLUME,
    Stock,
    Tape,
    new_flow_state,
)
from mg_models.kernel_cache import cached_njit

kernel = cached_njit(Path(__file__).parent)

BLOCK = 256  # stocks simulated between two conversions to columns: bounds the memory of a 5,000-stock day
TYPICAL_AMOUNT = 1.2e8  # yuan a day at which a stock receives `orders_per_stock` orders
MOST_LIVELY = 2  # informed traders at most double a stock's orders
SHARES_PER_ORDER = 110  # no more continuous orders than volume / this, so that sizes stay above a lot or two
KINDS = pa.array(ORDER_KINDS)  # the book's codes are indices into this tuple


def simulate_day(
    plan: DayPlan, settings: SimulationSettings, flow: FlowParameters | None = None
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Simulate the order flow of one day.

    Parameters
    ----------
    plan : DayPlan
        Targets of S stocks; suspended ones get no rows.
    settings : SimulationSettings
        ``seed`` and ``orders_per_stock`` are used.
    flow : FlowParameters, optional
        Behaviour of the order flow.

    Returns
    -------
    orders, trades : DataFrame
        Columns of the lake's schemas (prices in yuan, volume in shares), sorted by symbol, then seq. ``seq`` is one
        increasing sequence per symbol over both tables; price is NaN for market and own-best orders and their cancels.

    Raises
    ------
    DataError
        Where a stock's targets are off the tick or outside its limits, or its volume is not positive.
    """
    flow = FlowParameters() if flow is None else flow
    trading = np.flatnonzero(~np.asarray(plan.suspended, bool))
    ticks = _plan_ticks(plan, trading)
    volume = np.asarray(plan.volume, np.int64)[trading]
    orders = orders_per_day(volume, np.asarray(plan.open, float)[trading], settings.orders_per_stock)
    symbols = np.asarray(plan.symbols, object)
    seeds = stock_seeds(settings.seed, plan.date, symbols[trading])
    shanghai = np.array([str(s).endswith(".SH") for s in symbols[trading]], bool)
    one_word = np.where(np.asarray(plan.one_word, bool)[trading], np.where(ticks[:, 2] == ticks[:, 1], 1, -1), 0)

    blocks = []
    for start in range(0, len(trading), BLOCK):
        part = slice(start, start + BLOCK)
        blocks.append(
            _simulate_block(
                trading[part],
                ticks[part],
                volume[part],
                orders[part],
                np.asarray(plan.lot, np.int64)[trading[part]],
                one_word[part],
                np.asarray(plan.volatility, float)[trading[part]],
                np.asarray(plan.alpha, float)[trading[part]],
                seeds[part],
                shanghai[part],
                flow,
            )
        )
    order_rows = {name: _column([b[0] for b in blocks], name, ORDER_COLUMNS) for name in ORDER_COLUMNS}
    trade_rows = {name: _column([b[1] for b in blocks], name, TRADE_COLUMNS) for name in TRADE_COLUMNS}
    return _orders_frame(order_rows, symbols, plan), _trades_frame(trade_rows, symbols, plan)


def orders_per_day(volume: np.ndarray, price: np.ndarray, typical: int) -> np.ndarray:
    """New orders of each stock's continuous session, (S,): more for active stocks, fewer where lots are few."""
    activity = np.clip((volume * price / TYPICAL_AMOUNT) ** 0.4, 0.25, 4.0)
    # the auctions add an eighth; what the tape counts as new orders is then near `typical`
    return np.maximum(np.minimum(0.9 * typical * activity, volume / SHARES_PER_ORDER), 40).astype(np.int64)


def _plan_ticks(plan: DayPlan, trading: np.ndarray) -> np.ndarray:
    """Lower limit, upper limit, open, close and previous close in ticks, (S', 5); checked."""
    columns = ("down_limit", "up_limit", "open", "close", "prev_close")
    yuan = np.stack([np.asarray(getattr(plan, c), float)[trading] for c in columns], axis=1)
    ticks = np.rint(100.0 * yuan)
    wrong = ~np.isfinite(yuan) | (np.abs(100.0 * yuan - ticks) > 1e-6) | (ticks < 1)
    low, high = ticks[:, :1], ticks[:, 1:2]
    wrong[:, 2:4] |= (ticks[:, 2:4] < low) | (ticks[:, 2:4] > high)
    wrong[:, :1] |= low > high
    if wrong.any():
        s, c = np.argwhere(wrong)[0]
        raise DataError(
            f"{plan.date} {plan.symbols[trading[s]]}: {columns[c]} was {yuan[s, c]}, limits "
            f"{yuan[s, 0]}..{yuan[s, 1]}; give a price on the 0.01 tick inside the limits, or mark the stock suspended"
        )
    volume = np.asarray(plan.volume)[trading]
    if (volume < 1).any():
        s = int(np.argmax(volume < 1))
        raise DataError(
            f"{plan.date} {plan.symbols[trading[s]]}: volume was {volume[s]}; give a positive one, "
            "or mark the stock suspended"
        )
    return ticks.astype(np.int64)


def _simulate_block(stocks, ticks, volume, orders, lot, one_word, volatility, alpha, seeds, shanghai, flow):
    """Simulate some stocks; return the used rows of the two tapes."""
    most_orders = MOST_LIVELY * orders  # a continuous minute rounds up, an auction adds its own
    entered = most_orders + MINUTES + (most_orders * (flow.open_orders + flow.close_orders)).astype(np.int64) + 400
    most = int(entered.max(initial=1))
    tape = Tape(np.empty((2 * int(entered.sum()), 8), np.int64), np.empty((int(entered.sum()), 8), np.int64))
    book = new_matching_book(most, int((ticks[:, 1] - ticks[:, 0]).max(initial=0)) + 1)
    flow_state = new_flow_state(most)
    _simulate_stocks(book, flow_state, tape, new_course(), stocks, ticks, volume, orders, lot, one_word, volatility,
                     alpha, seeds, shanghai, flow)  # fmt: skip
    return tape.orders[: flow_state.clock[C_ORDERS]], tape.trades[: flow_state.clock[C_TRADES]]


@njit(nogil=True)
def beyond(tick, ticks, volatility, rng):
    """Log distance of the fair price beyond a limit at which the stock opens or closes, 0 inside the limits."""
    distance = volatility * (0.25 + 0.5 * abs(normal(rng)))
    if tick == ticks - 1:
        return distance
    return -distance if tick == 0 else 0.0


@kernel(nogil=True)
def _simulate_stocks(
    book,
    flow_state,
    tape,
    course,
    stocks,
    ticks,
    volume,
    orders,
    lot,
    one_word,
    volatility,
    alpha,
    seeds,
    shanghai,
    flow,
):
    """Draw each stock's footprints, path and volume curve, then its order flow."""
    rng = np.zeros(1, np.uint64)
    for i in range(stocks.size):
        rng[0] = seeds[i]
        low, high = ticks[i, 0], ticks[i, 1]
        tilt = tilt_of(alpha[i], rng)
        stock = Stock(
            plan_row=stocks[i],
            ticks=high - low + 1,
            base=low,
            previous=ticks[i, 4] - low,
            open=ticks[i, 2] - low,
            close=ticks[i, 3] - low,
            volume=volume[i],
            orders=min(np.int64(orders[i] * np.exp(tilt.liveliness)), MOST_LIVELY * orders[i]),
            lot=lot[i],
            locked=one_word[i],
        )
        begin = beyond(stock.open, stock.ticks, volatility[i], rng)
        end = beyond(stock.close, stock.ticks, volatility[i], rng)
        if stock.locked != 0:
            begin = end = 10.0 * volatility[i] * stock.locked
        total = np.log(ticks[i, 3] / ticks[i, 2]) + end - begin
        draw_path(course, rng, tilt, total, volatility[i])
        course.fair[:] += begin
        draw_volume(course, rng, tilt)
        simulate_stock(book, flow_state, tape, course, stock, rng, flow, tilt, volatility[i], shanghai[i])


ORDER_COLUMNS = {"time": TIME, "seq": SEQ, "order_id": ID, "side": O_SIDE, "tick": O_TICK, "volume": VOLUME,
                 "kind": KIND, "stock": STOCK}  # fmt: skip
TRADE_COLUMNS = {"time": TIME, "seq": SEQ, "tick": T_TICK, "volume": VOLUME, "buy_order": BUY_ID,
                 "sell_order": SELL_ID, "side": T_SIDE, "stock": STOCK}  # fmt: skip


def _column(tapes: list[np.ndarray], name: str, columns: dict[str, int]) -> np.ndarray:
    if not tapes:
        return np.zeros(0, np.int64)
    return np.concatenate([tape[:, columns[name]] for tape in tapes])


def _strings(values: pa.Array, codes: np.ndarray) -> pd.Series:
    """Repeated strings as pandas' default string column, without a Python object per row."""
    return pd.Series(pd.array(pc.take(values, pa.array(codes)), dtype="str"))


def _times(rows: np.ndarray, plan: DayPlan) -> np.ndarray:
    return np.datetime64(plan.date, "ms") + rows.astype("timedelta64[ms]")


def _orders_frame(rows: dict[str, np.ndarray], symbols: np.ndarray, plan: DayPlan) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "symbol": _strings(pa.array(symbols, pa.string()), rows["stock"]),
            "time": _times(rows["time"], plan),
            "seq": rows["seq"],
            "order_id": rows["order_id"],
            "side": rows["side"].astype(np.int8),
            "price": np.where(rows["tick"] < 0, np.nan, rows["tick"] / 100.0),
            "volume": rows["volume"],
            "kind": _strings(KINDS, rows["kind"]),
        },
        copy=False,
    )


def _trades_frame(rows: dict[str, np.ndarray], symbols: np.ndarray, plan: DayPlan) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "symbol": _strings(pa.array(symbols, pa.string()), rows["stock"]),
            "time": _times(rows["time"], plan),
            "seq": rows["seq"],
            "price": rows["tick"] / 100.0,
            "volume": rows["volume"],
            "buy_order": rows["buy_order"],
            "sell_order": rows["sell_order"],
            "side": rows["side"].astype(np.int8),
        },
        copy=False,
    )
