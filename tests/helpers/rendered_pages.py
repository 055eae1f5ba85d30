"""Each page that the lists of items name, rendered from as little as it takes: an element without data says why."""

import datetime as dt
import re
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path

import pandas as pd

DOCS = Path(__file__).parents[2] / "docs"


def _gallery(kind: str) -> str:
    from mg_portfolio.report.gallery.page import TABLES, Gallery, render_gallery
    from mg_portfolio.report.published import published_rows

    names = [name for table in TABLES[kind] for name in published_rows(table=table, report="huatai_72")["subject"]]
    empty = pd.DataFrame()
    return render_gallery(Gallery(kind, list(dict.fromkeys(names)), empty, empty, empty))


def _signal_study() -> str:
    from mg_portfolio.report.signal_study.page import SignalStudy, render_signal_study
    from mg_portfolio.report.signal_study.tables import study_cells

    return render_signal_study(SignalStudy(study_cells({}, ())))


def _portfolio_study(study: str) -> str:
    from mg_portfolio.report.portfolio_study.layouts import STUDIES
    from mg_portfolio.report.portfolio_study.page import PortfolioStudy, render_portfolio_study
    from mg_portfolio.report.portfolio_study.tables import compose, compose_correlations

    tables = [(table, compose(table, {})) for table in STUDIES[study]]
    correlations = compose_correlations(tables[0][0].report, {})
    return render_portfolio_study(PortfolioStudy(tables, correlations=correlations))


def _weekly_report() -> str:
    from mg_portfolio.report.weekly.page import WeeklyReport, render_weekly_report

    return render_weekly_report(WeeklyReport(dt.date(2023, 12, 15), "none"), "en")


RENDERED: dict[str, Callable[[], str]] = {
    "weekly_report": _weekly_report,
    "signal_study": _signal_study,
    "portfolio_study_series_88": partial(_portfolio_study, "series_88"),
    "portfolio_study_series_72": partial(_portfolio_study, "series_72"),
    "portfolio_study_series_69": partial(_portfolio_study, "series_69"),
    "factor_evaluation": partial(_gallery, "factors"),
    "signal_evaluation": partial(_gallery, "signals"),
}
"""By the table of the lake whose page it is: a function that gives the page's HTML."""


@cache
def anchors_of(page: str) -> set[str]:
    """Ids of the elements of an HTML page, or of the headings of a document."""
    if page.endswith(".md"):
        text = (DOCS / page).read_text(encoding="utf-8")
        headings = re.findall(r"^#+ (.*)", text, re.MULTILINE)
        return {re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in headings}
    return set(re.findall(r'\bid="([^"]+)"', RENDERED[page]()))
