"""Images for the demonstration: the handwritten digits of scikit-learn, real scans of 8 x 8 pixels.

Half of them are the reference set, without labels. The rest is the target: images that the teacher learns from, and
images on which accuracies are measured. All are written as PNG in WebDataset shards, like the images of any user.
"""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import numpy as np
from PIL import Image

from plada_codec.files import output_folder
from plada_train import json_files
from plada_train.files import write_bytes

#: Numbers of images; the other 297 of 1797 are test images.
REFERENCE, TRAIN = 900, 600
PER_SHARD = 300
SEED = 0
#: Options of `plada-train run`.
OPTIONS = (
    "--teacher=test_resnet",
    "--student=test_resnet",
    "--weights=none",
    "--image-size=32",
    "--no-flip",
    "--batch-size=32",
    "--learning-rate=0.002",
    "--epochs=20",
    "--max-bytes=400",
    "--held-out=0.2",
    "--candidates=20",
    "--proxy-steps=80",
    "--task=handwritten digits",
)


def write_digits(folder: Path) -> dict[str, Path]:
    """Write the shards of the three sources; return their folders by the names of `run`'s options."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    order = np.random.default_rng(SEED).permutation(len(digits.target))
    sources = {}
    parts = np.split(order, [REFERENCE, REFERENCE + TRAIN])
    for name, numbers in zip(("reference", "target-train", "target-test"), parts, strict=True):
        sources[name] = output_folder(folder / name)
        labels = None if name == "reference" else digits.target[numbers]
        pixels = (digits.images[numbers] * (255 / 16)).astype(np.uint8)
        _write_shards(sources[name], name, pixels, labels)
        if labels is not None:
            json_files.write(sources[name] / "classes.json", [str(digit) for digit in range(10)])
    return sources


def _write_shards(folder: Path, prefix: str, pixels: np.ndarray, labels: np.ndarray | None) -> None:
    for shard, first in enumerate(range(0, len(pixels), PER_SHARD)):
        data = io.BytesIO()
        with tarfile.open(fileobj=data, mode="w") as archive:
            for i in range(first, min(first + PER_SHARD, len(pixels))):
                png = io.BytesIO()
                Image.fromarray(pixels[i]).save(png, "png")
                _add(archive, f"{i:06}.png", png.getvalue())
                if labels is not None:
                    _add(archive, f"{i:06}.cls", str(labels[i]).encode())
        write_bytes(folder / f"{prefix}-{shard:03}.tar", data.getvalue())


def _add(archive: tarfile.TarFile, name: str, data: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(data)
    archive.addfile(member, io.BytesIO(data))
