"""Run the whole method: the server's stages, the payload, the client's stages, and a report."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from plada_codec import compare, decode
from plada_codec.errors import InputError, MissingClasses, PladaWarning
from plada_codec.files import lock_folder, output_folder
from plada_codec.reference import ImageSource, open_images
from plada_train import json_files, stages
from plada_train.data.labelled import LabelledImages, open_test_images, open_training_images, split_held_out
from plada_train.files import UNFINISHED, read_bytes, write_bytes
from plada_train.models.classifier import Classifier, make_classifier, save_checkpoint
from plada_train.planning.plan import plan
from plada_train.planning.plan_file import Plan
from plada_train.recipe import Planning, Recipe
from plada_train.report.gather import gather
from plada_train.report.page import render
from plada_train.report.run_report import Confusions, Counts, PlanSummary, RunReport, RunSettings, Seeds
from plada_train.run_config import RunConfig
from plada_train.scores.reference_scores import Scores
from plada_train.versions import versions

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

#: The confusion of more classes is too large to read: it is left out.
MAX_CONFUSION_CLASSES = 200


def run(config: RunConfig, output: Path, *, check_images: bool = True) -> RunReport:
    """Run all stages and write their results to a folder, or continue an interrupted run.

    The folder then holds `teacher.safetensors`, `scores`, `payload.plada`, `student.safetensors` (each model has a
    `.json` beside it), `report.json` and `report.html`; and `plan`, if the selection is planned. The student is made
    only from the reference set, which is opened again, and the bytes of `payload.plada`. Ctrl-C during the planner's
    search only ends the search: the best candidate so far is chosen.

    Args:
        config: all settings of the run.
        output: the folder; created if needed.
        check_images: decode all images once before anything is trained. A run that continues does not.

    Returns:
        The report, as in `report.json`.

    Raises:
        PladaError: if anything in `config` cannot be used, if `output` holds another run, or if another process
            works in it.

    Warns:
        PladaWarning: if the search was interrupted, or its time did not suffice for all candidates.
    """
    with lock_folder(output_folder(output)):
        return _run_stages(config, output, check_images)


def _run_stages(config: RunConfig, output: Path, check_images: bool) -> RunReport:
    teacher_path, student_path = output / "teacher.safetensors", output / "student.safetensors"
    teacher_state, student_state = (path.with_suffix(UNFINISHED) for path in (teacher_path, student_path))
    if (output / "scores").exists() and not teacher_state.exists():
        what = f"{output} holds a finished run, or scores of another teacher"
        raise InputError(f"{what}: name another folder, or remove it", rule="output")
    inputs = _open_inputs(config)
    if check_images and not teacher_state.exists():
        learnt = (inputs.train,) if inputs.held_out is None else (inputs.train, inputs.held_out)
        stages.check_images((*learnt, inputs.test), inputs.reference)
    seconds: dict[str, float] = {}
    with _timed(seconds, "teacher"):
        share = None if config.planning is None else config.planning.held_out
        with _naming("teacher"):
            teacher = replace(stages.train_teacher(inputs.train, config.teacher, teacher_state), held_out=share)
        of_teacher = _test_and_save(teacher, inputs.test, config.teacher, teacher_path)
    with _timed(seconds, "score"), _without_missing_classes():
        scores = stages.score(teacher, inputs.reference, config.teacher, output / "scores")
    with _timed(seconds, "select" if config.planning is None else "plan"):
        found = _choose(config, inputs, scores, output)
    encoded = read_bytes(output / "payload.plada")
    with _timed(seconds, "student"), _without_missing_classes() if config.planning is None else nullcontext():
        received = stages.virtual_dataset(open_images(config.sources.reference), encoded, inputs.test.class_names)
        with _naming("student"):
            student = stages.train_student(received, config.student, student_state)
        of_student = _test_and_save(student, inputs.test, config.student, student_path)
    report = _report(config, inputs, scores, encoded, found, of_teacher, of_student, seconds)
    json_files.write(output / "report.json", report)
    write_bytes(output / "report.html", render(gather(output, config.sources.reference)).encode())
    # Delete checkpoints last, so that a re-run finds finished trainings; without the teacher's, no re-run is permitted
    student_state.unlink(missing_ok=True)
    teacher_state.unlink(missing_ok=True)
    return report


@dataclass(frozen=True)
class _Inputs:
    """The images of a run; `train` has no images that are held out for the planner."""

    reference: ImageSource
    train: LabelledImages
    held_out: LabelledImages | None
    test: LabelledImages


@dataclass(frozen=True)
class _Tested:
    """A model's accuracy on the test images, and the classes that it predicts for them."""

    accuracy: float
    predicted: NDArray[np.int64]


