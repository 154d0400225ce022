"""The section `weights` (spec section 8.3): the weight of each kept image in training (paper, appendix D.4.2).

A code is a whole octave. Only the differences of codes count, as receivers scale weights to a mean of 1.

    payload = Payload(..., weights=quantised_weights(np.exp(-energy / tau)))
    weights = dequantised_weights(payload.weights)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from plada_codec.arrays import floats, frozen_integers
from plada_codec.codings.base import CodingContext
from plada_codec.errors import InvalidArgument, InvalidPayload
from plada_codec.sections.code_sequence import coding_of_coder, decode_codes, encode_codes

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from plada_codec.codings.base import Stream
    from plada_codec.sections.base import SectionContext

#: Spec section 8.3: every code is below.
WEIGHT_CODES = 16


def quantised_weights(weights: ArrayLike) -> NDArray[np.uint8]:
    """Quantise weights: for each, the code nearest on a logarithmic scale. A common factor makes no difference.

    Args:
        weights: float [k], 0 or more and finite, not all 0. The largest gets the largest code. All up to 2^-14.5 times
            the largest get the smallest code, which stands for 2^-15 times the largest.

    Returns:
        uint8 [k], for `Payload.weights`.

    Raises:
        InvalidArgument: if a weight is negative or not finite, or all are 0.
    """
    weights = floats(weights, "weights", "weights")
    if weights.ndim != 1:
        raise _no_codes(f"weights must have one dimension, not {weights.ndim}")
    if not weights.size:
        return np.empty(0, np.uint8)
    if not np.isfinite(weights).all() or weights.min() < 0 or weights.max() == 0:
        raise _no_codes("weights must be 0 or more and finite, and not all 0")
    with np.errstate(divide="ignore"):
        octaves = np.log2(weights)
    codes = np.rint(WEIGHT_CODES - 1 + octaves - octaves.max())
    quantised: NDArray[np.uint8] = np.maximum(codes, 0).astype(np.uint8)
    return quantised


def dequantised_weights(codes: ArrayLike) -> NDArray[np.float64]:
    """The weights that codes stand for (float64 [k], mean 1). Frozen by format 1.

    Raises:
        InvalidArgument: if `codes` is not an array-like of numbers.
    """
    weights = np.exp2(floats(codes, "codes", "weights"))
    return weights / weights.mean() if weights.size else weights


class Weights:
    """Weights: one code for each kept image (uint8 [k]), as a sequence of codes."""

    def check(self, value: ArrayLike, num_classes: int, labels: NDArray[np.int32], *, copy: bool) -> NDArray[np.uint8]:
        codes: NDArray[np.uint8] = frozen_integers(value, "weights", np.uint8, copy=copy, below=WEIGHT_CODES)
        if len(codes) != len(labels):
            raise InvalidPayload(
                f"{len(labels)} indices but {len(codes)} weights: there must be one weight for each", rule="weights"
            )
        return codes

    def encode(
        self, value: NDArray[np.uint8], context: SectionContext, decoder_class: str, *, thorough: bool
    ) -> tuple[int, bytes]:
        return encode_codes(value, _coding_context(context), decoder_class, thorough=thorough)

    def decode(self, stream: Stream, coder: int, context: SectionContext) -> NDArray[np.uint8]:
        coding = coding_of_coder(coder, stream.offset)
        return decode_codes(coding, stream, len(context.positions), _coding_context(context))


def _coding_context(context: SectionContext) -> CodingContext:
    return CodingContext(WEIGHT_CODES, context.limits, context.positions)


def _no_codes(message: str) -> InvalidArgument:
    return InvalidArgument(message, rule="weights")
