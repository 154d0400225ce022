"""Numbers of links and airtime models: their units, their bounds, and where each comes from (spec/link-budget.md 1).

The fields of a class have them in their annotations:

    >>> from plada_codec.links.airtime.constant_rate import ConstantRate
    >>> ConstantRate.quantities()["rate_bps"]
    Quantity(unit='bit/s', least=1e-09, largest=1000000000000000.0, whole=False)
    >>> ConstantRate(rate_bps=0)
    Traceback (most recent call last):
    plada_codec.errors.LinkError: rate_bps must be a number from 1e-09 to 1e+15, not 0 [value]
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import TypeVar, get_args, get_type_hints

from plada_codec.errors import LinkError

#: Section 1.2: how far a number can be relied on.
MARKS = ("verified", "secondary", "unverified", "assumed", "option")
#: The least value of a number that must be above 0.
POSITIVE = 1e-9
#: A larger number is a mistake.
LARGEST = 1e15

_Note = TypeVar("_Note")


@dataclass(frozen=True)
class Number:
    """A number, and where it comes from.

    Attributes:
        value: in `unit`.
        unit: SI, or "B" for bytes, "" for plain numbers and ratios.
        mark: one of MARKS; or "formula", if the number follows from others.
        note: a remark, or "".
    """

    value: float
    unit: str
    mark: str
    note: str = ""


@dataclass(frozen=True)
class Quantity:
    """Annotation of a field that is a number: its unit, its least and largest value, whether it is a whole number."""

    unit: str
    least: float = 0
    largest: float = LARGEST
    whole: bool = False

    @property
    def bounds(self) -> str:
        """The values that it may have, in words."""
        return f"a {'whole ' if self.whole else ''}number from {self.least:.6g} to {self.largest:.6g}"


@dataclass(frozen=True)
class Switch:
    """Annotation of a field that is true or false, and that a budget lists as 1 or 0: its meaning."""

    meaning: str


class NumberFields:
    """Base of dataclasses whose fields are annotated with `Quantity` and `Switch`.

    Raises:
        LinkError: (`value`) if a number is outside its bounds. A field that is None is unknown, and not checked.
    """

    def __post_init__(self) -> None:
        for name, value in self.known_numbers().items():
            quantity = self.quantities()[name]
            is_number = isinstance(value, int if quantity.whole else (int, float)) and not isinstance(value, bool)
            if not (is_number and quantity.least <= value <= quantity.largest):
                raise LinkError(f"{name} must be {quantity.bounds}, not {value!r}", rule="value")

    @classmethod
    def quantities(cls) -> Mapping[str, Quantity]:
        """The fields that are numbers, by name."""
        return _noted(cls, Quantity)  # type: ignore[arg-type]  # a class can be hashed

    @classmethod
    def switches(cls) -> Mapping[str, Switch]:
        """The fields that are true or false, by name."""
        return _noted(cls, Switch)  # type: ignore[arg-type]  # a class can be hashed

    def known_numbers(self) -> dict[str, float]:
        """The values of the fields that are numbers, by name, without those that are unknown."""
        values = {name: getattr(self, name) for name in self.quantities()}
        return {name: value for name, value in values.items() if value is not None}


@cache
def _noted(of: type, kind: type[_Note]) -> Mapping[str, _Note]:
    """The annotations of one kind of the fields of a class, by field."""
    hints = get_type_hints(of, include_extras=True)
    return MappingProxyType(
        {name: note for name, hint in hints.items() for note in get_args(hint) if isinstance(note, kind)}
    )
