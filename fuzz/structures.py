"""The parts of files, so that a change leaves the rest of the file right: fields first, checksum last.

`mutated` takes an input apart, changes some parts, and puts it together again: lengths and checksums are then those of
the changed parts. One time in four it changes bytes of the whole, so that wrong lengths and checksums are tried, too.
"""

from __future__ import annotations

import io
import random
import struct
import warnings
import zipfile
import zlib
from collections.abc import Callable
from typing import NamedTuple

from fuzz.mutations import mutated_bytes, mutated_list, mutated_text
from plada_codec.frames.framing import read_frames
from plada_codec.frames.length_prefixed import length_prefixed
from plada_codec.frames.slip import slip
from plada_codec.frames.state import parse_time_mark, time_mark


class Structure(NamedTuple):
    """How an input is taken apart and put together.

    Attributes:
        split: the parts of an input; any error if it has no such parts.
        join: an input of these parts.
        edit: changes one part.
    """

    split: Callable[[bytes], list[bytes]]
    join: Callable[[list[bytes]], bytes]
    edit: Callable[[bytes, bytes, random.Random], bytes] = mutated_bytes


def mutated(structure: Structure, blob: bytes, other: bytes, rng: random.Random) -> bytes:
    """Change an input in a few places, some by parts of `other`."""
    if rng.random() < 0.25:
        return mutated_bytes(blob, other, rng)
    try:
        parts, others = structure.split(blob), structure.split(other)
        return structure.join(mutated_list(parts, others, rng, structure.edit))
    except Exception:  # an earlier change has broken the structure, or a part does not fit its field
        return mutated_bytes(blob, other, rng)


def _lines(blob: bytes) -> list[bytes]:
    return blob.splitlines(keepends=True)


def _without_crc(blob: bytes) -> list[bytes]:
    return [blob[:-4]]


def _with_crc(parts: list[bytes]) -> bytes:
    body = b"".join(parts)
    return body + zlib.crc32(body).to_bytes(4, "little")


def _members(blob: bytes) -> list[bytes]:
    """The members of a zip file, each with its name before a newline."""
    with zipfile.ZipFile(io.BytesIO(blob)) as file:
        return [info.filename.encode() + b"\n" + file.read(info) for info in file.infolist()]


def _zipped(members: list[bytes]) -> bytes:
    stream = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(stream, "w") as file:
        warnings.simplefilter("ignore")  # of members of one name
        for member in members:
            name, _, data = member.partition(b"\n")
            method = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)[len(data) % 2]
            file.writestr(zipfile.ZipInfo(name.decode("utf-8", "replace")), data, method)
    return stream.getvalue()


def _edited_member(member: bytes, other: bytes, rng: random.Random) -> bytes:
    name, _, data = member.partition(b"\n")
    other_name, _, other_data = other.partition(b"\n")
    if rng.random() < 0.2:
        name = other_name if rng.random() < 0.5 else mutated_text(name, other_name, rng).replace(b"\n", b"")
    elif rng.random() < 0.3:
        data = other_data
    else:
        data = mutated_bytes(data, other_data, rng)
    return name + b"\n" + data


#: Where the fields of a tar header begin (POSIX ustar).
_TAR_FIELDS = (0, 100, 108, 116, 124, 136, 148, 156, 157, 257, 263, 265, 297, 329, 337, 345, 500, 512)
_TAR_SIZES = (b"00000000000\0", b"00000000001\0", b"00000001000\0", b"77777777777\0", b"\x80" + bytes(10) + b"\x01")


def _blocks(blob: bytes) -> list[bytes]:
    """A tar file's members, each with its data and padding; the end of the file is a part, too."""
    parts, at = [], 0
    while at < len(blob):
        header = blob[at : at + 512]
        if not header.strip(b"\0"):
            parts.append(blob[at:])
            break
        size = int(header[124:136].strip(b" \0") or b"0", 8)
        length = 512 + -(-size // 512) * 512
        parts.append(blob[at : at + length])
        at += length
    return parts


def _edited_block(block: bytes, other: bytes, rng: random.Random) -> bytes:
    """Change a field of the header, or the data; the checksum is then right."""
    if len(block) < 512 or (len(block) > 512 and rng.random() < 0.4):
        return block[:512] + mutated_bytes(block[512:], other[512:], rng)
    field = rng.randrange(len(_TAR_FIELDS) - 1)
    begin, end = _TAR_FIELDS[field : field + 2]
    if begin == 124:
        value = rng.choice(_TAR_SIZES)
    elif begin == 156:
        value = bytes([rng.choice(b"0125LKxgS7")])
    elif rng.random() < 0.3:
        value = other[begin:end]
    else:
        value = mutated_text(block[begin:end], other[begin:end], rng)
    header = block[:begin] + value[: end - begin].ljust(end - begin, b"\0") + block[end:512]
    total = sum(header) - sum(header[148:156]) + 8 * 32
    return header[:148] + b"%06o\0 " % total + header[156:] + block[512:]


def _frames(blob: bytes) -> list[bytes]:
    return list(read_frames(io.BytesIO(blob), "length"))


def _edited_frame(frame: bytes, other: bytes, rng: random.Random) -> bytes:
    """Change a field of a frame, of a part of an announce or of a time mark; the checksum is then right."""
    if parse_time_mark(frame) is not None:
        return time_mark(rng.choice((0, 1, 2**40, 2**64 - 1)))
    word, content = int.from_bytes(frame[:4], "little"), frame[4:-4]
    operation = rng.randrange(4)
    if operation == 0:
        word = word & ~0xFFFFF | rng.choice((0, 1, word + 1, 2**20 - 1, 2**20 - 256, rng.randrange(2**20))) & 0xFFFFF
    elif operation == 1:
        word = word & 0xFFFFF | rng.choice((0, 0xFFF, rng.randrange(2**12))) << 20
    elif operation == 2:
        content = mutated_bytes(content, other[4:-4], rng)
    else:
        word = int.from_bytes(other[:4], "little")
    body = (word & 0xFFFFFFFF).to_bytes(4, "little") + content
    return body + zlib.crc32(body, zlib.crc32(b"PLF1")).to_bytes(4, "little")


def _packets(blob: bytes) -> list[bytes]:
    return [packet for packet in read_frames(io.BytesIO(blob), "slip") if packet]


def _chunks(blob: bytes) -> list[bytes]:
    """The chunks of a PNG file, each its type and its data; of another file, its bytes."""
    if not blob.startswith(b"\x89PNG"):
        return [blob]
    parts, at = [], 8
    while at + 12 <= len(blob):
        (length,) = struct.unpack_from(">I", blob, at)
        parts.append(blob[at + 4 : at + 8 + length])
        at += 12 + length
    return parts


def _png(parts: list[bytes]) -> bytes:
    if not parts or not parts[0].startswith(b"IHDR"):
        return b"".join(parts)
    chunks = (struct.pack(">I", len(part) - 4) + part + struct.pack(">I", zlib.crc32(part)) for part in parts)
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


BYTES = Structure(lambda blob: [blob], b"".join)
TEXT = Structure(_lines, b"".join, mutated_text)
CRC_32_AT_END = Structure(_without_crc, _with_crc)
ZIP = Structure(_members, _zipped, _edited_member)
TAR = Structure(_blocks, b"".join, _edited_block)
FRAMES = Structure(_frames, lambda frames: b"".join(map(length_prefixed, frames)), _edited_frame)
SLIP = Structure(_packets, lambda packets: b"\xc0" + b"".join(map(slip, packets)), _edited_frame)
PNG = Structure(_chunks, _png)
