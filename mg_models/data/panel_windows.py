"""Windows of whole days' cross-sections, read by index from a resident panel.

On a CPU a batch is a :class:`WindowView`: which rows of the panel it reads and how they are scaled. The fused GRU reads
it value by value from the panel; other networks have it gathered. On a GPU, windows are gathered by torch. A gathered
window is time-major, ``(steps, rows, features)`` and contiguous, which is what a recurrent layer reads; nothing larger
than one batch is ever allocated.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from mg_models.data.panel import Panel, PeriodPanel
from mg_models.data.window_kernels import WindowArrays, gather, moments
from mg_models.simd import LANES
from mg_models.specs.data import InputSpec

EPS = 1e-6  # a step whose ratios have a smaller standard deviation over stocks (the last step: all 1) becomes 0
_NOTHING = np.zeros((0, 0, 0), np.float32)


@dataclass(frozen=True)
class WindowView:
    """The windows of some (day, stock) rows as a view into a panel: nothing is copied until they are gathered.

    Attributes
    ----------
    values : ndarray of float32 (P, S, W)
        Rows of the panel, oldest first; ``W`` is ``per_day`` times the features of a step.
    today : ndarray of float32 (D, S, W)
        Each day's last row where it is not in ``values`` (weeks and months to date); empty otherwise.
    day, end, stock : ndarray of int64 (rows,)
        The window's last row is ``values[end - 1, stock]``, or ``today[day, stock]`` after ``values[end - 1, stock]``.
    rows, per_day : int
        Rows of the panel in a window, and steps in a row.
    owner : ndarray of int64 (rows,)
        Index of the day in ``mean`` and ``inverse`` that scales a row.
    mean, inverse : ndarray of float32 (days, steps, features)
        Mean over stocks of a value divided by its window's last, and the inverse of its standard deviation; empty:
        values are not scaled.
    clip : float
        Bound on the scaled values; infinite: none.
    """

    values: np.ndarray
    today: np.ndarray
    day: np.ndarray
    end: np.ndarray
    stock: np.ndarray
    rows: int
    per_day: int
    owner: np.ndarray
    mean: np.ndarray = field(default_factory=lambda: _NOTHING)
    inverse: np.ndarray = field(default_factory=lambda: _NOTHING)
    clip: float = np.inf

    @classmethod
    def of(cls, window: Tensor) -> "WindowView":
        """A gathered window ``(steps, rows, features)``, as a panel of its own."""
        values = np.ascontiguousarray(window.detach().numpy())
        stock = np.arange(values.shape[1])
        end = np.full(len(stock), len(values))
        return cls(values, _NOTHING, end, end, stock, len(values), 1, np.zeros_like(stock))

    @property
    def shape(self) -> tuple[int, int, int]:
        """Steps, rows and features of the gathered window."""
        return self.rows * self.per_day, len(self.stock), self.values.shape[2] // self.per_day

    @cached_property
    def arrays(self) -> WindowArrays:
        """The fields as compiled loops take them."""
        count = len(self.stock)
        begins = np.flatnonzero((np.diff(self.stock) != 1) | (np.diff(self.owner) != 0)) + 1
        run = np.repeat(np.append(begins, count), np.diff(begins, prepend=0, append=count)) - np.arange(count)
        mean, inverse = (np.tile(m, (1, 1, LANES)) for m in (self.mean, self.inverse))
        return WindowArrays(
            self.values, self.today, self.day, self.end, self.stock, self.owner, run, mean, inverse, self.rows,
            self.per_day, np.float32(self.clip),
        )  # fmt: skip

    def take(self, rows: np.ndarray) -> "WindowView":
        """Some rows, by index."""
        part = {n: getattr(self, n)[rows] for n in ("day", "end", "stock", "owner")}
        return replace(self, **part)

    def tensor(self) -> Tensor:
        """The gathered window, ``(steps, rows, features)`` float32."""
        out = torch.empty(self.shape)
        gather(self.arrays, out.numpy())
        return out


Window = Tensor | WindowView


def as_tensor(window: Window) -> Tensor:
    """A window gathered, ``(steps, rows, features)``."""
    return window.tensor() if isinstance(window, WindowView) else window


class Windows:
    """Gathers one input of a model, on the device where the model runs.

    Parameters
    ----------
    panel : Panel or PeriodPanel
    spec : InputSpec
        Window length, and how a series is scaled.
    device : str
    """

    def __init__(self, panel: Panel | PeriodPanel, spec: InputSpec, device: str = "cpu"):
        self.spec = spec
        self._periods = isinstance(panel, PeriodPanel)
        if isinstance(panel, PeriodPanel):
            self._completed = _tensor(panel.completed, device)  # (P, S, F)
            self._values = _tensor(panel.to_date, device)  # (D, S, F)
            self._period_of_day = panel.period_of_day
        else:
            self._values = _tensor(panel.values, device)  # (D, S, F)
        self._moments: dict[int, tuple[np.ndarray, np.ndarray]] = {}

    def view(self, days: Sequence[int], everyone: Sequence[np.ndarray], chosen: Sequence[np.ndarray]) -> WindowView:
        """Some stocks' windows that end on some days, on a CPU.

        Parameters
        ----------
        days : sequence of int
        everyone : sequence of ndarray of int64
            Every eligible stock of each day: the z-score is over them.
        chosen : sequence of ndarray of int64
            The stocks among them whose windows are wanted.

        Returns
        -------
        WindowView
        """
        whole = self._rows(days, chosen)
        if self.spec.scale != "last_value":
            return whole
        each = [self._moments_of(day, rows) for day, rows in zip(days, everyone, strict=True)]
        mean, inverse = (np.stack(part) for part in zip(*each, strict=True))
        return replace(whole, mean=mean, inverse=inverse, clip=np.inf if self.spec.clip is None else self.spec.clip)

    def _rows(self, days: Sequence[int], chosen: Sequence[np.ndarray]) -> WindowView:
        counts = [len(rows) for rows in chosen]
        day = np.repeat(np.asarray(days, np.int64), counts)
        owner = np.repeat(np.arange(len(days)), counts)
        held = (self._completed, self._values) if self._periods else (self._values, None)
        values, today = (_NOTHING if v is None else v.numpy() for v in held)
        end = self._period_of_day[day] if self._periods else day + 1
        return WindowView(values, today, day, end, np.concatenate(chosen), self.spec.rows, self.spec.per_day, owner)

    def _moments_of(self, day: int, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean and inverse deviation of a day's ratios, ``(steps, features)`` each; cached: every epoch needs them."""
        if day not in self._moments:
            view = self._rows([day], [rows])
            steps, _, features = view.shape
            mean, inverse = np.empty((2, steps, features), np.float32)
            moments(view.arrays, EPS, mean, inverse)
            self._moments[day] = mean, inverse
        return self._moments[day]

    def gather(self, day: int, rows: Tensor) -> Tensor:
        """The standardised windows that end on a day, ``(steps, rows, features)`` float32, on any device.

        ``rows`` must be every eligible stock of that day: the z-score is over them. Steps
        before the panel's beginning and values that are not finite are 0.

        Returns
        -------
        Tensor of float32 (steps, rows, features)
        """
        raw = self.raw(day, rows)  # (steps, rows, F)
        if self.spec.scale == "last_value":
            return zscore_steps(raw / raw[-1], self.spec.clip)
        return self._steps(torch.nan_to_num_(raw, nan=0.0, posinf=0.0, neginf=0.0))

    def reach(self, day: int) -> int:
        """Number of rows of the panel in the window of a day, the day's own included."""
        past = int(self._period_of_day[day]) + 1 if self._periods else day + 1
        return min(past, self.spec.rows)

    def _steps(self, raw: Tensor) -> Tensor:
        """Rows that hold several steps, ``(days, rows, per_day * F)``, as one step after another."""
        if self.spec.per_day == 1:
            return raw
        days, rows, _ = raw.shape
        steps = raw.view(days, rows, self.spec.per_day, -1).transpose(1, 2)  # (days, per_day, rows, F)
        return steps.reshape(self.spec.steps, rows, -1)  # (steps, rows, F)

    def raw(self, day: int, rows: Tensor) -> Tensor:
        """The panel's values of the windows that end on a day, not scaled; NaN before the panel's beginning.

        Returns
        -------
        Tensor of float32 (rows of the panel, stocks, F)
        """
        steps = total = self.spec.rows
        source, end, tail = self._values, day + 1, None
        if self._periods:
            source, end = self._completed, int(self._period_of_day[day])
            tail = self._values[day].index_select(0, rows)  # (rows, F)
            steps -= 1
        begin = max(end - steps, 0)
        out = torch.full(
            (total, len(rows), self._values.shape[-1]), torch.nan, dtype=torch.float32, device=rows.device
        )  # rows of the panel, oldest first
        stop = total if tail is None else total - 1
        if end > begin:
            torch.index_select(source[begin:end], 1, rows, out=out[stop - (end - begin) : stop])
        if tail is not None:
            out[-1] = tail
        return out


def zscore_steps(values: Tensor, clip: float | None = None) -> Tensor:
    """z-score over rows per step and feature, population std.

    Parameters
    ----------
    values : Tensor (steps, rows, features)
        Values that are not finite are left out and become 0; a step without variance becomes 0.
    clip : float, optional
        Bound on the result.

    Returns
    -------
    Tensor (steps, rows, features)
    """
    finite = torch.isfinite(values)
    count = finite.sum(1, keepdim=True).clamp_(min=1)  # (steps, 1, F)
    values = torch.where(finite, values, 0.0)
    mean = values.sum(1, keepdim=True) / count
    centred = torch.where(finite, values - mean, 0.0)
    std = (centred.square().sum(1, keepdim=True) / count).sqrt_()
    scaled = torch.where(std > EPS, centred / std, 0.0)  # (steps, rows, F)
    return scaled if clip is None else scaled.clamp_(-clip, clip)


def _tensor(values: np.ndarray, device: str) -> Tensor:
    if not values.flags.writeable:
        values = values.copy()  # torch cannot wrap a read-only array
    return torch.from_numpy(np.asarray(values)).to(device)
