"""JSON files as frozen dataclasses: one way to JSON and back, and a JSON schema of each file.

A dataclass describes an object: its fields are the keys, in this order. The type of a field is `bool`, `int`, `float`,
`str`, `Path`, `Literal`, `Any`, another dataclass, `tuple`, `dict[str, ...]`, or a union of these. `Annotated` adds
what a value must fulfil: a `Range` or a `Pattern`. A key may be missing only if its field has a default.

Reading is strict, as a file may have been edited, damaged or written by another version: unknown keys, wrong types and
numbers that are not finite or out of range raise an error that names the file and the key.
"""

from __future__ import annotations

import dataclasses
import json
import math
import re
from collections.abc import Iterator
from dataclasses import MISSING, Field, dataclass
from functools import cache
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from plada_codec.errors import FileError
from plada_codec.limits import MAX_VARINT
from plada_train.files import read_bytes, write_bytes

T = TypeVar("T")

#: Characters of a wrong value that an error message shows.
_SHOWN = 40
_DIALECT = "https://json-schema.org/draft/2020-12/schema"


@dataclass(frozen=True)
class Range:
    """Numbers of at least `minimum` and at most `maximum`, or above `above` and below `below`."""

    minimum: float | None = None
    maximum: float | None = None
    above: float | None = None
    below: float | None = None

    def holds(self, value: float) -> bool:
        """Whether a number is in the range."""
        return (
            (self.minimum is None or value >= self.minimum)
            and (self.maximum is None or value <= self.maximum)
            and (self.above is None or value > self.above)
            and (self.below is None or value < self.below)
        )

    def schema(self) -> dict[str, Any]:
        """The range in the words of JSON Schema."""
        limits = {
            "minimum": self.minimum,
            "maximum": self.maximum,
            "exclusiveMinimum": self.above,
            "exclusiveMaximum": self.below,
        }
        return {keyword: limit for keyword, limit in limits.items() if limit is not None}

    def __str__(self) -> str:
        limits = {"at least": self.minimum, "above": self.above, "at most": self.maximum, "below": self.below}
        return " and ".join(f"{words} {limit:.12g}" for words, limit in limits.items() if limit is not None)


@dataclass(frozen=True)
class Pattern:
    """Texts that match a regular expression as a whole."""

    regex: str

    def holds(self, value: str) -> bool:
        """Whether a text matches."""
        return re.fullmatch(self.regex, value) is not None

    def schema(self) -> dict[str, Any]:
        """The pattern in the words of JSON Schema."""
        return {"pattern": f"^(?:{self.regex})$"}

    def __str__(self) -> str:
        return f"of the form {self.regex}"


#: A whole number from 0, or from 1; a share such as an accuracy; a digest in hexadecimal.
Count = Annotated[int, Range(0, MAX_VARINT)]
Positive = Annotated[int, Range(1, MAX_VARINT)]
Share = Annotated[float, Range(0, 1)]
#: A share that is neither nothing nor all.
Part = Annotated[float, Range(above=0, below=1)]
Seconds = Annotated[float, Range(0)]
Digest = Annotated[str, Pattern("[0-9a-f]*")]


# To JSON


def to_json(value: Any) -> Any:
    """Plain values for `json.dumps`: objects for dataclasses, lists for tuples, texts for paths."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: to_json(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {key: to_json(each) for key, each in value.items()}
    if isinstance(value, tuple | list):
        return [to_json(each) for each in value]
    return str(value) if isinstance(value, Path) else value


def dumps(value: Any, indent: int | None = 2) -> str:
    """The JSON text of a dataclass or of plain values. Raises ValueError for a number that is not finite."""
    return json.dumps(to_json(value), indent=indent, allow_nan=False)


def write(path: Path, value: Any) -> None:
    """Writes a JSON file that people can read. Raises FileError if it cannot be written."""
    write_bytes(path, (dumps(value) + "\n").encode())


# From JSON


class _Mismatch(ValueError):
    """A value is not of the type that its key asks for."""


def loads(text: str | bytes, where: object) -> Any:
    """The plain values of a JSON text. Raises FileError, which names `where`, if it is not JSON."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise FileError(f"{where} is not JSON: remove it", rule="file") from None


