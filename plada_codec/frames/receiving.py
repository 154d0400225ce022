"""Rebuild objects from frames that may be lost, repeated or damaged (spec/plada-frames-1.md section 6).

A receiver collects tolerantly and judges strictly: no bytes make `Reassembler.add` fail, and an object is returned
only if its length and digest are those announced.
"""

from __future__ import annotations

import hashlib
import itertools
from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum

from plada_codec.errors import Corrupt, InvalidPayload, LimitExceeded, PladaError, Truncated, check_type
from plada_codec.frames.fountain import FountainDecoder
from plada_codec.frames.frame import ANNOUNCE_BYTES, FIRST_ANNOUNCE_ID, Announce, Frame, parse_frame
from plada_codec.frames.limits import SYMBOL_COST_BYTES, FrameLimits

#: Section 6: if an incomplete object has several problems, the first of these is reported.
_GRAVEST_FIRST = ("tag", "symbol-size", "digest", "limits", "announce")


class Reception(StrEnum):
    """The outcome of receiving some bytes."""

    NEW = "new"  #: a symbol or a part of an announce that is new
    DUPLICATE = "duplicate"  #: a symbol or a part that came before
    DAMAGED = "damaged"  #: not a frame
    OTHER = "other"  #: a frame with another tag than the wanted one
    REFUSED = "refused"  #: a frame that contradicts the announce, breaks a rule or a limit, or spoilt its object
    COMPLETE = "complete"  #: a frame of an object that is complete, with this one or before


@dataclass(frozen=True)
class ReceptionProgress:
    """State of the reception of one object.

    Attributes:
        tag: the object's tag.
        announced: whether its announce has come.
        object_bytes: its length, or None before the announce.
        symbol_bytes: its symbol size; before the announce, the most frequent size (None: no symbol).
        have: number of different symbols of that size that have come.
        need: K; the object is complete with K symbols and a few more (rarely more than 2). None before the announce.
        complete: whether the object is complete.
        problems: rules (section 10) that frames of this tag broke, the gravest first.
    """

    tag: int
    announced: bool
    object_bytes: int | None
    symbol_bytes: int | None
    have: int
    need: int | None
    complete: bool
    problems: list[str]


@dataclass
class _Object:
    """Symbols, parts and problems of one tag."""

    tag: int
    #: Parts of the announce until it is complete; the parts of a refused announce are dropped.
    parts: dict[int, bytes] = field(default_factory=dict)
    announce: Announce | None = None
    #: By size, then by id.
    symbols: dict[int, dict[int, bytes]] = field(default_factory=dict)
    #: Has all symbols of the announced size; made when there are K symbols.
    decoder: FountainDecoder | None = None
    data: bytes | None = None
    #: Number of symbols when the object was complete.
    used: int = 0
    problems: dict[str, PladaError] = field(default_factory=dict)

    def held_bytes(self) -> int:
        return sum(_cost(size, len(symbols)) for size, symbols in self.symbols.items())

    def progress(self) -> ReceptionProgress:
        if self.announce is None:
            size = max(self.symbols, key=lambda size: len(self.symbols[size]), default=None)
        else:
            size = self.announce.symbol_bytes
        return ReceptionProgress(
            tag=self.tag,
            announced=self.announce is not None,
            object_bytes=None if self.announce is None else self.announce.object_bytes,
            symbol_bytes=size,
            have=self.used if self.data is not None else len(self.symbols.get(size or 0, ())),
            need=None if self.announce is None else self.announce.symbols,
            complete=self.data is not None,
            problems=[rule for rule in _GRAVEST_FIRST if rule in self.problems],
        )


def _cost(size: int, count: int) -> int:
    return count * (size + SYMBOL_COST_BYTES)


