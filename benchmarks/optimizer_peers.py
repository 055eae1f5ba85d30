"""The same rebalance in other libraries, each as its documentation writes it.

Every function takes a problem and returns weights, or raises `Inexpressible` with the constraint that the library
cannot express. A library that is not installed raises ImportError.
"""

import logging
import warnings
from types import SimpleNamespace

import cvxpy as cp
import numpy as np
import pandas as pd

from mg_portfolio import EnhancementProblem
from mg_portfolio.optimization.constraints import weight_bounds


class Inexpressible(Exception):
    """The library cannot express a constraint of the problem."""


def naive(p: EnhancementProblem, solver: str) -> np.ndarray:
    """As one writes it first in cvxpy: weights, norms, one constraint an industry, the covariance dense."""
    w = cp.Variable(p.size)
    value = p.score @ w
    if p.risk_aversion:
        sigma = p.factor_loadings @ p.factor_cov @ p.factor_loadings.T + np.diag(p.specific_var)
        value = value - 0.5 * p.risk_aversion * cp.quad_form(w - p.benchmark, cp.psd_wrap(sigma))
    cp.Problem(cp.Maximize(value), _limits(p, w)).solve(solver=solver)
    return w.value


def _limits(p: EnhancementProblem, w: cp.Variable) -> list:
    b = weight_bounds(p)
    limits = [cp.sum(w) == 1, w >= b.lower, w <= b.upper, 0.5 * cp.norm1(w - p.holdings) <= p.turnover_limit]
    if p.member_floor is not None:
        limits.append(cp.sum(w[np.flatnonzero(p.member)]) >= p.member_floor)
    for code in np.unique(p.industry):
        inside = np.flatnonzero(p.industry == code)
        limits.append(cp.abs(cp.sum(w[inside]) - p.benchmark[inside].sum()) <= p.industry_limit)
    for k in np.flatnonzero(~np.isnan(p.style_limits)):
        limits.append(cp.abs(p.styles[:, k] @ (w - p.benchmark)) <= p.style_limits[k])
    return limits


def skfolio(p: EnhancementProblem) -> np.ndarray:
    """MeanRisk: its own bounds, budget and linear rows; total turnover through ``add_constraints``, as it has none.

    Its problem keeps a variance even where the return alone counts, so HiGHS will not do.
    """
    from skfolio.optimization import MeanRisk, ObjectiveFunction
    from skfolio.prior import BasePrior, ReturnDistribution

    if p.size > 3000:
        raise Inexpressible("needs a dense covariance and returns even where only the mean counts")

    class Given(BasePrior):
        """Scores as the mean, no history to estimate."""

        def __init__(self) -> None:
            pass

        def fit(self, X, y=None, **_):
            x = np.asarray(X)
            self.return_distribution_ = ReturnDistribution(mu=p.score, covariance=np.eye(p.size), returns=x)
            return self

    b = weight_bounds(p)
    active = [(p.industry == code).astype(float) for code in np.unique(p.industry)]
    limits = [p.industry_limit] * len(active)
    for k in np.flatnonzero(~np.isnan(p.style_limits)):
        active.append(p.styles[:, k])
        limits.append(p.style_limits[k])
    left = np.array([*active, *(-x for x in active)])
    right = np.array([x @ p.benchmark + d for x, d in zip(active, limits, strict=True)]
                     + [d - x @ p.benchmark for x, d in zip(active, limits, strict=True)])  # fmt: skip
    if p.member_floor is not None:
        left, right = np.vstack([left, -p.member.astype(float)]), np.append(right, -p.member_floor)
    model = MeanRisk(
        objective_function=ObjectiveFunction.MAXIMIZE_RETURN,
        prior_estimator=Given(),
        min_weights=b.lower,
        max_weights=b.upper,
        budget=1.0,
        left_inequality=left,
        right_inequality=right,
        add_constraints=lambda w: 0.5 * cp.norm1(w - p.holdings) <= p.turnover_limit,
        solver="CLARABEL",
    )
    model.fit(np.zeros((2, p.size)) + np.arange(2)[:, None] * 1e-3)
    return model.weights_


