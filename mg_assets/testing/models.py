"""Conformance of a model: its network by itself, and a short training with its predictions."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from mg_assets.extensions import described
from mg_assets.market.calendar import trading_days
from mg_assets.modelling.panels import tables_of_input
from mg_assets.testing.subjects import errors_as_failures, subject
from mg_models.catalog import InputSpec, ModelSpec, SplitSpec
from mg_models.data.label_transforms import STYLES
from mg_models.data.panel import Panel
from mg_models.specs.losses import MultitaskIcSpec, ResidualLearningLossSpec

STOCKS, FEATURES = 32, 12
FIRST, LAST, HALF_YEAR = "2022-01-04", "2023-02-10", "2023H1"
TOLERANCE = 1e-4  # of z-scores in float32
CHECKS = (
    "finite predictions",
    "equal windows give equal predictions",
    "days and stocks by themselves",
    "permutation of stocks",
    "nulls",
    "no look-ahead",
    "one day at a time equals all",
    "restatement noticed",
)


def check_model(model: ModelSpec | str | Path, data: dict[str, Panel] | None = None, name: str | None = None) -> tuple:
    """Check that a model obeys the rules of the graph.

    Of its network, with random weights and in evaluation mode:

    1. Windows give one finite prediction for each row and horizon; also those of a stock whose values are all 0.
    2. Equal windows give equal predictions, whatever was predicted between: it keeps nothing.
    3. A day's predictions do not depend on the other days of a batch, which may be later ones.
    4. Stocks in another order give the same.

    And after a short training for a half-year, on made-up features that predict the returns, or on ``data``:

    5. A stock without values has no prediction, and changes no other's features.
    6. Other features and returns on later days change nothing.
    7. One day at a time gives what all give.
    8. Other features of a day change its predictions.

    Parameters
    ----------
    model : ModelSpec or path
        Or the file that defines it, with its network.
    data : dict of str to Panel, optional
        By name of the input, over more than a year of days; returns are then made of the first input's first feature.
    name : str, optional
        Where the file defines several.

    Returns
    -------
    tuple of str
        What was checked.

    Raises
    ------
    AssertionError
        A rule is broken; one line.
    """
    spec = subject(model, ModelSpec, name)
    try:
        with errors_as_failures():
            for one in () if data else spec.inputs:
                if not one.columns:  # the factors of others may be those of a deployment
                    tables_of_input(spec, one)
            _check_network(spec)
            _check_training(spec, panels(spec) if data is None else data)
    except (RuntimeError, IndexError, KeyError, TypeError, ValueError) as error:  # torch's, of the user's network
        raise AssertionError(f"model {spec.name}: {described(error)}") from error
    return CHECKS


def _check_network(spec: ModelSpec) -> None:
    import torch

    from mg_models.networks import build_network

    torch.manual_seed(0)
    network = build_network(spec, {i.panel: FEATURES for i in spec.inputs}).eval()
    generator = torch.Generator().manual_seed(1)
    rows = 2 * STOCKS
    day = torch.arange(2).repeat_interleave(STOCKS)
    windows = {i.panel: torch.randn((i.steps, rows, FEATURES), generator=generator) for i in spec.inputs}
    first = {panel: w[:, :STOCKS] for panel, w in windows.items()}

    def predicted(given: dict[str, Any], of_day: Any = None) -> np.ndarray:
        with torch.no_grad():
            return network(given, of_day).double().numpy()

    alone = predicted(first)
    tasks = len(spec.label.horizons)
    several = isinstance(spec.loss, (MultitaskIcSpec, ResidualLearningLossSpec))  # tasks of their own for one horizon
    if alone.ndim != 2 or alone.shape[0] != STOCKS or not (several or alone.shape[1] == tasks):
        raise AssertionError(
            f"model {spec.name}: {STOCKS} rows gave predictions of shape {alone.shape}; (rows, {tasks}) was expected"
        )
    zero = {panel: torch.where(torch.arange(STOCKS)[None, :, None] == 0, 0.0, w) for panel, w in first.items()}
    if not np.isfinite(alone).all() or not np.isfinite(predicted(zero)).all():
        raise AssertionError(f"model {spec.name}: {CHECKS[0]} is broken: a prediction was not finite")
    predicted({panel: w + 1.0 for panel, w in first.items()})
    _equal(spec, alone, predicted(first), CHECKS[1], "after other windows")
    _equal(spec, alone, predicted(windows, day)[:STOCKS], CHECKS[2], "in a batch with the rows of another day")
    order = torch.randperm(STOCKS, generator=generator)
    permuted = predicted({panel: w[:, order] for panel, w in first.items()})
    _equal(spec, alone[order.numpy()], permuted, CHECKS[3], "with stocks in another order")


def _check_training(spec: ModelSpec, inputs: dict[str, Panel]) -> None:
    from mg_models.inference import predict
    from mg_models.training.retrain import train

    first = inputs[spec.inputs[0].panel]
    days = np.asarray(first.days, "datetime64[D]")
    rng = np.random.default_rng(3)
    returns = 0.02 * (np.nan_to_num(first.values[..., 0]) + rng.standard_normal(first.values.shape[:2]))
    labels = np.repeat(returns[..., None], len(spec.label.horizons), axis=2)
    short = replace(
        spec, split=SplitSpec(every=10, min_train_days=2, min_valid_days=1), max_epochs=1, seeds=(0,), min_stocks=5,
        batch_rows=500,
    )  # fmt: skip
    models = train(short, inputs, labels if labels.shape[2] > 1 else labels[..., 0], None, HALF_YEAR)
    wanted = days[days >= np.datetime64("2023-01-01")][-3:]
    plain = predict(models, inputs, wanted)
    if not np.isfinite(plain).any():
        raise AssertionError(f"model {spec.name}: {CHECKS[0]} is broken: no stock has a prediction on {wanted[0]}")
    blank = {n: _changed(p, lambda v: v.__setitem__((slice(None), 0), np.nan)) for n, p in inputs.items()}
    without = predict(models, blank, wanted)
    if np.isfinite(without[:, 0]).any():
        raise AssertionError(f"model {spec.name}: {CHECKS[4]} is broken: a stock without values has a prediction")
    at = int(np.searchsorted(days, wanted[1]))
    later = {n: _changed(p, lambda v: v[at:].__imul__(-3.0)) for n, p in inputs.items()}
    _equal(spec, plain[:1], predict(models, later, wanted[:1]), CHECKS[5], "with other features on later days")
    each = np.concatenate([predict(models, inputs, wanted[[i]]) for i in (2, 1, 0)][::-1])
    _equal(spec, plain, each, CHECKS[6], "day by day")
    if np.array_equal(plain[1:], predict(models, later, wanted[1:]), equal_nan=True):
        raise AssertionError(
            f"model {spec.name}: {CHECKS[7]} is broken: other features leave every prediction as it is"
        )


def _changed(panel: Panel, change: Any) -> Panel:
    values = panel.values.copy()
    change(values)
    return replace(panel, values=values)


def _equal(spec: ModelSpec, plain: np.ndarray, other: np.ndarray, rule: str, when: str) -> None:
    gap = np.abs(plain - other)
    if plain.shape != other.shape or (np.isnan(plain) != np.isnan(other)).any() or np.nanmax(gap) > TOLERANCE:
        raise AssertionError(f"model {spec.name}: {rule} is broken: predictions differ by {np.nanmax(gap):.3g} {when}")


def panels(spec: ModelSpec) -> dict[str, Panel]:
    """Made-up inputs of a model: standard normal features, the universe all stocks.

    Returns
    -------
    dict of str to Panel

    Raises
    ------
    AssertionError
        The model reads weeks or months, whose panels have days of their own: give ``data``.
    """
    periods = [i.panel for i in spec.inputs if i.panel in ("weekly", "monthly")]
    if periods:
        raise AssertionError(f"model {spec.name} reads {periods[0]} bars, which cannot be made up; give data=")
    days = trading_days(FIRST, LAST)
    symbols = np.array([f"{600000 + i}.SH" for i in range(STOCKS)], dtype=object)
    rng = np.random.default_rng(4)
    out = {i.panel: _panel(i, days, symbols, rng) for i in spec.inputs}
    if spec.universe:
        members = np.ones((len(days), STOCKS, 1), np.float32)
        out[spec.universe] = Panel(days, symbols, members, ("member",))
    return out


def _panel(i: InputSpec, days: np.ndarray, symbols: np.ndarray, rng: np.random.Generator) -> Panel:
    width = FEATURES * i.per_day
    values = rng.standard_normal((len(days), len(symbols), width)).astype(np.float32)
    if i.scale == "last_value":  # divided by the last: prices
        values = 10.0 * np.exp(0.02 * values)
    names = [*STYLES, *(f"feature_{k}" for k in range(width))][:width]
    return Panel(days, symbols, values, tuple(names))
