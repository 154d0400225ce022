"""The score `energy`: the free energy of an image's logits (paper, section 4.2)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from plada_train.scores.softmax import softmax_parts

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def energy(logits: NDArray[np.floating[Any]], temperature: float = 1.0) -> NDArray[np.float64]:
    """-T log sum_c exp(f_c / T) of logits [n, C]: float64 [n]. Lower is surer."""
    top, _, log_sum = softmax_parts(logits, temperature)
    result: NDArray[np.float64] = -temperature * (top + log_sum)
    return result
