"""Which labels are sent: the images that a rule likes best, by number or by bytes (paper, sections 4.3 and D.2).

A rule orders images by a cost, lower is better: a score of the teacher's, or the consensus of several. It keeps the k
best of all, or those of each class first (Safety-Net). Equal costs are taken in the order of the reference set, so that
a selection can be made again.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import isqrt
from typing import TYPE_CHECKING, Any

import numpy as np

from plada_codec import Payload, Universe, encode
from plada_codec.errors import InputError, MissingClasses
from plada_codec.progress import FIRST_RUN, progress_bar
from plada_codec.sections.soft_labels import quantised_concentrations
from plada_codec.sections.weights import quantised_weights
from plada_train.scores.reference_scores import Scores
from plada_train.selection.soft_labels_and_weights import dirichlet_concentrations, importance_weights

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

#: What images can be ordered by: attributes of `Scores`.
SCORES = ("energy", "entropy", "loss")
#: The largest |alpha|: beyond it the quotas are those of infinity, and the powers soon not finite.
MAX_ALPHA = 10.0
#: Bytes of the reference digest that a payload carries: enough against mistakes (format specification, section 12).
DIGEST_BYTES = 8
#: The payload's size grows with the number of kept images, but for ripples; so many further ones are tried.
RIPPLE = 8


# How many


def kept_count(keep: float | str | Fraction, universe_size: int) -> int:
    """The number of kept images k = floor(p M), p taken as it is written (0.29 of 100 images is 29, not 28).

    Raises:
        InputError: if p is not above 0 and at most 1, or so small that nothing is kept.
    """
    rate = Fraction(str(keep))
    if not 0 < rate <= 1:
        raise InputError(f"keep rate {keep} is not above 0 and at most 1", rule="keep")
    count = rate.numerator * universe_size // rate.denominator
    if not count:
        raise InputError(f"keep rate {keep} keeps none of {universe_size} images", rule="keep")
    return count


def most_kept(
    universe_size: int,
    *,
    keep: float | str | Fraction | None = None,
    kept: int | None = None,
    max_bytes: int | None = None,
) -> int:
    """The number k of images to keep: as `keep` or `kept` says, or at most, where only bytes are limited, all.

    Raises:
        InputError: if none of the three is given or both of `keep` and `kept`, or if there are not so many images.
    """
    if keep is not None and kept is not None:
        raise InputError("keep rate and number of kept images exclude each other: give one", rule="keep")
    if keep is not None:
        return kept_count(keep, universe_size)
    if kept is None and max_bytes is None:
        raise InputError("a keep rate, a number of kept images or of bytes is needed", rule="keep")
    count = universe_size if kept is None else kept
    if not 1 <= count <= universe_size:
        raise InputError(f"{count} of {universe_size} images cannot be kept", rule="kept")
    return count


def universe_of(reference_size: int, offset: int, stride: int) -> Universe:
    """The universe of every `stride`-th image from `offset` on. Raises InputError if there is none."""
    if not (0 <= offset < reference_size and 1 <= stride <= reference_size):
        raise InputError(f"offset {offset} and stride {stride} do not fit {reference_size} images", rule="universe")
    return Universe(offset, stride)


# Which ones


def ranking(scores: NDArray[Any]) -> NDArray[np.int64]:
    """Positions of `scores` [n] from the lowest to the highest, equal ones by position: int64 [n]."""
    return np.argsort(scores, kind="stable")


def rank_normalised(scores: NDArray[Any]) -> NDArray[np.float64]:
    """Rank of each of `scores` [n], from 0 for the lowest to 1 for the highest (paper, eq. 10): float64 [n].

    Equal scores are ranked by position; a single one has rank 0.
    """
    ranks = np.empty(len(scores))
    ranks[ranking(scores)] = np.arange(len(scores))
    return ranks / max(len(scores) - 1, 1)


def consensus(*scores: NDArray[Any]) -> NDArray[np.float64]:
    """The worst of each image's normalised ranks in several `scores` [n] (paper, eq. 11): float64 [n].

    The images of the lowest are among the best in every one of the scores.
    """
    worst = rank_normalised(scores[0])
    for others in scores[1:]:
        np.maximum(worst, rank_normalised(others), out=worst)
    return worst


def lowest(scores: NDArray[Any], k: int) -> NDArray[np.int64]:
    """Positions of the k lowest of `scores` [n], equal ones by position: int64 [min(k, n)], increasing."""
    return np.sort(ranking(scores)[:k])


def quotas(class_counts: ArrayLike, budget: int, alpha: float) -> NDArray[np.int64]:
    """Shares of a budget for classes of n_c images, proportional to n_c^alpha (paper, eq. 6).

    No class gets more than its n_c, and each that has images gets one at least if the budget allows; what that leaves
    is shared by the others in the same proportion. Shares are rounded down, then up where the remainders are largest,
    equal ones by class.

    Args:
        class_counts: numbers of images n_c, integers [C].
        budget: number of images to share out.
        alpha: 1 keeps the proportions of the classes, 0 treats them alike, below 0 favours the small; see `MAX_ALPHA`.

    Returns:
        int64 [C], their sum is `budget`, or the number of all images if that is less.
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
        # What raising and capping add and take must cancel in the end: the side that prevails is final
        closed = shares > wanted if shares.sum() >= wanted.sum() else shares < wanted
        if not closed.any():
            break
        is_open &= ~closed
    result = np.floor(shares).astype(np.int64)
    result[ranking(result - shares)[: budget - result.sum()]] += 1
    return result


