"""The selection rule `safety-net`: quotas for the classes, so that no class is lost (paper, section 4.3)."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from plada_codec.errors import InputError
from plada_train.selection.ranking import ranking
from plada_train.selection.rule import Rule

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

#: The largest |alpha|: larger values do not change the quotas, and their powers may be infinite.
MAX_ALPHA = 10.0


@dataclass(frozen=True)
class SafetyNet(Rule):
    """Keeps the lowest costs of each class first, up to its quota; then the lowest costs of all other images.

    Attributes:
        alpha: quotas are proportional to n_c^alpha for a class of n_c images (see `quotas`); the paper uses -0.2.
        reserved: share of the kept images that the quotas get, 0 .. 1. Even with 0 they get one image for each class
            (see `safety_net`). The paper does not state its share. The default is 1, because only then the classes get
            the proportions of alpha. With alpha 0, and 1% of 100,000 images kept (three real teachers, 10 or 12
            classes), the effective number of classes (exponential of their entropy) was 3.4 to 7.1 without Safety-Net,
            6.7 to 9.5 with 0.5, and all with 1, in 4 to 10% more bytes than with 0.5.
    """

    alpha: float = -0.2
    reserved: float | str | Fraction = "1"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not -MAX_ALPHA <= self.alpha <= MAX_ALPHA:
            raise InputError(f"alpha {self.alpha} is not in {-MAX_ALPHA:g} .. {MAX_ALPHA:g}", rule="alpha")
        if not 0 <= Fraction(str(self.reserved)) <= 1:
            raise InputError(f"reserved share {self.reserved} is not in 0 .. 1", rule="reserved")

    @property
    def name(self) -> str:
        """Human-readable name."""
        reserved = Fraction(str(self.reserved))
        share = "" if reserved == 1 else f" for {float(reserved):.0%}"
        return f"{super().name}, Safety-Net {self.alpha:g}{share}"

    def choose(
        self, cost: NDArray[np.floating[Any]], labels: NDArray[np.integer[Any]], num_classes: int, k: int
    ) -> NDArray[np.int64]:
        return safety_net(cost, labels, num_classes, k, self.alpha, self.reserved)


def quotas(class_counts: ArrayLike, budget: int, alpha: float) -> NDArray[np.int64]:
    """Divide a number of images among classes of n_c images, in proportion to n_c^alpha (paper, eq. 6).

    No class gets more than its n_c. Each class with images gets at least one if the budget allows. The other classes
    share the rest in the same proportion. Shares are rounded down; then those with the largest remainders are rounded
    up (equal remainders by class).

    Args:
        class_counts: numbers of images n_c, integers [C].
        budget: number of images to divide.
        alpha: 1 keeps the proportions of the classes, 0 treats them alike, below 0 favours small ones; see `MAX_ALPHA`.

    Returns:
        int64 [C]. The sum is `budget`, or the number of all images if that is smaller.
    """
    counts = np.asarray(class_counts, np.int64)
    budget = min(budget, int(counts.sum()))
    least = np.minimum(counts, 1) if budget >= np.count_nonzero(counts) else np.zeros_like(counts)
    weights = np.zeros(len(counts))
    weights[counts > 0] = counts[counts > 0].astype(np.float64) ** alpha
    shares = np.zeros(len(counts))
    is_open = counts > 0
    while is_open.any():
        rest = budget - shares[~is_open].sum()
        wanted = np.where(is_open, rest * weights / weights[is_open].sum(), shares)
        shares = np.clip(wanted, least, counts)
        # Raising shares adds images, capping them removes some; in the end both must cancel. The larger side is final
        closed = shares > wanted if shares.sum() >= wanted.sum() else shares < wanted
        if not closed.any():
            break
        is_open &= ~closed
    result = np.floor(shares).astype(np.int64)
    result[ranking(result - shares)[: budget - result.sum()]] += 1
    return result


def safety_net(
    cost: NDArray[Any],
    labels: NDArray[np.integer[Any]],
    num_classes: int,
    k: int,
    alpha: float,
    reserved: float | str | Fraction = 1,
) -> NDArray[np.int64]:
    """Positions of k images: first the lowest costs of each class up to its quota, then the lowest of all others.

    Args:
        cost: [n], lower is better; equal costs by position.
        labels: class of each image, integers [n].
        num_classes: number of classes C.
        k: number of images to choose.
        alpha: the exponent of the quotas.
        reserved: share of k for the quotas, floor(reserved k); but at least one image for each class with images, as
            far as k allows: no class is lost, even with 0. The rest goes to the lowest costs, whatever their class.
            The paper does not state its share; see `SafetyNet`.

    Returns:
        int64 [min(k, n)], increasing.
    """
    order = ranking(cost)
    counts = np.bincount(labels, minlength=num_classes)
    # Small integers are sorted ten times as fast
    ordered = labels[order].astype(np.min_scalar_type(len(counts)))
    rank_in_class = np.empty(len(order), np.int64)
    rank_in_class[ranking(ordered)] = np.arange(len(order)) - np.repeat(np.cumsum(counts) - counts, counts)
    budget = max(int(Fraction(str(reserved)) * k), min(k, int(np.count_nonzero(counts))))
    chosen = rank_in_class < quotas(counts, budget, alpha)[ordered]
    chosen[np.flatnonzero(~chosen)[: k - np.count_nonzero(chosen)]] = True
    return np.sort(order[chosen])
