"""Labels by a mixture over the place of the last change (spec section 7.5). Frozen by format 1.

Classes are the leaves of a binary tree, node 1 its root, class c node `leaves` + c. counts[v, i] (int32) is how many
labels below node v candidate i has counted, all_counts[v] (int64) how many there were at all.
"""

from __future__ import annotations

from plada_codec.kernels.jit import Ints, Rows, as_int64, bit_length, kernel, part, zeros, zeros_32, zeros_64
from plada_codec.kernels.mixing import FIRST_RATE, RATE, change_over, code_mixed, rescale, stretch
from plada_codec.kernels.range_coder import code_raw, ended

#: Spec section 7.5.
_CANDIDATES = 16
_GUESSES = 2
_BUCKETS = 8
_COUNTERS = _GUESSES * 3 * 8 * 4 * 2
_STRENGTHS = 32
#: Columns of a candidate: birth, weight, next weight, share, labels counted.
_COLUMNS = 5
_CHANGE_BITS, _PRIOR_BITS = 4, 3
_LARGEST_SHARE = 64_000


def coding_steps(labels: int, num_classes: int) -> int:
    """Number of steps of `code_labels`: for each label, one decision per level of the tree, and the guesses."""
    return (labels + 1) * (1 + (num_classes - 1).bit_length())


@kernel(
    writes=["coder", "data", "labels"],
    steps=lambda coder, data, positions, labels, num_classes, *parameters: coding_steps(len(labels), num_classes),
    step_us=16.0,
    compile_s=3.0,
    makes_arrays=True,
)
def code_labels(
    coder: Ints, data: Ints, positions: Ints, labels: Ints, num_classes: int, change_exponent: int, prior_exponent: int
) -> int:
    """Code labels (int32 [k], k >= 1) of the images at `positions` (int64 [k]), from the array or into it.

    Returns how many: fewer than k if the decoder's stream ended.
    """
    leaves = 1 << bit_length(num_classes - 1)
    counts, all_counts = zeros_32(2 * leaves, _CANDIDATES), zeros(2 * leaves)
    candidates = zeros_64(_COLUMNS, _CANDIDATES)
    mixers, counters = zeros_64((_GUESSES + 1) * _BUCKETS, RATE + 1), zeros_64(2, _COUNTERS)
    strengths, inputs, excluded = zeros(_STRENGTHS), zeros(RATE), zeros(_GUESSES)
    return _code_labels(
        coder,
        data,
        positions,
        labels,
        num_classes,
        change_exponent,
        prior_exponent,
        counts,
        all_counts,
        candidates,
        mixers,
        counters,
        strengths,
        inputs,
        excluded,
    )