class Reassembler:
    """A receiver: it takes frames in any order, of any objects, until an object is complete.

    Args:
        limits: the most that it holds.
        tag: the only tag that counts; None takes all.

    Attributes:
        counts: how often each :class:`Reception` came.
        tags: how often a frame of each tag came, wanted or not.
        complete: tags of the objects that are complete, the first one first.
        changed: whether the last frame changed the receiver. The frames that did, in their order, are enough
            to bring another Reassembler to the same state (section 8).

    >>> from plada_codec.frames import Sender, packetize
    >>> reassembler = Reassembler()
    >>> for frame in packetize(Sender(b"Hello, world!", frame_bytes=46)):
    ...     print(reassembler.add(frame))
    new
    complete
    complete
    >>> reassembler.result()
    b'Hello, world!'
    """

    def __init__(self, limits: FrameLimits = FrameLimits(), tag: int | None = None) -> None:
        check_type(limits, FrameLimits, "limits", "limits")
        self.counts: Counter[Reception] = Counter()
        self.tags: Counter[int] = Counter()
        self.complete: list[int] = []
        self.changed = False
        self._limits = limits
        self._tag = tag
        self._objects: dict[int, _Object] = {}
        self._held_bytes = 0

    @property
    def objects(self) -> dict[int, ReceptionProgress]:
        """State of the reception of each object, by tag, in the order in which they began."""
        return {tag: of.progress() for tag, of in self._objects.items()}

    def progress(self, tag: int) -> ReceptionProgress:
        """State of the reception of the object with this tag; at least one frame of it must have come."""
        return self._objects[tag].progress()

    def problems(self, tag: int) -> list[PladaError]:
        """Problems of the frames with this tag, the gravest first; at least one frame must have come."""
        of = self._objects[tag]
        return [of.problems[rule] for rule in of.progress().problems]

    def add(self, data: bytes) -> Reception:
        """Add bytes that may be a frame.

        Raises:
            Unavailable: (rule extra) if decoding needs the package raptorq, which is not installed. The frame is kept.
        """
        self.changed = False
        try:
            frame = parse_frame(data)
        except Corrupt:
            what = Reception.DAMAGED
        else:
            self.tags[frame.tag] += 1
            what = Reception.OTHER if self._tag not in (None, frame.tag) else self._take(frame)
        self.counts[what] += 1
        return what

    def result(self, tag: int | None = None) -> bytes:
        """The object with this tag; without a tag, the only complete object.

        Raises:
            Truncated: (rule incomplete) if it is not complete.
            Corrupt: (rules tag, symbol-size, digest, announce), LimitExceeded: (rule limits) if it is not complete
                for one of these reasons.
            InvalidPayload: (rule objects) if more than one is complete, and no tag is given.
        """
        if tag is None:
            tag = self._only_tag()
        if tag not in self._objects:
            wanted = "" if tag is None else f" of tag {tag:03x}"
            others = ", ".join(f"{count:,} of {other:03x}" for other, count in self.tags.most_common(6))
            raise Truncated(
                f"no frame{wanted} came, but {others or 'none of others'}, "
                f"and {self.counts[Reception.DAMAGED]:,} damaged ones",
                rule="incomplete",
            )
        of = self._objects[tag]
        if of.data is not None:
            return of.data
        progress = of.progress()
        state = f"of object {tag:03x} came {progress.have} symbols, " + (
            "but no announce" if progress.need is None else f"of {progress.need} or a few more that it takes"
        )
        if progress.problems:
            problem = of.problems[progress.problems[0]]
            raise type(problem)(f"{problem.args[0]}; {state}", rule=problem.rule)
        raise Truncated(f"{state}: receive more", rule="incomplete")

    def _only_tag(self) -> int | None:
        """The tag to use if none is given: that of the complete object, or else of the one nearest to completion."""
        if len(self.complete) > 1:
            tags = ", ".join(f"{tag:03x}" for tag in sorted(self.complete))
            raise InvalidPayload(
                f"{len(self.complete)} objects are complete: choose one by its tag: {tags}", rule="objects"
            )
        if self.complete:
            return self.complete[0]
        return max(self._objects, key=lambda tag: self.progress(tag).have, default=None)

    def _take(self, frame: Frame) -> Reception:
        of = self._objects.setdefault(frame.tag, _Object(frame.tag))
        what = Reception.COMPLETE
        # Parts are checked even after completion: another object with this tag must be reported.
        if frame.is_announce:
            what = self._take_part(of, frame.id - FIRST_ANNOUNCE_ID, frame.content)
        elif of.data is None:
            what = self._take_symbol(of, frame.id, frame.content)
        return what if of.data is None else Reception.COMPLETE

    def _take_part(self, of: _Object, number: int, content: bytes) -> Reception:
        if number >= ANNOUNCE_BYTES or len(content) > ANNOUNCE_BYTES:
            return self._refuse(
                of, Corrupt(f"part {number} of {len(content)} bytes cannot be part of an announce", rule="announce")
            )
        if of.announce is not None:
            if of.announce.has_part(number, content):
                return Reception.DUPLICATE
            return self._refuse(of, Corrupt("two objects have this tag: send one of them with another tag", rule="tag"))
        if of.parts.get(number) == content:
            return Reception.DUPLICATE
        of.parts[number] = content
        self.changed = True
        whole = _joined(of.parts)
        if whole is None:
            return Reception.NEW
        of.parts.clear()
        try:
            return self._take_announce(of, Announce.parse(whole))
        except (Corrupt, LimitExceeded) as error:
            return self._refuse(of, error)

    def _take_announce(self, of: _Object, announce: Announce) -> Reception:
        if announce.object_bytes > self._limits.max_object_bytes:
            raise LimitExceeded(
                f"an object of {announce.object_bytes} bytes is announced, but the limit max_object_bytes is "
                f"{self._limits.max_object_bytes}",
                rule="limits",
            )
        of.announce = announce
        for size in [size for size in of.symbols if size != announce.symbol_bytes]:
            self._held_bytes -= _cost(size, len(of.symbols.pop(size)))
            self._refuse(of, _contradiction(announce, size))
        return self._decoded(of, announce, {})

    def _take_symbol(self, of: _Object, id: int, symbol: bytes) -> Reception:
        size = len(symbol)
        if of.announce is not None and size != of.announce.symbol_bytes:
            return self._refuse(of, _contradiction(of.announce, size))
        if id in of.symbols.get(size, ()):
            return Reception.DUPLICATE
        if self._held_bytes + _cost(size, 1) > self._limits.max_held_bytes:
            return self._refuse(
                of,
                LimitExceeded(
                    f"symbols were dropped: more than the limit max_held_bytes, {self._limits.max_held_bytes}, allows",
                    rule="limits",
                ),
            )
        of.symbols.setdefault(size, {})[id] = symbol
        self._held_bytes += _cost(size, 1)
        self.changed = True
        return Reception.NEW if of.announce is None else self._decoded(of, of.announce, {id: symbol})

    def _decoded(self, of: _Object, announce: Announce, new: dict[int, bytes]) -> Reception:
        """Decode if there are enough symbols; `new` are those that the decoder does not have."""
        symbols = of.symbols.get(announce.symbol_bytes, {})
        if len(symbols) < announce.symbols:
            return Reception.NEW
        if of.decoder is None:
            of.decoder, new = FountainDecoder(announce.object_bytes, announce.symbol_bytes), symbols
        try:
            data = next(filter(None, itertools.starmap(of.decoder.add, new.items())), None)
            if data is None:
                return Reception.NEW
            if hashlib.sha256(data).digest() != announce.digest:
                raise Corrupt("a damaged or foreign frame spoilt the object: its symbols are dropped", rule="digest")
        except Corrupt as error:
            what = self._refuse(of, error)
        else:
            of.data, of.used, what = data, len(symbols), Reception.COMPLETE
            self.complete.append(of.tag)
            self._held_bytes += len(data)
        self._held_bytes -= of.held_bytes()
        of.symbols.clear()
        of.decoder = None
        return what

    def _refuse(self, of: _Object, problem: PladaError) -> Reception:
        self.changed |= problem.rule not in of.problems
        of.problems.setdefault(problem.rule, problem)
        return Reception.REFUSED


def _joined(parts: dict[int, bytes]) -> bytes | None:
    """Join the parts of an announce; return None if some are missing (section 4)."""
    if 0 not in parts:
        return None
    size = len(parts[0])
    begins = range(0, ANNOUNCE_BYTES, size)
    cut = [parts.get(number, b"") for number in range(len(begins))]
    if any(len(part) != min(size, ANNOUNCE_BYTES - begin) for part, begin in zip(cut, begins, strict=True)):
        return None
    return b"".join(cut)


def _contradiction(announce: Announce, size: int) -> Corrupt:
    return Corrupt(
        f"symbols of {size} bytes contradict the announce, which says {announce.symbol_bytes}", rule="symbol-size"
    )
