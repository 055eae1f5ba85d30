"""A day's cross-section made ready for a model, and the trailing mean before it.

Per day and factor, over the stocks of the universe: (1) winsorise to median +- 5 * 1.4826 * MAD,
(2) neutralise to industry and size, (3) z-score, (4) fill missing with 0.

Source: Huatai 2023-08-22 (five MAD); Huatai 2023-12-08 (neutralised to industry and market value).
"""

import math

import numba as nb
import numpy as np

from mg_assets.errors import DataError
from mg_assets.factors.moments import FLAT

MAD_TO_STD = 1.4826
WINSOR_MADS = 5.0
WINDOW = 20
MIN_PERIODS = 10


def preprocess(
    values: np.ndarray,
    industry: np.ndarray | None,
    size: np.ndarray | None,
    universe: np.ndarray,
) -> np.ndarray:
    """Winsorise, neutralise, z-score and fill one day's factors.

    Parameters
    ----------
    values : ndarray of float (S, F)
        Raw factors; what is not finite is missing.
    industry : ndarray of int (S,) or None
        Industry codes, below 0 unknown; None leaves industries out of the regression.
    size : ndarray of float (S,) or None
        ln(market cap), NaN unknown; None leaves size out. With neither, step 2 is skipped.
    universe : ndarray of bool (S,)
        Stocks that take part.

    Returns
    -------
    ndarray of float64 (S, F)
        Mean 0 and population std 1 over the stocks of the universe that have a value, 0 for those that
        have none (or no industry or size where these are given); NaN outside the universe.
        A constant cross-section is all 0, and so is one whose MAD is 0, since every value is then
        clipped to the median. An industry with one stock has residual 0 before the z-score.

    Raises
    ------
    DataError
        Shapes do not fit.
    """
    values = np.ascontiguousarray(values, np.float64)
    stocks = len(values)
    for name, axis in (("industry", industry), ("size", size), ("universe", universe)):
        if axis is not None and np.shape(axis) != (stocks,):
            raise DataError(f"{name} was {np.shape(axis)}, expected ({stocks},): one entry a row of values")
    if values.ndim != 2:
        raise DataError(f"values was {values.shape}, expected (stocks, factors)")
    inside = np.array(universe, bool)
    codes = np.zeros(stocks, np.int64)
    sizes = np.zeros(stocks)
    if industry is not None:
        known = np.asarray(industry)
        codes = np.unique(known, return_inverse=True)[1].astype(np.int64)
        codes[known < 0] = -1
    if size is not None:
        sizes = np.array(size, np.float64)
    # Neutralising to size alone keeps a constant: one industry for all.
    regress = industry is not None or size is not None
    return _preprocess(_read_only(values), codes, sizes, inside, regress)


def mad_winsorise(values: np.ndarray, universe: np.ndarray | None = None) -> np.ndarray:
    """Clip to median +- 5 * 1.4826 * MAD over finite values of the universe, per column.

    ``values`` is ``(S,)`` or ``(S, F)``; NaN stays NaN, infinities become NaN, and so does all
    outside the universe.
    """
    return _by_column(_winsorise, values, universe)


def zscore(values: np.ndarray, universe: np.ndarray | None = None) -> np.ndarray:
    """Mean 0 and population std 1 over finite values of the universe, per column; 0 where constant.

    ``values`` is ``(S,)`` or ``(S, F)``; missing values and all outside the universe are NaN.
    """
    return _by_column(_zscore, values, universe)


def trailing_mean(values: np.ndarray, window: int = WINDOW, min_periods: int = MIN_PERIODS) -> np.ndarray:
    """Mean of the finite values of the last ``window`` days, today included.

    Parameters
    ----------
    values : ndarray of float (D, S) or (D, S, F)
        Consecutive trading days.
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


def _by_column(kernel, values: np.ndarray, universe: np.ndarray | None) -> np.ndarray:
    table = np.array(values, np.float64)
    columns = table.reshape(len(table), math.prod(table.shape[1:]))
    if universe is not None:
        columns[~np.asarray(universe, bool)] = np.nan
    columns[~np.isfinite(columns)] = np.nan
    for f in range(columns.shape[1]):
        rows = np.flatnonzero(np.isfinite(columns[:, f]))
        column = columns[rows, f]
        kernel(column)
        columns[rows, f] = column
    return table


@nb.njit(cache=True, nogil=True, error_model="numpy")
def _winsorise(x):
    """Clip all of ``x`` in place."""
    if len(x) == 0:
        return
    middle = np.median(x)
    width = WINSOR_MADS * MAD_TO_STD * np.median(np.abs(x - middle))
    for i in range(len(x)):
        x[i] = min(middle + width, max(middle - width, x[i]))


@nb.njit(cache=True, nogil=True, error_model="numpy")
def _standardise(x, scale):
    """Z-score all of ``x`` in place; 0 where the std is at most 1e-12 of ``scale``."""
    n = len(x)
    total = 0.0
    for i in range(n):
        total += x[i]
    mean = total / n if n else 0.0
    m2 = 0.0
    for i in range(n):
        x[i] -= mean
        m2 += x[i] * x[i]
    std = math.sqrt(m2 / n) if n else 0.0
    flat = std <= FLAT * scale
    for i in range(n):
        x[i] = 0.0 if flat else x[i] / std


@nb.njit(cache=True, nogil=True, error_model="numpy")
def _largest(x):
    largest = 0.0
    for i in range(len(x)):
        largest = max(largest, abs(x[i]))
    return largest


@nb.njit(cache=True, nogil=True, error_model="numpy")
def _zscore(x):
    _standardise(x, _largest(x))


@nb.njit(cache=True, nogil=True, error_model="numpy")
def _demean(x, group, counts, sums):
    """Subtract each group's mean in place; a group of one becomes exactly 0."""
    counts[:] = 0
    sums[:] = 0.0
    for i in range(len(x)):
        counts[group[i]] += 1
        sums[group[i]] += x[i]
    for i in range(len(x)):
        x[i] -= sums[group[i]] / counts[group[i]]


@nb.njit(cache=True, nogil=True, error_model="numpy")
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


@nb.njit(cache=True, nogil=True, error_model="numpy")
def _preprocess(values, codes, sizes, inside, regress):
    stocks, factors = values.shape
    groups = 1
    for s in range(stocks):
        groups = max(groups, codes[s] + 1)
    out = np.empty((stocks, factors))
    rows = np.empty(stocks, np.int64)
    column = np.empty(stocks)
    group = np.empty(stocks, np.int64)
    size = np.empty(stocks)
    counts = np.empty(groups, np.int64)
    sums = np.empty(groups)
    for f in range(factors):
        n = 0
        for s in range(stocks):
            out[s, f] = 0.0 if inside[s] else np.nan
            if inside[s] and math.isfinite(values[s, f]):
                rows[n] = s
                column[n] = values[s, f]
                n += 1
        _winsorise(column[:n])
        if regress:
            kept = 0
            for i in range(n):
                s = rows[i]
                if codes[s] >= 0 and math.isfinite(sizes[s]):
                    rows[kept] = s
                    column[kept] = column[i]
                    group[kept] = codes[s]
                    size[kept] = sizes[s]
                    kept += 1
            n = kept
        if n == 0:
            continue
        # A residual's own size says nothing of rounding: flat is judged against the values regressed.
        scale = _largest(column[:n])
        if regress:
            _residual(column[:n], group[:n], size[:n], counts, sums)
        _standardise(column[:n], scale)
        for i in range(n):
            out[rows[i], f] = column[i]
    return out


@nb.njit(cache=True, nogil=True, error_model="numpy")
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
