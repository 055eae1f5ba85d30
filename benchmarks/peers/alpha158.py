"""Qlib's Alpha158 features in plain loops, and the two models that Qlib pairs with them: linear and LightGBM.

Formulas of ``qlib.contrib.data.loader.Alpha158DL`` (pyqlib 0.9.7): 9 of the bar's shape, 4 prices over the close,
29 operators over 5, 10, 20, 30 and 60 days. A day without a trade is no observation (Qlib has NaN there); a window
needs 60% of its days.

Both models are trained as Qlib's examples train them (``examples/benchmarks``): the linear one on robust z-scores over
the whole training span and the label's percentile of the day, the trees on raw features and the label's z-score.
"""

from collections.abc import Iterable, Iterator

import numpy as np
from numba import njit

WINDOWS = (5, 10, 20, 30, 60)
COUNT = 9 + 4 + 29 * len(WINDOWS)
CLIP = 3.0


def alpha158(bars: np.ndarray, days: Iterable[int]) -> Iterator[np.ndarray]:
    """Each day's features ``(S, 158)`` float64 of adjusted open, high, low, close, vwap, volume ``(D, S, 6)``."""
    traded = np.isfinite(bars).all(-1) & (bars[..., 5] > 0)
    close = np.where(traded, bars[..., 3], np.nan)
    volume = np.where(traded, bars[..., 5], np.nan)
    change = np.full((4, *close.shape), np.nan)  # close over the last, its difference, volume's log growth, difference
    change[0, 1:] = close[1:] / close[:-1]
    change[1, 1:] = close[1:] - close[:-1]
    change[2, 1:] = np.log(volume[1:] / volume[:-1] + 1)
    change[3, 1:] = volume[1:] - volume[:-1]
    for day in days:
        out = np.full((close.shape[1], COUNT), np.nan)
        first = max(day - WINDOWS[-1], 0)
        part = slice(first, day + 1)
        _fill(np.where(traded[part, :, None], bars[part], np.nan), change[:, part], np.array(WINDOWS), out)
        yield out


class Linear:
    """Least squares without intercept on robust z-scores of the training span (median, 1.4826 MAD), clipped at 3.

    Missing is 0. Qlib's ``RobustZScoreNorm``, ``Fillna`` and ``LinearModel("ols")``; every row weighs the same.
    """

    def fit(self, days: list[tuple[np.ndarray, np.ndarray]]) -> "Linear":
        """``days`` holds each day's raw features ``(rows, F)`` and labels ``(rows,)``, the labels finite."""
        every = np.concatenate([x for x, _ in days]).astype(np.float32)
        every[~np.isfinite(every)] = np.nan
        self.median, self.scale = np.empty(every.shape[1]), np.empty(every.shape[1])
        for k, column in enumerate(every.T):  # column by column: a median of the whole copies it
            self.median[k] = np.nanmedian(column)
            self.scale[k] = 1.4826 * (np.nanmedian(np.abs(column - self.median[k])) + 1e-12)
        gram = moment = 0.0
        for x, y in days:
            z = self._scaled(x)
            gram, moment = gram + z.T @ z, moment + z.T @ y
        self.weights = np.linalg.lstsq(gram, moment, rcond=1e-12)[0]  # some features are sums of others
        return self

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Scores ``(rows,)``."""
        return self._scaled(x) @ self.weights

    def _scaled(self, x: np.ndarray) -> np.ndarray:
        values = np.where(np.isfinite(x), x, np.nan)
        return np.nan_to_num(np.clip((values - self.median) / self.scale, -CLIP, CLIP), nan=0.0)


class LightGbm:
    """Boosted trees, stopped on the validation days' squared error; smaller than Qlib's, which overfit here."""

    PARAMETERS = {  # noqa: RUF012
        "objective": "mse", "learning_rate": 0.05, "num_leaves": 31, "max_depth": 6, "min_data_in_leaf": 500,
        "feature_fraction": 0.5, "bagging_fraction": 0.8, "bagging_freq": 1, "lambda_l2": 100.0, "max_bin": 63,
        "num_threads": 1, "seed": 0, "deterministic": True, "force_col_wise": True, "verbose": -1,
    }  # fmt: skip
    ROUNDS, PATIENCE = 300, 30

    def fit(self, train: list[tuple[np.ndarray, np.ndarray]], valid: list[tuple[np.ndarray, np.ndarray]]) -> "LightGbm":
        """Days as in :class:`Linear`; a missing feature is a value of its own to the trees."""
        import lightgbm

        x, y = (np.concatenate(p) for p in zip(*train, strict=True))
        data = lightgbm.Dataset(x.astype(np.float32), y, params=self.PARAMETERS)
        x, y = (np.concatenate(p) for p in zip(*valid, strict=True))
        held = lightgbm.Dataset(x.astype(np.float32), y, reference=data)
        stop = lightgbm.early_stopping(self.PATIENCE, verbose=False)
        self.trees = lightgbm.train(self.PARAMETERS, data, self.ROUNDS, valid_sets=[held], callbacks=[stop])
        return self

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Scores ``(rows,)``."""
        return self.trees.predict(x)


