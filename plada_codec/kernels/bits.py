"""Write and read bits in bytes, most significant first (spec section 2.3). The other kernels use it."""

from __future__ import annotations

from plada_codec.kernels.jit import Ints, part


@part
def put(out: Ints, at: int, value: int, bits: int) -> int:
    """Write the low `bits` (0 .. 62) of `value` into zeroed `out` at bit `at`; return the bit after them."""
    while bits > 0:
        free = 8 - (at & 7)
        take = min(free, bits)
        chunk = (value >> (bits - take)) & ((1 << take) - 1)
        out[at >> 3] |= chunk << (free - take)
        at += take
        bits -= take
    return at


@part
def peek(data: Ints, at: int, bits: int) -> int:
    """The `bits` (0 .. 32) bits at bit `at`; zeros are read beyond the end."""
    first = at >> 3
    window = 0
    for i in range(5):
        window <<= 8
        if first + i < len(data):
            window |= data[first + i]
    return (window >> (40 - (at & 7) - bits)) & ((1 << bits) - 1)
