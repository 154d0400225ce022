"""How many frames are sent until enough have arrived: the distributions of spec/link-budget.md section 5.

They are found from their generating functions by Fourier transforms: an error of about 1e-13 in a probability, whatever
its size, and no sums of factorials.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from plada_codec.links.loss import Loss

#: Probabilities below this count as 0.
TINY = 1e-13
#: Of a quotient that ought to be whole.
_ROUNDING = 1e-12


@dataclass(frozen=True)
class Surplus:
    """How likely first, first + 1, ... frames more are sent than successes are wanted."""

    first: int
    weights: NDArray[np.float64]

    @property
    def mean(self) -> float:
        """The expected number."""
        return float((self.first + np.arange(len(self.weights))) @ self.weights)

    def trimmed(self) -> Surplus:
        """Without the numbers on both ends that are less likely than TINY."""
        likely = np.flatnonzero(self.weights > TINY)
        return Surplus(self.first + int(likely[0]), self.weights[likely[0] : likely[-1] + 1])

    def exceeds(self, numbers: NDArray[np.int64]) -> NDArray[np.float64]:
        """How likely more than each of these numbers are sent."""
        beyond = np.append(np.cumsum(self.weights[::-1])[::-1], 0.0)
        return beyond[np.clip(numbers - self.first + 1, 0, len(self.weights))]


def surplus(
    successes: Mapping[int, int],
    loss: Loss,
    return_loss: float = 0.0,
    repeats: int = 1,
    *,
    after_an_arrival: bool = False,
) -> Surplus:
    """How many frames more than successes are sent until there are all (sections 5.3 and 5.5).

    Args:
        successes: how many frames of each size in bytes must arrive, and be acknowledged.
        loss: which frames are lost; where it has memory, the number of successes of all sizes counts, not their order.
        return_loss: how many acknowledgements are lost.
        repeats: how many times all that goes on, on different channels.
        after_an_arrival: whether the frame before the first one arrived; else nothing is known of it.
    """
    mean = variance = tail = 0.0
    for size, count in successes.items():
        after_arrived, after_lost = loss.after(size)
        end = 1 - after_lost
        tries, spread = 1 + after_arrived / end, after_arrived * (1 + after_lost - after_arrived) / end**2
        mean += repeats * count * (tries / (1 - return_loss) - 1)
        variance += repeats * count * (spread / (1 - return_loss) + return_loss * (tries / (1 - return_loss)) ** 2)
        tail = max(tail, 40 * (1 / end + tries / (1 - return_loss)))
    # Beyond these bounds there is less than TINY: nine deviations, and e^-40 of what decays more slowly.
    width = 9 * math.sqrt(variance)
    first = max(0, math.floor(mean - width - tail))
    length = 1 << math.ceil(mean + width + tail - first).bit_length()
    step = np.arange(length // 2 + 1)
    half_angle = np.pi * step / length
    z = np.exp(-2j * half_angle)
    to_one = 2 * np.sin(half_angle) * (np.sin(half_angle) + 1j * np.cos(half_angle))  # 1 - z, without cancellation
    logarithm = 2j * np.pi * (step * first % length) / length
    for size, count in successes.items():
        after_arrived, after_lost = loss.after(size)
        wait = to_one / (1 - after_lost + after_lost * to_one)
        gap = 1 - after_arrived * wait
        success = -(after_arrived * wait + return_loss * gap * to_one) / (1 - return_loss * z * gap)
        logarithm += repeats * count * _log1p(success)
    if loss.memory and not after_an_arrival:
        # The same `wait` and `gap` whatever the size: losses with memory do not depend on it.
        logarithm += repeats * (_log1p(-loss.frame_loss(1) * wait) - _log1p(gap - 1))
    return Surplus(first, np.clip(np.fft.irfft(np.exp(logarithm), length), 0.0, 1.0))


def _log1p(values: NDArray[np.complex128]) -> NDArray[np.complex128]:
    """log(1 + values), for complex numbers near 0 too."""
    size = 0.5 * np.log1p(2 * values.real + np.abs(values) ** 2)
    logarithm: NDArray[np.complex128] = size + 1j * np.angle(1 + values)
    return logarithm


def tries_within_rounds(likely: NDArray[np.float64], count: int) -> tuple[int, NDArray[np.float64]]:
    """How likely so many rounds (rows) are enough for frames of one kind, and those are sent so often (columns).

    Each frame goes into each round until all have it.

    Args:
        likely: how likely such a frame is sent 0, 1, 2, ... times.
        count: how many of them there are.

    Returns:
        The number of the first column, and the array; columns of less than TINY are left out.
    """
    rounds = len(likely) - 1
    length = rounds * count + 1
    size = 1 << length.bit_length()
    # Row r: the generating function of the number of frames where none is sent more than r times.
    spectrum = np.fft.rfft(np.tril(np.broadcast_to(likely, (rounds + 1, rounds + 1))), size) ** count
    within = np.clip(np.fft.irfft(spectrum, size)[:, :length], 0.0, 1.0)
    columns = np.flatnonzero(within[-1] > TINY)
    return int(columns[0]), within[:, columns[0] : columns[-1] + 1]


def quantile(values: NDArray[np.float64], weights: NDArray[np.float64], probability: float) -> float:
    """The least of these values that is not exceeded with this probability.

    >>> quantile(np.array([3.0, 1.0, 2.0]), np.array([0.2, 0.5, 0.3]), 0.6)
    2.0
    """
    order = np.argsort(values)
    met = np.cumsum(weights[order])
    return float(values[order[min(int(np.searchsorted(met, probability - TINY)), len(order) - 1)]])


def quantile_of_sum(terms: Sequence[tuple[Surplus, float]], probability: float) -> float:
    """The least sum that is not exceeded with this probability; its terms are numbers of frames times a step each.

    The terms are independent. Time and memory go with the product of the lengths of all but the longest one.

    >>> coin, die = Surplus(0, np.full(2, 1 / 2)), Surplus(1, np.full(6, 1 / 6))
    >>> round(quantile_of_sum([(coin, 10.0), (die, 1.0)], 0.9), 9)  # more than 15: one chance in twelve
    15.0
    """
    *others, (longest, step) = sorted(terms, key=lambda term: len(term[0].weights))
    sums, weights = np.zeros(1), np.ones(1)
    for other, step_of_other in others:
        values = (other.first + np.arange(len(other.weights))) * step_of_other
        sums, weights = np.add.outer(sums, values).ravel(), np.outer(weights, other.weights).ravel()
    met = np.append(0.0, np.cumsum(longest.weights))

    def places(most: float) -> NDArray[np.int64]:
        """How far the longest term may go, with each of the sums of the others, up to `most` in all."""
        numbers = np.floor((most - sums) / step + _ROUNDING) - longest.first
        return np.asarray(np.clip(numbers, -1, len(longest.weights) - 1), np.int64)

    low, high = 0.0, float(sums.max()) + (longest.first + len(longest.weights)) * step
    exact = _ROUNDING * high
    while high - low > exact:
        middle = (low + high) / 2
        low, high = (low, middle) if weights @ met[places(middle) + 1] >= probability - TINY else (middle, high)
    reached = places(high)
    return float(np.max(np.where(reached >= 0, sums + (longest.first + reached) * step, 0.0)))


def enough_tries(loss: float, count: int) -> int:
    """The number of tries after which it is all but sure that all of so many have arrived."""
    return math.ceil(math.log(TINY / count) / math.log(loss)) if loss else 1
