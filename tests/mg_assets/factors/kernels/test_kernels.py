"""The pass's vectorised loops against plain Python: top bars, log returns of marked trades, masked moments."""

import math
from fractions import Fraction

import factors_twin as twin
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mg_assets.factors import order_factors
from mg_assets.factors.kernels.columns import codes_of, put_nan
from mg_assets.factors.kernels.minute import top_bars
from mg_assets.factors.kernels.moments import central_moments, corr, skew_kurt, sum_of_squares
from mg_assets.factors.kernels.trade import log_return


def ranked_first(cents, trades, traded):
    """The definition: bars ranked by exact amount per trade, the earlier bar first where equal."""
    bars = [m for m in range(240) if traded[m]]
    ranked = sorted(bars, key=lambda m: (-Fraction(int(cents[m]), int(trades[m])), m))
    return sorted(ranked[: (3 * len(bars) + 9) // 10])


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 2**31), kind=st.sampled_from(["any", "few", "equal", "close", "one", "negative"]))
def test_top_bars_are_those_of_an_exact_ranking(seed, kind):
    rng = np.random.default_rng(seed)
    trades = rng.integers(1, 1000, 240)
    cents = rng.integers(1, 10**9, 240)
    if kind == "few":
        cents, trades = rng.integers(1, 4, 240), rng.integers(1, 4, 240)
    elif kind == "equal":
        cents = 700 * trades
    elif kind == "close":  # quotients that are equal in float64
        trades = rng.integers(10**7, 10**7 + 50, 240)
        cents = 90_000 * trades + rng.integers(0, 3, 240)
    elif kind == "negative":
        cents -= 5 * 10**8
    traded = rng.random(240) < (0.004 if kind == "one" else 0.9)
    traded[7] = True
    amount, counts = np.where(traded, cents / 100, np.nan), np.where(traded, trades, 0).astype(float)
    top = np.empty(240, np.bool_)
    top_bars(amount, counts, traded, top)
    assert np.flatnonzero(top).tolist() == ranked_first(cents, trades, traded)


@pytest.mark.parametrize("span", [0.0, 0.01, 8.0, 60.0])
@pytest.mark.parametrize("n", [1, 2, 128, 129, 130, 3000])
def test_log_returns_of_marked_trades(span, n):
    rng = np.random.default_rng(n)
    price = np.exp(rng.uniform(-span, span, n))
    marks = rng.integers(0, 4, n).astype(np.int8)
    if span > 1:
        marks[np.diff(price, prepend=1.0) < 0] = 0  # upward only: the product of the ratios is beyond float64
    before = 2.0
    steps = np.diff(np.log(price), prepend=math.log(before))
    assert log_return(price, before, marks) == pytest.approx(steps[marks > 0].sum(), rel=1e-12, abs=1e-13)


@pytest.mark.parametrize("hole", [None, 17])
def test_sums_are_taken_in_order(hole):
    """A loop free to sum in another order had other last bits in the process that compiled it than in the next."""
    rng = np.random.default_rng(0)
    x, y = rng.lognormal(6, 2, 240), rng.normal(3, 1, 240)
    if hole is not None:
        x[hole] = np.nan
    known = np.isfinite(x)

    def total(values):
        return float(np.cumsum(values)[-1])  # one after the other; numpy's sum adds pairs

    def about_mean(values):
        return values - total(values) / len(values)

    a, b = about_mean(x[known]), about_mean(y[known])
    n, m2, m3, m4 = len(a), *(total(p) / len(a) for p in (a * a, a * a * a, a * a * (a * a)))
    assert corr(x, y, 10) == total(a * b) / (math.sqrt(total(a * a)) * math.sqrt(total(b * b)))
    assert central_moments(x) == (n, m2, m3, m4)
    assert skew_kurt(x) == (m3 / (m2 * math.sqrt(m2)), m4 / (m2 * m2) - 3.0)
    assert skew_kurt(x)[1] == pytest.approx(twin.kurt(x[known]), rel=1e-9)
    assert sum_of_squares(y) == total(y * y)


def test_no_correlation_of_a_line_is_above_one():
    rng = np.random.default_rng(0)
    for x in rng.normal(size=(200, 37)):
        for y in (3.0 * x + 1.0, 0.1 - 7.0 * x):
            for found in (corr(x, y, 10), twin.corr(x, y)):
                assert 1.0 - 1e-12 < abs(found) <= 1.0


@pytest.mark.parametrize("x", [[], [1.0, 2, 3, 4], [0.1] * 20])
def test_few_or_equal_values_have_no_moments(x):
    assert np.isnan(skew_kurt(np.array(x))).all()


def test_five_values_have_moments():
    x = np.array([1.0, 2.0, 4.0, 8.0, 16.0])
    assert skew_kurt(x) == pytest.approx((twin.skew(x), twin.kurt(x)))
    assert np.isfinite(twin.kurt(x))


@pytest.mark.parametrize("n", [0, 1, 7, 8, 9, 64, 1001])
def test_nulls_become_nan(n):
    known = np.random.default_rng(n).random(n) < 0.8
    values = np.ones(n)
    put_nan(values, np.append(np.packbits(known, bitorder="little"), np.uint8(0)))
    assert (np.isnan(values) == ~known).all()


@pytest.mark.parametrize("names", [1, 4, 8, 9, 40])
def test_codes_of_a_dictionary(names):
    rng = np.random.default_rng(names)
    known = rng.integers(-1, 4, names).astype(np.int8)
    indices = rng.integers(0, names, 1001).astype(np.int32)
    assert (codes_of(known, indices) == known[indices]).all()


def test_orders_whose_time_runs_back_count_the_same():
    rng = np.random.default_rng(3)
    n = 600
    time = pd.Timestamp("2023-02-01 09:10") + pd.to_timedelta(np.sort(rng.integers(0, 6 * 3600, n)), unit="s")
    orders = pd.DataFrame(
        {
            "symbol": "600000.SH",
            "time": pd.Series(time).astype("datetime64[ms]"),
            "seq": np.arange(n),
            "order_id": np.arange(1, n + 1),
            "side": rng.choice([-1, 1], n).astype(np.int8),
            "price": np.where(rng.random(n) < 0.1, np.nan, rng.uniform(9, 11, n).round(2)),
            "volume": 100 * rng.integers(0, 90, n),
            "kind": rng.choice(["limit", "market", "own_best", "cancel"], n, p=[0.7, 0.1, 0.05, 0.15]),
        }
    )
    expected = order_factors(orders)
    assert expected.notna().all(axis=None)
    pd.testing.assert_frame_equal(order_factors(orders.sample(frac=1.0, random_state=1)), expected, rtol=1e-12)
