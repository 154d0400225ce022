"""Budgets: the bytes that fit, the best frames, and the source of each number."""

from __future__ import annotations

import itertools
import json
import math
import re
from contextlib import suppress
from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plada_codec.errors import InvalidArgument, LimitExceeded, LinkError, PladaError
from plada_codec.links.budgets.budget import Budget, best_frame_bytes, budget, max_bytes
from plada_codec.links.budgets.conditions import Conditions
from plada_codec.links.delivery.deliveries import Delivery
from plada_codec.links.delivery.registry import STRATEGIES
from plada_codec.links.loss import BitErrors, BurstyLoss, IndependentLoss, Loss
from plada_codec.links.profiles import link, links
from tests.helpers.examples import examples
from tests.helpers.paths import SPEC

LINK_BUDGET = SPEC / "link-budget.md"
#: A tenth of a kilobit a second.
SLOW = link("custom").replaced(rate_bps=100, mtu_bytes=40)
LOSSES: list[Loss] = [IndependentLoss(0.0), IndependentLoss(0.3), BitErrors(1e-3), BurstyLoss(0.3, 3)]


@pytest.mark.parametrize(("frame_bytes", "loss"), [(64, "5.0%"), (256, "18.5%")])
def test_longer_frames_lose_more_to_bit_errors(frame_bytes: int, loss: str) -> None:
    found = budget(5000, SLOW.replaced(mtu_bytes=256), Conditions(loss=BitErrors(1e-4), frame_bytes=frame_bytes))
    assert f"{BitErrors(1e-4).frame_loss(frame_bytes):.1%}" == loss
    assert {used.name: used.value for used in found.inputs}["data_frame_loss"] == found.job.loss.frame_loss(
        found.job.frame_bytes
    )


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("id", [id for id, each in links().items() if each.mtu_bytes is not None])
def test_every_number_of_a_budget_has_a_name_of_its_own_and_a_source(id: str, strategy: str) -> None:
    found = budget(3000, link(id), Conditions(strategy=strategy, loss=IndependentLoss(0.1), distance_m=500))
    numbers = [*found.inputs, *found.results]
    sources = {used.name: used for used in numbers}
    assert len(sources) == len(numbers)
    for name, number in link(id).numbers.items():
        if name in sources and name != "loss":
            assert (sources[name].value, sources[name].source) == (number.value, number.mark)
    for field in fields(Delivery):
        value = getattr(found.delivery, field.name)
        if field.name not in ("strategy", "method") and (value is not None or field.name in sources):
            assert sources[field.name].value == value
    section = found.results[0].note.removeprefix("link-budget ")
    assert f"### {section} `{strategy}`" in LINK_BUDGET.read_text(encoding="utf-8")
    json.loads(json.dumps(found.as_dict(), allow_nan=False))


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("header_bytes", [None, 8])
def test_every_section_that_a_source_names_is_a_heading_of_the_specification(
    strategy: str, header_bytes: int | None
) -> None:
    headings = set(re.findall(r"(?m)^##+ ([\d.]*\d)", LINK_BUDGET.read_text(encoding="utf-8")))
    for profile in links().values():
        asked = Conditions(strategy=strategy, loss=BitErrors(1e-5), frame_bytes=12, piece_header_bytes=header_bytes)
        found = budget(50, profile.replaced(rate_bps=500) if profile.model is None else profile, asked)
        found = replace(found, best_frame_bytes=12)
        cited = {
            section
            for used in (*found.inputs, *found.results)
            for section in re.findall(r"(?:link-budget|section) ([\d.]+)", f"{used.source} {used.note}")
        }
        assert "4" in cited
        assert cited <= headings


def test_extra_symbols_cite_the_layout_for_plada_frames_and_the_code_for_bare_pieces() -> None:
    def listed(size: int, header_bytes: int | None) -> tuple[float | None, str]:
        found = budget(size, SLOW, Conditions(piece_header_bytes=header_bytes))
        return {used.name: (used.value, used.note) for used in found.inputs}["extra_symbols"]

    for size, extra in ((20, 0), (100, 2)):
        assert listed(size, None) == (extra, "h of link-budget 6.2")
        assert listed(size, 8) == (extra, "h of link-budget 5.5")


@pytest.mark.parametrize("id", ["uwm-5k", "umodem-fsk0", "waterlinked-m64", "janus-11k5", "nanomodem-v3"])
@pytest.mark.parametrize("loss", [0.0, 0.3])
def test_the_airtime_follows_from_the_listed_numbers(id: str, loss: float) -> None:
    found = budget(5000, link(id), Conditions(loss=IndependentLoss(loss)))
    of = {used.name: used.value or 0 for used in (*found.inputs, *found.results)}
    announces = of["announces"] * of["announce_parts"] * of["announce_frame_airtime_s"]
    assert of["airtime_s"] == pytest.approx(of["symbols"] * of["data_frame_airtime_s"] + announces)


