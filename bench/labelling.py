"""Measure the rate of labelling against a bare forward loop of the same model: `python -m bench.labelling`.

Writes bench/results/labelling.csv; needs ../shared; takes about four minutes of two cores, which should be idle. The
weights are random, because trained weights take the same time. *Bare* is the forward pass alone: the batches are in
memory, and the logits are not used. *Ours* is labelling: another process decodes while this one computes, labels and
scores are computed, and the shard is written. The reference digest, one pass over the files before, does not count.
The two take turns. `ratio` compares wall times. `cpu_ratio` compares CPU times of this process, which show the work
besides the model, and hardly change on a busy machine.
"""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("GOMP_SPINCOUNT", "0")

import numpy as np
import torch

from bench.table import RESULTS, write_rows
from plada_codec.reference import ImageSource, decode_image, open_images
from plada_train.models import inference
from plada_train.models.classifier import Classifier, make_classifier
from plada_train.recipe import SHARD_SIZE, Recipe
from plada_train.scores import labelling
from plada_train.scores.shards import Manifest
from plada_train.versions import versions

REFERENCE = Path(__file__).parent.parent.parent / "shared" / "data" / "reference"
#: Model, side of its input in pixels, number of images in a turn: about five seconds of one core.
MODELS = (
    ("convnextv2_tiny", 64, 320),
    ("convnextv2_tiny", 224, 32),
    ("mobilenetv2_100", 96, 1600),
    ("resnet18", 64, 1600),
)
NUM_CLASSES = 12
REPEATS = 5
THREADS = 1
WORKERS = 1


def measure(model: str, image_size: int, images: int, reference: ImageSource) -> dict[str, Any]:
    """Measure a model; return a row with both rates in images per second, as medians of `REPEATS` turns."""
    recipe = Recipe(model=model, image_size=image_size, workers=WORKERS)
    torch.manual_seed(recipe.seed)
    teacher = make_classifier(recipe, NUM_CLASSES)
    size = inference.batch_size(recipe)
    batches = prepare_batches(teacher, reference, images, size)
    turns = []
    for turn in range(REPEATS + 1):
        times_s = {}
        for way in ("bare", "ours") if turn % 2 else ("ours", "bare"):
            start, cpu_start = time.perf_counter(), time.process_time()
            if way == "bare":
                forward(teacher, batches)
            else:
                label_images(teacher, recipe, reference, images)
            times_s[way] = np.array([time.perf_counter() - start, time.process_time() - cpu_start])
        turns.append((*times_s["bare"], *times_s["ours"]))
    # The first turn warms up
    bare_s, bare_cpu_s, ours_s, ours_cpu_s = np.array(turns[1:]).T
    return {
        "model": model,
        "image_size": image_size,
        "images": images,
        "batch_size": size,
        "bare_images_per_s": f"{np.median(images / bare_s):.1f}",
        "ours_images_per_s": f"{np.median(images / ours_s):.1f}",
        "ratio": f"{np.median(bare_s / ours_s):.3f}",
        "lowest_ratio": f"{np.min(bare_s / ours_s):.3f}",
        "cpu_ratio": f"{np.median(bare_cpu_s / ours_cpu_s):.3f}",
        "repeats": REPEATS,
        "threads": THREADS,
        "workers": WORKERS,
        "device": recipe.device,
        **{package: versions()[package] for package in ("torch", "torchvision", "timm", "pillow")},
    }


def prepare_batches(teacher: Classifier, reference: ImageSource, images: int, size: int) -> list[torch.Tensor]:
    """Decode the first `images` images of the reference set; return the batches of the model's input."""
    transform = teacher.config.transform()
    pixels = torch.stack([transform(decode_image(reference, i)) for i in range(images)])
    return [pixels[i : i + size].contiguous(memory_format=torch.channels_last) for i in range(0, images, size)]


def forward(teacher: Classifier, batches: list[torch.Tensor]) -> None:
    """Compute the logits of all batches, and do nothing with them."""
    with torch.inference_mode():
        for batch in batches:
            teacher.network(batch)


def label_images(teacher: Classifier, recipe: Recipe, reference: ImageSource, images: int) -> None:
    """Label the first `images` images of the reference set, as `plada-train score` does."""
    manifest = Manifest(
        images=images,
        num_classes=NUM_CLASSES,
        class_names=None,
        reference_digest="",
        teacher_digest="",
        temperature=1.0,
        amp=False,
        shard_size=SHARD_SIZE,
        image_digests=("",),
    )
    with tempfile.TemporaryDirectory() as folder:
        for _ in labelling.shards(teacher, reference, recipe, manifest, Path(folder), lambda *_: None):
            pass


def main() -> None:
    if not REFERENCE.exists():
        raise SystemExit("this benchmark needs ../shared")
    torch.set_num_threads(THREADS)
    reference = open_images(REFERENCE)
    rows = []
    for model, image_size, images in MODELS:
        rows.append(measure(model, image_size, images, reference))
        print(rows[-1], flush=True)
    write_rows(RESULTS / "labelling.csv", "python -m bench.labelling", rows)


if __name__ == "__main__":
    main()
