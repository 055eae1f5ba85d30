"""Prices that are no raw yuan, and columns in another unit, are refused by name; vendors' habits are not."""

import datetime as dt

import numpy as np
import pandas as pd
import pytest

from mg_assets.errors import DataError
from mg_assets.market.calendar import trading_days
from mg_assets.sources.mapped.source import MappedSource

DAYS = trading_days("2024-03-04", "2024-03-29")


def tushare(stocks=8):
    """Sound daily bars in tushare's columns: lots and thousand yuan."""
    rng = np.random.default_rng(5)
    frames = []
    for i in range(stocks):
        close = np.round(8 + i + np.cumsum(rng.normal(0, 0.1, len(DAYS))), 2)
        volume = rng.integers(1000, 9000, len(DAYS))
        frames.append(
            pd.DataFrame(
                {
                    "ts_code": f"60000{i}.SH",
                    "trade_date": [str(d).replace("-", "") for d in DAYS],
                    "open": close,
                    "high": np.round(close + 0.2, 2),
                    "low": np.round(close - 0.2, 2),
                    "close": close,
                    "vol": volume,
                    "amount": np.round(close * volume * 100 / 1000, 3),
                }
            )
        )
    return pd.concat(frames)


def load(tmp_path, frame, preset="tushare", name="daily.csv", **units):
    frame.to_csv(tmp_path / name, index=False)
    source = MappedSource(preset, tmp_path, **units)
    return source.load("daily_bars", source.days()[0].item())


PRICES = ["open", "high", "low", "close"]


@pytest.mark.parametrize(
    ("columns", "factor", "words", "option"),
    [
        (PRICES, 10_000, r"column 'close' is .* which no A share has cost in yuan.*units.price 0.0001", "price_unit"),
        (PRICES, 1000, r"units.price 0.001 \(mg ingest --price-unit 0.001\)", "price_unit"),
        (PRICES, 100, r"units.price 0.01 \(mg ingest --price-unit 0.01\)", "price_unit"),
        (["vol"], 100, r"a unit is wrong; volumes look like shares: set units.volume 1 \(mg ingest --volume-unit 1\)",
         "volume_unit"),
        (["vol"], 0.01, r"volumes look like units of 10000 shares: set units.volume 10000", "volume_unit"),
        (["amount"], 1000, r"'amount' over 'vol or volume' is \S+ times 'close'.*set units.amount 1 \(", "amount_unit"),
        (["amount"], 0.1, r"a unit is wrong; set units.amount 10000 \(mg ingest --amount-unit 10000\)", "amount_unit"),
    ],
)  # fmt: skip
def test_a_column_in_another_unit_names_the_option(tmp_path, columns, factor, words, option):
    sound = load(tmp_path, tushare()).frame
    frame = tushare()
    frame[columns] = np.round(frame[columns] * factor, 6)
    with pytest.raises(DataError, match=words) as caught:
        load(tmp_path, frame)
    assert str(caught.value).startswith(str(tmp_path / "daily.csv"))
    unit = {"price_unit": 1.0, "volume_unit": 100.0, "amount_unit": 1000.0}[option] / factor
    right = load(tmp_path, frame, **{option: unit}).frame
    pd.testing.assert_frame_equal(right, sound)


@pytest.mark.parametrize("level", [20, 400])
@pytest.mark.parametrize("amounts", [True, False])
def test_whole_prices_alone_are_no_other_unit(tmp_path, level, amounts):
    """A second sign decides: amounts that agree, or without them whether a step of 1 is too large for yuan x 100."""
    frame = tushare()
    steps = np.tile(np.arange(len(DAYS)), 8)
    for column, more in (("open", 0), ("close", 0), ("high", 1), ("low", -1)):
        frame[column] = level + steps + more
    frame["amount"] = frame["close"] * frame["vol"] * 100 / 1000
    frame = frame if amounts else frame.assign(amount=np.nan)
    if amounts or level == 20:
        assert load(tmp_path, frame).frame["close"].tolist() == [float(level)] * 8
    else:
        with pytest.raises(DataError, match=r"'close' is 410 in the middle, .*units.price 0.01 \("):
            load(tmp_path, frame)


def test_commas_that_group_thousands_are_read(tmp_path):
    sound = load(tmp_path, tushare()).frame
    frame = tushare()
    for column in ("vol", "amount"):
        frame[column] = [f"{v:,.3f}" for v in frame[column]]
    assert frame["vol"].str.contains(",").any()
    pd.testing.assert_frame_equal(load(tmp_path, frame).frame, sound)


def test_decimal_commas_are_not_taken_for_thousands(tmp_path):
    frame = tushare()
    for column in PRICES:
        frame[column] = [f"{v:.2f}".replace(".", ",") for v in frame[column]]
    frame.loc[frame.index[0], "close"] = "10,500"
    with pytest.raises(DataError, match="is no number"):
        load(tmp_path, frame)


