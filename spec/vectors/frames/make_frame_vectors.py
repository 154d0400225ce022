"""Makes the test vectors of PLADA frames 1: `python spec/vectors/frames/make_frame_vectors.py`.

A vector is a stream of frames, as section 7 calls `length` (NAME.frames) or `slip` (NAME.slip, and NAME.state, which is
a state file), and what a receiver makes of it: an object, or the rule that it reports. Once written it is frozen: this
script adds those that are missing and never touches the bytes of one that is there. It then writes index.json anew.
"""

from __future__ import annotations

import hashlib
import json
import random
import sys
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

from plada_codec import PladaError
from plada_codec.frames import FIRST_ANNOUNCE_ID, Frame, FrameLimits, Reassembler, Sender, read_frames
from plada_codec.frames.slip import slip
from plada_codec.frames.state import time_mark

HERE = Path(__file__).parent
#: Objects of up to this many bytes are written out in the index.
MAX_LISTED_BYTES = 64

FLAGS = {
    "one-symbol": "K = 1: every symbol is the object itself, whatever its id",
    "layout": "shows one size of symbols, or of the parts of an announce",
    "boundary": "a length, a size or a number at the end of its range",
    "repair": "source symbols are missing: only RaptorQ brings them back",
    "announce": "concerns how the parts of an announce come, and which announces are valid",
    "order": "frames come in another order than senders send them in",
    "repeated": "frames come more than once",
    "incomplete": "too little came: symbols, or parts of the announce, are missing",
    "damage": "frames have a wrong checksum: they must be dropped, and nothing else may follow from them",
    "garbage": "bytes that are no frame: random, too short, or badly escaped",
    "forged": "frames with a right checksum that no sender of the object sends",
    "spoilt": "enough symbols came, but they make no object, or a wrong one: they must be forgotten",
    "symbol-size": "symbols of another size than the announce says: they must not be used",
    "one-tag": "frames of two objects with the same tag",
    "two-objects": "frames of two objects with different tags",
    "tag": "the receiver is asked for one tag",
    "limits": "concerns the limits of spec section 9",
    "slip": "a SLIP stream",
    "state": "a state file of spec section 8, read as a stream",
    "example": "a worked example of spec section 12",
}


@dataclass
class Vector:
    """One vector to make: its frames, and the object or the rule that they make.

    Attributes:
        flags: names of `FLAGS`.
        frames: those of a `length` stream, or the bytes of a `slip` stream.
        tag: the tag that the receiver is asked for, or None for any.
        limits: where they are not the defaults of section 9.
    """

    id: str
    comment: str
    flags: list[str]
    frames: Iterable[bytes] | bytes
    expected: bytes | str
    tag: int | None = None
    limits: dict[str, int] = field(default_factory=dict)
    suffix: str = "frames"

    @property
    def stream(self) -> bytes:
        """The bytes of its file."""
        if isinstance(self.frames, bytes):
            return self.frames
        return b"".join(len(frame).to_bytes(2, "little") + frame for frame in self.frames)


def some(count: int, seed: int = 0) -> bytes:
    """An object of random bytes."""
    return random.Random(seed * 1_000_003 + count).randbytes(count)


def symbols(sender: Sender, ids: Iterable[int]) -> list[bytes]:
    """The frames of these symbols."""
    return [sender.symbol_frame(id) for id in ids]


def announced(sender: Sender, ids: Iterable[int]) -> list[bytes]:
    """An announce, and the frames of these symbols."""
    return sender.announce_frames() + symbols(sender, ids)


def announcing(length: int, size: int) -> bytes:
    """An announce with tag 000 and a digest of zeros, whether it is valid or not."""
    whole = length.to_bytes(4, "little") + size.to_bytes(2, "little") + bytes(32)
    return Frame(0, FIRST_ANNOUNCE_ID, whole).to_bytes()


def zero_part(tag: int, number: int, length: int) -> bytes:
    """A part of an announce of so many zeros."""
    return Frame(tag, FIRST_ANNOUNCE_ID + number, bytes(length)).to_bytes()


