"""What-if: two solutions of the same rebalance side by side, under other limits or scores."""

import html
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from mg_portfolio.costs import Costs
from mg_portfolio.errors import ProblemError
from mg_portfolio.optimization.constraints import active_variance, members
from mg_portfolio.optimization.optimize import optimize
from mg_portfolio.optimization.problem import EnhancementProblem
from mg_portfolio.optimization.relaxation import relaxed_text
from mg_portfolio.optimization.shadow_prices import STEPS, annual_basis_points
from mg_portfolio.optimization.solution import EnhancementSolution

MIN_WEIGHT = 1e-9
"""Smaller weights are rounding, not positions."""


@dataclass(frozen=True, eq=False)
class Comparison:
    """Two portfolios of the same stocks, signal and holdings, before and after a change of limits.

    Attributes
    ----------
    before, after : EnhancementProblem
        Of the same N stocks, holdings and benchmark.
    solution_before, solution_after : EnhancementSolution
        Their solutions.
    costs : Costs
        Rates for ``summary``'s cost; trading for free by default.
    return_per_score : float or None
        Return to the next rebalance per unit of score; turns scores into basis points a year.
    rebalances_per_year : float
        252 trading days over the days between rebalances.
    title : str
        Heading of its text and page.
    """

    before: EnhancementProblem
    after: EnhancementProblem
    solution_before: EnhancementSolution
    solution_after: EnhancementSolution
    costs: Costs
    return_per_score: float | None = None
    rebalances_per_year: float = 252 / 5
    title: str = ""

    @cached_property
    def summary(self) -> pd.DataFrame:
        """One row a figure; columns ``before``, ``after``, ``change`` (numbers only)."""
        sides = {
            "before": _figures(self.before, self.solution_before, self),
            "after": _figures(self.after, self.solution_after, self),
        }
        frame = pd.DataFrame(sides, dtype=object)
        frame["change"] = [
            a - b if isinstance(a, (int, float)) and isinstance(b, (int, float)) else None
            for b, a in zip(frame["before"], frame["after"], strict=True)
        ]
        return frame.rename_axis("figure")

    @cached_property
    def weights(self) -> pd.DataFrame:
        """One row a stock that either side holds or held, largest change first.

        Columns ``symbol``, ``score``, ``benchmark``, ``holdings``, ``before``, ``after``, ``change``, ``trade_before``
        and ``trade_after`` (weight bought or sold).
        """
        a, b = self.solution_before.weights, self.solution_after.weights
        p = self.before
        frame = pd.DataFrame(
            {
                "symbol": [p.name_of(i) for i in range(p.size)],
                "score": p.score,
                "benchmark": p.benchmark,
                "holdings": p.holdings,
                "before": a,
                "after": b,
                "change": b - a,
                "trade_before": a - p.holdings,
                "trade_after": b - p.holdings,
            }
        )
        seen = (np.maximum(np.maximum(a, b), np.maximum(p.holdings, p.benchmark)) > MIN_WEIGHT)[frame.index]
        return frame[seen].sort_values("change", key=np.abs, ascending=False, kind="stable", ignore_index=True)

    @cached_property
    def exposures(self) -> pd.DataFrame:
        """Exposures less the benchmark's (members and turnover: their own) and limits, by constraint."""
        left = _exposures(self.before, self.solution_before.weights)
        right = _exposures(self.after, self.solution_after.weights)
        frame = pd.DataFrame({"before": left["exposure"], "after": right["exposure"]}, index=left.index)
        frame["change"] = frame["after"] - frame["before"]
        return frame.assign(limit_before=left["limit"], limit_after=right["limit"])

    @cached_property
    def shadow_prices(self) -> pd.DataFrame:
        """Shadow prices of both sides by constraint, score per unit of the limit; 0 where a limit is slack.

        NaN throughout a side that had to relax limits: the least relaxation comes before the score, and a price says
        nothing of it.

        With a return per score also ``step``, a usual move of the limit, and what it earns at these prices in basis
        points a year: ``bp_before``, ``bp_after``.
        """
        sides = {"before": self.solution_before, "after": self.solution_after}
        names = list(dict.fromkeys(name for side in sides.values() for name in side.shadow_prices))
        frame = pd.DataFrame(
            {
                side: [np.nan if solution.relaxed else solution.shadow_prices.get(name, 0.0) for name in names]
                for side, solution in sides.items()
            },
            index=pd.Index(names, name="constraint"),
        )
        frame["change"] = frame["after"] - frame["before"]
        if self.return_per_score is not None:
            frame["step"] = [STEPS[name.split("[")[0]] for name in names]
            for side in ("before", "after"):
                earned = (frame[side] * frame["step"]).to_dict()
                points = annual_basis_points(earned, self.return_per_score, self.rebalances_per_year)
                frame[f"bp_{side}"] = pd.Series(points, dtype=float)
        return frame.sort_values("change", key=np.abs, ascending=False, kind="stable")

    def __str__(self) -> str:
        parts = [self.title or "what if", self.summary.map(_text).to_string()]
        top = self.weights[self.weights["change"].abs() > MIN_WEIGHT].head(10)
        if top.empty:
            parts.append("no weight changes: what was changed does not bind")
        else:
            parts.append(top[["symbol", "score", "benchmark", "before", "after", "change"]].to_string(
                index=False, float_format=lambda x: f"{x:.4f}"))  # fmt: skip
        moved = self.exposures[self.exposures["change"].abs() > 1e-9]
        if not moved.empty:
            parts.append(moved.to_string(float_format=lambda x: f"{x:.4f}", na_rep=""))
        prices = self.shadow_prices.to_string(float_format=lambda x: f"{x:.4g}", na_rep="")
        parts.append(f"{self._prices_title()}\n{prices}")
        return "\n\n".join(parts)

    def to_html(self, chart: str = "") -> str:
        """Render the tables of the comparison for a page or a notebook.

        Parameters
        ----------
        chart : str
            Markup shown below the summary; :func:`mg_portfolio.charts.what_if.what_if_html` puts the chart there.

        Returns
        -------
        str
            HTML without a head.
        """
        return "\n".join(
            [
                f"<h3>{html.escape(self.title or 'What if')}</h3>",
                self.summary.map(_text).to_html(border=0),
                chart,
                "<h4>Weights, largest changes first</h4>",
                _with_bars(self.weights.head(20).set_index("symbol"), ["before", "after", "change"]),
                "<h4>Exposures</h4>",
                _with_bars(self.exposures, ["change"]),
                f"<h4>{self._prices_title().capitalize()}</h4>",
                _with_bars(self.shadow_prices, ["before", "after"]),
            ]
        )

    def _repr_html_(self) -> str:
        return self.to_html()

    def _prices_title(self) -> str:
        sides = {"before": self.solution_before, "after": self.solution_after}
        void = " and ".join(side for side, solution in sides.items() if solution.relaxed)
        return "shadow prices, score per unit of the limit" + (
            f" (none {void}, where limits were relaxed)" if void else ""
        )


