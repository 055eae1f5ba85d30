"""A small cache of costly results that threads share: each is computed once however many ask for it at a time."""

import threading
from collections.abc import Callable, Hashable
from typing import Any

from cachetools import LRUCache, cached


def compute_once(
    maxsize: int, size_of: Callable[[Any], int] | None = None
) -> Callable[[Hashable, Callable[[], Any]], Any]:
    """Make a cache of the most recently used results.

    Parameters
    ----------
    maxsize : int
        Sum of the sizes of the results that are kept.
    size_of : callable, optional
        Size of a result, at most ``maxsize``; by default each counts 1.

    Returns
    -------
    callable
        ``get(key, compute)``: the result under ``key``, from ``compute()`` where it is not cached. Threads that ask for
        a key that is being computed wait for it; an exception is raised to its caller and not cached.
    """

    @cached(LRUCache(maxsize, size_of), key=lambda key, compute: key, condition=threading.Condition())
    def get(key: Hashable, compute: Callable[[], Any]) -> Any:
        return compute()

    return get
