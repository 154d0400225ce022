"""Folders of files with one frame each (spec/plada-frames-1.md, section 7)."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

from plada_codec.errors import FileError
from plada_codec.frames.frame import MAX_FRAME_BYTES

_BATCH_FILES = 1 << 10


def frame_paths(folder: str | os.PathLike[str]) -> list[Path]:
    """The files of a folder, without hidden ones, ordered by name: the order in which `write_files` wrote them."""
    return sorted(path for path in Path(folder).iterdir() if path.is_file() and not path.name.startswith("."))


def read_files(paths: list[Path]) -> Iterator[list[bytes]]:
    """Read frames from files of one frame each, in batches."""
    for begin in range(0, len(paths), _BATCH_FILES):
        yield [_read_file(path) for path in paths[begin : begin + _BATCH_FILES]]


def write_files(frames: Iterable[bytes], folder: str | os.PathLike[str], tag: int) -> None:
    """Write a new folder with one file for each frame: all of them, or nothing.

    Raises:
        FileError: if the folder exists and is not empty, or cannot be written.
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
        return file.read(MAX_FRAME_BYTES + 1)  # enough to see that it is no frame
