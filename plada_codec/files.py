"""Write a file atomically: it is complete, or it is not there at all."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from plada_codec.errors import FileError


@contextmanager
def atomic_write(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Open a binary stream whose bytes become the file `path` if the block succeeds; otherwise nothing changes.

    The bytes go to a temporary file in the same folder, which then replaces `path`. If `path` is a symbolic link, the
    file that it points to is replaced. If it is not a regular file (such as /dev/stdout), it is written directly.

    Raises:
        FileError: if the file cannot be written.
    """
    try:
        target = Path(os.path.realpath(path))  # unlike resolve(), no RuntimeError for a loop of links
        if target.exists() and not target.is_file():
            with target.open("wb") as stream:
                yield stream
            return
        temporary = target.with_name(f".plada-{secrets.token_hex(8)}.tmp")
        stream = temporary.open("xb")
        try:
            with stream:
                yield stream
                stream.flush()
                os.fsync(stream.fileno())
            temporary.replace(target)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise FileError(f"cannot write {path}: {error.strerror or error}", rule="file") from None
