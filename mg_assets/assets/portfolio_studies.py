"""The reports' portfolio tables, every cell a backtested portfolio, ours beside theirs."""

import datetime as dt
import hashlib
import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import dagster as dg
import numpy as np
import pandas as pd

from mg_assets.assets.models import SIGNALS
from mg_assets.lake.pages import page_link
from mg_assets.lake.partition_keys import WHOLE
from mg_assets.lake.store import Lake
from mg_assets.orchestration.lake_asset import LakeAsset, lake_asset
from mg_assets.orchestration.metadata import markdown_table
from mg_assets.orchestration.pace import Pace
from mg_assets.orchestration.partition_build import Build, Built
from mg_assets.portfolios.study_runs import ALL_WEEKDAYS, FRIDAY, TABLE, Job, fingerprint, run_backtests
from mg_assets.portfolios.trading_rules import trading_rules
from mg_assets.settings import settings
from mg_portfolio.catalog import ALL_PORTFOLIOS, PortfolioSpec
from mg_portfolio.report.portfolio_study.chart_layouts import CHARTS
from mg_portfolio.report.portfolio_study.layouts import STUDIES, portfolios_of
from mg_portfolio.report.portfolio_study.tables import (
    CELL_COLUMNS,
    Account,
    compose,
    compose_correlations,
    portfolio_table_markdown,
)
from mg_portfolio.report.published import published_digest

if TYPE_CHECKING:  # drawing is loaded by the step that draws
    from matplotlib.figure import Figure

READ = ("daily_bars", "reference", "common_factors")
MOST = 6  # portfolios in one picture
LOGGED = 10  # lines about the backtests in a run's log
TITLES = {
    "series_88": "Series 88 (Haitong): tables 8 to 13, the AI portfolios by index, limits and model, decided on each "
    "weekday: mean and standard deviation",
    "series_72": "Series 72 (Huatai): charts 63 to 68, the enhanced portfolios by turnover limit",
    "series_69": "Series 69 (Huatai): charts 11, 14, 15, 19 to 21, 23, 24, 26, 28, 30, 31, 33, 35 and 37, portfolios "
    "of the attention models",
}
BY_WEEKDAY = ("series_88",)
"""Studies of reports whose figures are means over tracks."""


def _mark(build: Build, tables: Iterable[str]) -> str:
    """Hash of the tables' recipes and contents."""
    parts = [f"{t}:{build.recipes[t]}" for t in tables]
    parts += [f"{t}/{k}:{info.digest}" for t in tables for k, info in build.lake.info(t).items()]
    return hashlib.sha256("|".join(parts).encode()).hexdigest()


def _published(name: str) -> PortfolioSpec:
    """A portfolio as it was published, on the signal that the settings give it."""
    return replace(ALL_PORTFOLIOS[name], signal=settings().catalogs.portfolios[name].signal)


