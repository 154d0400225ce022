"""Every command's help has examples, and they are right: those of `plada` run, those of `plada-train` are understood.

Teachers and students of `plada-train`'s examples have the weights of a hub and take hours: the commands themselves are
run by the other tests, on small models.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from inspect import cleandoc
from pathlib import Path

import click
import numpy as np
import pytest
from click.testing import CliRunner

from plada_codec import open_images, reference_digest
from plada_codec.cli.main import main as plada
from plada_train.cli.main import main as plada_train
from tests.helpers.paths import ROOT


def commands(group: click.Group, name: str) -> Iterator[tuple[str, click.Command]]:
    for each in group.commands.values():
        if isinstance(each, click.Group):
            yield from commands(each, f"{name} {each.name}")
        else:
            yield f"{name} {each.name}", each


def examples(name: str, command: click.Command) -> list[list[str]]:
    """The arguments of each example in a command's help."""
    text = command.get_help(click.Context(command, info_name=name, max_content_width=110))
    blocks = re.findall(r"(?m)^ *(?:Example|Examples|More examples):\n((?:.*\S.*\n?)+)", text)
    assert blocks
    lines = "".join(blocks).replace("\\\n", " ").strip().splitlines()
    found = []
    for line in lines:
        words = shlex.split(
            line.replace("python -m plada_train", "plada-train").replace("-m plada_train", "plada-train")
        )
        start = words.index(name.split()[0])
        assert words[start : start + len(name.split())] == name.split()
        found.append(words[start + len(name.split()) :])
    return found


CODEC = dict(commands(plada, "plada"))
TRAIN = dict(commands(plada_train, "plada-train"))
#: Examples with these words are for a shell.
SHELL = {"|", "<", ">"}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Change to a folder that has the files that the examples of `plada` name."""
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(0)
    indices = np.sort(random.choice(40_000, 300, replace=False))
    rows = "".join(f"{index},{label}\n" for index, label in zip(indices, random.integers(0, 12, 300), strict=True))
    (tmp_path / "kept.csv").write_text(f"index,label\n{rows}")
    for shard in range(2):
        image = tmp_path / f"{shard}.jpg"
        image.write_bytes(b"P5 1 1 255 " + bytes([shard]))
        with tarfile.open(tmp_path / f"ref-{shard:03}.tar", "w") as archive:
            archive.add(image, image.name)
    (tmp_path / "spec").symlink_to(ROOT / "spec")
    assert invoke("plada encode", examples("plada encode", CODEC["plada encode"])[0]) == 0
    (tmp_path / "few.csv").write_text("1,0\n")
    (tmp_path / "named.csv").write_text("filename,label\n1.jpg,dog\n0.jpg,cat\n")
    (tmp_path / "names.txt").write_text("cat\ndog\n")
    digest = reference_digest(open_images(tmp_path / "ref-{000..001}.tar")).hex()
    few = ["few.csv", "-o", "received.plada", "--reference-size", "2", "--classes", "1", "--reference-digest", digest]
    assert invoke("plada encode", few) == 0
    assert invoke("plada packetize", ["task.plada", "-o", "received"]) == 0
    for name in ("sent.frames", "received.frames"):
        assert invoke("plada carousel", ["task.plada", "-o", name, "--count", "9"]) == 0
    return tmp_path


def invoke(name: str, arguments: list[str]) -> int:
    if not SHELL.isdisjoint(arguments):
        script = " ".join(word if word in SHELL else shlex.quote(word) for word in [*name.split(), *arguments])
        plada_is = f'plada() {{ {shlex.quote(sys.executable)} -m plada_codec "$@"; }}; set -o pipefail; '
        return subprocess.run(["bash", "-c", plada_is + script], timeout=60).returncode
    words = [word.replace("python ", f"{sys.executable} ") for word in arguments]
    result = CliRunner().invoke(plada, [*name.split()[1:], *words])
    assert not result.exception or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code


@pytest.mark.processes
@pytest.mark.parametrize("name", CODEC)
def test_the_examples_in_the_help_of_plada_run(name: str, folder: Path) -> None:
    if name == "plada reference check":
        pytest.importorskip("PIL", reason="needs the extra 'images'")
    for arguments in examples(name, CODEC[name]):
        assert invoke(name, arguments) == 0


@pytest.mark.parametrize("command", [*CODEC.values(), *TRAIN.values()], ids=[*CODEC, *TRAIN])
def test_an_example_follows_the_summary(command: click.Command) -> None:
    summary, after = cleandoc(command.help or "").split("\n\n")[:2]
    assert "\n" not in summary
    assert after.startswith(("\b\nExample:", "\b\nExamples:"))


@pytest.mark.parametrize("group", [plada, plada_train])
def test_each_summary_fits_a_line_of_80_columns(group: click.Group) -> None:
    text = CliRunner().invoke(group, ["--help"], terminal_width=80).output
    for each in group.commands.values():
        assert f"{each.name} " in text
        assert str(each.help).partition("\n\n")[0].removesuffix(".") in text


@pytest.mark.parametrize("name", TRAIN)
def test_the_examples_in_the_help_of_plada_train_parse(name: str) -> None:
    found = examples(name, TRAIN[name])
    assert found
    for arguments in found:
        TRAIN[name].make_context(name, list(arguments))
