"""The weekly factor report."""

import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import fields, replace

import dagster as dg
import numpy as np
import pandas as pd

from mg_assets.assets import bars, daily_factors, factors, labels, raw
from mg_assets.assets.evaluation import evaluation_universe
from mg_assets.assets.models import SIGNALS
from mg_assets.assets.portfolio_placebos import placebos_of, stored_placebos
from mg_assets.assets.portfolios import backtest_days, decision_days, portfolio, simulated, stored_decisions
from mg_assets.factors.registry import FACTORS
from mg_assets.lake.as_of import AsOfLake
from mg_assets.lake.market_data import MarketData, market_data
from mg_assets.lake.pages import page_link
from mg_assets.lake.partition_keys import WHOLE
from mg_assets.lake.store import Lake
from mg_assets.lake.window import UpstreamWindow
from mg_assets.market.calendar import half_year_name, half_year_of, trading_days
from mg_assets.orchestration.lake_asset import lake_asset
from mg_assets.orchestration.partition_build import Build, Built
from mg_assets.orchestration.partitions import WEEKLY
from mg_assets.portfolios.decision_panel import panel_of
from mg_assets.portfolios.what_if import room_gains
from mg_assets.settings import settings
from mg_assets.sources.base import stock_names
from mg_portfolio.catalog import PortfolioSpec
from mg_portfolio.evaluation.cases import EXECUTIONS, Case
from mg_portfolio.evaluation.evaluate import evaluate_all, long_short, orthogonalize
from mg_portfolio.evaluation.forward_returns import ForwardReturns
from mg_portfolio.evaluation.result import Evaluation
from mg_portfolio.report.published import published_digest
from mg_portfolio.report.weekly.inputs import (
    DEEP,
    EXPECTED,
    HANDMADE,
    EvaluationRow,
    FactorSeries,
    NoTrade,
    PortfolioSeries,
    QualityRow,
    Training,
    WeeklyReport,
)

INDEX_NAMES = {"csi300": "CSI 300", "csi500": "CSI 500", "csi1000": "CSI 1000"}
TABLES = ("reference", "daily_bars", "intraday_factors", "factor_scores", *SIGNALS)
RECENT_TABLES = ("trades", "orders", "snapshots", "minute_bars")
RECENT = 8  # weeks of these that the checks of the report's week read
HISTORY = 700  # weeks: series and charts begin with the lake
_MARKET = (*raw.ASSETS, *bars.ASSETS, *factors.ASSETS, *daily_factors.ASSETS, *labels.ASSETS)
_READ = (*(table for asset in _MARKET for table in asset.tables), *SIGNALS)
_SHOWN = tuple(
    name
    for name in SIGNALS
    if name in (*EXPECTED, *settings().catalog, *settings().signals)
    or name in [portfolio(p).signal for p in settings().portfolios]
)
"""Signals with figures: the monitor's, and those that the settings name; not the parts of others."""

_MODELS = tuple(f"{model}_model" for model in settings().catalogs.trained(SIGNALS))
LAYERS = {"monthly": 5, "weekly": 10}  # of factors and of signals, as in the evaluation
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


def _market(lake: Lake, keys: list[str]) -> MarketData:
    return market_data(lake, keys, None, ("volume", "close"), ("float_shares", "industry"))


def _common_factors(market: MarketData) -> tuple[np.ndarray, np.ndarray]:
    """Common factors ``(D, S, 4)`` - cap, reversal, turnover, volatility - and industry codes ``(D, S)``."""
    raw = market.also
    with np.errstate(divide="ignore", invalid="ignore"):
        cap = np.log(raw["float_shares"] * raw["close"])
        turnover = pd.DataFrame(raw["volume"] / raw["float_shares"])
        returns = pd.DataFrame(market.close).pct_change(fill_method=None)
    month = {"window": 21, "min_periods": 13}
    reversal = pd.DataFrame(market.close).pct_change(21, fill_method=None).to_numpy()
    common = [cap, reversal, turnover.rolling(**month).mean().to_numpy(), returns.rolling(**month).std().to_numpy()]
    codes = pd.factorize(raw["industry"].ravel(), sort=True)[0].reshape(raw["industry"].shape)
    return np.stack(common, axis=-1), codes


def _panels(lake: Lake, market: MarketData) -> dict[str, np.ndarray]:
    """Scores ``(D, S)`` of the hand-made factors and of the deployment's signals."""
    found = dict(lake.panel("factor_scores", market.keys, list(HANDMADE), market.symbols, missing="empty").values)
    for name in _SHOWN:
        found[name] = lake.panel(name, market.keys, ["score"], market.symbols, missing="empty")["score"]
    return found


