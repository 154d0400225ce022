"""Datasets in Python as sources of images: torchvision's, Hugging Face's, or a list of pairs (section 2.5).

images = from_dataset(torchvision.datasets.CIFAR10("data"))
images = from_dataset(datasets.load_dataset("cifar10", split="train"))
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from plada_codec.errors import InvalidArgument, SourceError, first_line
from plada_codec.limits import MAX_CLASSES
from plada_codec.reference.base import NO_LABEL, ImageSource
from plada_codec.reference.image_tables.table import TableImages, choose_columns
from plada_codec.reference.sources.pnm import pnm

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

#: Rows of a Hugging Face dataset that are read at a time.
_ROWS = 64
#: Modes of Pillow's images that are taken as they are.
_MODES = ("1", "L", "RGB")


def from_dataset(
    dataset: Any,
    name: str = "the dataset",
    *,
    image: str | None = None,
    label: str | None = None,
    class_names: Sequence[str] | None = None,
) -> ImageSource:
    """Make a source of images from a dataset in memory or on a disk.

    Args:
        dataset: a map-style dataset: `len(dataset)`, and `dataset[i]` for 0 <= i < N gives a pair (image, label), a
            dict with both, or an image. An image is one of Pillow's (mode RGB, L or 1), an array (uint8 [H, W] or
            [H, W, 3]), or the bytes of an image file. Pixels become the bytes of a PNM file; a Hugging Face
            dataset gives the bytes that it stores, so that it has the digest of its parquet files.
        name: name of the dataset, for messages.
        image: key of the images in a dict. Default: `image`; in a Hugging Face dataset, its column of images.
        label: key of the labels in a dict. Default: `label`; in a Hugging Face dataset, its column of classes.
        class_names: names of the classes. Default: those that the dataset has as `classes` or in its features.

    Returns:
        The source. It can be pickled if the dataset can.

    Raises:
        InvalidArgument: if the dataset has no length, or is a dict of splits.
        SourceError: if it has no images.
    """
    names = None if class_names is None else tuple(class_names)
    if isinstance(dataset, Mapping):
        raise InvalidArgument(f"{name} is a dict of {', '.join(map(repr, dataset))}: give one of them", rule="dataset")
    try:
        size = len(dataset)
    except TypeError:
        what = f"{name} ({type(dataset).__name__}) has no length: give a dataset whose items have numbers"
        raise InvalidArgument(what, rule="dataset") from None
    if not size:
        raise SourceError(f"{name} has no images", rule="source-empty")
    if hasattr(dataset, "with_format") and hasattr(dataset, "features"):
        chosen = {key: value for key, value in (("image", image), ("label", label)) if value is not None}
        return _HuggingFaceImages(dataset, name, chosen, names)
    return _DatasetImages(dataset, name, _Keys(image or "image", label or "label"), names)


class _Keys(NamedTuple):
    """Keys of an item that is a dict."""

    image: str
    label: str


class _DatasetImages(ImageSource):
    """The items of a map-style dataset."""

    def __init__(self, dataset: Any, name: str, keys: _Keys, class_names: tuple[str, ...] | None) -> None:
        super().__init__(name)
        self._dataset = dataset
        self._size = len(dataset)
        self._keys = keys
        self._class_names = class_names or _names(getattr(dataset, "classes", None))

    def __len__(self) -> int:
        return self._size

    @property
    def labels(self) -> NDArray[np.int32]:
        """Class number of each image; every item is read."""
        import numpy as np

        return np.fromiter((self._label(i) for i in range(len(self))), np.int32, len(self))

    @property
    def class_names(self) -> tuple[str, ...] | None:
        return self._class_names

    def _name(self, i: int) -> str:
        return f"item {i}"

    def _read(self, i: int) -> bytes:
        item = self._item(i)
        if isinstance(item, Mapping):
            if self._keys.image not in item:
                what = f"has no {self._keys.image!r}: it has {', '.join(map(repr, item))}"
                raise self.bad_image(i, what, "image-unreadable")
            item = item[self._keys.image]
        elif isinstance(item, tuple | list) and item:
            item = item[0]
        try:
            return _bytes_of(item)
        except ValueError as error:
            raise self.bad_image(i, str(error), "image-unreadable") from error

    def _item(self, i: int) -> Any:
        try:
            return self._dataset[i]
        except Exception as error:  # datasets of others raise all kinds of errors
            raise self.bad_image(i, f"cannot be read ({first_line(error)})", "image-unreadable") from error

    def _label(self, i: int) -> int:
        item = self._item(i)
        label: Any = None
        if isinstance(item, Mapping):
            label = item.get(self._keys.label)
        elif isinstance(item, tuple | list) and len(item) > 1:
            label = item[1]
        if label is None:
            return NO_LABEL
        try:
            number = label.__index__() if hasattr(label, "__index__") else None
        except TypeError:
            number = None
        if number is None or isinstance(label, bool) or not NO_LABEL <= number < MAX_CLASSES:
            raise self.bad_label(i, label)
        return int(number)


class _HuggingFaceImages(TableImages):
    """The rows of a dataset of Hugging Face, as they are stored."""

    def __init__(self, dataset: Any, name: str, chosen: Mapping[str, str], class_names: tuple[str, ...] | None) -> None:
        self._dataset = dataset.with_format("arrow")
        columns = choose_columns(self._dataset[:1].schema, chosen, name)
        super().__init__(
            name, columns._replace(class_names=class_names or columns.class_names), [Path(name)], [len(dataset)]
        )

    def _read_block(self, table: int, row: int, leaf: str) -> tuple[int, Any]:
        first = row - row % _ROWS
        return first, self._column(first, first + _ROWS, self._columns.image)

    def _label_columns(self, table: int) -> Iterator[Any]:
        dataset = self._dataset.select_columns([self._columns.label])
        for first in range(0, len(self), _ROWS * _ROWS):
            yield dataset[first : first + _ROWS * _ROWS].column(0).combine_chunks()

    def _column(self, first: int, stop: int, name: str) -> Any:
        return self._dataset[first:stop].column(name).combine_chunks()


def _names(classes: Any) -> tuple[str, ...] | None:
    """The class names of a dataset of torchvision: a list of names."""
    if not isinstance(classes, list | tuple) or not all(isinstance(name, str) for name in classes):
        return None
    return tuple(classes) or None


def _bytes_of(image: Any) -> bytes:
    """The bytes of an image. Raises ValueError, which says why it has none."""
    if isinstance(image, bytes | bytearray | memoryview):
        return bytes(image)
    if isinstance(image, Mapping) and isinstance(image.get("bytes"), bytes):
        return bytes(image["bytes"])
    import numpy as np

    if hasattr(image, "mode") and hasattr(image, "convert"):
        if image.mode not in _MODES or "transparency" in image.info:
            kind = f"of mode {image.mode}" if image.mode not in _MODES else "with transparent pixels"
            raise ValueError(f"is an image {kind}: convert it to RGB first, or give the bytes of its file")
        pixels = np.asarray(image.convert("L") if image.mode == "1" else image)
    else:
        pixels = np.asarray(image)
    return pnm(pixels)
