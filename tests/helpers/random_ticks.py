"""Trades and orders written by hand, and days of them drawn at random with everything that a day may bring."""

import numpy as np
import pandas as pd

DAY = pd.Timestamp("2023-02-01")


def trades_frame(rows):
    """Rows of (symbol, 'hh:mm:ss.mmm', seq, price, volume, buy_order, sell_order, side)."""
    frame = pd.DataFrame(rows, columns=["symbol", "time", "seq", "price", "volume", "buy_order", "sell_order", "side"])
    return _typed(
        frame, {"price": "float64", "volume": "int64", "buy_order": "int64", "sell_order": "int64", "side": "int8"}
    )


def orders_frame(rows):
    """Rows of (symbol, 'hh:mm:ss.mmm', seq, order_id, side, price, volume, kind)."""
    frame = pd.DataFrame(rows, columns=["symbol", "time", "seq", "order_id", "side", "price", "volume", "kind"])
    return _typed(frame, {"order_id": "int64", "side": "int8", "price": "float64", "volume": "int64", "kind": "str"})


def _typed(frame, kinds):
    stamps = pd.to_datetime("2023-02-01 " + frame["time"].astype("str"))
    return frame.assign(time=stamps.astype("datetime64[ms]")).astype({"symbol": "str", "seq": "int64", **kinds})


def _clock(ms):
    seconds, ms = divmod(int(ms), 1000)
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}.{ms:03d}"


def _stamps(rng, n, last):
    """Stamps from 09:14 to ``last`` hours, dense in the early session and on the clock's edges."""
    edges = [9.25, 9.5, 10, 11.5, 13, 14.5, 14.95, 15, 15 + 1 / 12]
    pools = [
        rng.uniform(9.23, last, n),
        rng.uniform(9.5, 10, n),
        rng.choice(edges, n) + rng.choice([-1, 0, 1], n) / 3.6e6,
    ]
    return np.sort(np.rint(np.choose(rng.choice(3, n, p=[0.6, 0.3, 0.1]), pools) * 3.6e6).astype(int))


def random_day(seed, stocks=3, most=400):
    """Trades and orders of some stocks with everything that a day may bring, in no order."""
    rng = np.random.default_rng(seed)
    trades, orders = [], []
    for s in range(stocks):
        symbol = f"{600000 + s}.SH"
        n = int(rng.choice([0, 1, 2, 7, 40, most], p=[0.05, 0.05, 0.05, 0.1, 0.25, 0.5]))
        tick = rng.choice([0.01, 0.0001, 0.1])
        price = np.maximum(np.round(10 + np.cumsum(rng.integers(-2, 3, n)) * tick, 4), 0.01)
        if rng.random() < 0.15:
            price[:] = 11.0
        price[rng.random(n) < 0.02] = 0.0
        volume = np.where(rng.random(n) < 0.02, 0, np.rint(np.exp(rng.normal(5, 1.5, n)))) * rng.choice([1, 100])
        numbers = rng.integers(-1, max(2, n), (2, n)) * int(rng.choice([1, 1 << 20, 7919]))
        if rng.random() < 0.1:
            numbers[:] = 0
        for i, ms in enumerate(_stamps(rng, n, 15.6)):
            side = int(rng.choice([-1, 0, 1]))
            trades.append((symbol, _clock(ms), i // 2, price[i], volume[i], numbers[0, i], numbers[1, i], side))
        m = int(rng.choice([0, 1, 6, 60, most]))
        for i, ms in enumerate(_stamps(rng, m, 15.1)):
            kind = rng.choice(["limit", "market", "own_best", "cancel"], p=[0.6, 0.05, 0.05, 0.3])
            px = round(float(10 + rng.normal(0, 0.2)), 2)
            if kind in ("market", "own_best") or rng.random() < 0.05:
                px = None if rng.random() < 0.8 else 0.0
            size = 0 if rng.random() < 0.02 else int(np.exp(rng.normal(2, 1.3))) * 100
            orders.append((symbol, _clock(ms), i, i + 1, int(rng.choice([-1, 1])), px, size, kind))
    return trades_frame(trades), orders_frame(orders)
