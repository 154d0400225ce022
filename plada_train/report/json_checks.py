"""Numbers of JSON files, which may say anything."""

from __future__ import annotations

from typing import Any

from plada_codec.limits import MAX_VARINT


def count(value: Any, low: int = 0, high: int = MAX_VARINT) -> int:
    """`value`, a whole number `low` .. `high`. Raises TypeError if it is none."""
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise TypeError(f"{value!r} is not a number {low} .. {high}")
    return value


def share(value: Any) -> float:
    """`value`, 0 .. 1. Raises TypeError if it is not."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise TypeError(f"{value!r} is not a share")
    return float(value)
