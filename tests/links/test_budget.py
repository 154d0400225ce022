"""Budgets: worked examples, the bytes that fit, the best frames, the source of each number, and the command."""

from __future__ import annotations

import itertools
import json
import math
import re
from contextlib import suppress
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

from plada_codec.cli.main import main
from plada_codec.errors import InvalidArgument, LimitExceeded, LinkError, PladaError
from plada_codec.links.budget import Budget, best_frame_bytes, budget, max_bytes
from plada_codec.links.conditions import Conditions
from plada_codec.links.delivery.deliveries import Delivery
from plada_codec.links.delivery.registry import STRATEGIES
from plada_codec.links.loss import BitErrors, BurstyLoss, IndependentLoss, Loss
from plada_codec.links.profiles import link, links
from tests.helpers.examples import examples
from tests.helpers.paths import SPEC

LINK_BUDGET = SPEC / "link-budget.md"
#: Section 7 of the specification: the options of each example, and what they give, by row, to the digits given.
BARE = ("--bytes", "5000", "--header-bytes", "0")
EXAMPLE_5 = (
    *("--bytes", "5000", "--header-bytes", "8", "--padded", "--link", "uwm-5k", "--mtu", "264"),
    *("--distance", "3 km", "--probability", "99.9%"),
)
EXAMPLES: list[tuple[tuple[str, ...], str, dict[str, str]]] = [
    (
        (*BARE, "--link", "lorawan-eu868-dr5"),
        "single",
        {"frames": "23", "airtime_s": "8.331", "wall_s": "811.786"},
    ),
    (
        (*BARE, "--link", "lorawan-eu868-dr0"),
        "single",
        {"frames": "99", "airtime_s": "274.915", "wall_s": "27377.18"},
    ),
    (
        ("--bytes", "5000", "--header-bytes", "8", "--padded", "--link", "janus-11k5"),
        "single",
        {"frames": "11", "airtime_s": "546.425", "wall_s": "546.425"},
    ),
    (
        (*BARE, "--link", "umodem-fsk0"),
        "single",
        {"frames": "157", "airtime_s": "502.4", "energy_j": "25120", "joules_per_bit": "0.628"},
    ),
    ((*BARE, "--link", "hf-datac3", "--loss", "0"), "single", {"frames": "40", "wall_s": "127.6"}),
    ((*BARE, "--link", "hf-datac3", "--ack-bytes", "0"), "stop-and-wait", {"wall_mean_s": "172.4"}),
    ((*EXAMPLE_5, "--loss", "10%"), "stop-and-wait", {"wall_mean_s": "98.56"}),
    ((*EXAMPLE_5, "--loss", "10%"), "one-way", {"symbols": "31", "completion": "0.99939", "wall_s": "15.09"}),
    ((*EXAMPLE_5, "--loss", "20%"), "one-way", {"symbols": "38"}),
]
#: A tenth of a kilobit a second.
SLOW = link("custom").replaced(rate_bps=100, mtu_bytes=40)
LOSSES: list[Loss] = [IndependentLoss(0.0), IndependentLoss(0.3), BitErrors(1e-3), BurstyLoss(0.3, 3)]


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["budget", *map(str, arguments)])


def ok(*arguments: str | Path) -> str:
    result = run(*arguments)
    assert result.exit_code == 0, result.stderr
    return result.stdout


def fails(exit_code: int, *arguments: str | Path) -> str:
    """The error, which is one line on standard error, and no traceback."""
    result = run(*arguments)
    assert result.exit_code == exit_code, (result.exit_code, result.output, result.exception)
    assert result.exception is None or isinstance(result.exception, SystemExit)
    [line] = result.stderr.strip().splitlines()
    return str(line)


def digits(value: float, like: str) -> str:
    """A number with as many decimals as another has."""
    return f"{value:.{len(like.partition('.')[2])}f}"


@pytest.mark.parametrize(("options", "strategy", "expected"), EXAMPLES)
def test_the_worked_examples_are_exact(options: tuple[str, ...], strategy: str, expected: dict[str, str]) -> None:
    [found] = json.loads(ok(*options, "--strategy", strategy, "--json"))["budgets"]
    assert {name: digits(found[name], value) for name, value in expected.items()} == expected


