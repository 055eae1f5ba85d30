"""Factors of one's own: what the function may take and give, where they are found, and what they read."""

import sys
from types import ModuleType

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from mg_assets.errors import DataError, SettingsError
from mg_assets.factors import factor, registry
from mg_assets.factors.own_frames import FactorReader
from mg_assets.factors.passport_pages import passport_markdown
from mg_assets.factors.registry import PUBLISHED_TABLES, own_factors, table_of
from mg_assets.lake.store import Lake
from mg_assets.market.schema import PERIOD_BARS

SYMBOLS = ["000001.SZ", "600000.SH", "600001.SH"]
DAY = "2023-02-01"


def bars(close=(1.0, 2.0, 3.0), symbols=SYMBOLS) -> pa.Table:
    return pa.table({"symbol": list(symbols), "close": list(map(float, close))})


def made(function=None, **options):
    def daily_close(daily_bars):
        """Close.

        The close of the day.
        """
        return function(daily_bars)

    return factor(columns={"daily_bars": ("close",)}, **options)(daily_close)


def values(returned, **options):
    return made(lambda frame: returned(frame) if callable(returned) else returned, **options).values(
        DAY, {"daily_bars": bars()}
    )


@pytest.mark.parametrize(
    "returned",
    [
        lambda frame: frame.set_index("symbol")["close"],
        lambda frame: frame.set_index("symbol")[["close"]],
        lambda frame: frame[["symbol", "close"]].iloc[::-1],
        lambda frame: dict(zip(frame["symbol"], frame["close"], strict=True)),
        lambda frame: pl.DataFrame({"symbol": frame["symbol"].to_list(), "value": frame["close"].to_list()}),
        lambda frame: bars(),
        lambda frame: frame.set_index("symbol")["close"].astype("Int64"),
        lambda frame: frame.set_index("symbol")["close"].astype("category").astype(float),
    ],
)
def test_every_form_of_result_is_taken_by_symbol(returned):
    found = values(returned)
    assert list(found.index) == SYMBOLS
    assert found.tolist() == [1.0, 2.0, 3.0]


def test_frames_come_in_the_form_that_is_asked_for():
    kinds = {}
    for frames in ("pandas", "arrow", "polars"):
        made(lambda frame, frames=frames: kinds.setdefault(frames, type(frame)) and {}, frames=frames).values(
            DAY, {"daily_bars": bars()}
        )
    assert kinds == {"pandas": pd.DataFrame, "arrow": pa.Table, "polars": pl.DataFrame}


def test_the_decorator_needs_no_parentheses():
    @factor
    def closes(daily_bars):
        """Close."""
        return daily_bars.set_index("symbol")["close"]

    assert (closes.name, closes.spec.meaning) == ("closes", "Close.")


def test_stocks_without_a_value_are_nan():
    assert np.isnan(values({"600000.SH": 2.0}).tolist()).tolist() == [True, False, True]
    assert values({"600000.SH": None}).isna().all()
    assert values({}).isna().all()
    assert len(made(lambda frame: 1 / 0).values(DAY, {"daily_bars": bars((), ())})) == 0  # the function is not asked


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        (pd.Series([1.0, 2.0], ["600000.SH", "600000.SH"]), "600000.SH has 2 values; one was expected"),
        ({"600000.SH": "abc"}, r"600000\.SH was 'abc'; a number was expected"),
        ({"600000.SH": np.inf}, r"600000\.SH was inf; a number, or NaN where there is none, was expected"),
        ({"600009.SH": 1.0}, r"600009\.SH has a value, but no row in daily_bars; leave it out"),
        (pd.Series([1.0, 2.0]), r"2 values have the index 0, \.\.; symbols were expected \(set_index\('symbol'\)\)"),
        (np.ones(3), r"ndarray was returned; a Series by symbol, a dict, or a frame with symbol and one more column"),
        (None, r"NoneType was returned; a Series by symbol"),
        (pd.DataFrame({"symbol": SYMBOLS, "a": 1.0, "b": 2.0}), r"a frame with the columns symbol, a, b was returned"),
        (
            pd.Series([1.0], pd.MultiIndex.from_tuples([(DAY, SYMBOLS[0])], names=["date", "symbol"])),
            r"the index has the levels date, symbol; the day's symbols were expected",
        ),
        (pd.Series([pd.Timestamp(DAY)], ["600000.SH"]), r"600000\.SH was Timestamp"),
        (lambda frame: frame["vwap"], r"test_own_factors\.py, line \d+: KeyError: 'vwap'"),
    ],
)
def test_wrong_result_is_one_line_with_factor_day_and_stock(returned, message):
    with pytest.raises(DataError, match=rf"^factor daily_close on 2023-02-01: .*{message}") as error:
        values(returned)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"direction": 2}, "direction was 2; -1, 0 or 1 was expected"),
        ({"days": 0}, "days was 0; an integer from 1"),
        ({"frames": "dask"}, "frames was 'dask'; one of pandas, arrow, polars"),
        ({"bounds": (1, 0)}, r"bounds were \(1, 0\)"),
        ({"known_at": "ten"}, "known_at was 'ten'; a time as 10:00"),
        ({"name": "My Factor"}, "the name must be lower case"),
        ({"name": "symbol"}, "symbol is the name of a column that says which row it is; rename yours"),
    ],
)
def test_wrong_argument_of_the_decorator_is_named(options, message):
    with pytest.raises(DataError, match=message):
        made(lambda frame: {}, **options)


