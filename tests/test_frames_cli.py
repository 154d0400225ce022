"""Payloads over lossy links, by the commands `packetize`, `carousel`, `channel` and `reassemble`."""

from __future__ import annotations

import json
import os
import random
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from plada_codec import Payload, encode
from plada_codec.cli import main
from plada_codec.frames import Sender, StateFile, packetize, read_state

PLADA = f"{shlex.quote(sys.executable)} -m plada_codec.cli"


def run(*arguments: str | Path, stdin: bytes | None = None) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments], input=stdin)


def ok(*arguments: str | Path, stdin: bytes | None = None) -> Result:
    result = run(*arguments, stdin=stdin)
    assert result.exit_code == 0, result.stderr
    return result


def fails(exit_code: int, *arguments: str | Path, stdin: bytes | None = None) -> str:
    """The error, which is one line on standard error, and no traceback."""
    result = run(*arguments, stdin=stdin)
    assert result.exit_code == exit_code, (result.exit_code, result.output, result.exception)
    assert result.exception is None or isinstance(result.exception, SystemExit)
    (line,) = result.stderr.strip().splitlines()
    return line


def shell(script: str) -> None:
    """Runs commands, with `plada` for ours; what any command of a pipe fails with counts."""
    script = f'set -e -o pipefail; plada() {{ {PLADA} "$@"; }}; {script}'
    subprocess.run(["bash", "-c", script], check=True, timeout=60)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Has a payload of some dozens of frames, and an object of one."""
    monkeypatch.chdir(tmp_path)
    draw = np.random.default_rng(1)
    indices = np.sort(draw.choice(40_000, 3_000, replace=False))
    (tmp_path / "task.plada").write_bytes(encode(Payload(indices, draw.integers(0, 12, 3_000), 40_000, 12)))
    (tmp_path / "note").write_bytes(b"short")
    return tmp_path


def same(folder: Path, copy: str = "copy") -> bool:
    return (folder / copy).read_bytes() == (folder / "task.plada").read_bytes()


def test_a_payload_comes_over_a_pipe_that_loses_40_percent(folder: Path) -> None:
    shell(
        "plada packetize task.plada -o - --repair 150% | "
        "plada channel --loss 40% --burst 3 --flip 1e-5 --duplicate 0.1 --reorder 50 --seed 7 | "
        "plada reassemble - -o copy && plada verify copy"
    )
    assert same(folder)


@pytest.mark.parametrize("framing", ["length", "slip"])
def test_a_carousel_ends_when_its_receiver_has_enough(folder: Path, framing: str) -> None:
    shell(
        f"plada carousel task.plada -o - --framing {framing} --start 12345 | plada channel --loss 0.4 --framing "
        f"{framing} | plada reassemble - -o copy --framing {framing}"
    )
    assert same(folder)


def test_a_payload_comes_over_two_serial_ports_that_lose_40_percent(folder: Path) -> None:
    sending_modem, sending_port = os.openpty()
    receiving_modem, receiving_port = os.openpty()
    # Whatever loses frames is between the two modems. Ports are raw before the first byte is under way.
    receiver = subprocess.Popen(
        [*shlex.split(PLADA), "reassemble", os.ttyname(receiving_port), "-o", "copy", "--baud", "115200"]
    )
    channel = subprocess.Popen(
        [*shlex.split(PLADA), "channel", "--loss", "40%", "--flip", "1e-5", "--framing", "slip"],
        stdin=sending_modem,
        stdout=receiving_modem,
    )
    sender = subprocess.Popen([*shlex.split(PLADA), "carousel", "task.plada", "-o", os.ttyname(sending_port)])
    try:
        assert receiver.wait(timeout=30) == 0
    finally:
        for process in (sender, channel, receiver):
            process.kill()
            process.wait()
        for end in (sending_modem, sending_port, receiving_modem, receiving_port):
            os.close(end)
    ok("verify", "copy")
    assert same(folder)


def test_an_interrupted_reception_goes_on(folder: Path) -> None:
    shell("plada packetize task.plada -o sent --repair 20%")
    frames = sorted((folder / "sent").iterdir())
    random.Random(3).shuffle(frames)
    begin, end = frames[: len(frames) // 2], frames[len(frames) // 2 :]
    assert "incomplete" in fails(1, "reassemble", *begin, "-o", "copy", "--state", "state")
    status = json.loads(ok("reassemble", "--status", "--state", "state", "--json").stdout)
    assert 0 < status["have"] < status["need"] or status["need"] is None
    assert not status["complete"]
    assert not (folder / "copy").exists()
    assert "no longer needed" in ok("reassemble", *end, "-o", "copy", "--state", "state").stderr
    assert same(folder)
    (folder / "copy").unlink()
    ok("reassemble", "-o", "copy", "--state", "state")
    assert same(folder)
    assert "complete" in ok("reassemble", "--status", "--state", "state").stdout


def test_a_receiver_that_is_killed_goes_on(folder: Path) -> None:
    command = [*shlex.split(PLADA), "reassemble", "-", "-o", "copy", "--state", "state", "--framing", "slip"]
    frames = ok("packetize", "task.plada", "-o", "-", "--framing", "slip").stdout_bytes
    receiver = subprocess.Popen(command, stdin=subprocess.PIPE)
    assert receiver.stdin is not None
    receiver.stdin.write(frames[: len(frames) // 2])
    receiver.stdin.flush()
    while not (folder / "state").exists() or not read_state(folder / "state").tag:
        assert receiver.poll() is None
        time.sleep(0.01)
    receiver.send_signal(signal.SIGKILL)
    receiver.communicate()
    subprocess.run(command, input=frames[len(frames) // 2 - 300 :], check=True, timeout=30)
    assert same(folder)


def test_the_estimate_is_of_the_frames_that_lack(folder: Path) -> None:
    frames = list(packetize(Sender((folder / "task.plada").read_bytes())))
    with StateFile("state") as state:
        for frame in frames[:5]:
            state.append([frame])
            time.sleep(0.005)
    status = json.loads(ok("reassemble", "--status", "--state", "state", "--json").stdout)
    assert status["left_s"] == pytest.approx((status["need"] - status["have"]) / status["frames_per_s"])
    assert "without interruptions" in ok("reassemble", "--status", "--state", "state").stdout


def test_packetize_says_what_it_sent(folder: Path) -> None:
    said = json.loads(ok("packetize", "task.plada", "-o", "sent", "--repair", "30%", "--json").stdout)
    files = list((folder / "sent").iterdir())
    assert said["frames"] == len(files)
    assert said["sent_bytes"] == sum(path.stat().st_size for path in files)
    assert said["symbols"] == -(-said["object_symbols"] * 13 // 10)
    assert {path.name[:3] for path in files} == {said["tag"]}


def test_more_loss_and_more_receivers_take_more_symbols(folder: Path) -> None:
    def symbols(*options: str) -> int:
        target = f"sent{len(list(folder.iterdir()))}"
        return int(json.loads(ok("packetize", "task.plada", "-o", target, "--json", *options).stdout)["symbols"])

    assert (
        symbols() < symbols("--loss", "10%") < symbols("--loss", "30%") < symbols("--loss", "30%", "--receivers", "40")
    )


def test_a_carousel_starts_anywhere_and_ends_where_told(folder: Path) -> None:
    ok("carousel", "task.plada", "-o", "a", "--count", "60", "--start", "1000")
    ok("reassemble", "a", "-o", "copy")
    assert same(folder)
    assert (folder / "a").read_bytes() != ok("carousel", "task.plada", "-o", "-", "--count", "60").stdout_bytes


def test_an_object_of_one_frame_takes_no_package(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "raptorq", None)
    ok("packetize", "note", "-o", "sent", "--repair", "300%")
    ok("reassemble", "sent", "-o", "copy")
    assert (folder / "copy").read_bytes() == b"short"
    assert "plada[frames]" in fails(1, "packetize", "task.plada", "-o", "more", "--repair", "30%")


def test_of_two_objects_the_one_that_is_asked_for_is_written(folder: Path) -> None:
    ok("packetize", "task.plada", "-o", "a", "--tag", "00a")
    ok("packetize", "note", "-o", "b", "--tag", "b")
    assert "choose one by its tag: 00a, 00b" in fails(1, "reassemble", "a", "b", "-o", "copy")
    assert not (folder / "copy").exists()
    ok("reassemble", "a", "b", "-o", "copy", "--tag", "00A")
    assert same(folder)


def test_of_two_objects_the_one_that_is_complete_is_written_and_the_other_named(folder: Path) -> None:
    ok("packetize", "task.plada", "-o", "a", "--tag", "00a")
    ok("packetize", "note", "-o", "b", "--tag", "b")
    (folder / "a" / "00a-000003.frame").unlink()
    assert "left out: 00a" in ok("reassemble", "a", "b", "-o", "copy").stderr
    assert (folder / "copy").read_bytes() == b"short"


def test_a_state_of_another_object_is_an_error(folder: Path) -> None:
    ok("packetize", "task.plada", "-o", "a", "--tag", "00a")
    (folder / "a" / "00a-000003.frame").unlink()
    ok("packetize", "note", "-o", "b", "--tag", "00b")
    fails(1, "reassemble", "a", "-o", "copy", "--state", "state")
    assert "[state]" in fails(1, "reassemble", "b", "-o", "copy", "--state", "state")
    assert "[state]" in fails(1, "reassemble", "a", "-o", "copy", "--state", "state", "--tag", "00b")
    assert "incomplete" in fails(1, "reassemble", "a", "b", "-o", "copy", "--state", "state")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("packetize task.plada -o sent --frame-bytes 8", "9<=x<=65535"),
        ("packetize task.plada -o sent --repair 30% --loss 10%", "exclude"),
        ("packetize task.plada -o sent --burst 3", "need --loss"),
        ("packetize task.plada -o sent --repair 5% --receivers 1", "need --loss"),
        ("packetize task.plada -o sent --loss 5% --probability 0", "probability"),
        ("packetize task.plada -o sent --loss 100%", "nothing arrives"),
        ("packetize task.plada -o sent --loss -1", "-1"),
        ("packetize task.plada -o sent --loss 10% --probability 100%", "probability"),
        ("packetize task.plada -o sent --tag 1000", "three hexadecimal digits"),
        ("packetize task.plada -o sent --tag -1", "three hexadecimal digits"),
        ("packetize task.plada -o sent --framing slip", "not for a folder"),
        ("packetize task.plada -o - --json", "standard output"),
        ("packetize task.plada -o sent --baud 9600", "serial port"),
        ("carousel task.plada -o - --baud 9600", "serial port"),
        ("reassemble task.plada - -o copy --baud 9600", "serial port"),
        ("carousel task.plada -o sent", "--count"),
        ("carousel task.plada -o sent --count 5 --start -1", "-1"),
        ("channel --loss 1", "nothing arrives"),
        ("channel --flip 2", "flip"),
        ("channel --duplicate 120%", "duplicate"),
        ("channel --loss 30% --burst 0.2", "bursts"),
        ("reassemble", "Missing option"),
        ("reassemble -o copy", "FRAMES"),
        ("reassemble --status", "--state"),
        ("reassemble --status --state state -o copy", "--status"),
    ],
)
def test_options_that_make_no_sense_are_wrong_usage(folder: Path, arguments: str, said: str) -> None:
    assert said in fails(2, *arguments.split())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("packetize empty -o sent", "[object]"),
        ("packetize missing -o sent", "missing: No such file"),
        ("packetize task.plada -o .", "not empty"),
        ("packetize task.plada -o note", "cannot write note"),
        ("packetize large -o sent --frame-bytes 9", "[frame-bytes]"),
        ("reassemble missing -o copy", "missing: No such file"),
        ("reassemble missing.frame -o copy", "missing.frame: No such file"),
        ("reassemble empty -o copy", "no frames"),
        ("reassemble none -o copy", "no frames"),
        ("reassemble task.plada -o copy --framing slip", "no frames"),
        ("reassemble --status --state missing", "missing: No such file"),
        ("reassemble --status --state task.plada", "not a state file"),
        ("reassemble --status --state empty", "no frame yet"),
        ("reassemble task.plada -o copy --state task.plada", "not a state file"),
    ],
)
def test_bad_input_is_one_line(folder: Path, arguments: str, said: str) -> None:
    (folder / "empty").touch()
    (folder / "none").mkdir()
    (folder / "large").write_bytes(bytes(60_000))
    assert said in fails(1, *arguments.split())
    assert not (folder / "copy").exists()


def test_an_announce_that_contradicts_the_frames_is_named(folder: Path) -> None:
    ok("packetize", "task.plada", "-o", "a", "--tag", "00a")
    ok("packetize", "task.plada", "-o", "b", "--tag", "00a", "--frame-bytes", "128")
    announce = folder / "a" / "00a-000000.frame"
    symbols = [path for path in (folder / "b").iterdir() if path.stat().st_size > 100]
    assert "[symbol-size]" in fails(1, "reassemble", announce, *symbols, "-o", "copy")


def test_reception_to_standard_output_is_the_object(folder: Path) -> None:
    frames = ok("packetize", "task.plada", "-o", "-").stdout_bytes
    assert ok("reassemble", "-", "-o", "-", stdin=frames).stdout_bytes == (folder / "task.plada").read_bytes()
