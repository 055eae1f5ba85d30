"""Make the next part while the present one is worked on."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Part = TypeVar("Part")


def ahead(parts: Iterator[Part]) -> Iterator[Part]:
    """The same parts, each made in a thread while its forerunner is used; one more is in memory."""
    with ThreadPoolExecutor(1) as pool:

        def following() -> list[Part]:
            return [part] if (part := next(parts, None)) is not None else []

        coming = pool.submit(following)
        while made := coming.result():
            coming = pool.submit(following)
            yield made.pop()
