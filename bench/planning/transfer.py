"""Accuracy of the planner's choice for other students: `python -m bench.planning.transfer`, after bench.planning.run.

    transfer.csv    students that are not proxies, a larger and a pre-trained one, learn from six payloads of 2,000
                    bytes. Do they rank the payloads as the proxies do, and how much of the proxies' advantage do they
                    keep?
    exhaustive.csv  for one target, proxies of full length learn from every rule that fills the budget from all images,
                    and from the candidates of the planner's last rung. How far is the planner's choice from the best?
                    The best of dozens on held-out images is partly lucky, so all are measured on test images too.

Both files use seed 0 and the plans in .cache/frontier. Proxies learn with another seed than the planner's. Rows that
the files lack are added one by one, as in bench/accuracy/run.py.
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
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from bench.accuracy.run import (
    KINDS,
    RULES,
    SHARED,
    STRIDE,
    TARGETS,
    PlannedRun,
    ResultsTable,
    StudentKind,
    logits_of,
    prepare,
)
from bench.planning.run import (
    FIXED_RULES,
    PLANNER,
    STRIDES,
    STUDENT,
    STUDENT_SEED,
    accuracy_of,
    plan_folder,
    read_plan,
    search,
    split_target,
    teacher_scores,
    train_student,
)
from bench.planning.run import settings_of as frontier_settings
from bench.table import RESULTS
from plada_codec import Universe, decode
from plada_codec.errors import MissingClasses
from plada_train.data.pixels import decode_images
from plada_train.planning.candidates.grid import Candidate, rules
from plada_train.planning.plan_file import PlanCandidate
from plada_train.planning.workers import fill_level
from plada_train.recipe import Planning
from plada_train.scores.reference_scores import Scores
from plada_train.selection.counts import universe_of
from plada_train.selection.lowest_cost import LowestCost
from plada_train.selection.payloads import payload_encoder, select
from plada_train.selection.registry import rule_from_json
from plada_train.training import proxies

if TYPE_CHECKING:
    from numpy.typing import NDArray

_COMMAND = "python -m bench.planning.transfer"
SEED = 0
BUDGET_BYTES = 2_000
TRANSFER, EXHAUSTIVE = "transfer", "exhaustive"
EXHAUSTIVE_TARGET = "resisc12"
LOWEST_LOSS = "lowest loss"
PAYLOADS = (*FIXED_RULES, "inverse", STRIDE, LOWEST_LOSS, PLANNER)
_RULES = RULES | {LOWEST_LOSS: LowestCost(score=("loss",))}
PROXIES = {
    # With the settings of training.proxies
    model: StudentKind(model, replace(STUDENT.recipe, model=model, amp=False), Planning.proxy_steps)
    for model in proxies.MODELS
}
STUDENTS = PROXIES | {
    "larger": StudentKind("larger", replace(STUDENT.recipe, model="resnet10t"), 400),
    "pre-trained": KINDS["pre-trained"],
}


@dataclass(frozen=True)
class TransferRun(PlannedRun):
    """A row of transfer.csv: one of `STUDENTS` learns from one of the `PAYLOADS`."""

    target: str
    payload: str
    student: str


@dataclass(frozen=True)
class ExhaustiveRun(PlannedRun):
    """A row of exhaustive.csv: the proxies learn from a candidate, which `candidate` names by its key."""

    target: str
    candidate: str


def transfers() -> Iterator[TransferRun]:
    """All rows of transfer.csv."""
    yield from itertools.starmap(TransferRun, itertools.product(TARGETS, PAYLOADS, STUDENTS))


# The planner's candidates and scores


@functools.cache
def _candidates(target: str) -> dict[str, Candidate]:
    """Candidates by key: rules that fill the budget, and the planner's candidates within it on the last rung."""
    fitting = [(one, row) for one, row in _measured(target) if row.payload_bytes <= BUDGET_BYTES]
    last = max(row.rung for _, row in fitting)
    finalists = [one for one, row in fitting if row.rung == last]
    filling = [Candidate(rule, Universe(), BUDGET_BYTES) for rule in rules()]
    return {one.key: one for one in (*filling, *finalists)}


def _measured(target: str) -> Iterator[tuple[Candidate, PlanCandidate]]:
    """Candidates, and their entries in plan.json."""
    for row in read_plan(target, SEED).candidates:
        rule = rule_from_json(row.rule)
        yield Candidate(rule, Universe(row.offset, row.stride), row.level_bytes), row


def _winner(target: str) -> tuple[str, str]:
    """Key and name of the planner's choice."""
    winner = read_plan(target, SEED).winner(BUDGET_BYTES)
    return next((one.key, row.name) for one, row in _measured(target) if row == winner)


@functools.cache
def _scores(target: str) -> Scores:
    """The teacher's scores, with the loss that the planner computed."""
    return teacher_scores(target, SEED)[0].with_column("loss", np.load(plan_folder(target, SEED) / "loss.npy"))


def _encoded(target: str, candidate: Candidate) -> bytes | None:
    """A candidate's payload as the planner makes it; None if none fits."""
    path = plan_folder(target, SEED) / "payloads" / f"{candidate.key}.plada"
    if path.exists():
        return path.read_bytes()
    scores = _scores(target)
    encoder = payload_encoder(scores, candidate.rule, candidate.universe)
    most = candidate.universe.size(len(scores.label))
    return encoder(most)[1] if candidate.level_bytes is None else fill_level(encoder, most, candidate.level_bytes)


