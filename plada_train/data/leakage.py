"""Find images of the target that are also in the reference set (paper, Appendix A).

Accuracy on test images whose labels were sent has no meaning. Two images count as the same if their mean absolute
difference is below a strict threshold: over all pixels and channels, on a scale of 0 .. 1, both scaled to the same
square (their aspect ratio is not kept).

As in the paper, the mean and variance of an image's values put it in one of 1024 buckets (32 equal parts of the mean's
range 0 .. 1, and 32 of the variance's range 0 .. 1/4), and images of buckets are compared. The paper only compares
images of the same bucket, and misses a copy that lies just across the border of a bucket. This module searches every
bucket that can hold an image within the threshold: a difference below t changes the mean by less than t, and the
variance by less than 2 t. The result is the same as a comparison of all pairs.

The square should not be larger than the copy or its original. Measured with 200 photographs of 64 px and a threshold of
0.02: of the copies that were scaled to 32 px, or saved as JPEG at 224 px, a square of 32 px finds all; a square of 64
px finds 3% and 57%.

Crops, mirrored, rotated or recoloured copies, and copies with a frame are not found. Different images that consist
almost of a single colour are found, although they are not copies.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from plada_codec.errors import InputError
from plada_codec.progress import Progress, progress_bar
from plada_codec.reference import ImageSource, decode_image, open_images

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Number of parts of the range of the mean, and of the variance: 32 x 32 = 1024 buckets.
PARTS = 32
MAX_VARIANCE = 0.25
#: The summary of an image has the means of this many blocks in each direction, for each channel.
BLOCKS = 4
#: Number of images that are summarised or compared at a time.
CHUNK = 4096
#: Bytes of pixels of reference images that are kept in memory: an image is often compared with several others.
HELD_BYTES = 2**26


@dataclass(frozen=True)
class Pair:
    """Numbers of an image of the target and one of the reference set, and their difference on a scale of 0 .. 1."""

    target: int
    reference: int
    difference: float


@dataclass(frozen=True)
class Summary:
    """The summaries of all images of a source, 50 bytes each.

    Attributes:
        images: the source.
        size: side of the square that images were scaled to, in pixels.
        bucket: uint16 [N], (part of the mean) x PARTS + part of the variance.
        blocks: uint8 [3 x BLOCKS x BLOCKS, N], mean of each block in each channel, rounded.
    """

    images: ImageSource
    size: int
    bucket: NDArray[np.uint16]
    blocks: NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True)
class NamedPair:
    """A pair of images with their names in their sources; see `Pair`."""

    target: int
    target_name: str
    reference: int
    reference_name: str
    difference: float


@dataclass(frozen=True, kw_only=True)
class TargetLeakage:
    """The images of a target's source that are also in the reference set.

    Attributes:
        target: the source.
        images: number of images.
        leaked: number of images that are also in the reference set.
        pairs: the pairs, the smallest difference first.
    """

    target: str
    images: int
    leaked: int
    pairs: tuple[NamedPair, ...]


@dataclass(frozen=True, kw_only=True)
class LeakageReport:
    """The result of `find`, as `plada-train leakage --json` prints it.

    Attributes:
        reference: source of the reference set.
        images: number of reference images.
        threshold, size: arguments of `find`.
        targets: the results for each source of the target.
    """

    reference: str
    images: int
    threshold: float
    size: int
    targets: tuple[TargetLeakage, ...]


def find(
    targets: Sequence[str | Path], reference: str | Path, *, threshold: float, size: int, threads: int = 1
) -> LeakageReport:
    """Find the images of a target's sources (training images, test images) that are also in a reference set.

    Args:
        targets: sources of the target's images (see `plada_codec.reference.open_images`).
        reference: source of the reference set.
        threshold: two images with a smaller difference, on a scale of 0 .. 1, count as the same.
        size: side of the square that images are scaled to, a multiple of BLOCKS, in pixels.
        threads: number of images that are decoded at a time.

    Returns:
        The report.

    Raises:
        SourceError: if a source or an image cannot be read.
        InputError: if `size` is not a multiple of BLOCKS.
    """
    sources = [open_images(source) for source in (reference, *targets)]
    with progress_bar("reading the reference set") as progress:
        known = summarise(sources[0], size, threads, progress)
    found = []
    for images in sources[1:]:
        with progress_bar(f"reading {images.source}") as progress:
            summary = summarise(images, size, threads, progress)
        with progress_bar(f"comparing {images.source}") as progress:
            alike = sorted(pairs(summary, known, threshold, progress), key=lambda pair: pair.difference)
        named = (
            NamedPair(
                target=pair.target,
                target_name=images.name(pair.target),
                reference=pair.reference,
                reference_name=known.images.name(pair.reference),
                difference=pair.difference,
            )
            for pair in alike
        )
        leaked = len({pair.target for pair in alike})
        found.append(TargetLeakage(target=images.source, images=len(images), leaked=leaked, pairs=tuple(named)))
    return LeakageReport(
        reference=known.images.source,
        images=len(known.images),
        threshold=threshold,
        size=size,
        targets=tuple(found),
    )


def summarise(images: ImageSource, size: int, threads: int, progress: Progress) -> Summary:
    """Summarise a source (first pass): decode every image once.

    Args:
        images: the source.
        size: side of the square that images are scaled to, a multiple of BLOCKS, in pixels.
        threads: number of images that are decoded at a time.
        progress: called with the number of finished images and N.

    Raises:
        SourceError: if an image cannot be read or decoded.
        InputError: if `size` is not a multiple of BLOCKS.
    """
    if size < BLOCKS or size % BLOCKS:
        raise InputError(f"images of {size} px cannot be divided into {BLOCKS} x {BLOCKS} blocks", rule="size")
    total = len(images)
    bucket, blocks = np.empty(total, np.uint16), np.empty((3 * BLOCKS * BLOCKS, total), np.uint8)
    with ThreadPoolExecutor(threads) as pool:
        for start in range(0, total, CHUNK):
            numbers = range(start, min(start + CHUNK, total))
            for i, (number, means) in zip(numbers, pool.map(lambda i: _summary(images, i, size), numbers), strict=True):
                bucket[i], blocks[:, i] = number, means
            progress(numbers.stop, total)
    return Summary(images, size, bucket, blocks)


def pairs(target: Summary, reference: Summary, threshold: float, progress: Progress) -> Iterator[Pair]:
    """Find all pairs with a difference below `threshold` (second pass), by target image, then reference image.

    Only images whose blocks are similar enough are decoded again, and compared pixel by pixel.

    Args:
        target: summaries of the target's images.
        reference: summaries of the reference set, of the same size.
        threshold: largest difference, on a scale of 0 .. 1.
        progress: called with the number of finished target images, and of all.

    Raises:
        SourceError: if an image cannot be read or decoded any more.
    """
    size = target.size

    @lru_cache(HELD_BYTES // (3 * size**2 * np.dtype(np.int16).itemsize))
    def reference_pixels(i: int) -> NDArray[np.int16]:
        return _pixels(reference.images, i, size)

    for i, candidates in _candidates(target, reference, threshold, progress):
        pixels = _pixels(target.images, i, size)
        for j in candidates.tolist():
            difference = float(np.abs(pixels - reference_pixels(j)).mean() / 255)
            if difference < threshold:
                yield Pair(i, j, difference)


def _pixels(images: ImageSource, i: int, size: int) -> NDArray[np.int16]:
    """Pixels of image `i`, int16 [size, size, 3], 0 .. 255."""
    return np.asarray(decode_image(images, i).resize((size, size), Image.Resampling.BICUBIC), np.int16)


def _summary(images: ImageSource, i: int, size: int) -> tuple[int, NDArray[np.uint8]]:
    """Bucket and means of blocks of image `i`."""
    pixels = _pixels(images, i, size)
    values = pixels / 255
    mean, variance = _part(values.mean(), 1.0), _part(values.var(), MAX_VARIANCE)
    side = size // BLOCKS
    means = pixels.reshape(BLOCKS, side, BLOCKS, side, 3).mean(axis=(1, 3)).ravel()
    return mean * PARTS + variance, np.rint(means).astype(np.uint8)


def _part(value: float, maximum: float) -> int:
    return min(int(value / maximum * PARTS), PARTS - 1)


def _candidates(
    target: Summary, reference: Summary, threshold: float, progress: Progress
) -> Iterator[tuple[int, NDArray[np.intp]]]:
    """Yield target images in order, each with the reference images that may be within the threshold, in order.

    The mean difference of the blocks of two images never exceeds that of their pixels.
    """
    # Rounding the means changes the difference of a block by at most one
    most = len(target.blocks) * (255 * threshold + 1)
    order = np.argsort(reference.bucket, kind="stable")
    buckets, blocks = reference.bucket[order], reference.blocks[:, order]
    reaches = [list(_reach(bucket, threshold, buckets)) for bucket in range(PARTS * PARTS)]
    total = len(target.bucket)
    for i in range(total):
        means = target.blocks[:, i, None]
        close = [
            chunk.start + np.flatnonzero(_difference(means, blocks[:, chunk]) < most)
            for chunk in reaches[target.bucket[i]]
        ]
        if any(map(len, close)):
            yield i, np.sort(order[np.concatenate(close)])
        progress(i + 1, total)


def _reach(bucket: int, threshold: float, buckets: NDArray[np.uint16]) -> Iterator[slice]:
    """Slices of ascending `buckets` that can hold images within the threshold of an image in `bucket`."""
    mean, variance = divmod(bucket, PARTS)
    means, variances = ceil(threshold * PARTS), ceil(2 * threshold / MAX_VARIANCE * PARTS)
    for part in range(max(mean - means, 0), min(mean + means + 1, PARTS)):
        first, last = part * PARTS + max(variance - variances, 0), part * PARTS + min(variance + variances, PARTS - 1)
        start, stop = np.searchsorted(buckets, first, "left"), np.searchsorted(buckets, last, "right")
        for i in range(start, stop, CHUNK):
            yield slice(i, min(i + CHUNK, stop))


def _difference(one: NDArray[np.uint8], many: NDArray[np.uint8]) -> NDArray[np.uint16]:
    """Sums of absolute differences of columns of uint8 [D, 1] and [D, n], D <= 257: uint16 [n]."""
    difference: NDArray[np.uint16] = (np.maximum(one, many) - np.minimum(one, many)).sum(axis=0, dtype=np.uint16)
    return difference
