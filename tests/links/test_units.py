"""Text becomes a number in the SI unit, or a refusal in one line that shows a correct spelling."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plada_codec.errors import InvalidArgument
from plada_codec.links import units

READERS: list[Callable[[str], float]] = [
    units.seconds,
    units.metres,
    units.metres_per_second,
    units.bits_per_second,
    units.watts,
    units.size_bytes,
    units.ratio,
]


@pytest.mark.parametrize(
    ("read", "text", "value"),
    [
        (units.seconds, "20 min", 1200),
        (units.seconds, "1.5 h", 5400),
        (units.seconds, "90", 90),
        (units.seconds, "2 d", 172_800),
        (units.seconds, "20ms", 0.02),
        (units.seconds, "7 h 36 min", 27_360),
        (units.seconds, "1h30min", 5400),
        (units.seconds, "1e3s", 1000),
        (units.seconds, "20 mins", 1200),
        (units.metres, " 3 km ", 3000),
        (units.bits_per_second, "463 bit/s", 463),
        (units.bits_per_second, "5 kbps", 5000),
        (units.bits_per_second, "13.9 kbit/s", 13_900),
        (units.bits_per_second, "1 kB/s", 8000),
        (units.watts, "25 mW", 0.025),
        (units.size_bytes, "5000", 5000),
        (units.size_bytes, "5 kB", 5000),
        (units.size_bytes, "2 KiB", 2048),
        (units.size_bytes, "1e6", 1_000_000),
        (units.ratio, "30%", 0.3),
        (units.ratio, ".3", 0.3),
        (units.ratio, "150 %", 1.5),
        (units.ratio, "99.9%", 0.999),
        (units.metres_per_second, "1.5 km/s", 1500),
    ],
)
def test_a_quantity_is_read_exactly(read: Callable[[str], float], text: str, value: float) -> None:
    assert read(text) == value


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize(
    "text", ["", " ", "-3", "-3 s", "nan", "inf", "1e999", "1e16", "1,115", "0x10", "ten", "1.2.3", "٣"]
)
def test_text_that_is_no_quantity_is_refused_by_every_reader(read: Callable[[str], float], text: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        read(text)
    assert caught.value.rule == "unit"


@pytest.mark.parametrize(
    ("read", "text", "hint"),
    [
        (units.bits_per_second, "5 kpbs", "did you mean 5 kbit/s?"),
        (units.bits_per_second, "5 KB/s", "did you mean 5 kB/s?"),
        (units.bits_per_second, "5 KBPS", "its units are bit/s, kbit/s, Mbit/s, B/s, kB/s, MB/s"),
        (units.seconds, "20 Min", "did you mean 20 min?"),
        (units.seconds, "1m", "its units are ms, s, min, h, d"),
        (units.seconds, "1 h 30", "unit behind its last number"),
        (units.seconds, "1 h 30.", "unit behind its last number"),
        (units.metres, "500 cm", "its units are m, km, nmi"),
        (units.metres_per_second, "1500 knots", "its units are m/s, km/s"),
        (units.ratio, "abc", "write it like 30% or 0.3"),
        (units.size_bytes, "5 KB", "did you mean 5 kB?"),
        (units.metres, "3 lightyears", "m, km, nmi"),
        (units.size_bytes, "0.5 B", "whole number"),
        (units.size_bytes, "1,115 B", "without a comma"),
        (units.watts, "-3 W", "0 or more"),
    ],
)
def test_a_refusal_shows_a_correct_spelling(read: Callable[[str], float], text: str, hint: str) -> None:
    with pytest.raises(InvalidArgument, match="unit") as caught:
        read(text)
    assert hint in str(caught.value)


@given(st.sampled_from(READERS), st.text() | st.from_regex(r"[-+0-9.,eE]{1,8} ?[a-zA-Z/%]{0,6}", fullmatch=True))
def test_any_text_is_a_quantity_within_bounds_or_refused_in_one_line(read: Callable[[str], float], text: str) -> None:
    try:
        value = read(text)
    except InvalidArgument as error:
        assert len(str(error).splitlines()) == 1
    else:
        assert 0 <= value <= 1e15


@given(st.floats(0, 1e12))
def test_a_shown_duration_is_read_as_nearly_the_same(value: float) -> None:
    shown = units.show_seconds(value)
    assert units.seconds(shown) == pytest.approx(value, rel=0.02, abs=1e-6)
    assert len(shown) <= 20


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        *((0, "0 s"), (9.52e-5, "0.095 ms"), (0.4224, "0.422 s"), (59.9, "59.9 s"), (59.96, "1 min 0 s")),
        *((3599.7, "1 h 0 min"), (811.786, "13 min 32 s"), (276_480, "3.2 d")),
    ],
)
def test_durations_are_shown_in_two_units_at_most(value: float, shown: str) -> None:
    assert units.show_seconds(value) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0, "0 J"), (5.5e-6, "5.5 µJ"), (0.628, "628 mJ"), (999.9, "1 kJ"), (25_120, "25.1 kJ"), (1e12, "1 TJ")],
)
def test_energies_are_shown_with_three_digits(value: float, shown: str) -> None:
    assert units.show_joules(value) == shown


@pytest.mark.parametrize(("value", "shown"), [(5000, "5000 B"), (9999.4, "9999 B"), (9999.6, "10 kB"), (1e13, "10 TB")])
def test_sizes_are_shown_with_three_digits_or_in_bytes(value: float, shown: str) -> None:
    assert units.show_bytes(value) == shown


@given(st.floats(0, 1e20))
def test_nothing_is_shown_with_an_exponent(value: float) -> None:
    for show in (units.show_seconds, units.show_bytes, units.show_joules):
        assert "e" not in show(value)
