"""The interface of a source of images: N ordered images, read by number; and helpers that sources share."""

from __future__ import annotations

import json
import os
import stat
from abc import ABC, abstractmethod
from array import array
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from plada_codec.errors import SourceError, first_line, reason_of
from plada_codec.limits import MAX_CLASSES

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

#: Section 2 of spec/reference-digest.md. It is compared with the lower-case name.
IMAGE_SUFFIXES = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".gif", ".bmp"),
    *(".tif", ".tiff", ".ppm", ".pgm", ".pbm", ".pnm"),
)
#: Section 2. Folders of thumbnails, of files that were thrown away, and of systems.
IGNORED_FOLDERS = frozenset(
    (
        *("@eaDir", "@__thumb", "@Recycle", "#recycle", "$RECYCLE.BIN"),
        *("__MACOSX", "System Volume Information", "lost+found"),
    )
)
#: Section 2. Files that systems write into folders of images. Compared with the lower-case name.
IGNORED_FILES = frozenset({"thumbs.db", "desktop.ini"})
#: Files that look like images, but do not count: shards with such members get a warning.
OTHER_IMAGE_SUFFIXES = (
    *(".apng", ".avif", ".dcm", ".dib", ".dng", ".exr", ".heic", ".heif", ".ico", ".j2k", ".jp2", ".jpx", ".jxl"),
    *(".mpo", ".pam", ".pcx", ".pfm", ".psd", ".qoi", ".svg", ".tga"),
)
#: Most images in a source that does not store a name for each: their labels take 4 bytes each.
MAX_IMAGES = 1 << 26
#: Longest JSON file that is read, such as `classes.json`.
MAX_JSON_BYTES = 1 << 24
#: Characters of a list of names in a message.
_LISTED_CHARACTERS = 300
#: In place of the label of an image that has none.
NO_LABEL = -1


class ImageSource(ABC):
    """An ordered list of N >= 1 images, by number: a reference set, or the images of a target.

    A subclass has `__len__`, `_name` and `_read`; one whose images have labels has `labels` and `class_names` too. It
    opens files for each call: threads may share it, and it may be forked and pickled. If it caches something that
    cannot be pickled, it leaves that out in `__getstate__`.

    Attributes:
        source: the source as the user named it, for messages.
        passed_over: how many files do not count as images, by suffix.
        empty_folders: top folders of a folder tree without an image: they are no classes.
    """

    empty_folders: tuple[str, ...] = ()

    def __init__(self, source: str) -> None:
        self.source = source
        self.passed_over: Counter[str] = Counter()

    @abstractmethod
    def __len__(self) -> int:
        """Number of images N."""

    @property
    def labels(self) -> NDArray[np.int32]:
        """Class number of each image (int32 [N]), -1 for images without one.

        Raises:
            SourceError: if the label of an image is there, but is no class number. Only a target's labels matter, so
                they are judged here and not when a source is opened.
        """
        import numpy as np

        return np.full(len(self), NO_LABEL, dtype=np.int32)

    @property
    def class_names(self) -> tuple[str, ...] | None:
        """Names of the classes, or None. Raises SourceError like `labels`, if the source holds something else."""
        return None

    def name(self, i: int) -> str:
        """Name of image `i` in the source, for people: it is not part of the image's identity."""
        return self._name(self._checked(i))

    def names(self, begin: int, end: int) -> list[str]:
        """Names of the images `begin` to `end` - 1."""
        return [self.name(i) for i in range(begin, end)]

    def read(self, i: int) -> bytes:
        """The bytes of image `i`, 0 <= i < N, as stored. Raises SourceError if they cannot be read."""
        self._checked(i)
        try:
            return self._read(i)
        except OSError as error:
            raise self.bad_image(i, f"cannot be read ({reason_of(error)})", "image-unreadable") from error

    def bad_label(self, i: int, label: object) -> SourceError:
        """The error for image `i`, whose label is no class number."""
        classes = MAX_CLASSES if self.class_names is None else len(self.class_names)
        what = f"has label {label!r}, which is not a class number 0 .. {classes - 1}"
        return self.bad_image(i, what, "table-label")

    def bad_image(self, i: int, what: str, rule: str) -> SourceError:
        """The error for image `i`; `what` says what is wrong."""
        return SourceError(f"image {i} of {self.source}, {self.name(i)}, {what}", rule=rule)

    def _class_numbers(self, labels: NDArray[Any], first: int = 0) -> NDArray[np.int32]:
        """The labels of images from `first` on as int32, checked: class numbers, or -1. Raises SourceError.

        Floating-point numbers that are whole are numbers.
        """
        from plada_codec.tables.numbers import whole_numbers

        numbers, at = whole_numbers(labels)
        if at is None:
            classes = MAX_CLASSES if self.class_names is None else len(self.class_names)
            bad = (numbers < NO_LABEL) | (numbers >= classes)
            at = int(bad.argmax()) if bad.any() else None
        if at is not None:
            raise self.bad_label(first + at, labels[at].item())
        return numbers.astype("int32")

    @abstractmethod
    def _name(self, i: int) -> str:
        """The name of image `i` (checked: 0 <= i < N)."""

    @abstractmethod
    def _read(self, i: int) -> bytes:
        """Read the bytes of image `i` (checked: 0 <= i < N). May raise OSError."""

    def _checked(self, i: int) -> int:
        if not 0 <= i < len(self):
            raise SourceError(f"there is no image {i} in {self.source}, which has {len(self)}", rule="image-number")
        return i


