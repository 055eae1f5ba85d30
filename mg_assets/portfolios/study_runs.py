"""Portfolios of a study, walked in parallel processes and kept one by one.

1. A portfolio whose finished account is in the lake under the same fingerprint is not walked again.
2. What the others decide on is read once and written as ``.npy`` files that all processes map, so that memory does not
   grow with their number (:class:`Shelf`). Processes are spawned, not forked.
3. Each account goes to the lake (``portfolio_cells/cell=<portfolio>``) as soon as it is made: a study that is stopped
   goes on where it was. Where it is killed, its processes end with it, and the next study takes its shelf away.
"""

import hashlib
import json
import multiprocessing
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing.connection import wait
from pathlib import Path

import numpy as np
import pandas as pd

from mg_assets.errors import DataError
from mg_assets.lake.store import Lake
from mg_assets.market.calendar import week_of
from mg_assets.portfolios.decision_panel import INDICES, Closes, style_scores
from mg_assets.portfolios.trading_rules import TradingRules
from mg_portfolio.backtest.market_panel import MarketPanel
from mg_portfolio.backtest.rebalance import DecisionPanel, account, walk
from mg_portfolio.backtest.weekday_paths import weekday_decisions
from mg_portfolio.catalog import PortfolioSpec
from mg_portfolio.report.portfolio_study.tables import Account

TABLE = "portfolio_cells"
VERSION = "1"  # raised when the walk changes: accounts of an older one are walked again
HELD_ON = 6  # sessions followed after the last decision
INLINE = 400  # decisions that are not worth starting processes for
SHELF = "mg_study_"  # begins the name of a shelf's folder, its process follows
_MARKET = ("trade_price", "close", "suspended", "limit_up", "limit_down", "listed", "amount", "adj_factor")


@dataclass(frozen=True)
class Job:
    """One portfolio to walk, and the fingerprint of all that decides its account."""

    spec: PortfolioSpec
    fingerprint: str


def fingerprint(spec: PortfolioSpec, rules: TradingRules, mark: str) -> str:
    """Hash of a portfolio's limits, how it trades, and ``mark``, that of the data it reads."""
    text = "|".join([VERSION, repr(spec), repr(rules), mark])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def finished(lake: Lake, job: Job) -> Account | str | None:
    """The stored account of a job, why it has none, or None where it has to be walked."""
    name = job.spec.name
    if not lake.has(TABLE, name):
        return None
    facts = lake.metadata(TABLE, name)
    if facts.get("fingerprint") != job.fingerprint:
        return None
    return facts["absent"] if facts.get("absent") else _account(lake.day(TABLE, name))


def run_cells(
    lake: Lake,
    jobs: Sequence[Job],
    rules: TradingRules,
    workers: int = 1,
    progress: Callable[[int, int, str], None] | None = None,
) -> dict[str, Account | str]:
    """Accounts of the jobs' portfolios, walked where the lake has none.

    Parameters
    ----------
    lake : Lake
        Read, and written to as each account is made.
    jobs : sequence of Job
    rules : TradingRules
    workers : int
        Processes.
    progress : callable, optional
        Told done, total and the portfolio's name after each walk.

    Returns
    -------
    dict of portfolio to Account, or to the sentence that says why there is none

    Raises
    ------
    DataError
        A process died; what was finished is kept.
    """
    out: dict[str, Account | str] = {}
    todo: list[Job] = []
    for job in jobs:
        found = finished(lake, job)
        if found is None:
            todo.append(job)
        else:
            out[job.spec.name] = found
    if not todo:
        return out
    _sweep()
    with tempfile.TemporaryDirectory(prefix=f"{SHELF}{os.getpid()}_") as folder:
        shelf = Shelf.fill(Path(folder), lake, todo)
        if shelf is None:
            return out | {j.spec.name: f"no day has {j.spec.signal}, bars and reference data" for j in todo}
        for done, (job, made) in enumerate(_walked(shelf, todo, rules, workers), 1):
            _keep(lake, job, made)
            out[job.spec.name] = made.absent or _account(made.frame)
            if progress is not None:
                progress(done, len(todo), job.spec.name)
    return out


