"""The state file of a receiver: append-only, so that it survives a power failure at any byte (section 8).

A frame counts as received once `StateFile.append` has returned. Nothing needs repair: a torn write leaves a
packet that is not a frame, and the next write begins after it.
"""

from __future__ import annotations

import os
import stat
import time
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Self

from plada_codec.errors import Corrupt, FileError
from plada_codec.frames.frame import parse_frame
from plada_codec.frames.framing import read_frames
from plada_codec.frames.receiving import Reassembler
from plada_codec.frames.slip import END, slip

#: Section 8: the first bytes under the checksum of a time mark, and its length: a u64 and a CRC-32.
_TIME_MAGIC = b"PLT1"
_TIME_MARK_BYTES = 12
#: A shorter reception read files, not a link: it says nothing about the rate of the link.
_LEAST_RECEPTION_S = 2
#: A time between two writes is an interruption if it is longer than this many times the median.
_INTERRUPTION = 10


def time_mark(time_ms: int) -> bytes:
    """A time mark: the packet with the time of the next write, in milliseconds since 1970 (UTC)."""
    mark = time_ms.to_bytes(8, "little")
    return mark + zlib.crc32(_TIME_MAGIC + mark).to_bytes(4, "little")


def parse_time_mark(packet: bytes) -> int | None:
    """The milliseconds of a time mark; None if the packet is not a time mark.

    >>> parse_time_mark(time_mark(1_700_000_000_000))
    1700000000000
    """
    time_ms = int.from_bytes(packet[:8], "little")
    return time_ms if len(packet) == _TIME_MARK_BYTES and packet == time_mark(time_ms) else None


@dataclass(frozen=True)
class Write:
    """One write of a receiver: its time in milliseconds since 1970 (None: unknown), and its frames."""

    time_ms: int | None
    frames: list[bytes] = field(default_factory=list)


@dataclass(frozen=True)
class SavedState:
    """The content of a state file: its writes in order."""

    writes: list[Write]

    @property
    def frames(self) -> Iterator[bytes]:
        """All frames, in the order of their writes."""
        return (frame for write in self.writes for frame in write.frames)

    def frames_per_s(self) -> dict[int, float]:
        """Frames per second of each tag, interruptions not counted. Tags with too few frames are left out.

        The frames of a write came since the previous write. A write without frames began the file, or was torn: it is
        not counted.
        """
        times = [(write.time_ms, write.frames) for write in self.writes if write.time_ms is not None and write.frames]
        gaps = [(later - earlier, frames) for (earlier, _), (later, frames) in pairwise(times) if later > earlier]
        if not gaps:
            return {}
        longest = _INTERRUPTION * sorted(gap_ms for gap_ms, _ in gaps)[len(gaps) // 2]
        reception = [(gap_ms, frames) for gap_ms, frames in gaps if gap_ms <= longest]
        reception_s = sum(gap_ms for gap_ms, _ in reception) / 1000
        if reception_s < _LEAST_RECEPTION_S:
            return {}
        counts = Counter(parse_frame(frame).tag for _, frames in reception for frame in frames)
        return {tag: count / reception_s for tag, count in counts.items()}


def read_state(path: str | os.PathLike[str]) -> SavedState:
    """Read a state file, which a receiver may be writing.

    Raises:
        FileError: if it is not a regular file, or not empty and does not begin with the END byte of SLIP.
    """
    if not stat.S_ISREG(Path(path).stat().st_mode):
        raise FileError(f"{os.fspath(path)} is not a regular file, as a state file must be", rule="file")
    writes = [Write(None)]
    with Path(path).open("rb") as file:
        if file.read(1) not in (b"", END):
            raise FileError(
                f"{os.fspath(path)} is not a state file: give a new name, or a file that `plada reassemble` wrote",
                rule="file",
            )
        for packet in read_frames(file, "slip"):
            time_ms = parse_time_mark(packet)
            if time_ms is not None:
                writes.append(Write(time_ms))
            elif _is_frame(packet):  # else it is a torn write
                writes[-1].frames.append(packet)
    return SavedState(writes)


def _is_frame(packet: bytes) -> bool:
    try:
        parse_frame(packet)
    except Corrupt:
        return False
    return True


class StateFile:
    """A state file, to which only this process appends; created if it does not exist.

        with StateFile("task.state") as state:
            for frame in state.frames: ...
            state.append([frame])

    Attributes:
        frames: those on disk when the file was opened.

    Raises:
        FileError: if it cannot be written, another process writes it, or it is not a state file (it stays unchanged).
    """

    frames: list[bytes]

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = os.fspath(path)

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
        import fcntl  # there is none on Windows, where all the rest can be used

        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise FileError(f"another receiver is writing {self._path}", rule="file") from None
        self.frames = list(read_state(self._path).frames)
        if os.fstat(self._file).st_size == 0:
            self._write([])  # marks the file as a state file
        _sync_folder(Path(os.path.realpath(self._path)).parent)  # the file's name must be on disk, too

    def append(self, frames: list[bytes]) -> None:
        """Add frames; return when they are on disk.

        Args:
            frames: those that changed a receiver, in their order.

        Raises:
            FileError: if they cannot be written; earlier frames are still there.
        """
        if frames:
            self._write(frames)

    def _write(self, frames: list[bytes]) -> None:
        # Each packet begins with its own END byte: so a torn packet ends there (section 8).
        rest = memoryview(b"".join(map(slip, [time_mark(time.time_ns() // 1_000_000), *frames])))
        try:
            while rest:
                rest = rest[os.write(self._file, rest) :]
            os.fsync(self._file)
        except OSError as error:
            raise FileError(f"cannot write {self._path}: {error.strerror}", rule="file") from None


def receive(
    batches: Iterable[list[bytes]], reassembler: Reassembler, state: StateFile | None = None
) -> Iterator[list[bytes]]:
    """Add frames to a reassembler; yield the frames of each batch that changed it, when they are on disk.

    After an error, the reassembler may be ahead of the file: begin again with the frames of the file.

    Args:
        batches: frames that came together, such as those of `read_batches`.
        reassembler: gets all frames; it must already have those of `state`.
        state: gets the frames that changed the reassembler, even if an error interrupts a batch.
    """
    for batch in batches:
        new: list[bytes] = []
        try:
            for frame in batch:
                try:
                    reassembler.add(frame)
                finally:
                    if reassembler.changed:
                        new.append(frame)
        finally:
            if state is not None:
                state.append(new)
        yield new


def _sync_folder(path: Path) -> None:
    folder = os.open(path, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
