"""Labelled images, and batches of tensors to train a classifier on.

An image that cannot be decoded ends the work with an error that names it, even in a worker process. A batch depends
only on the seed and its number: so training can continue at any batch, with any number of worker processes.
"""

from __future__ import annotations

import hashlib
import random
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from plada_codec.errors import FilesPassedOver, InputError, InvalidPayload, PladaError
from plada_codec.limits import MAX_CLASSES
from plada_codec.reference import IMAGE_SUFFIXES, NO_LABEL, ImageSource, decode_image, open_images
from plada_codec.sections.class_names import checked_class_names
from plada_train import distributed
from plada_train.data.classes import Classes, matched_labels

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL import Image

#: Maps an RGB image to a float32 tensor [3, H, W].
Transform = Callable[["Image.Image"], torch.Tensor]
#: Names of folders that hold a part of a target, and not a class. Compared with the lower-case name.
SPLITS = frozenset({"train", "training", "val", "valid", "validation", "test", "testing", "dev", "eval"})
#: Purposes of random numbers: the first part of the key of their seed.
ORDER, AUGMENTATION, STEP = range(3)


class Batch(NamedTuple):
    """The images of one training step.

    Attributes:
        inputs: float32 [B, 3, H, W], images, or [B, F], features.
        labels: int64 [B].
        weights: float32 [B], importance weights, or None: all equal.
    """

    inputs: torch.Tensor
    labels: torch.Tensor
    weights: torch.Tensor | None


@dataclass(frozen=True)
class LabelledImages:
    """Images of a source and the class of each, to train a classifier on or to test it.

    Attributes:
        images: the source.
        numbers: int64 [n], numbers of images in the source.
        labels: int64 [n], the class of each image, 0 <= label < num_classes.
        num_classes: number of classes C.
        class_names: names of the classes, if known.
        weights: float64 [n], importance weight of each image, mean 1 (paper, D.4.2), or None: all equal.
        concentrations: float64 [U, C], parameters of a Dirichlet distribution of soft labels for each of the U
            classes among `labels`, ascending (paper, D.3.2); None if not known.
    """

    images: ImageSource
    numbers: NDArray[np.int64]
    labels: NDArray[np.int64]
    num_classes: int
    class_names: tuple[str, ...] | None
    weights: NDArray[np.float64] | None = None
    concentrations: NDArray[np.float64] | None = None

    def missing_classes(self) -> list[str]:
        """Names (or numbers, if there are no names) of the classes without an image."""
        missing = np.flatnonzero(np.bincount(self.labels, minlength=self.num_classes) == 0)
        return [self.class_name(int(c)) for c in missing]

    def class_name(self, c: int) -> str:
        """Name of class `c`, or its number if there are no names."""
        return self.class_names[c] if self.class_names else str(c)

    def accuracy(self, predicted: NDArray[np.int64]) -> float:
        """Share of the images whose `predicted` class [n] is their label."""
        return float(np.mean(predicted == self.labels))

    def confusion(self, predicted: NDArray[np.int64]) -> NDArray[np.int64]:
        """Number of images for each label (row) and `predicted` class (column): int64 [C, C]."""
        cells = np.bincount(self.labels * self.num_classes + predicted, minlength=self.num_classes**2)
        return cells.reshape(self.num_classes, self.num_classes)


def open_training_images(source: str | Path) -> LabelledImages:
    """Open the target's images that the teacher learns from; they define the classes.

    Raises:
        SourceError: as `open_images`.
        InputError: if an image has no label, or if all have the same label.
    """
    images, labels = _labelled(source)
    names = images.class_names
    num_classes = len(names) if names else int(labels.max()) + 1
    _check_range(images, labels, num_classes)
    if len(np.unique(labels)) < 2:
        raise InputError(f"all images of {images.source} are of one class: there is nothing to learn", rule="target")
    if num_classes > MAX_CLASSES:
        what = f"{images.source} has {num_classes} classes, but a payload has at most {MAX_CLASSES}"
        raise InputError(what, rule="target")
    return LabelledImages(images, np.arange(len(images)), labels, num_classes, names)


def open_test_images(
    source: str | Path, num_classes: int, class_names: tuple[str, ...] | None, class_check: bytes = b""
) -> LabelledImages:
    """Open the target's images on which accuracy is measured. Labels become those of the task: see `matched_labels`.

    Args:
        source: the images.
        num_classes: number of classes C of the task.
        class_names: their names, if known.
        class_check: their class check, if the names are not known (format specification, section 3.4).

    Raises:
        SourceError: as `open_images`.
        InputError: if an image has no label, or a class that the task does not have, if the classes are named on one
            side only, or if the names contradict the check.
    """
    images, labels = _labelled(source)
    names = images.class_names
    task = Classes(num_classes, class_names, class_check)
    try:
        matched = matched_labels(names, task)
    except InputError as error:
        raise InputError(f"{images.source}: {error.args[0]}", rule=error.rule) from None
    _check_range(images, labels, len(matched))
    if names is None and (matched[labels] < 0).any():
        i = int(np.argmax(matched[labels] < 0))
        raise images.bad_image(i, f"has label {labels[i]}, but the task has no class of this name", "target")
    return LabelledImages(images, np.arange(len(images)), matched[labels], num_classes, task.known_names(names))


