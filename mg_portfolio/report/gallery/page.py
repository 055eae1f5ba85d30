"""Render the page of an evaluation from its tables: one self-contained HTML file a language."""

import datetime as dt
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from markupsafe import Markup

from mg_portfolio.arguments import EvaluationError
from mg_portfolio.charts.evaluation import LAYERS, cumulative_chart
from mg_portfolio.charts.figures import layers_chart, svg
from mg_portfolio.report.gallery.texts import (
    FEW_STOCKS,
    FEW_STOCKS_ZH,
    METRICS,
    NAMES_ZH,
    REASONS_ZH,
    TABLE_NAMES,
    TEXTS,
)
from mg_portfolio.report.published import published_correlations, published_rows
from mg_portfolio.report.signal_study.texts import MODELS
from mg_portfolio.report.templates import template
from mg_portfolio.report.weekly.names import NAMES

REPORT = "huatai_72"
TABLES = {"factors": ("chart 7", "chart 26", "chart 37"), "signals": ("chart 57", "chart 45", "chart 52")}
"""Published tables of each kind of page."""
CORRELATIONS = {"chart 23": "chart 7", "chart 35": "chart 26", "chart 42": "chart 37"}
"""Charts of correlations, and the table that has their factors in order."""
_RATIOS = {"rank_ic_ir", "top_information_ratio"}
_POINTS = 60
_WIDTH, _HEIGHT = 150, 64  # of a thumbnail


@dataclass(frozen=True)
class Gallery:
    """What the page shows, as the tables of an evaluation hold it.

    Attributes
    ----------
    kind : {"factors", "signals"}
    names : sequence of str
        Every factor or signal of the deployment, in order.
    summary : DataFrame
        ``factor_evaluation`` or ``signal_evaluation``: name, rank_ic_mean, ...
    layers : DataFrame
        Columns name, date, track, rank_ic, layer1 ..
    published : DataFrame
        Columns name, table, metric, published, one_track, mean, std, first_day, last_day.
    correlations : DataFrame
        Index and columns the names; empty where there are none.
    absent : mapping of str to str
        Why a name was not evaluated.
    meanings : mapping of str to str
        What a name is, in English.
    source : str
    simulated : bool
    generated : datetime, optional
    """

    kind: str
    names: Sequence[str]
    summary: pd.DataFrame
    layers: pd.DataFrame
    published: pd.DataFrame
    correlations: pd.DataFrame = field(default_factory=pd.DataFrame)
    absent: Mapping[str, str] = field(default_factory=dict)
    meanings: Mapping[str, str] = field(default_factory=dict)
    source: str = ""
    simulated: bool = False
    generated: dt.datetime | None = None


@dataclass(frozen=True)
class NameCharts:
    """Charts of one factor or signal, the same in both languages; None where there is nothing to draw."""

    thumbnail: Markup | None
    layers: Markup | None
    rank_ic: Markup | None
    track: str
    first: np.datetime64 | None


