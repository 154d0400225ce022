"""The pages of docs/extending are true: each diff applies to the tree, and each example then works.

A page has one ```diff block, which adds something to a copy of the packages, and one ```python block, which uses it in
a new process.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.documents import blocks, name_of
from tests.helpers.paths import ROOT

FOLDER = ROOT / "docs" / "extending"
PAGES = sorted(page for page in FOLDER.glob("*.md") if blocks(page, "diff"))
#: Folders and files that a page may change.
TREE = ("plada_codec", "plada_train", "spec", "docs", "pyproject.toml")


def test_the_index_lists_every_page() -> None:
    index = (FOLDER / "index.md").read_text(encoding="utf-8")
    navigation = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    for page in FOLDER.glob("*.md"):
        assert page.name == "index.md" or f"]({page.name})" in index, page.name
        assert f"- {name_of(page)}\n" in navigation, page.name


@pytest.mark.processes
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_diff_applies_and_the_example_works(page: Path, tmp_path: Path) -> None:
    for name in TREE:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, tmp_path / name)
    (diff,) = blocks(page, "diff")
    environment = {**os.environ, "GIT_CEILING_DIRECTORIES": str(tmp_path.parent)}
    git_apply = ["git", "apply", "--whitespace=nowarn", "-"]
    applied = subprocess.run(git_apply, cwd=tmp_path, env=environment, input=diff, capture_output=True, text=True)
    assert applied.returncode == 0, f"The diff of {name_of(page)} is out of date: {applied.stderr}"
    (program,) = blocks(page, "python")
    environment["PYTHONPATH"] = str(tmp_path)
    python = [sys.executable, "-c", program]
    done = subprocess.run(python, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
