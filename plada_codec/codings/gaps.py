"""`gaps`: the number of skipped positions before each coded position, in fixed width (spec section 6.3).

The paper's index list ("idx"), delta coded and in the smallest integer type ("compact").
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from plada_codec.codings.base import CodingContext, Integers, Stream

#: Spec section 6.3: bytes of one gap.
_WIDTHS = (1, 2, 4, 8)


class Gaps:
    """Gaps as u8, u16, u32 or u64, the smallest that holds the largest gap."""

    least_bytes_is_exact = True
    has_quick_estimate = False

    def least_bytes(self, values: Integers, context: CodingContext) -> float:
        return len(values) * _width_of(int(gaps_of(values).max()))

    def encode(self, values: Integers, context: CodingContext, *, thorough: bool) -> bytes:
        gaps = gaps_of(values)
        return gaps.astype(f"<u{_width_of(int(gaps.max()))}").tobytes()

    def allows_bytes(self, size: int, count: int, domain_size: int) -> bool:
        return size in [count * width for width in _WIDTHS]

    def decode(self, stream: Stream, count: int, context: CodingContext) -> Integers:
        size = len(stream.data)
        if not self.allows_bytes(size, count, context.domain_size):
            raise stream.corrupt(f"{size} bytes are not {count} gaps of 1, 2, 4 or 8 bytes each", "stream-length")
        width = size // count
        positions = stream.data.view(f"<u{width}").astype(np.uint64)
        largest = int(positions.max())
        # A sum that wraps around is smaller than the one before, as long as all before it are below 2^63
        positions += np.uint64(1)
        np.cumsum(positions, out=positions)
        positions -= np.uint64(1)
        is_beyond = positions >= np.uint64(context.domain_size)
        is_beyond[1:] |= positions[1:] <= positions[:-1]
        if is_beyond.any():
            beyond = int(is_beyond.argmax())
            raise stream.corrupt(
                f"gap {beyond} leads past the universe of {context.domain_size} images", "index-range", beyond * width
            )
        if width != _width_of(largest):
            raise stream.corrupt(f"gaps of {width} bytes where {_width_of(largest)} would do", "gap-width")
        return positions.view(np.int64)


def gaps_of(positions: Integers) -> NDArray[np.int64]:
    """Number of skipped positions before each of `positions` (int64 [d], each >= 0)."""
    gaps = np.empty(len(positions), np.int64)
    gaps[0] = positions[0]
    np.subtract(positions[1:], positions[:-1], out=gaps[1:])
    gaps[1:] -= 1
    return gaps


def _width_of(largest: int) -> int:
    return next(width for width in _WIDTHS if largest < 1 << (8 * width))
