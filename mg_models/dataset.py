"""What a model reads on a day: the windows of every stock that takes part, and their labels.

Training, validation and prediction all read through :class:`Dataset`, so that a model sees in
prediction what it saw in training.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mg_models.catalog import ModelSpec
from mg_models.errors import DataError
from mg_models.panel import Panel, PeriodPanel, common_axes
from mg_models.scoring import zscore
from mg_models.windows import Windows


@dataclass(frozen=True)
class Batch:
    """Rows of some whole days, one day after another.

    Attributes
    ----------
    windows : dict of str to Tensor (steps, rows, features)
    label : Tensor (rows,)
        z-scored per day over the day's rows.
    day : Tensor of int64 (rows,)
        0..days-1.
    days : int
    """

    windows: dict[str, Tensor]
    label: Tensor
    day: Tensor
    days: int


class Dataset:
    """A model's inputs (and labels) on one device.

    Parameters
    ----------
    spec : ModelSpec
    inputs : mapping of str to Panel or PeriodPanel
        Every panel that the model names; others are ignored.
    labels : ndarray (D, S), optional
        Raw returns, NaN where a stock has none. Needed for batches.
    eligible : ndarray of bool (D, S), optional
        From :func:`eligible_rows`, where a caller has it already.
    device : str

    Raises
    ------
    DataError
        A missing input, or labels off the inputs' axes.
    """

    def __init__(
        self,
        spec: ModelSpec,
        inputs: Mapping[str, Panel | PeriodPanel],
        labels: np.ndarray | None = None,
        eligible: np.ndarray | None = None,
        device: str = "cpu",
    ):
        chosen = model_inputs(spec, inputs)
        self.spec = spec
        self.device = device
        self.days, self.symbols = common_axes(chosen)
        self.eligible = eligible_rows(spec, chosen) if eligible is None else eligible
        self.features = {name: panel.features for name, panel in chosen.items()}
        self._windows = {i.panel: Windows(chosen[i.panel], i, device) for i in spec.inputs}
        if labels is not None and labels.shape != self.eligible.shape:
            raise DataError(
                f"labels must be {self.eligible.shape} like the inputs' days and stocks, was {labels.shape}"
            )
        self.labels = labels

    def rows(self, day: int) -> np.ndarray:
        """Stocks that take part on a day, ascending indices ``(rows,)``."""
        return np.flatnonzero(self.eligible[day])

    def windows(self, day: int) -> dict[str, Tensor]:
        """The standardised windows of a day's :meth:`rows`, ``{input: (steps, rows, features)}``."""
        rows = torch.from_numpy(self.rows(day)).to(self.device)
        return {name: window.gather(day, rows) for name, window in self._windows.items()}

    def label(self, day: int) -> np.ndarray:
        """The raw labels of a day's :meth:`rows`, ``(rows,)`` float64, NaN where there is none."""
        if self.labels is None:
            raise DataError("this dataset was made without labels")
        return np.asarray(self.labels[day][self.rows(day)], np.float64)

    def batch(self, days: Sequence[int]) -> Batch:
        """The labelled rows of some days.

        Inputs are z-scored over every stock with inputs, labelled or not, as in prediction; labels
        over the stocks that have both.
        """
        windows: dict[str, list[Tensor]] = {name: [] for name in self._windows}
        labels, owners = [], []
        for at, day in enumerate(days):
            raw = self.label(day)
            has = np.isfinite(raw)
            kept = None if has.all() else torch.from_numpy(np.flatnonzero(has)).to(self.device)
            for name, window in self.windows(day).items():
                windows[name].append(window if kept is None else window.index_select(1, kept))
            labels.append(zscore(raw[has]))
            owners.append(np.full(int(has.sum()), at))
        label = torch.from_numpy(np.concatenate(labels).astype(np.float32)).to(self.device)
        owner = torch.from_numpy(np.concatenate(owners)).to(self.device)
        joined = {n: parts[0] if len(parts) == 1 else torch.cat(parts, dim=1) for n, parts in windows.items()}
        return Batch(joined, label, owner, len(days))

    def batches(self, order: np.ndarray, rows: int) -> Iterator[list[int]]:
        """Days in ``order`` in groups of whole days, each of about ``rows`` rows and at least one day.

        A group closes with the day that brings it nearest to ``rows``.
        """
        group: list[int] = []
        size = 0
        for day in order.tolist():
            count = int(self.eligible[day].sum())
            if group and size + count / 2 > rows:
                yield group
                group, size = [], 0
            group.append(day)
            size += count
        if group:
            yield group


def model_inputs(spec: ModelSpec, inputs: Mapping[str, Panel | PeriodPanel]) -> dict[str, Panel | PeriodPanel]:
    """The panels that a model names, in its order.

    Raises
    ------
    DataError
        One of them is missing.
    """
    lacking = [i.panel for i in spec.inputs if i.panel not in inputs]
    if lacking:
        raise DataError(f"{spec.name} needs the inputs {lacking}, was given {sorted(inputs)}")
    return {i.panel: inputs[i.panel] for i in spec.inputs}


def eligible_rows(spec: ModelSpec, inputs: Mapping[str, Panel | PeriodPanel]) -> np.ndarray:
    """Stocks that take part on each day, ``(D, S)`` bool: those with enough of every input.

    The rule is that of :meth:`Panel.eligible`: a row on the day itself, and at least ``min_share``
    of the window's steps.
    """
    masks = [inputs[i.panel].eligible(i.steps, i.min_share, bars=i.scale == "last_value") for i in spec.inputs]
    return np.logical_and.reduce(masks)


def usable_days(spec: ModelSpec, eligible: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Days on which enough stocks have inputs and labels, and the labels vary, ``(D,)`` bool."""
    out = np.zeros(len(labels), bool)
    for day, (mask, label) in enumerate(zip(eligible, labels, strict=True)):
        some = label[mask & np.isfinite(label)]
        out[day] = len(some) >= spec.min_stocks and np.ptp(some) > 0
    return out
