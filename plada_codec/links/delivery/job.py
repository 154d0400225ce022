"""What is to be delivered: an object's frames, over which link, to how many, how surely (spec/link-budget.md 5.1)."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from plada_codec.errors import InvalidArgument, LinkError
from plada_codec.links.link import Link
from plada_codec.links.loss import FilledLoss, Loss

#: Section 4: what loses more is not a link, and asks for sums over millions of frames.
MAX_LOSS = 0.99
#: Section 5.1: as many symbols as there are ids for (spec/plada-frames-1.md section 2).
MAX_FRAMES = 1_048_320


@dataclass(frozen=True, kw_only=True)
class Job:
    """What is to be delivered, over which link, how surely.

    Attributes:
        link: the link.
        object_bytes: length of the object.
        frames: K, how many data frames make the object.
        frame_bytes: length of a data frame, with all headers.
        last_frame_bytes: length of the K-th one; None: as the others.
        extra: h, how many frames more than K a receiver of coded frames needs, unless it has the first K: 2 for
            RaptorQ, 0 for K = 1 or a perfect code.
        announce_parts: how many frames an announce has; 0: there is none.
        announce_frame_bytes: length of those.
        loss: which frames are lost, by what of them is on the air.
        distance_m: to the receivers.
        receivers: R, how many of them.
        probability: with which all of them must have the object.
        return_loss: how likely an acknowledgement or a NACK list is lost, independently of all else.
        acknowledgement_bytes: length of those; 0: the link's own, which take no time.
        burst_frames: how many frames are sent before a NACK list is waited for.

    Raises:
        InvalidArgument: (`value`) if a number is out of its range; (`loss`) if more than MAX_LOSS of the frames are
            lost.
        LinkError: (`value`) if there are several receivers, and the link reaches one at a time.
    """

    link: Link
    object_bytes: int
    frames: int
    frame_bytes: int
    last_frame_bytes: int | None = None
    extra: int = 0
    announce_parts: int = 0
    announce_frame_bytes: int = 0
    loss: Loss
    distance_m: float | None = None
    receivers: int = 1
    probability: float = 0.99
    return_loss: float = 0.0
    acknowledgement_bytes: int = 8
    burst_frames: int = 32

    def __post_init__(self) -> None:
        check_range("object_bytes", self.object_bytes, 1)
        check_range("burst_frames", self.burst_frames, 1)
        check_range("acknowledgement_bytes", self.acknowledgement_bytes, 0)
        check_coding(self.frames, self.extra, self.announce_parts, self.receivers, self.probability)
        self.link.delay_s(self.distance_m)  # refuses what is no distance
        if self.receivers > 1 and self.link.unicast:
            message = f"{self.link.id} reaches one receiver at a time, not {self.receivers} with the same frames"
            raise LinkError(f"{message}: compute it for one", rule="value")
        if not 0 <= self.return_loss <= MAX_LOSS:
            raise InvalidArgument(f"return_loss must be 0 to {MAX_LOSS}, not {self.return_loss:g}", rule="value")
        for frame_bytes in self.counts:
            check_loss(self.air_loss, frame_bytes)

    @property
    def runs(self) -> tuple[tuple[int, int], ...]:
        """The lengths of an announce and of the K data frames in the order of sending, and how many of each follow."""
        last = self.frame_bytes if self.last_frame_bytes is None else self.last_frame_bytes
        runs = ((self.announce_frame_bytes, self.announce_parts), (self.frame_bytes, self.frames - 1), (last, 1))
        return tuple((frame_bytes, count) for frame_bytes, count in runs if count)

    @property
    def counts(self) -> Counter[int]:
        """How many frames have each length, the first one's length first."""
        counts: Counter[int] = Counter()
        for frame_bytes, count in self.runs:
            counts[frame_bytes] += count
        return counts

    @property
    def sizes_bytes(self) -> NDArray[np.int64]:
        """The length of each frame, in the order of sending."""
        sizes, counts = zip(*self.runs, strict=True)
        return np.repeat(np.array(sizes, np.int64), counts)

    @property
    def air_loss(self) -> Loss:
        """Which frames are lost, by their own length: bit errors count in what fills up their packets, too."""
        packet_bytes = self.link.packet_bytes
        return self.loss if packet_bytes is None else FilledLoss(self.loss, packet_bytes)

    def waiting_s(self, answers: int = 1) -> float:
        """From the end of a frame until its sender has so many answers and may send again."""
        answer_s = self.link.answer_airtime_s(self.acknowledgement_bytes) if self.acknowledgement_bytes else 0.0
        return 2 * (self.link.delay_s(self.distance_m) + self.link.turnaround_s) + answers * answer_s


def check_range(name: str, value: int, least: int, most: int | None = None) -> None:
    """Raises InvalidArgument, rule `value`, unless `value` is within these bounds."""
    if value < least:
        raise InvalidArgument(f"{name} must be {least} or more, not {value}", rule="value")
    if most is not None and value > most:
        raise InvalidArgument(f"{name} must be {most:,} or less, not {value:,}", rule="value")


def check_coding(frames: int, extra: int, announce_parts: int, receivers: int, probability: float) -> None:
    """Raises InvalidArgument, rule `value`, if one of these fields of a Job is out of its range."""
    check_range("frames", frames, 1, MAX_FRAMES)
    check_range("receivers", receivers, 1)
    check_range("extra", extra, 0)
    check_range("announce_parts", announce_parts, 0, MAX_FRAMES)
    if not 0 < probability < 1:
        raise InvalidArgument(f"a probability is above 0 and below 1, not {probability:g}", rule="value")


def check_loss(loss: Loss, frame_bytes: int) -> None:
    """Raises InvalidArgument, rule `loss`, if more than MAX_LOSS of the frames of this length are lost."""
    if (lost := loss.frame_loss(frame_bytes)) > MAX_LOSS:
        raise InvalidArgument(
            f"{lost:.6%} of the frames of {frame_bytes} bytes are lost: {MAX_LOSS:.0%} is the most", rule="loss"
        )
