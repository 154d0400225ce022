"""The bounded reader: the only way in which header bytes from outside are read (spec sections 2.2 and 3).

It never looks at or past its end, and each of its errors says at which byte. For bytes that are no payload, this module
tells what they look like instead.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from plada_codec.errors import Corrupt, InvalidArgument, PladaError, Truncated, first_line

if TYPE_CHECKING:
    from typing_extensions import Buffer

#: Spec section 2.2.
MAX_VARINT_BYTES = 9

#: Bytes that are enough to tell a wrapping.
HEAD_BYTES = 256
#: The first bytes of wrapped bytes, their encoding, and the command that unwraps them, or other advice.
_WRAPPINGS = (
    (re.compile(rb"\x1f\x8b"), "gzip", "gzip -d"),
    (re.compile(rb"\x28\xb5\x2f\xfd"), "zstd", "zstd -d"),
    (re.compile(rb"BZh[1-9]"), "bzip2", "bzip2 -d"),
    (re.compile(rb"\xfd7zXZ\0"), "xz", "xz -d"),
    (re.compile(rb"PK\x03\x04"), "a zip archive", "unzip"),
    (re.compile(rb"-----BEGIN [^\n]*-----"), "armour (PEM or PGP)", "the program that made it"),
    (re.compile(rb"begin [0-7]{3} "), "uuencode", "uudecode"),
    (re.compile(rb"[0-9a-fA-F]{4,8}:? +[0-9a-fA-F]{2}"), "a hexadecimal dump", "xxd -r"),
    (
        re.compile(rb"(0x)?[0-9a-fA-F]{2}([\s:,]*(0x)?[0-9a-fA-F]{2}){7,}[\s:,0-9a-fA-Fx]*\Z"),
        "hexadecimal",
        "xxd -r -p",
    ),
    (re.compile(rb"\s*(<!DOCTYPE|<html|<\?xml)", re.IGNORECASE), "a page of HTML or XML", ""),
    (re.compile(rb'\s*[\[{]\s*["\[{]'), "JSON", "a program that writes the bytes in it to a file"),
    (re.compile(rb"[A-Za-z0-9+/_-]{4,}(\s+[A-Za-z0-9+/_-]+)*={0,2}\s*\Z"), "base64", "base64 -d"),
)


class Reader:
    """Reads `data[start:end]` front to back.

    `end_rule` is the rule that is broken by needing more (Truncated); `offset` is where `data` begins in the
    payload.
    """

    def __init__(self, data: memoryview, start: int, end: int, end_rule: str, offset: int = 0) -> None:
        self.data = data
        self.position = start
        self.end = end
        self.end_rule = end_rule
        self.offset = offset

    def take(self, size: int, what: str) -> memoryview:
        """The next `size` bytes."""
        start = self.position
        if size > self.end - start:
            raise self._truncated(f"{what} needs {size} bytes, but only {max(0, self.end - start)} are left", start)
        self.position = start + size
        return self.data[start : start + size]

    def u8(self, what: str) -> int:
        """The next byte."""
        return self.take(1, what)[0]

    def varint(self, what: str) -> int:
        """The next canonical LEB128 integer of at most nine bytes (spec section 2.2)."""
        start = self.position
        value = 0
        for count in range(MAX_VARINT_BYTES):
            if start + count >= self.end:
                raise self._truncated(f"{what} ends in the middle of a varint", start)
            byte = self.data[start + count]
            value |= (byte & 0x7F) << (7 * count)
            if byte < 0x80:
                if byte == 0 and count > 0:
                    raise Corrupt(f"{what} is an overlong varint", rule="varint", offset=self.offset + start)
                self.position = start + count + 1
                return value
        raise Corrupt(
            f"{what} is a varint of more than {MAX_VARINT_BYTES} bytes", rule="varint", offset=self.offset + start
        )

    def _truncated(self, message: str, start: int) -> PladaError:
        return Truncated(message, rule=self.end_rule, offset=self.offset + start)


def view_of(blob: Buffer, what: str = "a payload") -> memoryview:
    """View a contiguous buffer as bytes. Raises InvalidArgument (rule buffer) if it is not one."""
    try:
        return memoryview(blob).cast("B")
    except Exception as error:  # a buffer of somebody else may raise anything
        raise InvalidArgument(f"{what} is a contiguous buffer of bytes: {first_line(error)}", rule="buffer") from None


def bytes_of(blob: Buffer, what: str) -> bytes:
    """The bytes of a contiguous buffer. Raises InvalidArgument (rule buffer) if it is not one."""
    return blob if type(blob) is bytes else bytes(view_of(blob, what))


def varint_bytes(value: int) -> bytes:
    """`value` (0 .. 2^63 - 1) as a canonical varint (spec section 2.2). Frozen by format 1."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def wrapping_of(data: bytes | memoryview) -> str:
    """Say what bytes look like that are not what they should be, and how to undo it; "" if they look like nothing."""
    head = bytes(data[:HEAD_BYTES])
    for pattern, name, undo in _WRAPPINGS:
        if pattern.match(head):
            return f"it looks like {name}" + (f": undo that with {undo}" if undo else "")
    return ""
