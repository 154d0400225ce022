"""Makes the test vectors of the pixels of images: `python spec/vectors/images/make_image_vectors.py`.

A vector is an image file, and its pixels by spec/reference-images.md, or the rule by which it is refused. The script
states the pixels by the formulas of the specification: no decoder gives them. Once written a file is frozen: the script
adds those that are missing and never changes one that is there. It then writes index.json anew.
"""

from __future__ import annotations

import hashlib
import io
import json
import struct
import sys
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain
from math import floor
from pathlib import Path
from typing import Any

import numpy as np
from image_files import PALETTE, bmp, chunk, exif, png, tiff
from numpy.typing import NDArray
from PIL import Image

from plada_codec import PladaError
from plada_codec.reference import PIXEL_RULE, decode_bytes

HERE = Path(__file__).parent
Samples = NDArray[np.int64]

FLAGS = {
    "jpeg": "a JPEG file",
    "png": "a PNG file",
    "webp": "a WebP file",
    "gif": "a GIF file",
    "bmp": "a BMP file",
    "tiff": "a TIFF file",
    "pnm": "a PBM, PGM or PPM file",
    "grey": "grey samples",
    "colour": "samples of red, green and blue",
    "palette": "indices of a palette",
    "cmyk": "samples of cyan, magenta, yellow and black",
    "bits": "samples that are not of 8 bits (section 3.1)",
    "16-bit": "samples of 16 bits",
    "alpha": "transparent pixels (section 3.3)",
    "orientation": "an EXIF orientation (section 3.4)",
    "frames": "more than one image in the file",
    "metadata": "metadata that must not matter",
    "layout": "another order of rows, samples or bytes",
    "refused": "not an image, or one that must be refused (section 6)",
}


@dataclass
class Vector:
    """One vector to make.

    Attributes:
        name: name of the file; before its last dot, the id.
        flags: names of `FLAGS`.
        data: bytes of the file.
        expected: its pixels, [H, W, 3], or the rule by which it is refused.
    """

    name: str
    comment: str
    flags: list[str]
    data: bytes
    expected: Samples | str


# The formulas of the specification


def samples(height: int, width: int, channels: int, bits: int = 8, seed: int = 0) -> Samples:
    """Samples of n bits, [H, W, channels]: the same on every machine."""
    state = 12_345 + seed
    numbers = []
    for _ in range(height * width * channels):
        state = (state * 1_103_515_245 + 12_345) % 2**31
        numbers.append(state >> 8 & (1 << bits) - 1)
    return np.array(numbers, np.int64).reshape(height, width, channels)


def in_8_bits(values: Samples, bits: int) -> Samples:
    """Section 3.1."""
    return values * 255 // ((1 << bits) - 1) if bits < 8 else values // (1 << bits - 8)


def rgb(grey: Samples) -> Samples:
    """Section 3.2: [H, W, 1] to [H, W, 3]."""
    return np.repeat(grey, 3, axis=2)


def on_white(colours: Samples, alpha: Samples) -> Samples:
    """Section 3.3: colours [H, W, n], alpha [H, W]."""
    return (colours * alpha[:, :, None] + 255 * (255 - alpha[:, :, None]) + 127) // 255


def of_ink(cmyk: Samples) -> Samples:
    """Section 3.2: [H, W, 4] to [H, W, 3]."""
    return ((255 - cmyk[:, :, :3]) * (255 - cmyk[:, :, 3:]) + 127) // 255


def of_ycbcr(ycbcr: Samples) -> Samples:
    """JFIF's conversion, to the nearest integer: [H, W, 3]."""
    result = np.zeros_like(ycbcr)
    for place in np.ndindex(*ycbcr.shape[:2]):
        y, cb, cr = (Fraction(int(value)) for value in ycbcr[place])
        red = y + Fraction(1402, 1000) * (cr - 128)
        green = y - Fraction(34_414, 100_000) * (cb - 128) - Fraction(71_414, 100_000) * (cr - 128)
        blue = y + Fraction(1772, 1000) * (cb - 128)
        result[place] = [min(max(floor(value + Fraction(1, 2)), 0), 255) for value in (red, green, blue)]
    return result


