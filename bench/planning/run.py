"""Run the benchmark of the planner: `python -m bench.planning.run`. Writes frontier.csv.

Every row of bench/results/frontier.csv is one student, measured on all test images of the target. The student is not
one of the planner's proxies, but another network, trained from scratch on pixels with another seed. Methods:

    lowest energy, Safety-Net -0.2                  the paper's rules at keep rate 10%, and the largest selection of
                                                    each that fits a budget
    lowest energy, Safety-Net -0.2, paper's coding  the largest selection that fits the budget in the paper's coding
                                                    (zstd-19)
    stride                                          every s-th image, all kept
    planner                                         the winner of a budget; one search serves all budgets

The teacher of seed s is that of bench/accuracy/run.py, but it does not learn from the held-out images, on which the
planner measures. For clothing10 these are its validation images, for the other targets a tenth of each class. Test
images are for the accuracies in the file only.

Rows that the file lacks are added to it one by one, as in bench/accuracy/run.py.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("GOMP_SPINCOUNT", "0")

import argparse
import functools
import hashlib
import itertools
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from bench.accuracy.run import (
    BACKBONE,
    BUDGETS,
    RULES,
    SEEDS,
    SHARED,
    STRIDE,
    TARGETS,
    TEACHER_STEPS,
    PlannedRun,
    ResultsTable,
    StudentKind,
    TrainingData,
    labels_of,
    load_array,
    logits_of,
    new_network,
    prepare,
    reference_images,
    target_images,
    train,
    train_teacher,
)
from bench.table import RESULTS, ROOT
from plada_codec import Payload, compare, decode
from plada_codec.errors import MissingClasses
from plada_train import json_files
from plada_train.data.labelled import LabelledImages, open_test_images, split_held_out
from plada_train.planning.plan import plan as make_plan
from plada_train.planning.plan_file import Plan
from plada_train.recipe import Recipe
from plada_train.scores.reference_scores import Scores
from plada_train.selection.counts import universe_of
from plada_train.selection.lowest_cost import LowestCost
from plada_train.selection.payloads import select
from plada_train.selection.rule import Rule

_COMMAND = "python -m bench.planning.run"
#: The paper's selection rules, beside which the planner is measured.
FIXED_RULES = ("lowest energy", "Safety-Net -0.2")
PAPERS_CODING = ", paper's coding"
STRIDES = (100, 50, 20, 10, 5, 3, 2)
#: Keep rate of the paper's selections whose accuracy the planner is to reach in fewer bytes.
KEEP = "0.1"
BASELINES, PLANNER = "baselines", "planner"
#: Time limit of each search, which serves all budgets. The default would take too many hours.
PLAN_MINUTES = 5
#: Share of the training images that are held out if the target has no validation images.
HELD_OUT_SHARE = 0.1
#: The students; this model is not among the planner's proxies.
STUDENT = StudentKind(
    "pixels",
    Recipe(model="test_efficientnet", image_size=32, batch_size=64, learning_rate=4e-3, epochs=1, amp=True),
    400,
)
#: Added to the seeds of students: with the same seed, students and proxies would see the same images in one order.
STUDENT_SEED = 100


@dataclass(frozen=True)
class Run(PlannedRun):
    """A row of frontier.csv. `keep` is "" where a budget or a stride alone decides; `budget_bytes` is 0 without one."""

    target: str
    seed: int
    method: str
    keep: str = ""
    stride: int = 1
    budget_bytes: int = 0


def plan() -> Iterator[Run]:
    """All rows, seed by seed: first the rows that need no planner."""
    for seed, target in itertools.product(SEEDS, TARGETS):
        run = functools.partial(Run, target, seed)
        yield from (run(method, budget_bytes=budget) for budget in BUDGETS for method in FIXED_RULES)
        yield from (run(STRIDE, "1", stride) for stride in STRIDES)
        yield from (run(method, KEEP) for method in FIXED_RULES)
    for seed, target, budget, method in itertools.product(SEEDS, TARGETS, BUDGETS, FIXED_RULES):
        yield Run(target, seed, method + PAPERS_CODING, budget_bytes=budget)
    for seed, target, budget in itertools.product(SEEDS, TARGETS, BUDGETS):
        yield Run(target, seed, PLANNER, budget_bytes=budget)


# Data that all runs of a target and a seed share


@functools.cache
def split_target(target: str, seed: int) -> tuple[LabelledImages, LabelledImages]:
    """The images that the teacher learns from, and the held-out images."""
    train, _ = target_images(target)
    folder = SHARED / "data" / "targets" / target
    if list(folder.glob(f"{target}-val-*.tar")):
        return train, open_test_images(folder / f"{target}-val-*.tar", train.num_classes, train.class_names)
    return split_held_out(train, HELD_OUT_SHARE, seed)


@functools.lru_cache(maxsize=1)
def teacher_scores(target: str, seed: int) -> tuple[Scores, float]:
    """The teacher's labels and scores of the reference set, and its accuracy on test images."""
    return train_teacher(target, seed, split_target(target, seed)[0].numbers)


