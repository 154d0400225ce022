"""`all-plain`: every image of the universe is coded, in no bytes at all (spec section 6.1)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from plada_codec.errors import InvalidPayload

if TYPE_CHECKING:
    from plada_codec.codings.base import CodingContext, Integers, Stream


class EveryImage:
    """The positions of all images, 0 .. M - 1: an empty stream."""

    least_bytes_is_exact = True
    has_quick_estimate = False

    def least_bytes(self, values: Integers, context: CodingContext) -> float:
        return 0 if len(values) == context.domain_size else math.inf

    def encode(self, values: Integers, context: CodingContext, *, thorough: bool) -> bytes:
        if len(values) != context.domain_size:
            raise InvalidPayload(
                f"all-plain can only say that all or none of {context.domain_size} images are kept", rule="coding"
            )
        return b""

    def decode(self, stream: Stream, count: int, context: CodingContext) -> Integers:
        return np.arange(count, dtype=np.int64)