def upright(pixels: Samples, orientation: int) -> Samples:
    """Section 3.4: the row and the column that become row 0 and column 0."""
    if orientation >= 5:
        pixels = pixels.transpose(1, 0, 2)
        # Row 0 is the first column (5, 6) or the last (7, 8); column 0 the first row (5, 8) or the last (6, 7)
        rows, columns = (-1 if orientation in (7, 8) else 1), (-1 if orientation in (6, 7) else 1)
    else:
        rows, columns = (-1 if orientation in (3, 4) else 1), (-1 if orientation in (2, 3) else 1)
    return pixels[::rows, ::columns]


# The vectors


def png_vectors() -> Iterator[Vector]:
    for bits in (1, 2, 4, 8, 16):
        grey = samples(5, 7, 1, bits, seed=bits)
        flags = ["png", "grey", *(["bits"] if bits != 8 else []), *(["16-bit"] if bits == 16 else [])]
        yield Vector(f"png-grey-{bits}.png", f"grey of {bits} bits", flags, png(grey, bits), rgb(in_8_bits(grey, bits)))
    for bits in (8, 16):
        deep = ["bits", "16-bit"] if bits == 16 else []
        for channels, name, kind in ((2, "grey-alpha", "grey"), (3, "rgb", "colour"), (4, "rgba", "colour")):
            values = samples(5, 7, channels, bits, seed=bits + channels)
            reduced = in_8_bits(values, bits)
            if channels == 3:
                expected, more = reduced, []
            else:
                colours = on_white(reduced[:, :, :-1], reduced[:, :, -1])
                expected, more = (rgb(colours) if channels == 2 else colours), ["alpha"]
            comment = f"{name} of {bits} bits"
            yield Vector(f"png-{name}-{bits}.png", comment, ["png", kind, *more, *deep], png(values, bits), expected)
    for bits in (1, 2, 4, 8):
        index = samples(5, 7, 1, min(bits, 4), seed=30 + bits)
        colours = samples(1, 1 << min(bits, 4), 3, seed=bits)[0]
        plte = chunk(b"PLTE", colours.astype(np.uint8).tobytes())
        data = png(index, bits, PALETTE, [plte])
        comment = f"indices of {bits} bits"
        yield Vector(f"png-palette-{bits}.png", comment, ["png", "palette"], data, colours[index[:, :, 0]])
    colours = samples(1, 4, 3, seed=40)[0]
    index = samples(5, 7, 1, 2, seed=41)
    plte, alphas = chunk(b"PLTE", colours.astype(np.uint8).tobytes()), np.array([0, 200, 17, 255])
    data = png(index, 2, PALETTE, [plte, chunk(b"tRNS", bytes([0, 200, 17]))])
    expected = on_white(colours[index[:, :, 0]], alphas[index[:, :, 0]])
    yield Vector(
        "png-palette-alpha.png", "alpha for three of four entries", ["png", "palette", "alpha"], data, expected
    )
    index = samples(5, 7, 1, 2, seed=42)
    black = np.concatenate([colours[:2], np.zeros((2, 3), np.int64)])
    data = png(index, 2, PALETTE, [chunk(b"PLTE", colours[:2].astype(np.uint8).tobytes())])
    comment = "indices 2 and 3 have no entry: black"
    yield Vector("png-palette-short.png", comment, ["png", "palette"], data, black[index[:, :, 0]])
    for bits in (1, 2, 8, 16):
        grey = samples(5, 7, 1, bits, seed=50 + bits)
        key = int(grey[2, 3, 0])
        reduced, key_in_8_bits = in_8_bits(grey, bits), int(in_8_bits(np.array([key]), bits)[0])
        data = png(grey, bits, before=[chunk(b"tRNS", struct.pack(">H", key))])
        expected = rgb(np.where(reduced == key_in_8_bits, 255, reduced))
        comment = f"one grey of {bits} bits is transparent"
        yield Vector(f"png-grey-{bits}-key.png", comment, ["png", "grey", "alpha"], data, expected)
    for bits in (8, 16):
        values = samples(5, 7, 3, bits, seed=60 + bits)
        values[1, 1] = values[4, 6] = values[2, 3]
        if bits == 16:
            values[1, 1] ^= 0x55  # other low bytes: the same colour in 8 bits
        key_colour = values[2, 3]
        reduced = in_8_bits(values, bits)
        data = png(values, bits, before=[chunk(b"tRNS", struct.pack(">3H", *key_colour.tolist()))])
        is_key = (reduced == in_8_bits(key_colour, bits)).all(axis=2)
        expected = np.where(is_key[:, :, None], 255, reduced)
        comment = f"one colour of {bits} bits is transparent"
        yield Vector(f"png-rgb-{bits}-key.png", comment, ["png", "colour", "alpha"], data, expected)
    values = samples(9, 11, 3, seed=70)
    yield Vector(
        "png-interlaced.png", "rows in seven passes", ["png", "colour", "layout"], png(values, interlaced=True), values
    )
    for orientation in range(1, 9):
        values = samples(3, 5, 3, seed=71)
        data = png(values, before=[chunk(b"eXIf", exif(orientation, "<>"[orientation % 2]))])
        expected = upright(values, orientation)
        comment = f"orientation {orientation}, EXIF in {'little' if orientation % 2 == 0 else 'big'}-endian order"
        yield Vector(f"png-orientation-{orientation}.png", comment, ["png", "orientation"], data, expected)
    data = png(values, after=[chunk(b"eXIf", exif(6))])
    yield Vector(
        "png-exif-last.png", "EXIF behind the image", ["png", "orientation", "layout"], data, upright(values, 6)
    )
    for name, bad in (("value", exif(9)), ("cut", exif(6)[:14]), ("empty", b"")):
        data = png(values, before=[chunk(b"eXIf", bad)])
        yield Vector(f"png-exif-{name}.png", "EXIF without a valid orientation", ["png", "orientation"], data, values)
    ignored = {
        "text": [chunk(b"zTXt", b"comment\0\0" + zlib.compress(bytes(2_000_000), 9))],
        "profile": [chunk(b"iCCP", b"profile\0\0" + zlib.compress(bytes(2_000_000), 9))],
        "gamma": [chunk(b"gAMA", struct.pack(">I", 100_000)), chunk(b"sBIT", b"\5\5\5"), chunk(b"bKGD", bytes(6))],
        "checksum": [chunk(b"tEXt", b"comment\0wrong")[:-1] + b"\0"],
    }
    for name, chunks in ignored.items():
        comment = "chunks that do not matter, of any size or content"
        yield Vector(f"png-{name}.png", comment, ["png", "metadata"], png(values, before=chunks), values)
    control = chunk(b"acTL", struct.pack(">II", 2, 0))
    frame = struct.pack(">IIIIHHBB", 5, 3, 0, 0, 1, 10, 0, 0)
    second = chunk(b"fdAT", struct.pack(">I", 2) + zlib.compress(bytes(3 * 16)))
    data = png(
        values,
        before=[control, chunk(b"fcTL", bytes(4) + frame)],
        after=[chunk(b"fcTL", struct.pack(">I", 1) + frame), second],
    )
    yield Vector("png-animated.png", "the image in IDAT counts", ["png", "frames"], data, values)
    yield Vector("png-as.jpg", "a PNG file with the name of another format", ["png", "layout"], png(values), values)


