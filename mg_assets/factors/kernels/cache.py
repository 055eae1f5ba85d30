"""numba's cache of the factor kernels, keyed by every source of the package: kernels use each other across files."""

from pathlib import Path

from mg_assets.market import schema
from mg_models.kernel_cache import cached_njit

kernel = cached_njit(Path(__file__).parents[1], schema.__file__)
"""``numba.njit(cache=True, ...)`` for this package: ``@kernel(nogil=True)``."""
