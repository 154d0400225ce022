"""WebDataset tar shards: one shard, a folder of shards, or a pattern (spec/reference-digest.md, section 2.2)."""

from __future__ import annotations

import os
import re
from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from plada_codec.errors import SourceError, reason_of
from plada_codec.limits import MAX_CLASSES
from plada_codec.reference.base import (
    NO_LABEL,
    OTHER_IMAGE_SUFFIXES,
    ImageSource,
    ListedImages,
    Location,
    entries,
    is_file,
    is_ignored,
    is_image,
    read_json,
)
from plada_codec.reference.sources.folder import images_below
from plada_codec.reference.sources.tar import DamagedTarError, Member, members
from plada_codec.reference.sources.unsupported import damaged

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

#: Longest text of a class number that is read: more than any number below MAX_CLASSES needs.
MAX_LABEL_BYTES = 32


def open_shard_folder(location: Location) -> ImageSource | None:
    """Open a folder of shards. None if there is no folder, or no shard in it."""
    if not location.is_folder:
        return None
    others: list[str] = []
    shards = _shards_of_folder(location.path, others.append)
    if not shards:
        return None
    images = ShardImages(location.source, [location.path / name for name in shards])
    for other in others:
        if other.lower().endswith(OTHER_IMAGE_SUFFIXES):
            images._pass_over(other)
    return images


def open_shard(location: Location) -> ImageSource | None:
    """Open one shard. None if the file is not a shard."""
    is_shard = location.is_file and location.path.suffix == ".tar"
    return ShardImages(location.source, [location.path]) if is_shard else None


def open_shard_pattern(location: Location) -> ImageSource | None:
    """Open the shards that match the last component of the path. None if the path exists, or is not a pattern."""
    if location.is_folder or location.is_file:
        return None
    shards = _shards_of_pattern(location.path)
    return None if shards is None else ShardImages(location.source, [location.path.parent / name for name in shards])


class ShardImages(ListedImages):
    """The images of WebDataset tar shards, in the order of `shards`."""

    def __init__(self, source: str, shards: list[Path]) -> None:
        super().__init__(source)
        self._shards = shards
        self._starts = array("q")  # of an image in its shard, bytes
        self._sizes = array("q")  # of an image, bytes
        self._firsts: list[int] = []  # first image of each shard
        self._bad_label: str | None = None  # the first `.cls` member of an image that is not a class number
        for shard in shards:
            self._firsts.append(len(self))
            with shard.open("rb") as file:
                self._index(shard, file)

    @property
    def labels(self) -> NDArray[np.int32]:
        if self._bad_label is not None:
            what = f"{self._bad_label} is not a class number 0 .. {MAX_CLASSES - 1}"
            raise SourceError(what, rule="shard-label")
        return super().labels

    @property
    def class_names(self) -> tuple[str, ...] | None:
        return _class_names_beside(self._shards[0].parent)

    def _index(self, shard: Path, file: BinaryIO) -> None:
        key, has_image, label = "", False, _Label()
        for member in _members(shard, file):
            parts = [part for part in member.name.split("/") if part not in ("", ".")]
            if not parts or member.is_folder or any(map(is_ignored, parts)):
                continue
            path = "/".join(parts)
            name = parts[-1]
            extension = name.partition(".")[2]
            if key != (key := path.removesuffix("." + extension)):
                has_image, label = False, _Label()
            if is_image(name):
                if not member.is_file:
                    what = f"{member.name} in {shard} is a link or a sparse file: store the image itself in the archive"
                    raise SourceError(what, rule="shard-damaged")
                if has_image:
                    what = f"{member.name} in {shard} is a second image of the key {key!r}: give it another key"
                    raise SourceError(what, rule="shard-key")
                has_image = True
                self._add(f"{shard.name}/{path}")
                self._starts.append(member.start)
                self._sizes.append(member.size)
            elif name.lower().endswith(OTHER_IMAGE_SUFFIXES):
                self._pass_over(name)
            elif extension == "cls":
                label = _read_label(shard, member, file)
            if has_image and label.text is not None:
                self._labels[-1] = label.number
                if label.number == NO_LABEL and self._bad_label is None:
                    self._bad_label = label.text

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


class _Label(NamedTuple):
    """The label of a key: its class number, and the name and content of the `.cls` member for a message."""

    number: int = NO_LABEL
    text: str | None = None


def _shards_of_folder(folder: Path, pass_over: Callable[[str], None]) -> list[str]:
    shards = [entry.name for entry in entries(folder) if entry.name.endswith(".tar") and is_file(entry)]
    if shards and next(images_below(folder, pass_over), None) is not None:
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


def _members(shard: Path, file: BinaryIO) -> Iterator[Member]:
    """The members of an archive. Raises SourceError if the archive is damaged or cut off."""
    try:
        yield from members(file)
    except DamagedTarError as error:
        raise damaged(shard, str(error), "shard-damaged") from error


def _read_label(shard: Path, member: Member, file: BinaryIO) -> _Label:
    text = b""
    if member.is_file:
        text = os.pread(file.fileno(), min(member.size, MAX_LABEL_BYTES), member.start).strip()
    # bytes.isdigit() is ASCII only
    is_number = member.size <= MAX_LABEL_BYTES and text.isdigit() and int(text) < MAX_CLASSES
    shown = ascii(text.decode("utf-8", "replace"))
    return _Label(int(text) if is_number else NO_LABEL, f"{member.name} in {shard}, {shown},")


def _class_names_beside(folder: Path) -> tuple[str, ...] | None:
    path = folder / "classes.json"
    try:
        names = read_json(path, "class-names")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise SourceError(f"{path} cannot be read ({reason_of(error)})", rule="source-unreadable") from error
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise SourceError(f"{path} is not a list of class names", rule="class-names")
    return tuple(names)
