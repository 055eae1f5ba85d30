"""Panels and windows against their naive twins."""

import numpy as np
import pytest
import torch

from mg_models.catalog import CATALOG
from mg_models.data.dataset import Dataset
from mg_models.data.panel import Panel, PeriodPanel, common_axes
from mg_models.data.panel_windows import Windows, WindowView, as_tensor, zscore_steps
from mg_models.errors import InputError
from mg_models.specs.data import InputSpec


def naive_bar_window(series: np.ndarray, rows: np.ndarray, clip: float | None = None) -> np.ndarray:
    """series (steps, S, F) -> (steps, rows, F), one scalar statistic at a time."""
    out = np.zeros((len(series), len(rows), series.shape[-1]))
    for t in range(len(series)):
        for f in range(series.shape[-1]):
            ratio = series[t, rows, f].astype(np.float64) / series[-1, rows, f]
            finite = np.isfinite(ratio)
            if finite.any() and ratio[finite].std() > 1e-6:
                out[t, finite, f] = (ratio[finite] - ratio[finite].mean()) / ratio[finite].std()
    return out if clip is None else np.clip(out, -clip, clip)


def padded(values: np.ndarray, end: int, steps: int) -> np.ndarray:
    """The ``steps`` rows before ``end``, NaN before the beginning."""
    out = np.full((steps, *values.shape[1:]), np.nan)
    part = values[max(end - steps, 0) : end]
    out[steps - len(part) :] = part
    return out


@pytest.mark.parametrize("day", [0, 7, 30, 59])
def test_factor_windows_equal_slices(make, day):
    panel = make.factor_panel(60, 12, 4, missing=0.1)
    rows = np.array([1, 5, 11])
    got = Windows(panel, InputSpec("hf", 20)).gather(day, torch.from_numpy(rows)).numpy()
    assert got.shape == (20, 3, 4)
    assert got.flags.c_contiguous
    np.testing.assert_array_equal(got, np.nan_to_num(padded(panel.values, day + 1, 20)[:, rows]))


@pytest.mark.parametrize("clip", [None, 1.5])
@pytest.mark.parametrize("day", [3, 45, 119])
@pytest.mark.parametrize("name", ["daily", "weekly", "monthly"])
def test_bar_windows_equal_the_naive_ones(make, name, day, clip):
    days = make.weekdays(120)
    panel = make.bars_of(days, make.daily_bars(120, 15))[name]
    steps = {"daily": 40, "weekly": 20, "monthly": 12}[name]
    rows = np.flatnonzero(panel.valid(bars=True)[day])
    got = Windows(panel, InputSpec(name, steps, "last_value", clip)).gather(day, torch.from_numpy(rows)).numpy()
    if name == "daily":
        series = padded(panel.values, day + 1, steps)
    else:
        past = padded(panel.completed, int(panel.period_of_day[day]), steps - 1)
        series = np.concatenate([past, panel.to_date[day : day + 1]])
    np.testing.assert_allclose(got, naive_bar_window(series, rows, clip), atol=2e-4)
    assert np.all(got[-1] == 0)  # every series ends at its own last value


def test_infinite_ratios_are_left_out():
    values = torch.tensor([[[1.0], [3.0], [torch.inf], [torch.nan]]])
    np.testing.assert_allclose(zscore_steps(values).numpy().ravel(), [-1, 1, 0, 0])


def test_eligible_counts_present_steps():
    values = np.ones((10, 3, 2), np.float32)
    values[:7, 1] = np.nan  # listed on day 7: 3 of 5 steps on day 9
    values[9, 2, 0] = np.nan  # no bar on day 9
    panel = Panel(np.arange(10).astype("datetime64[D]"), np.array(list("abc"), object), values, ("x", "y"))
    assert panel.eligible(5, 0.6, bars=True)[9].tolist() == [True, True, False]
    assert panel.eligible(5, 0.6, bars=False)[9].tolist() == [True, True, True]  # one factor is enough
    assert panel.eligible(5, 0.6, bars=True)[8].tolist() == [True, False, True]
    assert not panel.eligible(5, 0.6, bars=True)[1].any()  # 2 of 5 steps


