"""Sequences of codes, as the sections `soft labels` and `weights` hold them (spec section 8.4).

They are label streams with codes in the place of labels. The coder of the section selects the label coding.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from plada_codec.codings.choose_coding import candidate_codings, read_values, write_smallest
from plada_codec.codings.registry import LABEL_CODINGS, Coding
from plada_codec.errors import Unsupported

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from plada_codec.codings.base import CodingContext, Stream

#: Spec section 8.4: `classes` under each coder.
_CODINGS = tuple(coding for coding in LABEL_CODINGS if coding.layout == "classes")


def encode_codes(
    codes: NDArray[np.uint8], context: CodingContext, decoder_class: str, *, thorough: bool
) -> tuple[int, bytes]:
    """The code of the coder and the bytes of `codes` (uint8 [n]): the fewest that `decoder_class` can read."""
    candidates = candidate_codings(_CODINGS, "auto", decoder_class, thorough)
    coding, stream = write_smallest(candidates, codes.astype(np.int32), context, thorough)
    return coding.coder.code, stream


def coding_of_coder(coder: int, offset: int) -> Coding:
    """The label coding with a section's coder. Raises Unsupported (rule coding) if there is none."""
    for coding in _CODINGS:
        if coding.coder.code == coder:
            return coding
    raise Unsupported(f"a section of codes in coder {coder}", rule="coding", offset=offset)


def decode_codes(coding: Coding, stream: Stream, count: int, context: CodingContext) -> NDArray[np.uint8]:
    """Read a sequence of codes (uint8 [count]).

    Raises:
        Truncated, Corrupt, LimitExceeded: by the rules of the label codings.
    """
    return read_values(coding, stream, count, context, np.int32).astype(np.uint8)
