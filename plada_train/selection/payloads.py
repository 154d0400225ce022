"""Make the payload of a selection: the best images under a rule, limited by number or bytes (paper, 4.3 and D.2)."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import isqrt

import numpy as np

from plada_codec import Payload, Universe, encode
from plada_codec.errors import InputError, MissingClasses
from plada_codec.progress import FIRST_RUN, progress_bar
from plada_codec.sections.soft_labels import quantised_concentrations
from plada_codec.sections.weights import quantised_weights
from plada_train.scores.reference_scores import Scores
from plada_train.selection.counts import most_kept
from plada_train.selection.lowest_cost import LowestCost
from plada_train.selection.optional_sections import OptionalSections
from plada_train.selection.ranking import ranking
from plada_train.selection.rule import Rule
from plada_train.selection.soft_labels_and_weights import dirichlet_concentrations, importance_weights

#: Bytes of the reference digest in a payload: enough to detect mistakes (format specification, section 12).
DIGEST_BYTES = 8
#: The size of a payload grows with the number of kept images, with small ripples: this many more numbers are tried.
RIPPLE = 8

#: Makes the payload with a number of kept images, and its bytes.
Encoder = Callable[[int], tuple[Payload, bytes]]


def select(
    scores: Scores | Sequence[Scores],
    keep: float | str | Fraction | None = None,
    *,
    kept: int | None = None,
    max_bytes: int | None = None,
    rule: Rule = LowestCost(),
    universe: Universe = Universe(),
    sections: OptionalSections = OptionalSections(),
) -> tuple[Payload, bytes]:
    """Make the payload with the best images under a rule; return it and its bytes.

    Args:
        scores: labels and scores of the reference set. Several (of other teachers or temperatures) make a consensus;
            labels, names and soft labels come from the first.
        keep: share p of the universe's images to keep: k = floor(p M) (see `kept_count`).
        kept: number k of images to keep, instead of `keep`.
        max_bytes: the largest size of the payload. If those k images (all, if neither is given) take more bytes, a
            search by encoding finds the largest k that fits: the returned payload fits, and those of the next
            `RIPPLE` larger k do not.
        rule: chooses the k images among those of the universe.
        universe: the images to choose from.
        sections: optional sections of the payload.

    Raises:
        InputError: if nothing is kept or nothing fits, if scores are of different reference sets, or if a score or an
            optional section is not known.

    Warns:
        MissingClasses: if classes have no image in the payload.
    """
    first = scores if isinstance(scores, Scores) else scores[0]
    universe_size = universe.size(len(first.label))
    most = most_kept(universe_size, keep=keep, kept=kept, max_bytes=max_bytes)
    encoder = payload_encoder(scores, rule, universe, sections)
    with progress_bar(f"choosing from {universe_size} images ({FIRST_RUN})"):
        best = whole = encoder(most)
        if max_bytes is not None and len(whole[1]) > max_bytes:
            largest = _largest(encoder, most, max_bytes)
            if largest is None:
                least = min(len(whole[1]), len(encoder(1)[1]))
                raise InputError(f"{max_bytes} bytes are too few: the smallest payload takes {least}", rule="max-bytes")
            best = largest
    _warn_of_missing_classes(selection_report(first, *best))
    return best


def payload_encoder(
    scores: Scores | Sequence[Scores],
    rule: Rule,
    universe: Universe = Universe(),
    sections: OptionalSections = OptionalSections(),
) -> Encoder:
    """Return a function that encodes the k best images under a rule. Arguments and errors: `select`."""
    several = [scores] if isinstance(scores, Scores) else list(scores)
    first = several[0]
    if any(one.reference_digest != first.reference_digest for one in several):
        raise InputError("the scores are of different reference sets: all must be of the same images", rule="scores")
    sections.check(first.class_names, first.num_classes)
    check = sections.class_check_of(first.class_names)
    candidates = np.arange(universe.offset, len(first.label), universe.stride)
    cost = rule.cost(several, candidates)
    # Sorted once: each number of images that is tried finds them in order, so that sorting again takes one pass
    best_first = ranking(cost)
    candidates, cost = candidates[best_first], cost[best_first]
    labels = first.label[candidates]

    def encode_best(count: int) -> tuple[Payload, bytes]:
        chosen = rule.choose(cost, labels, first.num_classes, count)
        chosen = chosen[np.argsort(candidates[chosen])]
        kept_labels, codes, weights = labels[chosen], None, None
        if sections.soft_labels:
            codes = quantised_concentrations(dirichlet_concentrations(first, kept_labels))
        if sections.weights_tau is not None:
            weights = quantised_weights(importance_weights(cost[chosen], sections.weights_tau))
        payload = Payload(
            indices=candidates[chosen],
            labels=kept_labels,
            reference_size=len(first.label),
            num_classes=first.num_classes,
            reference_digest=first.reference_digest[:DIGEST_BYTES],
            universe=universe,
            class_names=first.class_names if sections.class_names else None,
            soft_labels=codes,
            weights=weights,
            class_check=check,
        )
        return payload, encode(payload)

    return encode_best


def _largest(encoder: Encoder, most: int, max_bytes: int) -> tuple[Payload, bytes] | None:
    """Find the largest k < `most` that fits, as `select` defines it; return its payload, or None."""
    best, fits, fails = None, 0, most
    while fails - fits > 1:
        # The geometric mean: small numbers of kept images are encoded fast
        middle = max(fits + 1, isqrt(max(fits, 1) * fails))
        tried = encoder(middle)
        if len(tried[1]) <= max_bytes:
            best, fits = tried, middle
        else:
            fails = middle
    while fails < min(fits + RIPPLE, most - 1):
        fails += 1
        tried = encoder(fails)
        if len(tried[1]) <= max_bytes:
            best, fits = tried, fails
    return best


@dataclass(frozen=True, kw_only=True)
class SelectionReport:
    """Summary of a selection, as `plada-train select --json` prints it.

    Attributes:
        kept: number of kept images.
        payload_bytes: size of the payload.
        reference_size: number of reference images N.
        num_classes: number of classes C.
        class_names: names of the classes, if known.
        class_counts: number of kept images of each class.
        missing_classes: classes that label reference images, but have no kept image.
        empty_classes: classes that label no reference image.
    """

    kept: int
    payload_bytes: int
    reference_size: int
    num_classes: int
    class_names: tuple[str, ...] | None
    class_counts: tuple[int, ...]
    missing_classes: tuple[int, ...]
    empty_classes: tuple[int, ...]


def selection_report(scores: Scores, payload: Payload, encoded: bytes) -> SelectionReport:
    """Summarise a selection."""
    labelled, counts = (np.bincount(labels, minlength=scores.num_classes) for labels in (scores.label, payload.labels))
    return SelectionReport(
        kept=payload.kept,
        payload_bytes=len(encoded),
        reference_size=payload.reference_size,
        num_classes=payload.num_classes,
        class_names=scores.class_names,
        class_counts=tuple(counts.tolist()),
        missing_classes=tuple(np.flatnonzero((counts == 0) & (labelled > 0)).tolist()),
        empty_classes=tuple(np.flatnonzero(labelled == 0).tolist()),
    )


def _warn_of_missing_classes(report: SelectionReport) -> None:
    for classes, what in (
        (report.missing_classes, "no image of these classes is kept"),
        (report.empty_classes, "no reference image is labelled with these classes"),
    ):
        if classes:
            text = ", ".join(report.class_names[c] if report.class_names else str(c) for c in classes)
            warnings.warn(f"{what}: {text}", MissingClasses, stacklevel=3)