def test_the_specification_has_the_worked_examples() -> None:
    text = LINK_BUDGET.read_text(encoding="utf-8").split("## 7. Worked examples")[1]
    for _, strategy, expected in EXAMPLES:
        for value in expected.values():
            assert any(strategy in row and value in row.replace(",", "") for row in text.splitlines()), (
                strategy,
                value,
            )


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
def test_max_bytes_arrive_in_time_and_one_byte_more_does_not(
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


#: Example 5 of the specification's, with PLADA frames: the first one in the command's help.
AT_3_KM = ("--bytes", "5000", "--link", "uwm-5k", "--distance", "3 km", "--loss", "10%", "--probability", "99.9%")


def test_one_link_is_shown_with_all_strategies_one_way_first() -> None:
    rows = ok(*AT_3_KM).splitlines()
    assert [row.split()[0] for row in rows[2 : 2 + len(STRATEGIES)]] == list(STRATEGIES)


def test_one_way_is_compared_with_stop_and_wait() -> None:
    walls_s = {each["strategy"]: each["wall_s"] for each in json.loads(ok(*AT_3_KM, "--json"))["budgets"]}
    sentence = f"one-way is {walls_s['stop-and-wait'] / walls_s['one-way']:.1f} times as fast as stop-and-wait"
    assert sentence in ok(*AT_3_KM).splitlines()
    assert sentence in " ".join(ok("--help").split())
    assert "stop-and-wait is 1.1 times as fast as one-way" in ok(
        "--bytes", "5000", "--link", "uwm-5k", "--loss", "30%", "--probability", "99.9%"
    )


def test_all_links_are_listed_by_time_or_left_out_with_the_option_that_they_lack() -> None:
    out = ok("--bytes", "5000", "--within", "20 min", "--distance", "2.5 km")
    assert all(id in out for id in links() if id != "custom")
    assert "left out: benthos-bandc, titan-dte (has no MTU of its own: give it with --mtu)" in out.splitlines()
    assert "nanomodem-v3: 2500 m is beyond its range of 2000 m" in out
    shown = json.loads(ok("--bytes", "5000", "--within", "20 min", "--json"))
    assert {each["link"] for each in shown["budgets"]} | shown["left_out"].keys() == links().keys() - {"custom"}
    assert {each["link"]: each["fits"] for each in shown["budgets"]}["lorawan-eu868-dr0"] is False
    walls_s = [each["wall_s"] for each in shown["budgets"]]
    assert walls_s == sorted(walls_s)


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ("", "no loss and no distance assumed: try --loss 10% --distance '3 km'"),
        ("--loss 10%", "no distance assumed: try --distance '3 km'"),
        ("--ber 1e-5 --distance 1km --link uwm-5k", None),
        ("--link hf-datac3", None),
        ("--link lora", "no loss assumed: try --loss 10%"),
    ],
)
def test_the_last_line_names_the_assumptions(options: str, line: str | None) -> None:
    out = ok("--bytes", "500", *options.split())
    assert ("assumed" in out) == (line is not None)
    assert line is None or out.splitlines()[-1] == line


@pytest.mark.parametrize(
    "options",
    [
        "",
        "--loss 30% --within 1h",
        "--ber 1e-4 --within 1h --receivers 3 --distance 400km",
        "--link uwm-5k --loss 10% --within 20min --distance 9km --probability 99.999% --tx-power 3.3W",
        "--link lorawan --ber 1e-5 --frame-bytes best",
    ],
)
def test_tables_are_readable_at_80_columns_and_no_line_is_long(options: str) -> None:
    table, _, remarks = ok("--bytes", "5000", *options.split()).partition("\n\n")
    assert all(len(line) <= 80 for line in table.splitlines())
    assert all(len(line) <= 110 for line in remarks.splitlines())
    assert {"frame", "best"} <= set(table.split()) or "--ber" not in options


def test_a_column_without_information_is_left_out() -> None:
    def titles(*options: str) -> str:
        return ok("--bytes", "500", *options).splitlines()[0]

    assert titles("--link", "janus-11k5").split() == ["janus-11k5", "frame", "frames", "airtime", "wall", "99%"]
    lossy = titles("--link", "uwm-5k", "--loss", "10%", "--probability", "99.9%")
    assert "wall 50%" in lossy
    assert "wall 99.9%" in lossy
    assert "complete" in lossy


def test_equally_fast_strategies_are_not_compared() -> None:
    assert "times as fast" not in ok("--bytes", "5", "--link", "umodem-psk6", "--ack-bytes", "0")


def test_a_note_asks_for_contacts_until_they_are_given() -> None:
    titan = link("titan-dte").replaced(mtu_bytes=1115)
    assert any("--contact" in note for note in budget(50, titan).notes)
    assert not budget(50, titan.replaced(contact_s=3600, period_s=7200)).notes


