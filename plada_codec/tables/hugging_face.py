"""What Hugging Face's package `datasets` says of a table's columns, in the metadata of its schema."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

_METADATA_KEY = b"huggingface"


def features_in(metadata: Mapping[bytes, bytes] | None) -> dict[str, Mapping[str, Any]]:
    """The features of the columns, by the name of the column; none if `datasets` did not write the table.

    Raises:
        ValueError, AttributeError, RecursionError: if the metadata are damaged.
    """
    found = json.loads((metadata or {}).get(_METADATA_KEY, b"{}")).get("info", {}).get("features", {})
    return {name: feature for name, feature in found.items() if isinstance(feature, dict)}


def is_list_of_names(names: object) -> bool:
    """Whether these may be the names of a ClassLabel: a list of strings."""
    return isinstance(names, list) and all(isinstance(name, str) for name in names)


def class_names_in(metadata: Mapping[bytes, bytes] | None, column: str) -> tuple[str, ...] | None:
    """The names of the classes of a column, if it is a ClassLabel; None also if the metadata are damaged."""
    try:
        feature = features_in(metadata).get(column, {})
    except (ValueError, AttributeError, RecursionError):
        return None
    names = feature.get("names")
    return tuple(names or ()) if feature.get("_type") == "ClassLabel" and is_list_of_names(names) else None
