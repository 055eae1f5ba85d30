"""Daily and minute bars of every vendor: real first rows, and exports made of known bars, against a plain reading."""

import csv
import datetime as dt
import itertools
import struct
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from mg_assets.errors import SourceError
from mg_assets.sources.daily.qlib import QlibSource
from mg_assets.sources.mapped.source import MappedSource
from mg_assets.sources.presets import preset_names

DAY = dt.date(2023, 2, 1)


def read_csv(path):
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


# ------------------------------------------------------------- real first rows


@pytest.mark.parametrize(
    ("preset", "head", "symbol", "date", "volume", "amount"),
    [
        ("tushare", "tushare_daily", "ts_code", "trade_date", 100, 1000),
        ("baostock", "baostock_daily", "code", "date", 1, 1),
    ],
)
def test_real_daily_rows_value_by_value(shared_data, tmp_path, preset, head, symbol, date, volume, amount):
    path = shared_data / "vendor_csv_heads" / f"{head}.csv"
    (tmp_path / "daily.csv").write_bytes(path.read_bytes())
    source = MappedSource(preset, tmp_path)
    rows = read_csv(path)
    days = {d: source.load("daily_bars", d) for d in source.days().tolist()}
    frames = {d: day.frame.set_index("symbol") for d, day in days.items()}
    halted = sum(day.notes.get("rows_added_for_halts", 0) for day in days.values())
    assert sum(map(len, frames.values())) == len(rows) + halted
    before = "pre_close" if preset == "tushare" else "preclose"
    for row in rows:
        code = row[symbol].upper()
        name = code if preset == "tushare" else f"{code[3:]}.{code[:2]}"
        ours = frames[dt.date(*map(int, row[date].replace("-", ".").split(".")))].loc[name]
        for column in ("open", "high", "low", "close"):
            assert ours[column] == round(float(row[column]), 3)
        assert ours["prev_close"] == round(float(row[before]), 3)
        shares = row["vol"] if preset == "tushare" else row["volume"]
        assert ours["volume"] == round(float(shares) * volume)
        assert ours["amount"] == pytest.approx(float(row["amount"]) * amount, rel=1e-12)
        if preset == "baostock":
            assert ours["suspended"] == (row["tradestatus"] == "0")
            assert ours["st"] == (row["isST"] == "1")
            assert ours["float_shares"] == pytest.approx(int(row["volume"]) / (float(row["turn"]) / 100), rel=1e-9)


@pytest.mark.parametrize(
    ("preset", "head", "target", "clock", "volume", "amount", "auction"),
    [
        ("minute_dolphindb", "dolphindb_minute_bar", "20180102.csv", "time", 1, "turnover", False),
        ("minute_akshare", "akshare_em_1min", "600519.csv", "datetime", 100, "成交额", True),
    ],
)
def test_real_minute_rows_value_by_value(shared_data, tmp_path, preset, head, target, clock, volume, amount, auction):
    path = shared_data / "vendor_csv_heads" / f"{head}.csv"
    (tmp_path / target).write_bytes(path.read_bytes())
    source = MappedSource(preset, tmp_path)
    rows = read_csv(path)
    checked = 0
    for day in source.days().tolist():
        frame = source.load("minute_bars", day).frame.set_index("minute")
        for row in rows:
            text = row[clock] if clock == "datetime" else f"{row['tradingDay']} {int(row[clock]):09d}"
            digits = "".join(c for c in text if c.isdigit())
            if digits[:8] != f"{day:%Y%m%d}":
                continue
            minutes = int(digits[8:10]) * 60 + int(digits[10:12])
            bar = minutes - 571 if minutes <= 690 else minutes - 781 + 120
            ours = frame.loc[max(bar, 0)]
            if bar == (0 if auction else -1) or bar < 0:  # joined with the auction's row: below
                continue
            assert (ours["close"], ours["high"], ours["low"]) == tuple(
                round(float(row[c]), 3) for c in ("close", "high", "low")
            )
            assert ours["volume"] == int(row["volume"]) * volume
            assert ours["amount"] == pytest.approx(float(row[amount]), rel=1e-12)
            if float(row["open"]) > 0:
                assert ours["open"] == round(float(row["open"]), 3)
            checked += 1
        if auction and str(day) == "2026-03-23":
            first, second = rows[0], rows[1]
            ours = frame.loc[0]
            assert ours["volume"] == (int(first["volume"]) + int(second["volume"])) * volume
            assert ours["open"] == float(first["close"])  # its open is 0.0: the auction's price
            assert ours["high"] == max(float(first["high"]), float(second["high"]))
            assert ours["close"] == float(second["close"])
    assert checked >= 95


