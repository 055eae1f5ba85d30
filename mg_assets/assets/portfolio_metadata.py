"""Metadata of a portfolio in the UI: tables and charts of a week and of a backtest."""

import dagster as dg
import numpy as np
import pandas as pd

from mg_assets.orchestration.metadata import markdown_table
from mg_portfolio.backtest.attribution import BacktestAttribution
from mg_portfolio.backtest.rebalance import Decision
from mg_portfolio.backtest.result import BacktestResult
from mg_portfolio.backtest.risk_history import tracking_errors
from mg_portfolio.backtest.weekday_paths import WeekdaySensitivity
from mg_portfolio.catalog import PortfolioSpec
from mg_portfolio.metrics import DAYS_PER_YEAR
from mg_portfolio.optimization.relaxation import relaxed_text
from mg_portfolio.optimization.sensitivity import shadow_price_table
from mg_portfolio.optimization.shadow_prices import STEPS, annual_basis_points
from mg_portfolio.risk.diagnostics import bias_statistics


def shadow_prices_shown(spec: PortfolioSpec, step: Decision, slope: float | None, solve_again: bool) -> pd.DataFrame:
    """What a usual step of each binding limit would earn: score, and basis points a year.

    Parameters
    ----------
    slope : float, optional
        Return per unit of score, from earlier decisions with complete returns.
    solve_again : bool
        Also by solving with the limit moved (``gained``), which a price alone exceeds but for the cases that
        :func:`mg_portfolio.optimization.sensitivity.shadow_price_table` names.
    """
    if step.problem is None or step.solution is None or (step.solution.relaxed and not solve_again):
        return pd.DataFrame()  # the least relaxation comes before the score: a price alone says nothing
    yearly = DAYS_PER_YEAR / spec.every
    if solve_again:
        return shadow_price_table(step.problem, step.solution, slope, yearly).set_index("constraint")
    prices = step.solution.shadow_prices
    frame = pd.DataFrame({"price": pd.Series(prices, dtype=float)}).rename_axis("constraint")
    frame["step"] = [STEPS[name.split("[")[0]] for name in frame.index]
    frame["at_price"] = frame["price"] * frame["step"]
    if slope is not None:
        frame["basis_points_a_year"] = pd.Series(annual_basis_points(frame["at_price"].to_dict(), slope, yearly))
    return frame.sort_values("at_price", ascending=False)


def week_shown(spec: PortfolioSpec, step: Decision, rows: pd.DataFrame, facts: dict, solve_again: bool) -> dict:
    """Metadata of one week's weights."""
    active = (rows["weight"] - rows["benchmark"]).abs().sum() / 2
    slope = facts["return_per_score"]
    p, solution = step.problem, step.solution
    expected = 0.0 if p is None or solution is None else float(p.score @ (solution.weights - p.benchmark))
    out = {
        "decided": facts["decided"],
        "status": facts["status"],
        "stocks": int((rows["weight"] > 1e-9).sum()),
        "active_share": round(float(active), 4),
        "turnover_one_way": round(float((rows["weight"] - rows["holdings"]).abs().sum() / 2), 4),
        "largest_violation": round(float(facts["largest_violation"]), 12),  # what is less is rounding
        "relaxed": relaxed_text(facts["relaxed"]) or "no limit",
        "active_score": round(expected, 5),
        "shadow_prices": markdown_table(shadow_prices_shown(spec, step, slope, solve_again)),
    }
    if slope is not None:
        out["return_per_score"] = round(slope, 6)
        out["expected_excess_bp_a_year"] = round(expected * slope * DAYS_PER_YEAR / spec.every * 1e4, 1)
    if "expected_return" in facts:
        out["expected_return"] = dg.MetadataValue.json(facts["expected_return"] | facts.get("no_trade", {}))
    if "no_trade" in facts:
        out["no_trade_region"] = no_trade_text(facts["expected_return"] | facts["no_trade"])
    if "risk" in facts:
        out["forecast_tracking_error"] = round(facts["risk"]["tracking_error_annual"], 5)
    if spec.scores_are_returns and "expected_return" not in facts:
        out["cost and risk aversion"] = "not used yet: fewer than ten decisions have complete returns"
    if "unknown_inputs" in facts:
        out["unknown_inputs"] = unknown_text(facts["unknown_inputs"])
    if facts.get("index_weights"):
        out["index_weights"] = "of {of}, {age} trading days old".format(**facts["index_weights"])
    return out


