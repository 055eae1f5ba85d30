"""Windows of a whole day's cross-section, gathered by index from a resident panel.

A window is time-major, ``(steps, rows, features)`` and contiguous, which is what a recurrent layer
reads. Nothing larger than one batch is ever made.
"""

import numpy as np
import torch
from torch import Tensor

from mg_models.panel import Panel, PeriodPanel
from mg_models.specs import InputSpec

EPS = 1e-6  # a step whose ratio has a smaller standard deviation over stocks (the last one: all 1) becomes 0


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

    def gather(self, day: int, rows: Tensor) -> Tensor:
        """The standardised windows that end on a day, ``(steps, rows, features)`` float32, features of a step.

        ``rows`` must be every stock that takes part that day: the z-score is over them. Steps
        before the panel's beginning and values that are not finite are 0.
        """
        raw = self.raw(day, rows)  # (steps, rows, F)
        if self.spec.scale == "last_value":
            return standardise(raw / raw[-1], self.spec.clip)
        return self._steps(torch.nan_to_num_(raw, nan=0.0, posinf=0.0, neginf=0.0))

    def reach(self, day: int) -> int:
        """Rows of the panel that the window of a day holds, the day's own among them."""
        past = int(self._period_of_day[day]) + 1 if self._periods else day + 1
        return min(past, self.spec.rows)

    def _steps(self, raw: Tensor) -> Tensor:
        """Rows of several steps side by side ``(days, rows, per_day * F)`` as one step after another."""
        if self.spec.per_day == 1:
            return raw
        days, rows, _ = raw.shape
        steps = raw.view(days, rows, self.spec.per_day, -1).transpose(1, 2)  # (days, per_day, rows, F)
        return steps.reshape(self.spec.steps, rows, -1)  # (steps, rows, F)

    def raw(self, day: int, rows: Tensor) -> Tensor:
        """The panel's values of the windows that end on a day, ``(rows of the panel, stocks, F)`` float32.

        Nothing is computed; NaN before the panel's beginning.
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


def standardise(values: Tensor, clip: float | None = None) -> Tensor:
    """z-score over rows per step and feature, population std, in place of ``(steps, rows, features)``.

    Values that are not finite take no part and become 0; a step without variance becomes 0. ``clip``
    bounds the result.
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
