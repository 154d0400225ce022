"""The plain receiver of PLADA frames, version 1, to be read beside `plada-frames-1.md`.

It follows that text section by section, under the same names, and it is written to be compared with it, not to be
fast. It needs Python 3.11 and the standard library; RaptorQ is `raptorq_plain.py`, beside it.

As a program, `python plada_frames_decode.py [FILE|FOLDER|-] [--framing length|slip] [--tag HEX]` reads a stream of
frames (from standard input unless one is named), a file *.frame of one frame, or a folder of such files, whatever their
names, and writes the object to standard output; if several are complete, the tag says which. If none is, it writes one
line to standard error, nothing to standard output, and exits with 1. The limits of section 9 are arguments
(`--max-object-bytes N`). With `--batch` it answers the requests of `plada_batch.py`, beside it.
"""

import argparse
import hashlib
import re
import sys
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, fields
from itertools import islice
from pathlib import Path

import plada_batch
import raptorq_plain

# ---------------------------------------------------------------------------------------------------------
# 2. Frame
# ---------------------------------------------------------------------------------------------------------

FORMAT = b"PLF1"
OVERHEAD_BYTES = 8
MIN_FRAME_BYTES = 9
MAX_FRAME_BYTES = 65_535
FIRST_ANNOUNCE_ID = 0xFFF00


@dataclass(frozen=True)
class Frame:
    """A frame whose checksum is right (2)."""

    tag: int
    id: int
    content: bytes


def read_frame(data: bytes) -> Frame:
    """2, and step 1 of 6. Raises FramesError for bytes that are no frame."""
    if not MIN_FRAME_BYTES <= len(data) <= MAX_FRAME_BYTES:
        raise FramesError("frame", f"{len(data)} bytes are no frame")
    covered, checksum = data[:-4], data[-4:]
    if zlib.crc32(FORMAT + covered) != int.from_bytes(checksum, "little"):
        raise FramesError("checksum", "a frame's checksum is not that of its bytes")
    word = int.from_bytes(covered[:4], "little")
    return Frame(tag=word >> 20, id=word & 0xFFFFF, content=covered[4:])


# ---------------------------------------------------------------------------------------------------------
# 3. Symbols
# ---------------------------------------------------------------------------------------------------------


#: K and so many symbols of one object make it, as good as always (6, step 5).
MAX_SPARE_SYMBOLS = 8


