"""Ranges of a loop on several threads: the kernels release the interpreter's lock."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np


def shared_out(work: Callable[[int, int], None], count: int, threads: int) -> None:
    """Run ``work(first, last)`` over ranges that make up ``0..count``, one a thread."""
    if threads <= 1 or count < 2 * threads:
        work(0, count)
        return
    bounds = np.linspace(0, count, threads + 1).astype(int).tolist()
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(work, bounds[:-1], bounds[1:]))
