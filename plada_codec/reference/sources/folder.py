"""A folder tree of images (spec/reference-digest.md, section 2.1)."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from plada_codec.errors import SourceError
from plada_codec.reference.base import (
    NO_LABEL,
    ImageSource,
    ListedImages,
    Location,
    entries,
    is_file,
    is_ignored,
    is_image,
)

#: Section 2.1. This function calls itself for each folder in a folder.
MAX_DEPTH = 256
#: Section 2.1. Folders with two links to the next folder double the ways to the last with each.
MAX_VISITS = 1000


def open_folder(location: Location) -> ImageSource | None:
    """Open a folder tree of images. None if there is no folder."""
    return FolderImages(location.source, location.path) if location.is_folder else None


class FolderImages(ListedImages):
    """The images of a folder tree in order."""

    def __init__(self, source: str, folder: Path) -> None:
        super().__init__(source)
        self._folder = folder
        classes: list[str] = []
        for path in images_below(folder, self._pass_over):
            top, nested, _ = path.partition("/")
            if nested and classes[-1:] != [top]:
                classes.append(top)
            self._add(path, len(classes) - 1 if nested else NO_LABEL)
        self._class_names = tuple(classes) or None
        with os.scandir(folder) as found:
            folders = {entry.name for entry in found if entry.is_dir() and not is_ignored(entry.name)}
        self.empty_folders = tuple(sorted(folders - set(classes), key=os.fsencode))

    def _read(self, i: int) -> bytes:
        return Path(self._folder, self._name(i)).read_bytes()


def images_below(root: Path, pass_over: Callable[[str], None]) -> Iterator[str]:
    """Yield the paths of the images below `root`, relative to it, in order; `pass_over` gets those of other files."""
    yield from _below(root, "", (), Counter(), pass_over)


def _below(
    root: Path,
    folder: str,
    above: tuple[tuple[int, int], ...],
    visits: Counter[tuple[int, int]],
    pass_over: Callable[[str], None],
) -> Iterator[str]:
    """Do the same for a folder in `root`.

    Args:
        root: the source.
        folder: path of a folder in it; "" for `root` itself.
        above: identities of the folders that contain it.
        visits: how often each folder was visited, by its identity.
        pass_over: is called with the path of each other file.
    """
    here = root / folder
    status = here.stat()
    identity = (status.st_dev, status.st_ino)
    if identity in above:
        raise SourceError(f"folder {here} contains itself", rule="source-loop")
    if len(above) > MAX_DEPTH:
        raise SourceError(f"folder {here} is more than {MAX_DEPTH} folders deep", rule="source-deep")
    visits[identity] += 1
    if visits[identity] > MAX_VISITS:
        raise SourceError(f"links lead to folder {here} in more than {MAX_VISITS} ways", rule="source-loop")
    for entry in entries(here):
        path = f"{folder}/{entry.name}" if folder else entry.name
        if entry.is_dir():
            yield from _below(root, path, (*above, identity), visits, pass_over)
        elif not is_image(entry.name):
            pass_over(path)
        elif is_file(entry):
            yield path
