"""Enhanced portfolios: weights of each rebalance week, and their backtests."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from mg_assets.assets.models import SIGNALS
from mg_assets.assets.portfolio_metadata import (
    attribution_tables,
    backtest_charts,
    mean_shadow_prices,
    tracking_error_shown,
    turnover_table,
    unfilled_table,
    week_shown,
)
from mg_assets.errors import DataError
from mg_assets.lake.partition_keys import WHOLE
from mg_assets.lake.store import Lake
from mg_assets.lake.window import UpstreamWindow
from mg_assets.market.calendar import trading_days, week_of
from mg_assets.market.column_texts import SYMBOL
from mg_assets.orchestration.lake_asset import LakeAsset, lake_asset
from mg_assets.orchestration.metadata import markdown_table
from mg_assets.orchestration.partition_build import Build, Built
from mg_assets.orchestration.partitions import WEEKLY
from mg_assets.portfolios.decision_panel import DecisionData
from mg_assets.portfolios.risk_history import with_risk_history
from mg_assets.portfolios.trading_rules import trading_rules
from mg_assets.portfolios.weekly import (
    decide_weeks,
    decision_days,
    last_decision,
    weeks_back,
    weight_columns,
    weight_lineage,
)
from mg_assets.settings import settings
from mg_portfolio.backtest.attribution import attribute
from mg_portfolio.backtest.market_panel import Day, MarketPanel
from mg_portfolio.backtest.rebalance import PortfolioPath
from mg_portfolio.backtest.result import BacktestResult
from mg_portfolio.backtest.simulate import simulate
from mg_portfolio.backtest.weekday_paths import simulate_weekday_paths, weekday_sensitivity
from mg_portfolio.catalog import OTHER_STYLES, PortfolioSpec, described
from mg_portfolio.metrics import metrics_by_year, performance_metrics

__all__ = ["ASSETS", "backtest_days", "decision_days", "portfolio", "simulated", "stored_decisions"]

HELD_ON = 6  # sessions followed after the last decision: its trade and a week of holding
STYLES = ("size", *OTHER_STYLES)  # of the attribution by factor


def portfolio(name: str) -> PortfolioSpec:
    """A portfolio of the deployment."""
    spec = settings().catalogs.portfolios[name]
    if spec.signal not in SIGNALS:
        raise DataError(
            f"portfolio {name} is built on the signal {spec.signal!r}, which this deployment lacks (it has "
            f"{', '.join(SIGNALS)}): add it to catalog in the settings, or give the portfolio another as portfolios: "
            f"{{{name}: {{signal: NAME}}}}"
        )
    return spec


def _weights_asset(name: str) -> LakeAsset:
    spec = portfolio(name)
    weights = f"weights_{name}"
    columns = weight_columns(spec)
    back = weeks_back(spec)
    styled = ["common_factors"] if set(spec.styles) & set(OTHER_STYLES) else []

    @lake_asset(
        weights,
        group="portfolios",
        partitions=WEEKLY,
        needs=[
            *(UpstreamWindow(t, back=back[t]) for t in (spec.signal, "reference", "daily_bars", *styled)),
            weights,
        ],
        version="3",  # styles winsorised at five MAD
        config=(spec, trading_rules()),
        kinds={"cvxpy"},
        columns=columns,
        lineage=weight_lineage(spec, weights),
        single_run=True,
        description=f"The index {spec.index} enhanced with the signal {spec.signal}.{_equal(spec)} "
        f"Source: {spec.source}.\n\n"
        "Decided at the close of the week's last session, traded at the next session's vwap. Each week starts from "
        "the last one's weights, executed and drifted. Every constraint is recomputed on the weights (largest "
        "violation in the metadata); what had to be relaxed is recorded, and what each limit costs: in score, and in "
        f"basis points a year once ten decisions have complete returns.\n\n{described(spec)}",
    )
    def make(build: Build) -> Iterator[Built]:
        weeks = WEEKLY.get_partition_keys()
        at = weeks.index(build.keys[0])
        last = last_decision(build.lake, weights, build.keys[0], weeks[at - 1] if at else None)
        newest = _newest(build.lake, spec.signal, build.keys)
        for key, step, rows, facts in decide_weeks(build.lake, spec, weights, build.keys, trading_rules(), last):
            if isinstance(step, str):
                yield Built(key, rows, {"absent": step})
            else:
                shown = week_shown(spec, step, rows, facts, solve_again=key == newest)
                yield Built(key, rows, shown, stored=facts)

    return make


def _newest(lake: Lake, signal: str, keys: list[str]) -> str:
    """The last of the weeks that has a signal to decide on; empty where none has."""
    days = decision_days(keys, max(lake.keys(signal), default=keys[0]))
    return next(
        (k for k in reversed(keys) if k in days and lake.has(signal, days[k]) and lake.rows(signal, days[k])), ""
    )


def stored_decisions(lake: Lake, name: str) -> tuple[dict[str, pd.DataFrame], list[dict]]:
    """Weights tables by day of decision, and the facts of each."""
    decisions, every = {}, []
    for key in lake.keys(f"weights_{name}"):
        rows = lake.day(f"weights_{name}", key)
        if len(rows):
            facts = lake.metadata(f"weights_{name}", key)
            decisions[facts["decided"]] = rows
            every.append(facts)
    return decisions, every


def backtest_days(lake: Lake, decisions: dict[str, pd.DataFrame], since: str) -> list[str]:
    """Days with bars from ``since`` until a week after the last decision."""
    bars = [k for k in lake.keys("daily_bars") if k >= since]
    last = max(decisions)
    return [k for k in bars if k <= last] + [k for k in bars if k > last][:HELD_ON]


def simulated(
    market: MarketPanel, spec: PortfolioSpec, decisions: dict[str, pd.DataFrame]
) -> tuple[BacktestResult, dict[Day, np.ndarray]]:
    """Run stored decisions through the market, beside the index weights of each."""
    position = {s: i for i, s in enumerate(market.symbols)}
    targets: dict[Day, np.ndarray] = {}
    index: dict[Day, np.ndarray] = {}
    for day, rows in decisions.items():
        at = [position[s] for s in rows["symbol"]]
        for into, column in ((targets, "weight"), (index, "benchmark")):
            weights = np.zeros(len(position))
            weights[at] = rows[column]
            into[np.datetime64(day)] = weights
    rules = trading_rules()
    result = simulate(market, targets, cost=rules.rates(spec), benchmark=index, execution=rules.execution)
    return result, index


def _equal(spec: PortfolioSpec) -> str:
    """A sentence on a benchmark that is not the index."""
    return f" Benchmark: {spec.index}'s members, equal-weighted." if spec.benchmark_from == "equal_members" else ""


def _backtest_asset(name: str) -> LakeAsset:
    spec = portfolio(name)
    daily, holdings, trades, rebalances = (
        f"{name}_{what}" for what in ("backtest", "holdings", "trades", "rebalances")
    )

    @lake_asset(
        (daily, holdings, trades, rebalances),
        group="portfolios",
        partitions=None,
        needs=[
            f"weights_{name}",
            spec.signal,
            "daily_bars",
            "reference",
            "common_factors",
        ],
        version="2",
        config=(spec, trading_rules()),
        columns={
            daily: {
                "date": "trading day",
                "nav": "value net of costs, 1 on the first day",
                "benchmark_nav": "value of the index weights of each decision, drifting, 1 on the first day",
                "relative_nav": "nav / benchmark_nav",
                "cash": "cash at the close, in units of the first day's value",
                "relative_nav_mon": "relative NAV of the same portfolio decided on Mondays",
            },
            holdings: {
                "date": "trading day",
                "symbol": SYMBOL,
                "weight": "weight at the close",
                "price": "adjusted close",
            },
            trades: {
                "decided": "day of the decision",
                "traded": "day of the trades: the session after the decision",
                "symbol": SYMBOL,
                "planned": "change of weight that was wanted",
                "filled": "change of weight that was made",
                "price": "adjusted price of the trade",
                "reason": "why an order was not filled, or (capacity) only in part",
            },
            rebalances: {
                "decided": "day of the decision",
                "traded": "day of the trades: the session after the decision",
                "planned_two_way": "turnover that was wanted",
                "realised_two_way": "turnover that was made",
                "cost": "cost of trading, share of the value before it",
            },
        },
        description={
            daily: f"Daily account of {name}: orders of each week filled at the next session's vwap, limits and "
            "suspensions respected, costs paid. Metrics are named as in the published tables; the same portfolio "
            "decided on each weekday shows how much of them is luck; the excess is split by industry (Brinson) and "
            f"by factor.{_equal(spec)}",
            holdings: f"What {name} holds at each close.",
            trades: f"Every order of {name}, with the reason of each that was not filled.",
            rebalances: f"Planned and realised turnover, cost and idle cash of each rebalance of {name}.",
        },
    )
    def make(build: Build) -> Iterator[Built]:
        lake = build.lake
        decisions, facts = stored_decisions(lake, name)
        if len(decisions) < 2:
            for one in (holdings, trades, rebalances, daily):
                yield Built(WHOLE, pd.DataFrame({"date": []}), {"absent": "fewer than two weeks of weights"}, table=one)
            return
        weeks = week_of(np.array(sorted(decisions), "datetime64[D]"))
        keys = backtest_days(lake, decisions, str(trading_days(str(weeks[0]))[0]))
        data = DecisionData(lake, keys, {s for rows in decisions.values() for s in rows["symbol"]})
        result, index = simulated(data.market, spec, decisions)
        panel = with_risk_history(data.decisions(spec, spec.signal, STYLES), lake, spec, keys[0])
        rules = trading_rules()
        own = {"fri": PortfolioPath(result, index)}  # the week's last session, as stored
        paths = simulate_weekday_paths(panel, spec, weeks, own, rules.rates(spec), rules.execution)
        weekdays = weekday_sensitivity(paths)
        styles = {n: panel.styles[n] for n in STYLES if n in panel.styles and panel.styles[n].any()}
        found = attribute(result, data.market, index, panel.industry, styles or None)
        whole = performance_metrics(result.nav, result.benchmark_nav, result.days, result.turnover)
        yearly = metrics_by_year(result.nav, result.benchmark_nav, result.days, result.turnover)
        yield Built(WHOLE, holdings_table(result, data.market), table=holdings)
        yield Built(WHOLE, _dated(result.trades.sort_values(["symbol", "traded"]), reason=str), table=trades)
        turnover = markdown_table(turnover_table(result), ".4g")
        yield Built(WHOLE, _dated(result.rebalances), {"turnover": turnover}, table=rebalances)
        risk, risk_stored = tracking_error_shown(spec, result, facts)
        split = attribution_tables(found, dict(panel.industry_names))
        yield Built(
            WHOLE,
            account_table(result, weekdays.days, weekdays.relative_nav),
            {
                **{k: round(float(v), 4) for k, v in whole.items() if np.isfinite(v)},
                "trading": str(rules),
                "years": markdown_table(yearly.drop(columns="calmar")),
                "by weekday of the decision": markdown_table(weekdays.table()),
                "turnover": turnover,
                "orders_not_filled": markdown_table(unfilled_table(result)),
                **{title: markdown_table(frame) for title, frame in split.items()},
                "what limits cost": markdown_table(mean_shadow_prices(spec, facts)),
                **risk,
                **backtest_charts(result, weekdays, found, split["attribution by industry"]),
            },
            stored={
                "metrics": {k: float(v) for k, v in whole.items()},
                "yearly": yearly.to_dict("index"),
                "weekdays": weekdays.figures.to_dict("index"),
                "attribution": found.table().to_dict(),
                "trading": str(rules),
                **risk_stored,
            },
            table=daily,
        )

    return make


def account_table(result: BacktestResult, days: np.ndarray, paths: dict[str, np.ndarray]) -> pd.DataFrame:
    """The daily account, and the relative NAV of each weekday's path over the days on which all are invested."""
    frame = pd.DataFrame(
        {
            "date": result.days.astype(str),
            "nav": result.nav,
            "benchmark_nav": result.benchmark_nav,
            "relative_nav": result.relative_nav,
            "cash": result.cash,
        }
    )
    for weekday, values in paths.items():
        frame[f"relative_nav_{weekday}"] = pd.Series(values, index=days).reindex(result.days).to_numpy()
    return frame


def holdings_table(result: BacktestResult, market: MarketPanel) -> pd.DataFrame:
    """Weights at each close with the price that they are valued at, one row a day and stock held."""
    day, stock = np.nonzero(result.holdings.T)[::-1]
    start = market.index(result.days[0])
    return pd.DataFrame(
        {
            "symbol": market.symbols[stock],
            "date": result.days[day].astype(str),
            "weight": result.holdings[day, stock],
            "units": result.units[day, stock],
            "price": market.mark[start + day, stock],
        }
    )


def _dated(frame: pd.DataFrame, **kinds: type) -> pd.DataFrame:
    """The frame with its days as text, as everywhere in the lake."""
    out = frame.astype(kinds) if kinds else frame.copy()
    for column in ("decided", "traded"):
        out[column] = out[column].to_numpy("datetime64[D]").astype(str)
    return out.reset_index(drop=True)


ASSETS = [make(name) for name in settings().portfolios for make in (_weights_asset, _backtest_asset)]