def _open_inputs(config: RunConfig) -> _Inputs:
    """Open all images, and check everything that can be checked before the first long stage. Raises PladaError."""
    sources, planning = config.sources, config.planning
    train = open_training_images(sources.target_train)
    test = open_test_images(sources.target_test, train.num_classes, train.class_names)
    reference = open_images(sources.reference)
    if planning is None:
        config.selection.universe(len(reference))
    taught, held = (train, None) if planning is None else split_held_out(train, planning.held_out)
    config.sections.check(train.class_names, train.num_classes)
    for model, recipe in (("teacher", config.teacher), ("student", config.student)):
        with _naming(model):
            classifier = make_classifier(recipe, train.num_classes)
            if recipe.freeze:
                classifier.last_layer()
    return _Inputs(reference, taught, held, test)


def _test_and_save(classifier: Classifier, test: LabelledImages, recipe: Recipe, path: Path) -> _Tested:
    predicted = stages.predict(classifier, test, recipe)
    accuracy = test.accuracy(predicted)
    save_checkpoint(classifier, path, accuracy=accuracy)
    return _Tested(accuracy, predicted)


def _choose(config: RunConfig, inputs: _Inputs, scores: Scores, output: Path) -> Plan | None:
    """Write the payload of the named selection or of the planner's choice; return the plan, if there is one."""
    payload, folder = output / "payload.plada", output / "plan"
    if config.planning is None or inputs.held_out is None:
        _, encoded = config.selection.select([scores], config.sections)
        write_bytes(payload, encoded)
        return None
    if payload.exists():
        # The search is over: the student may already have learnt from its result
        found = json_files.read(folder / "plan.json", Plan)
        _check_same_plan(found, config.planning, config, output)
        return found
    found = plan(
        scores,
        inputs.reference,
        inputs.train,
        inputs.held_out,
        folder,
        budgets=(config.planning.budget_bytes,),
        candidates=config.planning.candidates,
        minutes=config.planning.minutes,
        proxy_steps=config.planning.proxy_steps,
        workers=config.planning.workers,
        sections=config.sections,
        flip=config.student.flip,
        batch_size=config.student.batch_size,
        seed=config.student.seed,
    )
    if found.ended_early:
        warnings.warn(f"{found.ended_early}; the run continues with it", PladaWarning, stacklevel=3)
    write_bytes(payload, read_bytes(folder / "payload.plada"))
    return found


def _check_same_plan(found: Plan, planning: Planning, config: RunConfig, output: Path) -> None:
    """Raise InputError if the payload in `output` comes from a plan with other settings."""
    theirs = vars(found.sending) | {"budgets": list(found.budgets), "candidates": found.candidates_asked}
    theirs["proxy_steps"] = found.rungs[-1].steps
    ours = vars(config.sections) | {"budgets": [planning.budget_bytes], "candidates": planning.candidates}
    ours["proxy_steps"] = planning.proxy_steps
    changes = [f"{name} was {theirs[name]} and is {value}" for name, value in ours.items() if theirs[name] != value]
    if changes:
        what = f"{output} holds the payload of another plan ({', '.join(changes)})"
        raise InputError(f"{what}: name another folder, or remove it", rule="output")


def _report(
    config: RunConfig,
    inputs: _Inputs,
    scores: Scores,
    encoded: bytes,
    found: Plan | None,
    teacher: _Tested,
    student: _Tested,
    seconds: dict[str, float],
) -> RunReport:
    payload, test = decode(encoded), inputs.test
    confusion = None
    if test.num_classes <= MAX_CONFUSION_CLASSES:
        confusion = Confusions(teacher=_counts(test, teacher.predicted), student=_counts(test, student.predicted))
    return RunReport(
        teacher_accuracy=teacher.accuracy,
        student_accuracy=student.accuracy,
        reference_size=payload.reference_size,
        reference_digest=scores.reference_digest.hex(),
        num_classes=payload.num_classes,
        kept=payload.kept,
        payload_bytes=len(encoded),
        paper_zstd_bytes=compare(payload).best_zstd_bytes,
        plan=None if found is None else PlanSummary.of(found),
        confusion=confusion,
        class_names=test.class_names,
        held_out_images=None if inputs.held_out is None else len(inputs.held_out.numbers),
        seconds=seconds,
        seeds=Seeds(teacher=config.teacher.seed, student=config.student.seed),
        settings=RunSettings.of(config),
        versions=versions(),
    )


def _counts(test: LabelledImages, predicted: NDArray[np.int64]) -> Counts:
    """The confusion of a model on the test images."""
    return tuple(map(tuple, test.confusion(predicted).tolist()))


@contextmanager
def _naming(model: str) -> Iterator[None]:
    """Name the model, teacher or student, in the message of an InputError: it may be about options of both."""
    try:
        yield
    except InputError as error:
        raise InputError(f"the {model}: {error.args[0]}", rule=error.rule) from error


@contextmanager
def _without_missing_classes() -> Iterator[None]:
    """Ignore warnings of missing classes: the selection has already given them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MissingClasses)
        yield


@contextmanager
def _timed(seconds: dict[str, float], stage: str) -> Iterator[None]:
    start = time.perf_counter()
    yield
    seconds[stage] = round(time.perf_counter() - start, 2)
