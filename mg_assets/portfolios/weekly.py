"""Weekly weights of a portfolio: read the point-in-time inputs, decide, and store what the next week needs.

1. :func:`last_decision` reads the week before from the lake: its weights, its value, past returns per unit of score.
2. :func:`decide_weeks` reads the days from there, `STRETCH` weeks at a time, and rebalances week by week
   (:mod:`mg_portfolio.backtest.rebalance`).
3. Each week stores the slopes of completed returns on scores, so that shadow prices can be reported in basis points a
   year without look-ahead (:class:`mg_portfolio.backtest.expected_returns.ScoreSlopes`).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np
import pandas as pd

from mg_assets.errors import DataError, MissingPartitionError
from mg_assets.lake.market_data import BARS
from mg_assets.lake.store import Lake
from mg_assets.market.calendar import shift, trading_days, week_of
from mg_assets.market.column_texts import SYMBOL
from mg_assets.portfolios.decision_panel import DecisionData, Unknown, void_limits
from mg_assets.portfolios.risk_history import WEEKS as RISK_WEEKS
from mg_assets.portfolios.risk_history import with_risk_history
from mg_assets.portfolios.trading_rules import TradingRules
from mg_portfolio.backtest.expected_returns import LAGS, ScoreSlopes, no_trade_region
from mg_portfolio.backtest.rebalance import Decision, DecisionPanel, rebalance
from mg_portfolio.catalog import BENCHMARKS, OTHER_STYLES, SIZES, PortfolioSpec
from mg_portfolio.metrics import DAYS_PER_YEAR
from mg_portfolio.optimization.constraints import active_variance

BACK = 3  # weeks of bars around a rebalance: the last decision may be two closed weeks ago
BEFORE = 10  # sessions read before the last decision: for the price of a halted stock, and the last complete returns
STRETCH = 50  # weeks read at once
SIZE_WEEKS = 6  # calendar weeks that hold a month's sessions, closed weeks included
DECAY_WEEKS = LAGS + 5  # calendar weeks that hold a decision's later holding periods, closed weeks included


def weeks_back(spec: PortfolioSpec) -> dict[str, int]:
    """Weeks before its own that a week of weights reads of its tables.

    Returns
    -------
    dict of str to int
        Of the signal, ``reference``, ``daily_bars`` and ``common_factors``.
    """
    back = BACK + (DECAY_WEEKS if spec.measures_decay else 0)
    bars = max(back, RISK_WEEKS) if spec.risk_aversion > 0.0 else back
    bars += SIZE_WEEKS if spec.size_from == "traded_value" else 0
    return {spec.signal: back, "reference": back, "daily_bars": bars, "common_factors": back}


WEIGHT_COLUMNS = {
    "symbol": SYMBOL,
    "score": "signal at the decision",
    "benchmark": "weight in the benchmark at the decision",
    "holdings": "weight held at the decision, drifted from the last rebalance",
    "weight": "target, traded on the next session",
    "member": "member of the index",
    "industry": "level-1 industry",
    "size": "z-scored over the universe",
}
STYLE_COLUMNS = {
    "valuation": "book to price, z-scored over the universe",
    "reversal": "return of 21 days, z-scored over the universe",
    "amount": "ln mean amount of 21 days, z-scored over the universe",
    "turnover": "mean turnover of 21 days, z-scored over the universe",
    "beta": "slope on the market over 252 days, z-scored over the universe",
}
SIZE_LINEAGE = {
    "float_value": ["reference.float_shares", "daily_bars.close"],
    "total_value": ["reference.total_shares", "daily_bars.close"],
    "traded_value": ["daily_bars.amount", "daily_bars.vwap", "daily_bars.volume"],
}
FLAG_COLUMNS = {
    "suspended": "suspended at the decision",
    "limit_up": "locked at the upper limit at the decision",
    "limit_down": "locked at the lower limit at the decision",
}


def weight_columns(spec: PortfolioSpec) -> dict[str, str]:
    """Columns of a portfolio's weights table, with the styles that it limits."""
    size = {"size": f"{SIZES[spec.size_from]}, {WEIGHT_COLUMNS['size']}"}
    benchmark = {"benchmark": f"{BENCHMARKS[spec.benchmark_from]} at the decision"}
    styles = {n: t for n, t in STYLE_COLUMNS.items() if n in spec.styles}
    return WEIGHT_COLUMNS | benchmark | size | styles | FLAG_COLUMNS


