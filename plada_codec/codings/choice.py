"""One sequence of integers and its stream: the smallest coding is chosen and written, or a named one is read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from plada_codec.codings.registry import Coding, coding_named
from plada_codec.errors import InvalidArgument

if TYPE_CHECKING:
    from plada_codec.codings.base import Given, Integers, Stream

#: Up to so many values every coding is tried thoroughly; above, where it takes seconds, only if a quick try came to at
#: most this much of the best so far. (Level 19 of zstd gains up to 7% over level 3 where there are no repetitions.)
_TRIED_VALUES, _REACH = 1 << 17, 1.1


def candidates(table: tuple[Coding, ...], name: str, decoder_class: str, thorough: bool) -> list[Coding]:
    """The codings of a table to choose from: those that `decoder_class` can read, or the one that is named.

    Raises:
        InvalidArgument: if the table has no such name, or the coding is beyond `decoder_class`.
    """
    if name == "auto":
        readable = [coding for coding in table if coding.readable_by(decoder_class)]
        return [coding for coding in readable if thorough or not coding.is_modelled]
    coding = coding_named(table, name)
    if not coding.readable_by(decoder_class):
        raise InvalidArgument(
            f"{name} needs a decoder of class {coding.decoder_class}, not {decoder_class}", rule="coding"
        )
    return [coding]


def smallest(candidates: list[Coding], values: Integers, given: Given, thorough: bool) -> tuple[Coding, bytes]:
    """The smallest stream among the candidates, and its coding."""
    if not len(values):
        return candidates[0], b""  # spec section 4: an empty set has an empty stream in every coding
    if len(candidates) == 1:
        return candidates[0], candidates[0].codec.encode(values, given, thorough=thorough)
    bounds = {coding.code: coding.codec.least_bytes(values, given) for coding in candidates}
    # Exact sizes first: the best of them spares most of the trials that can only be judged by encoding.
    trials = sorted(candidates, key=lambda coding: (not coding.codec.exact, bounds[coding.code]))
    best: tuple[Coding, bytes] | None = None
    for coding in trials:
        if best is None or bounds[coding.code] < len(best[1]):
            try_first = coding.codec.quick_try and best is not None and len(values) > _TRIED_VALUES
            stream = coding.codec.encode(values, given, thorough=thorough and not try_first)
            if thorough and try_first and best is not None and len(stream) <= _REACH * len(best[1]):
                stream = coding.codec.encode(values, given, thorough=True)
            if best is None or len(stream) < len(best[1]):
                best = coding, stream
    assert best is not None
    return best


def read(coding: Coding, stream: Stream, count: int, given: Given, dtype: type[np.signedinteger[Any]]) -> Integers:
    """The `count` values of a stream.

    Raises:
        Truncated, Corrupt, LimitExceeded: by the rules of the coding's section of the spec.
    """
    if not count:
        stream.expect_bytes(0)
        return np.empty(0, dtype)
    return coding.codec.decode(stream, count, given)
