"""Write and read files, and check before long work that a result can be written."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from plada_codec.errors import FileError
from plada_codec.files import atomic_write

#: Suffix of the state of a training, which is kept beside its result until the result is complete.
UNFINISHED = ".unfinished"


def output_folder(path: Path) -> Path:
    """Create a folder if needed, and check that files can be written to it. Raises FileError; returns `path`."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileError(f"cannot write to {path}: {error.strerror}", rule="file") from None
    probe = path / ".plada-probe"
    write_bytes(probe, b"")
    probe.unlink()
    return path


@contextmanager
def lock_folder(folder: Path) -> Iterator[None]:
    """Hold a lock on a folder. Raises FileError if another process holds it."""
    # Imported here: Windows does not have it, but commands without a lock must start there
    import fcntl

    with ExitStack() as stack:
        try:
            file = stack.enter_context((folder / ".plada-lock").open("w"))
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            what = f"another process works in {folder}"
            raise FileError(f"{what}: wait for it, or name another folder", rule="file") from None
        except OSError as error:
            raise FileError(f"cannot lock {folder}: {error.strerror}", rule="file") from None
        yield


def output_file(path: Path) -> Path:
    """Create the folder of a file if needed, and check it. Raises FileError; returns `path`."""
    output_folder(path.parent)
    if path.is_dir():
        raise FileError(f"cannot write {path}: it is a folder", rule="file")
    return path


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file. Raises FileError if that fails."""
    with atomic_write(path) as file:
        file.write(data)


def rewrite(path: Path, *parts: bytes | memoryview) -> None:
    """Write a large file from its parts, in place of an earlier one. Raises FileError if that fails.

    The temporary file always has the same name, so that killed processes do not fill the disk with such files.
    """
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        with temporary.open("wb") as file:
            file.writelines(parts)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        raise FileError(f"cannot write {path}: {error.strerror or error}", rule="file") from None
    finally:
        temporary.unlink(missing_ok=True)


def read_bytes(path: Path) -> bytes:
    """Read the bytes of a file. Raises FileError if it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise FileError(f"cannot read {path}: {error.strerror}", rule="file") from None
