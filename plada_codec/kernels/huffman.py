"""Canonical Huffman: code lengths, their table, and coded symbols (spec section 5.4).

Code lengths are int8 [A], -1 for an unused symbol. In decoding, codes are described by `order`, the used symbols
sorted by (length, symbol) (int64), and by `limits` (int64 [3, 25]): of each length 0 .. 24 the first code, its symbol's
place in `order`, and what the next 24 bits are below if the code is not longer.
"""

from __future__ import annotations

from plada_codec.kernels.bits import peek, put
from plada_codec.kernels.jit import Ints, Rows, bit_length, kernel, part, zeros, zeros_8

#: Results of the reading functions instead of a bit position.
ENDED, BAD_TABLE = -1, -2
#: Spec section 5.4.
MAX_CODE_BITS = 24
MAX_GAMMA_ZEROS = 31


@kernel(writes=["counts"], steps=lambda distances, counts: len(distances), step_us=0.2, compile_s=0.2)
def count_bit_lengths(distances: Ints, counts: Ints) -> None:
    """Count `distances` (int64, >= 1) by floor(log2): add to `counts` (int64)."""
    for distance in distances:
        counts[bit_length(distance) - 1] += 1


@kernel(
    writes=["lengths"],
    steps=lambda weights, max_bits, lengths: len(weights) * max_bits,
    step_us=0.6,
    compile_s=0.7,
    makes_arrays=True,
)
def package_merge(weights: Ints, max_bits: int, lengths: Ints) -> None:
    """Fill `lengths` (int8 [n]) with optimal code lengths of at most `max_bits`.

    They are for ascending `weights` (int64 [n], n <= 2^max_bits). Larmore and Hirschberg, "A fast algorithm for optimal
    length-limited Huffman codes", J. ACM 37 (1990).
    """
    n = len(weights)
    for i in range(n):
        lengths[i] = 0
    if n == 1:
        return
    is_leaf = zeros_8(max_bits, 2 * n)
    for i in range(n):
        is_leaf[0][i] = 1
    merged = weights.copy()
    for level in range(1, max_bits):
        packages = len(merged) // 2
        longer = zeros(n + packages)
        leaf = 0
        package = 0
        for i in range(n + packages):
            weight = merged[2 * package] + merged[2 * package + 1] if package < packages else 0
            if package == packages or (leaf < n and weights[leaf] <= weight):
                longer[i] = weights[leaf]
                is_leaf[level][i] = 1
                leaf += 1
            else:
                longer[i] = weight
                package += 1
        merged = longer
    take = 2 * n - 2
    for level in range(max_bits - 1, -1, -1):
        leaves = 0
        for i in range(take):
            if is_leaf[level][i]:
                lengths[leaves] += 1
                leaves += 1
        take = 2 * (take - leaves)


@part
def _gamma_bits(value: int) -> int:
    return 2 * bit_length(value) - 1


@part
def _put_gamma(out: Ints, at: int, value: int) -> int:
    size = bit_length(value)
    return put(out, at + size - 1, value, size)


@part
def _zigzag(delta: int) -> int:
    return 2 * delta if delta >= 0 else -2 * delta - 1


@part
def _table(lengths: Ints, out: Ints, write: bool) -> int:
    """Compute the size of the table in bits; write it into `out` if `write`."""
    at = 0
    symbol = 0
    previous = 0
    while symbol < len(lengths):
        start = symbol
        while symbol < len(lengths) and lengths[symbol] < 0:
            symbol += 1
        unused = symbol - start + (1 if start == 0 else 0)
        at = _put_gamma(out, at, unused) if write else at + _gamma_bits(unused)
        if symbol == len(lengths):
            break
        start = symbol
        while symbol < len(lengths) and lengths[symbol] >= 0:
            symbol += 1
        at = _put_gamma(out, at, symbol - start) if write else at + _gamma_bits(symbol - start)
        for i in range(start, symbol):
            step = _zigzag(lengths[i] - previous) + 1
            at = _put_gamma(out, at, step) if write else at + _gamma_bits(step)
            previous = lengths[i]
    return at


@kernel(steps=lambda lengths: len(lengths), step_us=0.3, compile_s=0.3, makes_arrays=True)
def table_bits(lengths: Ints) -> int:
    """Size in bits of the table of `lengths`, of which at least one symbol must be used."""
    return _table(lengths, zeros(0), False)


@kernel(writes=["out"], steps=lambda out, lengths: len(lengths), step_us=0.5, compile_s=0.5)
def write_table(out: Ints, lengths: Ints) -> int:
    """Write the table of `lengths` at the beginning of zeroed `out`; return the bit after it."""
    return _table(lengths, out, True)


