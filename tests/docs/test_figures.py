"""The README's figures are those of the committed CSVs."""

from __future__ import annotations

import pytest

from tests.helpers.paths import ROOT

# The figures name what was planned to be measured, and the plans name networks.
pytest.importorskip("torch", reason="needs the extra 'train'")

from bench.figures import BEGIN, END, figures

pytestmark = pytest.mark.training


def test_the_figures_are_those_of_the_committed_results() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert readme.split(BEGIN)[1].split(END)[0] == figures()
