"""Make one HTML page from a report. It needs no network and no script (its policy forbids both), and no font.

What its reader needs comes first; each chart says its finding in words, and holds its numbers as a table.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from importlib.resources import files
from itertools import pairwise

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from plada_codec.links.units import show_seconds
from plada_train.charts import svg
from plada_train.charts.svg import NARROW, WIDE, Column, signed
from plada_train.charts.values import Confusion, Histogram, Point
from plada_train.report.contents import Anatomy, ClassRow, Contents, LinkTime, RunSummary, SearchExtent
from plada_train.scores.registry import SCORES
from plada_train.selection.registry import SELECTION_RULES

#: Charts draw at most this many classes: the half with the most labels, and the half with the fewest.
_DRAWN_CLASSES = 30
#: Confusions of more classes are not drawn: a table of the most frequent mistakes replaces them.
_DRAWN_CONFUSION, _CONFUSED_PAIRS = 60, 15
#: Most rows of a table. Nobody reads more, and 21,841 classes would make a page of megabytes.
_MOST_ROWS = 500
#: Sentences shorten names to this many characters; tables show whole names.
_LONG_NAME = 40
#: Links at the top of the page: under water, on land, over the horizon, from Titan. If none works: others.
_FIRST_LINKS = ("nanomodem-v3", "lorawan-eu868-dr0", "hf-datac4", "titan-dte")
#: Glossary: for each word, the text that shows that a page uses it (empty: every page does), and its meaning.
_WORDS = {
    **{name.capitalize(): ("" if name == "energy" else name, SCORES[name].description) for name in sorted(SCORES)},
    "Keep rate": ("", "The share of the reference set’s images that is sent, and learnt from."),
    **{row.title: (row.title, row.description) for row in SELECTION_RULES if row.title},
    "Stride": ("stride", "Every n-th image is kept, sure or not: then no bytes are needed to say which images."),
    "Proxy": ("proxy", "A small network that learns from a candidate’s payload, as the student would, in little time."),
    "Held-out images": (
        "held-out",
        "Labelled images of the task that the teacher did not learn from: candidates are measured on them.",
    ),
}
#: Widths of charts, by the class of the screens that show them.
_SCREENS = {"wide": WIDE, "narrow": NARROW}


@dataclass(frozen=True)
class Table:
    """A table. The first cell of a row is its heading; `text_columns` columns are words, the others numbers."""

    caption: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    text_columns: int = 1


@dataclass(frozen=True)
class Figure:
    """A chart for each class of screens ("": any screen), with its finding as a sentence and its numbers."""

    charts: dict[str, Markup]
    finding: str
    table: Table


@dataclass(frozen=True)
class Tile:
    """A number that readers look for first, with numbers to compare it with."""

    name: str
    value: str
    notes: Sequence[str]


def render(contents: Contents) -> str:
    """Make the page (HTML5, UTF-8). Missing parts are left out; the last section names them, and the reasons."""
    folder = files("plada_train.report")
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string(folder.joinpath("page.html.jinja").read_text(encoding="utf-8"))
    summary, anatomy = contents.summary, contents.anatomy
    page = template.render(
        contents=contents,
        style=Markup(svg.style() + folder.joinpath("page.css").read_text(encoding="utf-8")),
        lead=_lead(summary) if summary else None,
        tiles=_tiles(summary, contents.links) if summary else [],
        search=_search(contents.search) if contents.search and contents.search.rungs else [],
        frontier=_frontier(contents.points) if len(contents.points) > 1 else None,
        choice=_choice(contents.points, summary.budget_bytes if summary else None),
        words=_words(contents) if summary or contents.points else [],
        links=_links(contents.links) if contents.links else None,
        energies=_energies(contents.energies) if contents.energies else None,
        classes=_classes(contents.classes) if contents.classes else None,
        anatomy=_anatomy(anatomy) if anatomy and anatomy.sections else None,
        class_bits=_class_bits(contents.classes),
        confusions=[_confusion(confusion, contents.class_names) for confusion in contents.confusions],
    )
    # Names of files need not be UTF-8
    return page.encode(errors="backslashreplace").decode()


# The top of the page


def _lead(summary: RunSummary) -> str:
    """A sentence that explains PLADA by the numbers of this run."""
    student, teacher = (f" ({model})" if model else "" for model in (summary.student_model, summary.teacher_model))
    return (
        f"The student{student} learns this task from {summary.payload_bytes:,} bytes. They say which {summary.kept:,} "
        f"of {summary.reference_size:,} shared, unlabelled images to learn from, and what the teacher{teacher} takes "
        "each of them for."
    )


def _tiles(summary: RunSummary, links: Sequence[LinkTime]) -> list[Tile]:
    sizes = [f"the paper’s coding of the same labels: {summary.paper_bytes:,}"]
    if summary.budget_bytes is not None:
        sizes.insert(0, f"of a budget of {summary.budget_bytes:,}")
    sendable = [link for link in links if link.wall_s is not None]
    first = [link for link in sendable if link.link in _FIRST_LINKS] or sendable[: len(_FIRST_LINKS)]
    times = [(_duration(link.wall_s), link.name) for link in sorted(first, key=lambda link: link.wall_s or 0)]
    rivals = [f"teacher {_percent(summary.teacher_accuracy)}", f"chance {_percent(1 / summary.num_classes)}"]
    kept = f"{summary.kept:,} of {summary.reference_size:,}"
    rate = f"a keep rate of {100 * summary.kept / summary.reference_size:.2g}%"
    return [
        Tile("Payload", f"{summary.payload_bytes:,} bytes", sizes),
        Tile("Student’s accuracy", _percent(summary.student_accuracy), rivals),
        *(
            Tile(
                "Sending takes",
                time,
                [f"over {name}", *(f"{time} over {name}" for time, name in times[1:]), "one-way, at no distance"],
            )
            for time, name in times[:1]
        ),
        Tile("Images kept", kept, [rate, f"{summary.num_classes:,} classes", f"chosen by: {summary.rule}"]),
    ]


# Why this choice


def _search(search: SearchExtent) -> list[str]:
    """Sentences on the reliability of the candidates' accuracies."""
    first, *others = search.rungs
    measured = [
        f"{first.measured:,} of {first.candidates:,} candidates in {first.steps:,} training steps of the proxies"
    ]
    measured += [
        f"{rung.measured:,} of the best {rung.candidates:,} in {rung.steps:,}" for rung in others if rung.measured
    ]
    ended = {
        "time": " The time was too short for more: on another machine the choice may differ.",
        "interrupt": " Then it was interrupted.",
    }.get(search.stopped or "", "")
    if first.measured < first.candidates:
        ended += " Candidates that were not measured may be better."
    trust = f"Accuracies are the proxies’ ({_listed(search.proxies)}) on {search.held_out_images:,} held-out images."
    if first.measured > 1:
        trust += (
            " The accuracy of the chosen candidate is slightly optimistic: it is the best of many on the same images."
        )
    return [f"The planner measured {_listed(measured)}.{ended}", trust]


