"""Haitong's weekly of 2023-12-15: the deep-learning factors that it follows.

The weekly names the networks and the label; for what it leaves out, 30 days of half-hours and the training of series 88
are used.
"""

from mg_models.catalog.series_88 import SPLIT, TRAINING, label
from mg_models.specs.combination import mean_of
from mg_models.specs.data import InputSpec
from mg_models.specs.losses import SquaredErrorSpec
from mg_models.specs.model import ModelSpec
from mg_models.specs.networks import SequenceSpec

DAYS = 30
SOURCE = "Haitong weekly 2023-12-15, table 1"


def _model(name: str, network: SequenceSpec, description: str) -> ModelSpec:
    return ModelSpec(
        name=name,
        inputs=(InputSpec("features_30m", 8 * DAYS, per_day=8),),
        network=network,
        loss=SquaredErrorSpec(),
        label=label(5),
        split=SPLIT,
        description=description,
        source=SOURCE,
        **TRAINING,
    )


MODELS = (
    _model("gru_50_1_nn10", SequenceSpec(hidden=50, layers=1), "One-layer GRU(50) over 30 days of half-hours."),
    _model("gru_50_2_nn10", SequenceSpec(hidden=50, layers=2), "Two-layer GRU(50) over 30 days of half-hours."),
    _model(
        "attention_gru_50_2_nn10",
        SequenceSpec(hidden=50, layers=2, attention=True),
        "Two-layer GRU(50) with additive attention (the weekly's improved one).",
    ),
    _model(
        "residual_attention_lstm_48_2_nn10",
        SequenceSpec(cell="lstm", hidden=48, layers=2, attention=True, residual=True),
        "Two-layer LSTM(48), a path around each layer, additive attention.",
    ),
)

COMBINATIONS = tuple(
    mean_of(
        f"multi_granularity_{h}d",
        (f"output_ensemble3_biagru_{h}d",),
        f"The weekly's multi-granularity model with a {h}-day label: output_ensemble3_biagru_{h}d.",
        SOURCE,
    )
    for h in (5, 10)
)
