"""Random numbers by (seed, stream, day): any day can be drawn alone, in any order."""

from enum import IntEnum

import numpy as np


class RandomStream(IntEnum):
    """What the numbers are for; every stream is independent of the others."""

    STOCKS = 0
    FACTORS = 1
    RETURNS = 2
    PRICES = 3
    VOLUME = 4
    STATUS = 5
    ACTIONS = 6
    FUNDAMENTALS = 7
    CONSENSUS = 8


def generator(seed: int, stream: RandomStream, day: int = 0) -> np.random.Generator:
    """Make the generator of one stream on one day (or year, where a stream counts years).

    Returns
    -------
    Generator

    Notes
    -----
    Philox is counter-based: the day is the counter's highest word, so that streams
    never overlap, and making one costs 7 microseconds (a ``SeedSequence`` costs more).
    """
    return np.random.Generator(np.random.Philox(key=[seed, int(stream)], counter=[0, 0, 0, day]))