def read(path: Path, kind: type[T]) -> T:
    """Reads a JSON file as a `kind`. Raises FileError if it cannot be read or is not a `kind`."""
    return from_json(loads(read_bytes(path), path), kind, path)


def from_json(value: Any, kind: type[T], where: object) -> T:
    """A `kind`, which is a dataclass or a type of a field, from plain JSON values.

    Raises:
        FileError: if the values are not those of a `kind`. The message names `where`, the key, and the cure.
    """
    try:
        made: T = _made(kind, value, "")
    except _Mismatch as error:
        what = f"{where} is damaged, or another version wrote it ({error})"
        raise FileError(f"{what}: remove it, or write it again", rule="file") from error
    return made


def _made(kind: Any, value: Any, key: str) -> Any:
    """The value as a `kind`. Raises _Mismatch, which names the key, if it is none."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Annotated:
        made = _made(arguments[0], value, key)
        for rule in _rules(arguments[1:]):
            if not rule.holds(made):
                raise _mismatch(key, value, str(rule))
        return made
    if origin in (Union, UnionType):
        return _made_of_union(arguments, value, key)
    if origin is Literal:
        if not any(value is each or (type(value) is type(each) and value == each) for each in arguments):
            raise _mismatch(key, value, f"one of {', '.join(map(str, arguments))}")
        return value
    if origin is tuple:
        return _made_tuple(arguments, value, key)
    if origin is dict:
        if not isinstance(value, dict):
            raise _mismatch(key, value, "an object")
        return {name: _made(arguments[1], each, _join(key, name)) for name, each in value.items()}
    if dataclasses.is_dataclass(kind):
        return _made_dataclass(kind, value, key)
    if kind is Any:
        _check_finite(value, key)
        return value
    return _made_scalar(kind, value, key)


def _made_scalar(kind: Any, value: Any, key: str) -> Any:
    is_bool = isinstance(value, bool)
    if kind is float and isinstance(value, int | float) and not is_bool:
        _check_finite(value, key)
        return value
    if kind is Path and isinstance(value, str):
        return Path(value)
    if isinstance(value, kind) and is_bool == (kind is bool):
        return value
    raise _mismatch(key, value, _NAMES[kind])


def _made_of_union(kinds: tuple[Any, ...], value: Any, key: str) -> Any:
    """The value as the first of the `kinds` that it fits."""
    if value is None and NoneType in kinds:
        return None
    kinds = tuple(kind for kind in kinds if kind is not NoneType)
    for kind in kinds[:-1]:
        try:
            return _made(kind, value, key)
        except _Mismatch:
            continue
    return _made(kinds[-1], value, key)


def _made_tuple(kinds: tuple[Any, ...], value: Any, key: str) -> tuple[Any, ...]:
    if not isinstance(value, list):
        raise _mismatch(key, value, "a list")
    if kinds[-1] is Ellipsis:
        kinds = kinds[:1] * len(value)
    if len(kinds) != len(value):
        raise _mismatch(key, value, f"a list of {len(kinds)} values")
    return tuple(_made(kind, each, f"{key}[{i}]") for i, (kind, each) in enumerate(zip(kinds, value, strict=True)))


def _made_dataclass(kind: Any, value: Any, key: str) -> Any:
    if not isinstance(value, dict):
        raise _mismatch(key, value, "an object")
    fields = {field.name: field for field in dataclasses.fields(kind)}
    for name in value:
        if name not in fields:
            raise _Mismatch(f"{_join(key, name)[: 2 * _SHOWN]} is not a known key")
    made = {}
    for name, field in fields.items():
        if name in value:
            made[name] = _made(field_types(kind)[name], value[name], _join(key, name))
        elif _is_required(field):
            raise _Mismatch(f"{_join(key, name)} is missing")
    try:
        return kind(**made)
    except ValueError as error:  # raised by the class's own checks, an error of ours among them
        raise _Mismatch(f"{key}: {error.args[0]}" if key else str(error.args[0])) from error


def _check_finite(value: Any, key: str) -> None:
    """Raises _Mismatch if a number in a value is not finite."""
    if isinstance(value, dict):
        for name, each in value.items():
            _check_finite(each, _join(key, name))
    elif isinstance(value, list):
        for i, each in enumerate(value):
            _check_finite(each, f"{key}[{i}]")
    elif isinstance(value, float) and not math.isfinite(value):
        raise _mismatch(key, value, "a finite number")


_NAMES = {bool: "true or false", int: "a whole number", float: "a number", str: "a text", Path: "a path"}


def _mismatch(key: str, value: Any, wanted: str) -> _Mismatch:
    shown = repr(value)
    shown = shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}..."
    return _Mismatch(f"{key or 'the file'} is not {wanted}: {shown}")


def _join(key: str, name: str) -> str:
    return f"{key}.{name}" if key else name


def _is_required(field: Field[Any]) -> bool:
    return field.default is MISSING and field.default_factory is MISSING


def _rules(metadata: tuple[Any, ...]) -> Iterator[Any]:
    """The ranges and patterns among the metadata of an `Annotated`."""
    return (rule for rule in metadata if isinstance(rule, Range | Pattern))


@cache
def field_types(kind: Any) -> dict[str, Any]:
    """Types of a dataclass's fields, by name."""
    return get_type_hints(kind, include_extras=True)


