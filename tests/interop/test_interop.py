"""A payload comes back from every foreign format unchanged; an error of a file is one line."""

from __future__ import annotations

import io
import json
import os
import re
import stat
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from plada_codec import (
    InvalidArgument,
    InvalidPayload,
    LimitExceeded,
    Limits,
    Payload,
    PladaError,
    Unavailable,
    Universe,
)
from plada_codec.errors import FileError
from plada_codec.files import atomic_write
from plada_codec.interop import read, write
from plada_codec.interop.registry import FORMATS
from plada_codec.testing.strategies import payloads
from tests.helpers.examples import examples

pa = pytest.importorskip("pyarrow")
pyroaring = pytest.importorskip("pyroaring")
import pyarrow.parquet as pq

#: Formats that say everything, and those that say indices and labels only.
COMPLETE = [name for name, format in FORMATS.items() if format.is_complete]
BARE = [name for name, format in FORMATS.items() if not format.is_complete]
#: Sizes that the examples pass to the reader of a bare format.
SIZES: dict[str, Any] = {"reference_size": 100, "num_classes": 10}
EXAMPLE = Payload([3, 14, 15, 92], [6, 5, 3, 5], **SIZES)


class Pipe:
    """A binary stream as a pipe is one: no seeking, and fewer bytes than asked for."""

    def __init__(self, data: bytes = b"") -> None:
        self.data = data
        self.closed = False

    def read(self, size: int = -1) -> bytes:
        size = max(1, size // 2) if size >= 0 else len(self.data)
        block, self.data = self.data[:size], self.data[size:]
        return block

    def write(self, data: Any) -> int:
        self.data += bytes(data)
        return len(data)

    def flush(self) -> None:
        pass


def written(payload: Payload, format: str) -> bytes:
    stream = io.BytesIO()
    write(payload, stream, format)
    return stream.getvalue()


def read_bytes(data: bytes, format: str, **given: Any) -> Payload:
    return read(io.BytesIO(data), format, **given)


def all_of(payload: Payload) -> dict[str, Any]:
    return {name: value for name, value in vars(payload).items() if name not in ("indices", "labels")}


def fault(data: bytes, format: str, **given: Any) -> str:
    """The message of the error that reading raises: one line."""
    with pytest.raises(PladaError) as caught:
        read_bytes(data, format, **(SIZES | given))
    message = str(caught.value)
    assert message.isprintable(), message
    return message


def npz(**arrays: Any) -> bytes:
    stream = io.BytesIO()
    np.savez_compressed(stream, **({"indices": [3, 14], "labels": [6, 5]} | arrays))
    return stream.getvalue()


def arrow(format: str, table: Any) -> bytes:
    stream = io.BytesIO()
    if format == "parquet":
        pq.write_table(table, stream)
    else:
        with pa.ipc.new_file(stream, table.schema) as writer:
            writer.write_table(table)
    return stream.getvalue()


# --- round trips ---


@given(payloads(max_kept=300), st.sampled_from(COMPLETE))
def test_complete_formats_give_back_the_payload(payload: Payload, format: str) -> None:
    assert read_bytes(written(payload, format), format) == payload


@given(payloads(max_kept=300), st.sampled_from(BARE))
def test_bare_formats_give_back_the_payload_when_told_the_rest(payload: Payload, format: str) -> None:
    try:
        data = written(payload, format)
    except InvalidPayload:
        assert format == "idx-raw"
        assert payload.indices[-1] >= 1 << 32
    except LimitExceeded:
        assert format == "bmp-raw"
        assert payload.reference_size > 1 << 31
    else:
        assert read_bytes(data, format, **all_of(payload)) == payload


@examples(0.5)
@given(payloads(max_kept=50), st.sampled_from(COMPLETE), st.sampled_from(COMPLETE))
def test_conversion_between_complete_formats_loses_nothing(payload: Payload, first: str, second: str) -> None:
    assert read_bytes(written(read_bytes(written(payload, first), first), second), second) == payload


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize(
    "payload", [EXAMPLE, Payload([], [], **SIZES), Payload(np.arange(100), np.zeros(100, int), **SIZES)]
)
def test_files_and_pipes_give_back_the_same_payload(format: str, payload: Payload, tmp_path: Path) -> None:
    path = tmp_path / f"kept.{format}"
    write(payload, path)
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
    assert read(path, **SIZES) == payload
    pipe: Any = Pipe()
    write(payload, pipe, format)
    assert not pipe.closed
    assert read(pipe, format, **SIZES) == payload
    assert not pipe.closed


def test_arguments_override_the_metadata_of_the_file() -> None:
    given = {"reference_size": 93, "num_classes": 7, "reference_digest": b"12345678", "universe": Universe(3, 1)}
    for format in COMPLETE:
        changed = read_bytes(written(EXAMPLE, format), format, **given)
        assert {name: getattr(changed, name) for name in given} == given


@pytest.mark.parametrize("format", BARE)
def test_a_missing_size_is_asked_for_by_its_option(format: str) -> None:
    data = written(EXAMPLE, format)
    with pytest.raises(InvalidArgument, match=r"the stream: .* give reference_size \(--reference or"):
        read_bytes(data, format, num_classes=10)
    with pytest.raises(InvalidArgument, match=r"the stream: .* give num_classes \(--classes\)"):
        read_bytes(data, format, reference_size=100)


@pytest.mark.parametrize("format", FORMATS)
def test_no_more_is_read_than_the_limits_allow(format: str) -> None:
    data = written(EXAMPLE, format)
    assert read_bytes(data, format, **SIZES, limits=Limits(max_kept=4)) == EXAMPLE
    with pytest.raises(LimitExceeded):
        read_bytes(data, format, **SIZES, limits=Limits(max_kept=3))


@pytest.mark.parametrize("format", ["npz", "roaring", "idx-raw"])
def test_a_stream_without_end_is_not_read_to_its_end(format: str) -> None:
    class Zeros(io.RawIOBase):
        def read(self, size: int = -1) -> bytes:
            assert size >= 0
            return bytes(size)

    endless: Any = Zeros()
    with pytest.raises(LimitExceeded, match="more than the"):
        read(endless, format, **SIZES, limits=Limits(max_kept=10, max_stream_bytes=10))


# --- layouts of the formats ---


def test_text_formats_have_one_line_for_each_kept_image() -> None:
    assert written(EXAMPLE, "csv") == b"index,label\n3,6\n14,5\n15,3\n92,5\n"
    lines = written(EXAMPLE, "jsonl").splitlines()
    assert [json.loads(line) for line in lines] == [
        {"index": index, "label": label} for index, label in [(3, 6), (14, 5), (15, 3), (92, 5)]
    ]


def test_raw_formats_have_the_bytes_that_the_paper_counts() -> None:
    payload = Payload([1, 258], [3, 260], 260, 261)
    assert written(payload, "idx-raw").hex(" ") == "01 00 00 00 02 01 00 00 03 00 04 01"
    assert written(payload, "bmp-raw").hex(" ") == "40" + 31 * " 00" + " 20" + " 03 00 04 01"


@pytest.mark.parametrize("reference_size", [100, 2**32, 2**32 + 1, 2**48])
def test_other_readers_find_the_indices_in_roaring(reference_size: int) -> None:
    indices = [3, 14, 15, reference_size - 1]
    data = written(Payload(indices, [0, 1, 2, 3], reference_size, 4), "roaring")
    kind = pyroaring.BitMap if reference_size <= 2**32 else pyroaring.BitMap64
    assert list(kind.deserialize(data)) == indices


def test_a_roaring_bitmap_of_another_writer_is_read_when_labels_are_appended() -> None:
    indices = np.arange(0, 100_000, 3, dtype=np.uint32)
    labels = (indices % 7).astype("<u2")
    for optimize in (False, True):
        bitmap = pyroaring.BitMap(indices, optimize=optimize)
        payload = read_bytes(bitmap.serialize() + labels.tobytes(), "roaring", reference_size=100_000, num_classes=7)
        assert payload == Payload(indices, labels, 100_000, 7)


def test_an_npz_needs_indices_and_labels_only() -> None:
    assert read_bytes(npz(), "npz", **SIZES) == Payload([3, 14], [6, 5], **SIZES)
    sized = npz(reference_size=100, num_classes=np.uint16(10), stride=1, offset=3, logits=np.zeros((2, 10)))
    assert read_bytes(sized, "npz") == Payload([3, 14], [6, 5], **SIZES, universe=Universe(3))


@pytest.mark.parametrize("format", ["arrow", "parquet"])
def test_columnar_files_of_others_are_read_whatever_their_integers_and_order(format: str) -> None:
    table = pa.table(
        {"path": ["a", "b"], "label": pa.array([6, 5], pa.uint8()), "index": pa.array([3, 14], pa.uint64())}
    )
    assert read_bytes(arrow(format, table), format, **SIZES) == Payload([3, 14], [6, 5], **SIZES)


def test_arrow_streams_are_read_as_arrow_files_are() -> None:
    table = pa.table({"index": [3, 14, 15, 92], "label": [6, 5, 3, 5]})
    stream = io.BytesIO()
    with pa.ipc.new_stream(stream, table.schema) as writer:
        writer.write_table(table, max_chunksize=2)
    assert read_bytes(stream.getvalue(), "arrow", **SIZES) == EXAMPLE


# --- text ---

good_rows = st.lists(st.tuples(st.integers(0, 10**18 - 1), st.integers(0, 9)), min_size=1, max_size=20)


@given(good_rows, st.sampled_from(["", "index,label\n", "\ufeffIndex, Label\r\n"]), st.data())
def test_csv_is_read_whatever_its_spacing(rows: list[tuple[int, int]], header: str, data: st.DataObject) -> None:
    rows = sorted(dict(rows).items())
    assume(header or rows[0] != (0, 1))  # it may be a header of pandas
    space = st.sampled_from(["", "", " ", "\t"])
    end = st.sampled_from(["\n", "\n", "\r\n", "\n\n"])
    text = header
    for index, label in rows:
        text += (
            f"{data.draw(space)}{index}{data.draw(space)},{data.draw(space)}{label}{data.draw(space)}{data.draw(end)}"
        )
    payload = read_bytes(text.rstrip("\n").encode(), "csv", reference_size=10**18, num_classes=10)
    assert list(zip(payload.indices.tolist(), payload.labels.tolist(), strict=True)) == rows


@given(st.text("0123456789,,,\n\n\n\r-+", max_size=40))
def test_a_csv_file_is_read_as_exactly_its_rows_or_refused(text: str) -> None:
    lines = [line for line in re.split(r"\r\n?|\n", text) if line.strip(",")]
    rows = [re.fullmatch(r"([+-]?\d+),([+-]?\d+),*", line) for line in lines]
    try:
        payload = read_bytes(text.encode(), "csv", reference_size=2**63 - 1, num_classes=65_536)
    except (FileError, InvalidArgument):
        assert (
            not rows
            or None in rows
            or lines[0].strip(",\n") == "0,1"  # it may be a header of pandas
            or max(abs(int(number)) for row in rows if row for number in row.groups()) >= 2**63
        )
    except InvalidPayload:
        assert None not in rows
    else:
        pairs = zip(payload.indices.tolist(), payload.labels.tolist(), strict=True)
        assert list(pairs) == [(int(row[1]), int(row[2])) for row in rows if row]


def test_long_csv_keeps_count_of_its_lines_across_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("plada_codec.tables.text.lines.BLOCK_BYTES", 50)
    payload = Payload(np.arange(1000), np.arange(1000) % 10, 1000, 10)
    data = written(payload, "csv")
    assert read_bytes(data, "csv", reference_size=1000, num_classes=10) == payload
    assert "line 702: label 'x' is not a whole number" in fault(data.replace(b"\n700,0\n", b"\n700,x\n"), "csv")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "it is empty"),
        ("\n\n", "it is empty"),
        ("index,label\n3,6\n14\n", "line 3: '14' has 1 of 2 fields"),
        ("3,6\n14,5,1\n", "line 2: '14,5,1' has 3 of 2 fields"),
        ("3,6,1\n14,5,1\n", "line 1: it does not name a column of images and one of labels; the columns are '3', '6'"),
        ("index,label\n3,nan\n", "line 2: label 'nan' is not a whole number"),
        ("3,6\n\n14.5,5\n", "line 3: index '14.5' is not a whole number"),
        ("3,6\n1e-1,5\n", "line 2: index '1e-1' is not a whole number"),
        ("3,6\n1_4,5\n", "line 2: index '1_4' is not a whole number"),
        ("3,6\n14,\n", "line 2: label is missing"),
        ("3:6\n", "line 1: '3:6' is not two fields"),
        ("3,6\n99999999999999999999,5\n", "line 2: index '99999999999999999999' is not a whole number of 64 bits"),
        ("3,6\n٣,6\n", "line 2: index '\\u0663' is not a whole number"),
        ("14,6\n3,5\n", "line 2: index 3 comes after 14: give sort=True (--sort)"),
        ("3,6\n3,5\n", "line 2: index 3 is repeated"),
        ("-1,6\n3,5\n", "line 1: index -1 is outside the reference set of 100 images"),
        ("3,6\n100,5\n", "line 2: index 100 is outside the reference set of 100 images"),
        ("3,6\n14,10\n", "line 2: label 10 is outside the 10 classes"),
        ("3,-6\n14,5\n", "line 1: label -6 is outside the 10 classes"),
    ],
)  # fmt: skip
def test_bad_csv_is_refused_by_line(text: str, message: str, tmp_path: Path) -> None:
    assert f"the stream: {message}" in fault(text.encode(), "csv")
    path = tmp_path / "kept.csv"
    path.write_text(text, "utf-8")
    with pytest.raises(PladaError) as caught:
        read(path, **SIZES)
    assert f"{path}: {message}" in str(caught.value)


