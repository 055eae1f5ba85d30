"""Charts of a portfolio study for its page, each with ours and the printed figure of every portfolio."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from markupsafe import Markup
from matplotlib.figure import Figure

from mg_portfolio.charts.comparison import colour_of, compared_lines_chart, grouped_bars_chart
from mg_portfolio.charts.style import svg
from mg_portfolio.metrics import Excess
from mg_portfolio.report.portfolio_study.chart_layouts import PortfolioBars, PortfolioChart, PortfolioLines
from mg_portfolio.report.portfolio_study.layouts import EXCESS_CORRELATIONS
from mg_portfolio.report.portfolio_study.tables import Account, format_figure
from mg_portfolio.report.portfolio_study.texts import CHART_TITLES, TEXTS, reason_text, reason_texts, translated
from mg_portfolio.report.published import period_bounds
from mg_portfolio.report.templates import marked


def excess_lines(
    chart: PortfolioLines, accounts: Mapping[str, Account | str], excess: Excess
) -> tuple[np.ndarray, list[np.ndarray]]:
    """Days of a chart and the excess of each of its portfolios, 1 on its first day in the period.

    Parameters
    ----------
    chart : PortfolioLines
    accounts : mapping of portfolio to Account, or to the reason why there is none
    excess : "relative" or "difference"

    Returns
    -------
    days : ndarray of datetime64[D] (D,)
    lines : list of ndarray of float (D,)
        NaN where a portfolio has no value.
    """
    start, end = period_bounds(chart.period)
    series = []
    for name in chart.portfolios:
        account, own = accounts.get(name, ""), pd.Series(dtype=float)
        if isinstance(account, Account):
            inside = (account.days >= start) & (account.days <= end)
            own = pd.Series(account.excess_nav(excess)[inside], account.days[inside])
        series.append(own / own.iloc[0] if len(own) else own)
    days = np.unique(np.concatenate([own.index.to_numpy("datetime64[D]") for own in series]))
    return days, [own.reindex(days).to_numpy(float) for own in series]


def draw_chart(
    chart: PortfolioChart, frame: pd.DataFrame, accounts: Mapping[str, Account | str], excess: Excess, lang: str
) -> Figure | None:
    """A chart, or None where none of its portfolios has a figure."""
    if isinstance(chart, PortfolioLines):
        days, lines = excess_lines(chart, accounts, excess)
        return compared_lines_chart(days, lines) if len(days) else None
    ours, published = (np.array([[getattr(c, n) for c in row] for row in _cells(chart, frame)]) for n in _BOTH)
    if not np.isfinite(ours).any():
        return None
    return grouped_bars_chart(ours, published, [translated(c, lang) for c in chart.categories], percent=False)


def chart_context(
    chart: PortfolioChart, frame: pd.DataFrame, accounts: Mapping[str, Account | str], excess: Excess, lang: str
) -> dict[str, Any]:
    """What the template shows of a chart: the drawing, and a line for each of its bars or lines."""
    t, title = TEXTS[lang], CHART_TITLES[lang][chart.key]
    figure = draw_chart(chart, frame, accounts, excess, lang)
    found = _cells(chart, frame)
    if isinstance(chart, PortfolioBars):
        what = t["comma"].join(dict.fromkeys(translated(c.head, lang) for row in chart.cells for c in row))
        about = t["bars"].format(what=what)
        heads = [(colour_of(i), translated(name, lang)) for i, name in enumerate(chart.series)]
        rows = [
            ("", translated(category, lang), [row[j] for row in found]) for j, category in enumerate(chart.categories)
        ]
    else:
        about = t["curve"].format(how=t[excess])
        heads = [("", translated(chart.head, lang))]
        labels = [translated(row.rpartition(", ")[2], lang) for row in chart.portfolios.values()]
        rows = [(colour_of(i), label, row) for i, (label, row) in enumerate(zip(labels, found, strict=True))]
    return {
        "key": chart.key,
        "title": title,
        "about": about,
        "svg": None if figure is None else Markup(svg(figure, title)),
        "bars": isinstance(chart, PortfolioBars),
        "heads": heads,
        "rows": [
            {
                "colour": colour,
                "label": label,
                "cells": [
                    (format_figure(c.ours, c.metric), format_figure(c.published, c.metric), reason_text(c.note, lang))
                    for c in cells
                ],
            }
            for colour, label, cells in rows
        ],
        "notes": [marked(x) for x in reason_texts((c.note for _, _, own in rows for c in own if c.note), lang)],
    }


def correlations_context(frame: pd.DataFrame, lang: str) -> dict[str, Any] | None:
    """Matrix of the correlations of daily excess, ours and the printed number; None where a report prints none."""
    if frame.empty:
        return None
    names = list(dict.fromkeys(name for pair in EXCESS_CORRELATIONS for name in pair))
    found = {tuple(r.portfolio.split(", ")): r for r in frame.itertuples()}
    rows = []
    for one in names:
        pairs = [found.get((one, other)) or found.get((other, one)) for other in names]
        rows.append(
            [("1", "") if p is None else (format_figure(p.ours, p.metric), f"{p.published:.2f}") for p in pairs]
        )
    labels = ("multi-task baseline", "attention between tasks", "attention between stocks", "attention in time")
    return {
        "key": "huatai_69_chart_33",
        "title": CHART_TITLES[lang]["huatai_69_chart_33"],
        "about": TEXTS[lang]["correlation"],
        "names": [translated(label, lang) for label in labels],
        "rows": rows,
        "notes": [marked(x) for x in reason_texts((note for note in frame["note"] if note), lang)],
    }


_BOTH = ("ours", "published")


def _cells(chart: PortfolioChart, frame: pd.DataFrame) -> list[list[Any]]:
    """Rows of the table's frame behind a chart's bars, or behind the figure beside each line."""
    by_place = {(r.row, r.column): r for r in frame.itertuples()}
    if isinstance(chart, PortfolioLines):
        return [[by_place[row, chart.head]] for row in chart.portfolios.values()]
    return [[by_place[cell.row, cell.head] for cell in row] for row in chart.cells]
