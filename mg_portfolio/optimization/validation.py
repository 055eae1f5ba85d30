"""Input validation of :class:`~mg_portfolio.EnhancementProblem`, a function over its plain fields."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from mg_portfolio.errors import ProblemError

SUM_TOLERANCE = 1e-6
"""How far the benchmark's sum may be from one, and the holdings' above it. Weights within it are rescaled exactly."""

DUST = 1e-12
"""Weights smaller than this are rounding: no position, no order. No fund holds a millionth of a yuan."""

TIGHT_STYLE = 0.2
"""Limits up to this mark size and valuation in every published portfolio; other styles have 0.8."""


def validated(given: Mapping[str, Any]) -> dict[str, Any]:
    """Fields in their final types.

    Parameters
    ----------
    given : mapping of field name to value
        Every field of the problem, as its caller gave it.

    Returns
    -------
    dict
        Field name -> value to store; fields that stay as given may be absent.

    Raises
    ------
    ProblemError
        Naming the field, the stock where there is one, and what was expected.
    """
    n = len(np.atleast_1d(np.asarray(given["score"])))
    if n == 0:
        raise ProblemError("score was empty: a problem needs at least one stock")
    symbols = given["symbols"]
    if symbols is not None:
        symbols = np.asarray(symbols)
        if symbols.shape != (n,):
            raise ProblemError(f"symbols had shape {symbols.shape}, expected ({n},) like score")
    floats = _Floats(symbols)
    out: dict[str, Any] = {"symbols": symbols, "score": floats("score", given["score"], (n,))}
    out |= _weights(given, n, floats)
    out |= {name: _flags(name, given[name], n) for name in ("member", "suspended", "limit_up", "limit_down")}
    out |= _limits(given)
    out["industry"] = _codes(given["industry"], n)
    if out["industry"] is None and out["industry_limit"] is not None:
        raise ProblemError("industry_limit was set but industry was not given: give one integer code per stock")
    out |= _styles(given, n, floats)
    out |= _risk(given, out["risk_aversion"], n, floats)
    if given["positions"] is not None:
        positions = np.asarray(given["positions"])
        if positions.shape != (n,) or not np.issubdtype(positions.dtype, np.integer):
            raise ProblemError(
                f"positions had shape {positions.shape} and type {positions.dtype}, expected ({n},) integers"
            )
        out["positions"] = positions
    return out


def _weights(given: Mapping[str, Any], n: int, floats: "_Floats") -> dict[str, np.ndarray]:
    """Benchmark and holdings: no negative weight, sums of one and at most one."""
    out = {name: floats(name, given[name], (n,)) for name in ("benchmark", "holdings")}
    for name, weights in out.items():
        weights[np.abs(weights) < DUST] = 0.0  # a solver's -1e-17 is not a short position
        floats.not_negative(name, weights)
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
    return out


def _limits(given: Mapping[str, Any]) -> dict[str, Any]:
    """Limits, cost and risk aversion as numbers in their ranges; a limit may be None."""
    out: dict[str, Any] = {}
    for name in ("stock_limit", "member_floor", "industry_limit", "turnover_limit"):
        top = 1.0 if name == "member_floor" else np.inf
        out[name] = None if given[name] is None else _number(name, given[name], 0.0, top)
    for name in ("cost", "risk_aversion"):
        out[name] = _number(name, given[name], 0.0, np.inf)
    if given["limit_offsets"] is not None:
        out["limit_offsets"] = {
            str(k): _number(f"limit_offsets[{k}]", v, -1e6, 1e6) for k, v in given["limit_offsets"].items()
        }
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


def _styles(given: Mapping[str, Any], n: int, floats: _Floats) -> dict[str, Any]:
    """Styles, their limits, names and priorities, all of the same K."""
    if given["styles"] is None:
        if given["style_limits"] is not None and np.size(given["style_limits"]):
            raise ProblemError("style_limits was given but styles was not: give exposures of shape (N, K)")
        return {
            "styles": np.zeros((n, 0)),
            "style_limits": np.zeros(0),
            "style_priority": np.zeros(0),
            "style_names": (),
        }
    shape = np.shape(given["styles"])
    if len(shape) != 2 or shape[0] != n:
        raise ProblemError(f"styles had shape {shape}, expected ({n}, K)")
    k = shape[1]
    styles = floats("styles", given["styles"], (n, k))
    if given["style_limits"] is None:
        limits = np.full(k, np.nan)
    else:
        limits = np.array(given["style_limits"], dtype=np.float64)
        if limits.shape != (k,):
            raise ProblemError(f"style_limits had shape {limits.shape}, expected ({k},) to match styles")
        if (limits < 0).any():
            raise ProblemError(
                f"style_limits had {limits[limits < 0][0]:g}, expected 0 (neutral), above 0, or NaN (no limit)"
            )
        limits[np.isinf(limits)] = np.nan
    names = (
        tuple(str(x) for x in given["style_names"]) if given["style_names"] is not None else tuple(map(str, range(k)))
    )
    if len(names) != k or len(set(names)) != k:
        raise ProblemError(f"style_names was {names}, expected {k} different names to match styles")
    if given["style_priority"] is None:
        priority = np.where(limits <= TIGHT_STYLE, 1e3, 1e2)
    else:
        priority = floats("style_priority", given["style_priority"], (k,))
        if (priority <= 0).any():
            raise ProblemError("style_priority had a value that is not above 0: it is a penalty per standard deviation")
    return {"styles": styles, "style_limits": limits, "style_priority": priority, "style_names": names}


def _risk(given: Mapping[str, Any], aversion: float, n: int, floats: _Floats) -> dict[str, Any]:
    """The factor risk model, complete where the risk aversion needs it."""
    parts = ("factor_loadings", "factor_cov", "specific_var")
    absent = [name for name in parts if given[name] is None]
    if absent:
        if aversion > 0.0:
            raise ProblemError(f"risk_aversion was {aversion:g} but {', '.join(absent)} was not given")
        return {}
    shape = np.shape(given["factor_loadings"])
    if len(shape) != 2 or shape[0] != n:
        raise ProblemError(f"factor_loadings had shape {shape}, expected ({n}, F)")
    f = shape[1]
    loadings = floats("factor_loadings", given["factor_loadings"], (n, f))
    cov = floats("factor_cov", given["factor_cov"], (f, f))
    scale = float(np.abs(cov).max()) if f else 0.0
    if f and np.abs(cov - cov.T).max() > 1e-8 * scale:
        raise ProblemError("factor_cov was not symmetric: use (C + C.T) / 2")
    cov = (cov + cov.T) / 2
    if f and np.linalg.eigvalsh(cov)[0] < -1e-8 * scale:
        raise ProblemError(
            f"factor_cov had the eigenvalue {np.linalg.eigvalsh(cov)[0]:.3g}, expected a positive semidefinite matrix"
        )
    variance = floats("specific_var", given["specific_var"], (n,))
    floats.not_negative("specific_var", variance)
    return {"factor_loadings": loadings, "factor_cov": cov, "specific_var": variance}