def flipped(frame: bytes, bit: int) -> bytes:
    """A frame with one bit flipped."""
    return (int.from_bytes(frame, "little") ^ 1 << bit).to_bytes(len(frame), "little")


def object_vectors() -> Iterator[Vector]:
    """All that comes is as it was sent, in part."""
    hello = Sender(b"Hello, PLADA!")
    yield Vector(
        "one-symbol",
        "an object of one symbol, and its announce",
        ["one-symbol", "example"],
        announced(hello, [0]),
        b"Hello, PLADA!",
    )
    yield Vector(
        "one-symbol-last-id",
        "K = 1: a symbol is the object, whatever its id",
        ["one-symbol", "boundary"],
        announced(hello, [0xFFEFF]),
        b"Hello, PLADA!",
    )
    yield Vector(
        "one-byte",
        "the shortest object in the shortest frames",
        ["one-symbol", "layout", "boundary"],
        announced(Sender(b"!", 9), [0]),
        b"!",
    )
    text = b"A score of bytes: 20"
    short = Sender(text, 16)
    yield Vector(
        "repair",
        "three symbols of 7 bytes, one of which is lost",
        ["repair", "example"],
        announced(short, [0, 2, 3]),
        text,
    )
    yield Vector("systematic", "symbols 0 .. K - 1", ["layout"], announced(short, range(3)), text)
    yield Vector(
        "announce-last",
        "the announce comes when all symbols are there",
        ["announce", "order"],
        symbols(short, range(3)) + short.announce_frames(),
        text,
    )
    yield Vector(
        "announce-backwards",
        "the parts of the announce in reverse order",
        ["announce", "order"],
        short.announce_frames()[::-1] + symbols(short, range(3)),
        text,
    )
    yield Vector(
        "announce-between",
        "symbols between the parts of the announce",
        ["announce", "order"],
        [frame for pair in zip(short.announce_frames(), symbols(short, range(5)), strict=True) for frame in pair],
        text,
    )
    other = Sender(b"Hello, PLADA!", 30)
    frames = other.announce_frames()[:1] + announced(hello, [0])
    yield Vector(
        "announce-of-other-parts",
        "a part of 22 bytes, then the whole announce in one part",
        ["announce", "one-symbol"],
        frames,
        b"Hello, PLADA!",
    )
    for part_bytes, frame_bytes in ((1, 9), (37, 45), (38, 46)):
        data = some(5 * part_bytes)
        yield Vector(
            f"parts-of-{part_bytes}",
            f"an announce in parts of {part_bytes} bytes",
            ["announce", "layout"],
            announced(Sender(data, frame_bytes), range(5)),
            data,
        )
    for size, frame_bytes, length in (
        (1, 9, 3),
        (63, 71, 188),
        (64, 72, 190),
        (64, 79, 255),
        (72, 80, 216),
        (248, 256, 990),
        (208, 256, 402),
    ):
        data = some(length)
        sender = Sender(data, frame_bytes)
        ids = [id for id in range(sender.layout.symbols + 3) if id != 1]
        assert sender.layout.symbol_bytes == size
        yield Vector(
            f"symbols-of-{size}-for-{frame_bytes}",
            f"{length} bytes in frames of at most {frame_bytes}: symbols of {size}, all but one",
            ["layout", "repair"],
            announced(sender, ids),
            data,
        )
    for count in (2, 10, 11, 12, 26, 100, 257):
        data = some(4 * count - 1)
        sender = Sender(data, 12)
        assert sender.layout.symbols == count
        yield Vector(
            f"repair-only-{count}",
            f"{count} source symbols, of which none comes",
            ["repair"],
            announced(sender, range(count, 2 * count + 2)),
            data,
        )
    data = some(31)
    sender = Sender(data, 24)
    yield Vector(
        "last-ids",
        "two source symbols; the last four symbols that there are",
        ["repair", "boundary"],
        announced(sender, range(0xFFEFC, 0xFFF00)),
        data,
    )
    yield Vector(
        "mixture",
        "every third source symbol, and repair symbols, shuffled",
        ["repair", "order", "repeated"],
        mixture(),
        some(999),
    )


