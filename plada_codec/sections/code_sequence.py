"""Sequences of codes, as the sections `soft labels` and `weights` hold them (spec section 8.4).

They are label streams with codes in the place of labels; the section's coder says which label coding.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from plada_codec.codings import choice
from plada_codec.codings.registry import LABEL_CODINGS, Coding, coding_named
from plada_codec.container import CODERS
from plada_codec.errors import Unsupported

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from plada_codec.codings.base import Given, Stream

#: By coder: the label coding of the same coder. (`constant-plain` is none of a sequence of codes.)
_CODINGS = tuple(coding_named(LABEL_CODINGS, f"classes-{CODERS[coder]}") for coder in range(len(CODERS)))


def encode_codes(codes: NDArray[np.uint8], given: Given, decoder_class: str, *, thorough: bool) -> tuple[int, bytes]:
    """(coder, bytes) of a sequence of codes (uint8 [n]), the fewest bytes that `decoder_class` can read."""
    readable = choice.candidates(_CODINGS, "auto", decoder_class, thorough)
    coding, stream = choice.smallest(readable, codes.astype(np.int32), given, thorough)
    return _CODINGS.index(coding), stream


def coding_of_coder(coder: int, offset: int) -> Coding:
    """How a section with this coder holds its sequence of codes; Unsupported (`coding`) if there is no such coder."""
    if coder >= len(_CODINGS):
        raise Unsupported(f"a section of codes in coder {coder}", rule="coding", offset=offset)
    return _CODINGS[coder]


def decode_codes(coding: Coding, stream: Stream, count: int, given: Given) -> NDArray[np.uint8]:
    """The codes of a sequence (uint8 [count]).

    Raises:
        Truncated, Corrupt, LimitExceeded: by the rules of the label codings.
    """
    return choice.read(coding, stream, count, given, np.int32).astype(np.uint8)