def test_a_csv_line_of_megabytes_is_refused() -> None:
    assert "line 1: longer than" in fault(b"1" * 5_000_000, "csv")


@pytest.mark.parametrize(
    "line",
    [
        "14,5", "{", "[14, 5]", "null", "{}", '{"index": 14}', '{"index": 14.5, "label": 5}',
        '{"index": NaN, "label": 5}',
        '{"index": "14", "label": 5}', '{"index": 14, "label": true}', '{"index": 14, "label": null}',
        '{"index": 99999999999999999999, "label": 5}', '{"index": 14, "label": 5} {}', "[" * 100_000, '{"index": \x00',
    ],
)  # fmt: skip
def test_bad_json_lines_are_refused_by_line(line: str) -> None:
    assert "the stream: line 2: " in fault(f'{{"index":3,"label":6}}\n{line}\n'.encode(), "jsonl")


def test_json_lines_may_have_further_keys_and_spaces() -> None:
    text = b'{"label": 6, "score": 0.5, "index": 3}\r\n\n {"index":14,"label":5} '
    assert read_bytes(text, "jsonl", **SIZES) == Payload([3, 14], [6, 5], **SIZES)


# --- binary ---


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"indices": [3, 14, 15]}, "3 indices but 2 labels"),
        ({"indices": [3.0, np.nan]}, "row 2: index nan is not a whole number"),
        ({"labels": [6.0, 5.5]}, "row 2: label 5.5 is not a whole number"),
        ({"indices": [[3, 14]]}, "indices must have one dimension, not 2"),
        ({"indices": [14, 3]}, "row 2: index 3 comes after 14"),
        ({"indices": [3, 3]}, "row 2: index 3 is repeated"),
        ({"indices": [-3, 3]}, "row 1: index -3 is outside"),
        ({"indices": [3, 100]}, "row 2: index 100 is outside"),
        (
            {"indices": np.array([3, 2**64 - 1], np.uint64)},
            "row 2: index 18446744073709551615 is not a whole number of 64 bits",
        ),
        ({"labels": [6, 10]}, "row 2: label 10 is outside the 10 classes"),
        ({"indices": np.array([3, "x"], object)}, "'indices' holds pickled objects, which are not read"),
        ({"class_names": np.array(["a", None], object)}, "'class_names' holds pickled objects"),
        ({"class_names": [1, 2]}, "'class_names' must be text of one dimension"),
        ({"class_names": ["a", "b"]}, "2 class names for 10 classes"),
        ({"reference_digest": [1, 2]}, "'reference_digest' must be uint8 of one dimension"),
        ({"reference_digest": np.zeros(3, np.uint8)}, "reference_digest has 3 bytes"),
        ({"stride": [1, 2]}, "'stride' must be one integer"),
        ({"stride": 2}, "index 3 is not in the universe"),
        ({"offset": 0.5}, "'offset' must be one integer"),
        ({"soft_labels": [[1] * 10]}, "soft_labels has shape (1, 10), but there are 2 used classes of 10"),
        ({"soft_labels": np.full((2, 10), 0.5)}, "soft_labels has 0.5 (number 0), which is not a whole number"),
        ({"weights": [1, 16]}, "weights has a 16, but must be 0 .. 15"),
    ],
)
def test_bad_npz_is_refused(arrays: dict[str, Any], message: str) -> None:
    assert f"the stream: {message}" in fault(npz(**arrays), "npz")


