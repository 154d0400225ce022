"""Images in the rows of a table: the columns of images and of labels, and a source that reads them block by block.

Section 2.3 of spec/reference-digest.md. The tables are those of pyarrow (extra `arrow`).
"""

from __future__ import annotations

import os
from abc import abstractmethod
from array import array
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, NamedTuple

from plada_codec.errors import SourceError, first_line
from plada_codec.extras import extra_module
from plada_codec.reference.base import MAX_IMAGES, NO_LABEL, ImageSource
from plada_codec.reference.sources.unsupported import source_errors
from plada_codec.tables.hugging_face import features_in, is_list_of_names

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

#: Column of the labels, if the metadata name none.
_LABEL = "label"


class Columns(NamedTuple):
    """The columns of a table that matter.

    Attributes:
        image: name of the column of the images.
        parts: leaves of that column in a struct: `bytes`, and `path` if there is one; () if it is binary itself.
        label: name of the column of the labels, or None.
        class_names: names of the classes, or None.
        fault: the reason why there is no column of labels, although there are candidates; "" if there is none.
    """

    image: str
    parts: tuple[str, ...]
    label: str | None
    class_names: tuple[str, ...] | None
    fault: str


class _Block(NamedTuple):
    """A part of a column, and the number of the image of its first row."""

    first: int
    column: Any


class TableImages(ImageSource):
    """The images of the rows of tables. It keeps two blocks of images in memory, and two of names.

    Args:
        source: the source as the user named it.
        columns: the columns of all its tables.
        tables: the file of each table, or a name.
        rows: number of rows of each table.
    """

    def __init__(self, source: str, columns: Columns, tables: list[Path], rows: list[int]) -> None:
        super().__init__(source)
        self._columns = columns
        self._tables = tables
        self._firsts = array("q", [0])
        for count in rows:
            self._firsts.append(self._firsts[-1] + count)
        if self._firsts[-1] > MAX_IMAGES:
            raise SourceError(f"{source} has more than {MAX_IMAGES} rows", rule="source-limits")
        # By leaf; the last two of each, because threads read at the end of one and in the next
        self._blocks: dict[str, tuple[_Block, ...]] = {}
        self._locks: dict[int, Lock] = {}  # by process: a fork leaves a lock as it is

    def __len__(self) -> int:
        return self._firsts[-1]

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_blocks": {}, "_locks": {}}

    @property
    def labels(self) -> NDArray[np.int32]:
        import numpy as np

        if self._columns.fault:
            raise SourceError(f"{self.source} {self._columns.fault}", rule="table-label")
        if self._columns.label is None:
            return super().labels
        found = np.full(len(self), NO_LABEL, dtype=np.int32)
        row = 0
        for table in range(len(self._tables)):
            with source_errors(self._tables[table]):
                for column in self._label_columns(table):
                    if row + len(column) > self._firsts[table + 1]:
                        raise ValueError("more labels than rows")
                    numbers = column.fill_null(NO_LABEL).to_numpy(zero_copy_only=False)
                    found[row : row + len(column)] = self._class_numbers(numbers, row)
                    row += len(column)
                if row != self._firsts[table + 1]:
                    raise ValueError("fewer labels than rows")
        return found

    @property
    def class_names(self) -> tuple[str, ...] | None:
        return self._columns.class_names

    @abstractmethod
    def _read_block(self, table: int, row: int, leaf: str) -> tuple[int, Any]:
        """The part of a table with this row: its first row, and the column of images (a pyarrow Array).

        Only `leaf` of it is needed: "bytes" or "path", or "" if the column is binary.
        """

    @abstractmethod
    def _label_columns(self, table: int) -> Iterator[Any]:
        """The column of the labels of a table, in parts (pyarrow Arrays)."""

    def _cell(self, i: int, leaf: str) -> Any:
        """A leaf of the cell of image `i`."""
        block = self._known(i, leaf)
        if block is None:
            with self._locks.setdefault(os.getpid(), Lock()):
                block = self._known(i, leaf)
                if block is None:
                    table = bisect_right(self._firsts, i) - 1
                    first = self._firsts[table]
                    with source_errors(self._tables[table]):
                        row, column = self._read_block(table, i - first, leaf)
                    block = _Block(first + row, column)
                    self._blocks[leaf] = (*self._blocks.get(leaf, ())[-1:], block)
        cell = block.column[i - block.first]
        return (cell[leaf] if leaf else cell).as_py()

    def _known(self, i: int, leaf: str) -> _Block | None:
        return next((b for b in self._blocks.get(leaf, ()) if b.first <= i < b.first + len(b.column)), None)

    def _name(self, i: int) -> str:
        table = bisect_right(self._firsts, i) - 1
        path = None
        if "path" in self._columns.parts:
            with source_errors(self._tables[table]):
                path = self._cell(i, "path")
        return f"{self._tables[table].name}/{path or i - self._firsts[table]}"

    def _read(self, i: int) -> bytes:
        value: bytes | None = self._cell(i, "bytes" if self._columns.parts else "")
        if value is None:
            raise self.bad_image(i, "has no bytes in the table: embed the files before you save it", "image-unreadable")
        return value


