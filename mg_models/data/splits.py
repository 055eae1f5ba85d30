"""Which days train, validate and test a half-year's model.

A worked example with ``horizon=10`` and ``2017H1``. The label of day T is the return from T+1 to
T+11, so it is available at the close of T+11. The last validation day is therefore the twelfth
trading day before 2017-01-03 (the first of the half-year): an embargo of eleven days, ``horizon + 1``,
precedes the cut. Likewise eleven days are purged between training and validation, so that no training
label becomes available only after validation has begun. Days are sampled every fifth from the first day that
has inputs; the last fifth of the samples, in time order, validates. The window expands: a later
half-year keeps the same samples and adds new ones.

With fixed lengths the window rolls: the ``valid_days`` trading days before the half-year validate and the
``train_days`` before them train, each less an embargo of its last ``horizon + 1`` days (one more than
series 69 drops: the label of T is available at the close of T + horizon + 1). A history too short for the training days
is used as far as it goes, and :func:`short_history` says how far that was.

Source: Huatai series 72, chart 44 (4:1, every fifth day, half-yearly); series 69, chart 8 (252*6 and 252*2 days, the
dropped days; its 126 test days are a half-year here); Haitong series 87 (1,200 and 120 days).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from mg_models.errors import LeakageError, TrainingError
from mg_models.specs.data import ALL_HISTORY, SplitSpec


@dataclass(frozen=True)
class Split:
    """The days of a retrain, as indices into the days axis.

    Attributes
    ----------
    retrain : str
        Half-year, ``2017H1``.
    train, valid : ndarray of int64
        Sampled days that train and that validate.
    test : ndarray of int64
        Every day of the half-year that the data has.
    days : dict of str to dict of str to int
        Of a rolling window: for ``train`` and ``valid``, trading days ``asked`` by the entry and ``had``; the
        embargo counts among them.
    """

    retrain: str
    train: np.ndarray
    valid: np.ndarray
    test: np.ndarray
    days: dict[str, dict[str, int]] = field(default_factory=dict)


def short_history(days: Mapping[str, Mapping[str, int]]) -> str:
    """Say that a training had fewer days than its entry asks for.

    Parameters
    ----------
    days : mapping
        As :attr:`Split.days`, ``days`` in a model's card, and ``days`` in the metadata of its partition in a lake.

    Returns
    -------
    str
        As ``1,512 training days asked, 700 had``, each part that is short; empty where none is.
    """
    names = {"train": "training", "valid": "validation"}
    return "; ".join(
        f"{of['asked']:,} {names[part]} days asked, {of['had']:,} had"
        for part, of in days.items()
        if of["had"] < of["asked"]
    )


def period_start(retrain: str) -> np.datetime64:
    """First calendar day of a half-year: ``2017-01-01`` for ``2017H1``, ``2017-07-01`` for ``2017H2``.

    Returns
    -------
    numpy.datetime64

    Raises
    ------
    TrainingError
        The key is not a year, ``H``, and 1 or 2.
    """
    found = re.fullmatch(r"(\d{4})H([12])", str(retrain))
    if not found:
        raise TrainingError(f"retrain must be a half-year like '2017H1', was {retrain!r}")
    return np.datetime64(f"{found[1]}-{'01' if found[2] == '1' else '07'}-01", "D")


def period_end(retrain: str) -> np.datetime64:
    """Last calendar day of a half-year."""
    return (period_start(retrain).astype("datetime64[M]") + 6).astype("datetime64[D]") - 1


def split(
    days: np.ndarray,
    retrain: str,
    horizon: int,
    spec: SplitSpec,
    label_end: np.ndarray | None = None,
    usable: np.ndarray | None = None,
) -> Split:
    """Train, validation and test days of one retrain.

    Parameters
    ----------
    days : ndarray of datetime64[D] (D,)
        Every trading day of the data, ascending.
    retrain : str
        A half-year, ``2017H1``.
    horizon : int
        Of the label, trading days.
    spec : SplitSpec
    label_end : ndarray of datetime64[D] (D,), optional
        The day at whose close each label is available; NaT where it is not yet.
    usable : ndarray of bool (D,), optional
        Days with inputs and labels of enough stocks. Sampling starts at the first.

    Returns
    -------
    Split

    Raises
    ------
    TrainingError
        Too few sampled days before the cut.
    LeakageError
        A label is available only after the embargo, by ``label_end``.
    """
    days = np.asarray(days, "datetime64[D]")
    usable = np.ones(len(days), bool) if usable is None else np.asarray(usable, bool)
    usable = usable & (days >= np.datetime64(spec.since)) if spec.since else usable
    start = period_start(retrain)
    cut = int(np.searchsorted(days, start))
    gap = horizon + 1
    first = int(np.argmax(usable)) if usable.any() else len(days)
    samples = _rolling(cut, first, gap, spec) if spec.train_days else _expanding(cut, first, gap, spec, usable)
    train, valid = (part[usable[part]] for part in samples)
    if len(train) < spec.min_train_days or len(valid) < spec.min_valid_days:
        begin = str(days[first]) if first < len(days) else "none"
        raise TrainingError(
            f"retrain {retrain}: {len(train)} training and {len(valid)} validation days (every {spec.every} trading "
            f"days from {begin}, {gap} days of embargo twice), needs {spec.min_train_days} and {spec.min_valid_days}; "
            f"give it a longer history, a later half-year, or override min_train_days, min_valid_days or every"
        )
    if label_end is not None:
        _no_leak(days, label_end, valid, start, f"the cut of {retrain}")
        _no_leak(days, label_end, train, days[valid[0]], "the first validation day")
    stop = int(np.searchsorted(days, period_end(retrain), side="right"))
    return Split(retrain, train, valid, np.arange(cut, stop), _asked_and_had(cut, first, spec))


def _expanding(cut: int, first: int, gap: int, spec: SplitSpec, usable: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    samples = np.arange(first, max(cut - gap, first), spec.every)
    samples = samples[usable[samples]]
    valid = samples[len(samples) - round(len(samples) * spec.valid_share) :]
    return samples[samples < valid[0] - gap] if len(valid) else samples[:0], valid


def _rolling(cut: int, first: int, gap: int, spec: SplitSpec) -> tuple[np.ndarray, np.ndarray]:
    middle = max(cut - spec.valid_days, first)
    begin = max(middle - spec.train_days, first)
    return np.arange(begin, max(middle - gap, begin), spec.every), np.arange(middle, max(cut - gap, middle), spec.every)


def _asked_and_had(cut: int, first: int, spec: SplitSpec) -> dict[str, dict[str, int]]:
    middle = max(cut - spec.valid_days, first)
    asked = {"train": (spec.train_days, min(spec.train_days, middle - first)), "valid": (spec.valid_days, cut - middle)}
    return {part: {"asked": a, "had": max(h, 0)} for part, (a, h) in asked.items() if 0 < a < ALL_HISTORY}


def label_end_days(days: np.ndarray, horizon: int) -> np.ndarray:
    """The day at whose close each day's label is available, ``(D,)``; NaT where the data ends before."""
    out = np.full(len(days), np.datetime64("NaT"), "datetime64[D]")
    gap = horizon + 1
    out[: max(len(days) - gap, 0)] = np.asarray(days, "datetime64[D]")[gap:]
    return out


def _no_leak(days: np.ndarray, label_end: np.ndarray, used: np.ndarray, before: np.datetime64, what: str) -> None:
    ends = np.asarray(label_end, "datetime64[D]")[used]
    late = ~(ends < before)  # NaT is late too
    if late.any():
        at = int(np.flatnonzero(late)[0])
        raise LeakageError(
            f"the label of {days[used[at]]} is available on {ends[at]}, not before {what} ({before}); "
            f"the labels' horizon must be the model's"
        )
