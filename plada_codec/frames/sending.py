"""Cut an object into symbols, and send them as frames in order (spec/plada-frames-1.md section 5)."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterator
from dataclasses import dataclass

from plada_codec.errors import InvalidArgument, LimitExceeded, check_type
from plada_codec.frames.fountain import FountainEncoder
from plada_codec.frames.frame import (
    ALIGNED_FROM_BYTES,
    ALIGNMENT,
    ANNOUNCE_BYTES,
    FIRST_ANNOUNCE_ID,
    MAX_FRAME_BYTES,
    MAX_SYMBOLS,
    MIN_FRAME_BYTES,
    OVERHEAD_BYTES,
    TAG_COUNT,
    Announce,
    Frame,
)
from plada_codec.frames.limits import FrameLimits
from plada_codec.reader import bytes_of

#: Default length of frames: most modems take a frame of this length in one packet.
DEFAULT_FRAME_BYTES = 256
#: Section 5: default number of symbols between two announces of a carousel.
DEFAULT_ANNOUNCE_EVERY = 16
#: Section 1: with this many symbols more than K (if K > 1), an object is almost certainly rebuilt.
EXTRA_SYMBOLS = 2


@dataclass(frozen=True)
class Layout:
    """The symbols and parts that an object is cut into (section 5).

    Attributes:
        symbols: number K of symbols of the object.
        symbol_bytes: their size T.
        part_bytes: size P of the parts of an announce (the last one may be shorter).
        announce_parts: number of frames of one announce.
    """

    symbols: int
    symbol_bytes: int
    part_bytes: int
    announce_parts: int

    @property
    def frame_bytes(self) -> int:
        """Length of a frame with a symbol."""
        return self.symbol_bytes + OVERHEAD_BYTES

    @property
    def announce_frame_bytes(self) -> int:
        """Length of a frame with a part of the announce (the last one may be shorter)."""
        return self.part_bytes + OVERHEAD_BYTES

    @property
    def extra_symbols(self) -> int:
        """Number of symbols beyond K that a receiver may need: 0 if each symbol is the whole object."""
        return EXTRA_SYMBOLS if self.symbols > 1 else 0

    @property
    def cycle_symbols(self) -> int:
        """Number of different symbols that a carousel sends before it begins again.

        There are enough that a receiver meets none twice in practice, and few enough to hold in memory: at the end of
        the cycle, the sender has made them all.
        """
        fresh = max(self.symbols, min(1 << 16, -(-(1 << 24) // self.symbol_bytes)))
        return min(self.symbols + fresh, FIRST_ANNOUNCE_ID)


def layout(object_bytes: int, frame_bytes: int = DEFAULT_FRAME_BYTES, limits: FrameLimits = FrameLimits()) -> Layout:
    """The layout of an object of `object_bytes` bytes in frames of at most `frame_bytes` bytes (section 5).

    Raises:
        InvalidArgument: (rule object) if the object is empty; (rule frame-bytes) if `frame_bytes` is outside its range,
            or the object would have more than 56,403 symbols; (rule limits) if `limits` are no FrameLimits.
        LimitExceeded: (rule limits) if the object is longer than `limits.max_object_bytes`.

    >>> layout(402, 256)
    Layout(symbols=2, symbol_bytes=208, part_bytes=38, announce_parts=1)
    >>> layout(100, 256)
    Layout(symbols=1, symbol_bytes=100, part_bytes=38, announce_parts=1)
    """
    if object_bytes < 1:
        raise InvalidArgument("an object of 0 bytes cannot be sent", rule="object")
    check_type(limits, FrameLimits, "limits", "limits")
    if object_bytes > limits.max_object_bytes:
        raise LimitExceeded(
            f"the object has {object_bytes} bytes, but the limit max_object_bytes is {limits.max_object_bytes}",
            rule="limits",
        )
    least = MIN_FRAME_BYTES
    if object_bytes > MAX_SYMBOLS:
        least = max(least, _aligned_up(-(-object_bytes // MAX_SYMBOLS)) + OVERHEAD_BYTES)
    if not least <= frame_bytes <= MAX_FRAME_BYTES:
        raise InvalidArgument(
            f"frames of {frame_bytes:,} bytes are too {'short' if frame_bytes < least else 'long'} for an object of "
            f"{object_bytes:,} bytes: it needs {least:,} to {MAX_FRAME_BYTES:,}",
            rule="frame-bytes",
        )
    room = frame_bytes - OVERHEAD_BYTES
    symbols, symbol_bytes = 1, object_bytes
    if object_bytes > room:
        symbols = -(-object_bytes // longest_symbol_bytes(frame_bytes))
        symbol_bytes = _aligned_up(-(-object_bytes // symbols))
    part_bytes = min(ANNOUNCE_BYTES, room)
    return Layout(symbols, symbol_bytes, part_bytes, -(-ANNOUNCE_BYTES // part_bytes))


def longest_symbol_bytes(frame_bytes: int) -> int:
    """The longest symbol (Q of section 5) of an object with several, in frames of at most `frame_bytes` bytes.

    >>> longest_symbol_bytes(222), longest_symbol_bytes(64)
    (208, 56)
    """
    room = frame_bytes - OVERHEAD_BYTES
    return room if room < ALIGNED_FROM_BYTES else room - room % ALIGNMENT


def _aligned_up(size: int) -> int:
    return size if size < ALIGNED_FROM_BYTES else size + -size % ALIGNMENT


class Sender:
    r"""The sender of one object: it makes each frame when it is asked for.

    Args:
        data: the object, 1 .. `limits.max_object_bytes` bytes.
        frame_bytes: longest frame that the link takes.
        tag: 0 .. 4095, different from those of other objects on the link; None: from the announce (section 2).
        limits: resource limits.

    Raises:
        InvalidArgument: (rules object, frame-bytes, limits) as `layout`; (rule tag) if there is no such tag; (rule
            buffer) if `data` is not a contiguous buffer.
        LimitExceeded: (rule limits) if the object is too long.

    Attributes:
        data: the object.
        tag: its tag.
        layout: its division into symbols and parts.
        announce: its announce.

    >>> sender = Sender(b"Hello, world!", frame_bytes=16)
    >>> sender.layout.symbols
    2
    >>> sender.symbol_frame(1)[4:-4]
    b'world!\x00'
    """

    def __init__(
        self,
        data: bytes,
        frame_bytes: int = DEFAULT_FRAME_BYTES,
        tag: int | None = None,
        limits: FrameLimits = FrameLimits(),
    ) -> None:
        self.data = data = bytes_of(data, "an object")
        self.layout = layout(len(data), frame_bytes, limits)
        self.announce = Announce(len(data), self.layout.symbol_bytes, hashlib.sha256(data).digest())
        self.tag = self.announce.default_tag if tag is None else tag
        if not 0 <= self.tag < TAG_COUNT:
            raise InvalidArgument(f"a tag is 0 .. {TAG_COUNT - 1}, not {tag}", rule="tag")
        self._encoder = FountainEncoder(data, self.layout.symbol_bytes)

    def symbol_frame(self, id: int) -> bytes:
        """The frame of symbol `id`, 0 .. 1,048,319.

        Symbols from K on are made in order and kept: symbol K + n takes the time and memory of 1.5 n symbols.

        Raises:
            InvalidArgument: (rule symbols) if there is no such symbol.
            Unavailable: (rule extra) if this needs the package raptorq, which is not installed.
        """
        if not 0 <= id < FIRST_ANNOUNCE_ID:
            raise InvalidArgument(f"symbols have numbers 0 .. {FIRST_ANNOUNCE_ID - 1}, not {id}", rule="symbols")
        return Frame(self.tag, id, self._encoder.symbol(id)).to_bytes()

    def announce_frames(self) -> list[bytes]:
        """The frames of one announce: one, or several if frames are short."""
        parts = self.announce.parts(self.layout.part_bytes)
        return [Frame(self.tag, FIRST_ANNOUNCE_ID + number, part).to_bytes() for number, part in enumerate(parts)]


def packetize(sender: Sender, symbols: int | None = None, announces: int = 2) -> Iterator[bytes]:
    """The frames of the symbols 0 .. `symbols` - 1 (None: the K of the object), with announces spread evenly.

    The first announce comes before the first symbol; the last one, if there are two or more, after the last symbol.

    Raises:
        InvalidArgument: (rule symbols) if `symbols` is more than there are, or `announces` is below 1.
        Unavailable: (rule extra) as `Sender.symbol_frame`.
    """
    count = sender.layout.symbols if symbols is None else symbols
    if not (0 <= count <= FIRST_ANNOUNCE_ID and announces >= 1):
        raise InvalidArgument(
            f"{count} symbols and {announces} announces cannot be sent: there are up to {FIRST_ANNOUNCE_ID} symbols, "
            "and at least one announce is needed",
            rule="symbols",
        )
    return _packetize(sender, count, announces)


def _packetize(sender: Sender, count: int, announces: int) -> Iterator[bytes]:
    announce = sender.announce_frames()
    begin = 0
    for number in range(announces):
        end = number * count // max(announces - 1, 1)
        yield from map(sender.symbol_frame, range(begin, end))
        yield from announce
        begin = end
    yield from map(sender.symbol_frame, range(begin, count))


def carousel(sender: Sender, start: int = 0, announce_every: int = DEFAULT_ANNOUNCE_EVERY) -> Iterator[bytes]:
    """An endless stream of frames from symbol `start` (modulo the cycle) on, with regular announces.

    An announce comes before the first symbol, and again after every `announce_every` symbols. Far symbols are slow (see
    `Sender.symbol_frame`): for a long object, a start near the end of the cycle takes seconds, and memory of several
    times the object.

    Raises:
        InvalidArgument: (rule symbols) if `announce_every` is below 1.
        Unavailable: (rule extra) as `Sender.symbol_frame`.
    """
    if announce_every < 1:
        raise InvalidArgument(f"an announce every {announce_every} symbols is not possible", rule="symbols")
    return _carousel(sender, start, announce_every)


def _carousel(sender: Sender, start: int, announce_every: int) -> Iterator[bytes]:
    announce = sender.announce_frames()
    for sent in itertools.count():
        if sent % announce_every == 0:
            yield from announce
        yield sender.symbol_frame((start + sent) % sender.layout.cycle_symbols)
