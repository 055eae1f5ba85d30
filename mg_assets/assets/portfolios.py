"""Enhanced portfolios: weights of each rebalance week, and their backtests."""

from collections.abc import Iterator
from dataclasses import replace

import dagster as dg
import numpy as np
import pandas as pd

from mg_assets.assets.models import SIGNALS
from mg_assets.errors import DataError, MissingPartitionError
from mg_assets.factors.crosssection import preprocess
from mg_assets.freshness import Needs
from mg_assets.lake import Build, Built, LakeAsset, lake_asset
from mg_assets.market.calendar import shift, trading_days, week_of
from mg_assets.market_data import MarketData, market_data
from mg_assets.partitions import WEEKLY
from mg_assets.settings import settings
from mg_assets.store import WHOLE, Lake
from mg_portfolio import optimize
from mg_portfolio.backtest import drift_to, simulate
from mg_portfolio.catalog import PORTFOLIOS, PortfolioSpec, build_problem, on_axis
from mg_portfolio.market import Day, MarketPanel
from mg_portfolio.metrics import metrics, metrics_by_year

BACK = 3  # weeks of bars around a rebalance: the last decision may be two closed weeks ago
WEIGHT_COLUMNS = {
    "symbol": "stock",
    "score": "signal at the decision",
    "benchmark": "index weight at the decision",
    "holdings": "weight held at the decision, drifted from the last rebalance",
    "weight": "target, traded on the next session",
    "member": "of the index",
    "industry": "level 1",
    "size": "ln free-float cap, z-scored over the universe",
    "suspended": "at the decision",
    "limit_up": "locked at the upper limit at the decision",
    "limit_down": "locked at the lower limit at the decision",
}


def portfolio(name: str) -> PortfolioSpec:
    """A portfolio of the catalog, on the signal that the settings give it."""
    if name not in PORTFOLIOS:
        raise DataError(f"settings name a portfolio {name!r}; the catalog has {', '.join(PORTFOLIOS)}")
    signal = settings().signals.get(name, PORTFOLIOS[name].signal)
    if signal not in SIGNALS:
        raise DataError(
            f"portfolio {name} is built on the signal {signal!r}, which this deployment lacks (it has "
            f"{', '.join(SIGNALS)}): add it to catalog in the settings, or give the portfolio another under signals"
        )
    return replace(PORTFOLIOS[name], signal=signal)


def panel_of(market: MarketData) -> MarketPanel:
    """The market as the backtest reads it: trades at vwap, valued at the close."""
    return MarketPanel(
        market.days,
        market.symbols,
        market.vwap,
        market.close,
        market.suspended,
        market.up_locked,
        market.down_locked,
        market.listed,
    )


def decision_days(weeks: list[str], last: str) -> dict[str, str]:
    """Last session of each week that is not after ``last``."""
    days = trading_days(weeks[0], last)
    monday = week_of(days).astype(str)
    return {str(w): str(d) for w, d in zip(monday, days, strict=True)}


