"""Files compressed with gzip or zstd, inflated as they are read, and never to much more than their own size."""

from __future__ import annotations

import gzip
import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from plada_codec.errors import FileError, LimitExceeded, first_line

if TYPE_CHECKING:
    from typing_extensions import Buffer

#: Suffixes of compressed files.
SUFFIXES = (".gz", ".zst")
_GZIP, _ZSTD = b"\x1f\x8b\x08", b"\x28\xb5\x2f\xfd"
#: A file may inflate to this, or to so many times its own size. A table of consecutive numbers shrinks 20 times.
_LEAST_BYTES, _MOST_TIMES = 1 << 26, 64
#: zstd makes at most 128 KiB of 4 bytes: this input becomes 8 MiB at most.
_ZSTD_INPUT_BYTES = 256


def inflated(stream: BinaryIO) -> BinaryIO:
    """A stream of the content: of `stream` itself, if it is not compressed.

    Reading from it raises FileError if the compressed bytes are damaged or cut off, and LimitExceeded if they inflate
    to far more than their own size.
    """
    head = b""
    while len(head) < len(_ZSTD) and (block := stream.read(len(_ZSTD) - len(head))):
        head += block
    source = _Counted(head, stream)
    if head.startswith(_GZIP):
        return cast(BinaryIO, _Inflated(source, gzip.GzipFile(fileobj=cast(BinaryIO, source)), "gzip"))
    if head == _ZSTD:
        return cast(BinaryIO, _Inflated(source, _ZstdFile(source), "zstd"))
    return cast(BinaryIO, source)


def check_inflated(inflated_bytes: int, file_bytes: int, kind: str) -> None:
    """Refuse a file that inflates to far more than its own size."""
    most = max(_LEAST_BYTES, _MOST_TIMES * file_bytes)
    if inflated_bytes > most:
        raise LimitExceeded(
            f"{file_bytes} bytes of {kind} inflate to {inflated_bytes} bytes or more, but at most {most} are read",
            rule="limit-stream-bytes",
        )


@contextmanager
def deflated(stream: BinaryIO, suffix: str) -> Iterator[BinaryIO]:
    """A stream to write to, whose bytes reach `stream` compressed as the suffix says. The same bytes, at any time."""
    if suffix == ".gz":
        with gzip.GzipFile(filename="", mode="wb", fileobj=stream, mtime=0) as file:
            yield cast(BinaryIO, file)
    elif suffix == ".zst":
        import zstandard

        with zstandard.ZstdCompressor(write_checksum=True).stream_writer(stream, closefd=False) as writer:
            yield cast(BinaryIO, writer)
    else:
        yield stream


class _Counted:
    """A stream whose first bytes are read already. It counts the bytes that it gives."""

    def __init__(self, head: bytes, stream: BinaryIO) -> None:
        self._head = head
        self._stream = stream
        self.given = 0

    def read(self, size: int = -1) -> bytes:
        if self._head:
            end = len(self._head) if size < 0 else size
            block, self._head = self._head[:end], self._head[end:]
            if size < 0:
                block += self._stream.read()
        else:
            block = self._stream.read(size)
        self.given += len(block)
        return block


class _Inflated(io.RawIOBase):
    """The content of a compressed stream, within bounds."""

    def __init__(self, source: _Counted, file: Any, kind: str) -> None:
        self._source = source
        self._file = file
        self._kind = kind
        self._inflated = 0

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        if size < 0:
            return b"".join(iter(lambda: self.read(1 << 20), b""))
        try:
            block: bytes = self._file.read(size)
        except (LimitExceeded, FileError):
            raise
        except Exception as error:  # EOFError, zlib.error, BadGzipFile, ZstdError
            raise FileError(f"not {self._kind}, or damaged: {first_line(error)}", rule="file") from None
        self._inflated += len(block)
        check_inflated(self._inflated, self._source.given, self._kind)
        return block

    def readinto(self, buffer: Buffer) -> int:
        view = memoryview(buffer)
        block = self.read(len(view))
        view[: len(block)] = block
        return len(block)


class _ZstdFile:
    """Reads zstd frames, one after another. Unlike the package's own reader, it refuses a frame that is cut off."""

    def __init__(self, source: _Counted) -> None:
        import zstandard

        self._source = source
        self._decompressor = zstandard.ZstdDecompressor()
        self._frame: Any = None
        self._input = b""
        self._output = io.BytesIO()

    def read(self, size: int) -> bytes:
        while not (block := self._output.read(size)) and size:
            data = self._input or self._source.read(_ZSTD_INPUT_BYTES)
            self._input = b""
            if not data:
                if self._frame is not None:
                    raise EOFError("it ends in the middle of a frame")
                break
            self._frame = self._frame or self._decompressor.decompressobj()
            self._output = io.BytesIO(self._frame.decompress(data))
            if self._frame.eof:
                self._input, self._frame = self._frame.unused_data, None
        return block
