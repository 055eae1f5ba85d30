"""Evaluation of a lake's factors and signals under every case of the settings; no Dagster.

1. The market of the span, the named universes and the execution prices are read once.
2. Signals are read a few columns at a time, so that memory holds at most `BUDGET` bytes of them.
3. All signals of a batch are evaluated on a case's forward returns in one pass.
4. The main case (the first) also has decay, years, confidence and the long-short that is orthogonal to the common
   factors.

One signal under one case gives an :class:`mg_portfolio.evaluation.result.Evaluation`; an :class:`EvaluationResult`
gathers those of all signals and cases as the rows of the evaluation tables.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import pandas as pd

from mg_assets.errors import DataError
from mg_assets.lake.market_data import MarketData, market_data
from mg_assets.lake.store import Lake
from mg_assets.market.calendar import trading_days
from mg_assets.market.schema import INDICES
from mg_assets.settings import settings
from mg_portfolio.evaluation.cases import EXECUTIONS, FREQUENCIES, Case, cases
from mg_portfolio.evaluation.evaluate import Evaluation, evaluate_all, long_short, orthogonalize
from mg_portfolio.evaluation.exclusions import factor_exclusions, universe_exclusions
from mg_portfolio.evaluation.forward_returns import ForwardReturns, forward_returns
from mg_portfolio.evaluation.ic_decay import LAGS, rank_ic_by_lag
from mg_portfolio.evaluation.quantile_portfolios import MIN_STOCKS
from mg_portfolio.evaluation.rank_ic import sort_rows
from mg_portfolio.evaluation.rebalance_days import track_schedule
from mg_portfolio.evaluation.report_period import PeriodFigures, period_figures
from mg_portfolio.evaluation.signal_correlation import correlation_sums
from mg_portfolio.evaluation.track_metrics import mean_metrics
from mg_portfolio.evaluation.tradable_universe import exclusion_codes
from mg_portfolio.evaluation.universes import universe_members
from mg_portfolio.report.published import period_bounds, published_rows

MIN_DAYS = 30
REPORT = "huatai_72"  # its conditions are those of the default case
BUDGET = 1 << 30  # bytes of signals in memory at once
PAIR_DAYS = 60  # days of all signals read at once for their correlations: 34 of 5,000 stocks are 82 MB
COMMON = {
    "reversal": "common_factors",
    "cap": "common_factors",
    "turnover": "common_factors",
    "std_1m": "daily_factors",
}


class SignalColumn(NamedTuple):
    """The table and column of the lake that hold a signal, and the sign it is used with."""

    table: str
    column: str
    direction: int = 1


@dataclass
class EvaluationResult:
    """Evaluations of a lake's signals under all cases, from `evaluate_signals`.

    Attributes
    ----------
    main : dict of str to Evaluation
        Each signal's library result under the main case.
    more : dict of str to dict of str to float
        Further figures of the main case by signal: decay and orthogonal long-short.
    detail : list of dict
        A row a signal, case, period and track.
    published : list of dict
        A row a published figure of series 72, with ours over the same period; empty without its case.
    layers : list of DataFrame
        Each signal's daily RankIC and relative NAVs of its layers under the main case.
    exclusions : list of DataFrame
        Counts of what was left out, with the reason.
    cases : list of Case
        The main one first.
    absent : dict of str to str
        Universes and common factors that the lake lacks, with the reason.
    market : MarketData or None
        None where no signal has `MIN_DAYS` days.
    signals : dict of str to ndarray of float64 (D, S)
        The signals' panels, where all of them fit into `BUDGET`; else empty.
    """

    main: dict[str, Evaluation] = field(default_factory=dict)
    more: dict[str, dict[str, float]] = field(default_factory=dict)
    detail: list[dict] = field(default_factory=list)
    published: list[dict] = field(default_factory=list)
    layers: list[pd.DataFrame] = field(default_factory=list)
    exclusions: list[pd.DataFrame] = field(default_factory=list)
    cases: list[Case] = field(default_factory=list)
    absent: dict[str, str] = field(default_factory=dict)
    market: MarketData | None = None
    signals: dict[str, np.ndarray] = field(default_factory=dict)


def configured_cases() -> list[Case]:
    """Cases of the settings (``evaluation``), the main one first."""
    return cases(**settings().evaluation.model_dump())


@dataclass(frozen=True)
class _Inputs:
    """What all signals are evaluated with.

    Attributes
    ----------
    market : MarketData
    prices : dict of str to ndarray of float64 (D, S)
        By name of the execution price.
    reasons : dict of str to ndarray (D, S)
        By universe: why a stock is not in it, 0 where it is.
    common : ndarray of float64 (D, S, K) or None
        Common factors.
    industry : ndarray of int64 (D, S)
    """

    market: MarketData
    prices: dict[str, np.ndarray]
    reasons: dict[str, np.ndarray]
    common: np.ndarray | None
    industry: np.ndarray


def evaluate_signals(
    lake: Lake,
    columns: Mapping[str, SignalColumn],
    groups: int,
    rebalance: str,
    plan: Sequence[Case] | None = None,
    since: str | None = None,
    workers: int = 1,
) -> EvaluationResult:
    """Evaluate signals of the lake on the days from the first of them to the last.

    Parameters
    ----------
    lake : Lake
    columns : mapping of str to SignalColumn
    groups : int
        Quantile portfolios.
    rebalance : {"monthly", "weekly"}
        Of the orthogonal long-short.
    plan : sequence of Case, optional
        The settings' own by default.
    since : str, optional
        First day to evaluate.
    workers : int

    Returns
    -------
    EvaluationResult
    """
    out = EvaluationResult(cases=list(configured_cases() if plan is None else plan))
    bars = lake.keys("daily_bars")
    days = _days_of(lake, {c.table for c in columns.values()}, bars, since or "")
    every = sorted(set().union(*days.values()))
    kept = {n: c for n, c in columns.items() if len(days[c.table]) >= MIN_DAYS}
    short = {n: len(days[c.table]) for n, c in columns.items() if n not in kept}
    left_out = [(n, f"fewer than {MIN_DAYS} days in the lake", count) for n, count in short.items()]
    if len(every) < MIN_DAYS:
        out.exclusions.append(factor_exclusions({}, str(out.cases[0]), left_out))
        return out
    inputs = _read_inputs(lake, [k for k in bars if every[0] <= k <= every[-1]], out)
    market = out.market = inputs.market
    size = max(1, BUDGET // max(len(market.keys) * len(market.symbols) * 8, 1))
    names = list(kept)
    for start in range(0, len(names), size):
        read = _read(lake, {n: kept[n] for n in names[start : start + size]}, market)
        signals, empty = _with_values(read, inputs.reasons[out.cases[0].universe] == 0)
        left_out += empty
        signs = {n: columns[n].direction for n in signals}
        if len(names) <= size:
            out.signals = signals
        _add_cases(out, signals, signs, inputs, groups, workers)
        _add_decay(out, signals, signs, inputs)
        _add_orthogonal(out, signals, signs, inputs, rebalance)
    out.exclusions.append(factor_exclusions({}, str(out.cases[0]), left_out))
    for name in dict.fromkeys(case.universe for case in out.cases):
        out.exclusions.append(
            universe_exclusions(inputs.reasons[name], market.days, market.symbols, market.listed, name)
        )
    return out


def _days_of(lake: Lake, tables: set[str], bars: Sequence[str], since: str) -> dict[str, list[str]]:
    """Days of each table from ``since`` that have bars."""
    traded = set(bars)
    return {t: [k for k in lake.keys(t) if k in traded and k >= since] for t in tables}


def _with_values(
    signals: dict[str, np.ndarray], inside: np.ndarray
) -> tuple[dict[str, np.ndarray], list[tuple[str, str, int]]]:
    """Signals with values on enough days and of enough stocks; name, reason and days or stocks of the others."""
    left_out: dict[str, tuple[str, int]] = {}
    for name, signal in signals.items():
        finite = np.isfinite(signal)
        days, stocks = int(finite.any(axis=1).sum()), int((finite & inside).sum(axis=1).max(initial=0))
        if days < MIN_DAYS:
            left_out[name] = f"fewer than {MIN_DAYS} days with a value", days
        elif stocks < MIN_STOCKS:
            left_out[name] = f"{stocks} stocks on its fullest day, {MIN_STOCKS} needed", stocks
    kept = {n: s for n, s in signals.items() if n not in left_out}
    return kept, [(name, why, count) for name, (why, count) in left_out.items()]


def _read_inputs(lake: Lake, keys: list[str], out: EvaluationResult) -> _Inputs:
    market = market_data(lake, keys)
    reasons = _reasons(lake, market, out)
    common, industry = _common(lake, market, out)
    return _Inputs(market, _prices(lake, market), reasons, common, industry)


def _add_cases(
    out: EvaluationResult,
    signals: Mapping[str, np.ndarray],
    signs: Mapping[str, int],
    inputs: _Inputs,
    groups: int,
    workers: int,
) -> None:
    """Evaluate a batch of signals under each case; the first one's results are kept whole."""
    for number, case in enumerate(out.cases):
        price, delay = EXECUTIONS[case.execution]
        inside = inputs.reasons[case.universe] == 0
        returns = ForwardReturns.from_prices(inputs.prices[price], inside, inputs.market.days, case.every, delay)
        found = evaluate_all(signals, returns, signs, groups, from_first=True, workers=workers)
        out.detail += [row for name, e in found.items() for row in _detail(name, case, e, yearly=number == 0)]
        out.exclusions.append(factor_exclusions(found, str(case)))
        if number == 0:
            out.main |= found
        for name, e in found.items():
            rows, track = _published(name, e) if case == Case() else ([], None)
            out.published += rows
            if number == 0:
                out.layers += layer_frames(name, e, track)


