"""Softmax of logits in float64, without overflow. Scores are computed from it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def probabilities(logits: NDArray[np.floating[Any]], temperature: float = 1.0) -> NDArray[np.float64]:
    """The softmax of f / T for logits f [n, C] and temperature T: float64 [n, C]."""
    _, below, log_sum = softmax_parts(logits, temperature)
    result: NDArray[np.float64] = np.exp(below - log_sum[:, None])
    return result


def softmax_parts(
    logits: NDArray[np.floating[Any]], temperature: float
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Parts of the softmax of logits [n, C]; none of them overflows.

    Returns:
        The largest f / T of each row [n], all f / T minus it [n, C], and the log of the sum of the exponentials of
        these [n]; float64.
    """
    scaled = np.asarray(logits, np.float64) / temperature
    top: NDArray[np.float64] = scaled.max(axis=1)
    below = scaled - top[:, None]
    log_sum: NDArray[np.float64] = np.log(np.exp(below).sum(axis=1))
    return top, below, log_sum
