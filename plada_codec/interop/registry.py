"""The registry of file formats for payloads: a row for each."""

from __future__ import annotations

from collections.abc import Callable
from typing import BinaryIO, NamedTuple

from plada_codec.interop import (
    arrow,
    csv,
    json,
    jsonl,
    named,
    npy,
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
        suffixes: other suffixes of such files than its name.
        has_columns: whether a caller can choose the columns to read.
        is_inflated: whether gzip and zstd are known by a file's first bytes, which could be numbers in other formats.
        write_named: writes a table with names of images and classes; None if the format holds no text.
    """

    read: Callable[[Source], Contents]
    write: Callable[[Payload, BinaryIO], None]
    is_complete: bool
    content: str
    suffixes: tuple[str, ...] = ()
    has_columns: bool = False
    is_inflated: bool = True
    write_named: Callable[[Payload, named.ImageName, BinaryIO], None] | None = None


#: By name, which is a file's suffix without the dot. Integers of `roaring`, `idx-raw` and `bmp-raw` are little-endian.
FORMATS = {
    "plada": Format(plada.read, plada.write, True, "the payload format of `spec/`"),
    "npz": Format(npz.read, npz.write, True, "numpy arrays under the names of Payload's attributes"),
    "csv": Format(
        csv.read,
        csv.write,
        False,
        "text with a row on each line and any delimiter",
        ("txt",),
        has_columns=True,
        write_named=named.write_csv,
    ),
    "tsv": Format(
        csv.read, csv.write_tsv, False, "the same, written with tabs", has_columns=True, write_named=named.write_tsv
    ),
    "jsonl": Format(
        jsonl.read,
        jsonl.write,
        False,
        "a JSON object on each line",
        ("ndjson",),
        has_columns=True,
        write_named=named.write_jsonl,
    ),
    "json": Format(
        json.read,
        json.write,
        False,
        "a JSON document: columns, objects or arrays",
        has_columns=True,
        write_named=named.write_json,
    ),
    "npy": Format(npy.read, npy.write, False, "one numpy array: records, or two columns", has_columns=True),
    "arrow": Format(
        arrow.read_ipc,
        arrow.write_ipc,
        True,
        "Arrow IPC, file or stream",
        ("feather", "ipc"),
        has_columns=True,
        write_named=arrow.write_named_ipc,
    ),
    "parquet": Format(
        arrow.read_parquet,
        arrow.write_parquet,
        True,
        "Parquet",
        ("pq",),
        has_columns=True,
        write_named=arrow.write_named_parquet,
    ),
    "roaring": Format(roaring.read, roaring.write, False, "Roaring's portable serialisation, then the labels as u16"),
    "idx-raw": Format(
        raw.read_index_list,
        raw.write_index_list,
        False,
        "the indices as u32, then the labels as u16",
        is_inflated=False,
    ),
    "bmp-raw": Format(
        raw.read_bitmap,
        raw.write_bitmap,
        False,
        "a bitmap, ceil(N / 8) bytes, then the labels as u16",
        is_inflated=False,
    ),
}
#: The name of the format of each suffix.
FORMAT_OF_SUFFIX = {suffix: name for name, row in FORMATS.items() for suffix in (name, *row.suffixes)}