def _decision(lake: Lake, spec: PortfolioSpec, day: str, holdings: pd.Series) -> tuple[pd.DataFrame, dict] | str:
    """Solve one rebalance; a sentence where something that it needs is absent."""
    signal = lake.day(spec.signal, day).set_index("symbol")["score"]
    info = lake.day("reference", day).set_index("symbol")
    bench = info[f"{spec.index}_weight"].fillna(0.0)
    if signal.empty:
        return f"no {spec.signal} on {day}"
    if bench.sum() <= 0:
        return f"the source has no {spec.index} weights on {day}"
    symbols = np.array(sorted({*signal.index, *bench.index[bench > 0], *holdings.index[holdings > 0]}), dtype=object)
    market = market_data(lake, [day], symbols)
    table = info.reindex(symbols)
    close = lake.panel("daily_bars", [day], ["close"], symbols)["close"][0]
    with np.errstate(divide="ignore", invalid="ignore"):
        cap = np.log(table["float_shares"].to_numpy(float) * close)
    universe = signal.reindex(symbols).notna().to_numpy()
    size = preprocess(cap[:, None], None, None, universe & np.isfinite(cap))[:, 0]
    rows = pd.DataFrame(
        {
            "symbol": symbols,
            "score": signal.reindex(symbols).to_numpy(float),
            "benchmark": bench.reindex(symbols).fillna(0.0).to_numpy(float) / bench.sum(),
            "holdings": holdings.reindex(symbols).fillna(0.0).to_numpy(float),
            "member": table[f"{spec.index}_member"].fillna(False).to_numpy(bool),
            "industry": table["industry"].fillna("unknown").astype(str).to_numpy(object),
            "size": np.nan_to_num(size),
            "suspended": market.suspended[0],
            "limit_up": market.up_locked[0],
            "limit_down": market.down_locked[0],
        }
    )
    codes, names = pd.factorize(rows["industry"], sort=True)
    problem = build_problem(
        spec,
        score=rows["score"].to_numpy(),
        benchmark=rows["benchmark"].to_numpy(),
        holdings=rows["holdings"].to_numpy(),
        industry=codes,
        styles={"size": rows["size"].to_numpy()},
        member=rows["member"].to_numpy(),
        suspended=rows["suspended"].to_numpy(),
        limit_up=rows["limit_up"].to_numpy(),
        limit_down=rows["limit_down"].to_numpy(),
        buyable=~table["st"].fillna(True).to_numpy(bool),
        symbols=symbols,
        industry_names=dict(enumerate(map(str, names))),
    )
    solution = optimize(problem)
    rows.insert(4, "weight", on_axis(problem, solution.weights, len(symbols)))
    facts = {
        "status": solution.status,
        "objective": solution.objective,
        "largest_violation": solution.largest_violation,
        "relaxed": dict(solution.relaxed),
        "shadow_prices": dict(solution.shadow_prices),
        "solver": solution.solver,
        "limits": {
            "stock": spec.stock_limit,
            "members": spec.member_floor,
            "industry": spec.industry_limit,
            "size": spec.style_limits.get("size"),
            "turnover": spec.turnover_limit,
        },
        "size_neutralised": bool(np.isfinite(cap).any()),
    }
    return rows, facts


def _previous(lake: Lake, table: str, first: str) -> tuple[str, pd.DataFrame, dict] | None:
    """The week before ``first``; None where the portfolio starts now.

    Raises
    ------
    MissingPartitionError
        Earlier weeks exist and the one before ``first`` does not.
    """
    have = [k for k in lake.keys(table) if k < first]
    if not have:
        return None
    weeks = WEEKLY.get_partition_keys()
    before = weeks[weeks.index(first) - 1]
    if before != have[-1]:
        raise MissingPartitionError(
            f"{table}: the weights of {before} are absent while {have[-1]} is there; holdings follow from week "
            f"to week: materialise {before} first, or delete the earlier weeks to start anew at {first}"
        )
    return before, lake.day(table, before), lake.metadata(table, before)


def _carry(lake: Lake, spec: PortfolioSpec, last: tuple[str, pd.DataFrame] | None, day: str) -> pd.Series:
    """Weights held at the close of ``day``, drifted from the last decision."""
    if last is None:
        return pd.Series(dtype=float)
    decided, rows = last
    held = rows[(rows["weight"] > 0) | (rows["holdings"] > 0)]
    keys = [str(d) for d in trading_days(decided, day)]
    market = market_data(lake, keys, held["symbol"].to_numpy(object))
    now = drift_to(
        panel_of(market), held["holdings"].to_numpy(), held["weight"].to_numpy(), 0, len(keys) - 1, spec.costs
    )
    return pd.Series(now, index=held["symbol"].to_numpy(object))


def _weights_asset(name: str) -> LakeAsset:
    spec = portfolio(name)
    table = f"weights_{name}"

    @lake_asset(
        table,
        group="portfolios",
        partitions=WEEKLY,
        needs=[Needs(spec.signal), Needs("reference"), Needs("daily_bars", back=BACK), Needs(table)],
        uses=("portfolios", "signals"),
        kinds={"cvxpy"},
        columns=WEIGHT_COLUMNS,
        single_run=True,
        description=f"{spec.index} enhanced with {spec.signal}. Source: {spec.source}.\n\n"
        "Decided at the close of the week's last session, traded at the next session's vwap. Each week starts from "
        "the last one's weights, executed and drifted. Every constraint is recomputed on the weights (largest "
        "violation in the metadata); what had to be relaxed is recorded.",
    )
    def make(build: Build) -> Iterator[Built]:
        lake = build.lake
        first = _previous(lake, table, build.keys[0])
        last = (first[2]["decided"], first[1]) if first and len(first[1]) else None
        decided_on = decision_days(build.keys, max(lake.keys(spec.signal), default=build.keys[0]))
        for key in build.keys:
            day = decided_on.get(key)
            if day is None:
                solved: tuple[pd.DataFrame, dict] | str = f"no session of the week has a {spec.signal}"
            else:
                solved = _decision(lake, spec, day, _carry(lake, spec, last, day))
            if isinstance(solved, str):
                empty = pd.DataFrame({c: pd.Series(dtype="str" if c == "symbol" else float) for c in WEIGHT_COLUMNS})
                yield Built(key, empty, {"absent": solved})
                continue
            rows, facts = solved
            last = (str(day), rows)
            facts |= {"decided": day, "traded": str(shift(str(day), 1))}
            yield Built(key, rows, _shown(rows, facts), stored=facts)

    return make


