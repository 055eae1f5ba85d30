"""Compiled loops of a one-layer GRU over windows that are read where they lie in a panel.

1. Rows are taken in tiles of :data:`~mg_models.data.window_kernels.TILE`, so that a tile's gates and the weights stay
   in the first caches, and each tile runs through all steps in one compiled call (numba). A tile's values of a step
   are read from the panel, scaled on the way (:mod:`mg_models.data.window_kernels`).
2. Matrix products are blocks of vectors held in registers (:mod:`mg_models.simd`). A tile, or its transpose for the
   weights' gradients, is read value by value; weights are packed, gates one after another, units padded to whole
   vectors.
3. Forward keeps the states alone, 4 bytes a unit, row and step.
4. Backward walks the steps in reverse, recomputes the gates from the states (cheaper than the memory that keeping
   them would move), turns them into their gradients in the same pass and adds up the weights' gradients.
"""

import numpy as np
from numba import njit

from mg_models import simd
from mg_models.data import window_kernels
from mg_models.data.window_kernels import TILE, ZERO, last_values, prefetch_step, read_step
from mg_models.kernel_cache import cached_njit
from mg_models.simd import multiply, prefetch

kernel = cached_njit(__file__, window_kernels.__file__, simd.__file__)

# Rational approximation of tanh on [-7.905, 7.905], the float32 one of the Eigen library: error
# below 4e-7, and unlike libm's it vectorises.
_BOUND = np.float32(7.90531110763549805)
_P = tuple(
    np.float32(c)
    for c in (
        -2.76076847742355e-16,
        2.00018790482477e-13,
        -8.60467152213735e-11,
        5.12229709037114e-08,
        1.48572235717979e-05,
        6.37261928875436e-04,
        4.89352455891786e-03,
    )
)
_Q = tuple(
    np.float32(c) for c in (1.19825839466702e-06, 1.18534705686654e-04, 2.26843463243900e-03, 4.89352518554385e-03)
)
_HALF, _ONE = np.float32(0.5), np.float32(1.0)


# numpy's error model: Python's would test every division for zero, and the loops would not vectorise
@njit(inline="always", fastmath=True, error_model="numpy")
def _tanh(x):
    x = min(max(x, -_BOUND), _BOUND)
    s = x * x
    p = ((((((_P[0] * s + _P[1]) * s + _P[2]) * s + _P[3]) * s + _P[4]) * s + _P[5]) * s + _P[6]) * x
    q = ((_Q[0] * s + _Q[1]) * s + _Q[2]) * s + _Q[3]
    return p / q


@njit(inline="always", fastmath=True, error_model="numpy")
def _sigmoid(x):
    return _HALF * _tanh(_HALF * x) + _HALF


@njit(nogil=True, fastmath=True, error_model="numpy")
def _new_state(gates, before, after):
    """Gates' inputs, flat ``(4 * size,)``: r, z, n without its inner part, that part; states ``(size,)``."""
    size = len(before)
    for i in range(size):
        reset = _sigmoid(gates[i])
        update = _sigmoid(gates[size + i])
        new = _tanh(gates[2 * size + i] + reset * gates[3 * size + i])
        after[i] = new + update * (before[i] - new)


@njit(nogil=True, fastmath=True, error_model="numpy")
def _gate_gradients(gates, before, grad):
    """Gates' inputs become their gradients, the inner part's last; ``grad`` of the state is scaled by z."""
    size = len(before)
    for i in range(size):
        reset = _sigmoid(gates[i])
        update = _sigmoid(gates[size + i])
        inner = gates[3 * size + i]
        new = _tanh(gates[2 * size + i] + reset * inner)
        d_new = grad[i] * (_ONE - update) * (_ONE - new * new)
        gates[i] = d_new * inner * reset * (_ONE - reset)
        gates[size + i] = grad[i] * (before[i] - new) * update * (_ONE - update)
        gates[2 * size + i] = d_new
        gates[3 * size + i] = d_new * reset
        grad[i] *= update


@njit(nogil=True)
def _gates(x, features, state, hidden, w_x, w_h, bias, gates):
    """Gates' inputs of a tile, ``(4, TILE, padded)``, from its values of a step and its state."""
    padded = state.shape[1]
    size = TILE * padded
    for gate in range(3):
        multiply(x, 0, features, 1, w_x, gate * features * padded, padded, bias, gate * padded, 0, gates,
                 gate * size, padded, TILE, padded, features)  # fmt: skip
    for gate in range(2):
        multiply(state, 0, padded, 1, w_h, gate * hidden * padded, padded, gates, gate * size, padded, gates,
                 gate * size, padded, TILE, padded, hidden)  # fmt: skip
    multiply(state, 0, padded, 1, w_h, 2 * hidden * padded, padded, bias, 3 * padded, 0, gates, 3 * size, padded,
             TILE, padded, hidden)  # fmt: skip


