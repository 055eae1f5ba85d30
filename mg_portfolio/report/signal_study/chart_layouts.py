"""The reports' charts of several models: which figure of which model is a bar, or which curve of it a line.

Series 72 charts 47, 48, 54, 55, 59 and 60; series 88 figures 4 to 13, 15 and 16; series 69 charts 12, 13, 16 to 18, 25,
27 and 36. Bars are cells of a table of `layouts`, lines columns of the study's curves. The title of series 69's chart
25 names no metric: those of charts 12 and 13 are ours.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

from mg_portfolio.report.signal_study.layouts import (
    MANY_BIAGRU,
    SIGNAL_FIGURES,
    SIGNAL_TABLES,
    YTD_2023,
    MetricColumn,
    ModelRow,
    SignalTable,
)

BASELINE = "mtl_mlp"


@dataclass(frozen=True)
class BarSeries:
    """Bars of one colour: a label (key of the texts), and a model and column for each category."""

    label: str
    cells: tuple[tuple[str, MetricColumn], ...]


@dataclass(frozen=True)
class BarChart:
    """Bars of several models beside one another.

    Attributes
    ----------
    report, item : str
        "haitong_88", "figure 4".
    table : str
        Where its cells are.
    categories : tuple of tuple of str
        Keys of the texts, the lines of a category's name.
    series : tuple of BarSeries
    """

    report: str
    item: str
    table: str
    categories: tuple[tuple[str, ...], ...]
    series: tuple[BarSeries, ...]

    @property
    def key(self) -> str:
        """``haitong_88_figure_4``."""
        return f"{self.report}_{self.item.replace(' ', '_')}"


@dataclass(frozen=True)
class LineChart:
    """A curve of several models.

    Attributes
    ----------
    report, item, table : str
        As in `BarChart`; the table has the printed figure of each model.
    rows : tuple of ModelRow
    curve : str
        Column of the study's curves.
    column : MetricColumn
        Figure shown beside each line.
    period : str
        Of the curve; empty for the whole one.
    less : str
        A signal whose curve is subtracted; empty for none.
    """

    report: str
    item: str
    table: str
    rows: tuple[ModelRow, ...]
    curve: str
    column: MetricColumn
    period: str = ""
    less: str = ""

    @property
    def key(self) -> str:
        """``huatai_72_chart_47``."""
        return f"{self.report}_{self.item.replace(' ', '_')}"


Chart = BarChart | LineChart

_TABLES = {layout.key: layout for layout in SIGNAL_TABLES}
_RANK_IC = MetricColumn("rank_ic_mean", "rank_ic_mean")
_WEIGHTED = MetricColumn("weighted_rank_ic_mean", "weighted_rank_ic_mean")
_TOP10 = MetricColumn("top10pct_excess_gross", "top10pct_excess_gross")
_TOP100 = MetricColumn("top100_excess_gross", "top100_excess_gross")


def _lines(report: str, items: tuple[int, int], table: str, metric: str) -> tuple[LineChart, LineChart]:
    """Charts of the top portfolios and of the cumulative RankIC of a table's models."""
    rows = _TABLES[f"{report}_{table.replace(' ', '_')}"].rows
    nav, rank_ic = (f"chart {number}" for number in items)
    top = MetricColumn(metric, metric)
    return (
        LineChart(report, nav, table, rows, "top_relative_nav", top),
        LineChart(report, rank_ic, table, rows, "cumulative_rank_ic", _RANK_IC),
    )


def _top_69(item: int, table: str, rows: Sequence[ModelRow]) -> LineChart:
    top = MetricColumn("top_annual", "top_annual")
    return LineChart("huatai_69", f"chart {item}", table, tuple(rows), "top_relative_nav", top)


def _granular(item: str, table: str, models: Sequence[str], column: MetricColumn) -> BarChart:
    """Bars of a model's two networks, by label and granularity or way of combining."""
    groups = list(product(("5d", "10d"), models))
    return BarChart(
        "haitong_88",
        item,
        table,
        tuple((f"days_{horizon}", f"short_{model}") for horizon, model in groups),
        tuple(
            BarSeries(cell, tuple((f"{model}_{cell}_{horizon}", column) for horizon, model in groups))
            for cell in ("gru", "biagru")
        ),
    )