def test_an_npz_without_its_arrays_is_refused() -> None:
    for name in ("indices", "labels"):
        stream = io.BytesIO()
        with zipfile.ZipFile(io.BytesIO(npz())) as whole, zipfile.ZipFile(stream, "w") as part:
            for file in whole.namelist():
                if file != f"{name}.npy":
                    part.writestr(file, whole.read(file))
        assert f"there is no array '{name}'" in fault(stream.getvalue(), "npz")


@pytest.mark.parametrize(
    "shape", ["(1099511627776,)", "(33554433,)", "(-1,)", "(2, 99999999)", "(True,)", "3", "(1e3,)"]
)
def test_the_claims_of_an_npz_are_checked_before_allocation(shape: str) -> None:
    header = f"{{'descr': '<i8', 'fortran_order': False, 'shape': {shape}}}".ljust(117) + "\n"
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(
            "indices.npy", b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode() + bytes(80)
        )
    message = fault(stream.getvalue(), "npz")
    assert "the limits allow" in message or "'indices' is damaged" in message or "bytes after its array" in message


@pytest.mark.parametrize("format", ["arrow", "parquet"])
@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"index": [3, 14]}, "it is not clear which column holds the labels; the columns are 'index'"),
        ({"index": [3.0, 14.5], "label": [6, 5]}, "row 2: index 14.5 is not a whole number"),
        ({"index": [3, 14], "label": ["cat", "5"]}, "row 1: label 'cat' is a name: give the names of all classes"),
        ({"index": [3, None], "label": [6, 5]}, "row 2: index is missing"),
        ({"index": [14, 3], "label": [6, 5]}, "row 2: index 3 comes after 14"),
        ({"index": [3, 14], "label": [6, 10]}, "row 2: label 10 is outside the 10 classes"),
        ({"index": [3, 14], "label": [6, 5], "weight_code": [0.5, 1]}, "row 1: weight_code 0.5 is not a whole number"),
        ({"index": [3, 14], "label": [6, 5], "weight_code": [1, None]}, "row 2: weight_code is missing"),
        ({"index": [3, 14], "label": [6, 5], "weight_code": [1, 16]}, "weights has a 16"),
    ],
)
def test_invalid_columns_of_arrow_and_parquet_are_refused(
    format: str, columns: dict[str, list[Any]], message: str
) -> None:
    assert f"the stream: {message}" in fault(arrow(format, pa.table(columns)), format)