def choose_columns(schema: Any, chosen: Mapping[str, str], table: str) -> Columns:
    """The columns of images and of labels: those that are chosen, or those that Hugging Face's metadata name.

    Args:
        schema: the table's schema (pyarrow).
        chosen: columns that the user chose.
        table: name of the table, for messages.

    Raises:
        SourceError: if there is no column of images, or if there are several.
    """
    features = _features(schema, table)
    image, parts = _image_column(schema, features, chosen.get("image"), table)
    named = [name for name in _of_kind(features, "ClassLabel") if name in schema.names]
    candidates = [chosen["label"]] if "label" in chosen else named or [n for n in schema.names if n == _LABEL]
    fault = ""
    if len(candidates) > 1:
        fault = f"has the labels {', '.join(candidates)}: choose with #label={candidates[0]}"
    elif candidates and schema.names.count(candidates[0]) != 1:
        raise _no_column("label", f"is no column {candidates[0]!r}", schema, table)
    elif candidates and not _is_number(kind := schema.field(candidates[0]).type):
        fault = f"has labels in column {candidates[0]!r} that are {kind}, not class numbers: make it a ClassLabel"
    label = candidates[0] if candidates and not fault else None
    names = features.get(label, {}).get("names") if label else None
    if names is not None and not is_list_of_names(names):
        raise SourceError(f"the class names in the metadata of {table} are not a list of names", rule="class-names")
    return Columns(image, parts, label, tuple(names) if names else None, fault)


def _image_column(
    schema: Any, features: Mapping[str, Any], chosen: str | None, table: str
) -> tuple[str, tuple[str, ...]]:
    kinds = {name: _parts(schema.field(name).type) for name in schema.names if schema.names.count(name) == 1}
    possible = {name: parts for name, parts in kinds.items() if parts is not None}
    if chosen is not None:
        if chosen not in possible:
            raise _no_column("image", f"are no images in a column {chosen!r}", schema, table)
        return chosen, possible[chosen]
    named = [name for name in _of_kind(features, "Image") if name in possible]
    structs = [name for name, parts in possible.items() if parts]
    candidates = named or structs or list(possible)
    if len(candidates) > 1:
        what = f"{table} has images in the columns {', '.join(candidates)}: choose with #image={candidates[0]}"
        raise SourceError(what, rule="table-columns")
    if not candidates:
        raise _no_column("image", "is no column of images (binary, or a struct of bytes and path)", schema, table)
    return candidates[0], possible[candidates[0]]


def _no_column(key: str, what: str, schema: Any, table: str) -> SourceError:
    columns = ", ".join(f"{field.name} ({field.type})" for field in schema)
    what = f"in {table} there {what}: it has {columns[:300]}; choose with #{key}=NAME"
    return SourceError(what, rule="table-columns")


def _parts(kind: Any) -> tuple[str, ...] | None:
    """The leaves of a column of this type that hold an image; None if it holds none."""
    types = extra_module("pyarrow", "arrow").types
    if _is_binary(kind):
        return ()
    if not types.is_struct(kind) or kind.get_field_index("bytes") < 0 or not _is_binary(kind.field("bytes").type):
        return None
    has_path = kind.get_field_index("path") >= 0 and (
        types.is_string(kind.field("path").type) or types.is_large_string(kind.field("path").type)
    )
    return ("bytes", "path") if has_path else ("bytes",)


def _is_binary(kind: Any) -> bool:
    types = extra_module("pyarrow", "arrow").types
    return bool(types.is_binary(kind) or types.is_large_binary(kind))


def _is_number(kind: Any) -> bool:
    types = extra_module("pyarrow", "arrow").types
    return bool(types.is_integer(kind) or types.is_floating(kind))


def _features(schema: Any, table: str) -> Mapping[str, Any]:
    """The features of `datasets`, by column. Raises SourceError if the metadata are damaged."""
    try:
        return features_in(schema.metadata)
    except (ValueError, RecursionError, AttributeError) as error:
        what = f"the metadata 'huggingface' of {table} are damaged ({first_line(error)})"
        raise SourceError(what, rule="source-damaged") from error


def _of_kind(features: Mapping[str, Any], kind: str) -> list[str]:
    return [name for name, feature in features.items() if feature.get("_type") == kind]
