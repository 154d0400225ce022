"""The selection rule `lowest-cost`: the k images with the lowest cost, whatever their classes (paper, section 4.3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from plada_train.selection.ranking import lowest
from plada_train.selection.rule import Rule

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True)
class LowestCost(Rule):
    """Keeps the k images with the lowest cost."""

    def choose(
        self, cost: NDArray[np.floating[Any]], labels: NDArray[np.integer[Any]], num_classes: int, k: int
    ) -> NDArray[np.int64]:
        return lowest(cost, k)
