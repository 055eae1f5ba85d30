"""Which figures each of the reports' tables of portfolios shows, cell by cell.

Series 88 tables 8, 9, 11 and 12 (grids of limits and models), 10 and 13 (years); series 72 charts 64 and 67 (figures,
the index's too), 65 and 68 (years); series 69 charts 11, 23, 24, 35, and the correlations of chart 33. Portfolios are
names of the catalog; periods and metrics are those of the published numbers, so that both join.

Two captions of series 88 do not fit its own figures: table 10 prints the whole period and 2023 of table 8's second
output ensemble (daily and 30 minutes), and table 13 those of table 11, which has no floor on members. The cells here
follow the captions, as the tables' notes explain.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, product

from mg_portfolio.catalog import SERIES_69
from mg_portfolio.metrics import Excess


@dataclass(frozen=True)
class PublishedFigure:
    """One printed number: a portfolio (or its index), a metric and a period."""

    portfolio: str
    subject: str
    metric: str
    period: str
    of_index: bool = False


@dataclass(frozen=True)
class PortfolioTable:
    """One table of a report, laid out as there.

    Attributes
    ----------
    report, table : str
        As in the published numbers: "huatai_72", "chart 64".
    title : str
    labels, heads : tuple of str
        Heads of the columns that name a row, and of the figures.
    rows : tuple of (labels, cells)
        A label for each of ``labels``, a cell for each of ``heads``; an index has fewer, those of the first heads.
    excess : "relative" or "difference"
        How the report compounds excess.
    note : str
    """

    report: str
    table: str
    title: str
    labels: tuple[str, ...]
    heads: tuple[str, ...]
    rows: tuple[tuple[tuple[str, ...], tuple[PublishedFigure, ...]], ...]
    excess: Excess = "relative"
    note: str = ""

    @property
    def portfolios(self) -> tuple[str, ...]:
        """Portfolios of the table, without repetition."""
        return tuple(dict.fromkeys(cell.portfolio for _, cells in self.rows for cell in cells))


_WHOLE_88, _YTD_88 = "2017-01-01/2023-07-31", "2023-01-01/2023-07-31"
_MODELS_88 = (
    ("mixed_input", "mixed input"),
    ("output_ensemble3", "output ensemble"),
    ("output_ensemble2", "output ensemble 1"),
)
_INDUSTRIES = (("ind_neutral", "industry neutral"), ("ind_2pct", "industry 2%"))
_STOCKS = (("0.5pct", "stock 0.5%"), ("1pct", "stock 1%"))


def _grid(number: int, index: str, space: str, what: str) -> PortfolioTable:
    periods = ((_WHOLE_88, "excess_annual", "2017-2023.07 a year"), (_YTD_88, "excess_ytd", "2023.01-07"))
    columns = list(product(periods, _INDUSTRIES, _STOCKS))
    rows = []
    for horizon, (model, label) in product(("5d", "10d"), _MODELS_88):
        names = [f"{index}_{space}_{ind}_stock_{stock}_{model}_biagru_{horizon}" for _, (ind, _), (stock, _) in columns]
        cells = tuple(PublishedFigure(n, n, m, p) for n, ((p, m, _), _, _) in zip(names, columns, strict=True))
        rows.append(((f"{horizon[:-1]} days", label), cells))
    return PortfolioTable(
        "haitong_88",
        f"table {number}",
        f"Table {number}: excess return of the {index.upper()} portfolios, {what}.",
        ("label", "model"),
        tuple(f"{head}, {ind}, {stock}" for (_, _, head), (_, ind), (_, stock) in columns),
        tuple(rows),
    )


def _years_88(number: int, portfolio: str, what: str, note: str) -> PortfolioTable:
    names = ("excess_return", "excess_max_drawdown", "tracking_error", "information_ratio", "monthly_win_rate")
    periods = (*(str(y) for y in range(2017, 2023)), _YTD_88, _WHOLE_88)
    labels = (*(str(y) for y in range(2017, 2023)), "2023.01-07", "whole")
    return PortfolioTable(
        "haitong_88",
        f"table {number}",
        f"Table {number}: years of the {what}.",
        ("period",),
        ("excess", "excess drawdown", "tracking error", "information ratio", "months won"),
        tuple(((label,), tuple(PublishedFigure(portfolio, portfolio, m, p) for m in names))
              for label, p in zip(labels, periods, strict=True)),
        note=note,
    )  # fmt: skip


INDEX_FIGURES = 4  # return, volatility, Sharpe, drawdown: an index has no excess
WHOLE_72 = "2017-01-04/2023-11-30"
_TURNOVERS = (30, 40, 50)


def _figures_72(number: int, index: str) -> PortfolioTable:
    names = {
        "annual_return": "return a year",
        "annual_volatility": "volatility",
        "sharpe": "Sharpe",
        "max_drawdown": "drawdown",
        "excess_annual": "excess a year",
        "tracking_error": "tracking error",
        "excess_max_drawdown": "excess drawdown",
        "information_ratio": "information ratio",
        "calmar_excess": "Calmar",
        "monthly_win_rate": "months won",
        "turnover_two_way_per_rebalance": "two-way turnover",
    }
    rows = [((f"turnover {t}%",), tuple(PublishedFigure(f"{index}_turnover{t}", f"{index}_turnover{t}", m, WHOLE_72)
             for m in names)) for t in _TURNOVERS]  # fmt: skip
    own = [m for m in names if not m.startswith(("excess", "tracking"))][:INDEX_FIGURES]
    of_index = [PublishedFigure(f"{index}_turnover30", f"{index}_benchmark", m, WHOLE_72, of_index=True) for m in own]
    rows.append(((index.upper(),), tuple(of_index)))
    return PortfolioTable(
        "huatai_72",
        f"chart {number}",
        f"Chart {number}: figures of the {index.upper()} portfolios by turnover limit.",
        ("portfolio",),
        tuple(names.values()),
        tuple(rows),
        excess="difference",
    )


def _years_72(number: int, index: str) -> PortfolioTable:
    periods = (*(str(y) for y in range(2017, 2023)), "2023-01-01/2023-11-30")
    own = [(f"turnover {t}%", f"{index}_turnover{t}", f"{index}_turnover{t}", False) for t in _TURNOVERS]
    lines = [*own, (index.upper(), f"{index}_turnover30", f"{index}_benchmark", True)]
    return PortfolioTable(
        "huatai_72",
        f"chart {number}",
        f"Chart {number}: returns of the {index.upper()} portfolios by year.",
        ("portfolio",),
        (*periods[:-1], "2023.01-11"),
        tuple(((label,), tuple(PublishedFigure(name, subject, "annual_return", p, of_index) for p in periods))
              for label, name, subject, of_index in lines),
    )  # fmt: skip


WHOLE_69 = "2011-01-04/2023-07-31"
_FIGURES_69 = {
    "annual_return": "return a year",
    "annual_volatility": "volatility",
    "sharpe": "Sharpe",
    "max_drawdown": "drawdown",
    "calmar": "Calmar",
    "excess_annual": "excess a year",
    "tracking_error": "tracking error",
    "information_ratio": "information ratio",
    "excess_max_drawdown": "excess drawdown",
    "excess_calmar": "excess Calmar",
    "monthly_win_rate": "months won",
    "turnover_two_way_annual": "two-way turnover a year",
}


def _figures_69(number: int, what: str, lines: Sequence[tuple[tuple[str, ...], str, str]]) -> PortfolioTable:
    """Rows are (labels, portfolio, printed subject)."""
    missing = [name for _, name, _ in lines if name not in SERIES_69]
    if missing:
        raise KeyError(f"series 69 has no portfolio {missing[0]!r}")
    labels = ("label", "model") if len(lines[0][0]) == 2 else ("model",)
    return PortfolioTable(
        "huatai_69",
        f"chart {number}",
        f"Chart {number}: CSI 500 portfolios of {what}.",
        labels,
        tuple(_FIGURES_69.values()),
        tuple(
            (row, tuple(PublishedFigure(name, subject, m, WHOLE_69) for m in _FIGURES_69))
            for row, name, subject in lines
        ),
        excess="difference",
    )


TASKS = {"mlp": "multi-task baseline", "task_attention": "attention between tasks",
          "stock_attention": "attention between stocks"}  # fmt: skip
HORIZONS = {"10d": "10 days", "20d": "20 days", "10d20d": "both"}
IN_TIME = {"lstm": "LSTM", "alstm": "ALSTM", "temporal_transformer": "Transformer"}
_CHART_11 = [((horizon, label), f"csi500_mtl_{kind}_{days}_original", f"mtl_{kind}_{days}")
             for (days, horizon), (kind, label) in product(HORIZONS.items(), TASKS.items())]  # fmt: skip
_CHART_35 = [
    *(((label,), f"csi500_mtl_{kind}_10d20d_original", f"mtl_{kind}") for kind, label in TASKS.items()),
    (("attention in time",), "csi500_temporal_transformer_original", "temporal_transformer"),
    (("ensemble",), "csi500_attention_ensemble_original", "attention_ensemble"),
]
_PARTS_33 = (
    "csi500_mtl_mlp_10d20d_original",
    "csi500_mtl_task_attention_10d20d_original",
    "csi500_mtl_stock_attention_10d20d_original",
    "csi500_temporal_transformer_original",
)
EXCESS_CORRELATIONS: dict[tuple[str, str], float] = dict(
    zip(combinations(_PARTS_33, 2), (0.94, 0.80, 0.73, 0.82, 0.73, 0.73), strict=True)
)
"""Series 69, chart 33: printed correlations of daily excess returns, by pair of portfolios."""
STUDIES: dict[str, tuple[PortfolioTable, ...]] = {
    "series_88": (
        _grid(8, "csi500", "all", "from all stocks"),
        _grid(9, "csi500", "80pct", "80% in members"),
        _years_88(
            10,
            "csi500_all_ind_neutral_stock_1pct_output_ensemble3_biagru_10d",
            "CSI500 portfolio: all stocks, industry neutral, stock 1%, output ensemble, 10 days",
            "Printed is, by its whole period and 2023, table 8's output ensemble 1.",
        ),
        _grid(11, "csi1000", "all", "from all stocks"),
        _grid(12, "csi1000", "80pct", "80% in members"),
        _years_88(
            13,
            "csi1000_80pct_ind_neutral_stock_1pct_output_ensemble3_biagru_10d",
            "CSI1000 portfolio: 80% in members, industry neutral, stock 1%, output ensemble, 10 days",
            "Printed is, by its whole period and 2023, table 11's portfolio from all stocks.",
        ),
    ),
    "series_72": (_figures_72(64, "csi500"), _years_72(65, "csi500"), _figures_72(67, "csi1000"),
                  _years_72(68, "csi1000")),
    "series_69": (
        _figures_69(11, "attention between tasks and between stocks", _CHART_11),
        _figures_69(23, "attention in time, original limits",
                    [((t,), f"csi500_{m}_original", m) for m, t in IN_TIME.items()]),
        _figures_69(24, "attention in time, relaxed limits",
                    [((t,), f"csi500_{m}_relaxed", f"{m}_relaxed") for m, t in IN_TIME.items()]),
        _figures_69(35, "the ensemble and its parts", _CHART_35),
    ),
}  # fmt: skip
"""Tables by series, in the order of the report."""


def portfolios_of(study: str) -> tuple[str, ...]:
    """Portfolios of a study's tables, without repetition."""
    return tuple(dict.fromkeys(name for table in STUDIES[study] for name in table.portfolios))