def weight_lineage(spec: PortfolioSpec, table: str) -> dict[str, tuple[str, ...]]:
    """Columns upstream that each column of a portfolio's weights is made from, as ``table.column``.

    Parameters
    ----------
    spec : PortfolioSpec
    table : str
        The weights, each week of which starts from the week before.

    Returns
    -------
    dict of str to tuple of str
    """
    score, member, held = f"{spec.signal}.score", f"reference.{spec.index}_member", [f"{table}.symbol"]
    held += [f"{table}.{name}" for name in ("holdings", "weight")]
    bars, traded = [f"daily_bars.{name}" for name in BARS], ["daily_bars.vwap", "daily_bars.suspended"]
    styles = {
        "size": SIZE_LINEAGE[spec.size_from],
        "valuation": ["reference.pb"],
        **{name: [f"common_factors.{name}"] for name in OTHER_STYLES},
    }
    own = {
        "symbol": [f"{spec.signal}.symbol", "reference.symbol", "daily_bars.symbol", held[0]],
        "score": [score],
        "benchmark": [f"reference.{spec.index}_weight", member] if spec.benchmark_from == "index_weights" else [member],
        "holdings": [*held, *bars],
        "member": [member],
        "industry": ["reference.industry"],
        **{name: [*columns, score] for name, columns in styles.items()},
        "suspended": traded,
        "limit_up": ["daily_bars.low", "daily_bars.up_limit", *traded],
        "limit_down": ["daily_bars.high", "daily_bars.down_limit", *traded],
    }
    read = [column for name in weight_columns(spec) if name not in ("symbol", "weight") for column in own[name]]
    own["weight"] = [*dict.fromkeys([*read, "reference.st", "reference.list_date", "reference.delist_date"])]
    return {name: tuple(own[name]) for name in weight_columns(spec)}


def decision_days(weeks: Sequence[str], last: str) -> dict[str, str]:
    """Last session of each week that is not after ``last``, by the week's Monday."""
    days = trading_days(weeks[0], last)
    monday = week_of(days).astype(str)
    return {str(w): str(d) for w, d in zip(monday, days, strict=True)}


@dataclass(frozen=True)
class StoredDecision:
    """A stored week's decision: its day, rows and metadata."""

    decided: str
    rows: pd.DataFrame
    facts: dict


def last_decision(lake: Lake, table: str, first: str, before: str | None) -> StoredDecision | None:
    """The last decision before the week ``first``; None where the portfolio starts in that week.

    Parameters
    ----------
    lake : Lake
    table : str
    first : str
    before : str, optional
        The week before ``first`` on the calendar, which must be stored if any earlier one is.

    Returns
    -------
    StoredDecision or None

    Raises
    ------
    MissingPartitionError
        Earlier weeks exist and the one before ``first`` does not.
    """
    have = [k for k in lake.keys(table) if k < first]
    if not have:
        return None
    if before != have[-1]:
        raise MissingPartitionError(
            f"{table}: the weights of {before} are absent while those of {have[-1]} are stored; holdings follow "
            f"from week to week: materialise {before} first, or delete the earlier weeks to restart at {first}"
        )
    for key in reversed(have):  # a week without a decision keeps the holdings of the one before
        if lake.rows(table, key):
            facts = lake.metadata(table, key)
            return StoredDecision(facts["decided"], lake.day(table, key), facts)
    return None


