"""Compiled loops that make no arrays."""

import numpy as np
import pytest
from numba.core.caching import NullCache
from numba.core.errors import TypingError

from neuraltex.core.compiled import kernel


def _sum_rows(values, out):
    for i in range(len(values)):
        row = values[i]
        for k in range(len(row)):
            out[i] += row[k]


def _allocate(values):
    return np.zeros(len(values))


def test_kernels_do_what_they_say_without_counting_references():
    out = np.zeros(3)
    compiled = kernel(_sum_rows)
    compiled._cache = NullCache()  # code from an earlier run cannot be looked at
    compiled(np.arange(12.0).reshape(3, 4), out)
    assert out.tolist() == [6, 22, 38]
    (assembly,) = compiled.inspect_llvm().values()
    assert "NRT_incref" not in assembly


def test_a_kernel_that_makes_an_array_is_refused():
    with pytest.raises(TypingError, match="Only accept returning of array passed"):
        kernel(_allocate)(np.ones(2))
