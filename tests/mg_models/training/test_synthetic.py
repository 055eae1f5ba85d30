"""The panels on which learnability is measured: the stated formulas, and nothing of the future in the signal."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

from mg_models.data.day_statistics import daily_rank_ic, zscore_stocks
from mg_models.data.panel import Panel

PATH = Path(__file__).parents[3] / "benchmarks" / "synthetic.py"
SPEC = importlib.util.spec_from_file_location("synthetic_panels", PATH)
synthetic = importlib.util.module_from_spec(SPEC)
sys.modules[SPEC.name] = synthetic  # dataclasses look their module up
SPEC.loader.exec_module(synthetic)


def unit(values):
    return (values - values.mean()) / values.std()


def test_the_signal_of_factors_is_the_stated_one(monkeypatch):
    monkeypatch.setattr(synthetic, "MISSING", 0.0)
    made = synthetic.factors(40, 50, count=8)
    x = made.inputs["hf"].values
    terms = np.zeros((5, 40, 50))
    for t in range(40):
        for s in range(50):
            terms[0, t, s] = np.tanh(2 * x[t, s, 0])
            terms[1, t, s] = x[t, s, 1] * np.tanh(x[t, s, 2])
            terms[2, t, s] = np.tanh(2 * x[max(t - 3, 0), s, 3])
            terms[3, t, s] = np.mean([x[max(t - k, 0), s, 4] for k in range(10)])
            terms[4, t, s] = abs(x[t, s, 5])
    expected = sum(w * unit(term) for w, term in zip((0.5, 0.5, 0.5, 0.4, 0.3), terms, strict=True))
    np.testing.assert_allclose(made.signal, zscore_stocks(expected), atol=1e-5)


def test_returns_are_the_signal_and_the_shocks_of_their_own_days():
    made = synthetic.factors(30, 20, count=8)
    returns = made.returns((5, 10))
    for t in (0, 7, 18):
        for k, h in enumerate((5, 10)):
            noise = made.shocks[t + 2 : t + 2 + h].sum(0) / np.sqrt(h)
            expected = 0.03 * (0.125 * made.signal[t] + np.sqrt(1 - 0.125**2) * noise)
            np.testing.assert_allclose(returns[t, :, k], expected, atol=1e-12)
    assert np.isnan(returns[-6:, :, 0]).all()
    assert np.isfinite(returns[:-6, :, 0]).all()
    assert np.isnan(returns[-11:, :, 1]).all()
    assert np.isfinite(returns[:-11, :, 1]).all()


@pytest.mark.parametrize("maker", ["factors", "bars", "factors_and_bars", "granular"])
def test_a_known_signal_has_a_rank_ic_of_about_an_eighth(maker):
    made = getattr(synthetic, maker)(150, 300)
    label = made.returns((5,))[:-6, :, 0]
    assert np.mean(daily_rank_ic(made.signal[:-6], label)) == pytest.approx(0.12, abs=0.025)
    np.testing.assert_allclose(made.signal.std(1), 1, atol=1e-9)


def test_bars_move_by_the_shocks():
    """Of the days on which both closes are there, the return less the day's market is 2% of the shock."""
    made = synthetic.bars(60, 200)
    close = np.log(made.inputs["daily"].values[..., 3].astype(np.float64))
    own = np.diff(close, axis=0)
    own -= own.mean(1, keepdims=True)
    shocks = made.shocks[1:] - made.shocks[1:].mean(1, keepdims=True)
    np.testing.assert_allclose(own, 0.02 * shocks, atol=2e-6)


def test_coarser_features_are_means_of_finer_ones(monkeypatch):
    monkeypatch.setattr(synthetic, "MISSING", 0.0)
    inputs = synthetic.granular(20, 30).inputs
    half, hour, day = (inputs[f"features_{m}m"].values for m in (30, 60, 240))
    half = half.reshape(20, 30, 8, 14)
    np.testing.assert_allclose(
        _unit_features(half.reshape(20, 30, 4, 2, 14).mean(3)), hour.reshape(20, 30, 4, 14), atol=1e-4
    )
    np.testing.assert_allclose(_unit_features(half.mean(2, keepdims=True))[:, :, 0], day, atol=1e-4)


def _unit_features(values):
    return values / values.std((0, 1, 2))


def test_what_is_missing_is_missing_in_the_input_alone():
    made = synthetic.daily(40, 100, lagged=True)
    panel = made.inputs["daily_factors"]
    assert isinstance(panel, Panel)
    gone = np.isnan(panel.values).all(2)
    assert 0.01 < gone.mean() < 0.03
    assert np.isfinite(made.signal).all()
