"""Which labels are sent: the surest ones, by number or by bytes (paper, section 4.3)."""

from __future__ import annotations

from fractions import Fraction
from math import isqrt
from typing import TYPE_CHECKING, Any

import numpy as np

from plada_codec import Payload, Universe, encode
from plada_codec.progress import FIRST_RUN, progress_bar
from plada_train.errors import BadInput
from plada_train.scores import Scores

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

#: Bytes of the reference digest that a payload carries: enough against mistakes (format specification, section 12).
DIGEST_BYTES = 8
#: The payload's size grows with the number of kept images, but for ripples; so many further ones are tried.
RIPPLE = 8


def kept_count(keep: float | str | Fraction, universe_size: int) -> int:
    """The number of kept images k = floor(p M), p taken as it is written (0.29 of 100 images is 29, not 28).

    Raises:
        BadInput: if p is not above 0 and at most 1, or so small that nothing is kept.
    """
    rate = Fraction(str(keep))
    if not 0 < rate <= 1:
        raise BadInput(f"keep rate {keep} is not above 0 and at most 1", rule="keep")
    count = rate.numerator * universe_size // rate.denominator
    if not count:
        raise BadInput(f"keep rate {keep} keeps none of {universe_size} images", rule="keep")
    return count


def universe_of(reference_size: int, offset: int, stride: int) -> Universe:
    """The universe of every `stride`-th image from `offset` on. Raises BadInput if there is none."""
    if not (0 <= offset < reference_size and 1 <= stride <= reference_size):
        raise BadInput(f"offset {offset} and stride {stride} do not fit {reference_size} images", rule="universe")
    return Universe(offset, stride)


def ranking(scores: NDArray[Any]) -> NDArray[np.int64]:
    """Positions of `scores` [n] from the lowest to the highest, equal ones by position: int64 [n]."""
    return np.argsort(scores, kind="stable")


def select(
    scores: Scores,
    keep: float | str | Fraction,
    *,
    max_bytes: int | None = None,
    universe: Universe = Universe(),
    class_names: bool = False,
) -> tuple[Payload, bytes]:
    """The payload that keeps the images of lowest energy, and its bytes.

    Args:
        scores: what the teacher says of the reference set.
        keep: share p of the universe's images to keep: k = floor(p M) (see `kept_count`).
        max_bytes: if given, and those k images take more bytes, the largest k that does not is sought by encoding: the
            payload that is returned fits, and those of the next `RIPPLE` larger k do not.
        universe: the images to choose from.
        class_names: send the names of the classes too.

    Raises:
        BadInput: if nothing is kept or nothing fits, or if names that are not known are to be sent.
    """
    if class_names and scores.class_names is None:
        raise BadInput("the classes have no names that could be sent", rule="class-names")
    candidates = np.arange(universe.offset, len(scores.energy), universe.stride)
    by_energy = candidates[ranking(scores.energy[candidates])]

    def encoded(count: int) -> tuple[Payload, bytes]:
        indices = np.sort(by_energy[:count])
        payload = Payload(
            indices=indices,
            labels=scores.label[indices],
            reference_size=len(scores.energy),
            num_classes=scores.num_classes,
            reference_digest=scores.reference_digest[:DIGEST_BYTES],
            universe=universe,
            class_names=scores.class_names if class_names else None,
        )
        return payload, encode(payload)

    most = kept_count(keep, len(candidates))
    with progress_bar(f"choosing from {len(candidates)} images ({FIRST_RUN})"):
        whole = encoded(most)
        if max_bytes is None or len(whole[1]) <= max_bytes:
            return whole
        best = _largest(encoded, most, max_bytes)
        if best is None:
            least = len(encoded(1)[1])
            raise BadInput(f"{max_bytes} bytes are too few: one label takes {least}", rule="max-bytes")
        return best


def _largest(
    encoded: Callable[[int], tuple[Payload, bytes]], most: int, max_bytes: int
) -> tuple[Payload, bytes] | None:
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
