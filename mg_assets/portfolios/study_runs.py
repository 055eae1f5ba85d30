"""Backtests of a study's portfolios, in parallel processes, each stored as it finishes.

1. A portfolio whose account is in the lake under the same fingerprint is not backtested again.
2. The arrays that the others need are read once and written as ``.npy`` files that all processes map, so that memory
   does not grow with their number (:class:`SharedArrays`, :mod:`mg_models.worker_pool`).
3. Each account goes to the lake (``portfolio_cells/cell=<portfolio>``) as soon as it is finished: an interrupted study
   resumes with the portfolios that are left.
"""

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mg_assets.errors import DamagedPartitionError, DataError
from mg_assets.lake.store import Lake
from mg_assets.market.calendar import week_of
from mg_assets.market.schema import INDICES
from mg_assets.portfolios.decision_panel import DecisionData, style_exposures
from mg_assets.portfolios.trading_rules import TradingRules
from mg_models.worker_pool import WorkerDiedError, run_tasks, shared_folder
from mg_portfolio.backtest.market_panel import MarketPanel
from mg_portfolio.backtest.rebalance import DecisionPanel, PortfolioPath, rebalance, simulate_decisions
from mg_portfolio.backtest.weekday_paths import WEEKDAYS, weekday_decisions
from mg_portfolio.catalog import PortfolioSpec
from mg_portfolio.report.portfolio_study.tables import Account

TABLE = "portfolio_cells"
VERSION = "2"  # raised when the backtest changes: accounts of an older version are computed again
FRIDAY = ("fri",)
ALL_WEEKDAYS = (*FRIDAY, *(day for day in WEEKDAYS if day not in FRIDAY))
HOLDING_DAYS = 6  # sessions held after the last decision
DECISIONS_PER_WORKER = 400  # fewer are not worth starting a process for
_MARKET = ("trade_price", "close", "suspended", "limit_up", "limit_down", "listed", "amount", "adj_factor", "absent")


@dataclass(frozen=True)
class Job:
    """One portfolio to backtest, and the fingerprint of everything that its account depends on.

    Attributes
    ----------
    spec : PortfolioSpec
    fingerprint : str
    weekdays : tuple of str
        Of `WEEKDAYS`, on each of which a path of its own decides; the first one is the account, the rest its others.
    """

    spec: PortfolioSpec
    fingerprint: str
    weekdays: tuple[str, ...] = FRIDAY


def fingerprint(spec: PortfolioSpec, rules: TradingRules, mark: str, weekdays: tuple[str, ...] = FRIDAY) -> str:
    """Hash of a portfolio's limits, how it trades and when, and ``mark``, that of the data it reads."""
    text = "|".join([VERSION, repr(spec), repr(rules), *weekdays, mark])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def stored_account(lake: Lake, job: Job) -> Account | str | None:
    """The stored account of a job, the reason why it has none, or None where it has to be backtested."""
    name = job.spec.name
    if not lake.has(TABLE, name):
        return None
    try:
        facts = lake.metadata(TABLE, name)
        if facts.get("fingerprint") != job.fingerprint:
            return None
        return facts["absent"] if facts.get("absent") else _account(lake.day(TABLE, name))
    except DamagedPartitionError:
        return None


def run_backtests(
    lake: Lake,
    jobs: Sequence[Job],
    rules: TradingRules,
    workers: int = 1,
    on_progress: Callable[[int, int, str], None] | None = None,
) -> dict[str, Account | str]:
    """Accounts of the jobs' portfolios, backtested where the lake has none.

    Parameters
    ----------
    lake : Lake
        Read, and written to as each account finishes.
    jobs : sequence of Job
    rules : TradingRules
    workers : int
        Most processes at a time.
    on_progress : callable, optional
        Called after each backtest with done, total and the portfolio's name.

    Returns
    -------
    dict of str to Account or str
        By portfolio: its account, or the reason why there is none.

    Raises
    ------
    DataError
        A process died; what was finished is kept.
    """
    out: dict[str, Account | str] = {}
    todo: list[Job] = []
    for job in jobs:
        found = stored_account(lake, job)
        if found is None:
            todo.append(job)
        else:
            out[job.spec.name] = found
    if not todo:
        return out
    with shared_folder() as folder:
        arrays = SharedArrays.write(folder, lake, todo)
        if arrays is None:
            return out | {j.spec.name: f"no day has {j.spec.signal}, bars and reference data" for j in todo}
        for done, (job, backtest) in enumerate(_run_backtests(arrays, todo, rules, workers), 1):
            _store(lake, job, backtest)
            out[job.spec.name] = backtest.absent or _account(backtest.frame)
            if on_progress is not None:
                on_progress(done, len(todo), job.spec.name)
    return out


