"""A cache of images at low resolution: a file of pixels, in which each image is decoded when it is first needed.

Processes may share the file: all write the same bytes for an image, and then mark the image as decoded. Only decoded
images take space on the disk, because the file is sparse.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.lib.format import open_memmap

from plada_codec.reference import PIXEL_RULE, ImageSource
from plada_train.data.pixels import decode_square

if TYPE_CHECKING:
    from numpy.typing import NDArray


class DecodedImages:
    """The images of a source as squares of `image_size` pixels, decoded once.

    Args:
        images: the source.
        digest: reference digest of the source, for the names of the files.
        folder: folder of the files.
        image_size: side S.
    """

    def __init__(self, images: ImageSource, digest: bytes, folder: Path, image_size: int) -> None:
        self._images = images
        stem = f"{digest.hex()[:16]}-rule{PIXEL_RULE}-{image_size}px"
        pixels, is_decoded = folder / f"{stem}.npy", folder / f"{stem}-decoded.npy"
        for path in (pixels, is_decoded):
            if path.is_symlink():
                path.unlink()  # the file that it points to is not ours
        try:
            self._pixels, self._is_decoded = (open_memmap(path, mode="r+") for path in (pixels, is_decoded))
        except (OSError, ValueError):
            # The files are new, or one of them is lost: then the other is useless
            shape = (len(images), image_size, image_size, 3)
            self._pixels = open_memmap(pixels, mode="w+", dtype=np.uint8, shape=shape)
            self._is_decoded = open_memmap(is_decoded, mode="w+", dtype=np.bool_, shape=shape[:1])
        self._size = image_size

    def pixels(self, numbers: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Pixels of images, uint8 [n, S, S, 3], see `pixels.decode_square`."""
        for i in numbers[~self._is_decoded[numbers]].tolist():
            self._pixels[i] = decode_square(self._images, i, self._size)
            self._is_decoded[i] = True
        return np.array(self._pixels[numbers])