def _published(name: str, found: Evaluation) -> tuple[list[dict], int | None]:
    """Series 72's figures of a signal with ours over its period, and the report's track."""
    printed = published_rows(name, report=REPORT)
    printed = printed[printed["metric"].isin(found.summary)].drop_duplicates("metric")
    if printed.empty:
        return [], None
    start, end = period_bounds(printed["period"].iloc[0])
    ours = figures_over(found, start, end)
    head = {"name": name, "first_day": str(ours.first), "last_day": str(ours.last), "track": -1}
    if ours.track is not None:
        head["track"] = ours.track
    rows = [
        {
            "table": row.table,
            "metric": row.metric,
            "period": row.period,
            "published": row.value,
            "one_track": ours.one.get(row.metric, np.nan),
            "mean": ours.mean[row.metric],
            "std": ours.std[row.metric],
            "rebalances": ours.one.get("rebalances", np.nan),
        }
        for row in printed.itertuples()
    ]
    return [head | row for row in rows], ours.track


def figures_over(found: Evaluation, start: np.datetime64, end: np.datetime64) -> PeriodFigures:
    """Figures over a report's period; its track goes on by the exchange's calendar where the days begin later."""
    before = len(trading_days(str(start), str(found.days[0]))) - 1 if start < found.days[0] else 0
    return period_figures(found, start, end, before)