def unknown_text(unknown: dict[str, dict[str, int]]) -> str:
    """Which limits hold less than they say, as the source lacks their input, in a sentence each."""
    return "; ".join(
        f"{name}: unknown of {found['stocks']} of {found['of']} stocks"
        + (", so the limit holds nothing" if found["stocks"] == found["of"] else ", which it does not hold")
        for name, found in unknown.items()
    )


def no_trade_text(found: dict) -> str:
    """What the cost in the objective kept from trading, in a sentence."""
    if "stocks" not in found:
        return "no weights: nothing was compared"
    return (
        f"{found['stocks']} held stocks were not traded although their limits allow it; the cost of "
        f"{found['cost'] * 1e4:.1f} bp a side saved {found['turnover_saved']:.2%} of one-way turnover, "
        f"{found['cost_saved'] * 1e4:.2f} bp, and forwent {found['return_forgone'] * 1e4:.2f} bp of expected return"
    )


def mean_shadow_prices(spec: PortfolioSpec, facts: list[dict]) -> pd.DataFrame:
    """Each limit's price over the weeks: how often it binds, and what a usual step of it would earn on the mean week.

    Weeks in which a limit does not bind count as 0, weeks in which limits were relaxed are left out: prices have no
    meaning there. Basis points take each week's own slope, where it had one.
    """
    facts = [f for f in facts if not f.get("relaxed")]
    prices = pd.DataFrame([f.get("shadow_prices", {}) for f in facts])
    if prices.empty:
        return prices
    steps = pd.Series({name: STEPS[name.split("[")[0]] for name in prices.columns})
    slopes = pd.Series([f.get("return_per_score") for f in facts], dtype=float)
    earned = prices.fillna(0.0) * steps
    yearly = DAYS_PER_YEAR / spec.every * 1e4
    points = earned.mul(slopes * yearly, axis=0)[slopes.notna()]
    frame = pd.DataFrame(
        {
            "binds": prices.notna().mean(),
            "weeks": len(prices),
            "step": steps,
            "at_price": earned.mean(),
            "basis_points_a_year": points.mean() if len(points) else np.nan,
        }
    )
    return frame.sort_values("at_price", ascending=False).rename_axis("constraint")


def turnover_table(result: BacktestResult) -> pd.DataFrame:
    """Planned and realised turnover, cost, and what was not done, of the rebalances after the first purchase."""
    later = result.rebalances[~result.rebalances["initial"]]
    columns = ["planned_two_way", "realised_two_way", "cost", "orders", "unfilled", "unfilled_weight", "cash"]
    return later[columns].astype(float).agg(["mean", "min", "max"]).T.rename_axis("of a rebalance")


def unfilled_table(result: BacktestResult) -> pd.DataFrame:
    """Orders that were not filled, or only in part, by reason: how many, and the weight that was not traded."""
    stuck = result.trades[(result.trades["reason"] != "") & (result.trades["side"] != "payout")]
    missed = (stuck["planned"] - stuck["filled"]).abs()
    grouped = missed.groupby(stuck["reason"].astype(str)).agg(["size", "sum", "max"])
    return grouped.set_axis(["orders", "weight", "largest"], axis=1).rename_axis("reason")


def attribution_tables(found: BacktestAttribution, industries: dict[int, str]) -> dict[str, pd.DataFrame]:
    """Linked totals by effect, by factor, and by industry (Brinson), largest first."""
    brinson = found.brinson.table()
    brinson.index = pd.Index([industries.get(int(c), "cash") for c in brinson.index], name="industry")
    brinson = brinson[(brinson.abs() > 1e-12).any(axis=1)]
    out = {
        "attribution": found.table().to_frame("linked").rename_axis("effect"),
        "attribution by industry": brinson.sort_values("total", ascending=False),
    }
    if found.factors is not None:
        out["attribution by factor"] = found.factor_table().to_frame("linked").rename_axis("factor")
    return out


