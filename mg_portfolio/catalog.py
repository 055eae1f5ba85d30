"""The published portfolios: signal, index, limits, costs and source of each.

:func:`provenance` says what each one's report prints and what is ours; ``python -m mg_portfolio.catalog
docs/catalog/portfolios.md`` writes it as a page.
"""

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from itertools import product
from pathlib import Path
from typing import Any

from mg_portfolio.costs import Costs

HEAVY_STYLES = ("size", "valuation")
"""Styles with ten times the relaxation penalty of the others: every report limits them most."""

OTHER_STYLES = ("reversal", "amount", "turnover", "beta")
"""The common factors besides size, which ``other_styles`` limits."""

SIZES = {
    "float_value": "ln free-float cap",
    "total_value": "ln total cap",
    "traded_value": "ln mean value traded a day, of 21 sessions (volume x vwap where the source has no amount)",
}
"""What a stock's size may be measured by."""

BENCHMARKS = {
    "index_weights": "index weight",
    "equal_members": "equal share of each member, in place of the index weight",
}
"""What the benchmark holds."""


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
    cost : float
        Cost of trading in the objective, fraction of the traded value on each side; 0 leaves it out, as the reports do.
        Above 0 the score is taken in units of return (:mod:`mg_portfolio.backtest.expected_returns`) once ten decisions
        have complete returns, so that a trade is made only where it pays; before that the score decides without cost.
    holding_period : float or None
        Trading days over which a trade earns what it cost, for ``cost``. None takes the signal's measured decay
        (:meth:`mg_portfolio.backtest.expected_returns.ScoreSlopes.holding_period`), and ``every`` before there is one.
    risk_aversion : float
        ``gamma`` of :class:`~mg_portfolio.EnhancementProblem`, for scores in units of return as with ``cost``; the risk
        model is estimated from daily bars at each decision (:mod:`mg_portfolio.backtest.risk_history`). 0 leaves it
        out, as the reports do.
    size_from : {"float_value", "total_value", "traded_value"}
        What the style ``size`` is measured by (:data:`SIZES`): a stand-in where the source has no free-float shares,
        without which a limit on size holds nothing.
    benchmark_from : {"index_weights", "equal_members"}
        What the benchmark holds (:data:`BENCHMARKS`): a stand-in where members are known and their weights are not. The
        excess is then over the members' equal-weighted mean, rebalanced at each decision, not over the index.
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
    cost: float = 0.0
    holding_period: float | None = None
    risk_aversion: float = field(default=0.0, metadata={"optional": True})
    size_from: str = field(default="float_value", metadata={"optional": True})
    benchmark_from: str = field(default="index_weights", metadata={"optional": True})
    source: str = ""
    published: str | None = ""

    @property
    def subject(self) -> str | None:
        """Name in the published tables; None where nothing was published of it."""
        return None if self.published is None else self.published or self.name

    @property
    def scores_are_returns(self) -> bool:
        """Whether the score is taken in units of return."""
        return self.cost > 0.0 or self.risk_aversion > 0.0

    @property
    def measures_decay(self) -> bool:
        """Whether the holding period is measured."""
        return self.cost > 0.0 and self.holding_period is None

    @property
    def styles(self) -> tuple[str, ...]:
        """Styles that the portfolio limits."""
        others = OTHER_STYLES if self.other_styles is not None else ()
        return tuple(dict.fromkeys((*self.style_limits, *others)))

    def measure_of(self, style: str) -> str:
        """What a style is measured by: ``size_from`` for the size, itself for any other."""
        return self.size_from if style == "size" else style

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


FREE = "a portfolio of one's own"
_LIMITS = {
    "benchmark_from": "the index's weights, as every report's benchmark",
    "exposures": "winsorised at five MAD and z-scored over the day's stocks with a score",
    "budget": "fully invested, no short position",
    "cost": "none in the objective; the report names none there",
    "holding_period": "without a cost in the objective it has no effect",
    "risk_aversion": "none in the objective; the report names none there",
    "stocks to buy": "listed, not under special treatment, and with a score; a halted one is held as it is",
}
_AI = {
    "meaning of valuation": "book to price; the report names valuation and no measure",
    "usual low-frequency factors": "reversal, amount, turnover and beta; the report names none of them",
    "size_from": "log of the free-float market value",
}
_FAMILIES: dict[str, tuple[str, Mapping[str, PortfolioSpec], dict[str, str], dict[str, str]]] = {
    "Huatai series 72": (
        "Enhanced CSI 500 and CSI 1000 by weekly turnover limit, and the same limits on the CSI 300.",
        {name: spec for name, spec in PORTFOLIOS.items() if "_turnover" in name},
        {
            "signal": "text before chart 62",
            "index": "charts 63 to 68",
            **dict.fromkeys(("member_floor", "stock_limit", "industry_limit", "style_limits"), "chart 62"),
            "turnover_limit": "chart 62 (two-way, half of it one-way)",
            "costs": "chart 62 (0.4% two-sided)",
            "every": "chart 62 (weekly)",
            "price of trades": "chart 62 (vwap)",
        },
        {
            "other_styles": "none; chart 62 limits industries and size alone",
            "size_from": "log of the free-float market value",
            **_LIMITS,
        },
    ),
    "Haitong weekly of 2023-12-15": (
        "The weekly's AI portfolios.",
        {name: spec for name, spec in PORTFOLIOS.items() if name.endswith("_ai")},
        {
            "signal": "section 17 (multi-granularity, 10-day label)",
            "index": "section 17",
            "stock_limit": "section 17, 1)",
            "style_limits": "section 17, 2)",
            "other_styles": "section 17, 2)",
            "industry_limit": "section 17, 3)",
            "turnover_limit": "section 17, 4) (one-way)",
            "costs": "section 17 (0.3% two-sided)",
            "every": "section 17 (weekly)",
            "price of trades": "section 17 (the next day's mean price)",
        },
        {"member_floor": "none; the weekly names none", **_AI, **_LIMITS},
    ),
    "Haitong series 88": (
        "The grid of tables 8 to 13.",
        SERIES_88,
        {
            "signal": "section 5, tables 8 to 13",
            "index": "section 5, tables 8 to 13",
            "stock_limit": "section 5, 1)",
            "style_limits": "section 5, 2)",
            "other_styles": "section 5, 2)",
            "industry_limit": "section 5, 3)",
            "member_floor": "section 5, 4)",
            "turnover_limit": "section 5, 5) (one-way)",
            "costs": "section 5 (0.3% two-sided)",
            "every": "section 5 (weekly)",
            "price of trades": "section 5 (the next day's mean price)",
        },
        {**_AI, **_LIMITS},
    ),
    "Huatai series 69": (
        "Enhanced CSI 500 under the original and the relaxed limits.",
        SERIES_69,
        {
            "signal": "charts 8, 11, 23, 24 and 35",
            "index": "chart 8",
            **dict.fromkeys(("stock_limit", "industry_limit", "style_limits", "turnover_limit"), "charts 8 and 29"),
            "member_floor": "chart 8 (none)",
            "costs": "chart 8 (0.2% one-sided)",
            "every": "chart 8 (5 trading days)",
            "price of trades": "chart 8 (vwap)",
            "size_from": "chart 8 (log of the free-float market value, five MAD, z-scored)",
        },
        {"other_styles": "none; chart 8 limits size alone", **_LIMITS},
    ),
}


