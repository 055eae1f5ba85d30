"""The numbers printed in the tables of the four reports.

`published.csv` holds one number a row: report, table, period, subject, metric, value (fractions, not percent). Names of
subjects and metrics are those of this project, so that its results can be joined to them. The correlations of factors
with one another are in `published_correlations.csv`, a pair a row.

After the reports themselves: charts 64 and 65 of series 72 are of the
CSI 500 alone (the CSI 1000 is in charts 67 and 68), and in table 4 of series 88 the first three combined models belong
to the 5-day label.
"""

import hashlib
import re
from functools import lru_cache
from importlib.resources import files

import numpy as np
import pandas as pd

from mg_portfolio.arguments import EvaluationError

COLUMNS = ("report", "table", "period", "subject", "metric", "value")


@lru_cache(maxsize=1)
def _table() -> pd.DataFrame:
    with files("mg_portfolio.report").joinpath("published.csv").open(encoding="utf-8") as handle:
        return pd.read_csv(handle, dtype={name: "object" for name in COLUMNS[:-1]})


@lru_cache(maxsize=1)
def published_correlations() -> pd.DataFrame:
    """Printed correlations of the intraday factors (series 72, charts 23, 24, 35, 42): report, table, a, b, value."""
    with files("mg_portfolio.report").joinpath("published_correlations.csv").open(encoding="utf-8") as handle:
        return pd.read_csv(handle)


def published_digest() -> str:
    """Sixteen hex digits of the published numbers: other ones, other tables beside them."""
    folder = files("mg_portfolio.report")
    content = [folder.joinpath(name).read_bytes() for name in ("published.csv", "published_correlations.csv")]
    return hashlib.sha256(b"".join(content)).hexdigest()[:16]


def published_rows(
    subject: str | None = None,
    metric: str | None = None,
    table: str | None = None,
    report: str | None = None,
    period: str | None = None,
) -> pd.DataFrame:
    """Rows of the published numbers that match every argument given.

    Parameters
    ----------
    subject : str, optional
        A factor, model or portfolio, ``"down_vol_perc"``.
    metric : str, optional
        ``"rank_ic_mean"``.
    table : str, optional
        As printed: ``"chart 7"``, ``"table 1"``.
    report : {"huatai_69", "huatai_72", "haitong_88", "haitong_weekly"}, optional
    period : str, optional
        ``"2017"`` or ``"2017-01-04/2023-11-30"``.

    Returns
    -------
    DataFrame
        Columns report, table, period, subject, metric, value; empty where nothing was published.
    """
    rows = _table()
    for column, wanted in (
        ("subject", subject),
        ("metric", metric),
        ("table", table),
        ("report", report),
        ("period", period),
    ):
        if wanted is not None:
            rows = rows[rows[column] == wanted]
    return rows.reset_index(drop=True)


def published_value(
    subject: str, metric: str, table: str | None = None, period: str | None = None, report: str | None = None
) -> float | None:
    """One published number, or None where there is none.

    Without a period it is the longest period's, so the whole backtest's rather than one year's.

    Parameters
    ----------
    subject, metric, table, period, report
        See `published_rows`.

    Returns
    -------
    float or None

    Raises
    ------
    EvaluationError
        Several tables print different numbers for it; name the table.
    """
    rows = published_rows(subject, metric, table, report, period)
    if rows.empty:
        return None
    length = np.array([(end - start).astype(int) for start, end in map(period_bounds, rows["period"])])
    rows = rows[length == length.max()]
    if rows["value"].nunique() > 1:
        where = ", ".join(f"{r.report} {r.table} ({r.period}): {r.value:g}" for r in rows.itertuples())
        raise EvaluationError(f"{metric} of {subject} is published more than once: {where}; pass table= or period=")
    return float(rows["value"].iloc[0])


def period_bounds(period: str) -> tuple[np.datetime64, np.datetime64]:
    """First and last day of a published period.

    Parameters
    ----------
    period : str
        ``"2017"`` or ``"2017-01-04/2023-11-30"``.

    Returns
    -------
    start, end : datetime64[D]

    Raises
    ------
    EvaluationError
        Neither of the two forms.

    Examples
    --------
    >>> period_bounds("2017")
    (np.datetime64('2017-01-01'), np.datetime64('2017-12-31'))
    """
    if re.fullmatch(r"\d{4}", period):
        return np.datetime64(f"{period}-01-01"), np.datetime64(f"{period}-12-31")
    if re.fullmatch(r"\d{4}-\d\d-\d\d/\d{4}-\d\d-\d\d", period):
        start, end = period.split("/")
        return np.datetime64(start), np.datetime64(end)
    raise EvaluationError(f"period was {period!r}, expected a year or two dates, 2017-01-04/2023-11-30")
