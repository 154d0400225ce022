"""The framing `slip`: packets between END bytes, as on serial lines (RFC 1055; spec/plada-frames-1.md, section 7)."""

from __future__ import annotations

import re
from collections.abc import Iterator

from plada_codec.frames.frame import MAX_FRAME_BYTES

#: Section 7: the two bytes that stand for themselves only behind an escape.
END, _ESCAPE = b"\xc0", b"\xdb"
_ESCAPED_END, _ESCAPED_ESCAPE = b"\xdb\xdc", b"\xdb\xdd"
_BAD_ESCAPE = re.compile(rb"\xdb(?![\xdc\xdd])")
#: More bytes than this between two END bytes are not a frame, even if all bytes are escaped.
_MAX_PACKET_BYTES = 2 * MAX_FRAME_BYTES


def slip(packet: bytes) -> bytes:
    """Escape the bytes of a packet, and put it between two END bytes."""
    return END + packet.replace(_ESCAPE, _ESCAPED_ESCAPE).replace(END, _ESCAPED_END) + END


def split_slip(chunks: Iterator[bytes]) -> Iterator[list[bytes]]:
    """Split a stream into packets; an empty one replaces each packet with a bad escape."""
    begun = b""  # a packet whose end has not come
    for chunk in chunks:
        *packets, begun = (begun + chunk).split(END)
        begun = begun[: _MAX_PACKET_BYTES + 1]  # enough to see that it is not a frame
        yield [_unescaped(packet) for packet in packets if packet]
    if begun:
        yield [_unescaped(begun)]


def _unescaped(packet: bytes) -> bytes:
    """Undo the escapes of a packet; return an empty packet if an escape is bad."""
    if _BAD_ESCAPE.search(packet):
        return b""
    return packet.replace(_ESCAPED_END, END).replace(_ESCAPED_ESCAPE, _ESCAPE)