def _values(spec: PortfolioSpec) -> dict[str, Any]:
    return {f.name: getattr(spec, f.name) for f in fields(spec) if f.name not in ("name", "source", "published")}


def provenance(spec: PortfolioSpec) -> dict[str, dict[str, str]]:
    """What a portfolio's report prints of it, and what is ours.

    Parameters
    ----------
    spec : PortfolioSpec
        Of the catalog, or a copy with other values: these are ours.

    Returns
    -------
    dict of str to dict of str to str
        ``printed``: field to report and chart. ``ours``: field to reason. Each field is in one of them; names with a
        blank, and ``exposures`` and ``budget``, are choices that are no field.
    """
    for report, (_, members, printed, ours) in _FAMILIES.items():
        if spec.name in members:
            published = _values(members[spec.name])
            changed = {
                name: f"set for this deployment; the catalog has {published[name]}"
                for name, value in _values(spec).items()
                if value != published[name]
            }
            if spec.index == "csi300":
                changed["index"] = "the index whose weights are public; the report has the CSI 500 and the CSI 1000"
            return {
                "printed": {name: f"{report}, {where}" for name, where in printed.items() if name not in changed},
                "ours": {name: why for name, why in ours.items() if name not in changed} | changed,
            }
    return {"printed": {}, "ours": dict.fromkeys(_values(spec), FREE)}


def described(spec: PortfolioSpec) -> str:
    """Both lists of a portfolio as Markdown, for its asset's page."""
    values, found = _values(spec), provenance(spec)
    lines = []
    for title, part in (("Printed in the report", "printed"), ("Ours", "ours")):
        rows = [
            f"- `{name}` {_shown([values[name]])}: {text}" if name in values else f"- {name}: {text}"
            for name, text in sorted(found[part].items())
        ]
        lines += [f"**{title}**", "", *(rows or ["- nothing"]), ""]
    return "\n".join(lines).strip()


def _shown(values: list[Any]) -> str:
    texts = dict.fromkeys(map(_text, values))
    return " or ".join(texts) if len(texts) <= 8 else f"{len(texts)} values"


def _text(value: Any) -> str:
    if isinstance(value, Costs):
        side = value.commission + value.transfer_fee + value.slippage
        return f"{side:.2%} a side" + (f", {value.stamp_tax:.2%} more to sell" if value.stamp_tax else "")
    if isinstance(value, Mapping):
        return ", ".join(f"{k} {v:g}" for k, v in value.items()) or "none"
    return "none" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def markdown() -> str:
    """The portfolios of each report with the source of every field, as Markdown."""
    return "\n".join(_page()) + "\n"


def _page() -> Iterator[str]:
    yield "# Portfolios: printed and ours"
    yield ""
    yield "Each field of the portfolios: where the report prints it, or why it is as it is where the report is silent."
    for report, (what, members, _, _) in _FAMILIES.items():
        yield from ("", f"## {report}", "", f"{what} {len(members)} portfolios.", "")
        yield from ("| field | values | printed | ours |", "|---|---|---|---|")
        found = [provenance(spec) for spec in members.values()]
        names = dict.fromkeys(name for each in found for part in each.values() for name in part)
        values = {
            name: _shown([_values(s)[name] for s in members.values()]) for name in _values(next(iter(members.values())))
        }
        for name in sorted(names, key=lambda n: (n not in values, n)):
            cells = [
                " / ".join(dict.fromkeys(e[part][name] for e in found if name in e[part]))
                for part in ("printed", "ours")
            ]
            yield f"| {name} | {values.get(name, '')} | {' | '.join(cells)} |"


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(markdown(), encoding="utf-8")
