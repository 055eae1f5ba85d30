"""The reports' tables of portfolios, cell by cell, with our figure for each.

Series 88 tables 8, 9, 11 and 12 (grids of limits and models), 10 and 13 (years); series 72 charts 64 and 67 (figures,
the index's too), 65 and 68 (years); series 69 charts 11, 23, 24, 35, and the correlations of chart 33. Portfolios are
names of the catalog; periods and metrics are those of the published numbers, so that both join.

Series 88 states that its figures are means over tracks (before its table 1): each of its portfolios is decided on every
weekday, a figure is the mean of the five with their standard deviation.

Excess compounds as in each report: daily differences in series 69 and 72, whose printed figures fit no other rule
(:mod:`mg_portfolio.metrics`), relative value in series 88, whose figures do not show
which. Each table states its rule.

Two captions of series 88 do not fit its own figures: table 10 prints the whole period and 2023 of table 8's second
output ensemble (daily and 30 minutes), and table 13 those of table 11, which has no floor on members. The cells here
follow the captions, as the tables' notes explain.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, product
from typing import Any

import numpy as np
import pandas as pd

from mg_portfolio.catalog import SERIES_69
from mg_portfolio.metrics import DAYS_PER_YEAR, Excess, excess_nav, performance_metrics
from mg_portfolio.report.portfolio_study.texts import TEXTS, reason_text, translated
from mg_portfolio.report.published import period_bounds, published_rows

MIN_RETURNS = 20  # of a figure of ours
FEW = f"fewer than {MIN_RETURNS} days of"
HOLIDAYS = np.timedelta64(12, "D")  # a period may begin or end with so many days without a session
EARNED = {"annual_return": "annual_return", "excess_return": "excess_annual", "excess_ytd": "excess_annual"}
"""Printed figures that, within one calendar year, are not annualised."""
PLAIN = ("sharpe", "calmar", "information_ratio", "calmar_excess", "excess_calmar", "turnover_two_way_annual",
         "excess_correlation")  # fmt: skip
"""Figures that are not percentages."""


CELL_COLUMNS = {
    "table": "as printed",
    "row": "labels of the row",
    "column": "head of the column",
    "portfolio": "name in the catalog; two of them in a correlation",
    "metric": "as published",
    "period": "of the published figure",
    "ours": "over the days of the period that the lake has; of series 88 the mean over five weekdays of decision",
    "track_std": "standard deviation of ours over the weekdays; null of one weekday",
    "published": "the report's figure",
    "by_relative_nav": "ours by relative NAV, where the report's excess compounds daily differences",
    "first_day": "of ours",
    "last_day": "of ours",
    "note": "why ours is empty",
}


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


@dataclass(frozen=True, eq=False)
class Account:
    """Daily values and turnover of a backtested portfolio.

    Attributes
    ----------
    days : (T,) datetime64[D]
    nav, benchmark_nav : (T,) float
    turnover : Series
        Two-way turnover of each rebalance after the first purchase, by trading day.
    others : tuple of Account
        The same portfolio decided on other weekdays, where a report's figures are means over them.
    """

    days: np.ndarray
    nav: np.ndarray
    benchmark_nav: np.ndarray
    turnover: pd.Series
    others: "tuple[Account, ...]" = ()

    def excess_nav(self, excess: Excess = "relative") -> np.ndarray:
        """Value of one unit of excess, 1 on the first day; (T,)."""
        return excess_nav(self.nav, self.benchmark_nav, excess)


def account_figure(account: Account, cell: PublishedFigure, excess: Excess = "relative") -> tuple[float, str, str]:
    """Our figure for a published one, over the days of its period that the account has.

    Parameters
    ----------
    account : Account
    cell : PublishedFigure
    excess : "relative" or "difference"
        How excess is compounded.

    Returns
    -------
    value : float
        NaN with fewer than 20 returns in the period.
    first, last : str
        First and last day of the figure; empty where there is none.
    """
    start, end = period_bounds(cell.period)
    inside = np.flatnonzero((account.days >= start) & (account.days <= end))
    if not len(inside):
        return float("nan"), "", ""
    part = slice(max(int(inside[0]) - 1, 0), int(inside[-1]) + 1)  # from the last close before the period
    days, returns = account.days[part], part.stop - part.start - 1
    first, last = str(days[min(1, returns)]), str(days[-1])
    if returns < MIN_RETURNS:
        return float("nan"), first, last
    traded = account.turnover.index.to_numpy("datetime64[D]")
    own = account.turnover[(traded >= start) & (traded <= end)]
    nav = account.benchmark_nav if cell.of_index else account.nav
    found = performance_metrics(nav[part], account.benchmark_nav[part], days, own, excess)
    value = found[EARNED.get(cell.metric, cell.metric)]
    if cell.metric in EARNED and str(start)[:4] == str(end)[:4]:
        value = (1.0 + value) ** (returns / DAYS_PER_YEAR) - 1.0
    return float(value), first, last


def mean_figure(account: Account, cell: PublishedFigure, excess: Excess = "relative") -> tuple[float, float, str, str]:
    """A cell's figure as the mean over the account's weekdays.

    Returns
    -------
    mean, std : float
        Over the weekdays that have the figure; std is NaN of one.
    first, last : str
        First and last day of any of them.
    """
    found = [account_figure(track, cell, excess) for track in (account, *account.others)]
    values = np.array([value for value, _, _ in found if np.isfinite(value)])
    days = [(first, last) for _, first, last in found if first]
    std = float(values.std(ddof=1)) if len(values) > 1 else float("nan")
    mean = float(values.mean()) if len(values) else float("nan")
    return mean, std, min((d[0] for d in days), default=""), max((d[1] for d in days), default="")


def compose(table: PortfolioTable, accounts: Mapping[str, Account | str]) -> pd.DataFrame:
    """One row a cell: our figure and the printed one.

    Parameters
    ----------
    table : PortfolioTable
    accounts : mapping of portfolio to Account, or to the reason why there is none

    Returns
    -------
    DataFrame
        Columns `CELL_COLUMNS`. ``track_std`` is over weekdays, where the report's figures are means over them;
        ``by_relative_nav`` an excess of ours by relative value, where the report's own compounds differences.
    """
    printed = published_rows(report=table.report, table=table.table).set_index(["subject", "metric", "period"])["value"]
    lines = []
    for labels, cells in table.rows:
        for head, cell in zip(table.heads, cells, strict=False):  # an index has fewer
            account = accounts.get(cell.portfolio, "not asked for")
            value, std, relative, first, last = float("nan"), float("nan"), float("nan"), "", ""
            note = account if isinstance(account, str) else ""
            if isinstance(account, Account):
                value, std, first, last = mean_figure(account, cell, table.excess)
                if np.isnan(value):
                    note = f"{FEW} {cell.period} in the lake"
                elif table.excess != "relative" and cell.metric == "excess_annual":
                    relative = mean_figure(account, cell)[0]
            theirs = printed.get((cell.subject, cell.metric, cell.period), float("nan"))
            name = f"{cell.portfolio} benchmark" if cell.of_index else cell.portfolio
            row = ", ".join(x for x in labels if x)
            cell_of = (table.table, row, head, name, cell.metric, cell.period)
            lines.append((*cell_of, value, std, theirs, relative, first, last, note))
    return pd.DataFrame(lines, columns=list(CELL_COLUMNS))


def compose_correlations(report: str, accounts: Mapping[str, Account | str]) -> pd.DataFrame:
    """Correlations of the portfolios' daily excess returns, a row a pair as `compose` has a row a cell.

    Parameters
    ----------
    report : str
        "huatai_69" has such a chart (33); others have none.
    accounts : mapping of portfolio to Account, or to the reason why there is none

    Returns
    -------
    DataFrame
        ``portfolio`` is "one, other"; both on the days of the printed period that they share.
    """
    lines = []
    for (one, other), theirs in EXCESS_CORRELATIONS.items() if report == "huatai_69" else ():
        pair = [accounts.get(name, "not asked for") for name in (one, other)]
        note = next((account for account in pair if isinstance(account, str)), "")
        value, first, last = float("nan"), "", ""
        if not note:
            value, first, last = _excess_correlation(*pair)  # type: ignore[arg-type]
            note = "" if np.isfinite(value) else f"{FEW} {WHOLE_69} in the lake"
        row, column = (SERIES_69[name].signal for name in (one, other))
        cell = ("chart 33", row, column, f"{one}, {other}", "excess_correlation", WHOLE_69)
        lines.append((*cell, value, float("nan"), theirs, float("nan"), first, last, note))
    return pd.DataFrame(lines, columns=list(CELL_COLUMNS))


def _excess_correlation(one: Account, other: Account) -> tuple[float, str, str]:
    start, end = period_bounds(WHOLE_69)
    returns = [
        pd.Series(np.diff(a.nav) / a.nav[:-1] - np.diff(a.benchmark_nav) / a.benchmark_nav[:-1], a.days[1:])
        for a in (one, other)
    ]
    both = pd.concat(returns, axis=1, join="inner")
    both = both[(both.index >= start) & (both.index <= end)]
    if len(both) < MIN_RETURNS:
        return float("nan"), "", ""
    first, last = (str(np.datetime64(day, "D")) for day in (both.index[0], both.index[-1]))
    return float(np.corrcoef(both.to_numpy().T)[0, 1]), first, last


def portfolio_table_markdown(table: PortfolioTable, frame: pd.DataFrame) -> str:
    """The table in Markdown as in the report: each cell ours (published), below it the days, and why ours is absent."""
    shown = iter([_ours_and_printed(r) for r in frame.itertuples()])
    width = len(table.heads)
    lines = [f"**{table.title}** Ours (published)", ""]
    lines.append("| " + " | ".join((*table.labels, *table.heads)) + " |")
    lines.append("|" + "---|" * (len(table.labels) + width))
    above: tuple[str, ...] = ()
    for i, (labels, cells) in enumerate(table.rows):
        figures = [next(shown) for _ in cells] + [""] * (width - len(cells))
        fresh = [x if i == 0 or labels[: k + 1] != above[: k + 1] else "" for k, x in enumerate(labels)]
        lines.append("| " + " | ".join((*fresh, *figures)) + " |")
        above = labels
    why = "\n".join(f"- {sentence}" for sentence in absence_notes(frame))
    below = [days_note(frame), excess_note(table, frame), why, table.note]
    return "\n".join([*lines, *(f"\n{text}" for text in below if text)])


def _ours_and_printed(row: Any) -> str:
    std = "" if np.isnan(row.track_std) else f" ±{format_figure(row.track_std, row.metric)}"
    printed = "" if np.isnan(row.published) else f" ({format_figure(row.published, row.metric)})"
    return f"{format_figure(row.ours, row.metric)}{std}{printed}"


def days_note(frame: pd.DataFrame, lang: str = "en") -> str:
    """Sentence on the days of our figures, and on the periods that they cover in part."""
    ours, t = frame[frame["ours"].notna()], TEXTS[lang]
    if not len(ours):
        return ""
    parts = []
    for period, own in ours.groupby("period", sort=False):
        first, last = own["first_day"].min(), own["last_day"].max()
        start, end = period_bounds(str(period))
        if np.datetime64(first) > start + HOLIDAYS or np.datetime64(last) < end - HOLIDAYS:
            parts.append(t["part"].format(period=str(period).replace("/", t["to"]), first=first, last=last))
    note = t["ours_over"].format(first=ours["first_day"].min(), last=ours["last_day"].max())
    return f"{note} {t['in_part'].format(parts=t['comma'].join(parts))}" if parts else note


def excess_note(table: PortfolioTable, frame: pd.DataFrame, lang: str = "en") -> str:
    """Sentence on how excess compounds; where by daily differences, with our annual excess by relative NAV."""
    if not frame["metric"].str.startswith("excess").any():
        return ""
    rows, t = frame[frame["by_relative_nav"].notna()], TEXTS[lang]
    if not len(rows):
        return t[table.excess]
    each = "; ".join(
        f"{translated(r.row, lang)} {format_figure(r.by_relative_nav, r.metric)}" for r in rows.itertuples()
    )
    return f"{t[table.excess]} {t['by_relative_nav'].format(each=each)}"


def absence_notes(frame: pd.DataFrame, lang: str = "en") -> list[str]:
    """Why figures of ours are absent: one sentence a reason."""
    noted, t = frame[frame["note"] != ""], TEXTS[lang]
    few = noted["note"].str.startswith(FEW)
    out = []
    if few.any():
        out.append(t["few"].format(days=MIN_RETURNS, periods=t["comma"].join(noted.loc[few, "period"].unique())))
    why = noted[~few].groupby("note", sort=False)["portfolio"].nunique()
    return out + [
        f"{reason_text(str(note), lang)} ({t['portfolio' if count == 1 else 'portfolios'].format(count=count)})"
        for note, count in why.items()
    ]


def format_figure(value: float, metric: str) -> str:
    """Format a figure: ratios with two digits, fractions as percent, ``-`` for NaN."""
    if np.isnan(value):
        return "-"
    return f"{value:.2f}" if metric in PLAIN else f"{100 * value:.1f}%"


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
