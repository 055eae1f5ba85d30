"""A one-layer GRU's last state on a CPU, faster than torch's and with gradients of its own.

With r, z, n the reset, update and new gates, in torch's order and naming:

    r = sigmoid(W_ir x + b_ir + W_hr h + b_hr)
    z = sigmoid(W_iz x + b_iz + W_hz h + b_hz)
    n = tanh(W_in x + b_in + r * (W_hn h + b_hn))
    h' = (1 - z) * n + z * h

1. Rows are taken in tiles of :data:`TILE`, so that a tile's gates and the weights stay in the first caches, and
   each tile runs through all steps in one compiled call (numba).
2. Matrix products are blocks of rows x vectors held in registers (:func:`_block`, LLVM's vector types). One side is
   read value by value and may lie anywhere with any stride: the window itself, or its transpose for the
   weights' gradients. The other is packed: gates one after another, units padded to whole vectors.
3. Forward keeps the states alone, 4 bytes a unit, row and step.
4. Backward walks the steps in reverse, makes the gates again from the states (cheaper than the memory that
   keeping them would move), turns them into their gradients in the same pass and adds up the weights' gradients.

torch's own layer makes some ten passes over memory per step, and the library below it leaves half of a core with
AVX-512 idle on matrices this narrow. benchmarks/gru.py has the figures;
``tests/mg_models/test_model_fused_gru.py`` holds the two to each other.
"""

from collections.abc import Callable
from typing import Any, TypeGuard

import numpy as np
import torch
from llvmlite import binding, ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic
from torch import Tensor, nn

TILE = 48
"""Rows; 32 to 96 differ by a few percent. A multiple of 8."""

_FEATURES = binding.get_host_cpu_features()
_X86 = "x86" in binding.get_process_triple() or "amd64" in binding.get_process_triple()
# what fits in the registers: 32 of 512 bits with AVX-512, 16 of 256 on other x86, 32 of 128 on Arm
LANES = 16 if _FEATURES.get("avx512f") else 8 if _X86 else 4
_ROWS = 4 if _X86 and LANES == 8 else 8

_FLOAT, _INT = ir.FloatType(), ir.IntType(32)
_VECTOR = ir.VectorType(_FLOAT, LANES)


def _block(rows: int, vectors: int) -> Callable[..., None]:
    """An intrinsic for ``out = start + a @ b`` of ``rows`` x ``vectors * LANES`` values, all float32.

    Each matrix is an array, the offset of its first value and its strides in values; ``b``, ``start`` and ``out``
    are contiguous along their columns. A row stride of 0 gives every row of ``start`` the same values.
    """

    @intrinsic
    def block(typingctx, a, a_at, a_row, a_depth, b, b_at, b_depth, start, s_at, s_row, out, o_at, o_row, depth):
        n = types.int64

        def generate(context, builder, signature, args):
            def array(i):
                return cgutils.create_struct_proxy(signature.args[i])(context, builder, value=args[i]).data

            def at(base, *terms):
                for term in terms:
                    base = builder.gep(base, [term])
                return base

            def vector(base, *terms):
                loaded = builder.load(builder.bitcast(at(base, *terms), _VECTOR.as_pointer()))
                loaded.align = 4
                return loaded

            _, a_at, a_row, a_depth, _, b_at, b_depth, _, s_at, s_row, _, o_at, o_row, depth = args
            number, blocks = depth.type, [(i, v) for i in range(rows) for v in range(vectors)]
            constants = [ir.Constant(number, k) for k in range(max(rows, vectors * LANES) + 1)]
            lane = [constants[v * LANES] for v in range(vectors)]
            a_rows = [at(array(0), a_at, builder.mul(a_row, constants[i])) for i in range(rows)]
            s_rows = [at(array(7), s_at, builder.mul(s_row, constants[i])) for i in range(rows)]
            o_rows = [at(array(10), o_at, builder.mul(o_row, constants[i])) for i in range(rows)]
            first = {(i, v): vector(s_rows[i], lane[v]) for i, v in blocks}
            b_first = at(array(4), b_at)
            multiply_add = cgutils.get_or_insert_function(
                builder.module, ir.FunctionType(_VECTOR, [_VECTOR] * 3), f"llvm.fmuladd.v{LANES}f32"
            )
            nothing = ir.Constant(_VECTOR, ir.Undefined)
            everywhere = ir.Constant(ir.VectorType(_INT, LANES), [0] * LANES)

            before, body, after = builder.block, builder.append_basic_block("depth"), builder.append_basic_block("end")
            builder.cbranch(builder.icmp_signed(">", depth, constants[0]), body, after)
            builder.position_at_end(body)
            k = builder.phi(number)
            k.add_incoming(constants[0], before)
            sums = {}
            for i, v in blocks:
                sums[i, v] = builder.phi(_VECTOR)
                sums[i, v].add_incoming(first[i, v], before)
            along_a, along_b = builder.mul(k, a_depth), builder.mul(k, b_depth)
            columns = [vector(b_first, along_b, lane[v]) for v in range(vectors)]
            added = {}
            for i in range(rows):
                value = builder.load(at(a_rows[i], along_a))
                one = builder.insert_element(nothing, value, ir.Constant(_INT, 0))
                spread = builder.shuffle_vector(one, nothing, everywhere)
                for v in range(vectors):
                    added[i, v] = builder.call(multiply_add, [spread, columns[v], sums[i, v]])
            following = builder.add(k, constants[1])
            k.add_incoming(following, body)
            for key in blocks:
                sums[key].add_incoming(added[key], body)
            builder.cbranch(builder.icmp_signed("<", following, depth), body, after)

            builder.position_at_end(after)
            results = {}
            for key in blocks:
                results[key] = builder.phi(_VECTOR)
                results[key].add_incoming(first[key], before)
                results[key].add_incoming(added[key], body)
            for i, v in blocks:
                place = builder.bitcast(at(o_rows[i], lane[v]), _VECTOR.as_pointer())
                builder.store(results[i, v], place).align = 4
            return context.get_dummy_value()

        return types.void(a, n, n, n, b, n, n, start, n, n, out, n, n, n), generate

    return block


