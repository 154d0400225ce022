"""Small files that claim or inflate to gigabytes are read or refused in little memory (`ulimit -v`)."""

from __future__ import annotations

import gzip
import io
import re
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import zstandard

pa = pytest.importorskip("pyarrow")
import pyarrow.parquet as pq

pytestmark = [
    pytest.mark.processes,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs /proc/self/statm"),
]
#: Address space that a reader may take above the imported modules.
ALLOWED_BYTES = 512 << 20
#: Reads a file of a format. Everything is imported before the limit is set.
READER = """
import io, resource, sys
from plada_codec import PladaError
from plada_codec.interop import FORMATS, read
import pyarrow, pyarrow.parquet, zstandard
path, format, allowed = sys.argv[1], sys.argv[2], int(sys.argv[3])
pages = int(open("/proc/self/statm").read().split()[0])
bound = pages * resource.getpagesize() + allowed
resource.setrlimit(resource.RLIMIT_AS, (bound, bound))
try:
    print("read", read(path, format, reference_size=1 << 40, num_classes=10).kept)
except PladaError as error:
    print(error)
"""
ZEROS_BYTES = 1 << 30


def zip_of(compression: int, write: Callable[[io.IOBase], None]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", compression) as archive, archive.open("indices.npy", "w") as file:
        write(file)  # type: ignore[arg-type]
    return stream.getvalue()


def zeros(file: io.IOBase, header: bytes, size: int) -> None:
    file.write(header)
    for _ in range(size >> 20):
        file.write(bytes(1 << 20))


def npy_header(values: int) -> bytes:
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"descr": "<i8", "fortran_order": False, "shape": (values,)})
    return stream.getvalue()


def ipc(rows: int, compression: str) -> bytes:
    table = pa.table({"index": pa.array(np.zeros(rows, np.int64)), "label": pa.array(np.zeros(rows, np.int8))})
    stream = io.BytesIO()
    with pa.ipc.new_file(stream, table.schema, options=pa.ipc.IpcWriteOptions(compression=compression)) as writer:
        writer.write_table(table)
    return stream.getvalue()


def parquet(rows: int, **options: object) -> bytes:
    table = pa.table({"index": pa.array(np.zeros(rows, np.int64)), "label": pa.array(np.zeros(rows, np.int8))})
    stream = io.BytesIO()
    pq.write_table(table, stream, **options)
    return stream.getvalue()


def varint(value: int) -> bytes:
    """A number as Parquet's footer has it: zigzag, seven bits a byte."""
    value *= 2
    data = bytearray()
    while value > 127:
        data.append(value & 127 | 128)
        value >>= 7
    return bytes([*data, value])


def lying(rows: int, claimed: int, *, everywhere: bool) -> bytes:
    """A Parquet file whose footer claims fewer rows than its row group holds, and the group fewer than its pages."""
    data = parquet(rows)
    footer = len(data) - 8 - int.from_bytes(data[-8:-4], "little")
    true, false = varint(rows), varint(claimed)
    assert len(true) == len(false)
    assert data.count(true, footer) > everywhere
    changed = data[footer:].replace(true, false, -1 if everywhere else 1)
    return data[:footer] + changed


def with_lying_pages() -> bytes:
    """A Parquet file whose footer claims few bytes for each column, whose only page inflates to 256 MiB."""
    rows = 1 << 25
    one_page = {"data_page_size": 1 << 30, "write_batch_size": rows, "max_rows_per_page": rows, "row_group_size": rows}
    data = parquet(rows, use_dictionary=False, compression="zstd", **one_page)
    footer = len(data) - 8 - int.from_bytes(data[-8:-4], "little")
    group = pq.ParquetFile(io.BytesIO(data)).metadata.row_group(0)
    changed = data[footer:]
    for column in map(group.column, range(group.num_columns)):
        true = varint(column.total_uncompressed_size)
        assert true in changed
        changed = changed.replace(true, bytes([0x80 | 64, *[0x80] * (len(true) - 2), 0]))  # 32, in as many bytes
    return data[:footer] + changed


