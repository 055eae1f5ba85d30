"""Statistical factors: principal components of the residuals, scaled by each stock's own volatility."""

import numpy as np


def statistical_factors(residuals: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Loadings and returns of the strongest components that the residuals have in common.

    Asymptotic principal components (Connor and Korajczyk 1986): the eigenvectors of the ``(T, T)`` matrix of days, so
    that no matrix of all stocks is ever made. A day weighs by its inverse mean square, so that no turbulent week is a
    component of its own. A stock's loadings are shrunk to zero by their sampling variance
    against the variance of all loadings, so a stock of few days has small ones. The returns are regressions of
    each day on the loadings over the stocks with a residual.

    Parameters
    ----------
    residuals : (T, N) float
        NaN where there is none.
    count : int
        Number of components P.

    Returns
    -------
    loadings : (N, P) float
        0 for a stock without residuals.
    returns : (T, P) float
        Per day.
    """
    days, stocks = residuals.shape
    count = min(count, days, stocks)
    if count == 0:
        return np.zeros((stocks, 0)), np.zeros((days, 0))
    seen = np.isfinite(residuals)
    z = np.where(seen, residuals, 0.0)
    days_of = seen.sum(0)
    own = np.sqrt(np.divide((z**2).sum(0), days_of, out=np.zeros(stocks), where=days_of > 0))
    z *= np.divide(1.0, own, out=np.zeros(stocks), where=own > 0.0)
    square, stocks_of = (z**2).sum(1), seen.sum(1)
    w = np.divide(stocks_of, square, out=np.zeros(days), where=square > 0.0)
    w /= w.sum() or 1.0
    weight = w @ seen  # (N,)
    g = np.sqrt(w)[:, None] * z
    _, vectors = np.linalg.eigh(g @ g.T)
    top = vectors[:, ::-1][:, :count]  # (T, P), of unit length: factor returns of unit variance times the root of w
    held = np.divide(1.0, weight, out=np.zeros(stocks), where=weight > 0.0)[:, None]
    loadings = g.T @ top * held
    noise = (w**2 @ seen)[:, None] * held**2  # sampling variance of a loading: one over the effective days
    known = own > 0.0
    signal = np.maximum((loadings[known] ** 2).mean(0) - noise[known].mean(0), 0.0)
    calm = loadings * np.divide(signal, signal + noise, out=np.zeros_like(loadings), where=signal + noise > 0.0)
    # returns on the loadings as estimated, the shrunk ones as instruments: on these alone shrinking would undo itself
    products = (calm[:, :, None] * loadings[:, None, :]).reshape(stocks, -1)
    gram = (seen.astype(np.float64) @ products).reshape(days, count, count)
    ridge = 1e-6 * np.abs(np.trace(gram, axis1=1, axis2=2))[:, None, None] * np.eye(count) / count
    returns = np.linalg.solve(gram + ridge + 1e-300 * np.eye(count), (z @ calm)[:, :, None])[:, :, 0]
    return calm * own[:, None], returns
