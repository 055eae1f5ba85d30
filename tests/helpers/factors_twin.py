"""The factor definitions once more: slow, plain Python, one stock at a time.

Written from the definitions, sharing no code with the kernels.
"""

import datetime as dt
import itertools
import math
from collections import defaultdict
from fractions import Fraction

import numpy as np
import pandas as pd

NAN = float("nan")
T = dt.time


def finite(x):
    return x is not None and not pd.isna(x) and math.isfinite(x)


# Statistics


def mean(x):
    return math.fsum(x) / len(x)


def pstd(x):
    m = mean(x)
    return math.sqrt(math.fsum((a - m) ** 2 for a in x) / len(x))


def flat(x):
    return pstd(x) <= 1e-12 * max(abs(a) for a in x)


def corr(x, y, least=10):
    pairs = [(a, b) for a, b in zip(x, y, strict=True) if finite(a) and finite(b)]
    if len(pairs) < least:
        return NAN
    x, y = [p[0] for p in pairs], [p[1] for p in pairs]
    if flat(x) or flat(y):
        return NAN
    mx, my = mean(x), mean(y)
    c = math.fsum((a - mx) * (b - my) for a, b in pairs) / len(pairs) / (pstd(x) * pstd(y))
    return max(-1.0, min(1.0, c))


def moment(x, k):
    m = mean(x)
    return math.fsum((a - m) ** k for a in x) / len(x)


def skew(x):
    x = [a for a in x if finite(a)]
    return NAN if len(x) < 5 or flat(x) else moment(x, 3) / moment(x, 2) ** 1.5


def kurt(x):
    x = [a for a in x if finite(a)]
    return NAN if len(x) < 5 or flat(x) else moment(x, 4) / moment(x, 2) ** 2 - 3


def ratio(a, b):
    return NAN if b == 0 else a / b


# Clock


def minute_of(t):
    if not T(9, 15) <= t < T(15, 5):
        return None
    if t < T(9, 30):
        return 0
    if T(11, 30) <= t < T(13):
        return 119
    if t >= T(15):
        return 239
    minutes = t.hour * 60 + t.minute - (9 * 60 + 30)
    return minutes if t < T(11, 30) else minutes - 90


def early(t):
    return T(9, 30) <= t < T(10)


# Bars


def stock_bars(rows, prev_close=None):
    """240 dicts of one stock from its valid session trades in sequence order."""
    by_minute = defaultdict(list)
    for t in rows:
        by_minute[t["m"]].append(t)
    last, out = prev_close if finite(prev_close) and prev_close > 0 else NAN, []
    for m in range(240):
        here = by_minute[m]
        if here:
            prices = [t["price"] for t in here]
            last = prices[-1]
            out.append(
                {
                    "open": prices[0],
                    "high": max(prices),
                    "low": min(prices),
                    "close": last,
                    "volume": sum(t["volume"] for t in here),
                    "amount": math.fsum(t["price"] * t["volume"] for t in here),
                    "num_trades": len(here),
                }
            )
        else:
            out.append(
                dict.fromkeys(("open", "high", "low", "close"), last) | {"volume": 0, "amount": 0, "num_trades": 0}
            )
    return out


def session_trades(frame):
    """Per symbol: valid session trades in sequence order, as dicts."""
    out = {s: [] for s in sorted(set(frame["symbol"].astype(object)))}
    for t in frame.sort_values("seq", kind="stable").to_dict("records"):
        m = minute_of(t["time"].time())
        if t["price"] > 0 and t["volume"] > 0 and m is not None:
            clock = t["time"].time()
            auction = clock < T(9, 30) or clock >= T(15)
            side = 0 if auction or t["side"] not in (1, -1) else t["side"]
            out[t["symbol"]].append(t | {"m": m, "early": early(clock), "side": side, "a": t["price"] * t["volume"]})
    return out


def minute_returns(bars, prev_close):
    """r_m of 240 bars."""
    traded = [b["volume"] > 0 for b in bars]
    first = traded.index(True)
    r = [0.0 if finite(prev_close) else NAN] * first
    r.append(bars[first]["close"] / bars[first]["open"] - 1)
    return r + [bars[m]["close"] / bars[m - 1]["close"] - 1 for m in range(first + 1, 240)]


