"""`classes-modelled`: labels by a model of how their distribution changes along the reference set (spec 7.5)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from plada_codec.codings import modelled

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from plada_codec.codings.base import Given, Integers, Stream

#: Spec section 7.5: change exponent (four bits) and prior exponent (three), good ones and how many there are.
_USUAL_EXPONENTS, _EXPONENTS = (9, 3), (16, 8)


class ClassesModelled(modelled.Modelled):
    """A mixture over the place of the last change; when thorough, its two parameters are fitted."""

    def encode(self, values: Integers, given: Given, *, thorough: bool) -> bytes:
        modelled.check_count(len(values))
        labels = np.array(values, np.int32)
        exponents: Sequence[int] = _USUAL_EXPONENTS
        if thorough:
            first = labels[: modelled.SEARCHED_VALUES]
            exponents = modelled.search(
                lambda trial: modelled.cost(model(first, given, *trial)), _USUAL_EXPONENTS, _EXPONENTS
            )
        return modelled.write(model(labels, given, *exponents), len(labels))

    def decode(self, stream: Stream, count: int, given: Given) -> Integers:
        modelled.check_count(count, stream.offset)
        labels = np.zeros(count, np.int32)
        modelled.read(model(labels, given, 0, 0), stream, count)
        return labels


def model(labels: NDArray[np.int32], given: Given, change_exponent: int, prior_exponent: int) -> modelled.Model:
    """The model with its parameters t and u of spec section 7.5 (a decoder reads them from the stream)."""
    from plada_codec.kernels.classes_modelled import code_labels

    assert given.positions is not None
    positions = given.positions[: len(labels)]
    positions.flags.writeable = False  # both directions call one compiled function
    return lambda coder, data: code_labels(coder, data, positions, labels, given.space, change_exponent, prior_exponent)
