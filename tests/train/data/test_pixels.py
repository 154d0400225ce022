"""Batches of images in memory (plada_train/data/pixels.py)."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs the extra 'train'")

import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from plada_train.data.pixels import SHIFT, MemoryBatches, augment, central_square, normalise, rows_as_input
from tests.helpers.memory import process_growth_bytes

pytestmark = pytest.mark.training

PIXELS = np.random.default_rng(0).integers(0, 256, (7, 16, 16, 3), dtype=np.uint8)


def batches(images: int, batch_size: int, steps: int, seed: int = 0) -> MemoryBatches:
    rows = np.arange(images, dtype=np.float32)[:, None]
    return MemoryBatches(rows, np.arange(images), rows_as_input, batch_size, steps, seed, np.arange(images) / 2)


@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 12), st.integers(0, 12))
def test_a_batch_is_a_function_of_its_number(images: int, batch_size: int, steps: int, start: int) -> None:
    whole = list(batches(images, batch_size, steps).iterate(0, steps))
    for batch, expected in zip(batches(images, batch_size, steps).iterate(start, steps), whole[start:], strict=True):
        assert torch.equal(batch.inputs, expected.inputs)
        assert torch.equal(batch.labels, expected.labels)


@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 12), st.integers(0, 2**32 - 1))
def test_every_image_is_seen_as_often_as_the_others(images: int, batch_size: int, steps: int, seed: int) -> None:
    seen = Counter(dict.fromkeys(range(images), 0))
    for batch in batches(images, batch_size, steps, seed).iterate(0, steps):
        assert len(batch.labels) == batch_size
        seen.update(batch.labels.tolist())
    assert max(seen.values()) - min(seen.values()) <= 1


def test_a_batch_holds_the_rows_the_labels_and_the_weights_of_the_same_images() -> None:
    for batch in batches(9, 4, 5).iterate(0, 5):
        assert batch.weights is not None
        assert torch.equal(batch.inputs[:, 0], batch.labels.float())
        assert torch.equal(batch.weights, batch.labels.float() / 2)


def test_seeds_give_different_orders() -> None:
    first, second = (next(batches(40, 40, 1, seed).iterate(0, 1)).labels.tolist() for seed in (0, 1))
    assert first != second
    assert sorted(first) == sorted(second)


def test_normalised_pixels_are_of_minus_one_to_one() -> None:
    black_and_white = np.stack([np.zeros((4, 4, 3), np.uint8), np.full((4, 4, 3), 255, np.uint8)])
    inputs = normalise(black_and_white)
    assert inputs.shape == (2, 3, 4, 4)
    assert set(inputs[0].ravel().tolist()) == {-1}
    assert set(inputs[1].ravel().tolist()) == {1}


def test_an_augmented_image_is_the_image_moved_and_perhaps_mirrored() -> None:
    reach = PIXELS.shape[1] // SHIFT
    padded = np.pad(PIXELS, ((0, 0), (reach, reach), (reach, reach), (0, 0)), mode="reflect")
    moves = range(2 * reach + 1)
    found = set()
    for seed in range(20):
        for image, inputs in enumerate(augment(PIXELS, np.random.default_rng(seed))):
            (match,) = {
                (top, left, mirrored)
                for top in moves
                for left in moves
                for mirrored in (False, True)
                if torch.equal(inputs, _window(padded[image], top, left, mirrored))
            }
            found.add(match)
    assert {mirrored for *_, mirrored in found} == {False, True}
    assert {top for top, *_ in found} == set(moves) == {left for _, left, _ in found}


def _window(padded: np.ndarray, top: int, left: int, mirrored: bool) -> torch.Tensor:
    window = padded[top : top + 16, left : left + 16]
    return normalise(np.ascontiguousarray(window[:, ::-1] if mirrored else window)[None])[0]


# --- scaled and cropped ---


@given(
    st.integers(1, 60),
    st.integers(1, 60),
    st.integers(1, 40),
    st.sampled_from(["nearest", "bilinear", "bicubic", "box", "hamming", "lanczos"]),
    st.integers(0, 2**32 - 1),
)
def test_the_central_square_is_that_of_the_scaled_image(
    width: int, height: int, side: int, interpolation: str, seed: int
) -> None:
    """As torchvision's Resize and CenterCrop give it, which compute all pixels of the scaled image."""
    image = Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8))
    short = min(width, height)
    columns, rows = (side if length == short else int(side * length / short) for length in (width, height))
    left, top = (round((length - side) / 2) for length in (columns, rows))
    scaled = image.resize((columns, rows), Image.Resampling[interpolation.upper()])
    expected = np.asarray(scaled.crop((left, top, left + side, top + side)), int)
    found = np.asarray(central_square(image, side, interpolation), int)
    # Rounding may move a sample to the next pixel, or a sum across a half
    assert np.mean(np.abs(found - expected) > (0 if interpolation == "nearest" else 1)) <= 0.1


SETUP = """
import sys
from plada_codec.reference import open_images
from plada_train.data import leakage, pixels
from plada_train.models.config import ModelConfig
from plada_train.report.gather import thumbnail
images = open_images(sys.argv[1])
config = ModelConfig(model="test_resnet", model_args={}, num_classes=2, class_names=None, image_size=224,
    mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5), interpolation="bicubic")
transforms = config.transform(), config.training_transform(flip=True)
"""
LONG_IMAGES = """
for i in range(len(images)):
    for transform in transforms:
        assert transform(pixels.decode_image(images, i)).shape == (3, 224, 224)
    pixels.decode_square(images, i, 224)
    leakage.summarise(images, 64, 1, lambda done, total: None)
    thumbnail(images, i)
"""


@pytest.mark.processes
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")
def test_long_images_take_little_memory_wherever_images_are_scaled(tmp_path: Path) -> None:
    for number, size in enumerate([(1, 10_000), (1, 65_535), (65_535, 1), (65_535, 7)]):
        Image.new("RGB", size, (200, 30, 30)).save(tmp_path / f"{number}.png")
    assert process_growth_bytes(SETUP, LONG_IMAGES, str(tmp_path)) < 300 << 20
