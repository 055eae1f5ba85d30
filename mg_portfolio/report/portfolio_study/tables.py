"""Our figure for each cell of the reports' tables of portfolios (:mod:`mg_portfolio.report.portfolio_study.layouts`).

Series 88 states that its figures are means over tracks (before its table 1): each of its portfolios is decided on every
weekday, a figure is the mean of the five with their standard deviation.

Excess compounds as in each report: daily differences in series 69 and 72, whose printed figures fit no other rule
(:mod:`mg_portfolio.metrics`), relative value in series 88, whose figures do not show
which. Each table states its rule.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from mg_portfolio.catalog import SERIES_69
from mg_portfolio.metrics import DAYS_PER_YEAR, Excess, excess_nav, performance_metrics
from mg_portfolio.report.portfolio_study.layouts import (
    EXCESS_CORRELATIONS,
    WHOLE_69,
    PortfolioTable,
    PublishedFigure,
)
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
    how = f"{t[table.excess]} {t['start']}"
    if not len(rows):
        return how
    each = "; ".join(
        f"{translated(r.row, lang)} {format_figure(r.by_relative_nav, r.metric)}" for r in rows.itertuples()
    )
    return f"{how} {t['by_relative_nav'].format(each=each)}"


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
