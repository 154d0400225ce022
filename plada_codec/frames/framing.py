"""Streams of frames: files, length-prefixed records and SLIP, read as they come (spec/plada-frames-1.md, section 7).

Pipes and serial lines are read live: what is there is given out at once, and nothing waits for a buffer to fill. What
is read at once is a *batch*: a list of frames, which a receiver can save together.
"""

from __future__ import annotations

import errno
import os
import re
import secrets
import shutil
import stat
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import BinaryIO, Literal, NamedTuple

from plada_codec.errors import FileError
from plada_codec.frames.frame import MAX_FRAME_BYTES

#: Section 7: the two bytes of SLIP that stand for themselves only behind an escape.
END, _ESCAPE = b"\xc0", b"\xdb"
_ESCAPED_END, _ESCAPED_ESCAPE = b"\xdb\xdc", b"\xdb\xdd"
_BAD_ESCAPE = re.compile(rb"\xdb(?![\xdc\xdd])")
#: What has more bytes between two ends is no frame, even if all its bytes are escaped.
_MAX_PACKET_BYTES = 2 * MAX_FRAME_BYTES

_READ_BYTES = 1 << 16
_BATCH_FILES = 1 << 10


def read_batches(stream: BinaryIO, framing: str) -> Iterator[list[bytes]]:
    """The frames of a stream, in lists of those that came together.

    A frame that the end of a length-prefixed stream cuts off is dropped. What SLIP could not deliver whole comes as a
    frame of 0 bytes: receivers count it as damaged.
    """
    return FRAMINGS[framing].split(read_chunks(stream))


def read_frames(stream: BinaryIO, framing: str) -> Iterator[bytes]:
    r"""The frames of a stream, each as soon as its last byte is there.

    >>> import io
    >>> list(read_frames(io.BytesIO(b"\x03\x00one\x00\x00\x03\x00two\x05\x00cut"), "length"))
    [b'one', b'two']
    >>> list(read_frames(io.BytesIO(b"noise\xc0one\xc0\xc0t\xdb\xdcwo\xc0"), "slip"))
    [b'noise', b'one', b't\xc0wo']
    """
    return chain.from_iterable(read_batches(stream, framing))


def write_frame(stream: BinaryIO, frame: bytes, framing: str) -> None:
    r"""Sends a frame on its way: nothing of it stays in a buffer.

    >>> import io
    >>> stream = io.BytesIO()
    >>> write_frame(stream, b"one", "length")
    >>> write_frame(stream, b"t\xc0wo", "slip")
    >>> stream.getvalue()
    b'\x03\x00one\xc0t\xdb\xdcwo\xc0'
    """
    stream.write(FRAMINGS[framing].record(frame))
    stream.flush()


def slip(packet: bytes) -> bytes:
    """A packet between two ends, its bytes escaped."""
    return END + packet.replace(_ESCAPE, _ESCAPED_ESCAPE).replace(END, _ESCAPED_END) + END


def _unslipped(packet: bytes) -> bytes:
    """The packet that was sent as what stands between two ends; 0 bytes if there is none."""
    if _BAD_ESCAPE.search(packet):
        return b""
    return packet.replace(_ESCAPED_END, END).replace(_ESCAPED_ESCAPE, _ESCAPE)


def _split_slip(chunks: Iterator[bytes]) -> Iterator[list[bytes]]:
    begun = b""
    for chunk in chunks:
        *packets, begun = (begun + chunk).split(END)
        begun = begun[: _MAX_PACKET_BYTES + 1]  # enough to know that it is no frame, however long it goes on
        yield [_unslipped(packet) for packet in packets if packet]
    if begun:
        yield [_unslipped(begun)]


def _length_prefixed(frame: bytes) -> bytes:
    return len(frame).to_bytes(2, "little") + frame


def _split_length_prefixed(chunks: Iterator[bytes]) -> Iterator[list[bytes]]:
    begun = b""
    for chunk in chunks:
        begun += chunk
        frames, at = [], 0
        while at + 2 <= len(begun):
            end = at + 2 + int.from_bytes(begun[at : at + 2], "little")
            if end > len(begun):
                break
            if end > at + 2:
                frames.append(begun[at + 2 : end])
            at = end
        begun = begun[at:]
        yield frames


class _Framing(NamedTuple):
    record: Callable[[bytes], bytes]
    split: Callable[[Iterator[bytes]], Iterator[list[bytes]]]


#: The framings of streams, by their names in section 7.
FRAMINGS = {"length": _Framing(_length_prefixed, _split_length_prefixed), "slip": _Framing(slip, _split_slip)}


