"""Pixels of an image: one function that every reader calls (spec/reference-images.md).

    image = decode_image(images, 4711)   # image 4711 of a source, as an RGB image of Pillow

Pillow decodes the compressed data. The rules that decide the pixels are here: which formats are images, how samples
become 8 bits, what is seen through transparent pixels, and which side is up. So the pixels are the same with each
version of Pillow from 10 on. Metadata such as colour profiles are ignored.

Pillow comes with the extra `images`.
"""

from __future__ import annotations

import io
import logging
import os
import re
import struct
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, NoReturn

from plada_codec.errors import SourceError, Unavailable, first_line
from plada_codec.extras import extra_module
from plada_codec.reference.base import ImageSource

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image

#: Version of the rules: a change of any image's pixels raises it.
PIXEL_RULE = 1
#: Section 5. A small file may not claim any image: see `max_pixels`.
MAX_FILE_BYTES, MAX_SIDE, MAX_PIXELS = 1 << 30, 65_535, 1 << 27
SMALL_FILE_PIXELS, BUFFERED_PIXELS, PIXELS_PER_BYTE = 35_000_000, 16_000_000, 16

#: Number of pixels that are computed with at a time.
_BAND_PIXELS = 1 << 18
#: Pillow's blocks of memory: the system gets large ones back, while small ones stay in the heap.
_BLOCK_BYTES = 1 << 28
#: Images with more pixels are decoded one at a time, whatever the number of threads.
_LARGE_PIXELS = 1 << 22
_large = threading.Lock()
if hasattr(os, "register_at_fork"):  # a child has none of the threads that may hold the lock
    os.register_at_fork(before=_large.acquire, after_in_parent=_large.release, after_in_child=_large.release)
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
_ORIENTATION_TAG = 0x0112
#: TIFF's types of values, and their bytes.
_SHORT = 3
_TYPE_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8}
#: Modes of Pillow whose samples have no range that the file defines, for people.
_WITHOUT_RANGE = {
    "I": "signed or 32-bit integers",
    "F": "floating-point numbers",
    "LAB": "the colour space L*a*b*",
    "YCbCr": "the colour space YCbCr without JPEG",
}
_SAMPLES_OF_ANOTHER_KIND = "samples of a kind that no rule maps to 8 bits: convert it to 8 bits"
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


class _Unreadable(Exception):
    """The file is no image that can be decoded. Its arguments: the end of a sentence about it, and the rule."""


@dataclass(frozen=True)
class _Stored:
    """An image as its file stores it, before it is decoded.

    Attributes:
        image: the image of Pillow.
        orientation: EXIF orientation, 1 .. 8, that Pillow does not apply.
        bits: bits of a sample of the modes I;16 and I.
        white_is_zero: whether these samples are inverted.
        transparent: the colour whose pixels are transparent, in 8 bits, or None.
        alphas: alpha of the first palette entries; all others are opaque.
        frame: the part that the file stores, (left, top, right, bottom), or None: all. The rest is transparent.
        is_buffered: whether decoders hold more than the pixels (section 5).
    """

    image: Image.Image
    orientation: int = 1
    bits: int = 16
    white_is_zero: bool = False
    transparent: tuple[int, ...] | None = None
    alphas: bytes = b""
    frame: tuple[int, int, int, int] | None = None
    is_buffered: bool = False


def decode_image(images: ImageSource, i: int) -> Image.Image:
    """Decode image `i` of a source to RGB of 8 bits, upright, on white.

    Raises:
        SourceError: if it cannot be read, or as `decode_bytes`; the message names the image.
        Unavailable: if Pillow is not installed, or told to complete images that are cut off.
    """
    data = images.read(i)
    try:
        return _decoded(data)
    except _Unreadable as error:
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
    except _Unreadable as error:
        raise SourceError(f"the image {error.args[0]}", rule=error.args[1]) from error.__cause__


