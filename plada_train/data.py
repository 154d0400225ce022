"""Images of a source, by number, as batches of tensors; the target task's images with their labels.

Every image is asked for by its number, and one that cannot be decoded ends the work with an error that names it, from
a loader's worker process too.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset

from plada_codec.errors import PladaError
from plada_codec.reference import NO_LABEL, ImageSource, open_images
from plada_train.errors import BadInput

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: From an RGB picture to a float32 tensor [3, H, W].
Transform = Callable[[Image.Image], torch.Tensor]
#: float32 [B, 3, H, W] and int64 [B].
Batch = tuple[torch.Tensor, torch.Tensor]


@dataclass(frozen=True)
class LabelledImages:
    """What a classifier learns from or is tested on: images of a source, and the class of each.

    Attributes:
        images: the source.
        numbers: int64 [n], which of its images.
        labels: int64 [n], one for each, 0 <= label < num_classes.
        num_classes: number of classes C.
        class_names: their names, where they are known.
    """

    images: ImageSource
    numbers: NDArray[np.int64]
    labels: NDArray[np.int64]
    num_classes: int
    class_names: tuple[str, ...] | None


def open_training_images(source: str | Path) -> LabelledImages:
    """The target's images that the teacher learns from; they define the classes.

    Raises:
        BadSource: as `open_images`.
        BadInput: if an image has no label, or if all have the same.
    """
    images, labels = _labelled(source)
    names = images.class_names
    num_classes = len(names) if names else int(labels.max()) + 1
    _check_range(images, labels, num_classes)
    if len(np.unique(labels)) < 2:
        raise BadInput(f"all images of {images.source} are of one class: there is nothing to learn", rule="target")
    return LabelledImages(images, np.arange(len(images)), labels, num_classes, names)


def open_test_images(source: str | Path, num_classes: int, class_names: tuple[str, ...] | None) -> LabelledImages:
    """The target's images that accuracy is measured on. Where names are known on both sides, labels follow the names.

    Raises:
        BadSource: as `open_images`.
        BadInput: if an image has no label, or a class that the task has not.
    """
    images, labels = _labelled(source)
    names = images.class_names
    if names and class_names:
        number = {name: label for label, name in enumerate(class_names)}
        if unknown := [name for name in names if name not in number]:
            raise BadInput(f"{images.source} has a class {unknown[0]!r} that the task has not", rule="target")
        labels = np.array([number[name] for name in names], dtype=np.int64)[_check_range(images, labels, len(names))]
    elif names and len(names) != num_classes:
        raise BadInput(f"{images.source} has {len(names)} classes, but the task has {num_classes}", rule="target")
    _check_range(images, labels, num_classes)
    return LabelledImages(images, np.arange(len(images)), labels, num_classes, class_names or names)


def _labelled(source: str | Path) -> tuple[ImageSource, NDArray[np.int64]]:
    images = open_images(source)
    labels = images.labels.astype(np.int64)
    if (labels == NO_LABEL).any():
        raise images.bad_image(int(np.argmax(labels == NO_LABEL)), "has no label", "target")
    return images, labels


def _check_range(images: ImageSource, labels: NDArray[np.int64], num_classes: int) -> NDArray[np.int64]:
    if (labels >= num_classes).any():
        i = int(np.argmax(labels >= num_classes))
        raise images.bad_image(i, f"has label {labels[i]}, but there are {num_classes} classes", "target")
    return labels


def picture(images: ImageSource, i: int) -> Image.Image:
    """Image `i`, decoded to RGB. Raises BadSource if it cannot be."""
    data = images.read(i)
    try:
        with Image.open(io.BytesIO(data)) as image:
            return image.convert("RGB")
    except Exception as error:  # on damaged files, decoders raise whatever they run into
        raise images.bad_image(i, "is not an image that can be decoded", "image-unreadable") from error


class ImageBatches:
    """Batches of the images `numbers` of a source, with their labels; can be gone through again and again.

    Args:
        images: the source.
        numbers: int64 [n], which images.
        labels: int64 [n], or None where they do not matter (zeros).
        transform: from picture to tensor.
        batch_size: images in a batch; the last may have fewer.
        shuffle_seed: if given, another order each time, and no last batch of fewer images.
        workers: processes that decode; 0: this one.
    """

    def __init__(
        self,
        images: ImageSource,
        numbers: NDArray[np.int64],
        labels: NDArray[np.int64] | None,
        transform: Transform,
        batch_size: int,
        shuffle_seed: int | None = None,
        workers: int = 0,
    ) -> None:
        shuffle = shuffle_seed is not None
        self._loader: DataLoader[Any] = DataLoader(
            _Pictures(images, numbers, labels, transform),
            batch_size=batch_size,
            shuffle=shuffle,
            generator=torch.Generator().manual_seed(shuffle_seed or 0),
            drop_last=shuffle and len(numbers) >= batch_size,
            num_workers=workers,
            collate_fn=_collate,
        )

    def __len__(self) -> int:
        return len(self._loader)

    def __iter__(self) -> Iterator[Batch]:
        for batch in self._loader:
            if isinstance(batch, PladaError):
                raise batch
            yield batch


class _Pictures(Dataset[tuple[torch.Tensor, int] | PladaError]):
    """Errors are items: raised in a worker, they would arrive as another error, with its traceback as message."""

    def __init__(
        self,
        images: ImageSource,
        numbers: NDArray[np.int64],
        labels: NDArray[np.int64] | None,
        transform: Transform,
    ) -> None:
        self.images = images
        self.numbers = numbers
        self.labels = labels
        self.transform = transform

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, item: int) -> tuple[torch.Tensor, int] | PladaError:
        try:
            pixels = self.transform(picture(self.images, int(self.numbers[item])))
        except PladaError as error:
            return error
        return pixels, 0 if self.labels is None else int(self.labels[item])


def _collate(items: list[tuple[torch.Tensor, int] | PladaError]) -> Batch | PladaError:
    pixels, labels = [], []
    for item in items:
        if isinstance(item, PladaError):
            return item
        pixels.append(item[0])
        labels.append(item[1])
    return torch.stack(pixels), torch.tensor(labels)
