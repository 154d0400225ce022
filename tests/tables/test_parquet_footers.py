"""A parquet footer is read as pyarrow reads it, and none ends the process.

pyarrow can end it (SIGABRT), so that hostile footers are read in child processes.
"""

from __future__ import annotations

import io
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from plada_codec.tables.parquet_pages import read_footer
from plada_codec.tables.thrift import INT32, INT64, read_struct

pa = pytest.importorskip("pyarrow")
import pyarrow.parquet as pq

#: Reads every file of a folder as images and as a payload. Only a PladaError is a good answer.
READERS = """
import sys
from pathlib import Path
from plada_codec import PladaError
from plada_codec.interop import read
from plada_codec.reference import open_images
def images():
    source = open_images(path)
    for number in range(min(len(source), 3)):
        source.read(number)
    source.labels
for path in sorted(Path(sys.argv[1]).iterdir()):
    answers = []
    for reader in (images, lambda: read(path, "parquet", reference_size=9, num_classes=3)):
        try:
            reader()
            answers.append("read")
        except PladaError:
            answers.append("refused")
    print(path.name, *answers)
"""


def images() -> bytes:
    image = pa.array([{"bytes": bytes([n]) * 9, "path": f"{n}.png"} for n in range(3)])
    return parquet_of(pa.table({"image": image, "label": [0, 1, 1]}))


def payload() -> bytes:
    return parquet_of(pa.table({"index": [1, 5, 7], "label": [0, 1, 1]}))


def parquet_of(table: Any, **options: Any) -> bytes:
    stream = io.BytesIO()
    pq.write_table(table, stream, store_schema=False, **options)
    return stream.getvalue()


def footer_of(data: bytes) -> bytes:
    return data[-8 - int.from_bytes(data[-8:-4], "little") : -8]


def with_footer(data: bytes, footer: bytes) -> bytes:
    return data[: -8 - len(footer_of(data))] + footer + len(footer).to_bytes(4, "little") + b"PAR1"


def answers(folder: Path) -> dict[str, list[str]]:
    done = subprocess.run([sys.executable, "-c", READERS, str(folder)], capture_output=True, text=True)
    assert done.returncode == 0, (done.stdout[-200:], done.stderr[-2000:])
    return {name: answers for name, *answers in map(str.split, done.stdout.splitlines())}


@pytest.mark.processes
def test_statistics_that_contradict_each_other_do_not_end_the_process(tmp_path: Path) -> None:
    """Size statistics count the values of each level: 3 of the last here, and then of too few or too many levels."""
    for name, data in (("images", images()), ("payload", payload())):
        footer = footer_of(data)
        for levels in (2, 3):
            counts = b"\x06".rjust(levels, b"\x00")
            histogram = bytes([levels << 4 | 6]) + counts
            if histogram not in footer:
                continue
            fewer, more = bytes([(levels - 1) << 4 | 6]) + counts[1:], bytes([(levels + 1) << 4 | 6, 0]) + counts
            for number, other in enumerate((fewer, more)):
                changed = footer.replace(histogram, other)
                (tmp_path / f"{name}-{levels}-{number}").with_suffix(".parquet").write_bytes(with_footer(data, changed))
        # A length of a list that swallows the next fields: a fuzzer found it
        for at in (at for at, byte in enumerate(footer[:-1]) if byte == 0x19 and footer[at + 1] == 0x06):
            changed = footer[: at + 1] + b"\x26" + footer[at + 2 :]
            (tmp_path / f"{name}-found-{at}.parquet").write_bytes(with_footer(data, changed))
    found = answers(tmp_path)
    assert {name.split("-")[0] for name in found} == {"images", "payload"}
    assert len(found) == len(list(tmp_path.iterdir()))


@pytest.mark.processes
def test_no_changed_byte_of_a_footer_ends_the_process(tmp_path: Path) -> None:
    chosen = random.Random(1)
    for name, data in (("images", images()), ("payload", payload())):
        footer = footer_of(data)
        for at in chosen.sample(range(len(footer)), 60):
            changed = bytearray(footer)
            changed[at] ^= 1 << at % 8
            (tmp_path / f"{name}-{at}.parquet").write_bytes(with_footer(data, bytes(changed)))
    assert len(answers(tmp_path)) == len(list(tmp_path.iterdir()))


@pytest.mark.parametrize("options", [{}, {"row_group_size": 2}, {"use_dictionary": False, "write_page_index": True}])
def test_a_footer_is_that_of_pyarrow(options: dict[str, Any]) -> None:
    table = pa.table({"a": [{"b": 1, "c": ["x"]}] * 5, "d": [None, 1.5, 2.5, 3.5, 4.5], "dd": [True] * 5})
    data = parquet_of(table, **options)
    file = pq.ParquetFile(io.BytesIO(data))
    rows, groups = read_footer(io.BytesIO(data), file.schema)
    assert (rows, len(groups)) == (file.metadata.num_rows, file.metadata.num_row_groups)
    for number, group in enumerate(groups):
        theirs = file.metadata.row_group(number)
        assert group.rows == theirs.num_rows
        for i, chunk in enumerate(group.chunks):
            column = theirs.column(i)
            begin = column.dictionary_page_offset or column.data_page_offset
            sizes = (column.total_compressed_size, column.total_uncompressed_size)
            assert chunk == (column.path_in_schema, column.num_values, begin, *sizes)
        assert [chunk.path for chunk in group.chunks_of(["a", "d"])] == ["a.b", "a.c.list.element", "d"]


def test_a_chunk_has_the_path_of_the_schema_whatever_it_says() -> None:
    """pyarrow reads the chunk at the place of the column. So a false path must not hide a page from the checks."""
    data = images()
    changed = data.replace(b"\x05image\x05bytes", b"\x05other\x05bytes")
    assert changed != data
    _, [group] = read_footer(io.BytesIO(changed), pq.ParquetFile(io.BytesIO(changed)).schema)
    assert group.chunks_of(["image.bytes"])


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"\x16\x02", "cut off"),
        (b"\x38\x7f", "cut off"),
        (b"\x16\x02\x06\x02\x04\x00", "damaged"),  # a field twice
        (b"\x15\x02\x00", "damaged"),  # another type
        (b"\x16" + b"\xff" * 9 + b"\x7f\x00", "damaged"),  # more than 64 bits
        (b"\x25\xff\xff\xff\xff\x7f\x00", "damaged"),  # more than 32 bits
        (b"\x06\x82\x80\x08\x02\x00", "damaged"),  # field 1 + 2^16, which 16 bits hold as field 1
        (b"\x1c" * 40, "damaged"),  # too deep
        (b"\x49\x1c" + b"\x1c" * 40, "damaged"),
        (b"\x1d\x00", "damaged"),  # no type
    ],
)
def test_a_struct_that_can_be_understood_in_two_ways_is_refused(data: bytes, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        read_struct(data, {1: INT64, 2: INT32, 4: [INT64]} if not data.startswith(b"\x1c") else {})


def test_unwanted_fields_of_all_types_are_skipped() -> None:
    others = (
        b"\x11\x12\x13\x07\x14\x02\x17" + bytes(8) + b"\x18\x02ab\x19\x21\x01\x02\x1a\x15\x02\x1c\x15\x02\x00"
        b"\x1b\x00\x1b\x01\x85\x01a\x02\x19\xf3\x0f" + bytes(15)
    )
    fields, size = read_struct(others + b"\x16\x05\x00rest", {13: INT64})
    assert (fields, size) == ({13: -3}, len(others) + 3)
