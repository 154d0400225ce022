"""The registry of file formats for payloads: a row for each."""

from __future__ import annotations

from collections.abc import Callable
from typing import BinaryIO, NamedTuple

from plada_codec.interop import (
    arrow,
    csv,
    jsonl,
    npz,
    plada,
    raw,
    roaring,
)
from plada_codec.interop.base import Contents, Source
from plada_codec.payload import Payload


class Format(NamedTuple):
    """A row of the registry.

    Attributes:
        read: reads a file. Its errors do not name the file.
        write: writes a payload.
        is_complete: whether a file holds everything that a payload can hold, or indices and labels only.
        content: description of a file, for people.
    """

    read: Callable[[Source], Contents]
    write: Callable[[Payload, BinaryIO], None]
    is_complete: bool
    content: str


#: By name, which is a file's suffix without the dot. Integers of `roaring`, `idx-raw` and `bmp-raw` are little-endian.
FORMATS = {
    "plada": Format(plada.read, plada.write, True, "the payload format of `spec/`"),
    "npz": Format(npz.read, npz.write, True, "numpy arrays under the names of Payload's attributes"),
    "csv": Format(csv.read, csv.write, False, "lines `index,label`; a header that says so is optional"),
    "jsonl": Format(jsonl.read, jsonl.write, False, 'lines `{"index":..,"label":..}`; further keys are ignored'),
    "arrow": Format(arrow.read_ipc, arrow.write_ipc, True, "Arrow IPC, file or stream: columns `index` and `label`"),
    "parquet": Format(arrow.read_parquet, arrow.write_parquet, True, "Parquet, with the same columns"),
    "roaring": Format(roaring.read, roaring.write, False, "Roaring's portable serialisation, then the labels as u16"),
    "idx-raw": Format(raw.read_index_list, raw.write_index_list, False, "the indices as u32, then the labels as u16"),
    "bmp-raw": Format(raw.read_bitmap, raw.write_bitmap, False, "a bitmap, ceil(N / 8) bytes, then the labels as u16"),
}
