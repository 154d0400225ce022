"""Outputs and signals: open files and pipes as they are, inputs that stay, modes that stay, links, no litter."""

from __future__ import annotations

import inspect
import os
import re
import shlex
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from plada_codec import FileError, Payload, encode
from plada_codec.cli.main import main
from plada_codec.files import atomic_folder, atomic_write, descriptor_of, is_input
from plada_train.cli.main import main as plada_train
from tests.helpers.commands import fails, hear_ctrl_c, ok, run

PLADA = f"{shlex.quote(sys.executable)} -m plada_codec"
CSV = "index,label\n3,1\n5,2\n"
SIZES = ["--reference-size", "100", "--classes", "5"]
ENDLESS = ["carousel", "s.plada", "--count", "1000000000", "-o"]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Have a table and its payload."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "kept.csv").write_text(CSV)
    (tmp_path / "s.plada").write_bytes(encode(Payload([3, 5], [1, 2], 100, 5)))
    return tmp_path


def shell(script: str) -> subprocess.CompletedProcess[str]:
    """Run a script in bash, with `plada` for ours."""
    script = f'plada() {{ {PLADA} "$@"; }}; {script}'
    return subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=60)


# Open files and pipes


@pytest.mark.parametrize(
    ("output", "redirection"),
    [
        ("/dev/stdout", "> out"),
        ("/dev/stdout", ">> out"),
        ("/dev/fd/3", "3> out >&3"),
        ("/proc/self/fd/1", "> out"),
        ("link", "> out"),
        ("-", "> out"),
    ],
)
def test_an_open_file_is_written_where_it_stands(folder: Path, output: str, redirection: str) -> None:
    (folder / "link").symlink_to("/dev/stdout")
    script = f"{{ echo HEAD; plada decode s.plada -o {output} --to csv; echo TAIL; }} {redirection}"
    assert shell(script).returncode == 0
    assert (folder / "out").read_text() == f"HEAD\n{CSV}TAIL\n"


@pytest.mark.parametrize("command", ["packetize s.plada", "carousel s.plada --count 3", "reassemble sent"])
def test_frames_and_objects_go_to_an_open_file_too(folder: Path, command: str) -> None:
    ok("packetize", "s.plada", "-o", "sent")
    script = f"{{ echo HEAD; plada {command} -o /dev/stdout; echo TAIL; }} > out; plada {command} -o - > expected"
    assert shell(script).returncode == 0
    assert (folder / "out").read_bytes() == b"HEAD\n" + (folder / "expected").read_bytes() + b"TAIL\n"


def test_a_pipe_to_a_command_is_written(folder: Path) -> None:
    script = "plada decode s.plada -o >(cat > out) --to csv; plada packetize s.plada -o >(cat > sent); sleep 0.5"
    assert shell(script).stderr == ""
    assert (folder / "out").read_text() == CSV
    ok("reassemble", "sent", "-o", "copy")


def test_an_open_file_of_another_process_is_refused(folder: Path) -> None:
    done = shell("{ echo HEAD; plada decode s.plada -o /proc/$$/fd/1 --to csv; } > out")
    assert done.stderr.count("\n") == 1
    assert "that another process has open" in done.stderr
    assert (folder / "out").read_text() == "HEAD\n"


def test_other_names_are_no_open_files(folder: Path) -> None:
    (folder / "loop").symlink_to("loop")
    for name in ("/dev/null", "/dev/fd", "7", "missing/7", "loop", ""):
        assert descriptor_of(name) is None
    assert descriptor_of("/dev/stdin") == 0


def test_what_closes_an_output_is_one_line(folder: Path) -> None:
    for script in ("plada decode s.plada -o /dev/stdout --to csv >&-", "plada decode s.plada -o /dev/fd/77 --to csv"):
        done = shell(script)
        assert (done.returncode, done.stderr.count("\n")) == (1, 1)
        assert "Bad file descriptor" in done.stderr or "No such file" in done.stderr