def test_a_strategy_that_is_too_much_to_simulate_is_left_out() -> None:
    out = ok("--bytes", "20000", "--link", "uwm-5k", "--loss", "10%", "--receivers", "1000000")
    assert "left out: nack (with 1,000,000 receivers is too much to simulate: ask for " in " ".join(out.split())
    assert "one-way" in out


def test_the_beginning_of_ids_names_all_links_that_have_it() -> None:
    asked = json.loads(ok("--bytes", "50", "--link", "lora", "--link", "lorawan-eu868-dr5", "--json"))["budgets"]
    assert sorted(each["link"] for each in asked) == sorted(id for id in links() if id.startswith("lora"))


def test_an_object_that_never_arrives_takes_the_time_never() -> None:
    arguments = ("--bytes", "5000", "--link", "nanomodem-v3", "--loss", "99%", "--strategy", "single")
    assert "never" in ok(*arguments)
    [found] = json.loads(ok(*arguments, "--json"))["budgets"]
    assert found["wall_p99_s"] == "never"
    assert found["joules_per_bit"] is None
    [row] = [row for row in ok(*arguments, "-v").splitlines() if row.startswith("joules_per_bit")]
    assert row.split()[1] == "-"


def test_numbers_of_json_are_tidy() -> None:
    found = json.loads(ok("--bytes", "5000", "--link", "uwm-5k", "--loss", "50%", "--json"))["budgets"]
    frames = {each["strategy"]: each["frames"] for each in found}
    assert str(frames["stop-and-wait"]) == "44"


def test_verbose_lists_profile_options_and_formulas() -> None:
    out = ok("--bytes", "500", "--link", "uwm-5k", "--tx-power", "12 W", "-v")
    for name, source in [("rate_bps", "secondary"), ("tx_power_w", "option"), ("probability", "default")]:
        [row] = [row.split() for row in out.splitlines() if row.split()[:1] == [name]]
        assert source in row
    assert "link-budget 5.5" in out


def test_verbose_lists_for_each_strategy_the_numbers_that_the_others_do_not_share() -> None:
    out = ok("--bytes", "5000", "--link", "uwm-5k", "--ber", "1e-4", "--frame-bytes", "best", "-v")
    rows = [row.split() for row in out.splitlines()]
    assert len([row for row in rows if row[:1] == ["rate_bps"]]) == 1
    frames = [row for row in rows if row[:1] == ["frame_bytes"]]
    assert len(frames) == len(STRATEGIES)
    assert all("formula" in row for row in frames)


def test_every_number_of_a_link_can_be_set() -> None:
    settings: dict[str, tuple[str, float]] = {
        "messages_per_day": ("70", 70),
        "duty_cycle": ("5%", 0.05),
        "frame_packets": ("2", 2),
        "one_way_delay_s": ("2 s", 2),
        "spreading_factor": ("9", 9),
        "bandwidth_hz": ("250000", 250_000),
        "coding_rate": ("4", 4),
        "header_bytes": ("20", 20),
        "crc": ("0", 0),
        "loss": ("25%", 0.25),
        "retry_s": ("1 min", 60),
        "speed_m_per_s": ("1.4 km/s", 1400),
        "max_range_m": ("2 km", 2000),
        "padded": ("1", 1),
    }
    options = [word for name, (text, _) in settings.items() for word in ("--set", f"{name}={text}")]
    asked = ("--bytes", "50", "--link", "lorawan-eu868-dr0", "--strategy", "nack", "--distance", "1 km", *options)
    [found] = json.loads(ok(*asked, "--json"))["budgets"]
    listed = {used["name"]: (used["value"], used["source"]) for used in found["inputs"]}
    expected = {name: (value, "option") for name, (_, value) in settings.items()}
    assert {name: listed[name] for name in settings} == expected


def test_a_distance_counts_if_the_speed_is_known() -> None:
    custom = ("--bytes", "50", "--link", "custom", "--rate", "500", "--mtu", "64", "--distance", "3 km")
    assert "custom: without a speed of its waves (--speed), the distance costs no time" in ok(*custom)
    [found] = json.loads(ok(*custom, "--speed", "1500", "--strategy", "one-way", "--json"))["budgets"]
    assert {used["name"]: used["value"] for used in found["inputs"]}["delay_s"] == 2


def test_lost_answers_and_bursts_are_options() -> None:
    def walls_s(*options: str) -> dict[str, float]:
        asked = ("--bytes", "900", "--link", "uwm-5k", "--distance", "1 km", "--loss", "10%", "--json", *options)
        return {each["strategy"]: each["wall_mean_s"] for each in json.loads(ok(*asked))["budgets"]}

    usual, unheard, eager = walls_s(), walls_s("--return-loss", "30%"), walls_s("--nack-burst", "1")
    assert unheard["stop-and-wait"] > usual["stop-and-wait"]
    assert unheard["nack"] > usual["nack"]
    assert eager["nack"] > usual["nack"]


