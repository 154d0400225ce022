"""`RunConfig`: all settings of a run of the whole method."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from plada_codec import Payload, Universe
from plada_codec.errors import InputError
from plada_train.recipe import Planning, Recipe
from plada_train.scores.reference_scores import Scores
from plada_train.selection.counts import most_kept, universe_of
from plada_train.selection.lowest_cost import LowestCost
from plada_train.selection.optional_sections import OptionalSections
from plada_train.selection.payloads import select
from plada_train.selection.rule import Rule


@dataclass(frozen=True, kw_only=True)
class Sources:
    """Sources of images (see `plada_codec.reference.open_images`).

    Attributes:
        reference: the reference set.
        target_train: the target's labelled images that the teacher learns from.
        target_test: the target's labelled images on which both accuracies are measured.
    """

    reference: str
    target_train: str
    target_test: str


@dataclass(frozen=True, kw_only=True)
class Selection:
    """A selection that the user names instead of the planner: the number of kept images, and the rule.

    Attributes:
        keep: share of the universe's images to keep (see `selection.payloads.select`, also for the next two).
        kept: number of images to keep, instead of `keep`.
        max_bytes: largest size of the payload; fewer images are kept if needed.
        rule: the selection rule.
        offset: first image of the universe.
        stride: distance of the universe's images.
    """

    keep: float | str | Fraction | None = None
    kept: int | None = None
    max_bytes: int | None = None
    rule: Rule = field(default_factory=LowestCost)
    offset: int = 0
    stride: int = 1

    def universe(self, reference_size: int) -> Universe:
        """The universe in a reference set of N images.

        Raises:
            InputError: if it would be empty, or has fewer images than are to be kept.
        """
        universe = universe_of(reference_size, self.offset, self.stride)
        most_kept(universe.size(reference_size), keep=self.keep, kept=self.kept, max_bytes=self.max_bytes)
        return universe

    def select(self, scores: Sequence[Scores], sections: OptionalSections) -> tuple[Payload, bytes]:
        """The payload of this selection, and its bytes. Arguments, errors and warnings: `selection.payloads.select`."""
        return select(
            scores,
            self.keep,
            kept=self.kept,
            max_bytes=self.max_bytes,
            rule=self.rule,
            universe=self.universe(len(scores[0].label)),
            sections=sections,
        )


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """All settings of a run of the whole method.

    Attributes:
        sources: the sources of images.
        teacher: recipe of the teacher.
        student: recipe of the student.
        choice: the named selection, or the limits of the planner.
        sections: optional sections of the payload.
        task: name of the task, for the report. None: the name of the folder of `sources.target_train`.

    Raises:
        InputError: if the student is to learn soft labels that the payload does not have.
    """

    sources: Sources
    teacher: Recipe
    student: Recipe
    choice: Selection | Planning
    sections: OptionalSections = field(default_factory=OptionalSections)
    task: str | None = None

    def __post_init__(self) -> None:
        targets = self.student.targets
        if targets != "hard" and not self.sections.soft_labels:
            raise InputError(f"there are no soft labels for {targets} targets: add --soft-labels", rule="targets")

    @property
    def planning(self) -> Planning | None:
        """The planner's limits; None if the selection is named."""
        return self.choice if isinstance(self.choice, Planning) else None

    @property
    def selection(self) -> Selection:
        """The named selection; for a planned one, a `Selection` with default values."""
        return self.choice if isinstance(self.choice, Selection) else Selection()
