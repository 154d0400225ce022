r"""Numbers of images by their names: for tables that name images by files, not by numbers.

    image_numbers(open_images("ref"), ["cat/0007.jpg", "0008"])   # int64 [2]

A name of an image is its path in the source, or that path without its suffix (the key of a WebDataset shard), or the
end of one of these, from a "/" on. Each name must fit one image only, but a whole path decides before an end. Names are
compared after NFC. If no image has a name, it is looked for once more without the folder of the source in front, and
with "/" for each "\".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from plada_codec.errors import FileError
from plada_codec.reference.base import ImageSource
from plada_codec.tables.names import encoding_hint, normalised

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: In place of the number of a name that no image has, or that several have.
_UNKNOWN, _AMBIGUOUS = -1, -2
#: Names by rank: whole paths, whole paths without their suffix, ends of these.
_RANKS = range(3)
#: Names of the source in memory at a time.
_BLOCK_IMAGES = 1 << 16


def _row(row: int) -> str:
    return f"row {row + 1}"


def image_numbers(
    images: ImageSource, names: Sequence[str] | NDArray[np.int64], place: Callable[[int], str] = _row
) -> NDArray[np.int64]:
    """The number of the image of each name: int64 [len(names)].

    It takes a few passes over the names of the source, whatever their number and order, and holds none of them.

    Args:
        images: the source.
        names: names of images. Numbers of images come back, if they cannot be the names of other images.
        place: the place of a name (from 0) in its file, for messages, such as "line 7".

    Raises:
        FileError: (rule image-name) if no image has one of the names, or several have it; or if all numbers are names,
            such as 139 where "000139.jpg" is not image 139.
    """
    if isinstance(names, np.ndarray):
        _check_are_no_names(images, names, place)
        return names
    numbers = _looked_up(images, [normalised(name) for name in names])
    missing = np.flatnonzero(numbers == _UNKNOWN)
    if len(missing):
        folders = [normalised(folder) + "/" for folder in (images.source, str(Path(images.source).absolute()))]
        others = [_without_folder(normalised(names[at].replace("\\", "/")), folders) for at in missing.tolist()]
        numbers[missing] = _looked_up(images, others)
    bad = np.flatnonzero(numbers < 0)
    if len(bad):
        at = int(bad[0])
        more = f" ({len(bad) - 1:,} more names like this)" if len(bad) > 1 else ""
        raise FileError(f"{place(at)}: {_fault(images, names[at])}{more}", rule="image-name")
    return numbers


def _check_are_no_names(images: ImageSource, numbers: NDArray[np.int64], place: Callable[[int], str]) -> None:
    """Refuse numbers that may be the names of other images."""
    digits = (_digits(images.name(i)) for i in range(len(images)))
    values = np.fromiter(digits, np.int64, len(images))
    moved = np.flatnonzero((values >= 0) & (values != np.arange(len(images))))
    is_other = np.isin(numbers, values[moved])
    if is_other.any() and np.isin(numbers, values).all():
        at = int(np.argmax(is_other))
        other = int(moved[np.argmax(values[moved] == numbers[at])])
        raise FileError(
            f"{place(at)}: {numbers[at]} may be the number of an image, or the name of image {other}, "
            f"{images.name(other)}: write names with their suffix, or give N and the digest in place of the images",
            rule="image-name",
        )


def _digits(path: str) -> int:
    """The number that an image is named by: its key, if that is digits; else -1."""
    key = path.rpartition("/")[2].partition(".")[0]
    return int(key) if key.isascii() and key.isdigit() and len(key) < 19 else -1


def _without_folder(name: str, folders: Sequence[str]) -> str:
    name = name.removeprefix("./")
    return next((name.removeprefix(folder) for folder in folders if name.startswith(folder)), name)


def _looked_up(images: ImageSource, names: Sequence[str]) -> NDArray[np.int64]:
    """The number of each name, or _UNKNOWN or _AMBIGUOUS."""
    slots: dict[str | None, int] = dict(zip(names, range(len(names)), strict=True))  # of equal names, the last one
    depths = sorted({name.count("/") for name in names})
    found = np.full(len(names), _UNKNOWN)
    for rank in _RANKS:
        numbers = np.full(len(names), _UNKNOWN)
        times = np.zeros(len(names), np.int32)
        for begin in range(0, len(images), _BLOCK_IMAGES):
            paths = list(map(normalised, images.names(begin, min(begin + _BLOCK_IMAGES, len(images)))))
            for forms in _forms(paths, rank, depths):
                slot = np.array([slots.get(form, -1) for form in forms])
                hits = np.flatnonzero(slot >= 0)
                numbers[slot[hits]] = begin + hits
                np.add.at(times, slot[hits], 1)
        numbers[times > 1] = _AMBIGUOUS
        np.copyto(found, numbers, where=found == _UNKNOWN)
        if (found != _UNKNOWN).sum() == len(slots):
            break
    return found if len(slots) == len(names) else found[[slots[name] for name in names]]


def _forms(paths: list[str], rank: int, depths: Sequence[int]) -> Iterator[list[str | None]]:
    """The names of images in a rank: in each list, one for each path, or None.

    An image has no name twice in a rank, but an end that is the whole: that has a better rank.

    Args:
        paths: paths of the images.
        rank: 0 whole paths, 1 whole paths without their suffix, 2 ends of both.
        depths: the numbers of slashes that ends may have.
    """
    wholes: list[list[str | None]] = [[*paths]]
    if rank == 0:
        yield from wholes
        return
    stems = [_without_suffix(path) for path in paths]
    wholes.append(stems)
    if any(stem is not None and "." in stem for stem in stems):
        # The key of a shard's image ends at the first dot of the last part
        wholes.append([None if stem is None else _without_suffix(stem, first=True) for stem in stems])
    if rank == 1:
        yield from wholes[1:]
        return
    for whole in wholes:
        for depth in depths:
            yield [None if each is None else _end(each, depth) for each in whole]


def _end(path: str, depth: int) -> str:
    """The end of a path with so many slashes; the whole path if it has fewer."""
    return path[path.rfind("/") + 1 :] if depth == 0 else "/".join(path.rsplit("/", depth + 1)[-depth - 1 :])


def _without_suffix(path: str, *, first: bool = False) -> str | None:
    """The path up to the last (or first) dot of its last part; None if nothing is left of that part, or it has none."""
    start = path.rfind("/") + 1
    dot = path.find(".", start + 1) if first else path.rfind(".", start + 1)
    return None if dot < 0 else path[:dot]


def _fault(images: ImageSource, name: str) -> str:
    """The sentence about a name that no image has, or several have."""
    wanted, depth = normalised(name), name.count("/")
    for rank in _RANKS:
        fits = [
            i
            for i in range(len(images))
            if any(wanted in forms for forms in _forms([normalised(images.name(i))], rank, [depth]))
        ]
        if len(fits) > 1:
            first, second = (f"image {i}, {images.name(i)}," for i in fits[:2])
            return f"{name!r} may be {first} or {second} of {images.source}: give more of its path"
    return (
        f"no image of {images.source} is named {name!r}: 'plada reference list' prints their names{encoding_hint(name)}"
    )
