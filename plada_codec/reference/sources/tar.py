"""The members of a tar archive (POSIX ustar and pax, GNU), read and written.

A hostile archive costs no more than a harmless one of its size: the headers in front of a member are bounded, and read
in a loop. Python's tarfile calls itself for each of them, and some releases take quadratic time to read one.
"""

from __future__ import annotations

import os
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, NamedTuple

BLOCK_BYTES = 512
#: Most headers (such as a long name) in front of a member, and the longest contents of one.
MAX_HEADERS, MAX_HEADER_BYTES = 16, 1 << 20
#: Types of members: a file, a folder, a sparse file of GNU.
_FILE_TYPES, _FOLDER_TYPE, _SPARSE_TYPE = (b"0", b"\0", b"7"), b"5", b"S"
#: Links, devices, folders and pipes: no contents follow, whatever the header says.
_TYPES_WITHOUT_CONTENTS = (b"1", b"2", b"3", b"4", b"5", b"6")
#: Types of headers in front of a member: GNU's long names of members and of links; records of pax, for one or for all.
_LONG_NAME, _LONG_LINK_NAME, _RECORDS, _RECORDS_OF_ALL = b"L", b"K", (b"x", b"X"), b"g"
_HEADER_TYPES = (_LONG_NAME, _LONG_LINK_NAME, *_RECORDS, _RECORDS_OF_ALL)
#: Digits of the length of a record of pax.
_MAX_DIGITS = 8
#: The end of an archive that we write.
END = bytes(2 * BLOCK_BYTES)


class DamagedTarError(Exception):
    """An archive that is damaged or cut off, or whose headers are too long; the message says where."""


class Member(NamedTuple):
    """A member of an archive.

    Attributes:
        name: its path, as stored.
        start: offset of its contents in the archive, bytes.
        size: length of its contents, bytes.
        is_folder: whether it is a folder.
        is_file: whether it is a file that is stored whole: no folder, link, device or sparse file.
    """

    name: str
    start: int
    size: int
    is_folder: bool
    is_file: bool


@dataclass
class _Preface:
    """The content of the headers in front of a member."""

    headers: int = 0
    name: bytes | None = None
    size: int | None = None
    is_sparse: bool = False


def written_member(name: str, data: bytes) -> tuple[bytes, bytes, bytes]:
    """The header, the contents and the padding of a file in an archive.

    All fields of the header but name and size are fixed: equal images make equal shards, on any machine.
    """
    member = tarfile.TarInfo(name)
    member.size = len(data)
    return member.tobuf(tarfile.USTAR_FORMAT), data, bytes(-len(data) % BLOCK_BYTES)


def members(file: BinaryIO) -> Iterator[Member]:
    """The members of an uncompressed archive, in their order. Raises DamagedTarError, also for a cut between two."""
    end = file.seek(0, os.SEEK_END)
    position = 0
    preface = _Preface()
    while any(header := _block(file, position)):
        _check_sum(header, position)
        kind = header[156:157]
        size = _number(header[124:136], position)
        start = position + BLOCK_BYTES
        if kind in _HEADER_TYPES:
            preface.headers += 1
            if preface.headers > MAX_HEADERS or size > MAX_HEADER_BYTES:
                raise DamagedTarError(f"too many or too long headers before byte {start}")
            _read_header(kind, file.read(size), preface, start)
        else:
            if kind == _SPARSE_TYPE:
                preface.is_sparse = True
                start = _end_of_sparse_map(file, header, start)
            size = size if preface.size is None else preface.size
            name = preface.name or _name(header)
            yield Member(
                name=os.fsdecode(name),
                start=start,
                size=size,
                is_folder=kind == _FOLDER_TYPE or (kind == b"\0" and name.endswith(b"/")),
                is_file=kind in _FILE_TYPES and not preface.is_sparse,
            )
            preface = _Preface()
            if kind in _TYPES_WITHOUT_CONTENTS:
                size = 0
        position = start + -(-size // BLOCK_BYTES) * BLOCK_BYTES
        if position > end:
            raise DamagedTarError(f"cut off in the member at byte {start}")
    _check_end(file, position)


def _block(file: BinaryIO, position: int) -> bytes:
    file.seek(position)
    block = file.read(BLOCK_BYTES)
    if len(block) < BLOCK_BYTES:
        raise DamagedTarError(f"cut off at byte {position}")
    return block


def _check_end(file: BinaryIO, position: int) -> None:
    """An archive ends with zeros: anything else is a damaged header, or another archive."""
    file.seek(position)
    while rest := file.read(1 << 20):
        if any(rest):
            raise DamagedTarError(f"the archive ends at byte {position}, but more than zeros follow")


def _check_sum(header: bytes, position: int) -> None:
    found = _number(header[148:156], position)
    others = header[:148] + header[156:]
    total = sum(others) + 8 * ord(" ")
    # Some old programs add signed bytes
    if found != total and found != total - 256 * sum(byte > 127 for byte in others):
        raise DamagedTarError(f"no header of a member at byte {position}")


def _number(field: bytes, position: int) -> int:
    """A number of 0 or more in octal digits, or in binary (GNU)."""
    if field[0] == 0x80:
        return int.from_bytes(field[1:], "big")
    digits = field.partition(b"\0")[0].strip(b" ")
    if digits.translate(None, b"01234567"):
        raise DamagedTarError(f"no header of a member at byte {position}")
    return int(digits or b"0", 8)


def _name(header: bytes) -> bytes:
    name = header[:100].partition(b"\0")[0]
    prefix = header[345:500].partition(b"\0")[0]
    # GNU has times in place of the prefix
    return prefix + b"/" + name if prefix and header[257:263] == b"ustar\0" else name


def _read_header(kind: bytes, contents: bytes, preface: _Preface, start: int) -> None:
    if kind == _LONG_NAME:
        preface.name = contents.partition(b"\0")[0]
    elif kind in _RECORDS:
        for key, value in _records(contents, start):
            if key == b"path":
                preface.name = value
            elif key == b"size":
                preface.size = _decimal(value, start)
            elif key.startswith(b"GNU.sparse."):
                preface.is_sparse = True
    elif kind == _RECORDS_OF_ALL:
        for key, _ in _records(contents, start):
            if key in (b"path", b"size") or key.startswith(b"GNU.sparse."):
                raise DamagedTarError(f"one {key.decode()} for all members at byte {start}")


def _records(contents: bytes, start: int) -> Iterator[tuple[bytes, bytes]]:
    """The records `LENGTH KEY=VALUE`, each with a newline; LENGTH is that of the record."""
    position = 0
    while position < len(contents):
        space = contents.find(b" ", position, position + _MAX_DIGITS + 1)
        end = position + _decimal(contents[position : max(space, position)], start)
        key, equals, value = contents[space + 1 : end - 1].partition(b"=")
        if not equals or contents[end - 1 : end] != b"\n":
            raise DamagedTarError(f"a damaged header at byte {start}")
        yield key, value
        position = end


def _decimal(digits: bytes, start: int) -> int:
    if not digits.isdigit() or len(digits) > 18:
        raise DamagedTarError(f"a damaged header at byte {start}")
    return int(digits)


def _end_of_sparse_map(file: BinaryIO, header: bytes, start: int) -> int:
    is_continued = header[482]
    while is_continued:
        is_continued = _block(file, start)[504]
        start += BLOCK_BYTES
    return start