def test_real_qlib_values_are_what_the_bytes_say(shared_data, tmp_path):
    heads = shared_data / "vendor_csv_heads" / "qlib_bin"
    for folder in ("calendars", "instruments", "features"):
        (tmp_path / folder).mkdir()
    (tmp_path / "calendars" / "day.txt").symlink_to(heads / "day.txt")
    (tmp_path / "features" / "sh600519").symlink_to(heads / "SH600519")
    source = QlibSource(tmp_path, raw_volume=True)
    stored = {}
    for field in ("open", "high", "low", "close", "volume", "factor"):
        raw = (heads / "SH600519" / f"{field}.day.bin").read_bytes()
        stored[field] = struct.unpack(f"<{len(raw) // 4}f", raw)
    calendar = (heads / "day.txt").read_text().split()
    start = int(stored["close"][0])
    for i in range(1, len(stored["close"]), 211):
        day = calendar[start + i - 1]
        ours = source.load("daily_bars", dt.date.fromisoformat(day)).frame.iloc[0]
        if ours["suspended"]:
            continue
        for column in ("open", "high", "low", "close"):
            assert ours[column] == pytest.approx(stored[column][i] / stored["factor"][i], abs=0.005)
            assert ours[column] * 100 == pytest.approx(round(ours[column] * 100), abs=1e-6)
        assert ours["volume"] == round(stored["volume"][i])
        assert ours["adj_factor"] == stored["factor"][i]


# ------------------------------------------------ minute bars in any vendor's form


def session(rng):
    """Two stocks' true minutes: 240 of the sessions and the two auctions, some without trades."""
    out = {}
    for symbol in ("600000.SH", "000001.SZ"):
        price, bars = 10.0, []
        for _ in range(240):
            volume = 0 if rng.random() < 0.1 else 100 * int(rng.integers(1, 50))
            steps = np.round(price * (1 + rng.normal(0, 0.001, 4)), 2)
            bars.append([steps[0], steps.max(), steps.min(), steps[3], volume] if volume else [price] * 4 + [0])
            price = bars[-1][3]
        opening, closing = round(price * 1.01, 2), round(price * 0.99, 2)
        out[symbol] = (bars, [opening] * 4 + [700], [closing] * 4 + [900])
    return out


def label(minute, shift):
    """The clock of a minute, 0 is 09:30 to 09:31; ``shift`` 1 labels its end."""
    start = 570 + minute if minute < 120 else 780 + minute - 120
    start += shift
    return f"{start // 60:02d}:{start % 60:02d}:00"


def rows_of(truth, end, extra, lots):
    """A vendor's rows: 240 of them, or 241 with the opening auction apart, or with the closing one apart."""
    out = []
    for symbol, (bars, opening, closing) in truth.items():
        mine = [[label(m, int(end)), *bar] for m, bar in enumerate(bars)]
        if extra:
            mine.insert(0, ["09:30:00" if end else "09:25:00", *opening])
            if not end:
                mine.append(["15:00:00", *closing])
        else:
            first, last = mine[0], mine[-1]
            if end:
                mine[0] = [first[0], *joined(opening, bars[0])]
            else:
                mine[0], mine[-1] = [first[0], *joined(opening, bars[0])], [last[0], *joined(bars[-1], closing)]
        out += [[symbol, f"2023-02-01 {r[0]}", *r[1:5], r[5] / 100 if lots else r[5]] for r in mine]
    return out


def joined(first, second):
    """Two bars as one, plainly."""
    if not first[4]:
        return second
    if not second[4]:
        return first
    return [first[0], max(first[1], second[1]), min(first[2], second[2]), second[3], first[4] + second[4]]


@pytest.mark.parametrize(("end", "extra", "lots"), list(itertools.product((True, False), repeat=3)))
def test_labels_row_counts_and_lots_give_the_same_bars(tmp_path, end, extra, lots):
    truth = session(np.random.default_rng(3))
    rows = rows_of(truth, end, extra, lots)
    assert len(rows) == 2 * (240 if not extra else 241 if end else 242)
    frame = pd.DataFrame(rows, columns=["s", "t", "o", "h", "l", "c", "v"])
    frame.sample(frac=1, random_state=1).to_csv(tmp_path / "20230201.csv", index=False)
    columns = dict(symbol="s", time="t", open="o", high="h", low="l", close="c", volume="v")
    content = {"minute": {"files": "{date}.csv", "columns": columns, "label": "end" if end else "start"}}
    if lots:
        content["minute"]["units"] = {"volume": 100}
    (tmp_path / "m.yaml").write_text(yaml.safe_dump(content))
    loaded = MappedSource(tmp_path / "m.yaml", tmp_path).load("minute_bars", DAY)
    assert loaded.quarantine.empty
    for symbol, (bars, opening, closing) in truth.items():
        expected = [list(b) for b in bars]
        expected[0] = joined(opening, expected[0])
        if not end:
            expected[-1] = joined(expected[-1], closing)
        last = np.nan
        for bar in expected:  # a bar without trades carries the last close
            if not bar[4]:
                bar[:4] = [last] * 4
            last = bar[3]
        ours = loaded.frame[loaded.frame["symbol"] == symbol]
        np.testing.assert_array_equal(ours["minute"], range(240))
        np.testing.assert_array_equal(
            ours[["open", "high", "low", "close", "volume"]].to_numpy(float), np.array(expected, float)
        )


