"""Refusals of images: limits, samples without a range, and the error that ends decoding (sections 3.1, 5 and 6)."""

from __future__ import annotations

from typing import NoReturn

#: Section 5. A small file may not claim any image: see `max_pixels`.
MAX_FILE_BYTES, MAX_SIDE, MAX_PIXELS = 1 << 30, 65_535, 1 << 27
SMALL_FILE_PIXELS, BUFFERED_PIXELS, PIXELS_PER_BYTE = 35_000_000, 16_000_000, 16

#: Modes of Pillow whose samples have no range that the file defines, for people.
WITHOUT_RANGE = {
    "I": "signed or 32-bit integers",
    "F": "floating-point numbers",
    "LAB": "the colour space L*a*b*",
    "YCbCr": "the colour space YCbCr without JPEG",
}
SAMPLES_OF_ANOTHER_KIND = "samples of a kind that no rule maps to 8 bits: convert it to 8 bits"


class UnreadableImage(Exception):
    """The file is no image that can be decoded. Its arguments: the end of a sentence about it, and the rule."""


def refuse(what: str, rule: str, cause: Exception | None = None) -> NoReturn:
    """Raise UnreadableImage: `what` completes a sentence about the image; `rule` is one of section 6."""
    raise UnreadableImage(what, rule) from cause


def max_pixels(file_bytes: int, *, is_buffered: bool = False) -> int:
    """The most pixels that an image in a file of so many bytes may have (section 5)."""
    small = BUFFERED_PIXELS if is_buffered else SMALL_FILE_PIXELS
    return min(MAX_PIXELS, max(small, PIXELS_PER_BYTE * file_bytes))


def check_size(width: int, height: int, file_bytes: int, *, is_buffered: bool = False) -> None:
    """Refuse an image above the limits of section 5."""
    if max(width, height) > MAX_SIDE:
        refuse(f"has {width:,} x {height:,} pixels, and the limit of a side is {MAX_SIDE:,}", "image-limits")
    most = max_pixels(file_bytes, is_buffered=is_buffered)
    if width * height > most:
        limit = f"the limit of a file of its kind and of {file_bytes:,} bytes is {most:,} pixels"
        refuse(f"has {width:,} x {height:,} pixels, and {limit}", "image-limits")


def without_range(mode: str) -> str:
    """The end of a sentence about an image whose samples section 3.1 refuses; `mode` is that of Pillow."""
    if mode not in WITHOUT_RANGE:
        return f"has {SAMPLES_OF_ANOTHER_KIND}"
    return f"has {WITHOUT_RANGE[mode]} (mode {mode}), which no rule maps to 8 bits: convert it to 8 bits"