def attribution_parts(found: BacktestAttribution) -> dict[str, np.ndarray]:
    """Linked daily effects: factors where there are some, else allocation and selection; execution and cost."""
    if found.factors is not None:
        parts = {n: found.factors[n].to_numpy() for n in found.factors.columns if n != "excess"}
    else:
        parts = {
            "allocation": found.brinson.allocation.sum(axis=1),
            "selection": found.brinson.selection.sum(axis=1),
        }
    parts |= {"execution": found.execution, "cost": found.cost}
    return {name: values * found.link for name, values in parts.items()}


def backtest_charts(
    result: BacktestResult, weekdays: WeekdaySensitivity, found: BacktestAttribution, industries: pd.DataFrame
) -> dict[str, dg.MarkdownMetadataValue]:
    """NAV, the paths by rebalancing weekday, attribution and turnover as pictures."""
    from mg_portfolio.charts import figures as charts
    from mg_portfolio.charts import portfolio as portfolio_charts

    later = result.rebalances[~result.rebalances["initial"]]
    drawn = {
        "NAV": charts.nav_chart(result.days, result.nav, result.benchmark_nav),
        "paths": portfolio_charts.weekday_paths_chart(weekdays.days, weekdays.relative_nav),
        "attribution chart": portfolio_charts.attribution_chart(found.days, attribution_parts(found)),
        "industries chart": portfolio_charts.industries_chart(industries),
    }
    if len(later):
        drawn["turnover chart"] = portfolio_charts.turnover_chart(
            later["traded"].to_numpy("datetime64[D]"), later["planned_two_way"], later["realised_two_way"]
        )
    return {name: dg.MetadataValue.md(charts.markdown_image(figure)) for name, figure in drawn.items()}


def tracking_error_shown(spec: PortfolioSpec, result: BacktestResult, facts: list[dict]) -> tuple[dict, dict]:
    """Forecast tracking errors beside realised ones: metadata, and what is stored; empty before two periods."""
    forecast = {fact["decided"]: fact["risk"]["tracking_error"] for fact in facts if "risk" in fact}
    found = tracking_errors(result, forecast, spec.every) if forecast else pd.DataFrame()
    if len(found) < 2:
        return {}, {}
    from mg_portfolio.charts.figures import markdown_image
    from mg_portfolio.charts.portfolio import tracking_error_chart

    right = bias_statistics(found[["forecast"]].to_numpy(), found[["active"]].to_numpy())
    yearly = float(np.sqrt(DAYS_PER_YEAR / spec.every))
    stored = {
        "periods": right.periods,
        "forecast_annual": float(right.forecast[0]) * yearly,
        "realised_annual": float(right.realised[0]) * yearly,
        "bias": float(right.statistic[0]),
        "bias_low": right.low,
        "bias_high": right.high,
    }
    chart = markdown_image(tracking_error_chart(found.index.to_numpy(), found["forecast"], found["active"]))
    table = pd.DataFrame([stored]).set_index("periods")
    return {
        "forecast and realised tracking error": markdown_table(table),
        "tracking error chart": dg.MetadataValue.md(chart),
    }, {"risk": stored}


INTERVAL_NOTE = (
    "`over_placebos` is the excess over the geometric mean of the placebos'. `low` and `high` resample blocks of its "
    "weeks (95%): how far that lead would differ in other weeks of the same kind. `placebo_std` is how much random "
    "signals differ among themselves, `rank` the portfolio's place among all of them, 1 the highest excess."
)


def placebo_metadata(
    result: BacktestResult, placebos: np.ndarray, compared: pd.DataFrame, figures: pd.DataFrame
) -> dict[str, dg.MarkdownMetadataValue]:
    """A backtest beside its placebos: the comparison, the placebos' figures over the whole period, and the paths."""
    from mg_portfolio.charts import figures as charts
    from mg_portfolio.charts.portfolio import placebo_chart

    whole = figures[figures["period"] == "whole"].drop(columns="period").set_index("placebo")
    drawn = placebo_chart(result.days, result.relative_nav, placebos)
    return {
        "beside placebos": markdown_table(compared),
        "how to read it": dg.MetadataValue.md(INTERVAL_NOTE),
        "placebo paths": dg.MetadataValue.md(charts.markdown_image(drawn)),
        "each placebo": markdown_table(whole),
    }
