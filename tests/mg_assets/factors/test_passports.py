"""Passports: every factor has a whole one, it says what the code does, and docs/factors.md is made of them."""

import datetime as dt
import re
from dataclasses import fields
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mg_assets.errors import DataError
from mg_assets.factors import bars_from_trades, passport_pages
from mg_assets.factors.daily import DAILY42, FUNDAMENTALS, DailySeries, daily_factors
from mg_assets.factors.granular import FEATURES
from mg_assets.factors.kernels.intraday import intraday_factors
from mg_assets.factors.passports.spec import UNITS
from mg_assets.factors.registry import (
    ALL34,
    COMMON,
    DAILY,
    FACTORS,
    GRANULAR,
    HF27,
    MONITOR,
    PASSPORTS,
)
from mg_assets.factors.style_factors import COMMON as COMMON_COLUMNS
from mg_assets.factors.style_factors import common_factors
from mg_assets.lake.partition_keys import WHOLE
from mg_assets.lake.store import Lake
from mg_assets.market.schema import SCHEMAS
from mg_assets.sources import build_source
from mg_portfolio.report.published import published_rows, published_value

CHECKOUT = Path(__file__).parents[3]
DOCS = CHECKOUT / "docs" / "factors.md"
EVALUATED = pd.DataFrame(
    {
        "name": ["down_vol_perc", "kurt_order_diff", "tail_volume_share"],
        "rank_ic_mean": [0.05, -0.01, 0.03],
        "rank_ic_ir": [0.5, -0.1, 0.2],
        "first_day": "2022-01-17",
        "last_day": "2023-09-28",
    }
)


def test_the_registry_is_the_columns_of_the_tables():
    assert (len(ALL34), len(DAILY), len(COMMON), len(GRANULAR)) == (34, 42, 5, 14)
    assert DAILY == DAILY42
    assert COMMON == COMMON_COLUMNS
    assert GRANULAR == FEATURES
    assert list(PASSPORTS) == [*ALL34, *DAILY, *COMMON, *GRANULAR]
    assert tuple(intraday_factors(None, None, None).columns) == ALL34 == tuple(FACTORS)


@pytest.mark.parametrize("name", PASSPORTS)
def test_a_passport_is_whole(name):
    spec = PASSPORTS[name]
    assert spec.name == name
    for field in fields(spec):
        assert getattr(spec, field.name) != "" or field.name == "direction", field.name
    assert spec.units in UNITS
    assert spec.rivals
    for text in (spec.meaning, spec.edges, spec.why):
        assert text.endswith("."), text
        assert "  " not in text
    assert all(r == r.strip() and not r.endswith(".") for r in spec.rivals)
    assert len(set(spec.rivals)) == len(spec.rivals)
    # the sign is the source's: of the intraday factors alone one is stated
    assert (spec.direction in (1, -1)) == (name in FACTORS)


@pytest.mark.parametrize("name", PASSPORTS)
def test_the_inputs_are_columns_of_the_tables_that_it_needs(name):
    spec = PASSPORTS[name]
    tables = set()
    for entry in spec.inputs:
        table, _, column = entry.partition(".")
        assert column in SCHEMAS[table].names, entry
        tables.add(table)
    assert tables <= set(spec.needs)
    assert set(spec.needs) - tables <= {"daily_bars"}  # the bars show a day without trades


@pytest.mark.parametrize("name", FACTORS)
def test_the_inputs_decide_the_value_and_nothing_else_does(name, stock_day):
    """Columns that the passport does not name may hold anything valid; those that it names may not."""
    tables, expected = stock_day
    spec = FACTORS[name]

    def levelled(chosen):
        """The factor with every chosen column at 1 throughout."""
        made = {}
        for table, frame in tables.items():
            columns = [c for c in frame.columns if c not in ("symbol", "minute", "time", "seq", "kind")]
            made[table] = frame.assign(**{c: frame[c] * 0 + 1 for c in columns if chosen(f"{table}.{c}")})
        return intraday_factors(made["trades"], made["orders"], made["minute_bars"])[name]

    pd.testing.assert_series_equal(levelled(lambda c: c not in spec.inputs), expected[name], rtol=1e-12)
    assert not np.allclose(levelled(lambda c: c in spec.inputs), expected[name])


