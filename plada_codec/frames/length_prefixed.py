"""The framing `length`: each frame behind its length, a little-endian u16 (spec/plada-frames-1.md, section 7)."""

from __future__ import annotations

from collections.abc import Iterator

#: Section 7.
_LENGTH_BYTES = 2


def length_prefixed(frame: bytes) -> bytes:
    """Put the length in front of a frame."""
    return len(frame).to_bytes(_LENGTH_BYTES, "little") + frame


def split_length_prefixed(chunks: Iterator[bytes]) -> Iterator[list[bytes]]:
    """Split a stream into frames. A frame that is cut off at the end of the stream is dropped."""
    begun = b""  # a frame whose end has not come
    for chunk in chunks:
        begun += chunk
        frames, at = [], 0
        while at + _LENGTH_BYTES <= len(begun):
            start = at + _LENGTH_BYTES
            end = start + int.from_bytes(begun[at:start], "little")
            if end > len(begun):
                break
            if end > start:
                frames.append(begun[start:end])
            at = end
        begun = begun[at:]
        yield frames
