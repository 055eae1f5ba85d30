"""Enhanced indices on real bars: a signal's scores under one choice of limits after the other, beside placebos.

    python benchmarks/enhanced_index.py LAKE [--scores /tmp/mg-real-panel/alla] [--signal price_volume_mlp]
        [--index csi300] [--first 2017-01-01] [--last 2020-12-31]
        [--change member_floor=1.0 cost=0.002] [--change turnover_limit=0.1] [--placebos 20]

``LAKE`` is the lake of ``make real``; its bars, members, weights and industries are read. The scores are the lake's,
decided at the end of each week, or with ``--scores`` those that ``benchmarks/real_panel.py`` stored, decided on their
days (every fifth of a half-year; its development half-years lack their last eleven days). Each ``--change`` is one
portfolio: the limits of ``<index>_turnover30`` with what it changes, size from traded value, and the equal-weighted
members for CSI 500 and CSI 1000, whose weights the real panel lacks; ``none`` changes nothing, ``risk_aversion=30``
takes the risk model of each decision. Prints a line a portfolio: excess a year net and before costs, cost, tracking
error, information ratio, two-way turnover a rebalance, and the years.
"""

import argparse
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import yaml
from real_panel import DEVELOPMENT, HALF_YEARS, Market

from mg_assets.lake.store import Lake
from mg_assets.portfolios.decision_panel import DecisionData, style_exposures
from mg_assets.portfolios.risk_history import risk_history
from mg_assets.portfolios.weekly import decision_days
from mg_models.data.bar_panels import week_of
from mg_portfolio.backtest.placebo import placebo_figures, placebo_scores, simulate_placebo
from mg_portfolio.backtest.rebalance import DecisionPanel
from mg_portfolio.catalog import PORTFOLIOS, PortfolioSpec
from mg_portfolio.evaluation.placebo_comparison import compare_with_placebos


def stored_scores(folder: Path, signal: str, days: np.ndarray, symbols: np.ndarray) -> np.ndarray:
    """Scores ``(D, S)`` of ``benchmarks/real_panel.py`` on the days that it scored, NaN on the others."""
    with np.load(folder / "market.npz", allow_pickle=True) as stored:
        market = Market(stored["days"], stored["symbols"].astype(object), {}, folder)
    place = {s: i for i, s in enumerate(symbols)}
    at = np.array([place.get(s, -1) for s in market.symbols])
    out = np.full((len(days), len(symbols)), np.nan)
    for half_year in (*DEVELOPMENT, *HALF_YEARS):
        for file in sorted((folder / "scores").glob(f"{signal}-{half_year}-*.npy"))[:1]:
            for day, row in zip(market.days[market.tested(half_year)], np.load(file), strict=True):
                if day in days:
                    out[np.searchsorted(days, day), at[at >= 0]] = row[at >= 0]
    return out


def own_scores(lake: Lake, signal: str, keys: list[str], symbols: np.ndarray) -> np.ndarray:
    """The lake's scores ``(D, S)`` on each week's last session, NaN on the other days."""
    weeks = sorted({str(w) for w in week_of(np.array(keys, "datetime64[D]"))})
    decided = set(decision_days(weeks, keys[-1]).values())
    score = lake.panel(signal, keys, ["score"], symbols, missing="empty")["score"]
    return np.where(np.isin(keys, list(decided))[:, None], score, np.nan)


def panel_of(data: DecisionData, spec: PortfolioSpec, score: np.ndarray) -> DecisionPanel:
    """What the decisions of a portfolio read."""
    weights, member = data.benchmark(spec)
    codes, names = data.industry
    everyone = np.ones(score.shape, bool)
    styles = style_exposures({"size": data.raw_style("traded_value")}, everyone)
    return DecisionPanel(data.market, score, weights, member, codes, names, styles, data.buyable)


def changes_of(given: list[str]) -> Mapping[str, object]:
    """``member_floor=1.0`` and the like as fields of a portfolio; ``none`` changes nothing."""
    return {name: yaml.safe_load(value) for name, _, value in (one.partition("=") for one in given if one != "none")}


def main() -> None:
    """Simulate each portfolio and print its line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("lake")
    parser.add_argument("--scores", type=Path)
    parser.add_argument("--signal", default="price_volume_mlp")
    parser.add_argument("--index", default="csi300", choices=("csi300", "csi500", "csi1000"))
    parser.add_argument("--first", default="2017-01-01")
    parser.add_argument("--last", default="2020-12-31")
    parser.add_argument("--change", nargs="+", action="append", default=[])
    parser.add_argument("--placebos", type=int, default=0)
    asked = parser.parse_args()
    lake = Lake(asked.lake)
    keys = [k for k in lake.keys("daily_bars") if asked.first <= k <= asked.last]
    data = DecisionData(lake, keys)
    days = np.array(keys, "datetime64[D]")
    score = (
        own_scores(lake, asked.signal, keys, data.symbols)
        if asked.scores is None
        else stored_scores(asked.scores, asked.signal, days, data.symbols)
    )
    decided = np.flatnonzero(np.isfinite(score).any(axis=1))
    base = replace(
        PORTFOLIOS[f"{asked.index}_turnover30"],
        signal=asked.signal,
        size_from="traded_value",
        benchmark_from="index_weights" if asked.index == "csi300" else "equal_members",
    )
    panel = panel_of(data, base, score)
    wanted = {" ".join(given): replace(base, **changes_of(given)) for given in asked.change or [["none"]]}  # type: ignore[arg-type]
    if any(spec.risk_aversion > 0.0 for spec in wanted.values()):
        panel = replace(panel, history=risk_history(lake, keys[0], keys[-1], data.symbols))
    for change, spec in wanted.items():
        began = time.process_time()
        path = simulate_placebo(panel, spec, decided, score[decided], spec.costs)
        if path is None:
            raise SystemExit(f"{asked.signal} has no scores between {asked.first} and {asked.last}")
        figures = placebo_figures(path.result)
        whole = figures.loc["whole"]
        years = " ".join(f"{p} {v:+.3f}" for p, v in figures["excess_annual"].items() if p != "whole")
        print(
            f"{asked.index} {change:50s} excess {whole.excess_annual:+.4f} before costs "
            f"{whole.excess_before_costs:+.4f} cost {whole.cost_annual:.4f} error {whole.tracking_error:.4f} ratio "
            f"{whole.information_ratio:.2f} turnover {whole.turnover_two_way_per_rebalance:.3f} | {years} | "
            f"{time.process_time() - began:.0f} s",
            flush=True,
        )
        if asked.placebos:
            drawn = (placebo_scores(score[decided], data.symbols, spec.name, n + 1) for n in range(asked.placebos))
            paths = [simulate_placebo(panel, spec, decided, scores, spec.costs) for scores in drawn]
            lines = np.stack([p.result.relative_nav for p in paths if p is not None])
            compared = compare_with_placebos(path.result.days, path.result.relative_nav, lines)
            print(compared.round(4).to_string(), flush=True)


if __name__ == "__main__":
    main()
