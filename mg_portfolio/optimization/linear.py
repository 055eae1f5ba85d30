"""The linear problem, exactly: HiGHS simplex on ``w = w0 + buy - sell`` with column sifting.

1. Every held stock has a sell column and every stock with room above its holding a buy column, with native bounds;
   budget, members, industries, styles and turnover are one stacked sparse block (:meth:`Sifter._block`).
2. Only the mandatory buys and the best eighth of the others enter at first (:meth:`Sifter._first_buys`).
3. After each solve the buys left out are priced with the row duals; those that would improve the objective are added
   and the simplex goes on from its basis (:meth:`Sifter.solve`). No violator left is a proof of optimality for all
   columns.
4. An infeasible problem gets slack columns: the least weighted slack first, then, with that total frozen, the best
   score (:meth:`Sifter.relax`). The total is frozen, not each amount, so the result does not hang on the order of the
   stocks. In strict order, the limits with the largest penalty move least, then the next class.

A neighbour's basis is not taken over: the form starts at the holdings, which is last week's answer drifted, and the
simplex has so little to do from there (3 ms for 3,000 stocks, mostly assembling) that starting from the basis of the
same problem with another limit saved a sixth of the time at best.

HiGHS is called through highspy: cvxpy's compilation alone costs several times the solve (see
``benchmarks/optimizer.py``). The same problem in cvxpy, for reading and for the tests, is
:func:`mg_portfolio.optimization.quadratic.formulate`.
"""

import time
from dataclasses import dataclass, field
from typing import Any

import highspy
import numpy as np
import scipy.sparse as sp

from mg_portfolio.errors import SolverError
from mg_portfolio.optimization.constraints import ConstraintRows, WeightBounds
from mg_portfolio.optimization.solution import Attempt

FIRST_SHARE = 0.12  # of the buy columns that enter at first; 8% to 15% measured alike
REDUCED_COST_TOLERANCE = 1e-10  # the largest score being one
SLACK_DUST = 1e-9  # a slack below this is rounding, not a relaxation
DUAL_SIMPLEX, PRIMAL_SIMPLEX = 1, 4
PRESOLVE = {False: "off", True: "on"}
LADDER: tuple[dict[str, Any], ...] = (
    {},
    {"first_share": 1.0},
    {"first_share": 1.0, "presolve": True},
)
"""Settings of the linear solver, tried in order: a sifted start can leave HiGHS without an answer ("Unknown")."""


@dataclass(frozen=True, eq=False)
class LinearResult:
    """Optimal weights of one linear problem and the multipliers that prove it.

    Attributes
    ----------
    weights : (N,) float
    row_dual : (M,) float
        Objective gained per unit that a row's active limit moves up (negative: per unit down).
    turnover_dual : float
        Objective gained per unit of two-way turnover.
    slack : (M,) float
        Slack used by each row.
    turnover_slack : float
        Slack used by the two-way turnover.
    """

    weights: np.ndarray
    row_dual: np.ndarray
    turnover_dual: float
    slack: np.ndarray
    turnover_slack: float


class HighsFailedError(SolverError):
    """HiGHS ended without an answer, neither optimal nor infeasible; the caller tries other settings."""