def compare(
    before: EnhancementProblem,
    after: EnhancementProblem,
    costs: Costs | None = None,
    return_per_score: float | None = None,
    rebalances_per_year: float = 252 / 5,
    title: str = "",
) -> Comparison:
    """Solve two problems and compare their solutions.

    Parameters
    ----------
    before, after : EnhancementProblem
        Of the same stocks in the same order, with the same holdings and benchmark.
    costs : Costs, optional
        For the cost of trading, in fractions; absent is free.
    return_per_score : float, optional
        See :func:`mg_portfolio.return_per_score`.
    rebalances_per_year : float
        252 trading days over the days between rebalances.
    title : str
        Heading of the comparison.

    Returns
    -------
    Comparison
        Tables of figures, weights, exposures and shadow prices; a notebook shows them.

    Raises
    ------
    ProblemError
        The two are not of the same stocks, holdings or benchmark.
    SolverError
        See :func:`mg_portfolio.optimize`.
    """
    for name in ("holdings", "benchmark", "symbols", "industry", "styles"):
        a, b = getattr(before, name), getattr(after, name)
        same = (a is None and b is None) or (a is not None and b is not None and np.array_equal(a, b))
        if not same:
            raise ProblemError(f"{name} differed between the two problems: a comparison changes limits or scores alone")
    return Comparison(
        before,
        after,
        optimize(before),
        optimize(after),
        Costs.none() if costs is None else costs,
        return_per_score,
        rebalances_per_year,
        title,
    )


