"""Numbers of the signal study, one a row: ours, the published one, and why ours is absent."""

from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd

from mg_portfolio.report.published import published_value
from mg_portfolio.report.signal_study.layouts import GENERAL, OVERVIEW, SIGNAL_TABLES, report_of
from mg_portfolio.report.signal_study.measures import FEW_DAYS, NOT_TRAINED, SignalFigures

SIGNALS = "signals"
"""Name of the table of all signals, beside those of `SIGNAL_TABLES`."""

STUDY_COLUMNS = {
    "report": "huatai_69, huatai_72, haitong_88, or general",
    "table": "as printed, chart 52; signals: the table of every signal of the deployment",
    "subject": "signal, by its name in the model catalog",
    "metric": "as in the published numbers",
    "ours": "of this lake; null where why says so",
    "published": "as the report prints it; null where it prints none",
    "why": "empty, not trained (not in the deployment's catalog), few days, few stocks, undefined",
    "first_day": "first day tested",
    "last_day": "last day tested",
    "days": "sessions tested",
}


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
            printed = None if report == GENERAL else published_value(subject, metric, report=report)
            rows.append(_cell(report, SIGNALS, subject, metric, printed, found, signals))
    for layout in SIGNAL_TABLES:
        for row in layout.rows:
            for column in layout.columns:
                printed = layout.published(row.subject, column.metric)
                rows.append(_cell(layout.report, layout.table, row.subject, column.metric, printed, found, signals))
    return pd.DataFrame(rows, columns=list(STUDY_COLUMNS)).astype({"ours": float, "published": float, "days": "int64"})


def _cell(
    report: str,
    table: str,
    subject: str,
    metric: str,
    printed: float | None,
    found: Mapping[str, SignalFigures],
    signals: tuple[str, ...],
) -> dict[str, object]:
    own = found.get(subject)
    if own is None:
        why = FEW_DAYS if subject in signals else NOT_TRAINED
    else:
        why = own.why(metric)
    return {
        "report": report,
        "table": table,
        "subject": subject,
        "metric": metric,
        "ours": np.nan if own is None or why else own.values[metric],
        "published": np.nan if printed is None else printed,
        "why": why,
        "first_day": "" if own is None else str(own.first),
        "last_day": "" if own is None else str(own.last),
        "days": 0 if own is None else own.days,
    }
