"""A table of two columns, images and labels, and the choice of these columns among those of a file.

A column is whole numbers or names (strings): the reader decides by its first value, and never mixes them.
"""

from __future__ import annotations

import bisect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias, cast

import numpy as np

from plada_codec.errors import FileError, InvalidArgument
from plada_codec.tables.numbers import whole_objects

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Rows of a column: whole numbers, or strings.
Values: TypeAlias = "NDArray[np.int64] | list[str]"
#: Names of columns that are taken without an option, the best ones first: see `Choice`.
_IMAGE_NAMES = (
    ("index", "indices"),
    ("idx", "imageindex", "image", "imageid", "id", "filename", "file", "path", "imagepath", "key"),
)
_LABEL_NAMES = (("label", "labels"), ("class", "classid", "classindex", "labelid", "target", "category", "cls", "y"))
_NO_SEPARATORS = str.maketrans("", "", " -_")
#: Memory of a name, about, and the memory of a column from which equal names are kept only once.
_NAME_BYTES, _MANY_NAMES_BYTES = 64, 1 << 26
#: Up to so many rows, a column doubles when it grows; then it grows by an eighth.
_FEW_ROWS = 1 << 20
_INT32 = np.iinfo(np.int32)
#: End of messages about the first row of a table whose columns have no names.
HEADER_HINT = (
    "; if this is a header, give the names of its columns: index_column (--index-column) and label_column "
    "(--label-column)"
)
#: Names in messages: so many, and of each so many characters.
_LISTED, _LISTED_CHARACTERS = 20, 40


@dataclass(frozen=True)
class Choice:
    """The columns to read, as the caller names them: by name, or by number from 1; None leaves the choice to us.

    Without one, the column with a known name is chosen, if it is the only one: `index` before `idx`, `image` or
    `filename`, `label` before `class` or `target`. Upper case, spaces, hyphens and underscores make no difference.
    """

    index: str | None = None
    label: str | None = None
    #: Whether images may have names: then text in their column stays text, even if it is digits, such as 007.
    image_names: bool = False

    def of(self, names: Sequence[str]) -> tuple[int, int]:
        """The numbers, from 0, of the columns of images and labels among those with these names.

        Raises:
            InvalidArgument: (rule columns) if it is not clear which they are. The message lists the columns.
        """
        image = _chosen(names, self.index, _IMAGE_NAMES)
        label = _chosen(names, self.label, _LABEL_NAMES)
        if image is None or label is None:
            asked = self.index if image is None else self.label
            what = "the images" if image is None else "the labels"
            if asked is not None:
                raise InvalidArgument(f"no column, or more than one, is {asked!r}; {listed(names)}", rule="columns")
            raise InvalidArgument(f"it is not clear which column holds {what}; {listed(names)}", rule="columns")
        if image == label:
            raise InvalidArgument(f"images and labels cannot be the same column; {listed(names)}", rule="columns")
        return image, label

    def of_unnamed(self, count: int) -> tuple[int, int]:
        """The same, among so many columns without names. Of two columns, images are the first one.

        Raises:
            InvalidArgument: (rule columns) if the caller does not choose among other numbers of columns.
        """
        index, label = self.index, self.label
        if count == 2:
            other = {"1": "2", "2": "1"}
            index = index or other.get(label or "2")
            label = label or other.get(index or "")
        numbers = [str(number + 1) for number in range(count)]
        if index is None and label is None:
            raise InvalidArgument(f"its {count} columns have no names; {listed(numbers)}", rule="columns")
        return Choice(index, label).of(numbers)

    def names_both(self, names: Sequence[str]) -> bool:
        """Whether these are names of columns, of which one holds the images and another one the labels."""
        both = _is_number(self.index) and _is_number(self.label)
        image = _chosen(names, None if both else self.index, _IMAGE_NAMES)
        label = _chosen(names, None if both else self.label, _LABEL_NAMES)
        return image is not None and label is not None and image != label


def is_index(name: str) -> bool:
    """Whether a column of this name holds numbers of images, and never their names."""
    return _plain(name) in _IMAGE_NAMES[0]


#: The choice of a caller who names no column.
ANY_COLUMNS = Choice()


def listed(names: Sequence[str]) -> str:
    """Say which columns there are, and the options that choose two."""
    if not names:
        return "it has no columns"
    shown = ", ".join(repr(name[:_LISTED_CHARACTERS]) for name in names[:_LISTED])
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return f"the columns are {shown}{more}: give index_column (--index-column) and label_column (--label-column)"


def _chosen(names: Sequence[str], asked: str | None, known: tuple[tuple[str, ...], ...]) -> int | None:
    if asked is not None:
        found = [number for number, name in enumerate(names) if name == asked]
        if not found and _is_number(asked) and 1 <= int(asked) <= len(names):
            found = [int(asked) - 1]
        return found[0] if len(found) == 1 else None
    plain = list(map(_plain, names))
    for group in known:
        found = [number for number, name in enumerate(plain) if name in group]
        if found:
            return found[0] if len(found) == 1 else None
    return None


def _plain(name: str) -> str:
    return name.strip().lower().translate(_NO_SEPARATORS)


def _is_number(asked: str | None) -> bool:
    return asked is not None and asked.isascii() and asked.isdigit() and len(asked) < 10


@dataclass(frozen=True)
class Table:
    """Two columns, not yet checked.

    Attributes:
        images: int32 or int64 [rows], or object [rows] of strings.
        labels: int32 or int64 [rows], or object [rows] of strings.
        place: the place of a row (from 0) in the file, for messages, such as "line 7".
        class_names: names of the classes that the labels count, if the column itself says them.
        image_column: the name of the column of the images, or None.
    """

    images: NDArray[Any]
    labels: NDArray[Any]
    place: Callable[[int], str]
    class_names: tuple[str, ...] | None = None
    image_column: str | None = None


