"""Rank images by their scores, and by the consensus of several scores (paper, equations 10 and 11).

Equal scores are ranked in the order of the reference set, so that a selection is repeatable.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def ranking(scores: NDArray[Any]) -> NDArray[np.int64]:
    """Positions of `scores` [n] from the lowest to the highest; equal scores by position: int64 [n]."""
    return np.argsort(scores, kind="stable")


def rank_normalised(scores: NDArray[Any]) -> NDArray[np.float64]:
    """Rank of each of `scores` [n], from 0 for the lowest to 1 for the highest (paper, eq. 10): float64 [n].

    Equal scores are ranked by position; a single one has rank 0.
    """
    ranks = np.empty(len(scores))
    ranks[ranking(scores)] = np.arange(len(scores))
    return ranks / max(len(scores) - 1, 1)


def consensus(*scores: NDArray[Any]) -> NDArray[np.float64]:
    """For each image, the worst of its normalised ranks in several `scores` [n] (paper, eq. 11): float64 [n].

    Images with a low consensus are among the best by each score.
    """
    worst = rank_normalised(scores[0])
    for others in scores[1:]:
        np.maximum(worst, rank_normalised(others), out=worst)
    return worst


def lowest(scores: NDArray[Any], k: int) -> NDArray[np.int64]:
    """Positions of the k lowest `scores` [n]; equal scores by position: int64 [min(k, n)], increasing."""
    return np.sort(ranking(scores)[:k])