@njit(cache=True, error_model="numpy")
def _fill(bars, change, windows, out):
    """The last day's features; ``bars (days, S, 6)`` NaN without a trade, ``change (4, days, S)``."""
    last = len(bars) - 1
    for s in range(bars.shape[1]):
        open_, high, low, close, vwap = bars[last, s, :5]
        if np.isnan(close):
            continue
        f, e = out[s], 1e-12
        top, bottom = max(open_, close), min(open_, close)
        f[0], f[1], f[2] = (close - open_) / open_, (high - low) / open_, (close - open_) / (high - low + e)
        f[3], f[4] = (high - top) / open_, (high - top) / (high - low + e)
        f[5], f[6] = (bottom - low) / open_, (bottom - low) / (high - low + e)
        f[7], f[8] = (2 * close - high - low) / open_, (2 * close - high - low) / (high - low + e)
        f[9], f[10], f[11], f[12] = open_ / close, high / close, low / close, vwap / close
        for k in range(len(windows)):
            w, at = windows[k], 13 + 29 * k
            if last < w:
                continue
            a = last + 1 - w
            f[at] = bars[last - w, s, 3] / close
            _window(bars[a:, s], change[:, a:, s], w, f[at + 1 : at + 29])


@njit(cache=True, error_model="numpy")
def _window(bars, change, w, f):
    e = 1e-12
    prices, volumes = bars[:, 3], bars[:, 5]
    close, volume = prices[w - 1], volumes[w - 1]
    seen = np.flatnonzero(~np.isnan(prices))
    moved = np.flatnonzero(~np.isnan(change[0]))
    if len(seen) < 0.6 * w or len(moved) < 2:
        return
    c, v, t = prices[seen], volumes[seen], seen.astype(np.float64) + 1
    dt, dc = t - t.mean(), c - c.mean()
    slope = (dt * dc).sum() / (dt * dt).sum()
    spread = (dc * dc).sum()
    high, low = bars[seen, 1], bars[seen, 2]
    top, bottom = high.max(), low.min()
    f[0] = c.mean() / close
    f[1] = np.sqrt(spread / (len(c) - 1)) / close
    f[2] = slope / close
    f[3] = (dt * dc).sum() ** 2 / ((dt * dt).sum() * spread) if spread > 1e-18 * close * close else 0.0
    f[4] = (close - c.mean() - slope * (w - t.mean())) / close
    f[5], f[6] = top / close, bottom / close
    f[7], f[8] = np.quantile(c, 0.8) / close, np.quantile(c, 0.2) / close
    f[9] = (c <= close).mean()
    f[10] = (close - bottom) / (top - bottom + e)
    f[11], f[12] = t[np.argmax(high)] / w, t[np.argmin(low)] / w
    f[13] = f[11] - f[12]
    f[14] = _correlation(c, np.log(v + 1))
    r, d, g, u = change[0][moved], change[1][moved], change[2][moved], change[3][moved]
    f[15] = _correlation(r, g)
    f[16], f[17] = (d > 0).mean(), (d < 0).mean()
    f[18] = f[16] - f[17]
    gross = np.abs(d).sum() + e
    f[19], f[20] = np.maximum(d, 0).sum() / gross, np.maximum(-d, 0).sum() / gross
    f[21] = f[19] - f[20]
    f[22] = v.mean() / (volume + e)
    f[23] = np.sqrt(((v - v.mean()) ** 2).sum() / (len(v) - 1)) / (volume + e)
    weighted = np.abs(r - 1) * volumes[moved]
    f[24] = np.sqrt(((weighted - weighted.mean()) ** 2).sum() / (len(weighted) - 1)) / (weighted.mean() + e)
    gross = np.abs(u).sum() + e
    f[25], f[26] = np.maximum(u, 0).sum() / gross, np.maximum(-u, 0).sum() / gross
    f[27] = f[25] - f[26]


@njit(cache=True, error_model="numpy")
def _correlation(a, b):
    x, y = a - a.mean(), b - b.mean()
    xx, yy = (x * x).sum(), (y * y).sum()
    return (x * y).sum() / np.sqrt(xx * yy) if xx > 1e-18 and yy > 1e-18 else np.nan
