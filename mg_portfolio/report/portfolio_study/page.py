"""A portfolio study as one self-contained HTML page: the report's tables with ours above the printed figures.

1. `tables.compose` puts ours beside the printed numbers; `mg_portfolio.charts.portfolio` draws the excess.
2. `page.html` is the template, laid out as in the report. Nothing is fetched when the file is opened.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd
from markupsafe import Markup
from matplotlib.figure import Figure

from mg_portfolio.charts.style import svg
from mg_portfolio.report.portfolio_study.tables import (
    PortfolioTable,
    absence_notes,
    days_note,
    excess_note,
    format_figure,
)
from mg_portfolio.report.templates import template

REPORTS = {
    "haitong_88": "Haitong series 88 (2023), AI portfolios by index, limits and model",
    "huatai_72": "Huatai series 72 (2023-12-08), enhanced portfolios by turnover limit",
    "huatai_69": "Huatai series 69 (2023-08-22), portfolios of the attention models",
}


@dataclass(frozen=True)
class PortfolioStudy:
    """Contents of a portfolio study.

    Attributes
    ----------
    tables : sequence of (PortfolioTable, DataFrame)
        Of one report, each with its cells from :func:`mg_portfolio.report.portfolio_study.tables.compose`.
    charts : mapping of title to Figure
    backtests : DataFrame, optional
        Decisions and violations of each portfolio's backtest, one row each.
    trading : str
        Costs and fills of orders, as a sentence.
    source, lake : str
        Data source, and root of the lake.
    simulated : bool
        Of a simulated market, which the page says.
    generated : datetime, optional
        When the page was rendered.
    """

    tables: Sequence[tuple[PortfolioTable, pd.DataFrame]]
    charts: Mapping[str, Figure] = field(default_factory=dict)
    backtests: pd.DataFrame | None = None
    trading: str = ""
    source: str = ""
    lake: str = ""
    simulated: bool = False
    generated: dt.datetime | None = None


def render_portfolio_study(page: PortfolioStudy) -> str:
    """The page as one self-contained HTML document: style sheet and charts are inside, nothing is fetched."""
    cells = pd.concat([frame for _, frame in page.tables], ignore_index=True)
    have = cells.loc[cells["ours"].notna(), "portfolio"].str.removesuffix(" benchmark").nunique()
    return template("portfolio_study/page.html").render(
        page=page,
        title=REPORTS[page.tables[0][0].report],
        every=cells["portfolio"].str.removesuffix(" benchmark").nunique(),
        have=have,
        filled=int(cells["ours"].notna().sum()),
        cells=len(cells),
        tables=[_table_context(table, frame) for table, frame in page.tables],
        charts={title: Markup(svg(figure, title)) for title, figure in page.charts.items()},
        backtests=[] if page.backtests is None else page.backtests.to_dict("records"),
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


def _table_context(table: PortfolioTable, frame: pd.DataFrame) -> dict[str, Any]:
    width = len(table.heads)
    firsts = [first for _, _, first in head_rows(table.heads)[-1]]
    rows, above = [], ("",) * len(table.labels)
    partly = []  # rows in which only some cells of ours are empty: a dash, and the reason below the table
    for i, (labels, _) in enumerate(table.rows):
        own = frame.iloc[i * width : (i + 1) * width]
        reasons = list(dict.fromkeys(own["note"]))
        rows.append(
            {
                "labels": labels,
                "group": labels[0] if len(labels) > 1 and labels[0] != above[0] else "",
                "absent": reasons[0] if own["ours"].isna().all() and len(reasons) == 1 else "",
                "ours": [(format_figure(r.ours, r.metric), r.note, r.portfolio) for r in own.itertuples()],
                "published": [format_figure(r.published, r.metric) for r in own.itertuples()],
            }
        )
        above = labels
        if not rows[-1]["absent"]:
            partly.append(own)
    return {
        "key": f"{table.report}_{table.table.replace(' ', '_')}",
        "title": table.title,
        "about": " ".join(filter(None, (days_note(frame), excess_note(table, frame), table.note))),
        "label": table.labels[-1],
        "heads": head_rows(table.heads),
        "firsts": firsts,
        "width": width,
        "rows": rows,
        "notes": absence_notes(pd.concat(partly)) if partly else [],
    }