def _factors(lake: Lake, market: MarketData, week: str) -> tuple[list[FactorSeries], list[EvaluationRow]]:
    """Every factor's series, and the evaluation of those that have enough days."""
    inside = evaluation_universe(market)
    common, industry = _common_factors(market)
    common = common[..., np.isfinite(common).any(axis=(0, 1))]
    signals = _panels(lake, market)
    direction = {name: FACTORS[name].direction if name in HANDMADE else 1 for name in signals}
    out, kept = [], {}
    for name in dict.fromkeys((*HANDMADE, *DEEP, *_SHOWN)):  # a deployment's models may be some of the monitor's
        every = "monthly" if name in HANDMADE else "weekly"
        if name not in signals:
            out.append(FactorSeries(name, absent=_ABSENT["model"]))
            continue
        signal = signals[name]
        scored = np.isfinite(signal).any(axis=1)
        if scored.sum() < MIN_DAYS:
            out.append(FactorSeries(name, absent=_ABSENT["days"], rebalance=every))
            continue
        kept[name] = signal
        first = int(np.flatnonzero(scored)[0])
        clean = orthogonalize(signal[first:], common[first:], inside[first:], industry[first:])
        held = long_short(clean, market.vwap[first:], inside[first:], market.days[first:], every, direction[name])
        if not np.isfinite(held.long_short).any():
            out.append(FactorSeries(name, absent=_ABSENT["rebalance"], rebalance=every))
            continue
        trained = () if name in HANDMADE else _trainings(lake, name, week)
        out.append(
            FactorSeries(
                name, held.days, held.long_short, held.long_excess, every, relative=held.relative, trained=trained
            )
        )
    evaluated = _evaluated(kept, direction, market, inside)
    ranks = {name: _on_days(found, market) for name, found in evaluated.items()}
    out = [f if f.absent or f.name not in ranks else replace(f, rank_ic=ranks[f.name][-len(f.days) :]) for f in out]
    return out, [_evaluation_row(name, found) for name, found in evaluated.items()]


def _on_days(found: Evaluation, market: MarketData) -> np.ndarray:
    """Daily RankIC on all of the market's days."""
    out = np.full(len(market.days), np.nan)
    out[np.searchsorted(market.days, found.days)] = found.rank_ic
    return out


def _evaluated(
    signals: Mapping[str, np.ndarray], direction: Mapping[str, int], market: MarketData, inside: np.ndarray
) -> dict[str, Evaluation]:
    """The evaluation of series 72's case, as in ``factor_evaluation`` and ``signal_evaluation``."""
    case = Case()
    out: dict[str, Evaluation] = {}
    forward = ForwardReturns.from_prices(market.vwap, inside, market.days, case.every, EXECUTIONS[case.execution][1])
    for hand, every in ((True, "monthly"), (False, "weekly")):
        some = {name: signal for name, signal in signals.items() if (name in HANDMADE) is hand}
        out |= evaluate_all(some, forward, direction, LAYERS[every], from_first=True)
    return out


def _evaluation_row(name: str, found: Evaluation) -> EvaluationRow:
    """A row of table 3, with the spread over the starting days of the week."""
    spread = {metric: float(value) for metric, value in found.spread["std"].items() if np.isfinite(value)}
    return EvaluationRow(name, f"{found.days[0]}/{found.days[-1]}", found.summary, spread)


def _trainings(lake: Lake, name: str, week: str) -> tuple[Training, ...]:
    """The training of each model behind a signal for the week's half-year: seeds, their best validation RankIC."""
    half, out = str(half_year_name(half_year_of(np.array([week], "datetime64[D]"))[0])), []
    for model in settings().catalogs.trained([name]):
        if lake.has(f"{model}_model", half):
            checks = lake.day(f"{model}_model", half, ["seed", "rank_ic"])
            best = {int(seed): float(value) for seed, value in checks.groupby("seed")["rank_ic"].max().items()}
            out.append(Training(model, half, best))
    return tuple(out)


def _since(market: MarketData, keys: list[str]) -> MarketData:
    """The market on consecutive days of it."""
    at = np.searchsorted(market.days, np.array([keys[0], keys[-1]], "datetime64[D]"))
    panels = {f.name: getattr(market, f.name) for f in fields(market) if f.name not in ("symbols", "also")}
    return replace(market, **{name: values[at[0] : at[1] + 1] for name, values in panels.items()}, also={})


