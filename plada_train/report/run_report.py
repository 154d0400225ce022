"""The file `report.json`: the measurements of a run, and its settings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from plada_train.constraints import Count, Digest, NumClasses, Positive, Seconds, Share
from plada_train.planning.plan_file import Plan, PlanCandidate, Rung, StopReason
from plada_train.recipe import Planning, Recipe
from plada_train.run_config import RunConfig
from plada_train.selection.registry import rule_to_json

#: Numbers of test images by true class (row) and predicted class (column).
Counts = tuple[tuple[Count, ...], ...]


@dataclass(frozen=True, kw_only=True)
class Confusions:
    """Test images by true class (row) and predicted class (column).

    Attributes:
        teacher: classified by the teacher.
        student: classified by the student.
    """

    teacher: Counts
    student: Counts


@dataclass(frozen=True, kw_only=True)
class PlanSummary:
    """The planner's choice.

    Attributes:
        budget_bytes: the budget.
        candidate: the winner.
        baselines: the most accurate candidate of each baseline within the budget.
        stopped: see `Plan`.
        rungs: see `Plan`.
    """

    budget_bytes: Positive
    candidate: PlanCandidate
    baselines: tuple[PlanCandidate, ...]
    stopped: StopReason | None
    rungs: tuple[Rung, ...]

    @classmethod
    def of(cls, plan: Plan) -> PlanSummary:
        """Make the summary of a plan for one budget."""
        chosen = plan.largest_winner
        assert chosen is not None, "a plan of one budget has measured its winner"
        winner, candidate = chosen
        return cls(
            budget_bytes=winner.budget_bytes,
            candidate=candidate,
            baselines=plan.baselines_beside(winner),
            stopped=plan.stopped,
            rungs=plan.rungs,
        )


@dataclass(frozen=True, kw_only=True)
class Seeds:
    """Seeds of the trainings."""

    teacher: Count
    student: Count


@dataclass(frozen=True, kw_only=True)
class RunSettings:
    """All settings of a run.

    Attributes:
        task: name of the task; null: the name of the folder of `target_train`.
        reference, target_train, target_test: sources of images.
        keep, kept, max_bytes: share, number or bytes of the images to keep, as given.
        rule: the selection rule: its scores, its direction, and its options.
        offset, stride: the universe.
        planning: the planner's limits; null if the selection was named.
        class_names, class_check, soft_labels, weights_tau: optional sections of the payload.
        teacher, student: recipes of the models.
        threads: number of threads of torch.
    """

    task: str | None
    reference: str
    target_train: str
    target_test: str
    keep: str | None
    kept: Positive | None
    max_bytes: Positive | None
    rule: dict[str, Any]
    offset: Count
    stride: Positive
    planning: Planning | None
    class_names: bool
    class_check: bool
    soft_labels: bool
    weights_tau: float | None
    teacher: Recipe
    student: Recipe
    threads: Positive

    @classmethod
    def of(cls, config: RunConfig) -> RunSettings:
        """Make the settings of a run in this process."""
        selection = config.selection
        return cls(
            task=config.task,
            **vars(config.sources),
            keep=None if selection.keep is None else str(selection.keep),
            kept=selection.kept,
            max_bytes=selection.max_bytes,
            rule=rule_to_json(selection.rule),
            offset=selection.offset,
            stride=selection.stride,
            planning=config.planning,
            **vars(config.sections),
            teacher=config.teacher,
            student=config.student,
            threads=torch.get_num_threads(),
        )


@dataclass(frozen=True, kw_only=True)
class RunReport:
    """The result of a run.

    Attributes:
        teacher_accuracy, student_accuracy: accuracies on the test images, 0 .. 1.
        reference_size: number of reference images N.
        reference_digest: digest of the reference set, in hexadecimal.
        num_classes: number of classes C.
        kept: number of kept images.
        payload_bytes: size of the payload.
        paper_zstd_bytes: size of the same payload in the paper's coding (its smaller layout, zstd level 19).
        plan: the planner's choice; null if the selection was named.
        confusion: confusions of both models; null if there are too many classes to show.
        class_names: names of the classes, if known.
        held_out_images: number of images on which the planner measured; null without a planner.
        seconds: time of each stage in the last call.
        seeds: seeds of the trainings.
        settings: all settings of the run.
        versions: versions of the software, by package.

    Raises:
        ValueError: if the confusions or names have another number of classes.
    """

    teacher_accuracy: Share
    student_accuracy: Share
    reference_size: Positive
    reference_digest: Digest
    num_classes: NumClasses
    kept: Positive
    payload_bytes: Positive
    paper_zstd_bytes: Positive
    plan: PlanSummary | None
    confusion: Confusions | None
    class_names: tuple[str, ...] | None
    held_out_images: Count | None
    seconds: dict[str, Seconds]
    seeds: Seeds
    settings: RunSettings
    versions: dict[str, str]

    def __post_init__(self) -> None:
        size = self.num_classes
        if self.class_names is not None and len(self.class_names) != size:
            raise ValueError(f"{len(self.class_names)} class names for {size} classes")
        if self.confusion is not None:
            for counts in (self.confusion.teacher, self.confusion.student):
                if any(len(row) != size for row in (counts, *counts)):
                    raise ValueError(f"the confusion is not of {size} classes")
