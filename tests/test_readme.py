"""The README says what is so: its figures are those of the committed CSVs (its examples are doctests)."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from bench.bars import by_cell, size_of
from bench.figures import BEGIN, END, figures
from bench.table import OURS, RESULTS, read_rows

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_figures_are_those_of_the_committed_results() -> None:
    assert README.split(BEGIN)[1].split(END)[0] == figures()


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
