"""`runs`: alternating lengths of skipped and coded runs of positions, as varints (spec section 6.5)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from plada_codec.kernels import runs as kernel

if TYPE_CHECKING:
    from plada_codec.codings.base import CodingContext, Integers, Stream

#: Two varints of one to nine bytes for each run, and at most one run for each position.
_MIN_BYTES, _MAX_BYTES_PER_POSITION = 2, 18


class Runs:
    """Positions as runs, two varints for each: good for selections that keep whole stretches of the reference set."""

    least_bytes_is_exact = True
    has_quick_estimate = False

    def least_bytes(self, values: Integers, context: CodingContext) -> float:
        return int(kernel.stream_bytes(values))

    def encode(self, values: Integers, context: CodingContext, *, thorough: bool) -> bytes:
        out = np.empty(int(kernel.stream_bytes(values)), np.uint8)
        kernel.write_runs(values, out)
        return out.tobytes()

    def allows_bytes(self, size: int, count: int, domain_size: int) -> bool:
        return _MIN_BYTES <= size <= _MAX_BYTES_PER_POSITION * count

    def decode(self, stream: Stream, count: int, context: CodingContext) -> Integers:
        positions = np.empty(count, np.int64)
        status, at = kernel.read_runs(stream.data, context.domain_size, positions)
        if status == kernel.ENDED:
            raise stream.truncated("the stream ends before its runs add up")
        if status == kernel.BAD_VARINT:
            raise stream.corrupt("a run is an overlong varint", "varint", at)
        if status == kernel.OUT_OF_RANGE:
            raise stream.corrupt(f"a run leads past the universe of {context.domain_size} images", "index-range", at)
        if status == kernel.TOO_MANY:
            raise stream.corrupt(f"the runs add up to more than {count}", "run-count", at)
        if at != len(stream.data):
            raise stream.corrupt(f"{len(stream.data) - at} bytes are left over", "stream-length", at)
        return positions
