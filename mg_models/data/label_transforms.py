"""A day's raw returns turned into training labels, and their weights in the loss."""

import numpy as np
import torch

from mg_axes import bare
from mg_models.data.day_statistics import ranks, zscore_stocks
from mg_models.errors import InputError
from mg_models.specs.model import ModelSpec

NEUTRAL = "neutral_normal_rank"
STYLES = ("amount_20", "beta_60", "mom_240_20")
"""Features of ``price_volume`` that a neutral label is free of: liquidity, market risk, momentum."""


def as_heads(spec: ModelSpec, labels: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Labels with an axis of horizons; ``(D, S)`` is accepted for one horizon.

    Parameters
    ----------
    spec : ModelSpec
    labels : ndarray (D, S) or (D, S, horizons)
    shape : tuple of int
        (D, S) of the inputs.

    Returns
    -------
    ndarray (D, S, horizons)

    Raises
    ------
    InputError
        Another shape.
    """
    labels = np.asarray(bare("labels", labels, InputError))
    heads = len(spec.label.horizons)
    given = labels[..., None] if labels.ndim == 2 and heads == 1 else labels
    if given.shape != (*shape, heads):
        raise InputError(
            f"{spec.name}: labels must be {(*shape, heads)} (days, stocks, horizons {list(spec.label.horizons)}) "
            f"like the inputs, was {labels.shape}"
        )
    return given


def transform(kind: str, raw: np.ndarray) -> np.ndarray:
    """One day's returns as labels.

    Parameters
    ----------
    kind : {"zscore", "rank", "normal_rank", "neutral_normal_rank"}
        ``rank``: ranks, ties at their average. ``normal_rank``: the normal quantile of
        ``(rank - 0.5) / n``, ranks from 1; ``neutral_normal_rank`` begins as that (:func:`neutral` follows).
        All are z-scored in the end, population std.
    raw : ndarray (rows, horizons)
        Every one finite.

    Returns
    -------
    ndarray of float64 (rows, horizons)
        Mean 0 and std 1 per horizon; 0 where the returns do not vary.
    """
    columns = raw.T
    if kind != "zscore":
        columns = np.stack([ranks(c) for c in columns])  # (horizons, rows)
    if kind in ("normal_rank", NEUTRAL):
        columns = torch.special.ndtri(torch.from_numpy((columns - 0.5) / len(raw))).numpy()
    return zscore_stocks(columns).T


def neutral(label: np.ndarray, styles: np.ndarray) -> np.ndarray:
    """Residuals of labels ``(rows, horizons)`` on an intercept and ``styles (rows, K)``, z-scored again."""
    regressors = np.column_stack([np.ones(len(styles)), styles])  # (rows, 1 + K)
    fitted = regressors @ np.linalg.lstsq(regressors, label, rcond=None)[0]
    return zscore_stocks((label - fitted).T).T


def rank_weights(raw: np.ndarray, halvings: float) -> np.ndarray:
    """``0.5 ** (halvings * rank / n)`` of each return, rank 0 being the day's highest, ``(rows, horizons)``."""
    rows = len(raw)
    rank = np.stack([rows - ranks(c) for c in raw.T])  # (horizons, rows), 0 the highest
    return 0.5 ** (halvings * rank.T / rows)
