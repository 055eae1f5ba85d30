"""Networks that predict returns of A-shares: a catalog of published models, one trainer, point-in-time predictions.

An ordinary library: arrays in, arrays out. Inputs are dense panels ``(day, stock, feature)``, labels are raw returns
``(day, stock)``; a missing value is NaN. Days are ``datetime64[D]``, ascending; predictions are z-scores over the
stocks of a day, higher is better. A *retrain* is a half-year, ``"2013H2"``: its models learn from labels that were
available before it and predict its days.

Twelve factors of 60 stocks, the first of which predicts the return from T+1 to T+11. A model of the catalog, made small
for the example, is trained for the second half of 2013 (seconds on a CPU) and predicts two of its days:

>>> import numpy as np
>>> from mg_models import Panel, get, override, predict, train
>>> days = np.arange("2013-01-01", "2013-09-01", dtype="datetime64[D]")
>>> days = days[np.is_busday(days)]
>>> symbols = np.array([f"{600000 + i}.SH" for i in range(60)], dtype=object)
>>> rng = np.random.default_rng(0)
>>> factors = rng.standard_normal((len(days), 60, 12), dtype=np.float32)
>>> returns = 0.02 * (factors[..., 0] + rng.standard_normal(factors.shape[:2]))
>>> inputs = {"hf": Panel(days, symbols, factors, tuple(f"factor_{i}" for i in range(12)))}
>>> spec = override(get("hf_gru"), steps=5, hidden=8, every=1, batch_rows=500, max_epochs=4)
>>> spec.inputs[0].panel, spec.horizon
('hf', 10)
>>> models = train(spec, inputs, returns, None, "2013H2", seeds=[0, 1])
>>> models[0].card["ranges"]["valid"]["last"]  # its label is available at the close of 2013-06-28
'2013-06-13'
>>> scores = predict(models, inputs, days[-2:])
>>> scores.shape
(2, 60)
>>> bool(np.corrcoef(scores[0], factors[-2, :, 0])[0, 1] > 0.5)
True

Models
    :data:`CATALOG` and :data:`COMBINATIONS` by name; :func:`get` an entry, :func:`override` its hyper-parameters,
    :func:`signal_names` lists every signal
Training
    :func:`train` one half-year, :func:`train_many` in parallel processes and resumable; :func:`plan_training` and
    :func:`estimate` its minutes and memory before; :func:`save` and :func:`load` trained models
Prediction
    :func:`predict`, and :func:`predict_signals` of every head
Signals without training
    :func:`equal_weight`, :func:`icir_weights` and :func:`icir_weight` of factors, :func:`fuse` of signals
Inputs
    :class:`Panel` of days, :class:`PeriodPanel` of weeks or months; :func:`bar_inputs` and :func:`completed_bars` from
    daily bars, :func:`price_volume_panel` and :func:`price_volume_features` of daily bars

An entry of one's own is a :class:`ModelSpec` of the parts listed in :mod:`mg_models.specs`, its network a
:class:`torch.nn.Module` that :func:`network` ties to a dataclass; a new loss goes to :mod:`mg_models.training.losses`.
See ``docs/models.md`` and ``docs/training.md``.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mg_models.catalog import CATALOG, COMBINATIONS, get, override, signal_names, trained_parts
    from mg_models.checkpoint import Provenance, TrainedModel, load, save
    from mg_models.combine import equal_weight, fuse, icir_weight, icir_weights
    from mg_models.data.bar_panels import bar_inputs, completed_bars
    from mg_models.data.panel import Panel, PeriodPanel
    from mg_models.data.price_volume import price_volume_features, price_volume_panel
    from mg_models.data.splits import Split
    from mg_models.errors import (
        CatalogError,
        CheckpointError,
        InputError,
        LeakageError,
        ModelError,
        TrainingError,
    )
    from mg_models.inference import predict, predict_signals
    from mg_models.specs.combination import CombinationSpec
    from mg_models.specs.data import InputSpec, LabelSpec, SplitSpec
    from mg_models.specs.losses import (
        MultitaskIcSpec,
        NegativeIcSpec,
        RankWeightedErrorSpec,
        ResidualLearningLossSpec,
        SquaredErrorSpec,
    )
    from mg_models.specs.model import ModelSpec
    from mg_models.specs.networks import (
        LinearSpec,
        MlpSpec,
        MultiTaskSpec,
        RecurrentSpec,
        ResidualLearningSpec,
        RidgeSpec,
        SequenceSpec,
        StockAttentionSpec,
        TaskMlpSpec,
        TemporalTransformerSpec,
        network,
    )
    from mg_models.training.cost_estimate import Cost, estimate
    from mg_models.training.fit import Progress
    from mg_models.training.retrain import TrainingPlan, plan_training, train, train_many

__all__ = [
    "CATALOG",
    "COMBINATIONS",
    "CatalogError",
    "CheckpointError",
    "CombinationSpec",
    "Cost",
    "InputError",
    "InputSpec",
    "LabelSpec",
    "LeakageError",
    "LinearSpec",
    "MlpSpec",
    "ModelError",
    "ModelSpec",
    "MultiTaskSpec",
    "MultitaskIcSpec",
    "NegativeIcSpec",
    "Panel",
    "PeriodPanel",
    "Progress",
    "Provenance",
    "RankWeightedErrorSpec",
    "RecurrentSpec",
    "ResidualLearningLossSpec",
    "ResidualLearningSpec",
    "RidgeSpec",
    "SequenceSpec",
    "Split",
    "SplitSpec",
    "SquaredErrorSpec",
    "StockAttentionSpec",
    "TaskMlpSpec",
    "TemporalTransformerSpec",
    "TrainedModel",
    "TrainingError",
    "TrainingPlan",
    "bar_inputs",
    "completed_bars",
    "equal_weight",
    "estimate",
    "fuse",
    "get",
    "icir_weight",
    "icir_weights",
    "load",
    "network",
    "override",
    "plan_training",
    "predict",
    "predict_signals",
    "price_volume_features",
    "price_volume_panel",
    "save",
    "signal_names",
    "train",
    "train_many",
    "trained_parts",
]

_MODULES = {
    "catalog": "CATALOG COMBINATIONS get override signal_names trained_parts",
    "checkpoint": "Provenance TrainedModel load save",
    "combine": "equal_weight fuse icir_weight icir_weights",
    "data.bar_panels": "bar_inputs completed_bars",
    "data.panel": "Panel PeriodPanel",
    "data.price_volume": "price_volume_features price_volume_panel",
    "data.splits": "Split",
    "errors": "CatalogError CheckpointError InputError LeakageError ModelError TrainingError",
    "inference": "predict predict_signals",
    "specs.combination": "CombinationSpec",
    "specs.data": "InputSpec LabelSpec SplitSpec",
    "specs.losses": "MultitaskIcSpec NegativeIcSpec RankWeightedErrorSpec ResidualLearningLossSpec SquaredErrorSpec",
    "specs.model": "ModelSpec",
    "specs.networks": "LinearSpec MlpSpec MultiTaskSpec RecurrentSpec ResidualLearningSpec RidgeSpec SequenceSpec "
    "StockAttentionSpec TaskMlpSpec TemporalTransformerSpec network",
    "training.cost_estimate": "Cost estimate",
    "training.fit": "Progress",
    "training.retrain": "TrainingPlan plan_training train train_many",
}
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names.split()}


def __getattr__(name: str) -> Any:
    """Import an exported name on first use: torch and numba load with the calls that need them."""
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value = getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
