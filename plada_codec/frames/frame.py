"""The bytes of one frame, and of the announce (spec/plada-frames-1.md sections 2 to 4).

This module has no state: `sending` makes frames from an object, `receiving` an object from frames.
"""

from __future__ import annotations

import hashlib
import struct
import zlib
from dataclasses import dataclass

from plada_codec.errors import Corrupt, InvalidArgument
from plada_codec.reader import bytes_of

#: Section 2: word and checksum, around content of at least one byte.
OVERHEAD_BYTES = 8
MIN_FRAME_BYTES = OVERHEAD_BYTES + 1
MAX_FRAME_BYTES = 65_535
#: Section 2: the ids from here on number the parts of the announce.
FIRST_ANNOUNCE_ID = 0xFFF00
#: Section 2: tags have 12 bits, ids 20.
TAG_COUNT, _ID_COUNT = 1 << 12, 1 << 20
#: Section 3: the most source symbols of one block (RFC 6330 section 5.6).
MAX_SYMBOLS = 56_403
#: Section 3: the size of symbols of this many bytes or more is a multiple of `ALIGNMENT`.
ALIGNED_FROM_BYTES, ALIGNMENT = 64, 8

#: Section 2: the checksum begins with the name of the format, which is not sent.
_NAME = zlib.crc32(b"PLF1")
_ANNOUNCE = struct.Struct("<IH32s")
#: Section 4.
ANNOUNCE_BYTES = _ANNOUNCE.size


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame: a tag, an id, and a symbol or a part of the announce (section 2).

    Attributes:
        tag: 0 .. 4095, of the object that it belongs to.
        id: 0 .. 2^20 - 1, the number of a symbol, or `FIRST_ANNOUNCE_ID` + the number of a part of the announce.
        content: 1 .. 65,527 bytes: the symbol or part.

    Raises:
        InvalidArgument: (rule frame) if any of this does not hold.

    >>> Frame(tag=0xABC, id=2, content=b"!").to_bytes().hex(" ")
    '02 00 c0 ab 21 6d a6 61 e8'
    """

    tag: int
    id: int
    content: bytes

    def __post_init__(self) -> None:
        longest = MAX_FRAME_BYTES - OVERHEAD_BYTES
        if not (0 <= self.tag < TAG_COUNT and 0 <= self.id < _ID_COUNT and 1 <= len(self.content) <= longest):
            raise InvalidArgument(
                f"no frame can have tag {self.tag}, id {self.id} and {len(self.content)} bytes of content: "
                f"the ranges are 0 .. {TAG_COUNT - 1}, 0 .. {_ID_COUNT - 1}, 1 .. {longest}",
                rule="frame",
            )

    @property
    def is_announce(self) -> bool:
        """Whether the content is a part of the announce, not a symbol."""
        return self.id >= FIRST_ANNOUNCE_ID

    def to_bytes(self) -> bytes:
        """The frame as it is sent: `OVERHEAD_BYTES` more than its content."""
        body = (self.tag << 20 | self.id).to_bytes(4, "little") + self.content
        return body + zlib.crc32(body, _NAME).to_bytes(4, "little")


def parse_frame(data: bytes) -> Frame:
    """Read a frame from its bytes.

    Raises:
        Corrupt: (rule frame) if the length is not possible; (rule checksum) if the bytes are damaged, or not a frame.
        InvalidArgument: (rule buffer) if `data` is not a contiguous buffer.
    """
    data = bytes_of(data, "a frame")
    if not MIN_FRAME_BYTES <= len(data) <= MAX_FRAME_BYTES:
        raise Corrupt(
            f"a frame has {MIN_FRAME_BYTES} to {MAX_FRAME_BYTES} bytes, but this one has {len(data)}", rule="frame"
        )
    if zlib.crc32(data[:-4], _NAME) != int.from_bytes(data[-4:], "little"):
        raise Corrupt("the frame's checksum is not that of its bytes: it is damaged, or not ours", rule="checksum")
    word = int.from_bytes(data[:4], "little")
    return Frame(word >> 20, word % _ID_COUNT, data[4:-4])


@dataclass(frozen=True, slots=True)
class Announce:
    """The announce of an object: its length, symbol size and digest, which receivers need to rebuild it (section 4).

    Attributes:
        object_bytes: length L of the object, 1 .. 2^32 - 1.
        symbol_bytes: symbol size T, as section 3 allows for L.
        digest: SHA-256 of the object, 32 bytes.

    Raises:
        Corrupt: (rule announce) if L and T do not go together.
    """

    object_bytes: int
    symbol_bytes: int
    digest: bytes

    def __post_init__(self) -> None:
        if not self._is_valid():
            raise Corrupt(
                f"the announce says {self.object_bytes} bytes in symbols of {self.symbol_bytes} bytes, "
                "which cannot be: the sender is faulty, or it is not ours",
                rule="announce",
            )

    def _is_valid(self) -> bool:
        length, size = self.object_bytes, self.symbol_bytes
        if not 1 <= size <= min(length, MAX_FRAME_BYTES - OVERHEAD_BYTES):
            return False
        aligned = size < ALIGNED_FROM_BYTES or size % ALIGNMENT == 0
        return size == length or (aligned and self.symbols <= MAX_SYMBOLS)

    @property
    def symbols(self) -> int:
        """Number K of source symbols of the object."""
        return -(-self.object_bytes // self.symbol_bytes)

    @property
    def default_tag(self) -> int:
        """The tag if none is chosen (section 2): the first 12 bits of the announce's SHA-256."""
        return int.from_bytes(hashlib.sha256(self.to_bytes()).digest()[:2], "big") >> 4

    def to_bytes(self) -> bytes:
        """The `ANNOUNCE_BYTES` bytes that are sent in parts."""
        return _ANNOUNCE.pack(self.object_bytes, self.symbol_bytes, self.digest)

    def parts(self, part_bytes: int) -> list[bytes]:
        """`to_bytes()` cut into parts of `part_bytes` bytes; the last one may be shorter."""
        whole = self.to_bytes()
        return [whole[begin : begin + part_bytes] for begin in range(0, len(whole), part_bytes)]

    def has_part(self, number: int, part: bytes) -> bool:
        """Whether `part` can be part `number` of this announce, for some size of parts (section 4)."""
        whole, size = self.to_bytes(), len(part)
        return part in (whole[number * size : (number + 1) * size], whole[-size:])

    @classmethod
    def parse(cls, data: bytes) -> Announce:
        """Read an announce from its `ANNOUNCE_BYTES` bytes.

        Raises:
            Corrupt: (rule announce) if it is not valid.
        """
        return cls(*_ANNOUNCE.unpack(data))
