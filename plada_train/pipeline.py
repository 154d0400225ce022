"""The whole method: a server's stages, a payload, a client's stages, and a report of what came of it."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, replace
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from plada_codec import Universe, compare, decode
from plada_codec.errors import InputError, MissingClasses, PladaWarning
from plada_codec.reference import open_images
from plada_train import json_files, stages
from plada_train.data.labelled import LabelledImages, held_out, open_test_images, open_training_images
from plada_train.files import UNFINISHED, output_folder, read_bytes, write_bytes
from plada_train.models.classifier import make_classifier, save_checkpoint
from plada_train.planning.plan import plan
from plada_train.planning.plan_file import Plan
from plada_train.recipe import Planning, Recipe
from plada_train.report.gather import gather
from plada_train.report.page import render
from plada_train.report.run_report import Confusions, Counts, PlanSummary, RunReport, RunSettings, Seeds
from plada_train.selection.counts import most_kept, universe_of
from plada_train.selection.lowest_cost import LowestCost
from plada_train.selection.optional_sections import OptionalSections
from plada_train.selection.payloads import select
from plada_train.selection.registry import rule_to_json
from plada_train.selection.rule import Rule
from plada_train.versions import versions

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

#: A confusion of more classes is too large to read, and is left out.
MAX_CONFUSION_CLASSES = 200


def run(
    reference: str | Path,
    target_train: str | Path,
    target_test: str | Path,
    output: Path,
    *,
    teacher: Recipe,
    student: Recipe,
    keep: float | str | Fraction | None = None,
    kept: int | None = None,
    max_bytes: int | None = None,
    rule: Rule = LowestCost(),
    offset: int = 0,
    stride: int = 1,
    planning: Planning | None = None,
    sections: OptionalSections = OptionalSections(),
    task: str | None = None,
) -> RunReport:
    """Runs all stages, and writes what each one made to `output`. Goes on where an earlier call was ended.

    `teacher.safetensors`, `scores`, `payload.plada`, `student.safetensors` (the models with a `.json` each),
    `report.json` and `report.html`; and `plan`, if it plans. The student is made from the reference set, opened anew,
    and the bytes of `payload.plada` alone.

    Args:
        reference: source of the reference set (see `plada_codec.reference.open_images`).
        target_train: source of the target's labelled images that the teacher learns from.
        target_test: source of those that both accuracies are measured on.
        output: folder for what is written; made if it is not there.
        teacher: how the teacher is made.
        student: how the student is made.
        keep: share of the universe's images to keep (see `select` for this and the next three).
        kept: their number, instead.
        max_bytes: the payload's largest size; fewer images are kept if need be.
        rule: which images are kept.
        offset: first image of the universe.
        stride: distance of the universe's images.
        planning: instead of all that, the planner's choice of what is kept, and how. Ctrl-C ends its search alone: the
            best so far is its choice.
        sections: optional sections of the payload.
        task: name of the task, for the report. None: that of the folder of `target_train`.

    Returns:
        The report, as `report.json` holds it.

    Raises:
        PladaError: if anything that was given cannot be used, or if `output` holds another run.

    Warns:
        PladaWarning: if the search was interrupted, or its time did not suffice to measure all.
    """
    output = output_folder(output)
    teacher_path, student_path = output / "teacher.safetensors", output / "student.safetensors"
    teacher_state, student_state = (path.with_suffix(UNFINISHED) for path in (teacher_path, student_path))
    if (output / "scores").exists() and not teacher_state.exists():
        what = f"{output} holds a run that is finished, or scores of another teacher"
        raise InputError(f"{what}: name another folder, or remove it", rule="output")
    train = open_training_images(target_train)
    test = open_test_images(target_test, train.num_classes, train.class_names)
    images = open_images(reference)
    universe = universe_of(len(images), offset, stride)
    # What cannot work is found now, not after the first of the long stages.
    if planning is None:
        most_kept(universe.size(len(images)), keep=keep, kept=kept, max_bytes=max_bytes)
    elif (keep, kept, max_bytes, rule, universe) != (None, None, None, LowestCost(), Universe()):
        raise InputError("what is kept is planned or named, not both", rule="plan")
    taught, held = (train, None) if planning is None else held_out(train, planning.held_out)
    sections.check(train.class_names, train.num_classes)
    if student.targets != "hard" and not sections.soft_labels:
        raise InputError(f"there are no soft labels for {student.targets} targets: add --soft-labels", rule="targets")
    for recipe in (teacher, student):
        classifier = make_classifier(recipe, train.num_classes)
        if recipe.freeze:
            classifier.last_layer()
    seconds: dict[str, float] = {}

    with _timed(seconds, "teacher"):
        share = None if planning is None else planning.held_out
        teacher_model = replace(stages.teach(taught, teacher, teacher_state), held_out=share)
        teacher_says = stages.predict(teacher_model, test, teacher)
        teacher_accuracy = test.accuracy(teacher_says)
        save_checkpoint(teacher_model, teacher_path, accuracy=teacher_accuracy)
    with _timed(seconds, "score"), _left_to_select():
        scores = stages.score(teacher_model, images, teacher, output / "scores")
    chosen = None
    if planning is None or held is None:
        with _timed(seconds, "select"):
            limits: dict[str, Any] = {"keep": keep, "kept": kept, "max_bytes": max_bytes}
            _, encoded = select(scores, **limits, rule=rule, universe=universe, sections=sections)
            write_bytes(output / "payload.plada", encoded)
    else:
        with _timed(seconds, "plan"):
            like_student = partial(plan, flip=student.flip, batch_size=student.batch_size, seed=student.seed)
            search = partial(like_student, scores, images, taught, held)
            chosen = _planned(search, planning, sections, output)
    with _timed(seconds, "student"), _left_to_select() if planning is None else nullcontext():
        received = stages.virtual_dataset(open_images(reference), read_bytes(output / "payload.plada"))
        student_model = stages.learn(received, student, student_state)
        student_says = stages.predict(student_model, test, student)
        student_accuracy = test.accuracy(student_says)
        save_checkpoint(student_model, student_path, accuracy=student_accuracy)

    encoded = read_bytes(output / "payload.plada")
    payload = decode(encoded)
    confusion = None
    if test.num_classes <= MAX_CONFUSION_CLASSES:
        confusion = Confusions(teacher=_counts(test, teacher_says), student=_counts(test, student_says))
    report = RunReport(
        teacher_accuracy=teacher_accuracy,
        student_accuracy=student_accuracy,
        reference_size=payload.reference_size,
        reference_digest=scores.reference_digest.hex(),
        num_classes=payload.num_classes,
        kept=payload.kept,
        payload_bytes=len(encoded),
        paper_zstd_bytes=compare(payload).best_zstd_bytes,
        plan=chosen,
        confusion=confusion,
        class_names=test.class_names,
        held_out_images=None if held is None else len(held.numbers),
        seconds=seconds,
        seeds=Seeds(teacher=teacher.seed, student=student.seed),
        settings=RunSettings(
            task=task,
            reference=str(reference),
            target_train=str(target_train),
            target_test=str(target_test),
            keep=None if keep is None else str(keep),
            kept=kept,
            max_bytes=max_bytes,
            rule=rule_to_json(rule),
            offset=offset,
            stride=stride,
            planning=planning,
            **asdict(sections),
            teacher=teacher,
            student=student,
            threads=torch.get_num_threads(),
        ),
        versions=versions(),
    )
    json_files.write(output / "report.json", report)
    write_bytes(output / "report.html", render(gather(output, str(reference))).encode())
    # Delete checkpoints last, so that a re-run finds finished trainings; without the teacher's, no re-run is permitted
    student_state.unlink(missing_ok=True)
    teacher_state.unlink(missing_ok=True)
    return report


def _planned(search: Callable[..., Plan], planning: Planning, sections: OptionalSections, output: Path) -> PlanSummary:
    """The report's `plan`. Once the payload is written the search is over, as the student learns from it."""
    payload, folder = output / "payload.plada", output / "plan"
    budgets = (planning.budget_bytes,)
    if payload.exists():
        found = json_files.read(folder / "plan.json", Plan)
        _check_same_plan(found, planning, sections, output)
    else:
        limits = {name: getattr(planning, name) for name in ("candidates", "minutes", "proxy_steps", "workers")}
        found = search(folder, budgets=budgets, **limits, sections=sections)
        if found.ended_early:
            warnings.warn(f"{found.ended_early}; going on with it", PladaWarning, stacklevel=2)
        write_bytes(payload, read_bytes(folder / "payload.plada"))
    return PlanSummary.of(found)


