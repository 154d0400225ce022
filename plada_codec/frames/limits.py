"""Resource limits that receivers of frames enforce and senders keep (spec/plada-frames-1.md, section 9)."""

from __future__ import annotations

from dataclasses import dataclass

from plada_codec.errors import InvalidArgument

#: Section 9: cost of a symbol in memory besides its bytes, so that short symbols are bounded too.
SYMBOL_COST_BYTES = 128


@dataclass(frozen=True, kw_only=True)
class FrameLimits:
    """Resource limits, with the defaults of section 9. They bound memory up to a small factor.

    Attributes:
        max_object_bytes: longest object that may be sent or announced.
        max_held_bytes: most bytes that a receiver holds for all objects together: symbols, each with
            `SYMBOL_COST_BYTES` added to its size, and complete objects.

    Raises:
        InvalidArgument: (rule limits) if a limit is not an integer of 0 or more.
    """

    max_object_bytes: int = 1 << 26
    max_held_bytes: int = 1 << 27

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if isinstance(value, bool) or not isinstance(value, int) or value < 0:
                raise InvalidArgument(f"the limit {name} must be an integer of 0 or more, not {value!r}", rule="limits")
