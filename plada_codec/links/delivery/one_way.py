"""How much a sender sends that hears nothing: symbols and announces (spec/link-budget.md section 5.5)."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from plada_codec.errors import InvalidArgument
from plada_codec.links.delivery.distributions import TINY, surplus
from plada_codec.links.delivery.job import Job, check_coding, check_loss
from plada_codec.links.loss import Loss

#: Section 5.5: the least that a receiver may be asked to fail. The code itself fails once in 2^24 receptions.
_LEAST_FAILURE = 1e-9
#: Section 5.5: up to so many announces, all numbers of them are tried; beyond, one in every hundredth part.
_SO_MANY_ANNOUNCES = 100


@dataclass(frozen=True)
class Coded:
    """How much a one-way sender sends: so many different symbols, and so many announces among them."""

    symbols: int
    announces: int

    @property
    def symbols_before(self) -> NDArray[np.int64]:
        """How many symbols are sent before each announce (spec/plada-frames-1.md section 5).

        >>> Coded(symbols=20, announces=4).symbols_before
        array([ 0,  6, 13, 20])
        """
        return np.arange(self.announces) * self.symbols // max(self.announces - 1, 1)


def one_way(
    frames: int,
    extra: int,
    loss: Loss,
    probability: float = 0.99,
    receivers: int = 1,
    *,
    announce_parts: int = 0,
    frame_bytes: int = 1,
    announce_frame_bytes: int = 1,
    airtime_s: Callable[[int], float] = float,
) -> Coded:
    """The symbols and announces of least airtime with which all receivers get the object (section 5.5).

    Args:
        frames: K, how many symbols make the object.
        extra: how many more a receiver needs, unless it has the first K.
        loss: which frames are lost.
        probability: with which all receivers must get it.
        receivers: how many there are.
        announce_parts: how many frames an announce has; 0: there is none.
        frame_bytes: length of the frame of a symbol.
        announce_frame_bytes: length of a frame of an announce.
        airtime_s: the airtime of a frame, by its length; by default in proportion to it.

    Raises:
        InvalidArgument: (`value`) if a number is out of its range; (`loss`) if more than MAX_LOSS of the frames are
            lost.

    >>> from plada_codec.links.loss import IndependentLoss
    >>> [one_way(20, 2, IndependentLoss(rate), 0.999).symbols for rate in (0, 0.1, 0.2)]
    [20, 31, 38]
    >>> one_way(20, 2, IndependentLoss(0.3), 0.99, receivers=40, announce_parts=1, frame_bytes=256,
    ...         announce_frame_bytes=46)
    Coded(symbols=48, announces=8)
    """
    check_coding(frames, extra, announce_parts, receivers, probability)
    check_loss(loss, frame_bytes)
    if announce_parts:
        check_loss(loss, announce_frame_bytes)
    code = Code(frames, extra, frame_bytes, announce_parts, announce_frame_bytes, loss)
    return code.cheapest(probability, receivers, airtime_s)


@dataclass(frozen=True)
class Code:
    """What a one-way sender sends of an object, and what becomes of it at a receiver; see `one_way`."""

    frames: int
    extra: int
    frame_bytes: int
    announce_parts: int
    announce_frame_bytes: int
    loss: Loss

    def cheapest(self, probability: float, receivers: int, airtime_s: Callable[[int], float]) -> Coded:
        """See `one_way`."""
        failure = -math.expm1(math.log(probability) / receivers)
        if failure < _LEAST_FAILURE:
            message = f"a probability of {probability} for {receivers} receivers is more than the code can promise"
            raise InvalidArgument(f"{message}: ask for less", rule="value")
        undecoded = self.undecoded()

        def enough(announces: int) -> int:
            """The least number of symbols that will do with so many announces; K + len(undecoded), if none will."""

            def suffices(more: int) -> bool:
                unannounced = self.unannounced(Coded(self.frames + more, announces))
                return either(float(undecoded[more]), unannounced) <= failure + TINY

            return self.frames + bisect_left(range(len(undecoded)), True, key=suffices)

        least = self.frames + int(np.argmax(undecoded <= failure + TINY))
        if not self.announce_parts:
            return Coded(least, 0)
        symbol_s, announce_s = airtime_s(self.frame_bytes), self.announce_parts * airtime_s(self.announce_frame_bytes)
        best_s, best = math.inf, Coded(least, 1)
        announces = 1
        while least * symbol_s + announces * announce_s < best_s:
            coded = Coded(enough(announces), announces)
            spent_s = coded.symbols * symbol_s + announces * announce_s
            if coded.symbols < self.frames + len(undecoded) and spent_s < best_s:
                best_s, best = spent_s, coded
            announces += 1 + announces // _SO_MANY_ANNOUNCES
        return best

    def undecoded(self) -> NDArray[np.float64]:
        """How likely a receiver cannot decode the object from the first K, K + 1, ... symbols; the last entry is 0."""
        needed = self.frames + self.extra
        some = surplus({self.frame_bytes: needed}, self.loss)
        symbols = np.arange(self.frames, needed + some.first + len(some.weights) + 1)
        undecoded = some.exceeds(symbols - needed)
        if self.extra:
            # The first K arrive, and then too few: that is enough all the same.
            after_arrived, _ = self.loss.after(self.frame_bytes)
            first_arrive = (1 - self.loss.frame_loss(self.frame_bytes)) * (1 - after_arrived) ** (self.frames - 1)
            few = surplus({self.frame_bytes: self.extra}, self.loss, after_an_arrival=True)
            undecoded -= first_arrive * few.exceeds(symbols - needed)
        return np.clip(undecoded, 0.0, 1.0)

    def unannounced(self, coded: Coded) -> float:
        """How likely a receiver lacks a part of the announce in the end."""
        gaps = max(coded.announces - 1, 1)
        gap, longer = divmod(coded.symbols, gaps)
        missed = self.loss.frame_loss(self.announce_frame_bytes)
        if coded.announces > 1:
            missed *= self._lost_again(gap) ** (gaps - longer) * self._lost_again(gap + 1) ** longer
        return float(1 - (1 - missed) ** self.announce_parts)

    def unannounced_so_far(self, coded: Coded) -> NDArray[np.float64]:
        """How likely a receiver lacks a part of the announce after 0, 1, 2, ... frames of announces."""
        again = [self._lost_again(int(gap)) for gap in np.diff(coded.symbols_before)]
        missed = np.array([1.0, *(self.loss.frame_loss(self.announce_frame_bytes) * np.cumprod([1.0, *again])), 0.0])
        copies, parts = np.divmod(np.arange(coded.announces * self.announce_parts + 1), self.announce_parts)
        had = (1 - missed[copies + 1]) ** parts * (1 - missed[copies]) ** (self.announce_parts - parts)
        return np.asarray(1.0 - had)

    def _lost_again(self, symbols: int) -> float:
        """How likely the next copy of a part is lost like this one, with so many symbols between their announces."""
        lost = self.loss.frame_loss(self.announce_frame_bytes)
        return lost + (1 - lost) * self.loss.memory ** (self.announce_parts + symbols)


def one_way_sequence(job: Job) -> tuple[Code, Coded, NDArray[np.bool_], NDArray[np.int64]]:
    """What a one-way sender sends: the code, the numbers, which frames are of an announce, and all lengths."""
    code = Code(job.frames, job.extra, job.frame_bytes, job.announce_parts, job.announce_frame_bytes, job.air_loss)
    coded = code.cheapest(job.probability, job.receivers, job.link.frame_airtime_s)
    parts_before = np.repeat(coded.symbols_before, job.announce_parts)
    of_announce = np.insert(np.zeros(coded.symbols, np.bool_), parts_before, True)
    sizes = np.where(of_announce, job.announce_frame_bytes, job.frame_bytes)
    if coded.symbols == job.frames:
        sizes[np.flatnonzero(~of_announce)[-1]] = job.runs[-1][0]
    return code, coded, of_announce, sizes


_Likely = TypeVar("_Likely", float, NDArray[np.float64])


def either(one: _Likely, other: _Likely) -> _Likely:
    """How likely one of two things happens, or both, that have nothing to do with each other."""
    return one + other - one * other
