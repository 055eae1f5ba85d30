"""Column lineage: every column has one, names what exists, and is what the computations read."""

import json
import subprocess
import sys

import dagster as dg
import numpy as np
import pandas as pd
import pytest

from mg_assets.assets import ASSETS, TABLES
from mg_assets.assets.bars import DAILY_LINEAGE, MINUTE_LINEAGE, PERIOD_LINEAGE
from mg_assets.assets.models import SIGNALS
from mg_assets.factors import bars_from_trades, daily_from_minutes, period_bars
from mg_assets.market.schema import MINUTE_BARS, PERIOD_BARS, SCHEMAS, TRADES
from mg_assets.orchestration.lineage import ENTRY, column_lineage, from_text

GRANULAR = ("features_day", "features_240m", "features_60m", "features_30m")
FACTORS = ("intraday_factors", *GRANULAR, "factor_inputs", "factor_scores", "daily_factors", "common_factors")
BARS = ("minute_bars", "daily_bars", "weekly_bars", "monthly_bars")
WEIGHTS = tuple(t for t in TABLES if t.startswith("weights_"))
TRACED = (*BARS, *FACTORS, "labels", *SIGNALS, *WEIGHTS)
CONSTANT = {(table, column) for table in BARS[2:] for column in ("adj_factor", "up_limit", "down_limit")}


def columns_of(table: str) -> list[str]:
    """Columns of a table; those without a fixed schema begin with the symbol."""
    schema = SCHEMAS.get(table)
    return schema.names if schema else list(dict.fromkeys(["symbol", *TABLES[table].columns]))


@pytest.mark.parametrize("table", TRACED)
def test_every_column_comes_from_columns_upstream(table):
    entry = TABLES[table]
    assert set(entry.lineage) == set(columns_of(table))
    read = {need.table for need in entry.needs}
    for column, inputs in entry.lineage.items():
        assert inputs or (table, column) in CONSTANT, column
        assert len(set(inputs)) == len(inputs), column
        for upstream, name in (text.split(".") for text in inputs):
            assert upstream in read, (column, upstream)
            assert name in columns_of(upstream), (column, upstream, name)


