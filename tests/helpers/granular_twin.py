"""Naive twin of the multi-granularity features."""

import math

import numpy as np

from mg_assets.factors.granular import ARRAYS, FEATURES


def agree(found, expected):
    """1e-9 relative or 1e-12 absolute, NaN for NaN."""
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)


def ratio(a, b):
    return a / b if b != 0 and math.isfinite(b) and math.isfinite(a) else np.nan


def skew(x):
    x = np.array([v for v in x if math.isfinite(v)])
    if len(x) < 5 or np.std(x) <= 1e-12 * np.abs(x).max():
        return np.nan
    return float(np.mean((x - x.mean()) ** 3) / np.std(x) ** 3)


def pearson(x, y, least):
    pairs = [(a, b) for a, b in zip(x, y, strict=True) if math.isfinite(a) and math.isfinite(b)]
    if len(pairs) < least:
        return np.nan
    a, b = np.array(pairs).T
    if np.std(a) <= 1e-12 * np.abs(a).max() or np.std(b) <= 1e-12 * np.abs(b).max():
        return np.nan
    return float(np.corrcoef(a, b)[0, 1])


def twin(day, prev_close, usual_volume, usual_per_trade):
    """One stock: a dict of minutes of a bar -> list of dicts of features."""
    bars = [dict(zip(ARRAYS, column, strict=True)) for column in np.asarray(day).T]
    traded = [b["volume"] > 0 for b in bars]
    nothing = {n: [dict.fromkeys(FEATURES, np.nan)] * (240 // n) for n in (240, 60, 30)}
    if not any(traded):
        return nothing
    first = traded.index(True)
    known = prev_close > 0
    r = []
    for m, bar in enumerate(bars):
        if m < first:
            r.append(0.0 if known else np.nan)
        elif m == first:
            r.append(bar["close"] / bar["open"] - 1)
        else:
            r.append(bar["close"] / bars[m - 1]["close"] - 1)
    day_volume = sum(b["volume"] for b in bars)
    whole = [b for b, t in zip(bars, traded, strict=True) if t]
    per_trade = (
        math.fsum(b["amount"] for b in whole) / sum(b["num_trades"] for b in whole)
        if all(b["num_trades"] > 0 for b in whole)
        else np.nan
    )
    out = {}
    for n in (240, 60, 30):
        steps = []
        for i in range(0, 240, n):
            part, rr = bars[i : i + n], r[i : i + n]
            own = [b for b in part if b["volume"] > 0]
            close = part[-1]["close"]
            open_ = own[0]["open"] if own else close
            high = max(b["high"] for b in own) if own else close
            low = min(b["low"] for b in own) if own else close
            volume, amount = sum(b["volume"] for b in own), math.fsum(b["amount"] for b in own)
            finite = [x for x in rr if math.isfinite(x)]
            squares = math.fsum(x * x for x in finite)
            base = (prev_close if known else np.nan) if i == 0 else open_
            buy, sell, big = (math.fsum(b[k] for b in own) for k in ("active_buy", "active_sell", "big_net"))
            trades = sum(b["num_trades"] for b in own)
            own_per_trade = ratio(amount, trades) if math.isfinite(per_trade) else np.nan
            step = {
                "ret": close / base - 1,
                "amplitude": high / low - 1,
                "vwap_dev": close / (amount / volume) - 1 if own else np.nan,
                "log_amount": math.log(1 + amount),
                "volume_share": ratio(volume, usual_volume if n == 240 else day_volume),
                "realized_vol": math.sqrt(squares) if finite else np.nan,
                "skew": skew(rr),
                "down_vol_share": ratio(math.fsum(x * x for x in finite if x < 0), squares),
                "corr_volume_ret": pearson([b["volume"] for b in part], rr, 5 if n == 30 else 10),
                "amt_per_trade": ratio(own_per_trade, usual_per_trade if n == 240 else per_trade),
                "active_buy_share": ratio(buy, buy + sell),
                "big_net_buy_share": ratio(big, amount),
                "path_efficiency": ratio(abs(close / open_ - 1), math.fsum(abs(x) for x in finite)),
                "max_minute_share": ratio(max((b["volume"] for b in own), default=0), volume),
            }
            steps.append(step)
        out[n] = steps
    return out
