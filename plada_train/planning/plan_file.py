"""The file `plan.json`: the candidates that a search measured, and the winner of each budget."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from plada_train.charts.values import Point
from plada_train.constraints import Count, Digest, NumClasses, Positive, Range, Seconds, Share
from plada_train.selection.optional_sections import OptionalSections

#: The reason why a search ended before it had measured all candidates.
StopReason = Literal["time", "interrupt"]


@dataclass(frozen=True, kw_only=True)
class PlanCandidate:
    """A candidate, and its measurement on its last rung.

    Attributes:
        id: number of the candidate in this plan.
        name: human-readable name.
        rule: the selection rule: its scores, its direction, and its options.
        stride, offset: the universe.
        level_bytes: largest size of the payload; null keeps the whole universe.
        baseline: name of the baseline, if the candidate is one.
        kept: number of kept images.
        payload_bytes: size of the payload.
        accuracies: accuracy of each proxy on held-out images, 0 .. 1.
        rung: the last rung that it was measured on, from 0.
        accuracy: mean of `accuracies`. Accuracies of different rungs cannot be compared.
    """

    id: Count
    name: str
    rule: dict[str, Any]
    stride: Positive
    offset: Count
    level_bytes: Positive | None
    baseline: str | None
    kept: Positive
    payload_bytes: Positive
    accuracies: dict[str, Share]
    rung: Count
    accuracy: Share


@dataclass(frozen=True)
class Rung:
    """One round of a search.

    Attributes:
        steps: training steps of the proxies.
        candidates: number of candidates that the rung was to measure.
        measured: number of candidates that it measured.
    """

    steps: Positive
    candidates: Count
    measured: Count


@dataclass(frozen=True, kw_only=True)
class Winner:
    """The winner of a budget.

    Attributes:
        budget_bytes: the budget.
        candidate: the winner's id; null if no candidate within the budget was measured.
        rung: the rung that it won on.
    """

    budget_bytes: Positive
    candidate: Count | None
    rung: Count | None


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The result of a search.

    Attributes:
        budgets: the budgets in bytes.
        stopped: why the search ended early: "time" or "interrupt"; null if it measured all candidates.
        winners: the winner of each budget.
        candidates: all measured candidates.
        frontier: ids of the candidates of the last rung that no other beats in both bytes and accuracy, by bytes.
        rungs: the rounds of the search.
        proxies: names of the proxies.
        image_size: side of the proxies' input, in pixels.
        reference_size: number of reference images N.
        reference_digest: digest of the reference set, in hexadecimal.
        num_classes: number of classes C.
        class_names: names of the classes, if known.
        train_images: number of images from which proxies learnt the target.
        held_out_images: number of images on which accuracies were measured.
        sending: optional sections of the payloads.
        seed: seed of all trainings.
        versions: versions of the software, by package.
        candidates_asked: number of candidates to try; null: as many as the time allowed.
        minutes: time limit of the search.
        seconds: elapsed seconds of the search, earlier calls included.
        proxy_accuracy: accuracy on held-out images of each proxy that learnt the target itself, 0 .. 1.

    Raises:
        ValueError: if its parts contradict each other.
    """

    budgets: tuple[Positive, ...]
    stopped: StopReason | None
    winners: tuple[Winner, ...]
    candidates: tuple[PlanCandidate, ...]
    frontier: tuple[Count, ...]
    rungs: tuple[Rung, ...]
    proxies: tuple[str, ...]
    image_size: Positive
    reference_size: Positive
    reference_digest: Digest
    num_classes: NumClasses
    class_names: tuple[str, ...] | None
    train_images: Count
    held_out_images: Count
    sending: OptionalSections
    seed: Count
    versions: dict[str, str]
    candidates_asked: Positive | None
    minutes: Annotated[float, Range(above=0)]
    seconds: Seconds
    proxy_accuracy: dict[str, Share]

    def __post_init__(self) -> None:
        ids = {candidate.id for candidate in self.candidates}
        named = {*self.frontier, *(winner.candidate for winner in self.winners if winner.candidate is not None)}
        if not self.candidates or not named <= ids:
            raise ValueError("winners or frontier name candidates that do not exist")
        if max(candidate.rung for candidate in self.candidates) >= len(self.rungs):
            raise ValueError("a candidate has a rung that does not exist")
        if self.class_names is not None and len(self.class_names) != self.num_classes:
            raise ValueError(f"{len(self.class_names)} class names for {self.num_classes} classes")

    def winner(self, budget_bytes: int) -> PlanCandidate | None:
        """The winner of a budget; None if the plan has none for it."""
        ids = {winner.candidate for winner in self.winners if winner.budget_bytes == budget_bytes}
        return next((candidate for candidate in self.candidates if candidate.id in ids), None)

    @property
    def largest_winner(self) -> tuple[Winner, PlanCandidate] | None:
        """The winner of the largest budget that has one."""
        for winner in sorted(self.winners, key=lambda winner: winner.budget_bytes, reverse=True):
            if (candidate := self.winner(winner.budget_bytes)) is not None:
                return winner, candidate
        return None

    def baselines_beside(self, winner: Winner) -> tuple[PlanCandidate, ...]:
        """The best candidate of each baseline within a winner's budget, among those measured on the same rung."""
        fitting = [
            candidate
            for candidate in self.candidates
            if candidate.baseline and candidate.rung == winner.rung and candidate.payload_bytes <= winner.budget_bytes
        ]
        return tuple({each.baseline: each for each in sorted(fitting, key=lambda each: each.accuracy)}.values())

    @property
    def ended_early(self) -> str | None:
        """A message that says why the search measured fewer candidates than asked for; None if it measured all."""
        if self.stopped == "time":
            minutes = f"the planner's {self.minutes:g} minutes did not suffice"
            return f"{minutes}: on another machine or with more --minutes, the choice may differ"
        return "the planner was interrupted: this is the best so far" if self.stopped else None

    def points(self) -> tuple[Point, ...]:
        """The winners, and all candidates of the last rung, as points of a chart.

        Winners of earlier rungs were measured in shorter trainings and cannot be compared: their names say so.
        """
        last = max(candidate.rung for candidate in self.candidates)
        chosen = self.largest_winner
        winners = {winner.candidate for winner in self.winners}
        return tuple(
            Point(
                payload_bytes=candidate.payload_bytes,
                accuracy=candidate.accuracy,
                series=candidate.baseline or "candidates",
                name=candidate.name + ("" if candidate.rung == last else f" (measured in {steps} steps)"),
                is_frontier=candidate.id in self.frontier,
                is_chosen=chosen is not None and candidate.id == chosen[1].id,
                steps=steps,
            )
            for candidate, steps in ((each, self.rungs[each.rung].steps) for each in self.candidates)
            if candidate.rung == last or candidate.id in winners
        )