def _tasks(item: int, column: MetricColumn) -> BarChart:
    """Bars of the three multi-task models by prediction."""
    heads = ("10d", "20d", "10d20d")
    return BarChart(
        "huatai_69",
        f"chart {item}",
        "chart 10",
        tuple((f"heads_{head}",) for head in heads),
        tuple(
            BarSeries(model, tuple((f"{model}_{head}", column) for head in heads))
            for model in ("mtl_mlp", "mtl_task_attention", "mtl_stock_attention")
        ),
    )


def _of_figure(layout: SignalTable) -> BarChart:
    """The chart of a table of `SIGNAL_FIGURES`: a category a column, a series a row."""
    return BarChart(
        layout.report,
        layout.table,
        layout.table,
        tuple((f"short_{column.head}" if column.head == "whole" else column.head,) for column in layout.columns),
        tuple(BarSeries(_short(row), tuple((row.subject, c) for c in layout.columns)) for row in layout.rows),
    )


def _short(row: ModelRow) -> str:
    return f"short_{row.label.removesuffix('_biagru').removesuffix('_gru')}"


_DRAWN = {layout.table: _of_figure(layout) for layout in SIGNAL_FIGURES}
_CHART_10 = _TABLES["huatai_69_chart_10"].rows
_CHART_22 = _TABLES["huatai_69_chart_22"].rows
_IN_TIME = BarChart(
    "huatai_69",
    "chart 25",
    "chart 22",
    (("rank_ic_mean",), ("weighted_rank_ic_mean",)),
    tuple(BarSeries(row.label, ((row.subject, _RANK_IC), (row.subject, _WEIGHTED))) for row in _CHART_22),
)

CONTENTS: dict[str, tuple[SignalTable | Chart, ...]] = {
    "huatai_72": (
        _TABLES["huatai_72_chart_45"],
        *_lines("huatai_72", (47, 48), "chart 45", "top_excess_annual"),
        _TABLES["huatai_72_chart_52"],
        *_lines("huatai_72", (54, 55), "chart 52", "top_excess_annual"),
        _TABLES["huatai_72_chart_57"],
        *_lines("huatai_72", (59, 60), "chart 57", "top_excess_annual"),
    ),
    "haitong_88": (
        *(_TABLES[f"haitong_88_table_{number}"] for number in (1, 2, 3, 4)),
        _granular("figure 4", "table 5", ("daily", "60min", "30min"), _TOP10),
        _granular("figure 5", "table 5", ("daily", "60min", "30min"), _TOP100),
        _TABLES["haitong_88_table_5"],
        _granular("figure 6", "table 6", ("mixed_input", "output_ensemble3", "output_ensemble2"), _TOP10),
        _granular("figure 7", "table 6", ("mixed_input", "output_ensemble3", "output_ensemble2"), _TOP100),
        _TABLES["haitong_88_table_6"],
        _DRAWN["figure 8"],
        _DRAWN["figure 9"],
        LineChart(
            "haitong_88",
            "figure 10",
            "figure 8",
            MANY_BIAGRU,
            "top10pct_relative_nav",
            MetricColumn("top10pct_excess_gross", "ytd_2023", "", YTD_2023),
            YTD_2023,
        ),
        _DRAWN["figure 11"],
        _DRAWN["figure 12"],
        _DRAWN["figure 13"],
        _TABLES["haitong_88_table_7"],
        _DRAWN["figure 15"],
        _DRAWN["figure 16"],
    ),
    "huatai_69": (
        _TABLES["huatai_69_chart_10"],
        _tasks(12, _RANK_IC),
        _tasks(13, _WEIGHTED),
        *(_top_69(16 + i, "chart 10", _CHART_10[3 * i : 3 * i + 3]) for i in range(3)),
        _TABLES["huatai_69_chart_22"],
        _IN_TIME,
        _top_69(27, "chart 22", _CHART_22),
        _TABLES["huatai_69_chart_34"],
        LineChart(
            "huatai_69",
            "chart 36",
            "chart 34",
            (ModelRow("attention_ensemble", "attention_ensemble"),),
            "cumulative_rank_ic",
            _RANK_IC,
            less=BASELINE,
        ),
    ),
}
"""Tables and charts of each report, in the printed order."""
CHARTS: tuple[Chart, ...] = tuple(x for items in CONTENTS.values() for x in items if not isinstance(x, SignalTable))