def symbol_count(length: int, size: int) -> int:
    """K."""
    return -(-length // size)


def decode(length: int, size: int, symbols: dict[int, bytes]) -> bytes | None:
    """The first `length` bytes of what symbols of one size say, by their ids, or None while they do not say enough.

    As few of them are used as will do, in the order in which they came, and K + 8 at most (step 5 of 6).
    """
    k = symbol_count(length, size)
    for count in range(k, min(len(symbols), k + MAX_SPARE_SYMBOLS) + 1):
        first = dict(islice(symbols.items(), count))
        source = list(first.values()) if k == 1 else raptorq_plain.decode(k, first)
        if source is not None:
            return b"".join(source)[:length]
    return None


# ---------------------------------------------------------------------------------------------------------
# 4. Announce
# ---------------------------------------------------------------------------------------------------------

ANNOUNCE_BYTES = 38


@dataclass(frozen=True)
class Announce:
    """The object that the symbols of a tag make (4)."""

    length: int
    symbol_size: int
    digest: bytes

    @property
    def k(self) -> int:
        return symbol_count(self.length, self.symbol_size)

    def has_part(self, number: int, part: bytes) -> bool:
        """Whether this announce may have been sent with such a part (step 3 of 6)."""
        whole = self.length.to_bytes(4, "little") + self.symbol_size.to_bytes(2, "little") + self.digest
        begin = number * len(part)
        return part == whole[begin : begin + len(part)] or whole.endswith(part)


def join_parts(parts: dict[int, bytes]) -> bytes | None:
    """The 38 bytes of an announce from its parts by their numbers, or None where one lacks or has another length."""
    if 0 not in parts:
        return None
    size = len(parts[0])
    data = b""
    for number in range(-(-ANNOUNCE_BYTES // size)):
        part = parts.get(number, b"")
        if len(part) != min(size, ANNOUNCE_BYTES - number * size):
            return None
        data += part
    return data


def read_announce(data: bytes) -> Announce:
    """Raise FramesError for an announce that is not valid."""
    length = int.from_bytes(data[:4], "little")
    size = int.from_bytes(data[4:6], "little")
    announce = Announce(length, size, data[6:])
    if length < 1 or not 1 <= size <= 65_527:
        raise FramesError("announce", f"an announce of {length} bytes in symbols of {size}")
    if announce.k == 1:
        if size != length:
            raise FramesError("announce", f"an announce of {length} bytes in one symbol of {size}")
    elif announce.k > raptorq_plain.MAX_K:
        raise FramesError("announce", f"an announce of {announce.k} symbols; RaptorQ has {raptorq_plain.MAX_K}")
    elif size >= 64 and size % 8 != 0:
        raise FramesError("announce", f"an announce of symbols of {size} bytes, not a multiple of 8")
    return announce


# ---------------------------------------------------------------------------------------------------------
# 6. Receiving
# ---------------------------------------------------------------------------------------------------------

#: What is reported of an object that is not complete: the first of these that a frame of it broke.
GRAVEST_FIRST = ("tag", "symbol-size", "digest", "limits", "announce", "incomplete")


@dataclass
class Object:
    """The state of a receiver for one tag.

    `symbols` are by size and id, `parts` are those of the announce by number, `broken` are rules.
    """

    symbols: dict[int, dict[int, bytes]] = field(default_factory=dict)
    parts: dict[int, bytes] = field(default_factory=dict)
    announce: Announce | None = None
    data: bytes | None = None
    broken: set[str] = field(default_factory=set)

    @property
    def have(self) -> int:
        """The number of symbols that may be used."""
        return sum(map(len, self.symbols.values()))

    @property
    def held_bytes(self) -> int:
        """Bytes that count towards `max_held_bytes` (9)."""
        symbols = sum((size + SYMBOL_COST_BYTES) * len(symbols) for size, symbols in self.symbols.items())
        return symbols + len(self.data or b"")

    def result(self) -> bytes:
        """The object, once no further frame will come. Raises FramesError if it is not complete."""
        if self.data is not None:
            return self.data
        rule = next(rule for rule in GRAVEST_FIRST if rule in self.broken | {"incomplete"})
        need = "before an announce" if self.announce is None else f"of {self.announce.k}"
        raise FramesError(rule, f"the object is not complete: {self.have} symbols {need}")


class Receiver:
    """6: `objects` by tag, and in `damaged` how often each rule was broken by what is no frame."""

    def __init__(self, limits: "Limits | None" = None) -> None:
        self.limits = limits or Limits()
        self.objects: dict[int, Object] = {}
        self.damaged: Counter[str] = Counter()

    def add(self, data: bytes) -> None:
        """One frame, or bytes that should have been one."""
        try:
            frame = read_frame(data)
        except FramesError as error:
            self.damaged[error.rule] += 1
            return
        received = self.objects.setdefault(frame.tag, Object())
        try:
            if frame.id < FIRST_ANNOUNCE_ID:
                self.add_symbol(received, frame.id, frame.content)
            else:
                self.add_part(received, frame.id - FIRST_ANNOUNCE_ID, frame.content)
        except FramesError as error:
            received.broken.add(error.rule)

    def add_symbol(self, received: Object, id: int, symbol: bytes) -> None:
        """Steps 2 and 4."""
        size = len(symbol)
        if received.data is not None or id in received.symbols.get(size, {}):
            return
        if received.announce and size != received.announce.symbol_size:
            raise FramesError("symbol-size", f"a symbol of {size} bytes")
        held_bytes = sum(each.held_bytes for each in self.objects.values())
        if held_bytes + size + SYMBOL_COST_BYTES > self.limits.max_held_bytes:
            raise FramesError("limits", f"{held_bytes} bytes are held")
        received.symbols.setdefault(size, {})[id] = symbol
        self.try_to_decode(received)

    def add_part(self, received: Object, number: int, part: bytes) -> None:
        """Section 4 and step 3."""
        if number >= ANNOUNCE_BYTES or len(part) > ANNOUNCE_BYTES:
            raise FramesError("announce", f"a part {number} of {len(part)} bytes")
        if received.announce is not None:
            if not received.announce.has_part(number, part):
                raise FramesError("tag", "two objects share a tag")
            return
        received.parts[number] = part
        data = join_parts(received.parts)
        if data is None:
            return
        received.parts.clear()
        announce = read_announce(data)
        if announce.length > self.limits.max_object_bytes:
            raise FramesError("limits", f"an announce of {announce.length} bytes")
        self.set_announce(received, announce)

    def set_announce(self, received: Object, announce: Announce) -> None:
        """Steps 3 and 4."""
        usable = received.symbols.pop(announce.symbol_size, {})
        if received.symbols:
            received.broken.add("symbol-size")
        received.symbols = {announce.symbol_size: usable}
        received.announce = announce
        self.try_to_decode(received)

    def try_to_decode(self, received: Object) -> None:
        """Step 5."""
        announce = received.announce
        if announce is None:
            return
        data = decode(announce.length, announce.symbol_size, received.symbols[announce.symbol_size])
        if data is None and received.have < announce.k + MAX_SPARE_SYMBOLS:
            return
        received.symbols = {announce.symbol_size: {}}
        if data is None or hashlib.sha256(data).digest() != announce.digest:
            raise FramesError("digest", "the object's SHA-256 is not that of the announce")
        received.data = data

    def result(self, tag: int | None = None) -> bytes:
        """The object of this tag, or the only one that is complete. Raises FramesError if there is none."""
        if tag is not None:
            return self.objects.get(tag, Object()).result()
        complete = [tag for tag, received in self.objects.items() if received.data is not None]
        if len(complete) > 1:
            raise FramesError("objects", f"the objects {', '.join(f'{tag:03x}' for tag in complete)} are complete")
        begun = complete or sorted(self.objects, key=lambda tag: self.objects[tag].have)
        return self.result(begun[-1]) if begun else Object().result()


# ---------------------------------------------------------------------------------------------------------
# 7. Streams of frames, and 8. State file, which is one of them
# ---------------------------------------------------------------------------------------------------------


def split_length(stream: bytes) -> Iterator[bytes]:
    """The frames of a `length` stream. What its end cuts short is dropped."""
    at = 2
    while at <= len(stream):
        end = at + int.from_bytes(stream[at - 2 : at], "little")
        if at < end <= len(stream):
            yield stream[at:end]
        at = end + 2


def split_slip(stream: bytes) -> Iterator[bytes]:
    """The packets of a `slip` stream. One that is no frame for its escapes becomes one of 0 bytes: `frame`."""
    return (unescape(packet) for packet in stream.split(b"\xc0") if packet)


def unescape(packet: bytes) -> bytes:
    """The frame that was sent as this packet, or no bytes where `DB` is not followed as it must be."""
    if re.search(rb"\xdb(?![\xdc\xdd])", packet):
        return b""
    return packet.replace(b"\xdb\xdc", b"\xc0").replace(b"\xdb\xdd", b"\xdb")


SPLIT = {"length": split_length, "slip": split_slip}


def read_frames(source: str, framing: str) -> Iterable[bytes]:
    """Bytes that may be frames, from a stream, a file of one frame, or the files of a folder in the order of names."""
    if source != "-" and Path(source).is_dir():
        paths = sorted(path for path in Path(source).iterdir() if path.is_file() and not path.name.startswith("."))
        return [path.read_bytes() for path in paths]
    if source.endswith(".frame"):
        return [Path(source).read_bytes()]
    return SPLIT[framing](sys.stdin.buffer.read() if source == "-" else Path(source).read_bytes())


# ---------------------------------------------------------------------------------------------------------
# 9. Limits
# ---------------------------------------------------------------------------------------------------------


#: What holding a symbol counts besides its bytes.
SYMBOL_COST_BYTES = 128


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Limits of the bytes that a receiver holds, with the defaults (9)."""

    max_object_bytes: int = 1 << 26
    max_held_bytes: int = 1 << 27


# ---------------------------------------------------------------------------------------------------------
# 10. Errors
# ---------------------------------------------------------------------------------------------------------

#: The kind of each rule that a receiver may report.
KIND_OF_RULE = {
    "frame": "Corrupt",
    "checksum": "Corrupt",
    "announce": "Corrupt",
    "symbol-size": "Corrupt",
    "tag": "Corrupt",
    "digest": "Corrupt",
    "incomplete": "Truncated",
    "limits": "LimitExceeded",
    "objects": "InvalidPayload",
}


class FramesError(ValueError):
    """The rule that bytes, an announce or an object broke, and its kind (10)."""

    def __init__(self, rule: str, message: str) -> None:
        super().__init__(f"{message} [{KIND_OF_RULE[rule]} {rule}]")
        self.kind = KIND_OF_RULE[rule]
        self.rule = rule


def rebuild(frames: Iterable[bytes], options: argparse.Namespace) -> bytes:
    """The object of these frames, received with the limits and the tag among the program's options."""
    receiver = Receiver(Limits(**{limit.name: getattr(options, limit.name) for limit in fields(Limits)}))
    for data in frames:
        receiver.add(data)
    return receiver.result(options.tag)


def main(arguments: list[str]) -> int:
    """The program described at the top of this file; returns its exit status."""
    parser = argparse.ArgumentParser(prog="plada_frames_decode.py", description="The plain receiver of PLADA frames.")
    parser.add_argument("source", nargs="?", default="-", metavar="FILE|FOLDER|-")
    parser.add_argument("--batch", action="store_true", help="answer the requests of plada_batch.py")
    parser.add_argument("--framing", choices=sorted(SPLIT), default="length")
    parser.add_argument("--tag", type=lambda text: int(text, 16), metavar="HEX")
    for limit in fields(Limits):
        parser.add_argument(f"--{limit.name.replace('_', '-')}", type=int, default=limit.default, metavar="N")
    options = parser.parse_args(arguments)

    def answer(stream: bytes, arguments: list[str]) -> bytes:
        options = parser.parse_args(arguments)
        try:
            return b"+" + rebuild(SPLIT[options.framing](stream), options)
        except FramesError as error:
            return f"-{error.kind} {error.rule}".encode()

    if options.batch:
        plada_batch.answer_requests(answer)
        return 0
    try:
        sys.stdout.buffer.write(rebuild(read_frames(options.source, options.framing), options))
    except (FramesError, OSError) as error:
        print(f"plada_frames_decode: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