def test_a_number_that_a_strategy_does_not_use_is_not_listed() -> None:
    modem = link("uwm-5k").replaced(rx_power_w=1, retry_s=2)
    of_answers = {"acknowledgement_bytes", "return_loss", "answer_airtime_s", "retry_s", "turnaround_s", "rx_power_w"}
    for strategy in STRATEGIES:
        names = {used.name for used in budget(500, modem, Conditions(strategy=strategy)).inputs}
        assert (strategy in ("stop-and-wait", "nack")) == (of_answers <= names) == (not of_answers.isdisjoint(names))
        assert (strategy == "nack") == ("nack_burst_frames" in names)
        assert (strategy == "one-way") == ("extra_symbols" in names)


def test_every_number_that_the_airtime_depends_on_is_listed() -> None:
    def listed(id: str, **changed: Any) -> dict[str, tuple[float | None, str]]:
        return {used.name: (used.value, used.source) for used in budget(500, link(id).replaced(**changed)).inputs}

    slow = listed("lorawan-eu868-dr0", crc=False)
    assert (slow["crc"], slow["implicit_header"], slow["low_data_rate"]) == (
        (0, "option"),
        (0, "profile"),
        (1, "formula"),
    )
    assert listed("lorawan-eu868-dr5")["low_data_rate"] == (0, "formula")
    assert listed("janus-11k5")["wake_up"] == (1, "profile")
    assert listed("umodem-fsk0")["padded"] == (1, "profile")
    pieces = Conditions(strategy="single", piece_header_bytes=8, loss=BitErrors(1e-5))
    last = {used.name: used.value for used in budget(500, link("uwm-5k"), pieces).inputs}
    assert (last["last_frame_bytes"], last["ber"], last["piece_header_bytes"]) == (12, 1e-5, 8)
    assert last["last_frame_airtime_s"] == link("uwm-5k").frame_airtime_s(12)


def test_a_loss_comes_from_the_option_or_the_profile_or_is_listed_as_zero() -> None:
    def sources(found: Budget) -> list[tuple[Any, str]]:
        names = ("loss", "loss_burst_frames", "ber", "data_frame_loss")
        return [(used.value, used.source) for used in found.inputs if used.name in names]

    hf = link("hf-datac3")
    assert sources(budget(500, hf)) == [(0.26, "verified"), (0.26, "formula")]
    assert sources(budget(500, hf, Conditions(loss=IndependentLoss(0.5)))) == [(0.5, "option"), (0.5, "formula")]
    bursts = Conditions(loss=BurstyLoss(0.5, 3))
    assert sources(budget(500, hf, bursts))[:2] == [(0.5, "option"), (3, "option")]
    assert sources(budget(500, SLOW)) == [(0, "default"), (0, "formula")]


@pytest.mark.parametrize("header_bytes", [None, 3])
@pytest.mark.parametrize("strategy", ["single", "stop-and-wait", "one-way"])
@pytest.mark.parametrize("loss", LOSSES, ids=repr)
def test_max_bytes_agrees_with_brute_force(loss: Loss, strategy: str, header_bytes: int | None) -> None:
    asked = Conditions(strategy=strategy, loss=loss, piece_header_bytes=header_bytes, probability=0.9, receivers=2)
    walls_s = (budget(size, SLOW, asked).delivery.wall_s for size in itertools.count(1))
    fit, wall_s = 0, next(walls_s)
    for within_s in (1, 4, 15, 25, 30):
        while wall_s <= within_s:
            fit, wall_s = fit + 1, next(walls_s)
        assert max_bytes(SLOW, within_s, asked) == fit


@given(
    within_s=st.floats(0, 10_000),
    loss=st.sampled_from(LOSSES),
    receivers=st.integers(1, 50),
    probability=st.floats(0.05, 0.999),
    mtu_bytes=st.integers(9, 300),
    strategy=st.sampled_from([name for name in STRATEGIES if name != "nack"]),
    duty_cycle=st.sampled_from([None, 0.1]),
)
@examples(0.4)
def test_max_bytes_is_the_largest_size_that_arrives_in_time(
    within_s: float,
    loss: Loss,
    receivers: int,
    probability: float,
    mtu_bytes: int,
    strategy: str,
    duty_cycle: float | None,
) -> None:
    modem = SLOW.replaced(mtu_bytes=mtu_bytes, duty_cycle=duty_cycle)
    asked = Conditions(strategy=strategy, loss=loss, receivers=receivers, probability=probability)
    fit = max_bytes(modem, within_s, asked)
    assert fit == 0 or budget(fit, modem, asked).fits(within_s)
    assert not budget(fit + 1, modem, asked).fits(within_s)


@pytest.mark.parametrize("strategy", ["stop-and-wait", "one-way"])
@pytest.mark.parametrize("ber", [1e-5, 1e-4, 1e-3])
@pytest.mark.parametrize("object_bytes", [20, 700])
def test_the_best_frame_length_agrees_with_brute_force(object_bytes: int, ber: float, strategy: str) -> None:
    modem = SLOW.replaced(mtu_bytes=150)
    asked = Conditions(strategy=strategy, loss=BitErrors(ber))

    def cost(frame_bytes: int) -> tuple[float, float]:
        found = budget(object_bytes, modem, replace(asked, frame_bytes=frame_bytes)).delivery
        return found.wall_s, found.airtime_s

    best = best_frame_bytes(object_bytes, modem, asked)
    assert cost(best) == min(map(cost, range(9, 151)))
    assert best == next(length for length in range(9, 151) if cost(length) == cost(best))