def plan_folder(target: str, seed: int) -> Path:
    """The folder of the planner's search for all budgets."""
    return ROOT / ".cache" / "frontier" / f"{target}-{seed}"


def read_plan(target: str, seed: int) -> Plan:
    """Read the plan. Raises FileError if it does not exist."""
    return json_files.read(plan_folder(target, seed) / "plan.json", Plan)


def search(target: str, seed: int, workers: int) -> None:
    """Run the planner's search for all budgets, or continue it where it was interrupted."""
    # As in all other runs, because the teacher's last bits depend on the number of threads
    torch.set_num_threads(1)
    found = make_plan(
        teacher_scores(target, seed)[0],
        reference_images(),
        *split_target(target, seed),
        plan_folder(target, seed),
        budgets=BUDGETS,
        minutes=PLAN_MINUTES,
        workers=workers,
        seed=seed,
        image_folder=plan_folder(target, seed).parent / "images",
    )
    if found.stopped == "interrupt":
        raise KeyboardInterrupt
    if any(winner.candidate is None for winner in found.winners):
        raise SystemExit(
            f"nothing was measured within some budgets of {target}: is the machine busy with other things?"
        )


# One run, in a process of its own


def measure_run(run: Run) -> dict[str, Any]:
    """Measure a run; return its row. The planner's runs need the files of `search`."""
    torch.set_num_threads(1)
    warnings.simplefilter("ignore", MissingClasses)
    start = time.perf_counter()
    scores, teacher_accuracy = teacher_scores(run.target, run.seed)
    if run.method == PLANNER:
        planned = read_plan(run.target, run.seed)
        winner = planned.winner(run.budget_bytes)
        assert winner is not None, "`search` ends if a budget has no winner"
        selection, proxy_accuracy, plan_minutes = winner.name, f"{winner.accuracy:.4f}", f"{planned.minutes}"
        encoded = (plan_folder(run.target, run.seed) / f"payload-{run.budget_bytes}.plada").read_bytes()
    else:
        selection, proxy_accuracy, plan_minutes = run.method, "", ""
        encoded = _encoded(run, scores)
    received = decode(encoded)
    accuracy = accuracy_of(train_student(STUDENT, received, run.seed + STUDENT_SEED), STUDENT, run.target)
    return dict(zip(vars(run), run.key, strict=True)) | {
        "selection": selection,
        "model": STUDENT.recipe.model,
        "image_size": STUDENT.recipe.image_size,
        "steps": STUDENT.steps,
        "batch_size": STUDENT.recipe.batch_size,
        "kept": received.kept,
        "classes": f"{len(np.unique(received.labels))}/{received.num_classes}",
        "payload_bytes": len(encoded),
        "paper_bytes": paper_bytes(received),
        "accuracy": f"{accuracy:.4f}",
        "proxy_accuracy": proxy_accuracy,
        "plan_minutes": plan_minutes,
        "teacher_accuracy": f"{teacher_accuracy:.4f}",
        "test_images": len(labels_of(run.target)[2]),
        "seconds": f"{time.perf_counter() - start:.1f}",
        "settings": settings_of(run),
    }