@part
def _code_labels(
    coder: Ints,
    data: Ints,
    positions: Ints,
    labels: Ints,
    num_classes: int,
    change_exponent: int,
    prior_exponent: int,
    counts: Rows,
    all_counts: Ints,
    candidates: Rows,
    mixers: Rows,
    counters: Rows,
    strengths: Ints,
    inputs: Ints,
    excluded: Ints,
) -> int:
    change_exponent = code_raw(coder, data, change_exponent, _CHANGE_BITS)
    prior_exponent = code_raw(coder, data, prior_exponent, _PRIOR_BITS)
    depth = bit_length(num_classes - 1)
    leaves = 1 << depth
    guesses = min(_GUESSES, num_classes - 1)
    _fill_strengths(strengths, prior_exponent)
    _fill_mixers(mixers)
    born, weights, products, shares, counted = (
        candidates[0],
        candidates[1],
        candidates[2],
        candidates[3],
        candidates[4],
    )
    weights[0] = 1 << 30
    total = 1 << 30
    states, uses = counters[0], counters[1]
    for context in range(_COUNTERS):
        states[context] = 1 << 21
    previous = -1
    right_guess = 0

    position = -1
    for number in range(len(labels)):
        distance = positions[number] - position
        position = positions[number]
        if number > 0:
            weakest = _weakest(weights)
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

        strongest = _strongest(weights)
        for i in range(_CANDIDATES):
            counted[i] = number - born[i]
        all_counted = number
        distance_class = min(3, (bit_length(distance) - 1) // 2)
        last, right_guess = right_guess, 0
        label = as_int64(labels[number])
        wrong = 0
        while wrong < guesses:
            leaf = _guess(counts, strongest, leaves, depth, previous, excluded, wrong)
            if leaf < 0:
                break
            pooled = min(
                _LARGEST_SHARE,
                ((2 * all_counts[leaf] + 1) << 16) // (2 * all_counted + min(num_classes, 16)),
            )
            strength = strengths[0]
            ones = 0
            mass = 0
            for i in range(_CANDIDATES):
                share = ((counts[leaf][i] << 22) + strength * pooled) // ((counted[i] << 6) + strength)
                shares[i] = max(share, 1)
                ones += weights[i] * shares[i]
                mass += weights[i] * counted[i]
            probability = ones // total
            bucket = min(_BUCKETS - 1, bit_length(mass // total))
            context = (((wrong * 3 + last) * 8 + (probability >> 13)) * 4 + distance_class) * 2
            context += as_int64(leaf == leaves + previous)
            inputs[0] = stretch(probability)
            inputs[1] = stretch(states[context] >> 6)
            inputs[2] = stretch(pooled)
            mixer = mixers[wrong * _BUCKETS + bucket]
            bit = code_mixed(coder, data, mixer, inputs, 3, as_int64(leaves + label == leaf))
            states[context] += (((bit << 22) - states[context]) * (131_072 // (2 * uses[context] + 3))) >> 16
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
                counted[i] -= counts[leaf][i]

        if right_guess == 0:
            node = 1
            for height in range(depth - 1, -1, -1):
                left, right = 2 * node, 2 * node + 1
                first = (left << height) - leaves
                left_classes = min(num_classes, first + (1 << height)) - first
                right_classes = max(0, min(num_classes, first + (2 << height)) - first - left_classes)
                left_count, right_count = all_counts[left], all_counts[right]
                # The guesses below this node: bit e for the left side, bit e + 2 for the right side. Mostly none.
                below = 0
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
                strength = strengths[bit_length(all_counted + 1) - bit_length(count + 1)]
                ones = 0
                mass = 0
                for i in range(_CANDIDATES):
                    on_right = as_int64(counts[right][i])
                    on_both = on_right + counts[left][i]
                    if below:
                        for e in range(wrong):
                            if below & (5 << e):
                                on_both -= counts[excluded[e]][i]
                            if below & (4 << e):
                                on_right -= counts[excluded[e]][i]
                    share = ((on_right << 22) + strength * pooled) // ((on_both << 6) + strength)
                    shares[i] = max(share, 1)
                    ones += weights[i] * shares[i]
                    mass += weights[i] * on_both
                probability = ones // total
                inputs[0] = stretch(probability)
                inputs[1] = stretch(pooled)
                mixer = mixers[_GUESSES * _BUCKETS + min(_BUCKETS - 1, bit_length(mass // total))]
                bit = code_mixed(coder, data, mixer, inputs, 2, ((leaves + label) >> height) & 1)
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
                counts[node][i] += 1
            node >>= 1
    return len(labels)


@part
def _fill_strengths(strengths: Ints, prior_exponent: int) -> None:
    """Fill the table A(z) of spec section 7.5."""
    for z in range(_STRENGTHS):
        strength = 32 << prior_exponent
        if z % 2:
            strength = (strength * 46_341) >> 16
        strengths[z] = max(1, strength >> (z // 2))


@part
def _fill_mixers(mixers: Rows) -> None:
    """Initialise the mixers of guesses, by guess and bucket, then those of the tree, by bucket."""
    for number in range((_GUESSES + 1) * _BUCKETS):
        mixer = mixers[number]
        is_of_guess = number < _GUESSES * _BUCKETS
        mixer[0] = 46_000 if is_of_guess else 65_536
        mixer[1] = 20_000 if is_of_guess else 0
        mixer[RATE] = FIRST_RATE


@part
def _weakest(weights: Ints) -> int:
    """The candidate with the least weight; among equals, the one with the lowest number."""
    found = 0
    for i in range(1, _CANDIDATES):
        if weights[i] < weights[found]:
            found = i
    return found


@part
def _strongest(weights: Ints) -> int:
    """The candidate with the greatest weight; among equals, the one with the lowest number."""
    found = 0
    for i in range(1, _CANDIDATES):
        if weights[i] > weights[found]:
            found = i
    return found


@part
def _forget(counts: Rows, candidate: int, labels: Ints, born: int, end: int, leaves: int, depth: int) -> None:
    """Set the counts of a candidate to 0: only the counts since its birth, or all, whichever are fewer."""
    if (end - born) * depth < 2 * leaves:
        for s in range(born, end):
            node = leaves + labels[s]
            while node > 0:
                counts[node][candidate] = 0
                node >>= 1
    else:
        for node in range(2 * leaves):
            counts[node][candidate] = 0


@part
def _guess(counts: Rows, candidate: int, leaves: int, depth: int, previous: int, excluded: Ints, wrong: int) -> int:
    """The leaf of the next guess; -1 if there is none."""
    node = 1
    for height in range(depth - 1, -1, -1):
        left, right = 2 * node, 2 * node + 1
        on_left, on_right = as_int64(counts[left][candidate]), as_int64(counts[right][candidate])
        for e in range(wrong):
            if excluded[e] >> height == left:
                on_left -= counts[excluded[e]][candidate]
            elif excluded[e] >> height == right:
                on_right -= counts[excluded[e]][candidate]
        if on_left == 0 and on_right == 0:
            if previous < 0:
                return -1
            for e in range(wrong):
                if excluded[e] == leaves + previous:
                    return -1
            return leaves + previous
        prefers_right = on_right > on_left or (on_right == on_left and (leaves + previous) >> height == right)
        node = right if prefers_right else left
    return node


@part
def _reweigh(weights: Ints, shares: Ints, ones: int, total: int, bit: int, products: Ints) -> int:
    """Multiply each weight by the probability that it gave to the bit; return the new sum."""
    if bit:
        for i in range(_CANDIDATES):
            products[i] = weights[i] * shares[i]
    else:
        ones = (total << 16) - ones
        for i in range(_CANDIDATES):
            products[i] = weights[i] * (65_536 - shares[i])
    return rescale(products, ones, weights)
