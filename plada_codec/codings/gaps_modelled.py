"""`gaps-modelled`: positions by a model of how the share of kept images changes along the reference set (spec 6.6)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from plada_codec.codings import modelled
from plada_codec.kernels.gaps_modelled import code_positions

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from plada_codec.codings.base import CodingContext, Integers, Stream

#: Spec section 6.6: the change exponent has four bits; this is a good one for most reference sets.
_USUAL_PARAMETERS, _ENDS = (9,), (16,)


class GapsModelled(modelled.Modelled):
    """Positions by a hidden Markov model; when thorough, its expected length of a run of alike images is fitted."""

    def encode(self, values: Integers, context: CodingContext, *, thorough: bool) -> bytes:
        modelled.check_count(len(values))
        positions = np.array(values, np.int64)
        parameters: tuple[int, ...] = _USUAL_PARAMETERS
        if thorough:
            first = positions[: modelled.SEARCH_VALUES]
            expect_positions(len(first))
            domain_size = context.domain_size if len(first) == len(positions) else int(first[-1]) + 1
            parameters, written = modelled.search(
                lambda trial: modelled.write(model(first, domain_size, *trial), len(first)), _USUAL_PARAMETERS, _ENDS
            )
            if len(first) == len(positions):
                return written.stream
        return modelled.write(model(positions, context.domain_size, *parameters), len(positions)).stream

    def decode(self, stream: Stream, count: int, context: CodingContext) -> Integers:
        modelled.check_count(count, stream.offset)
        positions = np.zeros(count, np.int64)
        read = modelled.read(model(positions, context.domain_size, 0), stream, count)
        if read < count:
            raise stream.corrupt(
                f"position {read} is beyond the universe of {context.domain_size} images", "index-range"
            )
        return positions


def expect_positions(positions: int) -> None:
    """Announce that this number of positions will be encoded thoroughly, so that kernels are compiled first."""
    code_positions.expect_steps(modelled.SEARCH_TRIALS * positions)


def model(positions: NDArray[np.int64], universe_size: int, change_exponent: int) -> modelled.Model:
    """The model with its parameter t of spec section 6.6 (a decoder reads it from the stream)."""
    return lambda coder, data: code_positions(coder, data, positions, universe_size, change_exponent)