def cvxportfolio(p: EnhancementProblem) -> np.ndarray:
    """SinglePeriodOptimization with its own constraint objects, one day of a market of no returns."""
    import cvxportfolio as cvx

    names = [f"s{i}" for i in range(p.size)]
    days = pd.date_range("2020-01-01", periods=3, tz="UTC")
    columns = [*names, "cash"]
    market = cvx.UserProvidedMarketData(
        returns=pd.DataFrame(0.0, index=days, columns=columns), cash_key="cash", min_history=pd.Timedelta("0d"),
        copy_dataframes=False,
    )  # fmt: skip
    b = weight_bounds(p)
    series = {name: pd.Series(x, index=names) for name, x in (("low", b.lower), ("high", b.upper))}
    codes = np.unique(p.industry)
    rows = [(p.industry == code).astype(float) for code in codes]
    limits = [p.industry_limit] * len(rows)
    for k in np.flatnonzero(~np.isnan(p.style_limits)):
        rows.append(p.styles[:, k])
        limits.append(p.style_limits[k])
    exposure = pd.DataFrame(rows, columns=names)
    centre = exposure.to_numpy() @ p.benchmark
    room = np.asarray(limits)
    constraints = [
        cvx.NoCash(),
        cvx.MinWeights(series["low"]),
        cvx.MaxWeights(series["high"]),
        cvx.TurnoverLimit(p.turnover_limit),
        cvx.FactorMaxLimit(exposure.T, pd.Series(centre + room)),
        cvx.FactorMinLimit(exposure.T, pd.Series(centre - room)),
    ]
    if p.member_floor is not None:
        member = pd.DataFrame([p.member.astype(float)], columns=names)
        constraints.append(cvx.FactorMinLimit(member.T, pd.Series([p.member_floor])))
    objective = cvx.ReturnsForecast(r_hat=pd.Series(p.score, index=names))
    policy = cvx.SinglePeriodOptimization(objective, constraints, include_cash_return=False, solver="HIGHS")
    held = pd.Series([*(p.holdings * 1e8), 1e8 * (1.0 - p.holdings.sum())], index=columns)
    trades, _, _ = policy.execute(held, market, t=days[1])
    return ((held + trades) / held.sum()).to_numpy()[:-1]


def qlib(p: EnhancementProblem) -> np.ndarray:
    """EnhancedIndexingOptimizer with Clarabel (it names ECOS, which cvxpy no longer ships).

    Industries and styles are factors with limits and no variance. It has no floor on members and no price limits, and
    clears weights below ``epsilon``, which is set to 0 here.
    """
    if p.member_floor is not None or (p.limit_up is not None and p.limit_up.any()) or p.risk_aversion == 0.0:
        raise Inexpressible("has no floor on members and no price limits, and is quadratic alone")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from qlib.contrib.strategy.optimizer import enhanced_indexing as module
    logging.getLogger("qlib").setLevel(logging.CRITICAL)
    names = {name: getattr(cp, name) for name in ("Variable", "quad_form", "Maximize", "Problem", "sum", "norm")}
    module.cp = SimpleNamespace(**names, ECOS=cp.CLARABEL)
    codes = np.unique(p.industry)
    limited = np.flatnonzero(~np.isnan(p.style_limits))
    f = p.factor_loadings.shape[1]
    exposure = np.column_stack([p.factor_loadings, p.industry[:, None] == codes, p.styles[:, limited]]).astype(float)
    cov = np.zeros((exposure.shape[1],) * 2)
    cov[:f, :f] = p.factor_cov
    room = np.concatenate([np.full(f, 1e3), np.full(len(codes), p.industry_limit), p.style_limits[limited]])
    optimizer = module.EnhancedIndexingOptimizer(
        lamb=p.risk_aversion / 2, delta=2 * p.turnover_limit, b_dev=p.stock_limit, f_dev=room, scale_return=False,
        epsilon=0.0,
    )  # fmt: skip
    return optimizer(p.score, exposure, cov, p.specific_var, p.holdings, p.benchmark, mfh=p.suspended)