@pytest.fixture(scope="module")
def stock_day():
    """A simulated stock's tables of a day on which all 34 factors are finite and none is 0, and the factors."""
    source = build_source("simulated", {"stocks": 12, "tick_start": "2022-01-04", "orders_per_stock": 1500})
    trades, orders = (source.load(t, dt.date(2023, 2, 1)).frame for t in ("trades", "orders"))
    bars = bars_from_trades(trades)
    factors = intraday_factors(trades, orders, bars)
    symbol = factors.index[(factors.abs() > 1e-9).all(axis=1)][0]
    tables = {"trades": trades, "orders": orders, "minute_bars": bars}
    return {k: t[t["symbol"] == symbol] for k, t in tables.items()}, factors.loc[[symbol]]


LOOKBACKS = sorted({int(PASSPORTS[n].lookback.split()[0]) for n in (*DAILY, *COMMON) if n != "dyr12"})


@pytest.fixture(scope="module")
def panel():
    """Daily columns of a few stocks over more days than the longest window."""
    rng = np.random.default_rng(2)
    shape = (max(LOOKBACKS) + 20, 8)
    close = 10 * np.exp(np.cumsum(rng.normal(0, 0.02, shape), axis=0))
    spread = np.sort(rng.uniform(0.97, 1.03, (4, *shape)), axis=0)
    columns = {name: close * spread[i] for i, name in enumerate(("low", "open", "vwap", "high"))}
    columns |= {"close": close, "volume": rng.lognormal(12, 0.5, shape), "amount": rng.lognormal(15, 0.5, shape)}
    columns |= {"adj_factor": np.ones(shape), "float_shares": np.full(shape, 1e8) * rng.uniform(0.5, 2, shape)}
    return columns | {name: rng.uniform(0.5, 40, shape) for name in FUNDAMENTALS}


def values(columns):
    """Every daily and common factor of the last day, name -> (S,)."""
    series = DailySeries(columns)
    return dict(zip(DAILY, daily_factors(series, 1)[0].T, strict=True)) | dict(
        zip(COMMON, common_factors(series, 1)[0].T, strict=True)
    )


@pytest.mark.parametrize("days", LOOKBACKS)
def test_the_lookback_is_what_a_value_covers(panel, days):
    """Nothing before it matters, and its first day does. (dyr12 covers 252 days within the source's column.)"""
    expected = values(panel)
    rng = np.random.default_rng(3)

    def shaken(rows):
        made = {name: column.copy() for name, column in panel.items()}
        for column in made.values():
            column[rows] *= rng.uniform(0.8, 1.25, column[rows].shape)
        return values(made)

    before, first = shaken(slice(None, -days)), shaken(-days)
    for name in (n for n in (*DAILY, *COMMON) if PASSPORTS[n].lookback == f"{days} day{'s' * (days > 1)}"):
        assert np.isfinite(expected[name]).all(), name
        np.testing.assert_allclose(before[name], expected[name], rtol=1e-12, err_msg=name)
        if name != "dyr12":
            assert not np.isclose(first[name], expected[name], rtol=1e-12, atol=0).any(), name


def test_what_was_published_is_shown():
    for name in HF27:
        printed = passport_pages.published_results(name)[0]
        assert printed.values["rank_ic_mean"] == published_value(name, "rank_ic_mean")
        assert printed.period in ("2013-02-01/2023-11-30", "2014-01-30/2023-11-30")
        assert f"RankIC {printed.values['rank_ic_mean']:.2%}" in passport_pages.passport_markdown(PASSPORTS[name])
        chart = {"minute": "chart 7", "trade": "chart 26", "order": "chart 37"}[PASSPORTS[name].family]
        assert printed.table == chart
    for name in MONITOR:
        (printed,) = passport_pages.published_results(name)
        assert printed.report == "haitong_weekly"
        year = published_rows(name, "long_short", period="2023-01-01/2023-12-15")["value"].item()
        assert printed.values["long_short"] == pytest.approx(float(year))
        assert "RankIC" not in printed.text
    for name in (*DAILY, *COMMON, *GRANULAR):
        assert passport_pages.published_results(name) == []
        assert "| published | none |" in passport_pages.passport_markdown(PASSPORTS[name])


def test_what_a_lake_measured_stands_beside_it(tmp_path):
    lake = Lake(tmp_path)
    assert passport_pages.measured_rank_ic(lake) == {}
    lake.write("factor_evaluation", WHOLE, EVALUATED)
    found = passport_pages.measured_rank_ic(lake)
    assert found["down_vol_perc"].rank_ic == 0.05
    text = passport_pages.passport_markdown(PASSPORTS["down_vol_perc"], found["down_vol_perc"])
    assert "| measured on this lake | RankIC 5.00%, IC_IR 0.50 (2022-01-17..2023-09-28) |" in text
    table = passport_pages.factor_overview(PASSPORTS, found).set_index("factor")
    assert table.loc["down_vol_perc", ["published", "ours"]].tolist() == [0.0672, 0.05]
    assert table["ours"].notna().sum() == 3
    assert table["published"].notna().sum() == len(HF27)


