"""Images become the pixels of spec/reference-images.md, in every format, or are refused with their cause."""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
import sys
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from operator import itemgetter
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

pytest.importorskip("PIL", reason="needs the extra 'images'")

from image_files import PALETTE, bmp, chunk, exif, png, tiff
from PIL import Image

from plada_codec.errors import PladaError, SourceError, Unavailable
from plada_codec.reference import PIXEL_RULE, decode_bytes, decode_image, open_images
from plada_codec.reference.pixels.refusals import MAX_PIXELS, MAX_SIDE, max_pixels
from tests.helpers.examples import examples
from tests.helpers.memory import process_growth_bytes
from tests.helpers.paths import IMAGE_VECTORS, SPEC

INDEX = json.loads((IMAGE_VECTORS / "index.json").read_text(encoding="utf-8"))
ENTRIES: list[dict[str, Any]] = INDEX["vectors"]
VALID = [entry for entry in ENTRIES if "sha256" in entry]
Samples = NDArray[Any]

sizes = st.integers(1, 20)
seeds = st.integers(0, 2**32 - 1)


def file_of(entry: dict[str, Any]) -> bytes:
    return (IMAGE_VECTORS / str(entry["file"])).read_bytes()


def pixels(data: bytes) -> NDArray[np.uint8]:
    image = decode_bytes(data)
    assert image.mode == "RGB"
    return np.asarray(image)


def some(height: int, width: int, channels: int, seed: int, bits: int = 8) -> Samples:
    samples: Samples = np.random.default_rng(seed).integers(0, 1 << bits, (height, width, channels))
    return samples


def encoded(samples: Samples, kind: str, **options: Any) -> bytes:
    data = io.BytesIO()
    Image.fromarray(samples.astype(np.uint8)).save(data, kind, **options)
    return data.getvalue()


def pnm(samples: Samples, most: int, plain: bool = False) -> bytes:
    height, width, channels = samples.shape
    number = (2 if plain else 5) + (channels == 3)
    head = f"P{number} {width} {height} {most}\n".encode()
    if plain:
        return head + " ".join(map(str, samples.ravel().tolist())).encode()
    return head + samples.astype(">u2" if most > 255 else "u1").tobytes()


def on_white(colours: Samples, alpha: Samples) -> Samples:
    seen: Samples = (colours * alpha + 255 * (255 - alpha) + 127) // 255
    return seen


# --- the vectors ---


@pytest.mark.parametrize("entry", ENTRIES, ids=itemgetter("id"))
def test_the_decoder_gives_the_stated_pixels_or_rule(entry: dict[str, Any]) -> None:
    if "error" in entry:
        with pytest.raises(PladaError) as refused:
            decode_bytes(file_of(entry))
        assert {"kind": refused.value.kind, "rule": refused.value.rule} == entry["error"]
    else:
        found = pixels(file_of(entry))
        assert found.shape == (entry["height"], entry["width"], 3)
        assert hashlib.sha256(found.tobytes()).hexdigest() == entry["sha256"]


def test_the_index_follows_its_schema_and_names_every_file_once() -> None:
    jsonschema.validate(INDEX, json.loads((IMAGE_VECTORS / "schema.json").read_text()))
    assert INDEX["pixel_rule"] == PIXEL_RULE
    assert len({entry["id"] for entry in ENTRIES}) == len(ENTRIES)
    files = {path.relative_to(IMAGE_VECTORS).as_posix() for path in (IMAGE_VECTORS / "files").iterdir()}
    assert sorted(entry["file"] for entry in ENTRIES) == sorted(files)
    assert {flag for entry in ENTRIES for flag in entry["flags"]} == set(INDEX["flags"])


def test_the_vectors_show_every_rule_of_the_specification() -> None:
    section = (SPEC / "reference-images.md").read_text(encoding="utf-8").split("## 6. Errors")[1].split("## 7.")[0]
    rules = {line.split("`")[1] for line in section.splitlines() if line.startswith("| `")}
    assert rules == {entry["error"]["rule"] for entry in ENTRIES if "error" in entry}