def suffix_of(data: bytes) -> str | None:
    """The suffix for a file with these bytes, such as ".png"; None if they are no image of a format of section 1."""
    row = _format_of(data)
    return None if row is None else row.suffix


def max_pixels(file_bytes: int, *, is_buffered: bool = False) -> int:
    """The most pixels that an image in a file of so many bytes may have (section 5)."""
    small = BUFFERED_PIXELS if is_buffered else SMALL_FILE_PIXELS
    return min(MAX_PIXELS, max(small, PIXELS_PER_BYTE * file_bytes))


def _decoded(data: bytes) -> Image.Image:
    if extra_module("PIL.ImageFile", "images").LOAD_TRUNCATED_IMAGES:
        what = "PIL.ImageFile.LOAD_TRUNCATED_IMAGES is set, so Pillow would invent the pixels that a file lacks"
        raise Unavailable(f"{what}: set it to False", rule="truncated-images")
    _silence_pillow()
    extra_module("PIL.Image", "images").core.set_block_size(_BLOCK_BYTES)
    if len(data) > MAX_FILE_BYTES:
        _refuse(f"has {len(data):,} bytes, and the limit is {MAX_FILE_BYTES:,}", "image-limits")
    row = _format_of(data)
    if row is None:
        _refuse(_description(data), "image-format")
    try:
        stored = row.read(data)
        width, height = stored.image.size
        _check_size(width, height, len(data), is_buffered=stored.is_buffered)
        with _large if width * height > _LARGE_PIXELS else nullcontext():
            stored.image.load()
            image, orientation = _rgb(stored), stored.orientation
            del stored  # it takes much memory
            return _upright(image, orientation)
    except (_Unreadable, MemoryError):
        raise
    except Exception as error:  # decoders raise all kinds of errors for damaged files
        _refuse(*_fault(error), error)


def _format_of(data: bytes) -> Format | None:
    return next((row for row in FORMATS if re.match(row.begins, data, re.DOTALL)), None)


def _refuse(what: str, rule: str, cause: Exception | None = None) -> NoReturn:
    raise _Unreadable(what, rule) from cause


def _silence_pillow() -> None:
    """Hide the warnings and logs of Pillow: they name a line of its source, and not the image."""
    ignored = ("ignore", None, Warning, re.compile(r"PIL\."), 0)
    if ignored not in warnings.filters:
        warnings.filterwarnings("ignore", module=r"PIL\.")
    log = logging.getLogger("PIL")
    if not log.handlers:
        log.addHandler(logging.NullHandler())


def _check_size(width: int, height: int, file_bytes: int, *, is_buffered: bool = False) -> None:
    if max(width, height) > MAX_SIDE:
        _refuse(f"has {width:,} x {height:,} pixels, and the limit of a side is {MAX_SIDE:,}", "image-limits")
    most = max_pixels(file_bytes, is_buffered=is_buffered)
    if width * height > most:
        limit = f"the limit of a file of its kind and of {file_bytes:,} bytes is {most:,} pixels"
        _refuse(f"has {width:,} x {height:,} pixels, and {limit}", "image-limits")


def _fault(error: Exception) -> tuple[str, str]:
    """The sentence's end for an error of a decoder, and the rule."""
    text = first_line(error)
    if text in ("unknown pixel mode", "unknown raw mode for given image mode"):
        return f"has {_SAMPLES_OF_ANOTHER_KIND}", "image-samples"
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


# The formats: section 2


def _read_jpeg(data: bytes) -> _Stored:
    from PIL.JpegImagePlugin import JpegImageFile

    stream = io.BytesIO(data)
    image = JpegImageFile(stream)
    # Pillow has read the first scan's header
    has_several_scans = "progressive" in image.info or data.find(b"\xff\xda", stream.tell()) >= 0
    return _Stored(image, _orientation(image.info.get("exif", b"")), is_buffered=has_several_scans)


