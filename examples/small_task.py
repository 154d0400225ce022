"""A small task for the examples of clients: a reference set of image files, a payload for it, and test images.

The labels of the payload are the true ones, as a perfect teacher's would be. Needs scikit-learn and Pillow, which the
extra `train` brings.
"""

import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits

from plada_codec import Payload, encode, open_images, reference_digest


class Task(NamedTuple):
    """A folder of images, the file of a payload for it, and test images: pixels (float32 [n, 8, 8, 3]) and labels."""

    reference: Path
    payload: Path
    test_pixels: np.ndarray
    test_labels: np.ndarray


def make_small_task() -> Task:
    """Write the reference set and the payload to a new folder."""
    folder = Path(tempfile.mkdtemp())
    pixels, labels = load_digits(return_X_y=True)
    grey = (pixels.reshape(-1, 8, 8) * 255 / 16).astype(np.uint8)
    reference = folder / "reference"
    reference.mkdir()
    for i in range(1_000):
        Image.fromarray(grey[i]).save(reference / f"{i:04}.png")
    kept = range(0, 1_000, 2)
    digest = reference_digest(open_images(reference))[:8]
    payload = Payload(kept, labels[kept], 1_000, 10, digest, class_names=[f"digit {c}" for c in range(10)])
    (folder / "task.plada").write_bytes(encode(payload))
    test_pixels = np.repeat(grey[1_000:, :, :, None], 3, axis=3).astype(np.float32) / 255
    return Task(reference, folder / "task.plada", test_pixels, labels[1_000:])


if __name__ == "__main__":
    task = make_small_task()
    print(f"{task.payload}: {task.payload.stat().st_size} bytes, for {task.reference}")
