"""Placebos of the portfolios: random signals under the same limits and costs, beside every backtest."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from mg_assets.assets.portfolio_metadata import placebo_metadata
from mg_assets.assets.portfolios import backtest_days, portfolio, simulated, stored_decisions
from mg_assets.lake.partition_keys import WHOLE
from mg_assets.lake.store import Lake
from mg_assets.orchestration.lake_asset import LakeAsset, lake_asset
from mg_assets.orchestration.partition_build import Build, Built
from mg_assets.portfolios.decision_panel import DecisionData
from mg_assets.portfolios.placebo_runs import run_placebos
from mg_assets.portfolios.risk_history import with_risk_history
from mg_assets.portfolios.trading_rules import trading_rules
from mg_assets.settings import settings
from mg_portfolio.backtest.placebo import placebo_figures, rank_autocorrelation
from mg_portfolio.evaluation.placebo_comparison import compare_with_placebos

COLUMNS = {
    "placebo": "number of the random signal; 0 is the portfolio itself",
    "period": "whole (scaled to a year), or a calendar year (as earned)",
    "days": "returns of the period",
    "excess_annual": "excess return net of costs, of the relative NAV",
    "excess_before_costs": "excess return without what each rebalance cost",
    "cost_annual": "excess that costs took",
    "tracking_error": "annualised volatility of the daily excess",
    "information_ratio": "excess over tracking error",
    "turnover_two_way_per_rebalance": "realised two-way turnover of a rebalance",
    "turnover_two_way_annual": "realised two-way turnover of a year",
}
PATH_COLUMNS = {
    "date": "trading day",
    "placebo": "number of the random signal",
    "relative_nav": "net of costs over the index, 1 on the first day",
}


def placebos_of(name: str) -> int:
    """Placebos that the settings ask for beside a portfolio; 0 for none."""
    return settings().portfolios[name].placebos


def _placebo_asset(name: str) -> LakeAsset:
    spec, count = portfolio(name), placebos_of(name)
    table, paths = f"{name}_placebo", f"{name}_placebo_paths"

    @lake_asset(
        (table, paths),
        group="portfolios",
        partitions=None,
        needs=[f"weights_{name}", spec.signal, "daily_bars", "reference", "common_factors"],
        config=(spec, trading_rules(), count),
        kinds={"cvxpy"},
        columns={table: COLUMNS, paths: PATH_COLUMNS},
        description={
            table: f"{count} random signals under the limits and costs of {name}, decided on the same days and "
            "backtested alike: what the universe, the index weights and the costs earn without any forecast. Each "
            f"week's scores are those of {spec.signal} dealt out at random among the same stocks, as persistent from "
            "week to week as its ranks have been so far, so that turnover and costs are alike. The metadata compare: "
            "the portfolio's excess over the placebos' mean with a 95% interval, and its rank among them.",
            paths: f"Daily relative NAV of each placebo of {name}.",
        },
    )
    def make(build: Build) -> Iterator[Built]:
        lake, rules = build.lake, trading_rules()
        decisions, _ = stored_decisions(lake, name)
        keys = backtest_days(lake, decisions, min(decisions)) if decisions else []
        if len(decisions) < 2 or len(keys) < 3:
            for one, columns in ((table, COLUMNS), (paths, PATH_COLUMNS)):
                yield Built(
                    WHOLE, pd.DataFrame({c: [] for c in columns}), {"absent": "too few weeks of weights"}, table=one
                )
            return
        data = DecisionData(lake, keys, {s for rows in decisions.values() for s in rows["symbol"]})
        result, _ = simulated(data.market, spec, decisions)
        panel = with_risk_history(data.decisions(spec, spec.signal), lake, spec, min(decisions))
        decided = np.searchsorted(data.market.days, np.array(sorted(decisions), "datetime64[D]"))
        found = run_placebos(panel, spec, decided, count, rules, build.workers)
        every = {0: placebo_figures(result), **{one.number: one.figures for one in found}}
        frame = pd.concat(every, names=["placebo"]).reset_index()[list(COLUMNS)]
        lines = np.stack([one.relative_nav for one in found])
        compared = compare_with_placebos(result.days, result.relative_nav, lines)
        persistence = float(rank_autocorrelation(panel.score[decided])[-1])
        yield Built(
            WHOLE,
            pd.DataFrame(
                {
                    "date": np.tile(result.days.astype(str), count),
                    "placebo": np.repeat(np.arange(1, count + 1), len(result.days)),
                    "relative_nav": lines.ravel(),
                }
            ),
            table=paths,
        )
        yield Built(
            WHOLE,
            frame,
            placebo_metadata(result, lines, compared, frame) | {"rank_autocorrelation": round(persistence, 4)},
            stored={"compared": compared.to_dict("index"), "rank_autocorrelation": persistence},
            table=table,
        )

    return make


def stored_placebos(lake: Lake, name: str, days: np.ndarray) -> np.ndarray:
    """Relative NAV ``(N, D)`` of a portfolio's stored placebos on the days; NaN after the last that is stored."""
    table = f"{name}_placebo_paths"
    if not lake.has(table, WHOLE) or not lake.rows(table, WHOLE):
        return np.empty((0, len(days)))
    wide = lake.day(table, WHOLE).pivot(index="placebo", columns="date", values="relative_nav")
    return wide.reindex(columns=days.astype(str)).to_numpy(float)


ASSETS = [_placebo_asset(name) for name in settings().portfolios if placebos_of(name)]