@pytest.mark.parametrize("format", ["arrow", "parquet"])
@pytest.mark.parametrize(
    "metadata",
    [
        b"{", b"[]", b"\xff", b'{"reference_digest": 5}', b'{"reference_digest": "xy"}', b'{"reference_size": 0}',
        b'{"reference_size": "100"}', b'{"num_classes": null}', b'{"offset": -1}', b'{"stride": 1.5}',
        b'{"class_names": "abc"}', b'{"class_names": 7}', b'{"class_names": [1]}', b'{"soft_labels": "abc"}',
        b'{"soft_labels": [[1], [1, 2]]}', b'{"soft_labels": {"1": 2}}', b'{"soft_labels": [["1"], ["2"]]}',
    ],
)  # fmt: skip
def test_bad_metadata_is_refused(format: str, metadata: bytes) -> None:
    table = pa.table({"index": [3, 14], "label": [6, 5]}).replace_schema_metadata({"plada": metadata})
    given = {name: value for name, value in SIZES.items() if name.encode() not in metadata}
    with pytest.raises(PladaError):
        read_bytes(arrow(format, table), format, **given)


@pytest.mark.parametrize(
    ("format", "data", "message"),
    [
        ("idx-raw", bytes(7), "7 bytes are not 4 bytes of index and 2 of label for each image"),
        ("bmp-raw", bytes(12), "12 bytes are less than the bitmap of 100 images"),
        ("bmp-raw", b"\x80" + bytes(12), "the bitmap keeps 1 images, but 0 bytes of labels follow it"),
        ("bmp-raw", bytes(12) + b"\x01" + bytes(2), "the padding is not zero"),
        ("roaring", b"", "not a Roaring bitmap for N = 100"),
        (
            "roaring",
            pyroaring.BitMap([3, 14]).serialize(),
            "the bitmap keeps 2 images, but 0 bytes of labels follow it",
        ),
        ("roaring", pyroaring.BitMap(range(2**20)).serialize()[:-1], "not a Roaring bitmap"),
        ("plada", b"hello", "the stream: not a PLADA payload"),
    ],
)
def test_bad_raw_files_are_refused(format: str, data: bytes, message: str) -> None:
    assert message in fault(data, format)