def split_held_out(data: LabelledImages, share: float, seed: int = 0) -> tuple[LabelledImages, LabelledImages]:
    """Split a target's images at random into training images and held-out images.

    Of the n_c images of each class, round(share n_c) are held out, but at least one and not all. Equal arguments give
    an equal split.

    Raises:
        InputError: if a class has a single image, or if `share` is not between 0 and 1.
    """
    if not 0 < share < 1:
        raise InputError(f"the held-out share {share} is not between 0 and 1", rule="held-out")
    counts = np.bincount(data.labels, minlength=data.num_classes)
    if (counts == 1).any():
        what = f"class {data.class_name(int(np.argmax(counts == 1)))} of {data.images.source} has only one image"
        raise InputError(f"{what}: it cannot be both a training image and held out", rule="held-out")
    order = np.random.default_rng(seed).permutation(len(data.labels))
    order = order[np.argsort(data.labels[order], kind="stable")]
    rank_in_class = np.arange(len(order)) - np.repeat(np.cumsum(counts) - counts, counts)
    quotas = np.clip(np.round(share * counts), 1, counts - 1)
    is_held_out = np.empty(len(order), bool)
    is_held_out[order] = rank_in_class < quotas[data.labels[order]]
    return _part(data, ~is_held_out), _part(data, is_held_out)


def _part(data: LabelledImages, chosen: NDArray[np.bool_]) -> LabelledImages:
    return LabelledImages(data.images, data.numbers[chosen], data.labels[chosen], data.num_classes, data.class_names)


def check_unseen(held_out: LabelledImages, train: LabelledImages) -> None:
    """Raise InputError if `train` holds the same bytes as an image of `held_out`. Reads all images."""
    learnt = {_digest(train, number) for number in train.numbers}
    for number in held_out.numbers:
        if _digest(held_out, number) in learnt:
            what = f"image {number} of {held_out.images.source}, {held_out.images.name(int(number))}, is held out"
            raise InputError(f"{what}, but also in {train.images.source}: hold out other images", rule="held-out")


def _digest(data: LabelledImages, number: np.int64) -> bytes:
    return hashlib.sha256(data.images.read(int(number))).digest()


def _labelled(source: str | Path) -> tuple[ImageSource, NDArray[np.int64]]:
    images = open_images(source)
    if images.empty_folders:
        what = f"folder {images.empty_folders[0]!r} of {images.source} has no image, so it is no class"
        raise InputError(f"{what}: add images ({' '.join(IMAGE_SUFFIXES)}), or remove it", rule="target")
    labels = images.labels.astype(np.int64)
    if (labels == NO_LABEL).any():
        cure = "put it into a folder of its class, a .cls member into its shard, or a number into its table"
        raise images.bad_image(int(np.argmax(labels == NO_LABEL)), f"has no label: {cure}", "target")
    if images.class_names is not None:
        try:
            checked_class_names(images.class_names)
        except InvalidPayload as error:
            raise InputError(f"{images.source}: {error.args[0]}", rule="target") from None
        _check_range(images, labels, len(images.class_names))
    if images.class_names and all(name.lower() in SPLITS for name in images.class_names):
        what = f"the classes of {images.source} are {', '.join(images.class_names)}, which look like splits"
        one = Path(images.source, images.class_names[-1])
        warnings.warn(f"{what}: to take one of them, name its folder, such as {one}", FilesPassedOver, stacklevel=3)
    return images, labels


def _check_range(images: ImageSource, labels: NDArray[np.int64], num_classes: int) -> NDArray[np.int64]:
    if (labels >= num_classes).any():
        i = int(np.argmax(labels >= num_classes))
        raise images.bad_image(i, f"has label {labels[i]}, but there are {num_classes} classes", "target")
    return labels


def shuffled_batches(
    count: int, batch_size: int, seed: int, start: int, stop: int
) -> Iterator[tuple[int, NDArray[np.int64]]]:
    """Yield batches `start` to `stop` - 1 of a training: the epoch, and the items for this process, int64 [B].

    Each epoch has another order, and drops an incomplete last batch. If there are fewer items than in a batch, they
    make one batch.

    Args:
        count: number of items.
        batch_size: items in a batch, of all processes together.
        seed: seed of the orders.
        start: number of the first batch; batches are numbered through all epochs.
        stop: number of the batch after the last.
    """
    per_epoch = batches_per_epoch(count, batch_size)
    order = np.empty(0, np.int64)
    for number in range(start, stop):
        epoch, place = divmod(number, per_epoch)
        if number == start or place == 0:
            order = np.random.default_rng((ORDER, seed, epoch)).permutation(count)
        yield epoch, distributed.part(order[place * batch_size :][:batch_size])