def _frontier(points: Sequence[Point]) -> Figure:
    rows = [
        (point.name, _roles(point), f"{point.payload_bytes:,}", _percent(point.accuracy))
        for point in sorted(points, key=lambda point: (point.payload_bytes, -point.accuracy))
    ]
    return _figure(
        lambda width: svg.frontier_svg(points, width=width),
        "Each point is a candidate: the bytes of its payload, and the accuracy of proxies that learn from it. On the "
        "frontier, no other candidate has fewer bytes and a higher accuracy.",
        Table("Candidates, by bytes", ("candidate", "what it is", "bytes", "accuracy"), rows, text_columns=2),
    )


def _roles(point: Point) -> str:
    roles = [point.series] * (point.series != "candidates") + ["frontier"] * point.is_frontier
    return ", ".join(roles + ["chosen"] * point.is_chosen)


def _choice(points: Sequence[Point], budget_bytes: int | None) -> Table | None:
    """A table of the chosen candidate and the best of each baseline within the same bytes; None without a choice."""
    chosen = next((point for point in points if point.is_chosen), None)
    if chosen is None:
        return None
    most = max(chosen.payload_bytes, budget_bytes or 0)
    rows = [(f"chosen: {chosen.name}", f"{chosen.payload_bytes:,}", _percent(chosen.accuracy), "")]
    for series in svg.baseline_shapes(points):
        rivals = [point for point in points if point.series == series and point.payload_bytes <= most]
        best = max(rivals, key=lambda point: point.accuracy, default=chosen)
        if best is not chosen:
            behind = f"{100 * (best.accuracy - chosen.accuracy):+.1f}".replace("-", "−")
            behind = behind if best.steps == chosen.steps else "other steps"
            rows.append((series, f"{best.payload_bytes:,}", _percent(best.accuracy), behind))
    caption = (
        f"The chosen candidate beside the best of each baseline, with at most {most:,} bytes; differences in points"
    )
    return Table(caption, ("rule", "bytes", "accuracy", "against chosen"), rows)


