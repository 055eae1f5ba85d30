"""The tradable universe of each day, from the reference table."""

import numpy as np

from mg_assets.lake.dense_panel import DensePanel
from mg_assets.market.calendar import trading_days

MIN_LISTED_DAYS = 63


def listed_days(keys: list[str], list_date: np.ndarray) -> np.ndarray:
    """Trading days since listing.

    Parameters
    ----------
    keys : list of str (D,)
        Trading days, ascending.
    list_date : ndarray of datetime64[D] (D, S)
        NaT counts as listed long ago.

    Returns
    -------
    ndarray of int (D, S)
        1 on the listing day.
    """
    sessions = trading_days(end=keys[-1])
    today = np.searchsorted(sessions, np.array(keys, "datetime64[D]"), side="right")[:, None]
    first = np.asarray(list_date).astype("datetime64[D]")  # NaN where no day has a reference
    since = np.searchsorted(sessions, np.where(np.isnat(first), sessions[0], first))
    return today - since


def tradable_universe(keys: list[str], reference: DensePanel) -> np.ndarray:
    """All listed stocks that are not ST, not suspended today and listed for 63 sessions.

    Parameters
    ----------
    keys : list of str (D,)
        Trading days, ascending.
    reference : DensePanel
        Columns ``st``, ``suspended`` and ``list_date`` of these days.

    Returns
    -------
    ndarray of bool (D, S)
        The default universe of docs/evaluation.md, as far as the close of the day shows it; every stock on a day
        whose reference has no rows: its source has none.
    """
    old = listed_days(keys, reference["list_date"]) >= MIN_LISTED_DAYS
    known = reference.present.any(axis=1, keepdims=True)
    barred = (reference["st"] == 1) | (reference["suspended"] == 1)
    return ~known | (reference.present & ~barred & old)
