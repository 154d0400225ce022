"""Candidates: the selections that the planner can choose from, in the order in which it tries them.

A candidate is a rule, the universe that it chooses from, and a level of bytes that it fills; or a whole universe, in
which all images are kept. Not every candidate can be tried, so their order matters. First come the baselines and the
usual candidate, which has the usual value on every axis (see `axes`); then those that differ from it on one axis, so
that every value is tried; then those that differ on two axes, and so on.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from plada_codec import Universe
from plada_train.planning.candidates import axes
from plada_train.scores.reference_scores import Scores
from plada_train.scores.registry import SCORES_OF_LOGITS
from plada_train.selection.lowest_cost import LowestCost
from plada_train.selection.registry import rule_to_json
from plada_train.selection.rule import Rule, selection_name
from plada_train.selection.safety_net import SafetyNet

T = TypeVar("T")

#: The paper's two rules (sections 4.3 and 5.1).
LOWEST_ENERGY, PAPER_SAFETY_NET = LowestCost(), SafetyNet(alpha=-0.2)
#: The winner is compared with these rules; reports use these names.
BASELINES = {"lowest energy": LOWEST_ENERGY, "Safety-Net -0.2": PAPER_SAFETY_NET}
STRIDE = "stride"


@dataclass(frozen=True)
class Candidate:
    """A way to choose images. `level_bytes` is the largest size of its payload; None keeps the whole universe."""

    rule: Rule
    universe: Universe
    level_bytes: int | None

    @property
    def key(self) -> str:
        """The name in files: equal candidates have equal keys. Files in `bench/results` hold such keys."""
        values = rule_to_json(self.rule)
        common = [values.pop(name) for name in ("score", "inverse", "alpha", "reserved")]
        rule = (*common, *values.items())
        text = f"{rule} {self.universe.offset} {self.universe.stride} {self.level_bytes}"
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @property
    def name(self) -> str:
        """Human-readable name."""
        return selection_name(None if self.level_bytes is None else self.rule, self.universe)

    @property
    def baseline(self) -> str | None:
        """Name of the baseline, if the candidate is one."""
        if self.level_bytes is None:
            return STRIDE
        return next(
            (name for name, rule in BASELINES.items() if self.rule == rule and self.universe == Universe()), None
        )


def rules() -> list[Rule]:
    """All selection rules with their scores, in the order of the grid."""
    return _without_repeats(candidate.rule for _, candidate in _combinations(Universe(), 0))


def check_scores(scores: Sequence[Scores]) -> None:
    """Raise InputError, with advice, if `scores` lack a score of logits that candidates use."""
    for name in sorted({name for rule in rules() for name in rule.score} & set(SCORES_OF_LOGITS)):
        for one in scores:
            one.column(name)


def levels(budgets: Sequence[int], smallest_bytes: int) -> list[int]:
    """Sizes in bytes that candidates fill, the largest first. For a single budget, its parts are among them."""
    budget = max(budgets)
    parts = [int(budget * share) for share in axes.LEVEL_SHARES] if len(set(budgets)) == 1 else budgets
    return sorted({part for part in parts if part >= smallest_bytes} | {budget}, reverse=True)


def grid(
    budgets: Sequence[int], levels_bytes: Sequence[int], strides: Sequence[int], sample: Universe, reference_size: int
) -> list[Candidate]:
    """All candidates, in the order in which they are tried: first the lowest energy, once for each budget.

    Args:
        budgets: largest sizes in bytes. With several, each budget has its turn before the next rule.
        levels_bytes: see `levels`.
        strides: strides of whole universes: for each level, the smallest stride that fits.
        sample: the universe that contains all others.
        reference_size: N.
    """
    largest, several = max(budgets), len(set(budgets)) > 1
    firsts = levels_bytes if several else [largest]

    filters: list[Candidate] = []
    changes: dict[Candidate, int] = {}
    for differences, candidate in _combinations(sample, largest):
        if candidate.universe.stride < reference_size:
            for level in levels_bytes:
                one = replace(candidate, level_bytes=level)
                filters.append(one)
                changes.setdefault(one, differences + (level != largest and not several))
    whole = [Candidate(LOWEST_ENERGY, Universe(sample.offset, stride), None) for stride in strides]
    # The paper's rules choose from all images, whatever the sample
    paper = [Candidate(rule, Universe(), level) for rule, level in itertools.product(BASELINES.values(), levels_bytes)]
    usual = [one for one in filters if changes[one] == 0]
    return _without_repeats(
        [
            *(Candidate(LOWEST_ENERGY, Universe(sample.offset, sample.stride), level) for level in firsts),
            *usual,
            *(one for one in paper if one.level_bytes in firsts),
            *whole[: len(firsts)],
            *(one for one in filters if changes[one] == 1),
            *whole,
            *paper,
            *sorted(filters, key=changes.__getitem__),
        ]
    )


def largest_baselines(candidates: Iterable[Candidate]) -> list[Candidate]:
    """The first candidate of each baseline, which has the largest level."""
    found: dict[str, Candidate] = {}
    for one in candidates:
        if one.baseline is not None:
            found.setdefault(one.baseline, one)
    return list(found.values())


def siblings(candidate: Candidate, sample: Universe) -> Iterator[Candidate]:
    """The candidates that differ from this one on one sibling axis."""
    for axis in axes.SIBLING_AXES:
        for value in axis.values:
            changed = None if value == axis.usual else axis.change(candidate, value, sample)
            if changed is not None:
                yield changed


def _combinations(sample: Universe, level_bytes: int) -> Iterator[tuple[int, Candidate]]:
    """All combinations of the values of the grid's axes, each with its number of unusual values."""
    for values in itertools.product(*(axis.values for axis in axes.AXES)):
        candidate: Candidate | None = Candidate(LOWEST_ENERGY, sample, level_bytes)
        for axis, value in zip(axes.AXES, values, strict=True):
            candidate = None if candidate is None else axis.change(candidate, value, sample)
        if candidate is not None:
            yield sum(value != axis.usual for axis, value in zip(axes.AXES, values, strict=True)), candidate


def _without_repeats(values: Iterable[T]) -> list[T]:
    return list(dict.fromkeys(values))
