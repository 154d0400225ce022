"""The section `weights` (spec section 8.3): how much each kept image is to count (paper, appendix D.4.2).

A code is a whole octave. Only the differences of codes count, as receivers scale weights to a mean of 1.

    payload = Payload(..., weights=quantised_weights(np.exp(-energy / tau)))
    weights = dequantised_weights(payload.weights)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from plada_codec.codings.base import Given
from plada_codec.errors import InvalidArgument
from plada_codec.payload import WEIGHT_CODES
from plada_codec.sections.code_sequence import coding_of_coder, decode_codes, encode_codes

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from plada_codec.codings.base import Stream
    from plada_codec.limits import Limits


def quantised_weights(weights: ArrayLike) -> NDArray[np.uint8]:
    """The codes that are nearest to weights, in their logarithm; a factor of all weights makes no difference.

    Args:
        weights: float [k], 0 or more and finite, not all 0. The largest gets the largest code; all up to 2^-14.5 of
            it get the smallest, which stands for 2^-15 of it.

    Returns:
        uint8 [k]: what `Payload.weights` wants.

    Raises:
        InvalidArgument: if a weight is negative or not finite, or all are 0.
    """
    weights = np.asarray(weights, np.float64)
    if weights.ndim != 1:
        raise _bad(f"weights must have one dimension, not {weights.ndim}")
    if not weights.size:
        return np.empty(0, np.uint8)
    if not np.isfinite(weights).all() or weights.min() < 0 or weights.max() == 0:
        raise _bad("weights must be 0 or more and finite, and not all 0")
    with np.errstate(divide="ignore"):
        octaves = np.log2(weights)
    codes = np.rint(WEIGHT_CODES - 1 + octaves - octaves.max())
    quantised: NDArray[np.uint8] = np.maximum(codes, 0).astype(np.uint8)
    return quantised


def dequantised_weights(codes: ArrayLike) -> NDArray[np.float64]:
    """The weights that codes stand for (float64 [k], mean 1). Frozen by format 1."""
    weights = np.exp2(np.asarray(codes).astype(np.float64))
    return weights / weights.mean() if weights.size else weights


def encode_weights(
    codes: NDArray[np.uint8], positions: NDArray[np.int64], limits: Limits, decoder_class: str, *, thorough: bool
) -> tuple[int, bytes]:
    """(coder, bytes) of the section; `positions` (int64 [k]) are those of the kept images."""
    return encode_codes(codes, Given(WEIGHT_CODES, limits, positions), decoder_class, thorough=thorough)


def decode_weights(stream: Stream, coder: int, positions: NDArray[np.int64], limits: Limits) -> NDArray[np.uint8]:
    """The codes of a section (uint8 [k]), one for each of the positions (int64 [k]) of the kept images.

    Raises:
        Truncated, Corrupt, Unsupported, LimitExceeded: as step 12 of spec section 10 says.
    """
    coding = coding_of_coder(coder, stream.offset)
    return decode_codes(coding, stream, len(positions), Given(WEIGHT_CODES, limits, positions))


def _bad(message: str) -> InvalidArgument:
    return InvalidArgument(message, rule="weights")