def batches_per_epoch(count: int, batch_size: int) -> int:
    """Number of batches in an epoch of `shuffled_batches`."""
    return max(1, count // batch_size)


def reseed(*key: int) -> None:
    """Seed all random generators that transforms and models use, from natural numbers."""
    # Four times as fast as numpy's SeedSequence: this is done for every image
    seed = int.from_bytes(hashlib.sha256(repr(key).encode()).digest()[:8], "little")
    random.seed(seed)
    # torch.manual_seed visits every kind of device, which takes longer than decoding several images
    torch.default_generator.manual_seed(seed)
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        torch.cuda.manual_seed_all(seed)


class FeatureBatches:
    """Batches of features in memory (see `training.loop.Batches`).

    Args:
        features: float32 [n, F].
        labels: int64 [n].
        batch_size: images in a batch.
        seed: seed of the order.
        weights: float64 [n], importance weights, or None.
    """

    def __init__(
        self,
        features: NDArray[np.float32],
        labels: NDArray[np.int64],
        batch_size: int,
        seed: int,
        weights: NDArray[np.float64] | None = None,
    ) -> None:
        self._features = torch.from_numpy(features)
        self._labels = torch.from_numpy(labels)
        self._weights = _float32(weights)
        self._plan = (len(features), batch_size, seed)

    def __len__(self) -> int:
        return batches_per_epoch(*self._plan[:2])

    def iterate(self, start: int, stop: int) -> Iterator[Batch]:
        for _, items in shuffled_batches(*self._plan, start, stop):
            chosen = torch.from_numpy(items)
            weights = None if self._weights is None else self._weights[chosen]
            yield Batch(self._features[chosen], self._labels[chosen], weights)


class ImageBatches:
    """Batches of images, decoded when they are needed (see `training.loop.Batches`).

    The random numbers of the transform are a function of seed, epoch and image.

    Args:
        data: the images.
        transform: maps an image to a tensor.
        batch_size: images in a batch.
        seed: seed of the order and the transform.
        workers: number of processes that decode; 0: this process decodes.
    """

    def __init__(
        self, data: LabelledImages, transform: Transform, batch_size: int, seed: int, workers: int = 0
    ) -> None:
        self._pictures = _Pictures(data, transform, seed)
        self._labels = torch.from_numpy(data.labels)
        self._weights = _float32(data.weights)
        self._plan = (len(data.labels), batch_size, seed)
        self._workers = workers

    def __len__(self) -> int:
        return batches_per_epoch(*self._plan[:2])

    def iterate(self, start: int, stop: int) -> Iterator[Batch]:
        """Decode and yield batches. Raises SourceError if an image cannot be read or decoded."""
        plan = shuffled_batches(*self._plan, start, stop)
        loader: DataLoader[Any] = DataLoader(
            self._pictures,
            batch_sampler=([(epoch, int(item)) for item in items] for epoch, items in plan),
            num_workers=self._workers,
            collate_fn=_collate,
        )
        for batch in loader:
            if isinstance(batch, PladaError):
                raise batch
            items, pixels = batch
            yield Batch(pixels, self._labels[items], None if self._weights is None else self._weights[items])


def _float32(weights: NDArray[np.float64] | None) -> torch.Tensor | None:
    return None if weights is None else torch.from_numpy(weights.astype(np.float32))


class _Pictures(Dataset[tuple[int, torch.Tensor] | PladaError]):
    """Images by epoch and item. Errors are returned as items: raised in a worker, they would change their class."""

    def __init__(self, data: LabelledImages, transform: Transform, seed: int) -> None:
        self._images = data.images
        self._numbers = data.numbers
        self._transform = transform
        self._seed = seed

    def __getitem__(self, place: tuple[int, int]) -> tuple[int, torch.Tensor] | PladaError:
        epoch, item = place
        try:
            image = decode_image(self._images, int(self._numbers[item]))
        except PladaError as error:
            return error
        reseed(AUGMENTATION, self._seed, epoch, item)
        return item, self._transform(image)


def _collate(items: list[tuple[int, torch.Tensor] | PladaError]) -> tuple[list[int], torch.Tensor] | PladaError:
    numbers, pixels = [], []
    for item in items:
        if isinstance(item, PladaError):
            return item
        numbers.append(item[0])
        pixels.append(item[1])
    return numbers, torch.stack(pixels)
