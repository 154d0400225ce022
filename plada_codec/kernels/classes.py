"""Labels packed in fixed width (spec section 7.2)."""

from __future__ import annotations

from plada_codec.kernels.bits import peek, put
from plada_codec.kernels.jit import Ints, kernel


@kernel(writes=["out"], steps=lambda labels, bits, out: len(labels), step_us=1.0, compile_s=0.3)
def pack(labels: Ints, bits: int, out: Ints) -> None:
    """Write `labels` (int32 [k]) of `bits` bits each into zeroed `out` (uint8 [ceil(k bits / 8)])."""
    at = 0
    for label in labels:
        at = put(out, at, label, bits)


@kernel(writes=["labels"], steps=lambda data, bits, labels: len(labels), step_us=1.0, compile_s=0.3)
def unpack(data: Ints, bits: int, labels: Ints) -> None:
    """Fill `labels` (int32 [k]) from `data` (uint8 [ceil(k bits / 8)])."""
    at = 0
    for i in range(len(labels)):
        labels[i] = peek(data, at, bits)
        at += bits
