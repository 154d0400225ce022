"""The README says what is so (its examples are doctests; test_readme_figures.py looks at its figures)."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from bench.bars import by_cell, size_of
from bench.table import OURS, RESULTS, read_rows
from plada_codec import Payload, encode
from tests.helpers.paths import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_every_dependency_has_a_line_that_says_why() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    requirements = project["dependencies"] + [r for extra in project["optional-dependencies"].values() for r in extra]
    table = README.split("## Why each dependency")[1]
    for requirement in requirements:
        name = re.split(r"[<>=\[]", requirement)[0]
        assert name in table or ("types-*" in table and name.startswith("types-")), name


def test_every_link_leads_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (ROOT / target).exists(), target


def test_every_payload_is_smaller_than_in_the_papers_coding() -> None:
    cells = by_cell(read_rows(RESULTS / "size.csv"))
    assert cells
    for cell, coders in cells.items():
        assert size_of(coders, OURS) < size_of(coders, "paper's zstd"), cell


@pytest.mark.processes
def test_the_commands_for_narrow_links_print_what_it_shows(tmp_path: Path) -> None:
    pytest.importorskip("raptorq", reason="needs the extra 'frames'")
    section = README.split("## Over a narrow, lossy link")[1].split("\n## ")[0]
    (tmp_path / "task.plada").write_bytes(encode(Payload(range(0, 40_000, 7), [0, 1, 2] * 1905, 40_000, 12)))
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "COLUMNS": "80"}
    commands = 0
    for block in re.findall(r"```console\n(.*?)```", section, re.DOTALL):
        for said in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, shown = re.sub(r" *\\\n *", " ", said).partition("\n")
            if "/dev/tty" in command:
                continue
            commands += 1
            done = subprocess.run(
                ["bash", "-o", "pipefail", "-c", command], cwd=tmp_path, env=environment, capture_output=True, text=True
            )
            assert done.returncode == 0, (command, done.stderr)
            assert not shown or done.stdout == shown, command
    assert commands >= 8
