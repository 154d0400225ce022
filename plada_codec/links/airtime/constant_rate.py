"""The airtime model `constant-rate` (spec/link-budget.md section 2.1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from plada_codec.links.airtime.base import AirtimeModel
from plada_codec.links.numbers import POSITIVE, Quantity


@dataclass(frozen=True)
class ConstantRate(AirtimeModel):
    """The airtime of packets of any length at a constant data rate.

    >>> ConstantRate(rate_bps=80).airtime_s(32)
    3.2
    """

    rate_bps: Annotated[float, Quantity("bit/s", POSITIVE)]

    def airtime_s(self, packet_bytes: int) -> float:
        return 8 * packet_bytes / self.rate_bps
