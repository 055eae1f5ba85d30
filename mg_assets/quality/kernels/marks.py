"""What the scans share: where they mark rows, trading times, and rules of single rows.

``found (R, 1 + E)`` holds for each rule the number of rows that break it, then the first E of them, -1 where fewer.
Helpers of a loop take numbers and return whether a rule is broken: given the arrays, they cost 30 ns a row for 5.
"""

from pathlib import Path

import numpy as np

from mg_assets.quality.suite import EXAMPLES
from mg_models.kernel_cache import cached_njit

MINUTE = 60_000
OPEN, CLOSE = 570 * MINUTE, 900 * MINUTE  # 09:30, 15:00
HALF_DAY = 120  # minutes of each session
AUCTION = 555 * MINUTE  # 09:15
NOON, AFTERNOON = 691 * MINUTE, 780 * MINUTE  # up to 11:30:59.999; 13:00
CLOSED = 905 * MINUTE  # the closing auction's print is before 15:05
AFTER_HOURS = 931 * MINUTE  # fixed-price trades of STAR and ChiNext, 15:05 to 15:30
TICK = 100.0
TOLERANCE = 1e-6  # yuan; float64 prices of four digits are exact to 1e-12


kernel = cached_njit(Path(__file__).parent)
"""``numba.njit(cache=True)`` for the files of this folder, which take code from one another."""


def no_marks(rules: tuple[str, ...]) -> np.ndarray:
    """An empty ``found`` for some rules."""
    found = np.full((len(rules), 1 + EXAMPLES), -1, np.int64)
    found[:, 0] = 0
    return found


@kernel()
def mark(found, rule, row):
    """Count a row that breaks a rule, and keep it among the first."""
    count = found[rule, 0]
    if count < found.shape[1] - 1:
        found[rule, 1 + count] = row
    found[rule, 0] = count + 1


@kernel()
def off_tick(price):
    """Whether a price is not a multiple of 0.01; False for NaN."""
    scaled = price * TICK
    return abs(scaled - np.rint(scaled)) > TOLERANCE * TICK


@kernel()
def outside(price, up, down):
    """Whether a price is beyond its day's limits; False where a limit is NaN."""
    return price > up + TOLERANCE or price < down - TOLERANCE
