"""Predictions of trained models, one day's cross-section at a time.

A day is always predicted by itself, so that a day alone, a range and the whole history give the same
bits. A stock's score depends on the others only through the z-scores of the inputs and of the predictions
over the day's stocks.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import torch

from mg_axes import as_days
from mg_models.checkpoint import TrainedModel
from mg_models.data.dataset import Dataset, select_inputs
from mg_models.data.day_statistics import zscore_stocks
from mg_models.data.fingerprint import InputRecord
from mg_models.data.panel import Panel, PeriodPanel
from mg_models.data.splits import period_start
from mg_models.errors import InputError, LeakageError
from mg_models.specs.model import ModelSpec
from mg_models.training.fit import predict_windows


def predict(
    models: Sequence[TrainedModel],
    inputs: Mapping[str, Panel | PeriodPanel],
    days: np.ndarray,
    device: str = "cpu",
    in_sample: bool = False,
) -> np.ndarray:
    """Mean over seeds of each seed's z-scored predictions.

    Parameters
    ----------
    models : sequence of TrainedModel
        Seeds of one retrain.
    inputs : mapping of str to Panel or PeriodPanel
        Reaching back at least a window before the first day; on the features of training.
    days : dates (D',)
        Days of the inputs to predict, in the order of the result.
    device : str
        ``"cpu"``, ``"cuda"`` or ``"mps"``.
    in_sample : bool
        Allow days before the half-year that the models were trained for.

    Returns
    -------
    ndarray of float64 (D', S)
        NaN where a stock has no input.

    Raises
    ------
    InputError
        No models, models that differ in configuration, other features than in training, or days that
        the inputs do not have.
    LeakageError
        A day before the models' half-year, which their training may have seen.
    """
    return predict_signals(models, inputs, days, device, in_sample)[_one_spec(models).name]


def predict_signals(
    models: Sequence[TrainedModel],
    inputs: Mapping[str, Panel | PeriodPanel],
    days: np.ndarray,
    device: str = "cpu",
    in_sample: bool = False,
    records: list[dict[str, InputRecord]] | None = None,
) -> dict[str, np.ndarray]:
    """Every signal of :attr:`ModelSpec.signals`: the prediction of :func:`predict`, and one for each head.

    Parameters
    ----------
    models, inputs, days, device, in_sample
        As for :func:`predict`.
    records : list, optional
        Filled with what the networks read, an entry for each of ``days``.

    Returns
    -------
    dict of str to ndarray of float64 (D', S)
        Z-scores by signal; NaN where a stock has no input.

    Raises
    ------
    InputError
        As :func:`predict`.
    LeakageError
        As :func:`predict`.
    """
    spec = _one_spec(models)
    chosen = select_inputs(spec, inputs)
    for name in models[0].features:
        panel = chosen[name]
        if tuple(panel.features) != tuple(models[0].features[name]):
            raise InputError(
                f"{spec.name}: input {name!r} has the features {list(panel.features)}, "
                f"trained on {list(models[0].features[name])}"
            )
    try:
        wanted = as_days(days)
    except ValueError as wrong:
        raise InputError(str(wrong)) from None
    start = max(period_start(m.retrain) for m in models)
    if not in_sample and len(wanted) and wanted.min() < start:
        raise LeakageError(
            f"{spec.name}: {wanted.min()} is before {start}, from when the model of {models[0].retrain} predicts; "
            f"use the model of that half-year (or in_sample=True to look at the fit)"
        )
    columns = _predict(models, chosen, wanted, device, records)
    return {name: columns[..., k] for k, name in enumerate(spec.signals)}


def _predict(
    models: Sequence[TrainedModel],
    inputs: dict[str, Panel | PeriodPanel],
    wanted: np.ndarray,
    device: str,
    records: list[dict[str, InputRecord]] | None,
) -> np.ndarray:
    data = Dataset(models[0].spec, inputs, device=device)
    at = np.searchsorted(data.days, wanted)
    absent = (at == len(data.days)) | (data.days[np.minimum(at, len(data.days) - 1)] != wanted)
    if absent.any():
        raise InputError(
            f"{models[0].spec.name}: the inputs have no {wanted[absent][0]} ({int(absent.sum())} days lacking); "
            f"they reach from {data.days[0]} to {data.days[-1]}"
        )
    networks = [m.network(device) for m in models]
    out = np.full((len(wanted), len(data.symbols), len(data.spec.signals)), np.nan)
    with torch.inference_mode():
        for row, day in enumerate(at.tolist()):
            rows = data.rows(day)
            if records is not None:
                records.append(data.input_records(day))
            if not len(rows):
                continue
            windows = data.windows(day)
            scores = np.stack([predict_windows(n, data.spec, windows).T for n in networks])  # (seeds, signals, rows)
            out[row, rows] = zscore_stocks(scores).mean(0).T
    return out


def _one_spec(models: Sequence[TrainedModel]) -> ModelSpec:
    if not models:
        raise InputError("no trained model was given")
    if len({m.spec.hash for m in models}) > 1 or len({m.retrain for m in models}) > 1:
        raise InputError(
            f"models must be seeds of one retrain and configuration, was {[(m.spec.name, m.retrain) for m in models]}"
        )
    return models[0].spec
