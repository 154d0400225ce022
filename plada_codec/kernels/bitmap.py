"""Bits set and found in a bitmap (spec section 6.2)."""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def set_bits(positions, out):
    """Sets the bit of each of `positions` (int64 [d], below 8 len(out)) in `out` (uint8)."""
    for position in positions:
        out[position >> 3] |= np.uint8(128 >> (position & 7))


@njit(cache=True, nogil=True)
def count_ones(data):
    """Number of ones in `data` (uint8)."""
    ones = np.int64(0)
    for byte in data:
        while byte:
            byte &= np.uint8(byte - 1)
            ones += 1
    return ones


@njit(cache=True, nogil=True)
def find_ones(data, positions):
    """Fills `positions` (int64) with the positions of the ones of `data`; returns how many there are, or -1 if more.

    That they were counted before is no reason to trust it: the caller's buffer may have changed since.
    """
    found = 0
    for i in range(len(data)):
        if data[i]:
            for bit in range(8):
                if data[i] & (128 >> bit):
                    if found == len(positions):
                        return -1
                    positions[found] = np.int64(i) * 8 + bit
                    found += 1
    return found
