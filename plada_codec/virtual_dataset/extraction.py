"""The kept images as files, so that any framework can train on them: an ImageFolder tree, or WebDataset shards.

The files are written into a folder beside the target, whose name ends in `.unfinished`. It takes the target's name when
it is complete. After an interruption, the same call goes on where it stopped.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import shutil
import stat
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

import numpy as np

from plada_codec.errors import FileError, InputError, InvalidArgument, MissingClasses, PladaWarning, reason_of
from plada_codec.files import LOCK_FILE, lock_folder
from plada_codec.payload import Payload
from plada_codec.progress import Progress, no_progress
from plada_codec.reference import ImageSource, decode_image
from plada_codec.reference.base import is_ignored, is_image
from plada_codec.reference.pixels.decoding import suffix_of
from plada_codec.reference.sources.tar import END, written_member
from plada_codec.virtual_dataset.dataset import VirtualDataset

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Suffix of the folder of an extraction that is not complete.
UNFINISHED = ".unfinished"
#: Images of a shard, by default.
SHARD_IMAGES = 10_000

_STATE = "state.json"
_FILES = "files"
_TEMPORARY = "temporary"
_PROGRESS_IMAGES = 64
#: Characters of a class name that no file system, or not all of them, allows in the name of a folder; and "%" itself.
_UNSAFE = re.compile(r'[\x00-\x1f\x7f-\x9f/\\:*?"<>|%]|[. ]$')


def extract(
    reference: ImageSource,
    payload: Payload,
    folder: str | os.PathLike[str],
    format: str = "folder",
    *,
    as_png: bool = False,
    shard_images: int = SHARD_IMAGES,
    progress: Progress = no_progress,
) -> None:
    """Write the kept images and their labels. The names of files are the images' numbers in the reference set.

    Args:
        reference: the reference set of the payload.
        payload: the images and their labels. Its class names, where it has them, are the names of the folders.
        folder: is made; it must not exist, or be empty.
        format: "folder": a folder for each class that has an image. "shards": WebDataset shards `kept-000000.tar`,
            with the labels as `.cls`, and the class names beside them as `classes.json`.
        as_png: whether to write the pixels as PNG, for programs that cannot read an image's own format. Otherwise the
            bytes are those of the reference set.
        shard_images: largest number of images in a shard.
        progress: called now and then with the number of images written, and k.

    Warns:
        MissingClasses: if classes have no image.
        PladaWarning: if the payload has weights or soft labels, for which these formats have no place.

    Raises:
        InvalidArgument: if there is no such format.
        ReferenceMismatch: if the payload is for another number of images.
        InputError: (rule kept) if the payload keeps no image.
        SourceError: if an image cannot be read, or with `as_png` decoded.
        FileError: if a file cannot be written, or as `check_target`.
        Unavailable: if `as_png` needs Pillow, which is not installed.
    """
    if format not in EXTRACT_FORMATS:
        known = ", ".join(EXTRACT_FORMATS)
        raise InvalidArgument(f"no format is named {format!r}; there are: {known}", rule="format")
    if shard_images < 1:
        raise InvalidArgument(f"a shard has 1 image or more, not {shard_images}", rule="shard")
    dataset = VirtualDataset(reference, payload, as_bytes=True)
    if not payload.kept:
        raise InputError("the payload keeps no image: there is nothing to extract", rule="kept")
    check_target(folder, reference)
    _warn_of_losses(payload)
    job = _Job(dataset, as_png, shard_images, progress)
    try:
        with _finished_at_once(Path(folder), job.identity(format)) as files:
            EXTRACT_FORMATS[format](job, files)
    except OSError as error:
        what = f"cannot write {error.filename or folder}: {reason_of(error)}"
        raise FileError(what, rule="file") from None


class _Image(NamedTuple):
    """An image to write: its number as text of equal length for all, its suffix, bytes and label."""

    stem: str
    suffix: str
    data: bytes
    label: int


@dataclass(frozen=True)
class _Job:
    dataset: VirtualDataset
    as_png: bool
    shard_images: int
    progress: Progress

    def image(self, item: int) -> _Image:
        reference, payload = self.dataset.reference, self.dataset.payload
        index = int(payload.indices[item])
        stem = f"{index:0{len(str(payload.reference_size - 1))}}"
        if self.as_png:
            stream = io.BytesIO()
            decode_image(reference, index).save(stream, "PNG")
            suffix, data = ".png", stream.getvalue()
        else:
            data = reference.read(index)
            suffix = self._suffix(index, data)
        if (item + 1) % _PROGRESS_IMAGES == 0 or item + 1 == payload.kept:
            self.progress(item + 1, payload.kept)
        return _Image(stem, suffix, data, int(payload.labels[item]))

    def _suffix(self, index: int, data: bytes) -> str:
        name = self.dataset.reference.name(index)
        suffix = Path(name).suffix.lower() if is_image(name) else suffix_of(data)
        if suffix is None:
            raise self.dataset.reference.bad_image(index, "is no image of a format that is read", "image-format")
        return suffix

    def identity(self, format: str) -> str:
        """What decides the files: an extraction goes on only where this is the same."""
        payload, source = self.dataset.payload, self.dataset.reference.source
        digest = hashlib.sha256()
        for part in (payload.indices, payload.labels):
            digest.update(part.tobytes())
        names = payload.class_names
        others = [payload.reference_size, payload.num_classes, payload.reference_digest.hex(), names]
        return json.dumps([1, format, self.as_png, self.shard_images, source, digest.hexdigest(), *others])


def _write_folder(job: _Job, files: Path) -> None:
    """An ImageFolder tree. Images that are there already are compared."""
    folders = [files / name for name in class_folders(job.dataset.payload)]
    used = [folders[label] for label in np.unique(job.dataset.payload.labels).tolist()]
    made: dict[int, Path] = {}
    for path in used:
        path.mkdir(exist_ok=True)
        other = made.setdefault(path.stat().st_ino, path)
        if other != path:
            both = f"{other.name!r} and {path.name!r}"
            raise FileError(f"the file system takes the folders {both} for one: extract shards", rule="file")
    for item in range(len(job.dataset)):
        image = job.image(item)
        path = folders[image.label] / f"{image.stem}{image.suffix}"
        if not (path.exists() and path.read_bytes() == image.data):
            with _replacing(path, files) as file:
                file.write(image.data)


def _write_shards(job: _Job, files: Path) -> None:
    """WebDataset shards. Those that are there already are complete."""
    payload = job.dataset.payload
    if payload.class_names is not None:
        with _replacing(files / "classes.json", files) as file:
            file.write(json.dumps(payload.class_names, ensure_ascii=False, indent=1).encode())
    for shard, begin in enumerate(range(0, payload.kept, job.shard_images)):
        path = files / f"kept-{shard:06}.tar"
        if path.exists():
            continue
        with _replacing(path, files, sync=True) as file:
            for item in range(begin, min(begin + job.shard_images, payload.kept)):
                image = job.image(item)
                file.writelines(written_member(f"{image.stem}{image.suffix}", image.data))
                file.writelines(written_member(f"{image.stem}.cls", str(image.label).encode()))
            file.write(END)


#: The functions that write the kept images, by the name of the format.
EXTRACT_FORMATS: dict[str, Callable[[_Job, Path], None]] = {"folder": _write_folder, "shards": _write_shards}


def class_folders(payload: Payload) -> list[str]:
    """The name of each class's folder: its name, or its number with leading zeros, so that text order is theirs.

    Characters that not every file system allows in a name are written as in a URL, such as "%2F" for "/".
    """
    if payload.class_names is None:
        digits = len(str(payload.num_classes - 1))
        return [f"{label:0{digits}}" for label in range(payload.num_classes)]
    return [_safe(name) for name in payload.class_names]


def _safe(name: str) -> str:
    safe = _UNSAFE.sub(lambda found: _escaped(found[0]), name)
    # Readers of ImageFolder trees, such as ours, pass over some names
    return _escaped(safe[0]) + safe[1:] if is_ignored(safe) else safe


def _escaped(ch: str) -> str:
    return "".join(f"%{byte:02X}" for byte in ch.encode())


def _warn_of_losses(payload: Payload) -> None:
    labels: NDArray[np.int64] = np.bincount(payload.labels, minlength=payload.num_classes)
    missing = np.flatnonzero(labels == 0)
    if len(missing):
        names = [payload.class_names[c] if payload.class_names else str(c) for c in missing.tolist()]
        what = f"the payload has no image of these classes, which get no folder: {', '.join(names)}"
        warnings.warn(what, MissingClasses, stacklevel=3)
    for name, value in (("weights", payload.weights), ("soft labels", payload.soft_labels)):
        if value is not None:
            what = f"the payload has {name}, for which the files have no place: plada_codec.VirtualDataset gives them"
            warnings.warn(what, PladaWarning, stacklevel=3)


def check_target(folder: str | os.PathLike[str], reference: ImageSource) -> None:
    """Check that files may be extracted to a folder. Raises FileError.

    It must not exist, or be empty, and not be in the folder of the reference set, whose images its files would become.
    """
    path = Path(os.path.realpath(folder))
    if path.exists() and not (path.is_dir() and not any(path.iterdir())):
        raise FileError(f"{folder} exists already: name another folder", rule="file")
    if Path(os.path.realpath(reference.source)) in (path, *path.parents):
        raise FileError(f"{folder} would be a part of the reference set: name a folder outside", rule="file")


@contextmanager
def _finished_at_once(folder: Path, identity: str) -> Iterator[Path]:
    """A folder for the files, which becomes `folder` if the block succeeds. What an earlier one left is there."""
    folder = Path(os.path.realpath(folder))
    unfinished = folder.with_name(folder.name + UNFINISHED)
    unfinished.mkdir(parents=True, exist_ok=True)
    with lock_folder(unfinished):
        state, files = unfinished / _STATE, unfinished / _FILES
        if {path.name for path in unfinished.iterdir()} <= {_TEMPORARY, LOCK_FILE}:
            with _replacing(state, files, sync=True) as file:
                file.write(identity.encode())
        if not state.is_file() or state.read_text("utf-8") != identity:
            raise FileError(f"{unfinished} belongs to another extraction: remove it", rule="file")
        files.mkdir(exist_ok=True)
        yield files
        if hasattr(os, "sync"):
            os.sync()  # one for all files: they are on the disk before they have their names
        if folder.exists():  # an empty one, whose mode stays
            files.chmod(stat.S_IMODE(folder.stat().st_mode))
        files.rename(folder)
        shutil.rmtree(unfinished)


@contextmanager
def _replacing(path: Path, files: Path, *, sync: bool = False) -> Iterator[BinaryIO]:
    """A stream that becomes the file `path` if the block succeeds. Interruptions leave one file, not among `files`."""
    temporary = files.with_name(_TEMPORARY)
    temporary.unlink(missing_ok=True)
    with temporary.open("xb") as file:  # not "wb": that would follow a link
        yield file
        if sync:
            file.flush()
            os.fsync(file.fileno())
    temporary.replace(path)