def _read_png(data: bytes) -> _Stored:
    """Read the chunks that decide the pixels. Pillow sees no others: their size and content do not matter."""
    from PIL.PngImagePlugin import PngImageFile

    kept, orientation, transparency = [data[:8]], 1, b""
    for kind, start, stop in _png_chunks(data):
        if kind in (b"IHDR", b"PLTE", b"IDAT", b"IEND"):
            kept.append(data[start:stop])
        elif kind == b"tRNS":
            transparency = data[start + 8 : stop - 4]
        elif kind == b"eXIf":
            orientation = _orientation(data[start + 8 : stop - 4])
    image = PngImageFile(io.BytesIO(b"".join(kept)))
    bits, colour_type = data[24], data[25]
    if not transparency or colour_type == 3:
        return _Stored(image, orientation, alphas=transparency)
    samples = struct.unpack_from(">H" if colour_type == 0 else ">3H", transparency)
    # A sample of fewer bits becomes one of 8 by multiplication, one of 16 by its high byte
    scale = 255 // ((1 << min(bits, 8)) - 1)
    transparent = tuple((sample & (1 << bits) - 1) * scale >> max(bits - 8, 0) for sample in samples)
    return _Stored(image, orientation, transparent=transparent)


def _png_chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Kind, start and stop of each chunk up to IEND, its length and checksum included."""
    start, kind = 8, b""
    while kind != b"IEND":
        length, kind = struct.unpack_from(">I4s", data, start)
        stop = start + 12 + length
        if stop > len(data):
            raise EOFError
        if start == 8 and kind != b"IHDR":
            _refuse(f"is damaged (its first chunk is {kind!r})", "image-damaged")
        yield kind, start, stop
        start = stop


def _read_webp(data: bytes) -> _Stored:
    from PIL.WebPImagePlugin import WebPImageFile

    if len(data) < 8 + struct.unpack_from("<I", data, 4)[0]:
        raise EOFError
    # Pillow makes the canvas when it opens the file
    _check_size(*_webp_size(data), len(data), is_buffered=True)
    image = WebPImageFile(io.BytesIO(data))
    return _Stored(image, _orientation(image.info.get("exif", b"")), is_buffered=True)


def _webp_size(data: bytes) -> tuple[int, int]:
    """Width and height of the canvas, from the header of the first chunk."""
    kind = data[12:16]
    if kind == b"VP8X":
        return 1 + int.from_bytes(data[24:27], "little"), 1 + int.from_bytes(data[27:30], "little")
    if kind == b"VP8L":
        (sides,) = struct.unpack_from("<I", data, 21)
        return 1 + (sides & 0x3FFF), 1 + (sides >> 14 & 0x3FFF)
    width, height = struct.unpack_from("<HH", data, 26)
    return width & 0x3FFF, height & 0x3FFF


def _read_gif(data: bytes) -> _Stored:
    """The first frame. Its mode is L if its palette has the grey i at each place i; else P."""
    from PIL.GifImagePlugin import GifImageFile

    image = GifImageFile(io.BytesIO(data))
    frame = image.tile[0][1]
    index = image.info.get("transparency")
    if index is None:
        return _Stored(image, frame=frame)
    alphas = b"\xff" * index + b"\0"
    return _Stored(image, alphas=alphas, transparent=(index,) if image.mode == "L" else None, frame=frame)


def _read_bmp(data: bytes) -> _Stored:
    from PIL.BmpImagePlugin import BmpImageFile

    return _Stored(BmpImageFile(io.BytesIO(data)))


def _read_tiff(data: bytes) -> _Stored:
    """Pillow applies the orientation of TIFF files itself."""
    from PIL.TiffImagePlugin import TiffImageFile

    for _, kind, number, value_at in _tags(data):
        size = number * _TYPE_BYTES.get(kind, 0)
        if size > 4 and struct.unpack_from(f"{_byte_order(data)}I", data, value_at)[0] + size > len(data):
            raise EOFError
    image = TiffImageFile(io.BytesIO(data))
    tags = image.tag_v2
    compression, photometric = tags.get(259, 1), tags.get(262, 0)
    if any(kind != 1 for kind in _numbers(tags.get(339, 1))):
        mode = "F" if 3 in _numbers(tags[339]) else "I"
        _refuse(_without_range(mode), "image-samples")
    if photometric == 6 and compression not in (6, 7):
        _refuse(_without_range("YCbCr"), "image-samples")
    bits = _numbers(tags.get(258, 1))
    if tags.get(284, 1) == 2 and max(bits) > 8:  # Pillow takes their bytes for samples
        _refuse(
            "has 16-bit samples in planes, which are not read: store each pixel's samples together", "image-samples"
        )
    for side in (322, 323):
        if tags.get(side, 1) > MAX_SIDE:
            _refuse(f"has a tile with a side of {tags[side]:,} pixels, and the limit is {MAX_SIDE:,}", "image-limits")
    if 322 in tags and 323 in tags:
        _check_size(tags[322], tags[323], len(data))
    for key in ("xmp", "XML:com.adobe.xmp"):  # some versions of Pillow look for an orientation there
        image.info.pop(key, None)
    is_buffered = compression in (6, 7) or max(bits) * tags.get(277, 1) > 32
    return _Stored(image, bits=bits[0], white_is_zero=photometric == 0, is_buffered=is_buffered)


def _numbers(value: Any) -> tuple[Any, ...]:
    return value if isinstance(value, tuple) else (value,)


def _read_pnm(data: bytes) -> _Stored:
    """PBM, PGM and PPM, plain and raw. Pillow scales samples of 16 bits otherwise for grey than for colours."""
    import numpy as np
    from PIL import Image

    kind = int(data[1:2])
    values, offset = _pnm_header(data, 2 if kind in (1, 4) else 3)
    width, height, most = *values[:2], (*values, 1)[2]
    if not width or not height or not 1 <= most <= 65_535:
        _refuse("is damaged (its header has a number that is not possible)", "image-damaged")
    _check_size(width, height, len(data))
    channels = 3 if kind in (3, 6) else 1
    count = width * height * channels
    if kind == 4:
        row_bytes = -(-width // 8)
        packed = _raster(data, offset, row_bytes * height).reshape(height, row_bytes)
        samples = 1 - np.unpackbits(packed, axis=1)[:, :width]
    elif kind in (5, 6):
        samples = _raster(data, offset, count * (2 if most > 255 else 1))
        samples = np.minimum(samples.view(">u2") if most > 255 else samples, most)
    else:
        words = re.findall(rb"[01]" if kind == 1 else rb"\d+", re.sub(rb"#[^\r\n]*", b"", data[offset:]))
        numbers = (min(int(word), most) for word in islice(words, count))
        samples = np.fromiter(numbers, np.uint16)
        if len(samples) < count:
            raise EOFError
        samples = 1 - samples if kind == 1 else samples
    # Nearest, in the range of 8 bits, or of 16 bits, of which the high byte is taken
    full, shift = (255, 0) if most <= 255 else (65_535, 8)
    values_in_8_bits = (2 * full * np.arange(most + 1) + most) // (2 * most) >> shift
    pixels = values_in_8_bits.astype(np.uint8)[samples.reshape(height, width, channels)]
    return _Stored(Image.fromarray(pixels if channels == 3 else pixels[:, :, 0]))


def _pnm_header(data: bytes, count: int) -> tuple[list[int], int]:
    """The numbers of a header, and the offset behind the single white space that ends it."""
    numbers, offset = [], 2
    for _ in range(count):
        match = re.compile(rb"(?:\s|#[^\r\n]*[\r\n])+(\d{1,9})").match(data, offset)
        if match is None:
            if re.compile(rb"(?:\s|#[^\r\n]*[\r\n])*(#[^\r\n]*)?$").match(data, offset):
                raise EOFError
            _refuse("is damaged (its header lacks a number)", "image-damaged")
        numbers.append(int(match[1]))
        offset = match.end()
    return numbers, offset + 1


def _raster(data: bytes, offset: int, size: int) -> NDArray[np.uint8]:
    import numpy as np

    if len(data) < offset + size:
        raise EOFError
    return np.frombuffer(data, np.uint8, size, offset)


@dataclass(frozen=True)
class Format:
    """A row of the table of formats: its name, a pattern of its first bytes, the suffix of new files, its reader."""

    name: str
    begins: bytes
    suffix: str
    read: Callable[[bytes], _Stored]


#: Section 1. The first bytes decide, and not the name of the file.
FORMATS = (
    Format("JPEG", rb"\xff\xd8\xff", ".jpg", _read_jpeg),
    Format("PNG", rb"\x89PNG\r\n\x1a\n", ".png", _read_png),
    Format("WebP", rb"RIFF....WEBP", ".webp", _read_webp),
    Format("GIF", rb"GIF8[79]a", ".gif", _read_gif),
    Format("BMP", rb"BM", ".bmp", _read_bmp),
    Format("TIFF", rb"II[*+]\0|MM\0[*+]", ".tif", _read_tiff),
    Format("PNM", rb"P[1-6][\s#]", ".pnm", _read_pnm),
)


def _orientation(exif: bytes) -> int:
    """The orientation that EXIF data state (section 3.4); 1 if they state none, or are damaged."""
    data = exif.removeprefix(b"Exif\0\0")
    try:
        for tag, kind, _, value_at in _tags(data):
            if tag == _ORIENTATION_TAG:
                (value,) = struct.unpack_from(f"{_byte_order(data)}{'H' if kind == _SHORT else 'I'}", data, value_at)
                return int(value) if value in _TRANSPOSE else 1
    except struct.error:
        pass
    return 1


def _tags(data: bytes) -> Iterator[tuple[int, int, int, int]]:
    """Tag, type, number of values and offset of the value field of each entry of a TIFF file's first directory.

    Raises struct.error where the data end too early. Yields none if they are no TIFF data.
    """
    if data[:4] not in (b"II*\0", b"MM\0*"):
        return
    order = _byte_order(data)
    (directory,) = struct.unpack_from(f"{order}I", data, 4)
    (entries,) = struct.unpack_from(f"{order}H", data, directory)
    for entry in range(directory + 2, directory + 2 + 12 * entries, 12):
        tag, kind, number = struct.unpack_from(f"{order}HHI", data, entry)
        yield tag, kind, number, entry + 8


def _byte_order(data: bytes) -> str:
    return "<" if data[:2] == b"II" else ">"


# The pixels: section 3


def _rgb(stored: _Stored) -> Image.Image:
    """The pixels of a loaded image as RGB, as they are stored: not turned."""
    import numpy as np
    from PIL import Image

    image = stored.image
    if image.mode in _WITHOUT_RANGE and not (image.mode == "I" and image.format == "PNG"):
        _refuse(_without_range(image.mode), "image-samples")
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


def _converter(stored: _Stored) -> Callable[[NDArray[Any]], NDArray[np.uint8]]:
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
            _refuse(_without_range(mode), "image-samples")
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


def _without_range(mode: str) -> str:
    if mode not in _WITHOUT_RANGE:
        return f"has {_SAMPLES_OF_ANOTHER_KIND}"
    return f"has {_WITHOUT_RANGE[mode]} (mode {mode}), which no rule maps to 8 bits: convert it to 8 bits"


def _upright(image: Image.Image, orientation: int) -> Image.Image:
    from PIL import Image

    method = _TRANSPOSE.get(orientation)
    return image if method is None else image.transpose(Image.Transpose[method])
