"""Common parts of the modelled codings: weights of hypotheses, and the mixer (spec section 5.5). Frozen by format 1."""

from __future__ import annotations

import numpy as np

from plada_codec.kernels.jit import Ints, as_int64, bit_length, part
from plada_codec.kernels.range_coder import code

#: Spec section 5.5: largest argument of squash, in units of 1/256.
_LARGEST = 2815
#: Spec section 5.5: weights of hypotheses are kept at this many bits.
_WEIGHT_BITS = 30
#: Spec section 5.5: distances count up to this.
_MAX_DISTANCE = 1 << 32
#: Spec section 5.5: learning rates of a mixer.
FIRST_RATE, _LAST_RATE = 15_728, 2_097
#: A mixer is an array: up to three weights, then, at this index, its rate.
RATE = 3


def _squash_table() -> np.ndarray:
    """The table of squash(-2815 .. 2815)."""
    decay = [1 << 30]
    for _ in range(_LARGEST):
        decay.append(decay[-1] - (decay[-1] >> 8))
    upper = [(1 << 46) // ((1 << 30) + value) for value in decay]
    return np.array([65_536 - value for value in upper[:0:-1]] + upper, np.int64)


def _stretch_table() -> np.ndarray:
    """The table of stretch(16 i + 8), for i = 0 .. 4095."""
    steps = 16 * np.arange(4096) + 8
    return np.searchsorted(_SQUASH, steps) - _LARGEST


_SQUASH = _squash_table()
_STRETCH = _stretch_table().astype(np.int16)


@part
def stretch(probability: int) -> int:
    """The log-odds of a probability (units of 2^-16), in units of 1/256."""
    return as_int64(_STRETCH[probability >> 4])


@part
def code_mixed(coder: Ints, data: Ints, mixer: Ints, inputs: Ints, n: int, bit: int) -> int:
    """Code a decision with a mixer of n inputs (three weights, then the rate); update the mixer; return the bit."""
    dot = 0
    for i in range(n):
        dot += mixer[i] * inputs[i]
    probability = as_int64(_SQUASH[min(max(dot >> 16, -_LARGEST), _LARGEST) + _LARGEST])
    bit = code(coder, data, probability, bit)
    step = ((bit << 16) - probability) * mixer[RATE]
    for i in range(n):
        mixer[i] += (inputs[i] * step + (1 << 27)) >> 28
    mixer[RATE] -= (mixer[RATE] - _LAST_RATE) >> 10
    return bit


@part
def change_over(distance: int, exponent: int) -> int:
    """The probability of a change within `distance` positions (>= 1), in units of 2^-20."""
    near = min(distance, _MAX_DISTANCE)
    return (near << 20) // (near + (1 << exponent))


@part
def rescale(products: Ints, total: int, weights: Ints) -> int:
    """Bring products (int64 [n], their sum `total`) to 30 bits, in `weights`; return the sum of the weights."""
    excess = bit_length(total) - _WEIGHT_BITS
    scaled = 0
    if excess > 0:
        for i in range(len(weights)):
            weights[i] = products[i] >> excess
            scaled += weights[i]
    else:
        for i in range(len(weights)):
            weights[i] = products[i] << -excess
            scaled += weights[i]
    return scaled