def _portfolio(lake: Lake, stored: Lake, name: str, market: MarketData) -> PortfolioSeries:
    """A portfolio's account, rebuilt from its decisions so far, and the state of its last rebalance."""
    spec, index = portfolio(name), INDEX_NAMES[portfolio(name).index]
    decisions, facts = stored_decisions(lake, name)
    until = str(market.days[-1])
    decisions = {day: rows for day, rows in decisions.items() if day <= until}
    facts = [fact for fact in facts if fact["decided"] <= until]
    if len(decisions) < 2:
        return PortfolioSeries(name, index, absent=_ABSENT["weeks"])
    members = {s for rows in decisions.values() for s in rows["symbol"]}
    keys = backtest_days(lake, decisions, min(decisions))
    if members.issubset(market.symbols):
        held = _since(market, keys)
    else:  # stocks without a single bar
        held = market_data(lake, keys, sorted(members.union(market.symbols)))
    result, _ = simulated(panel_of(held), spec, decisions)
    day, last = max(decisions), facts[-1]
    rows = decisions[day]
    active = rows["weight"] - rows["benchmark"]
    later = result.rebalances[~result.rebalances["initial"]]
    orders = result.trades[result.trades["traded"] == result.trades["traded"].max()]
    return PortfolioSeries(
        name=name,
        index=index,
        days=result.days,
        nav=result.nav,
        benchmark_nav=result.benchmark_nav,
        rebalance_date=dt.date.fromisoformat(day),
        weights=dict(zip(rows["symbol"], rows["weight"], strict=True)),
        benchmark_weights=dict(zip(rows["symbol"], rows["benchmark"], strict=True)),
        industry=active.groupby(rows["industry"]).sum().to_dict(),
        styles={s: float((active * rows[s]).sum()) for s in dict.fromkeys(("size", *spec.styles)) if s in rows},
        industry_limit=spec.industry_limit,
        style_limits={s: spec.limit_of(s) for s in spec.styles},
        turnover_planned=float((rows["weight"] - rows["holdings"]).abs().sum()),
        turnover_realised=float(result.rebalances["realised_two_way"].iloc[-1]) if len(result.rebalances) else None,
        turnover_mean=float(later["realised_two_way"].mean()) if len(later) else None,
        binding=room_gains(lake, spec, rows, last) if "status" in last else {},
        return_per_score=last.get("return_per_score"),
        every=spec.every,
        relaxed=last.get("relaxed", {}),
        unknown_inputs={n: (u["stocks"], u["of"]) for n, u in last.get("unknown_inputs", {}).items()},
        index_weights=_index_weights(last),
        equal_members=spec.benchmark_from == "equal_members",
        untraded=orders.loc[orders["reason"] != "", "reason"].astype(str).value_counts().to_dict(),
        no_trade=_no_trade(spec, last, rows) if spec.cost > 0.0 else None,
        forecast_error=last.get("risk", {}).get("tracking_error_annual"),
        weekdays=_weekdays(stored, name, result.days),
        placebos=stored_placebos(stored, name, result.days),
    )


def _index_weights(facts: dict) -> tuple[str, int] | None:
    found = facts.get("index_weights")
    return (found["of"], found["age"]) if found else None


def _no_trade(spec: PortfolioSpec, facts: dict, rows: pd.DataFrame) -> NoTrade:
    days = facts.get("expected_return", {}).get("holding_period")
    return NoTrade(spec.cost, int((rows["holdings"] > 1e-9).sum()), facts.get("no_trade", {}).get("stocks"), days)


def _weekdays(lake: Lake, name: str, days: np.ndarray) -> dict[str, np.ndarray]:
    """Relative NAV ``(D,)`` by the weekday of the decision, of the stored account up to the last of the days."""
    table = f"{name}_backtest"
    if not lake.has(table, WHOLE):
        return {}
    account = lake.day(table, WHOLE)
    paths = [c for c in account.columns if c.startswith("relative_nav_")]
    if not paths:
        return {}
    account = account.set_index("date")[paths].reindex(days.astype(str)).astype(float)
    return {c.removeprefix("relative_nav_"): account[c].to_numpy() for c in paths if account[c].notna().any()}


def _quality(lake: Lake, days: list[str], week: str) -> tuple[list[QualityRow], int]:
    """Checks of the week's tables that did not pass, from the suites of the asset checks, and how many were run."""
    from mg_assets.quality import SUITES, chinese, run_suite
    from mg_assets.quality.runner import NOT_APPLICABLE

    rows, count = [], 0
    weights = [f"weights_{name}" for name in settings().portfolios]
    for table in [*(t for t in SUITES if t != "weights"), *weights]:
        here = set(lake.keys(table))
        keys = [d for d in ([week] if table in weights else days) if d in here]
        if not keys:
            continue
        info = lake.info(table, keys)
        for outcome in run_suite(table, lake, keys, light=True):
            rejected = [k for k in keys if outcome.name in info[k].rejected]
            if outcome.observed.get("note") != NOT_APPLICABLE or rejected:
                count += 1
            if rejected or not outcome.passed:
                severity = "error" if outcome.blocking else "warn"
                bad = outcome.bad[0] if outcome.bad else {"partition": rejected[0]}
                where = ", ".join(f"{k} {v}" for k, v in bad.items() if k not in ("partition", "measure", "observed"))
                found = f"{bad['measure']} = {chinese.figure(bad['observed'])}" if "measure" in bad else ""
                found += f" ({where})" if where else ""
                day = dt.date.fromisoformat(str(bad["partition"]))
                text = outcome.description
                in_chinese = chinese.found(bad), chinese.description_of(text)
                rows.append(QualityRow(table, outcome.name, severity, found, day, text, *in_chinese))
    return rows, count