def mixture() -> list[bytes]:
    """Frames in any order, some of them twice."""
    sender = Sender(some(999), 40)
    count = sender.layout.symbols
    frames = announced(sender, [*range(0, count, 3), *range(count, 2 * count)])
    frames += frames[::4]
    random.Random(1).shuffle(frames)
    return frames


def tolerated_vectors() -> Iterator[Vector]:
    """Other things come as well, and the object nevertheless."""
    data = some(300)
    sender = Sender(data, 40)
    count = sender.layout.symbols
    good = announced(sender, range(count))
    yield Vector(
        "three-times", "every frame comes three times", ["repeated"], [frame for frame in good for _ in range(3)], data
    )
    yield Vector(
        "empty-records",
        "records of length 0 are skipped",
        ["garbage"],
        [part for frame in good for part in (b"", frame)],
        data,
    )
    bad = [flipped(frame, 7 * number) for number, frame in enumerate(announced(sender, range(3 * count)))]
    yield Vector("damaged-and-good", "damaged frames, one bit each, then good ones", ["damage"], bad + good, data)
    garbage = [some(length, 2) for length in (*range(1, 20), 46, 300)]
    yield Vector("garbage-and-good", "bytes that are no frames, then frames", ["garbage"], garbage + good, data)
    stranger = Sender(some(400, 1), 40)
    between = [frame for pair in zip(good, announced(stranger, range(len(good) - 2)), strict=True) for frame in pair]
    yield Vector(
        "another-object-incomplete",
        "frames of another object between, which is not complete",
        ["two-objects"],
        between,
        data,
    )
    both = good + announced(stranger, range(stranger.layout.symbols))
    yield Vector(
        "two-objects-first",
        "two objects, of which the first is asked for",
        ["two-objects", "tag"],
        both,
        data,
        tag=sender.tag,
    )
    yield Vector(
        "two-objects-second",
        "two objects, of which the second is asked for",
        ["two-objects", "tag"],
        both,
        some(400, 1),
        tag=stranger.tag,
    )
    same_tag = Sender(some(400, 1), 50, tag=sender.tag)
    frames = good[:3] + same_tag.announce_frames() + good[3:]
    yield Vector(
        "tag-conflict-complete",
        "a second announce with the same tag: the first one counts",
        ["one-tag", "announce"],
        frames,
        data,
    )
    frames = symbols(same_tag, range(4)) + good
    yield Vector(
        "symbol-size-complete",
        "symbols of another size with the same tag are not used",
        ["one-tag", "symbol-size"],
        frames,
        data,
    )
    forged = Frame(sender.tag, 2, bytes(sender.layout.symbol_bytes)).to_bytes()
    yield Vector(
        "forged-after",
        "a second symbol 2 with other content: the first one counts",
        ["forged"],
        [*good[:-1], forged, good[-1]],
        data,
    )
    yield Vector(
        "forged-before",
        "a false symbol spoils K symbols; as many others come",
        ["forged", "spoilt", "repair"],
        [forged, *good, *symbols(sender, range(count, 2 * count + 2))],
        data,
    )
    yield Vector(
        "invalid-announce-before",
        "an invalid announce, then the good one",
        ["announce", "forged"],
        [zero_part(sender.tag, 0, 38), *good],
        data,
    )
    limits = {"max_object_bytes": 300, "max_held_bytes": count * (sender.layout.symbol_bytes + 128)}
    yield Vector("at-limits", "as long as the limits allow", ["limits", "boundary"], good, data, limits=limits)


