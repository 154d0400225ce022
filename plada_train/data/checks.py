"""Decode images before the work that needs them: an image that cannot be decoded ends it at once, not after hours."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING

from plada_codec.errors import SourceError
from plada_codec.progress import Progress
from plada_codec.reference import ImageSource, unreadable_images
from plada_train import distributed

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

#: Images that the error names.
NAMED_IMAGES = 3


def check_images(parts: Sequence[tuple[ImageSource, NDArray[np.int64]]], progress: Progress, threads: int = 1) -> None:
    """Decode images of several sources. Each process decodes a part of them.

    Args:
        parts: sources, and the numbers of the images that are needed of each.
        progress: called now and then with the number of images that this process has decoded, and of all.
        threads: number of images that are decoded at a time.

    Raises:
        SourceError: if any cannot be read or decoded; the message names the first ones, and says how to list all.
    """
    shares = [(images, distributed.part(numbers).tolist()) for images, numbers in parts]
    total = sum(len(numbers) for _, numbers in shares)
    done = 0
    found: list[tuple[ImageSource, SourceError]] = []
    for images, numbers in shares:

        def moved(count: int, _: int, before: int = done) -> None:
            progress(before + count, total)

        bad = unreadable_images(images, moved, numbers=numbers, threads=threads)
        found += [(images, error) for _, error in bad]
        done += len(numbers)
    if not found:
        return
    (source, first), *_ = found
    if len(found) == 1:
        raise first
    named = "; ".join(error.args[0] for _, error in found[:NAMED_IMAGES])
    more = "; ..." if len(found) > NAMED_IMAGES else ""
    command = f"`plada reference check {shlex.quote(source.source)}`"
    raise SourceError(f"{len(found)} images cannot be decoded: {named}{more} ({command} lists all)", rule=first.rule)
