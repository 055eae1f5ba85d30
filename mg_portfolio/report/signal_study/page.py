"""The signal study: one self-contained HTML page, in English or Chinese, and its tables in Markdown.

1. `tables.study_cells` puts ours beside the published numbers; `layouts` has the tables of the reports.
2. `mg_portfolio.charts.signal_study` draws RankIC beside the published one and the correlations.
3. `page.html` is the template. Nothing is fetched when the file is opened.
"""

import datetime as dt
import math
import re
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

import numpy as np
import pandas as pd
from markupsafe import Markup, escape

from mg_portfolio.arguments import EvaluationError
from mg_portfolio.charts.signal_study import correlation_chart, published_comparison_chart
from mg_portfolio.charts.style import svg
from mg_portfolio.metrics import DAYS_PER_YEAR
from mg_portfolio.report.signal_study.layouts import (
    COMMON_FACTORS,
    CONDITIONS,
    OVERVIEW,
    RANK_IC_GRID,
    SIGNAL_TABLES,
    ModelRow,
    SignalTable,
    published_correlation,
)
from mg_portfolio.report.signal_study.measures import NOT_TRAINED
from mg_portfolio.report.signal_study.tables import SIGNALS
from mg_portfolio.report.signal_study.texts import METRICS, MODELS, REASONS, REPORTS, TABLE_NAMES, TEXTS
from mg_portfolio.report.templates import template

_RATIOS = {"rank_ic_ir", "rank_icir", "rank_icir_annual", "icir", "weighted_icir", "weighted_rank_icir",
           "top_information_ratio"}  # fmt: skip
_MARKS = "†‡§"


@dataclass(frozen=True)
class SignalStudy:
    """Contents of a signal study.

    Attributes
    ----------
    cells : DataFrame
        From :func:`mg_portfolio.report.signal_study.tables.study_cells`.
    names : tuple of str (N,)
        Signals, then common factors, of the correlations.
    correlations : ndarray of float (N, N)
        Mean daily Spearman correlations; NaN where two share no day.
    correlation_days : int
        Largest number of days in one of them.
    source, lake : str
        Data source, and root of the lake.
    simulated : bool
        Of a simulated market, which the page says.
    generated : datetime, optional
        When the page was rendered.
    """

    cells: pd.DataFrame
    names: tuple[str, ...] = ()
    correlations: np.ndarray = field(default_factory=lambda: np.empty((0, 0)))
    correlation_days: int = 0
    source: str = ""
    lake: str = ""
    simulated: bool = False
    generated: dt.datetime | None = None

    @property
    def trained(self) -> tuple[int, list[str]]:
        """Number of models of the reports' tables that the deployment has, and the names of those it lacks."""
        state = self.cells[self.cells["table"] != SIGNALS].groupby("subject", sort=False)["why"].first()
        return int((state != NOT_TRAINED).sum()), list(state.index[state == NOT_TRAINED])


def render_signal_study(study: SignalStudy, lang: str = "en") -> str:
    """The study as one HTML document.

    Parameters
    ----------
    study : SignalStudy
    lang : {"en", "zh"}

    Returns
    -------
    str
        Self-contained: style sheet and charts are inside, nothing is fetched.

    Raises
    ------
    EvaluationError
        Another language.

    Notes
    -----
    Source: Huatai 2023-12-08, charts 45, 52, 57 and 49, 56, 61; Haitong 2023 series 88, tables 1, 3, 5, 6, 7; Huatai
    2023-08-22, charts 10, 22, 34 and 32.
    """
    if lang not in TEXTS:
        raise EvaluationError(f"lang was {lang!r}, expected one of {sorted(TEXTS)}")
    t = TEXTS[lang]
    have, lacking = study.trained
    shown = study.cells[study.cells["table"] == SIGNALS]
    tested = shown[shown["days"] > 0]
    return template("signal_study/page.html").render(
        t=t,
        lang=lang,
        study=study,
        span=(tested["first_day"].min(), tested["last_day"].max()) if len(tested) else None,
        short=bool((tested["days"] < DAYS_PER_YEAR).any()),
        trained=t["trained"].format(have=have, all=have + len(lacking)),
        lacking=lacking,
        lacking_text=_marked(t["lacking"]),
        overview=_overview(shown, lang),
        rank_ic=_rank_ic(shown, lang),
        tables=[_table(study.cells, table, lang) for table in SIGNAL_TABLES],
        heat_map=_heat_map(study, lang),
        correlations_note=t["correlations_note"].format(days=study.correlation_days),
        common=_common(study),
        pairs=_pairs(study),
        common_factors=COMMON_FACTORS,
    )


def number(metric: str, value: float) -> str:
    """Format a figure of ours: ratios with two digits, fractions as percent; empty where it is NaN."""
    if math.isnan(value):
        return ""
    text = f"{value:.2f}" if metric in _RATIOS else f"{100 * value:.2f}%"
    return text.lstrip("-") if float(text.rstrip("%")) == 0 else text  # a rounded zero has no sign


