"""Figures of a signal over a report's period: its own track, the mean over tracks after it.

A report that tests one track starts it on the first day of its period; a lake that begins later continues the same
track, whose decisions come every few sessions from that day on. Evaluation, signal study and weekly report take their
figures of a report's period from here, so that one name has one figure.
"""

from dataclasses import dataclass

import numpy as np

from mg_portfolio.evaluation.result import Evaluation
from mg_portfolio.evaluation.track_metrics import mean_metrics

MIN_DAYS = 30


@dataclass(frozen=True)
class PeriodFigures:
    """Metrics of an evaluation over a period.

    Attributes
    ----------
    first, last : datetime64[D]
        Days of the evaluation that are in the period.
    track : int or None
        Starting offset of the report's own track among the days of the evaluation; None where no track is known.
    one : dict of str to float
        Metrics of that track; empty where there is none.
    mean, std : dict of str to float
        Over all tracks.
    """

    first: np.datetime64
    last: np.datetime64
    track: int | None
    one: dict[str, float]
    mean: dict[str, float]
    std: dict[str, float]


def report_track(days: np.ndarray, start: np.datetime64, every: int, before: int = 0) -> int | None:
    """Starting offset, among days, of the track whose first decision is on a given day.

    Parameters
    ----------
    days : ndarray of datetime64[D] (D,)
        Trading days, ascending.
    start : datetime64[D]
        Day of the first decision; the next trading day where it is none.
    every : int
        Trading days between decisions.
    before : int
        Trading days from ``start`` to the first of ``days``, where that is later.

    Returns
    -------
    int or None
        None where the days end before the start.
    """
    at = int(np.searchsorted(days, start))
    if at == len(days):
        return None
    return (at if at or days[0] == start else -before) % every


def period_figures(
    found: Evaluation, start: np.datetime64, end: np.datetime64, before: int = 0, min_days: int = MIN_DAYS
) -> PeriodFigures:
    """Metrics over a report's period, or over all days where the evaluation has too few in it.

    Parameters
    ----------
    found : Evaluation
    start, end : datetime64[D]
        First and last day of the period.
    before : int
        See `report_track`.
    min_days : int

    Returns
    -------
    PeriodFigures
    """
    inside = (found.days >= start) & (found.days <= end)
    if inside.sum() < min_days:
        inside[:] = True
    days = found.days[inside]
    metrics = found.period_metrics(days[0], days[-1])
    names = list(metrics[0])
    table = np.array([[row[name] for name in names] for row in metrics])
    with np.errstate(invalid="ignore"):
        spread = table.std(axis=0, ddof=1) if len(table) > 1 else np.full(len(names), np.nan)
    offset = report_track(found.days, start, found.every, before)
    track = offset if offset in found.tracks else None
    one = metrics[found.tracks.index(track)] if track is not None else {}
    return PeriodFigures(
        days[0], days[-1], track, one, mean_metrics(metrics), dict(zip(names, spread.tolist(), strict=True))
    )