def _shown(rows: pd.DataFrame, facts: dict) -> dict:
    active = (rows["weight"] - rows["benchmark"]).abs().sum() / 2
    return {
        "decided": facts["decided"],
        "status": facts["status"],
        "stocks": int((rows["weight"] > 1e-9).sum()),
        "active_share": round(float(active), 4),
        "turnover_one_way": round(float((rows["weight"] - rows["holdings"]).abs().sum() / 2), 4),
        "largest_violation": float(facts["largest_violation"]),
        "relaxed": dg.MetadataValue.json(facts["relaxed"]),
        "shadow_prices": dg.MetadataValue.json(facts["shadow_prices"]),
    }


def backtest_of(lake: Lake, name: str):
    """Simulate a portfolio from its first week to the last day with bars; None before the second week.

    Returns the result, the specification and the decisions ``day -> weights table``.
    """
    spec, table = portfolio(name), f"weights_{name}"
    decisions = {}
    for key in lake.keys(table):
        rows = lake.day(table, key)
        if len(rows):
            decisions[lake.metadata(table, key)["decided"]] = rows
    if len(decisions) < 2:
        return None
    # after the last decision its trade and a week of holding are followed, no further
    first, last = min(decisions), max(decisions)
    bars = [k for k in lake.keys("daily_bars") if k >= first]
    until = [k for k in bars if k > last][:6]
    keys = [k for k in bars if k <= last] + until
    members = sorted({s for rows in decisions.values() for s in rows["symbol"]})
    market = market_data(lake, keys, members)
    place = {s: i for i, s in enumerate(market.symbols)}
    targets: dict[Day, np.ndarray] = {}
    index: dict[Day, np.ndarray] = {}
    for day, rows in decisions.items():
        at = [place[s] for s in rows["symbol"]]
        for into, column in ((targets, "weight"), (index, "benchmark")):
            weights = np.zeros(len(place))
            weights[at] = rows[column]
            into[np.datetime64(day)] = weights
    result = simulate(panel_of(market), targets, cost=spec.costs, benchmark=index)
    return result, spec, decisions


def _backtest_asset(name: str) -> LakeAsset:
    @lake_asset(
        f"{name}_backtest",
        group="portfolios",
        partitions=None,
        needs=[Needs(f"weights_{name}"), Needs("daily_bars"), Needs("reference")],
        columns={
            "date": "trading day",
            "nav": "net of costs, 1 on the first day",
            "benchmark_nav": "index weights of each decision, drifting",
            "relative_nav": "nav / benchmark_nav",
        },
        description=f"Daily account of {name}: orders of each week filled at the next session's vwap, limits and "
        "suspensions respected, costs paid. Metrics are named as in the published tables.",
    )
    def make(build: Build) -> Iterator[Built]:
        found = backtest_of(build.lake, name)
        if found is None:
            yield Built(WHOLE, pd.DataFrame({"date": [], "nav": []}), {"absent": "fewer than two weeks of weights"})
            return
        result, _, _ = found
        whole = metrics(result.nav, result.benchmark_nav, result.days, result.turnover)
        yearly = metrics_by_year(result.nav, result.benchmark_nav, result.days, result.turnover)
        frame = pd.DataFrame(
            {
                "date": result.days.astype(str),
                "nav": result.nav,
                "benchmark_nav": result.benchmark_nav,
                "relative_nav": result.relative_nav,
                "cash": result.cash,
            }
        )
        from mg_portfolio.report import charts

        chart = charts.nav_chart(result.days, result.nav, result.benchmark_nav)
        unfilled = result.trades[result.trades["reason"] != ""]
        yield Built(
            WHOLE,
            frame,
            {
                **{k: round(float(v), 4) for k, v in whole.items() if np.isfinite(v)},
                "orders_not_filled": dg.MetadataValue.json(unfilled["reason"].astype(str).value_counts().to_dict()),
                "NAV": dg.MetadataValue.md(charts.markdown_image(chart)),
            },
            stored={"metrics": {k: float(v) for k, v in whole.items()}, "yearly": yearly.to_dict("index")},
        )

    return make


ASSETS = [make(name) for name in settings().portfolios for make in (_weights_asset, _backtest_asset)]