def layer_frames(name: str, found: Evaluation, track: int | None = None) -> list[pd.DataFrame]:
    """Daily RankIC and relative NAV of the layers, mean over tracks, and of one track where a report has its own.

    Parameters
    ----------
    name : str
    found : Evaluation
    track : int, optional
        Starting offset; its RankIC is that of its days of decision.

    Returns
    -------
    list of DataFrame
        Columns name, date, track, rank_ic, layer1 .. (the highest signal first).
    """
    kept = [("mean", found.rank_ic, found.layer_nav)]
    if track is not None:
        gross = found.portfolios.gross[found.tracks.index(track)]
        decided = track_schedule(len(found.days), found.every, track)
        nav = gross[: found.groups] / gross[found.portfolios.index("universe")]
        kept.append((str(track), np.where(decided, found.rank_ic, np.nan), nav))
    return [
        pd.DataFrame(
            {
                "name": name,
                "date": found.days,
                "track": word,
                "rank_ic": rank_ic,
                **{f"layer{g + 1}": line for g, line in enumerate(nav)},
            }
        )
        for word, rank_ic, nav in kept
    ]


def _add_decay(
    out: EvaluationResult, signals: Mapping[str, np.ndarray], signs: Mapping[str, int], inputs: _Inputs
) -> None:
    price, tradable = inputs.market.vwap, inputs.reasons[out.cases[0].universe] == 0
    one_day = forward_returns(price, 1, 0)
    ordered = sort_rows(one_day, np.ones(one_day.shape, bool))
    for name, signal in signals.items():
        by_lag = signs[name] * rank_ic_by_lag(signal, sort_rows(signal, tradable), one_day, ordered)
        finite = np.isfinite(by_lag)
        means = np.where(finite, by_lag, 0.0).sum(axis=1) / np.maximum(finite.sum(axis=1), 1)
        values = np.where(finite.any(axis=1), means, np.nan)
        out.more[name] = {f"rank_ic_lag_{lag}": float(v) for lag, v in zip(LAGS, values, strict=True)}


