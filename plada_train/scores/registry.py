"""The registry of scores, a row for each. A score orders reference images; lower is surer.

To add one, write `plada_train/scores/<name>.py` with a function of logits, and add its row to `SCORES` (see
docs/extending/score.md). Folders of scores, labelling, `--score`, the planner and reports follow from the row. Nothing
heavy is imported here: a function is imported when it is used.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    #: From logits [n, C] and temperature to scores: float [n].
    OfLogits = Callable[[NDArray[np.floating[Any]], float], NDArray[np.floating[Any]]]


@dataclass(frozen=True)
class Score:
    """A score of reference images: a row of the registry.

    Attributes:
        name: its name in folders of scores, on the command line and in reports.
        description: an explanation in one line, for help texts and reports.
        function: of logits [n, C] and temperature to float [n], as "module:function". None for a score that the
            planner computes: no folder of scores holds it.
        planned: the combinations of scores with this one that the planner tries, in order.
    """

    name: str
    description: str
    function: str | None
    planned: tuple[tuple[str, ...], ...] = ()

    def load(self) -> OfLogits:
        """Import the function of logits."""
        assert self.function is not None
        function: OfLogits = resolve_name(self.function)
        return function


#: Scores by name; the planner tries them in this order.
SCORES = {
    score.name: score
    for score in (
        Score(
            "energy",
            "How sure the teacher is of an image, by all its outputs at once: the lower, the surer.",
            "plada_train.scores.energy:energy",
            planned=(("energy", "loss"), ("energy",)),
        ),
        Score(
            "loss",
            "How far small networks, which learnt the task from its own images, are from the teacher’s label: where it "
            "is low, they confirm it.",
            None,
            planned=(("loss",),),
        ),
        Score(
            "entropy",
            "How evenly the teacher spreads its probabilities over the classes: the lower, the surer.",
            "plada_train.scores.entropy:entropy",
            planned=(("entropy", "loss"), ("entropy",), ("energy", "entropy")),
        ),
    )
}
#: Names of the scores that are computed from logits: the columns in a folder of scores.
SCORES_OF_LOGITS = tuple(name for name, score in SCORES.items() if score.function is not None)
