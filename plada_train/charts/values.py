"""The values of charts: points of candidates, histograms, sections of a payload, confusions."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Point:
    """A candidate of the planner, as measured by proxies.

    `series` is "candidates", or the name of a baseline ("lowest energy", "Safety-Net -0.2", "stride"). `steps` is the
    number of training steps of the proxies: accuracies after other numbers of steps do not compare.
    """

    payload_bytes: int
    accuracy: float
    series: str
    name: str
    is_frontier: bool = False
    is_chosen: bool = False
    steps: int | None = None


@dataclass(frozen=True)
class Histogram:
    """Numbers of reference images, and of kept images, in bins of the energy between `edges` [bins + 1].

    The first and the last bin also hold the values beyond them. `cut` is the energy at which the paper's filter would
    cut to keep as many images: those below it, or above it for an inverse rule.
    """

    edges: tuple[float, ...]
    labelled: tuple[int, ...]
    kept: tuple[int, ...]
    cut: float


@dataclass(frozen=True)
class Section:
    """A part of the payload, and its purpose."""

    name: str
    purpose: str
    payload_bytes: int


@dataclass(frozen=True)
class Confusion:
    """Test images by true class (row) and predicted class (column), of the `model` "teacher" or "student"."""

    model: str
    counts: tuple[tuple[int, ...], ...]
