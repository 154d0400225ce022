"""The plan of a one-way sender: the numbers of symbols and announces (spec/link-budget.md section 5.5)."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from plada_codec.errors import InvalidArgument
from plada_codec.links.defaults import DEFAULT_PROBABILITY, DEFAULT_RECEIVERS
from plada_codec.links.delivery.distributions import TINY, extra_frames
from plada_codec.links.delivery.job import check_fields, check_loss
from plada_codec.links.loss import Loss

#: Section 5.5: the least probability of failure of a receiver. The code itself fails once in 2^24 receptions.
_LEAST_FAILURE = 1e-9
#: Section 5.5: up to this number of announces, all numbers are tried; beyond it, one in every hundredth part.
_ALL_ANNOUNCES = 100


@dataclass(frozen=True)
class OneWayPlan:
    """The numbers of different symbols, and of announces among them, that a one-way sender sends."""

    symbols: int
    announces: int

    @property
    def symbols_before(self) -> NDArray[np.int64]:
        """The number of symbols that are sent before each announce (spec/plada-frames-1.md section 5).

        >>> OneWayPlan(symbols=20, announces=4).symbols_before
        array([ 0,  6, 13, 20])
        """
        return np.arange(self.announces) * self.symbols // max(self.announces - 1, 1)


def plan_one_way(
    frames: int,
    extra_symbols: int,
    loss: Loss,
    probability: float = DEFAULT_PROBABILITY,
    receivers: int = DEFAULT_RECEIVERS,
    *,
    announce_parts: int = 0,
    frame_bytes: int = 1,
    announce_frame_bytes: int = 1,
    airtime_s: Callable[[int], float] = float,
) -> OneWayPlan:
    """The plan of least airtime with which all receivers get the object (section 5.5).

    Args:
        frames: K, the number of symbols that make the object.
        extra_symbols: the number of symbols above K that a receiver needs, unless it has the first K.
        loss: the loss of frames.
        probability: the probability with which all receivers must get the object.
        receivers: the number of receivers.
        announce_parts: the number of frames of an announce; 0: there is no announce.
        frame_bytes: length of a frame with a symbol.
        announce_frame_bytes: length of a frame of an announce.
        airtime_s: the airtime of a frame, by its length; by default in proportion to the length.

    Raises:
        InvalidArgument: (`value`) if a number is outside its range, or the probability is more than the code can reach;
            (`loss`) if more than MAX_LOSS of the frames are lost.

    >>> from plada_codec.links.loss import IndependentLoss
    >>> [plan_one_way(20, 2, IndependentLoss(rate), 0.999).symbols for rate in (0, 0.1, 0.2)]
    [20, 31, 38]
    >>> plan_one_way(20, 2, IndependentLoss(0.3), 0.99, receivers=40, announce_parts=1, frame_bytes=256,
    ...              announce_frame_bytes=46)
    OneWayPlan(symbols=48, announces=8)
    """
    check_fields(frames, extra_symbols, announce_parts, receivers, probability)
    check_loss(loss, frame_bytes)
    if announce_parts:
        check_loss(loss, announce_frame_bytes)
    planner = OneWayPlanner(frames, extra_symbols, frame_bytes, announce_parts, announce_frame_bytes, loss)
    return planner.cheapest(probability, receivers, airtime_s)


@dataclass(frozen=True)
class OneWayPlanner:
    """The plans for an object, and the probabilities that a receiver fails with them; arguments as `plan_one_way`."""

    frames: int
    extra_symbols: int
    frame_bytes: int
    announce_parts: int
    announce_frame_bytes: int
    loss: Loss

    def cheapest(self, probability: float, receivers: int, airtime_s: Callable[[int], float]) -> OneWayPlan:
        """The plan of least airtime; see `plan_one_way`."""
        failure = -math.expm1(math.log(probability) / receivers)
        if failure < _LEAST_FAILURE:
            message = f"a probability of {probability} for {receivers} receivers is more than the code can promise"
            raise InvalidArgument(f"{message}: ask for less", rule="value")
        decoding_failure = self.decoding_failure()

        def enough(announces: int) -> int:
            """The least number of symbols that is enough with these announces; K + len(decoding_failure) if none is."""

            def suffices(more: int) -> bool:
                announce_failure = self.announce_failure(OneWayPlan(self.frames + more, announces))
                return either(float(decoding_failure[more]), announce_failure) <= failure + TINY

            return self.frames + bisect_left(range(len(decoding_failure)), True, key=suffices)

        least = self.frames + int(np.argmax(decoding_failure <= failure + TINY))
        if not self.announce_parts:
            return OneWayPlan(least, 0)
        symbol_s, announce_s = airtime_s(self.frame_bytes), self.announce_parts * airtime_s(self.announce_frame_bytes)
        best_s, best = math.inf, OneWayPlan(least, 1)
        announces = 1
        while least * symbol_s + announces * announce_s < best_s:
            plan = OneWayPlan(enough(announces), announces)
            spent_s = plan.symbols * symbol_s + announces * announce_s
            if plan.symbols < self.frames + len(decoding_failure) and spent_s < best_s:
                best_s, best = spent_s, plan
            announces += 1 + announces // _ALL_ANNOUNCES
        return best

    def decoding_failure(self) -> NDArray[np.float64]:
        """The probability that a receiver cannot decode the first K, K + 1, ... symbols sent; the last entry is 0."""
        needed = self.frames + self.extra_symbols
        some = extra_frames({self.frame_bytes: needed}, self.loss)
        symbols = np.arange(self.frames, needed + some.first + len(some.weights) + 1)
        decoding_failure = some.exceeds(symbols - needed)
        if self.extra_symbols:
            # The first K symbols are enough by themselves, even if too few of the others arrive.
            after_arrived, _ = self.loss.conditional_loss(self.frame_bytes)
            first_arrive = (1 - self.loss.frame_loss(self.frame_bytes)) * (1 - after_arrived) ** (self.frames - 1)
            few = extra_frames({self.frame_bytes: self.extra_symbols}, self.loss, after_an_arrival=True)
            decoding_failure -= first_arrive * few.exceeds(symbols - needed)
        return np.clip(decoding_failure, 0.0, 1.0)

    def announce_failure(self, plan: OneWayPlan) -> float:
        """The probability that a receiver lacks a part of the announce in the end."""
        gaps = max(plan.announces - 1, 1)
        gap, longer = divmod(plan.symbols, gaps)
        missed = self.loss.frame_loss(self.announce_frame_bytes)
        if plan.announces > 1:
            missed *= self._lost_again(gap) ** (gaps - longer) * self._lost_again(gap + 1) ** longer
        return float(1 - (1 - missed) ** self.announce_parts)

    def announce_failure_by_frame(self, plan: OneWayPlan) -> NDArray[np.float64]:
        """The probability that a receiver lacks a part of the announce after 0, 1, 2, ... frames of announces."""
        again = [self._lost_again(int(gap)) for gap in np.diff(plan.symbols_before)]
        missed = np.array([1.0, *(self.loss.frame_loss(self.announce_frame_bytes) * np.cumprod([1.0, *again])), 0.0])
        copies, parts = np.divmod(np.arange(plan.announces * self.announce_parts + 1), self.announce_parts)
        had = (1 - missed[copies + 1]) ** parts * (1 - missed[copies]) ** (self.announce_parts - parts)
        return np.asarray(1.0 - had)

    def _lost_again(self, symbols: int) -> float:
        """The probability that the next copy of a lost part is lost, too, with this many symbols between the two."""
        lost = self.loss.frame_loss(self.announce_frame_bytes)
        return lost + (1 - lost) * self.loss.memory ** (self.announce_parts + symbols)


_Likely = TypeVar("_Likely", float, NDArray[np.float64])


def either(one: _Likely, other: _Likely) -> _Likely:
    """The probability that at least one of two independent events happens."""
    return one + other - one * other