def test_the_comparison_says_whether_signs_agree():
    lines = passport_pages.rank_ic_comparison(EVALUATED).splitlines()
    rows = {line.split(" | ")[0].strip("| "): [c.strip(" |") for c in line.split(" | ")] for line in lines[2:5]}
    assert rows["down_vol_perc"][2:] == [
        "6.72%", "2013-02-01..2023-11-30", "5.00%", "2022-01-17..2023-09-28", "yes",
    ]  # fmt: skip
    assert rows["kurt_order_diff"][-1] == "no"
    assert rows["tail_volume_share"][2] == rows["tail_volume_share"][-1] == "-"
    assert "all A shares" in lines[-1]


def test_the_document_is_up_to_date():
    page = passport_pages.factors_page()
    assert DOCS.read_text(encoding="utf-8") == page, "docs/factors.md is out of date: run make docs"


def test_the_document_is_sound_markdown():
    text = passport_pages.factors_page()
    anchors = set(re.findall(r"^### `(\w+)`$", text, re.MULTILINE))
    assert anchors == set(PASSPORTS)
    assert set(re.findall(r"\]\(#(\w+)\)", text)) == anchors
    for line in text.splitlines():
        if line.startswith("| "):
            assert line.endswith(" |"), line
            if line.startswith(("| edges", "| rivals", "| why", "| inputs", "| source")):
                assert len(re.findall(r"(?<!\\)\|", line)) == 3, line


def test_an_unknown_name_is_met_with_like_ones():
    with pytest.raises(DataError, match=r"no factor is named 'down_vol'; like it are .*down_vol_perc"):
        passport_pages.passport("down_vol")


def test_the_pages_of_the_assets_show_it():
    from mg_assets.definitions import defs

    graph = defs.resolve_asset_graph()

    def columns(table):
        import dagster as dg

        schema = graph.get(dg.AssetKey(table)).metadata["dagster/column_schema"]
        return {c.name: c.description for c in getattr(schema, "value", schema).columns}

    shown = columns("intraday_factors")
    for name in ALL34:
        assert shown[name].startswith(PASSPORTS[name].summary)
        assert PASSPORTS[name].source in shown[name]


def test_commands_print_passports_and_paths(tmp_path, capsys, stock_day):
    from mg_assets.cli.main import main

    tables, expected = stock_day
    lake = Lake(tmp_path)
    for table, frame in tables.items():
        lake.write(table, "2023-02-01", frame)
    lake.write("intraday_factors", "2023-02-01", expected.reset_index())
    lake.write("factor_evaluation", WHOLE, EVALUATED)
    symbol = expected.index[0]
    lake_args = ["--lake", str(tmp_path)]

    assert main(["factors", *lake_args]) == 0
    assert re.search(r"down_vol_perc +minute +\+1 +6\.72% +\S+ +5\.00%", capsys.readouterr().out)
    assert main(["factors", "down_vol_perc", *lake_args]) == 0
    assert "measured on this lake" in capsys.readouterr().out
    assert main(["explain", symbol, "2023-02-01", *lake_args]) == 0
    out = capsys.readouterr().out
    assert len(re.findall(r" yes +\d", out)) == len(ALL34)
    csv, page = tmp_path / "rows.csv", tmp_path / "page.html"
    args = ["explain", symbol, "2023-02-01", "bigorder_ret", "--rows", "3", "--csv", str(csv), "--html", str(page)]
    assert main([*args, *lake_args]) == 0
    assert "more of" in capsys.readouterr().out
    top = pd.read_csv(csv)
    assert (1 + top.loc[top["top"], "r"]).prod() - 1 == pytest.approx(expected.loc[symbol, "bigorder_ret"], rel=1e-9)
    assert "<table" in page.read_text()
    capsys.readouterr()
    assert main(["explain", symbol, "2023-02-01", "bigorder", *lake_args]) == 2
    assert "'bigorder' is unknown" in capsys.readouterr().err
    assert main(["explain", symbol, "2023-02-02", *lake_args]) == 2
    assert "no trades, orders, minute_bars of 2023-02-02" in capsys.readouterr().err