@dataclass(frozen=True)
class Backtest:
    """A backtested portfolio, as it is stored; ``absent`` is the reason why it has no account."""

    frame: pd.DataFrame
    facts: dict
    absent: str = ""


def _run_backtests(
    arrays: "SharedArrays", jobs: list[Job], rules: TradingRules, workers: int
) -> Iterator[tuple[Job, Backtest]]:
    count = min(workers, len(jobs), max(1, arrays.weeks * len(jobs) // DECISIONS_PER_WORKER))
    if count <= 1:
        for job in jobs:
            yield job, backtest_portfolio(arrays, job.spec, rules, job.weekdays)
        return
    by_name = {job.spec.name: job for job in jobs}
    tasks = {name: (arrays, job.spec, rules, job.weekdays) for name, job in by_name.items()}
    try:
        for name, backtest in run_tasks(_run_task, tasks, count):
            yield by_name[name], backtest
    except WorkerDiedError as died:
        raise DataError(
            f"the process that backtested {died.task} died with exit code {died.exit_code}, often for want of memory: "
            f"use fewer workers and run again; finished portfolios are kept in {TABLE}"
        ) from died


def _run_task(
    task: "tuple[SharedArrays, PortfolioSpec, TradingRules, tuple[str, ...]]", send: Callable[[Any], None]
) -> Backtest:
    return backtest_portfolio(*task)


def backtest_portfolio(
    arrays: "SharedArrays", spec: PortfolioSpec, rules: TradingRules, weekdays: tuple[str, ...] = FRIDAY
) -> Backtest:
    """Backtest one portfolio over all weeks that have its signal, once for each weekday of decision."""
    began = time.process_time()
    panel, weeks = arrays.panel(spec)
    decisions = weekday_decisions(panel.market.days)
    frames, paths, made, absent = [], [], 0, ""
    for weekday in weekdays:
        decided = decisions[weekday][np.isin(week_of(panel.market.days[decisions[weekday]]), weeks)]
        steps = list(rebalance(panel, spec, decided, rules.rates(spec), rules.execution))
        path = simulate_decisions(panel, spec, steps, rules.rates(spec), rules.execution)
        if path is None or len(path.result.days) < 2:
            absent = absent or next((_undated(s.absent) for s in steps if s.absent), f"no day has {spec.signal}")
            continue
        frames.append(_frame(path).assign(weekday=weekday))
        paths.append(path)
        made += len(steps)
    if not paths:
        nothing = {c: pd.Series(dtype=float) for c in ("date", "nav", "benchmark_nav", "turnover_two_way", "weekday")}
        return Backtest(pd.DataFrame(nothing), {}, absent)
    facts = {
        "weekdays": len(paths),
        "decisions": made,
        "without_decision": sum(path.absent for path in paths),
        "relaxed": sum(path.relaxed for path in paths),
        "largest_violation": max(path.largest_violation for path in paths),
        "cpu_seconds": round(time.process_time() - began, 2),
        "limits_without_data": [n for n in spec.styles if not arrays.has_style(spec.measure_of(n))],
    }
    return Backtest(pd.concat(frames, ignore_index=True), facts)


def _frame(path: PortfolioPath) -> pd.DataFrame:
    """Daily values of a path, and the turnover of its rebalances on their days."""
    result = path.result
    turnover = np.full(len(result.days), np.nan)
    turnover[np.searchsorted(result.days, result.turnover.index.to_numpy("datetime64[D]"))] = result.turnover.to_numpy()
    return pd.DataFrame(
        {
            "date": result.days.astype(str),
            "nav": result.nav,
            "benchmark_nav": result.benchmark_nav,
            "turnover_two_way": turnover,
        }
    )


def _undated(sentence: str) -> str:
    """The reason why a day had no decision, without the day."""
    return sentence.rpartition(" on ")[0] or sentence


def _store(lake: Lake, job: Job, backtest: Backtest) -> None:
    facts = {"fingerprint": job.fingerprint, "portfolio": job.spec.name, "signal": job.spec.signal, **backtest.facts}
    absent = {"absent": backtest.absent} if backtest.absent else {}
    lake.write(TABLE, job.spec.name, backtest.frame, facts | absent)


def _account(frame: pd.DataFrame) -> Account:
    """The account of the first weekday, the other weekdays' with it."""
    paths = []
    for _, own in frame.groupby("weekday", sort=False):
        days = own["date"].to_numpy(dtype="datetime64[D]")
        turnover = pd.Series(own["turnover_two_way"].to_numpy(float), index=pd.DatetimeIndex(days)).dropna()
        paths.append(Account(days, own["nav"].to_numpy(float), own["benchmark_nav"].to_numpy(float), turnover))
    return replace(paths[0], others=tuple(paths[1:]))


@dataclass(frozen=True)
class SharedArrays:
    """The arrays that portfolios are decided on, as files that every process maps.

    Attributes
    ----------
    folder : Path
    lake : Lake
        Whose keys say on which days a signal is.
    keys : tuple of str
        Trading days.
    weeks : int
        Weeks among them.
    """

    folder: Path
    lake: Lake
    keys: tuple[str, ...]
    weeks: int

    @classmethod
    def write(cls, folder: Path, lake: Lake, jobs: Sequence[Job]) -> "SharedArrays | None":
        """Read the days of the jobs' signals from the lake; None where there are none."""
        have = sorted(set(lake.keys("daily_bars")) & set(lake.keys("reference")))
        signals = {job.spec.signal: lake.keys(job.spec.signal) for job in jobs}
        days = sorted({k for keys in signals.values() for k in keys} & set(have))
        if not days:
            return None
        inside = [k for k in have if days[0] <= k <= days[-1]]
        keys = inside + [k for k in have if k > days[-1]][:HOLDING_DAYS]
        data = DecisionData(lake, keys)
        arrays: dict[str, np.ndarray] = {name: getattr(data.market, name) for name in _MARKET}
        arrays["industry"], names = data.industry
        arrays["buyable"] = data.buyable
        for index in INDICES:
            arrays[f"{index}_weight"], arrays[f"{index}_member"] = data.index(index)
        wanted = {job.spec.measure_of(style) for job in jobs for style in job.spec.styles}
        arrays |= {f"style_{name}": data.raw_style(name) for name in wanted}
        for signal in signals:
            arrays[f"score_{signal}"] = lake.panel(signal, keys, ["score"], data.symbols, missing="empty")["score"]
        arrays["symbols"] = data.symbols.astype(str)
        for name, values in arrays.items():
            np.save(folder / f"{name}.npy", values)
        (folder / "industries.json").write_text(json.dumps(list(names.values())), encoding="utf-8")
        return cls(folder, lake, tuple(keys), len(np.unique(week_of(np.array(keys, "datetime64[D]")))))

    def _array(self, name: str) -> np.ndarray:
        return np.load(self.folder / f"{name}.npy", mmap_mode="r")

    def has_style(self, style: str) -> bool:
        """Whether the source has a style, or a measure of size, of any stock on any day."""
        return bool(np.isfinite(self._array(f"style_{style}")).any())

    def panel(self, spec: PortfolioSpec) -> tuple[DecisionPanel, np.ndarray]:
        """A portfolio's panel over the days of its signal and the week after, and the Mondays of its weeks."""
        own = sorted(set(self.lake.keys(spec.signal)) & set(self.keys))
        if not own:
            own = list(self.keys[:1])
        first = self.keys.index(own[0])
        after = min(self.keys.index(own[-1]) + 1 + HOLDING_DAYS, len(self.keys))
        days = slice(first, after)
        keys = self.keys[days]
        symbols = self._array("symbols").astype(object)
        market = MarketPanel(np.array(keys, "datetime64[D]"), symbols, *(self._array(n)[days] for n in _MARKET))
        score = self._array(f"score_{spec.signal}")[days]
        raw = {n: self._array(f"style_{spec.measure_of(n)}")[days] for n in spec.styles}
        styles: Mapping[str, np.ndarray] = style_exposures(raw, np.isfinite(score))
        weights, member = (self._array(f"{spec.index}_{part}")[days] for part in ("weight", "member"))
        names = dict(enumerate(json.loads((self.folder / "industries.json").read_text(encoding="utf-8"))))
        zero = {n: np.zeros(score.shape) for n in spec.style_limits if n not in styles}
        panel = DecisionPanel(
            market, score, weights, member, self._array("industry")[days], names, {**styles, **zero},
            self._array("buyable")[days],
        )  # fmt: skip
        return panel, np.unique(week_of(np.array(own, "datetime64[D]")))
