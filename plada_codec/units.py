"""Quantities as people write them, and as tables show them: "20 min", "5 kbit/s", "30%".

Numbers without a unit are in the SI unit. Nothing is negative, NaN, infinite or above 1e15; spellings are exact, since
kb/s is not kB/s (spec/link-budget.md section 1.4).
"""

from __future__ import annotations

import re
from difflib import get_close_matches

from plada_codec.errors import PladaError


def _units(*units: tuple[float, str]) -> dict[str, float]:
    """The value in the SI unit of each spelling; of several for one unit, the first is the one to suggest."""
    return {spelling: scale for scale, spellings in units for spelling in spellings.split()}


_DURATION = _units(
    (1, "s sec second seconds"),
    (60, "min minute minutes"),
    (3600, "h hour hours"),
    (86_400, "d day days"),
    (1e-3, "ms"),
)
_DISTANCE = _units((1, "m"), (1000, "km"), (1852, "nmi"))
_RATE = _units(
    (1, "bit/s bps b/s"), (1e3, "kbit/s kbps kb/s"), (1e6, "Mbit/s Mbps Mb/s"), (8, "B/s"), (8e3, "kB/s"), (8e6, "MB/s")
)
_POWER = _units((1, "W"), (1e-3, "mW"), (1e3, "kW"))
_SIZE = _units(
    (1, "B byte bytes"), (1e3, "kB"), (1 << 10, "KiB"), (1e6, "MB"), (1 << 20, "MiB"), (1e9, "GB"), (1 << 30, "GiB")
)
_RATIO = _units((1e-2, "%"))

_QUANTITY = re.compile(r"((?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*(.*)", re.ASCII)
#: Beyond any link: 30 million years, a light-month, a petabyte.
_ABSURD = 1e15


class BadLink(PladaError):
    """A link, or a quantity, that there is not, that makes no sense or that is missing (spec/link-budget.md, 1.4)."""


def seconds(text: str) -> float:
    """A duration in seconds, of one number and unit or several.

    Raises:
        BadLink: rule `unit`, as all functions of this module that read text.

    >>> seconds("20 min"), seconds("1.5 h"), seconds("90"), seconds("13 min 32 s")
    (1200.0, 5400.0, 90.0, 812.0)
    """
    return sum(_quantity(term, "a duration", _DURATION) for term in re.split(r"(?<=[a-z])\s+(?=\d)", text))


def metres(text: str) -> float:
    """A distance in metres.

    >>> metres("3 km")
    3000.0
    """
    return _quantity(text, "a distance", _DISTANCE)


def bits_per_second(text: str) -> float:
    """A data rate in bit/s.

    >>> bits_per_second("13.9 kbit/s"), bits_per_second("1 kB/s")
    (13900.0, 8000.0)
    >>> bits_per_second("5 kpbs")
    Traceback (most recent call last):
    plada_codec.units.BadLink: '5 kpbs' is not a data rate: did you mean 5 kbit/s? [unit]
    """
    return _quantity(text, "a data rate", _RATE)


def watts(text: str) -> float:
    """A power in watts.

    >>> watts("25 mW")
    0.025
    """
    return _quantity(text, "a power", _POWER)


def size_bytes(text: str) -> int:
    """A size in bytes, a whole number of them.

    >>> size_bytes("5 kB"), size_bytes("2 KiB")
    (5000, 2048)
    """
    size = _quantity(text, "a size", _SIZE)
    if not size.is_integer():
        raise BadLink(f"{text!r} is not a whole number of bytes", rule="unit")
    return int(size)


def ratio(text: str) -> float:
    """A ratio, which may exceed 1.

    >>> ratio("30%"), ratio("0.3"), ratio("150%")
    (0.3, 0.3, 1.5)
    """
    return _quantity(text, "a ratio", _RATIO)


def show_seconds(value: float) -> str:
    """A duration for people, in two units at most.

    >>> [show_seconds(value) for value in (0.4224, 811.786, 27_377.18, 276_480)]
    ['0.422 s', '13 min 32 s', '7 h 36 min', '3.2 d']
    """
    if value < 60:
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
    return f"{value:.0f} B" if value < 10_000 else _prefixed(value, "B")


def show_joules(value: float) -> str:
    """An energy for people.

    >>> show_joules(25_120), show_joules(0.628)
    ('25.1 kJ', '628 mJ')
    """
    return _prefixed(value, "J")


def _prefixed(value: float, unit: str) -> str:
    if value == 0:
        return f"0 {unit}"
    for prefix, scale in (("m", 1e-3), ("", 1.0), ("k", 1e3), ("M", 1e6), ("G", 1e9)):  # noqa: B007
        if value < 999.5 * scale:
            break
    return f"{value / scale:.3g} {prefix}{unit}"


def _quantity(text: str, what: str, units: dict[str, float]) -> float:
    """Reads `what`, a number and one of `units`, whose values are in the SI unit."""
    if "," in text:
        raise BadLink(f"{text!r} is not {what}: write 1000 or 1.5, without a comma", rule="unit")
    match = _QUANTITY.fullmatch(text.strip())
    if not match:
        raise BadLink(f"{text!r} is not {what}: write a number of 0 or more, and a unit", rule="unit")
    number, unit = match.groups()
    if unit and unit not in units:
        raise BadLink(f"{text!r} is not {what}: {_hint(number, unit, units)}", rule="unit")
    # A quotient of whole numbers is exact where 30 * 0.01 is not.
    scale = units[unit] if unit else 1
    value = float(number) * scale if scale >= 1 else float(number) / round(1 / scale)
    if value > _ABSURD:
        raise BadLink(f"{text!r} is too large to be {what}", rule="unit")
    return value


def _hint(number: str, unit: str, units: dict[str, float]) -> str:
    lower = {name.lower(): name for name in reversed(units)}
    near = get_close_matches(unit.lower(), lower, n=1)
    if not near:
        return "its units are " + ", ".join(units)
    scale = units[lower[near[0]]]
    return f"did you mean {number} {next(name for name in units if units[name] == scale)}?"
