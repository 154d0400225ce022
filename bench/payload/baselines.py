"""Two simple baselines for increasing integers, from the literature: Elias-Fano and interpolative coding.

    Elias-Fano              Elias 1974, Fano 1971: low bits in binary, high bits in unary
    binary interpolative    Moffat and Stuiver 2000: the middle integer first, in a centred minimal binary code of the
                            values that are possible between its neighbours

Both turn positions (int64 [k], strictly increasing, 0 <= position < space) into bytes; k and space are known to both
sides.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numba import njit

if TYPE_CHECKING:
    from numpy.typing import NDArray


def elias_fano_encode(positions: NDArray[np.integer[Any]], space: int) -> bytes:
    low_bits = _low_bits(len(positions), space)
    low = (positions[:, None] >> np.arange(low_bits)) & 1
    high = np.zeros(len(positions) + ((space - 1) >> low_bits), np.uint8)
    high[(positions >> low_bits) + np.arange(len(positions))] = 1
    return np.packbits(np.concatenate([low.ravel().astype(np.uint8), high])).tobytes()


def elias_fano_decode(data: bytes, count: int, space: int) -> NDArray[np.int64]:
    low_bits = _low_bits(count, space)
    bits = np.unpackbits(np.frombuffer(data, np.uint8))
    low = bits[: count * low_bits].reshape(count, low_bits) @ (1 << np.arange(low_bits, dtype=np.int64))
    high = np.flatnonzero(bits[count * low_bits :]) - np.arange(count)
    return (high << low_bits) | low


def _low_bits(count: int, space: int) -> int:
    return max(0, (space // count).bit_length() - 1)


def interpolative_encode(positions: NDArray[np.integer[Any]], space: int) -> bytes:
    bits = np.empty(len(positions) * space.bit_length(), np.uint8)
    return np.packbits(bits[: _write_interpolative(positions, space, bits)]).tobytes()


def interpolative_decode(data: bytes, count: int, space: int) -> NDArray[np.int64]:
    positions = np.empty(count, np.int64)
    _read_interpolative(np.unpackbits(np.frombuffer(data, np.uint8)), space, positions)
    return positions


@njit(cache=True, nogil=True)
def _minimal_code(size):
    """Length of short codes, number of values with one, and the first of them, in a centred code for `size` values."""
    short_bits = 0
    while size >> (short_bits + 1):
        short_bits += 1
    short_codes = (2 << short_bits) - size
    return short_bits, short_codes, (size - short_codes) // 2


@njit(cache=True, nogil=True)
def _write_interpolative(positions, space, bits):
    """Write the code to `bits`; return the number of bits."""
    written = 0
    stack = [(0, len(positions), 0, space - 1)]
    while stack:
        start, end, low, high = stack.pop()
        if start == end:
            continue
        middle = (start + end) // 2
        least = low + middle - start
        size = high - (end - 1 - middle) - least + 1
        short_bits, short_codes, first_short = _minimal_code(size)
        value = (positions[middle] - least - first_short) % size
        width = short_bits
        if value >= short_codes:
            value += short_codes
            width += 1
        for bit in range(width):
            bits[written + bit] = (value >> (width - 1 - bit)) & 1
        written += width
        stack.append((middle + 1, end, positions[middle] + 1, high))
        stack.append((start, middle, low, positions[middle] - 1))
    return written


@njit(cache=True, nogil=True)
def _read_interpolative(bits, space, positions):
    read = 0
    stack = [(0, len(positions), 0, space - 1)]
    while stack:
        start, end, low, high = stack.pop()
        if start == end:
            continue
        middle = (start + end) // 2
        least = low + middle - start
        size = high - (end - 1 - middle) - least + 1
        short_bits, short_codes, first_short = _minimal_code(size)
        value = 0
        for _ in range(short_bits):
            value = 2 * value + bits[read]
            read += 1
        if value >= short_codes:
            value = 2 * value + bits[read] - short_codes
            read += 1
        positions[middle] = least + (value + first_short) % size
        stack.append((middle + 1, end, positions[middle] + 1, high))
        stack.append((start, middle, low, positions[middle] - 1))
