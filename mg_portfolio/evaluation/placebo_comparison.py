"""A backtest beside its placebos: the excess over their mean with an interval, and the rank among them."""

import numpy as np
import pandas as pd

from mg_portfolio.evaluation.confidence_intervals import LEVEL, bootstrap
from mg_portfolio.metrics import DAYS_PER_YEAR

COLUMNS = ("excess", "placebo_mean", "placebo_std", "over_placebos", "low", "high", "rank", "placebos", "weeks")


def compare_with_placebos(
    days: np.ndarray, relative_nav: np.ndarray, placebos: np.ndarray, level: float = LEVEL
) -> pd.DataFrame:
    """Compare a portfolio's excess with that of its placebos.

    Parameters
    ----------
    days : (T,) datetime64[D]
        Trading days, ascending.
    relative_nav : (T,) float
        The portfolio's value over its benchmark's, of any scale.
    placebos : (N, T) float
        The same of N random signals.
    level : float
        Of the interval.

    Returns
    -------
    DataFrame
        Index ``period``: "whole", scaled to a year, then calendar years, in which a return is what was earned.
        ``excess`` of the portfolio, net of costs; ``placebo_mean`` and ``placebo_std``, geometric mean and standard
        deviation of the placebos' excess; ``over_placebos``, ``(1 + excess) / (1 + placebo_mean) - 1``, with ``low``
        and ``high``; ``rank`` of the portfolio among all ``placebos`` + 1, 1 for the highest excess; ``weeks``.

    Notes
    -----
    The interval resamples blocks of calendar weeks of the portfolio's log growth less the placebos' mean
    (:func:`~mg_portfolio.evaluation.confidence_intervals.bootstrap`): it says how far the lead over them would differ
    in other weeks of the same kind, and is NaN with fewer than ten weeks. How much random signals differ among
    themselves is ``placebo_std``; with twenty, ranking first happens to one signal without content in twenty-one.
    """
    date = np.asarray(days, "datetime64[D]")[1:]
    growth = np.diff(np.log(np.vstack([relative_nav, placebos])), axis=1)  # (N + 1, T - 1)
    year = date.astype("datetime64[Y]")
    lines = {"whole": _compare(date, growth, DAYS_PER_YEAR / max(len(date), 1), level)}
    for one in np.unique(year):
        lines[str(one)] = _compare(date[year == one], growth[:, year == one], 1.0, level)
    return pd.DataFrame.from_dict(lines, orient="index", columns=list(COLUMNS)).rename_axis("period")


def _compare(date: np.ndarray, growth: np.ndarray, scale: float, level: float) -> tuple[float, ...]:
    """One period's line; ``scale`` takes its whole log growth to the figure's."""
    monday = (date.astype("int64") + 3) // 7  # 1970-01-01 was a Thursday
    starts = np.flatnonzero(np.r_[True, monday[1:] != monday[:-1]])
    weekly = np.add.reduceat(growth[0] - growth[1:].mean(axis=0), starts)
    total = growth.sum(axis=1) * scale
    excess, mean = np.expm1(total), float(np.expm1(total[1:].mean()))
    low, high = np.expm1(np.array(bootstrap(weekly, level=level)) * len(weekly) * scale)
    std = float(excess[1:].std(ddof=1)) if len(excess) > 2 else np.nan
    over, rank = float(np.expm1(total[0] - total[1:].mean())), 1 + int((excess[1:] > excess[0]).sum())
    return float(excess[0]), mean, std, over, float(low), float(high), rank, len(excess) - 1, len(starts)