def _check_same_plan(found: Plan, planning: Planning, sections: OptionalSections, output: Path) -> None:
    """Raises InputError if the payload in `output` is of a plan with other settings."""
    theirs = vars(found.sending) | {"budgets": list(found.budgets), "candidates": found.candidates_asked}
    theirs["proxy_steps"] = found.rungs[-1].steps
    ours = vars(sections) | {"budgets": [planning.budget_bytes], "candidates": planning.candidates}
    ours["proxy_steps"] = planning.proxy_steps
    changes = [f"{name} was {theirs[name]} and is {value}" for name, value in ours.items() if theirs[name] != value]
    if changes:
        what = f"{output} holds the payload of another plan ({', '.join(changes)})"
        raise InputError(f"{what}: name another folder, or remove it", rule="output")


def _counts(test: LabelledImages, predicted: NDArray[np.int64]) -> Counts:
    """The confusion of a model on the test images."""
    return tuple(map(tuple, test.confusion(predicted).tolist()))


@contextmanager
def _left_to_select() -> Iterator[None]:
    """Without a word of missing classes: the selection names them, once."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MissingClasses)
        yield


@contextmanager
def _timed(seconds: dict[str, float], stage: str) -> Iterator[None]:
    start = time.perf_counter()
    yield
    seconds[stage] = round(time.perf_counter() - start, 2)
