"""The conditions of a delivery: strategy, loss, distance, receivers, frames (spec/link-budget.md section 6.1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from plada_codec.errors import InvalidArgument
from plada_codec.links.defaults import (
    DEFAULT_ACKNOWLEDGEMENT_BYTES,
    DEFAULT_NACK_BURST_FRAMES,
    DEFAULT_PROBABILITY,
    DEFAULT_RECEIVERS,
    DEFAULT_RETURN_LOSS,
)
from plada_codec.links.delivery.job import check_range
from plada_codec.links.delivery.registry import DEFAULT_STRATEGY
from plada_codec.links.loss import Loss

#: Section 6.1.
MAX_RECEIVERS = 1_000_000


@dataclass(frozen=True, kw_only=True)
class Conditions:
    """The conditions of a delivery, besides the object and the link.

    Attributes:
        strategy: name of a row of `plada_codec.links.delivery.registry.STRATEGIES`.
        loss: loss of the frames; None: the loss rate of the profile, or 0 if it has none.
        distance_m: distance of the farthest receiver; None: 0 m, so that only the link's own delay counts.
        receivers: number of receivers that must get the object, 1 to MAX_RECEIVERS.
        probability: probability with which all receivers must get the object.
        frame_bytes: longest frame; None: the longest that the link takes; "best": the length of `best_frame_bytes`.
        piece_header_bytes: None: PLADA frames. Else the frames are bare pieces behind headers of this length, and there
            is no announce.
        padded_pieces: whether the last of the bare pieces is as long as the others.
        acknowledgement_bytes: length of an acknowledgement or a NACK list; 0: the link's own, which takes no time.
        return_loss: share of the acknowledgements or NACK lists that is lost.
        nack_burst_frames: number of frames between two NACK lists.

    Raises:
        InvalidArgument: (`value`) if the number of receivers is not 1 to MAX_RECEIVERS, or the headers of pieces have
            fewer than 0 bytes. `budget` checks the other fields.
    """

    strategy: str = DEFAULT_STRATEGY
    loss: Loss | None = None
    distance_m: float | None = None
    receivers: int = DEFAULT_RECEIVERS
    probability: float = DEFAULT_PROBABILITY
    frame_bytes: int | Literal["best"] | None = None
    piece_header_bytes: int | None = None
    padded_pieces: bool = False
    acknowledgement_bytes: int = DEFAULT_ACKNOWLEDGEMENT_BYTES
    return_loss: float = DEFAULT_RETURN_LOSS
    nack_burst_frames: int = DEFAULT_NACK_BURST_FRAMES

    def __post_init__(self) -> None:
        if not 1 <= self.receivers <= MAX_RECEIVERS:
            raise InvalidArgument(f"receivers must be 1 to {MAX_RECEIVERS:,}, not {self.receivers:,}", rule="value")
        check_range("piece_header_bytes", self.piece_header_bytes or 0, 0)
