"""A signal with the common factors taken out of it, day by day."""

import numpy as np

from mg_portfolio.arguments import EvaluationError, dense, flags


def orthogonalise(
    signal: np.ndarray, references: np.ndarray, universe: np.ndarray, industry: np.ndarray | None = None
) -> np.ndarray:
    """Residual of each day's regression of a signal on reference factors (and industry dummies).

    ``signal = X beta + residual`` by ordinary least squares with an intercept, over the stocks of the universe with the
    signal and every reference finite.

    Parameters
    ----------
    signal : ndarray of float (D, S)
    references : ndarray of float (D, S, K)
        For the weekly monitor: reversal, cap, turnover, volatility.
    universe : ndarray of bool (D, S)
    industry : ndarray of int (S,) or (D, S), optional
        Codes from 0; below 0 is an industry of its own.

    Returns
    -------
    ndarray of float64 (D, S)
        NaN for stocks not in that day's regression, and on days with no more stocks than regressors.

    Notes
    -----
    Source: Haitong weekly 2023-12-15, section 1 (factors are orthogonal to the usual ones).
    """
    signal = dense("signal", signal)
    days, stocks = signal.shape
    universe = flags("universe", universe, signal.shape)
    references = np.asarray(references, np.float64)
    if references.ndim != 3 or references.shape[:2] != signal.shape:
        raise EvaluationError(f"references had shape {references.shape}, expected {(*signal.shape, 'K')}")
    codes = None if industry is None else np.broadcast_to(np.asarray(industry, np.int64), signal.shape)
    out = np.full((days, stocks), np.nan)
    usable = universe & np.isfinite(signal) & np.isfinite(references).all(axis=2)
    for d in range(days):
        at = np.flatnonzero(usable[d])
        if not at.size:
            continue
        x = references[d, at]  # (n, K)
        spread = x.std(axis=0)
        x = (x - x.mean(axis=0)) / np.where(spread > 0, spread, 1.0)  # yuan and fractions on one scale
        if codes is None:
            design = np.column_stack([np.ones(at.size), x])
        else:
            _, group = np.unique(codes[d, at], return_inverse=True)
            design = np.column_stack([group[:, None] == np.arange(group.max() + 1), x]).astype(np.float64)
        if at.size <= design.shape[1]:
            continue
        y = signal[d, at]
        beta, *_ = np.linalg.lstsq(design, y, rcond=None)
        out[d, at] = y - design @ beta
    return out
