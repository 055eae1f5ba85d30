"""Splits on the exchange's own calendar."""

from contextlib import nullcontext

import exchange_calendars
import numpy as np
import pytest

from mg_models.catalog import SplitSpec
from mg_models.data.splits import label_end_days, period_end, period_start, short_history, split
from mg_models.errors import CatalogError, LeakageError, TrainingError
from mg_models.specs.data import ALL_HISTORY


@pytest.fixture(scope="module")
def days() -> np.ndarray:
    calendar = exchange_calendars.get_calendar("XSHG", start="2013-01-04", end="2023-12-29")
    return calendar.sessions.to_numpy("datetime64[D]")


def test_2017h1_is_as_the_worked_example_says(days):
    s = split(days, "2017H1", 10, SplitSpec(), label_end_days(days, 10))
    cut = np.searchsorted(days, np.datetime64("2017-01-01"))
    assert days[cut] == np.datetime64("2017-01-03")
    assert s.valid[-1] <= cut - 12  # the twelfth trading day before the cut at the latest
    assert s.valid[-1] + 5 > cut - 12  # and no sample that could be used is left out
    assert s.train[0] == 0
    assert set(np.diff(s.train)) == {5}
    assert set(np.diff(s.valid)) == {5}
    assert s.valid[0] - s.train[-1] > 11
    assert len(s.valid) / (len(s.train) + len(s.valid)) == pytest.approx(0.2, abs=0.01)
    assert (days[s.test[0]], days[s.test[-1]]) == (np.datetime64("2017-01-03"), np.datetime64("2017-06-30"))


@pytest.mark.parametrize("horizon", [5, 10, 20])
@pytest.mark.parametrize("retrain", ["2015H2", "2019H1", "2023H2"])
def test_no_label_is_available_too_late(days, retrain, horizon):
    known = label_end_days(days, horizon)
    s = split(days, retrain, horizon, SplitSpec(), known)
    assert (known[s.valid] < period_start(retrain)).all()
    assert (known[s.train] < days[s.valid[0]]).all()


def test_the_window_expands(days):
    early, late = (split(days, r, 10, SplitSpec()) for r in ("2018H1", "2018H2"))
    all_early = set(early.train) | set(early.valid)
    assert set(early.train) <= set(late.train)
    assert all_early - set(late.train) - set(late.valid) <= set(range(early.train[-1], late.valid[0]))
    assert len(late.train) > len(early.train)


def test_sampling_starts_at_the_first_usable_day(days):
    usable = np.arange(len(days)) >= 150
    assert split(days, "2017H1", 10, SplitSpec(), usable=usable).train[0] == 150


def test_no_day_before_since_is_sampled(days):
    assert days[split(days, "2017H1", 10, SplitSpec(since="2014-02-10")).train[0]] == np.datetime64("2014-02-10")
    found = split(days, "2017H1", 10, SplitSpec(since="2014-02-01"))
    assert days[found.train[0]] == np.datetime64("2014-02-07")  # the first session after the Spring Festival
    with pytest.raises(CatalogError, match="since must be a date as 2013-01-01, or nothing, was '2013'"):
        SplitSpec(since="2013")


def test_a_short_history_says_days_asked_and_had(days):
    """From 2013 to 2017H1 there are fewer than 1,200 + 120 days: the validation days are whole, the others short."""
    spec = SplitSpec(every=1, train_days=1200, valid_days=120)
    cut = int(np.searchsorted(days, np.datetime64("2017-01-01")))
    found = split(days, "2017H1", 5, spec).days
    assert found == {"train": {"asked": 1200, "had": cut - 120}, "valid": {"asked": 120, "had": 120}}
    assert short_history(found) == f"1,200 training days asked, {cut - 120} had"
    usable = np.arange(len(days)) >= cut - 130
    few = SplitSpec(every=1, train_days=1200, valid_days=120, min_train_days=1)
    assert split(days, "2017H1", 5, few, usable=usable).days["train"]["had"] == 10
    assert short_history(split(days, "2023H1", 5, spec).days) == ""
    assert split(days, "2017H1", 5, SplitSpec()).days == {}  # it expands: no number is asked
    whole = SplitSpec(train_days=ALL_HISTORY, valid_days=120)
    assert list(split(days, "2017H1", 5, whole).days) == ["valid"]


def test_labels_of_a_longer_horizon_are_refused(days):
    with pytest.raises(LeakageError, match="not before the cut of 2017H1"):
        split(days, "2017H1", 10, SplitSpec(), label_end_days(days, 20))


def test_a_history_shorter_than_the_horizon_has_no_label(days):
    assert np.isnat(label_end_days(days[:11], 10)).all()
    assert np.isnat(label_end_days(days[:5], 10)).all()
    assert label_end_days(days[:12], 10)[0] == days[11]