def whole_day(rows):
    """240 filled bars of one stock's rows of minute_bars, and its previous close."""
    rows = rows.to_dict("records")
    prev = next((b["prev_close"] for b in rows if finite(b.get("prev_close")) and b["prev_close"] > 0), None)
    good = {}
    for b in rows:
        if b["volume"] > 0 and all(finite(b[k]) and b[k] > 0 for k in ("open", "high", "low", "close")):
            good[b["minute"]] = b
    if not good:
        return None, None
    if prev is None:
        leading = sorted(
            (b for b in rows if b["minute"] < min(good) and not b["volume"] > 0), key=lambda b: b["minute"]
        )
        prev = next((b["close"] for b in leading if finite(b["close"]) and b["close"] > 0), None)
    last, bars = NAN if prev is None else prev, []
    for m in range(240):
        if m in good:
            bars.append(good[m])
            last = good[m]["close"]
        else:
            bars.append(
                dict.fromkeys(("open", "high", "low", "close"), last) | {"volume": 0, "amount": 0, "num_trades": 0}
            )
    return bars, prev


# Factors of one stock: dicts of name to value


def minute_part(rows):
    bars, prev = whole_day(rows)
    if bars is None:
        return {}
    r = minute_returns(bars, prev)
    o, h, low, c, v, a, n = (
        [b[k] for b in bars] for k in ("open", "high", "low", "close", "volume", "amount", "num_trades")
    )
    ok = [x for x in r if finite(x)]
    out = {
        "late_skew_ret": skew(r[210:]),
        "down_vol_perc": ratio(math.fsum(x * x for x in ok if x < 0), math.fsum(x * x for x in ok)),
        "corr_ret_lastret": corr(r[1:], r[:-1]),
        "corr_close_nextopen": corr(c[:-1], o[1:]),
        "corr_volume_item": corr(v, n),
        "early_corr_volume_ret": corr(v[:30], r[:30], 5),
        "corr_volume_amplitude": corr(v, [x / y - 1 for x, y in zip(h, low, strict=True)]),
        "intraday_skew": skew(r),
        "improved_reversal": c[239] / c[29] - 1,
        "tail_volume_share": sum(v[210:]) / sum(v),
    }
    for k in range(2, 8):
        out[f"volume_perc{k}"] = sum(v[30 * (k - 1) : 30 * k]) / sum(v)
    traded = [m for m in range(240) if v[m] > 0]
    if all(finite(n[m]) and n[m] > 0 and finite(a[m]) for m in traded):
        ranked = sorted(traded, key=lambda m: (-Fraction(round(a[m] * 100), int(n[m])), m))
        top = ranked[: (3 * len(traded) + 9) // 10]
        out["bigorder_ret"] = math.prod(1 + r[m] for m in top if finite(r[m])) - 1
        down = [m for m in traded if finite(r[m]) and r[m] < 0]
        if down:
            per = math.fsum(a[m] for m in down) / sum(n[m] for m in down)
            out["down_single_amt_perc"] = per / (math.fsum(a[m] for m in traded) / sum(n[m] for m in traded))
    return out


def trade_part(rows, multiple=1.0):
    if not rows:
        return {}
    sums = {"buy_order": defaultdict(float), "sell_order": defaultdict(float)}
    for t in rows:
        for key, total in sums.items():
            if t[key] > 0:
                total[t[key]] += t["a"]
    logs = [math.log(x) for total in sums.values() for x in total.values()]
    threshold = mean(logs) + multiple * pstd(logs) + 1e-9 if logs else math.inf
    big = {key: {k for k, x in total.items() if math.log(x) > threshold} for key, total in sums.items()}
    day = math.fsum(t["a"] for t in rows)
    g = [0.0] + [math.log(b["price"] / a["price"]) for a, b in itertools.pairwise(rows)]
    big_buy = [t["buy_order"] in big["buy_order"] for t in rows]
    big_sell = [t["sell_order"] in big["sell_order"] for t in rows]
    active_big = [
        (t["side"] == 1 and b) or (t["side"] == -1 and s) for t, b, s in zip(rows, big_buy, big_sell, strict=True)
    ]
    early_buy = math.fsum(t["a"] for t, b in zip(rows, big_buy, strict=True) if t["early"] and b)
    early_sell = math.fsum(t["a"] for t, b in zip(rows, big_sell, strict=True) if t["early"] and b)
    net = [math.fsum(t["side"] * t["a"] for t in rows if t["m"] == m) for m in range(240)]
    big_net = [
        math.fsum(
            t["a"] * (int(b) - int(s))
            for t, b, s in zip(rows, big_buy, big_sell, strict=True)
            if t["early"] and t["m"] == m
        )
        for m in range(30)
    ]
    early_amount = math.fsum(t["a"] for t in rows if t["early"])
    r = minute_returns(stock_bars(rows), None)
    return {
        "bigorder_amt_perc": math.fsum(sums[k][x] for k in sums for x in big[k]) / (2 * day),
        "early_bigorder_buy_perc": ratio(early_buy, early_buy + early_sell),
        "bigorder_ret2": math.fsum(x for x, b, s in zip(g, big_buy, big_sell, strict=True) if b or s),
        "early_active_bigorder_ret": math.fsum(
            x for x, t, b in zip(g, rows, active_big, strict=True) if t["early"] and b
        ),
        "concentration_diff": (
            math.fsum(x * x for x in sums["buy_order"].values()) - math.fsum(x * x for x in sums["sell_order"].values())
        )
        / day**2,
        "early_active_buy_perc": ratio(
            math.fsum(t["a"] for t in rows if t["early"] and t["side"] == 1),
            math.fsum(t["a"] for t in rows if t["early"] and t["side"] != 0),
        ),
        "corr_netactivebuy_lastret": corr(net[1:], r[:-1]),
        "corr_netactivebuy_nextret": corr(net[:-1], r[1:]),
        "open_big_net_buy_share": ratio(math.fsum(big_net), early_amount),
        "open_big_net_buy_strength": NAN if flat(big_net) else mean(big_net) / pstd(big_net),
    }


def counted_orders(rows):
    out = []
    for o in rows.to_dict("records"):
        clock = o["time"].time()
        if o["volume"] > 0 and not (finite(o["price"]) and o["price"] <= 0) and T(9, 15) <= clock < T(15, 0, 1):
            out.append(o | {"clock": clock})
    return out


def order_part(rows):
    orders = [o for o in counted_orders(rows) if o["kind"] != "cancel"]
    buy = [o["volume"] for o in orders if o["side"] == 1]
    sell = [o["volume"] for o in orders if o["side"] == -1]
    limit = [o for o in orders if o["side"] == 1 and o["kind"] == "limit" and finite(o["price"])]
    return {
        "skew_order_diff": skew(buy) - skew(sell),
        "kurt_order_diff": kurt(buy) - kurt(sell),
        "early_kurt_order": kurt([o["volume"] for o in orders if early(o["clock"])]),
        "corr_buyorder_volume_price": corr([o["volume"] for o in limit], [o["price"] for o in limit]),
    }


def intent_part(trades, orders):
    if not trades:
        return {}
    intent = [math.fsum(t["side"] * t["a"] for t in trades if t["early"] and t["m"] == m) for m in range(30)]
    for o in counted_orders(orders):
        if early(o["clock"]) and finite(o["price"]) and o["kind"] in ("limit", "cancel"):
            sign = o["side"] if o["kind"] == "limit" else -o["side"]
            intent[minute_of(o["clock"])] += sign * o["price"] * o["volume"]
    return {
        "open_buy_intent_share": ratio(math.fsum(intent), math.fsum(t["a"] for t in trades if t["early"])),
        "open_buy_intent_strength": NAN if flat(intent) else mean(intent) / pstd(intent),
    }


def all_factors(names, trades=None, orders=None, bars=None, multiple=1.0):
    """A frame like that of intraday_factors."""
    tables = [t for t in (trades, orders, bars) if t is not None]
    symbols = sorted(set().union(*(t["symbol"].astype(object) for t in tables)))
    session = session_trades(trades) if trades is not None else {}
    rows = {}
    for s in symbols:
        values = {}
        of_orders = None if orders is None else orders[orders["symbol"].astype(object) == s]
        if bars is not None:
            values |= minute_part(bars[bars["symbol"].astype(object) == s])
        if trades is not None:
            values |= trade_part(session.get(s, []), multiple)
        suspended = not values and (bars is not None or trades is not None)
        if orders is not None and not suspended:
            values |= order_part(of_orders)
            if trades is not None:
                values |= intent_part(session.get(s, []), of_orders)
        rows[s] = {n: values.get(n, NAN) for n in names}
    return pd.DataFrame.from_dict(rows, orient="index", columns=list(names), dtype=float)


def agree(found, expected):
    """Each value within 1e-9 relative or 1e-12 absolute, NaN on NaN, same rows and columns."""
    assert list(found.index) == list(expected.index)
    assert list(found.columns) == list(expected.columns)
    x, y = found.to_numpy(float), expected.to_numpy(float)
    with np.errstate(invalid="ignore"):
        close = np.abs(x - y) <= np.maximum(1e-12, 1e-9 * np.abs(y))
    wrong = np.argwhere(~(close | (np.isnan(x) & np.isnan(y))))
    assert not len(wrong), [(found.index[i], found.columns[j], float(x[i, j]), float(y[i, j])) for i, j in wrong[:8]]