def _payload(run: TransferRun) -> tuple[str, bytes]:
    """The payload that is sent: its name, and its bytes."""
    scores = _scores(run.target)
    if run.payload == PLANNER:
        key, name = _winner(run.target)
        return name, (plan_folder(run.target, SEED) / "payloads" / f"{key}.plada").read_bytes()
    if run.payload == STRIDE:
        return next(_fitting_strides(scores))
    return run.payload, select(scores, max_bytes=BUDGET_BYTES, rule=_RULES[run.payload])[1]


def _fitting_strides(scores: Scores) -> Iterator[tuple[str, bytes]]:
    """Name and payload of each stride that fits the budget, the densest first."""
    for stride in reversed(STRIDES):
        _, encoded = select(scores, "1", universe=universe_of(len(scores.label), 0, stride))
        if len(encoded) <= BUDGET_BYTES:
            yield f"{STRIDE} {stride}", encoded


# One run, in a process of its own


def _begin() -> None:
    torch.set_num_threads(1)
    warnings.simplefilter("ignore", MissingClasses)


def transfer_row(run: TransferRun) -> dict[str, Any]:
    """Measure a run; return its row of transfer.csv."""
    _begin()
    start = time.perf_counter()
    kind = STUDENTS[run.student]
    selection, encoded = _payload(run)
    received = decode(encoded)
    accuracy = accuracy_of(train_student(kind, received, SEED + STUDENT_SEED), kind, run.target)
    return vars(run) | {
        "selection": selection,
        "model": kind.recipe.model,
        "image_size": kind.recipe.image_size,
        "steps": kind.steps,
        "kept": received.kept,
        "payload_bytes": len(encoded),
        "accuracy": f"{accuracy:.4f}",
        "seconds": f"{time.perf_counter() - start:.1f}",
        "settings": transfer_settings(run),
    }


def exhaustive_row(run: ExhaustiveRun) -> dict[str, Any]:
    """Measure a run; return its row of exhaustive.csv, without accuracies if no payload fits the candidate's level."""
    _begin()
    start = time.perf_counter()
    candidate = _candidates(run.target)[run.candidate]
    encoded = _encoded(run.target, candidate)
    on_test, on_held_out, kept = [], [], 0
    if encoded is not None:
        received = decode(encoded)
        kept = received.kept
        for kind in PROXIES.values():
            proxy = train_student(kind, received, SEED + STUDENT_SEED)
            pixels, labels = _held_out(run.target)
            on_held_out.append(float(np.mean(logits_of(proxy, pixels).argmax(1) == labels)))
            on_test.append(accuracy_of(proxy, kind, run.target))
    winner, _ = _winner(run.target)
    return vars(run) | {
        "selection": candidate.name,
        "level_bytes": candidate.level_bytes or "",
        "is_planner_choice": int(run.candidate == winner),
        "kept": kept,
        "payload_bytes": len(encoded or b""),
        "held_out_accuracy": f"{np.mean(on_held_out):.4f}" if on_held_out else "",
        "accuracy": f"{np.mean(on_test):.4f}" if on_test else "",
        "seconds": f"{time.perf_counter() - start:.1f}",
        "settings": exhaustive_settings(run),
    }


@functools.cache
def _held_out(target: str) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    _, held = split_target(target, SEED)
    return decode_images(held.images, proxies.IMAGE_SIZE, lambda done, total: None, held.numbers), held.labels


# All runs


def transfer_settings(run: TransferRun) -> str:
    """Digest of the settings that decide a row of transfer.csv, besides the sources and the plan."""
    kind = STUDENTS[run.student]
    decisive = (replace(kind.recipe, weights=None), kind.steps, frontier_settings())
    return hashlib.sha256(repr(decisive).encode()).hexdigest()[:8]


def exhaustive_settings(run: ExhaustiveRun) -> str:
    """Digest of the settings that decide a row of exhaustive.csv, besides the sources and the plan."""
    decisive = ([(kind.recipe, kind.steps) for kind in PROXIES.values()], frontier_settings())
    return hashlib.sha256(repr(decisive).encode()).hexdigest()[:8]


def main() -> None:
    arguments = _arguments()
    if not SHARED.exists():
        raise SystemExit(f"this benchmark needs {SHARED}")
    prepare()
    ends_s = time.monotonic() + 60 * arguments.minutes
    if arguments.only != EXHAUSTIVE:
        transfer = ResultsTable(RESULTS / "transfer.csv", _COMMAND, transfers(), transfer_settings, transfer_row)
        missing = transfer.missing()
        for target in {run.target for run in missing}:
            _plan(target, arguments.workers)
        transfer.measure(missing, arguments.workers, ends_s)
    if arguments.only != TRANSFER:
        _plan(EXHAUSTIVE_TARGET, arguments.workers)
        runs = [ExhaustiveRun(EXHAUSTIVE_TARGET, key) for key in _candidates(EXHAUSTIVE_TARGET)]
        exhaustive = ResultsTable(RESULTS / "exhaustive.csv", _COMMAND, runs, exhaustive_settings, exhaustive_row)
        exhaustive.measure(exhaustive.missing(), arguments.workers, ends_s)


def _plan(target: str, workers: int) -> None:
    """Run the planner's search again if its plan is missing, as in another clone."""
    if not (plan_folder(target, SEED) / "plan.json").exists():
        search(target, SEED, workers)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog=_COMMAND, description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", choices=(TRANSFER, EXHAUSTIVE), help="measure the rows of this file only")
    parser.add_argument("--workers", type=int, default=2, help="number of worker processes (default 2)")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="begin no run after this many minutes")
    return parser.parse_args()


if __name__ == "__main__":
    main()
