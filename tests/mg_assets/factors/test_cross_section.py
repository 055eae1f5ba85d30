"""Cross-sectional preprocessing against least squares, and the trailing mean against pandas."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mg_assets.errors import DataError
from mg_assets.factors import mad_winsorise, preprocess, trailing_mean, zscore
from mg_assets.factors.cross_section import FIVE_MAD, _median


def day(seed, stocks=80, factors=4):
    rng = np.random.default_rng(seed)
    values = rng.standard_t(2, (stocks, factors)) * 10.0 ** rng.integers(-4, 7, factors)
    values[rng.random(values.shape) < 0.1] = np.nan
    values[rng.random(values.shape) < 0.01] = np.inf
    industry = rng.choice([0, 4, 7, 30], stocks, p=[0.5, 0.3, 0.19, 0.01])
    industry[rng.random(stocks) < 0.05] = -1
    size = rng.normal(23, 1, stocks)
    size[rng.random(stocks) < 0.05] = np.nan
    return values, industry, size, rng.random(stocks) < 0.9


def plain(values, industry, size, universe, mads=5 * 1.4826):
    """Steps 1 to 4 with numpy's least squares."""
    out = np.full(values.shape, np.nan)
    out[universe] = 0.0
    for f in range(values.shape[1]):
        rows = np.flatnonzero(universe & np.isfinite(values[:, f]))
        if not len(rows):
            continue
        x = values[rows, f]
        middle = np.median(x)
        width = mads * np.median(np.abs(x - middle))
        x = np.clip(x, middle - width, middle + width)
        scale = np.abs(x).max()
        if industry is not None or size is not None:
            keep = np.ones(len(rows), bool)
            if industry is not None:
                keep &= industry[rows] >= 0
            if size is not None:
                keep &= np.isfinite(size[rows])
            rows, x = rows[keep], x[keep]
            if not len(rows):
                continue
            scale = np.abs(x).max()
            groups = np.zeros(len(rows)) if industry is None else industry[rows]
            design = [(groups == g).astype(float) for g in np.unique(groups)]
            if size is not None:
                design.append(size[rows] - size[rows].mean())
            design = np.stack(design, axis=1)
            x = x - design @ np.linalg.lstsq(design, x, rcond=None)[0]
        x = x - x.mean()
        std = x.std()
        out[rows, f] = 0.0 if std <= 1e-12 * scale else x / std
    return out


@pytest.mark.parametrize("industry", [True, False])
@pytest.mark.parametrize("size", [True, False])
@pytest.mark.parametrize("seed", range(4))
def test_preprocess_agrees_with_least_squares(seed, industry, size):
    values, codes, sizes, universe = day(seed)
    given_axes = (codes if industry else None, sizes if size else None, universe)
    found = preprocess(values, *given_axes)
    np.testing.assert_allclose(found, plain(values, *given_axes), rtol=1e-9, atol=1e-9)
    assert (np.isnan(found) == ~universe[:, None]).all()
    np.testing.assert_allclose(found[universe].mean(axis=0), 0, atol=1e-12)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), stocks=st.integers(0, 30))
def test_any_small_day(seed, stocks):
    values, codes, sizes, universe = day(seed, stocks)
    found = preprocess(values, codes, sizes, universe)
    np.testing.assert_allclose(found, plain(values, codes, sizes, universe), rtol=1e-7, atol=1e-7)
    at = np.random.default_rng(seed).permutation(stocks)
    np.testing.assert_allclose(
        preprocess(values[at], codes[at], sizes[at], universe[at]), found[at], rtol=1e-9, atol=1e-9
    )


@pytest.mark.parametrize("threads", [2, 3])
def test_threads_and_memory_order_change_no_bit(threads):
    values, codes, sizes, universe = day(9, stocks=300, factors=11)
    expected = preprocess(values, codes, sizes, universe)
    np.testing.assert_array_equal(preprocess(values, codes, sizes, universe, threads=threads), expected)
    np.testing.assert_array_equal(preprocess(np.asfortranarray(values), codes, sizes, universe), expected)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(-3, 3) | st.floats(-1e9, 1e9), min_size=1, max_size=60))
