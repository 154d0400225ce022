"""What a receiver has on disk: an append-only file that survives a loss of power at any byte (spec section 8).

A frame counts as received once `StateFile.append` has returned. There is nothing to repair: what a torn write left is
a packet that is no frame, and the next write begins behind it.
"""

from __future__ import annotations

import fcntl
import os
import time
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Self

from plada_codec.errors import InvalidPayload, PladaError
from plada_codec.files import BadFile
from plada_codec.frames.frame import parse_frame
from plada_codec.frames.receiving import Reassembler, Reception
from plada_codec.frames.streams import read_frames, slip

#: Section 8: what a time mark's checksum begins with, and its bytes: a u64 and a CRC-32.
_TIME_MAGIC = b"PLT1"
_TIME_MARK_BYTES = 12
#: The longest that a time mark can be in SLIP: what is longer, and has no packet of ours, is not a torn state file.
_MAX_TORN_BYTES = 2 * _TIME_MARK_BYTES + 2
#: Times between writes that are this many times the median are interruptions.
_INTERRUPTION = 10


def time_mark(time_ms: int) -> bytes:
    """The packet that says when what follows it was written, in milliseconds since 1970 (UTC)."""
    mark = time_ms.to_bytes(8, "little")
    return mark + zlib.crc32(_TIME_MAGIC + mark).to_bytes(4, "little")


def parse_time_mark(packet: bytes) -> int | None:
    """The milliseconds of a time mark; None for what is no time mark.

    >>> parse_time_mark(time_mark(1_700_000_000_000))
    1700000000000
    """
    time_ms = int.from_bytes(packet[:8], "little")
    return time_ms if len(packet) == _TIME_MARK_BYTES and packet == time_mark(time_ms) else None


@dataclass(frozen=True)
class Write:
    """One write of a receiver: when, in milliseconds since 1970 (None: not said), and the frames."""

    time_ms: int | None
    frames: list[bytes] = field(default_factory=list)


@dataclass(frozen=True)
class SavedState:
    """What a state file says: its writes, in order, and the tag of its object (None before the first frame)."""

    writes: list[Write]
    tag: int | None

    @property
    def frames(self) -> Iterator[bytes]:
        """The frames of its object, in the order of their writes."""
        return (frame for write in self.writes for frame in write.frames)

    def frames_per_s(self) -> float | None:
        """How many frames came in a second, interruptions left out; None if there were too few writes to say."""
        times = [(write.time_ms, len(write.frames)) for write in self.writes if write.time_ms is not None]
        gaps = [(later - earlier, count) for (earlier, _), (later, count) in pairwise(times) if later > earlier]
        if not gaps:
            return None
        longest = _INTERRUPTION * sorted(gap_ms for gap_ms, _ in gaps)[len(gaps) // 2]
        reception = [(gap_ms, count) for gap_ms, count in gaps if gap_ms <= longest]
        return 1000 * sum(count for _, count in reception) / sum(gap_ms for gap_ms, _ in reception)


def read_state(path: str | os.PathLike[str]) -> SavedState:
    """Reads a state file, which a receiver may be writing.

    Raises:
        BadFile: if it is of some other kind: neither frames nor time marks are in it.
    """
    writes, tag = [Write(None)], None
    with Path(path).open("rb") as file:
        for packet in read_frames(file, "slip"):
            time_ms = parse_time_mark(packet)
            if time_ms is not None:
                writes.append(Write(time_ms))
                continue
            try:
                frame = parse_frame(packet)
            except PladaError:
                continue  # a torn write
            tag = frame.tag if tag is None else tag
            if frame.tag == tag:
                writes[-1].frames.append(packet)
        if len(writes) == 1 and tag is None and file.tell() > _MAX_TORN_BYTES:
            raise BadFile(
                f"{os.fspath(path)} is not a state file: give a new one, or that of `plada reassemble`", rule="file"
            )
    return SavedState(writes, tag)


class StateFile:
    """A state file that this process, and no other, appends to; created if there is none.

        with StateFile("task.state") as state:
            for frame in state.frames: ...
            state.append([frame])

    Attributes:
        tag: of the object that it is for; None before the first frame.
        frames: what was on disk when it was opened.

    Raises:
        InvalidPayload: rule `state`, if it is for another object than that of `tag`.
        BadFile: if it cannot be written, another process writes it, or it is no state file.
    """

    tag: int | None
    frames: list[bytes]

    def __init__(self, path: str | os.PathLike[str], tag: int | None = None) -> None:
        self._path = os.fspath(path)
        self.tag = tag

    def __enter__(self) -> Self:
        self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)
        try:
            self._begin()
        except BaseException:
            os.close(self._file)
            raise
        return self

    def __exit__(self, *exception: object) -> None:
        os.close(self._file)

    def _begin(self) -> None:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BadFile(f"another receiver is writing {self._path}", rule="file") from None
        saved = read_state(self._path)
        self.frames = list(saved.frames)
        if self.tag is not None and saved.tag not in (None, self.tag):
            raise InvalidPayload(
                f"{self._path} is the state of object {saved.tag:03x}, not of {self.tag:03x}", rule="state"
            )
        self.tag = self.tag if saved.tag is None else saved.tag
        if os.fstat(self._file).st_size == 0:
            self._write([])  # so that it can be told from files of other kinds
        _sync_folder(Path(os.path.realpath(self._path)).parent)  # the file's name must be on disk, too

    def append(self, frames: Iterable[bytes]) -> None:
        """Adds those frames that are of this object; returns when they are on disk.

        Where `tag` is None, the first frame's object is the one that the file is for from now on.

        Args:
            frames: that are good: `parse_frame` takes them.

        Raises:
            BadFile: if they cannot be written; what was there before still is.
        """
        ours = []
        for frame in frames:
            tag = parse_frame(frame).tag
            if self.tag is None:
                self.tag = tag
            if tag == self.tag:
                ours.append(frame)
        if ours:
            self._write(ours)

    def _write(self, frames: list[bytes]) -> None:
        # Each packet begins with an end of its own: one that was torn ends there (section 8).
        rest = memoryview(b"".join(map(slip, [time_mark(time.time_ns() // 1_000_000), *frames])))
        try:
            while rest:
                rest = rest[os.write(self._file, rest) :]
            os.fsync(self._file)
        except OSError as error:
            raise BadFile(f"cannot write {self._path}: {error.strerror}", rule="file") from None


def receive(batches: Iterable[list[bytes]], reassembler: Reassembler, state: StateFile | None = None) -> Iterator[None]:
    """Collects frames. Comes back after each batch, when what is new in it is on disk, for the caller to go on or not.

    Args:
        batches: frames that came together, such as those of `read_batches`.
        reassembler: gets all frames; those of `state` it has already.
        state: gets what is new of its object.
    """
    complete = set()
    for batch in batches:
        new = []
        for frame in batch:
            what = reassembler.add(frame)
            if what is Reception.COMPLETE:
                tag = parse_frame(frame).tag
                if tag in complete:
                    continue  # only the frame that completed it was of use
                complete.add(tag)
                new.append(frame)
            elif what is Reception.NEW:
                new.append(frame)
        if state is not None:
            state.append(new)
        yield


def _sync_folder(path: Path) -> None:
    folder = os.open(path, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
