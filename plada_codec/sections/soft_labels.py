"""The section `soft labels` (spec section 8.2): what the teacher's probabilities were like, class by class.

One row for each class that is used, ascending; in it the concentrations of a Dirichlet distribution over the classes
(paper, appendix D.3.2), as codes of half an octave. The mean of that distribution is the average soft label (D.3.1).

    payload = Payload(..., soft_labels=quantised_concentrations(precision[:, None] * mean))
    alpha = concentrations(payload.soft_labels)
    average = alpha / alpha.sum(axis=1, keepdims=True)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from plada_codec.codings.base import Given
from plada_codec.errors import InvalidArgument, LimitExceeded
from plada_codec.payload import SOFT_LABEL_CODES
from plada_codec.sections.code_sequence import coding_of_coder, decode_codes, encode_codes

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from plada_codec.codings.base import Stream
    from plada_codec.limits import Limits

#: Spec section 8.2: the code of the concentration 1, and how many codes double it.
_CODE_OF_ONE, _CODES_PER_OCTAVE = 43, 2


def quantised_concentrations(alpha: ArrayLike) -> NDArray[np.uint8]:
    """The codes that are nearest to concentrations, in their logarithm.

    Args:
        alpha: float [U, C], of 0 .. 1,217; a row for each used class, ascending. What is below 2^-21.25 becomes 0.

    Returns:
        uint8 [U, C]: what `Payload.soft_labels` wants.

    Raises:
        InvalidArgument: if a concentration is negative, not finite or too large, or those of a row all become 0.
    """
    alpha = np.asarray(alpha, np.float64)
    if alpha.ndim != 2:
        raise _bad(f"concentrations must have two dimensions, not {alpha.ndim}")
    if not (alpha >= 0).all():
        raise _bad("concentrations must be 0 or more, but one is negative or not a number")
    with np.errstate(divide="ignore"):
        nearest = np.rint(_CODE_OF_ONE + _CODES_PER_OCTAVE * np.log2(alpha))
    if nearest.size and nearest.max() >= SOFT_LABEL_CODES:
        raise _bad(f"the concentration {alpha.max():g} is beyond the largest code: scale its row down")
    codes: NDArray[np.uint8] = np.maximum(nearest, 0).astype(np.uint8)
    if not codes.any(axis=1).all():
        raise _bad(f"the concentrations of row {codes.any(axis=1).argmin()} are all 0, or too small for a code")
    return codes


def concentrations(codes: ArrayLike) -> NDArray[np.float64]:
    """The concentrations that codes stand for (float64, the shape of `codes`). Frozen by format 1."""
    codes = np.asarray(codes)
    return np.where(codes > 0, np.exp2((codes.astype(np.float64) - _CODE_OF_ONE) / _CODES_PER_OCTAVE), 0.0)


def encode_soft_labels(
    codes: NDArray[np.uint8], limits: Limits, decoder_class: str, *, thorough: bool
) -> tuple[int, bytes]:
    """(coder, bytes) of the section."""
    _check_size(codes.size, limits, None)
    return encode_codes(codes.ravel(), _given(codes.size, limits), decoder_class, thorough=thorough)


def decode_soft_labels(
    stream: Stream, coder: int, used_classes: int, num_classes: int, limits: Limits
) -> NDArray[np.uint8]:
    """The codes of a section (uint8 [used_classes, num_classes]).

    Raises:
        Truncated, Corrupt, Unsupported, LimitExceeded: as step 11 of spec section 10 says.
    """
    coding = coding_of_coder(coder, stream.offset)
    count = used_classes * num_classes
    _check_size(count, limits, stream.offset)
    codes = decode_codes(coding, stream, count, _given(count, limits)).reshape(used_classes, num_classes)
    said = codes.any(axis=1)
    if not said.all():
        raise stream.corrupt(f"the soft labels of used class {said.argmin()} are all 0", "soft-labels")
    return codes


def _given(count: int, limits: Limits) -> Given:
    return Given(SOFT_LABEL_CODES, limits, np.arange(count, dtype=np.int64))


def _check_size(count: int, limits: Limits, offset: int | None) -> None:
    if count > limits.max_soft_label_values:
        raise LimitExceeded(
            f"{count} codes of soft labels, but the limit max_soft_label_values is {limits.max_soft_label_values}",
            rule="limit-soft-labels",
            offset=offset,
        )


def _bad(message: str) -> InvalidArgument:
    return InvalidArgument(message, rule="soft-labels")
