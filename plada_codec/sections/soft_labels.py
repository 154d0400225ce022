"""The section `soft labels` (spec section 8.2): the distribution of the teacher's probabilities, class by class.

One row for each class that is used, ascending; in it the concentrations of a Dirichlet distribution over the classes
(paper, appendix D.3.2), as codes of half an octave. The mean of that distribution is the average soft label (D.3.1).

    payload = Payload(..., soft_labels=quantised_concentrations(precision[:, None] * mean))
    alpha = dequantised_concentrations(payload.soft_labels)
    average = alpha / alpha.sum(axis=1, keepdims=True)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from plada_codec.arrays import floats, frozen_integers
from plada_codec.codings.base import CodingContext
from plada_codec.errors import InvalidArgument, InvalidPayload, LimitExceeded
from plada_codec.sections.code_sequence import coding_of_coder, decode_codes, encode_codes

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from plada_codec.codings.base import Stream
    from plada_codec.limits import Limits
    from plada_codec.sections.base import SectionContext

#: Spec section 8.2: every code is below.
SOFT_LABEL_CODES = 64
#: Spec section 8.2: the code of the concentration 1, and how many codes double it.
_CODE_OF_ONE, _CODES_PER_OCTAVE = 43, 2


def quantised_concentrations(alpha: ArrayLike) -> NDArray[np.uint8]:
    """Quantise concentrations: for each, the code whose value is nearest on a logarithmic scale.

    Args:
        alpha: float [U, C], of 0 .. 1,217; a row for each used class, ascending. Values below 2^-21.25 become 0.

    Returns:
        uint8 [U, C], for `Payload.soft_labels`.

    Raises:
        InvalidArgument: if a concentration is negative, not finite or too large, or those of a row all become 0.
    """
    alpha = floats(alpha, "concentrations", "soft-labels")
    if alpha.ndim != 2:
        raise _no_codes(f"concentrations must have two dimensions, not {alpha.ndim}")
    if not (alpha >= 0).all():
        raise _no_codes("concentrations must be 0 or more, but one is negative or not a number")
    with np.errstate(divide="ignore"):
        nearest = np.rint(_CODE_OF_ONE + _CODES_PER_OCTAVE * np.log2(alpha))
    if nearest.size and nearest.max() >= SOFT_LABEL_CODES:
        raise _no_codes(f"the concentration {alpha.max():g} is beyond the largest code: scale its row down")
    codes: NDArray[np.uint8] = np.maximum(nearest, 0).astype(np.uint8)
    if not codes.any(axis=1).all():
        raise _no_codes(f"the concentrations of row {codes.any(axis=1).argmin()} are all 0, or too small for a code")
    return codes


def dequantised_concentrations(codes: ArrayLike) -> NDArray[np.float64]:
    """The concentrations that codes stand for (float64, the shape of `codes`). Frozen by format 1.

    Raises:
        InvalidArgument: if `codes` is not an array-like of numbers.
    """
    codes = floats(codes, "codes", "soft-labels")
    return np.where(codes > 0, np.exp2((codes - _CODE_OF_ONE) / _CODES_PER_OCTAVE), 0.0)


class SoftLabels:
    """Soft labels: codes of concentrations (uint8 [U, C]), row after row, as a sequence of codes."""

    def check(self, value: ArrayLike, num_classes: int, labels: NDArray[np.int32], *, copy: bool) -> NDArray[np.uint8]:
        used_classes = np.flatnonzero(np.bincount(labels))
        shape = (len(used_classes), num_classes)
        if isinstance(value, list | tuple) and not value:
            value = np.empty((0, num_classes), np.uint8)  # a list of no rows has only one dimension
        codes: NDArray[np.uint8] = frozen_integers(
            value, "soft_labels", np.uint8, copy=copy, below=SOFT_LABEL_CODES, dimensions=2
        )
        if codes.shape != shape:
            raise InvalidPayload(
                f"soft_labels has shape {codes.shape}, but there are {shape[0]} used classes of {shape[1]}",
                rule="soft-labels",
            )
        empty = ~codes.any(axis=1)
        if empty.any():
            raise InvalidPayload(
                f"the soft labels of class {used_classes[empty.argmax()]} are all 0", rule="soft-labels"
            )
        return codes

    def encode(
        self, value: NDArray[np.uint8], context: SectionContext, decoder_class: str, *, thorough: bool
    ) -> tuple[int, bytes]:
        _check_size(value.size, context.limits, None)
        coding_context = _coding_context(value.size, context.limits)
        return encode_codes(value.ravel(), coding_context, decoder_class, thorough=thorough)

    def decode(self, stream: Stream, coder: int, context: SectionContext) -> NDArray[np.uint8]:
        coding = coding_of_coder(coder, stream.offset)
        shape = (context.used_classes, context.num_classes)
        count = shape[0] * shape[1]
        _check_size(count, context.limits, stream.offset)
        codes = decode_codes(coding, stream, count, _coding_context(count, context.limits)).reshape(shape)
        empty = ~codes.any(axis=1)
        if empty.any():
            raise stream.corrupt(f"the soft labels of used class {empty.argmax()} are all 0", "soft-labels")
        return codes


def _coding_context(count: int, limits: Limits) -> CodingContext:
    return CodingContext(SOFT_LABEL_CODES, limits, np.arange(count, dtype=np.int64))


def _check_size(count: int, limits: Limits, offset: int | None) -> None:
    if count > limits.max_soft_label_values:
        raise LimitExceeded(
            f"{count} codes of soft labels, but the limit max_soft_label_values is {limits.max_soft_label_values}",
            rule="limit-soft-labels",
            offset=offset,
        )


def _no_codes(message: str) -> InvalidArgument:
    return InvalidArgument(message, rule="soft-labels")
