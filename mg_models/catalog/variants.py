"""Variants of our own for low-frequency data; no report has them, and none of them is a default.

Why, measured on validation days of the real panel (``docs/real_panel.md``):

- Dividing each bar series by its own last value removes the relation of the day's open, high, low and close to each
  other, how large the stock's moves are and how much it trades. On the same days and labels a ridge on those windows
  reaches half of the RankIC of one on hand-made features of the same bars. ``price_volume`` (96 such features,
  :mod:`mg_models.data.price_volume`) restores that.
- How far the stocks are apart in a feature on a day is information, which a z-score per day takes away: features are
  centred per day and divided by one constant of the training days (:mod:`mg_models.networks.mlp`).
- A z-scored 10-day return is ruled by a few jumps; the RankIC is not. Ranks mapped to normal quantiles as the label
  raise the RankIC with everything else alike.
- A model of the whole return leans on the styles of its training years (small, little traded, recent losers). The mean
  with a model of the return free of them is steadier: mean over deviation of the daily RankIC 1.01 against 0.89, at
  nearly the same mean.
- Validation by a fifth of all years takes the latest years from training. Half a year is enough to stop by.
"""

from typing import Any

from mg_models.specs.combination import mean_of
from mg_models.specs.data import ALL_HISTORY, InputSpec, LabelSpec, SplitSpec
from mg_models.specs.losses import MultitaskIcSpec, NegativeIcSpec, SquaredErrorSpec
from mg_models.specs.model import ModelSpec
from mg_models.specs.networks import LinearSpec, MlpSpec, MultiTaskSpec, RidgeSpec

_TODAY = InputSpec("price_volume", 1)
_BARS = (
    InputSpec("daily", 40, "last_value"),
    InputSpec("weekly", 20, "last_value"),
    InputSpec("monthly", 12, "last_value"),
)
_LABEL = LabelSpec(transform="normal_rank")
SOURCE = "ours (docs/real_panel.md)"
_RECENT = SplitSpec(train_days=ALL_HISTORY, valid_days=120)  # all history trains, the last half-year validates
_MEASURED = SplitSpec(train_days=ALL_HISTORY, valid_days=60)  # validation stops nothing: it may be short
_RIDGE: dict[str, Any] = {
    "inputs": (_TODAY,),
    "network": RidgeSpec(),
    "loss": SquaredErrorSpec(),
    "split": _MEASURED,
    "max_epochs": 1,
    "seeds": (0,),
    "source": SOURCE,
}
_SLOW: dict[str, Any] = {"learning_rate": 0.001, "max_epochs": 40}
MODELS = (
    ModelSpec(
        name="lf_multitask_normal_rank",
        inputs=_BARS,
        network=MultiTaskSpec(),
        loss=MultitaskIcSpec(),
        label=_LABEL,
        description="lf_multitask with the return's rank, mapped to normal quantiles, as the label.",
        source=SOURCE,
    ),
    ModelSpec(
        name="price_volume_linear",
        inputs=(_TODAY,),
        network=LinearSpec(),
        loss=NegativeIcSpec(),
        label=_LABEL,
        split=_RECENT,
        description="Linear model of the day's 96 price-volume features.",
        source=SOURCE,
        **_SLOW,
    ),
    ModelSpec(
        name="price_volume_mlp",
        inputs=(_TODAY,),
        network=MlpSpec(),
        loss=SquaredErrorSpec(),
        label=_LABEL,
        split=_RECENT,
        description="MLP(64) with dropout over the day's 96 price-volume features.",
        source=SOURCE,
        **_SLOW,
    ),
    ModelSpec(
        name="price_volume_neutral_mlp",
        inputs=(_TODAY,),
        network=MlpSpec(),
        loss=SquaredErrorSpec(),
        label=LabelSpec(transform="neutral_normal_rank"),
        split=_RECENT,
        description="price_volume_mlp with a label free of liquidity, market risk and momentum.",
        source=SOURCE,
        **_SLOW,
    ),
    ModelSpec(
        name="price_volume_ridge",
        label=_LABEL,
        description="Ridge regression in closed form on the day's 96 price-volume features.",
        **_RIDGE,
    ),
    ModelSpec(
        name="price_volume_neutral_ridge",
        label=LabelSpec(transform="neutral_normal_rank"),
        description="price_volume_ridge with a label free of liquidity, market risk and momentum.",
        **_RIDGE,
    ),
)

COMBINATIONS = (
    mean_of(
        "price_volume_ridges",
        ("price_volume_ridge", "price_volume_neutral_ridge"),
        "Mean of two ridge regressions on price-volume features: of the return, and of the return free of styles.",
        SOURCE,
    ),
    mean_of(
        "price_volume_ensemble",
        ("price_volume_mlp", "price_volume_neutral_mlp"),
        "Mean of two MLPs over price-volume features: of the return, and of the return free of styles.",
        SOURCE,
    ),
)
