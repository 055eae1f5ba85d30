"""Charts of the signal study for its page: each with a line of ours and of the printed figure for every model."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from markupsafe import Markup
from matplotlib.figure import Figure

from mg_portfolio.charts.comparison import colour_of, compared_lines_chart, grouped_bars_chart
from mg_portfolio.charts.style import svg
from mg_portfolio.report.published import period_bounds
from mg_portfolio.report.signal_study.cell_text import Cells, Notes, all_absent, printed, word
from mg_portfolio.report.signal_study.chart_layouts import BarChart, Chart, LineChart
from mg_portfolio.report.signal_study.layouts import MetricColumn
from mg_portfolio.report.signal_study.texts import CHART_NAMES, METRICS, REPORTS, TEXTS


@dataclass(frozen=True)
class Series:
    """One colour of a chart: its label (key of the texts) and the cells of its figures; no colour is drawn nowhere."""

    label: str
    cells: list[Any]
    colour: str


def chart_series(chart: Chart, cells: Cells) -> list[Series]:
    """Series of a chart in the order of its colours, and what is subtracted from them."""
    if isinstance(chart, BarChart):
        found = [
            (s.label, [cells.at(chart.report, chart.table, name, column) for name, column in s.cells])
            for s in chart.series
        ]
    else:
        wanted = [(row.label, row.subject) for row in chart.rows] + [(chart.less, chart.less)] * bool(chart.less)
        found = [(label, [cells.at(chart.report, chart.table, name, chart.column)]) for label, name in wanted]
    drawn = len(chart.rows) if isinstance(chart, LineChart) else len(found)
    return [Series(label, own, colour_of(i) if i < drawn else "") for i, (label, own) in enumerate(found)]


def chart_lines(chart: LineChart, curves: pd.DataFrame) -> tuple[np.ndarray, list[np.ndarray]]:
    """Days of a chart and a line for each of its rows; NaN where a signal has no value.

    Parameters
    ----------
    chart : LineChart
    curves : DataFrame
        Columns ``subject``, ``date`` and the chart's curve, from
        :func:`mg_portfolio.report.signal_study.tables.study_curves`.

    Returns
    -------
    days : ndarray of datetime64[D] (D,)
    lines : list of ndarray of float (D,)
    """
    names = [row.subject for row in chart.rows] + [chart.less] * bool(chart.less)
    own = curves[curves["subject"].isin(names)]
    wide = own.pivot(index="date", columns="subject", values=chart.curve).reindex(columns=names)
    if chart.period:  # a return counts from the last close before its period
        start, end = map(str, period_bounds(chart.period))
        earlier = wide.index[wide.index < start]
        wide = wide[(wide.index <= end) & (wide.index >= (earlier[-1] if len(earlier) else start))]
        wide = wide / wide.bfill().iloc[:1].to_numpy() if len(wide) else wide
    if chart.less:
        wide = wide.dropna()
        wide = wide.drop(columns=chart.less).sub(wide[chart.less], axis=0)
    return wide.index.to_numpy().astype("datetime64[D]"), [wide[name].to_numpy(float) for name in wide.columns]


def draw_chart(chart: Chart, series: list[Series], curves: pd.DataFrame, lang: str) -> Figure | None:
    """The chart, or None where the deployment has none of its figures."""
    if isinstance(chart, LineChart):
        days, lines = chart_lines(chart, curves)
        if not any(np.isfinite(line).any() for line in lines):
            return None
        return compared_lines_chart(days, lines, base=0.0 if chart.curve == "cumulative_rank_ic" else 1.0)
    ours, published = (
        np.array([[getattr(cell, name) for cell in s.cells] for s in series]) for name in ("ours", "published")
    )
    if not np.isfinite(ours).any():
        return None
    return grouped_bars_chart(ours, published, ["\n".join(word(key, lang) for key in c) for c in chart.categories])


def chart_context(chart: Chart, cells: Cells, curves: pd.DataFrame, lang: str) -> dict[str, Any]:
    """What the template shows of a chart: the drawing, and ours and the printed figure of each bar or line."""
    kind, _, digits = chart.item.partition(" ")
    series = chart_series(chart, cells)
    title = f"{REPORTS[lang][chart.report]}, {TEXTS[lang][kind].format(number=digits)}"
    name = CHART_NAMES[lang][chart.key]
    figure = draw_chart(chart, series, curves, lang)
    notes = Notes(lang)
    if isinstance(chart, BarChart):  # a row a category: the heads are the series
        heads = [(one.colour, word(one.label, lang)) for one in series]
        named = [("", " ".join(word(key, lang) for key in c)) for c in chart.categories]
        rows = list(zip(named, zip(*(one.cells for one in series), strict=True), strict=True))
    else:
        heads = [("", _column_name(chart.column, lang))]
        rows = [((one.colour, word(one.label, lang)), tuple(one.cells)) for one in series]
    return {
        "kind": "chart",
        "key": chart.key,
        "title": title,
        "name": name,
        "about": _about(chart, series, lang),
        "svg": None if figure is None else Markup(svg(figure, f"{title}: {name}")),
        "bars": isinstance(chart, BarChart),
        "heads": heads,
        "printed": any(np.isfinite(c.published) for one in series for c in one.cells),
        "partly": any(np.isnan(c.published) for one in series for c in one.cells),
        "rows": [_row(head, own, notes, lang) for head, own in rows],
        "notes": notes.lines,
    }


def _row(head: tuple[str, str], own: tuple[Any, ...], notes: Notes, lang: str) -> dict[str, Any]:
    """A line of the table below a chart: colour and label, ours and the printed figures, or why ours are absent."""
    absent = all_absent(own, lang) if len(own) == 1 else ""
    ours = ["" if absent else notes.figure(c) for c in own]
    theirs = [printed(c.metric, c.published) for c in own]
    return {
        "colour": head[0],
        "label": head[1],
        "absent": absent,
        "cells": list(zip(ours, theirs, strict=True)),
    }


def _about(chart: Chart, series: list[Series], lang: str) -> str:
    """Sentences on what is drawn, its unit and its days."""
    t = TEXTS[lang]
    if isinstance(chart, LineChart):
        parts = [t["curve_difference" if chart.less else f"curve_{chart.curve}"]]
    else:
        columns = [column for s in chart.series for _, column in s.cells]
        (first, *more) = dict.fromkeys(column.metric for column in columns)
        excess = first.partition("_excess_gross")
        what = t["as_labelled"] if more else t[f"excess_{excess[0]}"] if excess[1] else METRICS[lang][first]
        periods = {column.period for column in columns}
        parts = [t["bars"].format(what=what)]
        if periods != {""}:
            parts.append(t["own_year" if len(periods) > 1 else "own_ytd"])
    tested = [c for s in series for c in s.cells if not c.why]
    if tested:
        parts.append(
            t["ours_over"].format(first=min(c.first_day for c in tested), last=max(c.last_day for c in tested))
        )
    return " ".join(parts)


def _column_name(column: MetricColumn, lang: str) -> str:
    if not column.period:
        return METRICS[lang][column.metric]
    excess = TEXTS[lang][f"excess_{column.metric.removesuffix('_excess_gross')}"]
    return f"{excess}, {METRICS[lang][column.head]}"
