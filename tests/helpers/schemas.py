"""Check JSON values against the schemas that are published in `docs/schemas`."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from jsonschema import Draft202012Validator

from tests.helpers.paths import ROOT


@cache
def validator(name: str) -> Draft202012Validator:
    """The validator of a published schema."""
    schema = json.loads((ROOT / "docs" / "schemas" / f"{name}.schema.json").read_text(encoding="utf-8"))
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


def assert_valid(name: str, value: Any) -> None:
    """Raise AssertionError, which says where, if plain values are not those of a schema."""
    assert [f"{error.json_path}: {error.message}" for error in validator(name).iter_errors(value)] == []
