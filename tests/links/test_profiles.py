"""Profiles are those of the specification, and every number has its source; wrong profiles are refused."""

from __future__ import annotations

import re

import pytest

from plada_codec.errors import LinkError
from plada_codec.links.airtime.base import AirtimeModel
from plada_codec.links.airtime.constant_rate import ConstantRate
from plada_codec.links.airtime.janus import Janus
from plada_codec.links.airtime.lora import Lora
from plada_codec.links.link import Link
from plada_codec.links.numbers import MARKS, Number
from plada_codec.links.profiles import link, links, read_profiles
from tests.helpers.paths import ROOT

LETTERS = {"verified": "V", "secondary": "W", "unverified": "U", "assumed": "A"}


def test_every_number_of_every_profile_has_unit_mark_and_its_value() -> None:
    for profile in links().values():
        for name, number in profile.numbers.items():
            value = getattr(profile, name, getattr(profile.model, name, None))
            assert number.value == value
            assert number.mark in MARKS[:-1]
        for name in ("mtu_bytes", "tx_power_w", "loss", "duty_cycle", "one_way_delay_s", "frame_packets"):
            assert (getattr(profile, name) is None) == (name not in profile.numbers)


def test_the_shipped_profiles_are_those_of_the_specification() -> None:
    text = (ROOT / "spec/link-budget.md").read_text(encoding="utf-8")
    rows = [line for line in text.splitlines() if re.match(r"\| `[a-z0-9-]+` \|.*\|.*\|.*\|.*\|$", line)]
    assert rows == [spec_row(profile) for profile in links().values()]


def spec_row(profile: Link) -> str:
    """The row of a profile in section 1.3."""

    def shown(name: str, unit: str) -> list[str]:
        number = profile.numbers.get(name)
        if number is None or number.note == "the default":
            return []
        return [f"{number.value:g}{unit} {LETTERS[number.mark]}"]

    def of_model(model: AirtimeModel | None) -> list[str]:
        assert model is not None
        return [text for name, number in model.quantities().items() for text in shown(name, f" {number.unit}".rstrip())]

    airtime = {
        Lora: lambda: [f"LoRa, SF {shown('spreading_factor', '')[0]}, {shown('bandwidth_hz', ' Hz')[0]}"],
        Janus: lambda: ["JANUS"],
        type(None): lambda: ["option"],
    }.get(type(profile.model), lambda: of_model(profile.model))()
    size = shown("mtu_bytes", "") or ["option"]
    packets = [f"{item} packets a frame" for item in shown("frame_packets", "")]
    limits = [
        *shown("speed_m_per_s", " m/s"),
        *(f"to {item}" for item in shown("max_range_m", " m")),
        *shown("one_way_delay_s", " s"),
        *(f"duty cycle {item}" for item in shown("duty_cycle", "")),
        *(f"dwell time {item}" for item in shown("dwell_time_s", " s")),
        *shown("messages_per_day", " messages a day"),
        *(f"retry after {item}" for item in shown("retry_s", " s")),
        *(f"loss {item}" for item in shown("loss", "")),
        *(["one receiver at a time"] if profile.unicast else []),
    ]
    power = shown("tx_power_w", "") or ["option"]
    padded = ["padded"] if profile.padded else []
    cells = [airtime, size + packets + padded, limits, power]
    return f"| `{profile.id}` | " + " | ".join(", ".join(cell) for cell in cells) + " |"


NUMBER = '{ value = 80, unit = "bit/s", mark = "verified" }'
PROFILE = f'[x]\nname = "X"\nmodel = "constant-rate"\nrate_bps = {NUMBER}\n'


def test_a_profile_is_read_with_the_provenance_of_its_numbers() -> None:
    profile = read_profiles(PROFILE)["x"]
    assert profile.model == ConstantRate(80)
    assert profile.numbers["rate_bps"] == Number(80, "bit/s", "verified")
    assert profile.numbers["turnaround_s"] == Number(0, "s", "assumed", "the default")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("[x]", "[x", "not TOML"),
        ("[x]", "y = 1\n[x]", "profile y is not a table"),
        ('name = "X"', "", "name"),
        ('name = "X"', "name = 1", "name must be a str, not 1"),
        ("constant-rate", "fast", "there is no model 'fast'"),
        ("constant-rate", "lora", "the model lora does not go with rate_bps"),
        ('model = "constant-rate"\n', "", "there is no model None"),
        ("rate_bps", "rate", "there is no number rate"),
        (NUMBER, "80", "rate_bps must have a value, a unit, a mark"),
        (', mark = "verified"', "", "rate_bps must have a value, a unit, a mark"),
        ('unit = "bit/s", ', "", "rate_bps must have a value, a unit, a mark"),
        ("value = 80", "value = 80, source = 1", "and nothing else"),
        ("verified", "certain", "the mark of rate_bps must be one of"),
        ("verified", "option", "the mark of rate_bps must be one of"),
        ('"bit/s"', '"kbit/s"', "the unit of rate_bps must be 'bit/s'"),
        ("80", "true", "rate_bps must be a number"),
        ("80", '"80"', "rate_bps must be a number"),
        ("80", "0", "rate_bps must be a number from 1e-09"),
        ("80", "nan", "rate_bps must be a number from 1e-09"),
        ("rate_bps = {", 'mtu_bytes = { value = 1.5, unit = "B", mark = "assumed" }\nrate_bps = {', "a whole number"),
    ],
)
def test_a_profile_with_something_wrong_is_refused(old: str, new: str, message: str) -> None:
    assert old in PROFILE
    with pytest.raises(LinkError, match=re.escape(message)) as caught:
        read_profiles(PROFILE.replace(old, new, 1))
    assert caught.value.rule == "profile"


def test_an_unknown_link_is_refused_with_the_nearest_name_and_all_names() -> None:
    with pytest.raises(LinkError, match="did you mean lorawan-eu868-dr5") as caught:
        link("lorawan-eu868-d5")
    assert caught.value.rule == "link"
    assert all(id in str(caught.value) for id in links())
    with pytest.raises(LinkError, match="there is no link ''"):
        link("")
