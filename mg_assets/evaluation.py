"""Factors and signals of a lake judged under every case of the settings; no Dagster.

1. The market of the span, the named universes and the execution prices are read once.
2. Signals are read a few columns at a time, so that memory holds at most `BUDGET` of them.
3. Each case's outcomes judge all of a part's signals in one pass.
4. The main case (the first) also has decay, years, confidence and the long-short that is orthogonal to the common
   factors.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import pandas as pd

from mg_assets.errors import DataError
from mg_assets.lake.market_data import MarketData, market_data
from mg_assets.lake.store import Lake
from mg_assets.settings import settings
from mg_portfolio.errors import PortfolioError
from mg_portfolio.evaluation.evaluate import Evaluation, evaluate_all, long_short, orthogonalise, outcomes
from mg_portfolio.evaluation.exclusions import factor_ledger, universe_ledger
from mg_portfolio.evaluation.forward_returns import EXECUTIONS, FREQUENCIES, Case, cases
from mg_portfolio.evaluation.ic_decay import LAGS, rank_ic_by_lag
from mg_portfolio.evaluation.quantile_portfolios import MIN_STOCKS, carry_forward, forward_from
from mg_portfolio.evaluation.rank_ic import sort_rows
from mg_portfolio.evaluation.signal_correlation import correlation_sums
from mg_portfolio.evaluation.track_metrics import mean_metrics
from mg_portfolio.evaluation.tradable_universe import universe_reasons
from mg_portfolio.evaluation.universes import memberships

MIN_DAYS = 30
BUDGET = 1 << 30  # bytes of signals in memory at once
PAIR_DAYS = 60  # days of all signals read at once for their correlations: 34 of 5,000 stocks are 82 MB
COMMON = {
    "reversal": "common_factors",
    "cap": "common_factors",
    "turnover": "common_factors",
    "std_1m": "daily_factors",
}
INDICES = ("csi300", "csi500", "csi1000")
DEFAULTS: dict[str, object] = {
    "universes": ("all", "csi300", "csi500", "csi1000"),
    "executions": ("t1_vwap",),
    "every": (5, 10),
    "whole": False,
}


class Column(NamedTuple):
    """Where a signal stands in the lake, and its sign."""

    table: str
    column: str
    direction: int = 1


@dataclass
class Findings:
    """What `judged` found.

    Attributes
    ----------
    main : dict of str to Evaluation
        Every signal under the main case.
    more : dict of str to dict of str to float
        Further figures of the main case by signal: decay and orthogonal long-short.
    detail : list of dict
        A row a signal, case, period and track.
    ledger : list of DataFrame
    plan : list of Case
    absent : dict of str to str
        Cases and inputs that could not be had, with the reason.
    market : MarketData or None
        None where no signal has `MIN_DAYS` days.
    """

    main: dict[str, Evaluation] = field(default_factory=dict)
    more: dict[str, dict[str, float]] = field(default_factory=dict)
    detail: list[dict] = field(default_factory=list)
    ledger: list[pd.DataFrame] = field(default_factory=list)
    plan: list[Case] = field(default_factory=list)
    absent: dict[str, str] = field(default_factory=dict)
    market: MarketData | None = None
    signals: dict[str, np.ndarray] = field(default_factory=dict)


def planned() -> list[Case]:
    """Cases of the settings (``evaluation``), the main one first.

    Raises
    ------
    DataError
        The settings name an option, universe or execution that there is none of.
    """
    chosen = {**DEFAULTS, **settings().evaluation}
    unknown = sorted(set(chosen) - set(DEFAULTS))
    if unknown:
        raise DataError(f"settings: evaluation has {unknown}; known are {', '.join(DEFAULTS)}")
    try:
        return cases(**chosen)
    except (PortfolioError, TypeError) as error:
        raise DataError(f"settings: evaluation: {error}") from error


def judged(
    lake: Lake,
    columns: Mapping[str, Column],
    groups: int,
    rebalance: str,
    plan: Sequence[Case] | None = None,
    since: str | None = None,
    workers: int = 1,
) -> Findings:
    """Judge signals of the lake on the days from the first of them to the last.

    Parameters
    ----------
    lake : Lake
    columns : mapping of str to Column
    groups : int
        Layers.
    rebalance : {"monthly", "weekly"}
        Of the orthogonal long-short.
    plan : sequence of Case, optional
        The settings' own by default.
    since : str, optional
        First day to judge.
    workers : int
    """
    out = Findings(plan=list(planned() if plan is None else plan))
    bars = lake.keys("daily_bars")
    known = set(bars)
    days = {
        t: [k for k in lake.keys(t) if k in known and k >= (since or "")]
        for t in dict.fromkeys(c.table for c in columns.values())
    }
    every = sorted({k for keys in days.values() for k in keys})
    few = [(n, f"fewer than {MIN_DAYS} days in the lake", len(days[c.table])) for n, c in columns.items()]
    if len(every) < MIN_DAYS:
        out.ledger.append(factor_ledger({}, str(out.plan[0]), few))
        return out
    span = [k for k in bars if every[0] <= k <= every[-1]]
    market = out.market = market_data(lake, span)
    prices = _prices(lake, market)
    reasons = _reasons(lake, market, out)
    common, industry = _common(lake, market, out)
    read = {n: c for n, c in columns.items() if len(days[c.table]) >= MIN_DAYS}
    absent = [row for row in few if row[0] not in read]
    size = max(1, BUDGET // max(len(span) * len(market.symbols) * 8, 1))
    names = list(read)
    for start in range(0, len(names), size):
        signals = _read(lake, {n: read[n] for n in names[start : start + size]}, market)
        with_value = {n: int(np.isfinite(s).any(axis=1).sum()) for n, s in signals.items()}
        for name in [n for n, count in with_value.items() if count < MIN_DAYS]:
            absent.append((name, f"fewer than {MIN_DAYS} days with a value", with_value[name]))
            del signals[name]
        signs = {n: columns[n].direction for n in signals}
        if len(names) <= size:
            out.signals = signals
        for case in out.plan:
            price, delay = prices[EXECUTIONS[case.execution][0]], EXECUTIONS[case.execution][1]
            followed = outcomes(price, reasons[case.universe] == 0, market.days, case.every, delay)
            found = evaluate_all(signals, followed, signs, groups, from_first=True, workers=workers)
            out.detail += [row for n, e in found.items() for row in _detail(n, case, e, case == out.plan[0])]
            out.ledger.append(factor_ledger(found, str(case)))
            if case == out.plan[0]:
                out.main |= found
        main = reasons[out.plan[0].universe] == 0
        _add_decay(out, signals, signs, market.vwap, main)
        for name, signal in signals.items():
            if common is not None:
                clean = orthogonalise(signal, common, main, industry)
                if np.isfinite(clean).any():
                    held = long_short(clean, market.vwap, main, market.days, rebalance, signs[name])
                    out.more[name] |= {f"orthogonal_{k}": v for k, v in held.summary.items()}
    out.ledger.append(factor_ledger({}, str(out.plan[0]), absent))
    for universe in dict.fromkeys(case.universe for case in out.plan):
        out.ledger.append(universe_ledger(reasons[universe], market.days, market.symbols, market.listed, universe))
    return out


def pair_correlations(lake: Lake, columns: Mapping[str, Column], findings: Findings) -> pd.DataFrame:
    """Mean daily Spearman correlations of the judged signals with one another and with the lake's common factors.

    Parameters
    ----------
    lake : Lake
    columns : mapping of str to Column
        As `judged` was given.
    findings : Findings

    Returns
    -------
    DataFrame
        Index and columns the names; signals as they are used, times their sign. Over the default universe.
    """
    market = findings.market
    if market is None:
        return pd.DataFrame(index=pd.Index([], name="name"))
    tradable = universe_reasons(market.listed_days, market.st, market.suspended, market.up_locked) == 0
    kept = {n: columns[n] for n in findings.main}
    common = {n: Column(t, n) for n, t in COMMON.items() if n not in columns and lake.keys(t)}
    every = kept | common
    total = np.zeros((len(every), len(every)))
    used = np.zeros((len(every), len(every)), np.int64)
    for start in range(0, len(market.days), PAIR_DAYS):
        rows = slice(start, start + PAIR_DAYS)
        absent = {n: c for n, c in every.items() if n not in findings.signals}
        panels = _panels(lake, absent, market.keys[rows], market.symbols)
        values = {n: panels[c.table][c.column] for n, c in absent.items()}
        values |= {n: findings.signals[n][rows] for n in kept if n not in absent}
        sums, counts = correlation_sums(np.stack([values[n] * c.direction for n, c in every.items()]), tradable[rows])
        total += sums
        used += counts
    matrix = np.where(used > 0, total / np.maximum(used, 1), np.nan)
    return pd.DataFrame(matrix, index=pd.Index(every, name="name"), columns=list(every))


def _panels(lake: Lake, columns: Mapping[str, Column], keys: Sequence[str], symbols: np.ndarray) -> dict:
    tables: dict[str, list[str]] = {}
    for c in columns.values():
        tables.setdefault(c.table, []).append(c.column)
    return {t: lake.panel(t, keys, list(dict.fromkeys(n)), symbols, missing="empty") for t, n in tables.items()}


def _read(lake: Lake, columns: Mapping[str, Column], market: MarketData) -> dict[str, np.ndarray]:
    panels = _panels(lake, columns, market.keys, market.symbols)
    return {name: panels[c.table][c.column] for name, c in columns.items()}


def _prices(lake: Lake, market: MarketData) -> dict[str, np.ndarray]:
    """Adjusted execution prices, NaN where the stock did not trade."""
    bars = lake.panel("daily_bars", market.keys, ["open", "adj_factor"], market.symbols)
    traded = ~market.suspended
    return {
        "vwap": market.vwap,
        "open": np.where(traded, bars["open"] * bars["adj_factor"], np.nan),
        "close": np.where(traded, market.close, np.nan),
    }


def _reasons(lake: Lake, market: MarketData, out: Findings) -> dict[str, np.ndarray]:
    """Codes of `universe_reasons` by universe; cases of a universe that cannot be had leave the plan."""
    wanted = list(dict.fromkeys(case.universe for case in out.plan))
    masks: dict[str, np.ndarray | None] = {"all": None}
    if wanted != ["all"]:
        info = lake.panel("reference", market.keys, [*(f"{i}_member" for i in INDICES), "float_shares"], market.symbols)
        raw = lake.panel("daily_bars", market.keys, ["close"], market.symbols)["close"]
        members = {i: info[f"{i}_member"].astype(bool) for i in INDICES}
        masks, absent = memberships(
            wanted, members, market.amount, info["float_shares"] * raw, market.listed, market.days
        )
        out.absent |= {f"universe {name}": reason for name, reason in absent.items()}
        out.plan = [case for case in out.plan if case.universe in masks]
        if not out.plan:
            raise DataError(f"settings: evaluation: no universe can be made: {out.absent}")
    flags = (market.listed_days, market.st, market.suspended, market.up_locked)
    return {name: universe_reasons(*flags, mask) for name, mask in masks.items()}


def _common(lake: Lake, market: MarketData, out: Findings) -> tuple[np.ndarray | None, np.ndarray]:
    """Common factors ``(D, S, K)`` that the lake has values of, and industry codes ``(D, S)``."""
    panels = _panels(lake, {n: Column(t, n) for n, t in COMMON.items()}, market.keys, market.symbols)
    found = {n: panels[t][n] for n, t in COMMON.items()}
    for name in [n for n, values in found.items() if not np.isfinite(values).any()]:
        out.absent[f"common factor {name}"] = f"no values in {COMMON[name]}"
        del found[name]
    info = lake.panel("reference", market.keys, ["industry"], market.symbols)["industry"]
    codes = pd.factorize(info.ravel(), sort=True)[0].reshape(info.shape)
    return (np.stack(list(found.values()), axis=-1) if found else None), codes


def _detail(name: str, case: Case, found: Evaluation, yearly: bool) -> list[dict]:
    """Mean over tracks, every track and the spread; the main case's years."""
    head = {"name": name, "universe": case.universe, "execution": case.execution, "every": case.every}
    rows = [{**head, "period": "whole", "track": "mean", **found.summary}]
    rows += [
        {**head, "period": "whole", "track": str(k), **row}
        for k, row in zip(found.tracks, found.track_metrics, strict=True)
    ]
    names = list(found.summary)
    table = np.array([[row[n] for n in names] for row in found.track_metrics])
    with np.errstate(invalid="ignore"):
        spread = table.std(axis=0, ddof=1) if len(table) > 1 else np.full(len(names), np.nan)
    rows.append({**head, "period": "whole", "track": "std", **dict(zip(names, spread.tolist(), strict=True))})
    if yearly:
        for year, tracks in found.year_metrics.items():
            rows.append({**head, "period": str(year), "track": "mean", **mean_metrics(tracks)})
    return rows


