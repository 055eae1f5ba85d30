"""The signal study: one self-contained HTML page, in English or Chinese, and its tables in Markdown.

1. `tables.study_cells` puts ours beside the published numbers; `layouts` has the tables of the reports.
2. `charts` draws the reports' comparisons of models, which `chart_layouts` lists with the tables in printed order;
   `mg_portfolio.charts.signal_study` RankIC beside the published one and the correlations.
3. `page.html` is the template. Nothing is fetched when the file is opened.
"""

import datetime as dt
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

import numpy as np
import pandas as pd
from markupsafe import Markup

from mg_portfolio.arguments import EvaluationError
from mg_portfolio.charts.signal_study import correlation_chart, published_comparison_chart
from mg_portfolio.charts.style import svg
from mg_portfolio.metrics import DAYS_PER_YEAR
from mg_portfolio.report.signal_study.cell_text import (
    Cells,
    Notes,
    all_absent,
    brief,
    number,
    printed,
    reason,
    spread,
    word,
)
from mg_portfolio.report.signal_study.chart_layouts import CONTENTS
from mg_portfolio.report.signal_study.charts import chart_context
from mg_portfolio.report.signal_study.layouts import (
    COMMON_CHARTS,
    COMMON_CORRELATIONS,
    COMMON_FACTORS,
    CONDITIONS,
    ONE_TRACK,
    OVERVIEW,
    PAIR_CORRELATIONS,
    RANK_IC_GRID,
    ModelRow,
    SignalTable,
)
from mg_portfolio.report.signal_study.measures import NOT_TRAINED
from mg_portfolio.report.signal_study.tables import CURVE_COLUMNS, SIGNALS
from mg_portfolio.report.signal_study.texts import METRICS, REASONS, REPORTS, TABLE_NAMES, TEXTS, common_name
from mg_portfolio.report.templates import marked, template


@dataclass(frozen=True)
class SignalStudy:
    """Contents of a signal study.

    Attributes
    ----------
    cells : DataFrame
        From :func:`mg_portfolio.report.signal_study.tables.study_cells`.
    curves : DataFrame
        From :func:`mg_portfolio.report.signal_study.tables.study_curves`; empty for none.
    names : tuple of str (N,)
        Signals, then common factors, of the correlations.
    correlations : ndarray of float (N, N)
        Mean daily Spearman correlations; NaN where two share no day.
    correlation_days : int
        Largest number of days in one of them.
    source, lake : str
        Names of the data source and the lake.
    simulated : bool
        Of a simulated market, which the page says.
    generated : datetime, optional
        When the page was rendered.
    """

    cells: pd.DataFrame
    curves: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=list(CURVE_COLUMNS)))
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
    Source: Huatai 2023-12-08, charts 45, 47 to 49, 52, 54 to 57 and 59 to 61; Haitong 2023 series 88, tables 1 to 7 and
    figures 4 to 13, 15 and 16; Huatai 2023-08-22, charts 10, 12, 13, 16 to 18, 22, 25, 27, 32, 34 and 36.
    """
    if lang not in TEXTS:
        raise EvaluationError(f"lang was {lang!r}, expected one of {sorted(TEXTS)}")
    t = TEXTS[lang]
    have, lacking = study.trained
    shown = study.cells[study.cells["table"] == SIGNALS]
    tested, cells = shown[shown["days"] > 0], Cells(study.cells)
    return template("signal_study/page.html").render(
        t=t,
        lang=lang,
        study=study,
        span=(tested["first_day"].min(), tested["last_day"].max()) if len(tested) else None,
        short=bool((tested["days"] < DAYS_PER_YEAR).any()),
        trained=t["trained"].format(have=have, all=have + len(lacking)),
        lacking=lacking,
        lacking_text=marked(t["lacking"]),
        overview=_overview(shown, lang),
        rank_ic=_rank_ic(shown, lang),
        reports=[
            {"key": report, "title": REPORTS[lang][report], "items": [_item(study, cells, x, lang) for x in items]}
            for report, items in CONTENTS.items()
        ],
        heat_map=_heat_map(study, lang),
        correlations_note=t["correlations_note"].format(days=study.correlation_days),
        common=_common(study, lang),
        pairs=_pairs(study, lang),
        common_factors=[common_name(name, lang) for name in COMMON_FACTORS],
    )


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
                for text in (brief(r, lang), printed(r.metric, r.published) or t["not_published"])
            ]
            lines.append(f"| {subject} | " + " | ".join(pairs) + f" | {_days(rows.iloc[0], lang)} |")
        lines.append("")
    return "\n".join(lines)


def signal_table_markdown(cells: pd.DataFrame, table: SignalTable, lang: str = "en") -> str:
    """One of the reports' tables in Markdown: lines of ours and a line as published for each model."""
    t, found = TEXTS[lang], Cells(cells)
    heads = [" ".join(filter(None, (word(c.span, lang), word(c.head, lang)))) for c in table.columns]
    lines = [f"| {t['model']} | | " + " | ".join(heads) + " |", "|---" * (len(heads) + 2) + "|"]
    for row in table.rows:
        own = _cells_of(found, table, row)
        label = ", ".join(filter(None, (word(row.group, lang), word(row.label, lang))))
        why = all_absent(own, lang)
        mine = [reason(own[0], lang), *(brief(r, lang) for r in own[1:])] if why else [brief(r, lang) for r in own]
        theirs = [printed(r.metric, r.published) for r in own]
        kinds = [(t["ours"], mine), (t["published"], theirs)]
        if table.report in ONE_TRACK and not why:
            kinds = [(t["one_track"], [number(r.metric, r.one_track) for r in own]), *kinds[:0:-1], (t["tracks"], mine)]
        for i, (kind, texts) in enumerate(kinds):
            lines.append(f"| {'' if i else label} | {kind} | " + " | ".join(texts) + " |")
    return "\n".join(lines)


