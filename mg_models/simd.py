"""Blocks of float32 values as LLVM vectors, for compiled loops: products of small matrices, masked copies, prefetches.

Matrix products are blocks of rows x vectors held in registers (:func:`_block`). One side is read value by value and
may have any strides: a matrix, or its transpose. The other is packed, each row padded to whole vectors.
"""

from collections.abc import Callable
from typing import Any

from llvmlite import binding, ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

_FEATURES = binding.get_host_cpu_features()
_X86 = "x86" in binding.get_process_triple() or "amd64" in binding.get_process_triple()
# what fits in the registers: 32 of 512 bits with AVX-512, 16 of 256 on other x86, 32 of 128 on Arm
LANES = 16 if _FEATURES.get("avx512f") else 8 if _X86 else 4
"""float32 values in a vector of this machine."""
_ROWS = 4 if _X86 and LANES == 8 else 8

_FLOAT, _INT = ir.FloatType(), ir.IntType(32)
_VECTOR = ir.VectorType(_FLOAT, LANES)


def _block(rows: int, vectors: int) -> Callable[..., None]:
    """An intrinsic for ``out = start + a @ b`` of ``rows`` x ``vectors * LANES`` values, all float32.

    Each matrix is an array, the offset of its first value and its strides in values; ``b``, ``start`` and ``out``
    are contiguous along their columns. A row stride of 0 gives every row of ``start`` the same values.

    Returns
    -------
    callable
        To be called in compiled code with the matrices in the order ``a``, ``b``, ``start``, ``out``, then ``depth``.
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
                target = builder.bitcast(at(o_rows[i], lane[v]), _VECTOR.as_pointer())
                builder.store(results[i, v], target).align = 4
            return context.get_dummy_value()

        return types.void(a, n, n, n, b, n, n, start, n, n, out, n, n, n), generate

    return block


_wide, _narrow = _block(_ROWS, 2), _block(_ROWS, 1)
_wide_rest, _narrow_rest = _block(4, 2), _block(4, 1)


@njit(nogil=True)
def multiply(a, a_at, a_row, a_depth, b, b_at, b_depth, start, s_at, s_row, out, o_at, o_row, rows, columns, depth):
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


def _copy_of(scaled: bool) -> Callable[..., None]:
    """An intrinsic that copies ``count`` values, vector by vector, the last one masked; not finite ones become 0.

    Each array is flat float32 and comes with the offset of its first value. ``scaled``: not the value ``x`` but
    ``(x / last - mean) * inverse`` within ``clip``.

    Returns
    -------
    callable
        To be called in compiled code.
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

            def pointer_of(i):
                first = builder.gep(builder.gep(data(i), [args[i + 1]]), [at])
                return builder.bitcast(first, _VECTOR.as_pointer())

            def load(i):
                pointer = pointer_of(i)
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
            call(f"llvm.masked.store.v{LANES}f32.p0", ir.VoidType(), x, pointer_of(2), align, here)
        return context.get_dummy_value()

    n, clip = types.int64, types.float32

    @intrinsic
    def plain(typingctx, values, at, out, out_at, count):
        return types.void(values, n, out, n, n), generate

    @intrinsic
    def scale(typingctx, values, at, out, out_at, last, last_at, mean, mean_at, inverse, inverse_at, bound, count):
        return types.void(values, n, out, n, last, n, mean, n, inverse, n, clip, n), generate

    return scale if scaled else plain


copy, copy_scaled = _copy_of(False), _copy_of(True)


@intrinsic
def _prefetch(typingctx, values, at, count):
    """Ask the processor to load ``count`` flat float32 values from ``at`` on into its cache."""

    def generate(context, builder, signature, args):
        array = cgutils.create_struct_proxy(signature.args[0])(context, builder, value=args[0])
        first = builder.gep(array.data, [args[1]])
        kind = ir.FunctionType(ir.VoidType(), [first.type, _INT, _INT, _INT])
        instruction = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        number = args[2].type
        with cgutils.for_range_slice(builder, ir.Constant(number, 0), args[2], ir.Constant(number, 16)) as (k, _):
            builder.call(instruction, [builder.gep(first, [k]), *(ir.Constant(_INT, v) for v in (0, 3, 1))])
        return context.get_dummy_value()

    return types.void(values, types.int64, types.int64), generate


prefetch: Any = _prefetch  # numba types an intrinsic as if a caller gave the typing context
