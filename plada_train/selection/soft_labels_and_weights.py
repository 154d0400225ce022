"""Soft labels of classes and importance weights of images, which a payload can carry (paper, appendix D)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from plada_codec.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from plada_train.scores.reference_scores import Scores

#: Range of the precision of a class's Dirichlet distribution; the paper clips, and does not state where.
MIN_PRECISION, MAX_PRECISION = 1.0, 512.0


def dirichlet_concentrations(scores: Scores, labels: NDArray[np.integer[Any]]) -> NDArray[np.float64]:
    """The Dirichlet distribution of the teacher's soft labels in each class that is used (paper, eq. 12 to 14).

    The method of moments takes from all reference images of a class c their mean soft label mu, the variance v of the
    probability of c itself, and the precision s = mu_c (1 - mu_c) / v - 1, clipped to `MIN_PRECISION` ..
    `MAX_PRECISION`; it is the latter where v is 0.

    Args:
        scores: labels and scores of the reference set.
        labels: of the kept images, integers [k].

    Returns:
        s mu: float64 [U, C] for the U classes among `labels`, ascending. A row over its sum is the average soft label.

    Raises:
        InputError: if the scores have no sums of soft labels.
    """
    if scores.soft_sum is None or scores.own_square_sum is None:
        raise InputError(f"scores of {scores.num_classes} classes have no soft labels to send", rule="soft-labels")
    used = np.unique(labels)
    counts = np.bincount(scores.label, minlength=scores.num_classes)[used]
    means = scores.soft_sum[used] / counts[:, None]
    own = means[np.arange(len(used)), used]
    variances = scores.own_square_sum[used] / counts - own**2
    # Where soft labels are all alike, rounding can leave a variance a little below 0
    ratios = np.divide(own * (1 - own), variances, out=np.full(len(used), np.inf), where=variances > 0)
    precisions = np.clip(ratios - 1, MIN_PRECISION, MAX_PRECISION)
    result: NDArray[np.float64] = precisions[:, None] * means
    return result


def importance_weights(cost: NDArray[np.floating[Any]], tau: float) -> NDArray[np.float64]:
    """Weights of the kept images, proportional to exp(-s_i / (tau sigma)) and of mean 1 (paper, eq. 16): float64 [k].

    Args:
        cost: s_i [k], by which the images were chosen: a score, its negative (`inverse`), or the consensus of several.
        tau: temperature in units of sigma, the standard deviation of `cost`, so that it means the same for every
            teacher. The lower, the more uneven the weights; they are equal where all costs are.

    Raises:
        InputError: if tau is not above 0.
    """
    if not 0 < tau < np.inf:
        raise InputError(f"temperature {tau} of the weights is not above 0", rule="tau")
    above = np.asarray(cost, np.float64) - np.min(cost)
    unit = tau * above.std()
    weights = np.exp(-above / unit) if unit > 0 else np.ones_like(above)
    result: NDArray[np.float64] = weights / weights.mean()
    return result
