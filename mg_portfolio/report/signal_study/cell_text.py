"""How a cell of the signal study is written: its figure, its spread, the printed one, or why it has none."""

import math
from collections.abc import Sequence
from typing import Any

import pandas as pd
from markupsafe import Markup

from mg_portfolio.report.signal_study.layouts import PERIODS, MetricColumn
from mg_portfolio.report.signal_study.texts import METRICS, MODELS, REASONS, TEXTS
from mg_portfolio.report.templates import marked

_RATIOS = {"rank_ic_ir", "rank_icir", "rank_icir_annual", "icir", "weighted_icir", "weighted_rank_icir",
           "top_information_ratio"}  # fmt: skip
_MARKS = "†‡§¶#*^"


class Cells:
    """Cells of the study by report, table, signal and column."""

    def __init__(self, frame: pd.DataFrame) -> None:
        key = ("report", "table", "subject", "metric", "period", "universe")
        self._rows = {tuple(getattr(row, name) for name in key): row for row in frame.itertuples()}

    def at(self, report: str, table: str, subject: str, column: MetricColumn) -> Any:
        """The row of a cell, as a named tuple."""
        return self._rows[report, table, subject, column.metric, column.period or PERIODS[report], column.universe]


def word(key: str, lang: str) -> str:
    """Text of a key of a table's column or row; empty for none."""
    return (METRICS[lang].get(key) or MODELS[lang][key]) if key else ""


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


def spread(row: Any) -> str:
    """Standard deviation of a figure over its tracks, ``±0.12%``; empty where there is none."""
    text = number(row.metric, row.track_std)
    return f"±{text}" if text else ""


def reason(row: Any, lang: str) -> str:
    """Why a figure is absent, with the signal's name where it is to be added."""
    return REASONS[lang][row.why].format(signal=row.subject)


def brief(row: Any, lang: str) -> str:
    """The figure, or why it is absent in two words."""
    return TEXTS[lang][row.why.replace(" ", "_")] if row.why else number(row.metric, row.ours)


def all_absent(rows: Sequence[Any], lang: str) -> Markup | str:
    """Why all of a row's figures are absent, each reason once; empty where one is there."""
    if any(not row.why for row in rows):
        return ""
    return marked("; ".join(dict.fromkeys(reason(row, lang) for row in rows)))


class Notes:
    """Marks in place of absent figures, and the reason of each below the table."""

    def __init__(self, lang: str) -> None:
        self._lang = lang
        self._signals: dict[str, list[str]] = {}

    def figure(self, row: Any, value: float | None = None) -> Markup | str:
        """The figure (or ``value`` in its place), or the mark of the reason why it is absent."""
        if not row.why:
            return number(row.metric, row.ours if value is None else value)
        named = self._signals.setdefault(row.why, [])
        if row.subject not in named:
            named.append(row.subject)
        return Markup("<sup>{}</sup>").format(_MARKS[list(self._signals).index(row.why)])

    @property
    def lines(self) -> list[tuple[str, Markup]]:
        """Mark and reason, signals of one reason named together."""
        texts = [REASONS[self._lang][why].format(signal="`, `".join(names)) for why, names in self._signals.items()]
        return [(mark, marked(text)) for mark, text in zip(_MARKS, texts, strict=False)]
