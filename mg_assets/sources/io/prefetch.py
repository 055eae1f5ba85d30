"""Compute the next item of an iterator in a thread while the present one is used."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Part = TypeVar("Part")


def prefetch(parts: Iterator[Part]) -> Iterator[Part]:
    """Iterate over ``parts``, computing each in a thread while the one before is used; one more is in memory.

    Yields
    ------
    object
        The items of ``parts``, in order.
    """
    with ThreadPoolExecutor(1) as pool:

        def following() -> list[Part]:
            return [part] if (part := next(parts, None)) is not None else []

        coming = pool.submit(following)
        while made := coming.result():
            coming = pool.submit(following)
            yield made.pop()
