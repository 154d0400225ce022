"""The coder `modelled` (spec section 5.5): streams of the range coder, and the search for a model's parameters.

Shared by `gaps-modelled` and `classes-modelled`.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from plada_codec.errors import LimitExceeded
from plada_codec.kernels import range_coder as kernel

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from plada_codec.codings.base import CodingContext, Integers, Stream

    #: Codes all values with a coder and a stream, and returns how many it could.
    Model = Callable[[NDArray[np.int64], NDArray[np.uint8]], int]

#: Spec sections 6.6 and 7.5: counts have 31 bits.
_MAX_COUNT = (1 << 31) - 1
#: Parameters are chosen on this many values, the first ones.
SEARCH_VALUES = 1 << 14
#: About how many parameters a search tries.
SEARCH_TRIALS = 8
#: Room for a stream at first, more than is usual; a stream that needs more is written again.
_BYTES_PER_VALUE, _LEAST_ROOM = 2, 64


def check_count(count: int, offset: int | None = None) -> None:
    """Refuse more values than the models can count (rule `limit-kept`)."""
    if count > _MAX_COUNT:
        message = f"{count} values are more than the {_MAX_COUNT} that a modelled coding can count"
        raise LimitExceeded(message, rule="limit-kept", offset=offset)


class Modelled:
    """Base of the modelled codings: their `least_bytes`."""

    least_bytes_is_exact = False
    has_quick_estimate = False

    def least_bytes(self, values: Integers, context: CodingContext) -> float:
        """The least size of a stream: the parameters alone take half a byte."""
        return 1 if len(values) <= _MAX_COUNT else math.inf


class WrittenStream(NamedTuple):
    """A stream that a model wrote, and its cost, by which streams of the same values are compared.

    Attributes:
        stream: the bytes.
        cost: in units of 1/256 bit, before it is rounded up to bytes; a constant is left out.
    """

    stream: bytes
    cost: int

    @property
    def sort_key(self) -> tuple[int, int]:
        """Key to compare streams by: bytes, then the distance to one byte less."""
        return len(self.stream), self.cost


def write(model: Model, count: int) -> WrittenStream:
    """Let `model` write `count` values; return the stream."""
    room = _BYTES_PER_VALUE * count + _LEAST_ROOM
    while True:
        data = np.empty(room, np.uint8)
        coder = kernel.new_coder()
        kernel.start_encoder(coder)
        model(coder, data)
        cost = int(kernel.cost(coder))
        size = int(kernel.finish(coder, data))
        if size <= room:
            return WrittenStream(data[:size].tobytes(), cost)
        room = size


def read(model: Model, stream: Stream, count: int) -> int:
    """Let `model` read `count` values from a stream; return the number that it could read.

    Raises:
        Truncated: `stream-end`, if it needed bytes beyond the end.
        Corrupt: `stream-length`, if it read all values and bytes are left over.
    """
    coder = kernel.new_coder()
    data = stream.data.copy()  # writable: both directions call one compiled function
    kernel.start_decoder(coder, data)
    values = int(model(coder, data))
    if kernel.ended(coder):
        raise stream.truncated(f"the stream ends after {values} of {count} values")
    left_over = len(data) - int(coder[kernel.AT])
    if values == count and left_over > 0:
        raise stream.corrupt(f"{left_over} bytes are left over", "stream-length", int(coder[kernel.AT]))
    return values


def search(
    write_with: Callable[[tuple[int, ...]], WrittenStream], start: tuple[int, ...], ends: tuple[int, ...]
) -> tuple[tuple[int, ...], WrittenStream]:
    """Find parameters near `start`, each 0 .. end - 1, that no single step makes cheaper; and their stream."""
    tried: dict[tuple[int, ...], WrittenStream] = {}

    def sort_key(parameters: tuple[int, ...]) -> tuple[int, int]:
        if parameters not in tried:
            tried[parameters] = write_with(parameters)
        return tried[parameters].sort_key

    best, improved = start, True
    while improved:
        improved = False
        for which, end in enumerate(ends):
            for step in (-1, 1):
                while 0 <= best[which] + step < end:
                    stepped = (*best[:which], best[which] + step, *best[which + 1 :])
                    if sort_key(stepped) >= sort_key(best):
                        break
                    best, improved = stepped, True
    return best, tried[best]
