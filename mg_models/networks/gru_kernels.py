"""Compiled loops under the networks: windows read where they lie in a panel, and a GRU over them.

1. Rows are taken in tiles of :data:`TILE`, so that a tile's gates and the weights stay in the first caches, and
   each tile runs through all steps in one compiled call (numba). A tile's values of a step are read from the panel,
   scaled on the way (:func:`_read`): no window is ever whole in memory.
2. Matrix products are blocks of rows x vectors held in registers (:func:`_block`, LLVM's vector types). One side is
   read value by value and may lie anywhere with any stride: a tile, or its transpose for the weights' gradients. The
   other is packed: gates one after another, units padded to whole vectors.
3. Forward keeps the states alone, 4 bytes a unit, row and step.
4. Backward walks the steps in reverse, makes the gates again from the states (cheaper than the memory that
   keeping them would move), turns them into their gradients in the same pass and adds up the weights' gradients.

All of them stand in one file, for numba's cache does not notice a change in another.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from llvmlite import binding, ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

TILE = 48
"""Rows; 32 to 96 differ by a few percent. A multiple of 8."""

_FEATURES = binding.get_host_cpu_features()
_X86 = "x86" in binding.get_process_triple() or "amd64" in binding.get_process_triple()
# what fits in the registers: 32 of 512 bits with AVX-512, 16 of 256 on other x86, 32 of 128 on Arm
LANES = 16 if _FEATURES.get("avx512f") else 8 if _X86 else 4
_ROWS = 4 if _X86 and LANES == 8 else 8

_FLOAT, _INT = ir.FloatType(), ir.IntType(32)
_VECTOR = ir.VectorType(_FLOAT, LANES)


class Arrays(NamedTuple):
    """What the loops below take of a :class:`mg_models.data.windows.Section`, where the fields are told.

    ``run`` says of each row how many from it on stand side by side in the panel; ``mean`` and ``inverse`` hold
    each step's values once for each of :data:`LANES` rows.
    """

    values: np.ndarray
    today: np.ndarray
    day: np.ndarray
    end: np.ndarray
    stock: np.ndarray
    owner: np.ndarray
    run: np.ndarray
    mean: np.ndarray
    inverse: np.ndarray
    rows: int
    per_day: int
    clip: np.float32


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
_ZERO, _HALF, _ONE = np.float32(0.0), np.float32(0.5), np.float32(1.0)


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
def _gates(x, features, state, hidden, w_x, w_h, bias, gates):
    """Gates' inputs of a tile, ``(4, TILE, padded)``, from its values of a step and its state."""
    padded = state.shape[1]
    size = TILE * padded
    for gate in range(3):
        _multiply(x, 0, features, 1, w_x, gate * features * padded, padded, bias, gate * padded, 0, gates,
                  gate * size, padded, TILE, padded, features)  # fmt: skip
    for gate in range(2):
        _multiply(state, 0, padded, 1, w_h, gate * hidden * padded, padded, gates, gate * size, padded, gates,
                  gate * size, padded, TILE, padded, hidden)  # fmt: skip
    _multiply(state, 0, padded, 1, w_h, 2 * hidden * padded, padded, bias, 3 * padded, 0, gates, 3 * size, padded,
              TILE, padded, hidden)  # fmt: skip


