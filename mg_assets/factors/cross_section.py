"""Preprocessing of a day's cross-section, and the trailing mean before it.

Per day and factor, over the stocks of the universe: (1) winsorise to the median plus and minus some MADs,
(2) neutralise to industry and size, (3) z-score, (4) fill missing with 0.

Source: Huatai 2023-12-08 (winsorised by the median, neutralised to industry and market value); Huatai 2023-08-22 (five
MAD, not neutralised). Series 72 names no multiple: :data:`WIDTH` is ours.
"""

import math
from collections.abc import Callable

import numpy as np

from mg_assets.errors import DataError
from mg_assets.factors.kernels.cache import kernel
from mg_assets.factors.kernels.moments import FLAT
from mg_assets.factors.kernels.threads import shared_out
from mg_axes import STOCK_CODES, STOCK_FLAGS, Layout, aligned

WIDTH = 5.0 * 1.4826  # MADs: five standard deviations of a normal
FIVE_MAD = 5.0  # as series 69 says
WINDOW = 20
MIN_PERIODS = 10
_ONE_DAY = Layout("sf", otherwise="s")


@aligned(
    DataError,
    by=("values",),
    result="sf",
    values=Layout("sf"),
    industry=STOCK_CODES,
    size=Layout("s", wider=True),
    universe=STOCK_FLAGS,
    scaled=STOCK_FLAGS,
)
def preprocess(
    values: np.ndarray,
    industry: np.ndarray | None,
    size: np.ndarray | None,
    universe: np.ndarray,
    threads: int = 1,
    mads: float = WIDTH,
    scaled: np.ndarray | None = None,
) -> np.ndarray:
    """Winsorise, neutralise, z-score and fill one day's factors, in one kernel.

    Parameters
    ----------
    values : ndarray of float (S, F), or labelled
        Raw factors; what is not finite is missing. A labelled table (pandas, Polars, Arrow, xarray; see
        :mod:`mg_axes`) gives the symbols, on which the others are aligned.
    industry : ndarray of int (S,), or labelled, or None
        Industry codes, below 0 unknown; None leaves industries out of the regression.
    size : ndarray of float (S,), or labelled, or None
        ln(market cap), NaN unknown; None leaves size out. With neither, step 2 is skipped.
    universe : ndarray of bool (S,), or labelled
        Stocks that take part.
    threads : int
        Factors are shared out among so many threads; the values do not depend on it.
    mads : float
        MADs from the median to which values are winsorised.
    scaled : ndarray of bool (S,), or labelled, optional
        Stocks outside the universe that are clipped and scaled as those in it are; their values do not count. For
        values that are not neutralised.

    Returns
    -------
    ndarray of float64 (S, F), or DataFrame
        Mean 0 and population std 1 over the stocks of the universe that have a value, 0 for those that
        have none (or no industry or size where these are given); NaN outside the universe and ``scaled``, and in
        ``scaled`` where the universe is empty.
        A constant cross-section is all 0, and so is one whose MAD is 0, since every value is then
        clipped to the median. An industry with one stock has residual 0 before the z-score.

    Raises
    ------
    DataError
        Shapes do not fit.
    """
    values = np.ascontiguousarray(values, np.float64)
    stocks = len(values)
    for name, axis in (("industry", industry), ("size", size), ("universe", universe), ("scaled", scaled)):
        if axis is not None and np.shape(axis) != (stocks,):
            raise DataError(f"{name} was {np.shape(axis)}, expected ({stocks},): one entry a row of values")
    if values.ndim != 2:
        raise DataError(f"values was {values.shape}, expected (stocks, factors)")
    regress = industry is not None or size is not None
    if regress and scaled is not None:
        raise DataError("scaled stocks have no residual of the universe's regression; give no industry and no size")
    inside = np.asarray(universe, bool)
    rows = np.flatnonzero(inside)
    others = np.flatnonzero(np.asarray(scaled, bool) & ~inside) if scaled is not None else rows[:0]
    codes = np.zeros(len(rows), np.int64)
    sizes = np.zeros(len(rows))
    if industry is not None:
        given = np.asarray(industry)[rows]
        codes = np.unique(given, return_inverse=True)[1].astype(np.int64)
        codes[given < 0] = -1
    if size is not None:
        sizes = np.asarray(size, np.float64)[rows]
        finite = np.isfinite(sizes)
        # about the middle, so that sums of squares lose no digits; what has no size is marked by its code
        sizes = np.where(finite, sizes - (np.median(sizes[finite]) if finite.any() else 0.0), 0.0)
        codes[~finite] = -1
    # Neutralising to size alone keeps a constant: one industry for all.
    out = np.full(values.shape, np.nan)
    plain = _read_only(values)

    def run(lo: int, hi: int) -> None:
        _preprocess(plain, rows, codes, sizes, regress, others, mads, lo, hi, out)

    shared_out(run, values.shape[1], threads)
    return out


