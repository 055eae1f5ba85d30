"""Parts of a catalog entry about data: inputs, the label, and the split of the days."""

import datetime as dt
from dataclasses import dataclass, field
from typing import Literal

from mg_models.errors import CatalogError

Scale = Literal["none", "last_value"]
ALL_HISTORY = 20_000  # trading days: a window of so many is whatever there is
OPTIONAL = {"optional": True}
"""Metadata of a field that was added to a specification: at its default it is in no hash and no card."""


@dataclass(frozen=True)
class InputSpec:
    """One input of a model.

    Attributes
    ----------
    panel : str
        Key of the panel in the ``inputs`` that training and prediction are given.
    steps : int
        Window length. In rows of the panel, times ``per_day``.
    scale : {"none", "last_value"}
        ``"none"``: the values are already preprocessed per day. ``"last_value"``: each feature's
        series is divided by its own last value, then z-scored over stocks per day and step.
    clip : float or None
        Bound on the z-scores of ``"last_value"``.
    min_share : float
        Share of the window's rows that an eligible stock must have.
    per_day : int
        Steps in one row of the panel, one after another: 8 for half-hours. Such a row has ``per_day`` times the
        features of a step.
    columns : tuple of str
        The panel's features by name, where whoever makes the panel lets a model choose them; else all it has.

    Raises
    ------
    CatalogError
        ``steps`` is no multiple of ``per_day``, or rows of several steps are to be divided by their last.
    """

    panel: str
    steps: int
    scale: Scale = "none"
    clip: float | None = None
    min_share: float = 0.6
    per_day: int = 1
    columns: tuple[str, ...] = field(default=(), metadata=OPTIONAL)

    def __post_init__(self) -> None:
        if self.steps % self.per_day:
            raise CatalogError(
                f"input {self.panel}: steps must be a multiple of {self.per_day}, its steps a day, was {self.steps}"
            )
        if self.scale == "last_value" and self.per_day > 1:
            raise CatalogError(
                f"input {self.panel}: scale 'last_value' is for rows of one step, has {self.per_day} a day; use 'none' "
                "on values standardised before"
            )

    @property
    def rows(self) -> int:
        """Rows of the panel in a window: days, weeks or months."""
        return self.steps // self.per_day


@dataclass(frozen=True)
class LabelSpec:
    """The return that a model learns, and how it is transformed.

    Attributes
    ----------
    horizons : tuple of int
        Trading days of the returns, from T+1 to T+1+horizon; a head for each where there are several.
    price : {"vwap", "close"}
        Price of entry and exit.
    transform : {"zscore", "rank", "normal_rank", "neutral_normal_rank"}
        Of a day's raw returns over its stocks: z-scored; ranked, then z-scored; ranked, mapped to
        normal quantiles, then z-scored; or the residual of that on the style features of the first input
        (:data:`~mg_models.data.label_transforms.STYLES`).
    """

    horizons: tuple[int, ...] = (10,)
    price: Literal["vwap", "close"] = "vwap"
    transform: Literal["zscore", "rank", "normal_rank", "neutral_normal_rank"] = "zscore"


@dataclass(frozen=True)
class SplitSpec:
    """How a retrain's days are divided; see :mod:`mg_models.data.splits`.

    Attributes
    ----------
    every : int
        Sample every so many trading days.
    valid_share : float
        The last part of the samples, in time order, that validates, where the window expands.
    train_days, valid_days : int
        Fixed lengths of a rolling window, trading days; 0: the window expands. :data:`ALL_HISTORY` for ``train_days``
        is every day before those that validate.
    min_train_days, min_valid_days : int
        A retrain with fewer sampled days is refused.
    since : str
        First day that may be sampled, ISO; empty: the first with inputs and labels.
    """

    every: int = 5
    valid_share: float = 0.2
    train_days: int = 0
    valid_days: int = 0
    min_train_days: int = 20
    min_valid_days: int = 5
    since: str = field(default="", metadata=OPTIONAL)

    def __post_init__(self) -> None:
        if bool(self.train_days) != bool(self.valid_days):
            raise CatalogError(
                f"train_days and valid_days must both be given or both be 0, was {self.train_days} and "
                f"{self.valid_days}"
            )
        try:
            dt.date.fromisoformat(self.since or "2013-01-01")
        except ValueError:
            raise CatalogError(f"since must be a date as 2013-01-01, or nothing, was {self.since!r}") from None