def printed(metric: str, value: float) -> str:
    """Format a published figure with no more digits than were printed."""
    text = number(metric, value)
    return f"{text.rstrip('%').rstrip('0').rstrip('.')}%" if text.endswith("%") else text


def overview_markdown(cells: pd.DataFrame, lang: str = "en") -> str:
    """The table of all signals in Markdown."""
    t, metrics, lines = TEXTS[lang], METRICS[lang], []
    shown = cells[cells["table"] == SIGNALS]
    for report, group in shown.groupby("report", sort=False):
        names = [metrics[m] for m in OVERVIEW[str(report)]]
        heads = [h for n in names for h in (n, t["published"])]
        lines += [f"**{REPORTS[lang][str(report)]}**: {conditions_text(str(report), lang)}", ""]
        lines += [f"| {t['signal']} | " + " | ".join(heads) + f" | {t['tested']} |", "|---" * (len(heads) + 2) + "|"]
        for subject, rows in group.groupby("subject", sort=False):
            pairs = [
                text
                for r in rows.itertuples()
                for text in (_brief(r, lang), printed(r.metric, r.published) or t["not_published"])
            ]
            lines.append(f"| {subject} | " + " | ".join(pairs) + f" | {_days(rows.iloc[0], lang)} |")
        lines.append("")
    return "\n".join(lines)


def signal_table_markdown(cells: pd.DataFrame, table: SignalTable, lang: str = "en") -> str:
    """One of the reports' tables in Markdown: a line of ours and a line as published for each model."""
    t, words = TEXTS[lang], MODELS[lang]
    heads = [" ".join(filter(None, (_word(c.span, lang), _word(c.head, lang)))) for c in table.columns]
    lines = [f"| {t['model']} | | " + " | ".join(heads) + " |", "|---" * (len(heads) + 2) + "|"]
    for row, own in _rows_of(cells, table):
        label = ", ".join(filter(None, (words.get(row.group, ""), words[row.label])))
        mine = [_ours(r, lang) for r in own.itertuples()]
        if not own["days"].iloc[0]:  # the whole reason once, then its short form
            mine[1:] = [_brief(r, lang) for r in own.iloc[1:].itertuples()]
        lines.append(f"| {label} | {t['ours']} | " + " | ".join(mine) + " |")
        theirs = [printed(r.metric, r.published) for r in own.itertuples()]
        lines.append(f"| | {t['published']} | " + " | ".join(theirs) + " |")
    return "\n".join(lines)


def conditions_text(report: str, lang: str) -> str:
    """Sentence on the conditions under which a report's signals are evaluated."""
    how, t = CONDITIONS[report], TEXTS[lang]
    price = METRICS[lang][how.case.execution]
    return t["conditions"].format(every=how.case.every, groups=how.groups, price=price)


def _marked(text: str) -> Markup:
    """HTML of a text, with `code` elements for what is in backticks."""
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text))))


def _word(key: str, lang: str) -> str:
    return METRICS[lang][key] if key else ""


def _ours(row: Any, lang: str) -> str:
    return REASONS[lang][row.why] if row.why else number(row.metric, row.ours)


def _brief(row: Any, lang: str) -> str:
    """As `_ours`, with the reason in its short form."""
    return TEXTS[lang][row.why.replace(" ", "_")] if row.why else number(row.metric, row.ours)


def _days(row: Any, lang: str) -> str:
    if not row["days"]:
        return REASONS[lang][row["why"]]
    return f"{row['first_day']} .. {row['last_day']}, {TEXTS[lang]['count_days'].format(count=row['days'])}"


def _rows_of(cells: pd.DataFrame, table: SignalTable) -> list[tuple[Any, pd.DataFrame]]:
    here = cells[(cells["report"] == table.report) & (cells["table"] == table.table)].set_index("subject")
    metrics = [c.metric for c in table.columns]
    return [(row, here.loc[[row.subject]].set_index("metric", drop=False).loc[metrics]) for row in table.rows]


def _overview(shown: pd.DataFrame, lang: str) -> list[dict[str, Any]]:
    """The table of all signals by report."""
    groups = []
    for report, group in shown.groupby("report", sort=False):
        rows = []
        for subject, own in group.groupby("subject", sort=False):
            first = own.iloc[0]
            rows.append(
                {
                    "subject": subject,
                    "about": TEXTS[lang]["planted_signal"] if subject == "planted_signal" else "",
                    "reason": "" if first["days"] else REASONS[lang][first["why"]],
                    "cells": [(_brief(r, lang), printed(r.metric, r.published)) for r in own.itertuples()],
                    "days": _days(first, lang),
                }
            )
        groups.append(
            {
                "title": REPORTS[lang][str(report)],
                "conditions": conditions_text(str(report), lang),
                "heads": [METRICS[lang][m] for m in OVERVIEW[str(report)]],
                "rows": rows,
            }
        )
    return groups


