"""Payloads and frames in another encoding are read, or refused with a word on how to undo it."""

from __future__ import annotations

import base64
import binascii
import bz2
import gzip
import json
import lzma
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from plada_codec import Payload, PladaError, decode, encode
from plada_codec.frames import Sender, packetize
from plada_codec.interop import read
from plada_codec.reader import wrapping_of
from tests.helpers.commands import fails, ok

PAYLOAD = Payload(range(0, 300, 3), [0] * 50 + [1] * 50, 300, 2)
BLOB = encode(PAYLOAD)
STREAM = b"".join(len(frame).to_bytes(2, "little") + frame for frame in packetize(Sender(BLOB * 9, 64)))


def dump(data: bytes) -> bytes:
    """Bytes as xxd prints them."""
    rows = [data[at : at + 16].hex(" ", 2) for at in range(0, len(data), 16)]
    return "".join(f"{16 * number:08x}: {row}  ...\n" for number, row in enumerate(rows)).encode()


#: Wrappings, and the word and the command of the message.
WRAPPED: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "gzip": (gzip.compress, "gzip: undo that with gzip -d"),
    "zstd": (zstandard.compress, "zstd: undo that with zstd -d"),
    "bzip2": (bz2.compress, "bzip2: undo that with bzip2 -d"),
    "xz": (lzma.compress, "xz: undo that with xz -d"),
    "hex": (lambda data: data.hex().encode(), "hexadecimal: undo that with xxd -r -p"),
    "HEX in groups": (lambda data: data.hex(" ").upper().encode() + b"\n", "hexadecimal: undo that with xxd -r -p"),
    "xxd": (dump, "a hexadecimal dump: undo that with xxd -r"),
    "base64": (base64.b64encode, "base64: undo that with base64 -d"),
    "base64 in lines": (base64.encodebytes, "base64: undo that with base64 -d"),
    "base64 for URLs": (base64.urlsafe_b64encode, "base64: undo that with base64 -d"),
    "uuencode": (lambda data: b"begin 644 a\n" + binascii.b2a_uu(data[:45]), "uuencode: undo that with uudecode"),
    "PEM": (lambda data: b"-----BEGIN PLADA-----\n" + base64.encodebytes(data), "armour"),
    "JSON lines": (lambda data: json.dumps({"frame": data.hex()}).encode() + b"\n", "JSON"),
    "HTML": (lambda data: b"<!DOCTYPE html><title>404</title>", "a page of HTML"),
}


@pytest.mark.parametrize("name", WRAPPED)
def test_a_wrapped_payload_is_refused_with_the_way_to_unwrap_it(name: str) -> None:
    wrap, message = WRAPPED[name]
    with pytest.raises(PladaError, match="not a PLADA payload: it looks like") as caught:
        decode(wrap(BLOB))
    assert message in str(caught.value)
    assert caught.value.rule == "signature"


@pytest.mark.parametrize("name", WRAPPED)
@pytest.mark.parametrize("kind", ["stream.frames", "one.frame", "folder/one.frame"])
def test_wrapped_frames_are_refused_with_the_way_to_unwrap_them(
    name: str, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    wrap, message = WRAPPED[name]
    Path("folder").mkdir()
    Path(kind).write_bytes(wrap(STREAM if kind == "stream.frames" else STREAM[2:66]))
    error = fails(1, "reassemble", Path(kind).parts[0], "-o", "copy")
    assert "has no frames: it looks like" in error
    assert message in error


@pytest.mark.parametrize("compress", [gzip.compress, zstandard.compress])
def test_compressed_payloads_are_read_as_other_files_are(compress: Callable[[bytes], bytes], tmp_path: Path) -> None:
    path = tmp_path / "task.plada.gz"
    path.write_bytes(compress(BLOB))
    assert read(path) == PAYLOAD
    ok("convert", path, tmp_path / "kept.csv.zst")
    assert read(tmp_path / "kept.csv.zst", reference_size=300, num_classes=2).kept == 100


@given(st.binary(max_size=300))
def test_any_bytes_look_like_something_or_nothing(data: bytes) -> None:
    assert isinstance(wrapping_of(data), str)
    assert not wrapping_of(b"\x8f" + data)
