"""Factors of one's own in the graph: their tables, scores, recipes, lineage, checks and evaluation."""

import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from mg_assets.assets import TABLES
from mg_assets.assets.own_factors import factor_asset, scores_asset, trailing_means
from mg_assets.errors import DataError
from mg_assets.factors import factor
from mg_assets.factors.own import SCORES
from mg_assets.lake.store import Lake
from mg_assets.orchestration.partition_build import Build
from mg_assets.orchestration.staleness import TableRegistry
from mg_assets.quality import factors as suites
from mg_assets.quality import run_suite
from mg_assets.settings import CHECKOUT
from mg_assets.testing.sample import sample

DAYS = [k for k in sample().keys("daily_bars") if k >= "2023-01-30"][:6]


@factor(direction=-1, units="fraction", bounds=(0, 1), columns={"daily_bars": ("high", "low")}, mean_days=3)
def day_range(daily_bars):
    """Low over high."""
    return daily_bars.set_index("symbol")["low"] / daily_bars.set_index("symbol")["high"]


@factor(days=4, columns={"daily_bars": ("close", "adj_factor")})
def three_days(daily_bars):
    """Return of three days."""
    price = (daily_bars["close"] * daily_bars["adj_factor"]).groupby(daily_bars["symbol"])
    return price.last() / price.first() - 1


OWN = {one.name: one for one in (day_range, three_days)}


@pytest.fixture(scope="module")
def lake(tmp_path_factory) -> Lake:
    found, market = Lake(tmp_path_factory.mktemp("lake")), sample()
    for key in [k for k in market.keys("daily_bars") if "2023-01-10" <= k <= DAYS[-1]]:
        for table in ("daily_bars", "reference"):
            found.write(table, key, market.table(table, key))
    for one in (*map(factor_asset, OWN.values()), scores_asset(OWN)):
        for made in one.make(build(found)):
            found.write(one.tables[0], made.key, made.frame)
    return found


def build(lake, keys=DAYS, workers=2) -> Build:
    return Build(list(keys), lake, lambda: None, workers, lambda: "cpu", print)


def test_table_holds_the_factor_of_each_day(lake):
    day, bars = lake.day("own_day_range", DAYS[3]), lake.day("daily_bars", DAYS[3])
    assert list(day.columns) == ["symbol", "day_range"]
    assert day["symbol"].tolist() == sorted(bars["symbol"])
    expected = (bars["low"] / bars["high"]).set_axis(bars["symbol"])
    assert day.set_index("symbol")["day_range"].equals(expected.sort_index().rename("day_range"))
    panel = lake.panel("daily_bars", DAYS[:4], ["close", "adj_factor"])
    price = panel["close"] * panel["adj_factor"]
    found = lake.panel("own_three_days", [DAYS[3]], ["three_days"], panel.symbols)["three_days"][0]
    assert np.allclose(found, price[3] / price[0] - 1, equal_nan=True)


def test_a_day_alone_is_what_the_range_gave(lake):
    (alone,) = factor_asset(three_days).make(build(lake, [DAYS[4]]))
    assert alone.frame.equals(lake.day("own_three_days", DAYS[4]))


def test_a_wrong_result_is_an_error_of_its_day(lake):
    wrong = replace(day_range, function=lambda daily_bars: {"600000": 1.0})
    with pytest.raises(DataError, match=f"factor day_range on {DAYS[0]}: 600000 has a value, but no row in daily_bars"):
        list(factor_asset(wrong).make(build(lake, DAYS[:1])))


def test_scores_are_preprocessed_means(lake):
    means, symbols = trailing_means(lake, OWN, DAYS)
    raw = lake.panel("own_day_range", DAYS, ["day_range"], symbols)["day_range"]
    assert np.allclose(means[4, :, 0], np.nanmean(raw[2:5], axis=0), equal_nan=True)
    assert np.allclose(
        means[4, :, 1], lake.panel("own_three_days", DAYS, ["three_days"], symbols)["three_days"][4], equal_nan=True
    )
    scores = lake.day(SCORES, DAYS[4])
    assert list(scores.columns) == ["symbol", *OWN]
    assert np.allclose(scores[list(OWN)].mean(), 0, atol=1e-9)
    assert (scores[list(OWN)].std(ddof=0) <= 1 + 1e-9).all()


