"""Binary streams that callers pass: whatever is wrong with one, the error is one of ours."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

from plada_codec.errors import InvalidArgument, PladaError, first_line


@contextmanager
def stream_errors(name: str = "the stream") -> Iterator[None]:
    """Turn errors of an object that a caller passed as a binary stream into InvalidArgument (rule stream).

    Errors of the operating system stay as they are, but for those of a stream that can only be read, or only written.
    """
    try:
        yield
    except PladaError:
        raise
    except Exception as error:
        if isinstance(error, OSError) and not isinstance(error, io.UnsupportedOperation):
            raise
        raise InvalidArgument(f"{name} must be an open binary stream: {first_line(error)}", rule="stream") from None


class BinaryInput:
    """Reads a binary stream that a caller passed; `method` is the name of its method, `read` or `read1`."""

    def __init__(self, stream: BinaryIO, method: str = "read") -> None:
        self._stream = stream
        self._method = method

    def read(self, size: int = -1) -> bytes:
        """At most `size` bytes, or all; b"" at the end.

        Raises:
            InvalidArgument: (rule stream) if it is no open binary stream.
            OSError: if the operating system cannot read.
        """
        with stream_errors():
            data = getattr(self._stream, self._method)(size)
            if not isinstance(data, bytes):
                raise TypeError(f"it gives {type(data).__name__}, not bytes")
        return data
