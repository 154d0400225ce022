"""Folders of files with one frame each (spec/plada-frames-1.md, section 7)."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from plada_codec.errors import FileError
from plada_codec.files import atomic_folder
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
    name, target = os.fspath(folder), Path(folder)
    if target.exists() and not target.is_dir():
        raise FileError(f"{name} is a file: give a new folder, or NAME.frames for a stream", rule="file")
    with suppress(OSError):
        if any(target.iterdir()):
            raise FileError(f"{name} is not empty: give a new folder", rule="file")
    with atomic_folder(folder) as new:
        for number, frame in enumerate(frames):
            (new / f"{tag:03x}-{number:07}.frame").write_bytes(frame)


def _read_file(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(MAX_FRAME_BYTES + 1)  # enough to see that it is no frame
