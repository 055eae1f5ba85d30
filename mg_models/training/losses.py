"""Losses over a batch of whole days.

A batch is rows (stocks) of a few days, those of a day contiguous. Every loss is a mean over days, so that no
day's level is compared with another's. Rows without a label are selected away before any mean:
multiplying by a mask would turn one NaN into a NaN gradient everywhere.

Source: Huatai series 72, charts 44 and 51.
"""

from typing import cast

import torch
from torch import Tensor, nn

from mg_models.data.dataset import Batch
from mg_models.errors import CatalogError
from mg_models.networks.residual import ResidualLearning
from mg_models.specs.losses import (
    MultitaskIcSpec,
    NegativeIcSpec,
    RankWeightedErrorSpec,
    ResidualLearningLossSpec,
    SquaredErrorSpec,
)
from mg_models.specs.model import ModelSpec

# Inside the standard deviation: outside the root, a constant prediction has gradients of 1e8.
EPS = 1e-4


def daily_correlation(a: Tensor, b: Tensor, day: Tensor, days: int) -> Tensor:
    """Pearson's correlation of two vectors within each day.

    Parameters
    ----------
    a, b : Tensor (rows,)
    day : Tensor of int64 (rows,)
        The day of each row, 0..days-1.
    days : int

    Returns
    -------
    Tensor (days,)
    """
    member = _membership(day, days, a.dtype)  # (days, rows)
    a, b = _centred(a, member), _centred(b, member)
    return member @ (a * b) / torch.sqrt((member @ (a * a) + EPS) * (member @ (b * b) + EPS))


def negative_ic(prediction: Tensor, label: Tensor, day: Tensor, days: int, min_stocks: int = 30) -> Tensor:
    """Mean over days of minus the correlation with the label, a scalar.

    Parameters
    ----------
    prediction, label : Tensor (rows,)
    day : Tensor of int64 (rows,)
    days : int
    min_stocks : int
        Days with fewer labelled rows, or whose label does not vary, are left out.

    Returns
    -------
    Tensor
        A scalar; 0, with zero gradient, if every day is left out.
    """
    prediction, label, day = _labelled(prediction[:, None], label, day)
    return -_mean_over_days(
        daily_correlation(prediction[:, 0], label, day, days), _used_days(label, day, days, min_stocks)
    )


def multitask_ic(
    predictions: Tensor, label: Tensor, day: Tensor, days: int, penalty: float = 0.01, min_stocks: int = 30
) -> Tensor:
    """Sum over tasks of :func:`negative_ic`, plus ``penalty`` times the tasks' pairwise correlations.

    ``-(IC1 + IC2 + IC3) + penalty * (corr12 + corr13 + corr23)`` for the three columns of
    ``predictions (rows, tasks)``; every correlation is a mean over days.

    Returns
    -------
    Tensor
        A scalar.
    """
    predictions, label, day = _labelled(predictions, label, day)
    part = _used_days(label, day, days, min_stocks)
    columns = predictions.unbind(1)
    loss = predictions.new_zeros(())
    for i, first in enumerate(columns):
        loss = loss - _mean_over_days(daily_correlation(first, label, day, days), part)
        for second in columns[i + 1 :]:
            loss = loss + penalty * _mean_over_days(daily_correlation(first, second, day, days), part)
    return loss


def squared_error(
    predictions: Tensor,
    label: Tensor,
    day: Tensor,
    days: int,
    weight: Tensor | None = None,
    min_stocks: int = 30,
) -> Tensor:
    """Mean over days and heads of the weighted mean of squared errors.

    Parameters
    ----------
    predictions, label : Tensor (rows, heads)
        Every label finite.
    day : Tensor of int64 (rows,)
    days : int
    weight : Tensor (rows, heads), optional
        Of each squared error, above 0; equal by default.
    min_stocks : int
        Days with fewer rows, or whose label does not vary, are left out for that head.

    Returns
    -------
    Tensor
        A scalar.
    """
    member = _membership(day, days, predictions.dtype)  # (days, rows)
    error = (predictions - label).square()  # (rows, heads)
    mean = member @ error if weight is None else (member @ (weight * error)) / (member @ weight).clamp(min=1e-12)
    part = torch.stack([_used_days(column, day, days, min_stocks) for column in label.unbind(1)], dim=1)
    return torch.stack([_mean_over_days(m, p) for m, p in zip(mean.unbind(1), part.unbind(1), strict=True)]).mean()


def batch_loss(spec: ModelSpec, network: nn.Module, batch: Batch) -> Tensor:
    """The entry's loss of a batch.

    Returns
    -------
    Tensor
        A scalar.

    Raises
    ------
    CatalogError
        No such loss, or a network or label that it does not fit.
    """
    loss, rows = spec.loss, (batch.day, batch.days)
    if isinstance(loss, ResidualLearningLossSpec):
        prediction, unexplained, contrast = cast(ResidualLearning, network).learn(batch.windows)
        error = squared_error(prediction, batch.label, *rows, min_stocks=spec.min_stocks)
        return error + loss.reconstruction * unexplained + loss.contrast * contrast
    predictions = network(batch.windows, batch.day)  # (rows, tasks)
    if isinstance(loss, NegativeIcSpec):
        return negative_ic(predictions[:, 0], batch.label[:, 0], *rows, spec.min_stocks)
    if isinstance(loss, MultitaskIcSpec):
        return multitask_ic(predictions, batch.label[:, 0], *rows, loss.correlation_penalty, spec.min_stocks)
    if isinstance(loss, SquaredErrorSpec | RankWeightedErrorSpec):
        return squared_error(predictions, batch.label, *rows, batch.weight, spec.min_stocks)
    raise CatalogError(f"{spec.name}: no loss {loss!r}")


def _membership(day: Tensor, days: int, dtype: torch.dtype) -> Tensor:
    """Row-normalised one-hot ``(days, rows)``: a product with it is the mean over each day."""
    # a matrix product sums in a fixed order on every device; scatter-adds on a GPU do not
    one = (torch.arange(days, device=day.device)[:, None] == day[None, :]).to(dtype)
    return one / one.sum(1, keepdim=True).clamp(min=1.0)


def _centred(values: Tensor, member: Tensor) -> Tensor:
    mean = member @ values  # (days,)
    return values - (member > 0).to(values.dtype).T @ mean  # (rows,)


def _labelled(predictions: Tensor, label: Tensor, day: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    has = torch.isfinite(label)
    return (predictions, label, day) if bool(has.all()) else (predictions[has], label[has], day[has])


def _used_days(label: Tensor, day: Tensor, days: int, min_stocks: int) -> Tensor:
    member = _membership(day, days, label.dtype)
    centred = _centred(label, member)
    count = (member > 0).sum(1)
    return (count >= min_stocks) & (member @ (centred * centred) > 1e-12)


def _mean_over_days(values: Tensor, part: Tensor) -> Tensor:
    return torch.where(part, values, 0.0).sum() / part.sum().clamp(min=1)