def announce_vectors() -> Iterator[Vector]:
    """Parts of several announces, and the same in parts of several sizes."""
    data = some(20)
    sevens, eights = Sender(data, 15), Sender(data, 16)
    assert sevens.announce == eights.announce
    mixed = sevens.announce_frames()[3:5] + eights.announce_frames() + symbols(eights, range(3))
    comment = "parts 3 and 4 of 7 bytes, then all parts of 8: five parts of 38 bytes together are no announce"
    yield Vector("parts-of-7-and-8", comment, ["announce", "layout"], mixed, data)
    again = sevens.announce_frames() + symbols(sevens, range(2)) + eights.announce_frames()
    yield Vector(
        "announce-again-in-other-parts",
        "all of its parts agree with the first",
        ["announce", "repeated", "incomplete"],
        again,
        "incomplete",
    )
    stray = sevens.announce_frames() + symbols(sevens, range(2)) + [zero_part(sevens.tag, 2, 7)]
    yield Vector("tag-conflict-one-part", "a part that is not of the announce", ["one-tag", "announce"], stray, "tag")
    data = some(100)
    sender = Sender(data, 27)
    whole = (2**26 + 8).to_bytes(4, "little") + (4096).to_bytes(2, "little") + some(32, 3)
    strangers = [Frame(sender.tag, FIRST_ANNOUNCE_ID + at, whole[19 * at :][:19]).to_bytes() for at in (1, 0)]
    comment = "the announce of an object of 2^26 + 8 bytes, its parts in reverse order, then the good one"
    yield Vector(
        "limit-object-before", comment, ["limits", "announce", "one-tag"], strangers + announced(sender, range(6)), data
    )


def singular_vectors() -> Iterator[Vector]:
    """Symbols chosen so that none says anything about symbol 0."""
    data = some(39)
    sender = Sender(data, 12)
    probe = Sender(b"!" + bytes(38), 12)
    ids = [id for id in range(10, 6000) if not any(probe.symbol_frame(id)[4:-4])]
    frames = announced(sender, [*range(1, 10), *ids[:8], 0])
    yield Vector("seven-spare", "K + 7 symbols that make no object, and one more that does", ["repair"], frames, data)
    frames = announced(sender, [*range(1, 10), *ids[:9], 0])
    yield Vector(
        "eight-spare", "K + 8 symbols that make no object are forgotten", ["repair", "spoilt"], frames, "digest"
    )


def slip_vectors() -> Iterator[Vector]:
    """Streams of section 7 that are SLIP."""
    data = bytes.fromhex("c0 db dc dd c0 c0 db dd db dc 00 db")
    sender = Sender(data, 16)
    frames = announced(sender, range(sender.layout.symbols))
    stream = b"".join(map(slip, frames))
    yield Vector("slip-escapes", "every byte that SLIP escapes, or escapes with", ["slip"], stream, data, suffix="slip")
    noise = b"noise" + b"".join(map(slip, [frames[0][:-1], *frames[:3]])) + b"\xc0\xc0\xdb\xc0" + b"\xff" * 9
    yield Vector(
        "slip-noise",
        "bytes before, between and behind frames, an end twice, a frame that lacks a byte",
        ["slip", "garbage"],
        noise + b"".join(map(slip, frames[3:])) + b"more",
        data,
        suffix="slip",
    )
    ends = b"\xc0".join(slip(frame)[1:-1] for frame in frames)
    yield Vector(
        "slip-single-ends", "one end between frames, none before and behind", ["slip"], ends, data, suffix="slip"
    )
    yield Vector(
        "slip-cut",
        "the last frame lacks its last byte",
        ["slip", "incomplete"],
        stream[:-2],
        "incomplete",
        suffix="slip",
    )
    hello = Sender(b"Hello, \xdbPLADA!", 256)
    announce, symbol = announced(hello, [0])
    unescaped = slip(announce) + b"\xc0" + symbol + b"\xc0"
    assert symbol.count(b"\xdb") == 1
    assert b"\xc0" not in symbol
    comment = "DB before another byte: the packet is no frame, though its checksum is right"
    yield Vector("slip-bad-escape", comment, ["slip", "garbage", "incomplete"], unescaped, "incomplete", suffix="slip")