# Schemas


def schema(kind: Any, title: str) -> dict[str, Any]:
    """The JSON schema (draft 2020-12) of what `from_json` takes for a `kind`; descriptions are those of docstrings."""
    definitions: dict[str, Any] = {}
    root = _schema(kind, definitions)
    if "$ref" in root:
        root = definitions.pop(root["$ref"].rpartition("/")[2])
    return {"$schema": _DIALECT, "title": title, **root} | ({"$defs": definitions} if definitions else {})


def _schema(kind: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    """The schema of a type; those of dataclasses are added to the `definitions`."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Annotated:
        result = _schema(arguments[0], definitions)
        for rule in _rules(arguments[1:]):
            result |= rule.schema()
        return result
    if origin in (Union, UnionType):
        return {"anyOf": [_schema(each, definitions) for each in arguments]}
    if origin is Literal:
        return {"enum": list(arguments)}
    if origin is tuple:
        if arguments[-1] is Ellipsis:
            return {"type": "array", "items": _schema(arguments[0], definitions)}
        items = [_schema(each, definitions) for each in arguments]
        return {"type": "array", "prefixItems": items, "items": False, "minItems": len(items)}
    if origin is dict:
        return {"type": "object", "additionalProperties": _schema(arguments[1], definitions)}
    if dataclasses.is_dataclass(kind):
        name = getattr(kind, "__name__", "")
        if name not in definitions:
            definitions[name] = {}  # the place in the order of use
            definitions[name] = _schema_of_dataclass(kind, definitions)
        return {"$ref": f"#/$defs/{name}"}
    types = {bool: "boolean", int: "integer", float: "number", str: "string", Path: "string", NoneType: "null"}
    return {} if kind is Any else {"type": types[kind]}


def _schema_of_dataclass(kind: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    descriptions = dict(each for base in reversed(kind.__mro__) for each in _described(base.__doc__ or ""))
    properties = {}
    for field in dataclasses.fields(kind):
        properties[field.name] = _schema(field_types(kind)[field.name], definitions)
        if field.name in descriptions:
            properties[field.name]["description"] = descriptions[field.name]
    return {
        "description": (kind.__doc__ or "").partition("\n\n")[0],
        "type": "object",
        "properties": properties,
        "required": [field.name for field in dataclasses.fields(kind) if _is_required(field)],
        "additionalProperties": False,
    }


def _described(docstring: str) -> Iterator[tuple[str, str]]:
    """Names and descriptions of a docstring's section "Attributes"."""
    section = docstring.partition("    Attributes:\n")[2].partition("\n\n")[0]
    for names, description in re.findall(r"^ {8}([\w, ]+): (.*(?:\n {12}.*)*)", section, re.MULTILINE):
        for name in names.split(", "):
            yield name, " ".join(description.split())