def conditions_text(report: str, lang: str) -> str:
    """Sentence on the conditions under which a report's signals are evaluated."""
    how, t = CONDITIONS[report], TEXTS[lang]
    price = METRICS[lang][how.case.execution]
    return t["conditions"].format(every=how.case.every, groups=how.groups, price=price)


def _days(row: Any, lang: str) -> str:
    if not row["days"]:
        return REASONS[lang][row["why"]].format(signal=row["subject"])
    return f"{row['first_day']} .. {row['last_day']}, {TEXTS[lang]['count_days'].format(count=row['days'])}"


def _cells_of(cells: Cells, table: SignalTable, row: ModelRow) -> list[Any]:
    return [cells.at(table.report, table.table, row.subject, column) for column in table.columns]


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
                    "absent": not first["days"],
                    "cells": [(brief(r, lang), printed(r.metric, r.published)) for r in own.itertuples()],
                    "days": marked(_days(first, lang)),
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


def _item(study: SignalStudy, cells: Cells, item: Any, lang: str) -> dict[str, Any]:
    """Context of a table or chart of a report for the template."""
    if isinstance(item, SignalTable):
        return _table(cells, item, lang)
    return chart_context(item, cells, study.curves, lang)


def _table(cells: Cells, table: SignalTable, lang: str) -> dict[str, Any]:
    """Context of one of the reports' tables for the template."""
    t = TEXTS[lang]
    kind, _, digits = table.table.partition(" ")
    models = [(row, _cells_of(cells, table, row)) for row in table.rows]
    notes = Notes(lang)
    rows = [_table_row(table, row, own, notes, lang) for row, own in models]
    for i in range(len(rows) - 1, 0, -1):  # a group is named once, above its first row
        if rows[i]["group"] == rows[i - 1]["group"]:
            rows[i]["group"] = ""
    tested = [r for _, own in models for r in own if not r.why]
    spans = [(key, len(list(group))) for key, group in groupby(table.columns, lambda c: c.span)]
    return {
        "kind": "table",
        "key": table.key,
        "title": f"{REPORTS[lang][table.report]}, {t[kind].format(number=digits)}",
        "name": TABLE_NAMES[lang][table.key],
        "conditions": _table_conditions(table, lang),
        "ours_over": _ours_over(tested, t),
        "published_over": _published_over(table, t),
        "spans": [(word(key, lang), count) for key, count in spans] if table.columns[-1].span else [],
        "firsts": {sum(count for _, count in spans[:i]) for i in range(len(spans))},
        "heads": [word(c.head, lang) for c in table.columns],
        "rows": rows,
        "notes": notes.lines,
    }