#: Format, file, message; files of at most 1 MiB.
BOMBS: dict[str, tuple[str, Callable[[], bytes], str]] = {
    "npz, bzip2": (
        "npz",
        lambda: zip_of(zipfile.ZIP_BZIP2, lambda file: zeros(file, npy_header(1 << 10), 1 << 26)),
        "'indices' is compressed with bzip2",
    ),
    "npz, LZMA": (
        "npz",
        lambda: zip_of(zipfile.ZIP_LZMA, lambda file: zeros(file, npy_header(1 << 10), 1 << 26)),
        "'indices' is compressed with LZMA",
    ),
    "npz, header of a gigabyte": (
        "npz",
        lambda: zip_of(
            zipfile.ZIP_DEFLATED,
            lambda file: zeros(file, b"\x93NUMPY\x02\x00" + ZEROS_BYTES.to_bytes(4, "little"), 1 << 28),
        ),
        "its header claims 1073741824 bytes",
    ),
    "npz, array of a gigabyte": (
        "npz",
        lambda: zip_of(zipfile.ZIP_DEFLATED, lambda file: zeros(file, npy_header(ZEROS_BYTES // 8), 1 << 28)),
        "the limits allow 33554432",
    ),
    "csv, gzip of blank lines": ("csv", lambda: gzip.compress(b"\n" * (1 << 28), 9), "of gzip inflate to"),
    "csv, zstd of one line": ("csv", lambda: zstandard.compress(b"3" * ZEROS_BYTES), "longer than 4194304 bytes"),
    "csv, names": ("csv", lambda: gzip.compress(b"ab,cd\n" * (1 << 24)), "of gzip inflate to"),
    "json, brackets": (
        "json",
        lambda: gzip.compress(b"[" + b"[]," * (1 << 24) + b"[]]"),
        "too large for a JSON document",
    ),
    "jsonl, nested": (
        "jsonl",
        lambda: b'{"index":' + b"[" * 500_000 + b"]" * 500_000 + b"}",
        "is not a JSON object",
    ),
    "npy, gzip": ("npy", lambda: gzip.compress(npy_header(1 << 27) + bytes(1 << 27)), "of gzip inflate to"),
    "arrow, zstd": ("arrow", lambda: ipc(1 << 25, "zstd"), "of Arrow IPC inflate to"),
    "arrow, rows": ("arrow", lambda: ipc((1 << 25) + 1, "zstd"), "more, but the limit max_kept is"),
    "parquet, zstd": (
        "parquet",
        lambda: parquet(1 << 25, use_dictionary=False, compression="zstd", data_page_size=1 << 30),
        "of Parquet inflate to",
    ),
    "parquet, pages": ("parquet", with_lying_pages, "of Parquet inflate to"),
    "parquet, rows": ("parquet", lambda: parquet((1 << 25) + 1), "more, but the limit max_kept is"),
    "parquet, rows of a dictionary": ("parquet", lambda: parquet(1 << 25), "row 2: index 0 is repeated"),
    "parquet, footer": ("parquet", lambda: lying(40_000_000, 20_000_000, everywhere=False), "rows, but its row groups"),
    "parquet, everywhere": ("parquet", lambda: lying(1_000_000, 900_000, everywhere=True), "row 2: index 0"),
}


@pytest.mark.parametrize("name", BOMBS)
def test_small_files_take_little_memory(name: str, tmp_path: Path) -> None:
    format, make, message = BOMBS[name]
    path = tmp_path / "bomb"
    path.write_bytes(make())
    assert path.stat().st_size <= 1 << 20
    command = [sys.executable, "-c", READER, str(path), format, str(ALLOWED_BYTES)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert re.search(message, done.stdout), done.stdout
