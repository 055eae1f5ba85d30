"""The published portfolios and the step from panels of stocks to one problem."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import product

import numpy as np

from mg_portfolio.costs import Costs
from mg_portfolio.errors import ProblemError
from mg_portfolio.optimization.problem import EnhancementProblem

HEAVY_STYLES = ("size", "valuation")
"""Styles that cost ten times as much to relax as the others: every report holds them tightest."""

OTHER_STYLES = ("reversal", "amount", "turnover", "beta")
"""The common factors besides size, which ``other_styles`` limits (factors.md, section 7)."""


@dataclass(frozen=True)
class PortfolioSpec:
    """One published portfolio: what it follows, what binds it, what trading costs it.

    Orders of every published portfolio are filled at the vwap of the day after the decision.

    Attributes
    ----------
    name, signal, index : str
        Name in the tables; signal it maximises; index it follows ("csi300", "csi500", "csi1000").
    member_floor, stock_limit, industry_limit : float or None
        As in :class:`~mg_portfolio.EnhancementProblem`, fractions.
    style_limits : mapping of style to limit
        Standard deviations; ``other_styles`` is the limit of every style that is not named (None: no limit).
    turnover_limit : float
        One-way per rebalance. A two-way limit of 30% in a report is 0.15 here.
    costs : Costs
    every : int
        Trading days between rebalances.
    source : str
        Report and chart.
    published : str
        Subject in the published tables; the name where empty.
    """

    name: str
    signal: str
    index: str
    member_floor: float | None
    stock_limit: float
    industry_limit: float
    style_limits: Mapping[str, float] = field(default_factory=dict)
    other_styles: float | None = None
    turnover_limit: float = 0.15
    costs: Costs = field(default_factory=lambda: Costs.two_sided(0.004))
    every: int = 5
    source: str = ""
    published: str = ""

    @property
    def subject(self) -> str:
        """Name in the published tables."""
        return self.published or self.name

    @property
    def styles(self) -> tuple[str, ...]:
        """Styles that the portfolio limits."""
        others = OTHER_STYLES if self.other_styles is not None else ()
        return tuple(dict.fromkeys((*self.style_limits, *others)))

    def limit_of(self, style: str) -> float:
        """Limit on a style, NaN where it has none."""
        limit = self.style_limits.get(style, self.other_styles)
        return float("nan") if limit is None else float(limit)


def _series_72(index: str, two_way: int) -> PortfolioSpec:
    return PortfolioSpec(
        name=f"{index}_turnover{two_way}",
        signal="fused",
        index=index,
        member_floor=0.8,
        stock_limit=0.008,
        industry_limit=0.02,
        style_limits={"size": 0.2},
        turnover_limit=two_way / 200,  # the report's limit is two-way, in percent
        costs=Costs.two_sided(0.004),
        source="Huatai 72, charts 62-68",
    )


def _ai(index: str) -> PortfolioSpec:
    return PortfolioSpec(
        name=f"{index}_ai",
        signal="multi_granularity_10d",
        index=index,
        member_floor=None,
        stock_limit=0.01,
        industry_limit=0.0,
        style_limits={"size": 0.0 if index == "csi500" else 0.2, "valuation": 0.0},
        other_styles=0.8,
        turnover_limit=0.30,
        costs=Costs.two_sided(0.003),
        source="Haitong weekly 2023-12-15, figures 33-36",
    )


def _index_by_name(specs: list[PortfolioSpec]) -> dict[str, PortfolioSpec]:
    return {spec.name: spec for spec in specs}


PORTFOLIOS: dict[str, PortfolioSpec] = _index_by_name(
    [
        *(_series_72(index, two_way) for index in ("csi500", "csi1000") for two_way in (30, 40, 50)),
        _ai("csi500"),
        _ai("csi1000"),
        replace(_series_72("csi300", 30), source="Huatai 72's limits on the index whose weights are public"),
    ]
)
"""Series 72's and the weekly monitor's portfolios, and one on the index whose weights are public."""

SERIES_88: dict[str, PortfolioSpec] = _index_by_name(
    [
        replace(
            _ai(index),
            name=f"{index}_{space}_{industry}_stock_{stock}_{model}_biagru_{horizon}",
            signal=f"{model}_biagru_{horizon}",
            member_floor=0.8 if space == "80pct" else None,
            industry_limit=0.02 if industry == "ind_2pct" else 0.0,
            stock_limit=0.005 if stock == "0.5pct" else 0.01,
            source="Haitong 88, tables 8-13",
        )
        for index, space, industry, stock, model, horizon in product(
            ("csi500", "csi1000"),
            ("all", "80pct"),
            ("ind_neutral", "ind_2pct"),
            ("0.5pct", "1pct"),
            ("mixed_input", "output_ensemble2", "output_ensemble3"),
            ("5d", "10d"),
        )
    ]
)
"""The grid of series 88: 2 indices, 2 selection spaces, 2 industry and 2 stock limits, 6 models."""


def _series_69(model: str, relaxed: bool) -> PortfolioSpec:
    stock = 0.02 if relaxed else 0.01
    return PortfolioSpec(
        name=f"csi500_{model}_{'relaxed' if relaxed else 'original'}",
        signal=model,
        index="csi500",
        member_floor=None,
        stock_limit=stock,
        industry_limit=stock,
        style_limits={"size": 0.2 if relaxed else 0.01},
        turnover_limit=0.20 if relaxed else 0.15,
        costs=Costs.one_sided(0.002),
        source="Huatai 69, charts 8, 11, 23, 24, 29, 35",
        published=f"{model}_relaxed" if relaxed else model,
    )


_TASKS = [
    f"mtl_{kind}_{days}" for days in ("10d", "20d", "10d20d") for kind in ("mlp", "task_attention", "stock_attention")
]
_IN_TIME = ("lstm", "alstm", "temporal_transformer")

SERIES_69: dict[str, PortfolioSpec] = _index_by_name(
    [
        *(_series_69(model, False) for model in (*_TASKS, *_IN_TIME, "attention_ensemble")),
        *(_series_69(model, True) for model in _IN_TIME),
    ]
)
"""Series 69's attention models under its original limits, and three of them under the relaxed ones."""