def _encoded(run: Run, scores: Scores) -> bytes:
    """The payload of a run that needs no planner."""
    if run.method.endswith(PAPERS_CODING):
        return _largest_in_papers_coding(scores, RULES[run.method.removesuffix(PAPERS_CODING)], run.budget_bytes)
    _, encoded = select(
        scores,
        run.keep or None,
        max_bytes=run.budget_bytes or None,
        rule=RULES.get(run.method, LowestCost()),
        universe=universe_of(len(scores.label), 0, run.stride),
    )
    return encoded


def _largest_in_papers_coding(scores: Scores, rule: Rule, max_bytes: int) -> bytes:
    """Find the largest payload by bisection: sizes grow with the number of images, except for a few bytes."""
    fits, fails = 1, len(scores.label)
    while fails - fits > 1:
        middle = (fits + fails) // 2
        payload, _ = select(scores, kept=middle, rule=rule)
        fits, fails = (middle, fails) if paper_bytes(payload) <= max_bytes else (fits, middle)
    return select(scores, kept=fits, rule=rule)[1]


def paper_bytes(payload: Payload) -> int:
    """Size in the paper's smaller layout under zstd-19. Both sides know the stride, so it costs nothing."""
    plain = Payload(payload.positions, payload.labels, payload.universe_size, payload.num_classes)
    return compare(plain).best_zstd_bytes


def train_student(kind: StudentKind, payload: Payload, seed: int) -> nn.Module:
    """Train a student on a payload."""
    rows = np.array(load_array(f"reference-{kind.recipe.image_size}px")[payload.indices])
    data = TrainingData(rows, payload.labels.astype(np.int64), 0)
    return train(new_network(kind, payload.num_classes, seed), data, kind, seed)


def accuracy_of(student: nn.Module, kind: StudentKind, target: str) -> float:
    """Accuracy on the target's test images."""
    _, _, labels = labels_of(target)
    return float(
        np.mean(logits_of(student, load_array(f"{target}-test-{kind.recipe.image_size}px")).argmax(1) == labels)
    )


# All runs


def settings_of(run: Run | None = None) -> str:
    """Digest of the settings that decide a row, besides the sources; without `run`, of those that decide all rows."""
    recipes = [STUDENT.recipe, replace(BACKBONE, weights=None)]
    decisive: list[Any] = [*recipes, STUDENT.steps, STUDENT_SEED, TEACHER_STEPS, HELD_OUT_SHARE]
    if run and run.method == PLANNER:
        decisive.append(PLAN_MINUTES)
    return hashlib.sha256(repr(decisive).encode()).hexdigest()[:8]


def main() -> None:
    arguments = _arguments()
    if not SHARED.exists():
        raise SystemExit(f"this benchmark needs {SHARED}")
    prepare()
    table = ResultsTable(RESULTS / "frontier.csv", _COMMAND, plan(), settings_of, measure_run)
    ends_s = time.monotonic() + 60 * arguments.minutes
    targets = (arguments.target,) if arguments.target else TARGETS
    if arguments.only != PLANNER:
        baselines = table.missing(lambda run: run.target in targets and run.method != PLANNER)
        table.measure(baselines, arguments.workers, ends_s)
    if arguments.only == BASELINES:
        return
    for seed, target in itertools.product(SEEDS, targets):
        at = (target, seed, PLANNER)
        winners = [run for run in table.missing() if (run.target, run.seed, run.method) == at]
        if winners and time.monotonic() < ends_s:
            search(target, seed, arguments.workers)
            table.measure(winners, arguments.workers, ends_s)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog=_COMMAND, description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", choices=(BASELINES, PLANNER), help="measure these rows only")
    parser.add_argument("--target", choices=TARGETS, help="measure rows of this target only")
    parser.add_argument("--workers", type=int, default=2, help="number of worker processes (default 2)")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="begin no run after this many minutes")
    return parser.parse_args()


if __name__ == "__main__":
    main()