# The output is the input

COMMANDS = [
    f"encode kept.csv -o OUT {' '.join(SIZES)}",
    f"encode s.plada -o OUT {' '.join(SIZES)} --class-names kept.csv",
    "decode kept.csv -o OUT --to csv",
    f"convert kept.csv OUT {' '.join(SIZES)} --to csv",
    f"convert s.plada OUT {' '.join(SIZES)} --to npz --class-names kept.csv",
    "packetize kept.csv -o OUT.frames",
    "carousel kept.csv --count 3 -o OUT.frames",
    "reassemble kept.csv -o OUT",
    "reassemble s.plada -o OUT --state kept.csv",
    "reassemble kept.csv -o new --state OUT",
    "reassemble . -o OUT",
    "budget kept.csv --link uwm-5k --plot OUT.svg",
]


@pytest.mark.parametrize("kind", ["path", "link", "hard link"])
@pytest.mark.parametrize("command", COMMANDS)
def test_an_output_that_is_the_input_is_refused(folder: Path, command: str, kind: str) -> None:
    (name,) = [word for word in command.split() if word.startswith("OUT")]
    output = folder / name
    if kind == "link":
        output.symlink_to("kept.csv")
    elif kind == "hard link":
        output.hardlink_to("kept.csv")
    elif name == "OUT":
        output = folder / "." / "kept.csv"
    else:  # the name must have a suffix
        (folder / "kept.csv").rename(output)
        command = command.replace("kept.csv", name)
    assert "would overwrite the input" in fails(2, *command.replace(name, str(output)).split())
    assert output.read_text() == CSV


@pytest.mark.parametrize("source", ["ref-{000..001}.tar", "ref-*.tar", "ref-00[01].tar", "./ref-00?.tar", "."])
def test_each_file_of_a_pattern_and_of_a_folder_is_an_input(folder: Path, source: str) -> None:
    for name in ("ref-000.tar", "ref-001.tar", "other.tar"):
        (folder / name).write_bytes(b"")
    (folder / "link").symlink_to("ref-001.tar")
    assert all(is_input(name, source) for name in ("ref-000.tar", folder / "ref-001.tar", "link"))
    assert is_input("none/../ref-001.tar", source)  # it is written, though it cannot be looked up
    assert not is_input("new", source)
    assert is_input("other.tar", source) == (source == ".")
    assert not is_input("/dev/null", source)


#: Commands that only write new folders, or files with names that none of their inputs has.
WITHOUT_INPUTS = {"score", "plan", "demo", "extract", "pack"}


@pytest.mark.parametrize("group", [main, plada_train], ids=["plada", "plada-train"])
def test_every_command_with_an_output_compares_it_with_its_inputs(group: click.Group) -> None:
    def commands(group: click.Group) -> Iterator[click.Command]:
        for command in group.commands.values():
            yield from commands(command) if isinstance(command, click.Group) else [command]

    for command in commands(group):
        names = {parameter.name for parameter in command.params}
        if names & {"output", "target", "plot", "folder"} and command.name not in WITHOUT_INPUTS:
            code = inspect.getsource(command.callback)  # type: ignore[arg-type]
            assert re.search(r"check_not_input\(|_check_output\(", code), command.name


@pytest.mark.parametrize(
    "script",
    [
        "plada encode - --from csv -o kept.csv --reference-size 100 --classes 5 < kept.csv",
        "plada encode kept.csv -o - --reference-size 100 --classes 5 >> kept.csv",
        "plada encode kept.csv -o /dev/stdout --reference-size 100 --classes 5 >> kept.csv",
        "plada channel < kept.csv >> kept.csv",
    ],
)
def test_standard_streams_are_inputs_and_outputs_too(folder: Path, script: str) -> None:
    done = shell(script)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert (folder / "kept.csv").read_text() == CSV


