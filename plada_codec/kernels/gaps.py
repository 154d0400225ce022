"""Positions from gaps (spec section 6.3)."""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def positions_in_place(gaps, universe_size):
    """Turns gaps (uint64 [d]) into positions; returns d, or the first gap that leads past the universe."""
    position = np.int64(-1)
    for i in range(len(gaps)):
        if gaps[i] >= np.uint64(universe_size - 1 - position):
            return i
        position += np.int64(gaps[i]) + 1
        gaps[i] = np.uint64(position)
    return len(gaps)
