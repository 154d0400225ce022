"""`classes-modelled`: labels by a model of how their distribution changes along the reference set (spec 7.5)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from plada_codec.codings import modelled
from plada_codec.kernels.classes_modelled import code_labels, coding_steps

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from plada_codec.codings.base import CodingContext, Integers, Stream

#: Spec section 7.5: change exponent (four bits) and prior exponent (three), good ones and how many there are.
_USUAL_PARAMETERS, _ENDS = (9, 3), (16, 8)


class ClassesModelled(modelled.Modelled):
    """Labels by a mixture over the place of the last change; when thorough, its two parameters are fitted."""

    def encode(self, values: Integers, context: CodingContext, *, thorough: bool) -> bytes:
        modelled.check_count(len(values))
        labels = np.array(values, np.int32)
        parameters: tuple[int, ...] = _USUAL_PARAMETERS
        if thorough:
            first = labels[: modelled.SEARCH_VALUES]
            expect_labels(len(first), context.domain_size)
            parameters, written = modelled.search(
                lambda trial: modelled.write(model(first, context, *trial), len(first)), _USUAL_PARAMETERS, _ENDS
            )
            if len(first) == len(labels):
                return written.stream
        return modelled.write(model(labels, context, *parameters), len(labels)).stream

    def decode(self, stream: Stream, count: int, context: CodingContext) -> Integers:
        modelled.check_count(count, stream.offset)
        labels = np.zeros(count, np.int32)
        modelled.read(model(labels, context, 0, 0), stream, count)
        return labels


def expect_labels(labels: int, num_classes: int) -> None:
    """Announce that this number of labels will be encoded thoroughly, so that kernels are compiled first."""
    code_labels.expect_steps(modelled.SEARCH_TRIALS * coding_steps(labels, num_classes))


def model(
    labels: NDArray[np.int32], context: CodingContext, change_exponent: int, prior_exponent: int
) -> modelled.Model:
    """The model with its parameters t and u of spec section 7.5 (a decoder reads them from the stream)."""
    assert context.positions is not None
    positions = context.positions[: len(labels)]
    return lambda coder, data: code_labels(
        coder, data, positions, labels, context.domain_size, change_exponent, prior_exponent
    )
