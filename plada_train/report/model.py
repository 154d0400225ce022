"""What a report shows, in plain values: `gather` fills it from a folder, `render` makes a page of it.

A part that the folder has not is None or empty, and `missing` says which, and why. Accuracies and rates are shares.
"""

from __future__ import annotations

from dataclasses import dataclass

from plada_train.charts.values import Confusion, Histogram, Point, Section
from plada_train.planning.plan_file import Rung


@dataclass(frozen=True)
class Verdict:
    """What a reader needs first.

    `paper_bytes` is the paper's coding of the same payload (its smaller layout, zstd level 19). `rule` says in words
    how images were chosen, and `budget_bytes` within which budget, where there was one. Models are named as in timm.
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
class Search:
    """How far the planner came. `stopped` is "time" or "interrupt", or None where it measured all that it would."""

    rungs: tuple[Rung, ...]
    stopped: str | None
    proxies: tuple[str, ...]
    held_out_images: int


@dataclass(frozen=True)
class Thumbnail:
    """A reference image, as JPEG in a `data:` address, and what the teacher says of it.

    `is_kept` is None where nothing says what is kept.
    """

    data_url: str
    index: int
    label: str
    energy: float
    is_kept: bool | None


@dataclass(frozen=True)
class Percentile:
    """Images around a percentile of the energy, 0 the surest (the paper's Figure 3)."""

    percent: float
    images: tuple[Thumbnail, ...]


@dataclass(frozen=True)
class ClassRow:
    """Images of a class: labelled in the universe, kept by energy alone (the paper's Figure 4, left), and as sent."""

    name: str
    labelled: int
    lowest_energy: int
    kept: int
    payload_bits: float | None


@dataclass(frozen=True)
class Anatomy:
    """Where the payload's bytes go. `bits_per_image` counts all bytes; `label_bits` and `index_bits` their sections."""

    sections: tuple[Section, ...]
    bits_per_image: float
    label_bits: float | None
    index_bits: float | None


@dataclass(frozen=True)
class LinkTime:
    """The payload over a link of the profiles: seconds on the air, and until it is there; None: it cannot be sent.

    `loss` is the share of frames that is lost according to the profile; None: it says nothing, and none is.
    """

    link: str
    name: str
    airtime_s: float | None
    wall_s: float | None
    loss: float | None = None


@dataclass(frozen=True)
class Missing:
    """A part of the report that cannot be shown, and why, and what to do about it."""

    what: str
    why: str


@dataclass(frozen=True)
class Contents:
    """All parts of a report, in the order in which it shows them."""

    title: str
    verdict: Verdict | None
    points: tuple[Point, ...]
    links: tuple[LinkTime, ...]
    percentiles: tuple[Percentile, ...]
    energies: Histogram | None
    classes: tuple[ClassRow, ...]
    anatomy: Anatomy | None
    class_names: tuple[str, ...]
    confusions: tuple[Confusion, ...]
    facts: tuple[tuple[str, str], ...]
    missing: tuple[Missing, ...]
    search: Search | None = None

    @property
    def missing_by_reason(self) -> tuple[Missing, ...]:
        """`missing`, the parts that lack the same thing in one."""
        parts: dict[str, list[str]] = {}
        for each in self.missing:
            parts.setdefault(each.why, []).append(each.what)
        return tuple(Missing(", ".join(what), why) for why, what in parts.items())
