"""Read and write payloads in the formats of other systems.

    payload = read("kept.csv", reference_size=1_281_167, num_classes=10)
    write(payload, "kept.parquet")

The formats are the rows of `plada_codec.interop.registry`. A file's suffix is the name of its format. Some formats hold
a whole payload, others only indices and labels: then the caller of `read` gives the rest. An argument of `read`
replaces the value in the file.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from plada_codec.errors import FileError, InvalidArgument, PladaError
from plada_codec.files import atomic_write
from plada_codec.interop.base import REQUIRED_FIELDS, Source, missing_field
from plada_codec.interop.registry import FORMATS, Format
from plada_codec.limits import Limits
from plada_codec.payload import Payload
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
    limits: Limits = Limits(),
) -> Payload:
    """Read a payload from a file or stream.

    Args:
        source: a path, or a binary stream (which need not be seekable, and is left open).
        format: a name in `FORMATS`; by default the suffix of the path.
        reference_size: N. This argument and those up to `limits` are as in Payload, and replace the values in the file.
        num_classes: C.
        reference_digest: first bytes of the reference digest.
        universe: the images that the payload speaks of.
        class_names: one name for each class; a class check of the file must be theirs.
        soft_labels: codes, a row for each used class.
        weights: codes, one for each kept image.
        class_check: class check of the payload; b"" for none.
        limits: resource limits: for example, at most `max_kept` images are read.

    Raises:
        FileError: if the file cannot be read, or breaks its format; the message names file and line.
        InvalidPayload: if its content is not a valid payload.
        ClassMismatch: if its class check is not that of `class_names`.
        LimitExceeded: if it holds more than `limits` allow.
        InvalidArgument: if there is no such format, or neither file nor caller gives N or C.
        Unavailable: if the format needs an extra that is not installed.
        Truncated, Corrupt: as `decode` does, for the format `plada`.
    """
    chosen = _format_of(source, format)
    name = _name_of(source)
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
            contents = chosen.read(Source(stream, reference_size, limits))
        fields = contents.fields | {field: value for field, value in arguments.items() if value is not None}
        for field in REQUIRED_FIELDS:
            if field not in fields:
                raise missing_field(field)
        if class_names is not None and class_check is None and fields.get("class_check"):
            del fields["class_names"]
            return Payload(contents.indices, contents.labels, **fields).with_class_names(class_names)
        return Payload(contents.indices, contents.labels, **fields)
    except PladaError as error:
        raise type(error)(f"{name}: {error.args[0]}", rule=error.rule, offset=error.offset) from None
    except OSError as error:
        raise FileError(f"{name}: cannot be read: {error.strerror or error}", rule="file") from None


def write(payload: Payload, target: str | os.PathLike[str] | BinaryIO, format: str | None = None) -> None:
    """Write a payload; a file is complete or not there at all (`atomic_write`).

    A format that is not complete holds indices and labels only.

    Args:
        payload: the payload to write.
        target: a path, or a binary stream (which need not be seekable, and is left open).
        format: a name in `FORMATS`; by default the suffix of the path.

    Raises:
        FileError: if the file cannot be written.
        InvalidPayload, LimitExceeded: if the format cannot express the payload.
        InvalidArgument: if there is no such format.
        Unavailable: if the format needs an extra that is not installed.
    """
    chosen = _format_of(target, format)
    if isinstance(target, str | os.PathLike):
        with atomic_write(target) as stream:
            chosen.write(payload, stream)
    else:
        chosen.write(payload, target)


def _format_of(file: str | os.PathLike[str] | BinaryIO, name: str | None) -> Format:
    known = f"the formats are: {', '.join(FORMATS)}"
    if name is None:
        if not isinstance(file, str | os.PathLike):
            raise InvalidArgument(f"{_name_of(file)}: a stream has no suffix: give its format; {known}", rule="format")
        name = Path(file).suffix.lower().removeprefix(".")
        if name not in FORMATS:
            raise InvalidArgument(f"{_name_of(file)}: no format has this suffix; {known}", rule="format")
    if name not in FORMATS:
        raise InvalidArgument(f"no format is named {name!r}; {known}", rule="format")
    return FORMATS[name]


def _name_of(file: str | os.PathLike[str] | BinaryIO) -> str:
    return os.fspath(file) if isinstance(file, str | os.PathLike) else str(getattr(file, "name", "the stream"))


def _opened(source: str | os.PathLike[str] | BinaryIO) -> AbstractContextManager[BinaryIO]:
    return Path(source).open("rb") if isinstance(source, str | os.PathLike) else nullcontext(source)