@given(
    object_bytes=st.integers(1, 3000),
    mtu_bytes=st.integers(10, 200),
    ber=st.sampled_from([0.0, 1e-5, 1e-4, 1e-3]),
    probability=st.floats(0.05, 0.999),
    receivers=st.integers(1, 20),
    header_bytes=st.sampled_from([None, 0, 5]),
    limits=st.sampled_from(
        [{}, {"duty_cycle": 0.1}, {"padded": True}, {"messages_per_day": 500}, {"contact_s": 60.0, "period_s": 600.0}]
    ),
    strategy=st.sampled_from(["single", "stop-and-wait", "one-way"]),
)
@examples(0.3)
def test_no_length_of_frames_is_better_than_the_best(
    object_bytes: int,
    mtu_bytes: int,
    ber: float,
    probability: float,
    receivers: int,
    header_bytes: int | None,
    limits: dict[str, Any],
    strategy: str,
) -> None:
    modem = SLOW.replaced(mtu_bytes=mtu_bytes, **limits)
    asked = Conditions(
        strategy=strategy,
        loss=BitErrors(ber),
        probability=probability,
        receivers=receivers,
        piece_header_bytes=header_bytes,
    )
    costs = []
    for length in range(1, mtu_bytes + 1):
        with suppress(PladaError):
            found = budget(object_bytes, modem, replace(asked, frame_bytes=length)).delivery
            costs.append((found.wall_s, found.airtime_s, length))
    if costs:
        assert best_frame_bytes(object_bytes, modem, asked) == min(costs)[2]
        assert budget(object_bytes, modem, replace(asked, frame_bytes="best")).frame_bytes == min(costs)[2]
    else:
        with pytest.raises(PladaError):
            best_frame_bytes(object_bytes, modem, asked)


def test_there_is_a_best_frame_length_even_if_the_longest_frames_never_arrive() -> None:
    modem, asked = SLOW.replaced(mtu_bytes=20_000), Conditions(loss=BitErrors(1e-3))
    assert 9 < best_frame_bytes(5000, modem, asked) < 200
    with pytest.raises(InvalidArgument, match="99% is the most"):
        budget(5000, modem, asked)


@pytest.mark.parametrize("header_bytes", [None, 8])
def test_max_bytes_is_at_most_the_capacity_of_the_frames(header_bytes: int | None) -> None:
    assert max_bytes(SLOW, 1e15, Conditions(strategy="single", piece_header_bytes=header_bytes)) == 56_403 * 32


def test_impossible_frames_objects_and_conditions_are_refused() -> None:
    for object_bytes, asked, error, rule in [
        (10, Conditions(frame_bytes=8), InvalidArgument, "frame-bytes"),
        (10, Conditions(frame_bytes=41), LinkError, "frame-bytes"),
        (10, Conditions(piece_header_bytes=40), LinkError, "frame-bytes"),
        (0, Conditions(), InvalidArgument, "object"),
        (0, Conditions(piece_header_bytes=1), InvalidArgument, "object"),
        (1 << 27, Conditions(), LimitExceeded, "limits"),
        (1 << 50, Conditions(piece_header_bytes=1), LinkError, "frame-bytes"),
        (10, Conditions(strategy="carrier pigeon"), InvalidArgument, "value"),
        (10, Conditions(probability=1.0), InvalidArgument, "value"),
    ]:
        with pytest.raises(error) as caught:
            budget(object_bytes, SLOW, asked)
        assert caught.value.rule == rule
    with pytest.raises(LinkError, match="--mtu"):
        max_bytes(link("titan-dte"), 100)
    for within_s in (-1, math.nan, math.inf):
        with pytest.raises(InvalidArgument, match="within_s must be 0 or more"):
            max_bytes(SLOW, within_s)
    with pytest.raises(InvalidArgument, match="give their length"):
        max_bytes(SLOW, 100, Conditions(frame_bytes="best"))
    with pytest.raises(InvalidArgument, match="piece_header_bytes must be 0 or more"):
        Conditions(piece_header_bytes=-1)
    for receivers in 0, 1_000_001, 10**23:
        with pytest.raises(InvalidArgument, match="receivers must be 1 to 1,000,000"):
            Conditions(receivers=receivers)
    with pytest.raises(InvalidArgument, match="at most 1,804,896 bytes"):
        budget(5_000_000, SLOW)


def test_a_link_without_an_mtu_takes_the_frame_length_of_the_conditions() -> None:
    assert budget(5000, link("titan-dte"), Conditions(frame_bytes=1115)).job.frame_bytes == 1000 + 8


def test_a_note_asks_for_contacts_unless_they_are_given() -> None:
    titan = link("titan-dte").replaced(mtu_bytes=1115)
    assert any("--contact" in note for note in budget(50, titan).notes)
    assert not budget(50, titan.replaced(contact_s=3600, period_s=7200)).notes