def _copy(scaled: bool) -> Callable[..., None]:
    """An intrinsic for ``count`` values side by side, vector by vector, the last one masked; not finite ones become 0.

    Each array is flat float32 and comes with the offset of its first value. ``scaled``: not the value ``x`` but
    ``(x / last - mean) * inverse`` within ``clip``.
    """

    def generate(context, builder, signature, args):
        def data(i):
            return cgutils.create_struct_proxy(signature.args[i])(context, builder, value=args[i]).data

        def call(name, returned, *values):
            kind = ir.FunctionType(returned, [v.type for v in values])
            return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), values)

        count, number = args[-1], args[-1].type
        lanes = ir.Constant(ir.VectorType(number, LANES), list(range(LANES)))
        everywhere = ir.Constant(ir.VectorType(_INT, LANES), [0] * LANES)
        zero, align = ir.Constant(_VECTOR, [0.0] * LANES), ir.Constant(_INT, 4)

        def spread(value):
            nothing = ir.Constant(ir.VectorType(value.type, LANES), ir.Undefined)
            return builder.shuffle_vector(
                builder.insert_element(nothing, value, ir.Constant(_INT, 0)), nothing, everywhere
            )

        with cgutils.for_range_slice(builder, ir.Constant(number, 0), count, ir.Constant(number, LANES)) as (at, _):
            here = builder.icmp_signed("<", lanes, spread(builder.sub(count, at)))

            def place(i):
                first = builder.gep(builder.gep(data(i), [args[i + 1]]), [at])
                return builder.bitcast(first, _VECTOR.as_pointer())

            def load(i):
                pointer = place(i)
                return call(f"llvm.masked.load.v{LANES}f32.p0", _VECTOR, pointer, align, here, zero)

            x = load(0)
            if scaled:
                x = builder.fmul(builder.fsub(builder.fdiv(x, load(4)), load(6)), load(8))
            finite = builder.fcmp_ordered("oeq", builder.fsub(x, x), zero)
            x = builder.select(finite, x, zero)
            if scaled:
                bound = spread(args[10])
                x = builder.select(builder.fcmp_ordered(">", x, bound), bound, x)
                low = builder.fneg(bound)
                x = builder.select(builder.fcmp_ordered("<", x, low), low, x)
            call(f"llvm.masked.store.v{LANES}f32.p0", ir.VoidType(), x, place(2), align, here)
        return context.get_dummy_value()

    n, clip = types.int64, types.float32

    @intrinsic
    def plain(typingctx, values, at, out, out_at, count):
        return types.void(values, n, out, n, n), generate

    @intrinsic
    def scale(typingctx, values, at, out, out_at, last, last_at, mean, mean_at, inverse, inverse_at, bound, count):
        return types.void(values, n, out, n, last, n, mean, n, inverse, n, clip, n), generate

    return scale if scaled else plain


_plain, _scaled = _copy(False), _copy(True)


@intrinsic
def _fetch(typingctx, values, at, count):
    """Ask for ``count`` flat float32 values from ``at`` on to be in the cache soon."""

    def generate(context, builder, signature, args):
        array = cgutils.create_struct_proxy(signature.args[0])(context, builder, value=args[0])
        first = builder.gep(array.data, [args[1]])
        kind = ir.FunctionType(ir.VoidType(), [first.type, _INT, _INT, _INT])
        prefetch = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        number = args[2].type
        with cgutils.for_range_slice(builder, ir.Constant(number, 0), args[2], ir.Constant(number, 16)) as (k, _):
            builder.call(prefetch, [builder.gep(first, [k]), *(ir.Constant(_INT, v) for v in (0, 3, 1))])
        return context.get_dummy_value()

    return types.void(values, types.int64, types.int64), generate


@njit(cache=True, nogil=True)
def _ahead(section, begin, count, step):
    """Ask for the values that :func:`_read` of the same arguments will read."""
    if step < 0 or step >= section.rows * section.per_day:
        return
    source, index, back = _source(section, step)
    stock, run, per_day = section.stock, section.run, section.per_day
    _, stocks, wide = source.shape
    features = wide // per_day
    first = step % per_day * features
    flat = source.reshape(-1)
    i = 0
    while i < count:
        n = begin + i
        together = min(run[n], count - i) if per_day == 1 else 1
        row = index[n] - back
        if row >= 0:
            _fetch(flat, (row * stocks + stock[n]) * wide + first, together * features)
        i += together


@njit(cache=True, nogil=True)
def _source(section, step):
    """Where a step of every row's window lies: the array, the rows' indices in it and what to take off them."""
    back = section.rows - step // section.per_day  # 1 for the last row
    if not len(section.today):
        return section.values, section.end, back
    return (section.today, section.day, 0) if back == 1 else (section.values, section.end, back - 1)