def _figures(p: EnhancementProblem, s: EnhancementSolution, c: Comparison) -> dict[str, object]:
    """Figures of one side, in the order of the table."""
    w, traded = s.weights, s.weights - p.holdings
    active_score = float(p.score @ (w - p.benchmark))
    bought, sold = float(traded[traded > 0].sum()), float(-traded[traded < 0].sum())
    out: dict[str, object] = {
        "status": s.status,
        "relaxed": relaxed_text(s.relaxed),
        "objective": float(s.objective),
        "score": float(p.score @ w),
        "active_score": active_score,
    }
    if c.return_per_score is not None:
        out["expected_excess_bp_a_year"] = active_score * c.return_per_score * c.rebalances_per_year * 1e4
    out |= {
        "turnover_one_way": (bought + sold) / 2,
        "cost_bp": (c.costs.buy * bought + c.costs.sell * sold) * 1e4,
        "stocks": int((w > MIN_WEIGHT).sum()),
        "active_share": float(np.abs(w - p.benchmark).sum() / 2),
        "largest_active_weight": float(np.abs(w - p.benchmark).max()),
        "member_weight": float(w[members(p)].sum()),
    }
    if p.factor_loadings is not None:
        out["active_risk"] = float(np.sqrt(active_variance(p, w)))
    out["largest_violation"] = float(s.largest_violation)
    return out


def _exposures(p: EnhancementProblem, w: np.ndarray) -> pd.DataFrame:
    """Columns ``exposure`` and ``limit`` (NaN where there is none) by constraint."""
    active = w - p.benchmark
    room = p.limit_offsets or {}
    lines: dict[str, tuple[float, float]] = {}
    none = float("nan")
    floor = none if p.member_floor is None else p.member_floor - room.get("members", 0.0)
    lines["members"] = (float(w[members(p)].sum()), floor)
    cap = none if p.turnover_limit is None else p.turnover_limit + room.get("turnover", 0.0)
    lines["turnover"] = (float(np.abs(w - p.holdings).sum() / 2), cap)
    if p.industry is not None:
        labels = p.industry_names or {}
        for code in np.unique(p.industry):
            name = f"industry[{labels.get(int(code), code)}]"
            limit = none if p.industry_limit is None else p.industry_limit + room.get(name, 0.0)
            lines[name] = (float(active[p.industry == code].sum()), limit)
    if p.styles is not None and p.style_names is not None and p.style_limits is not None:
        for k, style in enumerate(p.style_names):
            name = f"style[{style}]"
            lines[name] = (float(p.styles[:, k] @ active), float(p.style_limits[k]) + room.get(name, 0.0))
    frame = pd.DataFrame.from_dict(lines, orient="index", columns=["exposure", "limit"])
    return frame.rename_axis("constraint")


def _text(value: object) -> str:
    if isinstance(value, float):
        return "" if np.isnan(value) else f"{value:.4g}"
    return "" if value is None else str(value)


def _with_bars(frame: pd.DataFrame, columns: list[str]) -> str:
    """An HTML table whose named columns have bars behind their numbers, on one scale from zero."""
    style = frame.style.format(precision=4, na_rep="", escape="html").format_index(escape="html")
    return style.bar(subset=columns, axis=None, align="zero", color=["#e3b9b0", "#b9d0e6"]).to_html()
