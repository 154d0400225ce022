"""Labels by a mixture over the place of the last change (spec section 7.5). Frozen by format 1.

Classes are the leaves of a binary tree, node 1 its root, class c node `leaves` + c. counts[v, i] (int32) is how many
labels below node v candidate i has counted, all_counts[v] (int64) how many there were at all.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from plada_codec.kernels.mixing import FIRST_RATE, bits, change_over, code_mixed, rescale, stretch
from plada_codec.kernels.range_coder import code_raw, ended

#: Spec section 7.5.
_CANDIDATES = 16
_GUESSES = 2
_BUCKETS = 8
_CHANGE_BITS, _PRIOR_BITS = np.int64(4), np.int64(3)
_LARGEST_SHARE = 64_000


@njit(cache=True, nogil=True)
def code_labels(coder, data, positions, labels, num_classes, change_exponent, prior_exponent):
    """Codes labels (int32 [k], k >= 1) of the images at `positions` (int64 [k]), from the array or into it.

    Returns how many: fewer than k if the decoder's stream ended.
    """
    change_exponent = code_raw(coder, data, np.int64(change_exponent), _CHANGE_BITS)
    prior_exponent = code_raw(coder, data, np.int64(prior_exponent), _PRIOR_BITS)
    depth = bits(num_classes - 1)
    leaves = np.int64(1) << depth
    strengths = _prior_strengths(prior_exponent)
    guesses = min(_GUESSES, num_classes - 1)

    counts = np.zeros((2 * leaves, _CANDIDATES), np.int32)
    all_counts = np.zeros(2 * leaves, np.int64)
    born = np.zeros(_CANDIDATES, np.int64)
    weights = np.zeros(_CANDIDATES, np.int64)
    weights[0] = 1 << 30
    total = weights[0]
    products = np.zeros(_CANDIDATES, np.int64)
    shares = np.zeros(_CANDIDATES, np.int64)
    counted = np.zeros(_CANDIDATES, np.int64)
    guess_mixers, tree_mixers = _mixers()
    guess_inputs, tree_inputs = np.zeros(3, np.int64), np.zeros(2, np.int64)
    counters = np.full((_GUESSES, 3, 8, 4, 2), np.int64(1 << 21))
    uses = np.zeros((_GUESSES, 3, 8, 4, 2), np.int64)
    excluded = np.zeros(_GUESSES, np.int64)
    previous = np.int64(-1)
    right_guess = np.int64(0)

    position = np.int64(-1)
    for number in range(len(labels)):
        distance = positions[number] - position
        position = positions[number]
        if number > 0:
            weakest = np.argmin(weights)
            _forget(counts, weakest, labels, born[weakest], number, leaves, depth)
            born[weakest] = number
            change = change_over(distance, change_exponent)
            fresh = ((total - weights[weakest]) * change) >> 20
            weights[weakest] = 0
            total = fresh
            for i in range(_CANDIDATES):
                weights[i] -= (weights[i] * change) >> 20
                total += weights[i]
            weights[weakest] = fresh

        strongest = np.argmax(weights)
        for i in range(_CANDIDATES):
            counted[i] = number - born[i]
        all_counted = np.int64(number)
        distance_class = min(3, (bits(distance) - 1) // 2)
        last, right_guess = right_guess, np.int64(0)
        label = np.int64(labels[number])
        wrong = np.int64(0)
        while wrong < guesses:
            leaf = _guess(counts, strongest, leaves, depth, previous, excluded, wrong)
            if leaf < 0:
                break
            pooled = min(
                _LARGEST_SHARE,
                ((2 * all_counts[leaf] + 1) << 16) // (2 * all_counted + min(num_classes, 16)),
            )
            strength = strengths[0]
            ones = np.int64(0)
            mass = np.int64(0)
            for i in range(_CANDIDATES):
                share = ((np.int64(counts[leaf, i]) << 22) + strength * pooled) // ((counted[i] << 6) + strength)
                shares[i] = max(share, 1)
                ones += weights[i] * shares[i]
                mass += weights[i] * counted[i]
            probability = ones // total
            bucket = min(_BUCKETS - 1, bits(mass // total))
            context = (wrong, last, probability >> 13, distance_class, int(leaf == leaves + previous))
            guess_inputs[0] = stretch(probability)
            guess_inputs[1] = stretch(counters[context] >> 6)
            guess_inputs[2] = stretch(pooled)
            mixer = guess_mixers[wrong * _BUCKETS + bucket]
            bit = code_mixed(coder, data, mixer, guess_inputs, np.int64(leaves + label == leaf))
            counters[context] += (((bit << 22) - counters[context]) * (131_072 // (2 * uses[context] + 3))) >> 16
            uses[context] = min(255, uses[context] + 1)
            total = _reweigh(weights, shares, ones, total, bit, products)
            if bit:
                label = leaf - leaves
                right_guess = wrong + 1
                break
            excluded[wrong] = leaf
            wrong += 1
            all_counted -= all_counts[leaf]
            for i in range(_CANDIDATES):
                counted[i] -= counts[leaf, i]

        if right_guess == 0:
            node = np.int64(1)
            for height in range(depth - 1, -1, -1):
                left, right = 2 * node, 2 * node + 1
                first = (left << height) - leaves
                left_classes = min(num_classes, first + (np.int64(1) << height)) - first
                right_classes = max(0, min(num_classes, first + (np.int64(2) << height)) - first - left_classes)
                left_count, right_count = all_counts[left], all_counts[right]
                # Which guesses are below this node: bit e, if on the left, and bit e + 2, if on the right. Mostly none.
                below = np.int64(0)
                for e in range(wrong):
                    if excluded[e] >> height == left:
                        left_classes -= 1
                        left_count -= all_counts[excluded[e]]
                        below |= 1 << e
                    elif excluded[e] >> height == right:
                        right_classes -= 1
                        right_count -= all_counts[excluded[e]]
                        below |= 4 << e
                if left_classes == 0:
                    node = right
                    continue
                if right_classes == 0:
                    node = left
                    continue
                count = left_count + right_count
                pooled = ((right_count << 16) + (right_classes << 16) // (left_classes + right_classes)) // (count + 1)
                strength = strengths[bits(all_counted + 1) - bits(count + 1)]
                ones = np.int64(0)
                mass = np.int64(0)
                for i in range(_CANDIDATES):
                    on_right = np.int64(counts[right, i])
                    on_both = on_right + counts[left, i]
                    if below:
                        for e in range(wrong):
                            if below & (5 << e):
                                on_both -= counts[excluded[e], i]
                            if below & (4 << e):
                                on_right -= counts[excluded[e], i]
                    share = ((on_right << 22) + strength * pooled) // ((on_both << 6) + strength)
                    shares[i] = max(share, 1)
                    ones += weights[i] * shares[i]
                    mass += weights[i] * on_both
                probability = ones // total
                tree_inputs[0] = stretch(probability)
                tree_inputs[1] = stretch(pooled)
                mixer = tree_mixers[min(_BUCKETS - 1, bits(mass // total))]
                bit = code_mixed(coder, data, mixer, tree_inputs, ((leaves + label) >> height) & 1)
                total = _reweigh(weights, shares, ones, total, bit, products)
                node = left + bit
            label = node - leaves

        if ended(coder):
            return number
        labels[number] = label
        previous = label
        node = leaves + label
        while node > 0:
            all_counts[node] += 1
            for i in range(_CANDIDATES):
                counts[node, i] += 1
            node >>= 1
    return len(labels)


@njit(cache=True, nogil=True)
def _prior_strengths(prior_exponent):
    """A(z) of spec section 7.5, for z = 0 .. 31."""
    strengths = np.empty(32, np.int64)
    for z in range(32):
        strength = np.int64(32) << prior_exponent
        if z % 2:
            strength = (strength * 46_341) >> 16
        strengths[z] = max(1, strength >> (z // 2))
    return strengths


@njit(cache=True, nogil=True)
def _mixers():
    """The mixers of guesses, by guess and bucket, and those of the tree, by bucket."""
    guess_mixers = np.zeros((_GUESSES * _BUCKETS, 4), np.int64)
    guess_mixers[:, 0] = 46_000
    guess_mixers[:, 1] = 20_000
    guess_mixers[:, 3] = FIRST_RATE
    tree_mixers = np.zeros((_BUCKETS, 3), np.int64)
    tree_mixers[:, 0] = 65_536
    tree_mixers[:, 2] = FIRST_RATE
    return guess_mixers, tree_mixers


@njit(cache=True, nogil=True)
def _forget(counts, candidate, labels, born, end, leaves, depth):
    """Sets the counts of a candidate to 0: those it made since it was born, or all, whichever are fewer."""
    if (end - born) * depth < 2 * leaves:
        for s in range(born, end):
            node = leaves + labels[s]
            while node > 0:
                counts[node, candidate] = 0
                node >>= 1
    else:
        counts[:, candidate] = 0


@njit(cache=True, nogil=True)
def _guess(counts, candidate, leaves, depth, previous, excluded, wrong):
    """The leaf of the next guess; -1 if there is none."""
    node = np.int64(1)
    for height in range(depth - 1, -1, -1):
        left, right = 2 * node, 2 * node + 1
        on_left, on_right = counts[left, candidate], counts[right, candidate]
        for e in range(wrong):
            if excluded[e] >> height == left:
                on_left -= counts[excluded[e], candidate]
            elif excluded[e] >> height == right:
                on_right -= counts[excluded[e], candidate]
        if on_left == 0 and on_right == 0:
            if previous < 0:
                return np.int64(-1)
            for e in range(wrong):
                if excluded[e] == leaves + previous:
                    return np.int64(-1)
            return leaves + previous
        prefers_right = on_right > on_left or (on_right == on_left and (leaves + previous) >> height == right)
        node = right if prefers_right else left
    return node


@njit(cache=True, nogil=True)
def _reweigh(weights, shares, ones, total, bit, products):
    """Multiplies each weight by the probability it gave the bit; returns the new sum."""
    if bit:
        for i in range(_CANDIDATES):
            products[i] = weights[i] * shares[i]
    else:
        ones = (total << 16) - ones
        for i in range(_CANDIDATES):
            products[i] = weights[i] * (65_536 - shares[i])
    return rescale(products, ones, weights)
