"""Functions answer array-likes, streams, buffers and limits of any kind with a result or with one line of ours."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from plada_codec import (
    Limits,
    Payload,
    PladaError,
    Reassembler,
    Sender,
    compare,
    decode,
    dequantised_concentrations,
    dequantised_weights,
    encode,
    inspect,
    interop,
    quantised_concentrations,
    quantised_weights,
)
from plada_codec.frames import FrameLimits, layout, parse_frame, read_batches, read_frames, write_frame
from plada_codec.interop.registry import FORMATS

PAYLOAD = Payload([3, 5, 9], [1, 2, 0], 100, 5)
#: Functions of an array of three integers, by the argument.
ARRAYS: dict[str, Callable[[Any], object]] = {
    "indices": lambda values: Payload(values, [1, 2, 0], 100, 5),
    "labels": lambda values: Payload([3, 5, 9], values, 100, 10),
    "weights": lambda values: Payload([3, 5, 9], [1, 2, 0], 100, 5, weights=values),
    "quantised weights": quantised_weights,
    "dequantised weights": dequantised_weights,
    "dequantised concentrations": dequantised_concentrations,
    "weights of interop.read": lambda values: interop.read(
        io.BytesIO(b"3,1\n5,2\n9,0\n"), "csv", reference_size=100, num_classes=5, weights=values
    ),
}
#: Functions of an array of three rows of three integers.
TABLES: dict[str, Callable[[Any], object]] = {
    "soft labels": lambda rows: Payload([3, 5, 9], [1, 2, 0], 100, 3, soft_labels=rows),
    "quantised concentrations": quantised_concentrations,
    "dequantised concentrations": dequantised_concentrations,
}
MASK = [False, True, False]


class Foreign:
    """An array-like whose conversion raises an error, or returns something."""

    def __init__(self, result: Any) -> None:
        self.result = result

    def __array__(self, *arguments: object, **options: object) -> Any:
        if isinstance(self.result, BaseException):
            raise self.result
        return self.result


class Wordless(Exception):
    """An error whose message cannot be made."""

    def __str__(self) -> str:
        raise RuntimeError("no words")


class Veiled(np.ndarray[Any, Any]):
    """An array of another library with a mask of its own."""

    mask = np.array(MASK)


def refused(call: Callable[..., object], *arguments: Any, **options: Any) -> str:
    """The message of the error that a call must raise: one line, one of ours, and no warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(PladaError) as caught:
            call(*arguments, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("name", ARRAYS)
def test_values_behind_a_mask_are_refused_wherever_an_array_comes_in(name: str) -> None:
    values = np.ma.MaskedArray([3, 5, 9], mask=MASK)
    forms: list[Any] = [
        values,
        values.astype(np.float32),
        [3, np.ma.masked, 9],
        (3, np.ma.masked, 9),
        [np.ma.array(3), np.ma.array(5, mask=True), np.ma.array(9)],
        Foreign(values),
        np.array([3, 5, 9]).view(Veiled),
    ]
    for masked in forms:
        assert "masked" in refused(ARRAYS[name], masked)


@pytest.mark.parametrize("name", TABLES)
def test_values_behind_a_mask_are_refused_in_rows_too(name: str) -> None:
    rows = np.ma.MaskedArray(np.full((3, 3), 5), mask=np.diag(MASK))
    for masked in (rows, list(rows), [list(row) for row in rows], Foreign(rows)):
        assert "masked" in refused(TABLES[name], masked)


@pytest.mark.parametrize("name", ARRAYS)
def test_a_mask_that_hides_nothing_is_fine(name: str) -> None:
    for open_mask in (np.ma.MaskedArray([3, 5, 9]), np.ma.MaskedArray([3, 5, 9], mask=[False] * 3)):
        ARRAYS[name](open_mask)
        ARRAYS[name](list(open_mask))


@pytest.mark.parametrize("functions", [ARRAYS, TABLES])
@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("two\nlines"),
        KeyError("key"),
        AttributeError(""),
        AssertionError(),
        RecursionError("deep"),
        StopIteration(),
        Wordless(),
        OSError(5, "no device"),
        UnicodeDecodeError("utf-8", b"", 0, 1, "bad"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_any_error_of_an_array_like_becomes_one_of_ours(
    functions: dict[str, Callable[[Any], object]], error: Exception
) -> None:
    for call in functions.values():
        refused(call, Foreign(error))
        refused(call, [Foreign(error)] * 3)


@pytest.mark.parametrize("functions", [ARRAYS, TABLES])
@pytest.mark.parametrize(
    "values",
    [object(), "345", b"345", {3, 5}, {3: 5}, [[3], [5, 9]], [3, None, 9], [1j, 2j, 3j], ["3", "5", "9"]],
)
def test_what_is_no_array_of_numbers_is_refused(functions: dict[str, Callable[[Any], object]], values: Any) -> None:
    for call in functions.values():
        refused(call, values)


def test_tensors_that_require_a_gradient_are_refused_with_the_way_out() -> None:
    torch = pytest.importorskip("torch", reason="needs the extra 'train'")
    tensor = torch.tensor([1.0, 0.0, 2.0], requires_grad=True)
    for call in ARRAYS.values():
        assert "detach" in refused(call, tensor)
    assert Payload([3, 5, 9], torch.tensor([1, 2, 0]), 100, 5) == PAYLOAD


def test_encode_and_its_kin_take_payloads_only() -> None:
    for other in (None, b"", [3, 5, 9], encode(PAYLOAD)):
        assert "Payload" in refused(encode, other)
        assert "Payload" in refused(compare, other)
        assert "Payload" in refused(interop.write, other, io.BytesIO(), "csv")


@pytest.mark.parametrize("limits", [None, 5, {"max_kept": 5}, Limits, "none"])
def test_limits_are_limits(limits: Any) -> None:
    for call in (
        lambda: encode(PAYLOAD, limits=limits),
        lambda: decode(encode(PAYLOAD), limits),
        lambda: decode(b"", limits=limits),
        lambda: inspect(b"", limits),
        lambda: compare(PAYLOAD, limits=limits),
        lambda: interop.read(io.BytesIO(b""), "csv", limits=limits),
        lambda: Reassembler(limits),
        lambda: Sender(b"object", limits=limits),
        lambda: layout(6, limits=limits),
        lambda: decode(encode(PAYLOAD), limits=FrameLimits()),  # type: ignore[arg-type]
        lambda: Reassembler(Limits()),  # type: ignore[arg-type]
    ):
        assert "limits must be of type" in refused(call)


@pytest.mark.parametrize("blob", [None, "text", 5, [1, 2], np.arange(9)[::2], memoryview(b"abcdef")[::2]])
def test_what_is_no_buffer_of_bytes_is_refused(blob: Any) -> None:
    released = memoryview(b"abc")
    released.release()
    for bad in (blob, released):
        for call in (decode, inspect, Sender, parse_frame, Reassembler().add):
            assert "contiguous buffer" in refused(call, bad)
        assert "contiguous buffer" in refused(write_frame, io.BytesIO(), bad, "length")
    refused(Payload, [], [], 9, 2, released)
    refused(Payload, [], [], 9, 2, class_check=released)
    refused(decode, encode(Payload([], [], 9, 2, bytes(8))), expected_digest=released)


def closed() -> io.BytesIO:
    stream = io.BytesIO(b"3,1\n")
    stream.close()
    return stream


class Interrupted(io.RawIOBase):
    """A stream that gives no bytes yet, as one that does not block."""

    def read(self, size: int = -1) -> Any:
        return None


class Broken(io.BytesIO):
    """A stream whose library fails."""

    def read(self, size: int | None = -1) -> bytes:
        raise EOFError("two\nlines")

    read1 = read

    def write(self, data: Any) -> int:
        raise EOFError("two\nlines")


@pytest.mark.parametrize("make", [lambda: io.StringIO("3,1\n"), closed, Interrupted, Broken, lambda: None, lambda: 7])
def test_what_is_no_open_binary_stream_is_refused(make: Callable[[], Any]) -> None:
    for format in FORMATS:
        assert "binary stream" in refused(interop.read, make(), format, reference_size=100, num_classes=5)
        assert "binary stream" in refused(interop.write, PAYLOAD, make(), format)
    for framing in ("length", "slip"):
        assert "binary stream" in refused(lambda framing: list(read_frames(make(), framing)), framing)
        assert "binary stream" in refused(lambda framing: list(read_batches(make(), framing)), framing)
        assert "binary stream" in refused(write_frame, make(), b"frame", framing)


def test_text_files_are_refused_and_left_open(tmp_path: Path) -> None:
    path = tmp_path / "kept.csv"
    path.write_text("3,1\n")
    with path.open() as text:
        assert "not bytes" in refused(interop.read, text, "csv", reference_size=9, num_classes=2)
        assert text.read() is not None
    with path.open("rb") as stream:
        assert "binary stream" in refused(interop.write, PAYLOAD, stream, "csv")


def test_unknown_framings_and_impossible_file_names_are_refused() -> None:
    for call in (
        lambda: list(read_frames(io.BytesIO(), "cobs")),
        lambda: list(read_batches(io.BytesIO(), "cobs")),
        lambda: write_frame(io.BytesIO(), b"frame", "cobs"),
        lambda: interop.read("a\0b.csv", reference_size=9, num_classes=2),
        lambda: interop.write(PAYLOAD, "a\0b.csv"),
    ):
        refused(call)


def test_a_masked_item_of_a_list_is_refused_before_numpy_warns_of_it() -> None:
    items: Any = [np.ma.array(1, mask=True), 2]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(PladaError, match="indices has masked values"):
            Payload(items, [0, 1], 100, 5)
