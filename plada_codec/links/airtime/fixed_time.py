"""The airtime model `fixed-time` (spec/link-budget.md section 2.2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from plada_codec.links.airtime.base import AirtimeModel
from plada_codec.links.numbers import POSITIVE, Quantity


@dataclass(frozen=True)
class FixedTime(AirtimeModel):
    """The airtime of packets that take the same time, whatever they carry.

    >>> FixedTime(frame_time_s=3.25).airtime_s(1)
    3.25
    """

    has_one_length: ClassVar[bool] = True

    frame_time_s: Annotated[float, Quantity("s", POSITIVE)]

    def airtime_s(self, packet_bytes: int) -> float:
        return self.frame_time_s
