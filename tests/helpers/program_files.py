"""Four stocks' six days, and files of other programs that hold them: TongDaXin, vnpy, QUANTAXIS, tushare, JoinQuant.

600000.SH pays 0.10 yuan on 2023-01-06 (reference price 10.00 after a close of 10.10), 000001.SZ is suspended on
2023-01-05 and is ST from 2023-01-06 on, 300750.SZ closes at its limit on 2023-01-04, 688981.SH is listed on 2023-01-05.
"""

import pickle
import sqlite3
import struct
from pathlib import Path

import numpy as np
import pandas as pd

DAYS = ["2023-01-03", "2023-01-04", "2023-01-05", "2023-01-06", "2023-01-09", "2023-01-10"]
CLOSES = {
    "600000.SH": [10.00, 10.20, 10.10, 10.05, 10.11, 10.00],
    "000001.SZ": [13.00, 13.10, None, 12.90, 13.00, 13.25],
    "300750.SZ": [100.00, 120.00, 118.50, 119.00, 121.25, 120.00],
    "688981.SH": [None, None, 41.00, 42.10, 40.55, 41.11],
}
EX_DAY, CASH = "2023-01-06", 0.10
STEP = 1.01  # of the adjustment factor: the last close 10.10 over the reference price 10.00
SUSPENDED, ST_FROM = ("000001.SZ", "2023-01-05"), "2023-01-06"
LISTED = {"600000.SH": "1999-11-10", "000001.SZ": "1991-04-03", "300750.SZ": "2018-06-11", "688981.SH": "2023-01-05"}
NAMES = {"600000.SH": "浦发银行", "000001.SZ": "平安银行", "300750.SZ": "宁德时代", "688981.SH": "中芯国际"}


def daily_bars() -> pd.DataFrame:
    """Days with trades: date, symbol, prices in yuan, volume in shares, amount in yuan."""
    rows = []
    for symbol, closes in CLOSES.items():
        before = None
        for i, (day, close) in enumerate(zip(DAYS, closes, strict=True)):
            if close is None:
                continue
            reference = 10.00 if (symbol, day) == ("600000.SH", EX_DAY) else before
            percent = 0.2 if symbol[:3] in ("300", "688") else 0.05 if symbol == "000001.SZ" and day >= ST_FROM else 0.1
            low, high = min(close, reference or close), max(close, reference or close)
            rows.append({
                "date": day, "symbol": symbol, "open": reference or close, "high": high,
                "low": low, "close": close, "volume": 100_000 + 100 * i,
                "amount": round((100_000 + 100 * i) * (high + low) / 2, 2),
                "prev_close": reference, "adj_factor": STEP if symbol == "600000.SH" and day >= EX_DAY else 1.0,
                "up_limit": None if reference is None else round(reference * (1 + percent) + 1e-9, 2),
                "down_limit": None if reference is None else round(reference * (1 - percent) + 1e-9, 2),
            })  # fmt: skip
            before = close
    return pd.DataFrame(rows)


def minute_bars(symbol: str, day: str, base: float) -> pd.DataFrame:
    """240 bars of a stock: time (the minute's start), prices, volume (100 shares x the bar's number), amount."""
    at = np.arange(240)
    close = np.round(base + 0.01 * (at % 7), 2)
    open_ = np.concatenate([[base], close[:-1]]).round(2)
    volume = 100 * (at + 1)
    clock = pd.Timestamp(day) + pd.to_timedelta(np.where(at < 120, 570 + at, 660 + at), unit="min")
    return pd.DataFrame({
        "symbol": symbol, "time": clock, "open": open_, "high": np.maximum(open_, close),
        "low": np.minimum(open_, close), "close": close, "volume": volume, "amount": (volume * close).round(2),
    })  # fmt: skip


def tdx_days(folder: Path, bars: pd.DataFrame) -> None:
    """``sh/lday/sh600000.day`` of each stock: prices x 100, amount as a float, shares."""
    for symbol, rows in bars.groupby("symbol"):
        market = symbol[7:].lower()
        records = [
            struct.pack(
                "<IIIIIfII", int(r.date.replace("-", "")),
                *(round(p * 100) for p in (r.open, r.high, r.low, r.close)), r.amount, r.volume, 0,
            )
            for r in rows.itertuples()
        ]  # fmt: skip
        _write(folder / market / "lday" / f"{market}{symbol[:6]}.day", b"".join(records))


