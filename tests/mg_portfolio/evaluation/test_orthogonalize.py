"""Orthogonalization against least squares with dummies."""

import numpy as np

from mg_portfolio.evaluation.evaluate import (
    orthogonalize,
)


def naive_residual(y, x, group):
    design = np.column_stack([group[:, None] == np.unique(group), x]).astype(float)
    return y - design @ np.linalg.lstsq(design, y, rcond=None)[0]


def test_residuals_equal_least_squares_with_dummies():
    rng = np.random.default_rng(10)
    days, stocks = 6, 90
    common = rng.standard_normal((days, stocks, 4)) * [1, 3, 1e-4, 20]
    common[..., 3] += 5 * common[..., 1]  # nearly collinear
    signal = rng.standard_normal((days, stocks)) + common[..., 0]
    signal[rng.random(signal.shape) < 0.1] = np.nan
    common[rng.random(signal.shape) < 0.05, 2] = np.nan
    inside = rng.random(signal.shape) < 0.9
    industry = rng.integers(-1, 6, (days, stocks))
    found = orthogonalize(signal, common, inside, industry)
    for d in range(days):
        at = inside[d] & np.isfinite(signal[d]) & np.isfinite(common[d]).all(axis=1)
        expected = naive_residual(signal[d, at], common[d, at], industry[d, at])
        np.testing.assert_allclose(found[d, at], expected, atol=1e-10)
        assert np.isnan(found[d, ~at]).all()
    doubled = np.concatenate([common, common[..., :1] * 2 + 1], axis=2)  # adds nothing
    np.testing.assert_allclose(orthogonalize(signal, doubled, inside, industry), found, atol=1e-9)
    order = rng.permutation(stocks)
    permuted = orthogonalize(signal[:, order], common[:, order], inside[:, order], industry[:, order])
    np.testing.assert_allclose(permuted, found[:, order], atol=1e-12)
    few = inside & (np.arange(stocks) < 8)
    assert np.isnan(orthogonalize(signal, common, few, industry)).all()
