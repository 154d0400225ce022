"""The command `plada budget`: the worked examples of the specification, its tables, JSON, options and errors."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import Result

from plada_codec.links.budgets.budget import max_bytes
from plada_codec.links.budgets.conditions import Conditions
from plada_codec.links.delivery.registry import STRATEGIES
from plada_codec.links.loss import IndependentLoss
from plada_codec.links.profiles import link, links
from tests.helpers import commands
from tests.helpers.paths import SPEC

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


def run(*arguments: str | Path) -> Result:
    return commands.run("budget", *arguments)


def ok(*arguments: str | Path) -> str:
    """The standard output of a command that succeeds."""
    return commands.ok("budget", *arguments).stdout


def fails(exit_code: int, *arguments: str | Path) -> str:
    """The only line on standard error of a command that fails."""
    return commands.fails(exit_code, "budget", *arguments)


def digits(value: float, like: str) -> str:
    """A number with as many decimals as another has."""
    return f"{value:.{len(like.partition('.')[2])}f}"


@pytest.mark.parametrize(("options", "strategy", "expected"), EXAMPLES)
def test_the_worked_examples_are_exact(options: tuple[str, ...], strategy: str, expected: dict[str, str]) -> None:
    [found] = json.loads(ok(*options, "--strategy", strategy, "--json"))["budgets"]
    assert {name: digits(found[name], value) for name, value in expected.items()} == expected


def test_the_worked_examples_of_the_tests_stand_in_the_specification() -> None:
    text = (SPEC / "link-budget.md").read_text(encoding="utf-8").split("## 7. Worked examples")[1]
    for _, strategy, expected in EXAMPLES:
        for value in expected.values():
            assert any(strategy in row and value in row.replace(",", "") for row in text.splitlines()), (
                strategy,
                value,
            )


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


def test_numbers_of_json_are_rounded_so_that_whole_ones_are_whole() -> None:
    found = json.loads(ok("--bytes", "5000", "--link", "uwm-5k", "--loss", "50%", "--json"))["budgets"]
    frames = {each["strategy"]: each["frames"] for each in found}
    assert str(frames["stop-and-wait"]) == "44"


def test_verbose_lists_profile_options_and_formulas() -> None:
    out = ok("--bytes", "500", "--link", "uwm-5k", "--tx-power", "12 W", "-v")
    for name, source in [("rate_bps", "secondary"), ("tx_power_w", "option"), ("probability", "default")]:
        [row] = [row.split() for row in out.splitlines() if row.split()[:1] == [name]]
        assert source in row
    assert "link-budget 5.5" in out


def test_verbose_lists_shared_numbers_once_and_others_for_each_strategy() -> None:
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


def test_lost_answers_and_nack_bursts_of_one_frame_take_longer() -> None:
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


def test_max_bytes_prints_a_number_that_select_can_take() -> None:
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


def test_a_custom_link_takes_its_numbers_from_options(tmp_path: Path) -> None:
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
    "--bytes 100 --link custom --rate 0": "'--rate': it must be more than 0",
    "--bytes 100 --link custom --packet-time 0": "'--packet-time': it must be more than 0",
    "--bytes 100 --link custom --mtu 0": "'--mtu': it must be more than 0",
    "--bytes 100 --link custom --speed 0": "'--speed': it must be more than 0",
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
