"""Figures of a report's period: those of a fresh evaluation that starts with it, and the report's own track."""

import numpy as np
import pytest

from mg_portfolio.evaluation.evaluate import evaluate
from mg_portfolio.evaluation.report_period import period_figures, report_track

DAYS = np.busday_offset("2017-01-02", np.arange(120))


@pytest.fixture(scope="module")
def panels():
    """120 days of 80 stocks with gaps: signal and price."""
    rng = np.random.default_rng(4)
    price = 10 * np.exp(np.cumsum(rng.normal(0, 0.02, (120, 80)), axis=0))
    price[rng.random(price.shape) < 0.04] = np.nan
    return rng.normal(size=price.shape), price


def test_figures_are_those_of_an_evaluation_from_there(panels):
    signal, price = panels
    found = period_figures(evaluate(signal, price, days=DAYS), DAYS[33], DAYS[-1])
    fresh = evaluate(signal[33:], price[33:], days=DAYS[33:])
    assert (found.track, found.first, found.last) == (33 % 5, DAYS[33], DAYS[-1])
    assert found.one == pytest.approx(fresh.track_metrics[0], rel=1e-9, nan_ok=True)
    assert found.one["long_short_hedged_annual"] == (found.one["top_annual"] - found.one["bottom_annual"]) / 2
    assert found.mean == pytest.approx(fresh.summary, rel=1e-9, nan_ok=True)
    assert found.std["rank_ic_mean"] == pytest.approx(fresh.spread.loc["rank_ic_mean", "std"])


def test_the_last_decisions_count_with_what_follows(panels):
    signal, price = panels
    whole = evaluate(signal, price, days=DAYS)
    found = period_figures(whole, DAYS[0], DAYS[99])
    assert found.one["rebalances"] == 20  # 0, 5, .. 95
    assert found.one["rank_ic_mean"] == pytest.approx(np.nanmean(whole.rank_ic[:100:5]), rel=1e-12)
    cut = evaluate(signal[:100], price[:100], days=DAYS[:100])
    assert found.one["top_excess_annual"] == pytest.approx(cut.track_metrics[0]["top_excess_annual"], rel=1e-9)


def test_too_few_days_in_the_period_give_all(panels):
    signal, price = panels
    whole = evaluate(signal, price, days=DAYS)
    found = period_figures(whole, np.datetime64("2013-02-01"), DAYS[20], before=998)
    assert (found.first, found.last, found.track) == (DAYS[0], DAYS[-1], 2)
    assert found.mean == pytest.approx(whole.summary, nan_ok=True)
    assert period_figures(whole, np.datetime64("2030-01-01"), np.datetime64("2031-01-01")).one == {}


@pytest.mark.parametrize(
    ("start", "before", "track"),
    [(DAYS[0], 0, 0), (DAYS[7], 0, 2), ("2017-01-08", 0, 0), ("2016-12-30", 1, 4), ("2016-12-26", 5, 0)],
)
def test_a_track_goes_on_from_the_reports_first_day(start, before, track):
    assert report_track(DAYS, np.datetime64(start), 5, before) == track


def test_a_track_that_starts_after_the_days_is_none():
    assert report_track(DAYS, np.datetime64("2018-01-01"), 5) is None
