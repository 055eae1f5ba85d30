"""Forward returns and entry eligibility."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mg_assets.errors import DataError
from mg_assets.factors import eligible_entry, labels, tradable_next

HORIZONS = (1, 5, 10)


def market(seed, days=40, stocks=6):
    rng = np.random.default_rng(seed)
    price = 10 * np.exp(np.cumsum(rng.normal(0, 0.02, (days, stocks)), axis=0))
    price[rng.random(price.shape) < 0.05] = np.nan
    price[rng.random(price.shape) < 0.01] = 0.0
    return price, rng.random(price.shape) < 0.9


def plain(price, eligible, horizons):
    days, stocks = price.shape
    out = np.full((days, stocks, len(horizons)), np.nan)
    for t in range(days):
        for s in range(stocks):
            for k, h in enumerate(horizons):
                if t + 1 + h < days and eligible[t + 1, s] and price[t + 1, s] > 0 and price[t + 1 + h, s] > 0:
                    out[t, s, k] = price[t + 1 + h, s] / price[t + 1, s] - 1
    return out


@pytest.mark.parametrize("seed", range(5))
def test_labels_agree_with_a_plain_loop(seed):
    price, eligible = market(seed)
    np.testing.assert_array_equal(labels(price, eligible, HORIZONS), plain(price, eligible, HORIZONS))
    np.testing.assert_array_equal(labels(price, eligible), plain(price, eligible, (5, 10, 20)))


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), day=st.integers(0, 39))
def test_a_label_depends_on_its_two_days_only(seed, day):
    price, eligible = market(seed)
    before = labels(price, eligible, HORIZONS)
    price[day] = np.nan
    after = labels(price, eligible, HORIZONS)
    for k, h in enumerate(HORIZONS):
        rows = np.setdiff1d(np.arange(len(price)), [day - 1, day - 1 - h])
        np.testing.assert_array_equal(after[rows, :, k], before[rows, :, k])
        assert np.isnan(after[[r for r in (day - 1, day - 1 - h) if r >= 0], :, k]).all()


def test_stocks_in_any_order_and_short_histories_have_no_label():
    price, eligible = market(0)
    at = np.random.default_rng(1).permutation(price.shape[1])
    np.testing.assert_array_equal(labels(price[:, at], eligible[:, at]), labels(price, eligible)[:, at])
    assert np.isnan(labels(price[:6], eligible[:6])).all()
    assert np.isnan(labels(price, eligible)[-6:]).all()
    assert labels(price[:0], eligible[:0]).shape == (0, 6, 3)


def test_eligible_entry():
    #          plain  susp   st    up-locked  down-locked  opened-at-limit  one price off limit  no price  no limits
    close = [10.0, 10.0, 10.0, 11.0, 9.0, 11.0, 10.5, np.nan, 11.0]
    high = [10.2, 10.0, 10.2, 11.0, 9.0, 11.0, 10.5, np.nan, 11.0]
    low = [9.9, 10.0, 9.9, 11.0, 9.0, 10.4, 10.5, np.nan, 11.0]
    open_ = [10.0, 10.0, 10.0, 11.0, 9.0, 11.0, 10.5, np.nan, 11.0]
    up, down = [11.0] * 8 + [np.nan], [9.0] * 8 + [np.nan]
    suspended = [False, True, *[False] * 7]
    st = [False, False, True, *[False] * 6]
    day = [np.array([x]) for x in (suspended, st, open_, high, low, close, up, down)]
    expected = [True, False, False, False, False, True, True, False, True]
    assert eligible_entry(*day).tolist() == [expected]
    day[6] = day[6] * (1 + 1e-12)
    assert eligible_entry(*day).tolist() == [expected]


@pytest.mark.parametrize(("price", "eligible"), [(11.0, False), (10.99, True), (9.0, False), (9.01, True)])
def test_a_tick_away_from_the_limit_is_not_locked(price, eligible):
    one = np.array([[price]])
    no, limits = np.array([[False]]), (np.array([[11.0]]), np.array([[9.0]]))
    assert eligible_entry(no, no, one, one, one, one, *limits).tolist() == [[eligible]]
    moved = eligible_entry(no, no, one, one + 0.01, one, one, np.array([[price]]), np.array([[1.0]]))
    assert moved.tolist() == [[True]]  # it traded at two prices


def test_tradable_next_is_tomorrows_row():
    eligible = np.array([[True, False], [False, True]])
    assert tradable_next(eligible).tolist() == [[False, True], [False, False]]


def test_errors():
    price, eligible = market(0)
    with pytest.raises(DataError, match=r"eligible \(39, 6\)"):
        labels(price, eligible[1:])
    with pytest.raises(DataError, match="at least 1 trading day"):
        labels(price, eligible, (0, 5))
