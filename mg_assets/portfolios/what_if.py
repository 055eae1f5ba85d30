"""What-if of a stored portfolio: solve its week again with one limit changed, and compare.

Reads the lake and writes nothing. The week's problem is built from what its weights table holds (score, benchmark,
holdings, flags of that decision), so the comparison is with the portfolio as it was decided, whatever was recomputed
upstream since.
"""

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pandas as pd

from mg_assets.errors import DataError
from mg_assets.lake.store import Lake
from mg_assets.portfolios.risk_history import risk_history
from mg_assets.portfolios.trading_rules import trading_rules
from mg_assets.settings import settings
from mg_assets.settings.values import known_names
from mg_portfolio.backtest.expected_returns import expected_return
from mg_portfolio.catalog import HEAVY_STYLES, OTHER_STYLES, PortfolioSpec
from mg_portfolio.errors import ProblemError
from mg_portfolio.optimization.build_problem import build_problem, on_axis
from mg_portfolio.optimization.constraints import constraint_rows
from mg_portfolio.optimization.optimize import optimize
from mg_portfolio.optimization.problem import EnhancementProblem
from mg_portfolio.optimization.sensitivity import shadow_price_table
from mg_portfolio.optimization.what_if import Comparison, compare

LIMITS = ("stock_limit", "member_floor", "industry_limit", "other_styles", "turnover_limit")
"""Limits that can be changed as a whole; ``style_limits`` changes a style's, ``room`` a single constraint's."""

IN_OBJECTIVE = ("cost", "risk_aversion")

Change = float | None | Mapping[str, float | None]


def what_if(portfolio: str, week: str | None = None, lake: Lake | str | None = None, **changes: Change) -> Comparison:
    """Compare a stored portfolio with the same week under other limits.

    Parameters
    ----------
    portfolio : str
        Name in the catalog, such as ``csi500_turnover30``.
    week : str, optional
        Partition of its weights (the Monday); the last one by default. Any day of the week will do.
    lake : Lake or str, optional
        By default the settings' own.
    **changes
        ``stock_limit``, ``member_floor``, ``industry_limit``, ``other_styles``, ``turnover_limit`` (None: no limit),
        ``style_limits={"size": 0.1}``, ``room={"industry[Banks]": 0.01}`` (extra room of single constraints), and
        ``cost`` and ``risk_aversion`` as in the problem: ``cost`` in the score's units per unit of traded weight, to be
        earned by the next rebalance.

    Returns
    -------
    Comparison
        Tables ``summary``, ``weights``, ``exposures``, ``shadow_prices``; a notebook shows them.

    Raises
    ------
    DataError
        The portfolio or the week has no stored weights, a change names no limit, or a risk aversion is given in a week
        whose score is not in units of return.

    Examples
    --------
    >>> what_if("csi500_turnover30", turnover_limit=0.25)  # doctest: +SKIP
    """
    portfolios = settings().catalogs.portfolios
    if portfolio not in portfolios:
        known = known_names(portfolio, portfolios, where="mg_portfolio.catalog")
        raise DataError(f"there is no portfolio {portfolio!r}; {known}")
    store = lake if isinstance(lake, Lake) else Lake(lake or settings().lake_url)
    table = f"weights_{portfolio}"
    key = _week(store, table, week)
    stored = store.day(table, key)
    if stored.empty:
        raise DataError(f"{table} of {key} has no weights: {store.metadata(table, key).get('absent', 'it is empty')}")
    facts = store.metadata(table, key)
    spec = portfolios[portfolio]
    other, room, in_objective = _changed(spec, changes)
    own = _objective_of(facts)
    if in_objective.get("risk_aversion") and "shrunk" not in own:
        raise DataError(
            f"{table} of {key} has no score in units of return, which a risk aversion needs: give the portfolio a cost "
            "or a risk_aversion in the settings, and take a week in which ten decisions have complete returns"
        )
    risky = max(own["risk_aversion"], in_objective.get("risk_aversion", 0.0)) > 0.0
    before = _problem(store, spec, stored, facts["decided"], own, risky)
    after = _problem(store, other, stored, facts["decided"], own | in_objective, risky)
    if room:
        after = _with_room(after, room)
    comparison = compare(
        before,
        after,
        trading_rules().rates(spec).on(facts["decided"]),
        facts.get("return_per_score"),
        252 / spec.every,
        f"{portfolio}, decided {facts['decided']}: {_describe(spec, changes, own)}",
    )
    _same_as_stored(comparison, stored, f"{table} of {key}")
    return comparison