def _words(contents: Contents) -> list[tuple[str, str]]:
    """Entries of the glossary for the words of this page."""
    rules = [contents.summary.rule] if contents.summary else []
    shown_text = " ".join([*rules, *(f"{point.name} {point.series} proxy held-out" for point in contents.points)])
    return [(word, meaning) for word, (sign, meaning) in _WORDS.items() if sign in shown_text]


# Sections


def _links(links: Sequence[LinkTime]) -> Table:
    """A table of links: the fastest first, links that cannot carry the payload last."""
    ordered = sorted(links, key=lambda link: (link.wall_s is None, link.wall_s or 0, link.name))
    rows = [
        (
            f"{link.name} ({link.link})" + (f", {link.loss:.0%} of frames lost" if link.loss else ""),
            _duration(link.wall_s),
            "–" if link.airtime_s is None else _duration(link.airtime_s),
        )
        for link in ordered
    ]
    return Table(
        "Time until the payload has arrived, and airtime; the fastest link first",
        ("link", "arrives after", "on the air"),
        rows,
    )


def _energies(histogram: Histogram) -> Figure:
    title = "Energies of the labelled and of the kept images"
    bins = list(zip(pairwise(histogram.edges), histogram.labelled, histogram.kept, strict=True))
    finding = (
        f"{sum(histogram.labelled):,} images are labelled, and {sum(histogram.kept):,} kept. To keep as many "
        f"by energy alone, the paper’s filter cuts at {signed(histogram.cut)}. The outermost bars also hold all images "
        "beyond them."
    )
    rows = [(f"{signed(low)} to {signed(high)}", f"{labelled:,}", f"{kept:,}") for (low, high), labelled, kept in bins]
    return _figure(
        lambda width: svg.energies_svg(histogram, title, finding, width),
        finding,
        Table(title, ("energy", "labelled", "kept"), rows),
    )


def _classes(classes: Sequence[ClassRow]) -> Figure:
    title = "Images of each class, before and after selecting"
    ordered = sorted(classes, key=lambda row: -row.labelled)
    half = _DRAWN_CLASSES // 2
    drawn = ordered if len(ordered) <= _DRAWN_CLASSES else ordered[:half] + ordered[-half:]
    fewest, most = (find(classes, key=lambda row: row.kept) for find in (min, max))
    lost, lost_by_energy = (sum(not row.kept for row in classes), sum(not row.lowest_energy for row in classes))
    finding = (
        f"As sent, classes have from {fewest.kept:,} ({_short(fewest.name)}) to {most.kept:,} images "
        f"({_short(most.name)}), and {lost:,} of {len(classes):,} have none; by the lowest energy alone, "
        f"{lost_by_energy:,} would have none."
    )
    if drawn is not ordered:
        finding += f" The chart shows the {half} classes with the most labels, and the {half} with the fewest."
    columns = [
        Column(head, counts, [f"{count:,}" for count in counts], mark)
        for head, counts, mark in (
            ("labelled", [row.labelled for row in drawn], "candidates"),
            ("by energy", [row.lowest_energy for row in drawn], "series-1"),
            ("as sent", [row.kept for row in drawn], "accent"),
        )
    ]
    rows = [(row.name, f"{row.labelled:,}", f"{row.lowest_energy:,}", f"{row.kept:,}") for row in ordered]
    return _figure(
        lambda width: svg.bars_svg([row.name for row in drawn], columns, title, finding, width),
        finding,
        Table(title, ("class", "labelled", "lowest energy", "as sent"), rows),
    )