def test_the_specification_states_the_limits_and_the_version_of_the_code() -> None:
    text = (SPEC / "reference-images.md").read_text(encoding="utf-8")
    assert text.startswith(f"# The pixels of a reference image, version {PIXEL_RULE}\n")
    assert f"| side, in pixels | {MAX_SIDE:,} |\n| pixels | 35,000,000, or 16 B if that is more;" in text
    assert "| pixels of a buffered image | 16,000,000, or 16 B if that is more; 2^27 in any case |" in text
    assert [max_pixels(size) for size in (0, 3 * 10**6, 2**30)] == [35 * 10**6, 48 * 10**6, 2**27]
    assert [max_pixels(size, is_buffered=True) for size in (0, 2 * 10**6, 2**30)] == [16 * 10**6, 32 * 10**6, 2**27]
    assert MAX_PIXELS == 2**27


# --- properties ---

#: Formats without loss, for colours of 8 bits.
LOSSLESS: dict[str, Callable[[Samples], bytes]] = {
    "png": png,
    "png-interlaced": lambda samples: png(samples, interlaced=True),
    "webp": lambda samples: encoded(samples, "webp", lossless=True),
    "bmp": lambda samples: bmp(samples[:, :, ::-1]),
    "tiff-little": lambda samples: tiff(samples, 8, 2),
    "tiff-big": lambda samples: tiff(samples, 8, 2, ">"),
    "tiff-planes": lambda samples: tiff(samples, 8, 2, planes=True),
    "tiff-lzw": lambda samples: encoded(samples, "tiff", compression="tiff_lzw"),
    "tiff-deflate": lambda samples: encoded(samples, "tiff", compression="tiff_adobe_deflate"),
    "ppm": lambda samples: pnm(samples, 255),
    "ppm-plain": lambda samples: pnm(samples, 255, plain=True),
}


@pytest.mark.parametrize("kind", LOSSLESS)
@given(sizes, sizes, seeds)
@examples(0.5)
def test_an_image_without_loss_gives_its_pixels(kind: str, height: int, width: int, seed: int) -> None:
    samples = some(height, width, 3, seed)
    assert np.array_equal(pixels(LOSSLESS[kind](samples)), samples)