def decide_weeks(
    lake: Lake, spec: PortfolioSpec, table: str, keys: list[str], rules: TradingRules, last: StoredDecision | None
) -> Iterator[tuple[str, Decision | str, pd.DataFrame, dict]]:
    """Decide the weights of each week.

    Parameters
    ----------
    lake : Lake
    spec : PortfolioSpec
    table : str
        The portfolio's weights.
    keys : list of str
        Weeks by their Mondays, ascending.
    rules : TradingRules
    last : StoredDecision or None
        From :func:`last_decision` of the first week.

    Yields
    ------
    key, step, rows, facts
        The week, its decision or the reason why there is none (rows and facts are then empty), its weights, and the
        metadata that are stored with them.
    """
    columns = weight_columns(spec)
    decided_on = decision_days(keys, max(lake.keys(spec.signal), default=keys[0]))
    slopes = ScoreSlopes(lags=LAGS if spec.measures_decay else 0)
    if last is not None:
        past = [(str(d), float(s)) for d, s in last.facts.get("earned", [])]
        decay = [(str(d), [float(x) for x in found]) for d, found in last.facts.get("decay", [])]
        weeks, completed = (DECAY_WEEKS + BACK, decay) if slopes.lags else (BACK, past)
        pending = _pending(lake, table, keys[0], {d for d, _ in completed}, weeks)
        slopes = replace(slopes, slopes=past, decay=decay, pending=pending)
    value = 1.0 if last is None else float(last.facts.get("value", 1.0))
    for begin in range(0, len(keys), STRETCH):
        part = keys[begin : begin + STRETCH]
        days = [decided_on[k] for k in part if k in decided_on]
        if not days:
            yield from ((k, f"no session of the week has a {spec.signal}", _empty(columns), {}) for k in part)
            continue
        before = BEFORE + spec.every * slopes.lags
        data = DecisionData(lake, _span(lake, last.decided if last else days[0], days[-1], before), _held(last))
        panel = with_risk_history(data.decisions(spec, spec.signal, ("size",)), lake, spec, days[0])
        row = {k: i for i, k in enumerate(data.keys)}
        start = None if last is None else _as_step(last, panel, row[last.decided], value)
        steps = rebalance(panel, spec, [row[d] for d in days], rules.rates(spec), rules.execution, start, slopes)
        for key in part:
            if key not in decided_on:
                yield key, f"no session of the week has a {spec.signal}", _empty(columns), {}
                continue
            step = next(steps)
            if step.problem is None or step.solution is None:
                yield key, step.absent, _empty(columns), {}
                continue
            day = decided_on[key]
            rows = weights_table(panel, step, tuple(columns))
            unknown = data.unknown_inputs(spec, row[day], step.problem.positions, panel.score[row[day]])
            facts = _facts(spec, step, unknown) | {"decided": day, "traded": str(shift(day, 1))}
            if spec.benchmark_from == "index_weights":
                facts["index_weights"] = data.index_weights(spec.index, row[day])
            per_unit = slopes.mean if step.expected is None else 1.0  # the objective then is in units of return
            facts |= {"return_per_score": per_unit, "earned": list(slopes.slopes)}
            if slopes.lags:
                facts["decay"] = list(slopes.decay)
            last, value = StoredDecision(day, rows, facts), step.value
            yield key, step, rows, facts


