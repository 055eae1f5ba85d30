"""What waits for a failed partition, and how it is listed; how failed checks and warnings read."""

import pytest

from mg_assets.cli.check_results import RunWarnings, failed_check_lines, text_table
from mg_assets.cli.failures import RunFailures
from mg_assets.lake.partition_keys import WHOLE
from mg_assets.market.calendar import trading_days
from mg_assets.quality.suite import CheckOutcome

DAYS = [str(d) for d in trading_days("2022-11-01", "2023-03-31")]
BAD = DAYS[30]
WEIGHTS = "weights_csi500_turnover30"
WEEKS = ["2022-12-05", "2022-12-12", "2022-12-19"]
STALE = {
    "factor_scores": DAYS,
    "features_day": DAYS,
    "minute_bars": DAYS,  # in the order of a step, not of the data
    "intraday_factors": DAYS,
    "factor_inputs": DAYS,
}


def failed(skip: bool = False) -> RunFailures:
    found = RunFailures(skip)
    found.add("minute_bars", BAD, "a cut-off file")
    return found


def test_what_reads_a_failed_day_waits_through_all_tables():
    found = failed()
    ready = found.ready(STALE, {})
    others = [d for d in DAYS if d != BAD]
    assert ready["minute_bars"] == ready["intraday_factors"] == ready["features_day"] == others
    assert ready["factor_scores"] == DAYS[:30] + DAYS[50:]  # a mean of 20 days
    assert found.waiting(STALE) == 1 + 1 + 1 + 20
    assert found.ready({"factor_evaluation": [WHOLE], "hf_gru_model": ["2022H1", "2023H1"]}, {}) == {
        "factor_evaluation": [],
        "hf_gru_model": ["2022H1"],
    }
    lines = found.lines()
    assert lines[0] == "1 partitions failed; what does not need them is built:"
    assert lines[1] == f"  minute_bars {BAD}: a cut-off file"
    assert lines[2] == (
        "     25 partitions wait for it: intraday_factors 1, features_day 1, factor_inputs 1, factor_scores 20, "
        "hf_gru_model 1 and 1 more tables"
    )


def test_skipping_lets_only_the_same_day_wait():
    found = failed(skip=True)
    ready = found.ready(STALE, {})
    assert ready["factor_scores"] == ready["intraday_factors"] == [d for d in DAYS if d != BAD]
    assert found.ready({"factor_evaluation": [WHOLE], "hf_gru_model": ["2023H1"]}, {}) == {
        "factor_evaluation": [WHOLE],
        "hf_gru_model": ["2023H1"],
    }
    assert found.blocked() == {t: [BAD] for t in STALE}
    assert found.lines()[0].startswith("1 partitions skipped; ")


@pytest.mark.parametrize("skip", [False, True])
def test_without_its_model_a_half_year_is_not_predicted(skip):
    found = RunFailures(skip)
    found.add("hf_gru_model", "2023H1", "no days")
    ready = found.ready({"hf_gru": DAYS}, {})
    assert ready["hf_gru"] == [d for d in DAYS if d < "2023"]


@pytest.mark.parametrize("skip", [False, True])
def test_later_weeks_wait_for_a_failed_week(skip):
    found = RunFailures(skip)
    found.add(WEIGHTS, WEEKS[1], "no score")
    assert found.ready({WEIGHTS: WEEKS}, {}) == {WEIGHTS: WEEKS[:1]}
    assert found.waiting([WEIGHTS]) == 1


def test_a_rejected_day_is_tried_before_what_reads_it():
    found = RunFailures(skip=True)
    ready = found.ready(STALE, {"minute_bars": [BAD]})
    assert BAD in ready["minute_bars"]
    assert ready["factor_scores"] == DAYS[:30] + DAYS[50:]
    found.ready(STALE, {})
    assert not found.waiting(STALE)


def test_many_failures_are_listed_in_part():
    found = RunFailures()
    for day in DAYS[:30]:
        found.add("trades", day, "no file")
        found.add("orders", day, "no file")
    lines = found.lines()
    assert lines[0].startswith("60 partitions failed")
    assert lines[1] == f"  trades, orders {DAYS[0]}: no file"
    assert f"  and 10 more, to {DAYS[29]}" in lines
    assert RunFailures().lines() == []


def outcome(blocking: bool, keys: list[str]) -> CheckOutcome:
    bad = [{"partition": k, "measure": "infinite", "observed": 2.0, "row": 4, "symbol": "600519.SH"} for k in keys]
    observed = {"partitions": 5, "bad_partitions": keys}
    return CheckOutcome("ranges", False, blocking, "No infinite return", bad, observed)


def test_a_failed_check_is_a_table_of_figures_and_limits():
    lines = failed_check_lines("labels", outcome(True, DAYS[:2]), DAYS[:1])
    assert lines == [
        f"check ranges of labels rejects 1 of 5 partitions, first {DAYS[0]}",
        "   No infinite return",
        "   partition   measure   observed  limit  row  symbol",
        f"   {DAYS[0]}  infinite  2         <= 0   4    600519.SH",
    ]


def test_warnings_of_a_run_are_one_line_a_check():
    found = RunWarnings()
    assert found.lines() == []
    found.add("labels", outcome(False, DAYS[3:5]), DAYS[3:5])
    found.add("labels", outcome(False, DAYS[1:2]), DAYS[1:2])
    assert found.lines() == [
        "1 checks warn:",
        f"  labels ranges: 3 partitions, first {DAYS[1]}: infinite = 2 (limit <= 0)",
    ]


def test_a_table_of_unlike_rows():
    assert text_table([{"a": 1.23456789, "b": None}, {"c": "x" * 60}]) == [
        "a        b  c",
        "1.23457",
        f"            {'x' * 37}...",
    ]
