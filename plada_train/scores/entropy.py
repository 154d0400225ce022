"""The score `entropy`: how evenly probabilities are spread over the classes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from plada_train.scores.softmax import softmax_parts

if TYPE_CHECKING:
    from numpy.typing import NDArray


def entropy(logits: NDArray[np.floating[Any]], temperature: float = 1.0) -> NDArray[np.float64]:
    """-sum_c p_c log p_c in nats, p = softmax(f / T), of logits [n, C]: float64 [n]. Lower is surer."""
    _, below, log_sum = softmax_parts(logits, temperature)
    log_p = below - log_sum[:, None]
    p = np.exp(log_p)
    # p log p goes to 0 with p; a class whose probability underflows adds nothing
    result: NDArray[np.float64] = 0.0 - np.where(p > 0, p * log_p, 0.0).sum(axis=1)
    return result