def _add_decay(
    out: Findings, signals: Mapping[str, np.ndarray], signs: Mapping[str, int], price: np.ndarray, tradable: np.ndarray
) -> None:
    one_day = forward_from(price, carry_forward(price), 1, 0)
    ordered = sort_rows(one_day, np.ones(one_day.shape, bool))
    for name, signal in signals.items():
        by_lag = signs[name] * rank_ic_by_lag(signal, sort_rows(signal, tradable), one_day, ordered)
        known = np.isfinite(by_lag)
        means = np.where(known, by_lag, 0.0).sum(axis=1) / np.maximum(known.sum(axis=1), 1)
        values = np.where(known.any(axis=1), means, np.nan)
        out.more[name] = {f"rank_ic_lag_{lag}": float(v) for lag, v in zip(LAGS, values, strict=True)}


def rows(findings: Findings) -> list[dict]:
    """One row a signal: the main case's figures, their spread and confidence, decay and orthogonal long-short."""
    out = []
    for name, found in findings.main.items():
        sure = found.confidence
        figures = ("rank_ic_mean", "top_excess_annual", "long_short_annual")
        out.append(
            {
                "name": name,
                **found.summary,
                "rank_ic_track_std": found.spread.loc["rank_ic_mean", "std"],
                "top_excess_track_std": found.spread.loc["top_excess_annual", "std"],
                **{f"{f}_{c}": sure.loc[f, c] for f in figures for c in ("t", "low", "high")},
                **findings.more.get(name, {}),
                "first_day": str(found.days[0]),
                "last_day": str(found.days[-1]),
                "skipped_tracks": len(found.ledger),
            }
        )
    return out


def by_case(detail: Sequence[Mapping]) -> pd.DataFrame:
    """RankIC by signal and case, mean over tracks: a column a case, in the plan's order."""
    frame = pd.DataFrame([r for r in detail if r["period"] == "whole" and r["track"] == "mean"])
    if frame.empty:
        return frame
    words = [
        f"{u} {FREQUENCIES.get(e, e)} {x}"
        for u, x, e in zip(frame["universe"], frame["execution"], frame["every"], strict=True)
    ]
    table = frame.assign(case=words).pivot(index="name", columns="case", values="rank_ic_mean")
    return table.loc[list(dict.fromkeys(frame["name"])), list(dict.fromkeys(words))].reset_index()


__all__ = ["MIN_STOCKS", "Column", "Findings", "by_case", "judged", "pair_correlations", "planned", "rows"]
