"""The documents are true: their links lead somewhere, their commands and examples are right.

Examples in Python are doctests, which pytest collects from all documents. Commands are run in the order of their
document, in an empty folder; one with a comment `# needs: ...` is only checked by its program's own parser.
"""

from __future__ import annotations

import doctest
import os
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from plada_codec.cli.main import main as plada
from plada_train.cli.main import main as plada_train
from tests.helpers.documents import DOCUMENTS, Command, anchors, blocks, commands, links, name_of, prose
from tests.helpers.paths import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
#: Commands that change the checkout or its environment: they are checked and not run.
NOT_RUN = ("make", "pip", "git", "pre-commit", ".venv/bin/pytest")
WITH_COMMANDS = [document for document in DOCUMENTS if commands(document)]


def test_the_readme_is_short() -> None:
    assert (ROOT / "README.md").stat().st_size <= 9_000


def test_one_version_is_named_everywhere() -> None:
    version = PROJECT["version"]
    assert f"\nversion: {version}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.findall(r"^## \[(.*?)\]", changelog, re.MULTILINE)[0] == version


def test_every_dependency_has_a_line_that_says_why() -> None:
    extras = PROJECT["optional-dependencies"].values()
    requirements = PROJECT["dependencies"] + [requirement for extra in extras for requirement in extra]
    rows = (ROOT / "docs" / "dependencies.md").read_text(encoding="utf-8")
    explained = {name for row in re.findall(r"^\| ([^|]*) \|", rows, re.MULTILINE) for name in row.split(", ")}
    assert {re.split(r"[<>=\[]", requirement)[0] for requirement in requirements} <= explained


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_every_link_leads_somewhere(document: Path) -> None:
    for path, anchor in links(document):
        target = document.parent / path if path else document
        assert target.exists(), path
        if anchor:
            assert anchor in anchors(target), f"{path}#{anchor}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_every_path_that_is_named_exists(document: Path) -> None:
    for path in re.findall(
        r"`((?:plada_codec|plada_train|spec|tests|bench|fuzz|docs|examples)/[\w./-]*)`", prose(document)
    ):
        assert (ROOT / path).exists(), path


def test_contributing_names_every_room() -> None:
    tables = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").split("## Where a change belongs")[0]
    for package in ("plada_codec", "plada_train"):
        part = tables.split(f"| room of `{package}`")[1].split("\n\n")[0]
        rooms = {path.relative_to(ROOT / package).parts[0] for path in (ROOT / package).rglob("*.py")}
        rooms = {room.removesuffix(".py") for room in rooms}
        for room in rooms - {"__init__", "__main__"}:
            assert f"`{room}`" in part or f"`{room}/`" in part, f"{package}/{room}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_python_examples_are_doctests_or_programs_that_a_test_runs(document: Path) -> None:
    if not name_of(document).startswith("docs/extending/"):
        assert all(block.startswith(">>> ") for block in blocks(document, "python"))


@pytest.mark.parametrize("document", WITH_COMMANDS, ids=name_of)
def test_commands_that_are_not_run_parse(document: Path) -> None:
    for command in commands(document):
        if command.needs or command.text.startswith(NOT_RUN):
            check(command)


@pytest.mark.processes
@pytest.mark.parametrize("document", WITH_COMMANDS, ids=name_of)
def test_commands_print_what_is_shown(document: Path, tmp_path: Path) -> None:
    pytest.importorskip("raptorq", reason="needs the extra 'frames'")
    folder = tmp_path / "work"
    folder.mkdir()
    environment = {**os.environ, "COLUMNS": "80", "SPEC": str(ROOT / "spec"), "PYTHONPATH": str(ROOT)}
    environment["PATH"] = f"{programs(tmp_path / 'bin')}:{os.environ['PATH']}"
    for command in commands(document):
        if command.needs or command.text.startswith(NOT_RUN):
            continue
        done = subprocess.run(
            ["bash", "-o", "pipefail", "-c", command.text], cwd=folder, env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, (command.text, done.stderr)
        if command.output:
            printed = re.sub(" +$", "", done.stdout, flags=re.MULTILINE)
            same = doctest.OutputChecker().check_output(command.output, printed, doctest.ELLIPSIS)
            assert same, f"{command.text}\n{done.stdout}"


def programs(folder: Path) -> Path:
    """A folder with the programs that documents call, of this interpreter."""
    folder.mkdir()
    for name, arguments in {"plada": "-m plada_codec", "plada-train": "-m plada_train", "python": ""}.items():
        (folder / name).write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} {arguments} "$@"\n')
        (folder / name).chmod(0o755)
    return folder


def check(command: Command) -> None:
    """Whether the programs of a command exist, and understand their arguments."""
    text = re.sub(r'"?\$\([^)]*\)"?', "1", command.text)
    for words in pipeline(text):
        match words:
            case ["plada", *arguments]:
                parse(plada, arguments)
            case ["plada-train", *arguments]:
                parse(plada_train, arguments)
            case ["torchrun", *arguments]:
                parse(plada_train, arguments[arguments.index("plada_train") + 1 :])
            case ["make", target, *_]:
                assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE), target
            case ["pip", "install", *arguments]:
                for extra in re.findall(r"\w+", " ".join(re.findall(r"\[(.*?)\]", " ".join(arguments)))):
                    assert extra in PROJECT["optional-dependencies"], extra
            case ["python", "-m", module, *_]:
                assert ROOT.joinpath(*module.split(".")).with_suffix(".py").exists(), module
            case ["python", script, *_]:
                assert (ROOT / script).exists(), script
            case [".venv/bin/pytest", *arguments]:
                assert all((ROOT / path).exists() for path in arguments if path.startswith("tests/"))
            case ["git" | "pre-commit", *_]:
                pass
            case _:
                raise AssertionError(f"no check for {words}")


def pipeline(text: str) -> Iterator[list[str]]:
    """The words of each program of a pipeline."""
    words: list[str] = []
    for word in [*shlex.split(text), "|"]:
        if word == "|":
            yield words
            words = []
        else:
            words.append(word)


def parse(command: click.Command, arguments: list[str]) -> None:
    """Have click parse the arguments; wrong ones raise a usage error."""
    while isinstance(command, click.Group):
        name, *arguments = arguments
        command = command.commands[name]
    command.make_context(command.name, arguments)