def test_median_is_numpys_with_ties_and_patterns(values):
    for x in (values, sorted(values), sorted(values, reverse=True)):
        assert _median(np.array(x, float)) == np.median(np.array(x, float))


def test_values_and_sizes_far_from_zero_lose_no_digits():
    values, codes, sizes, universe = day(10, stocks=400, factors=3)
    rng = np.random.default_rng(0)
    values = np.round(rng.normal(size=values.shape) * 2**20) / 2**20  # so that the shift is exact
    sizes = np.round(sizes * 2**20) / 2**20
    far = preprocess(values + 2**22, codes, sizes + 2**22, universe)
    np.testing.assert_allclose(far, preprocess(values, codes, sizes, universe), rtol=1e-9, atol=1e-12)


def test_stocks_outside_the_universe_change_nothing():
    values, codes, sizes, universe = day(5)
    expected = preprocess(values, codes, sizes, universe)
    values[~universe], sizes[~universe], codes[~universe] = 1e12, 99.0, 1
    np.testing.assert_array_equal(preprocess(values, codes, sizes, universe), expected)


def test_the_residual_is_free_of_industry_and_size():
    values, codes, sizes, _ = day(6, stocks=400, factors=1)
    codes, sizes = np.abs(codes), np.nan_to_num(sizes, nan=23.0)
    values = np.where(np.isfinite(values), values, 0.0)
    x = preprocess(values, codes, sizes, np.ones(400, bool))[:, 0]
    assert abs(np.corrcoef(x, sizes)[0, 1]) < 1e-10
    for code in np.unique(codes):
        assert abs(x[codes == code].mean()) < 1e-10


def test_an_industry_with_one_stock_has_residual_zero():
    values, codes, sizes, _ = day(7, factors=1)
    values, sizes = np.where(np.isfinite(values), values, 0.0), np.nan_to_num(sizes, nan=23.0)
    codes = np.where(np.arange(80) == 11, 99, 1)
    # The mean of all residuals is 0, so the z-score leaves a residual of 0 where it is.
    assert abs(preprocess(values, codes, sizes, np.ones(80, bool))[11, 0]) < 1e-12


def test_constant_explained_and_missing_cross_sections_are_zero():
    sizes = np.linspace(20, 25, 50)
    codes = np.arange(50) % 4
    values = np.stack([np.full(50, 0.1), 3 * sizes + 1e6 * codes, np.full(50, np.nan)], axis=1)
    assert (preprocess(values, codes, sizes, np.ones(50, bool)) == 0).all()
    half_equal = np.r_[np.zeros(40), np.arange(10.0)]  # MAD 0: all are clipped to the median
    assert (preprocess(half_equal[:, None], None, None, np.ones(50, bool)) == 0).all()


@pytest.mark.parametrize("mads", [5 * 1.4826, FIVE_MAD])
def test_winsorising_clips_at_so_many_mads(mads):
    x = np.r_[np.arange(-5.0, 6.0), 1000.0, np.nan, np.inf]
    found = mad_winsorise(x) if mads != FIVE_MAD else mad_winsorise(x, mads=mads)
    middle = 0.5
    assert found[11] == pytest.approx(middle + mads * 3.0)
    np.testing.assert_array_equal(found[:11], x[:11])
    assert np.isnan(found[12:]).all()


