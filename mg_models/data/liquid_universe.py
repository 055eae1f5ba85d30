"""The universe of series 69's models: not too new, not ST, and among the most traded and largest stocks.

Source: Huatai series 69, chart 8. Ours: market value is that of the free float where a lake has no other,
and a stock listed for less than a year is measured by the days it has.
"""

import numpy as np

from mg_models.errors import InputError

SHARE = 0.6
YEAR = 252
LISTED_DAYS = 63


def liquid(
    days: np.ndarray,
    amount: np.ndarray,
    cap: np.ndarray,
    suspended: np.ndarray,
    admitted: np.ndarray,
    share: float = SHARE,
    window: int = YEAR,
) -> np.ndarray:
    """Members on each day.

    At each quarter's last trading day, among the stocks not suspended: those in the top ``share`` both by mean
    amount and by mean market value over the past ``window`` days. They are members from the next trading day to
    the next quarter's end, on the days on which they are ``admitted``. There are no members before the first quarter's
    end.

    Parameters
    ----------
    days : ndarray of datetime64[D] (D,)
        Consecutive trading days.
    amount, cap : ndarray (D, S)
        Yuan; values that are not finite are left out of the means.
    suspended, admitted : ndarray of bool (D, S)
        ``admitted``: listed for :data:`LISTED_DAYS` days and not ST, that day.
    share : float
    window : int

    Returns
    -------
    ndarray of bool (D, S)

    Raises
    ------
    InputError
        Shapes differ.
    """
    shape = (len(days), amount.shape[1])
    for name, array in (("amount", amount), ("cap", cap), ("suspended", suspended), ("admitted", admitted)):
        if array.shape != shape:
            raise InputError(f"{name} must be {shape} like days and stocks, was {array.shape}")
    out = np.zeros(shape, bool)
    quarter = np.asarray(days, "datetime64[M]").astype(np.int64) // 3
    ends = np.flatnonzero(quarter[1:] != quarter[:-1])
    for end, stop in zip(ends, [*ends[1:], len(days) - 1], strict=True):
        past = slice(max(end - window + 1, 0), end + 1)
        among = ~suspended[end] & admitted[end]
        chosen = _top(_mean(amount[past]), among, share) & _top(_mean(cap[past]), among, share)
        out[end + 1 : stop + 1] = chosen
    return out & admitted


def _mean(values: np.ndarray) -> np.ndarray:
    finite = np.isfinite(values)
    count = finite.sum(0)
    total = np.where(finite, values, 0.0).sum(0)
    return np.divide(total, count, out=np.full(values.shape[1], np.nan), where=count > 0)


def _top(values: np.ndarray, among: np.ndarray, share: float) -> np.ndarray:
    """The highest ``share`` of those that have a value; ties at the bound are all included."""
    ranked = among & np.isfinite(values)
    keep = int(np.ceil(share * ranked.sum()))
    if not keep:
        return np.zeros(len(values), bool)
    bound = np.sort(values[ranked])[-keep]
    return ranked & (values >= bound)
