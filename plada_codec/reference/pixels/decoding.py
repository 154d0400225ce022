"""Pixels of an image: one function that every reader calls (spec/reference-images.md).

    image = decode_image(images, 4711)   # image 4711 of a source, as an RGB image of Pillow

Pillow decodes the compressed data. The rules that decide the pixels are in this folder: which formats are images, how
samples become 8 bits, what is seen through transparent pixels, and which side is up. So the pixels are the same with
each version of Pillow from 10 on. Metadata such as colour profiles are ignored.

Pillow comes with the extra `images`.
"""

from __future__ import annotations

import logging
import os
import re
import struct
import threading
import warnings
from contextlib import nullcontext
from typing import TYPE_CHECKING

from plada_codec.errors import SourceError, Unavailable, first_line
from plada_codec.extras import extra_module
from plada_codec.reference.base import ImageSource
from plada_codec.reference.pixels.formats import FORMATS, format_of
from plada_codec.reference.pixels.refusals import (
    MAX_FILE_BYTES,
    SAMPLES_OF_ANOTHER_KIND,
    UnreadableImage,
    check_size,
    refuse,
)
from plada_codec.reference.pixels.samples import rgb, upright

if TYPE_CHECKING:
    from PIL import Image

#: Version of the rules: a change of any image's pixels raises it.
PIXEL_RULE = 1

#: Pillow's blocks of memory: the system gets large ones back, while small ones stay in the heap.
_BLOCK_BYTES = 1 << 28
#: Images with more pixels are decoded one at a time, whatever the number of threads.
_LARGE_PIXELS = 1 << 22
_large = threading.Lock()
if hasattr(os, "register_at_fork"):  # a child has none of the threads that may hold the lock
    os.register_at_fork(before=_large.acquire, after_in_parent=_large.release, after_in_child=_large.release)
#: Messages of decoders for a file that ends too early.
_CUT_OFF = r"truncated|not enough|requires a buffer|index out of range|no more images"
#: First bytes of files that are often found under the name of an image.
_OTHER_FILES = (
    (rb"....ftyp(heic|heix|heim|heis|hevc|mif1|msf1)", "a HEIC image"),
    (rb"....ftypavi[fs]", "an AVIF image"),
    (rb"\0\0\0\x0cjP  |\xff\x4f\xff\x51", "a JPEG 2000 image"),
    (rb"\0\0\0\x0cJXL |\xff\x0a", "a JPEG XL image"),
    (rb"P[7fF]\s", "a PAM or PFM image"),
    (rb"8BPS", "a Photoshop file"),
    (rb"%PDF", "a PDF file"),
    (rb"%!PS|\xc5\xd0\xd3\xc6", "a PostScript file"),
    (rb"qoif", "a QOI image"),
    (rb"\0\0\x01\0", "an icon"),
    (rb"PK\x03\x04", "a ZIP archive"),
    (rb"\x1f\x8b", "a gzip file"),
    (rb"\x93NUMPY", "a NumPy array"),
)
_TEXT_BYTES, _SHOWN_TEXT = 512, 40


def decode_image(images: ImageSource, i: int) -> Image.Image:
    """Decode image `i` of a source to RGB of 8 bits, upright, on white.

    Raises:
        SourceError: if it cannot be read, or as `decode_bytes`; the message names the image.
        Unavailable: if Pillow is not installed, or told to complete images that are cut off.
    """
    data = images.read(i)
    try:
        return _decoded(data)
    except UnreadableImage as error:
        raise images.bad_image(i, *error.args) from error.__cause__


def decode_bytes(data: bytes) -> Image.Image:
    """Decode the bytes of an image file to RGB of 8 bits, upright, on white.

    Raises:
        SourceError: if they are no image of a format of section 1, if they are damaged or cut off (image-damaged), if
            the image is too large (image-limits), or if its samples have no defined range (image-samples).
        Unavailable: if Pillow is not installed, or told to complete images that are cut off.
    """
    try:
        return _decoded(data)
    except UnreadableImage as error:
        raise SourceError(f"the image {error.args[0]}", rule=error.args[1]) from error.__cause__


def suffix_of(data: bytes) -> str | None:
    """The suffix for a file with these bytes, such as ".png"; None if they are no image of a format of section 1."""
    row = format_of(data)
    return None if row is None else row.suffix


def _decoded(data: bytes) -> Image.Image:
    if extra_module("PIL.ImageFile", "images").LOAD_TRUNCATED_IMAGES:
        what = "PIL.ImageFile.LOAD_TRUNCATED_IMAGES is set, so Pillow would invent the pixels that a file lacks"
        raise Unavailable(f"{what}: set it to False", rule="truncated-images")
    _silence_pillow()
    extra_module("PIL.Image", "images").core.set_block_size(_BLOCK_BYTES)
    if len(data) > MAX_FILE_BYTES:
        refuse(f"has {len(data):,} bytes, and the limit is {MAX_FILE_BYTES:,}", "image-limits")
    row = format_of(data)
    if row is None:
        refuse(_description(data), "image-format")
    try:
        stored = row.read(data)
        width, height = stored.image.size
        check_size(width, height, len(data), is_buffered=stored.is_buffered)
        with _large if width * height > _LARGE_PIXELS else nullcontext():
            stored.image.load()
            image, orientation = rgb(stored), stored.orientation
            del stored  # it takes much memory
            return upright(image, orientation)
    except (UnreadableImage, MemoryError):
        raise
    except Exception as error:  # decoders raise all kinds of errors for damaged files
        refuse(*_fault(error), error)


def _silence_pillow() -> None:
    """Hide the warnings and logs of Pillow: they name a line of its source, and not the image."""
    ignored = ("ignore", None, Warning, re.compile(r"PIL\."), 0)
    if ignored not in warnings.filters:
        warnings.filterwarnings("ignore", module=r"PIL\.")
    log = logging.getLogger("PIL")
    if not log.handlers:
        log.addHandler(logging.NullHandler())


def _fault(error: Exception) -> tuple[str, str]:
    """The sentence's end for an error of a decoder, and the rule."""
    text = first_line(error)
    if text in ("unknown pixel mode", "unknown raw mode for given image mode"):
        return f"has {SAMPLES_OF_ANOTHER_KIND}", "image-samples"
    if isinstance(error, EOFError | struct.error) or re.search(_CUT_OFF, text, re.IGNORECASE):
        return "is cut off", "image-damaged"
    return f"is damaged ({text})", "image-damaged"


def _description(data: bytes) -> str:
    """The sentence's end for bytes that are no image."""
    if not data:
        return "is an empty file"
    if not any(data):
        return "holds only zero bytes"
    for begins, name in _OTHER_FILES:
        if re.match(begins, data, re.DOTALL):
            return f"is {name}, which is not read: convert it to PNG or JPEG"
    head = data[:_TEXT_BYTES].removeprefix(b"\xef\xbb\xbf").lstrip()
    if re.match(rb"<!doctype html|<html|<head|<body", head, re.IGNORECASE):
        return "is an HTML page, not an image"
    if re.search(rb"<svg[\s>]", head):
        return "is an SVG image, which is not read: convert it to PNG or JPEG"
    text = head.decode("utf-8", "replace").rstrip("\ufffd")
    if text and "\ufffd" not in text and all(ch.isprintable() or ch.isspace() for ch in text):
        return f"is text, not an image: it begins {' '.join(text.split())[:_SHOWN_TEXT]!r}"
    return f"is not an image of a format that is read ({', '.join(row.name for row in FORMATS)})"
