"""Open and read files, pipes and serial ports live: each chunk is passed on at once, without waiting for more."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Literal

from plada_codec.errors import FileError
from plada_codec.files import descriptor_of
from plada_codec.streams import BinaryInput, stream_errors

_READ_BYTES = 1 << 16


def open_stream(path: str, mode: Literal["rb", "wb"], baud: int | None = None) -> BinaryIO:
    """Open a file, a pipe or a serial port. A port is set to raw mode and stays so: an echo would be sent.

    /dev/stdin, /dev/fd/N and the like are the open files of this process, as they are.

    Args:
        path: name of the file, pipe or port.
        mode: "rb" to read, "wb" to write.
        baud: speed of the serial port; None leaves it as it is. Hardware flow control and stop bits stay, too.

    Raises:
        FileError: if `baud` is given and this is not a serial port, or not a speed of this system.
    """
    number = descriptor_of(path)
    if number is None and not Path(path).is_char_device():
        if baud is not None:
            raise _no_port(path)
        return Path(path).open(mode)
    if number is None:
        # Without O_NONBLOCK, a port whose modem shows no carrier could not be opened, and so not be told to ignore that
        line = os.open(path, (os.O_RDONLY if mode == "rb" else os.O_WRONLY) | os.O_NOCTTY | os.O_NONBLOCK)
    else:
        line = os.dup(number)
    try:
        if not os.isatty(line):
            if baud is not None:
                raise _no_port(path)
        elif number is None or baud is not None or not _is_controlling(line):
            _make_raw(line, path, baud)
        os.set_blocking(line, True)
        return os.fdopen(line, mode)
    except BaseException:
        os.close(line)
        raise


def read_chunks(stream: BinaryIO) -> Iterator[bytes]:
    """Read a stream in chunks, each as soon as its bytes have come, until the stream ends."""
    # A buffered stream's read() would wait for all the bytes asked for; a raw one has no read1(), and need not.
    read = BinaryInput(stream, "read1" if hasattr(stream, "read1") else "read").read
    with stream_errors():
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


def _no_port(path: str) -> FileError:
    return FileError(f"{path} is not a serial port: it has no baud rate", rule="file")


def make_raw(stream: BinaryIO) -> None:
    """Set a standard stream to raw mode if it is a serial port: not the terminal that the user types commands into."""
    line = stream.fileno() if stream.isatty() else None
    if line is not None and not _is_controlling(line):
        _make_raw(line, "a standard stream", None)


def _is_controlling(line: int) -> bool:
    try:
        os.tcgetpgrp(line)
    except OSError:
        return False
    return True


def _make_raw(line: int, path: str, baud: int | None) -> None:
    """Let every byte pass as it is, at once, in both directions: 8 bits, no parity.

    `tty.setraw` leaves some flags of the input set in Python 3.11: IGNCR, INLCR, PARMRK, IXOFF and others would swallow
    bytes of frames, or add some.
    """
    import termios
    import tty

    settings = termios.tcgetattr(line)
    settings[tty.IFLAG] = settings[tty.OFLAG] = settings[tty.LFLAG] = 0
    settings[tty.CFLAG] &= ~(termios.CSIZE | termios.PARENB)
    settings[tty.CFLAG] |= termios.CS8 | termios.CLOCAL | termios.CREAD
    # A read returns as soon as there is a byte
    settings[tty.CC][termios.VMIN], settings[tty.CC][termios.VTIME] = 1, 0
    if baud is not None:
        speed = getattr(termios, f"B{baud}", None)
        if speed is None:
            raise FileError(f"{path}: {baud} is not a baud rate of this system, such as 9600 or 115200", rule="file")
        settings[tty.ISPEED] = settings[tty.OSPEED] = speed
    termios.tcsetattr(line, termios.TCSANOW, settings)  # without throwing away what has arrived