def room_gains(lake: Lake, spec: PortfolioSpec, stored: pd.DataFrame, facts: Mapping[str, Any]) -> dict[str, float]:
    """Score that a usual step of each binding limit of a stored week would earn, each found by solving again.

    Parameters
    ----------
    lake : Lake
    spec : PortfolioSpec
    stored : DataFrame
        The week's rows of its weights table.
    facts : mapping
        The week's metadata.

    Returns
    -------
    dict of str to float
        Limits that earn something, the largest first; see
        :func:`mg_portfolio.optimization.sensitivity.shadow_price_table`.
    """
    own = _objective_of(facts)
    problem = _problem(lake, spec, stored, facts["decided"], own, own["risk_aversion"] > 0.0)
    table = shadow_price_table(problem, optimize(problem)).set_index("constraint")["gained"]
    return {str(name): float(gained) for name, gained in table[table > 1e-9].items()}


def _objective_of(facts: Mapping[str, Any]) -> dict[str, float]:
    """What was decided of a week's objective beside the score: shrinkage, cost, risk aversion."""
    return dict(facts.get("expected_return") or {}) | {"risk_aversion": facts.get("risk", {}).get("aversion", 0.0)}


def parse_changes(settings_: list[str]) -> dict[str, Change]:
    """Changes from ``name=value`` texts.

    ``turnover_limit=0.25`` is a limit, ``size=0.1`` a style's, ``industry[Banks]=0.01`` extra room of one constraint;
    ``none`` removes a limit.

    Parameters
    ----------
    settings_ : list of str

    Returns
    -------
    dict of str to Change
        Keywords of :func:`what_if`.

    Raises
    ------
    DataError
        A text without ``=``, or a value that is no number.
    """
    out: dict[str, Change] = {}
    styles: dict[str, float | None] = {}
    room: dict[str, float | None] = {}
    for text in settings_:
        name, separator, value = (part.strip() for part in text.partition("="))
        if not separator or not name:
            raise DataError(f"change {text!r} was not name=value, such as turnover_limit=0.25")
        try:
            number = None if value.lower() == "none" else float(value)
        except ValueError as error:
            raise DataError(f"change {text!r} had the value {value!r}, expected a number or none") from error
        if name in (*LIMITS, *IN_OBJECTIVE):
            out[name] = number
        elif "[" in name or name in ("members", "turnover"):
            room[name] = number
        else:
            styles[name] = number
    if styles:
        out["style_limits"] = styles
    if room:
        out["room"] = room
    return out


def _week(store: Lake, table: str, week: str | None) -> str:
    keys = store.keys(table)
    if not keys:
        raise DataError(f"{table} has no weeks in {store.root}: materialise the portfolio first")
    if week is None:
        return next((k for k in reversed(keys) if store.rows(table, k)), keys[-1])
    if week in keys:
        return week
    day = np.datetime64(week)
    monday = str(day - (day.astype(int) + 3) % 7)
    if monday not in keys:
        raise DataError(f"{table} has no week of {week}; it has {keys[0]} to {keys[-1]}")
    return monday


def _changed(
    spec: PortfolioSpec, changes: Mapping[str, Change]
) -> tuple[PortfolioSpec, dict[str, float], dict[str, float]]:
    """The specification with other limits, the room of single constraints, and what is given of the objective."""
    known = {*LIMITS, *IN_OBJECTIVE, "style_limits", "room"}
    unknown = [name for name in changes if name not in known]
    if unknown:
        raise DataError(f"change {unknown[0]!r} is no limit; give {', '.join(sorted(known))}")
    if not changes:
        raise DataError(f"nothing was changed; give one of {', '.join(sorted(known))}")
    limits = {f.name for f in fields(spec)}.difference(IN_OBJECTIVE)
    new = {name: value for name, value in changes.items() if name in limits}
    styles = new.pop("style_limits", None)
    if styles is not None:
        if not isinstance(styles, Mapping):
            raise DataError(f"style_limits was {styles!r}, expected a style and its limit, such as {{'size': 0.1}}")
        merged = dict(spec.style_limits) | {k: float("nan") if v is None else float(v) for k, v in styles.items()}
        new["style_limits"] = merged  # type: ignore[assignment]
    room = changes.get("room") or {}
    if not isinstance(room, Mapping):
        raise DataError(f"room was {room!r}, expected a constraint and its extra room")
    given = {name: float(changes[name] or 0.0) for name in IN_OBJECTIVE if name in changes}  # type: ignore[arg-type]
    return replace(spec, **new), {k: float(v or 0.0) for k, v in room.items()}, given  # type: ignore[arg-type]


