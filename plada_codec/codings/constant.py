"""`constant`: all kept images have one class (spec section 7.1)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from plada_codec.errors import InvalidPayload
from plada_codec.reader import Reader, varint_bytes

if TYPE_CHECKING:
    from plada_codec.codings.base import CodingContext, Integers, Stream


class Constant:
    """Labels that are all equal: one varint, whatever their number."""

    least_bytes_is_exact = True
    has_quick_estimate = False

    def least_bytes(self, values: Integers, context: CodingContext) -> float:
        return len(varint_bytes(int(values[0]))) if (values == values[0]).all() else math.inf

    def encode(self, values: Integers, context: CodingContext, *, thorough: bool) -> bytes:
        if not (values == values[0]).all():
            raise InvalidPayload("constant-plain says one class, but the labels have several", rule="coding")
        return varint_bytes(int(values[0]))

    def decode(self, stream: Stream, count: int, context: CodingContext) -> Integers:
        reader = Reader(stream.data.data, 0, len(stream.data), "stream-end", stream.offset)
        label = reader.varint("the class")
        if label >= context.domain_size:
            raise stream.corrupt(f"class {label} of {context.domain_size} classes", "label-range")
        stream.expect_bytes(reader.position)
        return np.full(count, label, np.int32)
