"""Labels packed in fixed width (spec section 7.2)."""

from __future__ import annotations

import numpy as np
from numba import njit

from plada_codec.kernels.bits import peek, put


@njit(cache=True, nogil=True)
def pack(labels, bits, out):
    """Writes `labels` (int32 [k]) of `bits` bits each into zeroed `out` (uint8 [ceil(k bits / 8)])."""
    at = np.int64(0)
    for label in labels:
        at = put(out, at, np.int64(label), bits)


@njit(cache=True, nogil=True)
def unpack(data, bits, labels):
    """Fills `labels` (int32 [k]) from `data` (uint8 [ceil(k bits / 8)])."""
    at = np.int64(0)
    for i in range(len(labels)):
        labels[i] = np.int32(peek(data, at, bits))
        at += bits