def test_a_roaring_bitmap_of_four_billion_images_is_refused_before_it_is_unpacked() -> None:
    bitmap = pyroaring.BitMap()
    bitmap.add_range(0, 2**32)
    with pytest.raises(LimitExceeded):
        read_bytes(bitmap.serialize(), "roaring", reference_size=2**32, num_classes=1)


#: One file of each format, to damage.
FILES = {format: written(Payload([3, 14, 15, 92, 96], [6, 5, 3, 5, 8], **SIZES, reference_digest=b"digest!!"), format)
         for format in FORMATS}  # fmt: skip


@examples(6)
@given(st.sampled_from(list(FORMATS)), st.data())
def test_damaged_files_are_payloads_or_refused_in_one_line(format: str, data: st.DataObject) -> None:
    file = bytearray(FILES[format])
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(file) - 1))
        how = data.draw(st.sampled_from(["change", "cut out", "add", "cut off"]))
        if how == "change":
            file[at] = data.draw(st.integers(0, 255))
        elif how == "add":
            file[at:at] = data.draw(st.binary(min_size=1, max_size=8))
        else:
            del file[at : at + 4 if how == "cut out" else None]
        if not file:
            break
    message = ""
    try:
        read_bytes(bytes(file), format, **SIZES)
    except PladaError as error:
        message = str(error)
    assert message.isprintable()