@dataclass
class Sifter:
    """One linear problem, its HiGHS model, and the columns that are in it.

    Parameters
    ----------
    rows, bounds : ConstraintRows, WeightBounds
    holdings : (N,) float
    gain : (N,) float
        Objective per unit of weight.
    cost : float
        Objective lost per unit of two-way traded weight.
    first_share : float
        Share of the buy columns that enter at first; 1 is no sifting.
    presolve : bool
        Off by default: it costs more than it saves here, and re-solves start from a basis.
    attempts : list of Attempt
        Every HiGHS call is appended.
    """

    rows: ConstraintRows
    bounds: WeightBounds
    holdings: np.ndarray
    gain: np.ndarray
    cost: float = 0.0
    first_share: float = FIRST_SHARE
    presolve: bool = False
    attempts: list[Attempt] = field(default_factory=list)

    def __post_init__(self) -> None:
        w0, low, high = self.holdings, self.bounds.lower, self.bounds.upper
        self._limited = np.isfinite(self.rows.turnover)
        self._block = self._stack()
        self._can_buy = high > w0
        self._sells = np.flatnonzero(low < w0)
        # HiGHS's tolerances are absolute: scores are brought to one, whether they came as z-scores or as weekly returns
        self._unit = max(float(np.abs(self.gain).max(initial=0.0)), self.cost) or 1.0
        self._gain, self._cost = self.gain / self._unit, self.cost / self._unit
        self._buys = self._first_buys()
        self._model = highspy.Highs()
        options: dict[str, bool | int | float | str] = {
            "output_flag": False,
            "threads": 1,
            "solver": "simplex",
            "presolve": PRESOLVE[self.presolve],
            "primal_feasibility_tolerance": 1e-10,
            "dual_feasibility_tolerance": 1e-10,
        }
        for name, value in options.items():
            self._model.setOptionValue(name, value)
        self._slack_rows = np.zeros(0, dtype=np.int64)  # row of each slack column, -1 for turnover
        self._slack_sign = np.zeros(0)
        self._levels: list[np.ndarray] = []
        self._load()

    def _stack(self) -> sp.csc_array:
        """ConstraintRows of a buy column: the block, then the turnover."""
        block = self.rows.matrix
        if self._limited:
            block = sp.vstack([block, sp.csr_array(np.ones((1, block.shape[1])))], format="csc")
        return block

    def _first_buys(self) -> np.ndarray:
        """Mandatory buys, the best of the others, as many more as the budget needs; stock numbers in column order."""
        w0, low, high = self.holdings, self.bounds.lower, self.bounds.upper
        must = self._can_buy & (low > w0)
        free = np.flatnonzero(self._can_buy & ~must)
        order = free[np.argsort(-self.gain[free], kind="stable")]
        count = int(np.ceil(self.first_share * len(order)))
        # the chosen buys must be able to fill the budget, or the restricted problem is infeasible for no real reason
        reach = np.where(must, high, np.minimum(high, w0)).sum() + np.cumsum(high[order] - w0[order])
        enough = int(np.searchsorted(reach, 1.0 + 1e-9)) + 1
        return np.concatenate([np.flatnonzero(must), order[: max(count, enough)]])

    def _column_block(self, stocks: np.ndarray, sign: float) -> sp.csc_array:
        part = self._block[:, stocks]
        if sign < 0:
            part = part.copy()
            turnover = part.indices == self._block.shape[0] - 1 if self._limited else np.zeros(part.nnz, dtype=bool)
            part.data = np.where(turnover, part.data, -part.data)
        return part

    def _buy_bounds(self, stocks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        w0 = self.holdings[stocks]
        return np.maximum(self.bounds.lower[stocks] - w0, 0.0), self.bounds.upper[stocks] - w0

    def _load(self) -> None:
        """Hand the restricted problem to HiGHS (which minimises)."""
        w0 = self.holdings
        buy_low, buy_high = self._buy_bounds(self._buys)
        held = w0[self._sells]
        sell_low = np.maximum(held - self.bounds.upper[self._sells], 0.0)
        sell_high = held - self.bounds.lower[self._sells]
        matrix = sp.hstack([self._column_block(self._buys, 1.0), self._column_block(self._sells, -1.0)], format="csc")
        shift = self.rows.by_row @ w0
        row_low, row_high = self.rows.lower - shift, self.rows.upper - shift
        if self._limited:
            row_low, row_high = np.append(row_low, -np.inf), np.append(row_high, self.rows.turnover)
        self._row_range = row_low, row_high
        self._model.passModel(
            matrix.shape[1], matrix.shape[0], matrix.nnz, int(highspy.MatrixFormat.kColwise), 1, 0.0,
            np.concatenate([self._cost - self._gain[self._buys], self._cost + self._gain[self._sells]]),
            np.concatenate([buy_low, sell_low]), np.concatenate([buy_high, sell_high]), row_low, row_high,
            matrix.indptr.astype(np.int32), matrix.indices.astype(np.int32), matrix.data,
            np.zeros(matrix.shape[1], dtype=np.int32),  # all continuous; an empty array is read past its end
        )  # fmt: skip
        self._added = np.zeros(0, dtype=np.int64)  # buys added by pricing sit after the sells (and slacks)
        self._added_columns = np.zeros(0, dtype=np.int64)

    def solve(self, stage: str = "optimise", earning: bool = True) -> bool:
        """Solve to optimality over all columns.

        Parameters
        ----------
        stage : str
            Recorded with each attempt.
        earning : bool
            False for the least relaxation, in which buys and sells have no score and no cost.

        Returns
        -------
        bool
            False where the problem is infeasible.
        """
        gain = self._gain if earning else np.zeros_like(self._gain)
        cost = self._cost if earning else 0.0
        self._dual_unit = self._unit if earning else 1.0
        waiting = self._can_buy.copy()
        waiting[self._buys] = waiting[self._added] = False
        while True:
            pool = np.flatnonzero(waiting)
            if not self._run(stage):
                if not len(pool):
                    return False
                # too few columns to be feasible: all of them are cheaper than a search for the right ones
                self._add_buys(pool, cost - gain[pool])
                self._model.setOptionValue("simplex_strategy", DUAL_SIMPLEX)
                waiting[pool] = False
                continue
            if not len(pool):
                return True
            reduced = cost - gain - self._dual[: self._block.shape[0]] @ self._block  # (N,)
            entering = pool[reduced[pool] < -REDUCED_COST_TOLERANCE]
            if not len(entering):
                return True
            self._add_buys(entering, cost - gain[entering])
            waiting[entering] = False

    def _run(self, stage: str) -> bool:
        """One HiGHS call; False where infeasible."""
        count = self._model.getNumCol()
        if count == 0:  # no stock can trade, and HiGHS calls that empty without looking at the rows
            low, high = self._row_range
            feasible = bool((low <= 1e-10).all() and (high >= -1e-10).all())
            self._values, self._dual = np.zeros(0), np.zeros(len(low))
            self.attempts.append(Attempt("none", stage, "Optimal" if feasible else "Infeasible", 0.0, note="0 columns"))
            return feasible
        started = time.perf_counter()
        self._model.run()
        status = self._model.getModelStatus()
        text = self._model.modelStatusToString(status)
        self.attempts.append(Attempt("highs", stage, text, time.perf_counter() - started, note=f"{count} columns"))
        if status in (highspy.HighsModelStatus.kInfeasible, highspy.HighsModelStatus.kUnboundedOrInfeasible):
            return False
        if status != highspy.HighsModelStatus.kOptimal:
            raise HighsFailedError(f"HiGHS ended {stage} with status {text!r}")
        solution = self._model.getSolution()
        self._values, self._dual = np.asarray(solution.col_value), np.asarray(solution.row_dual)
        return True

    def _add_buys(self, stocks: np.ndarray, costs: np.ndarray) -> None:
        low, high = self._buy_bounds(stocks)
        part = self._column_block(stocks, 1.0)
        first = self._model.getNumCol()
        self._model.addCols(
            len(stocks),
            costs,
            low,
            high,
            part.nnz,
            part.indptr[:-1].astype(np.int32),
            part.indices.astype(np.int32),
            part.data,
        )
        self._added = np.append(self._added, stocks)
        self._added_columns = np.append(self._added_columns, np.arange(first, first + len(stocks)))
        self._model.setOptionValue("simplex_strategy", PRIMAL_SIMPLEX)  # the old basis is primal feasible, not dual

    def relax(self, ordered: bool = False) -> list[float] | None:
        """Add slack to every soft row and minimise its weighted sum.

        Parameters
        ----------
        ordered : bool
            One class of penalties after another, the largest first, each frozen at its least before the next; else the
            weighted sum of all at once.

        Returns
        -------
        list of float or None
            Least weighted slack of each class (one of all, unless ordered); None where the rows without slack exclude
            one another.
        """
        soft = np.flatnonzero(np.isfinite(self.rows.penalty))
        below = soft[np.isfinite(self.rows.lower[soft])]
        above = soft[np.isfinite(self.rows.upper[soft])]
        self._slack_rows = np.concatenate([below, above])
        self._slack_sign = np.concatenate([np.ones(len(below)), -np.ones(len(above))])
        penalty = self.rows.penalty[self._slack_rows]  # per unit of slack
        weight = penalty.copy()
        if self._limited and np.isfinite(self.rows.turnover_penalty):
            self._slack_rows = np.append(self._slack_rows, -1)
            self._slack_sign = np.append(self._slack_sign, -1.0)
            penalty = np.append(penalty, self.rows.turnover_penalty)
            weight = np.append(weight, self.rows.turnover_penalty / 2)  # the row is two-way
        classes = np.unique(penalty)[::-1] if ordered else np.zeros(1)
        level = np.searchsorted(-classes, -penalty) if ordered else np.zeros(len(penalty), dtype=np.int64)
        self._first_slack = self._model.getNumCol()
        self._first_total = self._model.getNumRow()
        for _ in classes:
            self._model.addRow(-np.inf, np.inf, 0, np.zeros(0, dtype=np.int32), np.zeros(0))
        index = np.where(self._slack_rows < 0, self._block.shape[0] - 1, self._slack_rows)
        pairs = np.column_stack([index, self._first_total + level])
        values = np.column_stack([self._slack_sign, weight])
        columns = np.arange(self._first_slack, dtype=np.int32)
        self._model.changeColsCost(len(columns), columns, np.zeros(len(columns)))
        count = len(weight)
        self._model.addCols(
            count, np.zeros(count), np.zeros(count), np.full(count, np.inf), 2 * count,
            np.arange(0, 2 * count, 2, dtype=np.int32), pairs.ravel().astype(np.int32), values.ravel(),
        )  # fmt: skip
        slacks = np.arange(self._first_slack, self._first_slack + count, dtype=np.int32)
        self._model.clearSolver()  # the basis of an infeasible problem is of no use
        self._model.setOptionValue("simplex_strategy", DUAL_SIMPLEX)
        totals: list[float] = []
        for number in range(len(classes)):
            inside = level == number
            self._levels.append(slacks[inside])
            self._model.changeColsCost(count, slacks, np.where(inside, weight, 0.0))
            if not self.solve("least relaxation", earning=False):
                return None
            totals.append(float(weight[inside] @ self._values[slacks[inside]]))
            if number + 1 < len(classes):
                self._hold(number, totals[-1])
                self._model.setOptionValue("simplex_strategy", PRIMAL_SIMPLEX)  # the last answer stays feasible
        return totals

    def _hold(self, number: int, total: float) -> None:
        """Keep a class of slacks at its least weighted sum."""
        if total <= SLACK_DUST:
            slacks = self._levels[number]
            self._model.changeColsBounds(len(slacks), slacks, np.zeros(len(slacks)), np.zeros(len(slacks)))
        else:
            self._model.changeRowBounds(self._first_total + number, -np.inf, total * (1.0 + 1e-12))

    def freeze(self, totals: list[float]) -> None:
        """Hold the weighted slack at its least and restore the columns' costs."""
        for number, total in enumerate(totals):
            self._hold(number, total)
        count = self._model.getNumCol()
        costs = np.zeros(count)
        costs[: len(self._buys)] = self._cost - self._gain[self._buys]
        costs[len(self._buys) : len(self._buys) + len(self._sells)] = self._cost + self._gain[self._sells]
        costs[self._added_columns] = self._cost - self._gain[self._added]
        self._model.changeColsCost(count, np.arange(count, dtype=np.int32), costs)
        self._model.setOptionValue("simplex_strategy", PRIMAL_SIMPLEX)  # the last basis stays feasible

    def result(self) -> LinearResult:
        """Weights, multipliers and slack of the last solve."""
        values = self._values
        w = self.holdings.copy()
        w[self._buys] += values[: len(self._buys)]
        w[self._sells] -= values[len(self._buys) : len(self._buys) + len(self._sells)]
        w[self._added] += values[self._added_columns]
        w = np.clip(w, self.bounds.lower, self.bounds.upper)  # rounding of the last bit
        dual = -self._dual * self._dual_unit  # of a maximisation
        m = len(self.rows.names)
        slack = np.zeros(m)
        turnover_slack = 0.0
        if len(self._slack_rows):
            used = values[self._first_slack : self._first_slack + len(self._slack_rows)]
            of_rows = self._slack_rows >= 0
            np.add.at(slack, self._slack_rows[of_rows], used[of_rows])
            turnover_slack = float(used[~of_rows].sum())
        return LinearResult(w, dual[:m], float(dual[m]) if self._limited else 0.0, slack, turnover_slack)