@given(sizes, sizes, st.sampled_from([1, 3]), seeds)
def test_images_of_16_bits_agree_in_all_formats_and_byte_orders(
    height: int, width: int, channels: int, seed: int
) -> None:
    samples = some(height, width, channels, seed, 16)
    photometric = 2 if channels == 3 else 1
    files = (
        png(samples, 16),
        png(samples, 16, interlaced=True),
        tiff(samples, 16, photometric, "<"),
        tiff(samples, 16, photometric, ">"),
        pnm(samples, 65_535),
        pnm(samples, 65_535, plain=True),
    )
    expected = np.broadcast_to(samples // 256, (height, width, 3))
    for data in files:
        assert np.array_equal(pixels(data), expected)


def test_a_ramp_of_16_bits_has_all_256_values() -> None:
    ramp = np.arange(65_536).reshape(256, 256, 1)
    for data in (png(ramp, 16), tiff(ramp, 16), tiff(ramp, 16, order=">"), pnm(ramp, 65_535)):
        assert np.array_equal(pixels(data)[:, :, 0], ramp[:, :, 0] // 256)


@given(st.integers(1, 4), st.integers(1, 4), seeds)
@examples(0.3)
def test_an_orientation_gives_the_same_picture_in_all_formats(height: int, width: int, seed: int) -> None:
    grey = np.kron(some(height, width, 1, seed), np.ones((8, 8, 1), np.int64))  # exact in JPEG
    seen = set()
    for orientation in range(1, 9):
        data = exif(orientation, "<>"[seed % 2])
        files = (
            encoded(grey[:, :, 0], "jpeg", quality=100, exif=b"Exif\0\0" + data),
            png(grey, before=[chunk(b"eXIf", data)]),
            encoded(np.repeat(grey, 3, axis=2), "webp", lossless=True, exif=data),
            tiff(grey, tags={274: [orientation]}),
            tiff(grey, order=">", tags={274: [orientation]}),
        )
        found = [pixels(file) for file in files]
        assert all(np.array_equal(each, found[0]) for each in found)
        assert found[0].shape == ((8 * width, 8 * height, 3) if orientation >= 5 else (8 * height, 8 * width, 3))
        seen.add(found[0].tobytes())
    if len(np.unique(grey)) == height * width > 1 and 1 not in (height, width):
        assert len(seen) == 8


@given(sizes, sizes, seeds)
def test_transparent_pixels_are_seen_on_white_in_all_formats(height: int, width: int, seed: int) -> None:
    samples = some(height, width, 4, seed)
    samples[:, :, 3] *= np.random.default_rng(seed).integers(0, 2, (height, width))
    colours, alpha = samples[:, :, :3], samples[:, :, 3:]
    deep = samples * 256 + some(height, width, 4, seed + 1)
    for data in (
        png(samples),
        png(deep, 16),
        png(samples, interlaced=True),
        tiff(samples, 8, 2, tags={338: [2]}),
        tiff(deep, 16, 2, ">", {338: [2]}),
        bmp(samples[:, :, [2, 1, 0, 3]], 32, masks=(0xFF0000, 0xFF00, 0xFF, 0xFF000000)),
        encoded(samples, "webp", lossless=True, exact=True),
    ):
        assert np.array_equal(pixels(data), on_white(colours, alpha))
    grey = samples[:, :, [0, 3]]
    expected = np.broadcast_to(on_white(grey[:, :, :1], alpha), (height, width, 3))
    for data in (png(grey), png(deep[:, :, [0, 3]], 16), tiff(grey, tags={338: [2]})):
        assert np.array_equal(pixels(data), expected)


@given(sizes, sizes, st.integers(1, 256), seeds)
def test_the_alpha_of_a_palette_is_seen_on_white(height: int, width: int, entries: int, seed: int) -> None:
    index = some(height, width, 1, seed)[:, :, 0] % entries
    colours, alphas = some(1, entries, 3, seed)[0], some(1, entries, 1, seed + 1)[0]
    alphas[entries // 2 :] = 255  # these are not in the file
    more = [
        chunk(b"PLTE", colours.astype(np.uint8).tobytes()),
        chunk(b"tRNS", alphas[: entries // 2].astype(np.uint8).tobytes()),
    ]
    found = pixels(png(index, 8, PALETTE, more))
    assert np.array_equal(found, on_white(colours, alphas)[index])


def test_a_black_square_on_a_transparent_ground_is_not_all_black() -> None:
    square = np.zeros((9, 9, 4), np.int64)
    square[3:6, 3:6, 3] = 255
    for data in (png(square), encoded(square, "webp", lossless=True), png(square[:, :, [0, 3]])):
        found = pixels(data)
        assert (found[3:6, 3:6] == 0).all()
        assert (found == 0).all(axis=2).sum() == 9


def test_images_that_are_computed_in_bands_are_whole() -> None:
    samples = some(700, 900, 4, 0)
    assert np.array_equal(pixels(png(samples)), on_white(samples[:, :, :3], samples[:, :, 3:]))


@given(st.sampled_from(VALID), st.floats(0, 1, exclude_max=True))
@examples(3)
def test_a_file_that_is_cut_off_never_gives_other_pixels(entry: dict[str, Any], share: float) -> None:
    data = file_of(entry)
    try:
        found = pixels(data[: int(share * len(data))])
    except SourceError as error:
        assert error.rule in ("image-format", "image-damaged")
        if share > 0.5:
            assert "cut off" in str(error) or "damaged" in str(error)
    else:
        assert hashlib.sha256(found.tobytes()).hexdigest() == entry["sha256"]


@given(st.sampled_from(ENTRIES), st.integers(1, 20), seeds)
@examples(5)
def test_damage_is_a_source_error_or_an_image(entry: dict[str, Any], flips: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    data = bytearray(file_of(entry))
    for _ in range(flips if data else 0):
        data[random.integers(len(data))] ^= 1 << random.integers(8)
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        try:
            assert decode_bytes(bytes(data)).mode == "RGB"
        except SourceError as error:
            assert error.rule.startswith("image-")
            assert "\n" not in str(error)
    assert [str(warning.message) for warning in seen if "PIL" in warning.filename] == []


@given(st.binary(max_size=200))
def test_any_bytes_are_a_source_error_or_an_image(data: bytes) -> None:
    try:
        decode_bytes(data)
    except SourceError as error:
        assert error.rule.startswith("image-")


def test_pixels_are_the_same_from_threads() -> None:
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda entry: hashlib.sha256(pixels(file_of(entry)).tobytes()).hexdigest(), VALID * 3))
    assert found == [entry["sha256"] for entry in VALID * 3]


# --- messages ---


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "is an empty file"),
        (bytes(1000), "holds only zero bytes"),
        (b"\xef\xbb\xbf\n <!doctype HTML>\n<p>", "is an HTML page, not an image"),
        (b"<html><body>Not found", "is an HTML page, not an image"),
        (b'<?xml version="1.0"?>\n<svg width="3">', "is an SVG image, which is not read: convert it to PNG or JPEG"),
        (
            "Zugriff verweigert: für Gäste\n".encode(),
            "is text, not an image: it begins 'Zugriff verweigert: für Gäste'",
        ),
        (b"\0\0\0\x18ftypheic\0\0\0\0", "is a HEIC image, which is not read: convert it to PNG or JPEG"),
        (b"\0\0\0\x1cftypavif\0\0\0\0", "is an AVIF image"),
        (b"\0\0\0\x0cjP  \r\n\x87\n", "is a JPEG 2000 image"),
        (b"\x89\xfe\x7f\xe1" * 9, "is not an image of a format that is read (JPEG, PNG, WebP, GIF, BMP, TIFF, PNM)"),
        (png(some(40, 40, 3, 0))[:-30], "is cut off"),
        (encoded(some(40, 40, 3, 0), "jpeg")[:-300], "is cut off"),
        (tiff(some(5, 5, 1, 0).astype(np.int32), 32, tags={339: [2]}), "has signed or 32-bit integers"),
        (tiff(some(5, 5, 1, 0).astype(np.float32), 32, tags={339: [3]}), "has floating-point numbers (mode F)"),
        (
            png(np.zeros((1, 65_536, 1), np.int64), 1),
            "has 65,536 x 1 pixels, and the limit of a side is 65,535",
        ),
        (
            b"P4 30000 30000\n",
            "has 30,000 x 30,000 pixels, and the limit of a file of its kind and of 15 bytes is 35,000,000 pixels",
        ),
    ],
)
def test_the_message_says_the_cause_and_names_the_image(data: bytes, said: str, tmp_path: Path) -> None:
    for name, content in (("a.png", png(some(2, 2, 3, 0))), ("b.jpg", data)):
        (tmp_path / name).write_bytes(content)
    images = open_images(tmp_path)
    assert decode_image(images, 0).size == (2, 2)
    with pytest.raises(SourceError) as error:
        decode_image(images, 1)
    assert f"image 1 of {tmp_path}, b.jpg, {said}" in str(error.value)
    assert "\n" not in str(error.value)


DECODE = """
import sys
from pathlib import Path
from plada_codec import PladaError
from plada_codec.reference import decode_bytes
try:
    decode_bytes(Path(sys.argv[1]).read_bytes())
except PladaError:
    pass
"""


@pytest.mark.processes
@pytest.mark.parametrize("tags", [{282: [1, 2, 3], 296: [1, 2], 274: [1, 1]}, {277: [60_000]}], ids=str)
def test_warnings_and_logs_of_pillow_do_not_reach_the_user(tags: dict[int, list[int]], tmp_path: Path) -> None:
    """Pillow warns of too many values of a tag, and writes to its log about 60,000 samples."""
    (tmp_path / "image").write_bytes(tiff(some(5, 7, 3, 0), 8, 2, tags=tags))
    command = [sys.executable, "-W", "always", "-c", DECODE, str(tmp_path / "image")]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stderr == ""


def test_a_profile_does_not_come_along_when_the_image_is_saved() -> None:
    (entry,) = [entry for entry in ENTRIES if entry["id"] == "jpeg-profile"]
    data = io.BytesIO()
    decode_bytes(file_of(entry)).save(data, "png")
    assert b"iCCP" not in data.getvalue()


def test_pixels_are_not_invented_where_pillow_is_told_to_complete_images(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("PIL.ImageFile.LOAD_TRUNCATED_IMAGES", True)
    with pytest.raises(Unavailable, match="LOAD_TRUNCATED_IMAGES is set"):
        decode_bytes(png(some(2, 2, 3, 0)))


def test_without_pillow_the_message_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    class Absent:
        def find_spec(self, name: str, *_: object) -> None:
            if name == "PIL":
                raise ModuleNotFoundError("No module named 'PIL'", name="PIL")

    for name in [name for name in sys.modules if name.partition(".")[0] == "PIL"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "meta_path", [Absent(), *sys.meta_path])
    with pytest.raises(Unavailable, match=r"plada\[images\]"):
        decode_bytes(png(some(2, 2, 3, 0)))


@pytest.mark.parametrize(
    ("kind", "options", "is_buffered"),
    [
        ("jpeg", {}, False),
        ("jpeg", {"progressive": True}, True),
        ("webp", {"lossless": True, "method": 0}, True),
        ("tiff", {"compression": "group4"}, False),
        ("tiff", {"compression": "jpeg"}, True),
    ],
)
def test_flat_images_have_the_limit_of_their_kind(kind: str, options: dict[str, Any], is_buffered: bool) -> None:
    data = io.BytesIO()
    Image.new("1" if options.get("compression") == "group4" else "L", (4960, 3700), 1).save(data, kind, **options)
    if is_buffered:
        with pytest.raises(SourceError, match=r"has 4,960 x 3,700 pixels, and the limit .* is 16,000,000 pixels"):
            decode_bytes(data.getvalue())
    else:
        assert decode_bytes(data.getvalue()).size == (4960, 3700)


# --- memory ---

SETUP = """
import sys
from pathlib import Path
from plada_codec.reference import decode_bytes
"""


@pytest.mark.processes
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")
@pytest.mark.parametrize("kind", ["png-16", "png-interlaced", "jpeg-cmyk", "jpeg-progressive", "webp", "gif", "tiff"])
def test_a_megabyte_takes_a_bounded_memory(kind: str, tmp_path: Path) -> None:
    """The largest image that a file of one megabyte may hold, in formats that need the most memory."""
    side = int(max_pixels(10**6, is_buffered=kind in ("jpeg-progressive", "webp")) ** 0.5)
    flat = Image.new("RGBA", (side, side), (1, 2, 3, 4))
    data = io.BytesIO()
    if kind == "png-16":
        data.write(png(np.full((side, side, 4), 1, np.uint16), 16))
    elif kind == "png-interlaced":
        data.write(png(np.full((side, side, 4), 1, np.uint8), interlaced=True))
    elif kind in ("jpeg-cmyk", "jpeg-progressive"):
        turned = Image.Exif()
        turned[274] = 6
        progressive = kind == "jpeg-progressive"
        flat.convert("CMYK").save(data, "jpeg", quality=10, progressive=progressive, subsampling=0, exif=turned)
    elif kind == "webp":
        flat.save(data, "webp", lossless=True, method=0)
    elif kind == "gif":
        flat.convert("P").save(data, "gif")
    else:
        flat.save(data, "tiff", compression="tiff_adobe_deflate")
    (tmp_path / "image").write_bytes(data.getvalue() + bytes(max(0, 10**6 - len(data.getvalue()))))
    grown = process_growth_bytes(SETUP, "decode_bytes(Path(sys.argv[1]).read_bytes())", str(tmp_path / "image"))
    assert grown < 320 << 20  # plada-train has 380 MB of its own
