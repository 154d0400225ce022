"""Runs of positions as varints (spec section 6.5)."""

from __future__ import annotations

import numpy as np
from numba import njit

DONE, ENDED, BAD_VARINT, OUT_OF_RANGE, TOO_MANY = range(5)
#: Spec section 2.2.
MAX_VARINT_BYTES = 9


@njit(cache=True, nogil=True, inline="always")
def _varint_size(value):
    size = 1
    while value > 127:
        value >>= 7
        size += 1
    return size


@njit(cache=True, nogil=True, inline="always")
def _write_varint(out, at, value):
    while value > 127:
        out[at] = np.uint8(value & 127 | 128)
        value >>= 7
        at += 1
    out[at] = np.uint8(value)
    return at + 1


@njit(cache=True, nogil=True)
def stream_bytes(positions):
    """Size of the stream of `positions` (int64 [d], d >= 1)."""
    size = _varint_size(positions[0])
    start = 0
    for i in range(1, len(positions) + 1):
        if i == len(positions) or positions[i] != positions[i - 1] + 1:
            size += _varint_size(np.int64(i - start - 1))
            if i < len(positions):
                size += _varint_size(positions[i] - positions[i - 1] - 2)
            start = i
    return size


@njit(cache=True, nogil=True)
def write_runs(positions, out):
    """Writes the stream of `positions` into `out` (uint8 [stream_bytes(positions)])."""
    at = _write_varint(out, 0, positions[0])
    start = 0
    for i in range(1, len(positions) + 1):
        if i == len(positions) or positions[i] != positions[i - 1] + 1:
            at = _write_varint(out, at, np.int64(i - start - 1))
            if i < len(positions):
                at = _write_varint(out, at, positions[i] - positions[i - 1] - 2)
            start = i


@njit(cache=True, nogil=True, inline="always")
def _read_varint(data, at):
    """(value, next byte, DONE | ENDED | BAD_VARINT)"""
    value = np.int64(0)
    for count in range(MAX_VARINT_BYTES):
        if at + count >= len(data):
            return value, at, ENDED
        byte = np.int64(data[at + count])
        value |= (byte & 127) << (7 * count)
        if byte < 128:
            return value, at + count + 1, (BAD_VARINT if byte == 0 and count > 0 else DONE)
    return value, at, BAD_VARINT


@njit(cache=True, nogil=True)
def read_runs(data, universe_size, positions):
    """Fills `positions` (int64 [d]); returns (status, byte of `data` at which reading stopped)."""
    read = 0
    free = np.int64(0)
    at = 0
    while True:
        skipped, after, status = _read_varint(data, at)
        if status != DONE:
            return status, at
        separator = 1 if read else 0
        if skipped >= universe_size - free - separator:
            return OUT_OF_RANGE, at
        free += skipped + separator
        at = after
        longer, after, status = _read_varint(data, at)
        if status != DONE:
            return status, at
        if longer >= universe_size - free:
            return OUT_OF_RANGE, at
        if longer >= len(positions) - read:
            return TOO_MANY, at
        for _ in range(longer + 1):
            positions[read] = free
            read += 1
            free += 1
        at = after
        if read == len(positions):
            return DONE, at