class ListedImages(ImageSource):
    """A source that lists its images when it is opened: about 25 bytes of memory for each, and its name."""

    def __init__(self, source: str) -> None:
        super().__init__(source)
        self._labels = array("i")
        self._names = _Names()
        self._class_names: tuple[str, ...] | None = None

    def _pass_over(self, name: str) -> None:
        """Count a file that is no image. Subclasses call it when they are opened."""
        self.passed_over[Path(name).suffix.lower() or "without suffix"] += 1

    def _add(self, name: str, label: int = NO_LABEL) -> None:
        """Add the next image. Subclasses call it for each image, when they are opened."""
        self._names.append(os.fsencode(name))
        self._labels.append(label)

    def __len__(self) -> int:
        return len(self._labels)

    @property
    def labels(self) -> NDArray[np.int32]:
        import numpy as np

        return np.array(self._labels, dtype=np.int32)

    @property
    def class_names(self) -> tuple[str, ...] | None:
        return self._class_names

    def names(self, begin: int, end: int) -> list[str]:
        return self._names.texts(begin, end)

    def _name(self, i: int) -> str:
        return os.fsdecode(self._names[i])


@dataclass(frozen=True)
class Location:
    """Where a source is, and the part of it that is asked for.

    Attributes:
        source: the source as the user named it.
        path: the file, the folder or the pattern, without `#` and what follows.
        mode: `st_mode` of the file or folder, 0 if there is none.
        split: name of the split, or None.
        columns: names of the columns of the images (`image`) and of the labels (`label`), where they are given.
    """

    source: str
    path: Path
    mode: int
    split: str | None = None
    columns: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_folder(self) -> bool:
        return stat.S_ISDIR(self.mode)

    @property
    def is_file(self) -> bool:
        return stat.S_ISREG(self.mode)


class _Names:
    """A compact list of byte strings: 8 bytes for each, besides its length."""

    def __init__(self) -> None:
        self._text = bytearray()
        self._ends = array("q", [0])

    def append(self, name: bytes) -> None:
        self._text += name
        self._ends.append(len(self._text))

    def __getitem__(self, i: int) -> bytes:
        return bytes(self._text[self._ends[i] : self._ends[i + 1]])

    def texts(self, begin: int, end: int) -> list[str]:
        """Names `begin` to `end` - 1 as text, faster than one by one."""
        first = self._ends[begin]
        data = bytes(self._text[first : self._ends[end]])
        if not data.isascii():
            return [os.fsdecode(self[i]) for i in range(begin, end)]
        text = data.decode("ascii")
        places = [place - first for place in self._ends[begin : end + 1]]
        return [text[start:stop] for start, stop in pairwise(places)]


def chosen_split(location: Location, splits: Iterable[str]) -> str:
    """The split that the location asks for, or the only one. A split without a name is "".

    Raises:
        SourceError: (rule source-part) if there is no such split; or if none is asked for, and there is not just one.
    """
    known = list(splits)
    names = ", ".join(split or "one without a name" for split in known)[:_LISTED_CHARACTERS]
    if location.split is None:
        if len(known) == 1:
            return known[0]
        what = f"{location.path} has the splits {names}: choose with {location.path}#{max(known, default='SPLIT')}"
        raise SourceError(what, rule="source-part")
    if location.split not in known:
        raise SourceError(f"{location.path} has no split {location.split!r}: it has {names}", rule="source-part")
    return location.split


def read_json(path: Path, rule: str) -> Any:
    """The value in a JSON file. Raises SourceError with this rule, and OSError."""
    with path.open("rb") as file:
        text = file.read(MAX_JSON_BYTES + 1)
    if len(text) > MAX_JSON_BYTES:
        raise SourceError(f"{path} is longer than {MAX_JSON_BYTES} bytes", rule=rule)
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise SourceError(f"{path} is not JSON ({first_line(error)})", rule=rule) from error


def is_image(name: str) -> bool:
    """Whether a file of this name is an image (section 2)."""
    return name.lower().endswith(IMAGE_SUFFIXES)


def is_ignored(name: str) -> bool:
    """Whether a file or folder of this name is ignored, with everything in it (section 2)."""
    return name.startswith(".") or name in IGNORED_FOLDERS or name.lower() in IGNORED_FILES


def entries(folder: Path) -> list[os.DirEntry[str]]:
    """The entries of `folder` that are not ignored, sorted by the bytes of their names."""
    with os.scandir(folder) as entries:
        return sorted((e for e in entries if not is_ignored(e.name)), key=lambda e: os.fsencode(e.name))


def is_file(entry: os.DirEntry[str]) -> bool:
    """Whether an entry is a regular file. Raises SourceError for a broken link."""
    if entry.is_symlink() and not Path(entry.path).exists():
        raise SourceError(f"{entry.path} is a link to a file that does not exist", rule="source-unreadable")
    return entry.is_file()
