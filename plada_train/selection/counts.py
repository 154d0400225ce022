"""Numbers of kept images and sizes of universes, from the user's keep rate, number, offset and stride."""

from __future__ import annotations

from fractions import Fraction

from plada_codec import Universe
from plada_codec.errors import InputError


def kept_count(keep: float | str | Fraction, universe_size: int) -> int:
    """The number of kept images k = floor(p M), with p exact as written (0.29 of 100 images is 29, not 28).

    Args:
        keep: keep rate p.
        universe_size: number M of images to choose from.

    Raises:
        InputError: if p is not above 0 and at most 1, or too small to keep an image.
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
    """The largest number k of images to keep: by `keep` or `kept`; all if only bytes are limited.

    Raises:
        InputError: if none of the three is given, if both `keep` and `kept` are, or if there are fewer than k images.
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
    """The universe of every `stride`-th image from `offset` on. Raises InputError if it would have no image."""
    if not (0 <= offset < reference_size and 1 <= stride <= reference_size):
        raise InputError(f"offset {offset} and stride {stride} do not fit {reference_size} images", rule="universe")
    return Universe(offset, stride)