def series_of(layers: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Rows to draw by name: the report's own track where there is one, else the mean over tracks."""
    out = {}
    for name, rows in layers.groupby("name", sort=False) if len(layers) else ():
        own = rows[rows["track"] != "mean"]
        out[str(name)] = (own if len(own) else rows).reset_index(drop=True)
    return out


def layer_nav(rows: pd.DataFrame) -> np.ndarray:
    """Relative NAV of the layers ``(G, D)``, the highest signal first."""
    names = sorted((c for c in rows.columns if c.startswith("layer")), key=lambda c: int(c[5:]))
    return rows[names].to_numpy(float).T


def cumulated(rows: pd.DataFrame) -> np.ndarray:
    """RankIC to add up ``(D,)``: the track's own, or a fifth of every day's, the mean over five tracks."""
    rank_ic = rows["rank_ic"].to_numpy(float)
    return rank_ic / 5 if len(rows) and rows["track"].iloc[0] == "mean" else rank_ic


def draw_charts(layers: pd.DataFrame) -> dict[str, NameCharts]:
    """Charts of every name, drawn once for the pages of both languages.

    Parameters
    ----------
    layers : DataFrame
        See `Gallery`.

    Returns
    -------
    dict of str to NameCharts
    """
    return {name: _draw(name, rows) for name, rows in series_of(layers).items()}


def _draw(name: str, rows: pd.DataFrame) -> NameCharts:
    days = rows["date"].to_numpy("datetime64[D]")
    nav, rank_ic = layer_nav(rows), cumulated(rows)
    held = np.isfinite(nav).all(axis=0)
    has_ic = np.flatnonzero(np.isfinite(rank_ic))
    numbers = [str(g + 1) for g in range(len(nav))]
    return NameCharts(
        _thumbnail(nav[:, held]) if held.any() else None,
        Markup(svg(layers_chart(days, nav, numbers, height=2.6, width=5.2), f"{name} NAV")) if held.any() else None,
        Markup(svg(cumulative_chart({"": (days, rank_ic)}, height=2.6, width=5.2), f"{name} RankIC"))
        if len(has_ic)
        else None,
        str(rows["track"].iloc[0]),
        days[has_ic[0]] if len(has_ic) else None,
    )


def _thumbnail(nav: np.ndarray) -> Markup:
    """Lines without axes, of a few points: matplotlib takes a tenth of a second and thirty times the size."""
    at = np.unique(np.linspace(0, nav.shape[1] - 1, _POINTS).astype(int))
    low, high = nav.min(), nav.max()
    x = at / max(nav.shape[1] - 1, 1) * (_WIDTH - 4) + 2
    y = 2 + (high - nav[:, at]) / max(high - low, 1e-9) * (_HEIGHT - 4)
    lines = []
    for g, line in enumerate(y):
        points = " ".join(f"{a:.0f},{b:.1f}" for a, b in zip(x, line, strict=True))
        red, green, blue, _ = LAYERS(g / max(len(nav) - 1, 1), bytes=True)
        width = 1.6 if g in (0, len(nav) - 1) else 0.8
        lines.append(
            f'<polyline points="{points}" fill="none" stroke="#{red:02x}{green:02x}{blue:02x}" stroke-width="{width}"/>'
        )
    return Markup(f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" aria-hidden="true">{"".join(lines)}</svg>')


def render_gallery(content: Gallery, lang: str = "en", charts: Mapping[str, NameCharts] | None = None) -> str:
    """The page as HTML.

    Parameters
    ----------
    content : Gallery
    lang : {"en", "zh"}
    charts : mapping, optional
        From `draw_charts`, where several languages are rendered.

    Returns
    -------
    str
        Self-contained: style sheet and charts are inside, nothing is fetched.

    Raises
    ------
    EvaluationError
        Another language or kind.

    Notes
    -----
    Source: Huatai 2023-12-08 (series 72): charts 3 to 5, 7 to 24, 26 to 35, 37 to 42, 45, 46, 52, 53, 57 and 58.
    """
    if lang not in TEXTS:
        raise EvaluationError(f"lang was {lang!r}, expected one of {sorted(TEXTS)}")
    if content.kind not in TABLES:
        raise EvaluationError(f"kind was {content.kind!r}, expected one of {sorted(TABLES)}")
    t = TEXTS[lang]
    drawn = draw_charts(content.layers) if charts is None else charts
    rows = content.summary.set_index("name") if len(content.summary) else pd.DataFrame()
    cards = [_card(content, name, rows, drawn.get(name), lang) for name in content.names]
    days = pd.to_datetime(content.layers["date"]) if len(content.layers) else pd.Series([], dtype="datetime64[s]")
    return template("gallery/page.html").render(
        t=t,
        lang=lang,
        content=content,
        title=t[content.kind],
        span=(f"{days.min():%Y-%m-%d}", f"{days.max():%Y-%m-%d}") if len(days) else None,
        cards=cards,
        tables=[_table(content, table, lang) for table in TABLES[content.kind]],
        heat_maps=[_heat_map(content, table, lang) for table in CORRELATIONS] if content.kind == "factors" else [],
    )


def label(name: str, content: Gallery, lang: str) -> str:
    """What a factor or signal is called; empty where it has no words of its own."""
    own = NAMES_ZH if lang == "zh" else content.meanings
    return own.get(name) or MODELS[lang].get(name) or NAMES[lang].get(name, "")


def _number(metric: str, value: float) -> str:
    if not math.isfinite(value):
        return ""
    text = f"{value:.2f}" if metric in _RATIOS else f"{100 * value:.2f}%"
    return text.lstrip("-") if float(text.rstrip("%")) == 0 else text


def _card(content: Gallery, name: str, summary: pd.DataFrame, charts: NameCharts | None, lang: str) -> dict[str, Any]:
    """One name's thumbnail and charts, or why there is none."""
    t = TEXTS[lang]
    reason, figures, note = "", "", ""
    if charts is None:
        reason = _absent(content, name, lang)
    else:
        note = t["mean_track"] if charts.track == "mean" else t["track"].format(day=charts.first)
    if name in summary.index:
        row = summary.loc[name]
        figures = t["figures"].format(
            ic=_number("rank_ic_mean", row["rank_ic_mean"]) or "-",
            ir=_number("rank_ic_ir", row["rank_ic_ir"]) or "-",
            excess=_number("top_excess_annual", row["top_excess_annual"]) or "-",
            turnover=_number("top_turnover_two_way", row["top_turnover_two_way"]) or "-",
        )
    return {
        "name": name,
        "label": label(name, content, lang),
        "reason": reason,
        "figures": figures,
        "note": note,
        "rank_ic": _number("rank_ic_mean", summary.loc[name, "rank_ic_mean"]) if name in summary.index else "",
        "thumbnail": charts.thumbnail if charts else None,
        "layers": charts.layers if charts else None,
        "cumulative": charts.rank_ic if charts else None,
    }


def _absent(content: Gallery, name: str, lang: str) -> str:
    why = content.absent.get(name, "")
    if lang == "zh":
        few = FEW_STOCKS.fullmatch(why)
        why = FEW_STOCKS_ZH.format(*few.groups()) if few else REASONS_ZH.get(why, why)
    return TEXTS[lang]["not_evaluated"].format(reason=why or TEXTS[lang]["not_in_lake"])


def _heading(table: str, lang: str) -> str:
    return f"{TEXTS[lang]['chart'].format(number=table.split()[1])}: {TABLE_NAMES[lang][table]}"


def _subjects(table: str) -> list[str]:
    return list(dict.fromkeys(published_rows(table=table, report=REPORT)["subject"]))


def _table(content: Gallery, table: str, lang: str) -> dict[str, Any]:
    """A published table: of each subject ours on the report's track, the mean over tracks, and the printed line."""
    t = TEXTS[lang]
    printed = published_rows(table=table, report=REPORT)
    metrics = [m for m in METRICS[lang] if m in set(printed["metric"])]
    ours = content.published.set_index(["name", "metric"]) if len(content.published) else pd.DataFrame()
    value = printed.set_index(["subject", "metric"])["value"]
    rows, spans = [], []
    for name in _subjects(table):
        mine = None if ours.empty or name not in ours.index.get_level_values(0) else ours.loc[name].reindex(metrics)
        if mine is not None:
            known = mine.dropna(subset=["first_day"])
            spans.append((known["first_day"].iloc[0], known["last_day"].iloc[0]))
        rows.append(
            {
                "name": name,
                "label": label(name, content, lang),
                "absent": "" if mine is not None else _absent(content, name, lang),
                "one": [] if mine is None else [_number(m, mine.loc[m, "one_track"]) or "-" for m in metrics],
                "mean": [] if mine is None else [_spread(m, mine.loc[m, "mean"], mine.loc[m, "std"]) for m in metrics],
                "printed": [_number(m, value[name, m]) for m in metrics],
            }
        )
    first, last = printed["period"].iloc[0].split("/")
    if spans:
        key = "ours_over" if len(set(spans)) == 1 else "ours_mixed"
        over = t[key].format(first=min(s[0] for s in spans), last=max(s[1] for s in spans))
    else:
        over = t["ours_none"]
    return {
        "id": f"published-{table.replace(' ', '-')}",
        "heading": _heading(table, lang),
        "about": f"{t['printed_over'].format(first=first, last=last)} {over}",
        "heads": [METRICS[lang][m] for m in metrics],
        "rows": rows,
    }


def _spread(metric: str, mean: float, std: float) -> str:
    middle = _number(metric, mean)
    around = _number(metric, std)
    return (f"{middle} ({around})" if around else middle) or "-"


def _heat_map(content: Gallery, table: str, lang: str) -> dict[str, Any]:
    """Correlations of a published chart's factors: ours as colour and number, the printed number below it."""
    pairs = published_correlations()
    pairs = pairs[pairs["table"] == table]
    names = _subjects(CORRELATIONS[table])
    printed = {frozenset(pair): v for *pair, v in pairs[["a", "b", "value"]].itertuples(index=False)}
    have = set(content.correlations.columns) & set(content.correlations.index)
    rows = []
    for a in names:
        cells = []
        for b in names:
            mine = float(content.correlations.loc[a, b]) if {a, b} <= have and a != b else math.nan
            cells.append(
                {
                    "same": a == b,
                    "ours": f"{mine:.2f}".replace("-0.00", "0.00") if math.isfinite(mine) else "-",
                    "colour": _colour(mine),
                    "dark": math.isfinite(mine) and abs(mine) > 0.72,
                    "printed": "" if a == b else f"{printed[frozenset((a, b))]:.2f}",
                }
            )
        rows.append({"name": a, "cells": cells})
    return {
        "id": f"correlations-{table.replace(' ', '-')}",
        "heading": _heading(table, lang),
        "names": names,
        "rows": rows,
        "reason": "" if have else TEXTS[lang]["no_correlations"],
    }


def _colour(value: float) -> str:
    """Background of a correlation: white at 0, blue at 1, brick at -1."""
    if not math.isfinite(value):
        return "#f1f3f5"
    stops = ((-1.0, (184, 69, 47)), (0.0, (255, 255, 255)), (1.0, (31, 92, 153)))
    for (low, a), (high, b) in pairwise(stops):
        if value <= high:
            share = min(max((value - low) / (high - low), 0.0), 1.0)
            return "#" + "".join(f"{round(p + (q - p) * share):02x}" for p, q in zip(a, b, strict=True))
    return "#1f5c99"