@njit(cache=True, nogil=True)
def _last(section, begin, count, last):
    """The last values of ``count`` rows' windows from the ``begin``-th, ``(TILE, features)``, where they scale."""
    stock, mean = section.stock, section.mean
    if not len(mean):
        return
    source, index, back = _source(section, mean.shape[1] - 1)
    _, stocks, features = source.shape
    for i in range(count):
        at = ((index[begin + i] - back) * stocks + stock[begin + i]) * features
        _plain(source.reshape(-1), at, last.reshape(-1), i * features, features)


@njit(cache=True, nogil=True)
def _read(section, begin, count, step, last, out, at):
    """A step of ``count`` rows of a section from the ``begin``-th, side by side in the flat ``out`` from ``at`` on.

    ``last`` is :func:`_last`'s. What is not finite, or before the panel's beginning, is 0.
    """
    source, index, back = _source(section, step)
    stock, owner, run, per_day, clip = section.stock, section.owner, section.run, section.per_day, section.clip
    mean, inverse = section.mean, section.inverse
    _, stocks, wide = source.shape
    features = wide // per_day
    first = step % per_day * features
    flat, over = source.reshape(-1), last.reshape(-1)
    flat_mean, flat_inverse = mean.reshape(-1), inverse.reshape(-1)
    scaled, steps = len(mean) > 0, mean.shape[1]
    i = 0
    while i < count:
        n, to = begin + i, at + i * features
        # rows whose values stand side by side are one; a step's mean is there once for each of LANES rows
        together = min(run[n], count - i, LANES if scaled else count) if per_day == 1 else 1
        size = together * features
        row = index[n] - back
        of = (row * stocks + stock[n]) * wide + first
        if row < 0:
            for f in range(size):
                out[to + f] = _ZERO
        elif scaled:
            moment = (owner[n] * steps + step) * features * LANES
            _scaled(flat, of, out, to, over, i * features, flat_mean, moment, flat_inverse, moment, clip, size)
        else:
            _plain(flat, of, out, to, size)
        i += together


@njit(cache=True, nogil=True)
def gather(section, out):
    """All of a section's windows, scaled, into ``out (steps, rows, features)``."""
    steps, rows, features = out.shape
    flat = out.reshape(-1)
    last = np.empty((TILE, features), np.float32)
    for begin in range(0, rows, TILE):
        count = min(TILE, rows - begin)
        _last(section, begin, count, last)
        for t in range(steps):
            _read(section, begin, count, t, last, flat, (t * rows + begin) * features)


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"reassoc", "contract"})
def moments(section, least, mean, inverse):
    """Mean and inverse standard deviation over a section's rows of each value over its last, ``(steps, features)``.

    Not finite ones take no part. The inverse is 0 where the deviation is not above ``least``.
    """
    stock = section.stock
    steps, features = mean.shape
    rows = len(stock)
    ratio = np.empty((features, rows))
    newest, at, less = _source(section, steps - 1)
    for t in range(steps):
        source, index, back = _source(section, t)
        for n in range(rows):
            row = index[n] - back
            for f in range(features):
                last = newest[at[n] - less, stock[n], f]
                ratio[f, n] = source[row, stock[n], f] / last if row >= 0 else np.nan
        for f in range(features):
            total, square, count = 0.0, 0.0, 0
            for x in ratio[f]:
                finite = np.isfinite(x)
                total += x if finite else 0.0
                count += finite
            middle = total / max(count, 1)
            for x in ratio[f]:
                square += (x - middle) ** 2 if np.isfinite(x) else 0.0
            deviation = np.sqrt(square / max(count, 1))
            mean[t, f] = middle
            inverse[t, f] = 1.0 / deviation if deviation > least else 0.0