def test_stocks_outside_the_pool_are_put_on_its_scale():
    """Clipped and scaled by the pool's median, MAD, mean and std; the pool's own values are those without them."""
    values, _, _, pool = day(11, stocks=200, factors=3)
    values[:, 2] = np.where(pool, np.nan, values[:, 2])  # no stock of the pool has it
    tradable = np.arange(200) % 7 > 0
    pool &= tradable & (np.arange(200) % 3 > 0)
    found = preprocess(values, None, None, pool, mads=FIVE_MAD, scaled=tradable)
    np.testing.assert_array_equal(found[pool], preprocess(values, None, None, pool, mads=FIVE_MAD)[pool])
    np.testing.assert_allclose(found[pool], plain(values, None, None, pool, FIVE_MAD)[pool], rtol=1e-9, atol=1e-9)
    for f in range(2):
        x = values[pool & np.isfinite(values[:, f]), f]
        bound = FIVE_MAD * np.median(np.abs(x - np.median(x)))
        low, high = np.median(x) - bound, np.median(x) + bound
        x = np.clip(x, low, high)
        expected = np.where(np.isfinite(values[:, f]), (np.clip(values[:, f], low, high) - x.mean()) / x.std(), 0.0)
        others = tradable & ~pool
        np.testing.assert_allclose(found[others, f], expected[others], rtol=1e-9, atol=1e-9)
    assert (found[tradable, 2] == 0).all()
    assert np.isnan(found[~tradable]).all()
    empty = preprocess(values, None, None, np.zeros(200, bool), scaled=tradable)
    assert np.isnan(empty).all()
    with pytest.raises(DataError, match="scaled stocks have no residual"):
        preprocess(values, np.zeros(200, int), None, pool, scaled=tradable)


def test_zscore_by_column():
    values, _, _, universe = day(8)
    found = zscore(values, universe)
    kept = np.where(universe[:, None] & np.isfinite(values), values, np.nan)
    np.testing.assert_allclose(found, (kept - np.nanmean(kept, 0)) / np.nanstd(kept, 0), rtol=1e-9)
    np.testing.assert_array_equal(zscore(values[:, 0], universe), found[:, 0])
    assert (zscore(np.full(9, 0.1)) == 0).all()


@pytest.mark.parametrize(("window", "least"), [(20, 10), (1, 1), (5, 1), (100, 60)])
def test_trailing_mean_agrees_with_pandas(window, least):
    values = np.random.default_rng(0).normal(size=(70, 6, 3))
    values[np.random.default_rng(1).random(values.shape) < 0.4] = np.nan
    frame = pd.DataFrame(values.reshape(70, -1))
    expected = frame.rolling(window, min_periods=min(least, window)).mean().to_numpy().reshape(values.shape)
    np.testing.assert_allclose(trailing_mean(values, window, least), expected, rtol=1e-9, atol=1e-12)


def test_trailing_mean_has_the_same_bits_from_any_start():
    values = np.random.default_rng(2).lognormal(sigma=9, size=(60, 5))
    whole = trailing_mean(values)
    np.testing.assert_array_equal(trailing_mean(values[13:])[19:], whole[32:])
    np.testing.assert_array_equal(trailing_mean(values[:40]), whole[:40])
    at = np.random.default_rng(0).permutation(5)
    np.testing.assert_array_equal(trailing_mean(values[:, at]), whole[:, at])
    values[values > np.median(values)] = np.inf
    assert np.isfinite(trailing_mean(values)[30:]).any()


def test_errors():
    values, codes, sizes, universe = day(0)
    with pytest.raises(DataError, match=r"industry was \(79,\)"):
        preprocess(values, codes[1:], sizes, universe)
    with pytest.raises(DataError, match=r"expected \(stocks, factors\)"):
        preprocess(values[:, 0], codes, sizes, universe)
    with pytest.raises(DataError, match="window was 0"):
        trailing_mean(values, window=0)


def test_what_is_0_but_for_rounding_is_0():
    """A stock alone in its industry ranks beside those without a value, whatever the last bits of the others are."""
    values, _, size, _ = day(5, 60)
    values = np.where(np.isfinite(values), values, 1.0)
    values[0] = np.nan
    industry = np.repeat([0, 1, 2], 20)
    industry[[3, 4]] = 7, 8
    inside, size = np.ones(60, bool), np.where(np.isfinite(size), size, 23.0)
    for scaled in (values, values * (1 + 1e-15)):
        assert (preprocess(scaled, industry, size, inside)[[0, 3, 4]] == 0.0).all()
