"""The reports' tables of models: rows, columns, and the conditions under which each report evaluates.

Series 72 charts 45, 52 and 57; series 88 tables 1 to 7; series 69 charts 10, 22 and 34. The numbers behind series 88's
figures 8, 9, 11 to 13, 15 and 16, which the report draws and does not print, are laid out the same. Subjects are names
of the model catalog, metrics those of :func:`mg_portfolio.evaluation.evaluate.evaluate`, so that ours can be joined to
the printed numbers.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import product

from mg_portfolio.arguments import EvaluationError
from mg_portfolio.evaluation.cases import EXECUTIONS, FREQUENCIES, Case
from mg_portfolio.report.published import published_rows
from mg_portfolio.report.weekly.tables import EVALUATION_METRICS


@dataclass(frozen=True)
class Conditions:
    """Conditions of a report's evaluations: universe, execution, rebalance and the number of layers."""

    case: Case = field(default_factory=Case)
    groups: int = 10


@dataclass(frozen=True)
class MetricColumn:
    """A metric of a table, under a heading that it may share with others (keys of the texts).

    Attributes
    ----------
    metric, head, span : str
    period : str
        Of the published number; empty for the report's whole period.
    universe : str
        Of `mg_portfolio.evaluation.universes.UNIVERSES`.
    """

    metric: str
    head: str
    span: str = ""
    period: str = ""
    universe: str = "all"


@dataclass(frozen=True)
class ModelRow:
    """A model of a table, in a group of rows (both keys of the texts)."""

    subject: str
    label: str
    group: str = ""


@cache
def _printed(report: str) -> dict[tuple[str, str, str, str], float]:
    """A report's numbers by table, subject, metric and period; under an empty table those of any."""
    out: dict[tuple[str, str, str, str], float] = {}
    for row in published_rows(report=report).itertuples():
        cell = (row.subject, row.metric, row.period)
        out[row.table, *cell] = row.value
        if out.setdefault(("", *cell), row.value) != row.value:
            raise EvaluationError(f"{report} prints {', '.join(cell)} as {out['', *cell]:g} and as {row.value:g}")
    return out


@dataclass(frozen=True)
class SignalTable:
    """One table of a report: its columns and rows, in the printed order."""

    report: str
    table: str
    columns: tuple[MetricColumn, ...]
    rows: tuple[ModelRow, ...]

    @property
    def key(self) -> str:
        """``huatai_72_chart_52``."""
        return f"{self.report}_{self.table.replace(' ', '_')}"

    @property
    def period(self) -> str:
        """The report's whole period, ``2017-01-04/2023-11-30``."""
        return PERIODS[self.report]

    def published(self, subject: str, column: MetricColumn) -> float | None:
        """The printed number; for a row repeated from another table of the report, that table's."""
        if column.universe != "all":
            return None
        cell = (subject, column.metric, column.period or self.period)
        numbers = _printed(self.report)
        return numbers.get((self.table, *cell), numbers.get(("", *cell)))


GENERAL = "general"
YTD_2023 = "2023-01-01/2023-07-31"
YEARS_88 = (*(str(year) for year in range(2017, 2023)), YTD_2023)
"""Periods of series 88's tables and figures by year; the last one is the first seven months of 2023."""
PERIODS = {
    "huatai_72": "2017-01-04/2023-11-30",
    "haitong_88": "2017-01-01/2023-07-31",
    "huatai_69": "2011-01-04/2023-07-31",
}
ONE_TRACK = ("huatai_72",)
"""Reports whose printed figures are of one track, which begins on the first day of the period."""
CONDITIONS = {
    # Its summary: the excess of charts 45, 52 and 57 is of the top of ten layers
    "huatai_72": Conditions(),
    "haitong_88": Conditions(),
    # Under chart 10: correlations with the 10-day return, whose label runs from close to close
    "huatai_69": Conditions(Case(execution="t1_close", every=10)),
    GENERAL: Conditions(),
}
"""By report, and for signals of none of the tables."""

OVERVIEW = {
    "huatai_72": ("rank_ic_mean", "rank_ic_ir", "top_excess_annual"),
    "haitong_88": ("rank_ic_mean", "rank_icir_annual", "top10pct_excess_gross"),
    "huatai_69": ("rank_ic_mean", "rank_icir", "top_annual"),
    GENERAL: ("rank_ic_mean", "rank_ic_ir", "top_excess_annual"),
}
"""The three metrics of a signal in the overview, by its report."""

RANK_IC_GRID = {
    f"rank_ic_mean_{cycle}_{execution}": Case(execution=execution, every=every)
    for (every, cycle), execution in product(FREQUENCIES.items(), EXECUTIONS)
}
"""Case of each metric of series 88's table 3, its rebalance cycle and execution price."""

