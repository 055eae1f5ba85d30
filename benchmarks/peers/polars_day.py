"""The 34 intraday factors of a day's files in polars (factors.md, sections 0-4).

The scans are lazy; what is used more than once (session trades, orders entered) is collected once, for a lazy plan
would recompute it for each use. Moments are sums about the stock's mean, which the streaming engine adds up in one
pass; its own skew and kurtosis gather each stock's rows first and take five times as long.
"""

import numpy as np
import polars as pl

ENGINE = "streaming"
DAY_MS = 86_400_000
MORNING, LUNCH, AFTERNOON, CLOSE = 34_200_000, 41_400_000, 46_800_000, 54_000_000
EARLY_END = 36_000_000
NUMBERS = 1 << 42  # order numbers stay below; a stock's code goes above them
GRID = pl.DataFrame({"minute": np.arange(240, dtype=np.int16)}).lazy()

c = pl.col
S = "stock"


def corr(x: pl.Expr, y: pl.Expr, least: int = 10) -> pl.Expr:
    """Pearson, null for few pairs or a flat side."""
    both = x.is_not_null() & y.is_not_null()
    x, y = x.filter(both), y.filter(both)
    enough = (x.len() >= least) & (x.min() < x.max()) & (y.min() < y.max())
    return pl.when(enough).then(pl.corr(x, y))


def spread_enough(x: pl.Expr) -> pl.Expr:
    return (x.count() >= 5) & (x.min() < x.max())


def skew(x: pl.Expr) -> pl.Expr:
    return pl.when(spread_enough(x)).then(x.skew())


def kurt(x: pl.Expr) -> pl.Expr:
    return pl.when(spread_enough(x)).then(x.kurtosis())


def strength(x: pl.Expr) -> pl.Expr:
    return pl.when(x.min() < x.max()).then(x.mean() / x.std(ddof=0))


def finite(x: pl.Expr) -> pl.Expr:
    return pl.when(x.is_finite()).then(x)


def ms() -> pl.Expr:
    return (c("time").dt.epoch("ms") % DAY_MS).cast(pl.Int32)


def returns(traded: pl.Expr) -> pl.Expr:
    """Minute returns of a grid of bars sorted by stock and minute; null where not finite."""
    first = traded & (traded.cast(pl.Int16).cum_sum().over(S) == 1)
    before = pl.when(c("minute") == 0).then(c("close")).otherwise(c("close").shift(1))
    return finite(pl.when(first).then(c("close") / c("open") - 1).otherwise(c("close") / before - 1))


