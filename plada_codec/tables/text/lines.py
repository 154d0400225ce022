"""Text of any encoding and line end, as blocks of whole lines in UTF-8.

The encoding is that of the byte order mark, or UTF-16 if every other byte is zero, or UTF-8. Lines end with LF, CR LF
or CR. Bytes that are not UTF-8 are passed on: they may stand in a column that nobody reads.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from typing import BinaryIO

from plada_codec.errors import FileError

#: Text is read in blocks of about this size.
BLOCK_BYTES = 1 << 18
#: The longest line, or row of lines in quotes, that can be one row.
MAX_LINE_BYTES = 1 << 22
#: Bytes from which the encoding is found.
_HEAD_BYTES = 64
#: UTF-32 first, because its mark begins like that of UTF-16.
_MARKS = {
    codecs.BOM_UTF32_LE: "utf-32-le",
    codecs.BOM_UTF32_BE: "utf-32-be",
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
}


def line_blocks(stream: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Blocks of whole lines, in order: the number of the first line, and the lines. Each line ends with LF.

    Raises:
        FileError: if the text breaks its encoding, or a line is too long for a row.
    """
    begun, line = b"", 1
    for chunk in _unix_chunks(stream):
        end = chunk.rfind(b"\n") + 1
        if end:
            block = begun + chunk[:end]
            yield line, block
            line += block.count(b"\n")
            begun = chunk[end:]
        else:
            begun += chunk
        if len(begun) > MAX_LINE_BYTES:
            raise too_long(line)
    if begun:
        yield line, begun + b"\n"


def too_long(line: int) -> FileError:
    """The error for a row that begins in this line and has no end in sight."""
    return FileError(f"line {line}: longer than {MAX_LINE_BYTES} bytes, which cannot be one row", rule="file")


def _unix_chunks(stream: BinaryIO) -> Iterator[bytes]:
    """Chunks of the text in UTF-8, whose line ends are LF."""
    held = b""
    for chunk in _utf8_chunks(stream):
        if held or b"\r" in chunk:
            chunk = held + chunk
            # CR at the end may be half a CR LF
            held = b"\r" if chunk.endswith(b"\r") else b""
            chunk = chunk.removesuffix(b"\r").replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        yield chunk
    if held:
        yield b"\n"


def _utf8_chunks(stream: BinaryIO) -> Iterator[bytes]:
    head = b""
    while len(head) < _HEAD_BYTES and (chunk := stream.read(BLOCK_BYTES)):
        head += chunk
    encoding, mark = _encoding_of(head)
    chunks = iter(lambda: stream.read(BLOCK_BYTES), b"")
    if encoding == "utf-8":
        yield head[mark:]
        yield from chunks
        return
    decoder = codecs.getincrementaldecoder(encoding)()
    try:
        yield decoder.decode(head[mark:]).encode()
        for chunk in chunks:
            yield decoder.decode(chunk).encode()
        yield decoder.decode(b"", final=True).encode()
    except UnicodeDecodeError as error:
        raise FileError(f"it is not {encoding.upper()}, as its first bytes say: {error.reason}", rule="file") from None


def _encoding_of(head: bytes) -> tuple[str, int]:
    """The encoding of a text that begins so, and the size of its mark."""
    for mark, encoding in _MARKS.items():
        if head.startswith(mark):
            return encoding, len(mark)
    even, odd = head[0::2], head[1::2]
    if odd and not any(odd) and all(even):
        return "utf-16-le", 0
    if odd and not any(even) and all(odd):
        return "utf-16-be", 0
    return "utf-8", 0
