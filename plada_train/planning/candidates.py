"""What the planner can choose from: candidates, and the order in which it tries them.

A candidate is a rule, the universe that it chooses from, and a level of bytes that it fills; or a whole universe, all
of whose images are kept. The order says what is tried where not everything can be: the baselines, what won most often
before (`USUAL`), and what differs from that in one way, each in turn, so that every score, quota, direction, stride and
level is tried; then what differs in two ways, and so on.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from plada_codec import Universe
from plada_train.selection.lowest_cost import LowestCost
from plada_train.selection.registry import rule_to_json
from plada_train.selection.rule import Rule, selection_name
from plada_train.selection.safety_net import SafetyNet

T = TypeVar("T")

#: The paper's two rules (sections 4.3 and 5.1).
LOWEST_ENERGY, PAPER_SAFETY_NET = LowestCost(), SafetyNet(alpha=-0.2)
#: The rule that won most often on the targets of `bench/planning/run.py`: the search begins at it.
USUAL = SafetyNet(("energy", "loss"), alpha=0.0)
#: What the winner is compared with, by the names that reports use.
BASELINES = {"lowest energy": LOWEST_ENERGY, "Safety-Net -0.2": PAPER_SAFETY_NET}
STRIDE = "stride"

_SCORES = (("energy", "loss"), ("energy",), ("loss",), ("entropy", "loss"), ("entropy",), ("energy", "entropy"))
_SELECTIONS: tuple[Rule, ...] = (SafetyNet(alpha=0.0), SafetyNet(alpha=0.5), LowestCost(), SafetyNet(alpha=-0.2))
#: Those of which the highest scores are tried too.
_INVERTED: tuple[Rule, ...] = (SafetyNet(alpha=0.0), LowestCost())
#: Of universes that a rule chooses from, in units of the sample's stride.
_STRIDES = (1, 4, 2, 10)
#: A single budget is filled, or left so far from full: fewer images can teach more.
_FRACTIONS = (1.0, 0.5, 0.25, 0.125)
#: How many universes of a stride are tried: their offsets are these shares of the stride.
_OFFSETS = (0.0, 0.5, 0.25, 0.75)


@dataclass(frozen=True)
class Candidate:
    """A way to choose images. `level_bytes` is what its payload may take; None keeps the whole universe."""

    rule: Rule
    universe: Universe
    level_bytes: int | None

    @property
    def key(self) -> str:
        """Its name in files: the same for equal candidates only."""
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
        """The baseline that it is, if it is one."""
        if self.level_bytes is None:
            return STRIDE
        return next(
            (name for name, rule in BASELINES.items() if self.rule == rule and self.universe == Universe()), None
        )


def rules() -> list[Rule]:
    """All rules."""
    filters = [replace(rule, score=score) for rule, score in itertools.product(_SELECTIONS, _SCORES)]
    inverses = [replace(one, inverse=True) for one in filters if _selection(one) in _INVERTED]
    return [*filters, *inverses]


def levels(budgets: Sequence[int], smallest_bytes: int) -> list[int]:
    """Bytes that candidates fill, the largest first; of a single budget, parts of it too."""
    budget = max(budgets)
    parts = [int(budget * fraction) for fraction in _FRACTIONS] if len(set(budgets)) == 1 else budgets
    return sorted({part for part in parts if part >= smallest_bytes} | {budget}, reverse=True)


def grid(
    budgets: Sequence[int], levels_bytes: Sequence[int], strides: Sequence[int], sample: Universe, reference_size: int
) -> list[Candidate]:
    """All candidates, in the order in which they are tried; the first is the lowest energy, once for each budget.

    Args:
        budgets: largest numbers of bytes. Of several, each has its turn with a rule before the next rule.
        levels_bytes: see `levels`.
        strides: of the whole universes: for each level the densest that fits.
        sample: the universe that all others are part of.
        reference_size: N.
    """
    largest, several = max(budgets), len(set(budgets)) > 1
    firsts = levels_bytes if several else [largest]

    def changes(one: Candidate) -> int:
        """In how many ways it differs from the usual rule, on the whole sample, within the largest budget."""
        rule = one.rule
        differences = [
            rule.score != USUAL.score,
            _selection(rule) != _selection(USUAL),
            rule.inverse != USUAL.inverse,
            one.universe.stride != sample.stride,
            one.level_bytes != largest and not several,
        ]
        return sum(differences)

    filters = [
        Candidate(rule, Universe(sample.offset, factor * sample.stride), level)
        for factor, rule, level in itertools.product(_STRIDES, rules(), levels_bytes)
        if factor * sample.stride < reference_size
    ]
    whole = [Candidate(LOWEST_ENERGY, Universe(sample.offset, stride), None) for stride in strides]
    # The paper's rules choose from all images, whatever the sample
    paper = [Candidate(rule, Universe(), level) for rule, level in itertools.product(BASELINES.values(), levels_bytes)]
    usual = [one for one in filters if changes(one) == 0]
    return _without_repeats(
        [
            *(Candidate(LOWEST_ENERGY, Universe(sample.offset, sample.stride), level) for level in firsts),
            *usual,
            *(one for one in paper if one.level_bytes in firsts),
            *whole[: len(firsts)],
            *(one for one in filters if changes(one) == 1),
            *whole,
            *paper,
            *sorted(filters, key=changes),
        ]
    )


def largest_baselines(candidates: Iterable[Candidate]) -> list[Candidate]:
    """Of each baseline, the candidate that comes first: that of the largest level."""
    found: dict[str, Candidate] = {}
    for one in candidates:
        if one.baseline is not None:
            found.setdefault(one.baseline, one)
    return list(found.values())


def siblings(candidate: Candidate, sample: Universe) -> Iterator[Candidate]:
    """The same from other universes: of other offsets, which cost no bytes, or from all that a sample was taken of."""
    factor = candidate.universe.stride // sample.stride
    for share in _OFFSETS[1:]:
        if offset := int(share * factor) * sample.stride:
            yield replace(candidate, universe=Universe(sample.offset + offset, candidate.universe.stride))
    if sample.stride > 1 and factor == 1 and candidate.level_bytes is not None and "loss" not in candidate.rule.score:
        yield replace(candidate, universe=Universe())


def _selection(rule: Rule) -> Rule:
    return replace(rule, score=LOWEST_ENERGY.score, inverse=LOWEST_ENERGY.inverse)


def _without_repeats(values: Iterable[T]) -> list[T]:
    return list(dict.fromkeys(values))
