"""Adjustment factors against the exchange's reference price, and returns that no rule allows.

A day's return may exceed the exchange's limit only for a corporate action, which moves the reference price (the
previous close after ex-rights) and with it the adjustment factor. So each stock and day whose adjusted return is beyond
its limit is one of these:

- The return over the reference price is within the limit: the factor is wrong, and takes the reference's step instead.
  Where the source has no reference price, the last close stands for it: a price that did not fall had no ex-day.
- It is beyond the limit too: the return stays, and is named (a restructured stock's first day back, a lacking factor).
  Where the factor of the session before or after is wrong, and its step explains the return, the step was a day late or
  early, and is moved.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from mg_assets.market.rules import beyond_limit

AGREE = 0.01  # of a step: a factor's and a reference price's digits differ by less
MANY = 0.5
FEW = 5
NAMED = 20
REMARKS = ("symbol", "date", "what", "by_factor", "by_reference", "limit")
CORRECTED, BEYOND = "adj_factor_corrected", "return_beyond_limit"


@dataclass(frozen=True)
class TradedRows:
    """Rows with trades, sorted by symbol, then date.

    Attributes
    ----------
    symbol : ndarray of int (n,)
    date : ndarray of datetime64[D] (n,)
    close, prev_close, factor : ndarray of float64 (n,)
        Traded close, the exchange's reference price (NaN where unknown), and the adjustment factor.
    up, down : ndarray of float64 (n,)
        Percent that the price may move; NaN where there is no limit.
    """

    symbol: np.ndarray
    date: np.ndarray
    close: np.ndarray
    prev_close: np.ndarray
    factor: np.ndarray
    up: np.ndarray
    down: np.ndarray


def corrected_steps(rows: TradedRows, has_factor: bool) -> tuple[np.ndarray, pd.DataFrame, dict[str, int]]:
    """Compare each stock's factors with its reference prices.

    Parameters
    ----------
    rows : TradedRows
    has_factor : bool
        Whether the factors are the source's: those that were chained from reference prices cannot contradict them.

    Returns
    -------
    correction : ndarray of float64 (n,)
        What each row's factor is to be multiplied with; 1 where it is right.
    remarks : DataFrame
        Columns :data:`REMARKS`: what was corrected or is beyond the limit, returns by factor and by reference price.
    counts : dict of str to int
        ``steps``: days on which the factor's step alone is beyond the limit; ``lasting``: corrected ones of stocks
        whose corrections do not cancel out; ``moves``: days on which a factor or a reference price moves at all.
    """
    again = np.zeros(len(rows.symbol), bool)
    again[1:] = rows.symbol[1:] == rows.symbol[:-1]
    before, factor = (np.concatenate([[np.nan], v[:-1]])[: len(again)] for v in (rows.close, rows.factor))
    reference = np.where(rows.prev_close > 0, rows.prev_close, before)
    with np.errstate(divide="ignore", invalid="ignore"):
        by_reference = rows.close / reference - 1
        given, right = rows.factor / factor, before / reference
        by_factor = rows.close / before * given - 1
    limited = again & np.isfinite(by_factor) & np.isfinite(by_reference) & np.isfinite(rows.up)

    def beyond(value: np.ndarray) -> np.ndarray:
        return limited & beyond_limit(value, reference, rows.up, rows.down)

    wrong = beyond(by_factor) & ~beyond(by_reference) & (np.abs(given / right - 1) > AGREE) & has_factor
    left = beyond(by_factor) & ~wrong
    step = np.where(wrong, np.log(right / np.where(wrong, given, 1.0)), 0.0)
    for side in (1, -1):  # the session with the step is the one after, or before
        source = np.roll(wrong, -side) & (np.roll(again, -1) if side == 1 else again)
        excess = -np.roll(step, -side)
        with np.errstate(over="ignore"):
            moved = left & source & ~beyond((1 + by_factor) * np.exp(excess) - 1)
        step = np.where(moved, excess, step)
        left, wrong = left & ~moved, wrong | moved
    total = np.cumsum(step)
    starts = np.maximum.accumulate(np.where(again, 0, np.arange(len(again))))
    own = total - (total - step)[starts] if len(total) else total
    at = np.flatnonzero(wrong | left)
    limit = np.where(by_factor > 0, rows.up, rows.down)
    remarks = pd.DataFrame(
        {
            "symbol": rows.symbol[at],
            "date": rows.date[at],
            "what": np.where(wrong[at], CORRECTED, BEYOND),
            "by_factor": by_factor[at],
            "by_reference": by_reference[at],
            "limit": limit[at] / 100,
        },
        columns=list(REMARKS),
    )
    ends = np.append(np.flatnonzero(~again)[1:] - 1, len(again) - 1)[: int(np.sum(~again))]
    lasting = np.abs(own[ends]) > AGREE
    counts = {
        "steps": int(np.sum(beyond(given - 1))),
        "lasting": int(np.sum(wrong & np.repeat(lasting, np.diff(np.append(np.flatnonzero(~again), len(again)))))),
        "moves": int(np.sum(again & ((np.abs(given - 1) > AGREE) | (np.abs(right - 1) > AGREE)))),
    }
    return np.where(np.abs(own) < 1e-9, 1.0, np.exp(own)), remarks, counts


def notes_of(remarks: pd.DataFrame, names: np.ndarray, counts: dict[str, int]) -> dict[str, object]:
    """What to say about a history: how many, the first by name, and what the pattern of all of them suggests.

    Parameters
    ----------
    remarks : DataFrame
        From :func:`corrected_steps`.
    names : ndarray of object (S,)
        Symbols.
    counts : dict of str to int
        From :func:`corrected_steps`.

    Returns
    -------
    dict of str to object
    """
    notes: dict[str, object] = {}
    for what, text in (
        (CORRECTED, "adj_factor jumps and the reference price does not: the reference price's step is taken instead"),
        (BEYOND, "returns beyond the exchange's limit without a corporate action: kept"),
    ):
        mine = remarks[remarks["what"] == what]
        if len(mine):
            first = ", ".join(named(row, names) for row in mine.head(NAMED).itertuples())
            notes[what] = f"{len(mine)} {text}; {first}"
    wrong, steps = counts["lasting"], counts["steps"]
    if wrong >= FEW and wrong > MANY * steps:
        notes["prices_look_adjusted"] = (
            f"on {wrong} of {steps} days on which adj_factor steps beyond the limit the prices do not: they are "
            "adjusted already; give unadjusted prices, or leave adj_factor out"
        )
    falls = int(np.sum((remarks["what"] == BEYOND) & (remarks["by_factor"] < 0)))
    if falls and not counts["moves"]:
        notes["prices_look_unadjusted"] = (
            f"{falls} falls beyond the limit, and no factor or reference price that moves: ex-days count as losses; "
            "map adj_factor or prev_close"
        )
    return notes


def named(row: Any, names: np.ndarray) -> str:
    """A remark, a row of ``itertuples``, as text: stock, day, return and limit."""
    returns = f"{row.by_factor:+.1%} (reference {row.by_reference:+.1%}, limit {row.limit:.0%})"
    return f"{names[row.symbol]} {str(row.date)[:10]} {returns}"
