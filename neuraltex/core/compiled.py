"""Compiled loops over arrays."""

from collections.abc import Callable
from typing import Any

from numba import njit


def kernel(function: Callable[..., Any]) -> Any:
    """Compile a loop that makes no arrays; it runs without the interpreter's lock, and is kept on disk.

    Numba counts references to arrays, also where a helper function takes one or a row is looked at: atomic additions
    in the innermost loop, on which threads wait for each other. What makes no arrays needs none of that. Adding pixels
    to the normal equations takes two thirds of the time without.

    Raises:
        numba.core.errors.TypingError: when first called, if it does make one.
    """
    return njit(nogil=True, cache=True, _nrt=False)(function)  # type: ignore[call-overload]  # not in its stubs
