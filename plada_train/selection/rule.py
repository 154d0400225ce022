"""`Rule`: the base class of selection rules, which choose the images to keep. Each rule has its own file.

A rule orders images by a cost, lower is better: a score, or the consensus of several. It then chooses k images by their
costs and labels, for any k.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from plada_codec import Universe
from plada_codec.errors import InputError
from plada_train.scores.reference_scores import Scores
from plada_train.scores.registry import SCORES
from plada_train.selection.ranking import consensus

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Rule(ABC):
    """Chooses the images to keep, for any number of them. Subclasses add options as fields, and a row in the registry.

    Attributes:
        score: names of the scores to order images by (see `plada_train.scores.registry`); several make a consensus.
        inverse: keep the highest scores instead of the lowest, as if every score had the other sign.

    Raises:
        InputError: if a score is unknown, or an option is outside its range.
    """

    score: tuple[str, ...] = ("energy",)
    inverse: bool = False

    def __post_init__(self) -> None:
        if not self.score or not set(self.score) <= set(SCORES):
            raise InputError(
                f"{self.score} are not all scores: the scores are {', '.join(sorted(SCORES))}", rule="score"
            )

    @property
    def name(self) -> str:
        """Human-readable name."""
        return f"{'highest' if self.inverse else 'lowest'} {' + '.join(self.score)}"

    def cost(self, scores: Sequence[Scores], indices: NDArray[np.int64]) -> NDArray[np.floating[Any]]:
        """The cost by which images are ordered, lower is better: [n] for the images `indices` [n].

        Raises:
            InputError: if a score is not known for all these images.
        """
        columns = [_column(one, name, indices) for one in scores for name in self.score]
        if self.inverse:
            columns = [-column for column in columns]
        return columns[0] if len(columns) == 1 else consensus(*columns)

    @abstractmethod
    def choose(
        self, cost: NDArray[np.floating[Any]], labels: NDArray[np.integer[Any]], num_classes: int, k: int
    ) -> NDArray[np.int64]:
        """Positions of the images to keep.

        Args:
            cost: [n], lower is better; among equal costs, the first position is better.
            labels: class of each image, integers [n].
            num_classes: number of classes C.
            k: number of images to keep, 1 .. n.

        Returns:
            int64 [k], increasing.
        """


def selection_name(rule: Rule | None, universe: Universe = Universe()) -> str:
    """Human-readable name of a selection; the rule None keeps all images of the universe.

    >>> from plada_train.selection.safety_net import SafetyNet
    >>> selection_name(SafetyNet(("energy", "loss"), alpha=0.0), Universe(stride=4))
    'lowest energy + loss, Safety-Net 0, every 4th image'
    >>> selection_name(None, Universe(offset=1, stride=2))
    'every 2nd image from image 1 on'
    """
    parts = [] if rule is None else [rule.name]
    if rule is None or universe != Universe():
        every = "every image" if universe.stride == 1 else f"every {_ordinal(universe.stride)} image"
        parts.append(f"{every} from image {universe.offset} on" if universe.offset else every)
    return ", ".join(parts)


def _ordinal(number: int) -> str:
    ending = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"


def _column(scores: Scores, name: str, indices: NDArray[np.int64]) -> NDArray[np.float32]:
    chosen: NDArray[np.float32] = scores.column(name)[indices]
    if not np.isfinite(chosen).all():
        raise InputError(f"the {name} of some of these images is not known", rule="score")
    return chosen
