"""Losses of a catalog entry, a dataclass for each kind; :mod:`mg_models.training.losses` computes them."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class NegativeIcSpec:
    """Minus the daily correlation of prediction and label.

    Attributes
    ----------
    kind : str
        Name in a stored card.
    """

    kind: Literal["negative_ic"] = "negative_ic"


@dataclass(frozen=True)
class MultitaskIcSpec:
    """Minus the tasks' correlations with the label, plus a penalty on those with each other.

    Attributes
    ----------
    correlation_penalty : float
        Weight of each pair's correlation.
    kind : str
        Name in a stored card.
    """

    correlation_penalty: float = 0.01
    kind: Literal["multitask_ic"] = "multitask_ic"


@dataclass(frozen=True)
class SquaredErrorSpec:
    """Squared error, the mean over heads where there are several.

    Attributes
    ----------
    kind : str
        Name in a stored card.
    """

    kind: Literal["squared_error"] = "squared_error"


@dataclass(frozen=True)
class RankWeightedErrorSpec:
    """Squared error with weight ``0.5 ** (halvings * rank / n)``, rank 0 being the highest return of the day.

    Attributes
    ----------
    halvings : float
        How often the weight halves from the highest return to the lowest.
    kind : str
        Name in a stored card.
    """

    halvings: float = 2.0
    kind: Literal["rank_weighted_error"] = "rank_weighted_error"


@dataclass(frozen=True)
class ResidualLearningLossSpec:
    """Squared error, plus the weighted reconstruction and contrastive losses.

    Attributes
    ----------
    reconstruction : float
        The report's lambda_1: weight of the mean square of each granularity's input less its reconstruction from the
        coarser one.
    contrast : float
        Weight of the contrastive loss, where the combination is ``"contrastive"``.
    kind : str
        Name in a stored card.
    """

    reconstruction: float = 0.05
    contrast: float = 0.1
    kind: Literal["residual_learning_error"] = "residual_learning_error"


LossSpec = NegativeIcSpec | MultitaskIcSpec | SquaredErrorSpec | RankWeightedErrorSpec | ResidualLearningLossSpec

LOSSES: dict[str, type] = {c.kind: c for c in LossSpec.__args__}
