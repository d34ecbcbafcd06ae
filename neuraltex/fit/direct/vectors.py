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

FLOAT, BYTE, INT16, INT32 = ir.FloatType(), ir.IntType(8), ir.IntType(16), ir.IntType(32)
WIDTH = 8
"""Floats that :func:`add_to_row` adds."""
ALIGNMENT = 64
"""Length of a cache line [byte]."""


def aligned_zeros(rows: int) -> np.ndarray:
    """Return float32 zeros [rows, 8] of which no row crosses a cache line; committed when first written to."""
    spare = ALIGNMENT // 4
    memory = np.zeros(rows * WIDTH + spare, np.float32)
    start = -(memory.ctypes.data // 4) % spare
    return memory[start : start + rows * WIDTH].reshape(rows, WIDTH)


@intrinsic
def add_to_row(typing: Any, rows: Any, index: Any, factor: Any, values: Any) -> Any:
    """Add ``factor`` times a tuple of eight float32 to ``rows[index]``, a row of a C-contiguous float32 [R, 8]."""
    _require(rows, types.float32)
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
def mix_rows(typing: Any, rows: Any, indices: Any, weights: Any) -> Any:
    """Return the first three columns of the weighted sum of four rows of a C-contiguous int16 [R, 3], as float32.

    The item behind each row is read, too: there must be one more row than is ever asked for.
    """
    _require(rows, types.int16)
    signature = types.UniTuple(types.float32, 3)(rows, types.UniTuple(types.int64, 4), types.UniTuple(types.float32, 4))

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        array, indices, weights = arguments
        total = ir.Constant(ir.VectorType(FLOAT, 4), [0.0] * 4)
        for place in range(4):
            index, weight = (builder.extract_value(items, place) for items in (indices, weights))
            item = _row(context, builder, signature.args[0], array, index, ir.VectorType(INT16, 4))
            loaded = builder.load(item)
            loaded.align = 2
            color = builder.sitofp(loaded, ir.VectorType(FLOAT, 4))
            total = builder.fadd(total, builder.fmul(color, _pack(builder, [weight] * 4)))
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


def _require(rows: Any, dtype: Any) -> None:
    if not (isinstance(rows, types.Array) and rows.layout == "C" and rows.ndim == 2 and rows.dtype == dtype):
        raise ShapeError(f"rows are {rows}, expected a C-contiguous [R, K] of {dtype}")


def _row(context: Any, builder: Any, kind: Any, array: Any, index: Any, item: Any) -> Any:
    """Return the address of a row as a pointer to an ``item``."""
    content = context.make_array(kind)(context, builder, array)
    stride = builder.extract_value(content.strides, 0)
    base = builder.bitcast(content.data, BYTE.as_pointer())
    return builder.bitcast(builder.gep(base, [builder.mul(index, stride)]), item.as_pointer())


def _pack(builder: Any, items: list[Any]) -> Any:
    """Return scalars as a vector."""
    vector = ir.Constant(ir.VectorType(FLOAT, len(items)), ir.Undefined)
    for place, item in enumerate(items):
        vector = builder.insert_element(vector, item, ir.Constant(INT32, place))
    return vector
