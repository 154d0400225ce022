"""Payloads in the formats of other systems, read and written.

    payload = read("kept.csv", reference_size=1_281_167, num_classes=10)
    write(payload, "kept.parquet")

| format | what it holds | can say |
|---|---|---|
| `plada` | the payload format of `spec/` | everything |
| `npz` | numpy arrays `indices` and `labels`, and the rest under the names of Payload | everything |
| `csv` | lines `index,label`; a header that says so is optional | indices, labels |
| `jsonl` | lines `{"index":..,"label":..}`; further keys are passed over | indices, labels |
| `arrow` | Arrow IPC (file or stream): integer columns `index`, `label` and, of weights, `weight_code` | everything |
| `parquet` | the same as Parquet | everything |
| `roaring` | the indices as Roaring's portable serialisation, then the labels as u16 | indices, labels |
| `idx-raw` | the paper's raw index list: the indices as u32, then the labels as u16 | indices, labels |
| `bmp-raw` | the paper's raw bitmap: ceil(N / 8) bytes, then the labels as u16 | indices, labels |

A file's suffix is its format's name. All integers of the last three are little-endian. The reader must be told
what a format cannot say; what it is told holds even where the file says otherwise.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from plada_codec.errors import FileError, InvalidArgument, PladaError
from plada_codec.files import atomic_write
from plada_codec.interop import arrow, csv, jsonl, npz, plada, raw, roaring
from plada_codec.interop.base import MUST_SAY, Contents, Source, missing
from plada_codec.limits import Limits
from plada_codec.payload import Payload
from plada_codec.universe import Universe

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


@dataclass(frozen=True)
class Format:
    """How a format is read and written."""

    reader: Callable[[Source], Contents]
    writer: Callable[[Payload, BinaryIO], None]


#: By name; a file's suffix is a dot and the name.
FORMATS = {
    "plada": Format(plada.read, plada.write),
    "npz": Format(npz.read, npz.write),
    "csv": Format(csv.read, csv.write),
    "jsonl": Format(jsonl.read, jsonl.write),
    "arrow": Format(arrow.read_ipc, arrow.write_ipc),
    "parquet": Format(arrow.read_parquet, arrow.write_parquet),
    "roaring": Format(roaring.read, roaring.write),
    "idx-raw": Format(raw.read_index_list, raw.write_index_list),
    "bmp-raw": Format(raw.read_bitmap, raw.write_bitmap),
}


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
    limits: Limits = Limits(),
) -> Payload:
    """Reads a payload.

    Args:
        source: a path, or a binary stream (which need not be seekable, and is left open).
        format: a name in `FORMATS`; by default the suffix of the path.
        reference_size: N. This and the next six are as in Payload; what is given takes the place of what the
            file says.
        num_classes: C.
        reference_digest: first bytes of the reference digest.
        universe: the images that the payload speaks of.
        class_names: C names.
        soft_labels: codes, a row for each used class.
        weights: codes, one for each kept image.
        limits: what to agree to read: no more than `max_kept` images, whatever the file claims.

    Raises:
        FileError: if the file cannot be read, or is not what its format says; the message names file and line.
        InvalidPayload: if what it says is not a payload.
        LimitExceeded: if it holds more than `limits` allow.
        InvalidArgument: if there is no such format, or neither the file nor the caller says N or C.
        Unavailable: if the format needs an extra that is not installed.
        Truncated, Corrupt: as `decode` does, for the format `plada`.
    """
    chosen = _format_of(source, format)
    name = _name_of(source)
    given = {
        "reference_size": reference_size,
        "num_classes": num_classes,
        "reference_digest": reference_digest,
        "universe": universe,
        "class_names": class_names,
        "soft_labels": soft_labels,
        "weights": weights,
    }
    try:
        with _opened(source) as stream:
            contents = chosen.reader(Source(stream, reference_size, limits))
        said = contents.said | {field: value for field, value in given.items() if value is not None}
        for field in MUST_SAY:
            if field not in said:
                raise missing(field)
        return Payload(contents.indices, contents.labels, **said)
    except PladaError as error:
        raise type(error)(f"{name}: {error.args[0]}", rule=error.rule, offset=error.offset) from None
    except OSError as error:
        raise FileError(f"{name}: cannot be read: {error.strerror or error}", rule="file") from None


def write(payload: Payload, target: str | os.PathLike[str] | BinaryIO, format: str | None = None) -> None:
    """Writes a payload; a file is complete or not there at all (`atomic_write`).

    What the format cannot say (see the table above), such as class names, soft labels and weights, is lost.

    Args:
        payload: what to write.
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
            chosen.writer(payload, stream)
    else:
        chosen.writer(payload, target)


def _format_of(file: str | os.PathLike[str] | BinaryIO, name: str | None) -> Format:
    known = f"the formats are: {', '.join(FORMATS)}"
    if name is None:
        if not isinstance(file, str | os.PathLike):
            raise InvalidArgument(f"{_name_of(file)}: a stream has no suffix: give its format; {known}", rule="format")
        name = Path(file).suffix.lower().removeprefix(".")
        if name not in FORMATS:
            raise InvalidArgument(f"{_name_of(file)}: no format by this suffix; {known}", rule="format")
    if name not in FORMATS:
        raise InvalidArgument(f"no format is named {name!r}; {known}", rule="format")
    return FORMATS[name]


def _name_of(file: str | os.PathLike[str] | BinaryIO) -> str:
    return os.fspath(file) if isinstance(file, str | os.PathLike) else str(getattr(file, "name", "the stream"))


def _opened(source: str | os.PathLike[str] | BinaryIO) -> AbstractContextManager[BinaryIO]:
    return Path(source).open("rb") if isinstance(source, str | os.PathLike) else nullcontext(source)
