"""A small random generator that kernels carry along: one stock and day, one stream.

The state is one uint64 (SplitMix64), seeded from (seed, date, symbol) alone, so that a stock's day is the same
whichever stocks are simulated beside it, in any order, on any thread.
"""

import datetime as dt
import hashlib
from collections.abc import Iterable

import numpy as np
from numba import njit

STEP = np.uint64(0x9E3779B97F4A7C15)
MIX_1, MIX_2 = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
SHIFT_30, SHIFT_27, SHIFT_31, SHIFT_11 = np.uint64(30), np.uint64(27), np.uint64(31), np.uint64(11)
UNIT = 2.0**-53


def stock_seeds(seed: int, date: dt.date, symbols: Iterable[str]) -> np.ndarray:
    """One generator state per stock, (S,) uint64, from a hash of the seed, the date and the symbol."""
    prefix = f"{seed}|{date.isoformat()}|"
    digests = b"".join(hashlib.blake2b((prefix + str(s)).encode(), digest_size=8).digest() for s in symbols)
    return np.frombuffer(digests, dtype="<u8").astype(np.uint64)


@njit(nogil=True)
def uniform(rng):
    """Draw from [0, 1)."""
    rng[0] += STEP
    z = rng[0]
    z = (z ^ (z >> SHIFT_30)) * MIX_1
    z = (z ^ (z >> SHIFT_27)) * MIX_2
    z = z ^ (z >> SHIFT_31)
    return np.float64(z >> SHIFT_11) * UNIT


@njit(nogil=True)
def normal(rng):
    """Draw from the standard normal distribution (Box-Muller)."""
    radius = np.sqrt(-2.0 * np.log(1.0 - uniform(rng)))
    return radius * np.cos(2.0 * np.pi * uniform(rng))


@njit(nogil=True)
def exponential(rng):
    """Draw from the exponential distribution of mean 1."""
    return -np.log(1.0 - uniform(rng))


@njit(nogil=True)
def stochastic_round(rng, x):
    """Round `x` >= 0 down or up at random, keeping its mean."""
    return np.int64(x + uniform(rng))