def test_a_day_without_volume_is_no_bar(make):
    days = make.weekdays(60)
    daily = make.daily_bars(60, 4, suspended=0.0)
    daily[59, 2, 5] = 0.0
    panel = make.bars_of(days, daily)["daily"]
    assert panel.eligible(40, 0.6, bars=True)[59].tolist() == [True, True, False, True]


def test_period_eligible_counts_the_bar_to_date():
    completed = np.ones((4, 1, 1), np.float32)
    completed[0] = np.nan
    panel = PeriodPanel(
        np.arange(3).astype("datetime64[D]"), ["a"], completed, np.ones((3, 1, 1)), np.array([1, 3, 4]), ("close",)
    )
    assert panel.eligible(5, 0.6, bars=True)[:, 0].tolist() == [False, True, True]


def test_axes_are_checked(make):
    panel = make.factor_panel(5, 3, 2)
    with pytest.raises(InputError, match="values must be"):
        Panel(panel.days, panel.symbols, panel.values[:, :2], panel.features)
    with pytest.raises(InputError, match="days must ascend"):
        Panel(panel.days[::-1], panel.symbols, panel.values, panel.features)
    with pytest.raises(InputError, match="different days"):
        common_axes({"a": panel, "b": make.factor_panel(6, 3, 2)})
    with pytest.raises(InputError, match="period_of_day"):
        PeriodPanel(panel.days, panel.symbols, panel.values, panel.values, np.array([0, 2, 1, 3, 3]), panel.features)


@pytest.mark.parametrize("day", [1, 40])
def test_steps_of_a_day_follow_one_another(make, day):
    """A row of 4 steps x 3 features side by side becomes 4 steps; days before the beginning are 0."""
    panel = make.factor_panel(60, 12, 12, missing=0.1)
    rows = np.array([1, 5, 11])
    got = Windows(panel, InputSpec("features_60m", 12, per_day=4)).gather(day, torch.from_numpy(rows)).numpy()
    assert got.shape == (12, 3, 3)
    past = np.nan_to_num(padded(panel.values, day + 1, 3))  # three days
    for step in range(12):
        np.testing.assert_array_equal(got[step], past[step // 4][rows][:, 3 * (step % 4) : 3 * (step % 4) + 3])


@pytest.mark.parametrize("name", ["hf_gru", "lf_multitask", "60min_gru_5d"])
def test_another_device_gathers_what_a_cpu_reads(make, name):
    """``cpu:0`` is the same processor under a name that takes the path of accelerators."""
    days, spec = make.weekdays(420), CATALOG[name]
    wide = {i.panel: make.factor_panel(420, 40, 3 * i.per_day, missing=0.1) for i in spec.inputs}
    panels = make.bars_of(days, make.daily_bars(420, 40)) if name == "lf_multitask" else wide
    labels = np.random.default_rng(0).standard_normal((420, 40))
    labels[400, :9] = np.nan
    here, there = (Dataset(spec, panels, labels, device=device) for device in ("cpu", "cpu:0"))
    ours, theirs = (data.batch([400, 397, 419]) for data in (here, there))
    assert ours.windows.keys() == theirs.windows.keys()
    for key, window in theirs.windows.items():
        assert isinstance(window, torch.Tensor)
        assert isinstance(ours.windows[key], WindowView)
        torch.testing.assert_close(as_tensor(ours.windows[key]), window, atol=2e-4, rtol=1e-5)
    torch.testing.assert_close(ours.label, theirs.label)
    assert torch.equal(ours.day, theirs.day)
    rows = np.array([0, 5, 31, 60])
    assert len(theirs.day) > 60
    for key, window in theirs.take(rows).windows.items():
        torch.testing.assert_close(as_tensor(ours.take(rows).windows[key]), window, atol=2e-4, rtol=1e-5)
