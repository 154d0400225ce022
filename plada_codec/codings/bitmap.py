"""`bitmap`: one bit for each image of the universe (spec section 6.2)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from plada_codec.errors import LimitExceeded

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from plada_codec.codings.base import CodingContext, Integers, Stream

#: Bytes of a bitmap that are worked on at a time: each takes eight, as bits, in memory.
_CHUNK_BYTES = 1 << 16
#: Number of ones in each byte.
_ONES = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1).sum(axis=1)


class Bitmap:
    """Positions as a bitmap: a 1 for each coded position. The only coding whose memory grows with the universe."""

    least_bytes_is_exact = True
    has_quick_estimate = False

    def least_bytes(self, values: Integers, context: CodingContext) -> float:
        size = _bitmap_bytes(context.domain_size)
        return size if size <= context.limits.max_stream_bytes else float("inf")

    def encode(self, values: Integers, context: CodingContext, *, thorough: bool) -> bytes:
        size = _bitmap_bytes(context.domain_size)
        if size > context.limits.max_stream_bytes:
            raise LimitExceeded(
                f"a bitmap of {size} bytes exceeds the limit max_stream_bytes of {context.limits.max_stream_bytes}",
                rule="limit-stream-bytes",
            )
        ends = np.searchsorted(values, [8 * after for _, after in _chunks(size)])
        parts = []
        first = 0
        for (start, after), end in zip(_chunks(size), ends.tolist(), strict=True):
            bits = np.zeros(8 * (after - start), np.bool_)
            bits[values[first:end] - 8 * start] = True
            parts.append(np.packbits(bits).tobytes())
            first = end
        return b"".join(parts)

    def allows_bytes(self, size: int, count: int, domain_size: int) -> bool:
        return size == _bitmap_bytes(domain_size)

    def decode(self, stream: Stream, count: int, context: CodingContext) -> Integers:
        stream.expect_bytes(_bitmap_bytes(context.domain_size))
        stream.expect_zero_padding(context.domain_size)
        ones = count_ones(stream.data)
        if ones != count:
            raise stream.corrupt(f"the bitmap has {ones} ones instead of {count}", "bitmap-count")
        positions = np.empty(count, np.int64)
        filled = 0
        for start, after in _chunks(len(stream.data)):
            found = _find_ones(stream.data[start:after])
            if filled + len(found) > count:
                raise stream.corrupt("the bitmap changed while it was read", "bitmap-count")
            np.add(found, 8 * start, out=positions[filled : filled + len(found)])
            filled += len(found)
        if filled != count:
            raise stream.corrupt("the bitmap changed while it was read", "bitmap-count")
        return positions


def count_ones(data: NDArray[np.uint8]) -> int:
    """Number of ones in a bitmap (uint8)."""
    return sum(int(_ONES[data[start:after]].sum()) for start, after in _chunks(len(data)))


def _find_ones(data: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Positions of the ones of a bitmap (uint8), ascending."""
    used = np.flatnonzero(data)
    ones = np.flatnonzero(np.unpackbits(data[used]))
    positions: NDArray[np.int64] = 8 * used[ones >> 3] + (ones & 7)
    return positions


def _chunks(size: int) -> Iterator[tuple[int, int]]:
    """Begin and end of each chunk of a bitmap of `size` bytes."""
    for start in range(0, size, _CHUNK_BYTES):
        yield start, min(start + _CHUNK_BYTES, size)


def _bitmap_bytes(domain_size: int) -> int:
    return -(-domain_size // 8)
