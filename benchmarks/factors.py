"""Bars and factors of one day beside pandas and polars: the same numbers first, then the time.

``python benchmarks/factors.py [--stocks 200] [--ticks 1500] [--repeat 7]`` prints a table in
Markdown: median milliseconds of one process. polars may use every core (POLARS_MAX_THREADS), the
kernels and pandas use one. The peers leave out the rules for few or flat observations.
"""

import argparse
import statistics
import time

import numpy as np
import pandas as pd
import polars as pl

from mg_assets.factors import bars_from_trades, intraday_factors, order_factors, trade_factors

EARLY = (9 * 60 + 30) * 60_000, 10 * 3_600_000
STOCK = "symbol"


def make_day(stocks, ticks, seed=1):
    """Trades and orders of a made-up day, sorted as in the lake."""
    rng = np.random.default_rng(seed)
    n = stocks * ticks
    midnight = np.datetime64("2023-02-01", "ms")
    half = ticks // 2
    morning = np.sort(rng.integers(34_200_000, 41_400_000, (stocks, half)), axis=1)
    afternoon = np.sort(rng.integers(46_800_000, 54_000_000, (stocks, ticks - half)), axis=1)
    stamp = midnight + np.concatenate([morning, afternoon], axis=1).ravel().astype("timedelta64[ms]")
    symbol = np.repeat([f"{600000 + s}.SH" for s in range(stocks)], ticks)
    seq = np.tile(np.arange(ticks), stocks)
    price = np.round(20 * np.exp(rng.normal(0, 3e-4, (stocks, ticks)).cumsum(axis=1)), 2).ravel()
    newest = 2 * seq + 2  # an active order is among the newest, a passive one is older
    active, passive = newest - rng.integers(0, 4, n), np.maximum(1, newest - rng.geometric(0.01, n))
    side = rng.choice([-1, 1], n).astype(np.int8)
    trades = pd.DataFrame(
        {
            "symbol": symbol,
            "time": stamp,
            "seq": seq,
            "price": price,
            "volume": 100 * rng.geometric(0.1, n),
            "buy_order": np.where(side > 0, active, passive),
            "sell_order": np.where(side > 0, passive, active),
            "side": side,
        }
    )
    orders = pd.DataFrame(
        {
            "symbol": symbol,
            "time": stamp,
            "seq": seq,
            "order_id": seq + 1,
            "side": rng.choice([-1, 1], n).astype(np.int8),
            "price": np.round(price + rng.normal(0, 0.05, n), 2),
            "volume": 100 * np.ceil(rng.lognormal(1, 1.2, n)).astype(np.int64),
            "kind": rng.choice(["limit", "cancel"], n, p=[0.65, 0.35]),
        }
    )
    return trades, orders


# polars


