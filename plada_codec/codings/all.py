"""`all-plain`: every image of the universe is coded, in no bytes at all (spec section 6.1)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from plada_codec.errors import InvalidPayload

if TYPE_CHECKING:
    from plada_codec.codings.base import Integers, Stream
    from plada_codec.limits import Limits


class All:
    """Positions 0 .. M - 1, all of them."""

    exact = True

    def least_bytes(self, values: Integers, space: int, limits: Limits) -> float:
        return 0 if len(values) == space else math.inf

    def encode(self, values: Integers, space: int, limits: Limits, *, thorough: bool) -> bytes:
        if len(values) != space:
            raise InvalidPayload(f"all-plain can only say that all or none of {space} images are kept", rule="coding")
        return b""

    def decode(self, stream: Stream, count: int, space: int, limits: Limits) -> Integers:
        return np.arange(count, dtype=np.int64)