# Modes and links


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o200, 0o666])
def test_an_output_over_a_private_file_keeps_its_mode(folder: Path, mode: int) -> None:
    output, link = folder / "s.npz", folder / "link.npz"
    link.symlink_to(output)
    for name in (output, link):
        output.write_bytes(b"")
        output.chmod(mode)
        ok("decode", "s.plada", "-o", name)
        assert mode_of(output) == mode
        assert output.stat().st_size
    assert link.is_symlink()


def test_an_output_over_a_private_folder_keeps_its_mode(folder: Path) -> None:
    (folder / "sent").mkdir(mode=0o700)
    ok("packetize", "s.plada", "-o", "sent")
    assert mode_of(folder / "sent") == 0o700


def test_extracted_images_in_a_private_folder_keep_its_mode(folder: Path) -> None:
    (folder / "ref").mkdir()
    for number in range(100):
        (folder / "ref" / f"{number:02}.jpg").write_bytes(bytes([number]))
    (folder / "images").mkdir(mode=0o700)
    ok("extract", "s.plada", "--reference", "ref", "--no-check", "-o", "images")
    assert mode_of(folder / "images") == 0o700


def test_a_new_output_has_the_mode_of_the_umask(folder: Path) -> None:
    before = os.umask(0o027)
    try:
        ok("decode", "s.plada", "-o", "s.npz")
        ok("packetize", "s.plada", "-o", "sent")
    finally:
        os.umask(before)
    assert (mode_of(folder / "s.npz"), mode_of(folder / "sent")) == (0o640, 0o750)


@pytest.mark.parametrize("command", ["decode s.plada -o", "encode s.plada -o", "reassemble sent -o"])
def test_a_file_that_may_not_be_written_is_not_replaced(folder: Path, command: str) -> None:
    ok("packetize", "s.plada", "-o", "sent")
    output = folder / "o.csv"
    output.write_bytes(b"mine")
    output.chmod(0o444)
    assert "it may not be written" in fails(1, *command.split(), output)
    assert output.read_bytes() == b"mine"
    assert mode_of(output) == 0o444


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to give a file away")
def test_the_owner_of_a_replaced_file_stays(folder: Path) -> None:
    (folder / "o.csv").write_bytes(b"")
    os.chown(folder / "o.csv", 12_345, 23_456)
    ok("decode", "s.plada", "-o", "o.csv")
    info = (folder / "o.csv").stat()
    assert (info.st_uid, info.st_gid) == (12_345, 23_456)


def test_no_link_is_followed_for_a_file_that_only_we_name(folder: Path) -> None:
    (folder / "link").symlink_to("kept.csv")
    with atomic_write("link", follow_links=False) as file:
        file.write(b"new")
    assert (folder / "kept.csv").read_text() == CSV
    assert (folder / "link").read_bytes() == b"new"
    assert not (folder / "link").is_symlink()


# Litter


def litter(folder: Path) -> list[Path]:
    return list(folder.glob(".plada-*.tmp"))


def writing(folder: Path, output: str) -> subprocess.Popen[str]:
    """A process that writes frames for ever, to a file or a folder."""
    before = set(litter(folder))
    command = [*shlex.split(PLADA), *ENDLESS, output]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, preexec_fn=hear_ctrl_c)
    while not set(litter(folder)) - before:
        assert process.poll() is None
        time.sleep(0.01)
    return process


