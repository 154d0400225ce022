"""Every reader of images gets the pixels of spec/reference-images.md: on the vectors, and on field cases."""

from __future__ import annotations

import base64
import io
import json
import re
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs the extra 'train'")

import torch
from image_files import chunk, exif, png, tiff
from numpy.typing import NDArray
from PIL import Image, ImageOps

from plada_codec import Payload, VirtualDataset
from plada_codec.reference import decode_bytes, open_images
from plada_train.data import leakage
from plada_train.data.decoded_images import DecodedImages
from plada_train.data.labelled import ImageBatches, open_training_images
from plada_train.data.pixels import decode_square
from plada_train.models.inference import _Batches
from plada_train.report.gather import JPEG_QUALITY, PIXELS, thumbnail
from tests.helpers.paths import IMAGE_VECTORS, ROOT
from tests.helpers.training import plada_train

pytestmark = pytest.mark.training

SIDE = 16
VECTORS = json.loads((IMAGE_VECTORS / "index.json").read_text(encoding="utf-8"))["vectors"]


def square(image: Image.Image) -> NDArray[np.uint8]:
    return np.asarray(image.resize((SIDE, SIDE), Image.Resampling.BICUBIC))


def as_tensor(image: Image.Image) -> torch.Tensor:
    return torch.from_numpy(square(image).astype(np.float32))


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All vectors that are images, in two classes."""
    folder: Path = tmp_path_factory.mktemp("vectors")
    for number, vector in enumerate(vector for vector in VECTORS if "sha256" in vector):
        path = folder / "ab"[number % 2] / Path(vector["file"]).name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes((IMAGE_VECTORS / vector["file"]).read_bytes())
    return folder


def test_every_reader_gets_the_pixels_of_the_vectors(source: Path, tmp_path: Path) -> None:
    images = open_images(source)
    numbers = np.arange(len(images))
    whole = [decode_bytes(images.read(i)) for i in range(len(images))]
    expected = np.stack([square(image) for image in whole])

    data = open_training_images(source)
    batches = ImageBatches(data, as_tensor, len(images), seed=0)
    (batch,) = batches.iterate(0, 1)
    order = {pixels.astype(np.float32).tobytes() for pixels in expected}
    assert {pixels.numpy().tobytes() for pixels in batch.inputs} == order

    inputs = _Batches(images, numbers, len(images), lambda image: as_tensor(image).permute(2, 0, 1))[0]
    assert isinstance(inputs, torch.Tensor)
    assert np.array_equal(inputs.permute(0, 2, 3, 1), expected)
    assert np.array_equal([decode_square(images, i, SIDE) for i in range(len(images))], expected)
    assert np.array_equal(DecodedImages(images, bytes(32), tmp_path, SIDE).pixels(numbers), expected)
    assert np.array_equal([leakage._pixels(images, i, SIDE) for i in range(len(images))], expected)

    kept = VirtualDataset(images, Payload(numbers, numbers * 0, len(images), 2))
    for image, (found, _) in zip(whole, kept, strict=True):
        assert np.array_equal(np.asarray(found), np.asarray(image))

    for i in numbers.tolist():
        jpeg = io.BytesIO()
        ImageOps.fit(whole[i], (PIXELS, PIXELS)).save(jpeg, "jpeg", quality=JPEG_QUALITY)
        assert base64.b64decode(thumbnail(images, i).partition(",")[2]) == jpeg.getvalue()


def test_nothing_but_the_one_decoder_opens_images() -> None:
    for folder in ("plada_codec", "plada_train", "examples", "bench"):
        for path in (ROOT / folder).rglob("*.py"):
            if path.parent != ROOT / "plada_codec" / "reference" / "pixels":
                text = path.read_text(encoding="utf-8")
                assert not re.search(r"\bImage\.open\(|ImageFile\(|default_loader|cv2|imageio", text), path


def leaked(target: Path, reference: Path) -> int:
    result = plada_train("leakage", f"--target={target}", f"--reference={reference}", "--json")
    assert result.exit_code == 0, result.stderr
    found: int = json.loads(result.stdout)["targets"][0]["leaked"]
    return found


def test_unrelated_images_of_16_bits_do_not_leak(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    for name in ("target", "reference"):
        (tmp_path / name).mkdir()
        for i in range(10):
            samples = np.kron(random.integers(0, 65_536, (4, 4, 1)), np.ones((16, 16, 1), np.int64))
            data = png(samples, 16) if name == "target" else tiff(samples, 16)
            (tmp_path / name / f"{i}.tif").write_bytes(data)
    assert leaked(tmp_path / "target", tmp_path / "reference") == 0
    assert leaked(tmp_path / "target", tmp_path / "target") == 10


def test_the_upright_copy_of_a_turned_image_leaks(tmp_path: Path) -> None:
    samples = np.kron(np.random.default_rng(0).integers(0, 256, (4, 6, 3)), np.ones((8, 8, 1), np.int64))
    for name in ("target", "reference"):
        (tmp_path / name).mkdir()
    (tmp_path / "target" / "upright.png").write_bytes(png(np.rot90(samples, -1)))
    (tmp_path / "reference" / "turned.png").write_bytes(png(samples, before=[chunk(b"eXIf", exif(6))]))
    assert leaked(tmp_path / "target", tmp_path / "reference") == 1


def test_floating_point_images_are_refused_with_their_number(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png(np.zeros((4, 4, 3), np.int64)))
    (tmp_path / "b.tif").write_bytes(tiff(np.zeros((4, 4, 1), np.float32), 32, tags={339: [3]}))
    result = plada_train("leakage", f"--target={tmp_path}", f"--reference={tmp_path}")
    assert result.exit_code == 1
    assert f"image 1 of {tmp_path}, b.tif, has floating-point numbers (mode F)" in result.stderr