def tdx_minutes(folder: Path, bars: pd.DataFrame, ending: str = "lc1") -> None:
    """``sh/minline/sh600000.lc1`` of each stock: packed date, minutes since midnight at the bar's end, floats."""
    for symbol, rows in bars.groupby("symbol"):
        market = symbol[7:].lower()
        ends = rows["time"] + pd.Timedelta("1min")
        records = [
            struct.pack(
                "<HHfffffII", (t.year - 2004) * 2048 + t.month * 100 + t.day, t.hour * 60 + t.minute,
                r.open, r.high, r.low, r.close, r.amount, r.volume, 0,
            )
            for t, r in zip(ends, rows.itertuples(), strict=True)
        ]  # fmt: skip
        _write(folder / market / "minline" / f"{market}{symbol[:6]}.{ending}", b"".join(records))


EXCHANGES = {"SH": "SSE", "SZ": "SZSE"}
VNPY_COLUMNS = (
    "symbol, exchange, datetime, interval, volume, turnover, open_interest, open_price, high_price, low_price, "
    "close_price"
)


def vnpy_rows(bars: pd.DataFrame, interval: str) -> list[tuple]:
    """Rows of the table ``dbbardata``."""
    stamps = pd.to_datetime(bars["date"] if interval == "d" else bars["time"]).dt.strftime("%Y-%m-%d %H:%M:%S")
    return [
        (r.symbol[:6], EXCHANGES[r.symbol[7:]], t, interval, float(r.volume), r.amount, 0.0,
         r.open, r.high, r.low, r.close)
        for t, r in zip(stamps, bars.itertuples(), strict=True)
    ]  # fmt: skip


def vnpy_database(path: Path, rows: list[tuple]) -> None:
    """A database of bars as vnpy makes it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    names = VNPY_COLUMNS.split(", ")
    kinds = ["VARCHAR(255)", "VARCHAR(255)", "DATETIME", "VARCHAR(255)", *["REAL"] * 7]
    with sqlite3.connect(path) as database:
        columns = ", ".join(f'"{n}" {k} NOT NULL' for n, k in zip(names, kinds, strict=True))
        database.execute(f"CREATE TABLE dbbardata (id INTEGER NOT NULL PRIMARY KEY, {columns})")
        database.execute("CREATE UNIQUE INDEX dbbardata_key ON dbbardata (symbol, exchange, interval, datetime)")
        database.executemany(f"INSERT INTO dbbardata ({VNPY_COLUMNS}) VALUES ({', '.join('?' * 11)})", rows)
    database.close()


def vnpy_csv(path: Path, bars: pd.DataFrame, interval: str) -> None:
    """What vnpy's data manager exports of one stock."""
    frame = pd.DataFrame(vnpy_rows(bars, interval), columns=VNPY_COLUMNS.split(", ")).drop(columns="interval")
    frame.columns = [c.removesuffix("_price") for c in frame]
    order = ["symbol", "exchange", "datetime", "open", "high", "low", "close", "volume", "turnover", "open_interest"]
    _csv(path, frame[order])


def quantaxis(folder: Path, days: pd.DataFrame, minutes: pd.DataFrame) -> None:
    """The collections stock_day (lots), stock_adj and stock_min (shares, end-labelled), exported."""
    stamps = pd.to_datetime(days["date"]).astype("int64") // 10**9 - 8 * 3600
    day = days.assign(code=days["symbol"].str[:6], vol=days["volume"] / 100, date_stamp=stamps)
    _csv(folder / "stock_day.csv", day[["open", "close", "high", "low", "vol", "amount", "date", "code", "date_stamp"]])
    _csv(folder / "stock_adj.csv", day.rename(columns={"adj_factor": "adj"})[["date", "code", "adj"]])
    ends = minutes["time"] + pd.Timedelta("1min")
    minute = minutes.assign(
        code=minutes["symbol"].str[:6], vol=minutes["volume"].astype(float), datetime=ends.astype("str"),
        date=ends.dt.strftime("%Y-%m-%d"), date_stamp=0, time_stamp=0, type="1min",
    )  # fmt: skip
    five = minute.iloc[::5].assign(type="5min")
    columns = [
        "open",
        "close",
        "high",
        "low",
        "vol",
        "amount",
        "datetime",
        "code",
        "date",
        "date_stamp",
        "time_stamp",
        "type",
    ]
    _csv(folder / "stock_min.csv", pd.concat([minute, five])[columns])


