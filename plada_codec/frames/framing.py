"""Streams of frames, read and written, and the registry of framings (spec/plada-frames-1.md, section 7).

Frames that are read at once are a *batch*: a list, which a receiver can save together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain
from typing import BinaryIO, NamedTuple

from plada_codec.errors import InvalidArgument
from plada_codec.frames.length_prefixed import length_prefixed, split_length_prefixed
from plada_codec.frames.ports import read_chunks
from plada_codec.frames.slip import slip, split_slip
from plada_codec.reader import bytes_of
from plada_codec.streams import stream_errors


class Framing(NamedTuple):
    """A row of the registry: a way to mark in a stream where each frame begins and ends.

    Attributes:
        record: the bytes of the stream for one frame.
        split: yields the frames that each chunk of a stream completes. An empty frame stands for a damaged one, so that
            receivers count it.
    """

    record: Callable[[bytes], bytes]
    split: Callable[[Iterator[bytes]], Iterator[list[bytes]]]


#: Section 7, by name.
FRAMINGS = {
    "length": Framing(length_prefixed, split_length_prefixed),
    "slip": Framing(slip, split_slip),
}


def default_framing(stream: BinaryIO) -> str:
    """Name of the framing if none is chosen: `slip` on a serial port, which may lose bytes; else `length`."""
    return "slip" if stream.isatty() else "length"


def framing_named(name: str) -> Framing:
    """The framing of this name. Raises InvalidArgument (rule framing) if there is none."""
    if name not in FRAMINGS:
        raise InvalidArgument(f"no framing is named {name!r}; there are: {', '.join(FRAMINGS)}", rule="framing")
    return FRAMINGS[name]


def read_batches(stream: BinaryIO, framing: str) -> Iterator[list[bytes]]:
    """Read a stream, in lists of frames that came together; an empty frame stands for a damaged one.

    Raises:
        InvalidArgument: (rule framing) if there is no such framing; (rule stream) if `stream` is no open binary stream.
        OSError: if the operating system cannot read.
    """
    return framing_named(framing).split(read_chunks(stream))


def read_frames(stream: BinaryIO, framing: str) -> Iterator[bytes]:
    r"""Read a stream frame by frame, each as soon as its last byte has come. Raises as `read_batches`.

    >>> import io
    >>> list(read_frames(io.BytesIO(b"\x03\x00one\x00\x00\x03\x00two\x05\x00cut"), "length"))
    [b'one', b'two']
    >>> list(read_frames(io.BytesIO(b"noise\xc0one\xc0\xc0t\xdb\xdcwo\xc0"), "slip"))
    [b'noise', b'one', b't\xc0wo']
    """
    return chain.from_iterable(read_batches(stream, framing))


def write_frame(stream: BinaryIO, frame: bytes, framing: str) -> None:
    r"""Write a frame and flush the stream, so that no part of the frame waits in a buffer. Raises as `read_batches`.

    >>> import io
    >>> stream = io.BytesIO()
    >>> write_frame(stream, b"one", "length")
    >>> write_frame(stream, b"t\xc0wo", "slip")
    >>> stream.getvalue()
    b'\x03\x00one\xc0t\xdb\xdcwo\xc0'
    """
    record = framing_named(framing).record(bytes_of(frame, "a frame"))
    with stream_errors():
        stream.write(record)
        stream.flush()
