"""The published schemas are those of the code. Files that runs and plans write are checked where tests write them."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("torch", reason="needs the extra 'train'")

from plada_train.schemas import SCHEMAS, schema_text, write_schemas
from tests.helpers.paths import ROOT
from tests.helpers.schemas import validator

PUBLISHED = ROOT / "docs" / "schemas"


@pytest.mark.parametrize("name", SCHEMAS)
def test_a_published_schema_is_that_of_the_code(name: str) -> None:
    again = "write it again: python -m plada_train.schemas docs/schemas"
    assert (PUBLISHED / f"{name}.schema.json").read_text(encoding="utf-8") == schema_text(name), again
    assert validator(name)


def test_no_other_schema_is_published_and_all_are_written_at_once(tmp_path: Path) -> None:
    write_schemas(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {path.name for path in PUBLISHED.iterdir()}
