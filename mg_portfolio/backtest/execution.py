"""Execution model, from target weights to what can be traded in a day: locked stocks, market depth, lots.

1. Each stock gets a range for its new value: fixed where nothing trades, at most (least) what is held at the upper
   (lower) limit, within a share of the day's amount where a capacity is given.
2. The target is scaled by one factor and clipped to the ranges so that the sum is what may be invested: what one stock
   cannot take is spread over the rest in proportion (:class:`Filling`).
3. Orders are rounded down to lots, sales first, and purchases to the cash that there is (:func:`round_to_lots`).
"""

from dataclasses import dataclass, replace

import numpy as np

from mg_portfolio.errors import ProblemError
from mg_portfolio.exchange_rules import BOARDS, KNOWN_UNTIL, SSE_MAIN, Date, board_codes, in_force

EXCHANGES = (".SH", ".SZ", ".BJ")


@dataclass(frozen=True)
class Execution:
    """Execution model: the limits that orders of a given capital meet.

    Attributes
    ----------
    capital : float
        Yuan that a portfolio value of one amounts to, at the backtest's start (for :func:`drift_to`: at the decision).
    participation : float, optional
        Largest share of a stock's amount of the day that one order may be. Needs the panel's ``amount``.
    lots : bool
        Whether orders are whole lots of shares of the stock's board on that day, the rest staying in cash. Sales too,
        but for positions that are sold whole. Needs the panel's ``adj_factor``.
    """

    capital: float
    participation: float | None = None
    lots: bool = False

    def __post_init__(self) -> None:
        if not self.capital > 0.0:
            raise ProblemError(f"capital was {self.capital!r}, expected yuan above 0")
        if self.participation is not None and not 0.0 < self.participation <= 1.0:
            raise ProblemError(
                f"participation was {self.participation!r}, expected a share of the day's amount, 0 to 1"
            )

    def scaled(self, value: float) -> "Execution":
        """Execution with capital scaled by ``value``.

        Parameters
        ----------
        value : float
            Of the portfolio, relative to that at which the capital was set.

        Returns
        -------
        Execution
            Its other limits unchanged.
        """
        return replace(self, capital=self.capital * value)


class Filling:
    """Scales a target so that its values, clipped to ranges, add up to a given sum.

    ``f(s) = sum clip(s * target, low, high)`` is piecewise linear and does not fall, so its knots are laid out once and
    the scale of a sum is read off between two of them.

    Parameters
    ----------
    target : (S,) float
        Wanted values, not negative.
    low, high : (S,) float
        Ranges, ``0 <= low <= high``; high may be infinite.
    """

    def __init__(self, target: np.ndarray, low: np.ndarray, high: np.ndarray) -> None:
        self._target, self._low, self._high = target, low, high
        wanted = target > 0.0
        starts = wanted & (high > low)
        rate = target[starts]
        bends = np.isfinite(high[starts])
        knots = np.concatenate([[0.0], low[starts] / rate, high[starts][bends] / rate[bends]])
        turns = np.concatenate([[0.0], rate, -rate[bends]])  # change of slope at each knot
        order = np.argsort(knots, kind="stable")
        self._knots = knots[order]
        self._slope = np.cumsum(turns[order])
        rises = self._slope[:-1] * np.diff(self._knots)
        self._sums = float(low.sum()) + np.concatenate([[0.0], np.cumsum(rises)])

    def scaled_target(self, total: float) -> np.ndarray:
        """Target scaled so that its clipped values sum to ``total``; infinite where all are at their tops."""
        at = int(np.searchsorted(self._sums, total, side="right")) - 1
        if at < 0:
            return np.zeros_like(self._target)
        slope = self._slope[at]
        if slope <= 1e-15:
            if at == len(self._knots) - 1:
                return np.where(self._target > 0.0, np.inf, 0.0)
            return self._target * self._knots[at]
        return self._target * (self._knots[at] + (total - self._sums[at]) / slope)

    def clip(self, values: np.ndarray) -> np.ndarray:
        """Values within the ranges."""
        return np.clip(values, self._low, self._high)


def lot_rules(symbols: np.ndarray, day: Date) -> tuple[np.ndarray, np.ndarray]:
    """Smallest order and step in shares, as the exchange has them on the day."""
    lots = np.array([in_force("buy_lot", board, day) for board in range(len(BOARDS))], dtype=np.float64)
    named = [board_codes([s])[0] if str(s).endswith(EXCHANGES) else SSE_MAIN for s in symbols]
    least, step = lots[np.array(named, dtype=np.intp)].T
    return least, step


def round_to_lots(
    traded: np.ndarray,
    held: np.ndarray,
    share: np.ndarray,
    symbols: np.ndarray,
    cash: float,
    buy: float,
    sell: float,
    day: Date = KNOWN_UNTIL,
) -> np.ndarray:
    """Round orders down to what the exchange takes.

    Parameters
    ----------
    traded : (S,) float
        Change of value wanted.
    held : (S,) float
        Value held.
    share : (S,) float
        Value of one share; any, 0 and NaN too, where nothing is traded: a stock not yet listed has no price.
    symbols : (S,)
    cash : float
        Before the orders.
    buy, sell : float
        Cost rates.
    day : str, date or datetime64, optional
        Whose lots count; a symbol that names no exchange has those of the main board.

    Returns
    -------
    (S,) float
        Change of value in whole lots; a position is sold whole, odd shares and all, or in lots.
    """
    least, step = lot_rules(symbols, day)

    def whole(value: np.ndarray) -> np.ndarray:
        shares = np.divide(value, share, out=np.zeros_like(value), where=value > 0.0)
        shares = np.floor(shares / step * (1.0 + 1e-12) + 1e-9) * step
        return np.multiply(shares, share, out=np.zeros_like(value), where=shares >= least)

    selling = traded < 0.0
    leaving = selling & (-traded >= held * (1.0 - 1e-12))
    sold = np.where(leaving, held, np.where(selling, np.minimum(whole(-traded), held), 0.0))
    wanted = np.where(traded > 0.0, traded, 0.0)
    money = max(cash + float(sold.sum()) * (1.0 - sell), 0.0)
    asked = float(wanted.sum()) * (1.0 + buy)
    return whole(wanted * (min(money / asked, 1.0) if asked > 0.0 else 0.0)) - sold
