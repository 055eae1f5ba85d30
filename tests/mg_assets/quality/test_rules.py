"""Rules of one's own: expectations and functions as checks of their table, and the names that they are refused for."""

import sys

import great_expectations.expectations as gxe
import pandas as pd
import pytest

from mg_assets.errors import SettingsError
from mg_assets.lake.store import Lake
from mg_assets.market.schema import PERIOD_BARS
from mg_assets.quality import expect, rule, rules, run_suite, suite_for
from mg_assets.quality.rules import Rule, check_rules
from mg_assets.settings import load_settings

DAYS = ["2023-02-01", "2023-02-02"]


@rule(table="daily_bars", columns=("symbol", "close", "up_limit"), blocking=False)
def close_within_limit(daily_bars):
    """No close above the upper limit."""
    return daily_bars[daily_bars["close"] > daily_bars["up_limit"]]


@pytest.fixture
def lake(tmp_path) -> Lake:
    """Two days; on the second 600000.SH closes above its limit."""
    found = Lake(tmp_path)
    for day, close in zip(DAYS, (10.0, 12.0), strict=True):
        rows = {c: [None, None] for c in PERIOD_BARS.names} | {
            "symbol": ["000001.SZ", "600000.SH"], "close": [20.0, close], "up_limit": [22.0, 11.0], "volume": [0, 100],
            "adj_factor": [1.0, 1.0],
        }  # fmt: skip
        frame = pd.DataFrame(rows)
        found.write("daily_bars", day, frame)
    return found


def outcomes(monkeypatch, lake, *given: Rule) -> dict:
    monkeypatch.setattr(rules, "own_rules", lambda: {"daily_bars": list(given)})
    return {o.name: o for o in run_suite("daily_bars", lake, DAYS)}


def test_function_gives_the_rows_that_break_the_rule(monkeypatch, lake):
    found = outcomes(monkeypatch, lake, close_within_limit)["close_within_limit"]
    assert (found.passed, found.blocking, found.description) == (False, False, "No close above the upper limit.")
    assert found.observed["bad_partitions"] == [DAYS[1]]
    assert found.observed["measures"] == {"close_within_limit": [0, 1]}
    (row,) = found.bad
    assert (row["symbol"], row["close"], row["up_limit"], row["observed"]) == ("600000.SH", 12.0, 11.0, 1.0)
    assert close_within_limit(pd.DataFrame({"close": [1.0], "up_limit": [2.0]})).empty  # it may still be called


def test_function_may_say_whether_it_holds(monkeypatch, lake):
    two = rule(table="daily_bars", name="two_stocks")(lambda frame: len(frame) == 2)
    all_of = rule(table="daily_bars", name="all_close")(lambda frame: (frame["close"] < 11.0).all())
    wrong = rule(table="daily_bars", name="wrong")(lambda frame: frame["vwap"].lacking)
    other = rule(table="daily_bars", name="other")(lambda frame: "yes")
    found = outcomes(monkeypatch, lake, two, all_of, wrong, other)
    assert [found[n].passed for n in ("two_stocks", "all_close", "wrong", "other")] == [True, False, False, False]
    assert "test_rules.py" in found["wrong"].bad[0]["error"]
    assert "AttributeError" in found["wrong"].bad[0]["error"]
    assert found["other"].bad[0]["error"].startswith("str was returned; the rows that break the rule")


@pytest.mark.parametrize(
    ("one", "bad", "example"),
    [
        (expect("daily_bars", "expect_column_values_to_be_between", column="volume", min_value=1), DAYS, {"volume": 0}),
        (expect("daily_bars", gxe.ExpectColumnValuesToNotBeNull(column="close")), [], None),
        (expect("daily_bars", gxe.ExpectTableRowCountToBeBetween(min_value=3)), DAYS, {"found": "observed 2"}),
        (
            expect("daily_bars", "expect_column_values_to_be_between", column="close", max_value=15, mostly=0.5),
            [],
            None,
        ),
    ],
)
def test_expectation_is_a_check(monkeypatch, lake, one, bad, example):
    found = outcomes(monkeypatch, lake, one)[one.name]
    assert found.observed["bad_partitions"] == bad
    assert found.passed == (not bad)
    if example:
        assert example.items() <= found.bad[0].items()
    else:
        assert found.bad == []