def _anatomy(anatomy: Anatomy) -> Figure:
    title = "Where the payload’s bytes go"
    whole = max(sum(section.payload_bytes for section in anatomy.sections), 1)
    largest = max(anatomy.sections, key=lambda section: section.payload_bytes)
    parts = [("label", anatomy.label_bits), ("index", anatomy.index_bits)]
    of_which = _listed(f"{bits:.1f} for its {what}" for what, bits in parts if bits is not None)
    finding = (
        f"{largest.payload_bytes / whole:.0%} of the {whole:,} bytes are for the section “{largest.name}”. A kept "
        f"image takes {anatomy.bits_per_image:.1f} bits{of_which and ': ' + of_which}."
    )
    rows = [
        (section.name, section.purpose, f"{section.payload_bytes:,}", f"{section.payload_bytes / whole:.1%}")
        for section in anatomy.sections
    ]
    return _figure(
        lambda width: svg.anatomy_svg(anatomy.sections, title, finding, width),
        finding,
        Table(title, ("section", "what it is for", "bytes", "share"), rows, text_columns=2),
    )


def _class_bits(classes: Sequence[ClassRow]) -> Table | None:
    """Bits of each class, the largest first."""
    known = sorted((-row.payload_bits, row.kept, row.name) for row in classes if row.payload_bits is not None)
    rows = [(name, f"{kept:,}", f"{-bits:,.0f}", f"{-bits / kept:.1f}" if kept else "–") for bits, kept, name in known]
    return _shortened(Table("Bits of each class", ("class", "kept", "bits", "per image"), rows)) if rows else None


def _confusion(confusion: Confusion, class_names: Sequence[str]) -> Figure:
    title, counts = f"Confusion of the {confusion.model}", confusion.counts
    names = class_names or [str(number) for number in range(len(counts))]
    totals = [sum(row) for row in counts]
    pairs = sorted(
        (-count, row, column)
        for row, of_row in enumerate(counts)
        for column, count in enumerate(of_row)
        if count and row != column
    )
    shown = [(names[row], names[column], f"{-n:,}", _percent(-n / totals[row])) for n, row, column in pairs]
    finding = f"The {confusion.model} confuses no classes."
    if shown:
        true, predicted, count, share = shown[0]
        taken = f"“{_short(true)}” for “{_short(predicted)}”"
        finding = f"The {confusion.model} most often takes {taken}: {share} of its images, {count} in all."
    if len(names) > svg.NAMED_CLASSES:
        head = ("true class", "predicted class", "times", "share of the class")
        table = Table(f"{title}: its most frequent mistakes", head, shown[:_CONFUSED_PAIRS], text_columns=2)
    else:
        rows = [(name, *(f"{count:,}" for count in row)) for name, row in zip(names, counts, strict=True)]
        table = Table(f"{title}: test images by true class (rows) and predicted class", ("", *names), rows)
    if len(names) > _DRAWN_CONFUSION:
        return Figure({}, finding, table)
    return Figure({"": Markup(svg.confusion_svg(confusion, names, title, finding))}, finding, table)


def _figure(draw: Callable[[int], str], finding: str, table: Table) -> Figure:
    drawn = {screens: Markup(draw(width)) for screens, width in _SCREENS.items()}
    return Figure(drawn, finding, _shortened(table))


def _shortened(table: Table) -> Table:
    if len(table.rows) <= _MOST_ROWS:
        return table
    caption = f"{table.caption}: the first {_MOST_ROWS} of {len(table.rows):,}"
    return replace(table, caption=caption, rows=table.rows[:_MOST_ROWS])


# Texts


def _percent(share: float | None) -> str:
    return "not measured" if share is None else f"{share:.1%}"


def _duration(seconds: float | None) -> str:
    return "cannot be sent" if seconds is None else show_seconds(seconds)


def _short(name: str) -> str:
    """A name, shortened to fit a sentence."""
    return name if len(name) <= _LONG_NAME else f"{name[:_LONG_NAME].rstrip()}…"


def _listed(parts: Iterable[str]) -> str:
    return ", ".join(parts)