def _rank_ic(shown: pd.DataFrame, lang: str) -> Markup | None:
    rows = shown[(shown["metric"] == "rank_ic_mean") & shown["ours"].notna()]
    if rows.empty:
        return None
    labels = {key: TEXTS[lang][key] for key in ("ours", "published", "rank_ic")}
    figure = published_comparison_chart(
        list(rows["subject"]), rows["ours"].to_numpy(), rows["published"].to_numpy(), labels
    )
    return Markup(svg(figure, TEXTS[lang]["alt_rank_ic"]))


def _table(cells: pd.DataFrame, table: SignalTable, lang: str) -> dict[str, Any]:
    """Context of one of the reports' tables for the template."""
    t = TEXTS[lang]
    kind, _, digits = table.table.partition(" ")
    models = _rows_of(cells, table)
    notes: dict[str, str] = {}
    rows = [_table_row(row, own, notes, lang) for row, own in models]
    for i in range(len(rows) - 1, 0, -1):  # a group is named once, above its first row
        if rows[i]["group"] == rows[i - 1]["group"]:
            rows[i]["group"] = ""
    tested = pd.concat([own.iloc[:1] for _, own in models])
    tested = tested[tested["days"] > 0]
    spans = [(key, len(list(group))) for key, group in groupby(table.columns, lambda c: c.span)]
    return {
        "key": table.key,
        "title": f"{REPORTS[lang][table.report]}, {t[kind].format(number=digits)}",
        "name": TABLE_NAMES[lang][table.key],
        "conditions": _table_conditions(table, lang),
        "ours_over": _ours_over(tested, t),
        "published_over": _published_over(table, t),
        "spans": [(_word(key, lang), count) for key, count in spans] if table.columns[-1].span else [],
        "firsts": {sum(count for _, count in spans[:i]) for i in range(len(spans))},
        "heads": [METRICS[lang][c.head] for c in table.columns],
        "rows": rows,
        "notes": [(mark, REASONS[lang][why]) for why, mark in notes.items()],
    }


def _table_row(row: ModelRow, own: pd.DataFrame, notes: dict[str, str], lang: str) -> dict[str, Any]:
    """A model's line: its figures, or why it has none; a single absent figure is marked and its reason noted."""
    words = MODELS[lang]
    absent = own["why"].iloc[0] if not own["days"].iloc[0] else ""
    values: list[str] = []
    for r in own.itertuples():
        if r.why and not absent:
            values.append(Markup("<sup>{}</sup>").format(notes.setdefault(str(r.why), _MARKS[len(notes)])))
        else:
            values.append(_ours(r, lang))
    return {
        "subject": row.subject,
        "label": words[row.label],
        "group": words[row.group] if row.group else "",
        "absent": _marked(REASONS[lang][absent]) if absent else "",
        "ours": values,
        "published": [printed(r.metric, r.published) for r in own.itertuples()],
    }


def _table_conditions(table: SignalTable, lang: str) -> str:
    if table.columns[0].metric in RANK_IC_GRID:
        return f"{TEXTS[lang]['conditions_grid']} {TEXTS[lang]['price_note']}"
    return conditions_text(table.report, lang)


def _ours_over(tested: pd.DataFrame, t: dict[str, str]) -> str:
    if tested.empty:
        return t["ours_none"]
    spans = set(zip(tested["first_day"], tested["last_day"], strict=True))
    key = "ours_over" if len(spans) == 1 else "ours_mixed"
    return t[key].format(first=tested["first_day"].min(), last=tested["last_day"].max())


def _published_over(table: SignalTable, t: dict[str, str]) -> str:
    first, last = table.period.split("/")
    return t["published_liquid" if table.report == "huatai_69" else "published_over"].format(first=first, last=last)


def _heat_map(study: SignalStudy, lang: str) -> Markup | None:
    if len(study.names) < 2:
        return None
    common = sum(name in COMMON_FACTORS for name in study.names)
    return Markup(svg(correlation_chart(study.names, study.correlations, common), TEXTS[lang]["alt_correlations"]))


def _value(study: SignalStudy, a: str, b: str) -> str:
    value = study.correlations[study.names.index(a), study.names.index(b)]
    return "" if np.isnan(value) else f"{value:.2f}".replace("-0.00", "0.00")


def _common(study: SignalStudy) -> list[dict[str, Any]]:
    """Signals whose correlations with the common factors were published, with ours."""
    if not set(COMMON_FACTORS) <= set(study.names):
        return []
    return [
        {
            "subject": name,
            "ours": [_value(study, name, factor) for factor in COMMON_FACTORS],
            "published": [f"{published_correlation(name, factor):.2f}" for factor in COMMON_FACTORS],
        }
        for name in study.names
        if name not in COMMON_FACTORS and published_correlation(name, COMMON_FACTORS[0]) is not None
    ]


def _pairs(study: SignalStudy) -> list[dict[str, str]]:
    """Pairs of signals whose correlation was published, with ours."""
    signals = [n for n in study.names if n not in COMMON_FACTORS]
    return [
        {"pair": f"{a}, {b}", "ours": _value(study, a, b), "published": f"{value:.2f}"}
        for i, a in enumerate(signals)
        for b in signals[i + 1 :]
        if (value := published_correlation(a, b)) is not None
    ]
