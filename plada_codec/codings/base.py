"""The interface of a coding: write one sequence of integers as a stream, and read it back.

Index codings write positions (int64, strictly increasing, below the universe's size M); label codings write
labels (int32, below the number of classes C). A coding never meets an empty sequence: spec section 4 gives it an
empty stream, whatever the coding.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from plada_codec.errors import Corrupt, PladaError, Truncated

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from plada_codec.limits import Limits

    Integers = NDArray[np.signedinteger[Any]]


@dataclass(frozen=True)
class CodingContext:
    """The facts that encoder and decoder know before a stream is written or read.

    Attributes:
        domain_size: number of different values that may occur, from 0: M of index codings, C of label codings.
        limits: resource limits of the decoder.
        positions: positions of the kept images (int64 [k], strictly increasing), for label codings; else None.
    """

    domain_size: int
    limits: Limits
    positions: NDArray[np.int64] | None = None


@dataclass(frozen=True)
class Stream:
    """The bytes of a stream (uint8, contiguous), and the errors of a decoder that reads them.

    Attributes:
        data: the bytes.
        offset: place of the first byte in the payload.
        inflated: whether the bytes are the content of a zstd frame at `offset`. Its bytes have no offsets of their own
            in the payload, so the offset of every error is that of the frame.
    """

    data: NDArray[np.uint8]
    offset: int
    inflated: bool = False

    def corrupt(self, message: str, rule: str, at: int = 0) -> PladaError:
        """The Corrupt error at byte `at` of the stream."""
        return Corrupt(message, rule=rule, offset=self.offset + (0 if self.inflated else at))

    def truncated(self, message: str) -> PladaError:
        """The Truncated error for a stream that ends too early."""
        return Truncated(message, rule="stream-end", offset=self.offset + (0 if self.inflated else len(self.data)))

    def expect_bytes(self, expected: int) -> None:
        """Refuse a stream whose length is not `expected` bytes."""
        if len(self.data) != expected:
            raise self.corrupt(f"the stream has {len(self.data)} bytes instead of {expected}", "stream-length")

    def expect_zero_padding(self, end_bit: int) -> None:
        """Refuse ones between bit `end_bit` and the end of its byte (spec section 2.3)."""
        padding = -end_bit % 8
        if padding and self.data[end_bit // 8] & ((1 << padding) - 1):
            raise self.corrupt("the padding is not zero", "padding", end_bit // 8)


class Codec(Protocol):
    """The implementation of a coding: writes integers as a stream, reads them back, and bounds the stream's size."""

    @property
    def least_bytes_is_exact(self) -> bool:
        """Whether `least_bytes` is the exact size of the stream."""
        ...

    @property
    def has_quick_estimate(self) -> bool:
        """Whether `encode` without `thorough` is much faster than with it, and its size predicts the size with it."""
        ...

    def least_bytes(self, values: Integers, context: CodingContext) -> float:
        """A lower bound on the size of the stream, without writing it; infinite if the values cannot be coded."""
        ...

    def encode(self, values: Integers, context: CodingContext, *, thorough: bool) -> bytes:
        """The stream of `values`. `thorough` spends time on a smaller stream, if the coder has a choice.

        Raises:
            InvalidPayload: if the coding cannot express `values`.
            LimitExceeded: if it would take more than the limits allow.
        """
        ...

    def decode(self, stream: Stream, count: int, context: CodingContext) -> Integers:
        """The `count` >= 1 values of a stream, each checked to be below `context.domain_size`.

        Raises:
            Truncated, Corrupt, LimitExceeded: with the rules of the coding's section of the spec.
        """
        ...


class PlainForm(Codec, Protocol):
    """A plain coding whose stream zstd may compress (spec section 5.3)."""

    def allows_bytes(self, size: int, count: int, domain_size: int) -> bool:
        """Whether a plain stream of `count` values may have `size` bytes (rule `zstd-size`)."""
        ...