@pytest.mark.parametrize(
    ("preset", "names", "volume", "extra"),
    [
        ("minute_joinquant", ("code", "time", "open", "high", "low", "close", "volume", "money"), 1, False),
        ("minute_tushare", ("ts_code", "trade_time", "open", "high", "low", "close", "vol", "amount"), 1, True),
        ("minute_akshare", (None, "时间", "开盘", "最高", "最低", "收盘", "成交量", "成交额"), 100, True),
        ("minute_akshare_sina", (None, "day", "open", "high", "low", "close", "volume", "amount"), 1, False),
        ("minute_dolphindb", ("symbol", "time", "open", "high", "low", "close", "volume", "turnover"), 1, False),
    ],
)
def test_minute_presets(tmp_path, preset, names, volume, extra):
    truth = session(np.random.default_rng(4))
    symbol, (bars, opening, _) = "600000.SH", truth["600000.SH"]
    rows = rows_of({symbol: truth[symbol]}, True, extra, volume == 100)
    frame = pd.DataFrame(rows, columns=["s", "t", "o", "h", "l", "c", "v"])
    frame["a"] = frame["c"] * frame["v"] * volume
    frame["s"] = {"minute_joinquant": "600000.XSHG", "minute_dolphindb": "600000"}.get(preset, symbol)
    if preset == "minute_dolphindb":
        frame["t"] = frame["t"].str[11:].str.replace(":", "").astype(int) * 1000
    frame.columns = [n or "dropped" for n in names]
    frame = frame.drop(columns="dropped", errors="ignore")
    if preset == "minute_dolphindb":
        frame["tradingDay"] = 20230201
    frame.to_csv(tmp_path / ("20230201.csv" if symbol and names[0] else "sh600000.csv"), index=False)
    loaded = MappedSource(preset, tmp_path).load("minute_bars", DAY)
    assert loaded.quarantine.empty
    assert set(loaded.frame["symbol"]) == {symbol}
    expected = [joined(opening, bars[0]), *bars[1:]]
    assert loaded.frame["volume"].tolist() == [b[4] for b in expected]
    assert loaded.frame["close"].tolist() == [b[3] for b in expected]
    amount = opening[3] * opening[4] + bars[0][3] * bars[0][4] if extra else expected[0][3] * expected[0][4]
    assert loaded.frame["amount"].iloc[0] == pytest.approx(amount, rel=1e-12)


# ------------------------------------------------ daily bars in any vendor's form


def daily():
    """Five sessions of two stocks, one suspended for a day, with a split."""
    rng = np.random.default_rng(6)
    rows = []
    for symbol in ("000001.SZ", "600000.SH"):
        close, factor = 10.0, 1.0
        for i, day in enumerate(pd.bdate_range("2023-02-01", periods=5)):
            if i == 3 and symbol == "000001.SZ":
                close, factor = (round(close * 100) + 1) // 2 / 100, 2.0  # the reference price, half up
            before, volume = close, 0 if i == 2 and symbol == "600000.SH" else 10_000 + 100 * i
            if volume:
                close = round(close * (1 + rng.normal(0, 0.01)), 2)
            high, low = max(before, close), min(before, close)
            rows.append([symbol, day, before, high, low, close, before, volume, volume * close, factor])
    return pd.DataFrame(
        rows, columns=["symbol", "date", "open", "high", "low", "close", "prev", "volume", "amount", "factor"]
    )


def akshare(frame, root):
    for symbol, part in frame[frame["volume"] > 0].groupby("symbol"):
        out = pd.DataFrame(
            {
                "日期": part["date"].dt.strftime("%Y-%m-%d"),
                "股票代码": symbol[:6],
                "开盘": part["open"],
                "收盘": part["close"],
                "最高": part["high"],
                "最低": part["low"],
                "成交量": part["volume"] / 100,
                "成交额": part["amount"],
                "振幅": 0,
                "涨跌幅": 0,
                "涨跌额": 0,
                "换手率": part["volume"] / 1e9 * 100,
            }
        )
        out.to_csv(root / f"{symbol[:6]}.csv", index=False, encoding="gb18030")
    return "akshare", {}