def weekly(lake: Lake, week: str, day: str, source: str, names: Mapping[str, str] | None = None) -> WeeklyReport:
    """Collect one week's report as it was at the close of ``day``, the week's last session.

    Parameters
    ----------
    lake : Lake
        May hold later days: nothing of them is in the report.
    week : str
        Its Monday.
    day : str
    source : str
        Name of the source.
    names : mapping of str to str, optional
        Names of stocks by symbol, as they are today.

    Returns
    -------
    WeeklyReport
    """
    lake = lake.keeping()
    then = AsOfLake(lake, day)
    market = _market(then, then.keys("daily_bars"))
    listed = then.rows("reference", day)
    late, missing = {}, {}
    for table in TABLES:
        have = then.keys(table)
        if not have:
            continue
        late[table] = len(trading_days(have[-1], day)) - 1
        missing[table] = listed - then.rows(table, have[-1])
    quality, checks = _quality(then, [str(d) for d in trading_days(week, day)], week)
    found, evaluations = _factors(then, market, week)
    simulated_source = settings().source.kind == "simulated"
    return WeeklyReport(
        as_of=dt.date.fromisoformat(day),
        source=source,
        factors=tuple(found),
        portfolios=tuple(
            replace(_portfolio(then, lake, name, market), stock_names=names or {}) for name in settings().portfolios
        ),
        quality=tuple(quality),
        checks_run=checks,
        days_late={k: v for k, v in late.items() if v},
        stocks_missing={k: v for k, v in missing.items() if v > 0},
        evaluations=tuple(evaluations),
        notice={
            "en": "The data are simulated; published figures are of real markets.",
            "zh": "数据为模拟市场；公布数字来自真实市场。",
        }
        if simulated_source
        else {},
        gains=settings().gains,
        generated=dt.datetime.now(),
    )


@lake_asset(
    "weekly_report",
    group="reports",
    partitions=WEEKLY,
    needs=[
        *(UpstreamWindow(t, back=RECENT if t in RECENT_TABLES else HISTORY) for t in _READ),
        *_MODELS,
        *(UpstreamWindow(f"weights_{p}", back=HISTORY) for p in settings().portfolios),
        *(f"{p}_backtest" for p in settings().portfolios),
        *(f"{p}_placebo_paths" for p in settings().portfolios if placebos_of(p)),
    ],
    version="5",  # what a limit costs by solving again
    config=(settings().source.kind, tuple(settings().portfolios), published_digest(), settings().gains),
    uses=("language",),
    single_run=True,
    columns={"language": "language of the report: en or zh", "file": "name of the page beside the table"},
)
def weekly_report(build: Build) -> Iterator[Built]:
    """The weekly factor report: factors, portfolios, exposures and the week's data quality.

    One self-contained HTML file a language, and one PDF a language where there is a Chromium. It knows nothing of what
    came after the week. Source: the weekly monitor of 2023-12-15.
    """
    from mg_portfolio.report.printing import print_pages
    from mg_portfolio.report.weekly.page import overview, render_weekly_report

    lake = build.lake
    last = max(lake.keys("daily_bars"), default=build.keys[0])
    decided, names = decision_days(build.keys, last), stock_names(build.source)
    for key in build.keys:
        day = decided.get(key)
        if day is None or not lake.has("daily_bars", day):
            yield Built(
                key, pd.DataFrame({"language": [], "file": []}), {"absent": "no session with bars in this week"}
            )
            continue
        content = weekly(lake, key, day, build.source.name, names)
        pages = {lang: render_weekly_report(content, lang).encode() for lang in ("en", "zh")}
        files = {f"report_{lang}.html": page for lang, page in pages.items()}
        files |= {f"report_{lang}.pdf": pdf for lang, pdf in print_pages(pages).items()}
        where = {name: lake.write_file("weekly_report", key, name, body) for name, body in files.items()}
        frame = pd.DataFrame({"language": list(pages), "file": [f"report_{lang}.html" for lang in pages]})
        links = {name: dg.MetadataValue.url(page_link(lake, path)) for name, path in where.items()}
        tables = {name: dg.MetadataValue.md(text) for name, text in overview(content, settings().language).items()}
        opened = links[f"report_{settings().language}.html"]
        yield Built(key, frame, {"as_of": day, "open": opened, **links, **tables})


ASSETS = [weekly_report]
