"""Arrays of pixels as images: the bytes of a PNM file (spec/reference-digest.md, section 2.5).

PNM has no compression, so that its bytes do not depend on an encoder and its version.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray


def pnm(pixels: NDArray[Any]) -> bytes:
    """The bytes of an image, uint8 [H, W], [H, W, 1] or [H, W, 3]. Raises ValueError, which says what else it is."""
    if pixels.dtype.str != "|u1" or not is_image_shape(pixels.shape):
        what = f"is {pixels.dtype} of shape {list(pixels.shape)}, and not uint8 [H, W] or [H, W, 3]"
        raise ValueError(f"{what}: leave out the dataset's transform")
    return pnm_header(pixels.shape) + pixels.tobytes()


def is_image_shape(shape: tuple[int, ...]) -> bool:
    """Whether an array of this shape is an image."""
    return len(shape) in (2, 3) and 0 not in shape and shape[2:] in ((), (1,), (3,))


def pnm_header(shape: tuple[int, ...]) -> bytes:
    """The header of a PGM file (grey), or of a PPM file (RGB); the pixels follow, as they are in the array."""
    height, width, *channels = shape
    return b"P%d\n%d %d\n255\n" % (6 if channels == [3] else 5, width, height)
