"""The universes of the reports by name: index members, what is outside them, and the most traded stocks."""

from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd

from mg_portfolio.arguments import EvaluationError, ascending_days, dense, flags
from mg_portfolio.evaluation.track_metrics import finite_means

UNIVERSES = {
    "all": "all A-shares",
    "csi300": "CSI 300",
    "csi500": "CSI 500",
    "csi800": "CSI 800: CSI 300 and CSI 500",
    "csi1000": "CSI 1000",
    "outside_csi1800": "outside CSI 300, 500 and 1000",
    "cni2000": "CNI 2000: ranks 1,001 to 3,000 by the index's rule",
    "outside_cni3000": "outside CNI 1000 and CNI 2000",
    "top_amount20": "the top 20% by amount",
}
"""Name to meaning. Each is cut further by `mg_portfolio.evaluation.tradable_universe.tradable_next_day`."""

NEEDS = {
    "csi300": ("csi300",),
    "csi500": ("csi500",),
    "csi800": ("csi300", "csi500"),
    "csi1000": ("csi1000",),
    "outside_csi1800": ("csi300", "csi500", "csi1000"),
}
CNI_NEEDS = {"cni2000": ("cni2000",), "outside_cni3000": ("cni1000", "cni2000")}
CNI_BOUNDS = {"cni2000": (1000, 3000), "outside_cni3000": (3000, np.inf)}
"""Ranks above the first and up to the second."""
REVIEW_DAYS = 126
AMOUNT_DAYS = 21
TOP_SHARE = 0.2


def universe_members(
    names: Iterable[str],
    members: Mapping[str, np.ndarray],
    amount: np.ndarray,
    cap: np.ndarray,
    listed: np.ndarray,
    days: np.ndarray,
) -> tuple[dict[str, np.ndarray | None], dict[str, str]]:
    """Masks of named universes, as of each day's close.

    Parameters
    ----------
    names : iterable of str
        Of `UNIVERSES`.
    members : mapping of str to ndarray of bool (D, S)
        Members of ``csi300``, ``csi500``, ``csi1000`` (and ``cni1000``, ``cni2000`` where a source has them).
    amount : ndarray of float (D, S)
        Yuan traded that day; NaN or 0 without trades.
    cap : ndarray of float (D, S)
        Free-float market value, yuan.
    listed : ndarray of bool (D, S)
    days : ndarray of datetime64[D] (D,)

    Returns
    -------
    masks : dict of str to ndarray of bool (D, S) or None
        None for all shares.
    absent : dict of str to str
        Universes that cannot be computed, with the reason.

    Raises
    ------
    EvaluationError
        An unknown name, or arrays of different shapes.

    Notes
    -----
    Source: Haitong 2023 series 88, charts 11 to 13. The report gives no window for the amount: its mean over 21 days,
    as in the common factor of that name. Where no source lists the CNI indices, `cni_ranks` is used instead.
    """
    wanted = list(names)
    unknown = [n for n in wanted if n not in UNIVERSES]
    if unknown:
        raise EvaluationError(f"universes were {unknown}, expected some of {', '.join(UNIVERSES)}")
    listed = flags("listed", listed, np.shape(listed))
    days = ascending_days(days, len(listed))
    members = {n: flags(f"members of {n}", m, listed.shape) for n, m in members.items()}
    masks: dict[str, np.ndarray | None] = {}
    absent: dict[str, str] = {}
    ranks = None
    for name in wanted:
        if name == "all":
            masks[name] = None
        elif name == "top_amount20":
            masks[name] = top_by_amount(amount, listed)
        elif name in NEEDS:
            lacking = _lacking(NEEDS[name], members)
            if lacking:
                absent[name] = f"the source has no members of {', '.join(lacking)}"
            else:
                masks[name] = _index_mask(name, members, listed)
        elif not _lacking(CNI_NEEDS[name], members):
            inside = np.logical_or.reduce([members[n] for n in CNI_NEEDS[name]])
            masks[name] = listed & ~inside if name.startswith("outside") else inside
        else:
            ranks = cni_ranks(amount, cap, listed, days) if ranks is None else ranks
            found = _cni_mask(name, ranks, listed)
            if found.any():
                masks[name] = found
            else:
                absent[name] = f"no day has more than {CNI_BOUNDS[name][0]:,} stocks with a market value and trades"
    return masks, absent