def pl_session(trades):
    ms = pl.col("time").dt.epoch("ms") % 86_400_000
    minute = (
        pl.when(ms < 34_200_000).then(0)
        .when(ms < 41_400_000).then((ms - 34_200_000) // 60_000)
        .when(ms < 46_800_000).then(119)
        .when(ms < 54_000_000).then(120 + (ms - 46_800_000) // 60_000)
        .otherwise(239)
    )  # fmt: skip
    return (
        trades.lazy()
        .filter((pl.col("price") > 0) & (pl.col("volume") > 0) & (ms >= 33_300_000) & (ms < 54_300_000))
        .with_columns(
            minute.cast(pl.Int16).alias("minute"),
            (pl.col("price") * pl.col("volume")).alias("amount"),
            ms.is_between(*EARLY, closed="left").alias("early"),
        )
    )


def pl_bars(trades):
    price = pl.col("price")
    traded = (
        pl_session(trades)
        .group_by(STOCK, "minute", maintain_order=True)
        .agg(
            price.first().alias("open"), price.max().alias("high"), price.min().alias("low"),
            price.last().alias("close"), pl.col("volume").sum(), pl.col("amount").sum(),
            pl.len().alias("num_trades"),
        )
    )  # fmt: skip
    grid = (
        trades.lazy()
        .select(pl.col(STOCK).unique())
        .join(pl.LazyFrame({"minute": np.arange(240, dtype=np.int16)}), how="cross")
    )
    close = pl.col("close").forward_fill().over(STOCK)
    return (
        grid.join(traded, on=[STOCK, "minute"], how="left")
        .sort(STOCK, "minute")
        .with_columns(close)
        .with_columns(pl.col("open", "high", "low").fill_null(pl.col("close")))
        .with_columns(pl.col("volume", "amount", "num_trades").fill_null(0))
        .collect()
    )


def pl_trade_factors(trades):
    t = pl_session(trades).with_columns(
        (pl.col("price").log() - pl.col("price").log().shift(1).over(STOCK)).fill_null(0.0).alias("g")
    )
    sides = []
    for column in ("buy_order", "sell_order"):
        sides.append(t.filter(pl.col(column) > 0).group_by(STOCK, column).agg(pl.col("amount").sum().alias("A")))
    pooled = pl.concat([s.select(STOCK, "A") for s in sides])
    log = pl.col("A").log()
    threshold = pooled.group_by(STOCK).agg((log.mean() + log.std(ddof=0) + 1e-9).alias("threshold"))
    sides = [s.join(threshold, on=STOCK).with_columns((log > pl.col("threshold")).alias("big")) for s in sides]
    square = (pl.col("A") ** 2).sum()
    big_amount = pl.col("A").filter(pl.col("big")).sum()
    sums = [s.group_by(STOCK).agg(square.alias(f"sq{i}"), big_amount.alias(f"big{i}")) for i, s in enumerate(sides)]
    for s, column, name in zip(sides, ("buy_order", "sell_order"), ("big_buy", "big_sell"), strict=True):
        t = t.join(s.select(STOCK, column, pl.col("big").alias(name)), on=[STOCK, column], how="left")
    buy, sell = pl.col("big_buy").fill_null(False), pl.col("big_sell").fill_null(False)
    early, amount, side = pl.col("early"), pl.col("amount"), pl.col("side")
    active = ((side == 1) & buy) | ((side == -1) & sell)
    early_buy, early_sell = amount.filter(early & buy).sum(), amount.filter(early & sell).sum()
    by_stock = t.group_by(STOCK).agg(
        amount.sum().alias("day"),
        (early_buy / (early_buy + early_sell)).alias("early_bigorder_buy_perc"),
        pl.col("g").filter(buy | sell).sum().alias("bigorder_ret2"),
        pl.col("g").filter(early & active).sum().alias("early_active_bigorder_ret"),
        (amount.filter(early & (side == 1)).sum() / amount.filter(early & (side != 0)).sum()).alias(
            "early_active_buy_perc"
        ),
    )
    net = t.group_by(STOCK, "minute").agg((side * amount).sum().alias("net"))
    bars = pl_bars(trades).lazy().join(net, on=[STOCK, "minute"], how="left").sort(STOCK, "minute")
    ret = (pl.col("close") / pl.col("close").shift(1).over(STOCK) - 1).fill_null(pl.col("close") / pl.col("open") - 1)
    bars = bars.with_columns(pl.col("net").fill_null(0.0), ret.alias("r"))
    correlations = bars.group_by(STOCK).agg(
        pl.corr("net", pl.col("r").shift(1)).alias("corr_netactivebuy_lastret"),
        pl.corr("net", pl.col("r").shift(-1)).alias("corr_netactivebuy_nextret"),
    )
    joined = by_stock.join(sums[0], on=STOCK).join(sums[1], on=STOCK).join(correlations, on=STOCK)
    return (
        joined.with_columns(
            ((pl.col("big0") + pl.col("big1")) / (2 * pl.col("day"))).alias("bigorder_amt_perc"),
            ((pl.col("sq0") - pl.col("sq1")) / pl.col("day") ** 2).alias("concentration_diff"),
        )
        .sort(STOCK)
        .collect()
    )


def pl_order_factors(orders):
    ms = pl.col("time").dt.epoch("ms") % 86_400_000
    volume, buy, sell = pl.col("volume"), pl.col("side") == 1, pl.col("side") == -1
    counted = orders.lazy().filter((volume > 0) & (ms >= 33_300_000) & (ms < 54_001_000) & (pl.col("kind") != "cancel"))
    return (
        counted.with_columns(ms.is_between(*EARLY, closed="left").alias("early"))
        .group_by(STOCK)
        .agg(
            (volume.filter(buy).skew() - volume.filter(sell).skew()).alias("skew_order_diff"),
            (volume.filter(buy).kurtosis() - volume.filter(sell).kurtosis()).alias("kurt_order_diff"),
            volume.filter(pl.col("early")).kurtosis().alias("early_kurt_order"),
            pl.corr(volume.filter(buy), pl.col("price").filter(buy)).alias("corr_buyorder_volume_price"),
        )
        .sort(STOCK)
        .collect()
    )


# pandas


def pd_bars(trades):
    ms = trades["time"].astype("int64") % 86_400_000
    minute = np.select(
        [ms < 34_200_000, ms < 41_400_000, ms < 46_800_000, ms < 54_000_000],
        [0, (ms - 34_200_000) // 60_000, 119, 120 + (ms - 46_800_000) // 60_000],
        239,
    )
    good = (trades["price"] > 0) & (trades["volume"] > 0) & (ms >= 33_300_000) & (ms < 54_300_000)
    t = trades.assign(minute=minute, amount=trades["price"] * trades["volume"])[good]
    grouped = t.groupby([STOCK, "minute"])
    bars = grouped["price"].agg(open="first", high="max", low="min", close="last", num_trades="size")
    bars = bars.join(grouped[["volume", "amount"]].sum())
    bars = bars.reindex(pd.MultiIndex.from_product([t[STOCK].unique(), range(240)], names=[STOCK, "minute"]))
    bars["close"] = bars.groupby(level=0)["close"].ffill()
    for column in ("open", "high", "low"):
        bars[column] = bars[column].fillna(bars["close"])
    return bars.fillna({"volume": 0, "amount": 0.0, "num_trades": 0}).reset_index()


def pd_order_factors(orders):
    ms = orders["time"].astype("int64") % 86_400_000
    good = (orders["volume"] > 0) & (ms >= 33_300_000) & (ms < 54_001_000) & (orders["kind"] != "cancel")
    o = orders[good].assign(early=ms.between(*EARLY, inclusive="left"))

    def moments(frame):
        x = frame["volume"] - frame.groupby(STOCK)["volume"].transform("mean")
        m = pd.DataFrame({STOCK: frame[STOCK], "m2": x**2, "m3": x**3, "m4": x**4}).groupby(STOCK).mean()
        return m["m3"] / m["m2"] ** 1.5, m["m4"] / m["m2"] ** 2 - 3

    buy, sell = moments(o[o["side"] == 1]), moments(o[o["side"] == -1])
    bought = o[o["side"] == 1].groupby(STOCK)[["volume", "price"]].corr().xs("volume", level=1)["price"]
    return pd.DataFrame(
        {
            "skew_order_diff": buy[0] - sell[0],
            "kurt_order_diff": buy[1] - sell[1],
            "early_kurt_order": moments(o[o["early"]])[1],
            "corr_buyorder_volume_price": bought,
        }
    ).reset_index()


def median_ms(function, repeat):
    """Median milliseconds after one call to warm up."""
    function()
    taken = []
    for _ in range(repeat):
        start = time.perf_counter()
        function()
        taken.append(time.perf_counter() - start)
    return 1e3 * statistics.median(taken)


def same(ours, theirs, columns):
    """Raise where a peer does not give our numbers."""
    theirs = theirs.to_pandas() if isinstance(theirs, pl.DataFrame) else theirs
    x, y = ours[columns].to_numpy(float), theirs[columns].to_numpy(float)
    if not np.allclose(x, y, rtol=1e-8, atol=1e-11, equal_nan=True):
        raise SystemExit(f"a peer disagrees: {columns}, largest difference {np.nanmax(np.abs(x - y))}")


def main():
    """Check, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stocks", type=int, default=200)
    parser.add_argument("--ticks", type=int, default=1500, help="trades, and orders, a stock")
    parser.add_argument("--repeat", type=int, default=7)
    args = parser.parse_args()
    trades, orders = make_day(args.stocks, args.ticks)
    pl_trades, pl_orders = pl.from_pandas(trades), pl.from_pandas(orders)
    bars = bars_from_trades(trades)

    tasks = {
        "minute bars": (
            lambda: bars_from_trades(trades), lambda: pl_bars(pl_trades), lambda: pd_bars(trades),
            ["open", "high", "low", "close", "volume", "amount", "num_trades"],
        ),
        "8 trade factors": (
            lambda: trade_factors(trades), lambda: pl_trade_factors(pl_trades), None,
            list(trade_factors(trades).columns),
        ),
        "4 order factors": (
            lambda: order_factors(orders), lambda: pl_order_factors(pl_orders), lambda: pd_order_factors(orders),
            list(order_factors(orders).columns),
        ),
    }  # fmt: skip
    print(
        f"{args.stocks} stocks, {len(trades):,} trades, {len(orders):,} orders, {pl.thread_pool_size()} polars threads"
    )
    print("\n| task | mg, ms | polars, ms | pandas, ms |\n|---|---:|---:|---:|")
    for name, (ours, polars, pandas, columns) in tasks.items():
        for peer in (polars, pandas):
            if peer is not None:
                same(ours(), peer(), columns)
        cells = [f"{median_ms(f, args.repeat):.1f}" if f is not None else "" for f in (ours, polars, pandas)]
        print(f"| {name} | {' | '.join(cells)} |")
    every = median_ms(lambda: intraday_factors(trades, orders, bars), args.repeat)
    print(f"| all 34 factors | {every:.1f} |  |  |")


if __name__ == "__main__":
    main()
