"""The rest of a universe (spec section 4: the flag `complement`)."""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def fill_complement(positions, out):
    """Fills `out` (int64 [M - d]) with what is not in `positions` (int64 [d], increasing, below M)."""
    skip = 0
    filled = 0
    position = np.int64(0)
    while filled < len(out):
        if skip < len(positions) and positions[skip] == position:
            skip += 1
        else:
            out[filled] = position
            filled += 1
        position += 1