def _lacking(needed: Iterable[str], members: Mapping[str, np.ndarray]) -> list[str]:
    return [n for n in needed if n not in members or not members[n].any()]


def _index_mask(name: str, members: Mapping[str, np.ndarray], listed: np.ndarray) -> np.ndarray:
    """Inside the CSI indices of a universe, or outside them on the days that have members of each."""
    inside = np.logical_or.reduce([members[n] for n in NEEDS[name]])
    if not name.startswith("outside"):
        return inside
    has_members = np.logical_and.reduce([members[n].any(axis=1) for n in NEEDS[name]])[:, None]
    return listed & ~inside & has_members


def _cni_mask(name: str, ranks: np.ndarray, listed: np.ndarray) -> np.ndarray:
    """The ranks of a CNI universe; beyond the last one also what has no rank yet."""
    low, high = CNI_BOUNDS[name]
    found = listed & (ranks > low) & (ranks <= high)
    if name == "outside_cni3000":
        found |= listed & ~np.isfinite(ranks) & np.isfinite(ranks).any(axis=1)[:, None]
    return found


def top_by_amount(amount: np.ndarray, listed: np.ndarray, share: float = TOP_SHARE) -> np.ndarray:
    """Stocks with the highest mean amount of the last 21 days, ``bool (D, S)``; days without trades count as 0."""
    amount = dense("amount", amount)
    listed = flags("listed", listed, amount.shape)
    mean = pd.DataFrame(np.nan_to_num(amount)).rolling(AMOUNT_DAYS, min_periods=1).mean().to_numpy()
    mean = np.where(listed, mean, np.nan)
    rank = pd.DataFrame(mean).rank(axis=1, ascending=False, method="min").to_numpy()
    return rank <= np.ceil(share * listed.sum(axis=1))[:, None]


def cni_ranks(amount: np.ndarray, cap: np.ndarray, listed: np.ndarray, days: np.ndarray) -> np.ndarray:
    """Ranks (1 = largest) of the stocks by the rule of the CNI indices, fixed between reviews.

    ``2/3 * share of free-float value + 1/3 * share of amount``, both means over the 126 sessions before the review; it
    takes effect on the first session of January and of July, and on the first day.

    Parameters
    ----------
    amount : ndarray of float (D, S)
        Yuan traded that day; NaN or 0 without trades.
    cap : ndarray of float (D, S)
        Free-float market value, yuan.
    listed : ndarray of bool (D, S)
    days : ndarray of datetime64[D] (D,)

    Returns
    -------
    ndarray of float64 (D, S)
        NaN for stocks that had no value or trades at the review.

    Notes
    -----
    The part of the published rule that daily bars can give, not the publisher's list: its screens of finances and of
    violations are not in it.
    """
    amount, cap = dense("amount", amount), dense("cap", cap, np.shape(amount))
    half = (days.astype("datetime64[M]").astype(int)) // 6
    starts = np.flatnonzero(np.append(True, half[1:] != half[:-1]))
    out = np.full(amount.shape, np.nan)
    for i, start in enumerate(starts):
        end = starts[i + 1] if i + 1 < len(starts) else len(days)
        window = slice(max(start - REVIEW_DAYS, 0), max(start, 1))  # ends the day before; the first day has its own
        value, traded = (finite_means(a[window]) for a in (cap, amount))
        score = 2 / 3 * value / max(np.nansum(value), 1e-300) + 1 / 3 * traded / max(np.nansum(traded), 1e-300)
        score = np.where((score > 0) & listed[window].any(axis=0), score, np.nan)
        out[start:end] = pd.Series(score).rank(ascending=False, method="min").to_numpy()
    return out
