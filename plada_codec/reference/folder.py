"""A folder tree of images (spec/reference-digest.md, section 2.1)."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path

from plada_codec.errors import SourceError
from plada_codec.reference.base import NO_LABEL, ImageSource, entries, is_file, is_image


def open_folder(source: str, path: Path, mode: int) -> ImageSource | None:
    """Open a folder tree of images. None if `path` is not a folder."""
    return FolderImages(source) if stat.S_ISDIR(mode) else None


class FolderImages(ImageSource):
    """The images of a folder tree in order."""

    def __init__(self, source: str) -> None:
        super().__init__(source)
        classes: list[str] = []
        for path in images_below(Path(source), "", ()):
            top, nested, _ = path.partition("/")
            if nested and classes[-1:] != [top]:
                classes.append(top)
            self._add(path, len(classes) - 1 if nested else NO_LABEL)
        self.class_names = tuple(classes) or None

    def _read(self, i: int) -> bytes:
        return Path(self.source, self.name(i)).read_bytes()


def images_below(root: Path, folder: str, above: tuple[tuple[int, int], ...]) -> Iterator[str]:
    """Paths of the images below `root/folder`, relative to `root`, in order. `above`: the folders that contain it."""
    here = root / folder
    status = here.stat()
    identity = (status.st_dev, status.st_ino)
    if identity in above:
        raise SourceError(f"folder {here} contains itself", rule="source-loop")
    for entry in entries(here):
        path = f"{folder}/{entry.name}" if folder else entry.name
        if entry.is_dir():
            yield from images_below(root, path, (*above, identity))
        elif is_image(entry.name) and is_file(entry):
            yield path
