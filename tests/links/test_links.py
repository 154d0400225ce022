"""Links have the airtime of their packets, keep to their limits, and can be changed by options."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plada_codec.errors import InvalidArgument, LinkError
from plada_codec.links.airtime.constant_rate import ConstantRate
from plada_codec.links.airtime.fixed_time import FixedTime
from plada_codec.links.airtime.lora import Lora
from plada_codec.links.link import Link
from plada_codec.links.numbers import Number
from plada_codec.links.profiles import link, links


def ours(**numbers: float | None) -> Link:
    return link("custom").replaced(**numbers)


# Airtime


@given(st.integers(1, 64), st.integers(1, 8), st.booleans(), st.data())
def test_a_frame_takes_the_time_of_its_packets(mtu: int, packets: int, padded: bool, data: st.DataObject) -> None:
    frame_bytes = data.draw(st.integers(1, mtu * packets))
    made = link("lorawan-eu868-dr5").replaced(mtu_bytes=mtu, frame_packets=packets, padded=padded)
    assert made.model is not None
    sizes = [len(range(i, min(i + mtu, frame_bytes))) for i in range(0, frame_bytes, mtu)]
    expected = sum(made.model.airtime_s(mtu if padded else size) for size in sizes)
    assert made.frame_airtime_s(frame_bytes) == pytest.approx(expected, rel=1e-12)
    for wrong in (0, -1, mtu * packets + 1):
        with pytest.raises(LinkError, match="frame-bytes"):
            made.frame_airtime_s(wrong)


def test_frames_of_a_fixed_time_or_a_constant_rate_take_the_known_time() -> None:
    assert link("hf-datac3").frame_airtime_s(126) == link("hf-datac3").frame_airtime_s(1) == 3.19
    assert link("sigfox-rc1").frame_airtime_s(36) == 18
    assert link("waterlinked-m64").frame_airtime_s(32) == 4
    assert ours(rate_bps=5000).frame_airtime_s(264) == 0.4224


def test_an_answer_is_not_padded_if_packets_can_be_short() -> None:
    assert link("umodem-psk5").answer_airtime_s(8) == 8 * 8 / 5000
    assert link("umodem-psk5").frame_airtime_s(8) == 8 * 2048 / 5000
    assert link("umodem-psk6").answer_airtime_s(8) == 3.25
    assert link("uwm-5k").answer_airtime_s(8) == link("uwm-5k").frame_airtime_s(8)


def test_packets_have_one_length_if_they_are_padded_or_take_a_fixed_time() -> None:
    lengths = {"umodem-psk5": 2048, "umodem-psk6": 192, "hf-datac3": 126, "uwm-5k": None, "titan-dte": None}
    assert {id: link(id).packet_bytes for id in lengths} == lengths


@pytest.mark.parametrize(("id", "most"), [("lorawan-eu868-dr0", 242), ("lorawan-eu868-dr5", 242), ("janus-11k5", 4096)])
def test_an_mtu_is_no_longer_than_the_packets_of_the_standard(id: str, most: int) -> None:
    assert link(id).replaced(mtu_bytes=most).max_frame_bytes == most
    with pytest.raises(LinkError, match=f"{id} has packets of at most {most} bytes") as caught:
        link(id).replaced(mtu_bytes=most + 1)
    assert caught.value.rule == "value"


LORA_400_MS = [profile.id for profile in links().values() if profile.dwell_time_s]


@pytest.mark.parametrize("id", LORA_400_MS)
def test_the_longest_packet_of_a_region_with_a_dwell_time_keeps_it(id: str) -> None:
    found = link(id)
    assert found.model is not None
    assert found.dwell_time_s == 0.4
    assert found.model.airtime_s(found.mtu_bytes or 0) <= 0.4
    slower = found.replaced(coding_rate=4)  # the same bytes would be longer on the air
    longest = slower.max_frame_bytes // slower.frame_packets
    assert slower.model is not None
    assert slower.model.airtime_s(longest) <= 0.4 < slower.model.airtime_s(longest + 1)
    with pytest.raises(LinkError, match=r"a packet may be on the air for 0\.4 s") as caught:
        slower.frame_airtime_s(slower.max_frame_bytes + 1)
    assert caught.value.rule == "frame-bytes"


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"spreading_factor": 12}, "needs 1.16 s for a packet of 1 bytes, and may be on the air for 0.4 s"),
        ({"coding_rate": 4, "padded": True}, "needs 0.494 s for a packet of 11 bytes"),
    ],
)
def test_a_link_with_no_packet_short_enough_for_its_dwell_time_is_refused(
    changed: dict[str, Any], message: str
) -> None:
    with pytest.raises(LinkError, match=message) as caught:
        link("lorawan-us915-dr0").replaced(**changed).frame_airtime_s(1)
    assert caught.value.rule == "dwell"


def test_a_frame_without_an_mtu_keeps_the_dwell_time_too() -> None:
    found = link("custom").replaced(rate_bps=800, dwell_time_s=0.4)
    assert found.frame_airtime_s(40) == 0.4
    with pytest.raises(LinkError, match="no time for 41 bytes within") as caught:
        found.frame_airtime_s(41)
    assert caught.value.rule == "dwell"


def test_delay_is_distance_by_speed_plus_the_fixed_delay() -> None:
    assert link("uwm-5k").delay_s(3000) == 2
    assert link("uwm-5k").delay_s(None) == 0
    assert link("titan-dte").delay_s(None) == link("titan-dte").delay_s(1e12) == 66.5 * 60
    assert link("uwm-5k").replaced(one_way_delay_s=1).delay_s(3000) == 3


# Schedule


def test_lorawan_takes_the_times_of_worked_example_1() -> None:
    for id, count, full, last, airtime, wall in (
        ("lorawan-eu868-dr5", 23, 222, 116, "8.331", "811.786"),
        ("lorawan-eu868-dr0", 99, 51, 2, "274.915", "27377.18"),
    ):
        modem = link(id)
        full_s, last_s = modem.frame_airtime_s(full), modem.frame_airtime_s(last)
        assert (count - 1) * full + last == 5000
        assert f"{(count - 1) * full_s + last_s:.3f}" == airtime
        assert f"{modem.schedule_s(count, full_s, last_s):.3f}".startswith(wall)


def test_janus_takes_the_time_of_worked_example_2() -> None:
    modem = link("janus-11k5")
    assert modem.schedule_s(11, modem.frame_airtime_s(480)) == pytest.approx(546.425, rel=1e-12)


def test_the_micromodem_takes_the_time_and_energy_of_worked_example_3() -> None:
    modem = link("umodem-fsk0")
    end_s = modem.schedule_s(157, modem.frame_airtime_s(32), modem.frame_airtime_s(5000 - 156 * 32))
    assert end_s == pytest.approx(502.4, rel=1e-12)
    assert modem.tx_power_w is not None
    assert modem.tx_power_w * end_s == pytest.approx(25_120, rel=1e-12)


def schedule_by_events(
    count: int,
    packet_s: int,
    packets: int,
    last_packets: int,
    gap_s: int,
    contact_s: int,
    period_s: int,
    waiting_s: int = 0,
) -> int:
    """End of the last frame, packet by packet: each starts `gap_s` after the one before, or when the answers are there;
    frames and their answers stay in a contact."""
    window_s, start_s, end_s = 0, 0, 0
    for frame in range(count):
        span_s = gap_s * ((packets if frame < count - 1 else last_packets) - 1) + packet_s + waiting_s
        if start_s + span_s > window_s + contact_s:
            while window_s < start_s:
                window_s += period_s
            start_s = window_s
        end_s = start_s + span_s
        start_s += max(gap_s * packets, span_s)
    return end_s


@given(
    st.integers(1, 50),
    st.integers(1, 20),
    st.integers(1, 4),
    st.integers(1, 4),
    st.integers(1, 20),
    st.integers(1, 20),
    st.sampled_from([0, 0, 1, 30]),
)
def test_schedules_agree_with_a_simulation_packet_by_packet(
    count: int, packet_s: int, packets: int, last_packets: int, slowness: int, room: int, waiting_s: int
) -> None:
    last_packets = min(packets, last_packets)
    gap_s = packet_s * slowness
    limited = ours(frame_time_s=packet_s, mtu_bytes=1, frame_packets=packets)
    frame_s, last_s = limited.frame_airtime_s(packets), limited.frame_airtime_s(last_packets)
    long = 10**9
    expected = schedule_by_events(count, packet_s, packets, last_packets, gap_s, long, long, waiting_s)
    by_duty_cycle = limited.replaced(duty_cycle=1 / slowness)
    by_quota = limited.replaced(messages_per_day=86_400 / gap_s)
    for made in (by_duty_cycle, by_quota):
        assert made.schedule_s(count, frame_s, last_s, waiting_s) == pytest.approx(expected, rel=1e-12)

    contact_s = gap_s * (packets - 1) + packet_s + waiting_s + room
    period_s = contact_s + room // 2
    expected = schedule_by_events(count, packet_s, packets, last_packets, gap_s, contact_s, period_s, waiting_s)
    windows = by_duty_cycle.replaced(contact_s=contact_s, period_s=period_s)
    assert windows.schedule_s(count, frame_s, last_s, waiting_s) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    "limits", [{}, {"duty_cycle": 0.1}, {"messages_per_day": 50}, {"contact_s": 10, "period_s": 60}]
)
@given(st.floats(0.1, 9), st.floats(0.1, 9))
def test_schedules_of_an_array_are_those_of_its_numbers(
    limits: dict[str, float], airtime_s: float, last_airtime_s: float
) -> None:
    made = ours(rate_bps=100, **limits)
    counts = np.arange(1, 60)
    schedule = made.schedule_s(counts, airtime_s, last_airtime_s)
    assert list(schedule) == [made.schedule_s(int(count), airtime_s, last_airtime_s) for count in counts]
    assert (np.diff(schedule) >= 0).all()


@given(st.floats(1e-3, 1), st.floats(0.01, 10), st.integers(2, 200))
def test_the_duty_cycle_holds_whenever_a_frame_begins(duty_cycle: float, airtime_s: float, count: int) -> None:
    end_s = ours(rate_bps=1, duty_cycle=duty_cycle).schedule_s(count, airtime_s)
    assert end_s == pytest.approx((count - 1) * airtime_s / duty_cycle + airtime_s)


def test_sigfox_sends_140_messages_a_day() -> None:
    sigfox = link("sigfox-rc1")
    frame_s = sigfox.frame_airtime_s(36)
    assert sigfox.schedule_s(1, frame_s) == pytest.approx(2 * 86_400 / 140 + 6)
    assert sigfox.schedule_s(141, frame_s) == pytest.approx(3 * 86_400 + 2 * 86_400 / 140 + 6)


def test_a_frame_longer_than_a_contact_is_refused() -> None:
    with pytest.raises(LinkError, match="a frame takes 8 s, and a contact has 7 s") as caught:
        ours(rate_bps=8, contact_s=7, period_s=60).schedule_s(2, 4, 8)
    assert caught.value.rule == "contact"


# Options


def test_replaced_numbers_are_marked_as_options() -> None:
    made = link("lorawan-eu868-dr0").replaced(spreading_factor=7, mtu_bytes=222, duty_cycle=None, padded=True)
    assert made.frame_airtime_s(1) == link("lorawan-eu868-dr5").frame_airtime_s(222)
    assert made.numbers["mtu_bytes"] == Number(222, "B", "option")
    assert made.numbers["bandwidth_hz"].mark == "verified"
    assert made.duty_cycle is None
    assert "duty_cycle" not in made.numbers


def test_replacing_all_numbers_of_another_airtime_model_switches_the_link_to_that_model() -> None:
    lora = link("lorawan-eu868-dr0")
    assert lora.replaced(rate_bps=100).model == ConstantRate(100)
    assert lora.replaced(frame_time_s=2).model == FixedTime(2)
    assert "spreading_factor" not in lora.replaced(rate_bps=100).numbers
    assert ours(spreading_factor=7, bandwidth_hz=125_000).model == Lora(7, 125_000)
    assert lora.replaced(spreading_factor=7, bandwidth_hz=250_000, header_bytes=0).model == Lora(
        7, 250_000, header_bytes=0
    )


@pytest.mark.parametrize(
    "numbers",
    [
        {"duty_cycle": 0},
        {"duty_cycle": 1.1},
        {"loss": -0.1},
        {"loss": 1.1},
        {"mtu_bytes": 0},
        {"mtu_bytes": 1.5},
        {"rate_bps": 0},
        {"rate_bps": math.inf},
        {"tx_power_w": math.nan},
        {"tx_power_w": -1},
        {"frame_packets": 0},
        {"contact_s": 10},
        {"period_s": 10},
        {"contact_s": 11, "period_s": 10},
        {"spreading_factor": 7},
        {"rate_bps": 80, "frame_time_s": 1},
        {"speed": 3},
    ],
)
def test_a_number_that_makes_no_sense_is_refused(numbers: dict[str, float]) -> None:
    with pytest.raises(LinkError) as caught:
        ours(**numbers)
    assert caught.value.rule == "value"


def test_a_number_that_a_profile_leaves_open_is_asked_for_by_its_option() -> None:
    with pytest.raises(LinkError, match=r"custom has no data rate of its own: give it with --rate \[option\]"):
        link("custom").frame_airtime_s(10)
    with pytest.raises(LinkError, match=r"benthos-bandc has no MTU of its own: give it with --mtu \[option\]"):
        _ = link("benthos-bandc").max_frame_bytes
    assert link("benthos-bandc").frame_airtime_s(150) == 1


@pytest.mark.parametrize(
    "wrong", [{"rate_bps": "x"}, {"rate_bps": None}, {"rate_bps": True}, {"mtu_bytes": "x"}, {"one_way_delay_s": [1]}]
)
def test_a_value_that_is_no_number_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(LinkError) as error:
        ours(**wrong)
    assert error.value.rule == "value"


@pytest.mark.parametrize("distance_m", [-1.0, math.nan, math.inf])
def test_an_impossible_distance_is_refused(distance_m: float) -> None:
    with pytest.raises(InvalidArgument, match="distance_m must be 0 or more"):
        link("uwm-5k").delay_s(distance_m)