def tushare(folder: Path, bars: pd.DataFrame) -> None:
    """Tables of tushare pro: lots and thousand yuan, dates as 20230103, a halted stock without a row."""
    plain = bars.assign(ts_code=bars["symbol"], trade_date=bars["date"].str.replace("-", ""))
    daily = plain.assign(pre_close=plain["prev_close"], vol=plain["volume"] / 100, amount=plain["amount"] / 1000)
    _csv(
        folder / "daily.csv",
        daily[["ts_code", "trade_date", "open", "high", "low", "close", "pre_close", "vol", "amount"]],
    )
    _csv(folder / "adj_factor.csv", plain[["ts_code", "trade_date", "adj_factor"]])
    _csv(folder / "stk_limit.csv", plain[["trade_date", "ts_code", "up_limit", "down_limit"]])
    symbol, day = SUSPENDED
    halted = [
        [symbol, day.replace("-", ""), "", "S"],
        [symbol, "20230106", "", "R"],
        ["600000.SH", "20230104", "09:30-10:00", "S"],  # within the session: the day has a row
    ]
    _csv(
        folder / "suspend_d.csv",
        pd.DataFrame(halted, columns=["ts_code", "trade_date", "suspend_timing", "suspend_type"]),
    )
    names = [
        [symbol, "平安银行", "20120802", "20230105", "20120801", "改名"],
        [symbol, "*ST平安", "20230106", None, "20230104", "*ST"],
        ["600000.SH", "S浦发", "20061009", "20230104", None, "其他"],  # a stock before its reform is no ST
        ["600000.SH", "浦发银行", "20230105", None, None, "其他"],
    ]
    _csv(
        folder / "namechange.csv",
        pd.DataFrame(names, columns=["ts_code", "name", "start_date", "end_date", "ann_date", "change_reason"]),
    )
    listed = pd.DataFrame({"ts_code": list(LISTED), "symbol": [s[:6] for s in LISTED], "name": list(NAMES.values())})
    listed["industry"] = "银行"
    _csv(folder / "stock_basic.csv", listed.assign(list_date=[d.replace("-", "") for d in LISTED.values()]))
    weights = [
        ["000300.SH", "600000.SH", "20230103", 60.0], ["000300.SH", "000001.SZ", "20230103", 40.0],
        ["000300.SH", "600000.SH", "20230109", 30.0], ["000300.SH", "300750.SZ", "20230109", 70.0],
        ["000905.SH", "688981.SH", "20230103", 100.0],
    ]  # fmt: skip
    _csv(folder / "index_weight.csv", pd.DataFrame(weights, columns=["index_code", "con_code", "trade_date", "weight"]))


JOINQUANT = {"SH": "XSHG", "SZ": "XSHE"}


def joinquant(folder: Path, bars: pd.DataFrame) -> None:
    """Tables of JoinQuant: get_price with a row for a halted day, get_extras (wide), weights by file, listing."""
    symbol, day = SUSPENDED
    quiet = {"date": day, "symbol": symbol, **dict.fromkeys(("open", "high", "low", "close"), 13.10), "volume": 0.0}
    every = pd.concat([bars, pd.DataFrame([{**quiet, "amount": 0.0, "up_limit": 14.41, "down_limit": 11.79}])])
    code = every["symbol"].str[:7] + every["symbol"].str[7:].map(JOINQUANT)
    paused = (every["volume"] == 0).astype(float)
    price = every.assign(time=every["date"], code=code, money=every["amount"], paused=paused)
    price = price.rename(columns={"up_limit": "high_limit", "down_limit": "low_limit"})
    price = price[
        ["time", "code", "open", "close", "high", "low", "volume", "money", "high_limit", "low_limit", "paused"]
    ]
    _csv(folder / "daily.csv", price)
    factor = price[["time", "code"]].assign(
        factor=np.where((price["code"] == "600000.XSHG") & (price["time"] >= EX_DAY), STEP, 1.0)
    )
    _csv(folder / "factor.csv", factor)
    codes = [s[:7] + JOINQUANT[s[7:]] for s in CLOSES]
    flags = pd.DataFrame(False, index=pd.Index(DAYS), columns=codes)
    flags.loc[ST_FROM:, "000001.XSHE"] = True
    flags.to_csv(folder / "extras_is_st.csv")
    weights = {
        ("000300.XSHG", "2023-01-03"): {"600000.XSHG": 60.0, "000001.XSHE": 40.0},
        ("000300.XSHG", "2023-01-09"): {"600000.XSHG": 30.0, "300750.XSHE": 70.0},
        ("000905.XSHG", "2023-01-03"): {"688981.XSHG": 100.0},
    }
    for (index, when), members in weights.items():
        frame = pd.DataFrame({"display_name": "", "date": when, "weight": members})
        path = folder / "index_weights" / f"{index}_{when}.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        frame.to_csv(path)
    listed = pd.DataFrame(
        {
            "display_name": list(NAMES.values()),
            "name": "",
            "start_date": list(LISTED.values()),
            "end_date": "2200-01-01",
            "type": "stock",
        },
        index=codes,
    )
    listed.to_csv(folder / "all_securities.csv")