@given(st.sampled_from(list(FORMATS)), st.binary(max_size=60))
def test_garbage_is_a_payload_or_refused_in_one_line(format: str, garbage: bytes) -> None:
    message = ""
    try:
        read_bytes(garbage, format, **SIZES)
    except PladaError as error:
        message = str(error)
    assert message.isprintable()


@pytest.mark.parametrize("format", ["plada", "npz", "arrow", "parquet", "roaring"])
def test_files_cut_short_anywhere_are_refused(format: str) -> None:
    data = FILES[format]
    for end in range(0, len(data), max(1, len(data) // 100)):
        fault(data[:end], format)


# --- files ---


def interrupt(_: int) -> None:
    raise KeyboardInterrupt


def test_an_unknown_format_is_refused_with_those_that_are_known(tmp_path: Path) -> None:
    for call in (
        lambda: read(tmp_path / "kept.xml"),
        lambda: write(EXAMPLE, tmp_path / "kept"),
        lambda: read(tmp_path / "kept.csv", "xml"),
        lambda: write(EXAMPLE, io.BytesIO()),
    ):
        with pytest.raises(InvalidArgument, match="the formats are: plada, npz, csv"):
            call()
    assert not list(tmp_path.iterdir())


def test_a_file_that_is_not_there_or_is_a_folder_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "folder.csv").mkdir()
    for name in ("missing.csv", "folder.csv"):
        with pytest.raises(FileError, match=f"{name}: cannot be read: "):
            read(tmp_path / name, **SIZES)
    for path in (tmp_path / "folder.csv", tmp_path / "missing" / "kept.csv"):
        with pytest.raises(FileError, match=f"cannot write {path}: "):
            write(EXAMPLE, path)


@pytest.mark.parametrize(("module", "formats"), [("pyarrow", ["arrow", "parquet"]), ("pyroaring", ["roaring"])])
def test_a_missing_extra_is_named(module: str, formats: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    extra = {"pyarrow": "arrow", "pyroaring": "roaring"}[module]
    for format in formats:
        with pytest.raises(Unavailable, match=rf"needs {module}: pip install plada\[{extra}\]"):
            read_bytes(FILES[format], format, **SIZES)
        with pytest.raises(Unavailable, match=rf"pip install plada\[{extra}\]"):
            written(EXAMPLE, format)


def test_a_write_that_fails_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "kept.idx-raw"
    path.write_bytes(b"before")
    with pytest.raises(InvalidPayload):
        write(Payload([2**32], [0], 2**33, 1), path)
    with pytest.raises(KeyboardInterrupt), atomic_write(path) as stream:
        interrupt(stream.write(b"half"))
    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path]


def test_files_are_written_through_links_and_with_the_usual_permissions(tmp_path: Path) -> None:
    target, link = tmp_path / "target", tmp_path / "link"
    link.symlink_to(target)
    usual = tmp_path / "usual"
    usual.touch()
    for content in (b"first", b"second"):
        with atomic_write(link) as stream:
            stream.write(content)
        assert link.is_symlink()
        assert target.read_bytes() == content
    assert stat.S_IMODE(target.stat().st_mode) == stat.S_IMODE(usual.stat().st_mode)


def test_a_special_file_is_written_to_and_not_replaced(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.csv"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        write(EXAMPLE, pipe)
        assert os.read(reader, 1000) == written(EXAMPLE, "csv")
    finally:
        os.close(reader)
    assert list(tmp_path.iterdir()) == [pipe]
    assert stat.S_ISFIFO(pipe.stat().st_mode)
