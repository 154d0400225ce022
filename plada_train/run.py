"""The whole method: a server's stages, a payload, a client's stages, and a report of what came of it."""

from __future__ import annotations

import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from fractions import Fraction
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from plada_codec import compare
from plada_codec.reference import open_images
from plada_train import stages
from plada_train.data import open_test_images, open_training_images
from plada_train.files import output_folder, read_bytes, write_bytes, write_json
from plada_train.models import make_classifier, save_checkpoint
from plada_train.recipe import Recipe
from plada_train.selection import kept_count, select, universe_of

#: The report names the version of each.
PACKAGES = ("plada", "numpy", "zstandard", "pillow", "torch", "torchvision", "timm")


def run(
    reference: str | Path,
    target_train: str | Path,
    target_test: str | Path,
    output: Path,
    *,
    teacher: Recipe,
    student: Recipe,
    keep: float | str | Fraction = 1,
    max_bytes: int | None = None,
    offset: int = 0,
    stride: int = 1,
    class_names: bool = False,
) -> dict[str, Any]:
    """Runs all stages, and writes what each one made to `output`.

    `teacher.safetensors`, `scores.npz`, `payload.plada`, `student.safetensors` (the models with a `.json` each) and
    `report.json`. The student is made from the reference set, opened anew, and the bytes of `payload.plada` alone.

    Args:
        reference: source of the reference set (see `plada_codec.reference.open_images`).
        target_train: source of the target's labelled images that the teacher learns from.
        target_test: source of those that both accuracies are measured on.
        output: folder for what is written; made if it is not there.
        teacher: how the teacher is made.
        student: how the student is made.
        keep: share of the universe's images to keep (see `plada_train.selection.select`).
        max_bytes: the payload's largest size; fewer images are kept if need be.
        offset: first image of the universe.
        stride: distance of the universe's images.
        class_names: send the names of the classes too.

    Returns:
        The report, as written. Accuracies are shares, 0 .. 1; `paper_zstd_bytes` is the paper's coding of the same
        payload (its smaller layout, zstd level 19).

    Raises:
        PladaError: if anything that was given cannot be used.
    """
    output = output_folder(output)
    train = open_training_images(target_train)
    test = open_test_images(target_test, train.num_classes, train.class_names)
    images = open_images(reference)
    universe = universe_of(len(images), offset, stride)
    # What cannot work is found now, not after the first of the long stages.
    kept_count(keep, universe.size(len(images)))
    for recipe in (teacher, student):
        make_classifier(recipe, train.num_classes)
    seconds: dict[str, float] = {}

    with _timed(seconds, "teacher"):
        teacher_model = stages.teach(train, teacher)
        teacher_accuracy = stages.measure(teacher_model, test, teacher)
        save_checkpoint(teacher_model, output / "teacher.safetensors", accuracy=teacher_accuracy)
    with _timed(seconds, "score"):
        scores = stages.score(teacher_model, images, teacher)
        scores.save(output / "scores.npz")
    with _timed(seconds, "select"):
        payload, encoded = select(scores, keep, max_bytes=max_bytes, universe=universe, class_names=class_names)
        write_bytes(output / "payload.plada", encoded)
    with _timed(seconds, "student"):
        received = stages.virtual_dataset(open_images(reference), read_bytes(output / "payload.plada"))
        student_model = stages.learn(received, student)
        student_accuracy = stages.measure(student_model, test, student)
        save_checkpoint(student_model, output / "student.safetensors", accuracy=student_accuracy)

    report = {
        "teacher_accuracy": teacher_accuracy,
        "student_accuracy": student_accuracy,
        "reference_size": payload.reference_size,
        "reference_digest": scores.reference_digest.hex(),
        "num_classes": payload.num_classes,
        "kept": payload.kept,
        "payload_bytes": len(encoded),
        "paper_zstd_bytes": compare(payload).best_zstd_bytes,
        "seconds": seconds,
        "seeds": {"teacher": teacher.seed, "student": student.seed},
        "settings": {
            "reference": str(reference),
            "target_train": str(target_train),
            "target_test": str(target_test),
            "keep": str(keep),
            "max_bytes": max_bytes,
            "offset": offset,
            "stride": stride,
            "class_names": class_names,
            "teacher": _plain(teacher),
            "student": _plain(student),
            "threads": torch.get_num_threads(),
        },
        "versions": versions(),
    }
    write_json(output / "report.json", report)
    return report


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that a result depends on."""
    return {"python": platform.python_version()} | {name: version(name) for name in PACKAGES}


def _plain(recipe: Recipe) -> dict[str, Any]:
    return asdict(recipe) | {"weights": None if recipe.weights is None else str(recipe.weights)}


@contextmanager
def _timed(seconds: dict[str, float], stage: str) -> Iterator[None]:
    start = time.perf_counter()
    yield
    seconds[stage] = round(time.perf_counter() - start, 2)
