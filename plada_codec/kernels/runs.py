"""Runs of positions as varints (spec section 6.5)."""

from __future__ import annotations

from plada_codec.kernels.jit import Ints, kernel, part

DONE, ENDED, BAD_VARINT, OUT_OF_RANGE, TOO_MANY = range(5)
#: Spec section 2.2.
MAX_VARINT_BYTES = 9


@part
def _varint_size(value: int) -> int:
    size = 1
    while value > 127:
        value >>= 7
        size += 1
    return size


@part
def _write_varint(out: Ints, at: int, value: int) -> int:
    while value > 127:
        out[at] = value & 127 | 128
        value >>= 7
        at += 1
    out[at] = value
    return at + 1


@kernel(steps=lambda positions: len(positions), step_us=0.3, compile_s=0.3)
def stream_bytes(positions: Ints) -> int:
    """Size of the stream of `positions` (int64 [d], d >= 1)."""
    size = _varint_size(positions[0])
    start = 0
    for i in range(1, len(positions) + 1):
        if i == len(positions) or positions[i] != positions[i - 1] + 1:
            size += _varint_size(i - start - 1)
            if i < len(positions):
                size += _varint_size(positions[i] - positions[i - 1] - 2)
            start = i
    return size


@kernel(writes=["out"], steps=lambda positions, out: len(positions), step_us=0.3, compile_s=0.4)
def write_runs(positions: Ints, out: Ints) -> None:
    """Write the stream of `positions` into `out` (uint8 [stream_bytes(positions)])."""
    at = _write_varint(out, 0, positions[0])
    start = 0
    for i in range(1, len(positions) + 1):
        if i == len(positions) or positions[i] != positions[i - 1] + 1:
            at = _write_varint(out, at, i - start - 1)
            if i < len(positions):
                at = _write_varint(out, at, positions[i] - positions[i - 1] - 2)
            start = i


@part
def _read_varint(data: Ints, at: int) -> tuple[int, int, int]:
    """(value, next byte, DONE | ENDED | BAD_VARINT)"""
    value = 0
    for count in range(MAX_VARINT_BYTES):
        if at + count >= len(data):
            return value, at, ENDED
        byte = data[at + count]
        value |= (byte & 127) << (7 * count)
        if byte < 128:
            return value, at + count + 1, (BAD_VARINT if byte == 0 and count > 0 else DONE)
    return value, at, BAD_VARINT


@kernel(writes=["positions"], steps=lambda data, universe_size, positions: len(positions), step_us=0.3, compile_s=0.4)
def read_runs(data: Ints, universe_size: int, positions: Ints) -> tuple[int, int]:
    """Fill `positions` (int64 [d]); return (status, byte of `data` at which reading stopped)."""
    read = 0
    free = 0
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