def test_forward_adjusted_prices_below_zero_are_refused(tmp_path):
    frame = tushare()
    frame[PRICES] = np.round(frame[PRICES] - 9.5, 2)
    with pytest.raises(DataError, match=r"daily.csv: prices must be unadjusted, but 600000.SH on 2024-03-04 has -\d"):
        load(tmp_path, frame)


@pytest.mark.parametrize("factor", [0.6, 1.9, 3.7])
def test_adjusted_prices_contradict_their_amounts(tmp_path, factor):
    frame = tushare()
    frame[PRICES] = np.round(frame[PRICES] * factor, 2)
    with pytest.raises(DataError, match="prices must be unadjusted; export them without adjustment"):
        load(tmp_path, frame)


def test_a_damaged_price_below_zero_is_one_row(tmp_path):
    frame = tushare().reset_index(drop=True)
    frame.loc[0, "close"] = -frame.loc[0, "close"]
    assert len(load(tmp_path, frame).quarantine) == 1


@pytest.mark.parametrize("column", ["amount", "vol", "high"])
def test_values_without_end_are_no_unit(tmp_path, column):
    frame = tushare().astype({"vol": float}).reset_index(drop=True)
    frame.loc[frame.index % 3 > 0, column] = np.inf
    with pytest.raises(DataError, match="daily rows are bad"):
        load(tmp_path, frame)


@pytest.mark.parametrize("rounded", ["volume to lots", "amount to yuan", "no amount on some", "one odd row"])
def test_what_vendors_round_is_no_other_unit(tmp_path, rounded):
    frame = tushare().reset_index(drop=True)
    if rounded == "volume to lots":
        frame["vol"] = np.rint(frame["vol"] / 100)  # a share or two in thin bars
        frame["amount"] = np.round(frame["amount"] / 100, 3)
    elif rounded == "amount to yuan":
        frame["amount"] = np.rint(frame["amount"])
    elif rounded == "no amount on some":
        frame.loc[::2, "amount"] = np.nan
    else:
        frame.loc[3, "amount"] *= 1000
    assert load(tmp_path, frame).quarantine.empty


def test_dates_a_day_early_are_refused(tmp_path):
    frame = tushare()
    moved = pd.to_datetime(frame["trade_date"]).dt.tz_localize("Asia/Shanghai").dt.tz_convert("UTC")
    frame["trade_date"] = moved.dt.strftime("%Y-%m-%d %H:%M:%S")  # the zone is lost
    with pytest.raises(DataError, match=r"column 'trade_date' are a day early: 2024-03-03, a Sunday, has trades"):
        load(tmp_path, frame)


@pytest.mark.parametrize(("copies", "refused"), [(2, False), (4, True), (240, True)])
def test_several_rows_a_day_are_no_daily_bars(tmp_path, copies, refused):
    frame = pd.concat([tushare()] * copies)
    if refused:
        with pytest.raises(
            DataError, match=rf"daily.csv: these are bars of less than a day.*has {copies} rows; export"
        ):
            load(tmp_path, frame)
    else:
        assert set(load(tmp_path, frame).quarantine.reason) == {"the stock has this day twice"}


@pytest.mark.parametrize(("every", "name"), [(5, "weekly"), (21, "monthly")])
def test_longer_bars_are_no_daily_ones(tmp_path, every, name):
    days = trading_days("2023-01-03", "2024-03-29")[::every]
    frame = pd.concat([tushare(1).iloc[:1]] * len(days)).assign(trade_date=[str(d).replace("-", "") for d in days])
    with pytest.raises(DataError, match=rf"these are {name} bars, no daily ones: .* 600000.SH .* {every} trading"):
        load(tmp_path, frame)


@pytest.mark.parametrize("how", ["parquet", "text"])
def test_dates_with_a_zone_keep_their_day(tmp_path, how):
    frame = tushare()
    frame["trade_date"] = pd.to_datetime(frame["trade_date"]).dt.tz_localize("Asia/Shanghai").dt.tz_convert("UTC")
    if how == "parquet":
        frame.to_parquet(tmp_path / "daily.parquet")
    else:
        frame.to_csv(tmp_path / "daily.csv", index=False)
    assert MappedSource("tushare", tmp_path).days().tolist() == DAYS.tolist()


@pytest.mark.parametrize("form", ["float", "seconds", "milliseconds"])
def test_dates_as_numbers_are_read(tmp_path, form):
    frame = tushare()
    if form == "float":
        frame["trade_date"] = frame["trade_date"].astype(float)
    else:
        stamps = pd.to_datetime(frame["trade_date"]).dt.tz_localize("Asia/Shanghai").dt.as_unit("s").astype("int64")
        frame["trade_date"] = stamps * (1000 if form == "milliseconds" else 1)
    frame.to_csv(tmp_path / "daily.csv", index=False)
    assert MappedSource("tushare", tmp_path).days().tolist() == DAYS.tolist()


def test_dates_that_are_none_name_their_column(tmp_path):
    frame = tushare()
    frame["trade_date"] = "04/03/2024"
    with pytest.raises(DataError, match="no value of column 'trade_date' is a date, the first is '04/03/2024'"):
        load(tmp_path, frame)


