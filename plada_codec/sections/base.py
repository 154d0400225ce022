"""The interface of an optional section: check a value, write it as bytes, read it back.

A section is checked where a Payload is made, written and read behind both streams: the kept images and their labels
are known then.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from plada_codec.codings.base import Stream
    from plada_codec.limits import Limits


@dataclass(frozen=True)
class SectionContext:
    """The parts of a payload that encoder and decoder know before its optional sections.

    Attributes:
        num_classes: C.
        positions: positions of the kept images in the universe (int64 [k], strictly increasing).
        labels: their labels (int32 [k]).
        limits: resource limits of the decoder.
    """

    num_classes: int
    positions: NDArray[np.int64]
    labels: NDArray[np.int32]
    limits: Limits

    @cached_property
    def used_classes(self) -> int:
        """Number U of classes that have a kept image (spec section 8.2)."""
        return int(np.count_nonzero(np.bincount(self.labels)))


class SectionCodec(Protocol):
    """Checks, writes and reads the value of a section, which is an attribute of Payload."""

    def check(self, value: Any, num_classes: int, labels: NDArray[np.int32], *, copy: bool) -> Any:
        """Check a value; return it as Payload keeps it: immutable, and a copy of arrays if `copy`.

        Args:
            value: the argument of Payload, not None.
            num_classes: C, already checked.
            labels: int32 [k], already checked.
            copy: whether others may hold the arrays in `value`.

        Raises:
            InvalidPayload: if the value is not as the section of the specification says.
        """
        ...

    def encode(self, value: Any, context: SectionContext, decoder_class: str, *, thorough: bool) -> tuple[int, bytes]:
        """The code of the coder and the bytes of the section: the fewest that `decoder_class` can read.

        Raises:
            LimitExceeded: if a decoder with `context.limits` would refuse the section.
        """
        ...

    def decode(self, stream: Stream, coder: int, context: SectionContext) -> Any:
        """Read the value of a section, in the form that `check` returns.

        Raises:
            Truncated, Corrupt, Unsupported, LimitExceeded: by the rules of the section of the specification.
        """
        ...
