"""The profiles of links.toml: links with numbers whose origin is known (spec/link-budget.md section 1).

>>> modem = link("lorawan-eu868-dr5")
>>> round(modem.frame_airtime_s(222), 6)
0.368896
>>> modem.numbers["mtu_bytes"]
Number(value=222, unit='B', mark='verified', note='of the application')
"""

from __future__ import annotations

import tomllib
from dataclasses import replace
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from plada_codec.errors import LinkError
from plada_codec.links.airtime.registry import airtime_model
from plada_codec.links.link import Link, all_quantities
from plada_codec.links.numbers import MARKS, Number

#: Keys of a profile that are not numbers.
_OTHERS = {"name": str, "model": str, "padded": bool, "unicast": bool, "note": str}


def links() -> dict[str, Link]:
    """All profiles, by id, in the order of links.toml.

    >>> [id for id, profile in links().items() if profile.unicast]
    ['sigfox-rc1', 'iridium-sbd-9603']
    """
    return dict(_profiles())


def link(id: str) -> Link:
    """The profile `id`.

    Raises:
        LinkError: (`link`) if there is no such profile: the message has the nearest name.

    >>> link("umodem-fsk0").tx_power_w
    50
    """
    profiles = _profiles()
    if id not in profiles:
        near = get_close_matches(id.lower(), profiles, n=1)
        hint = f"did you mean {near[0]}? Links are" if near else "links are"
        raise LinkError(f"there is no link {id!r}: {hint} {', '.join(profiles)}", rule="link")
    return profiles[id]


def read_profiles(text: str) -> dict[str, Link]:
    """The profiles of a TOML document, by id (section 1.1).

    Raises:
        LinkError: (`profile`) if the document, or one of its profiles, is not as section 1.1 says.
    """
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise LinkError(f"the profiles are not TOML: {error}", rule="profile") from None
    return {id: _read_profile(id, table) for id, table in tables.items()}


@cache
def _profiles() -> dict[str, Link]:
    return read_profiles(Path(__file__).with_name("links.toml").read_text(encoding="utf-8"))


def _read_profile(id: str, table: Any) -> Link:
    try:
        numbers = {name: _read_number(name, entry) for name, entry in table.items() if name not in _OTHERS}
        others = {name: _read_other(name, table[name]) for name in _OTHERS if name in table}
        of_link = {name: number.value for name, number in numbers.items() if name in Link.quantities()}
        of_model = {name: number.value for name, number in numbers.items() if name not in of_link}
        model = airtime_model(others.pop("model", None), of_model)
        found = Link(id=id, model=model, **others, **of_link)  # type: ignore[arg-type]  # just checked
    except (AttributeError, TypeError):
        raise LinkError(f"profile {id} is not a table of a name and numbers", rule="profile") from None
    except LinkError as error:
        raise LinkError(f"profile {id}: {error.args[0]}", rule="profile") from None
    defaults = found.numbers_marked("assumed", "the default")
    return replace(found, numbers=MappingProxyType(defaults | numbers))


def _read_other(name: str, value: Any) -> Any:
    if not isinstance(value, _OTHERS[name]):
        raise LinkError(f"{name} must be a {_OTHERS[name].__name__}, not {value!r}", rule="profile")
    return value


def _read_number(name: str, entry: Any) -> Number:
    quantity = all_quantities().get(name)
    if quantity is None:
        raise LinkError(f"there is no number {name}", rule="profile")
    try:
        number = Number(**entry)
    except TypeError:
        message = f"{name} must have a value, a unit, a mark, perhaps a note, and nothing else"
        raise LinkError(message, rule="profile") from None
    if type(number.value) not in (int, float) or not isinstance(number.note, str):
        raise LinkError(f"{name} must be a number and its note a str, not {entry}", rule="profile")
    if number.unit != quantity.unit:
        raise LinkError(f"the unit of {name} must be {quantity.unit!r}, not {number.unit!r}", rule="profile")
    if number.mark not in MARKS[:-1]:
        marks = ", ".join(MARKS[:-1])
        raise LinkError(f"the mark of {name} must be one of {marks}, not {number.mark!r}", rule="profile")
    return number
