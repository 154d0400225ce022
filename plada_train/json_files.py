"""JSON files as frozen dataclasses: one way to JSON and back, and a JSON schema of each file.

A dataclass describes an object: its fields are the keys, in this order. pydantic reads the types of the fields, among
them the constraints of `plada_train.constraints`. A key may be missing only if its field has a default.

Reading is strict, as a file may have been edited, damaged or written by another version: unknown keys, wrong types and
numbers that are not finite or out of range raise an error that names the file and the key.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NewType, TypeVar, cast

import pydantic_core
from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.json_schema import GenerateJsonSchema

from plada_codec.errors import FileError
from plada_train.files import read_bytes, write_bytes

if TYPE_CHECKING:
    from pydantic.json_schema import JsonSchemaValue
    from pydantic_core import ErrorDetails
    from pydantic_core.core_schema import DataclassSchema
    from typing_extensions import TypeForm

T = TypeVar("T")

#: Characters of a key or a wrong value that an error message shows.
_SHOWN = 60
#: Plainer words than pydantic's, by its type of error.
_PLAIN = {"missing": "is missing", "unexpected_keyword_argument": "is not a known key"}


# To JSON


def to_json(value: Any) -> Any:
    r"""Plain values for `json.dumps`: objects for dataclasses, lists for tuples, texts for paths.

    Bytes of a file name that are not UTF-8 become text, such as `\udcff`: JSON has no other place for them.
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: to_json(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {to_json(key): to_json(each) for key, each in value.items()}
    if isinstance(value, tuple | list):
        return [to_json(each) for each in value]
    return str(value).encode(errors="backslashreplace").decode() if isinstance(value, str | Path) else value


def dumps(value: Any, indent: int | None = 2) -> str:
    """The JSON text of a dataclass or of plain values. Raises ValueError for a number that is not finite."""
    return json.dumps(to_json(value), indent=indent, allow_nan=False)


def write(path: Path, value: Any) -> None:
    """Write a JSON file that people can read. Raises FileError if it cannot be written."""
    write_bytes(path, (dumps(value) + "\n").encode())


# From JSON


def read(path: Path, kind: TypeForm[T]) -> T:
    """Read a JSON file as a `kind`. Raises FileError if it cannot be read or is not a `kind`."""
    return loads(read_bytes(path), kind, path)


def loads(text: str | bytes, kind: TypeForm[T], where: object) -> T:
    """Make a `kind`, which is a dataclass or a type of a field, of a JSON text.

    Raises:
        FileError: if the text is not JSON, or its values are not those of a `kind`. The message names `where`, the key,
            and the cure.
    """
    form: Any = kind  # the hash of a type of a type is unknown to mypy
    try:
        # Validation itself takes NaN for JSON
        pydantic_core.from_json(text, allow_inf_nan=False)
    except ValueError:
        raise FileError(f"{where} is not JSON: remove it", rule="file") from None
    try:
        made: T = _adapter(form).validate_json(text)
    except ValidationError as error:
        what = f"{where} is damaged, or another version wrote it ({_explained(error.errors()[0])})"
        raise FileError(f"{what}: remove it, or write it again", rule="file") from error
    return made


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)
    # pydantic takes no configuration beside a bare dataclass, but hands that of a NewType down to all dataclasses in it
    return TypeAdapter(cast(Any, NewType("File", kind)), config=config)


def _explained(error: ErrorDetails) -> str:
    """The key of a wrong value, and why it is wrong."""
    parts = (f".{part}" if str(part).isidentifier() else f"[{part!r}]" for part in error["loc"])
    key = "".join(parts).removeprefix(".")[:_SHOWN] or "the file"
    if error["type"] in _PLAIN:
        return f"{key} {_PLAIN[error['type']]}"
    what = f"{key}: {error['msg'].removeprefix('Value error, ')}"
    value = error["input"]
    return what if isinstance(value, dict | list) else f"{what}, not {repr(value)[:_SHOWN]}"


# Schemas


def schema(kind: Any, title: str) -> dict[str, Any]:
    """The JSON schema (draft 2020-12) of a file that holds a `kind`; its descriptions are those of docstrings."""
    described = _adapter(kind).json_schema(schema_generator=_Described)
    return {"$schema": _Described.schema_dialect, **described, "title": title}


class _Described(GenerateJsonSchema):
    """Schemas whose descriptions are those of the dataclasses' docstrings."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False  # a title would repeat the key

    def sort(self, value: JsonSchemaValue, parent_key: str | None = None) -> JsonSchemaValue:
        return value  # the file first, then its parts

    def dataclass_schema(self, schema: DataclassSchema) -> JsonSchemaValue:
        kind = schema["cls"]
        made = super().dataclass_schema(schema) | {"description": (kind.__doc__ or "").partition("\n\n")[0]}
        for base in reversed(kind.__mro__):
            for name, description in _attributes(base.__doc__ or ""):
                if name in made["properties"]:
                    made["properties"][name]["description"] = description
        return made


def _attributes(docstring: str) -> Iterator[tuple[str, str]]:
    """Names and descriptions of a docstring's section "Attributes"."""
    section = docstring.partition("    Attributes:\n")[2].partition("\n\n")[0]
    for names, description in re.findall(r"^ {8}([\w, ]+): (.*(?:\n {12}.*)*)", section, re.MULTILINE):
        for name in names.split(", "):
            yield name, " ".join(description.split())