def _problem(
    store: Lake,
    spec: PortfolioSpec,
    stored: pd.DataFrame,
    decided: str,
    expected: Mapping[str, float],
    risky: bool,
) -> EnhancementProblem:
    """The stored week's problem under a specification, with its expected return, cost and risk model if it has them."""
    score = stored["score"].to_numpy(float)
    if "shrunk" in expected:
        score = expected_return(score, expected["shrunk"])
    codes, names = pd.factorize(stored["industry"], sort=True)
    st = store.day("reference", decided, ["symbol", "st"]).set_index("symbol")["st"]
    styles = {name: stored[name].to_numpy(float) for name in (*HEAVY_STYLES, *OTHER_STYLES) if name in stored}
    unknown = [name for name in spec.style_limits if name not in styles]
    if unknown:
        raise DataError(f"{spec.name} has no exposures to {unknown[0]!r} in its weights table; it has {list(styles)}")
    problem = build_problem(
        spec,
        score=score,
        benchmark=stored["benchmark"].to_numpy(float),
        holdings=stored["holdings"].to_numpy(float),
        industry=codes,
        styles=styles,
        member=stored["member"].to_numpy(bool),
        suspended=stored["suspended"].to_numpy(bool),
        limit_up=stored["limit_up"].to_numpy(bool),
        limit_down=stored["limit_down"].to_numpy(bool),
        buyable=~st.reindex(stored["symbol"]).fillna(True).to_numpy(bool),
        symbols=stored["symbol"].to_numpy(object),
        industry_names=dict(enumerate(map(str, names))),
        cost=expected.get("cost", 0.0),
    )
    if risky and problem.positions is not None:
        symbols = stored["symbol"].to_numpy(object)
        offered = (np.isfinite(stored["score"]) | (stored["benchmark"] > 0.0)).to_numpy()
        date = np.datetime64(decided)
        risk = risk_history(store, decided, decided, symbols).fields(
            date, offered, codes, problem.positions, spec.every
        )
        problem = replace(problem, risk_aversion=expected["risk_aversion"], **risk)
    if not styles:
        return problem
    # a style without a limit is not in the problem that the portfolio solves, but its exposure is of interest here
    exposures = np.column_stack([np.nan_to_num(x)[problem.positions] for x in styles.values()])
    return replace(
        problem,
        styles=exposures,
        style_names=tuple(styles),
        style_limits=np.array([spec.limit_of(name) for name in styles]),
        style_priority=np.array([1e3 if name in HEAVY_STYLES else 1e2 for name in styles]),
    )


def _with_room(problem: EnhancementProblem, room: dict[str, float]) -> EnhancementProblem:
    try:
        wider = replace(problem, limit_offsets=room)
        constraint_rows(wider)
    except ProblemError as error:
        raise DataError(str(error)) from error
    return wider


def _same_as_stored(c: Comparison, stored: pd.DataFrame, what: str) -> None:
    """Refuse a comparison whose unchanged side is not the stored portfolio.

    Weights need not be unique, so scores are compared.

    Raises
    ------
    DataError
        The stored weights have another score, or hold stocks that are not in the problem.
    """
    kept = c.before.positions
    weight = stored["weight"].to_numpy(float)
    if kept is None or np.delete(weight, kept).any():
        raise DataError(
            f"{what} holds stocks without score, benchmark weight or holding: it was written by another version"
        )
    was = float(c.before.score @ weight[kept])
    now = float(c.before.score @ on_axis(c.before, c.solution_before.weights, len(stored))[kept])
    if abs(was - now) > 1e-6 * max(1.0, abs(was)):
        raise DataError(
            f"{what} was stored with a score of {was:.8g}, and solving it again gives {now:.8g}: its limits or the "
            "reference table have changed since; materialise the week again, then repeat the comparison"
        )


def _describe(spec: PortfolioSpec, changes: Mapping[str, Change], own: Mapping[str, float]) -> str:
    parts = []
    for name, value in changes.items():
        if isinstance(value, Mapping):
            if name == "room":
                parts += [f"{k} given {v:+g} of room" for k, v in value.items()]
            else:
                old = {k: spec.limit_of(k) for k in value}
                parts += [f"{k} {_limit(old[k])} to {_limit(v)}" for k, v in value.items()]
        else:
            was = own.get(name, 0.0) if name in IN_OBJECTIVE else getattr(spec, name)
            parts.append(f"{name} {_limit(was)} to {_limit(value)}")
    return ", ".join(parts)


def _limit(value: float | None) -> str:
    return "none" if value is None or np.isnan(value) else f"{value:g}"