def minute_factors(bars: pl.LazyFrame) -> pl.LazyFrame:
    """15 factors and the monitor's 3 from minute bars (240 rows a stock, sorted)."""
    traded = c("volume") > 0
    each = (c("amount") * 100).round() / c("num_trades")
    r, v, n, a = c("r"), c("volume"), c("num_trades"), c("amount")
    bars = bars.with_columns(
        c("open", "high", "low", "close").replace(float("nan"), None),
        each=pl.when(traded).then(each),
    ).with_columns(r=returns(traded), amplitude=c("high") / c("low") - 1)
    bars = bars.with_columns(
        top=c("each").rank("ordinal", descending=True).over(S) <= ((3 * traded.sum() + 9) // 10).over(S)
    )
    down, late, early = r < 0, c("minute") >= 210, c("minute") < 30
    square, day = r * r, v.sum()
    half = [v.filter(c("minute") // 30 == k).sum() for k in range(8)]
    return bars.group_by(S).agg(
        late_skew_ret=skew(r.filter(late)),
        down_vol_perc=square.filter(down).sum() / square.sum(),
        corr_ret_lastret=corr(r, r.shift(1)),
        corr_close_nextopen=corr(c("close"), c("open").shift(-1)),
        **{f"volume_perc{k + 1}": half[k] / day for k in range(1, 7)},
        corr_volume_item=corr(v, n),
        early_corr_volume_ret=corr(v.filter(early), r.filter(early), 5),
        bigorder_ret=(1 + r.filter(c("top")).fill_null(0)).product() - 1,
        down_single_amt_perc=(a.filter(down).sum() / n.filter(down).sum()) / (a.sum() / n.sum()),
        corr_volume_amplitude=corr(v, c("amplitude")),
        intraday_skew=skew(r),
        improved_reversal=c("close").last() / c("close").filter(c("minute") == 29).first() - 1,
        tail_volume_share=half[7] / day,
    )


def session(trades: pl.LazyFrame) -> pl.LazyFrame:
    """Session trades with bar, amount, active side and the keys of both orders."""
    t = c("ms")
    minute = (
        pl.when(t < MORNING).then(0)
        .when(t < LUNCH).then((t - MORNING) // 60_000)
        .when(t < AFTERNOON).then(119)
        .when(t < CLOSE).then(120 + (t - AFTERNOON) // 60_000)
        .otherwise(239)
    )  # fmt: skip
    key = c(S).cast(pl.Int64) * NUMBERS
    return (
        trades.with_columns(ms=ms())
        .filter((c("price") > 0) & (c("volume") > 0) & (t >= 33_300_000) & (t < 54_300_000))
        .select(
            S,
            "price",
            "volume",
            minute=minute.cast(pl.Int16),
            early=t.is_between(MORNING, EARLY_END, closed="left"),
            amount=c("price") * c("volume"),
            active=pl.when(t.is_between(MORNING, CLOSE, closed="left")).then(c("side")).otherwise(0),
            g=pl.when(c(S) == c(S).shift(1)).then((c("price") / c("price").shift(1)).log()).otherwise(0.0),
            buy=pl.when(c("buy_order") > 0).then(key + c("buy_order")),
            sell=pl.when(c("sell_order") > 0).then(key + c("sell_order")),
        )
        .with_columns(c("g").fill_null(0.0))
    )


def trade_factors(trades: pl.LazyFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """8 factors with the monitor's sums per stock, and per stock and early bar the two nets."""
    t = session(trades).collect(engine=ENGINE)
    restored = {
        side: t.lazy().filter(c(side).is_not_null()).group_by(side).agg(A=c("amount").sum())
        .select(side, "A", log=c("A").log(), stock=(c(side) // NUMBERS).cast(pl.UInt32)).collect(engine=ENGINE)
        for side in ("buy", "sell")
    }  # fmt: skip
    threshold = (
        pl.concat([s.lazy().select(S, "log") for s in restored.values()])
        .group_by(S)
        .agg(threshold=c("log").mean() + c("log").std(ddof=0) + 1e-9)
    ).collect(engine=ENGINE)
    sums, flags = [], []
    for side, s in restored.items():
        s = s.lazy().join(threshold.lazy(), on=S).with_columns(big=c("log") > c("threshold"))
        s = s.select(S, side, "A", "big").collect(engine=ENGINE)
        sums.append(
            s.lazy()
            .group_by(S)
            .agg((c("A") ** 2).sum().alias(f"square_{side}"), c("A").filter("big").sum().alias(f"A_{side}"))
            .collect(engine=ENGINE)
        )
        big = s.filter("big")[side]
        flags.append(c(side).is_in(big.implode()).fill_null(False).alias(f"big_{side}"))
    amount, active, early = c("amount"), c("active"), c("early")
    buy, sell = c("big_buy"), c("big_sell")
    in_minutes = (
        t.lazy()
        .with_columns(*flags, bar=c(S) * 256 + c("minute").cast(pl.UInt32))
        .with_columns(known=early & (active != 0), signed=active * amount)
        .group_by("bar")
        .agg(
            open=c("price").first(),
            close=c("price").last(),
            net=c("signed").sum(),
            day=amount.sum(),
            early=(amount * early).sum(),
            known=(amount * c("known")).sum(),
            bought=(amount * (early & (active == 1))).sum(),
            early_net=(c("signed") * early).sum(),
            big_buy=(amount * (early & buy)).sum(),
            big_sell=(amount * (early & sell)).sum(),
            g_big=(c("g") * (buy | sell)).sum(),
            g_active=(c("g") * (early & (((active == 1) & buy) | ((active == -1) & sell)))).sum(),
        )
        .with_columns(stock=c("bar") // 256, minute=(c("bar") % 256).cast(pl.Int16))
        .collect(engine=ENGINE)
    )
    grid = in_minutes.lazy().select(c(S).unique()).join(GRID, how="cross")
    bars = (
        grid.join(in_minutes.lazy(), on=[S, "minute"], how="left")
        .sort(S, "minute")
        .with_columns(close=c("close").forward_fill().over(S), traded=c("day").is_not_null())
        .with_columns(r=returns(c("traded")), net=c("net").fill_null(0.0))
        .collect()
    )
    of_stock = (
        bars.lazy()
        .group_by(S)
        .agg(
            day=c("day").sum(),
            early_amount=c("early").sum(),
            early_bigorder_buy_perc=c("big_buy").sum() / (c("big_buy").sum() + c("big_sell").sum()),
            bigorder_ret2=c("g_big").sum(),
            early_active_bigorder_ret=c("g_active").sum(),
            early_active_buy_perc=c("bought").sum() / c("known").sum(),
            corr_netactivebuy_lastret=corr(c("net"), c("r").shift(1)),
            corr_netactivebuy_nextret=corr(c("net"), c("r").shift(-1)),
        )
        .join(sums[0].lazy(), on=S, how="left")
        .join(sums[1].lazy(), on=S, how="left")
        .with_columns(c("A_buy", "A_sell", "square_buy", "square_sell").fill_null(0.0))
        .with_columns(
            bigorder_amt_perc=(c("A_buy") + c("A_sell")) / (2 * c("day")),
            concentration_diff=(c("square_buy") - c("square_sell")) / c("day") ** 2,
        )
        .collect()
    )
    early_bars = bars.filter(c("minute") < 30).select(
        S, "minute", c("early_net").fill_null(0.0), big_net=(c("big_buy") - c("big_sell")).fill_null(0.0)
    )
    return of_stock, early_bars


def moments(o: pl.DataFrame, rows: pl.Expr, name: str, both: bool = True) -> pl.DataFrame:
    """Skew and kurtosis of the volume of some rows per stock."""
    v = c("volume")
    mean = o.lazy().filter(rows).group_by(S).agg(mean=v.mean())
    d = v - c("mean")
    found = (
        o.lazy()
        .filter(rows)
        .join(mean, on=S)
        .select(S, v, d2=d * d, d3=d * d * d, d4=d * d * d * d)
        .group_by(S)
        .agg(
            n=pl.len(), flat=v.min() == v.max(), m2=c("d2").mean(), m3=c("d3").mean(), m4=c("d4").mean()
        )
        .with_columns(good=(c("n") >= 5) & ~c("flat"))
    )  # fmt: skip
    skewness, kurtosis = c("m3") / c("m2") ** 1.5, c("m4") / c("m2") ** 2 - 3
    values = [pl.when("good").then(kurtosis).alias(f"kurt_{name}")]
    if both:
        values.append(pl.when("good").then(skewness).alias(f"skew_{name}"))
    return found.select(S, *values).collect(engine=ENGINE)


def order_factors(orders: pl.LazyFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """4 factors per stock, and per stock and early bar the limit orders' value entered net of withdrawn."""
    t, v, p = c("ms"), c("volume"), c("price")
    early = t.is_between(MORNING, EARLY_END, closed="left")
    o = (
        orders.with_columns(ms=ms())
        .filter((v > 0) & (p.is_null() | (p > 0)) & (t >= 33_300_000) & (t < 54_001_000))
        .filter((c("kind") != "cancel") | early)
        .select(
            S,
            "side",
            p,
            v.cast(pl.Float64),
            limit=c("kind") == "limit",
            new=c("kind") != "cancel",
            minute=pl.when(early).then((t - MORNING) // 60_000).cast(pl.UInt32),
        )
        .collect(engine=ENGINE)
    )
    in_early, limit, new, priced = c("minute").is_not_null(), c("limit"), c("new"), p.is_not_null()
    book = (
        o.lazy()
        .filter(in_early & priced & (limit | ~new))
        .select(bar=c(S) * 256 + c("minute"), value=c("side") * p * v * pl.when(limit).then(1).otherwise(-1))
        .group_by("bar")
        .agg(book=c("value").sum())
        .select(stock=c("bar") // 256, minute=(c("bar") % 256).cast(pl.Int16), book="book")
        .collect(engine=ENGINE)
    )
    buys = moments(o, new & (c("side") == 1), "buy")
    sells = moments(o, new & (c("side") == -1), "sell")
    early_half = moments(o, new & in_early, "early", both=False)
    priced_buys = o.lazy().filter((c("side") == 1) & limit & priced).select(S, v, p)
    means = priced_buys.group_by(S).agg(mean_v=v.mean(), mean_p=p.mean())
    dv, dp = v - c("mean_v"), p - c("mean_p")
    pair = (
        priced_buys.join(means, on=S)
        .select(S, v, p, vv=dv * dv, pp=dp * dp, vp=dv * dp)
        .group_by(S)
        .agg(
            c("vv", "pp", "vp").sum(), good=(pl.len() >= 10) & (v.min() < v.max()) & (p.min() < p.max())
        )
        .select(S, corr_buyorder_volume_price=pl.when("good").then(c("vp") / (c("vv").sqrt() * c("pp").sqrt())))
        .collect(engine=ENGINE)
    )  # fmt: skip
    of_stock = buys.lazy().join(sells.lazy(), on=S, how="full", coalesce=True)
    for other in (early_half, pair):
        of_stock = of_stock.join(other.lazy(), on=S, how="full", coalesce=True)
    return of_stock.with_columns(
        skew_order_diff=c("skew_buy") - c("skew_sell"),
        kurt_order_diff=c("kurt_buy") - c("kurt_sell"),
        early_kurt_order=c("kurt_early"),
    ).collect(), book


def day_factors(trades: pl.LazyFrame, orders: pl.LazyFrame, bars: pl.LazyFrame) -> pl.DataFrame:
    """All 34 factors; ``stock`` is an integer code common to the three frames."""
    of_trades, early_bars = trade_factors(trades)
    of_orders, book = order_factors(orders)
    intent = c("early_net") + c("book").fill_null(0.0)
    monitor = (
        early_bars.lazy()
        .join(book.lazy(), on=[S, "minute"], how="left")
        .group_by(S)
        .agg(
            intent=intent.sum(),
            open_buy_intent_strength=strength(intent),
            big_net=c("big_net").sum(),
            open_big_net_buy_strength=strength(c("big_net")),
        )
    )
    return (
        minute_factors(bars)
        .join(of_trades.lazy(), on=S, how="left")
        .join(of_orders.lazy(), on=S, how="left")
        .join(monitor, on=S, how="left")
        .with_columns(
            open_buy_intent_share=c("intent") / c("early_amount"),
            open_big_net_buy_share=c("big_net") / c("early_amount"),
        )
        .collect()
    )


TRADE_COLUMNS = ("symbol", "time", "price", "volume", "buy_order", "sell_order", "side")
ORDER_COLUMNS = ("symbol", "time", "side", "price", "volume", "kind")


BATCH = 250
"""Stocks taken together, about 5 million rows: the hash tables of the order numbers stay in cache and the memory is
bounded. A whole day of 50 million rows at once (:func:`whole`) takes a little more CPU and four times the memory."""


def whole(paths: dict[str, str]) -> pl.DataFrame:
    """All 34 factors of a day's files at once."""
    return factors(paths, batch=1_000_000)


def factors(paths: dict[str, str], batch: int = BATCH) -> pl.DataFrame:
    """All 34 factors of a day's files, some stocks at a time; the filter skips row groups by their statistics."""
    bars = pl.scan_parquet(paths["minute_bars"])
    symbols = bars.select(c("symbol").unique()).collect()["symbol"].sort()
    wanted = {
        "trades": TRADE_COLUMNS[1:], "orders": ORDER_COLUMNS[1:],
        "minute_bars": ("minute", "open", "high", "low", "close", "volume", "amount", "num_trades"),
    }  # fmt: skip
    out = []
    for first in range(0, len(symbols), batch):
        stocks = symbols[first : first + batch]
        code = c("symbol").cast(pl.Enum(stocks)).to_physical().cast(pl.UInt32).alias(S)
        inside = c("symbol").is_between(pl.lit(stocks[0]), pl.lit(stocks[-1])) if len(symbols) > batch else pl.lit(True)
        frames = [pl.scan_parquet(paths[t]).filter(inside).select(code, *columns) for t, columns in wanted.items()]
        found = day_factors(*frames)
        out.append(found.with_columns(symbol=stocks.gather(found[S])).drop(S))
    return pl.concat(out)