def blocks(values: Samples) -> NDArray[np.uint8]:
    """Each pixel as 8 x 8: their transform is exact, and so are JPEG files of quality 100."""
    return np.kron(values, np.ones((8, 8, 1), np.int64)).astype(np.uint8)


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    data = io.BytesIO()
    image.save(data, kind, **options)
    return data.getvalue()


def jpeg_vectors() -> Iterator[Vector]:
    exact = {"quality": 100, "subsampling": 0}
    grey = samples(2, 3, 1, seed=80)
    data = encoded(Image.fromarray(blocks(grey)[:, :, 0]), "jpeg", **exact)
    yield Vector("jpeg-grey.jpg", "grey", ["jpeg", "grey"], data, rgb(blocks(grey).astype(np.int64)))
    ycbcr = samples(2, 3, 3, seed=81) // 4 + 96
    expected = blocks(of_ycbcr(ycbcr)).astype(np.int64)
    colours = Image.frombytes("YCbCr", (24, 16), blocks(ycbcr).tobytes())
    yield Vector("jpeg-colour.jpg", "Y, Cb and Cr", ["jpeg", "colour"], encoded(colours, "jpeg", **exact), expected)
    data = encoded(colours, "jpeg", progressive=True, **exact)
    yield Vector("jpeg-progressive.jpg", "progressive", ["jpeg", "colour", "layout"], data, expected)
    profile = bytes(range(256)) * 300
    data = encoded(colours, "jpeg", icc_profile=profile, comment=b"x" * 60_000, **exact)
    comment = "a profile and a comment do not matter"
    yield Vector("jpeg-profile.jpg", comment, ["jpeg", "metadata"], data, expected)
    one = np.repeat(np.repeat(samples(1, 1, 3, seed=82) // 4 + 96, 16, axis=0), 16, axis=1)
    data = encoded(
        Image.frombytes("YCbCr", (16, 16), one.astype(np.uint8).tobytes()), "jpeg", quality=100, subsampling=2
    )
    yield Vector("jpeg-420.jpg", "chroma planes of half the size", ["jpeg", "colour", "layout"], data, of_ycbcr(one))
    plain = samples(2, 3, 3, seed=83)
    data = encoded(Image.fromarray(blocks(plain)), "jpeg", keep_rgb=True, **exact)
    expected_plain = blocks(plain).astype(np.int64)
    yield Vector("jpeg-rgb.jpg", "R, G and B, an Adobe segment", ["jpeg", "colour", "layout"], data, expected_plain)
    ink = samples(2, 3, 4, seed=84)
    data = encoded(Image.frombytes("CMYK", (24, 16), blocks(ink).tobytes()), "jpeg", **exact)
    expected_ink = of_ink(blocks(ink).astype(np.int64))
    yield Vector("jpeg-cmyk.jpg", "C, M, Y and K, stored inverted", ["jpeg", "cmyk"], data, expected_ink)
    for orientation in range(1, 9):
        order = "<>"[orientation % 2]
        data = encoded(colours, "jpeg", exif=b"Exif\0\0" + exif(orientation, order), **exact)
        comment = f"orientation {orientation}"
        yield Vector(
            f"jpeg-orientation-{orientation}.jpg",
            comment,
            ["jpeg", "orientation"],
            data,
            upright(expected, orientation),
        )


def webp_vectors() -> Iterator[Vector]:
    values = samples(5, 7, 3, seed=90)
    image = Image.fromarray(values.astype(np.uint8))
    data = encoded(image, "webp", lossless=True)
    yield Vector("webp-rgb.webp", "lossless", ["webp", "colour"], data, values)
    transparent = samples(5, 7, 4, seed=91)
    data = encoded(Image.fromarray(transparent.astype(np.uint8)), "webp", lossless=True, exact=True)
    expected = on_white(transparent[:, :, :3], transparent[:, :, 3])
    yield Vector("webp-alpha.webp", "lossless with alpha", ["webp", "colour", "alpha"], data, expected)
    for orientation in (3, 6, 7):
        data = encoded(image, "webp", lossless=True, exif=exif(orientation))
        comment = f"orientation {orientation}"
        yield Vector(
            f"webp-orientation-{orientation}.webp", comment, ["webp", "orientation"], data, upright(values, orientation)
        )
    others = [Image.new("RGB", image.size, (9, 9, 9))]
    data = encoded(image, "webp", lossless=True, save_all=True, append_images=others)
    yield Vector("webp-animated.webp", "the first frame", ["webp", "frames"], data, values)


def gif_vectors() -> Iterator[Vector]:
    colours, index = samples(1, 4, 3, seed=100)[0], samples(5, 7, 1, 2, seed=101)[:, :, 0]
    image = Image.fromarray(index.astype(np.uint8))
    image.putpalette(colours.astype(np.uint8).tobytes())
    plain = encoded(image, "gif", optimize=False)
    yield Vector("gif.gif", "a palette", ["gif", "palette"], plain, colours[index])
    clear = np.where((index == 2)[:, :, None], 255, colours[index])
    data = encoded(image, "gif", transparency=2, optimize=False)
    yield Vector("gif-transparent.gif", "index 2 is transparent", ["gif", "palette", "alpha"], data, clear)
    for name, file, seen in (("", plain, colours[index]), ("-transparent", data, clear)):
        canvas = bytearray(file)
        canvas[6:10] = struct.pack("<HH", 9, 8)
        expected = np.full((8, 9, 3), 255)
        expected[:5, :7] = seen
        comment = "the first frame is smaller than the canvas"
        yield Vector(f"gif-canvas{name}.gif", comment, ["gif", "palette", "alpha"], bytes(canvas), expected)
    others = [Image.new("P", image.size, 1)]
    data = encoded(image, "gif", save_all=True, append_images=others, optimize=False)
    yield Vector("gif-animated.gif", "the first frame", ["gif", "frames"], data, colours[index])
    ramp = np.repeat(np.arange(256), 3).reshape(256, 3)
    grey = samples(5, 7, 1, seed=102)[:, :, 0]
    image = Image.fromarray(grey.astype(np.uint8))
    data = encoded(image, "gif", transparency=int(grey[1, 1]), optimize=False)
    expected = np.where((grey == grey[1, 1])[:, :, None], 255, ramp[grey])
    yield Vector("gif-grey.gif", "a palette of greys, one transparent", ["gif", "grey", "alpha"], data, expected)


def bmp_vectors() -> Iterator[Vector]:
    for bits in (1, 4, 8):
        colours = samples(1, 1 << min(bits, 4), 3, seed=110 + bits)[0]
        index = samples(5, 7, 1, min(bits, 4), seed=111 + bits)[:, :, 0]
        data = bmp(index, bits, colours.tolist())
        yield Vector(f"bmp-palette-{bits}.bmp", f"{bits} bits", ["bmp", "palette"], data, colours[index])
    values = samples(5, 7, 3, seed=120)
    yield Vector("bmp-24.bmp", "24 bits", ["bmp", "colour"], bmp(values[:, :, ::-1]), values)
    data = bmp(values[:, :, ::-1], top_down=True)
    yield Vector("bmp-top-down.bmp", "the first row is the top", ["bmp", "colour", "layout"], data, values)
    four = samples(5, 7, 4, seed=121)
    bgr = four[:, :, [2, 1, 0, 3]]
    yield Vector("bmp-32.bmp", "the fourth byte is ignored", ["bmp", "colour"], bmp(bgr, 32), four[:, :, :3])
    data = bmp(bgr, 32, masks=(0xFF0000, 0xFF00, 0xFF, 0xFF000000))
    expected = on_white(four[:, :, :3], four[:, :, 3])
    yield Vector("bmp-alpha.bmp", "the fourth byte is alpha", ["bmp", "colour", "alpha"], data, expected)
    five = samples(5, 7, 3, 5, seed=122)
    data = bmp(five[:, :, 0] << 10 | five[:, :, 1] << 5 | five[:, :, 2], 16)
    yield Vector("bmp-555.bmp", "samples of 5 bits", ["bmp", "colour", "bits"], data, five * 255 // 31)


def tiff_vectors() -> Iterator[Vector]:
    for bits in (1, 4, 8, 16):
        for photometric in (0, 1):
            for order, name in (("<", "little"), (">", "big")):
                if bits == 16 and photometric == 0 and order == ">":
                    continue  # Pillow does not read it
                grey = samples(5, 7, 1, bits, seed=130 + bits)
                seen = grey if photometric else (1 << bits) - 1 - grey
                flags = ["tiff", "grey", *(["bits"] if bits != 8 else []), *(["16-bit"] if bits == 16 else [])]
                yield Vector(
                    f"tiff-grey-{bits}-{'black' if photometric else 'white'}-is-0-{name}.tif",
                    f"grey of {bits} bits, {name}-endian",
                    flags,
                    tiff(grey, bits, photometric, order),
                    rgb(in_8_bits(seen, bits)),
                )
    grey = samples(5, 8, 1, 12, seed=140)
    expected = rgb(in_8_bits(grey, 12))
    yield Vector("tiff-grey-12.tif", "grey of 12 bits", ["tiff", "grey", "bits"], tiff(grey, 12), expected)
    for order, name in (("<", "little"), (">", "big")):
        for bits in (8, 16):
            deep = ["bits", "16-bit"] if bits == 16 else []
            values = samples(5, 7, 4, bits, seed=141 + bits)
            reduced = in_8_bits(values, bits)
            opaque, alpha = reduced[:, :, :3], reduced[:, :, 3]
            undone = np.minimum(255 * opaque // np.maximum(alpha, 1)[:, :, None], 255)
            cases: tuple[tuple[str, Samples, int, dict[int, list[int]], list[str], Samples], ...] = (
                ("rgb", values[:, :, :3], 2, {}, ["colour"], opaque),
                ("rgba", values, 2, {338: [2]}, ["colour", "alpha"], on_white(opaque, alpha)),
                ("rgba-multiplied", values, 2, {338: [1]}, ["colour", "alpha"], on_white(undone, alpha)),
                ("rgbx", values, 2, {338: [0]}, ["colour"], opaque),
                ("cmyk", values, 5, {}, ["cmyk"], of_ink(reduced)),
            )
            for kind, stored, photometric, tags, flags, expected in cases:
                if kind == "cmyk" and bits == 16 and order == ">":
                    continue  # versions of Pillow before 11 do not read it
                yield Vector(
                    f"tiff-{kind}-{bits}-{name}.tif",
                    f"{kind} of {bits} bits, {name}-endian",
                    ["tiff", *flags, *deep],
                    tiff(stored, bits, photometric, order, tags),
                    expected,
                )
        colours = samples(1, 256, 3, 16, seed=150)[0]
        index = samples(5, 7, 1, seed=151)
        data = tiff(index, 8, 3, order, {320: colours.T.ravel().tolist()})
        expected = in_8_bits(colours, 16)[index[:, :, 0]]
        yield Vector(f"tiff-palette-{name}.tif", f"a palette, {name}-endian", ["tiff", "palette"], data, expected)
    pair = samples(5, 7, 2, seed=152)
    expected = rgb(on_white(pair[:, :, :1], pair[:, :, 1]))
    data = tiff(pair, tags={338: [2]})
    yield Vector("tiff-grey-alpha.tif", "grey and alpha", ["tiff", "grey", "alpha"], data, expected)
    colours, index = samples(1, 256, 3, 16, seed=153)[0], samples(5, 7, 2, seed=154)
    data = tiff(index, 8, 3, tags={320: colours.T.ravel().tolist(), 338: [2]})
    expected = on_white(in_8_bits(colours, 16)[index[:, :, 0]], index[:, :, 1])
    yield Vector("tiff-palette-alpha.tif", "indices and alpha", ["tiff", "palette", "alpha"], data, expected)
    values = samples(5, 7, 3, seed=155)
    data = tiff(values, 8, 2, planes=True)
    yield Vector("tiff-planes.tif", "each colour by itself", ["tiff", "colour", "layout"], data, values)
    image = Image.fromarray(values.astype(np.uint8))
    data = encoded(image, "tiff", compression="tiff_lzw")
    yield Vector("tiff-lzw.tif", "LZW", ["tiff", "colour", "layout"], data, values)
    data = encoded(image, "tiff", save_all=True, append_images=[Image.new("RGB", (3, 3))])
    yield Vector("tiff-pages.tif", "the first page", ["tiff", "frames"], data, values)
    for orientation in range(1, 9):
        data = tiff(values, 8, 2, "<>"[orientation % 2], {274: [orientation]})
        expected = upright(values, orientation)
        comment = f"orientation {orientation}"
        yield Vector(f"tiff-orientation-{orientation}.tif", comment, ["tiff", "orientation"], data, expected)


def pnm_vectors() -> Iterator[Vector]:
    bits = samples(5, 7, 1, 1, seed=160)
    expected = rgb(255 * (1 - bits))
    rows = [" ".join(map(str, row)) for row in bits[:, :, 0].tolist()]
    plain = b"P1\n7 5\n" + "\n".join(rows).encode()
    yield Vector("pbm-plain.pbm", "1 is black", ["pnm", "bits"], plain, expected)
    raw = b"P4\n7 5\n" + b"".join(np.packbits(row.astype(np.uint8)).tobytes() for row in bits[:, :, 0])
    yield Vector("pbm-raw.pbm", "1 is black; rows end in a whole byte", ["pnm", "bits"], raw, expected)
    for most in (1, 15, 255, 1023, 65_535):
        for channels, kind, flag in ((1, "pgm", "grey"), (3, "ppm", "colour")):
            values = samples(5, 7, channels, 16, seed=161) % (most + 1)
            full, high = (255, 1) if most <= 255 else (65_535, 256)
            pixels = (2 * full * values + most) // (2 * most) // high
            expected = rgb(pixels) if channels == 1 else pixels
            flags = ["pnm", flag, *(["bits"] if most != 255 else []), *(["16-bit"] if most == 65_535 else [])]
            head = f"# a comment\n7 5\n{most}\n".encode()
            body = values.astype(">u2" if most > 255 else "u1").tobytes()
            number = 5 if channels == 1 else 6
            name = f"{kind}-{most}"
            yield Vector(
                f"{name}.{kind}", f"a maximum of {most}", flags, f"P{number}\n".encode() + head + body, expected
            )
            text = " ".join(map(str, values.ravel().tolist())).encode()
            data = f"P{number - 3}\n".encode() + head + text
            yield Vector(f"{name}-plain.{kind}", f"a maximum of {most}, in text", flags, data, expected)
    data = b"P5 3 1 100\n" + bytes([0, 100, 200])
    expected = np.array([[[0] * 3, [255] * 3, [255] * 3]])
    yield Vector("pgm-above.pgm", "a sample above the maximum", ["pnm", "grey", "bits"], data, expected)
    data = b"P5 1 1 255\n" + bytes([7]) + b"P5 1 1 255\n" + bytes([9])
    yield Vector("pgm-two.pgm", "the first image", ["pnm", "frames"], data, np.full((1, 1, 3), 7))


def refused_vectors() -> Iterator[Vector]:
    values = samples(5, 7, 3, seed=170)
    whole = png(values)
    image = Image.fromarray(values.astype(np.uint8))
    for name, comment, data in (
        ("empty.png", "an empty file", b""),
        ("page.jpg", "an HTML page", b"<!DOCTYPE html><html><body>404 Not Found</body></html>\n"),
        ("pointer.png", "a pointer of Git LFS", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n"),
        ("zeros.jpg", "zero bytes alone", bytes(100)),
        ("heic.jpg", "the beginning of a HEIC file", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"),
        ("postscript.jpg", "a PostScript program", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 1 1\n"),
    ):
        yield Vector(f"refused-{name}", comment, ["refused"], data, "image-format")
    for name, comment, data in (
        ("cut.png", "a PNG file without its end", whole[:-20]),
        ("cut.jpg", "a JPEG file without its end", encoded(image.resize((70, 50)), "jpeg")[:1000]),
        ("cut.webp", "a WebP file without its end", encoded(image, "webp", lossless=True)[:-8]),
        ("cut.gif", "a GIF file without its end", encoded(image.quantize(16), "gif")[:-12]),
        ("cut.bmp", "a BMP file without its end", bmp(values[:, :, ::-1])[:-9]),
        ("cut.tif", "a TIFF file without its directory", tiff(values, 8, 2)[:60]),
        ("cut.ppm", "a PPM file without its end", b"P6 7 5 255\n" + bytes(104)),
        ("checksum.png", "image data that cannot be decompressed", whole[:50] + b"\xff" * 20 + whole[70:]),
        ("maximum.pgm", "a maximum of 0", b"P5 1 1 0\n\0"),
    ):
        yield Vector(f"refused-{name}", comment, ["refused"], data, "image-damaged")
    whole_numbers = samples(5, 7, 1, 16, seed=171)
    real = whole_numbers.astype(np.float32)
    for order, name in (("<", "little"), (">", "big")):
        for comment, kind, data in (
            ("integers of 32 bits", "unsigned-32", tiff(whole_numbers.astype(np.uint32), 32, 1, order)),
            ("signed integers of 32 bits", "signed-32", tiff(whole_numbers.astype(np.int32), 32, 1, order, {339: [2]})),
            ("signed integers of 16 bits", "signed-16", tiff(whole_numbers, 16, 1, order, {339: [2]})),
            ("signed integers of 8 bits", "signed-8", tiff(whole_numbers % 256, 8, 1, order, {339: [2]})),
            ("floating-point numbers", "float", tiff(real, 32, 1, order, {339: [3]})),
            ("L*a*b*", "lab", tiff(values, 8, 8, order)),
            ("Y, Cb and Cr without JPEG", "ycbcr", tiff(values, 8, 6, order)),
        ):
            flags = ["refused", "tiff", "bits"]
            yield Vector(f"refused-{kind}-{name}.tif", f"{comment}, {name}-endian", flags, data, "image-samples")
    webp = (
        ("canvas", b"VP8X", struct.pack("<I", 10) + bytes(4) + (16_383).to_bytes(3, "little") * 2),
        ("lossless", b"VP8L", struct.pack("<IBI", 9, 0x2F, 16_382 << 14 | 16_382) + bytes(4)),
        ("lossy", b"VP8 ", struct.pack("<I3x3s2H", 20, b"\x9d\x01\x2a", 16_383, 16_383) + bytes(10)),
    )
    for name, kind, body in webp:
        data = b"RIFF" + struct.pack("<I", 8 + len(body)) + b"WEBP" + kind + body
        comment = "16,383 pixels in each direction in a few bytes"
        yield Vector(f"refused-{name}.webp", comment, ["refused", "webp"], data, "image-limits")
    for name, width, height in (("area", 20_000, 20_000), ("width", 65_536, 1), ("height", 1, 65_536)):
        head = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
        parts = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(100))) + chunk(b"IEND", b"")
        comment = f"{width} x {height} pixels in a few bytes"
        data = b"\x89PNG\r\n\x1a\n" + parts
        yield Vector(f"refused-{name}.png", comment, ["refused", "png"], data, "image-limits")


def entry(vector: Vector, path: Path) -> dict[str, Any]:
    """The index entry of a vector; the file on disk must give the right answer."""
    stem, _, suffix = vector.name.rpartition(".")
    name = f"{stem}-{suffix}" if stem.startswith("refused-") else stem
    result: dict[str, Any] = {"id": name, "comment": vector.comment, "flags": vector.flags}
    result["file"] = path.relative_to(HERE).as_posix()
    if isinstance(vector.expected, str):
        result["error"] = {"kind": "SourceError", "rule": vector.expected}
    else:
        height, width, _ = vector.expected.shape
        assert vector.expected.min() >= 0
        assert vector.expected.max() <= 255
        sha256 = hashlib.sha256(np.ascontiguousarray(vector.expected, np.uint8).tobytes()).hexdigest()
        result |= {"width": width, "height": height, "sha256": sha256}
    try:
        found: Any = np.asarray(decode_bytes(path.read_bytes()), np.int64)
    except PladaError as error:
        found = error.rule
    if not np.array_equal(found, vector.expected):
        raise SystemExit(f"{vector.name}: expected {vector.expected!r}, but got {found!r}")
    return result


def main() -> None:
    """Add what is missing, and write the index."""
    entries, added = [], 0
    groups = (
        png_vectors(),
        jpeg_vectors(),
        webp_vectors(),
        gif_vectors(),
        bmp_vectors(),
        tiff_vectors(),
        pnm_vectors(),
        refused_vectors(),
    )
    (HERE / "files").mkdir(exist_ok=True)
    for vector in chain.from_iterable(groups):
        path = HERE / "files" / vector.name
        if not path.exists():
            path.write_bytes(vector.data)
            added += 1
        entries.append(entry(vector, path))
    head = json.dumps({"pixel_rule": PIXEL_RULE, "schema": "schema.json", "flags": FLAGS}, indent=2)
    lines = ",\n".join("    " + json.dumps(each) for each in entries)
    (HERE / "index.json").write_text(head[:-2] + ',\n  "vectors": [\n' + lines + "\n  ]\n}\n", encoding="utf-8")
    print(f"{len(entries)} vectors, {added} of them new", file=sys.stderr)


if __name__ == "__main__":
    main()
