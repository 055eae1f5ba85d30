"""Keep the memory that a batch frees for the next one.

A batch of training takes and frees some hundred megabytes. glibc hands arrays of that size back to the system at once,
and the system clears every page when they are allocated again: on ``hf_gru`` 6,000 page faults a batch and a tenth to a
quarter of its CPU time.
"""

import ctypes
import functools
import sys

_MMAP_THRESHOLD, _TRIM_THRESHOLD = -3, -1  # of malloc.h
_LARGEST = 32 << 20  # glibc takes no more
_KEPT = 256 << 20


@functools.cache
def reuse_freed_memory() -> bool:
    """Let this process keep up to 256 MB of freed memory; False where the C library is not glibc."""
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return mallopt is not None and bool(mallopt(_MMAP_THRESHOLD, _LARGEST)) and bool(mallopt(_TRIM_THRESHOLD, _KEPT))