_wide, _narrow = _block(_ROWS, 2), _block(_ROWS, 1)
_wide_rest, _narrow_rest = _block(4, 2), _block(4, 1)


@njit(cache=True, nogil=True)
def _multiply(a, a_at, a_row, a_depth, b, b_at, b_depth, start, s_at, s_row, out, o_at, o_row, rows, columns, depth):
    """``out = start + a @ b`` of any size: rows a multiple of 4, columns of LANES; see :func:`_block`."""
    for j in range(0, columns, 2 * LANES):
        bj, sj, oj = b_at + j, s_at + j, o_at + j
        whole = rows - rows % _ROWS
        if columns - j > LANES:
            for i in range(0, whole, _ROWS):
                _wide(a, a_at + i * a_row, a_row, a_depth, b, bj, b_depth, start, sj + i * s_row, s_row, out,
                      oj + i * o_row, o_row, depth)  # fmt: skip
            for i in range(whole, rows, 4):
                _wide_rest(a, a_at + i * a_row, a_row, a_depth, b, bj, b_depth, start, sj + i * s_row, s_row, out,
                           oj + i * o_row, o_row, depth)  # fmt: skip
        else:
            for i in range(0, whole, _ROWS):
                _narrow(a, a_at + i * a_row, a_row, a_depth, b, bj, b_depth, start, sj + i * s_row, s_row, out,
                        oj + i * o_row, o_row, depth)  # fmt: skip
            for i in range(whole, rows, 4):
                _narrow_rest(a, a_at + i * a_row, a_row, a_depth, b, bj, b_depth, start, sj + i * s_row, s_row, out,
                             oj + i * o_row, o_row, depth)  # fmt: skip


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


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
def _new_state(gates, before, after):
    """Gates' inputs, flat ``(4 * size,)``: r, z, n without its inner part, that part; states ``(size,)``."""
    size = len(before)
    for i in range(size):
        reset = _sigmoid(gates[i])
        update = _sigmoid(gates[size + i])
        new = _tanh(gates[2 * size + i] + reset * gates[3 * size + i])
        after[i] = new + update * (before[i] - new)


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
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