def read_chunks(stream: BinaryIO) -> Iterator[bytes]:
    """What is there, as soon as anything is, until the stream ends."""
    # A buffered stream's read() would wait for all the bytes asked for; a raw one has no read1(), and need not.
    read = getattr(stream, "read1", stream.read)
    is_terminal = stream.isatty()  # one whose other end hung up says no
    try:
        while chunk := read(_READ_BYTES):
            yield chunk
    except OSError as error:
        if error.errno != errno.EIO or not is_terminal:  # EIO: the other end hung up
            raise


def is_live(stream: BinaryIO) -> bool:
    """Whether a stream is a pipe, a socket or a device, which may never end."""
    try:
        return not stat.S_ISREG(os.fstat(stream.fileno()).st_mode)
    except OSError:  # such as io.UnsupportedOperation, of a stream in memory
        return False


def usual_framing(stream: BinaryIO) -> str:
    """`slip` on a serial port, which may lose bytes, and else `length`."""
    return "slip" if stream.isatty() else "length"


def open_stream(path: str, mode: Literal["rb", "wb"], baud: int | None = None) -> BinaryIO:
    """Opens a file, a pipe or a serial port. A port becomes raw, and stays so: what it echoed would be sent.

    Args:
        path: name of what to open.
        mode: how.
        baud: speed of the serial port; None leaves it as it is. Its other settings (flow control) are left alone.

    Raises:
        FileError: if it is no serial port, or one that has no such speed.
    """
    if not Path(path).is_char_device():
        if baud is not None:
            raise _no_port(path)
        return Path(path).open(mode)
    # Without O_NONBLOCK, a port whose modem shows no carrier could not be opened, and so not be told to ignore that.
    line = os.open(path, (os.O_RDONLY if mode == "rb" else os.O_WRONLY) | os.O_NOCTTY | os.O_NONBLOCK)
    try:
        if os.isatty(line):
            _make_raw(line, path, baud)
        elif baud is not None:
            raise _no_port(path)
        os.set_blocking(line, True)
    except BaseException:
        os.close(line)
        raise
    return os.fdopen(line, mode)


def _no_port(path: str) -> FileError:
    return FileError(f"{path} is no serial port: it has no baud rate", rule="file")


def _make_raw(line: int, path: str, baud: int | None) -> None:
    import termios
    import tty

    tty.setraw(line, termios.TCSANOW)  # without throwing away what has arrived
    settings = termios.tcgetattr(line)
    settings[tty.CFLAG] |= termios.CLOCAL | termios.CREAD
    if baud is not None:
        speed = getattr(termios, f"B{baud}", None)
        if speed is None:
            raise FileError(f"{path}: {baud} is not a baud rate of this system, such as 9600 or 115200", rule="file")
        settings[tty.ISPEED] = settings[tty.OSPEED] = speed
    termios.tcsetattr(line, termios.TCSANOW, settings)


def frame_files(folder: str | os.PathLike[str]) -> list[Path]:
    """The files of a folder, but hidden ones: each holds a frame. By name, which is the order that we sent them in."""
    return sorted(path for path in Path(folder).iterdir() if path.is_file() and not path.name.startswith("."))


def read_files(paths: list[Path]) -> Iterator[list[bytes]]:
    """The frames of files of one frame each."""
    for begin in range(0, len(paths), _BATCH_FILES):
        yield [_read_file(path) for path in paths[begin : begin + _BATCH_FILES]]


def write_files(frames: Iterable[bytes], folder: str | os.PathLike[str], tag: int) -> None:
    """Makes a folder of files of one frame each: all of them, or none.

    Raises:
        FileError: if the folder is there and not empty, or cannot be written.
    """
    target = Path(os.path.realpath(folder))
    temporary = target.with_name(f".plada-{secrets.token_hex(8)}.tmp")
    try:
        if target.is_file():
            raise FileError(
                f"{os.fspath(folder)} is a file: give a new folder, or NAME.frames for a stream", rule="file"
            )
        if target.is_dir() and any(target.iterdir()):
            raise FileError(f"{os.fspath(folder)} is not empty: give a new folder", rule="file")
        temporary.mkdir()
        try:
            for number, frame in enumerate(frames):
                (temporary / f"{tag:03x}-{number:07}.frame").write_bytes(frame)
            temporary.replace(target)
        except BaseException:
            shutil.rmtree(temporary)
            raise
    except OSError as error:
        raise FileError(f"cannot write {os.fspath(folder)}: {error.strerror or error}", rule="file") from None


def _read_file(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(MAX_FRAME_BYTES + 1)  # enough to know that it is no frame
