"""WebDataset tar shards: one shard, a folder of shards, or a pattern (spec/reference-digest.md, section 2.2)."""

from __future__ import annotations

import json
import os
import re
import stat
import tarfile
from array import array
from bisect import bisect_right
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import IO

from plada_codec.errors import SourceError
from plada_codec.limits import MAX_CLASSES
from plada_codec.reference.base import (
    NO_LABEL,
    OTHER_IMAGE_SUFFIXES,
    ImageSource,
    entries,
    is_file,
    is_ignored,
    is_image,
)
from plada_codec.reference.folder import images_below

#: Longest text of a class number that is read: more than any number below MAX_CLASSES needs.
MAX_LABEL_BYTES = 32


def open_shard_folder(source: str, path: Path, mode: int) -> ImageSource | None:
    """Open a folder of shards. None if `path` is not a folder, or holds no shard."""
    if not stat.S_ISDIR(mode):
        return None
    shards = _shards_of_folder(path)
    return ShardImages(source, [path / name for name in shards]) if shards else None


def open_shard(source: str, path: Path, mode: int) -> ImageSource | None:
    """Open one shard. None if `path` is not a shard."""
    return ShardImages(source, [path]) if stat.S_ISREG(mode) and path.suffix == ".tar" else None


def open_shard_pattern(source: str, path: Path, mode: int) -> ImageSource | None:
    """Open the shards that match the last component of `path`. None if `path` exists, or is not a pattern."""
    if stat.S_ISDIR(mode) or stat.S_ISREG(mode):
        return None
    shards = _shards_of_pattern(path)
    return None if shards is None else ShardImages(source, [path.parent / name for name in shards])


class ShardImages(ImageSource):
    """The images of WebDataset tar shards, in the order of `shards`."""

    def __init__(self, source: str, shards: list[Path]) -> None:
        super().__init__(source)
        self._shards = shards
        self._starts = array("q")  # of an image in its shard, bytes
        self._sizes = array("q")  # of an image, bytes
        self._firsts: list[int] = []  # first image of each shard
        for shard in shards:
            self._firsts.append(len(self))
            with shard.open("rb") as file:
                self._index(shard, file)
        self.class_names = _class_names_beside(shards[0].parent)

    def _index(self, shard: Path, file: IO[bytes]) -> None:
        key, has_image, label = "", False, NO_LABEL
        for member in _members(shard, file):
            parts = [part for part in member.name.split("/") if part not in ("", ".")]
            if not parts or member.isdir() or any(map(is_ignored, parts)):
                continue
            path = "/".join(parts)
            name = parts[-1]
            extension = name.partition(".")[2]
            if key != (key := path.removesuffix("." + extension)):
                has_image, label = False, NO_LABEL
            if is_image(name):
                if not member.isreg() or member.issparse():
                    raise SourceError(f"{member.name} in {shard} is a link, not an image", rule="shard-damaged")
                if has_image:
                    what = f"{member.name} in {shard} is a second image of the key {key!r}: give it another key"
                    raise SourceError(what, rule="shard-key")
                has_image = True
                self._add(f"{shard.name}/{path}", label)
                self._starts.append(member.offset_data)
                self._sizes.append(member.size)
            elif name.lower().endswith(OTHER_IMAGE_SUFFIXES):
                self._pass_over(name)
            elif extension == "cls":
                label = _class_number(shard, member, file)
                if has_image:
                    self._labels[-1] = label

    def _read(self, i: int) -> bytes:
        shard = self._shards[bisect_right(self._firsts, i) - 1]
        # Opened for each image: that costs microseconds, and threads and forked processes share no state.
        fd = os.open(shard, os.O_RDONLY)
        try:
            data = os.pread(fd, self._sizes[i], self._starts[i])
        finally:
            os.close(fd)
        if len(data) != self._sizes[i]:
            raise self.bad_image(i, "is cut off: its shard has become shorter", "image-unreadable")
        return data


def _shards_of_folder(folder: Path) -> list[str]:
    shards = [entry.name for entry in entries(folder) if entry.name.endswith(".tar") and is_file(entry)]
    if shards and next(images_below(folder, "", (), lambda path: None), None) is not None:
        raise SourceError(f"{folder} holds both shards and image files: name one of them", rule="source-mixed")
    return _without_holes(folder, shards)


