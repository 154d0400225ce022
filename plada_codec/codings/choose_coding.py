"""Write one sequence of integers with the smallest coding, or read it with the coding that the payload names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from plada_codec.codings.registry import Coding, coding_named
from plada_codec.errors import InvalidArgument

if TYPE_CHECKING:
    from plada_codec.codings.base import CodingContext, Integers, Stream

#: Every coding is tried thoroughly on up to this many values. Above, where that takes seconds, a coding is tried
#: thoroughly only if its quick try takes at most `_REACH` times the best stream so far. (Level 19 of zstd gains up to
#: 7% over level 3 where there are no repetitions.)
_TRIED_VALUES, _REACH = 1 << 17, 1.1


def candidate_codings(codings: tuple[Coding, ...], name: str, decoder_class: str, thorough: bool) -> list[Coding]:
    """The codings to choose from: for the name "auto", all that `decoder_class` can read; otherwise the named one.

    Raises:
        InvalidArgument: (rule coding) if no coding has this name, or `decoder_class` cannot read it.
    """
    if name == "auto":
        readable = [coding for coding in codings if coding.coder.readable_by(decoder_class)]
        return [coding for coding in readable if thorough or not coding.coder.is_slow]
    coding = coding_named(codings, name)
    if not coding.coder.readable_by(decoder_class):
        raise InvalidArgument(
            f"{name} needs a decoder of class {coding.coder.decoder_class}, not {decoder_class}", rule="coding"
        )
    return [coding]


def write_smallest(
    candidates: list[Coding], values: Integers, context: CodingContext, thorough: bool
) -> tuple[Coding, bytes]:
    """Write the stream with each promising candidate; return the best candidate and its stream."""
    if not len(values):
        return candidates[0], b""  # spec section 4: an empty set has an empty stream in every coding
    if len(candidates) == 1:
        return candidates[0], candidates[0].codec.encode(values, context, thorough=thorough)
    bounds = {coding.code: coding.codec.least_bytes(values, context) for coding in candidates}
    # Exact sizes first: the best of them spares most of the trials that can only be judged by encoding.
    trials = sorted(candidates, key=lambda coding: (not coding.codec.least_bytes_is_exact, bounds[coding.code]))
    best: tuple[Coding, bytes] | None = None
    for coding in trials:
        if best is None or bounds[coding.code] < len(best[1]):
            try_first = coding.codec.has_quick_estimate and best is not None and len(values) > _TRIED_VALUES
            stream = coding.codec.encode(values, context, thorough=thorough and not try_first)
            if thorough and try_first and best is not None and len(stream) <= _REACH * len(best[1]):
                stream = coding.codec.encode(values, context, thorough=True)
            if best is None or len(stream) < len(best[1]):
                best = coding, stream
    assert best is not None
    return best


def read_values(
    coding: Coding, stream: Stream, count: int, context: CodingContext, dtype: type[np.signedinteger[Any]]
) -> Integers:
    """Read the `count` values of a stream.

    Raises:
        Truncated, Corrupt, LimitExceeded: by the rules of the section of the specification on this coding.
    """
    if not count:
        stream.expect_bytes(0)
        return np.empty(0, dtype)
    return coding.codec.decode(stream, count, context)
