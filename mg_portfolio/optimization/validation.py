"""What is refused at the door: every field of a problem in its final type, or an error that names what is wrong."""

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from mg_portfolio.errors import ProblemError

if TYPE_CHECKING:
    from mg_portfolio.optimization.problem import EnhancementProblem

SUM_TOLERANCE = 1e-6
"""How far the benchmark's sum may be from one, and the holdings' above it. Weights within it are rescaled exactly."""

DUST = 1e-12
"""Weights smaller than this are rounding: no position, no order. No fund holds a millionth of a yuan."""

TIGHT_STYLE = 0.2
"""Limits up to this mark size and valuation in every published portfolio; other styles have 0.8."""


def cleaned(p: "EnhancementProblem") -> dict[str, Any]:
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