ALL_PORTFOLIOS: dict[str, PortfolioSpec] = {**PORTFOLIOS, **SERIES_88, **SERIES_69}
"""Every published portfolio, any of which a deployment may name."""


def build_problem(
    spec: PortfolioSpec,
    score: np.ndarray,
    benchmark: np.ndarray,
    holdings: np.ndarray,
    industry: np.ndarray | None = None,
    styles: Mapping[str, np.ndarray] | None = None,
    *,
    member: np.ndarray | None = None,
    suspended: np.ndarray | None = None,
    limit_up: np.ndarray | None = None,
    limit_down: np.ndarray | None = None,
    buyable: np.ndarray | None = None,
    symbols: np.ndarray | None = None,
    industry_names: Mapping[int, str] | None = None,
    turnover_limit: float | None = None,
    cost: float = 0.0,
) -> EnhancementProblem:
    """Put one day's cross-section into the problem of a published portfolio.

    Kept are the stocks that have a score, a benchmark weight or a holding. A stock without a score, or not in
    ``buyable``, may be held and sold but not bought. The benchmark is scaled to sum to one over its known weights.

    Parameters
    ----------
    spec : PortfolioSpec
    score, benchmark, holdings : (S,) float
        NaN means no score, not in the index, not held. The benchmark may be in any unit.
    industry : (S,) int, optional
        Codes; negative is unknown and treated as an industry of its own.
    styles : mapping of name to (S,) float, optional
        Standardised exposures; NaN is the mean, 0. Styles without a limit in the spec are left out. Each style that
        the spec names must be there.
    member, suspended, limit_up, limit_down, buyable : (S,) bool, optional
        ``member`` defaults to the stocks with a benchmark weight. ``buyable`` is the universe that may be bought.
        At a decision after the close these are that day's states, the best guess for tomorrow.
    symbols : (S,), optional
    turnover_limit : float, optional
        In place of the spec's, one-way.
    cost : float
        Objective units per unit of traded weight.

    Returns
    -------
    EnhancementProblem
        ``positions`` holds the kept stocks' places on the axis of S; :func:`on_axis` takes weights back to it.

    Raises
    ------
    ProblemError
        No benchmark weight at all, or a style that the spec limits is missing.
    """
    score, benchmark, holdings = (np.asarray(x, dtype=np.float64) for x in (score, benchmark, holdings))
    size = len(score)
    for name, x in (("benchmark", benchmark), ("holdings", holdings)):
        if x.shape != (size,):
            raise ProblemError(f"{name} had shape {x.shape}, expected ({size},) like score")
    b, w0 = np.nan_to_num(benchmark), np.nan_to_num(holdings)
    if not b.sum() > 0.0:
        raise ProblemError(
            f"{spec.name}: no stock had a weight in {spec.index} on this day: load the index's weights first"
        )
    scored = np.isfinite(score)
    kept = np.flatnonzero(scored | (b > 0.0) | (w0 > 0.0))
    barred = ~scored if buyable is None else ~scored | ~np.asarray(buyable, dtype=bool)

    styles = styles or {}
    missing = [name for name in spec.style_limits if name not in styles]
    if missing:
        raise ProblemError(
            f"{spec.name} limits the style(s) {', '.join(missing)} but styles had {list(styles) or 'none'}"
        )
    used = [name for name in styles if not np.isnan(spec.limit_of(name))]
    exposure = np.zeros((len(kept), len(used)))
    for k, name in enumerate(used):
        exposure[:, k] = np.nan_to_num(np.asarray(styles[name], dtype=np.float64))[kept]

    def pick(flags: np.ndarray | None) -> np.ndarray | None:
        return None if flags is None else np.asarray(flags, dtype=bool)[kept]

    stuck = np.asarray(limit_up, dtype=bool) if limit_up is not None else np.zeros(size, dtype=bool)
    known = score[scored]
    worst = float(known.min()) if len(known) else 0.0
    return EnhancementProblem(
        score=np.where(scored, score, worst)[kept],
        benchmark=b[kept] / b[kept].sum(),
        holdings=w0[kept],
        industry=None if industry is None else np.asarray(industry)[kept],
        styles=exposure if used else None,
        style_limits=np.array([spec.limit_of(name) for name in used]) if used else None,
        style_names=tuple(used) if used else None,
        style_priority=np.array([1e3 if n in HEAVY_STYLES else 1e2 for n in used]) if used else None,
        member=pick(member) if member is not None else (b > 0.0)[kept],
        suspended=pick(suspended),
        limit_up=(stuck | barred)[kept],
        limit_down=pick(limit_down),
        stock_limit=spec.stock_limit,
        member_floor=spec.member_floor,
        industry_limit=spec.industry_limit if industry is not None else None,
        turnover_limit=spec.turnover_limit if turnover_limit is None else turnover_limit,
        cost=cost,
        symbols=None if symbols is None else np.asarray(symbols)[kept],
        industry_names=industry_names,
        positions=kept,
    )


def on_axis(problem: EnhancementProblem, weights: np.ndarray, size: int) -> np.ndarray:
    """Weights of a built problem on the axis of ``size`` stocks it came from; zero for the stocks left out."""
    if problem.positions is None:
        raise ProblemError("the problem had no positions: it was not made by build_problem")
    out = np.zeros(size)
    out[problem.positions] = weights
    return out
