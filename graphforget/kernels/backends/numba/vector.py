"""Vector arithmetic for numba kernels: short stretches of C-contiguous arrays, given by array and offset.

Numba leaves short inner loops (the 8 or 16 numbers of an attention head) to LLVM's loop vectoriser, which guards each of them
with overlap checks that cost more than the arithmetic. Here they are written as vectors of eight numbers outright; LLVM maps
these to the registers of the processor. Offsets and lengths count elements; nothing is checked.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

_WIDTH = 8  # one AVX2 register of float32, half an AVX-512 one, two of NEON
_FAST = ("fast",)  # sums may be reordered and fused


class _Row:
    """A pointer into an array, read and written by whole vectors or by single numbers."""

    def __init__(self, context: Any, builder: Any, array_type: Any, array: Any, offset: Any) -> None:
        self.builder = builder
        self.kind = context.get_data_type(array_type.dtype)
        self.vector = ir.VectorType(self.kind, _WIDTH)
        self.size = array_type.dtype.bitwidth // 8
        self.base = builder.gep(context.make_array(array_type)(context, builder, array).data, [offset])

    def at(self, i: Any, wide: bool) -> Any:
        place = self.builder.gep(self.base, [i])
        return self.builder.bitcast(place, self.vector.as_pointer()) if wide else place

    def load(self, i: Any, wide: bool) -> Any:
        return self.builder.load(self.at(i, wide), align=self.size)

    def store(self, value: Any, i: Any, wide: bool) -> None:
        self.builder.store(value, self.at(i, wide), align=self.size)

    def spread(self, value: Any) -> Any:
        """One number in every place of a vector."""
        lane = ir.IntType(32)
        single = self.builder.insert_element(ir.Constant(self.vector, ir.Undefined), value, ir.Constant(lane, 0))
        mask = ir.Constant(ir.VectorType(lane, _WIDTH), [0] * _WIDTH)
        return self.builder.shuffle_vector(single, ir.Constant(self.vector, ir.Undefined), mask)


def _steps(builder: Any, length: Any, step: Callable[[Any, bool], None]) -> None:
    """``step(i, True)`` for every whole vector of ``length`` numbers, then ``step(i, False)`` for each number left."""
    zero, one, width = (ir.Constant(length.type, v) for v in (0, 1, _WIDTH))
    whole = builder.and_(length, ir.Constant(length.type, -_WIDTH))
    with cgutils.for_range_slice(builder, zero, whole, width) as (i, _):
        step(i, True)
    with cgutils.for_range_slice(builder, whole, length, one) as (i, _):
        step(i, False)


@intrinsic
def axpy(typingctx: Any, out: Any, out_at: Any, scale: Any, x: Any, x_at: Any, length: Any) -> Any:
    """``out[out_at + k] += scale * x[x_at + k]`` for k below ``length``."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        target = _Row(context, builder, signature.args[0], args[0], args[1])
        source = _Row(context, builder, signature.args[3], args[3], args[4])
        spread = target.spread(args[2])

        def step(i: Any, wide: bool) -> None:
            product = builder.fmul(spread if wide else args[2], source.load(i, wide), flags=_FAST)
            target.store(builder.fadd(target.load(i, wide), product, flags=_FAST), i, wide)

        _steps(builder, args[5], step)
        return context.get_dummy_value()

    return types.void(out, types.intp, out.dtype, x, types.intp, types.intp), codegen


@intrinsic
def dot(typingctx: Any, a: Any, a_at: Any, b: Any, b_at: Any, length: Any) -> Any:
    """``sum of a[a_at + k] * b[b_at + k]`` for k below ``length``."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        left = _Row(context, builder, signature.args[0], args[0], args[1])
        right = _Row(context, builder, signature.args[2], args[2], args[3])
        sums = {True: cgutils.alloca_once(builder, left.vector), False: cgutils.alloca_once(builder, left.kind)}
        for place in sums.values():
            builder.store(ir.Constant(place.type.pointee, None), place)

        def step(i: Any, wide: bool) -> None:
            product = builder.fmul(left.load(i, wide), right.load(i, wide), flags=_FAST)
            builder.store(builder.fadd(builder.load(sums[wide]), product, flags=_FAST), sums[wide])

        _steps(builder, args[4], step)
        lanes = builder.load(sums[True])
        parts = [builder.extract_element(lanes, ir.Constant(ir.IntType(32), lane)) for lane in range(_WIDTH)]
        while len(parts) > 1:  # pairwise: LLVM recognises the pattern of a horizontal sum
            parts = [builder.fadd(p, q, flags=_FAST) for p, q in zip(parts[: len(parts) // 2], parts[len(parts) // 2 :])]
        return builder.fadd(parts[0], builder.load(sums[False]), flags=_FAST)

    return a.dtype(a, types.intp, b, types.intp, types.intp), codegen


@intrinsic
def prefetch(typingctx: Any, x: Any, at: Any, length: Any) -> Any:
    """Ask for ``x[at : at + length]`` to be brought near, one request per cache line of 64 bytes."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        row = _Row(context, builder, signature.args[0], args[0], args[1])
        byte, flag = ir.IntType(8).as_pointer(), ir.IntType(32)
        call = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(ir.VoidType(), [byte, flag, flag, flag]), "llvm.prefetch.p0"
        )
        zero, line = ir.Constant(args[2].type, 0), ir.Constant(args[2].type, 64 // row.size)
        with cgutils.for_range_slice(builder, zero, args[2], line) as (i, _):
            place = builder.bitcast(row.at(i, False), byte)
            builder.call(call, [place, *(ir.Constant(flag, v) for v in (0, 3, 1))])  # for reading, keep, data
        return context.get_dummy_value()

    return types.void(x, types.intp, types.intp), codegen