@aligned(DataError, by=("values",), result="sf", values=_ONE_DAY, universe=STOCK_FLAGS)
def mad_winsorise(values: np.ndarray, universe: np.ndarray | None = None, mads: float = WIDTH) -> np.ndarray:
    """Clip to the median plus and minus ``mads`` MADs over finite values of the universe, per column.

    Parameters
    ----------
    values : ndarray of float (S,) or (S, F), or labelled by symbol
        Values of one day. The universe is aligned on their symbols; see :mod:`mg_axes`.
    universe : ndarray of bool (S,), or labelled, optional
        Stocks that take part, by default all.
    mads : float
        By default five standard deviations of a normal.

    Returns
    -------
    ndarray of float64
        The same shape; NaN where a value is not finite and outside the universe.
    """
    return _by_column(lambda x: _winsorise(x, mads), values, universe)


@aligned(DataError, by=("values",), result="sf", values=_ONE_DAY, universe=STOCK_FLAGS)
def zscore(values: np.ndarray, universe: np.ndarray | None = None) -> np.ndarray:
    """Mean 0 and population std 1 over finite values of the universe, per column; 0 where constant.

    Parameters
    ----------
    values : ndarray of float (S,) or (S, F), or labelled by symbol
        Values of one day. The universe is aligned on their symbols; see :mod:`mg_axes`.
    universe : ndarray of bool (S,), or labelled, optional
        Stocks that take part, by default all.

    Returns
    -------
    ndarray of float64
        The same shape; NaN where a value is not finite and outside the universe.
    """
    return _by_column(_zscore, values, universe)


@aligned(DataError, result="dsf", values=Layout("ds", otherwise="dsf"))
def trailing_mean(values: np.ndarray, window: int = WINDOW, min_periods: int = MIN_PERIODS) -> np.ndarray:
    """Mean of the finite values of the last ``window`` days, today included.

    Parameters
    ----------
    values : ndarray of float (D, S) or (D, S, F), or labelled
        Consecutive trading days. See :mod:`mg_axes` for labelled ones; the result has their labels.
    window, min_periods : int
        Days, and the least number of finite ones for a value.

    Returns
    -------
    ndarray of float64
        The same shape. Each day is summed afresh, oldest first, so that a value does not depend on
        where the array begins.

    Raises
    ------
    DataError
        ``window`` or ``min_periods`` is below 1, or there is no day axis.
    """
    if window < 1 or min_periods < 1 or np.ndim(values) < 1:
        raise DataError(f"window was {window}, min_periods {min_periods}, both must be at least 1")
    cube = np.array(values, np.float64, order="C", copy=None)
    width = math.prod(cube.shape[1:])
    return _trailing_mean(_read_only(cube.reshape(len(cube), width)), window, min_periods).reshape(cube.shape)


def _read_only(values: np.ndarray) -> np.ndarray:
    """A view that a kernel takes in the same compiled form whether the caller's array is writable or not."""
    view = values.view()
    view.flags.writeable = False
    return view


