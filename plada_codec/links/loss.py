"""Losses of frames: independent, by bit errors, or in bursts (spec/link-budget.md section 4).

Each is a Markov chain of two states: the probability that a frame is lost depends on its length, and on whether the
frame before it was lost, and on nothing else.

    >>> BurstyLoss(0.2, burst_frames=10).frame_loss(256)  # of a frame of 256 bytes, or of any other length
    0.2
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from plada_codec.errors import InvalidArgument

if TYPE_CHECKING:
    from random import Random


#: Section 4: the longest mean burst, in frames. A link that is away for longer has contact windows.
MAX_BURST_FRAMES = 10_000


class Loss(ABC):
    """A model of losses: the probability that a frame of a sequence is lost."""

    @abstractmethod
    def conditional_loss(self, frame_bytes: int) -> tuple[float, float]:
        """The probabilities that a frame of this length is lost: after a frame that arrived, and after a lost frame."""

    @property
    def memory(self) -> float:
        """The difference of the two probabilities of `conditional_loss`: 0 if losses are independent."""
        arrived, lost = self.conditional_loss(1)
        return lost - arrived

    def frame_loss(self, frame_bytes: int) -> float:
        """The probability that a frame of this length is lost, if nothing is known of the frame before it."""
        return self.conditional_loss(frame_bytes)[0] / (1 - self.memory)

    def sampler(self, random: Random) -> Callable[[int], bool]:
        """Return a function that draws, for one frame after another, whether it is lost, from its length in bytes.

        >>> from random import Random
        >>> lost = BurstyLoss(0.4, burst_frames=5).sampler(Random(1))
        >>> "".join("-" if lost(64) else "x" for _ in range(60))
        'xxxxxxx--xxx----xx---xxxx----------xxxxxx----xxxxxxxxxx-----'
        """
        state = random.random() < self.frame_loss(1)

        def lost(frame_bytes: int) -> bool:
            nonlocal state
            state = random.random() < self.conditional_loss(frame_bytes)[state]
            return state

        return lost


@dataclass(frozen=True)
class IndependentLoss(Loss):
    """Independent losses: each frame is lost with the probability `rate`, whatever its length.

    Raises:
        InvalidArgument: (`loss`) unless 0 <= rate < 1.
    """

    rate: float

    def __post_init__(self) -> None:
        _check_rate(self.rate, "loss")

    def conditional_loss(self, frame_bytes: int) -> tuple[float, float]:
        return self.rate, self.rate


@dataclass(frozen=True)
class BitErrors(Loss):
    """Losses by bit errors: each bit is wrong with the probability `ber`, and a frame with a wrong bit is lost.

    >>> print(f"{BitErrors(1e-4).frame_loss(64):.1%} {BitErrors(1e-4).frame_loss(256):.1%}")
    5.0% 18.5%

    Raises:
        InvalidArgument: (`loss`) unless 0 <= ber < 1.
    """

    ber: float

    def __post_init__(self) -> None:
        _check_rate(self.ber, "bit error rate")

    def conditional_loss(self, frame_bytes: int) -> tuple[float, float]:
        loss = -math.expm1(8 * frame_bytes * math.log1p(-self.ber))
        return loss, loss


@dataclass(frozen=True)
class BurstyLoss(Loss):
    """Frames are lost in bursts: the model of Gilbert and Elliott, whose bad state loses all frames, the good one none.

    Attributes:
        rate: the share of all frames that is lost.
        burst_frames: mean length of a burst, which is a run of lost frames. The least mean length is 1 / (1 - rate),
            that of independent losses.

    >>> arrived, lost = BurstyLoss(0.2, burst_frames=10).conditional_loss(256)
    >>> print(f"after a frame that arrived {arrived:.3f}, after one that was lost {lost:.3f}")
    after a frame that arrived 0.025, after one that was lost 0.900

    Raises:
        InvalidArgument: (`loss`) unless 0 <= rate < 1 and 1 / (1 - rate) <= burst_frames <= MAX_BURST_FRAMES.
    """

    rate: float
    burst_frames: float

    def __post_init__(self) -> None:
        _check_rate(self.rate, "loss")
        independent = 1 / (1 - self.rate)
        if not independent <= self.burst_frames <= MAX_BURST_FRAMES:
            raise InvalidArgument(
                f"a mean burst of {self.burst_frames:g} frames is not possible: at a loss of {self.rate:g} it has "
                f"{independent:.4g} (independent losses) to {MAX_BURST_FRAMES:,}",
                rule="loss",
            )

    def conditional_loss(self, frame_bytes: int) -> tuple[float, float]:
        burst_ends = 1 / self.burst_frames
        return self.rate / (1 - self.rate) * burst_ends, 1 - burst_ends


@dataclass(frozen=True)
class PaddedLoss(Loss):
    """The loss of frames whose packets are padded to one length: that of `loss`, for all bytes on the air.

    >>> PaddedLoss(BitErrors(1e-4), packet_bytes=64).frame_loss(65) == BitErrors(1e-4).frame_loss(128)
    True
    """

    loss: Loss
    packet_bytes: int

    def conditional_loss(self, frame_bytes: int) -> tuple[float, float]:
        return self.loss.conditional_loss(-(-frame_bytes // self.packet_bytes) * self.packet_bytes)


def _check_rate(rate: float, what: str) -> None:
    if rate == 1:
        raise InvalidArgument(f"with a {what} of 1 (100%), nothing arrives: give less than 1", rule="loss")
    if not 0 <= rate < 1:
        raise InvalidArgument(f"a {what} must be 0 or more, and less than 1, not {rate:g}", rule="loss")
