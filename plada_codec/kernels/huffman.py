"""Canonical Huffman: code lengths, their table, and coded symbols (spec section 5.4).

Code lengths are int8 [A], -1 for an unused symbol. In decoding, codes are described by `order`, the used
symbols sorted by (length, symbol) (int64), and `per_length`, how many there are of each length 0 .. 24 (int64).
"""

from __future__ import annotations

import numpy as np
from numba import njit

from plada_codec.kernels.bits import peek, put

#: What functions that read return instead of a bit position.
ENDED, BAD_TABLE = -1, -2
#: Spec section 5.4.
MAX_CODE_BITS = 24
MAX_GAMMA_ZEROS = 31


@njit(cache=True, nogil=True)
def count_symbols(symbols, counts):
    """Adds the number of times each symbol occurs to `counts` (int64 [A])."""
    for symbol in symbols:
        counts[symbol] += 1


@njit(cache=True, nogil=True, inline="always")
def _floor_log2(value):
    result = 0
    while value > 1:
        value >>= 1
        result += 1
    return result


@njit(cache=True, nogil=True)
def count_bit_lengths(distances, counts):
    """Adds the number of `distances` (int64, >= 1) of each floor(log2) to `counts` (int64)."""
    for distance in distances:
        counts[_floor_log2(distance)] += 1


@njit(cache=True, nogil=True)
def package_merge(weights, max_bits):
    """Optimal code lengths of at most `max_bits` for ascending `weights` (int64 [n], n <= 2^max_bits).

    Larmore and Hirschberg, "A fast algorithm for optimal length-limited Huffman codes", J. ACM 37 (1990).
    """
    n = len(weights)
    lengths = np.zeros(n, np.int8)
    if n == 1:
        return lengths
    is_leaf = np.zeros((max_bits, 2 * n), np.bool_)
    is_leaf[0, :n] = True
    merged = weights.copy()
    for level in range(1, max_bits):
        packages = len(merged) // 2
        longer = np.empty(n + packages, np.int64)
        leaf = 0
        package = 0
        for i in range(n + packages):
            weight = merged[2 * package] + merged[2 * package + 1] if package < packages else np.int64(0)
            if package == packages or (leaf < n and weights[leaf] <= weight):
                longer[i] = weights[leaf]
                is_leaf[level, i] = True
                leaf += 1
            else:
                longer[i] = weight
                package += 1
        merged = longer
    take = 2 * n - 2
    for level in range(max_bits - 1, -1, -1):
        leaves = 0
        for i in range(take):
            if is_leaf[level, i]:
                lengths[leaves] += 1
                leaves += 1
        take = 2 * (take - leaves)
    return lengths


@njit(cache=True, nogil=True, inline="always")
def _gamma_bits(value):
    return 2 * _floor_log2(value) + 1


@njit(cache=True, nogil=True, inline="always")
def _put_gamma(out, at, value):
    zeros = _floor_log2(value)
    return put(out, at + zeros, np.int64(value), zeros + 1)


@njit(cache=True, nogil=True, inline="always")
def _zigzag(delta):
    return 2 * delta if delta >= 0 else -2 * delta - 1


@njit(cache=True, nogil=True)
def _table(lengths, out, write):
    """Size of the table in bits; it is written into `out` if `write`."""
    at = np.int64(0)
    symbol = 0
    previous = np.int64(0)
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
            step = _zigzag(np.int64(lengths[i]) - previous) + 1
            at = _put_gamma(out, at, step) if write else at + _gamma_bits(step)
            previous = np.int64(lengths[i])
    return at


@njit(cache=True, nogil=True)
def table_bits(lengths):
    """Size in bits of the table of `lengths`, of which at least one symbol must be used."""
    return _table(lengths, np.zeros(0, np.uint8), False)


@njit(cache=True, nogil=True)
def write_table(out, lengths):
    """Writes the table of `lengths` at the beginning of zeroed `out`; returns the bit after it."""
    return _table(lengths, out, True)


@njit(cache=True, nogil=True, inline="always")
def _read_gamma(data, at):
    """(value, bit after it); or (0, ENDED or BAD_TABLE)"""
    end = np.int64(len(data)) * 8
    zeros = 0
    while at < end and peek(data, at, 1) == 0:
        zeros += 1
        at += 1
        if zeros > MAX_GAMMA_ZEROS:
            return np.int64(0), np.int64(BAD_TABLE)
    if at + zeros + 1 > end:
        return np.int64(0), np.int64(ENDED)
    return peek(data, at, zeros + 1), at + zeros + 1


