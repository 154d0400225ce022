"""Write small image files byte by byte: kinds that few programs write, for the vectors and the tests."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: Width and height, and the first pixels and steps of the seven passes of Adam7.
ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
#: Colour type of PNG by the number of channels.
COLOUR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}
PALETTE = 3


def chunk(kind: bytes, data: bytes) -> bytes:
    """A chunk of a PNG file."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(
    samples: NDArray[Any],
    bits: int = 8,
    colour_type: int | None = None,
    before: Sequence[bytes] = (),
    after: Sequence[bytes] = (),
    interlaced: bool = False,
) -> bytes:
    """A PNG file.

    Args:
        samples: [H, W] or [H, W, channels], 0 .. 2^bits - 1.
        bits: bits of a sample.
        colour_type: of PNG; None: by the number of channels.
        before: chunks before the image data.
        after: chunks behind them.
        interlaced: whether rows come in the seven passes of Adam7.
    """
    samples = samples.reshape(*samples.shape[:2], -1)
    height, width, channels = samples.shape
    kind = COLOUR_TYPES[channels] if colour_type is None else colour_type
    passes = [samples[y::down, x::right] for x, y, right, down in ADAM7] if interlaced else [samples]
    rows = b"".join(b"\0" + packed(row, bits) for part in passes if part.size for row in part)
    head = struct.pack(">IIBBBBB", width, height, bits, kind, 0, 0, interlaced)
    chunks = (chunk(b"IHDR", head), *before, chunk(b"IDAT", zlib.compress(rows)), *after, chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def packed(row: NDArray[Any], bits: int, order: str = ">") -> bytes:
    """The samples of a row in bits, the first sample in the highest bits; 16 bits in a byte order."""
    if bits == 16:
        return row.astype(f"{order}u2").tobytes()
    if bits == 8:
        return row.astype(np.uint8).tobytes()
    text = "".join(f"{sample:0{bits}b}" for sample in row.ravel().tolist())
    text += "0" * (-len(text) % 8)
    return int(text, 2).to_bytes(len(text) // 8, "big")


def exif(orientation: int, order: str = "<") -> bytes:
    """EXIF data with an orientation, without the header that JPEG has before them."""
    mark = b"II*\0" if order == "<" else b"MM\0*"
    entry = struct.pack(f"{order}HHIHH", 274, 3, 1, orientation, 0)
    return mark + struct.pack(f"{order}IH", 8, 1) + entry + bytes(4)


def tiff(
    samples: NDArray[Any],
    bits: int = 8,
    photometric: int = 1,
    order: str = "<",
    tags: Mapping[int, Sequence[int]] = {},  # it is not changed
    planes: bool = False,
) -> bytes:
    """A TIFF file without compression.

    Args:
        samples: [H, W] or [H, W, channels], 0 .. 2^bits - 1; of 32 bits, as they are stored.
        bits: bits of a sample.
        photometric: the tag PhotometricInterpretation.
        order: "<" or ">", the byte order.
        tags: more tags, of 16 bits.
        planes: whether each channel is stored by itself.
    """
    samples = samples.reshape(*samples.shape[:2], -1)
    height, width, channels = samples.shape
    if bits == 32:
        raster = samples.astype(order + samples.dtype.str[1:]).tobytes()
    elif planes:
        raster = b"".join(packed(row, bits, order) for i in range(channels) for row in samples[:, :, i])
    else:
        raster = b"".join(packed(row, bits, order) for row in samples)
    strips = channels if planes else 1
    size = len(raster) // strips
    entries: dict[int, tuple[str, Sequence[int]]] = {
        256: ("I", [width]),
        257: ("I", [height]),
        258: ("H", [bits] * channels),
        259: ("H", [1]),
        262: ("H", [photometric]),
        273: ("I", [8 + size * i for i in range(strips)]),
        277: ("H", [channels]),
        278: ("I", [height]),
        279: ("I", [size] * strips),
        284: ("H", [2 if planes else 1]),
        **{tag: ("H", values) for tag, values in tags.items()},
    }
    raster += bytes(len(raster) % 2)
    start = 8 + len(raster)
    values_at = start + 2 + 12 * len(entries) + 4
    directory, values = struct.pack(f"{order}H", len(entries)), b""
    for tag, (kind, numbers) in sorted(entries.items()):
        data = struct.pack(f"{order}{len(numbers)}{kind}", *numbers)
        if len(data) > 4:
            data, values = struct.pack(f"{order}I", values_at + len(values)), values + data
        directory += struct.pack(f"{order}HHI", tag, 3 if kind == "H" else 4, len(numbers)) + data.ljust(4, b"\0")
    mark = b"II*\0" if order == "<" else b"MM\0*"
    return mark + struct.pack(f"{order}I", start) + raster + directory + bytes(4) + values


def bmp(
    samples: NDArray[Any],
    bits: int = 24,
    palette: Sequence[Sequence[int]] = (),
    masks: Sequence[int] = (),
    top_down: bool = False,
) -> bytes:
    """A BMP file without compression.

    Args:
        samples: [H, W], indices or pixels of `bits` bits; or [H, W, 3 or 4], bytes in the order of the file.
        bits: bits of a pixel.
        palette: colours (R, G, B).
        masks: of red, green, blue and alpha, for the compression BI_BITFIELDS; or none.
        top_down: whether the first row of the file is the top.
    """
    height, width = samples.shape[:2]
    rows = samples if top_down else samples[::-1]
    lines = [packed(row, bits if samples.ndim == 2 and bits < 16 else 16 if bits == 16 else 8, "<") for row in rows]
    raster = b"".join(line + bytes(-len(line) % 4) for line in lines)
    colours = b"".join(bytes((blue, green, red, 0)) for red, green, blue in palette)
    head_bytes = 108 if masks else 40
    offset = 14 + head_bytes + len(colours)
    compression = 3 if masks else 0
    head = struct.pack(
        "<IiiHHIIiiII",
        *(head_bytes, width, -height if top_down else height, 1, bits, compression, len(raster), 2835, 2835),
        *(len(palette), 0),
    )
    head += struct.pack("<4I", *masks) + b"BGRs" + bytes(48) if masks else b""
    return b"BM" + struct.pack("<IHHI", offset + len(raster), 0, 0, offset) + head + colours + raster
