"""Huatai series 72 (2023-12-08): high-frequency synthesis, low-frequency multi-task, and their fusion."""

from mg_models.specs.combination import CombinationSpec, mean_of
from mg_models.specs.data import InputSpec, SplitSpec
from mg_models.specs.losses import MultitaskIcSpec, NegativeIcSpec
from mg_models.specs.model import ModelSpec
from mg_models.specs.networks import MultiTaskSpec, RecurrentSpec

_FACTORS = InputSpec("hf", 40)
_DAILY = InputSpec("daily", 40, "last_value")
_WEEKLY = InputSpec("weekly", 20, "last_value")
_MONTHLY = InputSpec("monthly", 12, "last_value")


def _single(frequency: str, bars: InputSpec) -> ModelSpec:
    return ModelSpec(
        name=f"lf_{frequency}_only",
        inputs=(bars,),
        network=RecurrentSpec(),
        loss=NegativeIcSpec(),
        description=f"GRU over {frequency} bars alone.",
        source="Huatai series 72, chart 52",
    )


MODELS = (
    ModelSpec(
        name="hf_gru",
        inputs=(_FACTORS,),
        network=RecurrentSpec(sigmoid=True),
        loss=NegativeIcSpec(),
        split=SplitSpec(since="2013-01-01"),
        description="GRU over 40 days of the 27 high-frequency factors, trained on the correlation with the return.",
        source="Huatai series 72, charts 43-45",
    ),
    ModelSpec(
        name="lf_multitask",
        inputs=(_DAILY, _WEEKLY, _MONTHLY),
        network=MultiTaskSpec(),
        loss=MultitaskIcSpec(),
        description="One GRU shared by daily, weekly and monthly bars, a head for each, their mean as the prediction.",
        source="Huatai series 72, charts 50-52",
    ),
    _single("daily", _DAILY),
    _single("weekly", _WEEKLY),
    _single("monthly", _MONTHLY),
    ModelSpec(
        name="lf_multitask_unshared",
        inputs=(_DAILY, _WEEKLY, _MONTHLY),
        network=MultiTaskSpec(shared=False),
        loss=MultitaskIcSpec(),
        description="lf_multitask with a GRU of its own for each frequency.",
        source="Huatai series 72, chart 52",
    ),
    ModelSpec(
        name="full_band_multitask",
        inputs=(_DAILY, _WEEKLY, _MONTHLY, _FACTORS),
        network=MultiTaskSpec(),
        loss=MultitaskIcSpec(),
        description="lf_multitask with the 27 factors as a fourth task, with a GRU of their own, trained jointly.",
        source="Huatai series 72, chart 57",
    ),
)

COMBINATIONS = (
    CombinationSpec(
        name="hf_equal_weight",
        rule="equal_weight",
        parts=("hf",),
        description="Mean of the 27 direction-signed high-frequency factors (20-day means, preprocessed).",
        source="Huatai series 72, chart 45",
    ),
    CombinationSpec(
        name="hf_icir_weight",
        rule="icir_weight",
        parts=("hf",),
        description="High-frequency factors weighted by the mean over std of their past year's weekly RankIC.",
        source="Huatai series 72, chart 45 (the window of 52 weeks is ours)",
    ),
    mean_of(
        "lf_separate_equal_weight",
        ("lf_daily_only", "lf_weekly_only", "lf_monthly_only"),
        "Daily, weekly and monthly bars trained apart, then averaged.",
        "Huatai series 72, chart 52",
    ),
    CombinationSpec(
        name="fused",
        rule="fuse",
        parts=("hf_gru", "lf_multitask"),
        weights=(1.0, 3.0),
        description="High- and low-frequency signals, z-scored per day, one part to three.",
        source="Huatai series 72, chart 57",
    ),
)