def _shards_of_pattern(pattern: Path) -> list[str] | None:
    """Names of the shards that match the last component of `pattern`; None if it is not a pattern."""
    folder, name = pattern.parent, pattern.name
    if not name.endswith(".tar"):
        return None
    if match := re.fullmatch(r"([^{}]*)\{(\d{1,18})\.\.(\d{1,18})\}([^{}]*)", name, re.ASCII):
        before, first, last, after = match.groups()
        padded = any(len(number) > 1 and number[0] == "0" for number in (first, last))
        width = max(len(first), len(last)) if padded else 0
        shards = []
        for number in range(int(first), int(last) + 1):
            shards.append(f"{before}{number:0{width}}{after}")
            if not (folder / shards[-1]).is_file():
                raise _missing(folder / shards[-1])
    elif any(character in name for character in "*?["):
        if not folder.is_dir():
            return None
        matches = [e.name for e in entries(folder) if fnmatchcase(e.name, name) and is_file(e)]
        shards = _without_holes(folder, matches)
    else:
        return None
    if not shards:
        raise SourceError(f"{pattern} matches no shards", rule="source-missing")
    return shards


def _missing(shard: Path) -> SourceError:
    return SourceError(f"shard {shard} is missing", rule="shard-missing")


def _without_holes(folder: Path, shards: list[str]) -> list[str]:
    """Check that no number is missing among `shards` (section 2.2); return `shards`."""
    matches = [re.fullmatch(r"(.*?)(\d+)\.tar", shard, re.ASCII | re.DOTALL) for shard in shards]
    numbered = [(match[1], match[2]) for match in matches if match]
    if len(shards) < 2 or len(numbered) < len(shards) or len({prefix for prefix, _ in numbered}) > 1:
        return shards
    numbers = sorted(int(digits) for _, digits in numbered)
    first = min(numbers[0], 1)
    for expected, number in enumerate(numbers, first):
        if number > expected:
            prefix, digits = numbered[0]
            raise _missing(folder / f"{prefix}{expected:0{len(digits)}}.tar")
        if number < expected:
            raise SourceError(f"{folder} has two shards of number {number}", rule="shard-repeated")
    return shards


def _members(shard: Path, file: IO[bytes]) -> Iterator[tarfile.TarInfo]:
    """The members of an archive. Raises SourceError if the archive is damaged or cut off."""
    try:
        with tarfile.open(fileobj=file, mode="r:") as archive:
            while (member := archive.next()) is not None:
                if member.size < 0:
                    raise tarfile.ReadError("negative size")
                yield member
                archive.members = []  # type: ignore[attr-defined]  # tarfile would keep them all
            end = archive.offset
    except (tarfile.TarError, ValueError, OverflowError) as error:
        raise SourceError(f"shard {shard} is damaged ({error})", rule="shard-damaged") from error
    # tarfile takes a damaged header for the end of the archive: only zeros may follow, and must.
    file.seek(end)
    rest = file.read(tarfile.BLOCKSIZE)
    whole = len(rest) == tarfile.BLOCKSIZE
    while whole and rest:
        whole = not any(rest)
        rest = file.read(1 << 20)
    if not whole:
        raise SourceError(f"shard {shard} is damaged or cut off at byte {end}", rule="shard-damaged")


def _class_number(shard: Path, member: tarfile.TarInfo, file: IO[bytes]) -> int:
    text = b""
    if member.isreg() and member.size <= MAX_LABEL_BYTES:
        text = os.pread(file.fileno(), member.size, member.offset_data).strip()
    # bytes.isdigit() is ASCII only
    if not text.isdigit() or int(text) >= MAX_CLASSES:
        raise SourceError(f"{member.name} in {shard} is not a class number 0 .. {MAX_CLASSES - 1}", rule="shard-label")
    return int(text)


def _class_names_beside(folder: Path) -> tuple[str, ...] | None:
    path = folder / "classes.json"
    if not path.exists():
        return None
    try:
        names = json.loads(path.read_text("utf-8"))
    except ValueError as error:
        raise SourceError(f"{path} is not JSON ({error})", rule="class-names") from error
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise SourceError(f"{path} is not a list of class names", rule="class-names")
    return tuple(names)