def safety_net(
    scores: NDArray[Any],
    labels: NDArray[np.integer[Any]],
    num_classes: int,
    k: int,
    alpha: float,
    reserved: float | str | Fraction = 1,
) -> NDArray[np.int64]:
    """Positions of k images, the lowest scores of each class in `quotas` first (paper, section 4.3, Safety-Net).

    Args:
        scores: [n], lower is better; equal ones are taken by position.
        labels: class of each image, integers [n].
        num_classes: number of classes C.
        k: number of images to take.
        alpha: of the quotas.
        reserved: share of k for the quotas, floor(reserved k), but no less than one image for each class that has
            any, as far as k goes: no class is lost, even with 0. The rest goes to the lowest scores whatever their
            class. The paper does not state its share; see `Rule`.

    Returns:
        int64 [min(k, n)], increasing.
    """
    order = ranking(scores)
    counts = np.bincount(labels, minlength=num_classes)
    # Such small integers are sorted ten times as fast
    ordered = labels[order].astype(np.min_scalar_type(len(counts)))
    rank_in_class = np.empty(len(order), np.int64)
    rank_in_class[ranking(ordered)] = np.arange(len(order)) - np.repeat(np.cumsum(counts) - counts, counts)
    budget = max(int(Fraction(str(reserved)) * k), min(k, int(np.count_nonzero(counts))))
    chosen = rank_in_class < quotas(counts, budget, alpha)[ordered]
    chosen[np.flatnonzero(~chosen)[: k - np.count_nonzero(chosen)]] = True
    return np.sort(order[chosen])


@dataclass(frozen=True)
class Rule:
    """Which images are kept, whatever their number.

    Attributes:
        score: the scores to order images by, of `SCORES`; several make a consensus.
        inverse: take the highest scores instead of the lowest, as if every score had the other sign.
        alpha: if given, Safety-Net with quotas proportional to n_c^alpha (see `quotas`); the paper uses -0.2.
        reserved: share of the kept images that Safety-Net gives to its quotas, 0 .. 1. Also with 0 they get one image
            for each class (see `safety_net`): for none at all, give no alpha. The paper does not state its share. The
            default is 1, as only then the classes get what alpha says: with alpha 0 and 1% of 100,000 images of three
            real teachers kept, the classes were in effect (exponential of their entropy) 6.7 to 9.5 of 10 or 12 with
            0.5, and all with 1, in 4 to 10% more bytes than with 0.5; without Safety-Net they were 3.4 to 7.1.

    Raises:
        InputError: if any of this is out of its range.
    """

    score: tuple[str, ...] = ("energy",)
    inverse: bool = False
    alpha: float | None = None
    reserved: float | str | Fraction = 1

    def __post_init__(self) -> None:
        if not self.score or not set(self.score) <= set(SCORES):
            raise InputError(f"{self.score} are not scores: they are {', '.join(SCORES)}", rule="score")
        if self.alpha is not None and not -MAX_ALPHA <= self.alpha <= MAX_ALPHA:
            raise InputError(f"alpha {self.alpha} is not {-MAX_ALPHA:g} .. {MAX_ALPHA:g}", rule="alpha")
        if not 0 <= Fraction(str(self.reserved)) <= 1:
            raise InputError(f"reserved share {self.reserved} is not 0 .. 1", rule="reserved")

    def cost(self, scores: Sequence[Scores], candidates: NDArray[np.int64]) -> NDArray[np.floating[Any]]:
        """What images are ordered by, lower is better: [n] for the `candidates` [n] of a reference set."""
        columns = [_score(one, name, candidates) for one in scores for name in self.score]
        if self.inverse:
            columns = [-column for column in columns]
        return columns[0] if len(columns) == 1 else consensus(*columns)

    def choose(
        self, cost: NDArray[np.floating[Any]], labels: NDArray[np.integer[Any]], num_classes: int, k: int
    ) -> NDArray[np.int64]:
        """Positions of the k images to keep of those with this `cost` [n] and `labels` [n]: int64 [k], increasing."""
        if self.alpha is None:
            return lowest(cost, k)
        return safety_net(cost, labels, num_classes, k, self.alpha, self.reserved)


