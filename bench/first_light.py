"""The method end to end on real images, and what each payload costs: `python -m bench.first_light`.

Writes bench/results/first-light.csv; takes about ten minutes on one core. Two targets against the 40,000 images of
../shared/data/reference; teacher and student are the same MobileNetV2 with frozen weights and a trained last layer.
Such a student copies the teacher's function from almost any inputs: these accuracies show that all parts work together,
not which images are worth a label.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("GOMP_SPINCOUNT", "0")

import torch

from bench.table import RESULTS, write_rows
from plada_codec import compare
from plada_codec.reference import open_images
from plada_train import stages
from plada_train.data import open_test_images, open_training_images
from plada_train.recipe import Recipe
from plada_train.run import versions
from plada_train.selection import select, universe_of

SHARED = Path(__file__).parent.parent.parent / "shared"
TARGETS = ("resisc12", "clothing10")
#: Rule, keep rate, stride.
SELECTIONS = (("lowest energy", "0.05", 1), ("lowest energy", "0.25", 1), ("stride", "1", 10))
THREADS = 1
RECIPE = Recipe(
    model="mobilenetv2_100",
    weights=SHARED / "weights" / "mobilenetv2_100_tf_in1k.safetensors",
    image_size=96,
    freeze=True,
)


def measure(target: str) -> list[dict[str, Any]]:
    """One row for each selection; teacher and scores are made once."""
    folder = SHARED / "data" / "targets" / target
    train = open_training_images(folder / f"{target}-train-*.tar")
    test = open_test_images(folder / f"{target}-test-*.tar", train.num_classes, train.class_names)
    reference = open_images(SHARED / "data" / "reference")

    start = time.perf_counter()
    teacher = stages.teach(train, RECIPE)
    teacher_accuracy = stages.measure(teacher, test, RECIPE)
    taught = time.perf_counter()
    scores = stages.score(teacher, reference, RECIPE)
    scored = time.perf_counter()

    rows = []
    for rule, keep, stride in SELECTIONS:
        begin = time.perf_counter()
        payload, encoded = select(scores, keep, universe=universe_of(len(reference), 0, stride))
        selected = time.perf_counter()
        student = stages.learn(stages.virtual_dataset(reference, encoded), RECIPE)
        student_accuracy = stages.measure(student, test, RECIPE)
        end = time.perf_counter()
        rows.append(
            {
                "target": target,
                "rule": rule,
                "keep": keep,
                "stride": stride,
                "kept": payload.kept,
                "payload_bytes": len(encoded),
                "paper_zstd_bytes": compare(payload).best_zstd_bytes,
                "teacher_accuracy": round(teacher_accuracy, 4),
                "student_accuracy": round(student_accuracy, 4),
                "teacher_seconds": round(taught - start, 1),
                "score_seconds": round(scored - taught, 1),
                "select_seconds": round(selected - begin, 1),
                "student_seconds": round(end - selected, 1),
                "threads": THREADS,
                "seed": RECIPE.seed,
                **{package: versions()[package] for package in ("torch", "torchvision", "timm", "pillow")},
            }
        )
        print(rows[-1], flush=True)
    return rows


def main() -> None:
    if not SHARED.exists():
        raise SystemExit(f"this benchmark needs {SHARED}")
    torch.set_num_threads(THREADS)
    rows = [row for target in TARGETS for row in measure(target)]
    write_rows(RESULTS / "first-light.csv", "python -m bench.first_light", rows)


if __name__ == "__main__":
    main()
