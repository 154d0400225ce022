"""The universe: the part of a reference set that a payload speaks of (spec section 4)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Universe:
    """The images offset, offset + stride, offset + 2 stride, ... of a reference set; by default every image."""

    offset: int = 0
    stride: int = 1

    def size(self, reference_size: int) -> int:
        """Number of images M of the universe in a reference set of `reference_size` images."""
        return (reference_size - self.offset - 1) // self.stride + 1
