"""Write and read files, and check before long work that a result can be written."""

from __future__ import annotations

import os
from pathlib import Path

from plada_codec.errors import FileError
from plada_codec.files import NO_LINK, atomic_write, check_file

#: Suffix of the state of a training, which is kept beside its result until the result is complete.
UNFINISHED = ".unfinished"


def output_file(path: Path) -> Path:
    """Create the folder of a file if needed, and check that it can be written. Raises FileError; returns `path`."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileError(f"cannot write to {path.parent}: {error.strerror}", rule="file") from None
    check_file(path)
    return path


def write_bytes(path: Path, *parts: bytes | memoryview) -> None:
    """Write a file of an output folder from its parts. A link with its name is replaced. Raises FileError."""
    with atomic_write(path, follow_links=False) as file:
        file.writelines(parts)


def append(path: Path, text: str) -> None:
    """Append a line to a file of an output folder, which must not be a link. Raises FileError."""
    try:
        with open(path, "a", opener=_open_no_link) as file:
            # The newline comes first, so that it also ends a half line of a killed process
            file.write(f"{text}\n" if file.tell() == 0 else f"\n{text}")
    except OSError as error:
        raise FileError(f"cannot write {path}: {error.strerror}", rule="file") from None


def _open_no_link(path: str, flags: int) -> int:
    return os.open(path, flags | NO_LINK, 0o666)


def read_bytes(path: Path) -> bytes:
    """Read the bytes of a file. Raises FileError if it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise FileError(f"cannot read {path}: {error.strerror}", rule="file") from None
