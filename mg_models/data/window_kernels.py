"""Compiled reads of windows where they lie in a panel: a step of some rows at a time, scaled on the way.

No window is ever whole in memory unless it is gathered (:func:`gather`). ``windows`` is everywhere a
:class:`WindowArrays`.
"""

from typing import NamedTuple

import numpy as np
from numba import njit

from mg_models import simd
from mg_models.kernel_cache import cached_njit
from mg_models.simd import LANES, copy, copy_scaled, prefetch

TILE = 48
"""Rows read at a time; 32 to 96 differ by a few percent. A multiple of 8."""
ZERO = np.float32(0.0)

kernel = cached_njit(__file__, simd.__file__)


class WindowArrays(NamedTuple):
    """The fields of a :class:`mg_models.data.panel_windows.WindowView`, documented there, as the loops take them.

    ``run`` is, for each row, the number of rows from it on that are contiguous in the panel; ``mean`` and ``inverse``
    hold each step's values repeated :data:`~mg_models.simd.LANES` times.
    """

    values: np.ndarray
    today: np.ndarray
    day: np.ndarray
    end: np.ndarray
    stock: np.ndarray
    owner: np.ndarray
    run: np.ndarray
    mean: np.ndarray
    inverse: np.ndarray
    rows: int
    per_day: int
    clip: np.float32


@njit(nogil=True)
def locate(windows, step):
    """Where a step of every row's window lies: the array, the rows' indices in it and what to take off them."""
    back = windows.rows - step // windows.per_day  # 1 for the last row
    if not len(windows.today):
        return windows.values, windows.end, back
    return (windows.today, windows.day, 0) if back == 1 else (windows.values, windows.end, back - 1)


@njit(nogil=True)
def last_values(windows, begin, count, last):
    """Fill ``last``, ``(TILE, features)``, with the last values of ``count`` windows from the ``begin``-th."""
    stock, mean = windows.stock, windows.mean
    if not len(mean):
        return
    source, index, back = locate(windows, mean.shape[1] - 1)
    _, stocks, features = source.shape
    for i in range(count):
        at = ((index[begin + i] - back) * stocks + stock[begin + i]) * features
        copy(source.reshape(-1), at, last.reshape(-1), i * features, features)


@njit(nogil=True)
def read_step(windows, begin, count, step, last, out, at):
    """A step of ``count`` rows from the ``begin``-th, next to each other in the flat ``out`` from ``at`` on.

    ``last`` is :func:`last_values`'s. What is not finite, or before the panel's beginning, is 0.
    """
    source, index, back = locate(windows, step)
    stock, owner, run, per_day, clip = windows.stock, windows.owner, windows.run, windows.per_day, windows.clip
    mean, inverse = windows.mean, windows.inverse
    _, stocks, wide = source.shape
    features = wide // per_day
    first = step % per_day * features
    flat, over = source.reshape(-1), last.reshape(-1)
    flat_mean, flat_inverse = mean.reshape(-1), inverse.reshape(-1)
    scaled, steps = len(mean) > 0, mean.shape[1]
    i = 0
    while i < count:
        n, to = begin + i, at + i * features
        # rows that are contiguous in the panel are read as one; a step's mean is repeated LANES times for them
        together = min(run[n], count - i, LANES if scaled else count) if per_day == 1 else 1
        size = together * features
        row = index[n] - back
        of = (row * stocks + stock[n]) * wide + first
        if row < 0:
            for f in range(size):
                out[to + f] = ZERO
        elif scaled:
            moment = (owner[n] * steps + step) * features * LANES
            copy_scaled(flat, of, out, to, over, i * features, flat_mean, moment, flat_inverse, moment, clip, size)
        else:
            copy(flat, of, out, to, size)
        i += together


@njit(nogil=True)
def prefetch_step(windows, begin, count, step):
    """Ask the processor for the values that :func:`read_step` of the same arguments will read."""
    if step < 0 or step >= windows.rows * windows.per_day:
        return
    source, index, back = locate(windows, step)
    stock, run, per_day = windows.stock, windows.run, windows.per_day
    _, stocks, wide = source.shape
    features = wide // per_day
    first = step % per_day * features
    flat = source.reshape(-1)
    i = 0
    while i < count:
        n = begin + i
        together = min(run[n], count - i) if per_day == 1 else 1
        row = index[n] - back
        if row >= 0:
            prefetch(flat, (row * stocks + stock[n]) * wide + first, together * features)
        i += together


@kernel(nogil=True)
def gather(windows, out):
    """All windows, scaled, into ``out (steps, rows, features)``."""
    steps, rows, features = out.shape
    flat = out.reshape(-1)
    last = np.empty((TILE, features), np.float32)
    for begin in range(0, rows, TILE):
        count = min(TILE, rows - begin)
        last_values(windows, begin, count, last)
        for t in range(steps):
            read_step(windows, begin, count, t, last, flat, (t * rows + begin) * features)


@kernel(nogil=True, error_model="numpy", fastmath={"reassoc", "contract"})
def moments(windows, least, mean, inverse):
    """Mean and inverse standard deviation over all rows of each value over its last, ``(steps, features)``.

    Values that are not finite are left out. The inverse is 0 where the deviation is not above ``least``.
    """
    stock = windows.stock
    steps, features = mean.shape
    rows = len(stock)
    ratio = np.empty((features, rows))
    newest, at, less = locate(windows, steps - 1)
    for t in range(steps):
        source, index, back = locate(windows, t)
        for n in range(rows):
            row = index[n] - back
            for f in range(features):
                last = newest[at[n] - less, stock[n], f]
                ratio[f, n] = source[row, stock[n], f] / last if row >= 0 else np.nan
        for f in range(features):
            total, square, count = 0.0, 0.0, 0
            for x in ratio[f]:
                finite = np.isfinite(x)
                total += x if finite else 0.0
                count += finite
            middle = total / max(count, 1)
            for x in ratio[f]:
                square += (x - middle) ** 2 if np.isfinite(x) else 0.0
            deviation = np.sqrt(square / max(count, 1))
            mean[t, f] = middle
            inverse[t, f] = 1.0 / deviation if deviation > least else 0.0
