"""Losses against numpy, and what must not break them."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from mg_models.errors import CatalogError
from mg_models.specs.losses import MultitaskIcSpec, NegativeIcSpec, ResidualLearningLossSpec, SquaredErrorSpec
from mg_models.training.losses import EPS, batch_loss, daily_correlation, multitask_ic, negative_ic, squared_error


def numpy_ic(a: np.ndarray, b: np.ndarray) -> float:
    a, b = a - a.mean(), b - b.mean()
    return (a * b).mean() / np.sqrt((a.var() + EPS) * (b.var() + EPS))


@pytest.fixture
def rows():
    rng = np.random.default_rng(0)
    day = np.repeat([0, 1, 2], [40, 55, 31])
    label = rng.standard_normal(len(day))
    predictions = 0.3 * label[:, None] + rng.standard_normal((len(day), 3)) + day[:, None]
    return predictions, label, day


def tensors(*arrays):
    return [torch.from_numpy(np.ascontiguousarray(a)) for a in arrays]


def test_negative_ic_is_the_mean_over_days(rows):
    predictions, label, day = rows
    expected = -np.mean([numpy_ic(predictions[day == d, 0], label[day == d]) for d in range(3)])
    got = negative_ic(*tensors(predictions[:, 0], label, day), days=3)
    assert float(got) == pytest.approx(expected, abs=1e-12)


def test_multitask_ic_is_the_reports_formula(rows):
    p, label, day = rows

    def mean(a, b):
        return np.mean([numpy_ic(a[day == d], b[day == d]) for d in range(3)])

    expected = -sum(mean(p[:, k], label) for k in range(3))
    expected += 0.01 * (mean(p[:, 0], p[:, 1]) + mean(p[:, 0], p[:, 2]) + mean(p[:, 1], p[:, 2]))
    assert float(multitask_ic(*tensors(p, label, day), days=3)) == pytest.approx(expected, abs=1e-12)


def test_a_loss_that_is_not_known_is_refused():
    batch = SimpleNamespace(windows=None, day=None, days=1, label=None)
    spec = SimpleNamespace(name="mine", loss="cubic", min_stocks=3)
    with pytest.raises(CatalogError, match="mine: no loss 'cubic'"):
        batch_loss(spec, lambda *_: None, batch)


def test_a_days_level_and_scale_do_not_matter(rows):
    predictions, label, day = rows
    moved = predictions[:, 0] + 100.0 * day
    a, b = (daily_correlation(*tensors(p, label, day), days=3) for p in (predictions[:, 0], moved))
    torch.testing.assert_close(a, b)


def test_a_constant_prediction_has_a_small_gradient(rows):
    _, label, day = rows
    prediction = torch.full((len(day),), 0.5, dtype=torch.float64, requires_grad=True)
    negative_ic(prediction, *tensors(label, day), days=3).backward()
    assert prediction.grad is not None
    assert float(prediction.grad.abs().max()) < 10


def test_rows_without_a_label_are_as_if_absent(rows):
    predictions, label, day = rows
    without = label.copy()
    without[::7] = np.nan
    kept = np.isfinite(without)
    p = torch.from_numpy(predictions[:, 0]).requires_grad_()
    loss = negative_ic(p, *tensors(without, day), days=3)
    expected = negative_ic(*tensors(predictions[kept, 0], label[kept], day[kept]), days=3)
    assert loss.item() == pytest.approx(expected.item(), abs=1e-15)
    loss.backward()
    assert p.grad is not None
    assert torch.isfinite(p.grad).all()
    assert (p.grad[~torch.from_numpy(kept)] == 0).all()


def test_thin_and_flat_days_are_left_out(rows):
    predictions, label, day = rows
    flat = np.where(day == 1, 0.0, label)
    got = negative_ic(*tensors(predictions[:, 0], flat, day), days=3, min_stocks=32)
    assert float(got) == pytest.approx(-numpy_ic(predictions[day == 0, 0], label[day == 0]), abs=1e-12)


@pytest.mark.parametrize(("least", "days"), [(31, (0, 1, 2)), (32, (0, 1)), (40, (0, 1)), (41, (1,))])
def test_a_day_of_exactly_min_stocks_counts(rows, least, days):
    """Days of 40, 55 and 31 stocks."""
    predictions, label, day = rows
    expected = np.mean([numpy_ic(predictions[day == d, 0], label[day == d]) for d in days])
    got = negative_ic(*tensors(predictions[:, 0], label, day), days=3, min_stocks=least)
    assert float(got) == pytest.approx(-expected, abs=1e-12)


def test_thirty_stocks_make_a_day_by_default():
    r = np.random.default_rng(0)
    day, label, p = np.repeat([0, 1], [30, 29]), r.standard_normal((59, 1)), r.standard_normal((59, 2))
    p, label = tensors(p, label)
    first = slice(0, 30)

    def losses(at: slice, days: int) -> list[float]:
        rows = tensors(day)[0][at], days
        ic = negative_ic(p[at, 0], label[at, 0], *rows), multitask_ic(p[at], label[at, 0], *rows)
        return [loss.item() for loss in (*ic, squared_error(p[at, :1], label[at], *rows))]

    assert losses(slice(None), 2) == pytest.approx(losses(first, 1))
    assert 0 not in losses(first, 1)


@pytest.mark.parametrize(
    "loss",
    [
        NegativeIcSpec(),
        MultitaskIcSpec(correlation_penalty=0.3),
        SquaredErrorSpec(),
        ResidualLearningLossSpec(reconstruction=0.4, contrast=0.02),
    ],
    ids=lambda loss: type(loss).__name__,
)
def test_the_loss_of_a_batch_is_that_of_the_entry(rows, loss):
    predictions, label, day = tensors(*rows)
    label = label[:, None]
    at, least = (day, 3), 32  # the day of 31 stocks does not count
    weight = torch.linspace(0.5, 1.5, len(day), dtype=torch.float64)[:, None]
    batch = SimpleNamespace(windows="windows", day=day, days=3, label=label, weight=weight)

    class Network:
        def __call__(self, windows, days):
            assert windows == "windows"
            assert days is day
            return predictions[:, :1] if isinstance(loss, SquaredErrorSpec) else predictions

        def learn(self, windows):
            assert windows == "windows"
            return predictions[:, :1], torch.tensor(5.0), torch.tensor(7.0)

    expected = {
        NegativeIcSpec: lambda: negative_ic(predictions[:, 0], label[:, 0], *at, least),
        MultitaskIcSpec: lambda: multitask_ic(predictions, label[:, 0], *at, 0.3, least),
        SquaredErrorSpec: lambda: squared_error(predictions[:, :1], label, *at, weight, least),
        ResidualLearningLossSpec: lambda: squared_error(predictions[:, :1], label, *at, None, least) + 2.0 + 0.14,
    }[type(loss)]()
    spec = SimpleNamespace(name="one's own", loss=loss, min_stocks=least)
    assert batch_loss(spec, Network(), batch).item() == pytest.approx(expected.item(), rel=1e-6)


def test_no_day_at_all_gives_zero_and_no_gradient(rows):
    predictions, label, day = rows
    p = torch.from_numpy(predictions).requires_grad_()
    loss = multitask_ic(p, *tensors(label, day), days=3, min_stocks=1000)
    loss.backward()
    assert loss.item() == 0
    assert p.grad is not None
    assert (p.grad == 0).all()
