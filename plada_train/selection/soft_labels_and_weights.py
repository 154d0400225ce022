"""Soft labels of classes and importance weights of images, which a payload can carry (paper, appendix D)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from plada_codec.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from plada_train.scores.reference_scores import Scores

#: Range of the precision of a class's Dirichlet distribution; the paper clips it, but does not state the range.
MIN_PRECISION, MAX_PRECISION = 1.0, 512.0


def dirichlet_concentrations(scores: Scores, labels: NDArray[np.integer[Any]]) -> NDArray[np.float64]:
    """Fit a Dirichlet distribution to the teacher's soft labels in each used class (paper, eq. 12 to 14).

    The method of moments takes, from all reference images of a class c, their mean soft label mu and the variance v of
    the probability of c. The precision is s = mu_c (1 - mu_c) / v - 1, clipped to `MIN_PRECISION` .. `MAX_PRECISION`;
    it is `MAX_PRECISION` if v is 0.

    Args:
        scores: labels and scores of the reference set.
        labels: classes of the kept images, integers [k].

    Returns:
        s mu: float64 [U, C] for the U classes among `labels`, ascending. Each row is a multiple of the mean soft label.

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
    # If all soft labels are equal, rounding can make a variance slightly negative
    ratios = np.divide(own * (1 - own), variances, out=np.full(len(used), np.inf), where=variances > 0)
    precisions = np.clip(ratios - 1, MIN_PRECISION, MAX_PRECISION)
    result: NDArray[np.float64] = precisions[:, None] * means
    return result


def importance_weights(cost: NDArray[np.floating[Any]], tau: float) -> NDArray[np.float64]:
    """Weights of the kept images, proportional to exp(-s_i / (tau sigma)) and of mean 1 (paper, eq. 16): float64 [k].

    Args:
        cost: s_i [k], by which the images were chosen: a score, its negative (`inverse`), or a consensus of several.
        tau: temperature in units of sigma, the standard deviation of `cost`, so that it means the same for every
            teacher. The lower tau is, the more uneven the weights are; if all costs are equal, the weights are too.

    Raises:
        InputError: if tau is not above 0.
    """
    if not 0 < tau < np.inf:
        raise InputError(f"the temperature of the weights must be above 0, not {tau}", rule="tau")
    above = np.asarray(cost, np.float64) - np.min(cost)
    unit = tau * above.std()
    weights = np.exp(-above / unit) if unit > 0 else np.ones_like(above)
    result: NDArray[np.float64] = weights / weights.mean()
    return result
