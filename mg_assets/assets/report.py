"""The weekly factor report."""

import datetime as dt
from collections.abc import Iterator

import dagster as dg
import numpy as np
import pandas as pd

from mg_assets.assets import bars, daily_factors, factors, labels, raw
from mg_assets.assets.evaluation import evaluation_universe
from mg_assets.assets.models import SIGNALS
from mg_assets.assets.portfolios import backtest_of, decision_days, portfolio
from mg_assets.factors.registry import FACTORS
from mg_assets.lake.market_data import MarketData, market_data
from mg_assets.lake.store import Lake
from mg_assets.lake.window import UpstreamWindow
from mg_assets.market.calendar import trading_days
from mg_assets.orchestration.lake_asset import lake_asset
from mg_assets.orchestration.partition_build import Build, Built
from mg_assets.orchestration.partitions import WEEKLY
from mg_assets.settings import settings
from mg_portfolio.evaluation.evaluate import long_short, orthogonalize
from mg_portfolio.report.published import published_digest
from mg_portfolio.report.weekly.inputs import (
    DEEP,
    HANDMADE,
    EvaluationRow,
    FactorSeries,
    PortfolioSeries,
    QualityRow,
    WeeklyReport,
)

INDEX_NAMES = {"csi300": "CSI 300", "csi500": "CSI 500", "csi1000": "CSI 1000"}
TABLES = ("reference", "daily_bars", "intraday_factors", "factor_scores", *SIGNALS)
RECENT_TABLES = ("trades", "orders", "snapshots", "minute_bars")
RECENT = 8  # weeks of these that the checks of the report's week read
HISTORY = 700  # weeks: series and charts begin with the lake
_MARKET = (*raw.ASSETS, *bars.ASSETS, *factors.ASSETS, *daily_factors.ASSETS, *labels.ASSETS)
_READ = (*(table for asset in _MARKET for table in asset.tables), *SIGNALS)
SUMMARY_METRICS = ("rank_ic_mean", "rank_ic_ir", "top_excess_annual", "top_information_ratio")
MIN_DAYS = 30
_ABSENT = {
    "model": {
        "en": "not among the models of this deployment (setting catalog)",
        "zh": "本部署的模型目录未包含该模型（设置项 catalog）",
    },
    "days": {"en": f"fewer than {MIN_DAYS} days in the lake", "zh": f"数据湖中不足 {MIN_DAYS} 个交易日"},
    "rebalance": {"en": "no finished rebalance yet", "zh": "尚无完成的调仓"},
    "weeks": {"en": "fewer than two weeks of weights", "zh": "权重不足两周"},
}


def _common_factors(lake: Lake, market: MarketData) -> tuple[np.ndarray, np.ndarray]:
    """Common factors ``(D, S, 4)`` - cap, reversal, turnover, volatility - and industry codes ``(D, S)``."""
    info = lake.panel("reference", market.keys, ["float_shares", "industry"], market.symbols)
    volume = lake.panel("daily_bars", market.keys, ["volume", "close"], market.symbols)
    with np.errstate(divide="ignore", invalid="ignore"):
        cap = np.log(info["float_shares"] * volume["close"])
        turnover = pd.DataFrame(volume["volume"] / info["float_shares"])
        returns = pd.DataFrame(market.close).pct_change(fill_method=None)
    month = {"window": 21, "min_periods": 13}
    reversal = pd.DataFrame(market.close).pct_change(21, fill_method=None).to_numpy()
    common = [cap, reversal, turnover.rolling(**month).mean().to_numpy(), returns.rolling(**month).std().to_numpy()]
    codes = pd.factorize(info["industry"].ravel(), sort=True)[0].reshape(info["industry"].shape)
    return np.stack(common, axis=-1), codes


