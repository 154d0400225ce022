"""Find the images of a source that cannot be decoded, before long work that needs them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import repeat

from plada_codec.errors import SourceError
from plada_codec.progress import Progress, no_progress
from plada_codec.reference.base import ImageSource
from plada_codec.reference.pixels.decoding import decode_image

#: Images that are decoded between two calls of the progress callback.
_BATCH_IMAGES = 64


def unreadable_images(
    images: ImageSource, progress: Progress = no_progress, *, numbers: Iterable[int] | None = None, threads: int = 1
) -> Iterator[tuple[int, SourceError]]:
    """Decode images; yield number and error of each that cannot be read or decoded, in order.

    Args:
        images: the source.
        progress: called now and then with the number of images decoded, and of all.
        numbers: the images to decode; None: all.
        threads: number of images that are decoded at a time.

    Raises:
        Unavailable: if Pillow is not installed.
    """
    chosen = range(len(images)) if numbers is None else list(numbers)
    with ThreadPoolExecutor(threads) as pool:
        for start in range(0, len(chosen), _BATCH_IMAGES):
            batch = chosen[start : start + _BATCH_IMAGES]
            errors = pool.map(_error_of, repeat(images), batch)
            yield from ((i, error) for i, error in zip(batch, errors, strict=True) if error is not None)
            progress(start + len(batch), len(chosen))


def _error_of(images: ImageSource, i: int) -> SourceError | None:
    try:
        decode_image(images, i)
    except SourceError as error:
        return error
    return None
