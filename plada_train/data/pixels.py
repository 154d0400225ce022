"""Decode images to pixels in memory, and make batches of them for training.

At 32 or 64 pixels a small network trains faster than JPEG files can be decoded. Decoded once, a reference set of
40,000 images at 32 pixels is 123 MB.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from PIL import Image

from plada_codec.progress import Progress
from plada_codec.reference import ImageSource, decode_image
from plada_train.data.labelled import AUGMENTATION, ORDER, Batch

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Makes a model's input from rows of an array, with a generator of random numbers.
Prepare = Callable[["NDArray[Any]", np.random.Generator], torch.Tensor]
#: Augmentation moves images by at most an eighth of their side; the empty border mirrors the image.
SHIFT = 8
#: Mean and standard deviation of each channel, on a scale of 0 .. 1.
MEAN = STD = 0.5


def decode_images(
    images: ImageSource, image_size: int, progress: Progress, numbers: NDArray[np.int64] | None = None
) -> NDArray[np.uint8]:
    """Decode the images of a source (or those with these `numbers`), scaled (bicubic) to squares: uint8 [n, S, S, 3].

    Raises:
        SourceError: if an image cannot be read or decoded.
    """
    numbers = np.arange(len(images)) if numbers is None else numbers
    pixels = np.empty((len(numbers), image_size, image_size, 3), np.uint8)
    for row, i in enumerate(numbers.tolist()):
        pixels[row] = decode_square(images, i, image_size)
        progress(row + 1, len(numbers))
    return pixels


def decode_square(images: ImageSource, i: int, image_size: int) -> NDArray[np.uint8]:
    """Decode image `i`, scaled (bicubic) to a square: uint8 [S, S, 3]. Raises SourceError if that fails."""
    return np.asarray(decode_image(images, i).resize((image_size, image_size), Image.Resampling.BICUBIC))


def central_square(image: Image.Image, side: int, interpolation: str) -> Image.Image:
    """Scale an image so that its shorter side has `side` pixels, and crop the central square.

    Only the pixels of the square are computed, so the memory does not depend on the longer side.

    Args:
        image: the image, W x H pixels.
        side: side of the square, in pixels.
        interpolation: name of a filter of Pillow, in lower case.
    """
    width, height = image.size
    columns, rows = (side * length // min(image.size) for length in image.size)
    left, top = (round((length - side) / 2) for length in (columns, rows))
    # The square in the coordinates of the image
    across, down = width / columns, height / rows
    box = (left * across, top * down, min((left + side) * across, width), min((top + side) * down, height))
    return image.resize((side, side), Image.Resampling[interpolation.upper()], box)


def normalise(pixels: NDArray[np.uint8]) -> torch.Tensor:
    """Convert pixels, uint8 [B, S, S, 3], to a model's input, float32 [B, 3, S, S]."""
    return ((torch.from_numpy(pixels).float() / 255 - MEAN) / STD).permute(0, 3, 1, 2)


def augment(pixels: NDArray[np.uint8], random: np.random.Generator, *, flip: bool = True) -> torch.Tensor:
    """Augment at random: pixels as of `normalise`, each image moved and, with `flip`, half of them mirrored."""
    side = pixels.shape[1]
    reach = side // SHIFT
    around = ((0, 0), (reach, reach), (reach, reach), (0, 0))
    rows, columns = random.integers(0, 2 * reach + 1, (2, len(pixels), 1)) + np.arange(side)
    if flip:
        is_mirrored = random.random(len(pixels)) < 0.5
        columns[is_mirrored] = columns[is_mirrored, ::-1]
    images = np.arange(len(pixels))[:, None, None]
    return normalise(np.pad(pixels, around, mode="reflect")[images, rows[:, :, None], columns[:, None, :]])


def rows_as_input(features: NDArray[np.float32], random: np.random.Generator) -> torch.Tensor:
    """Return the rows unchanged: they are the model's input, such as features."""
    return torch.from_numpy(features)


class MemoryBatches:
    """`steps` batches of rows of an array (see `training.loop.Batches`), for training by one process.

    The rows come in one random order after another, cut into batches of exactly `batch_size`: runs of equal numbers of
    steps see equal numbers of images, however few they choose from.

    Args:
        rows: [n, ...], such as pixels, uint8 [n, S, S, 3].
        labels: int64 [n].
        prepare: see `Prepare`.
        batch_size: images in a batch.
        steps: number of batches.
        seed: of order and augmentation.
        weights: float [n], importance weights, or None.
    """

    def __init__(
        self,
        rows: NDArray[Any],
        labels: NDArray[np.int64],
        prepare: Prepare,
        batch_size: int,
        steps: int,
        seed: int,
        weights: NDArray[np.floating[Any]] | None = None,
    ) -> None:
        self._rows = rows
        self._labels = torch.from_numpy(labels)
        self._weights = None if weights is None else torch.from_numpy(weights.astype(np.float32))
        self._prepare = prepare
        self._batch_size = batch_size
        self._steps = steps
        self._seed = seed

    def __len__(self) -> int:
        return self._steps

    def iterate(self, start: int, stop: int) -> Iterator[Batch]:
        """Yield batches `start` to `stop` - 1: each depends only on the seed and its number."""
        images = len(self._labels)
        orders: dict[int, NDArray[np.int64]] = {}
        for number in range(start, stop):
            places = np.arange(number * self._batch_size, (number + 1) * self._batch_size)
            turns = places // images
            orders = {
                turn: orders[turn] if turn in orders else self._random(ORDER, turn).permutation(images)
                for turn in range(int(turns[0]), int(turns[-1]) + 1)
            }
            chosen = np.concatenate([orders[turn][places[turns == turn] % images] for turn in orders])
            inputs = self._prepare(self._rows[chosen], self._random(AUGMENTATION, number))
            yield Batch(inputs, self._labels[chosen], None if self._weights is None else self._weights[chosen])

    def _random(self, *what: int) -> np.random.Generator:
        return np.random.default_rng((self._seed, *what))
