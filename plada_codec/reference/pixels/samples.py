"""Samples of an image become its pixels: eight bits, colours, transparency, orientation (section 3)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from plada_codec.reference.pixels.formats import StoredImage
from plada_codec.reference.pixels.refusals import WITHOUT_RANGE, refuse, without_range

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image

#: Number of pixels that are computed with at a time.
_BAND_PIXELS = 1 << 18
#: Section 3.4: Pillow's operation for each EXIF orientation.
_TRANSPOSE = {
    2: "FLIP_LEFT_RIGHT",
    3: "ROTATE_180",
    4: "FLIP_TOP_BOTTOM",
    5: "TRANSPOSE",
    6: "ROTATE_270",
    7: "TRANSVERSE",
    8: "ROTATE_90",
}


def rgb(stored: StoredImage) -> Image.Image:
    """The pixels of a loaded image as RGB, as they are stored: not turned."""
    import numpy as np
    from PIL import Image

    image = stored.image
    if image.mode in WITHOUT_RANGE and not (image.mode == "I" and image.format == "PNG"):
        refuse(without_range(image.mode), "image-samples")
    image.info = {}  # a profile or a comment must not come along when the image is saved
    width, height = image.size
    if image.mode in ("1", "L", "RGB", "RGBX") and stored.transparent is None:
        result = image if image.mode == "RGB" else image.convert("RGB")
    else:
        to_rgb = _converter(stored)
        result = Image.new("RGB", image.size)
        rows = max(1, _BAND_PIXELS // width)
        for top in range(0, height, rows):
            band = image.crop((0, top, width, min(top + rows, height)))
            result.paste(Image.fromarray(to_rgb(np.asarray(band))), (0, top))
    if stored.frame not in (None, (0, 0, width, height)):
        seen = Image.new("RGB", result.size, (255, 255, 255))
        seen.paste(result.crop(stored.frame), stored.frame)
        return seen
    return result


def _converter(stored: StoredImage) -> Callable[[NDArray[Any]], NDArray[np.uint8]]:
    """The function that maps samples of the mode of a loaded image, [H, W] or [H, W, n], to RGB, uint8 [H, W, 3]."""
    import numpy as np

    mode = stored.image.mode
    palette = np.zeros((256, 3), np.uint8)
    alphas = np.full(256, 255, np.uint8)
    if mode in ("P", "PA"):
        colours = np.array(stored.image.getpalette("RGB"), np.uint8).reshape(-1, 3)[:256]
        palette[: len(colours)] = colours
        alphas[: len(stored.alphas)] = np.frombuffer(stored.alphas, np.uint8)[:256]

    def to_rgb(samples: NDArray[Any]) -> NDArray[np.uint8]:
        alpha: NDArray[np.uint8] | None = None
        if mode == "P":
            colour, alpha = palette[samples], alphas[samples] if stored.alphas else None
        elif mode == "PA":
            colour, alpha = palette[samples[:, :, 0]], samples[:, :, 1]
        elif mode in ("LA", "La", "RGBA"):
            colour, alpha = samples[:, :, :-1], samples[:, :, -1]
            if mode == "La":
                colour = np.minimum(255 * colour.astype(np.uint16) // np.maximum(alpha, 1)[:, :, None], 255)
        elif mode == "CMYK":
            light = 255 - samples.astype(np.uint16)
            colour = _divided_by_255(light[:, :, :3] * light[:, :, 3:])
        elif mode.startswith("I"):
            values = (1 << stored.bits) - 1 - samples if stored.white_is_zero else samples
            colour = (values >> stored.bits - 8).astype(np.uint8)[:, :, None]
        elif mode in ("1", "L"):
            colour = (samples * np.uint8(255) if mode == "1" else samples)[:, :, None]
        elif mode == "RGB":
            colour = samples
        else:
            refuse(without_range(mode), "image-samples")
        if stored.transparent is not None:
            alpha = np.where((colour == stored.transparent).all(axis=2), 0, 255).astype(np.uint8)
        if alpha is not None:
            opacity = alpha.astype(np.uint16)[:, :, None]
            colour = _divided_by_255(colour * opacity + 255 * (255 - opacity))
        return np.broadcast_to(colour.astype(np.uint8), (*colour.shape[:2], 3)).copy()

    return to_rgb


def _divided_by_255(values: NDArray[np.uint16]) -> NDArray[np.uint16]:
    """Values 0 .. 255^2 divided by 255, to the nearest integer."""
    quotient: NDArray[np.uint16] = (values + 127) // 255
    return quotient


def upright(image: Image.Image, orientation: int) -> Image.Image:
    """The image, turned and mirrored as its EXIF orientation says."""
    from PIL import Image

    method = _TRANSPOSE.get(orientation)
    return image if method is None else image.transpose(Image.Transpose[method])
