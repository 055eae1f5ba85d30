"""Days on which a stock's adjusted price moves as no rule allows: its return across such a day is none.

A return may exceed the board's limit of the day only for a corporate action, which the adjustment factor takes out.
One that is beyond the limit all the same is the data's: a factor that is wrong for a day, that lacks an ex-day, or that
starts again where a stock changed its code. It is a jump, but for what the exchange itself lets pass:

- sessions without a limit after the listing, and the listing day's own limits
  (:func:`mg_assets.market.rules.limit_percent`);
- the first session after a halt of more than :data:`LONG_HALT` sessions, on which a stock whose listing was suspended,
  or that was restructured, has no limit. No lacking ex-day raises a price, so a rise there is real, and so is a fall
  where the factor moved with it. A fall without a step of the factor looks like an ex-day that it lacks: a jump.
"""

import numpy as np

from mg_assets.market.rules import beyond_limit, board_codes, limit_percent

LONG_HALT = 20
"""Sessions: a month. A halt of fewer is one under the usual limits."""
STEP = 0.01
"""Of a factor: digits alone differ by less."""


def price_jumps(
    symbols: np.ndarray,
    days: np.ndarray,
    close: np.ndarray,
    factor: np.ndarray,
    traded: np.ndarray,
    st: np.ndarray,
    session: np.ndarray,
) -> np.ndarray:
    """Stocks and days whose return since the last trade is beyond the limit and no return.

    Parameters
    ----------
    symbols : ndarray of object (S,)
    days : ndarray of datetime64[D] (D,)
        Consecutive trading days.
    close, factor : ndarray of float64 (D, S)
        Close in yuan, and adjustment factor; NaN where unknown.
    traded : ndarray of bool (D, S)
        Whether the stock traded that day.
    st : ndarray of bool (D, S)
        Under special treatment.
    session : ndarray of int (D, S)
        1 on the listing day, large where that is unknown or long ago
        (:func:`mg_assets.lake.universe.listed_days`).

    Returns
    -------
    ndarray of bool (D, S)
        A stock's first trade of the days is none: nothing precedes it.
    """
    here = traded & np.isfinite(close) & (factor > 0)
    rows = np.maximum.accumulate(np.where(here, np.arange(len(days))[:, None], -1), axis=0)
    last = np.vstack([np.full((1, len(symbols)), -1), rows[:-1]])[: len(days)]
    at = np.nonzero(here & (last >= 0))
    before = (last[at], at[1])
    step = factor[at] / factor[before]
    moved = close[at] / close[before] * step - 1
    day = days[at[0]]
    up, down = limit_percent(board_codes(symbols)[at[1]], day, st[at], session[at])
    odd = beyond_limit(moved, np.minimum(close[at], close[before]), up, down)
    real = (at[0] - before[0] > LONG_HALT) & ((moved > 0) | (np.abs(step - 1) > STEP))
    out = np.zeros(close.shape, bool)
    out[at] = odd & ~real
    return out
