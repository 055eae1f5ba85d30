"""The 34 intraday factors of a day's files in pandas (factors.md, sections 0-4).

Symbols are read as categories and every group key is one integer: grouping by text takes several times as long.
"""

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

MORNING, LUNCH, AFTERNOON, CLOSE = 34_200_000, 41_400_000, 46_800_000, 54_000_000
EARLY_END = 36_000_000
TRADE_COLUMNS = ("symbol", "time", "price", "volume", "buy_order", "sell_order", "side")
ORDER_COLUMNS = ("symbol", "time", "side", "price", "volume", "kind")
BAR_COLUMNS = ("symbol", "minute", "open", "high", "low", "close", "volume", "amount", "num_trades")
S = "stock"


def read(path: str, columns: tuple[str, ...], symbols: pd.Index | None = None) -> tuple[pd.DataFrame, pd.Index]:
    """Columns of a file with the stock's place among ``symbols`` (default: the file's own)."""
    texts = [n for n in ("symbol", "kind") if n in columns]
    frame = pq.read_table(path, columns=list(columns), read_dictionary=texts).to_pandas()
    if symbols is None:
        symbols = pd.Index(sorted(frame["symbol"].cat.categories))
    place = symbols.get_indexer(frame["symbol"].cat.categories).astype(np.int32)
    frame[S] = place[frame.pop("symbol").cat.codes]
    return frame, symbols


def corr(frame: pd.DataFrame, x: pd.Series, y: pd.Series, least: int = 10) -> pd.Series:
    """Pearson of x and y per stock; NaN for few pairs or a flat side."""
    both = x.notna() & y.notna()
    pairs = pd.DataFrame({S: frame[S], "x": x, "y": y})[both]
    by = pairs.groupby(S)
    n, low, high = by["x"].size(), by[["x", "y"]].min(), by[["x", "y"]].max()
    d = pairs[["x", "y"]] - by[["x", "y"]].transform("mean")
    sums = pd.DataFrame({S: pairs[S], "xx": d["x"] ** 2, "yy": d["y"] ** 2, "xy": d["x"] * d["y"]}).groupby(S).sum()
    value = sums["xy"] / np.sqrt(sums["xx"]) / np.sqrt(sums["yy"])
    return value.where((n >= least) & (low < high).all(axis=1))


def skew_kurt(x: pd.Series, stock: pd.Series) -> tuple[pd.Series, pd.Series]:
    """Biased skewness and excess kurtosis per stock; NaN for fewer than 5 or a flat series."""
    stock = stock[x.notna()]
    x = x[x.notna()]
    by = x.groupby(stock)
    d = x - by.transform("mean")
    m2, m3, m4 = (d**k for k in (2, 3, 4))
    m2, m3, m4 = (m.groupby(stock).mean() for m in (m2, m3, m4))
    good = (by.size() >= 5) & (by.min() < by.max())
    return (m3 / m2**1.5).where(good), (m4 / m2**2 - 3).where(good)


def returns(bars: pd.DataFrame, traded: pd.Series) -> pd.Series:
    """Minute returns of a grid of bars sorted by stock and minute; NaN where not finite."""
    first = traded & (traded.groupby(bars[S]).cumsum() == 1)
    before = bars["close"].shift(1).where(bars["minute"] > 0, bars["close"])
    r = (bars["close"] / before - 1).where(~first, bars["close"] / bars["open"] - 1)
    return r.where(np.isfinite(r))


def lagged(x: pd.Series, frame: pd.DataFrame, by: int) -> pd.Series:
    return x.shift(by).where(frame[S] == frame[S].shift(by))