def akshare_sina(frame, root):
    (root / "daily").mkdir()
    for symbol, part in frame[frame["volume"] > 0].groupby("symbol"):
        out = part.assign(outstanding_share=1e9, turnover=part["volume"] / 1e9)[
            ["date", "open", "high", "low", "close", "volume", "amount", "outstanding_share", "turnover"]
        ]
        out.to_csv(root / "daily" / f"{symbol[7:].lower()}{symbol[:6]}.csv", index=False)
    factors = frame[["date", "symbol", "factor"]].rename(columns={"factor": "adj_factor"})
    (root / "factors").mkdir()
    factors.to_csv(root / "factors" / "adj_factor.csv", index=False)
    return "akshare_sina", {}


def joinquant(frame, root):
    code = frame["symbol"].str[:6] + frame["symbol"].str[6:].map({".SH": ".XSHG", ".SZ": ".XSHE"})
    out = pd.DataFrame(
        {
            "time": frame["date"],
            "code": code,
            "open": frame["open"],
            "close": frame["close"],
            "high": frame["high"],
            "low": frame["low"],
            "volume": frame["volume"],
            "money": frame["amount"],
            "high_limit": (frame["prev"] * 1.1).round(2),
            "low_limit": (frame["prev"] * 0.9).round(2),
            "paused": (frame["volume"] == 0).astype(float),
        }
    )
    out.to_csv(root / "daily.csv", index=False)
    pd.DataFrame({"time": frame["date"], "code": code, "factor": frame["factor"]}).to_csv(
        root / "factor.csv", index=False
    )
    pd.DataFrame(
        {"day": frame["date"], "code": code, "pb_ratio": 1.5, "pe_ratio": 8.0, "pcf_ratio": 4.0, "circulating_cap": 1e5}
    ).to_csv(root / "valuation.csv", index=False)
    return "joinquant", {"pb": 1.5}


def tushare(frame, root):
    day = frame["date"].dt.strftime("%Y%m%d")
    traded = frame["volume"] > 0
    out = pd.DataFrame(
        {
            "ts_code": frame["symbol"],
            "trade_date": day,
            "open": frame["open"],
            "high": frame["high"],
            "low": frame["low"],
            "close": frame["close"],
            "pre_close": frame["prev"],
            "vol": frame["volume"] / 100,
            "amount": frame["amount"] / 1000,
        }
    )
    out[traded].to_csv(root / "daily.csv", index=False)
    pd.DataFrame({"ts_code": frame["symbol"], "trade_date": day, "adj_factor": frame["factor"]}).to_csv(
        root / "adj_factor.csv", index=False
    )
    return "tushare", {}


@pytest.mark.parametrize("export", [akshare, akshare_sina, joinquant, tushare])
def test_daily_presets(tmp_path, export):
    truth = daily()
    preset, known = export(truth, tmp_path)
    source = MappedSource(preset, tmp_path)
    for day, part in truth.groupby("date"):
        frame = source.load("daily_bars", day.date()).frame.set_index("symbol")
        for row in part.itertuples():
            if not row.volume:
                assert row.symbol not in frame.index or frame.loc[row.symbol, "suspended"]
                continue
            ours = frame.loc[row.symbol]
            assert [ours[c] for c in ("open", "high", "low", "close", "volume")] == [
                row.open,
                row.high,
                row.low,
                row.close,
                row.volume,
            ]
            assert ours["amount"] == pytest.approx(row.amount, rel=1e-9)
            assert not ours["suspended"]
            if export is not akshare:
                assert ours["adj_factor"] == row.factor
                assert np.isnan(ours["prev_close"]) or ours["prev_close"] == pytest.approx(row.prev, abs=0.0051)
            if export in (akshare, akshare_sina, joinquant):
                assert export is joinquant or ours["float_shares"] == pytest.approx(1e9)
            if export is joinquant:
                assert ours["up_limit"] == round(row.prev * 1.1, 2)
                assert source.load("reference", day.date()).frame["pb"].eq(known["pb"]).all()


def test_files_of_a_mapping_may_lie_elsewhere(tmp_path):
    truth = daily()
    joinquant(truth, tmp_path)
    (tmp_path / "jq").mkdir()
    for old, new in (("daily", "bars"), ("factor", "adj")):
        (tmp_path / f"{old}.csv").rename(tmp_path / "jq" / f"{new}.csv")
    source = MappedSource("joinquant", tmp_path, files={"daily": "jq/bars.csv", "more.0": "jq/adj.csv"})
    assert source.load("daily_bars", dt.date(2023, 2, 6)).frame["adj_factor"].tolist() == [2.0, 1.0]
    with pytest.raises(SourceError, match=r"files\['more.7'\] names no table.*more.0"):
        MappedSource("joinquant", tmp_path, files={"more.7": "x"})


def test_every_preset_is_named_in_the_docs():
    text = (Path(__file__).parents[4] / "docs" / "sources.md").read_text()
    assert [p for p in preset_names() if f"`{p}`" not in text] == []
