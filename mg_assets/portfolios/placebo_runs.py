"""Placebos of one portfolio, in parallel processes where there are enough decisions.

The panel's arrays are written once as ``.npy`` files that all processes map, as for the studies'
(:mod:`mg_assets.portfolios.study_runs`). A placebo's noise depends on the portfolio's name and its number alone, so
that processes and their number change nothing.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mg_assets.errors import DataError
from mg_assets.portfolios.study_runs import DECISIONS_PER_WORKER
from mg_assets.portfolios.trading_rules import TradingRules
from mg_models.worker_pool import WorkerDiedError, run_tasks, shared_folder
from mg_portfolio.backtest.market_panel import MarketPanel
from mg_portfolio.backtest.placebo import placebo_figures, placebo_scores, simulate_placebo
from mg_portfolio.backtest.rebalance import DecisionPanel
from mg_portfolio.backtest.risk_history import RiskHistory
from mg_portfolio.catalog import PortfolioSpec

Names = tuple[dict[int, str], tuple[str, ...]]  # of industries and styles
Task = tuple[Path, Names, PortfolioSpec, np.ndarray, tuple[int, ...], TradingRules]
HISTORY = ("days", "price", "amount")
PANELS = ("score", "benchmark", "member", "industry", "buyable")


@dataclass(frozen=True)
class Placebo:
    """One placebo's figures by period, and its daily relative NAV.

    Attributes
    ----------
    number : int
        From 1.
    figures : DataFrame
        Of :func:`mg_portfolio.backtest.placebo.placebo_figures`.
    relative_nav : (T,) float
        From the first decision to the panel's end.
    """

    number: int
    figures: pd.DataFrame
    relative_nav: np.ndarray


def run_placebos(
    panel: DecisionPanel, spec: PortfolioSpec, decided: np.ndarray, count: int, rules: TradingRules, workers: int = 1
) -> list[Placebo]:
    """Simulate a portfolio's placebos.

    Parameters
    ----------
    panel : DecisionPanel
        Data at each close, with the real signal's scores.
    spec : PortfolioSpec
    decided : ndarray of int (W,)
        Decision days of the portfolio, indices into the panel.
    count : int
        Placebos.
    rules : TradingRules
    workers : int
        Most processes at a time.

    Returns
    -------
    list of Placebo
        By number.

    Raises
    ------
    DataError
        A process died.
    """
    workers = min(workers, count, max(1, len(decided) * count // DECISIONS_PER_WORKER))
    numbers = range(1, count + 1)
    if workers <= 1:
        return _simulate(panel, spec, decided, numbers, rules)
    with shared_folder() as folder:
        _save(folder, panel)
        names = (dict(panel.industry_names), tuple(panel.styles))
        parts = [tuple(map(int, part)) for part in np.array_split(numbers, workers)]  # each reads the panel once
        tasks = {f"{spec.name}, placebos from {n[0]}": (folder, names, spec, decided, n, rules) for n in parts}
        try:
            found = [placebo for _, part in run_tasks(_run_task, tasks, workers) for placebo in part]
        except WorkerDiedError as died:
            raise DataError(
                f"the process of {died.task} died with exit code {died.exit_code}, often for want of memory: use fewer "
                f"workers, or fewer placebos (portfolios: {{{spec.name}: {{placebos: 0}}}} for none), and run again"
            ) from died
    return sorted(found, key=lambda placebo: placebo.number)


def _simulate(
    panel: DecisionPanel, spec: PortfolioSpec, decided: np.ndarray, numbers: Sequence[int], rules: TradingRules
) -> list[Placebo]:
    real, out = panel.score[decided], []
    for number in numbers:
        scores = placebo_scores(real, panel.market.symbols, spec.name, number)
        path = simulate_placebo(panel, spec, decided, scores, rules.rates(spec), rules.execution)
        if path is None:
            raise DataError(f"{spec.name}: placebo {number} had no decision on any of {len(decided)} decision days")
        out.append(Placebo(number, placebo_figures(path.result), path.result.relative_nav))
    return out


def _run_task(
    task: Task,
    send: Callable[[Any], None],
) -> list[Placebo]:
    folder, names, spec, decided, numbers, rules = task
    return _simulate(_load(folder, *names), spec, decided, numbers, rules)


def _save(folder: Path, panel: DecisionPanel) -> None:
    """The panel's arrays, one file each."""
    arrays = {f"market_{f.name}": getattr(panel.market, f.name) for f in fields(MarketPanel) if f.init}
    arrays["market_symbols"] = panel.market.symbols.astype(str)
    arrays |= {name: getattr(panel, name) for name in PANELS}
    arrays |= {f"style_{name}": values for name, values in panel.styles.items()}
    if panel.history is not None:
        arrays |= {f"history_{name}": getattr(panel.history, name) for name in HISTORY}
    for name, values in arrays.items():
        if values is not None:
            np.save(folder / f"{name}.npy", values)


def _load(folder: Path, industries: dict[int, str], styles: tuple[str, ...]) -> DecisionPanel:
    def array(name: str) -> np.ndarray | None:
        path = folder / f"{name}.npy"
        return np.load(path, mmap_mode="r") if path.exists() else None

    market = {f.name: array(f"market_{f.name}") for f in fields(MarketPanel) if f.init}
    market["symbols"] = np.asarray(market["symbols"]).astype(object)
    panels = {name: array(name) for name in PANELS}
    exposures = {name: array(f"style_{name}") for name in styles}
    given = [array(f"history_{name}") for name in HISTORY]
    history = RiskHistory(*given) if given[0] is not None else None  # type: ignore
    return DecisionPanel(MarketPanel(**market), industry_names=industries, styles=exposures, history=history, **panels)  # type: ignore