COMMON_FACTORS = ("reversal", "cap", "amount", "turnover", "beta")
COMMON_CORRELATIONS = {  # series 72, charts 49, 56 and 61, in the order of COMMON_FACTORS
    "hf_gru": (0.13, 0.06, 0.30, 0.32, 0.19),
    "lf_multitask": (0.09, -0.05, 0.12, 0.21, 0.13),
    "fused": (0.11, -0.02, 0.19, 0.26, 0.16),
}
PAIR_CORRELATIONS = {  # series 72, chart 56; series 69, chart 32
    ("lf_multitask", "hf_gru"): 0.28,
    ("mtl_mlp", "mtl_task_attention"): 0.99,
    ("mtl_mlp", "mtl_stock_attention"): 0.91,
    ("mtl_mlp", "temporal_transformer"): 0.74,
    ("mtl_task_attention", "mtl_stock_attention"): 0.91,
    ("mtl_task_attention", "temporal_transformer"): 0.74,
    ("mtl_stock_attention", "temporal_transformer"): 0.70,
}
COMMON_CHARTS = {"hf_gru": "chart 49", "lf_multitask": "chart 56", "fused": "chart 61"}
"""Charts of series 72 with a signal's correlations with the common factors."""

_LAYERS = tuple(MetricColumn(metric, metric) for metric in EVALUATION_METRICS)
_LONG = (
    MetricColumn("rank_ic_mean", "rank_ic_mean"),
    MetricColumn("rank_icir_annual", "rank_icir_annual"),
    MetricColumn("rank_ic_positive_ratio", "rank_ic_positive_ratio"),
    MetricColumn("top10pct_excess_gross", "gross", "top10pct"),
    MetricColumn("top10pct_excess_net", "net", "top10pct"),
    MetricColumn("top100_excess_gross", "gross", "top100"),
    MetricColumn("top100_excess_net", "net", "top100"),
)
_GRID = tuple(
    MetricColumn(f"rank_ic_mean_{cycle}_{execution}", execution, cycle)
    for cycle, execution in product(FREQUENCIES.values(), EXECUTIONS)
)
_FACTOR = tuple(
    MetricColumn(metric, metric)
    for metric in (
        "ic_mean",
        "rank_ic_mean",
        "weighted_ic_mean",
        "weighted_rank_ic_mean",
        "icir",
        "rank_icir",
        "weighted_icir",
        "weighted_rank_icir",
        "top_precision",
        "bottom_precision",
        "top_annual",
        "bottom_annual",
        "long_short_hedged_annual",
        "benchmark_annual",
    )
)
_SINGLE = ("daily", "60min", "30min")
_MANY = ("mixed_input", "output_ensemble3", "output_ensemble2")
_HORIZONS = ("5d", "10d")


_BY_YEAR = tuple(
    MetricColumn("top10pct_excess_gross", "ytd_2023" if year == YTD_2023 else year, "", year) for year in YEARS_88
)
_YEARS_AND_WHOLE = (*_BY_YEAR, MetricColumn("top10pct_excess_gross", "whole"))
FIGURE_UNIVERSES = (
    "all",
    "csi300",
    "csi500",
    "csi800",
    "csi1000",
    "outside_csi1800",
    "cni2000",
    "outside_cni3000",
    "top_amount20",
)
"""Universes of series 88's figures 11 to 13."""


def _top100(columns: Sequence[MetricColumn]) -> tuple[MetricColumn, ...]:
    return tuple(replace(column, metric="top100_excess_gross") for column in columns)


def _by_universe(metric: str, period: str = "") -> tuple[MetricColumn, ...]:
    return tuple(MetricColumn(metric, universe, "", period, universe) for universe in FIGURE_UNIVERSES)


def _granular(models: Sequence[str], cells: Sequence[str]) -> tuple[ModelRow, ...]:
    """Rows of a table of series 88: by label, model, and cell of the network."""
    return tuple(
        ModelRow(f"{model}_{cell}_{horizon}", f"{model}_{cell}", f"label_{horizon}")
        for horizon, model, cell in product(_HORIZONS, models, cells)
    )


_RESIDUAL = (
    ModelRow("daily_gru_5d", "daily_gru"),
    ModelRow("30min_gru_5d", "30min_gru"),
    ModelRow("output_ensemble2_gru_5d", "output_ensemble2_gru"),
    ModelRow("mrl_daily_30min_5d", "mrl"),
)
MANY_BIAGRU = tuple(ModelRow(f"{model}_biagru_10d", f"{model}_biagru") for model in _MANY)
"""Models of series 88's figures 8 to 13."""

