"""The order of the planner's candidates is pinned: a plan chooses as it did, whatever the axes are made from.

Axes and values that are added later are left out here, so that adding one changes nothing in this file.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest

from plada_codec import Universe
from plada_train.planning.candidates import axes
from plada_train.planning.candidates.grid import Candidate, grid, levels, rules, siblings
from plada_train.selection.lowest_cost import LowestCost
from plada_train.selection.safety_net import SafetyNet

#: Values of the axes that are pinned.
VALUES: dict[str, tuple[Any, ...]] = {
    "stride": (1, 4, 2, 10),
    "inverse": (False, True),
    "selection rule": (SafetyNet(alpha=0.0), SafetyNet(alpha=0.5), LowestCost(), SafetyNet(alpha=-0.2)),
    "score": (("energy", "loss"), ("energy",), ("loss",), ("entropy", "loss"), ("entropy",), ("energy", "entropy")),
    "offset": (0.0, 0.5, 0.25, 0.75),
    "all images": (False, True),
}
#: Budgets, sample, size of the reference set; the number of candidates, and the digest of their lines in order.
PINNED = [
    ([1000], Universe(), 10_000, 580, "643daa24575ebca9"),
    ([1000], Universe(0, 3), 10_000, 588, "28d7bc68241275f3"),
    ([400], Universe(), 7, 436, "fa2fa808995c4d13"),
    ([60], Universe(), 1_797, 290, "3709aaaa399e542a"),
    ([5000, 1000, 300], Universe(), 100_000, 435, "928a6c1ac3e0c969"),
    ([5000, 1000, 300], Universe(0, 5), 900_000, 441, "a7c3017b714bfbb3"),
]

#: Candidates that a search with one budget of 1000 bytes tries first.
FIRST = """\
lowest energy | 1000 | lowest energy
lowest energy + loss, Safety-Net 0 | 1000 | None
lowest energy, Safety-Net -0.2 | 1000 | Safety-Net -0.2
every image | None | stride
lowest energy + loss, Safety-Net 0 | 500 | None
lowest energy + loss, Safety-Net 0 | 250 | None
lowest energy + loss, Safety-Net 0 | 125 | None
lowest energy, Safety-Net 0 | 1000 | None
lowest loss, Safety-Net 0 | 1000 | None
lowest entropy + loss, Safety-Net 0 | 1000 | None
lowest entropy, Safety-Net 0 | 1000 | None
lowest energy + entropy, Safety-Net 0 | 1000 | None
lowest energy + loss, Safety-Net 0.5 | 1000 | None
lowest energy + loss | 1000 | None
lowest energy + loss, Safety-Net -0.2 | 1000 | None
highest energy + loss, Safety-Net 0 | 1000 | None
lowest energy + loss, Safety-Net 0, every 4th image | 1000 | None
lowest energy + loss, Safety-Net 0, every 2nd image | 1000 | None
lowest energy + loss, Safety-Net 0, every 10th image | 1000 | None
every 2nd image | None | stride
every 4th image | None | stride
every 8th image | None | stride
lowest energy | 500 | lowest energy
lowest energy | 250 | lowest energy
""".splitlines()


ROWS = (*axes.AXES, *axes.SIBLING_AXES)


@pytest.fixture(autouse=True)
def pinned_axes(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AXES", "SIBLING_AXES"):
        rows = [replace(axis, values=VALUES[axis.name]) for axis in getattr(axes, name) if axis.name in VALUES]
        monkeypatch.setattr(axes, name, tuple(rows))


def test_added_values_keep_the_order_of_the_pinned_values() -> None:
    rows = [axis for axis in ROWS if axis.name in VALUES]
    assert [axis.name for axis in rows] == list(VALUES)
    for axis in rows:
        assert tuple(value for value in axis.values if value in VALUES[axis.name]) == VALUES[axis.name]


def lines(candidates: Iterable[Candidate]) -> list[str]:
    return [f"{one.name} | {one.level_bytes} | {one.baseline}" for one in candidates]


def digest(found: list[str]) -> str:
    return hashlib.sha256("\n".join(found).encode()).hexdigest()[:16]


def made_grid(budgets: list[int], sample: Universe, size: int) -> list[Candidate]:
    filled = levels(budgets, 25)
    strides = [min(2**i * sample.stride, size) for i, _ in enumerate(filled)]
    return grid(budgets, filled, strides, sample, size)


@pytest.mark.parametrize(("budgets", "sample", "size", "number", "expected"), PINNED)
def test_candidates_are_tried_in_the_pinned_order(
    budgets: list[int], sample: Universe, size: int, number: int, expected: str
) -> None:
    found = lines(made_grid(budgets, sample, size))
    assert (len(found), digest(found)) == (number, expected)


def test_the_first_candidates_are_the_pinned_ones() -> None:
    assert lines(made_grid([1000], Universe(), 10_000)[: len(FIRST)]) == FIRST


def test_rules_are_in_the_pinned_order() -> None:
    found = [Candidate(rule, Universe(), 1).name for rule in rules()]
    assert (len(found), digest(found)) == (36, "e8207ed58bd69c64")


@pytest.mark.parametrize(
    ("sample", "number", "expected"),
    [(Universe(), 1160, "1138bfd7d7ed7b17"), (Universe(0, 3), 1232, "6b0a8c32b8a39b5b")],
)
def test_siblings_are_in_the_pinned_order(sample: Universe, number: int, expected: str) -> None:
    candidates = made_grid([1000], sample, 10_000)
    found = [line for one in candidates for line in lines(siblings(one, sample))]
    assert (len(found), digest(found)) == (number, expected)