def ricequant(folder: Path, bars: pd.DataFrame, whole_prices: bool = False) -> None:
    """A bundle: a dataset a stock, a row without volume for a halted day, instruments in a pickle of plain values."""
    import h5py

    symbol, day = SUSPENDED
    quiet = {"date": day, "symbol": symbol, **dict.fromkeys(("open", "high", "low", "close"), 13.10), "volume": 0}
    every = pd.concat([bars, pd.DataFrame([{**quiet, "amount": 0.0, "up_limit": 14.41, "down_limit": 11.79}])])
    names = {"open": "open", "close": "close", "high": "high", "low": "low", "volume": "volume"}
    names |= {"amount": "total_turnover", "up_limit": "limit_up", "down_limit": "limit_down"}
    folder.mkdir(parents=True, exist_ok=True)
    codes = {s: s[:7] + JOINQUANT[s[7:]] for s in CLOSES}

    def write(name: str, datasets: dict[str, np.ndarray]) -> None:
        with h5py.File(folder / name, "w") as file:
            for key, records in datasets.items():
                file.create_dataset(key, data=records)

    stocks = {}
    for stock, rows in every.sort_values("date").groupby("symbol"):
        scale = 10_000 if whole_prices else 1
        price = "<u4" if whole_prices else "<f8"
        kind = [
            ("datetime", "<i8"),
            *((n, "<f8" if n in ("volume", "total_turnover") else price) for n in names.values()),
        ]
        records = np.zeros(len(rows), kind)
        records["datetime"] = rows["date"].str.replace("-", "").astype("int64") * 1_000_000
        for ours, theirs in names.items():
            values = rows[ours].fillna(0).to_numpy()
            records[theirs] = values if theirs in ("volume", "total_turnover") else np.round(values * scale, 2)
        stocks[codes[stock]] = records
    index = stocks["600000.XSHG"].copy()
    write("stocks.h5", {**stocks, "510300.XSHG": index})
    write("indexes.h5", {"000300.XSHG": index})
    factor = np.array([(0, 1.0), (20230106000000, STEP)], [("start_date", "<i8"), ("ex_cum_factor", "<f8")])
    write("ex_cum_factor.h5", {"600000.XSHG": factor})
    cash = [("book_closure_date", "<i8"), ("announcement_date", "<i8"), ("dividend_cash_before_tax", "<f8"),
            ("ex_dividend_date", "<i8"), ("payable_date", "<i8"), ("round_lot", "<f8")]  # fmt: skip
    write("dividends.h5", {"600000.XSHG": np.array([(20230105, 20221231, CASH * 10, 20230106, 20230106, 10.0)], cash)})
    split = np.array([(20230110000000, 2.0)], [("ex_date", "<i8"), ("split_factor", "<f8")])
    write("split_factor.h5", {"159915.XSHE": split})
    halted = {codes[symbol]: [int(day.replace("-", ""))], codes["300750.SZ"]: [20230109]}  # the second traded
    write("suspended_days.h5", {key: np.array(days) for key, days in halted.items()})
    flagged = [int(d.replace("-", "")) for d in DAYS if d >= ST_FROM]
    write("st_stock_days.h5", {"000001.XSHE": np.array(flagged)})
    np.save(folder / "trading_dates.npy", np.array([int(d.replace("-", "")) for d in DAYS]))
    listed = [
        {"order_book_id": codes[s], "symbol": NAMES[s], "type": "CS", "listed_date": LISTED[s],
         "de_listed_date": "0000-00-00",
         "industry_name": "货币金融服务" if s in ("600000.SH", "000001.SZ") else None}
        for s in CLOSES
    ]  # fmt: skip
    _write(folder / "instruments.pk", pickle.dumps(listed, protocol=2))


def _csv(path: Path, frame: pd.DataFrame) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    frame.to_csv(path, index=False)


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
