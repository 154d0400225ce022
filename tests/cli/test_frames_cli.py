"""Payloads over lossy links, by the commands `packetize`, `carousel`, `channel` and `reassemble`."""

from __future__ import annotations

import json
import os
import random
import select
import shlex
import signal
import subprocess
import sys
import termios
import time
import tty
from itertools import chain
from pathlib import Path
from unittest.mock import PropertyMock

import numpy as np
import pytest
from click.testing import CliRunner

from plada_codec import Payload, encode
from plada_codec.cli.main import main
from plada_codec.frames import Reassembler, Sender, packetize, read_frames, read_state
from plada_codec.frames.sending import DEFAULT_ANNOUNCE_EVERY, DEFAULT_FRAME_BYTES
from plada_codec.frames.slip import slip
from plada_codec.frames.state import time_mark
from tests.helpers.commands import fails, hear_ctrl_c, ok, run

PLADA = f"{shlex.quote(sys.executable)} -m plada_codec"


def shell(script: str) -> None:
    """Run commands in bash, with `plada` for ours; a pipe fails if any of its commands fails."""
    script = f'set -e -o pipefail; plada() {{ {PLADA} "$@"; }}; {script}'
    subprocess.run(["bash", "-c", script], check=True, timeout=60)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Have a payload of some dozens of frames, and an object of one."""
    monkeypatch.chdir(tmp_path)
    draw = np.random.default_rng(1)
    indices = np.sort(draw.choice(40_000, 3_000, replace=False))
    (tmp_path / "task.plada").write_bytes(encode(Payload(indices, draw.integers(0, 12, 3_000), 40_000, 12)))
    (tmp_path / "note").write_bytes(b"short")
    return tmp_path


def frames_of(path: Path) -> list[bytes]:
    with path.open("rb") as stream:
        return list(read_frames(stream, "length"))


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
    (status,) = json.loads(ok("reassemble", "--status", "--state", "state", "--json").stdout)
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
    while not (folder / "state").exists() or not list(read_state(folder / "state").frames):
        assert receiver.poll() is None
        time.sleep(0.01)
    receiver.send_signal(signal.SIGKILL)
    receiver.communicate()
    subprocess.run(command, input=frames[len(frames) // 2 - 300 :], check=True, timeout=30)
    assert same(folder)


def test_the_estimated_time_is_that_of_the_missing_frames(folder: Path) -> None:
    frames = list(packetize(Sender((folder / "task.plada").read_bytes())))
    marks = [time_mark(1000 * time_s) for time_s in range(5)]
    (folder / "state").write_bytes(b"".join(map(slip, chain(*zip(marks, frames, strict=False)))))
    (status,) = json.loads(ok("reassemble", "--status", "--state", "state", "--json").stdout)
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
        symbols("--repair", "0%")
        < symbols("--loss", "10%")
        < symbols("--loss", "30%")
        < symbols("--loss", "30%", "--receivers", "40")
    )


def test_default_repair_is_a_tenth_of_the_symbols_and_at_least_two(folder: Path) -> None:
    def repair(object_bytes: int, *options: str) -> int:
        (folder / "object").write_bytes(bytes(object_bytes))
        said = json.loads(ok("packetize", "object", "-o", f"{object_bytes}.frames", "--json", *options).stdout)
        return int(said["symbols"] - said["object_symbols"])

    assert [repair(248 * symbols) for symbols in (1, 2, 20, 21, 100)] == [1, 2, 2, 3, 10]
    assert repair(248 * 100, "--repair", "0%") == 0


def test_a_carousel_starts_anywhere_and_ends_where_told(folder: Path) -> None:
    ok("carousel", "task.plada", "-o", "a.frames", "--count", "60", "--start", "1000")
    ok("reassemble", "a.frames", "-o", "copy")
    assert same(folder)
    assert (folder / "a.frames").read_bytes() != ok("carousel", "task.plada", "-o", "-", "--count", "60").stdout_bytes


@pytest.mark.parametrize("command", ["packetize", "carousel --count 60"])
def test_the_name_of_the_output_says_whether_it_is_a_stream_or_a_folder(folder: Path, command: str) -> None:
    ok(*command.split(), "task.plada", "-o", "sent.frames")
    ok(*command.split(), "task.plada", "-o", "sent")
    assert (folder / "sent.frames").is_file()
    files = sorted((folder / "sent").iterdir())
    assert b"".join(path.read_bytes() for path in files) == b"".join(frames_of(folder / "sent.frames"))


@pytest.mark.parametrize("command", ["packetize", "carousel"])
def test_an_output_that_fails_is_named(folder: Path, command: str) -> None:
    assert fails(1, command, "task.plada", "-o", "/dev/full").endswith(": /dev/full: No space left on device")
    with Path("/dev/full").open("wb") as full:
        sender = subprocess.run(
            [*shlex.split(PLADA), command, "task.plada", "-o", "-"], stdout=full, stderr=subprocess.PIPE, timeout=30
        )
    assert sender.returncode == 1
    assert sender.stderr.endswith(b": standard output: No space left on device\n")
    assert sender.stderr.count(b"\n") == 1


def test_a_port_that_hangs_up_on_the_sender_is_named(folder: Path) -> None:
    modem, port = os.openpty()
    name = os.ttyname(port)
    sender = subprocess.Popen([*shlex.split(PLADA), "carousel", "task.plada", "-o", name], stderr=subprocess.PIPE)
    assert os.read(modem, 1)
    os.close(port)
    os.close(modem)
    assert sender.communicate(timeout=30)[1].decode().endswith(f": {name}: Input/output error\n")
    assert sender.returncode == 1


def test_an_object_of_one_frame_takes_no_package(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "raptorq", None)
    ok("packetize", "note", "-o", "sent", "--repair", "300%")
    ok("reassemble", "sent", "-o", "copy")
    assert (folder / "copy").read_bytes() == b"short"
    assert "plada[frames]" in fails(1, "packetize", "task.plada", "-o", "more", "--repair", "30%")


def test_the_tag_option_chooses_between_two_objects(folder: Path) -> None:
    ok("packetize", "task.plada", "-o", "a", "--tag", "00a")
    ok("packetize", "note", "-o", "b", "--tag", "b")
    assert "choose one by its tag: 00a, 00b" in fails(1, "reassemble", "a", "b", "-o", "copy")
    assert not (folder / "copy").exists()
    ok("reassemble", "a", "b", "-o", "copy", "--tag", "00A")
    assert same(folder)


@pytest.fixture
def partial(folder: Path) -> Path:
    """Write frames of two objects: `a`, all but one of 00a, and `b`, all of 00b."""
    ok("packetize", "task.plada", "-o", "a", "--tag", "00a", "--repair", "0%")
    (folder / "a" / "00a-0000003.frame").rename(folder / "missing.frame")
    ok("packetize", "note", "-o", "b", "--tag", "00b")
    return folder


def test_of_two_objects_the_one_that_is_complete_is_written_and_the_other_named(partial: Path) -> None:
    assert "left out: 00a" in ok("reassemble", "a", "b", "-o", "copy").stderr
    assert (partial / "copy").read_bytes() == b"short"


def test_a_stray_frame_in_a_new_state_does_not_block_another_object(partial: Path) -> None:
    stray = next((partial / "b").iterdir())
    (partial / "missing.frame").rename(partial / "a" / "00a-0000003.frame")
    ok("reassemble", stray, "a", "-o", "copy", "--state", "state")
    assert same(partial)


def test_a_live_stream_ends_though_a_stray_frame_came_first(partial: Path) -> None:
    stray = next((partial / "b").iterdir()).read_bytes()
    (partial / "stray").write_bytes(len(stray).to_bytes(2, "little") + stray)
    shell("{ cat stray; plada carousel task.plada -o -; } | plada reassemble - -o copy --state state")
    assert same(partial)


def test_a_tag_writes_another_complete_object_of_a_state(partial: Path) -> None:
    fails(1, "reassemble", "a", "-o", "copy", "--state", "state")
    said = fails(1, "reassemble", "b", "-o", "copy", "--state", "state")
    assert "state is the state of 00a, but the complete object is 00b: --tag 00b writes it [state]" in said
    assert not (partial / "copy").exists()
    ok("reassemble", "-o", "copy", "--state", "state", "--tag", "00b")
    assert (partial / "copy").read_bytes() == b"short"
    ok("reassemble", "missing.frame", "-o", "copy", "--state", "state", "--tag", "00a")
    assert same(partial)


def test_a_state_of_another_object_is_an_error(partial: Path) -> None:
    (announce, *_, symbol) = sorted((partial / "b").iterdir())
    symbol.unlink()
    fails(1, "reassemble", announce, "-o", "copy", "--state", "state")
    said = fails(1, "reassemble", "a", "-o", "copy", "--state", "state", "--tag", "00a")
    assert "state is the state of 00b, not of 00a: give that object its own state file [state]" in said
    said = fails(1, "reassemble", "a", "-o", "copy", "--state", "state")
    assert "but all received frames are of 00a: give each object its own state file [state]" in said
    assert "[incomplete]" in fails(1, "reassemble", "a", announce, "-o", "copy", "--state", "state")


def test_a_complete_state_and_another_complete_object_ask_for_a_tag(partial: Path) -> None:
    ok("reassemble", "b", "-o", "copy", "--state", "state")
    ok("reassemble", "b", "-o", "copy", "--state", "state")
    said = fails(1, "reassemble", "a", "missing.frame", "-o", "other", "--state", "state")
    assert "choose one by its tag: 00a, 00b [objects]" in said
    assert not (partial / "other").exists()


def test_the_status_lists_each_object_of_a_state(partial: Path) -> None:
    fails(1, "reassemble", "a", "-o", "copy", "--state", "state")
    fails(1, "reassemble", "b", "-o", "copy", "--state", "state")
    status = {
        each["tag"]: each for each in json.loads(ok("reassemble", "--status", "--state", "state", "--json").stdout)
    }
    assert (status["00a"]["complete"], status["00b"]["complete"]) == (False, True)
    table = ok("reassemble", "--status", "--state", "state").stdout
    assert all(tag in table for tag in status)
    (only,) = json.loads(ok("reassemble", "--status", "--state", "state", "--tag", "00b", "--json").stdout)
    assert only == status["00b"]
    assert "no frame of 00c" in fails(1, "reassemble", "--status", "--state", "state", "--tag", "00c")


def test_the_status_of_a_state_with_a_torn_write_says_what_there_is(partial: Path) -> None:
    marks, frames = (
        [time_mark(1_000), time_mark(2_000)],
        [path.read_bytes() for path in sorted((partial / "a").iterdir())],
    )
    torn = slip(marks[0]) + slip(frames[0]) + slip(marks[1]) + slip(frames[1])[:-9]
    (partial / "state").write_bytes(torn)
    (status,) = json.loads(ok("reassemble", "--status", "--state", "state", "--json").stdout)
    assert (status["announced"], status["have"], status["frames_per_s"], status["left_s"]) == (True, 0, None, None)
    ok("reassemble", "--status", "--state", "state")


def test_a_folder_of_frames_of_any_names_is_read(partial: Path) -> None:
    for number, path in enumerate(sorted((partial / "b").iterdir())):
        path.rename(partial / "b" / f"rx_{number}.bin")
    ok("reassemble", "b", "-o", "copy")
    assert (partial / "copy").read_bytes() == b"short"


def test_small_reads_do_not_scan_all_objects_each_time(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    objects = PropertyMock(return_value={})
    monkeypatch.setattr(Reassembler, "objects", objects)
    monkeypatch.setattr("plada_codec.frames.ports._READ_BYTES", 1)
    ok("packetize", "task.plada", "-o", "sent.frames")
    ok("reassemble", "sent.frames", "-o", "copy")
    assert same(folder)
    assert objects.call_count < 3


def test_an_interrupt_from_the_keyboard_leaves_the_state_complete(folder: Path) -> None:
    frames = list(packetize(Sender((folder / "task.plada").read_bytes())))[:9]
    command = [*shlex.split(PLADA), "reassemble", "-", "-o", "copy", "--state", "state"]
    receiver = subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, preexec_fn=hear_ctrl_c)
    assert receiver.stdin is not None
    for frame in frames:
        receiver.stdin.write(len(frame).to_bytes(2, "little") + frame)
    receiver.stdin.flush()
    while not (folder / "state").exists() or len(list(read_state(folder / "state").frames)) < len(frames):
        assert receiver.poll() is None
        time.sleep(0.01)
    receiver.send_signal(signal.SIGINT)
    _, said = receiver.communicate(timeout=30)
    assert receiver.returncode == 1
    (line,) = said.decode().splitlines()
    assert "interrupted: state has" in line
    assert "8 of 14 symbols, or a few more): go on with the same command" in line
    assert list(read_state(folder / "state").frames) == frames


def said_of(stream: bytes, *arguments: str) -> list[str]:
    """Return the lines that the receiver prints on standard error for a stream from a pipe."""
    command = [*shlex.split(PLADA), "reassemble", "-", "-o", "copy", *arguments]
    return subprocess.run(command, input=stream, stderr=subprocess.PIPE, timeout=30).stderr.decode().splitlines()


def sent(tag: str, count: int, framing: str = "length") -> bytes:
    arguments = ["--tag", tag, "--count", str(count), "--framing", framing, "--frame-bytes", "128"]
    return ok("carousel", "task.plada", "-o", "-", *arguments).stdout_bytes


@pytest.mark.parametrize("options", [["--tag", "00a"], ["--tag", "00a", "--state", "state"], ["--state", "state"]])
def test_a_live_stream_of_other_objects_is_reported_once(partial: Path, options: list[str]) -> None:
    fails(1, "reassemble", "a", "-o", "copy", "--state", "state")
    (end,) = said_of(sent("00c", 15), *options)
    assert "[" in end
    (partial / "state").unlink()
    fails(1, "reassemble", "a", "-o", "copy", "--state", "state")
    told, _ = said_of(sent("00c", 16) + sent("00d", 4), *options)
    assert "standard input: all 20 frames so far are of 00c, 00d, not of 00a: to receive it, begin again" in told


def test_a_live_stream_of_the_wanted_object_is_not_reported(partial: Path) -> None:
    (end,) = said_of(sent("00a", 1) + sent("00c", 30), "--tag", "00a")
    assert "[incomplete]" in end


@pytest.mark.parametrize(("sender", "receiver"), [("length", "slip"), ("slip", "length")])
def test_a_live_stream_without_frames_is_reported_once(folder: Path, sender: str, receiver: str) -> None:
    (end,) = said_of(sent("00a", 10, sender), "--framing", receiver)
    assert end.endswith("standard input has no frames: does --framing match the sender? [incomplete]")
    told, _ = said_of(sent("00a", 60, sender), "--framing", receiver)
    assert "standard input: no frames so far in 7," in told
    assert told.endswith("bytes: does --framing match the sender?")


#: A terminal with all of these swallows, changes or adds bytes. (ISTRIP and IXOFF are among the flags of the input.)
_FLAGS = {
    tty.IFLAG: ("IGNBRK", "BRKINT", "PARMRK", "ISTRIP", "INLCR", "IGNCR", "ICRNL", "IXON", "IXANY", "IXOFF", "IUCLC"),
    tty.OFLAG: ("OPOST", "ONLCR", "OCRNL", "ONOCR", "ONLRET", "OLCUC", "OFILL", "XTABS"),
    tty.LFLAG: ("ECHO", "ICANON", "ISIG", "IEXTEN", "ECHOCTL", "NOFLSH", "TOSTOP"),
}


def make_cooked(port: int, *names: str) -> None:
    """Set flags of a port: all that there are, or those with these names."""
    settings = termios.tcgetattr(port)
    for place, flags in _FLAGS.items():
        for name in names or flags:
            settings[place] |= getattr(termios, name, 0) if name in flags else 0
    termios.tcsetattr(port, termios.TCSANOW, settings)


@pytest.fixture
def every_byte(folder: Path) -> bytes:
    """An object of all bytes, in all orders of two."""
    data = bytes(chain.from_iterable((first, second) for first in range(256) for second in (10, 13, 17, 19, 255)))
    (folder / "object").write_bytes(data)
    return data


@pytest.mark.parametrize("names", [(), ("IGNCR",), ("INLCR",), ("PARMRK",), ("ISTRIP",), ("IXON", "IXOFF")])
@pytest.mark.parametrize("as_input", ["name", "standard input"])
def test_every_byte_comes_through_a_serial_port_whatever_its_settings_were(
    folder: Path, every_byte: bytes, names: tuple[str, ...], as_input: str
) -> None:
    stream = ok("carousel", "object", "-o", "-", "--framing", "slip", "--count", "20").stdout_bytes
    modem, port = os.openpty()
    make_cooked(port, *names)
    source = os.ttyname(port) if as_input == "name" else "-"
    command = [*shlex.split(PLADA), "reassemble", source, "-o", "copy"]
    receiver = subprocess.Popen(command, stdin=None if as_input == "name" else port, stderr=subprocess.PIPE)
    try:
        while termios.tcgetattr(port)[tty.LFLAG] or termios.tcgetattr(port)[tty.IFLAG]:
            assert receiver.poll() is None
            time.sleep(0.01)
        os.write(modem, stream)
        assert receiver.wait(timeout=30) == 0
    finally:
        receiver.kill()
        receiver.communicate()
        os.close(modem)
        os.close(port)
    assert (folder / "copy").read_bytes() == every_byte


@pytest.mark.parametrize("as_output", ["name", "standard output"])
def test_every_byte_goes_to_a_serial_port_whatever_its_settings_were(
    folder: Path, every_byte: bytes, as_output: str
) -> None:
    expected = ok("carousel", "object", "-o", "-", "--framing", "slip", "--count", "20").stdout_bytes
    modem, port = os.openpty()
    make_cooked(port)
    target = os.ttyname(port) if as_output == "name" else "-"
    command = [*shlex.split(PLADA), "carousel", "object", "-o", target, "--count", "20"]
    sender = subprocess.Popen(command, stdout=None if as_output == "name" else port)
    received = b""
    while len(received) < len(expected):
        assert select.select([modem], [], [], 30)[0]
        received += os.read(modem, 65_536)
    assert sender.wait(timeout=30) == 0
    assert received == expected
    os.close(modem)
    os.close(port)


def test_the_receiver_tells_how_many_frames_were_damaged(folder: Path) -> None:
    ok("packetize", "task.plada", "-o", "sent", "--repair", "100%")
    frames = sorted((folder / "sent").iterdir())
    for path in frames[:3]:
        path.write_bytes(path.read_bytes()[:-1] + b"?")
    assert "plada: 3 damaged frames were left out\n" in ok("reassemble", "sent", "-o", "copy").stderr
    assert same(folder)
    for path in frames[8:]:
        path.unlink()
    assert "(3 damaged frames were left out)" in fails(1, "reassemble", "sent", "-o", "other")


def test_a_port_that_hangs_up_on_the_receiver_is_named(folder: Path) -> None:
    modem, port = os.openpty()
    tty.setraw(port)
    name = os.ttyname(port)
    command = [*shlex.split(PLADA), "reassemble", name, "-o", "copy", "--state", "state"]
    receiver = subprocess.Popen(command, stderr=subprocess.PIPE)
    while not (folder / "state").exists() or len(list(read_state(folder / "state").frames)) < 9:
        if select.select([], [modem], [], 0)[1]:
            os.write(modem, sent("00a", 9, "slip"))
        assert receiver.poll() is None
        time.sleep(0.05)
    os.close(port)
    os.close(modem)
    hung_up, end = receiver.communicate(timeout=30)[1].decode().splitlines()
    assert hung_up == f"plada: {name} hung up"
    assert "of object 00a came 8 symbols, of 28 or a few more that it takes: receive more, by the same command" in end


def test_a_live_stream_is_refused_if_its_state_has_another_complete_object(partial: Path) -> None:
    ok("reassemble", "b", "-o", "copy", "--state", "state")
    (partial / "copy").write_bytes(b"older")
    (end,) = said_of(sent("00a", 5), "--state", "state")
    assert "state already has object 00b complete, and there is a file copy: give a new state, no FRAMES, or" in end
    assert (partial / "copy").read_bytes() == b"older"
    said = fails(1, "reassemble", "/dev/null", "-o", "-", "--state", "state")
    assert said.endswith("state already has object 00b complete: give a new state, no FRAMES, or its --tag [state]")
    said_of(sent("00a", 5), "--state", "state", "--tag", "00b")
    assert (partial / "copy").read_bytes() == b"short"


def test_a_live_reception_goes_on_that_was_interrupted_before_its_file_was_written(partial: Path) -> None:
    ok("reassemble", "b", "-o", "copy", "--state", "state")
    (partial / "copy").unlink()
    told, end = said_of(b"", "--state", "state")
    assert told.endswith("state already has object 00b complete: nothing is received")
    assert end.endswith("copy is complete: state is no longer needed")
    assert (partial / "copy").read_bytes() == b"short"


def test_a_live_reception_reads_nothing_when_its_state_has_the_object(partial: Path) -> None:
    ok("reassemble", "b", "-o", "copy", "--state", "state")
    (partial / "copy").unlink()
    state = (partial / "state").read_bytes()
    assert len(said_of(sent("00a", 40), "--state", "state")) == 2
    assert (partial / "copy").read_bytes() == b"short"
    assert (partial / "state").read_bytes() == state


def test_a_state_of_several_complete_objects_asks_for_a_tag_on_a_live_stream(partial: Path) -> None:
    (partial / "missing.frame").rename(partial / "a" / "00a-0000003.frame")
    fails(1, "reassemble", "a", "b", "-o", "copy", "--state", "state")
    assert "choose one by its tag: 00a, 00b [objects]" in said_of(b"", "--state", "state")[-1]
    assert not (partial / "copy").exists()


def test_a_state_is_needed_as_long_as_it_has_other_objects(partial: Path) -> None:
    fails(1, "reassemble", "a", "-o", "copy", "--state", "state")
    fails(1, "reassemble", "b", "-o", "copy", "--state", "state")
    said = ok("reassemble", "-o", "copy", "--state", "state", "--tag", "00b").stderr
    assert said.endswith("copy is complete: state is no longer needed, except for 00a\n")
    said = ok("reassemble", "missing.frame", "-o", "copy", "--state", "state", "--tag", "00a").stderr
    assert said.endswith("copy is complete: state is no longer needed, except for 00b\n")


def test_a_complete_state_is_not_taken_for_an_object_that_is_still_incomplete(partial: Path) -> None:
    ok("reassemble", "b", "-o", "copy", "--state", "state")
    assert "all received frames are of 00a" in fails(1, "reassemble", "a", "-o", "other", "--state", "state")
    assert not (partial / "other").exists()


def test_two_objects_of_one_tag_are_reported_even_if_one_is_complete(partial: Path) -> None:
    ok("packetize", "task.plada", "-o", "c", "--tag", "00b")
    assert "copy is object 00b, but two objects have this tag" in ok("reassemble", "b", "c", "-o", "copy").stderr


def test_an_input_without_frames_is_named(partial: Path) -> None:
    (partial / "none").mkdir()
    assert ok("reassemble", "none", "b", "-o", "copy").stderr.strip().endswith(": none has no frames")
    assert fails(1, "reassemble", "none", "-o", "copy").endswith(": none has no frames [incomplete]")


def test_an_error_names_the_tags_that_came_instead(partial: Path) -> None:
    said = fails(1, "reassemble", "a", "b", "-o", "copy", "--tag", "123")
    assert "no frame of tag 123 came, but 15 of 00a, 4 of 00b, and 0 damaged ones [incomplete]" in said


def test_the_error_of_an_incomplete_reception_says_how_to_continue(partial: Path) -> None:
    assert "receive more, with --state FILE, which keeps" in fails(1, "reassemble", "a", "-o", "copy")
    said = fails(1, "reassemble", "a", "-o", "copy", "--state", "state")
    assert "receive more, by the same command: state has these" in said


def test_the_progress_bar_counts_damaged_and_foreign_frames(partial: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    labels: list[str] = []

    monkeypatch.setattr("plada_codec.progress.ProgressBar.label", lambda bar, text: labels.append(text))
    run("reassemble", "b", "a", "task.plada", "-o", "copy", "--tag", "00a", "--framing", "slip")
    assert labels[0] == "receiving (0 damaged, 4 foreign)"
    assert labels[-1].endswith("damaged, 4 foreign)")
    assert "(0 " not in labels[-1]


def test_no_progress_bar_is_in_the_way_of_standard_output(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("plada_codec.progress.progress_bar", None)
    with pytest.raises(TypeError):
        CliRunner().invoke(main, ["packetize", "task.plada", "-o", "sent"], catch_exceptions=False)
    ok("packetize", "task.plada", "-o", "-")


def test_the_defaults_of_carousel_are_those_of_the_package() -> None:
    options = {option.name: option.default for option in main.commands["carousel"].params}
    assert (options["frame_bytes"], options["announce_every"]) == (DEFAULT_FRAME_BYTES, DEFAULT_ANNOUNCE_EVERY)


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
        ("carousel task.plada -o sent.frames", "--count"),
        ("packetize task.plada -o ./task.plada", "overwrite the input"),
        ("carousel task.plada -o sent --count 5 --start -1", "-1"),
        ("channel --loss 1", "nothing arrives"),
        ("channel --flip 2", "flip"),
        ("channel --flip 100%", "the flip rate 1 is not 0 or more, and below 1"),
        ("channel --burst 5", "--burst needs --loss"),
        ("channel --duplicate 120%", "duplicate"),
        ("channel --loss 30% --burst 0.2", "a mean burst of"),
        ("reassemble", "Missing option"),
        ("reassemble -o copy", "FRAMES"),
        ("reassemble --status", "--state"),
        ("reassemble --status --state state -o copy", "--status"),
        ("reassemble --status --state state --framing slip", "--status"),
        ("reassemble --status --state state --baud 9600", "--status"),
        ("reassemble note -o copy --state ./copy", "copy would overwrite the input ./copy"),
        ("reassemble note -o ./note", "./note would overwrite the input note"),
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
        ("packetize task.plada -o note", "note is a file"),
        ("packetize task.plada -o /dev/null --baud 9600", "/dev/null is not a serial port"),
        ("packetize large -o sent --frame-bytes 9", "[frame-bytes]"),
        ("reassemble missing -o copy", "missing: No such file"),
        ("reassemble missing.frame -o copy", "missing.frame: No such file"),
        ("reassemble empty -o copy", "no frames"),
        ("reassemble none -o copy", "no frames"),
        ("reassemble task.plada -o copy --framing slip", "no frames"),
        ("reassemble --status --state missing", "missing: No such file"),
        ("reassemble --status --state task.plada", "not a state file"),
        ("reassemble --status --state empty", "no frame yet"),
        ("reassemble note -o copy --state task.plada", "not a state file"),
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
    announce = folder / "a" / "00a-0000000.frame"
    symbols = [path for path in (folder / "b").iterdir() if path.stat().st_size > 100]
    assert "[symbol-size]" in fails(1, "reassemble", announce, *symbols, "-o", "copy")


def test_reception_to_standard_output_is_the_object(folder: Path) -> None:
    frames = ok("packetize", "task.plada", "-o", "-").stdout_bytes
    assert ok("reassemble", "-", "-o", "-", stdin=frames).stdout_bytes == (folder / "task.plada").read_bytes()
