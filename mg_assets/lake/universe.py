"""Who belongs to the universe on a day, from the reference table."""

import numpy as np

from mg_assets.lake.store import DensePanel

MIN_LISTED_DAYS = 63


def listed_days(keys: list[str], list_date: np.ndarray) -> np.ndarray:
    """Trading days since listing, ``(D, S)``; a missing listing date counts as long ago.

    ``list_date`` is ``datetime64[D] (D, S)``.
    """
    from mg_assets.market.calendar import trading_days

    sessions = trading_days("2010-01-01", keys[-1])
    today = np.searchsorted(sessions, np.array(keys, "datetime64[D]"), side="right")[:, None]
    since = np.searchsorted(sessions, np.where(np.isnat(list_date), sessions[0], list_date))
    return today - since


def tradable_universe(keys: list[str], reference: DensePanel) -> np.ndarray:
    """All listed stocks that are not ST, not suspended today and listed for 63 sessions, ``bool (D, S)``.

    ``reference`` holds the columns ``st``, ``suspended`` and ``list_date`` on the same days.
    Source: evaluation.md, default universe, as far as it is known at the close.
    """
    old = listed_days(keys, reference["list_date"]) >= MIN_LISTED_DAYS
    return reference.present & ~reference["st"] & ~reference["suspended"] & old