def minute_factors(bars: pd.DataFrame) -> pd.DataFrame:
    """15 factors and the monitor's 3 from minute bars."""
    stock, minute, v, n, a = (bars[k] for k in (S, "minute", "volume", "num_trades", "amount"))
    traded = v > 0
    r = returns(bars, traded)
    total = lambda x: x.groupby(stock).sum()  # noqa: E731
    each = ((a * 100).round() / n).where(traded)
    # a stable sort of the negated values: equal ones in the order of their bars
    place = (-each).groupby(stock).rank(method="first")
    top = place <= (3 * total(traded) + 9).floordiv(10).reindex(stock).to_numpy()
    half = [total(v.where(minute // 30 == k, 0)) for k in range(8)]
    down, day, early = r < 0, total(v), minute < 30
    close = bars["close"].groupby(stock)
    out = {
        "late_skew_ret": skew_kurt(r.where(minute >= 210), stock)[0],
        "down_vol_perc": total((r * r).where(down, 0)) / total(r * r),
        "corr_ret_lastret": corr(bars, r, lagged(r, bars, 1)),
        "corr_close_nextopen": corr(bars, bars["close"], lagged(bars["open"], bars, -1)),
        **{f"volume_perc{k + 1}": half[k] / day for k in range(1, 7)},
        "corr_volume_item": corr(bars, v, n),
        "early_corr_volume_ret": corr(bars[early], v[early], r[early], 5),
        "bigorder_ret": (1 + r.where(top, 0).fillna(0)).groupby(stock).prod() - 1,
        "down_single_amt_perc": total(a.where(down, 0)) / total(n.where(down, 0)) / (total(a) / total(n)),
        "corr_volume_amplitude": corr(bars, v, bars["high"] / bars["low"] - 1),
        "intraday_skew": skew_kurt(r, stock)[0],
        "improved_reversal": close.nth(239).to_numpy() / close.nth(29).to_numpy() - 1,
        "tail_volume_share": half[7] / day,
    }
    return pd.DataFrame({k: x if isinstance(x, pd.Series) else pd.Series(x, day.index) for k, x in out.items()})


def session(trades: pd.DataFrame) -> pd.DataFrame:
    ms = trades["time"].to_numpy().astype("datetime64[ms]").view(np.int64) % 86_400_000
    minute = np.select(
        [ms < MORNING, ms < LUNCH, ms < AFTERNOON, ms < CLOSE],
        [0, (ms - MORNING) // 60_000, 119, 120 + (ms - AFTERNOON) // 60_000],
        239,
    )
    t = trades.assign(
        minute=minute,
        early=(ms >= MORNING) & (ms < EARLY_END),
        active=np.where((ms >= MORNING) & (ms < CLOSE), trades["side"], 0),
        amount=trades["price"] * trades["volume"],
    )
    return t[(t["price"] > 0) & (t["volume"] > 0) & (ms >= 33_300_000) & (ms < 54_300_000)].reset_index(drop=True)


def trade_factors(trades: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """8 factors with the early amount per stock, and per stock and early bar the two nets."""
    t = session(trades)
    stock, amount, early, active = t[S], t["amount"], t["early"], t["active"]
    same = (stock == stock.shift(1)).to_numpy()
    g = np.where(same, np.log(t["price"] / t["price"].shift(1)), 0.0)
    restored = {}
    for side in ("buy_order", "sell_order"):
        key = stock.to_numpy().astype(np.int64) << 42 | t[side].to_numpy()
        known = (t[side] > 0).to_numpy()
        total = amount[known].groupby(key[known]).sum()
        restored[side] = key, pd.DataFrame({"A": total, "log": np.log(total), S: total.index.to_numpy() >> 42})
    pooled = pd.concat([r[[S, "log"]] for _, r in restored.values()]).groupby(S)["log"]
    threshold = pooled.mean() + pooled.std(ddof=0) + 1e-9
    big, squares, amounts = {}, {}, {}
    for side, (key, r) in restored.items():
        is_big = (r["log"] > threshold.reindex(r[S]).to_numpy()).to_numpy()
        squares[side] = (r["A"] ** 2).groupby(r[S]).sum()
        amounts[side] = r["A"].where(is_big, 0).groupby(r[S]).sum()
        big[side] = pd.Series(key).isin(r.index[is_big]).to_numpy()
    buy, sell = big["buy_order"], big["sell_order"]
    signed, either = active * amount, buy | sell
    sums = pd.DataFrame(
        {
            "bar": stock * 256 + t["minute"],
            "net": signed,
            "day": amount,
            "early": amount.where(early, 0),
            "known": amount.where(early & (active != 0), 0),
            "bought": amount.where(early & (active == 1), 0),
            "early_net": signed.where(early, 0),
            "big_buy": amount.where(early & buy, 0),
            "big_sell": amount.where(early & sell, 0),
            "g_big": np.where(either, g, 0),
            "g_active": np.where(early & (((active == 1) & buy) | ((active == -1) & sell)), g, 0),
        }
    )
    in_minutes = sums.groupby("bar").sum()
    price = t["price"].groupby(sums["bar"])
    in_minutes["open"], in_minutes["close"] = price.first(), price.last()
    stocks = np.unique(stock)
    bars = in_minutes.reindex((stocks[:, None] * 256 + np.arange(240)).ravel())
    bars[S], bars["minute"] = bars.index // 256, bars.index % 256
    bars = bars.reset_index(drop=True)
    traded = bars["close"].notna()
    bars["close"] = bars["close"].groupby(bars[S]).ffill()
    r, net = returns(bars, traded), bars["net"].fillna(0)
    by_stock = bars.drop(columns=["open", "close", "minute"]).groupby(S).sum()
    factors = pd.DataFrame(
        {
            "bigorder_amt_perc": amounts["buy_order"].add(amounts["sell_order"], fill_value=0) / (2 * by_stock["day"]),
            "early_bigorder_buy_perc": by_stock["big_buy"] / (by_stock["big_buy"] + by_stock["big_sell"]),
            "bigorder_ret2": by_stock["g_big"],
            "early_active_bigorder_ret": by_stock["g_active"],
            "concentration_diff": squares["buy_order"].sub(squares["sell_order"], fill_value=0) / by_stock["day"] ** 2,
            "early_active_buy_perc": by_stock["bought"] / by_stock["known"],
            "corr_netactivebuy_lastret": corr(bars, net, lagged(r, bars, 1)),
            "corr_netactivebuy_nextret": corr(bars, net, lagged(r, bars, -1)),
            "early_amount": by_stock["early"],
        }
    )
    in_early = bars["minute"] < 30
    nets = bars.loc[in_early, [S, "minute"]].assign(
        early_net=bars["early_net"].fillna(0), big_net=(bars["big_buy"] - bars["big_sell"]).fillna(0)
    )
    return factors, nets


def order_factors(orders: pd.DataFrame) -> tuple[pd.DataFrame, pd.Series]:
    """4 factors per stock, and per stock and early bar the limit orders' value entered net of withdrawn."""
    ms = orders["time"].to_numpy().astype("datetime64[ms]").view(np.int64) % 86_400_000
    good = (orders["volume"] > 0) & ~(orders["price"] <= 0) & (ms >= 33_300_000) & (ms < 54_001_000)
    o = orders.assign(ms=ms)[good]
    stock, side, p, v = o[S], o["side"], o["price"], o["volume"].astype(float)
    limit, new = o["kind"] == "limit", o["kind"] != "cancel"
    early = (o["ms"] >= MORNING) & (o["ms"] < EARLY_END)
    booked = early & p.notna() & (limit | ~new)
    bar = stock * 256 + (o["ms"] - MORNING) // 60_000
    book = (side * (p * v) * np.where(limit, 1, -1))[booked].groupby(bar[booked]).sum()
    buy, sell, first = new & (side == 1), new & (side == -1), new & early
    buys, sells = skew_kurt(v[buy], stock[buy]), skew_kurt(v[sell], stock[sell])
    priced = buy & limit & p.notna()
    return pd.DataFrame(
        {
            "skew_order_diff": buys[0] - sells[0],
            "kurt_order_diff": buys[1] - sells[1],
            "early_kurt_order": skew_kurt(v[first], stock[first])[1],
            "corr_buyorder_volume_price": corr(o[priced], v[priced], p[priced]),
        }
    ), book


def strength(x: pd.Series, stock: pd.Series) -> pd.Series:
    by = x.groupby(stock)
    return (by.mean() / by.std(ddof=0)).where(by.min() < by.max())


def factors(paths: dict[str, str]) -> pd.DataFrame:
    """All 34 factors of a day's files."""
    bars, symbols = read(paths["minute_bars"], BAR_COLUMNS)
    out = minute_factors(bars)
    del bars
    of_trades, nets = trade_factors(read(paths["trades"], TRADE_COLUMNS, symbols)[0])
    of_orders, book = order_factors(read(paths["orders"], ORDER_COLUMNS, symbols)[0])
    intent = nets["early_net"] + book.reindex(nets[S] * 256 + nets["minute"]).fillna(0).to_numpy()
    early = of_trades.pop("early_amount")
    out = out.join(of_trades).join(of_orders)
    out["open_buy_intent_share"] = intent.groupby(nets[S]).sum() / early
    out["open_buy_intent_strength"] = strength(intent, nets[S])
    out["open_big_net_buy_share"] = nets["big_net"].groupby(nets[S]).sum() / early
    out["open_big_net_buy_strength"] = strength(nets["big_net"], nets[S])
    out.insert(0, "symbol", symbols[out.index])
    return out.reset_index(drop=True)
