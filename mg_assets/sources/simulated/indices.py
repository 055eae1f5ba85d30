"""Analogues of the CSI 300, CSI 500 and CSI 1000: membership each June and December, weights by float cap.

The review takes effect on the first trading day after the second Friday of June and December.
Names are ranked by the trailing mean of float cap known the evening before; those listed under
63 days, suspended or under special treatment stay out, and a present member is kept as if its
cap were 12% larger, as the buffers of the real rules do.
"""

import numpy as np

from mg_assets.sources.simulated.settings import SimulationSettings
from mg_assets.sources.simulated.stocks import Stocks

SEASONED = 63  # trading days after listing
MEMORY = 60.0  # trading days, of the trailing mean of float cap
BUFFER = 0.12


def review_days(days: np.ndarray) -> np.ndarray:
    """Whether each day is the first trading day after a second Friday of June or December, bool (D,)."""
    d = np.asarray(days, "datetime64[D]")
    years = np.unique(d.astype("datetime64[Y]"))
    firsts = np.concatenate([(years.astype("datetime64[M]") + m).astype("datetime64[D]") for m in (5, 11)])
    fridays = firsts + (4 - (firsts.astype("int64") + 3) % 7) % 7 + 7  # 1970-01-01 was a Thursday
    rows = np.searchsorted(d, fridays, side="right")
    out = np.zeros(len(d), bool)
    # a Friday before the first day is no review of this history, nor one after the last day
    out[rows[(rows < len(d)) & (fridays >= d[0])]] = True
    return out


class IndexRule:
    """Members of the three indices; a code per stock: 0 none, 1 CSI 300, 2 CSI 500, 3 CSI 1000."""

    def __init__(self, settings: SimulationSettings, stocks: Stocks):
        self.sizes = settings.members
        self.stocks = stocks
        self.cap = stocks.first_ticks * stocks.float_shares
        self.code = np.zeros(settings.stocks, np.int8)

    def review(self, day: int, listed: np.ndarray, excluded: np.ndarray) -> None:
        """Choose members, as of the evening before."""
        seasoned = listed & ~excluded & (self.stocks.list_row < day - SEASONED)
        score = np.log(self.cap)
        code = np.zeros(len(score), np.int8)
        for k, size in enumerate(self.sizes, start=1):
            kept = score + BUFFER * ((self.code > 0) & (self.code <= k))
            kept = np.where(seasoned & (code == 0), kept, -np.inf)
            best = np.argsort(-kept, kind="stable")[:size]
            code[best[np.isfinite(kept[best])]] = k
        self.code = code

    def step(self, listed: np.ndarray, float_cap: np.ndarray) -> None:
        """Drop delisted members and take the day's close into the trailing cap."""
        self.code = np.where(listed, self.code, 0).astype(np.int8)
        self.cap = self.cap + (float_cap - self.cap) / MEMORY