def test_figures_of_an_expectation_are_shown(monkeypatch, lake):
    mean = expect("daily_bars", "expect_column_mean_to_be_between", column="close", min_value=0, name="mean_close")
    found = outcomes(monkeypatch, lake, mean)["mean_close"]
    assert found.observed["notes"][-2:] == [
        "mean_close 2023-02-01: observed 15.0", "mean_close 2023-02-02: observed 16.0",
    ]  # fmt: skip


def test_built_in_checks_stay_beside_the_rules(monkeypatch, lake):
    before = [c.name for c in suite_for("daily_bars").checks]
    monkeypatch.setattr(rules, "own_rules", lambda: {"daily_bars": [close_within_limit]})
    assert [c.name for c in suite_for("daily_bars").checks] == [*before, "close_within_limit"]
    assert [c.name for c in suite_for("labels").checks] == [c.name for c in suite_for("labels").checks]


@pytest.mark.parametrize(
    ("one", "message"),
    [
        (
            expect("daily_bar", "expect_table_row_count_to_equal", value=1),
            "there is no table daily_bar; did you mean d",
        ),
        (
            expect("daily_bars", "expect_column_values_to_be_between", column="closs", min_value=0),
            "daily_bars has no column closs; did you mean close",
        ),
        (
            expect("daily_bars", "expect_column_values_to_be_betwixt", column="close"),
            "there is no expect_column_values_to_be_betwixt; did you mean expect_column_values_to_be_between",
        ),
        (
            expect("daily_bars", "expect_column_values_to_be_between", column="close", min_val=0),
            "expect_column_values_to_be_between has no argument min_val; did you mean min_value",
        ),
        (
            expect("daily_bars", "expect_column_values_to_be_between", column="close"),
            "expect_column_values_to_be_between: min_value and max_value cannot both be None",
        ),
        (rule(table="daily_bars", name="schema")(lambda frame: True), "daily_bars has a check of that name"),
        (
            rule(table="daily_bars", name="x", columns=("clse",))(lambda frame: True),
            "no column clse; did you mean close",
        ),
    ],
)
def test_wrong_names_are_refused_before_a_run(monkeypatch, one, message):
    monkeypatch.setattr(rules, "own_rules", lambda: {one.table: [one]})
    with pytest.raises(SettingsError, match=message):
        check_rules({"daily_bars": PERIOD_BARS.names}, {"daily_bars": ["schema"]})


def test_right_rules_pass(monkeypatch):
    right = expect("daily_bars", "expect_column_pair_values_a_to_be_greater_than_b", column_A="high", column_B="low")
    monkeypatch.setattr(rules, "own_rules", lambda: {"daily_bars": [right, close_within_limit]})
    check_rules({"daily_bars": PERIOD_BARS.names}, {"daily_bars": ["schema"]})
    assert right.name == "high_low_pair_values_a_to_be_greater_than_b"


def test_rules_come_from_settings_and_modules(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "own_rules_file.py").write_text(
        "from mg_assets.quality import expect\n\n"
        "positive = expect('daily_bars', 'expect_column_values_to_be_between', column='close', min_value=0)\n"
    )
    (tmp_path / "s.yaml").write_text(
        "extensions: [own_rules_file.py]\nrules:\n"
        "- {table: daily_bars, expectation: expect_column_values_to_be_between, column: volume, min_value: 0, "
        "blocking: false}\n"
    )
    config = load_settings(str(tmp_path / "s.yaml"))
    monkeypatch.setattr(rules, "settings", lambda: config)
    found = rules.own_rules()["daily_bars"]
    assert [(r.name, r.blocking, r.arguments["min_value"]) for r in found] == [
        ("close_values_to_be_between", True, 0), ("volume_values_to_be_between", False, 0),
    ]  # fmt: skip
    (tmp_path / "s.yaml").write_text("rules: [{expectation: expect_table_row_count_to_equal, value: 1}]\n")
    with pytest.raises(SettingsError, match=r"rules\[0\]\.table is needed"):
        load_settings(str(tmp_path / "s.yaml"))
    sys.modules.pop("own_rules_file", None)