def _add_orthogonal(
    out: EvaluationResult,
    signals: Mapping[str, np.ndarray],
    signs: Mapping[str, int],
    inputs: _Inputs,
    rebalance: str,
) -> None:
    """Long-short of what of a signal is orthogonal to industry and common factors."""
    if inputs.common is None:
        return
    market, inside = inputs.market, inputs.reasons[out.cases[0].universe] == 0
    for name, signal in signals.items():
        clean = orthogonalize(signal, inputs.common, inside, inputs.industry)
        if np.isfinite(clean).any():
            held = long_short(clean, market.vwap, inside, market.days, rebalance, signs[name])
            out.more[name] |= {f"orthogonal_{k}": v for k, v in held.summary.items()}


def pair_correlations(lake: Lake, columns: Mapping[str, SignalColumn], result: EvaluationResult) -> pd.DataFrame:
    """Mean daily Spearman correlations of the evaluated signals with one another and with the lake's common factors.

    Parameters
    ----------
    lake : Lake
    columns : mapping of str to SignalColumn
        As given to `evaluate_signals`.
    result : EvaluationResult

    Returns
    -------
    DataFrame
        Index and columns the names; signals as they are used, times their sign. Over the default universe.
    """
    market = result.market
    if market is None:
        return pd.DataFrame(index=pd.Index([], name="name"))
    tradable = exclusion_codes(market.listed_days, market.st, market.suspended, market.up_locked) == 0
    kept = {n: columns[n] for n in result.main}
    common = {n: SignalColumn(t, n) for n, t in COMMON.items() if n not in columns and lake.keys(t)}
    every = kept | common
    total = np.zeros((len(every), len(every)))
    used = np.zeros((len(every), len(every)), np.int64)
    for start in range(0, len(market.days), PAIR_DAYS):
        rows = slice(start, start + PAIR_DAYS)
        absent = {n: c for n, c in every.items() if n not in result.signals}
        panels = _panels(lake, absent, market.keys[rows], market.symbols)
        values = {n: panels[c.table][c.column] for n, c in absent.items()}
        values |= {n: result.signals[n][rows] for n in kept if n not in absent}
        sums, counts = correlation_sums(np.stack([values[n] * c.direction for n, c in every.items()]), tradable[rows])
        total += sums
        used += counts
    matrix = np.where(used > 0, total / np.maximum(used, 1), np.nan)
    return pd.DataFrame(matrix, index=pd.Index(every, name="name"), columns=list(every))


def _panels(lake: Lake, columns: Mapping[str, SignalColumn], keys: Sequence[str], symbols: np.ndarray) -> dict:
    tables: dict[str, list[str]] = {}
    for c in columns.values():
        tables.setdefault(c.table, []).append(c.column)
    return {t: lake.panel(t, keys, list(dict.fromkeys(n)), symbols, missing="empty") for t, n in tables.items()}