def test_bit_error_rates_show_the_best_frames() -> None:
    arguments = ("--bytes", "5000", "--link", "uwm-5k", "--ber", "1e-4", "--strategy", "one-way", "--json")
    [longest] = json.loads(ok(*arguments))["budgets"]
    [best] = json.loads(ok(*arguments, "--frame-bytes", "best"))["budgets"]
    assert best["frame_bytes"] == best["best_frame_bytes"] == longest["best_frame_bytes"] < longest["frame_bytes"]
    assert longest["frame_bytes"] == 256
    assert longest["data_frame_bytes"] == 248
    assert best["wall_s"] < longest["wall_s"]
    for found in longest, best:
        [listed] = [used for used in found["results"] if used["name"] == "best_frame_bytes"]
        assert (listed["value"], listed["note"]) == (best["frame_bytes"], "link-budget 6.4")
    [row] = [row for row in ok(*arguments[:-1], "-v").splitlines() if row.startswith("best_frame_bytes")]
    assert row.split()[1] == str(best["frame_bytes"])


def test_max_bytes_is_a_number_for_select() -> None:
    asked = ("--link", "nanomodem-v3", "--loss", "30%", "--within", "20 min", "--max-bytes")
    fit = int(ok(*asked))
    assert fit == max_bytes(link("nanomodem-v3"), 1200, Conditions(loss=IndependentLoss(0.3)))
    shown = json.loads(ok(*asked, "--json"))
    assert shown["max_bytes"] == {"nanomodem-v3": fit}
    [found] = shown["budgets"]
    assert {used["name"]: used["value"] for used in found["inputs"]}["object_bytes"] == fit
    several = ok(*asked, "--link", "titan-dte")
    assert str(fit) in several
    assert "titan-dte (has no MTU" in several
    assert "not one byte" in fails(1, "--link", "sigfox-rc1", "--within", "1 s", "--max-bytes")


def test_max_bytes_prints_its_assumptions_on_standard_error() -> None:
    asked = ("--link", "nanomodem-v3", "--within", "400 d", "--max-bytes")
    result = run(*asked)
    assert result.stdout == "3158568\n"
    assert result.stderr.splitlines() == [
        "nanomodem-v3: there is time for more, but frames of 64 bytes carry at most 3,158,568 bytes (56,403 symbols), "
        "not 3,158,569",
        "no loss and no distance assumed: try --loss 10% --distance '3 km'",
    ]
    assert run(*asked[:3], "20 min", "--max-bytes", "--loss", "1%", "--distance", "1 km").stderr == ""


def test_a_custom_link_consists_of_options(tmp_path: Path) -> None:
    (tmp_path / "task.plada").write_bytes(bytes(500))
    options = (
        *("--rate", "463 bit/s", "--mtu", "64", "--delay", "2 s", "--turnaround", "100 ms", "--duty-cycle", "50%"),
        *("--contact", "8 h/24 h", "--tx-power", "1.5 W", "--rx-power", "100 mW", "--loss", "30%", "--burst", "3"),
    )
    for each in json.loads(ok(tmp_path / "task.plada", "--link", "custom", *options, "--json"))["budgets"]:
        assert each["energy_j"] > 0
        sources = {used["name"]: used["source"] for used in each["inputs"]}
        names = {"rate_bps", "mtu_bytes", "one_way_delay_s", "duty_cycle", "contact_s", "tx_power_w", "loss"}
        names |= {"turnaround_s", "rx_power_w"} if each["strategy"] in ("stop-and-wait", "nack") else set()
        assert {sources[name] for name in names} == {"option"}
    assert "3.25 s" in ok(
        tmp_path / "task.plada",
        "--link",
        "custom",
        "--packet-time",
        "3.25",
        "--mtu",
        "508",
        "--strategy",
        "single",
        "--header-bytes",
        "0",
    )