@njit(cache=True, nogil=True)
def _gates(x, x_at, features, state, hidden, w_x, w_h, bias, gates):
    """Gates' inputs of a tile, ``(4, TILE, padded)``, from its rows of a step and its state."""
    padded = state.shape[1]
    size = TILE * padded
    for gate in range(3):
        _multiply(x, x_at, features, 1, w_x, gate * features * padded, padded, bias, gate * padded, 0, gates,
                  gate * size, padded, TILE, padded, features)  # fmt: skip
    for gate in range(2):
        _multiply(state, 0, padded, 1, w_h, gate * hidden * padded, padded, gates, gate * size, padded, gates,
                  gate * size, padded, TILE, padded, hidden)  # fmt: skip
    _multiply(state, 0, padded, 1, w_h, 2 * hidden * padded, padded, bias, 3 * padded, 0, gates, 3 * size, padded,
              TILE, padded, hidden)  # fmt: skip


@njit(cache=True, nogil=True)
def _forward(window, w_x, w_h, bias, states, out):
    """Last states of all rows; ``states (tiles, kept, TILE, padded)`` holds them step by step, in turns if fewer."""
    steps, rows, features = window.shape
    hidden, padded = out.shape[1], states.shape[3]
    kept = states.shape[1]
    gates = np.empty((4, TILE, padded), np.float32)
    zero, last = np.zeros((TILE, padded), np.float32), np.zeros((TILE, features), np.float32)
    for tile in range(-(-rows // TILE)):
        begin = tile * TILE
        count = min(TILE, rows - begin)
        keep = states[tile if len(states) > 1 else 0]
        before = zero
        for t in range(steps):
            after = keep[t % kept]
            if count == TILE:
                _gates(window, (t * rows + begin) * features, features, before, hidden, w_x, w_h, bias, gates)
            else:
                last[:count] = window[t, begin:]
                _gates(last, 0, features, before, hidden, w_x, w_h, bias, gates)
            _new_state(gates.reshape(-1), before.reshape(-1), after.reshape(-1))
            before = after
        out[begin : begin + count] = before[:count, :hidden]


@njit(cache=True, nogil=True)
def _backward(window, w_x, w_h, w_back, bias, states, grad):
    """Weights' gradients, float64, of the gradient ``(rows, hidden)`` of the last states.

    Of W_x ``(3, features, padded)``, of W_h ``(3, hidden, padded)`` and of the biases ``(4, padded)``: r, z, n, inner.
    """
    steps, rows, features = window.shape
    hidden, padded = grad.shape[1], states.shape[3]
    wide, high, size = -(-features // 4) * 4, -(-hidden // 4) * 4, TILE * padded
    all_x, all_h = np.zeros((3, features, padded)), np.zeros((3, hidden, padded))
    all_bias = np.zeros((4, padded))
    gates, d_state = np.empty((4, TILE, padded), np.float32), np.empty((TILE, padded), np.float32)
    zero, one = np.zeros((TILE, padded), np.float32), np.ones(1, np.float32)
    # a few values more, for the last row is read past its end where features are no multiple of 4
    last = np.zeros(TILE * features + 4, np.float32)
    for tile in range(-(-rows // TILE)):
        begin = tile * TILE
        count = min(TILE, rows - begin)
        d_x, d_h = np.zeros((3, wide, padded), np.float32), np.zeros((3, high, padded), np.float32)
        d_bias = np.zeros((4, 4, padded), np.float32)
        d_state[:] = 0.0
        d_state[:count, :hidden] = grad[begin : begin + count]
        for t in range(steps - 1, -1, -1):
            x, x_at = window.reshape(-1), (t * rows + begin) * features
            if count < TILE or (t == steps - 1 and begin + count == rows):
                last[: count * features] = x[x_at : x_at + count * features]
                x, x_at = last, 0
            before = states[tile, t - 1] if t else zero
            _gates(x, x_at, features, before, hidden, w_x, w_h, bias, gates)
            _gate_gradients(gates.reshape(-1), before.reshape(-1), d_state.reshape(-1))
            for gate in range(4):
                _multiply(one, 0, 0, 0, gates, gate * size, padded, d_bias, gate * 4 * padded, padded, d_bias,
                          gate * 4 * padded, padded, 4, padded, TILE)  # fmt: skip
            for gate in range(3):
                _multiply(x, x_at, 1, features, gates, gate * size, padded, d_x, gate * wide * padded, padded, d_x,
                          gate * wide * padded, padded, wide, padded, TILE)  # fmt: skip
                of = (gate if gate < 2 else 3) * size
                if t:
                    _multiply(before, 0, 1, padded, gates, of, padded, d_h, gate * high * padded, padded, d_h,
                              gate * high * padded, padded, high, padded, TILE)  # fmt: skip
                    _multiply(gates, of, padded, 1, w_back, gate * hidden * padded, padded, d_state, 0, padded, d_state,
                              0, padded, TILE, padded, hidden)  # fmt: skip
        all_x += d_x[:, :features]
        all_h += d_h[:, :hidden]
        all_bias += d_bias[:, 0]
    return all_x, all_h, all_bias


class _LastState(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, window: Tensor, w_ih: Tensor, w_hh: Tensor, b_ih: Tensor, b_hh: Tensor) -> Tensor:
        steps, rows, _ = window.shape
        hidden = w_hh.shape[1]
        padded = -(-hidden // LANES) * LANES
        weights = _packed(w_ih, w_hh, b_ih, b_hh, padded)
        keep = any(ctx.needs_input_grad[1:])
        states = np.empty((-(-rows // TILE) if keep else 1, steps if keep else 2, TILE, padded), np.float32)
        out = window.new_empty(rows, hidden)
        values = window.detach().contiguous()
        _forward(values.numpy(), *weights, states, out.numpy())
        if keep:
            ctx.states, ctx.weights = states, weights
            ctx.save_for_backward(values, w_hh)
        return out

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        window, w_hh = ctx.saved_tensors
        hidden = w_hh.shape[1]
        w_x, w_h, bias = ctx.weights
        back = np.zeros_like(w_h)
        back[:, :, :hidden] = w_hh.detach().numpy().reshape(3, hidden, hidden)
        states, ctx.states = ctx.states, None  # the graph may outlive this pass
        if states is None:
            raise RuntimeError("the fused GRU keeps its states for one backward pass; run forward again for another")
        g_x, g_h, g_bias = _backward(
            window.numpy(), w_x, w_h, back, bias, states, np.ascontiguousarray(grads[0].numpy())
        )
        of_inner = g_bias[[0, 1, 3]]
        return None, *(
            torch.from_numpy(np.ascontiguousarray(g, np.float32))
            for g in (
                g_x[..., :hidden].transpose(0, 2, 1).reshape(3 * hidden, -1),
                g_h[..., :hidden].transpose(0, 2, 1).reshape(3 * hidden, hidden),
                g_bias[:3, :hidden].reshape(-1),
                of_inner[:, :hidden].reshape(-1),
            )
        )


def _packed(
    w_ih: Tensor, w_hh: Tensor, b_ih: Tensor, b_hh: Tensor, padded: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """W_x ``(3, features, padded)``, W_h ``(3, hidden, padded)``, and r's, z's, n's and the inner part's biases."""
    hidden = w_hh.shape[1]
    w_x, w_h = (np.zeros((3, w.shape[1], padded), np.float32) for w in (w_ih, w_hh))
    for packed, w in ((w_x, w_ih), (w_h, w_hh)):
        packed[:, :, :hidden] = w.detach().numpy().reshape(3, hidden, -1).transpose(0, 2, 1)
    bias = np.zeros((4, padded), np.float32)
    outer, inner = (b.detach().numpy().reshape(3, hidden) for b in (b_ih, b_hh))
    bias[:3, :hidden] = outer
    bias[:2, :hidden] += inner[:2]
    bias[3, :hidden] = inner[2]
    return w_x, w_h, bias


def fits(gru: nn.Module, window: Tensor) -> TypeGuard[nn.GRU]:
    """Whether :func:`fused_last_state` can stand for the layer: CPU, float32, one layer, one direction."""
    return (
        isinstance(gru, nn.GRU)
        and gru.num_layers == 1
        and not gru.bidirectional
        and gru.bias
        and window.device.type == "cpu"
        and window.dtype == torch.float32
        and not window.requires_grad
    )


def fused_last_state(gru: nn.GRU, window: Tensor) -> Tensor:
    """The state after the last step, ``(rows, hidden)``, of ``(steps, rows, features)``.

    Gradients reach the layer's weights, not the window.
    """
    return _LastState.apply(window, gru.weight_ih_l0, gru.weight_hh_l0, gru.bias_ih_l0, gru.bias_hh_l0)
