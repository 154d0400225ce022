"""Gather the parts of a report from the folder of a run.

A file that is missing, damaged, or of another run is named in the report, and hides no part that does not need it.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeVar

import numpy as np
from PIL import ImageOps

from plada_codec import Payload, compare, encode, inspect
from plada_codec.errors import InputError, PladaError
from plada_codec.links.budgets.budget import budget
from plada_codec.links.budgets.conditions import Conditions
from plada_codec.links.link import Link
from plada_codec.links.profiles import links
from plada_codec.progress import FIRST_RUN, progress_bar
from plada_codec.reference import ImageSource, decode_image, open_images
from plada_codec.sections.class_names import checked_class_names
from plada_codec.sections.registry import SECTIONS
from plada_train.charts.values import Confusion, Histogram, Section
from plada_train.planning.plan_file import Plan
from plada_train.report.contents import (
    Anatomy,
    ClassRow,
    Contents,
    LinkTime,
    MissingPart,
    Percentile,
    RunSummary,
    SearchExtent,
    Thumbnail,
)
from plada_train.report.describe import choice, facts, title
from plada_train.report.folder import RunFolder, SentPayload, first_result
from plada_train.report.run_report import RunReport
from plada_train.selection.ranking import lowest, ranking

if TYPE_CHECKING:
    from numpy.typing import NDArray

T = TypeVar("T")
ModelRole = Literal["teacher", "student"]

#: `MissingPart.part` by the field of `Contents` or `RunSummary` that is None or empty.
PARTS = {
    "summary": "Summary of the run",
    "teacher_accuracy": "The teacher's accuracy",
    "student_accuracy": "The student's accuracy",
    "points": "Accuracy against bytes",
    "links": "Seconds on each link",
    "percentiles": "Images by energy",
    "energies": "Energies",
    "classes": "Classes",
    "anatomy": "Anatomy of the payload",
    "confusions": "Confusion of teacher and student",
    "facts": "Settings",
}
#: The percentiles of the paper's Figure 3, and more of low energies, which are kept.
PERCENTS = (0, 1, 5, 25, 50, 75, 100)
IMAGES_PER_PERCENT = 8
#: Thumbnails: all of them take less than 200 kB, even if they show noise.
PIXELS, JPEG_QUALITY = 56, 70
BINS = 60
#: The bins reach from one percentile to the other; the first and last bin also hold the few images beyond.
OUTER_PERCENTS = (0.1, 99.9)
#: Bits of classes are computed up to these sizes; beyond, encoding without each class takes minutes.
CODED_CLASSES, CODED_KEPT = 60, 50_000
#: Length of frames on a link whose profile has no longest frame.
FRAME_BYTES = 256
_PARTS_OF_PAYLOAD = {
    "header": "sizes, codings and lengths",
    "digest": "of the reference set, to detect another reference set",
    "index": "which images are kept",
    "labels": "the class of each kept image",
    **{row.name: row.description for row in SECTIONS},
    "checksum": "to detect damage",
}


def gather(folder: Path, reference: str | None = None) -> Contents:
    """Gather the parts of a report. Missing or damaged parts are no error: `Contents.missing` names them.

    Args:
        folder: a folder that `plada-train run` or `plada-train plan` wrote, or any part of it.
        reference: source of the reference set, for its thumbnails; None: the source in report.json. Only shown images
            are read, so only the size of the set is checked.

    Raises:
        InputError: if there is no such folder, or no file of a run in it.
    """
    run = RunFolder(folder)
    missing: list[MissingPart] = []

    def part(name: str, make: Callable[[], T], otherwise: T) -> T:
        try:
            return make()
        except PladaError as error:
            missing.append(MissingPart(PARTS[name], str(error.args[0])))
            return otherwise

    def accuracy(role: ModelRole) -> float | None:
        return part(f"{role}_accuracy", lambda: _accuracy(run, role), None)

    names = _names(run)
    summary = part("summary", lambda: _summary(run), None)
    if summary is not None:
        summary = replace(summary, teacher_accuracy=accuracy("teacher"), student_accuracy=accuracy("student"))
    return Contents(
        title=title(run, names),
        summary=summary,
        points=part("points", lambda: run.plan().points(), ()),
        links=part("links", lambda: _links(run.payload_bytes()), ()),
        percentiles=part("percentiles", lambda: _percentiles(run, reference, names, missing), ()),
        energies=part("energies", lambda: _energies(run), None),
        classes=part("classes", lambda: _classes(run, names), ()),
        anatomy=part("anatomy", lambda: _anatomy(run.sent()), None),
        class_names=names,
        confusions=part("confusions", lambda: _confusions(run.report(), len(names)), ()),
        facts=part("facts", lambda: tuple(facts(run)), ()),
        missing=tuple(missing),
        search=first_result(lambda: _search(run.plan())),
    )


# The parts


def _names(run: RunFolder) -> tuple[str, ...]:
    """Names of the classes, or their numbers if there are no names; empty if the number of classes is unknown."""
    num_classes = first_result(
        lambda: run.sent().payload.num_classes,
        lambda: run.scores().num_classes,
        lambda: run.report().num_classes,
        lambda: run.plan().num_classes,
    )
    if num_classes is None:
        return ()
    known = (
        lambda: run.sent().payload.class_names,
        lambda: run.scores().class_names,
        lambda: run.report().class_names,
        lambda: run.plan().class_names,
    )
    sent = first_result(lambda: run.sent().payload)

    def checked(names: tuple[str, ...] | None) -> tuple[str, ...] | None:
        """The names, if the payload does not contradict them. Raises PladaError."""
        if names is None or sent is None:
            return names and checked_class_names(names, num_classes)
        return sent.with_class_names(names).class_names

    names = first_result(*((lambda names=names: checked(names())) for names in known))
    return names or tuple(map(str, range(num_classes)))


def _summary(run: RunFolder) -> RunSummary:
    """The summary without accuracies. Sizes come from the payload, or from the report if the payload is missing."""
    sent = first_result(run.sent)
    sizes = run.report() if sent is None else sent.payload
    rule, budget_bytes = choice(run)
    return RunSummary(
        payload_bytes=run.payload_bytes(),
        paper_bytes=run.report().paper_zstd_bytes if sent is None else compare(sent.payload).best_zstd_bytes,
        kept=sizes.kept,
        reference_size=sizes.reference_size,
        num_classes=sizes.num_classes,
        rule=rule,
        budget_bytes=budget_bytes,
        teacher_accuracy=None,
        student_accuracy=None,
        teacher_model=first_result(lambda: run.report().settings.teacher.model),
        student_model=first_result(lambda: run.report().settings.student.model),
    )


def _accuracy(run: RunFolder, role: ModelRole) -> float:
    """The accuracy of the teacher or the student, from the report or from its own file."""
    if (report := first_result(run.report)) is not None:
        return report.teacher_accuracy if role == "teacher" else report.student_accuracy
    accuracy = run.model[role]().accuracy
    if accuracy is None:
        raise InputError(f"the accuracy of the {role} was not measured", rule="report")
    return accuracy


def _search(plan: Plan) -> SearchExtent:
    return SearchExtent(plan.rungs, plan.stopped, plan.proxies, plan.held_out_images)


def _links(payload_bytes: int) -> tuple[LinkTime, ...]:
    """Times as `plada budget` computes them: one-way, one receiver, probability 99%, and the loss of the profile."""
    return tuple(link_time(payload_bytes, link) for link in links().values() if link.id != "custom")


def link_time(payload_bytes: int, link: Link) -> LinkTime:
    """Times as `plada budget` computes them, in frames of `FRAME_BYTES` if the profile gives no longest frame."""
    name, conditions = link.name, Conditions()
    if link.mtu_bytes is None:
        name, conditions = f"{name}, in frames of {FRAME_BYTES} bytes", Conditions(frame_bytes=FRAME_BYTES)
    try:
        delivery = budget(payload_bytes, link, conditions).delivery
    except PladaError:
        return LinkTime(link.id, name, None, None)
    return LinkTime(link.id, name, delivery.airtime_s, delivery.wall_s, link.loss)


def _percentiles(
    run: RunFolder, reference: str | None, names: tuple[str, ...], missing: list[MissingPart]
) -> tuple[Percentile, ...]:
    """Thumbnails by percentile. Images that cannot be decoded are left out; `missing` names them."""
    scores = run.scores()
    images = _reference(run, reference)
    if len(images) != len(scores.label):
        what = f"{images.source} has {len(images)} images, but the scores are of {len(scores.label)}"
        raise InputError(f"{what}: name the reference set with --reference", rule="reference")
    sent = first_result(run.sent)
    kept = None if sent is None else set(sent.payload.indices.tolist())
    energy = scores.column("energy")
    order = ranking(energy)
    errors: list[PladaError] = []

    def thumbnails(percent: float) -> Iterator[Thumbnail]:
        nearest = round(percent / 100 * (len(order) - 1)) - IMAGES_PER_PERCENT // 2
        start = max(0, min(nearest, len(order) - IMAGES_PER_PERCENT))
        for i in order[start : start + IMAGES_PER_PERCENT].tolist():
            try:
                data_url = thumbnail(images, i)
            except PladaError as error:
                errors.append(error)
            else:
                is_kept = None if kept is None else i in kept
                yield Thumbnail(data_url, i, names[scores.label[i]], float(energy[i]), is_kept)

    percentiles = tuple(Percentile(percent, tuple(thumbnails(percent))) for percent in PERCENTS)
    if errors:
        missing.append(MissingPart("Some images", f"{len(errors)} cannot be shown: {errors[0].args[0]}"))
    return percentiles


def _reference(run: RunFolder, reference: str | None) -> ImageSource:
    if reference is None:
        reference = first_result(lambda: run.report().settings.reference)
    if reference is None:
        raise InputError("the place of the reference set is not known: name it with --reference", rule="reference")
    try:
        return open_images(reference)
    except PladaError as error:
        what = f"the reference set cannot be opened ({error.args[0]}): name it with --reference"
        raise InputError(what, rule="reference") from error


def thumbnail(images: ImageSource, i: int) -> str:
    """The central square of image `i` as a small JPEG file, as a data URL. Raises SourceError as `decode_image`."""
    data = io.BytesIO()
    ImageOps.fit(decode_image(images, i), (PIXELS, PIXELS)).save(data, "jpeg", quality=JPEG_QUALITY)
    return f"data:image/jpeg;base64,{base64.b64encode(data.getvalue()).decode()}"


def _energies(run: RunFolder) -> Histogram:
    energy, kept = run.scores().column("energy").astype(np.float64), run.sent().payload.indices
    edges = np.histogram_bin_edges(energy, BINS, tuple(np.percentile(energy, OUTER_PERCENTS)))

    def counts(values: NDArray[np.float64]) -> tuple[int, ...]:
        return tuple(np.histogram(np.clip(values, edges[0], edges[-1]), edges)[0].tolist())

    rule = first_result(lambda: run.chosen()[0].rule, lambda: run.report().settings.rule) or {}
    cut = len(energy) - len(kept) if rule.get("inverse") else len(kept) - 1
    return Histogram(tuple(edges.tolist()), counts(energy), counts(energy[kept]), float(np.partition(energy, cut)[cut]))


def _classes(run: RunFolder, names: tuple[str, ...]) -> tuple[ClassRow, ...]:
    scores, sent = run.scores(), run.sent()
    payload = sent.payload
    universe = np.arange(payload.universe.offset, payload.reference_size, payload.universe.stride)
    labels = scores.label[universe]
    counts = (
        np.bincount(some, minlength=len(names)).tolist()
        for some in (labels, labels[lowest(scores.column("energy")[universe], payload.kept)], payload.labels)
    )
    return tuple(ClassRow(*row) for row in zip(names, *counts, _bits_of_classes(sent), strict=True))


def _bits_of_classes(sent: SentPayload) -> list[float] | list[None]:
    """Bits that each class adds: the bits of the payload minus those of the payload without the class."""
    payload = sent.payload
    if payload.num_classes > CODED_CLASSES or payload.kept > CODED_KEPT:
        return [None] * payload.num_classes
    bits = []
    with progress_bar(f"encoding without each class ({FIRST_RUN})") as progress:
        # The payload is encoded again, because another release may have encoded the one that was sent
        whole = len(encode(payload))
        for label in range(payload.num_classes):
            bits.append(8.0 * (whole - len(encode(_without(payload, label)))))
            progress(label + 1, payload.num_classes)
    return bits


def _without(payload: Payload, label: int) -> Payload:
    others = payload.labels != label
    return replace(
        payload,
        indices=payload.indices[others],
        labels=payload.labels[others],
        soft_labels=None if payload.soft_labels is None else payload.soft_labels[payload.used_classes != label],
        weights=None if payload.weights is None else payload.weights[others],
    )


def _anatomy(sent: SentPayload) -> Anatomy:
    info = inspect(sent.encoded)
    fields = {extent.name: extent.size for extent in info.extents}
    sizes = {section.type: section.bytes for section in info.sections}
    codings = {section.type: f" ({section.coding})" for section in info.sections}
    named = {"digest": fields.get("digest", 0), **sizes, "checksum": fields["checksum"]}
    named = {"header": info.payload_bytes - sum(named.values()), **named}
    return Anatomy(
        sections=tuple(
            Section(name, _PARTS_OF_PAYLOAD.get(name, "not known to this version") + codings.get(name, ""), size)
            for name, size in named.items()
            if size
        ),
        bits_per_image=8 * info.payload_bytes / info.kept,
        label_bits=8 * sizes["labels"] / info.kept,
        index_bits=8 * sizes["index"] / info.kept,
    )


def _confusions(report: RunReport, num_classes: int) -> tuple[Confusion, ...]:
    if report.confusion is None:
        raise InputError(f"{num_classes} classes are too many to show", rule="report")
    return (Confusion("teacher", report.confusion.teacher), Confusion("student", report.confusion.student))