def test_the_plot_has_a_label_for_each_line(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    ok("--bytes", "900", "--link", "uwm-5k", "--within", "1 min", "--plot", tmp_path / "plot.svg")
    for label in (*STRATEGIES, "900 B", "within 1 min 0 s"):
        assert f"<!-- {label} -->" in (tmp_path / "plot.svg").read_text()
    assert "<!-- uwm-5k: time until" in (tmp_path / "plot.svg").read_text()
    ok("--bytes", "900", "--link", "uwm-5k", "--loss", "30%", "--plot", tmp_path / "lossy.svg")
    assert "never: single" in (tmp_path / "lossy.svg").read_text()
    ok("--bytes", "900", "--link", "uwm-5k", "--link", "hf-datac3", "--plot", tmp_path / "plot.png")
    assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG")
    assert [path.suffix for path in tmp_path.iterdir()].count(".tmp") == 0


USAGE = {
    "--bytes 100 --link uwm5k": "did you mean uwm-5k? Links are janus-11k5, ",
    "--bytes 100 --link nothing-like-it": "links are janus-11k5, ",
    "--bytes 100 --loss 100%": "nothing arrives",
    "--bytes 100 --loss -0.1": "a number of 0 or more",
    "--bytes 100 --loss abc": "write it like 30% or 0.3",
    "--bytes 100 --loss 30": "write 30% or 0.3",
    "--bytes 100 --link custom --rate 0": "'--rate': 0 is not possible",
    "--bytes 100 --link custom --packet-time 0": "'--packet-time': 0 is not possible",
    "--bytes 100 --link custom --mtu 0": "'--mtu': 0 is not possible",
    "--bytes 100 --link custom --speed 0": "'--speed': 0 is not possible",
    "--bytes 100 --link custom --duty-cycle 0": "at most 100%",
    "--bytes 100 --link custom --duty-cycle 120%": "'--duty-cycle'",
    "--bytes 100 --link custom --rate 500 --packet-time 3": "--rate and --packet-time exclude each other",
    "--bytes 100 --link custom --set rate_bps=500 --rate 300": "rate_bps",
    "--bytes 100 --link lorawan --set spreading_facto=9": "did you mean spreading_factor?",
    "--bytes 100 --link lorawan --set spreading_factor": "NAME=VALUE",
    "--bytes 100 --link lorawan --set id=9": "there are bandwidth_hz, ",
    "--bytes 100 --link uwm-5k --set padded=7": "padded is 1 or 0",
    "--bytes 100 --link uwm-5k --set crc=1": "uwm-5k has no crc",
    "--bytes 100 --link uwm-5k --return-loss 100%": "--return-loss must be",
    "--bytes 5MB --link nanomodem-v3": "frames of 64 bytes carry at most 3,158,568 bytes (56,403 symbols)",
    "--bytes 100 --receivers 100000000000000000000000": "--receivers must be 1 to 1,000,000",
    "--bytes 100 --loss 0.1 --ber 1e-4": "--ber excludes --loss",
    "--bytes 100 --burst 3": "--burst needs --loss",
    "--bytes 100 --link custom --rate 5~kpbs": "did you mean 5 kbit/s?",
    "--bytes 100 --within -3": "a number of 0 or more",
    "--bytes 100 --within 3~fortnights": "not a duration",
    "--bytes 100 --link custom --rate 100": "--mtu",
    "--bytes 100 --link custom --mtu 100": "--rate",
    "--bytes 100 --rate 100": "--link",
    "--bytes 100 --link custom --rate 100 --mtu 64 --contact 8h": "8 h/24 h",
    "--bytes 100 --link uwm-5k --frame-bytes 8": "9 to",
    "--bytes 100 --link uwm-5k --frame-bytes 300": "at most 256",
    "--bytes 100 --link uwm-5k --frame-bytes 8 --header-bytes 8": "the smallest have 9",
    "--bytes 100 --padded": "--header-bytes",
    "--bytes 100 --strategy hope": "one-way",
    "--bytes 100 --probability 100%": "probability",
    "--bytes 100 --receivers 0": "receivers",
    "--bytes 0": "nothing to send",
    "": "a file, or --bytes",
    "x --bytes 100": "a file, or --bytes",
    "--max-bytes": "--within",
    "--bytes 100 --within 60 --max-bytes": "excludes",
    "--bytes 100 --plot plot.txt": ".svg or .png",
}


@pytest.mark.parametrize("arguments", USAGE)
def test_options_that_make_no_sense_are_wrong_usage(arguments: str) -> None:
    line = fails(2, *(word.replace("~", " ") for word in arguments.split()))
    assert USAGE[arguments] in line
    assert "?." not in line


def test_files_that_are_missing_or_empty_are_bad_input(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    assert "empty: it is empty" in fails(1, tmp_path / "empty")
    assert "No such file" in fails(1, tmp_path / "missing")


def test_the_help_names_all_strategies() -> None:
    assert all(strategy in ok("--help") for strategy in STRATEGIES)
