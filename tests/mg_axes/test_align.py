"""Labelled arguments: every form of every library gives the same arrays, and what does not fit is refused by name."""

import datetime as dt

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import xarray as xr

from mg_axes import (
    BY_STOCK,
    CODES,
    CUBE,
    DAYS,
    FLAGS,
    PANEL,
    STOCK_WEIGHTS,
    SYMBOLS,
    Layout,
    align,
    aligned,
    as_days,
    is_labelled,
    labelled_result,
)

DATES = pd.to_datetime(["2024-03-04", "2024-03-05", "2024-03-06"])
STOCKS = ["000001.SZ", "600000.SH", "688001.SH", "830001.BJ"]
WIDE = pd.DataFrame(np.arange(12.0).reshape(3, 4), DATES, STOCKS)
WIDE.iloc[1, 2] = np.nan
MIXED = WIDE.iloc[[2, 0, 1], [3, 1, 0, 2]]
LONG = MIXED.rename_axis(index="datetime", columns="instrument").stack().dropna()  # without the missing one


def table(date: str = "trade_date", symbol: str = "ts_code", value: str = "signal") -> pd.DataFrame:
    frame = LONG.rename(value).reset_index()
    return frame.rename(columns={"datetime": date, "instrument": symbol})


FORMS = {
    "wide": MIXED,
    "wide, symbols in the rows": MIXED.T,
    "wide, dates as text": MIXED.set_axis(MIXED.index.strftime("%Y-%m-%d")),
    "wide, dates as numbers": MIXED.set_axis([int(d) for d in MIXED.index.strftime("%Y%m%d")]),
    "wide, dates as date": MIXED.set_axis([d.date() for d in MIXED.index]),
    "wide, periods": MIXED.set_axis(MIXED.index.to_period("D")),
    "wide, times of Shanghai": MIXED.set_axis(MIXED.index.tz_localize("Asia/Shanghai")),
    "wide, closes in UTC": MIXED.set_axis((MIXED.index + pd.Timedelta(hours=7)).tz_localize("UTC")),
    "wide, a column of dates": MIXED.rename_axis("date").reset_index(),
    "long, date then symbol": LONG,
    "long, symbol then date": LONG.swaplevel().sample(frac=1, random_state=0),
    "long, levels without names": LONG.rename_axis([None, None]),
    "long, one column": LONG.to_frame("score"),
    "long, the column of its name": LONG.to_frame("signal").assign(other=1.0),
    "table": table(),
    "table of shuffled rows": table().sample(frac=1, random_state=1),
    "table with dates as text": table().assign(trade_date=lambda t: t["trade_date"].dt.strftime("%Y%m%d")),
    "table with dates as the index": table().set_index("trade_date"),
    "Polars table": pl.from_pandas(table("date", "symbol")),
    "Polars, wide": pl.from_pandas(MIXED.rename_axis("date").reset_index()),
    "Arrow table": pa.Table.from_pandas(table("date", "code"), preserve_index=False),
    "xarray": xr.DataArray(MIXED.to_numpy(), {"date": MIXED.index, "symbol": list(MIXED.columns)}),
    "xarray, symbol first": xr.DataArray(MIXED.T.to_numpy(), {"stock": list(MIXED.columns), "time": MIXED.index}),
    "xarray Dataset": xr.Dataset.from_dataframe(LONG.to_frame("signal").rename_axis(["date", "symbol"])),
}  # fmt: skip


def one(value, layout=PANEL, name="signal", **axes):
    layouts = {name: layout, "days": DAYS, "symbols": SYMBOLS}
    return align(ValueError, layouts, {name: value, "days": axes.get("days"), "symbols": axes.get("symbols")})


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_array(form):
    values, axes = one(FORMS[form])
    np.testing.assert_array_equal(values["signal"], WIDE)
    np.testing.assert_array_equal(values["days"], DATES.to_numpy().astype("datetime64[D]"))
    assert axes["s"].tolist() == values["symbols"].tolist() == STOCKS


