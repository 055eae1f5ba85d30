"""RankIC of a day's scores with the labels that are known."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from mg_assets.errors import MgError
from mg_assets.lake.store import Lake
from mg_models.data.day_statistics import rank_ic

SECTION = 20  # stocks


def label_rank_ic(scores: pd.DataFrame, labels: pd.DataFrame, names: Sequence[str]) -> np.ndarray:
    """RankIC of scores with each label.

    Parameters
    ----------
    scores : DataFrame
        ``symbol`` and ``score``.
    labels : DataFrame
        ``symbol`` and the labels of the same day.
    names : sequence of str (H,)
        Columns of ``labels``.

    Returns
    -------
    ndarray of float64 (2, H)
        RankIC, NaN where fewer than 20 stocks have both or one of the two does not vary; and the number of stocks.
    """
    scores, labels = scores.drop_duplicates("symbol"), labels.drop_duplicates("symbol")
    at = pd.Index(labels["symbol"]).get_indexer(scores["symbol"])
    score = np.where(at >= 0, scores["score"].to_numpy(np.float64), np.nan)
    out = np.full((2, len(names)), np.nan)
    for h, name in enumerate(names):
        label = labels[name].to_numpy(np.float64)[at] if len(labels) else np.full(len(score), np.nan)
        both = np.isfinite(score) & np.isfinite(label)
        if both.sum() >= SECTION and np.ptp(score[both]) > 0 and np.ptp(label[both]) > 0:
            out[:, h] = rank_ic(score[both], label[both]), both.sum()
    return out


def known_rank_ic(lake: Lake, key: str, scores: pd.DataFrame, horizons: Sequence[int]) -> dict[str, float]:
    """RankIC of a day's scores with the labels of the day that the lake has already.

    Parameters
    ----------
    lake : Lake
    key : str
        The day.
    scores : DataFrame
        ``symbol`` and ``score``.
    horizons : sequence of int
        Of the labels, in trading days.

    Returns
    -------
    dict of str to float
        ``rank_ic_5d`` and so on, without a label whose exit is not in the lake yet: it is null for every stock.
    """
    if not len(scores) or not lake.has("labels", key):
        return {}
    names = [f"ret_{h}" for h in horizons]
    try:
        labels = lake.day("labels", key, ["symbol", *names])
    except MgError:  # labels that cannot be read are the labels' failure
        return {}
    found = label_rank_ic(scores, labels, names)[0]
    return {f"rank_ic_{h}d": round(float(v), 4) for h, v in zip(horizons, found, strict=True) if np.isfinite(v)}
