"""Statistics of one day's cross-section against scipy."""

import numpy as np
import pytest
from scipy.stats import rankdata, spearmanr

from mg_models.data.day_statistics import daily_rank_ic, rank_ic, ranks, zscore_stocks


@pytest.mark.parametrize("seed", range(4))
def test_rank_ic_is_spearmans_correlation_of_common_stocks(seed):
    r = np.random.default_rng(seed)
    a = np.round(r.standard_normal(60), 1) + 5.0  # ties
    b = 0.4 * a + r.standard_normal(60)
    a[r.random(60) < 0.1], b[r.random(60) < 0.1] = np.nan, np.nan
    both = np.isfinite(a) & np.isfinite(b)
    assert rank_ic(a, b) == pytest.approx(spearmanr(a[both], b[both]).statistic, abs=1e-12)
    assert ranks(a[both]) == pytest.approx(rankdata(a[both]))
    np.testing.assert_array_equal(daily_rank_ic(np.stack([a, b]), np.stack([b, b])), [rank_ic(a, b), 1.0])


def test_two_stocks_have_no_rank_ic_and_equal_values_zero():
    x = np.array([1.0, 3.0, 2.0])
    assert rank_ic(x, x) == pytest.approx(1.0)
    assert np.isnan(rank_ic(x, np.array([1.0, np.nan, 2.0])))
    assert rank_ic(x, np.ones(3)) == rank_ic(np.ones(3), x) == 0.0


def test_zscores_of_a_day():
    x = np.array([[1.0, 2.0, np.nan, 6.0], [7.0, 7.0, 7.0, np.nan], [np.nan] * 4])
    z = zscore_stocks(x)
    np.testing.assert_allclose(z[0], (x[0] - 3.0) / np.sqrt(14 / 3), atol=1e-15)
    np.testing.assert_array_equal(z[1:], [[0.0, 0.0, 0.0, np.nan], [np.nan] * 4])
    nearly = 1e6 * (1.0 + np.array([0.0, 1e-13, 2e-13]))  # rounding of a mean is no variance
    assert (zscore_stocks(nearly) == 0.0).all()
    for size, z in ((0.9e-12, 0.0), (1.1e-12, 1.0)):
        assert zscore_stocks(np.array([size, -size])) == pytest.approx([z, -z])
