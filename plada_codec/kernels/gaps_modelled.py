"""Positions by a hidden Markov model of the share that is kept (spec section 6.6). Frozen by format 1."""

from __future__ import annotations

import numpy as np
from numba import njit

from plada_codec.kernels.mixing import bits, change_over, rescale
from plada_codec.kernels.range_coder import code, code_raw, ended

#: Spec section 6.6: bits of the change exponent t; most levels; largest exponent of a block.
_EXPONENT_BITS = np.int64(4)
_MAX_LEVELS, _LEVELS_BELOW_CENTRE = 64, 20
_MAX_BLOCK = 40
#: sqrt(2) * 2^39, rounded down.
_ROOT = 777_472_127_993


@njit(cache=True, nogil=True)
def code_positions(coder, data, positions, universe_size, change_exponent):
    """Codes positions (int64 [d], d >= 1), from the array or into it; returns how many.

    Fewer than d: the decoder's stream ended, or led to a position that is not in the universe.
    """
    skipped = np.int64(universe_size) // len(positions)
    centre = min(_MAX_LEVELS - 1, 14 + 2 * (bits(skipped) - 1))
    levels = min(_MAX_LEVELS, centre + _LEVELS_BELOW_CENTRE)
    empty, half = _tables(levels)
    first_block = min(_MAX_BLOCK, bits(skipped) - 1)

    change_exponent = code_raw(coder, data, np.int64(change_exponent), _EXPONENT_BITS)
    prior = np.empty(levels, np.int64)
    for level in range(levels):
        prior[level] = (np.int64(1 << 18) >> (abs(level - centre) // 2)) + 1024
    weights = (prior << 30) // prior.sum()
    total = weights.sum()
    products = np.empty(levels, np.int64)

    first_open = np.int64(0)
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
            block = np.int64(1) << exponent
            ones = np.int64(0)
            for level in range(levels):
                products[level] = weights[level] * table[level]
                ones += products[level]
            probability = max(1, (ones >> 16) // total)
            skip = code(coder, data, probability, np.int64(position - at >= block))
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
        prior_total = np.int64(0)
        for level in range(levels):
            prior[level] += (weights[level] * per_weight) >> 30
            prior_total += prior[level]
        per_prior = (((total * change) >> 20) << 32) // prior_total
        total = np.int64(0)
        for level in range(levels):
            weights[level] += ((prior[level] * per_prior) >> 32) - ((weights[level] * change) >> 20)
            total += weights[level]
    return len(positions)


@njit(cache=True, nogil=True)
def _tables(levels):
    """Empty and half of spec section 6.6, int64 [41, levels]."""
    empty = np.empty((_MAX_BLOCK + 1, levels), np.int64)
    half = np.empty((_MAX_BLOCK + 1, levels), np.int64)
    for level in range(levels):
        odds = _ROOT >> ((level + 1) // 2) if level % 2 else np.int64(1) << (39 - level // 2)
        share = ~np.uint64(0) // np.uint64((np.int64(1) << 32) + odds)
        for exponent in range(_MAX_BLOCK + 1):
            empty[exponent, level] = share
            half[exponent, level] = max(np.uint64(1), (share << np.uint64(32)) // (np.uint64(1 << 32) + share))
            share = max(np.uint64(1), (share * share) >> np.uint64(32))
    return empty, half
