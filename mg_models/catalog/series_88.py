"""Haitong series 88 (2023): the same features at daily, 60-minute and 30-minute granularity.

The report gives the networks, the two labels and the universe of tests. Its series' previous report, number 87,
gives 1,200 training and 120 validation days and a retrain each half-year. Learning rate, batch and the
most epochs are ours.
"""

from itertools import product
from typing import Any

from mg_models.specs.combination import CombinationSpec, mean_of
from mg_models.specs.data import InputSpec, LabelSpec, SplitSpec
from mg_models.specs.losses import ResidualLearningLossSpec, SquaredErrorSpec
from mg_models.specs.model import ModelSpec
from mg_models.specs.networks import ResidualLearningSpec, SequenceSpec

DAYS = 60
GRANULARITIES = {
    "daily": InputSpec("features_240m", DAYS),
    "60min": InputSpec("features_60m", 4 * DAYS, per_day=4),
    "30min": InputSpec("features_30m", 8 * DAYS, per_day=8),
}
NETWORKS = {"gru": SequenceSpec(), "biagru": SequenceSpec(bidirectional=True, attention=True)}
HORIZONS = (5, 10)
SPLIT = SplitSpec(every=1, train_days=1200, valid_days=120)
TRAINING: dict[str, Any] = {
    "learning_rate": 0.001,
    "max_epochs": 50,
    "patience": 5,
    "seeds": (0, 1, 2, 3, 4),
}
CELLS = {"gru": "GRU", "biagru": "Bidirectional GRU with additive attention"}


def label(horizon: int) -> LabelSpec:
    """Return ranked, mapped to normal quantiles and z-scored."""
    return LabelSpec((horizon,), transform="normal_rank")


def _model(name: str, granularities: tuple[str, ...], cell: str, horizon: int, tables: str, what: str) -> ModelSpec:
    return ModelSpec(
        name=f"{name}_{cell}_{horizon}d",
        inputs=tuple(GRANULARITIES[g] for g in granularities),
        network=NETWORKS[cell],
        loss=SquaredErrorSpec(),
        label=label(horizon),
        split=SPLIT,
        description=what,
        source=f"Haitong series 88, {tables}",
        **TRAINING,
    )


_SINGLE = (
    _model(g, (g,), cell, h, "tables 1-5", f"{CELLS[cell]} over 60 days of {g} features, {h}-day label.")
    for h, cell, g in product(HORIZONS, NETWORKS, GRANULARITIES)
)
_MIXED = (
    _model(
        "mixed_input",
        tuple(GRANULARITIES),
        cell,
        h,
        "tables 3-6",
        f"{CELLS[cell]} for each granularity, side by side into one MLP, trained at once, {h}-day label.",
    )
    for h, cell in product(HORIZONS, NETWORKS)
)
_RESIDUAL = ModelSpec(
    name="mrl_daily_30min_5d",
    inputs=(GRANULARITIES["daily"], GRANULARITIES["30min"]),
    network=ResidualLearningSpec(),
    loss=ResidualLearningLossSpec(),
    label=label(5),
    split=SPLIT,
    weight_decay=1e-5,
    description="Multi-granularity residual learning: the half-hour module reads what the daily one leaves "
    "unexplained; the mean of both predicts (combination may be attention or contrastive).",
    source="Haitong series 88, table 7 (the weights of the loss are ours)",
    **TRAINING,
)

MODELS = (*_SINGLE, *_MIXED, _RESIDUAL)


def _ensemble(number: int, parts: tuple[str, ...], cell: str, horizon: int) -> CombinationSpec:
    return mean_of(
        f"output_ensemble{number}_{cell}_{horizon}d",
        tuple(f"{g}_{cell}_{horizon}d" for g in parts),
        f"Mean of the {', '.join(parts)} models, each trained alone, {horizon}-day label.",
        "Haitong series 88, tables 3-6",
    )


COMBINATIONS = (
    *(
        _ensemble(number, parts, cell, h)
        for h, cell in product(HORIZONS, NETWORKS)
        for number, parts in ((3, tuple(GRANULARITIES)), (2, ("daily", "30min")))
    ),
)
