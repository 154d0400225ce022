"""Quantities in the notation of people: "20 min", "5 kbit/s", "30%" (spec/link-budget.md section 1.4).

A number without a unit is in the SI unit. No quantity is negative, NaN, infinite or above 1e15. The case of letters
counts, as kb/s is not kB/s.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from plada_codec.errors import InvalidArgument


class _Kind(NamedTuple):
    """A kind of quantity: its name, an example, and the value of each spelling of a unit in the SI unit."""

    name: str
    example: str
    units: dict[str, float]

    def hint(self, number: str, unit: str) -> str:
        """A likely correction: a unit with the same letters in another case or order, but never bits for bytes."""
        scales = {
            scale
            for spelling, scale in self.units.items()
            if sorted(spelling.lower()) == sorted(unit.lower()) and ("B" in spelling) == ("B" in unit)
        }
        if len(scales) == 1:
            return f"did you mean {number} {self.usual(scales.pop())}?"
        return "its units are " + ", ".join(dict.fromkeys(map(self.usual, self.units.values())))

    def usual(self, scale: float) -> str:
        """The usual spelling of a unit."""
        return next(spelling for spelling, value in self.units.items() if value == scale)


def _kind(name: str, example: str, *units: tuple[float, str]) -> _Kind:
    """Return a kind with these units; of several spellings of a unit, the first is the usual one."""
    return _Kind(name, example, {spelling: scale for scale, spellings in units for spelling in spellings.split()})


_DURATION = _kind(
    *("a duration", "90 s or '1 h 30 min'"),
    (1e-3, "ms"),
    (1, "s sec secs second seconds"),
    (60, "min mins minute minutes"),
    (3600, "h hr hrs hour hours"),
    (86_400, "d day days"),
)
_DISTANCE = _kind("a distance", "300 or '3 km'", (1, "m"), (1000, "km"), (1852, "nmi"))
_SPEED = _kind("a speed", "1500 or '1500 m/s'", (1, "m/s"), (1000, "km/s"))
_RATE = _kind(
    *("a data rate", "500 or '5 kbit/s'"),
    *((1, "bit/s bps b/s"), (1e3, "kbit/s kbps kb/s"), (1e6, "Mbit/s Mbps Mb/s")),
    *((8, "B/s"), (8e3, "kB/s"), (8e6, "MB/s")),
)
_FREQUENCY = _kind("a frequency", "125000 or '125 kHz'", (1, "Hz"), (1e3, "kHz"), (1e6, "MHz"), (1e9, "GHz"))
_POWER = _kind("a power", "8 or '25 mW'", (1e-3, "mW"), (1, "W"), (1e3, "kW"))
_SIZE = _kind(
    *("a size", "5000 or '5 kB'"),
    *((1, "B byte bytes"), (1e3, "kB"), (1e6, "MB"), (1e9, "GB"), (1 << 10, "KiB"), (1 << 20, "MiB"), (1 << 30, "GiB")),
)
_RATIO = _kind("a ratio", "30% or 0.3", (1e-2, "%"))

_QUANTITY = re.compile(r"((?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*(.*)", re.ASCII)
#: Between a unit and the next number; "1e3" is one number.
_NEXT_TERM = re.compile(r"(?<=[a-z])(?<![\d.]e)\s*(?=\d)", re.ASCII)
#: More than any link needs: 30 million years, a light-month, a petabyte.
_ABSURD = 1e15
_PREFIXES = (
    *(("n", 1e-9), ("µ", 1e-6), ("m", 1e-3), ("", 1.0)),
    *(("k", 1e3), ("M", 1e6), ("G", 1e9), ("T", 1e12), ("P", 1e15)),
)


def seconds(text: str) -> float:
    """A duration in seconds, of one number and unit or several.

    Raises:
        InvalidArgument: (`unit`) if the text is no duration. All functions of this module that read text raise it.

    >>> seconds("20 min"), seconds("1.5 h"), seconds("90"), seconds("13 min 32 s"), seconds("1h30min")
    (1200.0, 5400.0, 90.0, 812.0, 5400.0)
    """
    terms = _NEXT_TERM.split(text.strip())
    if len(terms) > 1 and not terms[-1][-1].isalpha():
        message = f"{text!r} lacks a unit behind its last number: write it like {_DURATION.example}"
        raise InvalidArgument(message, rule="unit")
    return sum(_quantity(term, _DURATION) for term in terms)


def metres(text: str) -> float:
    """A distance in metres.

    >>> metres("3 km")
    3000.0
    """
    return _quantity(text, _DISTANCE)


def metres_per_second(text: str) -> float:
    """A speed in m/s.

    >>> metres_per_second("1500 m/s")
    1500.0
    """
    return _quantity(text, _SPEED)


def bits_per_second(text: str) -> float:
    """A data rate in bit/s.

    >>> bits_per_second("13.9 kbit/s"), bits_per_second("1 kB/s")
    (13900.0, 8000.0)
    >>> bits_per_second("5 kpbs")
    Traceback (most recent call last):
    plada_codec.errors.InvalidArgument: '5 kpbs' is not a data rate: did you mean 5 kbit/s? [unit]
    """
    return _quantity(text, _RATE)


def hertz(text: str) -> float:
    """A frequency in Hz."""
    return _quantity(text, _FREQUENCY)


def watts(text: str) -> float:
    """A power in watts.

    >>> watts("25 mW")
    0.025
    """
    return _quantity(text, _POWER)


def size_bytes(text: str) -> int:
    """A whole number of bytes.

    >>> size_bytes("5 kB"), size_bytes("2 KiB")
    (5000, 2048)
    """
    size = _quantity(text, _SIZE)
    if not size.is_integer():
        raise InvalidArgument(f"{text!r} is not a whole number of bytes", rule="unit")
    return int(size)


def ratio(text: str) -> float:
    """A ratio, which may exceed 1.

    >>> ratio("30%"), ratio("0.3"), ratio("150%"), ratio("99.9%")
    (0.3, 0.3, 1.5, 0.999)
    """
    return _quantity(text, _RATIO)


def show_seconds(value: float) -> str:
    """A duration for people, in two units at most.

    >>> [show_seconds(value) for value in (0.4224, 811.786, 27_377.18, 276_480)]
    ['0.422 s', '13 min 32 s', '7 h 36 min', '3.2 d']
    """
    if 0 < value < 1e-3:
        return f"{1e3 * value:.3f} ms"
    if value < 59.95:  # which three digits still tell from a minute
        return f"{value:.3g} s"
    if round(value) < 3600:
        return "{} min {} s".format(*divmod(round(value), 60))
    if round(value / 60) < 48 * 60:
        return "{} h {} min".format(*divmod(round(value / 60), 60))
    return f"{value / 86_400:.1f} d"


def show_bytes(value: float) -> str:
    """A size for people.

    >>> show_bytes(5000), show_bytes(123_456)
    ('5000 B', '123 kB')
    """
    return f"{value:.0f} B" if round(value) < 10_000 else _prefixed(value, "B")


def show_joules(value: float) -> str:
    """An energy for people.

    >>> show_joules(25_120), show_joules(0.628)
    ('25.1 kJ', '628 mJ')
    """
    return _prefixed(value, "J")


def _prefixed(value: float, unit: str) -> str:
    if value == 0:
        return f"0 {unit}"
    for prefix, scale in _PREFIXES:  # noqa: B007
        if value < 999.5 * scale:
            break
    shown = value / scale
    return f"{shown:.3g} {prefix}{unit}" if 1e-3 <= shown < 999.5 else f"{shown:.3f} {prefix}{unit}"


def _quantity(text: str, kind: _Kind) -> float:
    """Read a number and its unit."""
    if "," in text:
        raise InvalidArgument(f"{text!r} is not {kind.name}: write 1000 or 1.5, without a comma", rule="unit")
    match = _QUANTITY.fullmatch(text.strip())
    if not match:
        message = f"{text!r} is not {kind.name}, a number of 0 or more: write it like {kind.example}"
        raise InvalidArgument(message, rule="unit")
    number, unit = match.groups()
    if unit and unit not in kind.units:
        raise InvalidArgument(f"{text!r} is not {kind.name}: {kind.hint(number, unit)}", rule="unit")
    value = float(number) * (kind.units[unit] if unit else 1)
    if value > _ABSURD:
        raise InvalidArgument(f"{text!r} is too large to be {kind.name}", rule="unit")
    return float(f"{value:.15g}")  # 99.9 * 0.01 is 0.9990000000000001