def _read(lake: Lake, columns: Mapping[str, SignalColumn], market: MarketData) -> dict[str, np.ndarray]:
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


def universe_masks(
    lake: Lake, market: MarketData, names: Sequence[str]
) -> tuple[dict[str, np.ndarray | None], dict[str, str]]:
    """Masks ``(D, S)`` of named universes (None for all stocks), and why others cannot be computed."""
    info = lake.panel("reference", market.keys, [*(f"{i}_member" for i in INDICES), "float_shares"], market.symbols)
    raw = lake.panel("daily_bars", market.keys, ["close"], market.symbols)["close"]
    members = {i: info[f"{i}_member"].astype(bool) for i in INDICES}
    return universe_members(names, members, market.amount, info["float_shares"] * raw, market.listed, market.days)


def _reasons(lake: Lake, market: MarketData, out: EvaluationResult) -> dict[str, np.ndarray]:
    """Codes of `exclusion_codes` by universe; cases of a universe that the lake lacks are dropped."""
    wanted = list(dict.fromkeys(case.universe for case in out.cases))
    masks: dict[str, np.ndarray | None] = {"all": None}
    if wanted != ["all"]:
        masks, absent = universe_masks(lake, market, wanted)
        out.absent |= {f"universe {name}": reason for name, reason in absent.items()}
        out.cases = [case for case in out.cases if case.universe in masks]
        if not out.cases:
            raise DataError(f"settings: evaluation: no universe can be made: {out.absent}")
    flags = (market.listed_days, market.st, market.suspended, market.up_locked)
    return {name: exclusion_codes(*flags, mask) for name, mask in masks.items()}


def _common(lake: Lake, market: MarketData, out: EvaluationResult) -> tuple[np.ndarray | None, np.ndarray]:
    """Common factors ``(D, S, K)`` that the lake has values of, and industry codes ``(D, S)``."""
    panels = _panels(lake, {n: SignalColumn(t, n) for n, t in COMMON.items()}, market.keys, market.symbols)
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


def summary_rows(result: EvaluationResult) -> list[dict]:
    """One row a signal: the main case's figures, their spread and confidence, decay and orthogonal long-short."""
    out = []
    for name, found in result.main.items():
        sure = found.confidence
        figures = ("rank_ic_mean", "top_excess_annual", "long_short_annual")
        out.append(
            {
                "name": name,
                **found.summary,
                "rank_ic_track_std": found.spread.loc["rank_ic_mean", "std"],
                "top_excess_track_std": found.spread.loc["top_excess_annual", "std"],
                **{f"{f}_{c}": sure.loc[f, c] for f in figures for c in ("t", "low", "high")},
                **result.more.get(name, {}),
                "first_day": str(found.days[0]),
                "last_day": str(found.days[-1]),
                "skipped_tracks": len(found.exclusions),
            }
        )
    return out


def by_case(detail: Sequence[Mapping]) -> pd.DataFrame:
    """RankIC by signal and case, mean over tracks: a column a case, in the order of the cases."""
    frame = pd.DataFrame([r for r in detail if r["period"] == "whole" and r["track"] == "mean"])
    if frame.empty:
        return frame
    words = [
        f"{u} {FREQUENCIES.get(e, e)} {x}"
        for u, x, e in zip(frame["universe"], frame["execution"], frame["every"], strict=True)
    ]
    table = frame.assign(case=words).pivot(index="name", columns="case", values="rank_ic_mean")
    return table.loc[list(dict.fromkeys(frame["name"])), list(dict.fromkeys(words))].reset_index()


__all__ = [
    "EvaluationResult",
    "SignalColumn",
    "by_case",
    "configured_cases",
    "evaluate_signals",
    "figures_over",
    "layer_frames",
    "pair_correlations",
    "summary_rows",
    "universe_masks",
]