def in_words(rule: Rule | None, universe: Universe = Universe()) -> str:
    """How images are chosen, in a few words; a rule of None keeps all of the universe.

    >>> in_words(Rule(("energy", "loss"), alpha=0.0), Universe(stride=4))
    'lowest energy + loss, Safety-Net 0, every 4th image'
    >>> in_words(None, Universe(offset=1, stride=2))
    'every 2nd image from image 1 on'
    """
    words = []
    if rule is not None:
        words.append(f"{'highest' if rule.inverse else 'lowest'} {' + '.join(rule.score)}")
        if rule.alpha is not None:
            reserved = Fraction(str(rule.reserved))
            words.append(f"Safety-Net {rule.alpha:g}" + ("" if reserved == 1 else f" for {float(reserved):.0%}"))
    if rule is None or universe != Universe():
        every = "every image" if universe.stride == 1 else f"every {_ordinal(universe.stride)} image"
        words.append(f"{every} from image {universe.offset} on" if universe.offset else every)
    return ", ".join(words)


def _ordinal(number: int) -> str:
    ending = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"


def _score(scores: Scores, name: str, candidates: NDArray[np.int64]) -> NDArray[np.float32]:
    column = getattr(scores, name)
    if column is None:
        raise InputError(f"the {name} is not known: plada-train plan computes it", rule="score")
    chosen: NDArray[np.float32] = column[candidates]
    if not np.isfinite(chosen).all():
        raise InputError(f"the {name} of some of these images is not known", rule="score")
    return chosen


# The payload

#: Makes the payload of a number of kept images, and its bytes.
Encoded = Callable[[int], tuple[Payload, bytes]]


def select(
    scores: Scores | Sequence[Scores],
    keep: float | str | Fraction | None = None,
    *,
    kept: int | None = None,
    max_bytes: int | None = None,
    rule: Rule = Rule(),
    universe: Universe = Universe(),
    class_names: bool = False,
    soft_labels: bool = False,
    weights_tau: float | None = None,
) -> tuple[Payload, bytes]:
    """The payload that keeps the images that a rule likes best, and its bytes.

    Warns with `MissingClasses` of classes that it has no image of.

    Args:
        scores: what the teacher says of the reference set. Several, of other teachers or temperatures, make a
            consensus; labels, names and soft labels are those of the first.
        keep: share p of the universe's images to keep: k = floor(p M) (see `kept_count`).
        kept: their number k, instead.
        max_bytes: if given, and those k images (all, if neither is given) take more bytes, the largest k that does not
            is sought by encoding: the payload that is returned fits, and those of the next `RIPPLE` larger k do not.
        rule: which k images; Safety-Net counts the classes in the universe.
        universe: the images to choose from.
        class_names: send the names of the classes too.
        soft_labels: send the soft labels of the classes too (see `variants.dirichlet_concentrations`).
        weights_tau: if given, send importance weights too (see `variants.importance_weights`).

    Raises:
        InputError: if nothing is kept or nothing fits, if scores are of different reference sets, or if what is to be
            sent is not known.
    """
    first = scores if isinstance(scores, Scores) else scores[0]
    universe_size = universe.size(len(first.label))
    most = most_kept(universe_size, keep=keep, kept=kept, max_bytes=max_bytes)
    encoded = by_rule(scores, rule, universe, class_names=class_names, soft_labels=soft_labels, weights_tau=weights_tau)
    with progress_bar(f"choosing from {universe_size} images ({FIRST_RUN})"):
        best = whole = encoded(most)
        if max_bytes is not None and len(whole[1]) > max_bytes:
            largest = _largest(encoded, most, max_bytes)
            if largest is None:
                least = min(len(whole[1]), len(encoded(1)[1]))
                raise InputError(f"{max_bytes} bytes are too few: the smallest payload takes {least}", rule="max-bytes")
            best = largest
    _warn_of_missing_classes(report_of(first, *best))
    return best


