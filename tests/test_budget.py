"""Budgets: the worked examples, what fits, the best frames, where numbers come from, and what the command says."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from hypothesis import given, settings
from hypothesis import strategies as st

from plada_codec.budget import Budget, Conditions, best_frame_bytes, budget, max_bytes
from plada_codec.cli import main
from plada_codec.delivery import STRATEGIES, Delivery
from plada_codec.errors import InvalidPayload, LimitExceeded
from plada_codec.links import BadLink, link, links
from plada_codec.loss import BitErrors, BurstyLoss, IndependentLoss, Loss

SPEC = Path(__file__).parent.parent / "spec" / "link-budget.md"
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
    text = SPEC.read_text(encoding="utf-8").split("## 7. Worked examples")[1]
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
    assert {used.name: used.value for used in found.inputs}["frame_loss"] == found.job.loss.frame_loss(
        found.job.frame_bytes
    )


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("id", [id for id, each in links().items() if each.mtu_bytes is not None])
def test_every_number_of_a_budget_has_a_source(id: str, strategy: str) -> None:
    found = budget(3000, link(id), Conditions(strategy=strategy, loss=IndependentLoss(0.1), distance_m=500))
    sources = {used.name: used for used in (*found.inputs, *found.results)}
    for name, number in link(id).numbers.items():
        if name != "loss":
            assert (sources[name].value, sources[name].source) == (number.value, number.mark)
    for field in fields(Delivery):
        value = getattr(found.delivery, field.name)
        assert field.name in ("strategy", "method") or value is None or sources[field.name].value == value
    section = found.results[0].note.split(", ")[1]
    assert f"### {section} `{strategy}`" in SPEC.read_text(encoding="utf-8")
    json.loads(json.dumps(found.as_dict(), allow_nan=False))


def test_a_loss_comes_from_the_option_or_the_profile_or_is_said_to_be_none() -> None:
    def sources(found: Budget) -> list[tuple[Any, str]]:
        return [(used.value, used.source) for used in found.inputs if used.name in ("loss", "frame_loss")]

    hf = link("hf-datac3")
    assert sources(budget(500, hf)) == [(0.26, "verified"), (0.26, "formula")]
    assert sources(budget(500, hf, Conditions(loss=IndependentLoss(0.5))))[-1] == (0.5, "formula")
    assert sources(budget(500, SLOW)) == [(0, "default"), (0, "formula")]


@pytest.mark.parametrize("header_bytes", [None, 3])
@pytest.mark.parametrize("strategy", ["single", "stop-and-wait", "one-way"])
@pytest.mark.parametrize("loss", LOSSES, ids=repr)
def test_what_fits_is_what_brute_force_finds(loss: Loss, strategy: str, header_bytes: int | None) -> None:
    asked = Conditions(strategy=strategy, loss=loss, header_bytes=header_bytes, probability=0.9, receivers=2)
    walls_s = [budget(size, SLOW, asked).delivery.wall_s for size in range(1, 400)]
    for within_s in (1, 4, 15, 25, 30):
        fit = next(size for size, wall_s in enumerate(walls_s) if wall_s > within_s)
        assert max_bytes(SLOW, within_s, asked) == fit


@given(
    within_s=st.floats(0, 10_000),
    loss=st.sampled_from(LOSSES),
    receivers=st.integers(1, 50),
    probability=st.floats(0.05, 0.999),
    mtu_bytes=st.integers(9, 300),
    strategy=st.sampled_from(STRATEGIES[:2] + STRATEGIES[3:]),
    duty_cycle=st.sampled_from([None, 0.1]),
)
@settings(max_examples=40, deadline=None)
def test_what_fits_arrives_and_a_byte_more_does_not(
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
def test_the_best_frames_are_those_that_brute_force_finds(object_bytes: int, ber: float, strategy: str) -> None:
    modem = SLOW.replaced(mtu_bytes=150)
    asked = Conditions(strategy=strategy, loss=BitErrors(ber))

    def cost(frame_bytes: int) -> tuple[float, float]:
        found = budget(object_bytes, modem, replace(asked, frame_bytes=frame_bytes)).delivery
        return found.wall_s, found.airtime_s

    best = best_frame_bytes(object_bytes, modem, asked)
    assert cost(best) == min(map(cost, range(9, 151)))
    assert best == next(length for length in range(9, 151) if cost(length) == cost(best))


def test_frames_can_be_best_where_the_longest_never_arrive() -> None:
    modem, asked = SLOW.replaced(mtu_bytes=20_000), Conditions(loss=BitErrors(1e-3))
    assert 9 < best_frame_bytes(5000, modem, asked) < 200
    with pytest.raises(BadLink, match="99% is the most"):
        budget(5000, modem, asked)


@pytest.mark.parametrize("header_bytes", [None, 8])
def test_what_fits_is_at_most_what_frames_can_carry(header_bytes: int | None) -> None:
    assert max_bytes(SLOW, 1e15, Conditions(strategy="single", header_bytes=header_bytes)) == 56_403 * 32


def test_frames_and_objects_that_cannot_be_are_errors() -> None:
    for object_bytes, asked, error, rule in [
        (10, Conditions(frame_bytes=8), InvalidPayload, "frame-bytes"),
        (10, Conditions(frame_bytes=41), BadLink, "frame-bytes"),
        (10, Conditions(header_bytes=40), BadLink, "frame-bytes"),
        (0, Conditions(), InvalidPayload, "object"),
        (0, Conditions(header_bytes=1), InvalidPayload, "object"),
        (1 << 27, Conditions(), LimitExceeded, "limits"),
        (1 << 50, Conditions(header_bytes=1), BadLink, "frame-bytes"),
        (10, Conditions(strategy="carrier pigeon"), BadLink, "value"),
        (10, Conditions(receivers=0), BadLink, "value"),
        (10, Conditions(probability=1.0), BadLink, "value"),
    ]:
        with pytest.raises(error) as caught:
            budget(object_bytes, SLOW, asked)
        assert caught.value.rule == rule
    with pytest.raises(BadLink, match="--mtu"):
        max_bytes(link("titan-dte"), 100)


def test_a_link_that_leaves_its_mtu_open_takes_the_frames_that_are_asked_for() -> None:
    assert budget(5000, link("titan-dte"), Conditions(frame_bytes=1115)).job.frame_bytes == 1000 + 8


def test_one_link_is_shown_with_all_strategies() -> None:
    rows = ok("--bytes", "5000", "--link", "uwm-5k", "--distance", "3 km", "--loss", "10%").splitlines()
    assert [row.split()[0] for row in rows[2:]] == list(STRATEGIES)


def test_all_links_are_shown_or_said_to_lack_an_option() -> None:
    out = ok("--bytes", "5000", "--within", "20 min", "--distance", "2.5 km")
    assert all(id in out for id in links())
    assert "titan-dte has no MTU of its own: say it with --mtu" in out
    assert "nanomodem-v3: 2500 m is beyond its range of 2000 m" in out
    shown = json.loads(ok("--bytes", "5000", "--within", "20 min", "--json"))
    assert {each["link"] for each in shown["budgets"]} | shown["left_out"].keys() == links().keys()
    assert {each["link"]: each["fits"] for each in shown["budgets"]}["lorawan-eu868-dr0"] is False


def test_what_never_arrives_is_said_so() -> None:
    arguments = ("--bytes", "5000", "--link", "nanomodem-v3", "--loss", "30%", "--strategy", "single")
    assert "never" in ok(*arguments)
    [found] = json.loads(ok(*arguments, "--json"))["budgets"]
    assert found["wall_p99_s"] is None


def test_verbose_lists_profile_options_and_formulas() -> None:
    out = ok("--bytes", "500", "--link", "uwm-5k", "--tx-power", "12 W", "-v")
    for name, source in [("rate_bps", "secondary"), ("tx_power_w", "option"), ("probability", "default")]:
        [row] = [row.split() for row in out.splitlines() if row.split()[:1] == [name]]
        assert source in row
    assert "spec/link-budget.md, 5.5" in out


def test_bit_error_rates_show_the_best_frames() -> None:
    arguments = ("--bytes", "5000", "--link", "uwm-5k", "--ber", "1e-4", "--strategy", "one-way", "--json")
    [longest] = json.loads(ok(*arguments))["budgets"]
    [best] = json.loads(ok(*arguments, "--frame-bytes", "best"))["budgets"]
    assert best["frame_bytes"] <= best["best_frame_bytes"] == longest["best_frame_bytes"] < longest["frame_bytes"]
    assert best["wall_s"] < longest["wall_s"]


def test_max_bytes_is_a_number_for_select() -> None:
    asked = ("--link", "nanomodem-v3", "--loss", "30%", "--within", "20 min", "--max-bytes")
    fit = int(ok(*asked))
    assert fit == max_bytes(link("nanomodem-v3"), 1200, Conditions(loss=IndependentLoss(0.3)))
    assert json.loads(ok(*asked, "--json"))["max_bytes"] == {"nanomodem-v3": fit}
    several = ok(*asked, "--link", "titan-dte")
    assert str(fit) in several
    assert "titan-dte has no MTU" in several
    assert "not one byte" in fails(1, "--link", "sigfox-rc1", "--within", "1 s", "--max-bytes")


def test_a_custom_link_is_all_options(tmp_path: Path) -> None:
    (tmp_path / "task.plada").write_bytes(bytes(500))
    options = (
        *("--rate", "463 bit/s", "--mtu", "64", "--delay", "2 s", "--turnaround", "100 ms", "--duty-cycle", "50%"),
        *("--contact", "8 h/24 h", "--tx-power", "1.5 W", "--rx-power", "100 mW", "--loss", "30%", "--burst", "3"),
    )
    for each in json.loads(ok(tmp_path / "task.plada", "--link", "custom", *options, "--json"))["budgets"]:
        assert each["energy_j"] > 0
        sources = {used["name"]: used["source"] for used in each["inputs"]}
        assert {sources[name] for name in ("rate_bps", "mtu_bytes", "contact_s", "rx_power_w", "loss")} == {"option"}
    assert "3.25 s" in ok(
        tmp_path / "task.plada",
        "--link",
        "custom",
        "--frame-time",
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
    for strategy in STRATEGIES:
        assert f"<!-- {strategy} -->" in (tmp_path / "plot.svg").read_text()
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
    "--bytes 100 --loss 0.1 --ber 1e-4": "--ber excludes --loss",
    "--bytes 100 --burst 3": "--burst needs --loss",
    "--bytes 100 --link custom --rate 5_kpbs": "did you mean 5 kbit/s?",
    "--bytes 100 --within -3": "a number of 0 or more",
    "--bytes 100 --within 3_fortnights": "not a duration",
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
    assert USAGE[arguments] in fails(2, *(word.replace("_", " ") for word in arguments.split()))


def test_files_that_are_missing_or_empty_are_bad_input(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    assert "empty: it is empty" in fails(1, tmp_path / "empty")
    assert "No such file" in fails(1, tmp_path / "missing")


def test_the_help_names_all_strategies() -> None:
    assert all(strategy in ok("--help") for strategy in STRATEGIES)
