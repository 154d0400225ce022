"""The distributions of spec/link-budget.md section 5: the number of frames that are sent until enough have arrived.

Fourier transforms compute them from their generating functions. That needs no sums of factorials, and a probability of
any size has an error of about 1e-13.
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
class ExtraFrames:
    """The distribution of the number of frames that are sent in addition to the successes that are needed.

    Attributes:
        first: the least number.
        weights: the probabilities of first, first + 1, ... frames.
    """

    first: int
    weights: NDArray[np.float64]

    @property
    def mean(self) -> float:
        """The expected number."""
        return float((self.first + np.arange(len(self.weights))) @ self.weights)

    def trimmed(self) -> ExtraFrames:
        """The distribution without the numbers on both ends whose probability is at most TINY."""
        likely = np.flatnonzero(self.weights > TINY)
        return ExtraFrames(self.first + int(likely[0]), self.weights[likely[0] : likely[-1] + 1])

    def exceeds(self, numbers: NDArray[np.int64]) -> NDArray[np.float64]:
        """The probability that more frames are sent than each of these numbers."""
        beyond = np.append(np.cumsum(self.weights[::-1])[::-1], 0.0)
        return beyond[np.clip(numbers - self.first + 1, 0, len(self.weights))]


def extra_frames(
    successes: Mapping[int, int],
    loss: Loss,
    return_loss: float = 0.0,
    repeats: int = 1,
    *,
    after_an_arrival: bool = False,
) -> ExtraFrames:
    """The distribution of the frames that are sent, until all have succeeded, beyond one for each success.

    The formulas are those of sections 5.3 and 5.5.

    Args:
        successes: the number of frames of each length in bytes that must arrive and be acknowledged.
        loss: the loss of frames; if it has memory, it does not depend on their length, nor the result on their order.
        return_loss: the share of the acknowledgements that is lost.
        repeats: the number of times that all of this happens, each on another channel.
        after_an_arrival: whether the frame before the first one arrived; if false, nothing is known of that frame.
    """
    mean = variance = tail = 0.0
    for size, count in successes.items():
        after_arrived, after_lost = loss.conditional_loss(size)
        end = 1 - after_lost
        tries, spread = 1 + after_arrived / end, after_arrived * (1 + after_lost - after_arrived) / end**2
        mean += repeats * count * (tries / (1 - return_loss) - 1)
        variance += repeats * count * (spread / (1 - return_loss) + return_loss * (tries / (1 - return_loss)) ** 2)
        tail = max(tail, 40 * (1 / end + tries / (1 - return_loss)))
    # The probability beyond these bounds is below TINY: nine deviations, and e^-40 of a slower, exponential tail.
    width = 9 * math.sqrt(variance)
    first = max(0, math.floor(mean - width - tail))
    length = 1 << math.ceil(mean + width + tail - first).bit_length()
    step = np.arange(length // 2 + 1)
    half_angle = np.pi * step / length
    z = np.exp(-2j * half_angle)
    to_one = 2 * np.sin(half_angle) * (np.sin(half_angle) + 1j * np.cos(half_angle))  # 1 - z, without cancellation
    logarithm = 2j * np.pi * (step * first % length) / length
    for size, count in successes.items():
        after_arrived, after_lost = loss.conditional_loss(size)
        wait = to_one / (1 - after_lost + after_lost * to_one)
        gap = 1 - after_arrived * wait
        success = -(after_arrived * wait + return_loss * gap * to_one) / (1 - return_loss * z * gap)
        logarithm += repeats * count * _log1p(success)
    if loss.memory and not after_an_arrival:
        # `wait` and `gap` are the same for all lengths: losses with memory do not depend on them.
        logarithm += repeats * (_log1p(-loss.frame_loss(1) * wait) - _log1p(gap - 1))
    return ExtraFrames(first, np.clip(np.fft.irfft(np.exp(logarithm), length), 0.0, 1.0))


def _log1p(values: NDArray[np.complex128]) -> NDArray[np.complex128]:
    """log(1 + values), also for complex numbers near 0."""
    size = 0.5 * np.log1p(2 * values.real + np.abs(values) ** 2)
    logarithm: NDArray[np.complex128] = size + 1j * np.angle(1 + values)
    return logarithm


def tries_within_rounds(likely: NDArray[np.float64], count: int) -> tuple[int, NDArray[np.float64]]:
    """The probability that a number of rounds is enough for frames of one length, with a number of tries in all.

    Each frame is sent in each round until all receivers have it.

    Args:
        likely: the probability that such a frame is sent 0, 1, 2, ... times.
        count: the number of such frames.

    Returns:
        The number of tries of the first column, and the array of probabilities [rounds, tries]. Columns at both ends
        whose probability is at most TINY are left out.
    """
    rounds = len(likely) - 1
    length = rounds * count + 1
    size = 1 << length.bit_length()
    # Row r: the generating function of the number of tries if no frame is sent more than r times.
    spectrum = np.fft.rfft(np.tril(np.broadcast_to(likely, (rounds + 1, rounds + 1))), size) ** count
    within = np.clip(np.fft.irfft(spectrum, size)[:, :length], 0.0, 1.0)
    columns = np.flatnonzero(within[-1] > TINY)
    return int(columns[0]), within[:, columns[0] : columns[-1] + 1]


def quantile(values: NDArray[np.float64], weights: NDArray[np.float64], probability: float) -> float:
    """The least of these values that, with this probability, is not exceeded.

    >>> quantile(np.array([3.0, 1.0, 2.0]), np.array([0.2, 0.5, 0.3]), 0.6)
    2.0
    """
    order = np.argsort(values)
    met = np.cumsum(weights[order])
    return float(values[order[min(int(np.searchsorted(met, probability - TINY)), len(order) - 1)]])


def quantile_of_sum(terms: Sequence[tuple[ExtraFrames, float]], probability: float) -> float:
    """The least sum that, with this probability, is not exceeded; each term is a number of frames times a step.

    The terms are independent. Time and memory grow with the product of the lengths of all but the longest one.

    >>> coin, die = ExtraFrames(0, np.full(2, 1 / 2)), ExtraFrames(1, np.full(6, 1 / 6))
    >>> round(quantile_of_sum([(coin, 10.0), (die, 1.0)], 0.9), 9)  # it exceeds 15 with a probability of 1/12
    15.0
    """
    *others, (longest, step) = sorted(terms, key=lambda term: len(term[0].weights))
    sums, weights = np.zeros(1), np.ones(1)
    for other, step_of_other in others:
        values = (other.first + np.arange(len(other.weights))) * step_of_other
        sums, weights = np.add.outer(sums, values).ravel(), np.outer(weights, other.weights).ravel()
    met = np.append(0.0, np.cumsum(longest.weights))

    def places(most: float) -> NDArray[np.int64]:
        """The last entry of the longest term that keeps the whole sum up to `most`, for each sum of the others."""
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
    """The number of tries of each frame after which it is almost certain that all `count` frames have arrived."""
    return math.ceil(math.log(TINY / count) / math.log(loss)) if loss else 1
