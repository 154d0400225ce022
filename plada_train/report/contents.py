"""The contents of a report as dataclasses: `gather` fills them from a folder, `render` makes a page from them.

A part that the folder lacks is None or empty, and `missing` gives the reason. Accuracies and rates are shares.
"""

from __future__ import annotations

from dataclasses import dataclass

from plada_train.charts.values import Confusion, Histogram, Point, Section
from plada_train.planning.plan_file import Rung


@dataclass(frozen=True)
class RunSummary:
    """The summary of a run: the numbers that a reader needs first.

    `paper_bytes` is the paper's coding of the same payload (its smaller layout, zstd level 19). `rule` names the
    rule by which images were chosen, and `budget_bytes` is their budget, if there was one. Models are named as in timm.
    """

    payload_bytes: int
    paper_bytes: int
    kept: int
    reference_size: int
    num_classes: int
    rule: str
    budget_bytes: int | None
    teacher_accuracy: float | None
    student_accuracy: float | None
    teacher_model: str | None = None
    student_model: str | None = None


@dataclass(frozen=True)
class SearchExtent:
    """The extent of the planner's search (see `planning.plan_file.Plan`)."""

    rungs: tuple[Rung, ...]
    stopped: str | None
    proxies: tuple[str, ...]
    held_out_images: int


@dataclass(frozen=True)
class Thumbnail:
    """A reference image as JPEG in a `data:` URL, with the teacher's label and energy.

    `is_kept` is None if no payload says which images are kept.
    """

    data_url: str
    index: int
    label: str
    energy: float
    is_kept: bool | None


@dataclass(frozen=True)
class Percentile:
    """Images around a percentile of the energy; 0 is the lowest energy (the paper's Figure 3)."""

    percent: float
    images: tuple[Thumbnail, ...]


@dataclass(frozen=True)
class ClassRow:
    """Images of a class: labelled in the universe, kept by energy alone (the paper's Figure 4, left), and sent."""

    name: str
    labelled: int
    lowest_energy: int
    kept: int
    payload_bits: float | None


@dataclass(frozen=True)
class Anatomy:
    """The sections of a payload. `bits_per_image` counts all bytes; `label_bits` and `index_bits` count one section."""

    sections: tuple[Section, ...]
    bits_per_image: float
    label_bits: float | None
    index_bits: float | None


@dataclass(frozen=True)
class LinkTime:
    """Times of the payload over a link, in seconds: airtime and wall time; None if it cannot be sent.

    `loss` is the share of lost frames in the link's profile; None, counted as 0, if the profile has none.
    """

    link: str
    name: str
    airtime_s: float | None
    wall_s: float | None
    loss: float | None = None


@dataclass(frozen=True)
class MissingPart:
    """A part of the report that cannot be shown, and why; `reason` includes advice."""

    part: str
    reason: str


@dataclass(frozen=True)
class Contents:
    """All parts of a report, in the order of the page."""

    title: str
    summary: RunSummary | None
    points: tuple[Point, ...]
    links: tuple[LinkTime, ...]
    percentiles: tuple[Percentile, ...]
    energies: Histogram | None
    classes: tuple[ClassRow, ...]
    anatomy: Anatomy | None
    class_names: tuple[str, ...]
    confusions: tuple[Confusion, ...]
    facts: tuple[tuple[str, str], ...]
    missing: tuple[MissingPart, ...]
    search: SearchExtent | None = None

    @property
    def missing_by_reason(self) -> tuple[MissingPart, ...]:
        """`missing`, where parts with the same reason are joined."""
        parts: dict[str, list[str]] = {}
        for each in self.missing:
            parts.setdefault(each.reason, []).append(each.part)
        return tuple(MissingPart(", ".join(names), reason) for reason, names in parts.items())