@part
def _read_gamma(data: Ints, at: int) -> tuple[int, int]:
    """(value, bit after it); or (0, ENDED or BAD_TABLE)"""
    end = len(data) * 8
    leading = 0
    while at < end and peek(data, at, 1) == 0:
        leading += 1
        at += 1
        if leading > MAX_GAMMA_ZEROS:
            return 0, BAD_TABLE
    if at + leading + 1 > end:
        return 0, ENDED
    return peek(data, at, leading + 1), at + leading + 1


@kernel(writes=["lengths"], steps=lambda data, lengths: len(lengths), step_us=1.0, compile_s=0.7)
def read_table(data: Ints, lengths: Ints) -> int:
    """Fill `lengths` (int8 [A], all -1); return the bit after the table, ENDED or BAD_TABLE.

    Whether the lengths make a complete code is not checked here.
    """
    unused, at = _read_gamma(data, 0)
    if at < 0:
        return at
    symbol = unused - 1
    previous = 0
    while True:
        if symbol >= len(lengths):
            return BAD_TABLE
        used, at = _read_gamma(data, at)
        if at < 0:
            return at
        if used > len(lengths) - symbol:
            return BAD_TABLE
        for _ in range(used):
            step, at = _read_gamma(data, at)
            if at < 0:
                return at
            zigzag = step - 1
            previous += -((zigzag + 1) >> 1) if zigzag & 1 else zigzag >> 1
            if previous < 0 or previous > MAX_CODE_BITS:
                return BAD_TABLE
            lengths[symbol] = previous
            symbol += 1
        if symbol == len(lengths):
            return at
        unused, at = _read_gamma(data, at)
        if at < 0:
            return at
        if unused > len(lengths) - symbol:
            return BAD_TABLE
        symbol += unused
        if symbol == len(lengths):
            return at


@kernel(writes=["out"], steps=lambda out, at, lengths, codes, symbols: len(symbols), step_us=1.0, compile_s=0.3)
def write_symbols(out: Ints, at: int, lengths: Ints, codes: Ints, symbols: Ints) -> None:
    """Write the code of each symbol into zeroed `out` from bit `at` on."""
    for symbol in symbols:
        at = put(out, at, codes[symbol], lengths[symbol])


@kernel(writes=["out"], steps=lambda out, at, lengths, codes, distances: len(distances), step_us=2.0, compile_s=0.4)
def write_distances(out: Ints, at: int, lengths: Ints, codes: Ints, distances: Ints) -> None:
    """Write each distance (int64, >= 1): the code of s = floor(log2), then its s low bits."""
    for distance in distances:
        symbol = bit_length(distance) - 1
        at = put(out, at, codes[symbol], lengths[symbol])
        at = put(out, at, distance, symbol)


@part
def _read_symbol(data: Ints, at: int, order: Ints, first_code: Ints, first_rank: Ints, bound: Ints) -> tuple[int, int]:
    """(symbol, bit after its code). The code is complete, so that any bits decode, even past the end."""
    ahead = peek(data, at, MAX_CODE_BITS)
    length = 0
    while ahead >= bound[length]:
        length += 1
    code = ahead >> (MAX_CODE_BITS - length)
    return order[first_rank[length] + code - first_code[length]], at + length


@kernel(writes=["symbols"], steps=lambda data, at, order, limits, symbols: len(symbols), step_us=3.0, compile_s=0.5)
def read_symbols(data: Ints, at: int, order: Ints, limits: Rows, symbols: Ints) -> tuple[int, int]:
    """Fill `symbols` (int32 [k]) from bit `at` on; return (symbols read, bit after them or ENDED)."""
    first_code, first_rank, bound = limits[0], limits[1], limits[2]
    end = len(data) * 8
    for i in range(len(symbols)):
        symbol, at = _read_symbol(data, at, order, first_code, first_rank, bound)
        if at > end:
            return i, ENDED
        symbols[i] = symbol
    return len(symbols), at


@kernel(
    writes=["positions"],
    steps=lambda data, at, order, limits, universe_size, positions: len(positions),
    step_us=5.0,
    compile_s=0.6,
)
def read_distances(
    data: Ints, at: int, order: Ints, limits: Rows, universe_size: int, positions: Ints
) -> tuple[int, int]:
    """Fill `positions` (int64 [d]) from bit `at` on; return (positions read, bit after them or ENDED).

    Fewer read than asked for, and a bit that is not ENDED: the next distance leads past the universe.
    """
    first_code, first_rank, bound = limits[0], limits[1], limits[2]
    end = len(data) * 8
    position = -1
    for i in range(len(positions)):
        symbol, after = _read_symbol(data, at, order, first_code, first_rank, bound)
        if after + symbol > end:
            return i, ENDED
        high = max(symbol - 32, 0)
        distance = ((1 << high) | peek(data, after, high)) << (symbol - high)
        distance |= peek(data, after + high, symbol - high)
        if distance > universe_size - 1 - position:
            return i, at
        position += distance
        positions[i] = position
        at = after + symbol
    return len(positions), at
