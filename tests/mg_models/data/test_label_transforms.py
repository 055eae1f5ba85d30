"""Labels, their weights and the squared errors against plain loops; parts of a day as batches."""

import numpy as np
import pytest
import torch
from scipy.stats import norm, rankdata

from mg_models.catalog import CATALOG, override
from mg_models.data.dataset import Dataset, usable_days
from mg_models.data.label_transforms import as_heads, rank_weights, transform
from mg_models.data.panel_windows import as_tensor
from mg_models.errors import InputError
from mg_models.training.losses import squared_error


@pytest.fixture
def raw():
    rng = np.random.default_rng(0)
    values = 0.1 * rng.standard_normal((31, 2))
    values[3] = values[4]  # a tie
    return values


@pytest.mark.parametrize("kind", ["zscore", "rank", "normal_rank"])
def test_labels_are_their_definitions(raw, kind):
    got = transform(kind, raw)
    for k in range(2):
        x = raw[:, k] if kind == "zscore" else rankdata(raw[:, k])
        if kind == "normal_rank":
            x = norm.ppf((x - 0.5) / 31)
        np.testing.assert_allclose(got[:, k], (x - x.mean()) / x.std(), atol=1e-9)


def test_rank_weights_halve_twice_from_best_to_worst(raw):
    got = rank_weights(raw, 2.0)
    for k in range(2):
        for i in range(31):
            above = (raw[:, k] > raw[i, k]).sum() + ((raw[:, k] == raw[i, k]).sum() - 1) / 2
            assert got[i, k] == pytest.approx(0.5 ** (2 * above / 31), abs=1e-12)
    assert got.max() == 1


def test_squared_error_is_a_mean_over_days_and_heads(raw):
    rng = np.random.default_rng(1)
    day = np.repeat([0, 1], [14, 17])
    prediction, weight = rng.standard_normal((31, 2)), rng.random((31, 2)) + 0.1

    def expected(w: np.ndarray) -> float:
        means = [
            (w[day == d, k] * (prediction - raw)[day == d, k] ** 2).sum() / w[day == d, k].sum()
            for d in (0, 1)
            for k in (0, 1)
        ]
        return float(np.mean(means))

    tensors = [torch.from_numpy(a) for a in (prediction, raw, day)]
    assert float(squared_error(*tensors, 2, min_stocks=5)) == pytest.approx(expected(np.ones((31, 2))), rel=1e-9)
    got = squared_error(*tensors, 2, torch.from_numpy(weight), 5)
    assert float(got) == pytest.approx(expected(weight), rel=1e-9)


def test_thin_and_flat_days_have_no_squared_error():
    day = torch.tensor([0] * 4 + [1] * 8 + [2] * 8)
    label = torch.cat([torch.randn(12, 1), torch.ones(8, 1)])
    prediction = torch.zeros(20, 1, requires_grad=True)
    loss = squared_error(prediction, label, day, 3, min_stocks=5)
    loss.backward()
    assert float(loss.detach()) == pytest.approx(float(label[4:12].square().mean()), rel=1e-6)
    assert prediction.grad is not None
    assert (prediction.grad[:4] == 0).all()
    assert (prediction.grad[12:] == 0).all()


def test_labels_of_several_horizons_need_an_axis(raw):
    spec = CATALOG["mtl_mlp"]
    assert as_heads(CATALOG["lstm"], np.zeros((3, 4)), (3, 4)).shape == (3, 4, 1)
    with pytest.raises(InputError, match=r"mtl_mlp: labels must be \(3, 4, 2\) .*horizons \[10, 20\]"):
        as_heads(spec, np.zeros((3, 4)), (3, 4))


@pytest.fixture
def data(make):
    panel = make.factor_panel(60, 50, 4)
    labels = 0.1 * np.random.default_rng(3).standard_normal((60, 50, 2))
    labels[30, :7, 0] = np.nan
    labels[30, 5:9, 1] = np.nan
    universe = make.factor_panel(60, 50, 1)
    spec = override(CATALOG["mtl_mlp"], batch_stocks=16)
    return Dataset(spec, {"daily_factors": panel, "liquid": universe}, labels)


def test_a_row_needs_the_labels_of_every_horizon(data):
    batch = data.batch([30])
    assert batch.label.shape == batch.weight.shape == (41, 2)
    np.testing.assert_allclose(batch.weight, rank_weights(data.label(30)[9:], 2.0).astype(np.float32))


def test_parts_of_a_day_are_that_day(data):
    """Each row once, labels and weights those of the whole day."""
    batch = data.batch([30])
    parts = list(data.parts(batch, np.random.default_rng(0)))
    assert [len(p.day) for p in parts] == [14, 14, 13]
    rows = torch.cat([as_tensor(p.windows["daily_factors"])[0] for p in parts])
    order = torch.cat([p.label for p in parts])[:, 0].argsort()
    whole = batch.label[:, 0].argsort()
    torch.testing.assert_close(rows[order], as_tensor(batch.windows["daily_factors"])[0][whole])
    torch.testing.assert_close(torch.cat([p.weight for p in parts])[order], batch.weight[whole])


def test_batches_of_days(data):
    days = np.arange(10)
    assert [len(g) for g in data.batches(days)] == [1] * 10  # parts of one day
    data.spec = override(CATALOG["mtl_stock_attention"], batch_days=4)
    assert [len(g) for g in data.batches(days)] == [4, 4, 2]


def test_a_day_of_exactly_min_stocks_is_usable():
    """Stocks count that are eligible and have every label; a day whose label is flat is of no use."""
    spec = override(CATALOG["lf_multitask"], min_stocks=12)
    horizons = len(spec.label.horizons)
    labels = np.random.default_rng(0).standard_normal((5, 20, horizons))
    eligible = np.ones((5, 20), bool)
    eligible[0, 12:] = False  # 12
    eligible[1, 11:] = False  # 11
    labels[2, 12:, -1] = np.nan  # 12 have every label
    labels[3, 11:, 0] = np.nan  # 11
    labels[4, :, -1] = 0.01
    assert usable_days(spec, eligible, labels).tolist() == [True, False, True, False, False]