@pytest.mark.parametrize(
    "plain",
    [WIDE.to_numpy(), WIDE.to_numpy().tolist(), pd.DataFrame(WIDE.to_numpy()), pl.Series([1.0]), pa.array([1.0]), 3.0],
    ids=lambda x: type(x).__name__,
)
def test_what_has_no_labels_is_taken_as_it_is(plain):
    values, axes = one(plain)
    assert values["signal"] is plain
    assert axes == {}


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (pd.concat([LONG, LONG.iloc[:1]]), r"1 day-stocks with several rows, the first 830001.BJ on 2024-03-06"),
        (WIDE.set_axis(["a", "b", "c"]), r"signal had no dates: its index begins with 'a'"),
        (WIDE.reset_index(drop=True), r"signal had no dates and symbols: it has the columns \['000001.SZ'"),
        (pd.concat([WIDE, WIDE.iloc[:1]]), r"signal had 2024-03-04 twice among its dates"),
        (WIDE["600000.SH"], r"signal was a Series of one index level, expected dates and symbols"),
        (LONG.to_frame("a").assign(b=1.0), r"\['a', 'b'\] beside dates and symbols, expected one, or one named"),
        (WIDE.astype(object).where(WIDE != 4.0, "x"), r"values that are no numbers, in the column"),
        (pl.from_pandas(table()).lazy(), r"signal was a Polars LazyFrame: give signal.collect\(\)"),
        (xr.DataArray(WIDE.to_numpy(), dims=("date", "symbol")), r"signal had no coordinates on 'date'"),
        ([WIDE, WIDE], r"signal was a builtins list, whose labels are not read"),
    ],
)  # fmt: skip
def test_labels_that_cannot_be_read_are_refused(value, message):
    with pytest.raises(ValueError, match=message) as raised:
        one(value)
    assert "\n" not in str(raised.value)


def scaled(signal, price, tradable=None, days=None):
    return signal * price if tradable is None else np.where(tradable, signal, np.nan)


SCALED = aligned(ValueError, by=("price",), result="ds", signal=PANEL, price=PANEL, tradable=FLAGS, days=DAYS)(scaled)


def test_a_lacking_value_is_missing_and_a_strange_one_refused():
    found = SCALED(WIDE.iloc[1:, :2], WIDE)
    assert found.shape == (3, 4)
    assert np.isfinite(found).sum().sum() == 4
    with pytest.raises(
        ValueError, match=r"signal has 2 symbols that are not in price, the first 000001.SZ .* begins with 6"
    ):
        SCALED(WIDE, WIDE.iloc[:, [1, 3]])
    with pytest.raises(ValueError, match=r"signal has 1 dates that are not in price, the first 2024-03-06"):
        SCALED(WIDE, WIDE.iloc[:2])
    with pytest.raises(ValueError, match=r"signal has 4 symbols that are not in price, the first SZ000001"):
        SCALED(WIDE.rename(columns=lambda c: c[-2:] + c[:6]), WIDE)


def test_a_bare_array_beside_labels_is_refused():
    with pytest.raises(ValueError, match=r"signal is a bare array, price has labels: give signal with its dates and"):
        SCALED(WIDE.to_numpy(), WIDE)
    assert isinstance(SCALED(WIDE.to_numpy(), WIDE.to_numpy()), np.ndarray)


def test_named_axes_take_bare_and_labelled_arrays():
    days, symbols = DATES[::-1], STOCKS[::-1]
    values, _ = one(MIXED, days=days, symbols=symbols)
    np.testing.assert_array_equal(values["signal"], WIDE.iloc[::-1, ::-1])
    layouts = {"signal": PANEL, "other": PANEL, "days": DAYS, "symbols": SYMBOLS}
    bare = WIDE.to_numpy()
    values, _ = align(
        ValueError, layouts, {"signal": MIXED, "other": bare, "days": WIDE.index, "symbols": WIDE.columns}
    )
    np.testing.assert_array_equal(values["signal"], bare)
    assert values["other"] is bare


def test_missing_flags_codes_and_weights_have_their_own_value():
    gaps = (LONG > 3).swaplevel()  # no row for one stock and day
    values, _ = one(gaps, FLAGS)
    assert values["signal"].dtype == bool
    np.testing.assert_array_equal(values["signal"], WIDE > 3)
    codes, _ = one(LONG, CODES)
    assert codes["signal"].dtype == np.int64
    assert codes["signal"][1, 2] == -1
    with pytest.raises(ValueError, match="signal had 1 missing values, expected true or false everywhere"):
        one(gaps, Layout("ds", None))
    with pytest.raises(ValueError, match="signal had values other than true and false"):
        one(WIDE, FLAGS)
    weights, _ = one(pd.Series({"600000.SH": 1.0}), STOCK_WEIGHTS, symbols=STOCKS)
    assert weights["signal"].tolist() == [0.0, 1.0, 0.0, 0.0]


