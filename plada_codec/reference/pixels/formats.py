"""The formats of images: their first bytes, and a reader for each (sections 1, 2 and 3.4).

A reader opens an image with Pillow, and finds what Pillow does not tell alike in all its versions. To add a format,
write its reader, and add a row to `FORMATS`.
"""

from __future__ import annotations

import io
import re
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

from plada_codec.reference.pixels.refusals import MAX_SIDE, check_size, refuse, without_range

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image

_ORIENTATION_TAG = 0x0112
#: TIFF's types of values, and their bytes.
_SHORT = 3
_TYPE_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8}


@dataclass(frozen=True)
class StoredImage:
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


def _read_jpeg(data: bytes) -> StoredImage:
    from PIL.JpegImagePlugin import JpegImageFile

    stream = io.BytesIO(data)
    image = JpegImageFile(stream)
    # Pillow has read the first scan's header
    has_several_scans = "progressive" in image.info or data.find(b"\xff\xda", stream.tell()) >= 0
    return StoredImage(image, _orientation(image.info.get("exif", b"")), is_buffered=has_several_scans)


def _read_png(data: bytes) -> StoredImage:
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
        return StoredImage(image, orientation, alphas=transparency)
    samples = struct.unpack_from(">H" if colour_type == 0 else ">3H", transparency)
    # A sample of fewer bits becomes one of 8 by multiplication, one of 16 by its high byte
    scale = 255 // ((1 << min(bits, 8)) - 1)
    transparent = tuple((sample & (1 << bits) - 1) * scale >> max(bits - 8, 0) for sample in samples)
    return StoredImage(image, orientation, transparent=transparent)


def _png_chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Kind, start and stop of each chunk up to IEND, its length and checksum included."""
    start, kind = 8, b""
    while kind != b"IEND":
        length, kind = struct.unpack_from(">I4s", data, start)
        stop = start + 12 + length
        if stop > len(data):
            raise EOFError
        if start == 8 and kind != b"IHDR":
            refuse(f"is damaged (its first chunk is {kind!r})", "image-damaged")
        yield kind, start, stop
        start = stop


def _read_webp(data: bytes) -> StoredImage:
    from PIL.WebPImagePlugin import WebPImageFile

    if len(data) < 8 + struct.unpack_from("<I", data, 4)[0]:
        raise EOFError
    # Pillow makes the canvas when it opens the file
    check_size(*_webp_size(data), len(data), is_buffered=True)
    image = WebPImageFile(io.BytesIO(data))
    return StoredImage(image, _orientation(image.info.get("exif", b"")), is_buffered=True)


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


def _read_gif(data: bytes) -> StoredImage:
    """The first frame. Its mode is L if its palette has the grey i at each place i; else P."""
    from PIL.GifImagePlugin import GifImageFile

    image = GifImageFile(io.BytesIO(data))
    frame = image.tile[0][1]
    index = image.info.get("transparency")
    if index is None:
        return StoredImage(image, frame=frame)
    alphas = b"\xff" * index + b"\0"
    return StoredImage(image, alphas=alphas, transparent=(index,) if image.mode == "L" else None, frame=frame)


def _read_bmp(data: bytes) -> StoredImage:
    from PIL.BmpImagePlugin import BmpImageFile

    return StoredImage(BmpImageFile(io.BytesIO(data)))


def _read_tiff(data: bytes) -> StoredImage:
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
        refuse(without_range(mode), "image-samples")
    if photometric == 6 and compression not in (6, 7):
        refuse(without_range("YCbCr"), "image-samples")
    bits = _numbers(tags.get(258, 1))
    if tags.get(284, 1) == 2 and max(bits) > 8:  # Pillow takes their bytes for samples
        refuse("has 16-bit samples in planes, which are not read: store each pixel's samples together", "image-samples")
    for side in (322, 323):
        if tags.get(side, 1) > MAX_SIDE:
            refuse(f"has a tile with a side of {tags[side]:,} pixels, and the limit is {MAX_SIDE:,}", "image-limits")
    if 322 in tags and 323 in tags:
        check_size(tags[322], tags[323], len(data))
    for key in ("xmp", "XML:com.adobe.xmp"):  # some versions of Pillow look for an orientation there
        image.info.pop(key, None)
    is_buffered = compression in (6, 7) or max(bits) * tags.get(277, 1) > 32
    return StoredImage(image, bits=bits[0], white_is_zero=photometric == 0, is_buffered=is_buffered)


def _numbers(value: Any) -> tuple[Any, ...]:
    return value if isinstance(value, tuple) else (value,)


def _read_pnm(data: bytes) -> StoredImage:
    """PBM, PGM and PPM, plain and raw. Pillow scales samples of 16 bits otherwise for grey than for colours."""
    import numpy as np
    from PIL import Image

    kind = int(data[1:2])
    values, offset = _pnm_header(data, 2 if kind in (1, 4) else 3)
    width, height, most = *values[:2], (*values, 1)[2]
    if not width or not height or not 1 <= most <= 65_535:
        refuse("is damaged (its header has a number that is not possible)", "image-damaged")
    check_size(width, height, len(data))
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
    return StoredImage(Image.fromarray(pixels if channels == 3 else pixels[:, :, 0]))


def _pnm_header(data: bytes, count: int) -> tuple[list[int], int]:
    """The numbers of a header, and the offset behind the single white space that ends it."""
    numbers, offset = [], 2
    for _ in range(count):
        match = re.compile(rb"(?:\s|#[^\r\n]*[\r\n])+(\d{1,9})").match(data, offset)
        if match is None:
            if re.compile(rb"(?:\s|#[^\r\n]*[\r\n])*(#[^\r\n]*)?$").match(data, offset):
                raise EOFError
            refuse("is damaged (its header lacks a number)", "image-damaged")
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
    read: Callable[[bytes], StoredImage]


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


def format_of(data: bytes) -> Format | None:
    """The row of a file with these bytes, or None if they are no image of section 1."""
    return next((row for row in FORMATS if re.match(row.begins, data, re.DOTALL)), None)


def _orientation(exif: bytes) -> int:
    """The orientation that EXIF data state (section 3.4); 1 if they state none, or are damaged."""
    data = exif.removeprefix(b"Exif\0\0")
    try:
        for tag, kind, _, value_at in _tags(data):
            if tag == _ORIENTATION_TAG:
                (value,) = struct.unpack_from(f"{_byte_order(data)}{'H' if kind == _SHORT else 'I'}", data, value_at)
                return int(value) if 1 <= value <= 8 else 1
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