def by_rule(
    scores: Scores | Sequence[Scores],
    rule: Rule,
    universe: Universe,
    *,
    class_names: bool = False,
    soft_labels: bool = False,
    weights_tau: float | None = None,
) -> Encoded:
    """What makes the payloads of a rule, of any number of images. Arguments and errors: `select`."""
    several = [scores] if isinstance(scores, Scores) else list(scores)
    first = several[0]
    if any(one.reference_digest != first.reference_digest for one in several):
        raise InputError("scores of another reference: all must be of the same images", rule="scores")
    if class_names and first.class_names is None:
        raise InputError("the classes have no names that could be sent", rule="class-names")
    candidates = np.arange(universe.offset, len(first.label), universe.stride)
    cost = rule.cost(several, candidates)
    # Sorted once: each number of images that is tried finds them in order, and sorts in one pass
    best_first = ranking(cost)
    candidates, cost = candidates[best_first], cost[best_first]
    labels = first.label[candidates]

    def encoded(count: int) -> tuple[Payload, bytes]:
        chosen = rule.choose(cost, labels, first.num_classes, count)
        chosen = chosen[np.argsort(candidates[chosen])]
        kept_labels, codes, weights = labels[chosen], None, None
        if soft_labels:
            codes = quantised_concentrations(dirichlet_concentrations(first, kept_labels))
        if weights_tau is not None:
            weights = quantised_weights(importance_weights(cost[chosen], weights_tau))
        payload = Payload(
            indices=candidates[chosen],
            labels=kept_labels,
            reference_size=len(first.label),
            num_classes=first.num_classes,
            reference_digest=first.reference_digest[:DIGEST_BYTES],
            universe=universe,
            class_names=first.class_names if class_names else None,
            soft_labels=codes,
            weights=weights,
        )
        return payload, encode(payload)

    return encoded


def _largest(encoded: Encoded, most: int, max_bytes: int) -> tuple[Payload, bytes] | None:
    """The result of `encoded` for the largest k < `most` that fits, as `select` defines it; None if none does."""
    best, fits, fails = None, 0, most
    while fails - fits > 1:
        # The geometric mean: few kept images are encoded fast
        middle = max(fits + 1, isqrt(max(fits, 1) * fails))
        tried = encoded(middle)
        if len(tried[1]) <= max_bytes:
            best, fits = tried, middle
        else:
            fails = middle
    while fails < min(fits + RIPPLE, most - 1):
        fails += 1
        tried = encoded(fails)
        if len(tried[1]) <= max_bytes:
            best, fits = tried, fails
    return best


def report_of(scores: Scores, payload: Payload, encoded: bytes) -> dict[str, Any]:
    """What a selection came to, in plain values.

    `class_counts` are the kept images of each class. Of those that have none, `missing_classes` label images of the
    reference set, and `empty_classes` none.
    """
    labelled, counts = (np.bincount(labels, minlength=scores.num_classes) for labels in (scores.label, payload.labels))
    return {
        "kept": payload.kept,
        "payload_bytes": len(encoded),
        "reference_size": payload.reference_size,
        "num_classes": payload.num_classes,
        "class_names": scores.class_names,
        "class_counts": counts.tolist(),
        "missing_classes": np.flatnonzero((counts == 0) & (labelled > 0)).tolist(),
        "empty_classes": np.flatnonzero(labelled == 0).tolist(),
    }


def _warn_of_missing_classes(report: dict[str, Any]) -> None:
    names = report["class_names"] or range(report["num_classes"])
    for key, what in (
        ("missing_classes", "no image of these classes is kept"),
        ("empty_classes", "no reference image is labelled with these classes"),
    ):
        if report[key]:
            text = ", ".join(str(names[c]) for c in report[key])
            warnings.warn(f"{what}: {text}", MissingClasses, stacklevel=3)
