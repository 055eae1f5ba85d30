"""Digests of what a model was given, exact to the bit: values, and which days and stocks they belong to."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

HEX = 16


@dataclass(frozen=True)
class Fed:
    """What the networks were fed of one input for one day's predictions.

    Attributes
    ----------
    last : str
        The latest day that the window touches.
    rows : int
        Rows of the panel in the window, before the panel's beginning left out: days, weeks or months.
    stocks : int
        Stocks that took part.
    fingerprint : str
        Of the window's values as the panel holds them, and of the stocks.
    """

    last: str
    rows: int
    stocks: int
    fingerprint: str


def digest(arrays: Iterable[np.ndarray], words: Iterable[str] = ()) -> str:
    """Sixteen hex digits of some arrays' bytes, shapes and types, and of some words."""
    running = hashlib.blake2b(digest_size=HEX // 2)
    for array in arrays:
        running.update(f"{array.dtype.str}{array.shape}".encode())
        running.update(np.ascontiguousarray(array).data)
    running.update("\n".join(words).encode())
    return running.hexdigest()
