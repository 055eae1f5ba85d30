"""The reports' charts of several portfolios: lines of cumulative excess, and bars of a table's cells.

Series 72 charts 63 and 66; series 69 charts 14, 15, 19 to 21, 26, 28, 30, 31 and 37. Ours are the figures of charts 26
and 30, whose titles name none (those of charts 14 and 15), and the baseline in chart 37, which names the ensemble.
"""

from dataclasses import dataclass

from mg_portfolio.report.portfolio_study.layouts import HORIZONS, IN_TIME, TASKS, WHOLE_69, WHOLE_72


@dataclass(frozen=True)
class BarCell:
    """One bar: row and head of its table's cell."""

    row: str
    head: str


@dataclass(frozen=True)
class PortfolioBars:
    """Bars of cells of one table; a series a row of the matrix, a category a column.

    Attributes
    ----------
    key : str
        "huatai_69_chart_14".
    table : str
        "chart 11".
    series, categories : tuple of str
        Their names, in English.
    cells : tuple of tuple of BarCell
    """

    key: str
    table: str
    series: tuple[str, ...]
    categories: tuple[str, ...]
    cells: tuple[tuple[BarCell, ...], ...]


@dataclass(frozen=True)
class PortfolioLines:
    """Cumulative excess of portfolios, with a figure of each.

    Attributes
    ----------
    key, table : str
        As in `PortfolioBars`.
    portfolios : dict of str to str
        Name in the catalog to the row of the table.
    period : str
        Whose days are drawn.
    head : str
        Column of the table that is shown beside each line.
    """

    key: str
    table: str
    portfolios: dict[str, str]
    period: str
    head: str = "excess a year"


def _turnovers(number: int, index: str) -> PortfolioLines:
    rows = {f"{index}_turnover{t}": f"turnover {t}%" for t in (30, 40, 50)}
    return PortfolioLines(f"huatai_72_chart_{number}", f"chart {number + 1}", rows, WHOLE_72)


def _tasks_bars(number: int, head: str) -> PortfolioBars:
    cells = tuple(
        tuple(BarCell(f"{horizon}, {name}", head) for horizon in HORIZONS.values()) for name in TASKS.values()
    )
    names = tuple(TASKS.values())
    return PortfolioBars(f"huatai_69_chart_{number}", "chart 11", names, tuple(HORIZONS.values()), cells)


def _tasks_lines(number: int, days: str) -> PortfolioLines:
    rows = {f"csi500_mtl_{kind}_{days}_original": f"{HORIZONS[days]}, {name}" for kind, name in TASKS.items()}
    return PortfolioLines(f"huatai_69_chart_{number}", "chart 11", rows, WHOLE_69)


def _in_time_bars(number: int, table: str) -> PortfolioBars:
    heads = ("information ratio", "excess Calmar")
    cells = tuple(tuple(BarCell(name, head) for head in heads) for name in IN_TIME.values())
    return PortfolioBars(f"huatai_69_chart_{number}", table, tuple(IN_TIME.values()), heads, cells)


def _in_time_lines(number: int, table: str, limits: str) -> PortfolioLines:
    rows = {f"csi500_{model}_{limits}": name for model, name in IN_TIME.items()}
    return PortfolioLines(f"huatai_69_chart_{number}", table, rows, WHOLE_69)


PortfolioChart = PortfolioBars | PortfolioLines
CHARTS: dict[str, tuple[PortfolioChart, ...]] = {
    "haitong_88": (),
    "huatai_72": (_turnovers(63, "csi500"), _turnovers(66, "csi1000")),
    "huatai_69": (
        _tasks_bars(14, "information ratio"),
        _tasks_bars(15, "excess Calmar"),
        _tasks_lines(19, "10d"),
        _tasks_lines(20, "20d"),
        _tasks_lines(21, "10d20d"),
        _in_time_bars(26, "chart 23"),
        _in_time_lines(28, "chart 23", "original"),
        _in_time_bars(30, "chart 24"),
        _in_time_lines(31, "chart 24", "relaxed"),
        PortfolioLines(
            "huatai_69_chart_37",
            "chart 35",
            {
                "csi500_attention_ensemble_original": "ensemble",
                "csi500_mtl_mlp_10d20d_original": "multi-task baseline",
            },
            WHOLE_69,
        ),
    ),
}
"""Charts by report, in the printed order."""
