"""A folder tree of images (spec/reference-digest.md, section 2.1)."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

from plada_codec.errors import SourceError
from plada_codec.reference.base import NO_LABEL, ImageSource, entries, is_file, is_ignored, is_image


def open_folder(source: str, path: Path, mode: int) -> ImageSource | None:
    """Open a folder tree of images. None if `path` is not a folder."""
    return FolderImages(source) if stat.S_ISDIR(mode) else None


class FolderImages(ImageSource):
    """The images of a folder tree in order."""

    def __init__(self, source: str) -> None:
        super().__init__(source)
        classes: list[str] = []
        root = Path(source)
        for path in images_below(root, "", (), self._pass_over):
            top, nested, _ = path.partition("/")
            if nested and classes[-1:] != [top]:
                classes.append(top)
            self._add(path, len(classes) - 1 if nested else NO_LABEL)
        self.class_names = tuple(classes) or None
        with os.scandir(root) as found:
            folders = {entry.name for entry in found if entry.is_dir() and not is_ignored(entry.name)}
        self.empty_folders = tuple(sorted(folders - set(classes), key=os.fsencode))

    def _read(self, i: int) -> bytes:
        return Path(self.source, self.name(i)).read_bytes()


def images_below(
    root: Path, folder: str, above: tuple[tuple[int, int], ...], pass_over: Callable[[str], None]
) -> Iterator[str]:
    """Yield the paths of the images below `root/folder`, relative to `root`, in order.

    Args:
        root: the source.
        folder: path of a folder in it; "" for `root` itself.
        above: identities of the folders that contain it.
        pass_over: is called with the path of each other file.
    """
    here = root / folder
    status = here.stat()
    identity = (status.st_dev, status.st_ino)
    if identity in above:
        raise SourceError(f"folder {here} contains itself", rule="source-loop")
    for entry in entries(here):
        path = f"{folder}/{entry.name}" if folder else entry.name
        if entry.is_dir():
            yield from images_below(root, path, (*above, identity), pass_over)
        elif not is_image(entry.name):
            pass_over(path)
        elif is_file(entry):
            yield path
