"""The committed sizes keep the promise that each payload is smaller than in the paper's coding."""

from __future__ import annotations

from bench.bars import by_cell, size_of
from bench.table import OURS, RESULTS, read_rows


def test_every_payload_is_smaller_than_in_the_papers_coding() -> None:
    cells = by_cell(read_rows(RESULTS / "size.csv"))
    assert cells
    for cell, coders in cells.items():
        assert size_of(coders, OURS) < size_of(coders, "paper's zstd"), cell
