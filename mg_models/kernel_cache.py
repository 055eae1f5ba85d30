"""numba's cache on disk, keyed by every source file that a compiled function takes in.

numba ties cached machine code to the one file that holds the function: after an edit of another file, whose functions
or constants it takes in, the old code would be loaded. Values that a function closes over are part of numba's key; so
each cached function is made to close over a checksum of the files. Unlike deleting stale code, that also holds where
the cache lies elsewhere (``NUMBA_CACHE_DIR``, a read-only installation) and where an older process still writes to it.
"""

import functools
import zlib
from collections.abc import Callable
from pathlib import Path
from types import CellType, FunctionType
from typing import Any

from numba import njit


def cached_njit(*sources: str | Path) -> Callable[..., Callable[[Callable[..., Any]], Any]]:
    """A decorator as ``numba.njit(cache=True, ...)``, of functions made of some source files.

    Parameters
    ----------
    *sources : str or Path
        Every file that the functions take code or constants from, their own included; a folder stands for the
        ``.py`` files in it and below.

    Returns
    -------
    callable
        Takes the options of ``numba.njit`` but ``cache``: ``@kernel(nogil=True)``. Its ``sources`` are the paths of
        the files.
    """
    paths = _python_files(*map(str, sources))
    version = _checksum(paths)

    def kernel(**options: Any) -> Callable[[Callable[..., Any]], Any]:
        return lambda function: njit(cache=True, **options)(_closing_over(function, version))

    kernel.sources = paths  # type: ignore[attr-defined]
    return kernel


@functools.cache
def _python_files(*sources: str) -> tuple[Path, ...]:
    return tuple(p for s in sources for p in (sorted(Path(s).rglob("*.py")) if Path(s).is_dir() else [Path(s)]))


@functools.cache
def _checksum(paths: tuple[Path, ...]) -> int:
    return zlib.crc32(b"\0".join(path.read_bytes() for path in paths))


def _closing_over(function: Any, version: int) -> FunctionType:
    """The function with one more closed-over variable, which its code does not read."""
    code = function.__code__.replace(co_freevars=(*function.__code__.co_freevars, "sources_version"))
    closure = (*(function.__closure__ or ()), CellType(version))
    made = FunctionType(code, function.__globals__, function.__name__, function.__defaults__, closure)
    made.__kwdefaults__ = function.__kwdefaults__
    functools.update_wrapper(made, function, updated=())
    return made
