"""The registry of sources of images, and how a source is opened (spec/reference-digest.md, section 2).

    images = open_images("ref-{000..007}.tar")     # or a folder of images, a folder of shards, one shard
    images.read(4711)                              # the bytes of image 4711, as stored

Opening a source lists its images: it reads the names in folders, and the headers of shards. A missing or unreadable
image is an error that names it, when the source is opened or the image is read. Another image never takes its place.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from plada_codec.errors import FilesPassedOver, SourceError, reason_of
from plada_codec.reference.base import ImageSource, Location
from plada_codec.reference.image_tables.parquet import open_parquet
from plada_codec.reference.image_tables.saved_dataset import open_saved_dataset
from plada_codec.reference.sources.folder import open_folder
from plada_codec.reference.sources.npz import open_npz
from plada_codec.reference.sources.shards import open_shard, open_shard_folder, open_shard_pattern
from plada_codec.reference.sources.unsupported import check_no_address, explain, explain_empty


class SourceType(NamedTuple):
    """A row of the registry: a type of image source, and how it is opened.

    Attributes:
        name: what the source is, for people.
        open: opens the source at a location, or returns None if it is not of this type. May raise SourceError and
            OSError.
        has_parts: whether `#` may choose a split, or columns.
    """

    name: str
    open: Callable[[Location], ImageSource | None]
    has_parts: bool = False


#: Largest number of suffixes that a warning names.
_NAMED_SUFFIXES = 8
#: The first row that opens a source decides.
SOURCES = (
    SourceType("dataset of save_to_disk", open_saved_dataset, has_parts=True),
    SourceType("set of .parquet files", open_parquet, has_parts=True),
    SourceType(".npz archive", open_npz, has_parts=True),
    SourceType("folder of .tar shards", open_shard_folder),
    SourceType("folder of images", open_folder),
    SourceType(".tar shard", open_shard),
    SourceType("pattern of .tar shards", open_shard_pattern),
)
#: Names of the columns that `#` may choose.
COLUMNS = ("image", "label")


def open_images(source: str | Path) -> ImageSource:
    """Open a source of images. Section 2 of the specification defines its images and their order.

    Args:
        source: a folder of images, a folder of `.tar` shards, one shard, or a pattern of shards in its last component
            (`ref-{000..007}.tar`, `ref-*.tar`). A path that exists is never a pattern.

    Warns:
        FilesPassedOver: if the source has files that do not count as images.

    Raises:
        SourceError: if there is no such source, if it has no images, or if something in it is missing, damaged or
            ambiguous.
    """
    if not str(source):
        raise SourceError("the name of the source of images is empty", rule="source-missing")
    try:
        location = _location(str(source))
        check_no_address(location)
        opened = ((row, row.open(location)) for row in SOURCES)
        row, images = next(((row, images) for row, images in opened if images is not None), (None, None))
    except OSError as error:
        what = f"{error.filename or source} cannot be read ({reason_of(error)})"
        raise SourceError(what, rule="source-unreadable") from error
    if row is None or images is None:
        raise SourceError(f"{location.path} {explain(location)}", rule="source-missing")
    if len(images) and not row.has_parts and (location.split is not None or location.columns):
        raise SourceError(f"{location.path} is a {row.name}: it has no splits or columns", rule="source-part")
    if not len(images):
        others = f", only {_files_passed_over(images)}" if images.passed_over else ""
        instead = explain_empty(location.path) if location.is_folder else ""
        raise SourceError(f"{source} has no images{others}{instead}", rule="source-empty")
    if images.passed_over:
        warnings.warn(f"passed over in {source}: {_files_passed_over(images)}", FilesPassedOver, stacklevel=2)
    return images


def _files_passed_over(images: ImageSource) -> str:
    """The files that do not count as images, by suffix: "4 other files (3 .heic, 1 .txt)"."""
    counts = images.passed_over
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    named = [f"{count} {suffix}" for suffix, count in ranked[:_NAMED_SUFFIXES]]
    more = [f"{sum(count for _, count in ranked[_NAMED_SUFFIXES:])} more"] if len(ranked) > _NAMED_SUFFIXES else []
    total = counts.total()
    return f"{total} other file{'s' * (total > 1)} ({', '.join([*named, *more])})"


def _location(source: str) -> Location:
    """Take a name apart: `PATH`, or `PATH#SPLIT,image=COLUMN,label=COLUMN`. May raise OSError."""
    path = Path(source)
    mode = _mode_of(path)
    before, mark, part = source.rpartition("#")
    if mode or not mark or "/" in part:
        return Location(source, path, mode)
    split, columns = None, {}
    for word in part.split(","):
        key, equals, value = word.partition("=")
        if not equals:
            key, value = "split", word
        if not value or (equals and key not in COLUMNS) or key in columns or (key == "split" and split is not None):
            form = "#SPLIT,image=COLUMN,label=COLUMN"
            raise SourceError(f"#{part} in {source} is not of the form {form}", rule="source-part")
        if equals:
            columns[key] = value
        else:
            split = value
    return Location(source, Path(before), _mode_of(Path(before)), split, columns)


def _mode_of(path: Path) -> int:
    """The mode of a file or folder, 0 if it does not exist. May raise OSError.

    From Python 3.14 on, Path.is_dir() and similar functions return False for a path that cannot be checked.
    """
    try:
        return path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return 0
