"""A delivery job: the frames of an object, the link, the receivers, and the probability (spec/link-budget.md 5.1)."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from plada_codec.errors import InvalidArgument, LinkError
from plada_codec.links.defaults import (
    DEFAULT_ACKNOWLEDGEMENT_BYTES,
    DEFAULT_NACK_BURST_FRAMES,
    DEFAULT_PROBABILITY,
    DEFAULT_RECEIVERS,
    DEFAULT_RETURN_LOSS,
)
from plada_codec.links.link import Link
from plada_codec.links.loss import Loss, PaddedLoss

#: Section 4: nothing is computed for a larger loss, which would take sums over millions of frames.
MAX_LOSS = 0.99
#: Section 5.1: as many symbols as there are ids for (spec/plada-frames-1.md section 2).
MAX_FRAMES = 1_048_320


@dataclass(frozen=True, kw_only=True)
class DeliveryJob:
    """An object to deliver over a link, with a certain probability.

    Attributes:
        link: the link.
        object_bytes: length of the object.
        frames: K, the number of data frames that make the object.
        frame_bytes: length of a data frame, with all headers.
        last_frame_bytes: length of the last data frame; None: as the others.
        extra_symbols: h, the number of frames above K that a receiver of coded frames needs, unless it has the first K:
            2 for RaptorQ, 0 for K = 1 or a perfect code.
        announce_parts: the number of frames of an announce; 0: there is no announce.
        announce_frame_bytes: length of these frames.
        loss: loss of the frames, by their length on the air.
        distance_m: distance of the receivers; None: 0 m.
        receivers: R, the number of receivers.
        probability: probability with which all receivers must get the object.
        return_loss: share of the acknowledgements or NACK lists that is lost, independently of all else.
        acknowledgement_bytes: length of an acknowledgement or a NACK list; 0: the link's own, which takes no time.
        nack_burst_frames: number of frames that are sent between two NACK lists.

    Raises:
        InvalidArgument: (`value`) if a number is outside its range; (`loss`) if more than MAX_LOSS of the frames are
            lost.
        LinkError: (`value`) if there are several receivers, and the link reaches one at a time.
    """

    link: Link
    object_bytes: int
    frames: int
    frame_bytes: int
    last_frame_bytes: int | None = None
    extra_symbols: int = 0
    announce_parts: int = 0
    announce_frame_bytes: int = 0
    loss: Loss
    distance_m: float | None = None
    receivers: int = DEFAULT_RECEIVERS
    probability: float = DEFAULT_PROBABILITY
    return_loss: float = DEFAULT_RETURN_LOSS
    acknowledgement_bytes: int = DEFAULT_ACKNOWLEDGEMENT_BYTES
    nack_burst_frames: int = DEFAULT_NACK_BURST_FRAMES

    def __post_init__(self) -> None:
        check_range("object_bytes", self.object_bytes, 1)
        check_range("nack_burst_frames", self.nack_burst_frames, 1)
        check_range("acknowledgement_bytes", self.acknowledgement_bytes, 0)
        check_fields(self.frames, self.extra_symbols, self.announce_parts, self.receivers, self.probability)
        self.link.delay_s(self.distance_m)  # refuses a distance that makes no sense
        if self.receivers > 1 and self.link.unicast:
            message = f"{self.link.id} reaches one receiver at a time, not {self.receivers} with the same frames"
            raise LinkError(f"{message}: compute it for one", rule="value")
        if not 0 <= self.return_loss <= MAX_LOSS:
            raise InvalidArgument(f"return_loss must be 0 to {MAX_LOSS}, not {self.return_loss:g}", rule="value")
        for frame_bytes in self.counts:
            check_loss(self.air_loss, frame_bytes)

    @property
    def runs(self) -> tuple[tuple[int, int], ...]:
        """The frames of an announce and the data frames, in the order of sending: pairs of a length and a number."""
        last = self.frame_bytes if self.last_frame_bytes is None else self.last_frame_bytes
        runs = ((self.announce_frame_bytes, self.announce_parts), (self.frame_bytes, self.frames - 1), (last, 1))
        return tuple((frame_bytes, count) for frame_bytes, count in runs if count)

    @property
    def counts(self) -> Counter[int]:
        """The number of frames of each length, the length of the first frame first."""
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
        """The loss of frames by their own length: bit errors count in the bytes that fill up their packets, too."""
        packet_bytes = self.link.packet_bytes
        return self.loss if packet_bytes is None else PaddedLoss(self.loss, packet_bytes)

    def waiting_s(self, answers: int = 1) -> float:
        """Seconds from the end of a frame until its sender has so many answers, and may send again."""
        answer_s = self.link.answer_airtime_s(self.acknowledgement_bytes) if self.acknowledgement_bytes else 0.0
        return 2 * (self.link.delay_s(self.distance_m) + self.link.turnaround_s) + answers * answer_s


def check_range(name: str, value: int, least: int, most: int | None = None) -> None:
    """Raise InvalidArgument, rule `value`, unless `value` is within these bounds."""
    if value < least:
        raise InvalidArgument(f"{name} must be {least} or more, not {value}", rule="value")
    if most is not None and value > most:
        raise InvalidArgument(f"{name} must be {most:,} or less, not {value:,}", rule="value")


def check_fields(frames: int, extra_symbols: int, announce_parts: int, receivers: int, probability: float) -> None:
    """Raise InvalidArgument, rule `value`, if one of these fields of a DeliveryJob is outside its range."""
    check_range("frames", frames, 1, MAX_FRAMES)
    check_range("receivers", receivers, 1)
    check_range("extra_symbols", extra_symbols, 0)
    check_range("announce_parts", announce_parts, 0, MAX_FRAMES)
    if not 0 < probability < 1:
        raise InvalidArgument(f"a probability is above 0 and below 1, not {probability:g}", rule="value")


def check_loss(loss: Loss, frame_bytes: int) -> None:
    """Raise InvalidArgument, rule `loss`, if more than MAX_LOSS of the frames of this length are lost."""
    if (lost := loss.frame_loss(frame_bytes)) > MAX_LOSS:
        raise InvalidArgument(
            f"{lost:.6%} of the frames of {frame_bytes} bytes are lost: {MAX_LOSS:.0%} is the most", rule="loss"
        )