def test_recipe_follows_code_window_and_columns():
    def recipe(one) -> str:
        return TableRegistry([*TABLES.values(), *factor_asset(one).entries]).recipe("own_day_range")

    base = recipe(day_range)
    assert recipe(replace(day_range)) == base
    changed = [
        replace(day_range, **more) for more in ({"version": "2"}, {"days": 2}, {"frames": "arrow"}, {"columns": {}})
    ]
    other = replace(day_range)
    other.__dict__["code"] = "another text"
    assert len({base, *map(recipe, [*changed, other])}) == 6
    (entry,) = factor_asset(day_range).entries
    assert entry.lineage["day_range"] == ("daily_bars.high", "daily_bars.low")
    assert entry.anchor == "daily_bars"


def test_own_tables_have_checks(lake, monkeypatch):
    monkeypatch.setattr(suites, "own_factors", lambda: OWN)
    found = {o.name: o for o in run_suite("own_day_range", lake, DAYS)}
    assert {"schema", "symbols", "ranges", "nulls", "drift", "coverage", "size_band"} == set(found)
    assert all(o.passed for o in found.values() if o.blocking)
    assert all(o.passed for o in run_suite(SCORES, lake, DAYS) if o.blocking)
    monkeypatch.setattr(suites, "own_factors", lambda: {"day_range": replace(day_range, bounds=(0.0, 0.5))})
    (ranges,) = [o for o in run_suite("own_day_range", lake, DAYS[:1]) if o.name == "ranges"]
    assert not ranges.passed
    assert ranges.bad[0]["column"] == "day_range"


SCRIPT = """
from mg_assets.assets import TABLES
from mg_assets.assets.evaluation import factor_evaluation
from mg_assets.cli.plan import OF_DAYS, OF_TICKS
from mg_assets.definitions import defs
graph = defs.resolve_asset_graph()
print(sorted(k.to_user_string() for k in graph.get_all_asset_keys() if 'own' in k.to_user_string()))
print(sorted(k.name for k in graph.asset_check_keys if k.asset_key.to_user_string() == 'own_range'))
print([n.table for e in factor_evaluation.entries for n in e.needs if 'own' in n.table][:1], OF_DAYS, OF_TICKS)
"""
MODULE = '''from mg_assets.factors import factor


@factor()
def range(daily_bars):
    """Low over high."""
    return daily_bars.set_index("symbol")["low"] / daily_bars.set_index("symbol")["high"]
'''


@pytest.mark.slow
def test_graph_of_a_deployment_holds_factor_and_rule(tmp_path):
    (tmp_path / "own_graph.py").write_text(MODULE)
    rule = "{table: %s, expectation: expect_column_max_to_be_between, column: range, max_value: 1, name: below_one}"
    environment = {k: v for k, v in os.environ.items() if not k.startswith("MG_")} | {
        "MG_SETTINGS": str(tmp_path / "s.yaml")
    }

    def run(table: str) -> subprocess.CompletedProcess:
        (tmp_path / "s.yaml").write_text(
            f"lake: {tmp_path}/lake\nextensions: [own_graph.py]\nrules: [{rule % table}]\n"
        )
        command = [sys.executable, "-c", SCRIPT]
        return subprocess.run(command, env=environment, cwd=CHECKOUT, capture_output=True, text=True, check=False)

    found = run("own_range")
    assert found.stdout.splitlines() == [
        "['own_range', 'scores_of_own_factors']",
        "['below_one', 'coverage', 'drift', 'files', 'nulls', 'ranges', 'schema', 'size_band', 'symbols']",
        "['scores_of_own_factors'] ('own_range',) ()",
    ], found.stderr[-2000:]
    assert "rule below_one: there is no table own_rnge; did you mean own_range?" in run("own_rnge").stderr
