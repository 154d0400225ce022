"""Tables in JSON: an object on each line, or one document.

A document is an array of objects, an array of arrays, or an object of columns. A column is an array, or an object whose
keys are row numbers, as pandas writes it; the `split` layout of pandas is read, too. The columns are chosen by the keys
of the first object.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from plada_codec.errors import FileError, InvalidArgument, LimitExceeded
from plada_codec.tables.table import Choice, Table, TableBuilder, column_of, row_number, table_of
from plada_codec.tables.text.lines import line_blocks

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from plada_codec.tables.table import Values

#: Bytes in memory, at most, of an object, of an array, and of a value, for each character of JSON that begins one.
_MEMORY = {b"{": 232, b"[": 64, b",": 40}
#: A document is read only if its values take no more memory than this.
_MAX_MEMORY = 1 << 29


def read_json_lines(stream: BinaryIO, choice: Choice, check_rows: Callable[[int], None]) -> Table:
    """Read a JSON object from each line that is not blank.

    Raises:
        FileError: if a line is no such object; the message names the line.
        InvalidArgument: (rule columns) if it is not clear which keys to read.
    """
    builder = TableBuilder(check_rows)
    keys: tuple[str, str] | None = None
    for number, block in line_blocks(stream):
        lines = block.split(b"\n")[:-1]
        filled = [at for at, line in enumerate(lines) if line and not line.isspace()]
        if filled:
            numbers = number + np.array(filled)
            rows = _objects([lines[at] for at in filled], numbers)
            keys = keys or _keys(rows[0], choice, f"line {numbers[0]}")
            builder.image_column = keys[0]
            images = _values(rows, keys[0], numbers, "index")
            builder.add(images, _values(rows, keys[1], numbers, "label"), numbers)
    return builder.table()


def read_json(data: bytes, choice: Choice, check_rows: Callable[[int], None]) -> Table:
    """Read a JSON document, or JSON lines.

    Raises:
        FileError: if it is no such document; the message names the row, from 1.
        InvalidArgument: (rule columns) if it is not clear which columns to read.
        LimitExceeded: if it would take too much memory.
    """
    if sum(size * data.count(character) for character, size in _MEMORY.items()) > _MAX_MEMORY:
        raise LimitExceeded("it is too large for a JSON document: use JSON lines", rule="limit-stream-bytes")
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        if "Extra data" in str(error):
            return read_json_lines(io.BytesIO(data), choice, check_rows)
        reason = str(error) if isinstance(error, json.JSONDecodeError) else "too deeply nested, or of too long numbers"
        raise FileError(f"it is not JSON: {reason}", rule="file") from None
    images, labels, name = _columns(document, choice)
    if len(images) != len(labels):
        raise FileError(f"{len(images)} indices, but {len(labels)} labels", rule="file")
    check_rows(len(images))
    return table_of(column_of(images, row_number, "index"), column_of(labels, row_number, "label"), row_number, name)


class _Missing:
    """A value that is not there."""


_MISSING = _Missing()


def _values(rows: list[dict[str, Any]], key: str, numbers: NDArray[np.int64], what: str) -> Values:
    """The column of one key. `numbers` are the lines of the rows."""
    values = [row.get(key, _MISSING) for row in rows]
    if _MISSING in values:
        raise FileError(f"line {numbers[values.index(_MISSING)]}: it has no {key!r}", rule="file")
    return column_of(values, lambda at: f"line {numbers[at]}", what)


def _objects(lines: list[bytes], numbers: NDArray[np.int64]) -> list[dict[str, Any]]:
    """The object of each line. All lines together are an array, which is read at once."""
    if all(line.lstrip().startswith(b"{") and line.rstrip().endswith(b"}") for line in lines):
        try:
            rows: list[dict[str, Any]] = json.loads(b"[" + b",".join(lines) + b"]")
            if len(rows) == len(lines):
                return rows
        except (ValueError, RecursionError):
            pass
    rows = []
    for number, line in zip(numbers.tolist(), lines, strict=True):
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            row = None
        if not isinstance(row, dict):
            shown = ascii(line[:40].decode("utf-8", "replace").strip())
            hint = "; a document of JSON is the format json" if line.lstrip().startswith(b"[") else ""
            raise FileError(f"line {number}: {shown} is not a JSON object{hint}", rule="file")
        rows.append(row)
    return rows


def _keys(row: dict[str, Any], choice: Choice, place: str) -> tuple[str, str]:
    names = list(row)
    try:
        image, label = choice.of(names)
    except InvalidArgument as error:
        raise InvalidArgument(f"{place}: {error.args[0]}", rule=error.rule) from None
    return names[image], names[label]


def _columns(document: Any, choice: Choice) -> tuple[list[Any], list[Any], str | None]:
    """The values of images and labels, and the name of the images' column."""
    if isinstance(document, dict) and {"columns", "index", "data"} <= set(document):  # pandas: split, tight
        rows, names = document["data"], document["columns"]
        if isinstance(names, list) and all(isinstance(name, str) for name in names):
            columns = choice.of(names)
            return *_of_arrays(rows, columns, len(names)), names[columns[0]]
    if isinstance(document, dict):
        names = list(document)
        image, label = choice.of(names)
        images, labels = document[names[image]], document[names[label]]
        if isinstance(images, dict) and isinstance(labels, dict) and list(images) == list(labels):
            return list(images.values()), list(labels.values()), names[image]
        if isinstance(images, list) and isinstance(labels, list):
            return images, labels, names[image]
        if not isinstance(images, list | dict) and not isinstance(labels, list | dict):
            return [images], [labels], names[image]
    elif isinstance(document, list):
        if not document:
            return [], [], None
        if isinstance(document[0], dict):
            keys = _keys(document[0], choice, row_number(0))
            for at, row in enumerate(document):
                for key in keys:
                    if not isinstance(row, dict) or key not in row:
                        raise FileError(f"{row_number(at)}: it is no object, or has no {key!r}", rule="file")
            return [row[keys[0]] for row in document], [row[keys[1]] for row in document], keys[0]
        if isinstance(document[0], list):
            width = len(document[0])
            return *_of_arrays(document, choice.of_unnamed(width), width), None
    raise FileError("it is no table: no array of objects or of arrays, and no object of columns", rule="file")


def _of_arrays(rows: Any, columns: tuple[int, int], width: int) -> tuple[list[Any], list[Any]]:
    if not isinstance(rows, list):
        raise FileError("it is no table: its data are no array", rule="file")
    for at, row in enumerate(rows):
        if not isinstance(row, list) or len(row) != width:
            raise FileError(f"{row_number(at)}: it is no array of {width} values", rule="file")
    return [row[columns[0]] for row in rows], [row[columns[1]] for row in rows]
