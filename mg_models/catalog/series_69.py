"""Huatai series 69 (2023-08-22): attention between tasks, between stocks and over time, on 42 daily factors.

Charts 7 and 8 give sizes and training. Ours: the loss's weights, at most 200 epochs, the predictions of a
retrain lasting a half-year in place of 126 days.
"""

from typing import Any

from mg_models.specs.combination import mean_of
from mg_models.specs.data import InputSpec, LabelSpec, SplitSpec
from mg_models.specs.losses import RankWeightedErrorSpec
from mg_models.specs.model import ModelSpec
from mg_models.specs.networks import SequenceSpec, StockAttentionSpec, TaskMlpSpec, TemporalTransformerSpec

_TODAY = InputSpec("daily_factors", 1)
_MONTH = InputSpec("daily_factors", 21)
_BOTH = LabelSpec((10, 20), "close", "rank")
_TEN = LabelSpec((10,), "close", "rank")
_COMMON: dict[str, Any] = {
    "loss": RankWeightedErrorSpec(),
    "universe": "liquid",
    "split": SplitSpec(every=1, train_days=252 * 6, valid_days=252 * 2),
    "learning_rate": 0.0001,
    "max_epochs": 200,
    "patience": 20,
    "seeds": (0, 1, 2, 3, 4),
}

MODELS = (
    ModelSpec(
        name="mtl_mlp",
        inputs=(_TODAY,),
        network=TaskMlpSpec(),
        label=_BOTH,
        batch_days=1,
        description="MLP over the day's 42 factors that 10-day and 20-day heads share.",
        source="Huatai series 69, charts 3, 7, 10, 34",
        **_COMMON,
    ),
    ModelSpec(
        name="mtl_task_attention",
        inputs=(_TODAY,),
        network=TaskMlpSpec(task_attention_heads=4),
        label=_BOTH,
        batch_days=1,
        description="mtl_mlp with multi-head attention between its two tasks in front of the heads.",
        source="Huatai series 69, charts 3, 7, 10, 34",
        **_COMMON,
    ),
    ModelSpec(
        name="mtl_stock_attention",
        inputs=(_TODAY,),
        network=StockAttentionSpec(),
        label=_BOTH,
        batch_days=32,
        description="Transformer encoder across the stocks of a day that 10-day and 20-day heads share.",
        source="Huatai series 69, charts 4, 7, 10, 34",
        **_COMMON,
    ),
    ModelSpec(
        name="lstm",
        inputs=(_MONTH,),
        network=SequenceSpec(cell="lstm", hidden=64, layers=2, mlp=0),
        label=_TEN,
        batch_stocks=1024,
        description="Two-layer LSTM over 21 days of 42 factors, 10-day head.",
        source="Huatai series 69, charts 5, 7, 22",
        **_COMMON,
    ),
    ModelSpec(
        name="alstm",
        inputs=(_MONTH,),
        network=SequenceSpec(cell="lstm", hidden=64, layers=2, attention=True, query=True, mlp=0),
        label=_TEN,
        batch_stocks=1024,
        description="lstm with single-head additive attention of its last state over all of them, beside that state.",
        source="Huatai series 69, charts 5, 7, 22",
        **_COMMON,
    ),
    ModelSpec(
        name="temporal_transformer",
        inputs=(_MONTH,),
        network=TemporalTransformerSpec(),
        label=_TEN,
        batch_stocks=1024,
        description="Transformer encoder with positions over 21 days of 42 factors, 10-day head.",
        source="Huatai series 69, charts 6, 7, 22, 34",
        **_COMMON,
    ),
)

COMBINATIONS = (
    mean_of(
        "attention_ensemble",
        ("mtl_mlp_10d20d", "mtl_task_attention_10d20d", "mtl_stock_attention_10d20d", "temporal_transformer"),
        "Mean of the three multi-task models (10 and 20 days) and the temporal Transformer.",
        "Huatai series 69, chart 34",
    ),
)