def _by_column(in_place: Callable[[np.ndarray], None], values: np.ndarray, universe: np.ndarray | None) -> np.ndarray:
    table = np.array(values, np.float64)
    columns = table.reshape(len(table), math.prod(table.shape[1:]))
    if universe is not None:
        columns[~np.asarray(universe, bool)] = np.nan
    columns[~np.isfinite(columns)] = np.nan
    for f in range(columns.shape[1]):
        rows = np.flatnonzero(np.isfinite(columns[:, f]))
        column = columns[rows, f]
        in_place(column)
        columns[rows, f] = column
    return table


@kernel(nogil=True, error_model="numpy")
def _select(x, k):
    """Bring the k-th smallest of ``x`` to index k, smaller ones before it.

    Quickselect whose partitions have no branch to mispredict: a median of 5,000 takes a third of the time of
    numba's ``np.median`` (``benchmarks/crosssection.py``). Values equal to the pivot need no further pass.
    """
    left, right = 0, len(x)
    while right - left > 1:
        pivot = _middle(x[left], x[(left + right) // 2], x[right - 1])
        below = left
        for i in range(left, right):
            value = x[i]
            x[i] = x[below]
            x[below] = value
            below += value < pivot
        if k < below:
            right = below
            continue
        equal = below
        for i in range(below, right):
            value = x[i]
            x[i] = x[equal]
            x[equal] = value
            equal += value == pivot
        if k < equal:
            return
        left = equal


@kernel(nogil=True, inline="always")
def _middle(a, b, c):
    return max(min(a, b), min(max(a, b), c))


@kernel(nogil=True, error_model="numpy")
def _median(x):
    """Median of the finite values ``x``, which it reorders."""
    half = len(x) // 2
    _select(x, half)
    if len(x) % 2:
        return x[half]
    lower = x[0]
    for i in range(1, half):
        lower = max(lower, x[i])
    return (lower + x[half]) / 2.0


@kernel(nogil=True, error_model="numpy")
def _clip(x, spare, mads):
    """Clip all of ``x`` in place, and return its median and the bound's distance; ``spare`` is as long."""
    n = len(x)
    spare[:n] = x
    middle = _median(spare[:n])
    for i in range(n):
        spare[i] = abs(x[i] - middle)
    width = mads * _median(spare[:n])
    for i in range(n):
        x[i] = min(middle + width, max(middle - width, x[i]))
    return middle, width


@kernel(nogil=True, error_model="numpy")
def _winsorise(x, mads):
    if len(x):
        _clip(x, np.empty(len(x)), mads)


@kernel(nogil=True, inline="always")
def _distance(x, mean, scale):
    d = x - mean
    return 0.0 if abs(d) <= FLAT * scale else d


@kernel(nogil=True, error_model="numpy")
def _standardise(x, scale):
    """Z-score all of ``x`` in place, 0 where the std is at most 1e-12 of ``scale``.

    A value that near to the mean is 0 too: beside stocks without a value, which are 0, rounding would rank it.

    Returns
    -------
    mean, std : float
        The std is 0 where the values are flat.
    """
    n = len(x)
    total = 0.0
    for i in range(n):
        total += x[i]
    mean = total / n if n else 0.0
    m2 = 0.0
    for i in range(n):
        x[i] = _distance(x[i], mean, scale)
        m2 += x[i] * x[i]
    std = math.sqrt(m2 / n) if n else 0.0
    flat = std <= FLAT * scale
    for i in range(n):
        x[i] = 0.0 if flat else x[i] / std
    return mean, 0.0 if flat else std


@kernel(nogil=True, error_model="numpy")
def _largest(x):
    largest = 0.0
    for i in range(len(x)):
        largest = max(largest, abs(x[i]))
    return largest


@kernel(nogil=True, error_model="numpy")
def _zscore(x):
    _standardise(x, _largest(x))


@kernel(nogil=True, error_model="numpy")
def _demean(x, group, counts, sums):
    """Subtract each group's mean in place; a group of one becomes exactly 0."""
    counts[:] = 0
    sums[:] = 0.0
    for i in range(len(x)):
        counts[group[i]] += 1
        sums[group[i]] += x[i]
    for i in range(len(x)):
        x[i] -= sums[group[i]] / counts[group[i]]


@kernel(nogil=True, error_model="numpy")
def _residual(x, group, size, counts, sums):
    """Residual of x on group dummies and size, in place.

    By Frisch, Waugh and Lovell: demean both within groups, then regress one on the other.
    """
    scale = _largest(size)
    _demean(x, group, counts, sums)
    _demean(size, group, counts, sums)
    xs = ss = 0.0
    for i in range(len(x)):
        xs += x[i] * size[i]
        ss += size[i] * size[i]
    if math.sqrt(ss / len(x)) > FLAT * scale:
        slope = xs / ss
        for i in range(len(x)):
            x[i] -= slope * size[i]


@kernel(nogil=True, error_model="numpy")
def _preprocess(values, rows, codes, sizes, regress, others, mads, lo, hi, out):
    """Fill ``out[rows, lo:hi]``, and ``out[others, lo:hi]`` on their scale.

    ``codes`` (below 0: not in the regression) and ``sizes`` are those of ``rows``.
    """
    n = len(rows)
    groups = 1
    for code in codes:
        groups = max(groups, code + 1)
    columns = np.empty((hi - lo, n))  # factor by factor: a column of a wide table has a cache line for each stock
    for i in range(n):
        for f in range(lo, hi):
            columns[f - lo, i] = values[rows[i], f]
    x = np.empty(n)
    spare = np.empty(n)
    at = np.empty(n, np.int64)
    group = np.empty(n, np.int64)
    size = np.empty(n)
    counts = np.empty(groups, np.int64)
    sums = np.empty(groups)
    for f in range(lo, hi):
        column = columns[f - lo]
        for i in others:
            out[i, f] = 0.0 if n > 0 else np.nan
        count = 0
        for i in range(n):
            at[count] = i
            x[count] = column[i]
            count += math.isfinite(column[i])
        column[:] = 0.0
        if count == 0:
            continue
        middle, width = _clip(x[:count], spare, mads)
        if regress:
            kept = 0
            for j in range(count):
                i = at[j]
                at[kept] = i
                x[kept] = x[j]
                group[kept] = codes[i]
                size[kept] = sizes[i]
                kept += codes[i] >= 0
            count = kept
            if count == 0:
                continue
        # flat is measured against the values regressed: a residual's own size does not show rounding
        scale = _largest(x[:count])
        for j in range(count):
            x[j] -= middle
        if regress:
            _residual(x[:count], group[:count], size[:count], counts, sums)
        mean, std = _standardise(x[:count], scale)
        for j in range(count):
            column[at[j]] = x[j]
        for i in others:
            value = _distance(min(middle + width, max(middle - width, values[i, f])) - middle, mean, scale)
            if std > 0.0 and math.isfinite(values[i, f]):
                out[i, f] = value / std
    for i in range(n):
        for f in range(lo, hi):
            out[rows[i], f] = columns[f - lo, i]


@kernel(nogil=True, error_model="numpy")
def _trailing_mean(values, window, least):
    days, width = values.shape
    out = np.empty((days, width))
    count = np.empty(width, np.int64)
    for d in range(days):
        total = out[d]
        total[:] = 0.0
        count[:] = 0
        for back in range(max(0, d - window + 1), d + 1):
            for j in range(width):
                x = values[back, j]
                finite = abs(x) < np.inf
                total[j] += x if finite else 0.0
                count[j] += 1 if finite else 0
        for j in range(width):
            total[j] = total[j] / count[j] if count[j] >= least else np.nan
    return out