def test_one_axis_and_three_are_read():
    cube = pd.DataFrame({"size": LONG, "beta": 2 * LONG})
    for form in (cube, pl.from_pandas(cube.reset_index()), xr.Dataset.from_dataframe(cube)):
        values, axes = one(form, CUBE)
        np.testing.assert_array_equal(values["signal"], np.stack([WIDE, 2 * WIDE], axis=-1))
        assert axes["f"].tolist() == ["size", "beta"]
    back = labelled_result(values["signal"], "dsf", axes)
    pd.testing.assert_series_equal(back["size"].dropna().sort_index(), LONG.sort_index(), check_names=False)
    values, _ = one(pl.DataFrame({"symbol": STOCKS[::-1], "weight": [3.0, 2.0, 1.0, 0.0]}), BY_STOCK)
    assert values["signal"].tolist() == [0.0, 1.0, 2.0, 3.0]
    covariance = pd.DataFrame([[1.0, 2.0], [3.0, 4.0]], ["b", "a"], ["a", "b"])
    values, _ = one(covariance, Layout("gg"))
    assert values["signal"].tolist() == [[2.0, 1.0], [4.0, 3.0]]


def test_entries_of_a_mapping_are_aligned_each():
    values, _ = align(ValueError, {"signals": PANEL}, {"signals": {"a": WIDE, "b": MIXED}})
    np.testing.assert_array_equal(values["signals"]["b"], WIDE)
    with pytest.raises(ValueError, match=r"signals\[b\] is a bare array, signals\[a\] has labels"):
        align(ValueError, {"signals": PANEL}, {"signals": {"a": WIDE, "b": WIDE.to_numpy()}})


def test_a_time_becomes_the_day_of_shanghai():
    midnight = pd.DatetimeIndex(["2024-03-04"], tz="Asia/Shanghai")
    for values in (midnight, midnight.tz_convert("UTC"), list(midnight), ["2024-03-04 00:00:00+08:00"], [20240304.0],
                   [dt.datetime(2024, 3, 3, 16, tzinfo=dt.UTC)], pd.Series([dt.date(2024, 3, 4)])):  # fmt: skip
        assert as_days(values).tolist() == [dt.date(2024, 3, 4)]
    with pytest.raises(ValueError, match="days had 'soon', expected dates"):
        as_days(["2024-03-04", "soon"])


@pytest.mark.parametrize(
    ("values", "first"),
    [
        (pd.period_range("2024-03", periods=2, freq="M"), "the period 2024-03"),
        (pd.period_range("2024-03-04", periods=2, freq="W"), "the period 2024-03-04/2024-03-10"),
        (np.array(["2024-03"], "datetime64[M]"), "2024-03"),
        (["2024-03-04", "2024-03"], "'2024-03'"),
        ([2024], "'2024'"),
        (["today"], "'today'"),
    ],
)
def test_a_span_of_days_is_not_its_first_day(values, first):
    with pytest.raises(ValueError, match=f"days had {first}, which is no single day: give the day on which"):
        as_days(values)


def test_periods_of_a_day_or_less_are_days():
    for freq in ("D", "h"):
        for values in (periods := pd.period_range("2024-03-04", periods=1, freq=freq), list(periods)):
            assert as_days(values).tolist() == [dt.date(2024, 3, 4)]
    with pytest.raises(ValueError, match=r"days had 20240304\.7, expected dates"):
        as_days([20240304.7])


@pytest.mark.parametrize(
    ("empty", "word"), [(WIDE.iloc[:0], "dates"), (WIDE.iloc[:, :0], "symbols"), (LONG.iloc[:0], "dates")]
)
def test_an_empty_argument_is_refused(empty, word):
    for given in ({"signal": empty}, {"signal": WIDE, "tradable": empty}):
        with pytest.raises(ValueError, match=rf"{list(given)[-1]} was empty: it has no {word}, price has \d"):
            SCALED(price=WIDE, **given)


def test_a_reversed_index_is_a_label():
    assert not is_labelled(pd.Series([1.0, 2.0]))
    assert is_labelled(pd.Series([1.0, 2.0])[::-1])
    assert is_labelled((1.0, pd.Series([1.0], ["a"])))


def test_flags_of_more_stocks_are_cut_to_the_axes():
    found = SCALED(WIDE.iloc[:, :2], WIDE.iloc[:, :2], WIDE > 0)
    assert found.shape == (3, 2)
    with pytest.raises(ValueError, match=r"tradable has 4 symbols that are not in price, the first x000001.SZ"):
        SCALED(WIDE, WIDE, (WIDE > 0).rename(columns=lambda c: f"x{c}"))