@pytest.mark.parametrize(
    ("preset", "lacks"),
    [
        ("tushare", ["pre_close", "amount"]), ("baostock", ["preclose", "turn", "tradestatus", "isST", "peTTM"]),
        ("akshare", ["成交额", "换手率"]), ("akshare_sina", ["outstanding_share"]),
        ("joinquant", ["high_limit", "low_limit", "paused"]),
    ],
)  # fmt: skip
def test_a_preset_does_without_what_it_can(tmp_path, preset, lacks):
    renamed = {
        "tushare": {},
        "baostock": {"ts_code": "code", "trade_date": "date", "vol": "volume"},
        "akshare": {"ts_code": "股票代码", "trade_date": "日期", "open": "开盘", "high": "最高", "low": "最低",
                    "close": "收盘", "vol": "成交量"},
        "akshare_sina": {"trade_date": "date", "ts_code": "symbol", "vol": "volume"},
        "joinquant": {"trade_date": "time", "ts_code": "code", "vol": "volume", "amount": "money"},
    }[preset]  # fmt: skip
    frame = tushare()
    if preset != "tushare":
        frame["amount"] *= 1000
        frame["vol"] *= 1 if preset == "akshare" else 100
    frame = frame.rename(columns=renamed).drop(columns=["amount"] if "成交额" in lacks else [], errors="ignore")
    if "amount" in lacks:
        frame = frame.drop(columns="amount")
    loaded = load(tmp_path, frame, preset, name="600000.csv" if "akshare" in preset else "daily.csv")
    assert len(loaded.frame) == 8
    assert all(column in loaded.notes["remarks"][0] for column in lacks)
    assert set(loaded.notes["absent_columns"]) & {"st", "amount", "float_shares"}


def test_a_file_may_lack_what_the_next_one_has(tmp_path):
    frame = tushare()
    (tmp_path / "daily").mkdir()
    for i, (code, part) in enumerate(frame.groupby("ts_code")):
        part = part if i % 2 else part.drop(columns="amount")
        part.to_csv(tmp_path / "daily" / f"{code}.csv", index=False)
    source = MappedSource("tushare", tmp_path)
    loaded = source.load("daily_bars", dt.date(2024, 3, 4))
    assert loaded.frame["amount"].isna().tolist() == [True, False] * 4
    assert loaded.notes["remarks"] == ["without pre_close, amount: unknown", "without pre_close: unknown"]


def test_the_empty_file_is_named_not_its_neighbour(tmp_path):
    (tmp_path / "daily").mkdir()
    for day in ("20240304", "20240305"):
        tushare().iloc[:0].to_csv(tmp_path / "daily" / f"{day}.csv", index=False)
    with pytest.raises(DataError, match=r"20240304.csv: .* a header and no rows \(nor have the 1 other files\)"):
        MappedSource("tushare", tmp_path).days()


def test_codes_as_excel_formulas_get_a_sentence(tmp_path):
    frame = tushare().assign(ts_code=lambda f: '="' + f["ts_code"] + '"')
    with pytest.raises(DataError, match=r"""no symbol is readable, the first is '="600000.SH"'; write it"""):
        load(tmp_path, frame)


def test_a_volume_of_next_to_nothing_is_a_halt(tmp_path):
    frame = tushare().reset_index(drop=True).astype({"vol": float})
    frame.loc[0, ["vol", "amount"]] = [5.877472e-41, 5.877472e-42]
    first = load(tmp_path, frame).frame.iloc[0]
    assert (first["suspended"], first["volume"], first["amount"]) == (True, 0, 0)


def test_an_ex_day_inside_a_halt_counts_on_the_day_back(tmp_path):
    frame = tushare().reset_index(drop=True)
    mine = frame["ts_code"] == "600003.SH"
    frame.loc[mine, PRICES] = 20.0
    frame.loc[mine, "amount"] = frame.loc[mine, "vol"] * 2.0
    at = frame.index[mine]
    frame.loc[at[3:6], "vol"] = 0  # halted, with the ex-day in the middle
    frame.loc[at[6:], PRICES] = 10.0
    frame.loc[at[6:], "amount"] = frame.loc[at[6:], "vol"] * 1.0
    factor = frame[["ts_code", "trade_date"]].assign(adj_factor=1.0)
    factor.loc[at[4:], "adj_factor"] = 2.0
    factor.to_csv(tmp_path / "adj_factor.csv", index=False)
    frame.to_csv(tmp_path / "daily.csv", index=False)
    source = MappedSource("tushare", tmp_path)
    back = source.load("daily_bars", DAYS[6].item()).frame.set_index("symbol").loc["600003.SH"]
    assert (back["adj_factor"], back["prev_close"], back["suspended"]) == (2.0, 10.0, False)
    halted = source.load("daily_bars", DAYS[5].item()).frame.set_index("symbol").loc["600003.SH"]
    assert (halted["close"], halted["volume"], halted["suspended"]) == (10.0, 0, True)
