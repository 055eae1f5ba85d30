"""A portfolio beside its placebos: the lead over their mean, its interval and the rank."""

import numpy as np
import pytest

from mg_portfolio.evaluation.placebo_comparison import COLUMNS, compare_with_placebos


def paths(returns: np.ndarray) -> np.ndarray:
    return np.cumprod(np.hstack([np.ones((len(returns), 1)), 1.0 + returns]), axis=1)


def business_days(count: int, start: str) -> np.ndarray:
    return np.busday_offset(start, np.arange(count), roll="forward")


def test_a_constant_lead_is_found_with_an_interval_of_no_width():
    r = np.random.default_rng(0)
    days = business_days(61, "2023-01-06")  # a Friday: twelve whole weeks of returns follow
    common = 0.01 * r.standard_normal(60)
    own = 1.0001 * (1.0 + common) - 1.0
    nav = paths(np.vstack([own, common, common]))
    found = compare_with_placebos(days, nav[0], nav[1:])
    assert tuple(found.columns) == COLUMNS
    assert list(found.index) == ["whole", "2023"]
    whole = found.loc["whole"]
    assert whole["over_placebos"] == pytest.approx(1.0001**252 - 1)
    assert whole["low"] == pytest.approx(whole["over_placebos"])
    assert whole["high"] == pytest.approx(whole["over_placebos"])
    assert found.loc["2023", "over_placebos"] == pytest.approx(1.0001**60 - 1)
    assert found.loc["2023", "excess"] == pytest.approx(nav[0, -1] - 1)
    assert found.loc["2023", "placebo_mean"] == pytest.approx(nav[1, -1] - 1)
    assert list(whole[["rank", "placebos", "weeks"]]) == [1, 2, 12]


def test_the_rank_counts_the_placebos_that_earned_more():
    steps = np.array([2, 5, 1, 3, 0])[:, None] * 1e-4 * np.ones((5, 60))
    nav = paths(steps)
    found = compare_with_placebos(business_days(61, "2023-01-06"), nav[0], nav[1:]).loc["whole"]
    assert found["rank"] == 3
    assert found["placebo_std"] == pytest.approx(np.std(nav[1:, -1] ** (252 / 60), ddof=1))


def test_each_year_has_its_own_line_and_few_weeks_no_interval():
    r = np.random.default_rng(1)
    nav = paths(0.01 * r.standard_normal((4, 90)))
    days = business_days(91, "2022-11-28")
    found = compare_with_placebos(days, nav[0], nav[1:])
    assert list(found.index) == ["whole", "2022", "2023"]
    assert np.isnan(found.loc["2022", ["low", "high"]]).all()
    assert found.loc["2023", "low"] < found.loc["2023", "over_placebos"] < found.loc["2023", "high"]
    both = (1 + found.loc["2022", "over_placebos"]) * (1 + found.loc["2023", "over_placebos"])
    assert both ** (252 / 90) - 1 == pytest.approx(found.loc["whole", "over_placebos"])


def test_the_interval_covers_no_lead_as_often_as_it_says():
    r = np.random.default_rng(2)
    days, covered = business_days(301, "2022-01-07"), 0
    for _ in range(100):
        nav = paths(0.005 * r.standard_normal((6, 300)))
        whole = compare_with_placebos(days, nav[0], nav[1:]).loc["whole"]
        covered += whole["low"] <= 0.0 <= whole["high"]
    assert 85 <= covered <= 99
