"""Positions by a hidden Markov model of the share of kept images (spec section 6.6). Frozen by format 1."""

from __future__ import annotations

from plada_codec.kernels.jit import Ints, Rows, as_int64, as_uint64, bit_length, kernel, part, zeros, zeros_64
from plada_codec.kernels.mixing import change_over, rescale
from plada_codec.kernels.range_coder import code, code_raw, ended

#: Spec section 6.6: bits of the change exponent t; most levels; largest exponent of a block.
_EXPONENT_BITS = 4
_MAX_LEVELS, _LEVELS_BELOW_CENTRE = 64, 20
_MAX_BLOCK = 40
#: sqrt(2) * 2^39, rounded down.
_ROOT = 777_472_127_993


@kernel(
    writes=["coder", "data", "positions"],
    steps=lambda coder, data, positions, universe_size, change_exponent: len(positions) + 15,
    step_us=80.0,
    compile_s=2.0,
    makes_arrays=True,
)
def code_positions(coder: Ints, data: Ints, positions: Ints, universe_size: int, change_exponent: int) -> int:
    """Code positions (int64 [d], d >= 1), from the array or into it; return how many.

    Fewer than d: the decoder's stream ended, or led to a position that is not in the universe.
    """
    centre, levels = _centre_and_levels(universe_size, len(positions))
    empty, half = zeros_64(_MAX_BLOCK + 1, levels), zeros_64(_MAX_BLOCK + 1, levels)
    prior, weights, products = zeros(levels), zeros(levels), zeros(levels)
    _fill_tables(empty, half, levels)
    return _code_positions(
        coder, data, positions, universe_size, change_exponent, centre, empty, half, prior, weights, products
    )


@part
def _centre_and_levels(universe_size: int, coded: int) -> tuple[int, int]:
    """The level nearest to the share of coded positions, and the number of levels."""
    centre = min(_MAX_LEVELS - 1, 14 + 2 * (bit_length(universe_size // coded) - 1))
    return centre, min(_MAX_LEVELS, centre + _LEVELS_BELOW_CENTRE)


@part
def _code_positions(
    coder: Ints,
    data: Ints,
    positions: Ints,
    universe_size: int,
    change_exponent: int,
    centre: int,
    empty: Rows,
    half: Rows,
    prior: Ints,
    weights: Ints,
    products: Ints,
) -> int:
    levels = len(weights)
    first_block = min(_MAX_BLOCK, bit_length(universe_size // len(positions)) - 1)
    change_exponent = code_raw(coder, data, change_exponent, _EXPONENT_BITS)
    prior_total = 0
    for level in range(levels):
        prior[level] = ((1 << 18) >> (abs(level - centre) // 2)) + 1024
        prior_total += prior[level]
    total = 0
    for level in range(levels):
        weights[level] = (prior[level] << 30) // prior_total
        total += weights[level]

    first_open = 0
    for i in range(len(positions)):
        position = positions[i]
        at = first_open
        exponent = first_block
        inside = False
        while not inside or exponent > 0:
            if inside:
                exponent -= 1
                table = half[exponent]
            else:
                table = empty[exponent]
            block = 1 << exponent
            ones = 0
            for level in range(levels):
                products[level] = weights[level] * table[level]
                ones += products[level]
            probability = max(1, (ones >> 16) // total)
            skip = code(coder, data, probability, as_int64(position - at >= block))
            if not skip:
                ones = (total << 32) - ones
                for level in range(levels):
                    products[level] = (weights[level] << 32) - products[level]
            total = rescale(products, ones, weights)
            if skip:
                if block >= universe_size - at:
                    return i
                at += block
                if not inside:
                    exponent = min(_MAX_BLOCK, exponent + 1)
                    if ended(coder):
                        return i
            else:
                inside = True
        if ended(coder) or at >= universe_size:
            return i
        positions[i] = at

        change = change_over(at + 1 - first_open, change_exponent)
        first_open = at + 1
        per_weight = (change << 30) // total
        prior_total = 0
        for level in range(levels):
            prior[level] += (weights[level] * per_weight) >> 30
            prior_total += prior[level]
        per_prior = (((total * change) >> 20) << 32) // prior_total
        total = 0
        for level in range(levels):
            weights[level] += ((prior[level] * per_prior) >> 32) - ((weights[level] * change) >> 20)
            total += weights[level]
    return len(positions)


@part
def _fill_tables(empty: Rows, half: Rows, levels: int) -> None:
    """Fill the tables `empty` and `half` of spec section 6.6, each [41, levels]."""
    for level in range(levels):
        odds = _ROOT >> ((level + 1) // 2) if level % 2 else 1 << (39 - level // 2)
        share = as_uint64(0xFFFF_FFFF_FFFF_FFFF) // as_uint64((1 << 32) + odds)
        for exponent in range(_MAX_BLOCK + 1):
            empty[exponent][level] = as_int64(share)
            half[exponent][level] = as_int64(
                max(as_uint64(1), (share << as_uint64(32)) // (as_uint64(1 << 32) + share))
            )
            share = max(as_uint64(1), (share * share) >> as_uint64(32))
