"""Numbers of the signal study, one a row: ours, the published one, and why ours is absent."""

from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd

from mg_portfolio.report.signal_study.layouts import (
    GENERAL,
    OVERVIEW,
    SIGNAL_FIGURES,
    SIGNAL_TABLES,
    MetricColumn,
    SignalTable,
    period_of,
    report_of,
)
from mg_portfolio.report.signal_study.measures import CURVES, FEW_DAYS, NOT_TRAINED, SignalFigures

SIGNALS = "signals"
"""Name of the table of all signals, beside those of `SIGNAL_TABLES`."""

STUDY_COLUMNS = {
    "report": "huatai_69, huatai_72, haitong_88, or general",
    "table": "as printed, chart 52; signals: the table of every signal of the deployment",
    "subject": "signal, by its name in the model catalog",
    "metric": "as in the published numbers",
    "period": "of the published number, a calendar year or two dates; ours are of the days tested",
    "universe": "all, or the stocks that the signal is tested in",
    "ours": "of this lake, mean over tracks; null where why says so",
    "track_std": "standard deviation of ours over the tracks",
    "one_track": "ours on series 72's own track, that of 2017-01-04; null for the other reports",
    "published": "as the report prints it; null where it prints none",
    "why": "empty, not trained (not in the deployment's catalog), few days, few stocks, undefined, no universe, "
    "small universe, short period",
    "first_day": "first day tested",
    "last_day": "last day tested",
    "days": "sessions tested",
}
CURVE_COLUMNS = {"subject": "signal", "date": "trading day", **CURVES}


def study_cells(found: Mapping[str, SignalFigures], signals: Iterable[str]) -> pd.DataFrame:
    """Every cell of the overview and of the reports' tables.

    Parameters
    ----------
    found : mapping of str to SignalFigures
        Signals with enough days.
    signals : iterable of str
        Signals of the deployment; the tables' other models are not trained here.

    Returns
    -------
    DataFrame
        Columns `STUDY_COLUMNS`.
    """
    signals = tuple(signals)
    rows = []
    for subject in sorted(signals, key=lambda s: list(OVERVIEW).index(report_of(s))):
        report = report_of(subject)
        for metric in OVERVIEW[report]:
            column = MetricColumn(metric, metric)
            printed = None if report == GENERAL else SignalTable(report, SIGNALS, (), ()).published(subject, column)
            rows.append(_cell(report, SIGNALS, subject, column, printed, found, signals))
    for layout in (*SIGNAL_TABLES, *SIGNAL_FIGURES):
        for row in layout.rows:
            for column in layout.columns:
                printed = layout.published(row.subject, column)
                rows.append(_cell(layout.report, layout.table, row.subject, column, printed, found, signals))
    numbers = dict.fromkeys(("ours", "track_std", "one_track", "published"), float)
    return pd.DataFrame(rows, columns=list(STUDY_COLUMNS)).astype({**numbers, "days": "int64"})


def study_curves(found: Mapping[str, SignalFigures]) -> pd.DataFrame:
    """Curves of every signal, one row a signal and day; columns `CURVE_COLUMNS`."""
    frames = [figures.curves.assign(subject=name) for name, figures in found.items()]
    if not frames:
        return pd.DataFrame({c: pd.Series(dtype=float if c in CURVES else "str") for c in CURVE_COLUMNS})
    return pd.concat(frames, ignore_index=True)[list(CURVE_COLUMNS)]


def _cell(
    report: str,
    table: str,
    subject: str,
    column: MetricColumn,
    printed: float | None,
    found: Mapping[str, SignalFigures],
    signals: tuple[str, ...],
) -> dict[str, object]:
    own, metric = found.get(subject), column.metric
    if own is None:
        part, why = None, FEW_DAYS if subject in signals else NOT_TRAINED
    else:
        part, why = own.at(column)
    values, stds, one = (part.values, part.spread, part.one_track) if part is not None and not why else ({}, {}, {})
    return {
        "report": report,
        "table": table,
        "subject": subject,
        "metric": metric,
        "period": column.period or period_of(report),
        "universe": column.universe,
        "ours": values.get(metric, np.nan),
        "track_std": stds.get(metric, np.nan),
        "one_track": one.get(metric, np.nan),
        "published": np.nan if printed is None else printed,
        "why": why,
        "first_day": "" if part is None else str(part.first),
        "last_day": "" if part is None else str(part.last),
        "days": 0 if part is None else part.days,
    }