@njit(nogil=True)
def _add(part, total):
    """A tile's gradients to the sum of all, which has no more rows than they."""
    for i in range(total.shape[0]):
        for j in range(total.shape[1]):
            for k in range(total.shape[2]):
                total[i, j, k] += part[i, j, k]


@kernel(nogil=True)
def forward(windows, w_x, w_h, bias, states, out):
    """Last states of all rows; ``states (tiles, kept, TILE, padded)`` holds them step by step, by turns if fewer.

    ``windows`` is :attr:`mg_models.data.panel_windows.WindowView.arrays`, here and below.
    """
    rows, hidden = out.shape
    features, padded, kept = w_x.shape[1], states.shape[3], states.shape[1]
    steps = windows.rows * windows.per_day
    gates = np.empty((4, TILE, padded), np.float32)
    zero, x = np.zeros((TILE, padded), np.float32), np.zeros(TILE * features, np.float32)
    last = np.empty((TILE, features), np.float32)
    for tile in range(-(-rows // TILE)):
        begin = tile * TILE
        count = min(TILE, rows - begin)
        last_values(windows, begin, count, last)
        keep = states[tile if len(states) > 1 else 0]
        before = zero
        for t in range(steps):
            after = keep[t % kept]
            read_step(windows, begin, count, t, last, x, 0)
            prefetch_step(windows, begin, count, t + 1)
            _gates(x, features, before, hidden, w_x, w_h, bias, gates)
            _new_state(gates.reshape(-1), before.reshape(-1), after.reshape(-1))
            before = after
        for i in range(count):
            for k in range(hidden):
                out[begin + i, k] = before[i, k]


@kernel(nogil=True)
def backward(windows, w_x, w_h, w_back, bias, states, grad):
    """The weights' gradients from the gradient ``(rows, hidden)`` of the last states.

    Returns
    -------
    tuple of ndarray of float64
        Of W_x ``(3, features, padded)``, of W_h ``(3, hidden, padded)`` and of the biases ``(4, padded)``: r, z, n,
        inner.
    """
    rows, hidden = grad.shape
    features, padded = w_x.shape[1], states.shape[3]
    steps = windows.rows * windows.per_day
    wide, high, size = -(-features // 4) * 4, -(-hidden // 4) * 4, TILE * padded
    all_x, all_h = np.zeros((3, features, padded)), np.zeros((3, hidden, padded))
    all_bias = np.zeros((4, 1, padded))
    gates, d_state = np.empty((4, TILE, padded), np.float32), np.empty((TILE, padded), np.float32)
    zero, one = np.zeros((TILE, padded), np.float32), np.ones(1, np.float32)
    # a few values more, for the last row is read past its end where features are no multiple of 4
    x, last = np.zeros(TILE * features + 4, np.float32), np.empty((TILE, features), np.float32)
    for tile in range(-(-rows // TILE)):
        begin = tile * TILE
        count = min(TILE, rows - begin)
        last_values(windows, begin, count, last)
        d_x, d_h = np.zeros((3, wide, padded), np.float32), np.zeros((3, high, padded), np.float32)
        d_bias = np.zeros((4, 4, padded), np.float32)
        d_state[:] = ZERO
        for i in range(count):
            for k in range(hidden):
                d_state[i, k] = grad[begin + i, k]
        for t in range(steps - 1, -1, -1):
            read_step(windows, begin, count, t, last, x, 0)
            prefetch_step(windows, begin, count, t - 1)
            before = states[tile, t - 1] if t else zero
            if t > 1:
                prefetch(states.reshape(-1), (tile * steps + t - 2) * size, size)
            _gates(x, features, before, hidden, w_x, w_h, bias, gates)
            _gate_gradients(gates.reshape(-1), before.reshape(-1), d_state.reshape(-1))
            for gate in range(4):
                multiply(one, 0, 0, 0, gates, gate * size, padded, d_bias, gate * 4 * padded, padded, d_bias,
                         gate * 4 * padded, padded, 4, padded, TILE)  # fmt: skip
            for gate in range(3):
                multiply(x, 0, 1, features, gates, gate * size, padded, d_x, gate * wide * padded, padded, d_x,
                         gate * wide * padded, padded, wide, padded, TILE)  # fmt: skip
                of = (gate if gate < 2 else 3) * size
                if t:
                    multiply(before, 0, 1, padded, gates, of, padded, d_h, gate * high * padded, padded, d_h,
                             gate * high * padded, padded, high, padded, TILE)  # fmt: skip
                    multiply(gates, of, padded, 1, w_back, gate * hidden * padded, padded, d_state, 0, padded, d_state,
                             0, padded, TILE, padded, hidden)  # fmt: skip
        _add(d_x, all_x)
        _add(d_h, all_h)
        _add(d_bias, all_bias)
    return all_x, all_h, all_bias[:, 0]