SIGNAL_TABLES = (
    SignalTable(
        "huatai_72",
        "chart 45",
        _LAYERS,
        (
            ModelRow("hf_gru", "hf_gru"),
            ModelRow("hf_equal_weight", "hf_equal_weight"),
            ModelRow("hf_icir_weight", "hf_icir_weight"),
        ),
    ),
    SignalTable(
        "huatai_72",
        "chart 52",
        _LAYERS,
        (
            ModelRow("lf_multitask", "lf_multitask"),
            ModelRow("lf_daily_only", "lf_daily_only"),
            ModelRow("lf_separate_equal_weight", "lf_separate_equal_weight"),
            ModelRow("lf_multitask_unshared", "lf_multitask_unshared"),
        ),
    ),
    SignalTable(
        "huatai_72",
        "chart 57",
        _LAYERS,
        (
            ModelRow("fused", "fused"),
            ModelRow("hf_gru", "hf_gru"),
            ModelRow("lf_multitask", "lf_multitask"),
            ModelRow("full_band_multitask", "full_band_multitask"),
        ),
    ),
    SignalTable("haitong_88", "table 1", _LONG, _granular(_SINGLE, ("gru",))),
    SignalTable("haitong_88", "table 2", _YEARS_AND_WHOLE, _granular(_SINGLE, ("gru",))),
    SignalTable("haitong_88", "table 3", _GRID, _granular((*_SINGLE, *_MANY), ("gru",))),
    SignalTable("haitong_88", "table 4", _YEARS_AND_WHOLE, _granular((*_SINGLE, *_MANY), ("gru",))),
    SignalTable("haitong_88", "table 5", _LONG, _granular(_SINGLE, ("gru", "biagru"))),
    SignalTable("haitong_88", "table 6", _LONG, _granular(_MANY, ("gru", "biagru"))),
    SignalTable("haitong_88", "table 7", _LONG, _RESIDUAL),
    SignalTable(
        "huatai_69",
        "chart 10",
        _FACTOR,
        tuple(
            ModelRow(f"{model}_{heads}", model, f"heads_{heads}")
            for heads, model in product(
                ("10d", "20d", "10d20d"), ("mtl_mlp", "mtl_task_attention", "mtl_stock_attention")
            )
        ),
    ),
    SignalTable(
        "huatai_69",
        "chart 22",
        _FACTOR,
        (
            ModelRow("lstm", "lstm"),
            ModelRow("alstm", "alstm"),
            ModelRow("temporal_transformer", "temporal_transformer"),
        ),
    ),
    SignalTable(
        "huatai_69",
        "chart 34",
        _FACTOR,
        tuple(
            ModelRow(name, name)
            for name in (
                "mtl_mlp",
                "mtl_task_attention",
                "mtl_stock_attention",
                "temporal_transformer",
                "attention_ensemble",
            )
        ),
    ),
)

SIGNAL_FIGURES = (
    SignalTable("haitong_88", "figure 8", _YEARS_AND_WHOLE, MANY_BIAGRU),
    SignalTable("haitong_88", "figure 9", _top100(_YEARS_AND_WHOLE), MANY_BIAGRU),
    SignalTable("haitong_88", "figure 11", _by_universe("rank_ic_mean"), MANY_BIAGRU),
    SignalTable("haitong_88", "figure 12", _by_universe("top10pct_excess_gross"), MANY_BIAGRU),
    SignalTable("haitong_88", "figure 13", _by_universe("top10pct_excess_gross", YTD_2023), MANY_BIAGRU),
    SignalTable("haitong_88", "figure 15", _YEARS_AND_WHOLE, _RESIDUAL),
    SignalTable("haitong_88", "figure 16", _top100(_YEARS_AND_WHOLE), _RESIDUAL),
)
"""Numbers behind figures that print none of their own."""
UNIVERSE_SUBJECTS = tuple(row.subject for row in MANY_BIAGRU)
"""Signals that are evaluated in each of `FIGURE_UNIVERSES`."""

_REPORT_OF = {row.subject: layout.report for layout in SIGNAL_TABLES for row in layout.rows}


def report_of(subject: str) -> str:
    """The report whose tables have the signal, or `GENERAL`."""
    return _REPORT_OF.get(subject, GENERAL)


def period_of(report: str) -> str:
    """The printed period of a report's tables; empty for `GENERAL`."""
    return PERIODS.get(report, "")


def subjects(table: str, report: str) -> tuple[str, ...]:
    """The signals of one table."""
    return tuple(row.subject for x in SIGNAL_TABLES if (x.table, x.report) == (table, report) for row in x.rows)
