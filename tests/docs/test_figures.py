"""The generated part of docs/figures.md agrees with the committed CSV files."""

from __future__ import annotations

import pytest

# The figures name what was planned to be measured, and the plans name networks.
pytest.importorskip("torch", reason="needs the extra 'train'")

from bench.figures import BEGIN, END, PAGE, figures

pytestmark = pytest.mark.training


def test_the_figures_are_those_of_the_committed_results() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert page.split(BEGIN)[1].split(END)[0] == figures()