def state_vectors() -> Iterator[Vector]:
    """State files of section 8."""
    data = b"Hello, PLADA!"
    announce, symbol = announced(Sender(data), [0])
    begin, end = time_mark(1_700_000_000_000), time_mark(1_700_000_060_000)
    torn = slip(begin) + slip(announce) + slip(end) + slip(symbol)[:9]
    stream = torn + slip(end) + slip(symbol)
    yield Vector(
        "torn",
        "a write that was torn, and what was written after it",
        ["state", "damage", "example"],
        stream,
        data,
        suffix="state",
    )
    yield Vector(
        "torn-end",
        "a write that was torn, and nothing since",
        ["state", "damage", "incomplete"],
        torn,
        "incomplete",
        suffix="state",
    )
    data = some(300)
    sender = Sender(data, 40)
    count = sender.layout.symbols
    false = Frame(sender.tag, 2, bytes(sender.layout.symbol_bytes)).to_bytes()
    frames = [*sender.announce_frames(), false, *symbols(sender, [0, 1, *range(3, count)]), *symbols(sender, range(8))]
    stream = b"".join(map(slip, [begin, *frames, end, *symbols(sender, range(8, count))]))
    comment = "a false symbol spoilt K; the same ids came again, and are all there again"
    yield Vector("spoilt", comment, ["state", "forged", "spoilt"], stream, data, suffix="state")


def refused_vectors() -> Iterator[Vector]:
    """No object comes to be."""
    data = some(300)
    sender = Sender(data, 40)
    count = sender.layout.symbols
    good = announced(sender, range(count))
    yield Vector("nothing", "an empty stream", ["incomplete"], [], "incomplete")
    yield Vector(
        "garbage",
        "bytes that are no frames",
        ["garbage", "incomplete"],
        [some(length, 2) for length in (1, 8, 9, 46, 300)],
        "incomplete",
    )
    yield Vector(
        "damaged",
        "every frame has one flipped bit",
        ["damage", "incomplete"],
        [flipped(frame, 9 * at) for at, frame in enumerate(good)],
        "incomplete",
    )
    yield Vector(
        "foreign-checksum",
        "a CRC-32 that does not begin with PLF1",
        ["damage", "incomplete"],
        [foreign(frame) for frame in good],
        "incomplete",
    )
    yield Vector("one-missing", "K - 1 symbols", ["incomplete"], good[:-1], "incomplete")
    yield Vector("no-announce", "all symbols, no announce", ["announce", "incomplete"], good[2:], "incomplete")
    yield Vector(
        "half-an-announce",
        "all symbols, one part of two of the announce",
        ["announce", "incomplete"],
        good[1:],
        "incomplete",
    )
    yield Vector(
        "other-tag",
        "a tag is asked for that no frame has",
        ["tag", "incomplete"],
        good,
        "incomplete",
        tag=sender.tag ^ 1,
    )
    yield Vector(
        "forgotten",
        "K symbols, one of them false, and K - 1 others",
        ["forged", "spoilt"],
        [
            Frame(sender.tag, 0, bytes(sender.layout.symbol_bytes)).to_bytes(),
            *good,
            *symbols(sender, range(count, 2 * count - 1)),
        ],
        "digest",
    )
    wrong = [announcing(13, 13), Frame(0, 0, b"Hello, PLADA!").to_bytes()]
    yield Vector(
        "digest-one-symbol",
        "K = 1: the object is not what the announce says",
        ["one-symbol", "forged", "spoilt"],
        wrong,
        "digest",
    )
    same_tag = Sender(some(400, 1), 50, tag=sender.tag)
    frames = good[:-1] + same_tag.announce_frames()
    yield Vector(
        "tag-conflict",
        "two announces with one tag, and too few symbols",
        ["one-tag", "announce", "incomplete"],
        frames,
        "tag",
    )
    frames = sender.announce_frames() + symbols(same_tag, range(same_tag.layout.symbols))
    yield Vector(
        "symbol-size",
        "an announce, and symbols of another size only",
        ["one-tag", "symbol-size"],
        frames,
        "symbol-size",
    )
    frames = symbols(same_tag, range(same_tag.layout.symbols)) + sender.announce_frames()
    yield Vector(
        "symbol-size-announce-last",
        "symbols of another size, then the announce",
        ["one-tag", "symbol-size", "order"],
        frames,
        "symbol-size",
    )
    both = good + announced(Sender(some(400, 1), 40), range(13))
    yield Vector("two-objects", "two objects are complete, and none is asked for", ["two-objects"], both, "objects")
    for name, length, size, comment in (
        ("length-0", 0, 1, "an object of 0 bytes"),
        ("size-0", 1, 0, "symbols of 0 bytes"),
        ("size-above-length", 10, 11, "K = 1, but T is not L"),
        ("size-65", 130, 65, "K = 2 and T = 65, no multiple of 8"),
        ("56404-symbols", 56_404, 1, "K = 56,404"),
    ):
        yield Vector(f"announce-{name}", comment, ["announce"], [announcing(length, size)], "announce")
    yield Vector(
        "announce-56403-symbols",
        "K = 56,403 is valid",
        ["announce", "boundary", "incomplete"],
        [announcing(56_403, 1)],
        "incomplete",
    )
    yield Vector("announce-part-too-long", "a part of 39 bytes", ["announce"], [zero_part(0, 0, 39)], "announce")
    yield Vector("announce-part-38", "a part of number 38", ["announce"], [zero_part(0, 38, 1)], "announce")
    yield Vector("limit-object", "an object of 2^26 + 1 bytes", ["limits"], [announcing(2**26 + 1, 4096)], "limits")
    yield Vector(
        "limit-object-at",
        "an object of 2^26 bytes",
        ["limits", "boundary", "incomplete"],
        [announcing(2**26, 4096)],
        "incomplete",
    )
    held = count * (sender.layout.symbol_bytes + 128) - 1
    yield Vector(
        "limit-held",
        "the last symbol is beyond max_held_bytes",
        ["limits"],
        good,
        "limits",
        limits={"max_held_bytes": held},
    )


