"""Bits in bytes, most significant first (spec section 2.3): what the other kernels are built on."""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, nogil=True, inline="always")
def put(out, at, value, bits):
    """Writes the low `bits` (0 .. 62) of `value` into zeroed `out` at bit `at`; returns the bit after them."""
    while bits > 0:
        free = 8 - (at & 7)
        take = min(free, bits)
        chunk = (value >> (bits - take)) & ((np.int64(1) << take) - 1)
        out[at >> 3] |= np.uint8(chunk << (free - take))
        at += take
        bits -= take
    return at


@njit(cache=True, nogil=True, inline="always")
def peek(data, at, bits):
    """The `bits` (0 .. 32) bits at bit `at`; zeros are read beyond the end."""
    first = at >> 3
    window = np.int64(0)
    for i in range(5):
        window <<= 8
        if first + i < len(data):
            window |= np.int64(data[first + i])
    return (window >> (40 - (at & 7) - bits)) & ((np.int64(1) << bits) - 1)
