"""Read and write payloads in the formats of other systems.

    payload = read("kept.csv", reference_size=1_281_167, num_classes=10)
    write(payload, "kept.parquet")

The formats are the rows of `plada_codec.interop.registry`. A file's suffix is the name of its format; `.gz` or `.zst`
may follow it. Some formats hold a whole payload, others only indices and labels: then the caller of `read` gives the
rest. An argument of `read` replaces the value in the file.

A table that is in memory, such as one of pandas, is read by `from_table`.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from plada_codec.errors import (
    ClassMismatch,
    FileError,
    InvalidArgument,
    PladaError,
    ReferenceMismatch,
    check_type,
    reason_of,
)
from plada_codec.files import atomic_write
from plada_codec.interop.base import REQUIRED_FIELDS, Contents, Source, missing_field
from plada_codec.interop.named import ImageName
from plada_codec.interop.registry import FORMAT_OF_SUFFIX, FORMATS, Format
from plada_codec.interop.rows import (
    ImageNumbers,
    Lookups,
    check_labels_are_numbers,
    labels_as_names,
    ready_rows,
)
from plada_codec.limits import Limits
from plada_codec.payload import Payload
from plada_codec.streams import BinaryInput, stream_errors
from plada_codec.tables.compressed import SUFFIXES, deflated, inflated
from plada_codec.tables.foreign import table_of_object
from plada_codec.tables.names import normalised
from plada_codec.tables.table import ANY_COLUMNS, Choice
from plada_codec.universe import Universe

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


def read(
    source: str | os.PathLike[str] | BinaryIO,
    format: str | None = None,
    *,
    reference_size: int | None = None,
    num_classes: int | None = None,
    reference_digest: bytes | None = None,
    universe: Universe | None = None,
    class_names: Sequence[str] | None = None,
    soft_labels: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    class_check: bytes | None = None,
    index_column: str | None = None,
    label_column: str | None = None,
    image_numbers: ImageNumbers | None = None,
    label_names: Sequence[str] | None = None,
    sort: bool = False,
    limits: Limits = Limits(),
) -> Payload:
    """Read a payload from a file or stream.

    Args:
        source: a path, or a binary stream (which need not be seekable, and is left open).
        format: a name in `FORMATS`; by default the suffix of the path.
        reference_size: N. This argument and those up to `weights` are as in Payload, and replace the values in the
            file.
        num_classes: C.
        reference_digest: first bytes of the reference digest.
        universe: the images that the payload speaks of.
        class_names: one name for each class; a class check of the file must be theirs.
        soft_labels: codes, a row for each used class.
        weights: codes, one for each kept image.
        class_check: class check of the payload; b"" for none.
        index_column: the column of the images, by its name, or by its number from 1; by default `index`, or the only
            one with a name such as `idx`, `image` or `filename`.
        label_column: the column of the labels; by default `label`, or the only one with a name such as `class`.
        image_numbers: looks up the names of images that a table has in the place of indices, and sorts the rows. For
            a source of images, `functools.partial(plada_codec.reference.image_numbers, images)`.
        label_names: names of the classes for a table that has names as labels; by default the class names.
        sort: whether to sort the rows by index. Payloads are sorted; without this, other rows are refused.
        limits: resource limits: for example, at most `max_kept` images are read.

    Raises:
        FileError: if the file cannot be read, or breaks its format; the message names file and line.
        InvalidPayload: if its content is not a valid payload.
        ReferenceMismatch: if it says another N, and names of images were to be looked up.
        ClassMismatch: if its class check is not that of `class_names`.
        LimitExceeded: if it holds more than `limits` allow.
        InvalidArgument: if there is no such format, it is not clear which columns to read, neither file nor caller
            gives N or C, `source` is no binary stream, or `limits` are no Limits.
        Unavailable: if the format needs an extra that is not installed.
        Truncated, Corrupt: as `decode` does, for the format `plada`.
    """
    check_type(limits, Limits, "limits", "limits")
    chosen, compression = _format_of(source, format)
    name = _name_of(source)
    choice = Choice(index_column, label_column)
    if choice != ANY_COLUMNS and not chosen.has_columns:
        raise InvalidArgument(f"{name}: files of this format have no columns to choose", rule="columns")
    arguments = {
        "reference_size": reference_size,
        "num_classes": num_classes,
        "reference_digest": reference_digest,
        "universe": universe,
        "class_names": class_names,
        "soft_labels": soft_labels,
        "weights": weights,
        "class_check": class_check,
    }
    try:
        with _opened(source) as stream:
            content = inflated(stream) if compression or chosen.is_inflated else stream
            choice = replace(choice, image_names=image_numbers is not None)
            contents = chosen.read(Source(content, reference_size, limits, choice))
        return _payload(contents, arguments, image_numbers, label_names, sort=sort, is_table=chosen.has_columns)
    except PladaError as error:
        raise type(error)(f"{name}: {error.args[0]}", rule=error.rule, offset=error.offset) from None
    except OSError as error:
        raise FileError(f"{name}: cannot be read: {reason_of(error)}", rule="file") from None


def write(
    payload: Payload,
    target: str | os.PathLike[str] | BinaryIO,
    format: str | None = None,
    *,
    image_name: ImageName | None = None,
) -> None:
    """Write a payload; a file is complete or not there at all (`atomic_write`).

    A format that is not complete holds indices and labels only.

    Args:
        payload: the payload to write.
        target: a path, or a binary stream (which need not be seekable, and is left open).
        format: a name in `FORMATS`; by default the suffix of the path.
        image_name: the name of an image by its number, such as `ImageSource.name`, to write a table of names: columns
            `image` and `label`, with the names of classes if the payload has them.

    Raises:
        FileError: if the file cannot be written.
        InvalidPayload, LimitExceeded: if the format cannot express the payload.
        InvalidArgument: if there is no such format, `payload` is no Payload, or `target` is no binary stream.
        OSError: if a stream cannot be written.
        Unavailable: if the format needs an extra that is not installed.
    """
    check_type(payload, Payload, "payload", "payload")
    chosen, compression = _format_of(target, format)
    if image_name is not None:
        check_holds_names(target, format)

    def write_to(stream: BinaryIO) -> None:
        if image_name is not None and chosen.write_named is not None:
            chosen.write_named(payload, image_name, stream)
        else:
            chosen.write(payload, stream)

    if isinstance(target, str | os.PathLike):
        with atomic_write(target) as stream, deflated(stream, compression) as content:
            write_to(content)
    else:
        with stream_errors():
            target.write(b"")
        write_to(target)


def check_holds_names(target: str | os.PathLike[str] | BinaryIO, format: str | None = None) -> None:
    """Raise InvalidArgument if `write` cannot write names of images to a file: there is no such format, or no text."""
    chosen, _ = _format_of(target, format)
    if chosen.write_named is None:
        able = ", ".join(name for name, row in FORMATS.items() if row.write_named)
        raise InvalidArgument(f"{_name_of(target)}: only these formats can hold names: {able}", rule="format")


def from_table(
    table: Any,
    *,
    reference_size: int,
    num_classes: int | None = None,
    index_column: str | None = None,
    label_column: str | None = None,
    image_numbers: ImageNumbers | None = None,
    label_names: Sequence[str] | None = None,
    sort: bool = False,
    **more: Any,
) -> Payload:
    """Make a payload of a table in memory.

    Args:
        table: a DataFrame of pandas or polars, a Table or RecordBatch of pyarrow, a Dataset of Hugging Face, a numpy
            array of records or of two columns, or a dict of columns. A column is a list or an array, of numpy, pandas,
            polars, pyarrow, torch or jax. Missing values (masks, nulls, NaN) are refused.
        reference_size: N.
        num_classes: C; by default the number of class names.
        index_column: the column of the images, as in `read`.
        label_column: the column of the labels. If they are categories (pandas.Categorical, polars.Enum) or a ClassLabel
            of Hugging Face, the categories are the class names, in their order.
        image_numbers: as in `read`.
        label_names: as in `read`.
        sort: whether to sort the rows by index.
        more: further attributes of Payload, by name.

    Raises:
        FileError: if a value is missing, or no whole number; the message names the row, from 1.
        InvalidPayload: if the table is not a valid payload.
        InvalidArgument: if it is no table, or it is not clear which columns to read.
    """
    contents = Contents.of_table(table_of_object(table, Choice(index_column, label_column)))
    arguments = {"reference_size": reference_size, "num_classes": num_classes, **more}
    return _payload(contents, arguments, image_numbers, label_names, sort=sort, is_table=True)


def _payload(
    contents: Contents,
    arguments: dict[str, Any],
    image_numbers: ImageNumbers | None,
    label_names: Sequence[str] | None,
    *,
    sort: bool,
    is_table: bool,
) -> Payload:
    """The payload of a file's content and of the caller's arguments, which replace its values."""
    if contents.label_names is not None and (label_names is not None or arguments.get("class_names") is not None):
        contents = labels_as_names(contents, contents.label_names)
    own_names, class_names = contents.fields.get("class_names"), arguments.get("class_names")
    if own_names is not None and class_names is not None and _same_but_moved(class_names, own_names):
        raise ClassMismatch("it has the same class names in another order", rule="class-names")
    fields = contents.fields | {field: value for field, value in arguments.items() if value is not None}
    own_size, size = contents.fields.get("reference_size"), fields.get("reference_size")
    if image_numbers is not None and own_size not in (None, size):
        raise ReferenceMismatch(f"it is for a reference set of {own_size} images, not of {size}", rule="reference")
    names = fields.get("class_names") if label_names is None else label_names
    if names is not None:
        fields.setdefault("num_classes", len(names))
    if names is None:
        check_labels_are_numbers(contents)
    for field in REQUIRED_FIELDS:
        if field not in fields:
            raise missing_field(field)
    lookups = Lookups(image_numbers, names, is_table and own_names is None)
    contents = replace(contents, fields=fields)
    ready = ready_rows(contents, fields["reference_size"], fields["num_classes"], lookups, sort=sort)
    if class_names is not None and arguments.get("class_check") is None and fields.get("class_check"):
        fields = {name: value for name, value in ready.fields.items() if name != "class_names"}
        return Payload(ready.indices, ready.labels, **fields).with_class_names(class_names)
    return Payload(ready.indices, ready.labels, **ready.fields)


def _same_but_moved(names: Sequence[str], others: Sequence[str]) -> bool:
    """Whether two lists hold the same names, but not in the same order."""
    first, second = list(map(normalised, names)), list(map(normalised, others))
    return first != second and sorted(first) == sorted(second)


def _format_of(file: str | os.PathLike[str] | BinaryIO, name: str | None) -> tuple[Format, str]:
    """The format of a file, and the suffix of its compression, or ""."""
    known = f"the formats are: {', '.join(FORMATS)}"
    compression = ""
    if isinstance(file, str | os.PathLike):
        path = Path(file)
        compression = path.suffix.lower() if path.suffix.lower() in SUFFIXES else ""
        if name is None:
            suffix = path.with_suffix("").suffix if compression else path.suffix
            name = FORMAT_OF_SUFFIX.get(suffix.lower().removeprefix("."))
            if name is None:
                what = "is a folder, not a file of" if path.is_dir() else "has the suffix of no format of"
                raise InvalidArgument(f"{_name_of(file)} {what} images and labels; {known}", rule="format")
    elif name is None:
        raise InvalidArgument(f"{_name_of(file)}: a stream has no suffix: give its format; {known}", rule="format")
    if name not in FORMAT_OF_SUFFIX:
        raise InvalidArgument(f"no format is named {name!r}; {known}", rule="format")
    return FORMATS[FORMAT_OF_SUFFIX[name]], compression


def _name_of(file: str | os.PathLike[str] | BinaryIO) -> str:
    return os.fspath(file) if isinstance(file, str | os.PathLike) else str(getattr(file, "name", "the stream"))


def _opened(source: str | os.PathLike[str] | BinaryIO) -> AbstractContextManager[BinaryIO]:
    if not isinstance(source, str | os.PathLike):
        return nullcontext(cast(BinaryIO, BinaryInput(source)))
    try:
        return Path(source).open("rb")
    except ValueError as error:  # no file can have this name
        raise FileError(f"cannot be read: {error}", rule="file") from None