def table_of(images: Values, labels: Values, place: Callable[[int], str], image_column: str | None = None) -> Table:
    """The table of two columns in memory."""
    columns = (strings(values) if isinstance(values, list) else values for values in (images, labels))
    return Table(next(columns), next(columns), place, image_column=image_column)


def row_number(row: int) -> str:
    """The place of a row in a table that has no lines."""
    return f"row {row + 1}"


class _Lines(NamedTuple):
    row: int
    first: int
    others: NDArray[np.int64] | None


@dataclass
class TableBuilder:
    """Collects the blocks of a table. Memory is two numbers a row, or two strings.

    Attributes:
        check_rows: is called with the number of rows before they are taken; raises LimitExceeded.
        unit: what the numbers of the rows count: lines, or rows.
        image_column: the name of the column of the images, if a reader finds it.
    """

    check_rows: Callable[[int], None]
    unit: str = "line"
    image_column: str | None = None
    rows: int = 0
    _columns: tuple[_Column, _Column] = field(init=False)
    _lines: list[_Lines] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._columns = _Column(), _Column()

    def add(self, images: Values, labels: Values, lines: NDArray[np.int64]) -> None:
        """Add rows, and the number of each row's line (ascending)."""
        self.check_rows(self.rows + len(images))
        if len(images):
            for column, values, what in zip(self._columns, (images, labels), ("index", "label"), strict=True):
                if self.rows and isinstance(values, list) != bool(column.names):
                    raise FileError(
                        f"{self.unit} {lines[0]}: {what} {_short(values[0])} is a name in a column of numbers, "
                        "or a number in a column of names",
                        rule="file",
                    )
            follow = int(lines[-1] - lines[0]) == len(lines) - 1
            self._lines.append(_Lines(self.rows, int(lines[0]), None if follow else lines))
            self._columns[0].add(images)
            self._columns[1].add(labels)
            self.rows += len(images)

    def table(self) -> Table:
        """The table of all rows."""
        images, labels = (column.values() for column in self._columns)
        return Table(images, labels, self.place, image_column=self.image_column)

    def place(self, row: int) -> str:
        """The line of a row."""
        block = self._lines[bisect.bisect_right(self._lines, row, key=lambda lines: lines.row) - 1]
        at = row - block.row
        return f"{self.unit} {block.first + at if block.others is None else int(block.others[at])}"


class _Column:
    """A column that grows in place, so that it is never in memory twice. Its numbers are int32 while they fit."""

    def __init__(self) -> None:
        self.numbers: NDArray[Any] = np.empty(0, np.int32)
        self.used = 0
        self.names: list[str] = []
        self.names_bytes = 0
        self.known: dict[str, str] = {}

    def add(self, block: Values) -> None:
        if isinstance(block, list):
            self._add_names(block)
            return
        if self.numbers.dtype == np.int32 and (block.max() > _INT32.max or block.min() < _INT32.min):
            self.numbers = self.numbers.astype(np.int64)
        needed = self.used + len(block)
        if needed > len(self.numbers):
            self.numbers.resize(needed + max(needed // 8, min(needed, _FEW_ROWS)), refcheck=False)
        self.numbers[self.used : needed] = block
        self.used = needed

    def _add_names(self, block: list[str]) -> None:
        """Keep names; once they take much memory, equal ones only once: a small file can hold millions of them."""
        self.names_bytes += _NAME_BYTES * len(block)
        if self.names_bytes > _MANY_NAMES_BYTES:
            block = [self.known.setdefault(name, name) for name in block]
        self.names += block

    def values(self) -> NDArray[Any]:
        if self.names:
            return strings(self.names)
        self.numbers.resize(self.used, refcheck=False)
        return self.numbers


def strings(names: Sequence[str]) -> NDArray[Any]:
    """An array of Python strings."""
    array = np.empty(len(names), object)
    array[:] = names
    return array


def column_of(values: Sequence[object], place: Callable[[int], str], what: str) -> Values:
    """A column of Python's values: strings if the first one is a string, else whole numbers.

    Raises:
        FileError: for the first value that is not like that.
    """
    if values and type(values[0]) is str:
        names = list(values)
        bad = next((at for at, name in enumerate(names) if type(name) is not str), None)
        if bad is not None:
            raise FileError(f"{place(bad)}: {what} {_short(names[bad])} is no name, as {values[0]!r} is", rule="file")
        return cast("list[str]", names)
    numbers, bad = whole_objects(values)
    if bad is not None:
        raise not_whole(place(bad), what, values[bad])
    return numbers


def not_whole(place: str, what: str, value: object) -> FileError:
    """The error for a value that is no whole number, in a column of whole numbers."""
    if value is None or (isinstance(value, str) and not value):
        return FileError(f"{place}: {what} is missing", rule="file")
    return FileError(f"{place}: {what} {_short(value)} is not a whole number of 64 bits", rule="file")


def neither_numbers_nor_names(what: str, kind: object) -> FileError:
    """The error for a column of a type that holds neither whole numbers nor text."""
    return FileError(
        f"{what}: a column of {kind} holds neither whole numbers nor names: choose another one, {what}_column "
        f"(--{what}-column)",
        rule="file",
    )


def _short(value: object) -> str:
    text = str(value)
    return ascii(text[:_LISTED_CHARACTERS]) if isinstance(value, str) else text[:_LISTED_CHARACTERS]
