"""What a model reads on a day: the windows of every eligible stock, and their labels.

Training, validation and prediction all read through :class:`Dataset`, so that a model sees in prediction what it saw in
training.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mg_models.data.fingerprint import InputRecord, array_digest
from mg_models.data.label_transforms import NEUTRAL, STYLES, as_heads, neutral, rank_weights, transform
from mg_models.data.panel import Panel, PeriodPanel, common_axes
from mg_models.data.panel_windows import Window, Windows, WindowView, as_tensor, zscore_steps
from mg_models.errors import InputError
from mg_models.specs.losses import RankWeightedErrorSpec
from mg_models.specs.model import ModelSpec


@dataclass(frozen=True)
class Batch:
    """Rows of some whole days (or of a part of one), the rows of a day contiguous.

    Attributes
    ----------
    windows : dict of str to Tensor or WindowView (steps, rows, features)
        A view of the panel on a CPU; see :mod:`mg_models.data.panel_windows`.
    label : Tensor (rows, horizons)
        Transformed per day over the day's rows.
    day : Tensor of int64 (rows,)
        0..days-1.
    days : int
    weight : Tensor (rows, horizons) or None
        Of each row in the loss, where the loss has weights.
    """

    windows: dict[str, Window]
    label: Tensor
    day: Tensor
    days: int
    weight: Tensor | None = None

    def take(self, rows: np.ndarray) -> "Batch":
        """Some rows, by ascending index."""
        at = torch.from_numpy(rows).to(self.label.device)
        return Batch(
            {n: w.take(rows) if isinstance(w, WindowView) else w.index_select(1, at) for n, w in self.windows.items()},
            self.label[at],
            self.day[at],
            self.days,
            None if self.weight is None else self.weight[at],
        )


class Dataset:
    """A model's inputs (and labels) on one device.

    Parameters
    ----------
    spec : ModelSpec
    inputs : mapping of str to Panel or PeriodPanel
        Every panel that the model names; others are ignored.
    labels : ndarray (D, S) or (D, S, horizons), optional
        Raw returns, NaN where a stock has none. Needed for batches.
    eligible : ndarray of bool (D, S), optional
        From :func:`eligible_rows`, where a caller has it already.
    device : str

    Raises
    ------
    InputError
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
        chosen = select_inputs(spec, inputs)
        self.spec = spec
        self.device = device
        self.days, self.symbols = common_axes(chosen)
        self.eligible = eligible_rows(spec, chosen) if eligible is None else eligible
        self.features = {i.panel: chosen[i.panel].features for i in spec.inputs}
        self._style_columns = _style_columns(spec, self.features)
        self._windows = {i.panel: Windows(chosen[i.panel], i, device) for i in spec.inputs}
        self.labels = None if labels is None else as_heads(spec, labels, self.eligible.shape)

    def rows(self, day: int) -> np.ndarray:
        """The eligible stocks of a day, ascending indices ``(rows,)``."""
        return np.flatnonzero(self.eligible[day])

    def windows(self, day: int) -> dict[str, Window]:
        """The standardised windows of a day's :meth:`rows`, ``{input: (steps, rows, features)}``."""
        return self._read([day], [self.rows(day)])

    def _read(self, days: Sequence[int], chosen: Sequence[np.ndarray]) -> dict[str, Window]:
        """Windows of some stocks of some days, scaled over every eligible stock of each day."""
        everyone = [self.rows(day) for day in days]
        if self.device == "cpu":
            return {name: window.view(days, everyone, chosen) for name, window in self._windows.items()}
        out: dict[str, Window] = {}
        for name, window in self._windows.items():
            parts = []
            for day, rows, wanted in zip(days, everyone, chosen, strict=True):
                whole = window.gather(day, torch.from_numpy(rows).to(self.device))
                at = torch.from_numpy(np.searchsorted(rows, wanted)).to(self.device)
                parts.append(whole if len(wanted) == len(rows) else whole.index_select(1, at))
            out[name] = parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)
        return out

    def input_records(self, day: int) -> dict[str, InputRecord]:
        """What :meth:`windows` of a day read, by input: the panels' values before any scaling."""
        rows = torch.from_numpy(self.rows(day)).to(self.device)
        symbols = self.symbols[self.rows(day)].tolist()
        return {
            name: InputRecord(
                str(self.days[day]),
                window.reach(day),
                len(rows),
                array_digest([window.raw(day, rows).cpu().numpy()], symbols),
            )
            for name, window in self._windows.items()
        }

    def label(self, day: int) -> np.ndarray:
        """The raw labels of a day's :meth:`rows`, ``(rows, horizons)`` float64, NaN where there is none."""
        if self.labels is None:
            raise InputError("this dataset has no labels")
        return np.asarray(self.labels[day][self.rows(day)], np.float64)

    def batch(self, days: Sequence[int]) -> Batch:
        """The labelled rows of some days: those with a label of every horizon.

        Inputs are z-scored over every eligible stock, labelled or not, as in prediction; labels over the stocks that
        have both.

        Parameters
        ----------
        days : sequence of int

        Returns
        -------
        Batch
        """
        labels, owners, weights, chosen = [], [], [], []
        loss = self.spec.loss
        for at, day in enumerate(days):
            raw = self.label(day)  # (rows, horizons)
            has = np.isfinite(raw).all(1)
            chosen.append(self.rows(day)[has])
            label = transform(self.spec.label.transform, raw[has])
            labels.append(neutral(label, self._styles(day)[has]) if self._style_columns else label)
            owners.append(np.full(int(has.sum()), at))
            if isinstance(loss, RankWeightedErrorSpec):
                weights.append(rank_weights(raw[has], loss.halvings))
        owner = torch.from_numpy(np.concatenate(owners)).to(self.device)
        weight = self._float32(weights) if weights else None
        return Batch(self._read(days, chosen), self._float32(labels), owner, len(days), weight)

    def _styles(self, day: int) -> np.ndarray:
        """The styles of a neutral label, of a day's :meth:`rows`, z-scored and clipped at 3, ``(rows, K)``."""
        today = as_tensor(self.windows(day)[self.spec.inputs[0].panel])[-1:, :, self._style_columns]
        return zscore_steps(today, 3.0)[0].cpu().double().numpy()

    def _float32(self, parts: list[np.ndarray]) -> Tensor:
        return torch.from_numpy(np.concatenate(parts).astype(np.float32)).to(self.device)

    def batches(self, order: np.ndarray) -> Iterator[list[int]]:
        """Days in ``order`` in groups of whole days, as large as the model's batches.

        ``batch_days`` days each; without it, a group closes with the day that brings it nearest to
        ``batch_rows`` rows and has at least one day. Parts of a day are cut later, by :meth:`parts`.

        Yields
        ------
        list of int
        """
        size = 1 if self.spec.batch_stocks else self.spec.batch_days
        if size:
            yield from (order[at : at + size].tolist() for at in range(0, len(order), size))
            return
        group: list[int] = []
        rows = 0
        for day in order.tolist():
            count = int(self.eligible[day].sum())
            if group and rows + count / 2 > self.spec.batch_rows:
                yield group
                group, rows = [], 0
            group.append(day)
            rows += count
        if group:
            yield group

    def parts(self, batch: Batch, generator: np.random.Generator) -> Iterator[Batch]:
        """A batch, or random parts of it of nearly equal size, each of at most ``batch_stocks`` rows."""
        most = self.spec.batch_stocks
        rows = len(batch.day)
        if not most or rows <= most:
            yield batch
            return
        for part in np.array_split(generator.permutation(rows), -(-rows // most)):
            yield batch.take(np.sort(part))


def select_inputs(spec: ModelSpec, inputs: Mapping[str, Panel | PeriodPanel]) -> dict[str, Panel | PeriodPanel]:
    """The panels that a model names, its universe among them, in its order.

    Returns
    -------
    dict of str to Panel or PeriodPanel

    Raises
    ------
    InputError
        One of them is missing or no panel, or its features do not divide into the steps of a day.
    """
    names = [i.panel for i in spec.inputs] + ([spec.universe] if spec.universe else [])
    if not isinstance(inputs, Mapping):
        given = type(inputs).__name__
        raise InputError(f"{spec.name}: inputs was a {given}, expected panels by name: {{{names[0]!r}: ..}}")
    lacking = [n for n in names if n not in inputs]
    if lacking:
        raise InputError(f"{spec.name} needs the inputs {lacking}, was given {sorted(inputs)}")
    for n in names:
        if not isinstance(inputs[n], Panel | PeriodPanel):
            given = type(inputs[n]).__name__
            raise InputError(f"{spec.name}: input {n!r} was a {given}, expected a Panel: give Panel.from_frame(..)")
    for i in spec.inputs:
        wide = len(inputs[i.panel].features)
        if wide % i.per_day:
            raise InputError(
                f"{spec.name}: input {i.panel!r} has {wide} features a day, no multiple of its {i.per_day} steps a day"
            )
    return {n: inputs[n] for n in names}


def _style_columns(spec: ModelSpec, features: Mapping[str, Sequence[str]]) -> list[int]:
    """Columns of a neutral label's styles in a step of the first input; none for another label."""
    if spec.label.transform != NEUTRAL:
        return []
    panel = spec.inputs[0].panel
    lacking = [s for s in STYLES if s not in features[panel]]
    if lacking:
        raise InputError(
            f"{spec.name}: a {NEUTRAL} label needs the features {lacking} of its first input, {panel!r}, which has "
            f"{', '.join(features[panel])}"
        )
    return [features[panel].index(s) for s in STYLES]


def step_features(spec: ModelSpec, features: Mapping[str, Sequence[str]]) -> dict[str, int]:
    """Number of features of one step of each input."""
    return {i.panel: len(features[i.panel]) // i.per_day for i in spec.inputs}


def eligible_rows(spec: ModelSpec, inputs: Mapping[str, Panel | PeriodPanel]) -> np.ndarray:
    """The eligible stocks of each day: those with enough of every input, in the universe.

    The rule is that of :meth:`Panel.eligible`: a row on the day itself, and at least ``min_share`` of the window's
    rows.

    Returns
    -------
    ndarray of bool (D, S)
    """
    masks = [inputs[i.panel].eligible(i.rows, i.min_share, bars=i.scale == "last_value") for i in spec.inputs]
    if spec.universe:
        masks.append(inputs[spec.universe].valid())
    return np.logical_and.reduce(masks)


def usable_days(spec: ModelSpec, eligible: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Days on which enough stocks have inputs and every label, and the labels vary, ``(D,)`` bool."""
    out = np.zeros(len(labels), bool)
    for day, (mask, label) in enumerate(zip(eligible, as_heads(spec, labels, eligible.shape), strict=True)):
        some = label[mask & np.isfinite(label).all(1)]  # (rows, horizons)
        out[day] = len(some) >= spec.min_stocks and bool((np.ptp(some, axis=0) > 0).all())
    return out