def _study_asset(study: str) -> LakeAsset:
    specs = {name: _published(name) for name in portfolios_of(study)}
    report = STUDIES[study][0].report
    weekdays = ALL_WEEKDAYS if study in BY_WEEKDAY else FRIDAY
    signals = sorted({spec.signal for spec in specs.values()} & set(SIGNALS))

    @lake_asset(
        f"portfolio_study_{study}",
        group="evaluation",
        partitions=None,
        needs=[*signals, *READ],
        config=(
            specs,
            [spec.subject for spec in specs.values()],
            trading_rules(),
            STUDIES[study],
            CHARTS[report],
            weekdays,
            published_digest(),
        ),
        kinds={"cvxpy"},
        version="3",
        columns=CELL_COLUMNS,
        description=f"{TITLES[study]}.\n\nEach portfolio is backtested week by week over the days of its signal, in "
        "parallel processes, and stored in the lake when it is finished: a study that was stopped resumes from there. "
        "A portfolio whose signal this deployment lacks is listed with the reason. One self-contained page per "
        "language beside the table.",
    )
    def make(build: Build) -> Iterator[Built]:
        from mg_portfolio.charts import figures as charts
        from mg_portfolio.report.portfolio_study.page import PortfolioStudy, render_portfolio_study

        lake, rules = build.lake, trading_rules()
        read = _mark(build, READ)
        marks = {signal: f"{read} {_mark(build, [signal])}" for signal in signals}
        accounts: dict[str, Account | str] = {
            name: f"not trained here: add {spec.signal} to `catalog`"
            for name, spec in specs.items()
            if spec.signal not in marks
        }
        jobs = [
            Job(spec, fingerprint(spec, rules, marks[spec.signal], weekdays), weekdays)
            for spec in specs.values()
            if spec.signal in marks
        ]

        accounts |= run_backtests(
            lake, jobs, rules, build.workers, _on_progress(build, f"portfolio_study_{study}", len(jobs))
        )
        tables = [(one, compose(one, accounts)) for one in STUDIES[study]]
        found = {name: account for name, account in accounts.items() if isinstance(account, Account)}
        backtests = _backtests(lake, list(found)) if found else None
        correlations = compose_correlations(report, accounts)
        figures = _figures(study, found)
        page = PortfolioStudy(
            tables,
            {} if CHARTS[report] else figures,
            accounts,
            correlations,
            backtests,
            str(rules),
            build.source.name,
            lake.root.rpartition("/")[2],
            settings().source.kind == "simulated",
            dt.datetime.now(),
        )
        name = f"portfolio_study_{study}"
        paths = {
            lang: lake.write_file(name, WHOLE, f"{name}_{lang}.html", render_portfolio_study(page, lang).encode())
            for lang in ("en", "zh")
        }
        yield Built(
            WHOLE,
            pd.concat([*(frame for _, frame in tables), correlations], ignore_index=True),
            {
                "portfolios": len(accounts),
                "backtested": len(found),
                "trading": str(rules),
                **{one.table: dg.MetadataValue.md(portfolio_table_markdown(one, frame)) for one, frame in tables},
                **{title: dg.MetadataValue.md(charts.markdown_image(figure)) for title, figure in figures.items()},
                **({"backtests": markdown_table(backtests)} if backtests is not None else {}),
                **{f"page, {lang}": dg.MetadataValue.path(path) for lang, path in paths.items()},
                "open": dg.MetadataValue.url(page_link(lake, paths["en"])),
            },
        )

    return make


def _on_progress(build: Build, study: str, jobs: int) -> Callable[[int, int, str], None]:
    """Report a study's progress: to the terminal each portfolio, to the log each tenth of them."""
    pace = Pace()

    def report(done: int, total: int, name: str) -> None:
        left = pace.left(done, total)
        if build.on_progress is not None:
            build.on_progress(study, done, total, left)
        if done == 1 and total < jobs:
            build.log(f"{study}: {jobs - total} of {jobs} portfolios are stored from an earlier run")
        if done % -(-total // LOGGED) == 0 or done == total:
            ending = "" if math.isnan(left) else f", {left:.0f} s left"
            build.log(f"{study}: {done} of {total} portfolios{ending}, last {name}")

    return report


def _backtests(lake: Lake, names: list[str]) -> pd.DataFrame:
    """How each backtest went: decisions, relaxed ones, largest violation, CPU seconds."""
    facts = [{"portfolio": n, **lake.metadata(TABLE, n)} for n in names]
    columns = [
        "portfolio",
        "signal",
        "weekdays",
        "decisions",
        "without_decision",
        "relaxed",
        "largest_violation",
        "cpu_seconds",
    ]
    frame = pd.DataFrame(facts)[columns]
    return frame.assign(largest_violation=[f"{v:.0e}" for v in frame["largest_violation"]])


def _figures(study: str, accounts: dict[str, Account]) -> "dict[str, Figure]":
    """Cumulative excess by index, as the study's tables compound it, of the highest where there are many."""
    from mg_portfolio.charts.portfolio import relative_chart

    how = STUDIES[study][0].excess
    drawn: dict[str, Figure] = {}
    for index in ("csi500", "csi1000"):
        own = {n: a.excess_nav(how) for n, a in accounts.items() if n.startswith(f"{index}_")}
        best = sorted(own, key=lambda n: -float(own[n][-1]))[:MOST]
        if not best:
            continue
        days = np.unique(np.concatenate([accounts[n].days for n in best]))
        lines = {}
        for name in best:
            line = np.full(len(days), np.nan)
            line[np.searchsorted(days, accounts[name].days)] = own[name]
            lines[name.removeprefix(f"{index}_")] = line
        what = "relative NAV" if how == "relative" else "excess, daily differences compounded"
        title = f"{index.upper()}: {what}" + (f", the {MOST} highest of {len(own)}" if len(own) > MOST else "")
        longest = max(map(len, lines))  # names are printed beside the lines and must not narrow them
        drawn[f"excess {index}"] = relative_chart(days, lines, title, width=max(7.2, 5.4 + 0.08 * longest))
    return drawn


ASSETS = [_study_asset(study) for study in STUDIES]
"""One asset a series."""
