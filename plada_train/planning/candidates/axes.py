"""The registry of the planner's axes: a row for each property in which candidates differ.

To add a value, add it to a row; to add an axis, add a row to `AXES`, or to `SIBLING_AXES` (see
docs/extending/planner-axis.md). The grid of candidates, the order in which they are tried, and their siblings follow
from the rows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from plada_codec import Universe
from plada_train.scores.registry import SCORES
from plada_train.selection.lowest_cost import LowestCost
from plada_train.selection.rule import Rule
from plada_train.selection.safety_net import SafetyNet

if TYPE_CHECKING:
    from plada_train.planning.candidates.grid import Candidate

#: Gives a candidate another value; None if that is impossible. `sample` is the universe that contains all others.
Change = Callable[["Candidate", Any, Universe], "Candidate | None"]


@dataclass(frozen=True)
class Axis:
    """A property in which candidates differ.

    Attributes:
        name: name of the axis.
        values: values to try, in this order.
        usual: the value with which the search begins; it won most often in `bench/planning/run.py`.
        change: gives a candidate another value.
    """

    name: str
    values: tuple[Any, ...]
    usual: Any
    change: Change


def _stride(candidate: Candidate, factor: int, sample: Universe) -> Candidate:
    return replace(candidate, universe=Universe(sample.offset, factor * sample.stride))


def _inverse(candidate: Candidate, inverse: bool, sample: Universe) -> Candidate:
    return replace(candidate, rule=replace(candidate.rule, inverse=inverse))


def _selection_rule(candidate: Candidate, rule: Rule, sample: Universe) -> Candidate | None:
    if candidate.rule.inverse and rule not in _INVERTED:
        return None
    return replace(candidate, rule=replace(rule, score=candidate.rule.score, inverse=candidate.rule.inverse))


def _score(candidate: Candidate, score: tuple[str, ...], sample: Universe) -> Candidate:
    return replace(candidate, rule=replace(candidate.rule, score=score))


def _offset(candidate: Candidate, share: float, sample: Universe) -> Candidate | None:
    stride = candidate.universe.stride
    offset = int(share * (stride // sample.stride)) * sample.stride
    return replace(candidate, universe=Universe(sample.offset + offset, stride)) if offset else None


def _all_images(candidate: Candidate, all_images: bool, sample: Universe) -> Candidate | None:
    is_of_sample = sample.stride > 1 and candidate.universe.stride == sample.stride
    # The loss is only known for the sample
    if not is_of_sample or candidate.level_bytes is None or "loss" in candidate.rule.score:
        return None
    return replace(candidate, universe=Universe())


#: Selection rules that are also tried with the highest scores.
_INVERTED = (SafetyNet(alpha=0.0), LowestCost())

#: Axes of the grid, the outermost loop first: every combination of their values is a candidate.
AXES = (
    # Stride of the universe that a rule chooses from, in units of the sample's stride
    Axis("stride", (1, 4, 2, 10), usual=1, change=_stride),
    Axis("inverse", (False, True), usual=False, change=_inverse),
    Axis(
        "selection rule",
        (SafetyNet(alpha=0.0), SafetyNet(alpha=0.5), LowestCost(), SafetyNet(alpha=-0.2)),
        usual=SafetyNet(alpha=0.0),
        change=_selection_rule,
    ),
    Axis(
        "score",
        tuple(scores for row in SCORES.values() for scores in row.planned),
        usual=("energy", "loss"),
        change=_score,
    ),
)
#: Shares of a single budget that candidates fill (fewer images can teach more): the innermost loop of the grid.
LEVEL_SHARES = (1.0, 0.5, 0.25, 0.125)
#: Axes along which the best candidates are varied before the last rung, one at a time.
SIBLING_AXES = (
    # Offset of the universe, as a share of its stride: it costs no bytes
    Axis("offset", (0.0, 0.5, 0.25, 0.75), usual=0.0, change=_offset),
    # Whether a rule chooses from all images instead of the sample
    Axis("all images", (False, True), usual=False, change=_all_images),
)
