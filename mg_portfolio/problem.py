"""The enhancement problem and its solution: what goes in, what comes out, and what is refused at the door."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np

from mg_portfolio.errors import ProblemError

SUM_TOLERANCE = 1e-6
"""How far the benchmark's sum may be from one, and the holdings' above it. Weights within it are rescaled exactly."""

DUST = 1e-12
"""Weights smaller than this are zero: no fund holds a millionth of a yuan."""

TIGHT_STYLE = 0.2
"""Limits up to this mark size and valuation in every published portfolio; other styles have 0.8."""


@dataclass(frozen=True, eq=False)
class EnhancementProblem:
    """One rebalance of an index-enhancement portfolio.

    Maximise ``score'w - risk_aversion/2 (w-b)' Sigma (w-b) - cost * sum|w - holdings|`` with
    ``Sigma = factor_loadings @ factor_cov @ factor_loadings.T + diag(specific_var)``, subject to ``sum w = 1``,
    ``w >= 0`` and the limits below. All weights are fractions of the portfolio's value. N stocks, K styles, F factors.

    Parameters
    ----------
    score : (N,) float
        Expected return or z-scored signal. No NaN: a stock without a score is dropped or barred from buying by
        :func:`mg_portfolio.catalog.build_problem`.
    benchmark : (N,) float
        Index weights, not negative, summing to one.
    holdings : (N,) float
        Weights now, drifted, not negative. Their sum may be below one: the rest is cash, and all zeros is a cold start.
    industry : (N,) int, optional
        Industry codes; any integers. Needed where ``industry_limit`` is set.
    styles : (N, K) float, optional
        Style exposures in standard deviations.
    style_limits : (K,) float, optional
        ``|styles.T @ (w - b)| <= limit``; 0 is neutral, NaN is no limit.
    member : (N,) bool, optional
        Index members, for ``member_floor``; where absent, the stocks with a benchmark weight.
    suspended, limit_up, limit_down : (N,) bool, optional
        Not tradable; cannot be bought; cannot be sold.
    stock_limit : float, optional
        ``|w_i - b_i| <= stock_limit``.
    member_floor : float, optional
        Least weight of the members together.
    industry_limit : float, optional
        Largest active weight of an industry, 0 for neutral.
    turnover_limit : float, optional
        One-way: ``0.5 * sum|w - holdings| <= turnover_limit``. Buying from cash counts, so a cold start needs 0.5.
    cost : float
        Objective units per unit of two-way traded weight ``sum|w - holdings|``.
    risk_aversion : float
        ``gamma``; above 0 the three risk fields are needed.
    factor_loadings, factor_cov, specific_var : (N, F), (F, F), (N,) float, optional
        Factor risk model; ``factor_cov`` symmetric and positive semidefinite, ``specific_var`` not negative.
    symbols : (N,), optional
        Stock codes, used in error messages and to carry the axis along.
    style_names : sequence of K str, optional
        Names in constraint names (``style[size]``); where absent, the column number.
    industry_names : mapping of int to str, optional
        Names in constraint names (``industry[bank]``); where absent, the code.
    style_priority : (K,) float, optional
        Penalty per standard deviation when a style must give way in an infeasible problem. Styles have no meaning
        here, so where this is absent a limit of up to 0.2 is taken for size or valuation (1e3) and a wider one for
        the rest (1e2).
    loosened : mapping of constraint name to float, optional
        Extra room of single constraints beyond the limits above (negative: less): ``{"industry[bank]": 0.01}``. Names
        as in :func:`mg_portfolio.constraints.violations`, of members, industries, styles and turnover.
    positions : (N,) int, optional
        Places of the stocks on a wider axis, set by :func:`mg_portfolio.catalog.build_problem`.

    Raises
    ------
    ProblemError
        For a wrong shape or type, NaN, a negative weight or limit, a wrong sum, or a limit whose data is absent.

    Notes
    -----
    Tradability wins over the stock band: suspended, ``w = holdings``; at the upper limit, ``w`` is at most the band's
    top and the holdings; at the lower, at least the band's bottom and the holdings.
    """

    score: np.ndarray
    benchmark: np.ndarray
    holdings: np.ndarray
    industry: np.ndarray | None = None
    styles: np.ndarray | None = None
    style_limits: np.ndarray | None = None
    member: np.ndarray | None = None
    suspended: np.ndarray | None = None
    limit_up: np.ndarray | None = None
    limit_down: np.ndarray | None = None
    stock_limit: float | None = None
    member_floor: float | None = None
    industry_limit: float | None = None
    turnover_limit: float | None = None
    cost: float = 0.0
    risk_aversion: float = 0.0
    factor_loadings: np.ndarray | None = None
    factor_cov: np.ndarray | None = None
    specific_var: np.ndarray | None = None
    symbols: np.ndarray | None = None
    style_names: tuple[str, ...] | None = None
    industry_names: Mapping[int, str] | None = None
    style_priority: np.ndarray | None = None
    loosened: Mapping[str, float] | None = None
    positions: np.ndarray | None = None

    def __post_init__(self) -> None:
        clean = _clean(self)
        for name, value in clean.items():
            object.__setattr__(self, name, value)

    @property
    def size(self) -> int:
        """Number of stocks N."""
        return len(self.score)

    @property
    def limited_styles(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, tuple[str, ...]]:
        """Exposures (N, K'), limits (K',), penalties (K',) and names of the styles that have a limit."""
        if self.styles is None or self.style_limits is None or self.style_priority is None or self.style_names is None:
            return np.zeros((self.size, 0)), np.zeros(0), np.zeros(0), ()
        used = np.flatnonzero(~np.isnan(self.style_limits))
        names = tuple(self.style_names[k] for k in used)
        return self.styles[:, used], self.style_limits[used], self.style_priority[used], names

    @property
    def risk_model(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Loadings (N, F), factor covariance (F, F) and specific variances (N,).

        Raises
        ------
        ProblemError
            The problem carries none.
        """
        if self.factor_loadings is None or self.factor_cov is None or self.specific_var is None:
            raise ProblemError("the problem had no risk model: give factor_loadings, factor_cov and specific_var")
        return self.factor_loadings, self.factor_cov, self.specific_var

    def name_of(self, stock: int) -> str:
        """Code of a stock, or its number where the problem carries no codes."""
        return str(self.symbols[stock]) if self.symbols is not None else f"stock {stock}"


@dataclass(frozen=True)
class Attempt:
    """One solver call: kept whether or not its weights were accepted."""

    solver: str
    stage: str  # "optimise", "least relaxation", "optimise relaxed", "risk"
    status: str  # the solver's own word
    seconds: float
    largest_violation: float = float("nan")
    gap: float = float("nan")  # bound on the objective that is left, where one was computed
    note: str = ""


@dataclass(frozen=True, eq=False)
class EnhancementSolution:
    """Weights and the account of how they came about.

    Attributes
    ----------
    weights : (N,) float
        For status "infeasible": the holdings unchanged, because no fully invested weights exist.
    objective : float
        The problem's objective at ``weights``.
    status : str
        "optimal"; "relaxed" when a limit had to give way; "infeasible" when even budget, band and tradability clash.
    largest_violation : float
        Largest amount by which ``weights`` break a constraint, recomputed from the problem (relaxed limits moved by the
        amounts in ``relaxed``). Above 1e-6 weights are never returned as optimal or relaxed.
    relaxed : dict
        Constraint name -> how far beyond its limit the weights lie (weight, or standard deviations for a style).
    shadow_prices : dict
        Binding constraint -> objective gained per unit that its limit is loosened (for ``stock_limit`` all stocks'
        bands at once; for ``turnover`` per unit of one-way turnover).
    solver : str
        Solver whose weights these are.
    attempts : tuple of Attempt
        Every solver call, in order.
    message : str
        One sentence for a person; empty for "optimal".

    Notes
    -----
    Problems and solutions are plain arrays: they pickle, and ``optimize`` keeps nothing between calls, so weeks can be
    solved on any worker in any order that their holdings allow.
    """

    weights: np.ndarray
    objective: float
    status: str
    largest_violation: float
    relaxed: dict[str, float] = field(default_factory=dict)
    shadow_prices: dict[str, float] = field(default_factory=dict)
    solver: str = ""
    attempts: tuple[Attempt, ...] = ()
    message: str = ""


def loosened(p: EnhancementProblem, name: str, amount: float) -> EnhancementProblem:
    """Give one constraint more room: the stock band of all stocks, or a row by name."""
    if name == "stock_limit":
        return replace(p, stock_limit=(p.stock_limit or 0.0) + amount)
    room = dict(p.loosened or {})
    return replace(p, loosened=room | {name: room.get(name, 0.0) + amount})


def _clean(p: EnhancementProblem) -> dict[str, Any]:
    """Fields in their final types, or a ProblemError that names what is wrong."""
    raw = {f.name: getattr(p, f.name) for f in fields(p)}
    n = len(np.atleast_1d(np.asarray(raw["score"])))
    if n == 0:
        raise ProblemError("score was empty: a problem needs at least one stock")
    symbols = raw["symbols"]
    if symbols is not None:
        symbols = np.asarray(symbols)
        if symbols.shape != (n,):
            raise ProblemError(f"symbols had shape {symbols.shape}, expected ({n},) like score")
    out: dict[str, Any] = {"symbols": symbols}
    floats = _Floats(symbols)

    for name in ("score", "benchmark", "holdings"):
        out[name] = floats(name, raw[name], (n,))
    for name in ("benchmark", "holdings"):
        out[name][np.abs(out[name]) < DUST] = 0.0  # a solver's -1e-17 is not a short position
        floats.not_negative(name, out[name])
    total = out["benchmark"].sum()
    if abs(total - 1.0) > SUM_TOLERANCE:
        raise ProblemError(
            f"benchmark summed to {total:.8g}, expected 1 within {SUM_TOLERANCE:g}: give fractions, not percent, and "
            "normalise over the stocks at hand (build_problem does both)"
        )
    if abs(total - 1.0) > DUST:
        out["benchmark"] = out["benchmark"] / total
    total = out["holdings"].sum()
    if total > 1.0 + SUM_TOLERANCE:
        raise ProblemError(
            f"holdings summed to {total:.8g}, expected at most 1: give fractions of the portfolio's value"
        )
    if total > 1.0 + DUST:
        out["holdings"] = out["holdings"] / total

    for name in ("member", "suspended", "limit_up", "limit_down"):
        out[name] = _flags(name, raw[name], n)
    for name, low, high in (
        ("stock_limit", 0.0, np.inf),
        ("member_floor", 0.0, 1.0),
        ("industry_limit", 0.0, np.inf),
        ("turnover_limit", 0.0, np.inf),
    ):
        out[name] = None if raw[name] is None else _number(name, raw[name], low, high)
    for name in ("cost", "risk_aversion"):
        out[name] = _number(name, raw[name], 0.0, np.inf)

    out["industry"] = _codes(raw["industry"], n)
    if out["industry"] is None and out["industry_limit"] is not None:
        raise ProblemError("industry_limit was set but industry was not given: give one integer code per stock")
    out.update(_styles(raw, n, floats))
    out.update(_risk(raw, out["risk_aversion"], n, floats))
    if raw["loosened"] is not None:
        out["loosened"] = {str(k): _number(f"loosened[{k}]", v, -1e6, 1e6) for k, v in raw["loosened"].items()}
    if raw["positions"] is not None:
        positions = np.asarray(raw["positions"])
        if positions.shape != (n,) or not np.issubdtype(positions.dtype, np.integer):
            raise ProblemError(
                f"positions had shape {positions.shape} and type {positions.dtype}, expected ({n},) integers"
            )
        out["positions"] = positions
    return out


@dataclass(frozen=True)
class _Floats:
    """Turns arguments into float64 arrays, naming the first stock that is wrong."""

    symbols: np.ndarray | None

    def __call__(self, name: str, value: Any, shape: tuple[int, ...]) -> np.ndarray:
        try:
            array = np.array(value, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise ProblemError(f"{name} was not numeric: {error}") from error
        if array.shape != shape:
            raise ProblemError(f"{name} had shape {array.shape}, expected {shape}")
        bad = np.argwhere(~np.isfinite(array))
        if len(bad):
            where = self._stock(bad[0][0]) if shape and len(bad[0]) else ""
            raise ProblemError(
                f"{name} had {len(bad)} NaN or infinite value(s), the first at {where}: fill or drop them first"
            )
        return array

    def not_negative(self, name: str, array: np.ndarray) -> None:
        bad = np.flatnonzero(array < 0.0)
        if len(bad):
            raise ProblemError(f"{name} was {array[bad[0]]:.6g} for {self._stock(bad[0])}, expected no negative value")

    def _stock(self, i: int) -> str:
        return f"{self.symbols[i]} (stock {i})" if self.symbols is not None and i < len(self.symbols) else f"row {i}"


def _flags(name: str, value: Any, n: int) -> np.ndarray | None:
    if value is None:
        return None
    array = np.asarray(value)
    if array.shape != (n,):
        raise ProblemError(f"{name} had shape {array.shape}, expected ({n},)")
    if array.dtype != np.bool_:
        if not np.isin(array, (0, 1)).all():
            raise ProblemError(f"{name} had values other than true and false: give booleans")
        array = array.astype(np.bool_)
    return array


def _number(name: str, value: Any, low: float, high: float) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError) as error:
        raise ProblemError(f"{name} was {value!r}, expected a number") from error
    if not low <= number <= high:  # also catches NaN
        raise ProblemError(
            f"{name} was {number:g}, expected a number from {low:g} to {high:g} (a fraction, not percent)"
        )
    if np.isinf(number):
        raise ProblemError(f"{name} was infinite: give None where there is no limit")
    return number


def _codes(value: Any, n: int) -> np.ndarray | None:
    if value is None:
        return None
    array = np.asarray(value)
    if array.shape != (n,):
        raise ProblemError(f"industry had shape {array.shape}, expected ({n},)")
    if not np.issubdtype(array.dtype, np.integer):
        if (
            not np.issubdtype(array.dtype, np.floating)
            or not np.isfinite(array).all()
            or (array != np.rint(array)).any()
        ):
            raise ProblemError(
                f"industry had type {array.dtype}, expected integer codes (np.unique(..., return_inverse=True))"
            )
        array = array.astype(np.int64)
    return array


def _styles(raw: dict[str, Any], n: int, floats: _Floats) -> dict[str, Any]:
    """Styles, their limits, names and priorities, all of the same K."""
    if raw["styles"] is None:
        if raw["style_limits"] is not None and np.size(raw["style_limits"]):
            raise ProblemError("style_limits was given but styles was not: give exposures of shape (N, K)")
        return {
            "styles": np.zeros((n, 0)),
            "style_limits": np.zeros(0),
            "style_priority": np.zeros(0),
            "style_names": (),
        }
    shape = np.shape(raw["styles"])
    if len(shape) != 2 or shape[0] != n:
        raise ProblemError(f"styles had shape {shape}, expected ({n}, K)")
    k = shape[1]
    styles = floats("styles", raw["styles"], (n, k))
    if raw["style_limits"] is None:
        limits = np.full(k, np.nan)
    else:
        limits = np.array(raw["style_limits"], dtype=np.float64)
        if limits.shape != (k,):
            raise ProblemError(f"style_limits had shape {limits.shape}, expected ({k},) to match styles")
        if (limits < 0).any():
            raise ProblemError(
                f"style_limits had {limits[limits < 0][0]:g}, expected 0 (neutral), above 0, or NaN (no limit)"
            )
        limits[np.isinf(limits)] = np.nan
    names = tuple(str(x) for x in raw["style_names"]) if raw["style_names"] is not None else tuple(map(str, range(k)))
    if len(names) != k or len(set(names)) != k:
        raise ProblemError(f"style_names was {names}, expected {k} different names to match styles")
    if raw["style_priority"] is None:
        priority = np.where(limits <= TIGHT_STYLE, 1e3, 1e2)
    else:
        priority = floats("style_priority", raw["style_priority"], (k,))
        if (priority <= 0).any():
            raise ProblemError("style_priority had a value that is not above 0: it is a penalty per standard deviation")
    return {"styles": styles, "style_limits": limits, "style_priority": priority, "style_names": names}


def _risk(raw: dict[str, Any], aversion: float, n: int, floats: _Floats) -> dict[str, Any]:
    """The factor risk model, complete where the risk aversion needs it."""
    parts = ("factor_loadings", "factor_cov", "specific_var")
    absent = [name for name in parts if raw[name] is None]
    if absent:
        if aversion > 0.0:
            raise ProblemError(f"risk_aversion was {aversion:g} but {', '.join(absent)} was not given")
        return {}
    shape = np.shape(raw["factor_loadings"])
    if len(shape) != 2 or shape[0] != n:
        raise ProblemError(f"factor_loadings had shape {shape}, expected ({n}, F)")
    f = shape[1]
    loadings = floats("factor_loadings", raw["factor_loadings"], (n, f))
    cov = floats("factor_cov", raw["factor_cov"], (f, f))
    scale = float(np.abs(cov).max()) if f else 0.0
    if f and np.abs(cov - cov.T).max() > 1e-8 * scale:
        raise ProblemError("factor_cov was not symmetric: use (C + C.T) / 2")
    cov = (cov + cov.T) / 2
    if f and np.linalg.eigvalsh(cov)[0] < -1e-8 * scale:
        raise ProblemError(
            f"factor_cov had the eigenvalue {np.linalg.eigvalsh(cov)[0]:.3g}, expected a positive semidefinite matrix"
        )
    variance = floats("specific_var", raw["specific_var"], (n,))
    floats.not_negative("specific_var", variance)
    return {"factor_loadings": loadings, "factor_cov": cov, "specific_var": variance}
