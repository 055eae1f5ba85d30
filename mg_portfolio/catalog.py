"""The published portfolios: signal, index, limits, costs and source of each."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import product

from mg_portfolio.costs import Costs

HEAVY_STYLES = ("size", "valuation")
"""Styles with ten times the relaxation penalty of the others: every report limits them most."""

OTHER_STYLES = ("reversal", "amount", "turnover", "beta")
"""The common factors besides size, which ``other_styles`` limits."""


@dataclass(frozen=True)
class PortfolioSpec:
    """One portfolio: its signal, index, limits and trading costs.

    Orders of every portfolio are filled at the vwap of the day after the decision.

    Attributes
    ----------
    name, signal, index : str
        Name in the tables; signal it maximises; index it follows ("csi300", "csi500", "csi1000").
    member_floor, stock_limit, industry_limit : float or None
        As in :class:`~mg_portfolio.EnhancementProblem`, fractions.
    style_limits : mapping of style to limit
        Standard deviations.
    other_styles : float or None
        Limit of every style that ``style_limits`` does not name, standard deviations; None for no limit.
    turnover_limit : float
        One-way per rebalance. A two-way limit of 30% in a report is 0.15 here.
    costs : Costs
        Of trading, in the backtest.
    every : int
        Trading days between rebalances.
    source : str
        Report and chart.
    published : str or None
        Subject in the published tables; the name where empty. None: nothing was published of it.
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
    published: str | None = ""

    @property
    def subject(self) -> str | None:
        """Name in the published tables; None where nothing was published of it."""
        return None if self.published is None else self.published or self.name

    @property
    def styles(self) -> tuple[str, ...]:
        """Styles that the portfolio limits."""
        others = OTHER_STYLES if self.other_styles is not None else ()
        return tuple(dict.fromkeys((*self.style_limits, *others)))

    def limit_of(self, style: str) -> float:
        """Limit on a style.

        Parameters
        ----------
        style : str
            Name, such as "size".

        Returns
        -------
        float
            Standard deviations; NaN where it has none.
        """
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