@pytest.mark.parametrize("output", ["a.frames", "a"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_leaves_no_temporary_file(folder: Path, output: str, number: signal.Signals) -> None:
    process = writing(folder, output)
    process.send_signal(number)
    _, said = process.communicate(timeout=30)
    if number == signal.SIGINT:
        assert (process.returncode, said) == (1, "plada: interrupted\n")
    else:
        assert (process.returncode, said) == (-number, "")
    assert litter(folder) == []
    assert not (folder / output).exists()


def test_a_signal_that_is_ignored_stays_ignored(folder: Path) -> None:
    ignoring = f"trap '' HUP; exec {PLADA} {' '.join(ENDLESS)} a.frames"
    process = subprocess.Popen(["bash", "-c", ignoring])
    while not litter(folder):
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGHUP)
    time.sleep(0.3)
    assert process.poll() is None
    process.terminate()
    assert process.wait(timeout=30) == -signal.SIGTERM
    assert litter(folder) == []


@pytest.mark.parametrize("output", ["a.frames", "a"])
def test_the_next_run_removes_temporary_files_of_killed_processes_alone(folder: Path, output: str) -> None:
    killed = writing(folder, output)
    killed.kill()
    killed.communicate()
    assert len(litter(folder)) == 1
    living = writing(folder, "b.frames")
    try:
        others = [folder / ".plada-notes.tmp", folder / ".plada-0123456789abcdef.tmp.bak"]
        for path in others:
            path.write_bytes(b"mine")
        (folder / ".plada-0123456789abcdef.tmp").symlink_to("kept.csv")
        ok("decode", "s.plada", "-o", "o.csv")
        assert all(path.exists() for path in others)
        assert len([path for path in litter(folder) if not path.is_symlink() and path not in others]) == 1
        assert (folder / "kept.csv").read_text() == CSV
    finally:
        living.terminate()
        assert living.wait(timeout=30) == -signal.SIGTERM


def test_an_error_leaves_everything_as_it_was(folder: Path) -> None:
    def fail() -> None:
        with atomic_write("kept.csv") as file, atomic_folder("new") as new:
            file.write(b"half")
            (new / "half").write_bytes(b"half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    with pytest.raises(FileError, match="it is not a folder"), atomic_folder("kept.csv"):
        pass
    assert (folder / "kept.csv").read_text() == CSV
    assert {path.name for path in folder.iterdir()} == {"kept.csv", "s.plada"}


# Closed and full streams


@pytest.mark.parametrize("stream", ["2>&-", "2>/dev/full", "<&- 2>&-"])
@pytest.mark.parametrize("module", ["plada_codec", "plada_train"])
def test_commands_work_without_standard_error(folder: Path, stream: str, module: str) -> None:
    if module == "plada_codec":
        assert shell(f"plada decode s.plada -o o.csv {stream}").returncode == 0
        assert (folder / "o.csv").read_text() == CSV
        assert shell(f"plada decode missing -o p.csv {stream}").returncode == 1
        assert shell(f"plada decode {stream}").returncode == 2
    else:
        assert shell(f"{sys.executable} -m plada_train --version {stream}").returncode == 0
        assert shell(f"{sys.executable} -m plada_train run {stream}").returncode == 2


def test_nothing_is_printed_into_a_file_that_has_the_number_of_a_closed_stream(folder: Path) -> None:
    program = (
        "import os, sys\n"
        "from plada_codec.cli.terminal import _open_closed_streams\n"
        "_open_closed_streams()\n"
        "print(os.open('new', os.O_WRONLY | os.O_CREAT))\n"
    )
    done = shell(f"{sys.executable} -c {shlex.quote(program)} <&- 2>&-")
    assert int(done.stdout) > 2


@pytest.mark.parametrize("arguments", ["--help", "--version", "decode --help", "-h"])
@pytest.mark.parametrize("module", ["plada_codec", "plada_train"])
@pytest.mark.parametrize(("stream", "said"), [(">&-", "is closed"), ("> /dev/full", "No space left on device")])
def test_help_on_a_closed_or_full_stream_is_one_line(arguments: str, module: str, stream: str, said: str) -> None:
    if module == "plada_train":
        arguments = arguments.replace("decode", "score")
    done = shell(f"{sys.executable} -m {module} {arguments} {stream}")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert said in done.stderr


def test_output_in_no_place_is_refused_before_work(folder: Path) -> None:
    assert run("decode", "s.plada", "-o", "missing/o.csv").exit_code == 1
    assert "No such file" in fails(1, "decode", "s.plada", "-o", "missing/o.csv")
