"""Long-short returns: the top tenth of a signal against its bottom tenth, rebalanced weekly or monthly."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from mg_axes import DAYS, FLAGS, PANEL, aligned
from mg_portfolio.arguments import EvaluationError, ascending_days, dense
from mg_portfolio.evaluation.confidence_intervals import newey_west
from mg_portfolio.evaluation.quantile_portfolios import MIN_STOCKS, simulate_tracks
from mg_portfolio.evaluation.rebalance_days import period_schedule
from mg_portfolio.evaluation.track_metrics import daily_returns
from mg_portfolio.metrics import DAYS_PER_YEAR


@dataclass(frozen=True)
class LongShort:
    """Daily returns of the top tenth against the bottom tenth and against the universe.

    Attributes
    ----------
    days : ndarray of datetime64[D] (D,)
    long_short : ndarray of float64 (D,)
        Top tenth's return minus bottom tenth's, fractions; NaN before the first purchase has been held a day.
    long_excess : ndarray of float64 (D,)
        Top tenth's return relative to the equal-weight universe: ``(1 + top) / (1 + universe) - 1``.
    relative : ndarray of float64 (D,)
        Top tenth's return relative to the bottom tenth's: ``(1 + top) / (1 + bottom) - 1``; compounded, the relative
        strength of the weekly's figures.
    rebalances, skipped : int
        Rebalances made, and those skipped for too few stocks.
    """

    days: np.ndarray
    long_short: np.ndarray
    long_excess: np.ndarray
    relative: np.ndarray
    rebalances: int
    skipped: int

    @property
    def summary(self) -> dict[str, float]:
        """Annual return, volatility, t-statistic and monthly win rate of both series, names as published; fractions."""
        return {
            f"{name}_{figure}": value
            for name, series in (("long_short", self.long_short), ("long_excess", self.long_excess))
            for figure, value in _figures(self.days, series).items()
        }


@aligned(EvaluationError, by=("price",), signal=PANEL, price=PANEL, tradable=FLAGS, days=DAYS)
def long_short(
    signal: np.ndarray,
    price: np.ndarray,
    tradable: np.ndarray,
    days: np.ndarray | None = None,
    rebalance: str = "weekly",
    direction: int = 1,
    delay: int = 1,
    min_stocks: int = MIN_STOCKS,
) -> LongShort:
    """Daily long-short and long-excess returns on calendar rebalances, as in the weekly monitor.

    Parameters
    ----------
    signal : ndarray of float (D, S), or labelled
        As of the close of each day; orthogonalize it first where the definition asks for it. Labelled panels
        (:mod:`mg_axes`) are aligned on those of ``price``.
    price : ndarray of float (D, S), or labelled
        Adjusted execution prices, yuan; NaN where the stock did not trade.
    tradable : ndarray of bool (D, S), or labelled
        From `mg_portfolio.evaluation.tradable_universe.tradable_next_day`.
    days : ndarray of datetime64[D] (D,), optional
        By default the dates of ``price``.
    rebalance : {"weekly", "monthly"}
        Decisions on the last trading day of the period: monthly for hand-made factors, weekly for models.
    direction : {1, -1}
        Multiplies the signal.
    delay : int
        Trading days from the decision to its execution.
    min_stocks : int
        A rebalance with fewer stocks is skipped.

    Returns
    -------
    LongShort

    Raises
    ------
    EvaluationError
        Panels of different shapes, days out of order, or a direction other than 1 or -1.

    Notes
    -----
    Source: Haitong weekly 2023-12-15, table 1.
    """
    if direction not in (1, -1):
        raise EvaluationError(f"direction was {direction!r}, expected 1 or -1")
    signal = dense("signal", signal) * direction
    days = ascending_days(days, len(signal))
    held = simulate_tracks(signal, price, tradable, [period_schedule(days, rebalance)], 2, delay, min_stocks=min_stocks)
    top, bottom, every_stock = (
        daily_returns(held.gross[0, held.index(name)]) for name in ("top10pct", "bottom10pct", "universe")
    )
    return LongShort(
        days=days,
        long_short=top - bottom,
        long_excess=(1 + top) / (1 + every_stock) - 1,
        relative=(1 + top) / (1 + bottom) - 1,
        rebalances=int((held.reason[0] == 0).sum()),
        skipped=int((held.reason[0] != 0).sum()),
    )


def _figures(days: np.ndarray, returns: np.ndarray) -> dict[str, float]:
    finite = np.isfinite(returns)
    if finite.sum() < 2:
        return dict.fromkeys(("annual", "volatility", "t", "monthly_win_rate"), np.nan)
    values = returns[finite]
    months = pd.Series(np.log1p(values)).groupby(days[finite].astype("datetime64[M]").astype(np.int64)).sum()
    return {
        "annual": float(np.expm1(np.log1p(values).mean() * DAYS_PER_YEAR)),
        "volatility": float(values.std(ddof=1) * np.sqrt(DAYS_PER_YEAR)),
        "t": newey_west(values)[1],
        "monthly_win_rate": float((months > 0).mean()),
    }