def _factors(lake: Lake, market: MarketData) -> list[FactorSeries]:
    inside = evaluation_universe(market)
    common, industry = _common_factors(lake, market)
    usable = np.isfinite(common).any(axis=(0, 1))
    common = common[..., usable]
    hand = lake.panel("factor_scores", market.keys, list(HANDMADE), market.symbols, missing="empty")
    out = []
    for name in dict.fromkeys((*HANDMADE, *DEEP, *SIGNALS)):  # a deployment's models may be some of the monitor's
        if name in HANDMADE:
            signal, direction, every = hand[name], FACTORS[name].direction, "monthly"
        elif name in SIGNALS:
            signal = lake.panel(name, market.keys, ["score"], market.symbols, missing="empty")["score"]
            direction, every = 1, "weekly"
        else:
            out.append(FactorSeries(name, absent=_ABSENT["model"]))
            continue
        if np.isfinite(signal).any(axis=1).sum() < MIN_DAYS:
            out.append(FactorSeries(name, absent=_ABSENT["days"], rebalance=every))
            continue
        first = int(np.flatnonzero(np.isfinite(signal).any(axis=1))[0])
        clean = orthogonalize(signal[first:], common[first:], inside[first:], industry[first:])
        found = long_short(clean, market.vwap[first:], inside[first:], market.days[first:], every, direction)
        if not np.isfinite(found.long_short).any():
            out.append(FactorSeries(name, absent=_ABSENT["rebalance"], rebalance=every))
            continue
        out.append(FactorSeries(name, found.days, found.long_short, found.long_excess, every))
    return out


def _portfolio(lake: Lake, name: str, until: str) -> PortfolioSeries:
    found = backtest_of(lake, name)
    index = INDEX_NAMES[portfolio(name).index]
    if found is None:
        return PortfolioSeries(name, index, absent=_ABSENT["weeks"])
    result, spec, decisions = found
    inside = result.days <= np.datetime64(until)
    day = max(d for d in decisions if d <= until)
    rows = decisions[day]
    key = next(
        k for k in reversed(lake.keys(f"weights_{name}")) if lake.metadata(f"weights_{name}", k).get("decided") == day
    )
    facts = lake.metadata(f"weights_{name}", key)
    active = rows["weight"] - rows["benchmark"]
    done = result.rebalances[pd.to_datetime(result.rebalances["traded"]) <= pd.Timestamp(until)]
    orders = result.trades[pd.to_datetime(result.trades["traded"]) <= pd.Timestamp(until)]
    last = orders[orders["traded"] == orders["traded"].max()] if len(orders) else orders
    return PortfolioSeries(
        name=name,
        index=index,
        days=result.days[inside],
        nav=result.nav[inside],
        benchmark_nav=result.benchmark_nav[inside],
        rebalance_date=dt.date.fromisoformat(day),
        weights=dict(zip(rows["symbol"], rows["weight"], strict=True)),
        benchmark_weights=dict(zip(rows["symbol"], rows["benchmark"], strict=True)),
        industry=active.groupby(rows["industry"]).sum().to_dict(),
        styles={"size": float((active * rows["size"]).sum())},
        industry_limit=spec.industry_limit,
        style_limits={"size": spec.limit_of("size")},
        turnover_planned=float((rows["weight"] - rows["holdings"]).abs().sum()),
        turnover_realised=float(done["realised_two_way"].iloc[-1]) if len(done) else None,
        turnover_mean=float(result.turnover.mean()) if len(result.turnover) else None,
        binding={k: v for k, v in facts.get("shadow_prices", {}).items() if abs(v) > 1e-9},
        relaxed=facts.get("relaxed", {}),
        untraded=last.loc[last["reason"] != "", "reason"].astype(str).value_counts().to_dict() if len(last) else {},
    )


def _evaluations(lake: Lake) -> list[EvaluationRow]:
    out = []
    for table in ("signal_evaluation", "factor_evaluation"):
        if lake.has(table, "all"):
            for row in lake.day(table, "all").to_dict("records"):
                values = {m: float(row[m]) for m in SUMMARY_METRICS if np.isfinite(row[m])}
                out.append(EvaluationRow(row["name"], f"{row['first_day']}/{row['last_day']}", values))
    return out


