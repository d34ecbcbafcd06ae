"""Rows of a few floats as vectors of the processor, for kernels compiled by numba, which leaves them scalar.

A texel of the equations is eight floats, so that adding a pixel to it is one load, one multiply-add and one store.
LLVM splits the vectors on processors that have none of this length.
"""

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from neuraltex.core.errors import ShapeError

FLOAT, BYTE, INT32, INT64 = ir.FloatType(), ir.IntType(8), ir.IntType(32), ir.IntType(64)
WIDTH = 8
"""Floats that :func:`add_to_row` adds."""
ALIGNMENT = 64
"""Length of a cache line [byte]."""
CHANNEL_BITS = 21
"""Bits of each of the three numbers that :func:`mix_packed` reads from 64."""


def aligned_zeros(rows: int) -> np.ndarray:
    """Return float32 zeros [rows, 8] of which no row crosses a cache line; committed when first written to."""
    spare = ALIGNMENT // 4
    memory = np.zeros(rows * WIDTH + spare, np.float32)
    start = -(memory.ctypes.data // 4) % spare
    return memory[start : start + rows * WIDTH].reshape(rows, WIDTH)


@intrinsic
def add_to_row(typing: Any, rows: Any, index: Any, factor: Any, values: Any) -> Any:
    """Add ``factor`` times a tuple of eight float32 to ``rows[index]``, a row of a C-contiguous float32 [R, 8]."""
    _require(rows, types.float32, 2)
    signature = types.void(rows, types.int64, types.float32, types.UniTuple(types.float32, WIDTH))

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        array, index, factor, values = arguments
        vector = ir.VectorType(FLOAT, WIDTH)
        row = _row(context, builder, signature.args[0], array, index, vector)
        items = [builder.extract_value(values, place) for place in range(WIDTH)]
        product = builder.fmul(_pack(builder, items), _pack(builder, [factor] * WIDTH))
        before = builder.load(row)
        before.align = 4
        builder.store(builder.fadd(before, product), row).align = 4
        return context.get_dummy_value()

    return signature, generate


@intrinsic
def mix_packed(typing: Any, rows: Any, indices: Any, weights: Any) -> Any:
    """Return the weighted sum of four items of an int64 [R], each three numbers of 21 bits, as float32."""
    _require(rows, types.int64, 1)
    signature = types.UniTuple(types.float32, 3)(rows, types.UniTuple(types.int64, 4), types.UniTuple(types.float32, 4))

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        array, indices, weights = arguments
        total = ir.Constant(ir.VectorType(FLOAT, 4), [0.0] * 4)
        shifts = ir.Constant(ir.VectorType(INT64, 4), [0, CHANNEL_BITS, 2 * CHANNEL_BITS, 0])
        mask = ir.Constant(ir.VectorType(INT32, 4), [(1 << CHANNEL_BITS) - 1] * 4)
        for place in range(4):
            index, weight = (builder.extract_value(items, place) for items in (indices, weights))
            item = builder.load(_row(context, builder, signature.args[0], array, index, INT64))
            parts = builder.trunc(builder.lshr(_pack(builder, [item] * 4), shifts), mask.type)
            numbers = builder.sitofp(builder.and_(parts, mask), total.type)
            total = builder.fadd(total, builder.fmul(numbers, _pack(builder, [weight] * 4)))
        items = [builder.extract_element(total, ir.Constant(INT32, place)) for place in range(3)]
        return context.make_tuple(builder, signature.return_type, items)

    return signature, generate


@intrinsic
def prefetch(typing: Any, rows: Any, index: Any) -> Any:
    """Ask the processor to fetch the cache line where a row of an array begins; any index is harmless."""
    signature = types.void(rows, types.int64)

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        row = _row(context, builder, signature.args[0], *arguments, BYTE)
        kinds = [row.type, INT32, INT32, INT32]
        function = builder.module.declare_intrinsic("llvm.prefetch", kinds[:1], ir.FunctionType(ir.VoidType(), kinds))
        builder.call(function, [row, *(ir.Constant(INT32, value) for value in (0, 3, 1))])  # read, keep, data
        return context.get_dummy_value()

    return signature, generate


def _require(rows: Any, dtype: Any, ndim: int) -> None:
    if not (isinstance(rows, types.Array) and rows.layout == "C" and rows.ndim == ndim and rows.dtype == dtype):
        raise ShapeError(f"rows are {rows}, expected a C-contiguous array of {dtype} with {ndim} axes")


def _row(context: Any, builder: Any, kind: Any, array: Any, index: Any, item: Any) -> Any:
    """Return the address of a row as a pointer to an ``item``."""
    content = context.make_array(kind)(context, builder, array)
    stride = builder.extract_value(content.strides, 0)
    base = builder.bitcast(content.data, BYTE.as_pointer())
    return builder.bitcast(builder.gep(base, [builder.mul(index, stride)]), item.as_pointer())


def _pack(builder: Any, items: list[Any]) -> Any:
    """Return scalars as a vector."""
    vector = ir.Constant(ir.VectorType(items[0].type, len(items)), ir.Undefined)
    for place, item in enumerate(items):
        vector = builder.insert_element(vector, item, ir.Constant(INT32, place))
    return vector