@dataclass(frozen=True)
class Made:
    """A walked portfolio, as it is stored."""

    frame: pd.DataFrame
    facts: dict
    absent: str = ""


def _walked(shelf: "Shelf", todo: list[Job], rules: TradingRules, workers: int) -> Iterator[tuple[Job, Made]]:
    count = min(workers, len(todo), max(1, shelf.weeks * len(todo) // INLINE))
    if count <= 1:
        for job in todo:
            yield job, walked(shelf, job.spec, rules)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(count, mp_context=context, initializer=_end_with_parent) as pool:
        waiting = {pool.submit(walked, shelf, job.spec, rules): job for job in todo}
        try:
            for future in as_completed(waiting):
                yield waiting[future], future.result()
        except BrokenProcessPool as error:
            raise DataError(
                "a process of the study died, often for want of memory: use fewer workers and run again; finished "
                f"portfolios are kept in {TABLE}"
            ) from error
        finally:
            for future in waiting:
                future.cancel()


def _end_with_parent() -> None:
    """In a process of the pool: end when the study's process does, which a pool leaves waiting where it is killed."""
    parent = multiprocessing.parent_process()

    def watch() -> None:
        if parent is not None:
            wait([parent.sentinel])
            os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _sweep() -> None:
    """Take away the shelves of studies that were killed: gigabytes for years of a whole market."""
    for folder in Path(tempfile.gettempdir()).glob(f"{SHELF}*"):
        process = folder.name.removeprefix(SHELF).partition("_")[0]
        if process.isdecimal() and not _alive(int(process)):
            shutil.rmtree(folder, ignore_errors=True)


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # another user's
        return True
    return True


def walked(shelf: "Shelf", spec: PortfolioSpec, rules: TradingRules) -> Made:
    """Walk one portfolio over all weeks that have its signal."""
    began = time.process_time()
    panel, weeks = shelf.panel(spec)
    decided = weekday_decisions(panel.market.days)["fri"]
    decided = decided[np.isin(week_of(panel.market.days[decided]), weeks)]
    steps = list(walk(panel, spec, decided, rules.rates(spec), rules.execution))
    path = account(panel, spec, steps, rules.rates(spec), rules.execution)
    if path is None or len(path.result.days) < 2:
        why = next((_undated(s.absent) for s in steps if s.absent), f"no day has {spec.signal}")
        nothing = {c: pd.Series(dtype=float) for c in ("date", "nav", "benchmark_nav", "turnover_two_way")}
        return Made(pd.DataFrame(nothing), {}, why)
    facts = {
        "weeks": len(steps),
        "without_decision": path.absent,
        "relaxed": path.relaxed,
        "largest_violation": path.largest_violation,
        "cpu_seconds": round(time.process_time() - began, 2),
        "limits_without_data": [n for n in spec.styles if not shelf.knows(n)],
    }
    result = path.result
    traded = result.turnover
    frame = pd.DataFrame({"date": result.days.astype(str), "nav": result.nav, "benchmark_nav": result.benchmark_nav})
    at = np.searchsorted(result.days, traded.index.to_numpy("datetime64[D]"))
    turnover = np.full(len(frame), np.nan)
    turnover[at] = traded.to_numpy()
    return Made(frame.assign(turnover_two_way=turnover), facts)


def _undated(sentence: str) -> str:
    """Why a day had no decision, as said of all days."""
    return sentence.rpartition(" on ")[0] or sentence


def _keep(lake: Lake, job: Job, made: Made) -> None:
    facts = {"fingerprint": job.fingerprint, "portfolio": job.spec.name, "signal": job.spec.signal, **made.facts}
    lake.write(TABLE, job.spec.name, made.frame, facts | ({"absent": made.absent} if made.absent else {}))


def _account(frame: pd.DataFrame) -> Account:
    days = frame["date"].to_numpy(dtype="datetime64[D]")
    turnover = pd.Series(frame["turnover_two_way"].to_numpy(float), index=pd.DatetimeIndex(days)).dropna()
    return Account(days, frame["nav"].to_numpy(float), frame["benchmark_nav"].to_numpy(float), turnover)


@dataclass(frozen=True)
class Shelf:
    """What portfolios decide on, as arrays in a folder that every process maps.

    Attributes
    ----------
    folder : Path
    lake : str
        Root of the lake, from which a process reads its signal.
    keys : tuple of str
        Trading days.
    weeks : int
        Weeks among them.
    """

    folder: Path
    lake: str
    keys: tuple[str, ...]
    weeks: int

    @classmethod
    def fill(cls, folder: Path, lake: Lake, jobs: Sequence[Job]) -> "Shelf | None":
        """Read the days of the jobs' signals from the lake; None where there are none."""
        have = sorted(set(lake.keys("daily_bars")) & set(lake.keys("reference")))
        signals = {job.spec.signal: lake.keys(job.spec.signal) for job in jobs}
        days = sorted({k for keys in signals.values() for k in keys} & set(have))
        if not days:
            return None
        inside = [k for k in have if days[0] <= k <= days[-1]]
        keys = inside + [k for k in have if k > days[-1]][:HELD_ON]
        closes = Closes(lake, keys)
        arrays: dict[str, np.ndarray] = {name: getattr(closes.market, name) for name in _MARKET}
        arrays["industry"], names = closes.industry
        arrays["buyable"] = closes.buyable
        for index in INDICES:
            arrays[f"{index}_weight"], arrays[f"{index}_member"] = closes.index(index)
        wanted = {style for job in jobs for style in job.spec.styles}
        arrays |= {f"style_{name}": closes.raw_style(name) for name in wanted}
        arrays["symbols"] = closes.symbols.astype(str)
        for name, values in arrays.items():
            np.save(folder / f"{name}.npy", values)
        (folder / "industries.json").write_text(json.dumps(list(names.values())), encoding="utf-8")
        return cls(folder, lake.root, tuple(keys), len(np.unique(week_of(np.array(keys, "datetime64[D]")))))

    def _array(self, name: str) -> np.ndarray:
        return np.load(self.folder / f"{name}.npy", mmap_mode="r")

    def knows(self, style: str) -> bool:
        """Whether the source knows a style of any stock on any day."""
        return bool(np.isfinite(self._array(f"style_{style}")).any())

    def panel(self, spec: PortfolioSpec) -> tuple[DecisionPanel, np.ndarray]:
        """A portfolio's panel over the days that have its signal and a week after, and the Mondays of its weeks."""
        lake = Lake(self.lake)
        own = sorted(set(lake.keys(spec.signal)) & set(self.keys))
        if not own:
            own = list(self.keys[:1])
        first = self.keys.index(own[0])
        after = min(self.keys.index(own[-1]) + 1 + HELD_ON, len(self.keys))
        days = slice(first, after)
        keys = self.keys[days]
        symbols = self._array("symbols").astype(object)
        market = MarketPanel(np.array(keys, "datetime64[D]"), symbols, *(self._array(n)[days] for n in _MARKET))
        score = lake.panel(spec.signal, keys, ["score"], symbols, missing="empty")["score"]
        raw = {n: self._array(f"style_{n}")[days] for n in spec.styles}
        styles: Mapping[str, np.ndarray] = style_scores(raw, np.isfinite(score))
        weights, member = (self._array(f"{spec.index}_{part}")[days] for part in ("weight", "member"))
        names = dict(enumerate(json.loads((self.folder / "industries.json").read_text(encoding="utf-8"))))
        zero = {n: np.zeros(score.shape) for n in spec.style_limits if n not in styles}
        panel = DecisionPanel(
            market, score, weights, member, self._array("industry")[days], names, {**styles, **zero},
            self._array("buyable")[days],
        )  # fmt: skip
        return panel, np.unique(week_of(np.array(own, "datetime64[D]")))
