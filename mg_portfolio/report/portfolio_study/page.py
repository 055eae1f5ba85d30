"""A portfolio study as one self-contained HTML page, in English or Chinese: ours above the printed figures.

1. `tables.compose` puts ours beside the printed numbers, `charts` draws the report's comparisons of portfolios.
2. `page.html` is the template, laid out as in the report. Nothing is fetched when the file is opened.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import pandas as pd
from markupsafe import Markup
from matplotlib.figure import Figure

from mg_portfolio.arguments import EvaluationError
from mg_portfolio.charts.style import svg
from mg_portfolio.report.portfolio_study.chart_layouts import CHARTS
from mg_portfolio.report.portfolio_study.charts import chart_context, correlations_context
from mg_portfolio.report.portfolio_study.layouts import PortfolioTable
from mg_portfolio.report.portfolio_study.tables import (
    CELL_COLUMNS,
    Account,
    absence_notes,
    days_note,
    excess_note,
    format_figure,
)
from mg_portfolio.report.portfolio_study.texts import (
    REPORTS,
    TEXTS,
    drawn_text,
    note_text,
    reason_text,
    title_text,
    trading_text,
    translated,
)
from mg_portfolio.report.templates import marked, template

_TITLE_LOCATIONS: tuple[Literal["left", "center", "right"], ...] = ("left", "center", "right")


@dataclass(frozen=True)
class PortfolioStudy:
    """Contents of a portfolio study.

    Attributes
    ----------
    tables : sequence of (PortfolioTable, DataFrame)
        Of one report, each with its cells from :func:`mg_portfolio.report.portfolio_study.tables.compose`.
    charts : mapping of title to Figure
        Drawn besides the report's own.
    accounts : mapping of portfolio to Account, or to the reason why there is none
        Whose excess is drawn.
    correlations : DataFrame
        From :func:`mg_portfolio.report.portfolio_study.tables.compose_correlations`.
    backtests : DataFrame, optional
        Decisions and violations of each portfolio's backtest, one row each.
    trading : str
        Costs and fills of orders, as a sentence.
    source, lake : str
        Names of the data source and the lake.
    simulated : bool
        Of a simulated market, which the page says.
    generated : datetime, optional
        When the page was rendered.
    """

    tables: Sequence[tuple[PortfolioTable, pd.DataFrame]]
    charts: Mapping[str, Figure] = field(default_factory=dict)
    accounts: Mapping[str, Account | str] = field(default_factory=dict)
    correlations: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=list(CELL_COLUMNS)))
    backtests: pd.DataFrame | None = None
    trading: str = ""
    source: str = ""
    lake: str = ""
    simulated: bool = False
    generated: dt.datetime | None = None


def render_portfolio_study(page: PortfolioStudy, lang: str = "en") -> str:
    """The page as one self-contained HTML document: style sheet and charts are inside, nothing is fetched.

    Parameters
    ----------
    page : PortfolioStudy
    lang : {"en", "zh"}

    Returns
    -------
    str

    Raises
    ------
    EvaluationError
        Another language.
    """
    if lang not in TEXTS:
        raise EvaluationError(f"lang was {lang!r}, expected one of {sorted(TEXTS)}")
    t, cells = TEXTS[lang], pd.concat([frame for _, frame in page.tables], ignore_index=True)
    every = cells["portfolio"].str.removesuffix(" benchmark")
    report, excess = page.tables[0][0].report, page.tables[0][0].excess
    frames = {table.table: frame for table, frame in page.tables}
    counts = {
        "have": every[cells["ours"].notna()].nunique(),
        "every": every.nunique(),
        "filled": int(cells["ours"].notna().sum()),
        "cells": len(cells),
    }
    return template("portfolio_study/page.html").render(
        t=t,
        page=page,
        title=REPORTS[lang][report],
        counts=t["counts"].format(**counts),
        by_weekday=bool(cells["track_std"].notna().any()),
        tables=[_table_context(table, frame, lang) for table, frame in page.tables],
        drawn=[chart_context(c, frames[c.table], page.accounts, excess, lang) for c in CHARTS[report]],
        correlations=correlations_context(page.correlations, lang),
        charts=[_drawn(title, figure, lang) for title, figure in page.charts.items()],
        backtests=[] if page.backtests is None else page.backtests.to_dict("records"),
        backtest_heads=[]
        if page.backtests is None
        else [translated(str(name).replace("_", " "), lang) for name in page.backtests],
        trading=trading_text(page.trading, lang),
        lang=lang,
    )


def head_rows(heads: Sequence[str]) -> list[list[tuple[str, int, bool]]]:
    """Rows of a table's head, from column heads such as ``"a, b"`` of two rows.

    Neighbours that share a word, and all words before it, share its cell; the last row has a cell for each column.

    Parameters
    ----------
    heads : sequence of str (C,)
        Words separated by ", ", the outermost first.

    Returns
    -------
    list of list of (str, int, bool)
        Cells of each row: word, columns that it spans, and whether a group begins there.
    """
    parts = [tuple(head.split(", ")) for head in heads]
    depth = max(map(len, parts))
    rows: list[list[tuple[str, int, bool]]] = []
    for level in range(depth):
        row: list[tuple[str, int, bool]] = []
        for i, part in enumerate(parts):
            begins = i == 0 or part[:1] != parts[i - 1][:1] or depth == 1
            if level < depth - 1 and i and part[: level + 1] == parts[i - 1][: level + 1]:
                word, count, first = row[-1]
                row[-1] = (word, count + 1, first)
            else:
                row.append((part[level], 1, begins and depth > 1))
        rows.append(row)
    return rows


def _table_context(table: PortfolioTable, frame: pd.DataFrame, lang: str) -> dict[str, Any]:
    key, width, place = f"{table.report}_{table.table.replace(' ', '_')}", len(table.heads), 0
    heads = [[(translated(word, lang), *rest) for word, *rest in row] for row in head_rows(table.heads)]
    rows, above = [], ("",) * len(table.labels)
    partly = []  # rows in which only some cells of ours are empty: a dash, and the reason below the table
    for labels, cells in table.rows:
        own = frame.iloc[place : place + len(cells)]
        place += len(cells)
        reasons = list(dict.fromkeys(own["note"]))
        rows.append(
            {
                "label": translated(labels[-1], lang),
                "group": translated(labels[0], lang) if len(labels) > 1 and labels[0] != above[0] else "",
                "absent": marked(reason_text(reasons[0], lang))
                if own["ours"].isna().all() and len(reasons) == 1
                else "",
                "ours": [
                    (format_figure(r.ours, r.metric), _spread(r), reason_text(r.note, lang), r.portfolio)
                    for r in own.itertuples()
                ],
                "published": [format_figure(r.published, r.metric) for r in own.itertuples()],
                "lacking": width - len(cells),
            }
        )
        above = labels
        if not rows[-1]["absent"]:
            partly.append(own)
    notes = (days_note(frame, lang), excess_note(table, frame, lang), note_text(table.note, lang))
    return {
        "key": key,
        "title": title_text(key, table.title, lang),
        "about": " ".join(filter(None, notes)),
        "label": translated(table.labels[-1], lang),
        "heads": heads,
        "firsts": [first for _, _, first in head_rows(table.heads)[-1]],
        "width": width,
        "rows": rows,
        "notes": [marked(note) for note in absence_notes(pd.concat(partly), lang)] if partly else [],
    }


def _drawn(name: str, figure: Figure, lang: str) -> Markup:
    """A chart with its title in a language; the figure keeps its own."""
    ax = figure.axes[0]
    loc: Literal["left", "center", "right"] = next((at for at in _TITLE_LOCATIONS if ax.get_title(at)), "center")
    own = ax.get_title(loc)
    ax.set_title(drawn_text(own, lang), loc=loc)
    drawn = Markup(svg(figure, drawn_text(own, lang) if lang != "en" else name))
    ax.set_title(own, loc=loc)
    return drawn


def _spread(row: Any) -> str:
    return "" if pd.isna(row.track_std) else f"±{format_figure(row.track_std, row.metric)}"
