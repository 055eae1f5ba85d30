"""Orthogonalization: each day's residual of a signal on common factors and industries."""

import numpy as np
from numba import njit

from mg_axes import CUBE, FLAGS, PANEL, Layout, aligned
from mg_portfolio.arguments import EvaluationError, dense, flags

FLAT = 1e-10
"""A reference whose residual on those before it is below this share of its own length is left out."""


@njit(nogil=True, cache=True)
def _less_means(values, code, count, groups, sums, sizes):
    """Take each group's mean out of the first ``count`` values."""
    for g in range(groups):
        sums[g] = 0.0
    for i in range(count):
        sums[code[i]] += values[i]
    for i in range(count):
        values[i] -= sums[code[i]] / sizes[code[i]]


@njit(nogil=True, cache=True)
def _dot(a, b, count):
    total = 0.0
    for i in range(count):
        total += a[i] * b[i]
    return total


@njit(nogil=True, cache=True)
def _residuals(signal, references, usable, codes, groups):
    """Frisch, Waugh and Lovell: demeaned within industries, so without dummies, on orthonormal references."""
    days, stocks = signal.shape
    regressors = references.shape[2]
    out = np.full((days, stocks), np.nan)
    at = np.empty(stocks, np.int64)
    code = np.empty(stocks, np.int64)
    sums = np.empty(groups)
    sizes = np.empty(groups)
    x = np.empty((regressors, stocks))
    y = np.empty(stocks)
    for d in range(days):
        n = 0
        for s in range(stocks):
            if usable[d, s]:
                at[n] = s
                code[n] = codes[d, s]
                n += 1
        sizes[:] = 0.0
        for i in range(n):
            sizes[code[i]] += 1.0
        present = 0
        for g in range(groups):
            present += sizes[g] > 0.0
        if n <= present + regressors:
            continue
        for i in range(n):
            y[i] = signal[d, at[i]]
        for j in range(regressors):
            mean = 0.0
            for i in range(n):
                x[j, i] = references[d, at[i], j]
                mean += x[j, i]
            mean /= n
            for i in range(n):
                x[j, i] -= mean  # caps in yuan would otherwise cancel in the groups' sums
            own = np.sqrt(_dot(x[j], x[j], n))
            for _ in range(2):  # twice is enough to be orthogonal to rounding
                _less_means(x[j], code, n, groups, sums, sizes)
                for k in range(j):
                    share = _dot(x[k], x[j], n)
                    for i in range(n):
                        x[j, i] -= share * x[k, i]
            length = np.sqrt(_dot(x[j], x[j], n))
            scale = 1.0 / length if length > FLAT * own else 0.0
            for i in range(n):
                x[j, i] *= scale
        for _ in range(2):
            _less_means(y, code, n, groups, sums, sizes)
            for k in range(regressors):
                share = _dot(x[k], y, n)
                for i in range(n):
                    y[i] -= share * x[k, i]
        for i in range(n):
            out[d, at[i]] = y[i]
    return out


@aligned(
    EvaluationError,
    by=("signal",),
    result="ds",
    signal=PANEL,
    references=CUBE,
    universe=FLAGS,
    industry=Layout("ds", -1, otherwise="s", wider=True),
)
def orthogonalize(
    signal: np.ndarray, references: np.ndarray, universe: np.ndarray, industry: np.ndarray | None = None
) -> np.ndarray:
    """Residual of each day's regression of a signal on reference factors (and industry dummies).

    ``signal = X beta + residual`` by ordinary least squares with an intercept, over the stocks of the universe with the
    signal and every reference finite.

    Parameters
    ----------
    signal : ndarray of float (D, S), or labelled
        The axes, on which the other labelled arguments (:mod:`mg_axes`) are aligned.
    references : ndarray of float (D, S, K), or labelled
        For the weekly monitor: reversal, cap, turnover, volatility. Labelled: a table with a column for each.
    universe : ndarray of bool (D, S), or labelled
        Stocks of the regression.
    industry : ndarray of int (S,) or (D, S), or labelled, optional
        Codes from 0; below 0 is an industry of its own.

    Returns
    -------
    ndarray of float64 (D, S), or DataFrame
        With the labels of a labelled signal. NaN for stocks not in that day's regression, and on days with no more
        stocks than regressors.

    Raises
    ------
    EvaluationError
        Arrays of different shapes.

    Notes
    -----
    Source: Haitong weekly 2023-12-15, section 1.
    """
    signal = dense("signal", signal)
    universe = flags("universe", universe, signal.shape)
    references = np.ascontiguousarray(references, np.float64)
    if references.ndim != 3 or references.shape[:2] != signal.shape:
        raise EvaluationError(f"references had shape {references.shape}, expected {(*signal.shape, 'K')}")
    codes = np.zeros(signal.shape, np.int64)
    if industry is not None:
        codes += np.maximum(np.broadcast_to(np.asarray(industry, np.int64), signal.shape), -1)
        codes -= codes.min(initial=0)
    usable = universe & np.isfinite(signal) & np.isfinite(references).all(axis=2)
    return _residuals(signal, references, usable, codes, int(codes.max(initial=0)) + 1)
