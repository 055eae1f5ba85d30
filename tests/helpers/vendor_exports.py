"""A small made market in the files that vendors export: daily bars of five kinds, minute bars, a Qlib dataset."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from mg_assets.market.calendar import trading_days

PLANTED = 0.25  # share of a stock's return that yesterday's reversal explains


@dataclass(frozen=True)
class Market:
    """Raw daily bars, a row a day and a column a stock; prices in yuan on the tick, volumes in shares."""

    days: np.ndarray  # datetime64[D] (D,)
    symbols: tuple[str, ...]
    open: np.ndarray
    high: np.ndarray
    low: np.ndarray
    close: np.ndarray
    prev_close: np.ndarray  # the exchange's reference price
    volume: np.ndarray
    amount: np.ndarray
    factor: np.ndarray

    @property
    def long(self) -> pd.DataFrame:
        """One row a day and stock."""
        day, stock = np.meshgrid(range(len(self.days)), range(len(self.symbols)), indexing="ij")
        names = ("open", "high", "low", "close", "prev_close", "volume", "amount", "factor")
        columns = {name: getattr(self, name)[day, stock].ravel() for name in names}
        dates = self.days[day.ravel()].astype(str)
        return pd.DataFrame({"date": dates, "symbol": np.array(self.symbols, object)[stock.ravel()], **columns})


def market(first: str, last: str, stocks: int = 30, seed: int = 0) -> Market:
    """A market whose stocks revert, with a dividend each and prices within their limits."""
    rng = np.random.default_rng(seed)
    days = trading_days(first, last)
    half = stocks // 2
    symbols = tuple(f"{i + 1:06d}.SZ" for i in range(stocks - half)) + tuple(f"{600000 + i}.SH" for i in range(half))
    shape = (len(days), stocks)
    moves = rng.normal(0, 0.018, shape) + rng.normal(0, 0.008, (len(days), 1))
    for d in range(1, len(days)):
        moves[d] -= PLANTED * (moves[d - 1] - moves[d - 1].mean())
    moves = moves.clip(-0.08, 0.08)
    factor = np.ones(shape)
    ex = rng.integers(len(days) // 4, len(days), stocks)
    for s, d in enumerate(ex):
        factor[d:, s] = np.round(rng.uniform(1.02, 1.3), 4)
    close, before = np.empty(shape), np.empty(shape)
    last_close = np.round(rng.uniform(6, 40, stocks), 2)
    for d in range(len(days)):
        ratio = factor[d - 1] / factor[d] if d else 1.0
        before[d] = np.round(last_close * ratio, 2)
        last_close = close[d] = np.round(before[d] * (1 + moves[d]), 2)
    opened = np.round(before * (1 + moves * rng.uniform(-0.5, 0.8, shape)), 2)
    spread = rng.uniform(0, 0.008, shape)
    high = np.round(np.minimum(np.maximum(opened, close) * (1 + spread), before * 1.095), 2)
    low = np.round(np.maximum(np.minimum(opened, close) * (1 - spread), before * 0.905), 2)
    high, low = np.maximum(high, np.maximum(opened, close)), np.minimum(low, np.minimum(opened, close))
    volume = rng.integers(5_000, 200_000, shape) * 100 + rng.integers(0, 100, shape)
    amount = np.round(volume * (high + low + close + opened) / 4, 2)
    return Market(days, symbols, opened, high, low, close, before, volume.astype(float), amount, factor)


def baostock(made: Market, folder: Path) -> None:
    """``query_history_k_data_plus``, adjustflag 3, one file a stock."""
    for symbol, rows in made.long.groupby("symbol"):
        code = f"{symbol[7:].lower()}.{symbol[:6]}"
        frame = pd.DataFrame(
            {
                "date": rows["date"], "code": code,
                **{n: rows[n].map("{:.4f}".format) for n in ("open", "high", "low", "close")},
                "preclose": rows["prev_close"].map("{:.4f}".format), "volume": rows["volume"].astype(int),
                "amount": rows["amount"].map("{:.4f}".format), "adjustflag": 3, "turn": rows["volume"] / 1e9 * 100,
                "tradestatus": 1, "pctChg": ((rows["close"] / rows["prev_close"] - 1) * 100).round(4), "isST": 0,
            }
        )  # fmt: skip
        frame.to_csv(_in(folder) / f"{code}.csv", index=False)


def tushare(made: Market, folder: Path) -> None:
    """``daily`` and ``adj_factor``: lots and thousand yuan, latest day first."""
    rows = made.long.iloc[::-1]
    stamp = rows["date"].str.replace("-", "")
    pd.DataFrame(
        {
            "ts_code": rows["symbol"], "trade_date": stamp,
            **{n: rows[n] for n in ("open", "high", "low", "close")}, "pre_close": rows["prev_close"],
            "change": (rows["close"] - rows["prev_close"]).round(2),
            "pct_chg": ((rows["close"] / rows["prev_close"] - 1) * 100).round(4),
            "vol": (rows["volume"] / 100).round(2), "amount": (rows["amount"] / 1000).round(3),
        }
    ).to_csv(_in(folder) / "daily.csv", index=False)  # fmt: skip
    factors = pd.DataFrame({"ts_code": rows["symbol"], "trade_date": stamp, "adj_factor": rows["factor"]})
    factors.to_csv(folder / "adj_factor.csv", index=False)


def akshare(made: Market, folder: Path) -> None:
    """``stock_zh_a_hist`` of Eastmoney, unadjusted: one file a stock, whole lots."""
    for symbol, rows in made.long.groupby("symbol"):
        frame = pd.DataFrame(
            {
                "日期": rows["date"], "股票代码": symbol[:6], "开盘": rows["open"], "收盘": rows["close"],
                "最高": rows["high"], "最低": rows["low"], "成交量": (rows["volume"] / 100).round().astype(int),
                "成交额": rows["amount"].round(0), "振幅": 1.0, "涨跌幅": 1.0, "涨跌额": 0.1,
                "换手率": rows["volume"] / 1e9 * 100,
            }
        )  # fmt: skip
        frame.to_csv(_in(folder) / f"{symbol[:6]}.csv", index=False)


def joinquant(made: Market, folder: Path) -> None:
    """``get_price(..., fq=None, panel=False)``, one file, and the factor of a second call."""
    rows = made.long
    code = rows["symbol"].str.replace(".SH", ".XSHG").str.replace(".SZ", ".XSHE")
    pd.DataFrame(
        {
            "time": rows["date"], "code": code, **{n: rows[n] for n in ("open", "close", "high", "low", "volume")},
            "money": rows["amount"], "paused": 0.0, "high_limit": (rows["prev_close"] * 1.1).round(2),
            "low_limit": (rows["prev_close"] * 0.9).round(2),
        }
    ).to_csv(_in(folder) / "daily.csv", index=False)  # fmt: skip
    pd.DataFrame({"time": rows["date"], "code": code, "factor": rows["factor"]}).to_csv(
        folder / "factor.csv", index=False
    )


def qlib(made: Market, folder: Path) -> None:
    """A dataset as ``dump_bin`` writes it: adjusted prices, volumes over the factor."""
    (_in(folder / "calendars") / "day.txt").write_text("\n".join(made.days.astype(str)) + "\n")
    lines = []
    for s, symbol in enumerate(made.symbols):
        stock = _in(folder / "features" / f"{symbol[7:].lower()}{symbol[:6]}")
        factor = made.factor[:, s]
        values = {n: getattr(made, n)[:, s] * factor for n in ("open", "high", "low", "close")}
        values |= {"volume": made.volume[:, s] / factor, "factor": factor}
        for name, column in values.items():
            np.append(np.float32(0), column.astype("<f4")).astype("<f4").tofile(stock / f"{name}.day.bin")
        lines.append(f"{symbol[7:]}{symbol[:6]}\t{made.days[0]}\t{made.days[-1]}")
    (_in(folder / "instruments") / "all.txt").write_text("\n".join(lines) + "\n")


DAILY: dict[str, Callable[[Market, Path], None]] = {
    "akshare": akshare, "tushare": tushare, "baostock": baostock, "joinquant": joinquant, "qlib": qlib
}  # fmt: skip


def minutes(made: Market, folder: Path, spacing: int = 1, seed: int = 0) -> None:
    """``stk_mins`` of tushare, one file a day: 240 end-labelled bars of a stock that add up to its daily bar."""
    rng = np.random.default_rng(seed)
    clock = [*range(571, 691), *range(781, 901)][spacing - 1 :: spacing]
    labels = [f"{m // 60:02d}:{m % 60:02d}:00" for m in clock]
    count = len(labels)
    for d, day in enumerate(made.days.astype(str)):
        parts = []
        for s, symbol in enumerate(made.symbols):
            o, high, low, c = (getattr(made, n)[d, s] for n in ("open", "high", "low", "close"))
            path = np.interp(np.arange(count + 1), [0, count // 3, 2 * count // 3, count], [o, high, low, c])
            path = np.round((path + np.r_[0, rng.normal(0, 0.002 * c, count - 1), 0]).clip(low, high), 2)
            path[count // 3], path[2 * count // 3] = high, low
            shares = rng.multinomial(int(made.volume[d, s]), np.full(count, 1 / count))
            bars = pd.DataFrame(
                {
                    "ts_code": symbol, "trade_time": [f"{day} {t}" for t in labels], "open": path[:-1],
                    "high": np.maximum(path[:-1], path[1:]), "low": np.minimum(path[:-1], path[1:]), "close": path[1:],
                    "vol": shares,
                }
            )  # fmt: skip
            parts.append(bars.assign(amount=(shares * (bars["high"] + bars["low"]) / 2).round(2)))
        pd.concat(parts).to_csv(_in(folder) / f"{day.replace('-', '')}.csv", index=False)


def _in(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder
