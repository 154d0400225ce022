"""The benchmark of tables measures each reader on the same rows, and gives each of our texts a bar."""

from __future__ import annotations

import pytest

for package in ("pandas", "polars", "pyarrow"):
    pytest.importorskip(package, reason="needs the extras 'arrow' and 'bench'")

from bench import tables
from plada_codec.progress import progress_bar


def test_each_table_is_read_by_plada_and_by_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "TURNS", 1)
    with progress_bar("reading tables") as progress:
        rows = list(tables.measured(200, progress))
    layouts = {(row["format"], row["layout"]) for row in rows}
    for format, layout in layouts:
        readers = [row["reader"] for row in rows if (row["format"], row["layout"]) == (format, layout)]
        assert "plada" in readers
        assert "pandas" in readers
    assert all((row["bar_s"] != "") == (row["reader"] == "plada" and row["format"] == "csv") for row in rows)