def test_columns_read_by_name_are_those_of_the_lineage(built):
    """Of every asset that reads columns by name, on a built lake: none is left out, none is made up."""
    script = built.checkout / "tests" / "helpers" / "columns_of_assets.py"
    done = subprocess.run(
        [sys.executable, script], env=built.environment, cwd=built.checkout, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    compared = 0
    for asset, found in json.loads(done.stdout).items():
        for table, columns in found["read"].items():
            if asset in SIGNALS and table == "labels":  # the RankIC beside the scores, of which no column is made
                continue
            read, named = set(columns) - {"symbol"}, set(found["named"].get(table, ())) - {"symbol"}
            if asset in WEIGHTS and table in ("reference", asset):  # of all indices; past scores, for shadow prices
                assert all(c.startswith("csi") or c in ("pb", "score") for c in read - named), (asset, table)
                read &= named
            if table != asset or asset not in WEIGHTS:  # a week of weights reads the last one whole
                assert read == named, (asset, table)
            compared += 1
    assert compared > 15


def test_every_traced_table_of_the_graph_is_known():
    assert {t for t, entry in TABLES.items() if entry.lineage} == set(TRACED)


def test_dagster_is_given_the_lineage_without_what_was_not_read():
    entry = TABLES["daily_bars"]
    found = column_lineage(entry)[ENTRY].deps_by_column
    assert dg.TableColumnDep("minute_bars", "amount") in found["vwap"]
    without = column_lineage(entry, ("minute_bars", "reference"))[ENTRY].deps_by_column
    assert all(not deps for deps in without.values())
    assert column_lineage(TABLES["trades"]) == {}


def test_the_descriptions_of_columns_link_to_their_tables():
    specs = {key.to_user_string(): spec for asset in ASSETS for key, spec in asset.specs_by_key.items()}
    described = {c.name: c.description for c in specs["labels"].metadata["dagster/column_schema"].columns}
    assert described["ret_5"].startswith("vwap(T+1+5) / vwap(T+1) - 1")
    assert "From [daily_bars](/assets/daily_bars) vwap, open" in described["ret_5"]
    assert from_text(("a.x", "b.y", "a.z")) == "From [a](/assets/a) x, z; [b](/assets/b) y."
    assert from_text(()) == ""


def depends(make, tables: dict[str, pd.DataFrame], lineage, rng, fixed: dict[str, tuple[str, ...]]) -> None:
    """Every named input moves its column in one of some random changes, and no other input ever does."""
    base = make(**tables)
    moved: dict[str, set[str]] = {column: set() for column in base.columns}
    for table, frame in tables.items():
        for name in frame.columns:
            if name in fixed[table]:
                continue
            for _ in range(10):
                values = frame[name].to_numpy().copy()
                rows = rng.random(len(values)) < 0.4
                values[rows] = rng.permutation(values)[rows]
                other = make(**{**tables, table: frame.assign(**{name: values})})
                for column in base.columns:
                    if not other[column].equals(base[column]):
                        moved[column].add(f"{table}.{name}")
    named = {c: {i for i in lineage[c] if i.split(".")[1] not in fixed[i.split(".")[0]]} for c in base.columns}
    assert moved == named


def test_minute_bars_are_made_from_what_is_named():
    rng = np.random.default_rng(5)
    n = 1500
    stamps = pd.Timestamp("2023-02-01 09:30") + pd.to_timedelta(np.sort(rng.integers(0, 7100, n)), unit="s")
    trades = pd.DataFrame(
        {
            "symbol": np.repeat(["600000.SH", "600001.SH", "600002.SH"], n // 3),
            "time": stamps.to_numpy("datetime64[ms]"),
            "seq": np.arange(n),
            "price": rng.choice([0.0, 10.0, 10.5, 11.0, 11.5], n),
            "volume": rng.choice([0, 100, 200, 300], n),
            "buy_order": rng.integers(1, 99, n),
            "sell_order": rng.integers(1, 99, n),
            "side": rng.choice([-1, 1], n).astype("int8"),
        }
    )[TRADES.names]
    reference = pd.DataFrame({"symbol": trades["symbol"].unique(), "prev_close": [10.1, 10.2, 10.3]})

    def make(trades, reference):
        bars = bars_from_trades(trades, reference.set_index("symbol")["prev_close"])
        return bars[MINUTE_BARS.names]

    # each stock has 240 rows whatever its times: the column of the minute is the clock itself
    lineage = {**MINUTE_LINEAGE, "symbol": (), "minute": ()}
    depends(
        make,
        {"trades": trades, "reference": reference},
        lineage,
        rng,
        dict.fromkeys(("trades", "reference"), ("symbol",)),
    )


def daily(rng, stocks: int) -> pd.DataFrame:
    n = stocks
    frame = pd.DataFrame({c: rng.uniform(9, 11, n) for c in PERIOD_BARS.names})
    frame["symbol"] = [f"{600000 + i}.SH" for i in range(n)]
    frame["volume"] = rng.choice([0, 100, 200, 300], n)
    frame["amount"] = np.where(rng.random(n) < 0.3, np.nan, frame["amount"] * 100)
    frame["close"] = np.where(rng.random(n) < 0.15, np.nan, frame["close"])
    frame["vwap"] = np.where(rng.random(n) < 0.3, np.nan, frame["vwap"])
    frame["adj_factor"] = np.where(rng.random(n) < 0.1, np.nan, frame["adj_factor"])
    frame["num_trades"] = rng.integers(1, 9, n)
    frame["suspended"], frame["st"] = rng.random(n) < 0.3, rng.random(n) < 0.3
    return frame


def test_daily_bars_are_made_from_what_is_named():
    rng = np.random.default_rng(6)
    stocks, minutes = 30, 5
    n = stocks * minutes
    bars = pd.DataFrame({c: rng.uniform(9, 11, n) for c in MINUTE_BARS.names})
    bars["symbol"] = np.repeat([f"{600000 + i}.SH" for i in range(stocks)], minutes)
    bars["minute"] = np.tile(np.arange(minutes, dtype="int16"), stocks)
    bars["volume"], bars["num_trades"] = rng.choice([0, 0, 0, 100, 200], n), rng.integers(1, 9, n)
    reference = daily(rng, stocks)[
        ["symbol", "prev_close", "adj_factor", "up_limit", "down_limit", "st", "float_shares"]
    ]
    reference["suspended"] = pd.array(rng.choice([True, False, None], stocks), dtype="boolean")
    reference["industry"], reference["pb"] = "bank", rng.random(stocks)
    fixed = {"minute_bars": ("symbol", "minute"), "reference": ("symbol",)}  # a shuffled minute occurs twice
    depends(daily_from_minutes, {"minute_bars": bars, "reference": reference}, DAILY_LINEAGE, rng, fixed)


def test_period_bars_are_made_from_what_is_named():
    rng = np.random.default_rng(7)
    days = [daily(rng, 40).assign(date=f"2023-02-0{d}") for d in (6, 7, 8)]
    depends(
        lambda daily_bars: period_bars(daily_bars), {"daily_bars": pd.concat(days, ignore_index=True)},
        PERIOD_LINEAGE, rng, {"daily_bars": ("symbol", "date")},
    )  # fmt: skip
