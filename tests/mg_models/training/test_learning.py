"""The trainer finds planted signals: a loss, gather or label that is off by a day fails here."""

import numpy as np
import pytest

from mg_models.catalog import CATALOG, override
from mg_models.data.day_statistics import daily_rank_ic, zscore_stocks
from mg_models.data.panel import Panel
from mg_models.inference import predict
from mg_models.training.retrain import train


def lagged(values: np.ndarray, days: int) -> np.ndarray:
    out = np.zeros_like(values)
    out[days:] = values[:-days]
    return out


def planted_in_factors(values: np.ndarray) -> np.ndarray:
    """A nonlinear function of factors of the day, of three and of eight days before, (D, S)."""
    x = values.astype(np.float64)
    now = np.tanh(2 * x[..., 0]) + 0.8 * x[..., 1] * np.tanh(x[..., 2])
    return zscore_stocks(now + 0.7 * lagged(np.tanh(x[..., 3]), 3) + 0.5 * lagged(x[..., 4], 8))


def planted_in_bars(daily: np.ndarray) -> np.ndarray:
    """Five-day reversal, stronger where volume has risen, and a low price against two months ago, (D, S)."""
    close, volume = np.log(daily[..., 3]), np.log(np.where(daily[..., 5] > 0, daily[..., 5], np.nan))
    reversal = np.zeros_like(close)
    reversal[5:] = close[:-5] - close[5:]
    long = np.zeros_like(close)
    long[45:] = close[:-45] - close[45:]
    risen = np.zeros_like(close)
    risen[10:] = volume[10:] - volume[:-10]
    return zscore_stocks(zscore_stocks(reversal) * (1 + np.tanh(np.nan_to_num(risen))) + zscore_stocks(long))


def labels_of(signal: np.ndarray, correlation: float, seed: int = 9) -> np.ndarray:
    """Returns whose daily correlation with the signal is about ``correlation``."""
    noise = np.random.default_rng(seed).standard_normal(signal.shape)
    return 0.05 * (correlation * signal + np.sqrt(1 - correlation**2) * noise)


def found(spec, inputs, signal, labels, retrain, days, workers=1):
    """Test days' mean RankIC of the prediction with the planted signal, and of the signal with the label."""
    models = train(spec, inputs, labels, None, retrain, workers=workers)
    start = np.searchsorted(days, np.datetime64(models[0].card["predicts_from"]))
    scores = predict(models, inputs, days[start:])
    oracle = np.nanmean(daily_rank_ic(signal[start:], labels[start:] if labels.ndim == 2 else labels[start:, :, 0]))
    return np.nanmean(daily_rank_ic(scores, signal[start:])), oracle


def test_hf_gru_finds_a_strong_signal(make):
    panel = make.factor_panel(300, 120, 8, missing=0.02)
    signal = planted_in_factors(np.nan_to_num(panel.values))
    spec = override(CATALOG["hf_gru"], steps=10, seeds=[0], hidden=12, every=3, batch_rows=1200, max_epochs=12)
    got, oracle = found(spec, {"hf": panel}, signal, labels_of(signal, 0.6), "2014H1", panel.days)
    assert 0.5 < oracle < 0.65
    assert got > 0.6


def test_lf_multitask_finds_a_strong_signal(make):
    days, daily = make.weekdays(400), make.daily_bars(400, 120)
    signal = planted_in_bars(daily)
    steps = {"daily": 12, "weekly": 10, "monthly": 4}
    spec = override(CATALOG["lf_multitask"], steps=steps, seeds=[0], every=3, batch_rows=1200, max_epochs=12)
    got, oracle = found(spec, make.bars_of(days, daily), signal, labels_of(signal, 0.6), "2014H1", days)
    assert 0.5 < oracle < 0.65
    assert got > 0.5


@pytest.mark.slow
def test_hf_gru_finds_a_realistic_signal(make):
    panel = make.factor_panel(400, 300, 27, missing=0.02)
    signal = planted_in_factors(np.nan_to_num(panel.values))
    spec = override(CATALOG["hf_gru"], every=2)
    got, oracle = found(spec, {"hf": panel}, signal, labels_of(signal, 0.17), "2014H2", panel.days)
    assert 0.12 < oracle < 0.2
    assert got > 0.4


@pytest.mark.slow
def test_lf_multitask_finds_a_realistic_signal(make):
    days, daily = make.weekdays(700), make.daily_bars(700, 300)
    signal = planted_in_bars(daily)
    spec = override(CATALOG["lf_multitask"], every=4, seeds=[0], patience=5)
    got, oracle = found(spec, make.bars_of(days, daily), signal, labels_of(signal, 0.17), "2015H1", days)
    assert 0.12 < oracle < 0.2
    assert got > 0.4


@pytest.mark.parametrize(
    ("name", "least"),
    [
        ("daily_biagru_5d", 0.75),
        pytest.param("residual_attention_lstm_48_2_nn10", 0.75, marks=pytest.mark.slow),
        ("mtl_mlp", 0.75),
        pytest.param("mtl_task_attention", 0.75, marks=pytest.mark.slow),
        pytest.param("mtl_stock_attention", 0.75, marks=pytest.mark.slow),
        ("alstm", 0.75),
        pytest.param("temporal_transformer", 0.75, marks=pytest.mark.slow),
    ],
)
def test_other_networks_find_a_strong_signal(make, name, least):
    """Three factors of the day, one of three days before where the model has a window; quick settings."""
    panel = make.factor_panel(220, 100, 4, missing=0.02)
    spec, x = CATALOG[name], np.nan_to_num(panel.values).astype(np.float64)
    steps = 1 if spec.inputs[0].steps == 1 else 6
    signal = np.tanh(2 * x[..., 0]) + 0.8 * x[..., 1] * np.tanh(x[..., 2])
    signal = zscore_stocks(signal + (0.7 * lagged(x[..., 3], 3) if steps > 1 else 0))
    wide = {"hidden": 64} if spec.network.kind == "task_mlp" else {"hidden": 12}
    quick = {"learning_rate": 0.005, "max_epochs": 10, "patience": 5, "train_days": 110, "valid_days": 35, "seeds": [0]}
    quick |= wide if hasattr(spec.network, "hidden") else {}
    quick |= {"batch_days": 3} if spec.batch_days > 1 else {"batch_rows": 300}
    if spec.inputs[0].per_day > 1:  # the day's factors in its last half-hour, its others say nothing
        noise = np.random.default_rng(1).standard_normal((220, 100, 7, 4)).astype(np.float32)
        values = np.concatenate([0.1 * noise, panel.values[:, :, None]], axis=2).reshape(220, 100, -1)
        panel = Panel(panel.days, panel.symbols, values, tuple(f"f{i}" for i in range(32)))
        steps *= 8
    everyone = Panel(panel.days, panel.symbols, np.ones((220, 100, 1)), ("member",))
    labels = np.stack([labels_of(signal, 0.7)] * len(spec.label.horizons), axis=-1)
    inputs = {spec.inputs[0].panel: panel, "liquid": everyone}
    got, oracle = found(override(spec, steps=steps, **quick), inputs, signal, labels, "2013H2", panel.days)
    assert 0.6 < oracle < 0.75
    assert got > least
