"""The airtime model `janus`: the NATO standard of underwater acoustics (spec/link-budget.md 2.4; STANAG 4748)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from plada_codec.links.airtime.base import AirtimeModel
from plada_codec.links.numbers import Switch

#: Section 2.4.
CHIP_S = 0.00625
WAKE_UP_S = 0.475
CARGO_BYTES = 4096


@dataclass(frozen=True)
class Janus(AirtimeModel):
    """The airtime of JANUS packets at 11.5 kHz.

    Attributes:
        wake_up: whether each packet begins with wake-up tones.

    >>> round(Janus().airtime_s(480), 6)
    49.675
    """

    wake_up: Annotated[bool, Switch(f"tones of {WAKE_UP_S} s")] = True

    @property
    def max_packet_bytes(self) -> int:
        return CARGO_BYTES

    def airtime_s(self, packet_bytes: int) -> float:
        cargo_chips = 16 * (packet_bytes + 1) if packet_bytes > 0 else 0
        return CHIP_S * (32 + 144 + cargo_chips) + (WAKE_UP_S if self.wake_up else 0)