def _table_row(table: SignalTable, row: ModelRow, own: list[Any], notes: Notes, lang: str) -> dict[str, Any]:
    """A model's lines: its figures, or why it has none; where the report prints one track, ours of it comes first."""
    t, absent = TEXTS[lang], all_absent(own, lang)
    lines = [(t["published"], True, [(printed(r.metric, r.published), "") for r in own])]
    if not absent:
        mean = [(notes.figure(r), spread(r)) for r in own]
        lines.insert(0, (t["ours"], False, mean))
        if table.report in ONE_TRACK:
            one = [(notes.figure(r, r.one_track), "") for r in own]
            lines = [(t["one_track"], False, one), lines[1], (t["tracks"], False, mean)]
    return {
        "subject": row.subject,
        "label": word(row.label, lang),
        "group": word(row.group, lang),
        "absent": absent,
        "lines": lines,
    }


def _table_conditions(table: SignalTable, lang: str) -> str:
    if table.columns[0].metric in RANK_IC_GRID:
        return f"{TEXTS[lang]['conditions_grid']} {TEXTS[lang]['price_note']}"
    return conditions_text(table.report, lang)


def _ours_over(tested: list[Any], t: dict[str, str]) -> str:
    if not tested:
        return t["ours_none"]
    first, last = min(r.first_day for r in tested), max(r.last_day for r in tested)
    spans = {(r.period, r.first_day, r.last_day) for r in tested}
    key = "ours_over" if len(spans) == len({period for period, *_ in spans}) else "ours_mixed"
    return t[key].format(first=first, last=last)


def _published_over(table: SignalTable, t: dict[str, str]) -> str:
    first, last = table.period.split("/")
    return t["published_liquid" if table.report == "huatai_69" else "published_over"].format(first=first, last=last)


def _heat_map(study: SignalStudy, lang: str) -> Markup | None:
    if len(study.names) < 2:
        return None
    common = sum(name in COMMON_FACTORS for name in study.names)
    names = [common_name(name, lang) for name in study.names]
    return Markup(svg(correlation_chart(names, study.correlations, common), TEXTS[lang]["alt_correlations"]))


def _value(study: SignalStudy, a: str, b: str, lang: str) -> Markup | str:
    """Our correlation of two, or why there is none."""
    absent = [name for name in (a, b) if name not in study.names]
    if absent:
        return marked(TEXTS[lang]["no_correlation"].format(signal="`, `".join(absent)))
    value = study.correlations[study.names.index(a), study.names.index(b)]
    return TEXTS[lang]["no_shared_day"] if np.isnan(value) else f"{value:.2f}".replace("-0.00", "0.00")


def _common(study: SignalStudy, lang: str) -> list[dict[str, Any]]:
    """Signals whose correlations with the common factors were published, with ours or why they have none."""
    rows = []
    for name, printed_ones in COMMON_CORRELATIONS.items():
        absent = "" if name in study.names else _value(study, name, name, lang)
        rows.append(
            {
                "key": f"huatai_72_{COMMON_CHARTS[name].replace(' ', '_')}",
                "item": TEXTS[lang]["chart"].format(number=COMMON_CHARTS[name].split()[1]),
                "subject": name,
                "absent": absent,
                "ours": [] if absent else [_value(study, name, factor, lang) for factor in COMMON_FACTORS],
                "published": [f"{value:.2f}" for value in printed_ones],
            }
        )
    return rows


def _pairs(study: SignalStudy, lang: str) -> list[dict[str, Any]]:
    """Pairs of signals whose correlation was published, with ours or why there is none."""
    return [
        {"one": a, "other": b, "ours": _value(study, a, b, lang), "published": f"{value:.2f}"}
        for (a, b), value in PAIR_CORRELATIONS.items()
    ]
