"""Pack a source of images as WebDataset shards, whose bytes are the same on every machine.

    pack(open_images("cifar.parquet#train"), Path("ref"))

The folder then has these files:

    images-00000.tar ...  the shards: members 00000000.png, and 00000000.cls if the image has a label
    classes.json          names of the classes, if images have labels and the source has names
    pack.json             N, the reference digest, the shards with their SHA-256, and how they were made

Members are the bytes of the images, so that the pack has the digest of its source. The shards depend on nothing but the
images, their labels and the number of images in a shard: a folder and a parquet file of the same images give the same
pack. A pack that was interrupted is continued: shards that are there are compared with the source, not trusted.
"""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from plada_codec.errors import FileError, PladaWarning, SourceError, reason_of
from plada_codec.files import atomic_write, lock_folder, output_folder
from plada_codec.progress import Progress, no_progress
from plada_codec.reference.base import NO_LABEL, ImageSource, is_image
from plada_codec.reference.digest import DIGEST_TAG
from plada_codec.reference.pixels.decoding import suffix_of
from plada_codec.reference.sources.tar import END, written_member
from plada_codec.tables.names import normalised

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

#: Version of the layout of a pack: another one gives other bytes.
PACK_VERSION = 1
#: Images in a shard, if the caller does not say.
IMAGES_PER_SHARD = 10_000
#: Progress is reported once for this many images.
_PROGRESS_IMAGES = 256
#: Bytes of an existing file that are compared at a time.
_COMPARED_BYTES = 1 << 20


@dataclass(frozen=True)
class Pack:
    """The content of `pack.json`.

    Attributes:
        pack_version: version of the layout.
        reference_size: number of images N.
        reference_digest: digest of the images, in hexadecimal digits.
        images_per_shard: images in each shard but the last.
        has_labels: whether images have `.cls` members.
        shards: names of the shards, and the SHA-256 of each.
        made_by: the program that wrote the pack, and its version.
    """

    pack_version: int
    reference_size: int
    reference_digest: str
    images_per_shard: int
    has_labels: bool
    shards: dict[str, str]
    made_by: str


def pack(
    images: ImageSource,
    folder: Path,
    images_per_shard: int = IMAGES_PER_SHARD,
    progress: Progress = no_progress,
) -> Pack:
    """Pack a source as shards into a folder. It may be empty, or hold a part of the same pack.

    Args:
        images: the source.
        folder: the folder, which is created if needed.
        images_per_shard: number of images in a shard.
        progress: called now and then with the number of images that are packed, and N.

    Returns:
        The content of `pack.json`.

    Raises:
        SourceError: if an image cannot be read, or is of no known format and has no suffix of an image.
        FileError: if the folder cannot be written, holds other files, or shards of other images.

    Warns:
        PladaWarning: if the source has labels that are no class numbers.
    """
    labels, class_names = _classes(images)
    shards = _shards(len(images), images_per_shard)
    fixed = {"pack.json"} | ({"classes.json"} if class_names else set())
    with lock_folder(output_folder(folder)):
        _check_others(folder, {*shards, *fixed})
        digest = hashlib.sha256(DIGEST_TAG + len(images).to_bytes(8, "little"))
        sums = {}
        for name, numbers in shards.items():
            with _written_or_compared(folder / name) as stream:
                for i in numbers:
                    data = images.read(i)
                    digest.update(hashlib.sha256(data).digest())
                    key = f"{i:08}"
                    stream.add(key + _suffix(images, i, data), data)
                    if labels is not None and labels[i] != NO_LABEL:
                        stream.add(f"{key}.cls", b"%d" % labels[i])
                    if (i + 1) % _PROGRESS_IMAGES == 0 or i + 1 == len(images):
                        progress(i + 1, len(images))
                stream.write(END)
            sums[name] = stream.digest.hexdigest()
        content = Pack(
            pack_version=PACK_VERSION,
            reference_size=len(images),
            reference_digest=digest.hexdigest(),
            images_per_shard=images_per_shard,
            has_labels=labels is not None,
            shards=sums,
            made_by=f"plada {version('plada')}",
        )
        if class_names:
            _write_json(folder / "classes.json", list(class_names))
        _write_json(folder / "pack.json", vars(content))
    return content


class _Shard:
    """A shard that is written, or compared with the file that is there; and the SHA-256 of its bytes."""

    def __init__(self, path: Path, stream: BinaryIO, is_compared: bool) -> None:
        self._path = path
        self._stream = stream
        self._is_compared = is_compared
        self.digest = hashlib.sha256()

    def add(self, name: str, data: bytes) -> None:
        """Add a member."""
        for part in written_member(name, data):
            self.write(part)

    def write(self, data: bytes) -> None:
        """Write these bytes, or compare them."""
        self.digest.update(data)
        if not self._is_compared:
            self._stream.write(data)
            return
        for start in range(0, len(data), _COMPARED_BYTES):
            part = data[start : start + _COMPARED_BYTES]
            if self._stream.read(len(part)) != part:
                raise self.other()

    def other(self) -> FileError:
        """The error for a file of another pack."""
        what = f"{self._path} is there, but not with these images, labels and options"
        return FileError(f"{what}: name another folder, or remove it", rule="file")


@contextmanager
def _written_or_compared(path: Path) -> Iterator[_Shard]:
    """A shard. Nothing replaces a file that is there: so a pack is never of two sources."""
    try:
        there = path.open("rb")
    except FileNotFoundError:
        with atomic_write(path) as stream:
            yield _Shard(path, stream, is_compared=False)
        return
    except OSError as error:
        raise FileError(f"cannot read {path}: {reason_of(error)}", rule="file") from None
    with there:
        shard = _Shard(path, there, is_compared=True)
        yield shard
        if there.read(1):
            raise shard.other()


def _classes(images: ImageSource) -> tuple[NDArray[np.int32] | None, tuple[str, ...] | None]:
    """Labels, if an image has one, and names of the classes."""
    try:
        labels, names = images.labels, images.class_names
        if names is not None and len(set(map(normalised, names))) < len(names):
            raise SourceError(f"{images.source} has two classes of one name", rule="class-names")
    except SourceError as error:
        warnings.warn(f"labels are left out: {error}", PladaWarning, stacklevel=3)
        return None, None
    return (labels, names) if (labels != NO_LABEL).any() else (None, None)


def _shards(size: int, images_per_shard: int) -> dict[str, range]:
    """The numbers of the images of each shard, by its name."""
    firsts = range(0, size, images_per_shard)
    digits = max(5, len(str(len(firsts) - 1)))
    return {
        f"images-{shard:0{digits}}.tar": range(first, min(first + images_per_shard, size))
        for shard, first in enumerate(firsts)
    }


def _check_others(folder: Path, expected: set[str]) -> None:
    others = sorted(path.name for path in folder.iterdir() if path.name not in expected and path.name[0] != ".")
    if others:
        what = f"{folder} holds {others[0]}, which is no part of this pack"
        raise FileError(f"{what}: name an empty folder", rule="file")


def _suffix(images: ImageSource, i: int, data: bytes) -> str:
    """The suffix of a member: by its first bytes, so that it does not depend on the source; else that of its name."""
    suffix = suffix_of(data) or Path(images.name(i)).suffix.lower()
    if not is_image(suffix):
        raise images.bad_image(i, "is of no known format, and its name has no suffix of an image", "image-unreadable")
    return suffix


def _write_json(path: Path, value: Any) -> None:
    with atomic_write(path) as file:
        file.write(json.dumps(value, indent=2, ensure_ascii=False).encode("utf-8", "surrogatepass") + b"\n")