def weights_table(panel: DecisionPanel, step: Decision, columns: Sequence[str]) -> pd.DataFrame:
    """The rows of one decision, on the stocks that its problem holds."""
    if step.problem is None or step.problem.positions is None:
        raise DataError(f"no decision on {panel.market.days[step.day]}: {step.absent}")
    kept, day = step.problem.positions, step.day
    names = np.array([panel.industry_names[c] for c in range(len(panel.industry_names))], dtype=object)
    own = {
        "symbol": panel.market.symbols[kept],
        "score": panel.score[day, kept],
        "benchmark": step.problem.benchmark,
        "holdings": step.holdings[kept],
        "weight": step.target[kept],
        "member": panel.member[day, kept],
        "industry": names[panel.industry[day, kept]],
        "suspended": ~panel.market.tradable[day, kept],
        "limit_up": panel.market.limit_up[day, kept],
        "limit_down": panel.market.limit_down[day, kept],
    }
    missing = np.zeros(len(kept))
    styles = {n: panel.styles[n][day, kept] if n in panel.styles else missing for n in ("size", *STYLE_COLUMNS)}
    return pd.DataFrame({name: (own | styles)[name] for name in columns})


def _facts(spec: PortfolioSpec, step: Decision, unknown: Unknown) -> dict:
    solution = step.solution
    if solution is None:
        return {}
    size = spec.style_limits.get("size")
    void = void_limits(unknown)
    others = {n: spec.limit_of(n) for n in spec.styles if n != "size" and f"style[{n}]" not in void}
    return {
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
            "size": size,
            "turnover": spec.turnover_limit,
            **({"styles": others} if others else {}),
        },
        "size_neutralised": "style[size]" not in void,
        **({"unknown_inputs": unknown} if unknown else {}),
        "value": step.value,
        **_in_returns(spec, step),
    }


def _in_returns(spec: PortfolioSpec, step: Decision) -> dict:
    """The score's expected return, what the cost kept from trading, and the risk that is forecast."""
    p, solution = step.problem, step.solution
    if step.expected is None or p is None or solution is None:
        return {}
    found: dict = {"expected_return": asdict(step.expected) | {"cost": p.cost}}
    if spec.cost > 0.0:
        found["expected_return"]["holding_period"] = step.holding_period
        found["no_trade"] = {} if solution.status == "infeasible" else asdict(no_trade_region(p, solution))
    if p.risk_aversion > 0.0:
        error = float(np.sqrt(active_variance(p, solution.weights)))
        annual = error * float(np.sqrt(DAYS_PER_YEAR / spec.every))
        found["risk"] = {"aversion": p.risk_aversion, "tracking_error": error, "tracking_error_annual": annual}
    return found


def _empty(columns: Mapping[str, str]) -> pd.DataFrame:
    return pd.DataFrame({c: pd.Series(dtype="str" if c == "symbol" else float) for c in columns})


def _span(lake: Lake, first: str, last: str, before: int) -> list[str]:
    """The sessions from ``first`` to ``last``, which must be stored, after those of ``before`` that are stored."""
    wanted = [str(d) for d in trading_days(first, last)]
    have = set(lake.keys("daily_bars")) & set(lake.keys("reference"))
    return [k for k in (str(d) for d in trading_days(shift(first, -before), shift(first, -1))) if k in have] + wanted


def _held(last: StoredDecision | None) -> list[str]:
    if last is None:
        return []
    return list(last.rows.loc[(last.rows["weight"] > 0) | (last.rows["holdings"] > 0), "symbol"])


def _as_step(last: StoredDecision, panel: DecisionPanel, day: int, value: float) -> Decision:
    """The stored decision on the panel's axis."""
    rows = last.rows.set_index("symbol").reindex(panel.market.symbols)
    held, target = (np.nan_to_num(rows[c].to_numpy(float)) for c in ("holdings", "weight"))
    return Decision(day, held, target, value)


def _pending(
    lake: Lake, table: str, first: str, completed: set[str], weeks: int
) -> list[tuple[str, np.ndarray, np.ndarray]]:
    """The last decisions, whose returns are not complete yet."""
    out = []
    for key in [k for k in lake.keys(table) if k < first][-weeks:]:
        rows = lake.day(table, key, ["symbol", "score"])
        decided = str(lake.metadata(table, key).get("decided"))
        if len(rows) and decided not in completed:
            out.append((decided, rows["symbol"].to_numpy(object), rows["score"].to_numpy(float)))
    return out
