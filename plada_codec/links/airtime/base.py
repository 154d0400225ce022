"""The base of all airtime models (spec/link-budget.md section 2)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from plada_codec.links.numbers import Number, NumberFields


@dataclass(frozen=True)
class AirtimeModel(NumberFields, ABC):
    """The time that a packet is on the air, by its length.

    A model is a frozen dataclass. Its fields are its numbers, each annotated with a `Quantity`, which a profile and
    the user may set; and its switches, each annotated with a `Switch`, which the user may set.
    """

    #: Whether every packet is as long as the longest one, whatever it carries.
    has_one_length: ClassVar[bool] = False

    @property
    def max_packet_bytes(self) -> int | None:
        """The most bytes that a packet can carry; None: any number."""
        return None

    @property
    def derived_numbers(self) -> Mapping[str, Number]:
        """Numbers that follow from the fields, by name, marked "formula": a budget lists them."""
        return {}

    @abstractmethod
    def airtime_s(self, packet_bytes: int) -> float:
        """Seconds that a packet which carries `packet_bytes` bytes is on the air."""
