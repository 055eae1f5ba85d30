"""Returns of daily bars that the exchange's limit does not allow, each by name however few they are."""

import datetime as dt

import numpy as np
import pandas as pd

from mg_assets.lake.table_view import View
from mg_assets.market.calendar import trading_days
from mg_assets.market.rules import beyond_limit, board_codes, limit_percent
from mg_assets.quality.suite import Check, Limit, Measures

EXCHANGES = (".SH", ".SZ", ".BJ")

RETURNS = Check(
    "returns",
    "No stock's return, adjusted for corporate actions, is beyond its board's limit of the day, and no adjustment "
    "factor had to be corrected because its reference price did not move",
    (Limit("return_beyond_limit"), Limit("factor_corrected")),
    blocking=False,
)


def measure_returns(view: View, measures: Measures, frame: pd.DataFrame, last: pd.DataFrame) -> None:
    """Measures of returns from the last partition's close.

    Parameters
    ----------
    view : View
    measures : Measures
    frame : DataFrame
        The day's bars.
    last : DataFrame
        Symbol, close and adj_factor of the last partition.
    """
    traded = frame[(frame["volume"] > 0) & frame["symbol"].str.endswith(EXCHANGES).fillna(False)]
    both = traded[["symbol", "close", "adj_factor", "st"]].merge(last, on="symbol", suffixes=("", "_last"))
    close, factor, before, old = (
        both[c].to_numpy(np.float64) for c in ("close", "adj_factor", "close_last", "adj_factor_last")
    )
    symbol, st = both["symbol"].to_numpy(dtype=object), both["st"].fillna(False).to_numpy(bool)
    listed, session = _listing(view, symbol)
    up, down = limit_percent(board_codes(symbol), np.full(len(symbol), view.day, "datetime64[D]"), st, session, listed)
    with np.errstate(divide="ignore", invalid="ignore"):
        moved = close * factor / (before * old) - 1
    beyond = beyond_limit(moved, np.minimum(before, close), up, down)
    measures.rows("return_beyond_limit", beyond, symbol=symbol, returned=moved, limit=np.where(moved > 0, up, down))
    corrected = view.metadata.get("adj_factor_corrected_today", [])
    measures.rows("factor_corrected", np.ones(len(corrected), bool), what=corrected)


def _listing(view: View, symbol: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Listing day of each stock, NaT where unknown, and which session since then the day is, 0 where long ago."""
    reference = view.reference()
    listed = np.full(len(symbol), np.datetime64("NaT", "D"))
    if reference is not None:
        dates = reference.set_index("symbol")["list_date"].reindex(symbol)
        listed = dates.to_numpy("datetime64[D]")
    recent = listed >= np.datetime64(view.day - dt.timedelta(days=30))
    days = trading_days(view.day - dt.timedelta(days=30), view.day)
    session = np.where(recent, len(days) - np.searchsorted(days, np.where(recent, listed, days[-1])), 0)
    return listed, session