def test_labels_never_available_are_refused(days):
    never = np.full(len(days), np.datetime64("NaT"), "datetime64[D]")
    with pytest.raises(LeakageError):
        split(days, "2017H1", 10, SplitSpec(), never)


@pytest.mark.parametrize("part", ["train", "valid"])
def test_one_label_of_the_boundary_day_is_refused(days, part):
    """Known at the close of the first validation day or of the cut is a day too late, and never known is too."""
    found = split(days, "2017H1", 10, SplitSpec())
    before = {"train": days[found.valid[0]], "valid": period_start("2017H1")}[part]
    for at in (getattr(found, part)[i] for i in (0, -1)):
        for end, late in ((before - 1, False), (before, True), (np.datetime64("NaT"), True)):
            known = label_end_days(days, 10)
            known[at] = end
            with pytest.raises(LeakageError, match=rf"label of {days[at]} .*\({before}\)") if late else nullcontext():
                split(days, "2017H1", 10, SplitSpec(), known)
    known[getattr(found, part)[-2:]] = np.datetime64("NaT")
    with pytest.raises(LeakageError, match=f"label of {days[getattr(found, part)[-2]]} "):  # the first of them is named
        split(days, "2017H1", 10, SplitSpec(), known)


def test_a_session_on_the_first_calendar_day_is_tested(days):
    found = split(days, "2016H2", 10, SplitSpec())
    assert days[found.test[0]] == np.datetime64("2016-07-01")
    assert days[found.test[-1]] == np.datetime64("2016-12-30")
    assert days[split(days, "2016H1", 10, SplitSpec()).test[-1]] == np.datetime64("2016-06-30")


@pytest.mark.parametrize("every", [1, 5])
def test_no_day_that_may_be_used_is_left_out(days, every):
    """The embargo and the purge are horizon + 1 days, and the samples that they leave are all used."""
    cut = int(np.searchsorted(days, np.datetime64("2017-01-01")))
    spec = SplitSpec(every=every)
    found = split(days, "2017H1", 10, spec)
    samples = np.arange(0, cut - 11, every)
    valid = samples[len(samples) - round(len(samples) * spec.valid_share) :]
    np.testing.assert_array_equal(found.valid, valid)
    np.testing.assert_array_equal(found.train, samples[samples < valid[0] - 11])


@pytest.mark.parametrize("part", ["train", "valid"])
def test_exactly_the_smallest_number_of_days_is_enough(days, part):
    had = len(getattr(split(days, "2017H1", 10, SplitSpec()), part))
    split(days, "2017H1", 10, SplitSpec(**{f"min_{part}_days": had}))
    with pytest.raises(TrainingError, match=f"{had} {'training' if part == 'train' else 'validation'}"):
        split(days, "2017H1", 10, SplitSpec(**{f"min_{part}_days": had + 1}))


def test_too_short_a_history_says_how_many_days(days):
    with pytest.raises(TrainingError, match=r"retrain 2013H2: \d+ training and \d+ validation days .* needs 20 and 5"):
        split(days, "2013H2", 10, SplitSpec())
    with pytest.raises(TrainingError, match="from none"):
        split(days, "2017H1", 10, SplitSpec(), usable=np.zeros(len(days), bool))


def test_half_years():
    assert period_start("2017H2") == np.datetime64("2017-07-01")
    assert period_end("2017H2") == np.datetime64("2017-12-31")
    assert period_end("2017H1") == np.datetime64("2017-06-30")
    with pytest.raises(TrainingError, match="2017H3"):
        period_start("2017H3")


@pytest.mark.parametrize("horizon", [5, 20])
def test_fixed_lengths_roll(days, horizon):
    """Validation ends at the half-year, training where validation begins, each less horizon + 1 days."""
    spec = SplitSpec(every=1, train_days=600, valid_days=200)
    known = label_end_days(days, horizon)
    s = split(days, "2019H1", horizon, spec, known)
    cut, gap = int(np.searchsorted(days, np.datetime64("2019-01-01"))), horizon + 1
    np.testing.assert_array_equal(s.valid, np.arange(cut - 200, cut - gap))
    np.testing.assert_array_equal(s.train, np.arange(cut - 800, cut - 200 - gap))
    assert known[s.valid[-1]] == days[cut - 1]
    assert known[s.train[-1]] == days[s.valid[0] - 1]
    assert len(split(days, "2019H2", horizon, spec, known).train) == len(s.train)


def test_a_fixed_length_takes_what_a_short_history_has(days):
    spec = SplitSpec(every=1, train_days=1200, valid_days=120)
    usable = np.arange(len(days)) >= 400
    s = split(days, "2016H1", 10, spec, label_end_days(days, 10), usable)
    assert s.train[0] == 400
    assert len(s.valid) == 120 - 11
    with pytest.raises(TrainingError, match="retrain 2013H2: 0 training"):
        split(days, "2013H2", 10, spec)