@njit(cache=True, nogil=True)
def read_table(data, lengths):
    """Fills `lengths` (int8 [A], all -1); returns the bit after the table, ENDED or BAD_TABLE.

    Whether the lengths make a complete code is not checked here.
    """
    unused, at = _read_gamma(data, np.int64(0))
    if at < 0:
        return at
    symbol = unused - 1
    previous = np.int64(0)
    while True:
        if symbol >= len(lengths):
            return np.int64(BAD_TABLE)
        used, at = _read_gamma(data, at)
        if at < 0:
            return at
        if used > len(lengths) - symbol:
            return np.int64(BAD_TABLE)
        for _ in range(used):
            step, at = _read_gamma(data, at)
            if at < 0:
                return at
            zigzag = step - 1
            previous += -((zigzag + 1) >> 1) if zigzag & 1 else zigzag >> 1
            if previous < 0 or previous > MAX_CODE_BITS:
                return np.int64(BAD_TABLE)
            lengths[symbol] = np.int8(previous)
            symbol += 1
        if symbol == len(lengths):
            return at
        unused, at = _read_gamma(data, at)
        if at < 0:
            return at
        if unused > len(lengths) - symbol:
            return np.int64(BAD_TABLE)
        symbol += unused
        if symbol == len(lengths):
            return at


@njit(cache=True, nogil=True)
def write_symbols(out, at, lengths, codes, symbols):
    """Writes the code of each symbol into zeroed `out` from bit `at` on."""
    for symbol in symbols:
        at = put(out, at, codes[symbol], np.int64(lengths[symbol]))


@njit(cache=True, nogil=True)
def write_distances(out, at, lengths, codes, distances):
    """Writes each distance (int64, >= 1): the code of s = floor(log2), then its s low bits."""
    for distance in distances:
        symbol = _floor_log2(distance)
        at = put(out, at, codes[symbol], np.int64(lengths[symbol]))
        at = put(out, at, distance, symbol)


@njit(cache=True, nogil=True)
def _code_limits(per_length):
    """(first code, first rank in `order`, bound on the next 24 bits) of each length, each int64 [25]."""
    first_code = np.zeros(MAX_CODE_BITS + 1, np.int64)
    first_rank = np.zeros(MAX_CODE_BITS + 1, np.int64)
    bound = np.zeros(MAX_CODE_BITS + 1, np.int64)
    code = np.int64(0)
    rank = np.int64(0)
    for length in range(MAX_CODE_BITS + 1):
        code <<= 1
        first_code[length] = code
        first_rank[length] = rank
        code += per_length[length]
        rank += per_length[length]
        bound[length] = code << (MAX_CODE_BITS - length)
    return first_code, first_rank, bound


@njit(cache=True, nogil=True, inline="always")
def _read_symbol(data, at, order, first_code, first_rank, bound):
    """(symbol, bit after its code). The code is complete, so that any bits decode, even past the end."""
    ahead = peek(data, at, MAX_CODE_BITS)
    length = 0
    while ahead >= bound[length]:
        length += 1
    code = ahead >> (MAX_CODE_BITS - length)
    return order[first_rank[length] + code - first_code[length]], at + length


@njit(cache=True, nogil=True)
def read_symbols(data, at, order, per_length, symbols):
    """Fills `symbols` (int32 [k]) from bit `at` on; returns (symbols read, bit after them or ENDED)."""
    first_code, first_rank, bound = _code_limits(per_length)
    end = np.int64(len(data)) * 8
    for i in range(len(symbols)):
        symbol, at = _read_symbol(data, at, order, first_code, first_rank, bound)
        if at > end:
            return i, np.int64(ENDED)
        symbols[i] = np.int32(symbol)
    return len(symbols), at


@njit(cache=True, nogil=True)
def read_distances(data, at, order, per_length, universe_size, positions):
    """Fills `positions` (int64 [d]) from bit `at` on; returns (positions read, bit after them or ENDED).

    Fewer read than asked for, and a bit that is not ENDED: the next distance leads past the universe.
    """
    first_code, first_rank, bound = _code_limits(per_length)
    end = np.int64(len(data)) * 8
    position = np.int64(-1)
    for i in range(len(positions)):
        symbol, after = _read_symbol(data, at, order, first_code, first_rank, bound)
        if after + symbol > end:
            return i, np.int64(ENDED)
        high = max(symbol - 32, 0)
        distance = ((np.int64(1) << high) | peek(data, after, high)) << (symbol - high)
        distance |= peek(data, after + high, symbol - high)
        if distance > universe_size - 1 - position:
            return i, at
        position += distance
        positions[i] = position
        at = after + symbol
    return len(positions), at