@njit(cache=True, nogil=True)
def _add(part, total):
    """A tile's gradients to the sum of all, which has no more rows than they."""
    for i in range(total.shape[0]):
        for j in range(total.shape[1]):
            for k in range(total.shape[2]):
                total[i, j, k] += part[i, j, k]


@njit(cache=True, nogil=True)
def forward(section, w_x, w_h, bias, states, out):
    """Last states of all rows; ``states (tiles, kept, TILE, padded)`` holds them step by step, in turns if fewer.

    ``section`` is :attr:`mg_models.data.windows.Section.arrays`, here as everywhere below.
    """
    rows, hidden = out.shape
    features, padded, kept = w_x.shape[1], states.shape[3], states.shape[1]
    steps = section.rows * section.per_day
    gates = np.empty((4, TILE, padded), np.float32)
    zero, x = np.zeros((TILE, padded), np.float32), np.zeros(TILE * features, np.float32)
    last = np.empty((TILE, features), np.float32)
    for tile in range(-(-rows // TILE)):
        begin = tile * TILE
        count = min(TILE, rows - begin)
        _last(section, begin, count, last)
        keep = states[tile if len(states) > 1 else 0]
        before = zero
        for t in range(steps):
            after = keep[t % kept]
            _read(section, begin, count, t, last, x, 0)
            _ahead(section, begin, count, t + 1)
            _gates(x, features, before, hidden, w_x, w_h, bias, gates)
            _new_state(gates.reshape(-1), before.reshape(-1), after.reshape(-1))
            before = after
        for i in range(count):
            for k in range(hidden):
                out[begin + i, k] = before[i, k]


@njit(cache=True, nogil=True)
def backward(section, w_x, w_h, w_back, bias, states, grad):
    """Weights' gradients, float64, of the gradient ``(rows, hidden)`` of the last states.

    Of W_x ``(3, features, padded)``, of W_h ``(3, hidden, padded)`` and of the biases ``(4, padded)``: r, z, n, inner.
    """
    rows, hidden = grad.shape
    features, padded = w_x.shape[1], states.shape[3]
    steps = section.rows * section.per_day
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
        _last(section, begin, count, last)
        d_x, d_h = np.zeros((3, wide, padded), np.float32), np.zeros((3, high, padded), np.float32)
        d_bias = np.zeros((4, 4, padded), np.float32)
        d_state[:] = _ZERO
        for i in range(count):
            for k in range(hidden):
                d_state[i, k] = grad[begin + i, k]
        for t in range(steps - 1, -1, -1):
            _read(section, begin, count, t, last, x, 0)
            _ahead(section, begin, count, t - 1)
            before = states[tile, t - 1] if t else zero
            if t > 1:
                _fetch(states.reshape(-1), (tile * steps + t - 2) * size, size)
            _gates(x, features, before, hidden, w_x, w_h, bias, gates)
            _gate_gradients(gates.reshape(-1), before.reshape(-1), d_state.reshape(-1))
            for gate in range(4):
                _multiply(one, 0, 0, 0, gates, gate * size, padded, d_bias, gate * 4 * padded, padded, d_bias,
                          gate * 4 * padded, padded, 4, padded, TILE)  # fmt: skip
            for gate in range(3):
                _multiply(x, 0, 1, features, gates, gate * size, padded, d_x, gate * wide * padded, padded, d_x,
                          gate * wide * padded, padded, wide, padded, TILE)  # fmt: skip
                of = (gate if gate < 2 else 3) * size
                if t:
                    _multiply(before, 0, 1, padded, gates, of, padded, d_h, gate * high * padded, padded, d_h,
                              gate * high * padded, padded, high, padded, TILE)  # fmt: skip
                    _multiply(gates, of, padded, 1, w_back, gate * hidden * padded, padded, d_state, 0, padded, d_state,
                              0, padded, TILE, padded, hidden)  # fmt: skip
        _add(d_x, all_x)
        _add(d_h, all_h)
        _add(d_bias, all_bias)
    return all_x, all_h, all_bias[:, 0]