def _quality(lake: Lake, days: list[str]) -> tuple[list[QualityRow], int]:
    """Failed checks of the week's tables, from the same suites as the asset checks, and how many were run."""
    from mg_assets.quality import SUITES, run_suite

    rows, count = [], 0
    for table in SUITES:
        keys = [d for d in days if lake.has(table, d)]
        if not keys:
            continue
        for outcome in run_suite(table, lake, keys):
            count += 1
            if not outcome.passed:
                bad = outcome.bad[0] if outcome.bad else {}
                rows.append(
                    QualityRow(
                        table,
                        outcome.name,
                        "error" if outcome.blocking else "warn",
                        f"{outcome.description}: {', '.join(f'{k} {v}' for k, v in bad.items())}",
                    )
                )
    return rows, count


def weekly(lake: Lake, week: str, day: str, source: str) -> WeeklyReport:
    """Collect one week's report, as of the week's last session ``day``."""
    bars = [k for k in lake.keys("daily_bars") if k <= day]
    market = market_data(lake, bars)
    listed = len(lake.day("reference", day, ["symbol"]))
    late, missing = {}, {}
    for table in TABLES:
        have = [k for k in lake.keys(table) if k <= day]
        if not have:
            continue
        late[table] = len(trading_days(have[-1], day)) - 1
        missing[table] = listed - len(lake.day(table, have[-1], ["symbol"]))
    in_week = [str(d) for d in trading_days(week, day)]
    quality, checks = _quality(lake, in_week)
    simulated = settings().source.kind == "simulated"
    return WeeklyReport(
        as_of=dt.date.fromisoformat(day),
        source=source,
        lake=lake.root,
        factors=tuple(_factors(lake, market)),
        portfolios=tuple(_portfolio(lake, name, day) for name in settings().portfolios),
        quality=tuple(quality),
        checks_run=checks,
        days_late={k: v for k, v in late.items() if v},
        stocks_missing={k: v for k, v in missing.items() if v > 0},
        evaluations=tuple(_evaluations(lake)),
        notice={
            "en": "The data are simulated; published figures are of real markets.",
            "zh": "数据为模拟市场；公布数字来自真实市场。",
        }
        if simulated
        else {},
        generated=dt.datetime.now(),
    )


@lake_asset(
    "weekly_report",
    group="reports",
    partitions=WEEKLY,
    needs=[
        *(UpstreamWindow(t, back=RECENT if t in RECENT_TABLES else HISTORY) for t in _READ),
        *(UpstreamWindow(f"weights_{p}", back=HISTORY) for p in settings().portfolios),
        "signal_evaluation",
        "factor_evaluation",
    ],
    config=(settings().source.kind, tuple(settings().portfolios), published_digest()),
    uses=("language",),
    single_run=True,
    columns={"language": "of the report", "file": "path of the HTML file"},
)
def weekly_report(build: Build) -> Iterator[Built]:
    """Write the weekly factor report of any week: factors, portfolios, exposures and the week's data quality.

    One self-contained HTML file per language. Source: the weekly monitor of 2023-12-15.
    """
    from mg_portfolio.report.weekly.page import render_weekly_report

    lake = build.lake
    last = max(lake.keys("daily_bars"), default=build.keys[0])
    decided = decision_days(build.keys, last)
    for key in build.keys:
        day = decided.get(key)
        if day is None or not lake.has("daily_bars", day):
            yield Built(
                key, pd.DataFrame({"language": [], "file": []}), {"absent": "no session with bars in this week"}
            )
            continue
        content = weekly(lake, key, day, build.source.name)
        files = {
            lang: lake.write_file(
                "weekly_report", key, f"report_{lang}.html", render_weekly_report(content, lang).encode()
            )
            for lang in ("en", "zh")
        }
        frame = pd.DataFrame({"language": list(files), "file": [f.rsplit("/", 1)[1] for f in files.values()]})
        shown = {lang: dg.MetadataValue.path(file) for lang, file in files.items()}
        yield Built(key, frame, {"as_of": day, **shown, "open": dg.MetadataValue.url(f"file://{files['en']}")})


ASSETS = [weekly_report]
