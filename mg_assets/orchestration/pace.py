"""How long what is left of a step takes, at the pace so far."""

import math
import time
from collections.abc import Callable


class Pace:
    """Seconds left of a step, by its reports.

    The first report is no pace: before it kernels are compiled, and what all partitions share is read.

    Parameters
    ----------
    clock : callable
        Gives seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic):
        self._clock = clock
        self._first: tuple[float, int] | None = None

    def left(self, done: int, total: int) -> float:
        """Seconds for those of ``total`` that are not done; NaN at the first report, unless that is the last too."""
        now = self._clock()
        if done >= total:
            return 0.0
        if self._first is None:
            self._first = now, done
        began, before = self._first
        return (now - began) / (done - before) * (total - done) if done > before else math.nan