def test_columns_are_checked_when_the_module_is_read():
    with pytest.raises(DataError, match=r"daily_bars has no column closs; did you mean close\? known: symbol"):
        factor(name="x", columns={"daily_bars": ("closs",)})(lambda daily_bars: {})
    with pytest.raises(
        DataError, match=r"columns of daily_bars were 'close'; a tuple of names as \('close',\) was exp"
    ):
        factor(name="x", columns={"daily_bars": "close"})(lambda daily_bars: {})
    with pytest.raises(DataError, match="columns are named of trades, which is no parameter; they are daily_bars"):
        factor(name="x", columns={"trades": ("price",)})(lambda daily_bars: {})
    with pytest.raises(DataError, match="the function has no parameters"):
        factor(name="x")(lambda: {})


def test_a_built_in_factor_is_one_place(monkeypatch):
    """A module of the list, and nothing else: no published set changes."""
    one = made(name="further")
    monkeypatch.setattr(registry, "MODULES", module(one=one))
    assert own_factors(()) == {"further": one}
    assert table_of("further", ()) == "own_further"
    assert (len(registry.HF27), len(registry.ALL34), len(registry.DAILY)) == (27, 34, 42)
    assert "further" not in registry.PASSPORTS


def module(**objects) -> tuple[ModuleType, ...]:
    found = ModuleType("own_of_this_test")
    vars(found).update(objects)
    return (found,)


def test_own_factors_stand_beside_the_published():
    one = made(lambda frame: {}, name="my_close", direction=-1)
    extensions = module(one=one)
    assert own_factors(extensions) == {"my_close": one}
    assert table_of("my_close", extensions) == "own_my_close"
    for table, names in PUBLISHED_TABLES.items():
        assert {table_of(name, extensions) for name in names} == {table}
    with pytest.raises(SettingsError, match="no factor is named 'my_closs'; did you mean my_close"):
        table_of("my_closs", extensions)
    text = passport_markdown(one.spec)
    assert "| inputs | `daily_bars`: close |" in text
    assert "Close." in text


@pytest.mark.parametrize(
    ("objects", "message"),
    [
        ({"a": made(name="beta")}, "factor beta is a published one, in common_factors; rename yours"),
        ({"a": made(name="x_1"), "b": made(name="x_1")}, "Factor 'x_1' is defined twice"),
        ({"a": factor(name="x_2")(lambda labels: {})}, "factor x_2: the parameter labels is no daily table"),
        (
            {"a": factor(name="x_3")(lambda daily_bar: daily_bar)},
            "the parameter daily_bar is no daily table; did you mean d",
        ),
        (
            {"a": factor(name="x_4", columns={"common_factors": ("bta",)})(lambda common_factors: {})},
            "factor x_4: common_factors has no column bta; did you mean beta",
        ),
    ],
)
def test_own_factors_that_cannot_be_are_refused(objects, message):
    with pytest.raises(SettingsError, match=message):
        own_factors(module(**objects))


def test_window_ends_with_the_day_and_keeps_its_stocks(tmp_path):
    lake = Lake(tmp_path)
    for day, symbols in (("2023-01-31", SYMBOLS), ("2023-02-01", SYMBOLS[:2]), ("2023-02-02", SYMBOLS[:1])):
        rows = {c: [None] * len(symbols) for c in PERIOD_BARS.names} | {
            "symbol": symbols,
            "close": [1.0] * len(symbols),
        }
        lake.write("daily_bars", day, pa.table(rows, schema=PERIOD_BARS))
    seen = []

    def count(daily_bars):
        """Rows of the window."""
        seen.append(sorted(daily_bars["date"].astype(str).unique()))
        return daily_bars.groupby("symbol").size()

    one = factor(days=3, columns={"daily_bars": ("close",)})(count)
    reader = FactorReader(lake, one)
    found = one.values("2023-02-01", reader.tables("2023-02-01"), reader.symbols("2023-02-01"))
    assert seen == [["2023-01-31", "2023-02-01"]]
    assert found.to_dict() == {"000001.SZ": 2.0, "600000.SH": 2.0}  # 600001.SH is gone


def test_code_of_a_factor_is_its_modules(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path)])
    from mg_assets.extensions import load_modules

    text = "from mg_assets.factors import factor\n\n\n@factor()\ndef own_part(daily_bars):\n    return {}\n"
    for name, more in (("own_text_a", ""), ("own_text_b", ""), ("own_text_c", "# other\n")):
        (tmp_path / f"{name}.py").write_text(text + more)
    a, b, c = (m.own_part.code for m in load_modules(["own_text_a.py", "own_text_b.py", "own_text_c.py"], tmp_path))
    assert a == b != c
