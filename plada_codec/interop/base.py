"""Helpers that the formats share: the content of a file, its stream, and the choice of its columns.

Errors of readers do not name the file: `interop.read` puts its name in front.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, BinaryIO

from plada_codec.errors import InvalidArgument, LimitExceeded
from plada_codec.limits import Limits
from plada_codec.payload import Payload
from plada_codec.tables.table import ANY_COLUMNS, Choice, Table, is_index, row_number

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Files are read in blocks of this size.
BLOCK_BYTES = 1 << 22
#: Rows of text made at once.
_BLOCK_ROWS = 1 << 16
#: Bytes of a file that are neither indices nor labels nor a bitmap.
_MAX_AROUND_BYTES = 1 << 20

#: Fields that a payload needs: their meaning, the command-line option, the rule of the error if they are missing.
REQUIRED_FIELDS = {
    "reference_size": ("how many images the reference set has", "--reference or --reference-size", "reference-size"),
    "num_classes": ("how many classes there are", "--classes", "classes"),
}


@dataclass(frozen=True)
class Contents:
    """The content of a file, not yet checked.

    Attributes:
        indices: numbers of the images, or their names (an object array of strings).
        labels: numbers of the classes, or their names.
        fields: other attributes of Payload by name.
        place: the place of a row (from 0) in the file, for messages, such as "line 7".
        image_column: the name of the column of the images, or None if it has none.
        label_names: names of the classes that the labels count, if their column itself says them.
    """

    indices: NDArray[Any]
    labels: NDArray[Any]
    fields: dict[str, Any] = field(default_factory=dict)
    place: Callable[[int], str] = row_number
    image_column: str | None = None
    label_names: tuple[str, ...] | None = None

    @property
    def may_be_names(self) -> bool:
        """Whether numbers of images may be names: they are from a column that has a name, which is not index."""
        return self.image_column is not None and not is_index(self.image_column)

    @classmethod
    def of_table(cls, table: Table, fields: Mapping[str, Any] = {}) -> Contents:
        """The content of a file that holds a table, and perhaps other attributes of Payload."""
        named = {} if table.class_names is None else {"class_names": table.class_names}
        return cls(table.images, table.labels, {**named, **fields}, table.place, table.image_column, table.class_names)


@dataclass(frozen=True)
class Source:
    """A stream to read, the reference size N if the caller gives it, resource limits, and the columns to read."""

    stream: BinaryIO
    known_reference_size: int | None
    limits: Limits
    choice: Choice = ANY_COLUMNS

    @property
    def reference_size(self) -> int:
        """N, for formats that need it. Raises InvalidArgument if the caller did not give it."""
        if self.known_reference_size is None:
            raise missing_field("reference_size")
        return self.known_reference_size

    def check_kept(self, kept: int) -> None:
        """Refuse more images than the limits allow."""
        if kept > self.limits.max_kept:
            raise LimitExceeded(
                f"it holds {kept} images or more, but the limit max_kept is {self.limits.max_kept}", rule="limit-kept"
            )

    def read_all(self) -> bytes:
        """All bytes. Refuse more than two columns of u64, a bitmap and 1 MiB of other data can take."""
        most = 16 * self.limits.max_kept + self.limits.max_stream_bytes + _MAX_AROUND_BYTES
        blocks, size = [], 0
        while block := self.stream.read(BLOCK_BYTES):
            size += len(block)
            if size > most:
                raise LimitExceeded(
                    f"it has more than the {most} bytes that the limits allow", rule="limit-stream-bytes"
                )
            blocks.append(block)
        return b"".join(blocks)


def missing_field(name: str) -> InvalidArgument:
    """The error for a required field that neither the file nor the caller gives."""
    what, option, rule = REQUIRED_FIELDS[name]
    return InvalidArgument(f"it does not say {what}: give {name} ({option})", rule=rule)


def write_lines(payload: Payload, stream: BinaryIO, template: str) -> None:
    """Write `template` % (index, label) for each kept image."""
    for begin in range(0, payload.kept, _BLOCK_ROWS):
        rows = slice(begin, begin + _BLOCK_ROWS)
        pairs = zip(payload.indices[rows].tolist(), payload.labels[rows].tolist(), strict=True)
        stream.write("".join(map(template.__mod__, pairs)).encode())
