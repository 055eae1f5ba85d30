"""The comparison with the golden digests: what it notices, and what it names."""

import copy

import golden
import numpy as np
import pyarrow as pa
import pytest

from mg_assets.assets import TABLES
from mg_assets.assets.models import SIGNALS, TRAINED
from mg_assets.settings import settings


def described(**columns) -> dict:
    description = golden._Description()
    table = pa.table(columns)
    description.add(table.slice(0, 3))
    description.add(table.slice(3))
    return description.result()


PRICES = np.array([10.0, 11.5, np.nan, 12.25, 13.0])


@pytest.fixture
def content():
    """Four tables, each made of the one before: raw ticks, bars of them, and a model's predictions."""
    frame = described(symbol=list("abcde"), price=PRICES)
    names = ("trades", "intraday_factors", "factor_inputs", "hf_gru_model", "hf_gru")
    assert "trades" in golden.upstream("intraday_factors")
    tables = {n: {"recipe": TABLES.recipe(n), "partitions": "x", **copy.deepcopy(frame)} for n in names}
    return {"market": "m", "tables": tables}


def test_pieces_make_no_difference():
    whole = golden._Description()
    whole.add(pa.table({"symbol": list("abcde"), "price": PRICES}))
    assert described(symbol=list("abcde"), price=PRICES) == whole.result()


@pytest.mark.parametrize(
    "columns",
    [
        {"symbol": list("abcdx"), "price": PRICES},
        {"symbol": list("abcde"), "price": PRICES * (1 + 1e-7)},
        {"symbol": list("abcde"), "price": PRICES[[1, 0, 2, 3, 4]]},
        {"symbol": list("abcde"), "price": [10.0, 11.5, None, 12.25, np.inf]},
        {"symbol": list("abcde"), "price": [10.0, 11.5, 0.0, 12.25, 13.0]},
        {"symbol": list("abcd"), "price": PRICES[:4]},
        {"symbol": list("abcde"), "close": PRICES},
    ],
    ids=["text", "scale", "order", "infinite", "filled", "row_gone", "renamed"],
)
def test_a_change_is_noticed_and_its_table_named(content, columns):
    now = copy.deepcopy(content)
    now["tables"]["intraday_factors"] |= described(**columns)
    now["tables"]["factor_inputs"] |= described(**columns)  # follows, and is not named
    lines = golden.differences(content, now)
    assert [line for line in lines if not line.startswith(" ")] == [
        f"intraday_factors: the content changed and the recipe {TABLES.recipe('intraday_factors')} did not"
    ]
    assert any("column" in line or "rows" in line for line in lines)
    assert "raise the version of intraday_factors" in lines[-1]


def test_rounding_is_no_change(content):
    now = copy.deepcopy(content)
    assert golden.differences(content, now) == []
    now["tables"]["trades"] |= described(symbol=list("abcde"), price=PRICES * (1 + 1e-14))
    now["tables"]["hf_gru"] |= described(symbol=list("abcde"), price=PRICES * (1 + golden.TRAINED / 10))
    assert golden.differences(content, now) == []
    now["tables"]["hf_gru"] |= described(symbol=list("abcde"), price=PRICES * (1 + golden.TRAINED * 10))
    assert "hf_gru: the content changed" in golden.differences(content, now)[0]


def test_another_recipe_asks_for_a_new_file(content):
    now = copy.deepcopy(content)
    for table in ("intraday_factors", "factor_inputs"):
        now["tables"][table]["recipe"] = "another"
        now["tables"][table] |= described(symbol=list("abcde"), price=PRICES * 2)
    (line,) = golden.differences(content, now)
    assert (
        line == "other recipes than in content.json (of ['intraday_factors'] and what is made of them): run make golden"
    )
    now["market"] = "another"
    assert golden.differences(content, now)[0].startswith("the market is another one")
    now["market"] = "m"
    del now["tables"]["hf_gru"]
    assert golden.differences(content, now) == ["other tables than in content.json (['hf_gru']): run make golden"]


def test_the_file_holds_every_table_but_those_named():
    """Of the default settings' signals and portfolios the small market has some."""
    absent = {table for table in TABLES if table not in golden.load()["tables"]}
    assert absent >= golden.LEFT_OUT
    named = (*SIGNALS, *TRAINED, *settings().portfolios)
    tables = {t for n in named for t in (n, f"{n}_model", f"weights_{n}")}
    accounts = tuple(f"{portfolio}_" for portfolio in settings().portfolios)
    assert {t for t in absent - tables if not t.startswith(accounts)} == golden.LEFT_OUT


def test_the_file_is_written_as_it_is_read(content, tmp_path, monkeypatch):
    monkeypatch.setattr(golden, "FILE", tmp_path / "content.json")
    golden.save(content)
    assert golden.load() == content


def test_an_order_more_or_less_is_rounding_of_a_portfolio():
    table = "csi500_turnover30_trades"
    golden_entry = {
        "recipe": "a",
        "partitions": "p",
        "rows": 1000,
        "columns": {"x": [1000, 0, 5.0, 9.0, 1.0], "s": "aa"},
    }
    other = {"recipe": "a", "partitions": "p", "rows": 1001, "columns": {"x": [1001, 0, 5.02, 9.0, 1.0], "s": "bb"}}
    assert golden._moved(table, golden_entry, other) == []
    assert golden._moved("fused", golden_entry, other) != []
    more = {**other, "columns": {"x": [1001, 0, 5.2, 9.0, 1.0], "s": "bb"}}
    assert len(golden._moved(table, golden_entry, more)) == 1
