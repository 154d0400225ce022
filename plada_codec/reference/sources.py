"""Reference sets: ordered images, fetched by number, and their digest (spec/reference-digest.md).

    images = open_images("ref-{000..007}.tar")     # or a folder of images, a folder of shards, one shard
    images.read(4711)                              # the bytes of image 4711, as stored
    reference_digest(images)                       # 32 bytes

Opening a source lists its images and reads none of them (of shards, it reads the headers). An image that is missing
or cannot be read is an error that names it, now or when it is fetched; another never takes its place.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
import tarfile
from abc import ABC, abstractmethod
from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import IO, TYPE_CHECKING

from plada_codec.errors import SourceError
from plada_codec.limits import MAX_CLASSES

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

#: Section 1.
DIGEST_TAG = b"plada-reference-digest-1"
#: Section 2. Compared with the lower-case name.
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")

NO_LABEL = -1
#: More text than any class number below MAX_CLASSES needs.
MAX_LABEL_BYTES = 32


class ImageSource(ABC):
    """An ordered list of N >= 1 images, by number.

    It holds no open files: it may be shared by threads, forked and pickled. Memory is about 25 bytes an image, and
    its name.

    Attributes:
        class_names: names of the classes, or None. Of a folder tree, its top folders; of shards, the list in the
            `classes.json` beside them.
        labels: class number of each image, -1 for those that have none, `len()` of them. Of a folder tree, the
            number of the image's top folder; of shards, what the `.cls` member says.
    """

    class_names: tuple[str, ...] | None = None

    def __init__(self, source: str) -> None:
        self.source = source
        self._labels = array("i")
        self._names = _Names()

    def __len__(self) -> int:
        return len(self._labels)

    def name(self, i: int) -> str:
        """Where image `i` lies in the source; for people, not part of its identity."""
        return os.fsdecode(self._names[self._checked(i)])

    def label(self, i: int) -> int | None:
        """Class number of image `i`, or None where it has none."""
        label = self._labels[self._checked(i)]
        return None if label == NO_LABEL else label

    @property
    def labels(self) -> NDArray[np.int32]:
        """int32 [N], see above."""
        import numpy as np

        return np.array(self._labels, dtype=np.int32)

    def read(self, i: int) -> bytes:
        """The bytes of image `i`, 0 <= i < N, as stored. Raises SourceError if they cannot be had."""
        self._checked(i)
        try:
            return self._read(i)
        except OSError as error:
            raise self.bad_image(i, f"cannot be read ({error.strerror})", "image-unreadable") from error

    def bad_image(self, i: int, what: str, rule: str) -> SourceError:
        """The error that says `what` is wrong with image `i`."""
        return SourceError(f"image {i} of {self.source}, {self.name(i)}, {what}", rule=rule)

    @abstractmethod
    def _read(self, i: int) -> bytes: ...

    def _checked(self, i: int) -> int:
        if not 0 <= i < len(self):
            raise SourceError(f"there is no image {i} in {self.source}, which has {len(self)}", rule="image-number")
        return i


def open_images(source: str | Path) -> ImageSource:
    """The images of `source` and their order, as section 2 of the specification defines them.

    Args:
        source: a folder of images, a folder of `.tar` shards, one shard, or a pattern of shards in its last component
            (`ref-{000..007}.tar`, `ref-*.tar`). A path that exists is never a pattern.

    Raises:
        SourceError: if there is no such source, if it has no images, or if something in it is missing, damaged or
            ambiguous.
    """
    if not str(source):
        raise SourceError("the name of the source of images is empty", rule="source-missing")
    path = Path(source)
    try:
        mode = _mode_of(path)
        if stat.S_ISDIR(mode):
            shards = [path / name for name in _shards_of_folder(path)]
            images: ImageSource = ShardImages(str(source), shards) if shards else FolderImages(str(source))
        elif stat.S_ISREG(mode):
            if path.suffix != ".tar":
                raise SourceError(f"{path} is neither a folder nor a .tar shard", rule="source-missing")
            images = ShardImages(str(source), [path])
        else:
            images = ShardImages(str(source), [path.parent / name for name in _shards_of_pattern(path)])
    except OSError as error:
        what = f"{error.filename or source} cannot be read ({error.strerror})"
        raise SourceError(what, rule="source-unreadable") from error
    if not len(images):
        raise SourceError(f"{source} has no images", rule="source-empty")
    return images


def _mode_of(path: Path) -> int:
    """The mode of a file or folder, 0 if it is not there; OSError if that cannot be known.

    From Python 3.14 on, Path.is_dir() and the like take what they cannot look at for what is not there.
    """
    try:
        return path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return 0


def reference_digest(images: ImageSource, progress: Callable[[int, int], None] | None = None) -> bytes:
    """The reference digest of `images` (section 1), 32 bytes. Reads every image.

    Args:
        images: the reference set.
        progress: called with the number of images read and N, now and then.

    Raises:
        SourceError: if an image cannot be read.
    """
    total = len(images)
    digest = hashlib.sha256(DIGEST_TAG + total.to_bytes(8, "little"))
    for i in range(total):
        digest.update(hashlib.sha256(images.read(i)).digest())
        if progress is not None and (i % 256 == 255 or i == total - 1):
            progress(i + 1, total)
    return digest.digest()


class FolderImages(ImageSource):
    """The images of a folder tree (section 2.1)."""

    def __init__(self, source: str) -> None:
        super().__init__(source)
        classes: list[str] = []
        for path in _walk(Path(source), "", ()):
            top, nested, _ = path.partition("/")
            if nested and classes[-1:] != [top]:
                classes.append(top)
            self._names.append(os.fsencode(path))
            self._labels.append(len(classes) - 1 if nested else NO_LABEL)
        self.class_names = tuple(classes) or None

    def _read(self, i: int) -> bytes:
        return Path(self.source, self.name(i)).read_bytes()


class ShardImages(ImageSource):
    """The images of WebDataset tar shards, in the order of `shards` (section 2.2)."""

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
            if not parts or member.isdir() or any(part.startswith(".") for part in parts):
                continue
            path = "/".join(parts)
            name = parts[-1]
            extension = name.partition(".")[2]
            if key != (key := path.removesuffix("." + extension)):
                has_image, label = False, NO_LABEL
            if _is_image(name):
                if not member.isreg() or member.issparse():
                    raise SourceError(f"{member.name} in {shard} is a link, not an image", rule="shard-damaged")
                if has_image:
                    raise SourceError(f"{member.name} in {shard} is a second image of one key", rule="shard-key")
                has_image = True
                self._names.append(os.fsencode(f"{shard.name}/{path}"))
                self._starts.append(member.offset_data)
                self._sizes.append(member.size)
                self._labels.append(label)
            elif extension == "cls":
                label = _class_number(shard, member, file)
                if has_image:
                    self._labels[-1] = label

    def _read(self, i: int) -> bytes:
        shard = self._shards[bisect_right(self._firsts, i) - 1]
        # Opened for each image: a few microseconds, for no state to share between threads and forked processes.
        fd = os.open(shard, os.O_RDONLY)
        try:
            data = os.pread(fd, self._sizes[i], self._starts[i])
        finally:
            os.close(fd)
        if len(data) != self._sizes[i]:
            raise self.bad_image(i, "is cut off: its shard has become shorter", "image-unreadable")
        return data


class _Names:
    """A list of byte strings that costs 8 bytes each beyond their length."""

    def __init__(self) -> None:
        self._text = bytearray()
        self._ends = array("q", [0])

    def append(self, name: bytes) -> None:
        self._text += name
        self._ends.append(len(self._text))

    def __getitem__(self, i: int) -> bytes:
        return bytes(self._text[self._ends[i] : self._ends[i + 1]])


def _is_image(name: str) -> bool:
    return name.lower().endswith(IMAGE_SUFFIXES)


def _walk(root: Path, folder: str, above: tuple[tuple[int, int], ...]) -> Iterator[str]:
    """Paths, relative to `root`, of the images below `root/folder`, in order. `above`: the folders it is in."""
    here = root / folder
    status = here.stat()
    identity = (status.st_dev, status.st_ino)
    if identity in above:
        raise SourceError(f"folder {here} contains itself", rule="source-loop")
    for entry in _entries(here):
        path = f"{folder}/{entry.name}" if folder else entry.name
        if entry.is_dir():
            yield from _walk(root, path, (*above, identity))
        elif _is_image(entry.name) and _is_file(entry):
            yield path


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    """What is in `folder`, by the bytes of the names, without those that begin with a dot."""
    with os.scandir(folder) as entries:
        return sorted((e for e in entries if not e.name.startswith(".")), key=lambda e: os.fsencode(e.name))


def _is_file(entry: os.DirEntry[str]) -> bool:
    if entry.is_symlink() and not Path(entry.path).exists():
        raise SourceError(f"{entry.path} is a link to what does not exist", rule="source-unreadable")
    return entry.is_file()


def _shards_of_folder(folder: Path) -> list[str]:
    shards = [entry.name for entry in _entries(folder) if entry.name.endswith(".tar") and _is_file(entry)]
    if shards and next(_walk(folder, "", ()), None) is not None:
        raise SourceError(f"{folder} holds both shards and image files: name one of them", rule="source-mixed")
    return _without_holes(folder, shards)


def _shards_of_pattern(pattern: Path) -> list[str]:
    """File names of the shards that the last component of `pattern` stands for."""
    folder, name = pattern.parent, pattern.name
    missing = SourceError(f"{pattern} does not exist", rule="source-missing")
    if not name.endswith(".tar"):
        raise missing
    if match := re.fullmatch(r"([^{}]*)\{(\d{1,18})\.\.(\d{1,18})\}([^{}]*)", name, re.ASCII):
        before, first, last, after = match.groups()
        padded = any(len(number) > 1 and number[0] == "0" for number in (first, last))
        width = max(len(first), len(last)) if padded else 0
        shards = []
        for number in range(int(first), int(last) + 1):
            shards.append(f"{before}{number:0{width}}{after}")
            if not (folder / shards[-1]).is_file():
                raise SourceError(f"shard {folder / shards[-1]} is missing", rule="shard-missing")
    elif any(character in name for character in "*?["):
        if not folder.is_dir():
            raise missing
        matches = [e.name for e in _entries(folder) if fnmatchcase(e.name, name) and _is_file(e)]
        shards = _without_holes(folder, matches)
    else:
        raise missing
    if not shards:
        raise SourceError(f"{pattern} stands for no shards", rule="source-missing")
    return shards


def _without_holes(folder: Path, shards: list[str]) -> list[str]:
    """`shards`, if their numbers show no hole (section 2.2)."""
    matches = [re.fullmatch(r"(.*?)(\d+)\.tar", shard, re.ASCII | re.DOTALL) for shard in shards]
    numbered = [(match[1], match[2]) for match in matches if match]
    if len(shards) < 2 or len(numbered) < len(shards) or len({prefix for prefix, _ in numbered}) > 1:
        return shards
    numbers = sorted(int(digits) for _, digits in numbered)
    first = min(numbers[0], 1)
    for expected, number in enumerate(numbers, first):
        if number > expected:
            prefix, digits = numbered[0]
            hole = folder / f"{prefix}{expected:0{len(digits)}}.tar"
            raise SourceError(f"shard {hole} is missing", rule="shard-missing")
        if number < expected:
            raise SourceError(f"{folder} has two shards of number {number}", rule="shard-repeated")
    return shards


def _members(shard: Path, file: IO[bytes]) -> Iterator[tarfile.TarInfo]:
    """The members of an archive. Raises SourceError if it does not end as a whole archive does."""
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
