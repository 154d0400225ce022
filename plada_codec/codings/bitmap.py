"""`bitmap`: one bit for each image of the universe (spec section 6.2)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from plada_codec.errors import LimitExceeded

if TYPE_CHECKING:
    from plada_codec.codings.base import Given, Integers, Stream


class Bitmap:
    """A one for each coded position. The only coding whose memory grows with the universe."""

    exact = True
    quick_try = False

    def least_bytes(self, values: Integers, given: Given) -> float:
        size = _bitmap_bytes(given.space)
        return size if size <= given.limits.max_stream_bytes else float("inf")

    def encode(self, values: Integers, given: Given, *, thorough: bool) -> bytes:
        from plada_codec.kernels import bitmap as kernel

        size = _bitmap_bytes(given.space)
        if size > given.limits.max_stream_bytes:
            raise LimitExceeded(
                f"a bitmap of {size} bytes exceeds the limit max_stream_bytes of {given.limits.max_stream_bytes}",
                rule="limit-stream-bytes",
            )
        out = np.zeros(size, np.uint8)
        kernel.set_bits(values, out)
        return out.tobytes()

    def allows_bytes(self, size: int, count: int, space: int) -> bool:
        return size == _bitmap_bytes(space)

    def decode(self, stream: Stream, count: int, given: Given) -> Integers:
        from plada_codec.kernels import bitmap as kernel

        stream.expect_bytes(_bitmap_bytes(given.space))
        stream.expect_zero_padding(given.space)
        ones = int(kernel.count_ones(stream.data))
        if ones != count:
            raise stream.corrupt(f"the bitmap has {ones} ones instead of {count}", "bitmap-count")
        positions = np.empty(count, np.int64)
        if kernel.find_ones(stream.data, positions) != count:
            raise stream.corrupt("the bitmap changed while it was read", "bitmap-count")
        return positions


def _bitmap_bytes(space: int) -> int:
    return -(-space // 8)
