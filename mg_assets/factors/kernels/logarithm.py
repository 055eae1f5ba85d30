"""Natural logarithm of many positive numbers: the C library's formula without its branches, so that loops vectorise.

Accurate to 1 unit in the last place for normal numbers; about a quarter of the time of ``math.log`` per number.
Source of the polynomial: Sun's fdlibm, ``e_log.c``.
"""

from typing import Any

import numpy as np
from numba import types
from numba.extending import intrinsic

from mg_assets.factors.kernels.cache import kernel

_intrinsic: Any = intrinsic  # its own type counts the typing context among the arguments

_SQRT_HALF = 0x3FE6A09E667F3BCD  # bits of sqrt(1/2): mantissas lie in [sqrt(1/2), sqrt(2))
_ONE = 0x3FF0000000000000
_MANTISSA = 0x000FFFFFFFFFFFFF
_LN2_HIGH = 6.93147180369123816490e-01
_LN2_LOW = 1.90821492927058770002e-10


@_intrinsic
def _bits(typingctx, x):
    def generate(context, builder, signature, args):
        return builder.bitcast(args[0], context.get_value_type(types.int64))

    return types.int64(types.float64), generate


@_intrinsic
def _float(typingctx, x):
    def generate(context, builder, signature, args):
        return builder.bitcast(args[0], context.get_value_type(types.float64))

    return types.float64(types.int64), generate


@kernel(nogil=True, inline="always")
def _ln(x):
    shifted = _bits(x) + (_ONE - _SQRT_HALF)
    k = np.float64((shifted >> 52) - 0x3FF)
    f = _float((shifted & _MANTISSA) + _SQRT_HALF) - 1.0
    half = 0.5 * f * f
    s = f / (2.0 + f)
    z = s * s
    w = z * z
    even = w * (3.999999999940941908e-01 + w * (2.222219843214978396e-01 + w * 1.531383769920937332e-01))
    odd = z * (
        6.666666666666735130e-01
        + w * (2.857142874366239149e-01 + w * (1.818357216161805012e-01 + w * 1.479819860511658591e-01))
    )
    return s * (half + even + odd) + k * _LN2_LOW - half + f + k * _LN2_HIGH


@kernel(nogil=True, error_model="numpy")
def logs_in_place(values):
    """Replace positive normal numbers by their logarithms, and all others by -inf."""
    for i in range(len(values)):
        x = values[i]
        values[i] = _ln(x) if x > 0.0 else -np.inf