def foreign(frame: bytes) -> bytes:
    """A frame with the CRC-32 of its bytes alone."""
    return frame[:-4] + zlib.crc32(frame[:-4]).to_bytes(4, "little")


def entry(vector: Vector, path: Path) -> dict[str, Any]:
    """The index entry of a vector, from its bytes as they are on disk."""
    file = path.relative_to(HERE).as_posix()
    result: dict[str, Any] = {"id": vector.id, "comment": vector.comment, "flags": vector.flags, "file": file}
    if vector.suffix != "frames":
        result["framing"] = "slip"
    if vector.tag is not None:
        result["tag"] = f"{vector.tag:03x}"
    if vector.limits:
        result["limits"] = vector.limits
    reassembler = Reassembler(FrameLimits(**vector.limits), vector.tag)
    with path.open("rb") as stream:
        for frame in read_frames(stream, result.get("framing", "length")):
            reassembler.add(frame)
    try:
        data: bytes | str = reassembler.result()
    except PladaError as error:
        data = error.rule
        result["error"] = {"kind": error.kind, "rule": error.rule}
    if data != vector.expected:
        raise SystemExit(f"{vector.id}: expected {vector.expected!r}, but got {data!r}")
    if isinstance(data, bytes):
        listed = {"hex": data.hex()} if len(data) <= MAX_LISTED_BYTES else {}
        result["object"] = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest(), **listed}
    return result


def main() -> None:
    """Add what is missing, and write the index."""
    entries, added = [], 0
    groups = (
        object_vectors(),
        tolerated_vectors(),
        refused_vectors(),
        announce_vectors(),
        singular_vectors(),
        slip_vectors(),
        state_vectors(),
    )
    for vector in chain.from_iterable(groups):
        path = HERE / "streams" / f"{vector.id}.{vector.suffix}"
        if not path.exists():
            path.write_bytes(vector.stream)
            added += 1
        entries.append(entry(vector, path))
    head = json.dumps({"format_version": 1, "schema": "schema.json", "flags": FLAGS}, indent=2)
    lines = ",\n".join("    " + json.dumps(each) for each in entries)
    (HERE / "index.json").write_text(head[:-2] + ',\n  "vectors": [\n' + lines + "\n  ]\n}\n", encoding="utf-8")
    print(f"{len(entries)} vectors, {added} of them new", file=sys.stderr)


if __name__ == "__main__":
    main()
