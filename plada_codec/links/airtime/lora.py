"""The airtime model `lora`: time on air of LoRa packets (spec/link-budget.md section 2.3).

Sources: Semtech AN1200.13 for SF 7 to 12, the data sheet of the SX1261/2 (section 6.1.4) for SF 5 and 6.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from plada_codec.errors import LinkError
from plada_codec.links.airtime.base import AirtimeModel
from plada_codec.links.numbers import POSITIVE, Number, Quantity, Switch

#: Section 2.3: LoRa uses its low data rate optimisation if a symbol takes this long or longer.
LOW_DATA_RATE_S = 0.016
#: Section 2.3: the most that a packet holds, including the link's header.
PACKET_BYTES = 255
#: Section 2.3: spreading factors up to this one have another packet, and a preamble of at least so many symbols.
SHORT_SPREADING_FACTOR = 6
SHORT_PREAMBLE = 12


@dataclass(frozen=True)
class Lora(AirtimeModel):
    """The airtime of LoRa packets.

    Attributes:
        spreading_factor: 5 to 12; SF 5 and 6 as the chips SX126x and SX128x send them.
        bandwidth_hz: such as 125,000.
        coding_rate: 1 to 4, for 4/5 to 4/8.
        preamble: symbols of the preamble, without the 4.25 (SF 5 and 6: 6.25) that are always there; at
            least 12 for SF 5 and 6.
        header_bytes: length of the header that the link adds to a packet; 13 for LoRaWAN.
        crc: whether a packet has a CRC.
        implicit_header: whether a packet has no LoRa header.

    >>> round(Lora(12, 125_000).airtime_s(51), 6)
    2.793472
    >>> round(Lora(5, 125_000, preamble=12).airtime_s(51), 6)
    0.04128

    Raises:
        LinkError: (`value`) if a number is outside its bounds, or the preamble is too short for SF 5 and 6.
    """

    spreading_factor: Annotated[int, Quantity("", 5, 12, whole=True)]
    bandwidth_hz: Annotated[float, Quantity("Hz", POSITIVE)]
    coding_rate: Annotated[int, Quantity("", 1, 4, whole=True)] = 1
    preamble: Annotated[int, Quantity("", 1, 65_535, whole=True)] = 8
    header_bytes: Annotated[int, Quantity("B", 0, 255, whole=True)] = 13
    crc: Annotated[bool, Switch("CRC of section 2.3")] = True
    implicit_header: Annotated[bool, Switch("IH of section 2.3")] = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.is_short and self.preamble < SHORT_PREAMBLE:
            message = f"SF 5 and 6 have a preamble of at least {SHORT_PREAMBLE} symbols, not {self.preamble}"
            raise LinkError(f"{message}: set preamble to {SHORT_PREAMBLE}", rule="value")

    @property
    def max_packet_bytes(self) -> int:
        return PACKET_BYTES - self.header_bytes

    @property
    def symbol_s(self) -> float:
        """Length of a symbol."""
        return (1 << self.spreading_factor) / self.bandwidth_hz

    @property
    def is_short(self) -> bool:
        """Whether the packet is that of SF 5 and 6."""
        return self.spreading_factor <= SHORT_SPREADING_FACTOR

    @property
    def low_data_rate(self) -> bool:
        """Whether the low data rate optimisation is on."""
        return self.symbol_s >= LOW_DATA_RATE_S

    @property
    def derived_numbers(self) -> Mapping[str, Number]:
        return {"low_data_rate": Number(int(self.low_data_rate), "", "formula", "DE of link-budget 2.3")}

    def airtime_s(self, packet_bytes: int) -> float:
        bits = 8 * (packet_bytes + self.header_bytes) - 4 * self.spreading_factor + (20 if self.is_short else 28)
        bits += 16 * self.crc - 20 * self.implicit_header
        block_bits = 4 * (self.spreading_factor - 2 * self.low_data_rate)
        symbols = 8 + max(math.ceil(bits / block_bits) * (self.coding_rate + 4), 0)
        return (self.preamble + (6.25 if self.is_short else 4.25) + symbols) * self.symbol_s
