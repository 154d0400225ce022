"""Read the files in a run's folder; each of them may be missing or damaged.

    report.json               accuracies, confusion and settings     `plada-train run`
    scores/                   labels and energies                    `plada-train score`
    payload.plada             what was sent                          `plada-train select`
    plan/plan.json            candidates (or plan.json)              `plada-train plan`
    teacher.json, student.json  an accuracy each                     `plada-train teacher`, `student`

A report describes the payload: files of another payload or another reference set count as missing.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from plada_codec import Payload, decode
from plada_codec.errors import InputError, PladaError
from plada_train import json_files
from plada_train.files import read_bytes
from plada_train.models.config import CheckpointInfo
from plada_train.planning.plan_file import Plan, PlanCandidate
from plada_train.report.run_report import RunReport
from plada_train.scores.reference_scores import Scores

T = TypeVar("T")

#: Commands that write each file, for the error if it is missing.
WRITTEN_BY = {
    "report.json": "`plada-train run` writes it in the end",
    "scores": "`plada-train score` writes it",
    "payload.plada": "`plada-train run`, `plan` or `select` writes it",
    "plan.json": "`plada-train plan` writes it, and `plada-train run` where no selection is named",
    "teacher.json": "`plada-train teacher` writes it",
    "student.json": "`plada-train student` writes it",
}


@dataclass(frozen=True)
class SentPayload:
    """A payload, and its bytes."""

    payload: Payload
    encoded: bytes

    @property
    def is_whole(self) -> bool:
        """Whether all images of the universe are kept."""
        return self.payload.kept == self.payload.universe_size


class LazyFile(Generic[T]):
    """The content of a file, read once. A call returns it, or raises an InputError that says why it cannot be used."""

    def __init__(self, path: Path, read: Callable[[Path], T]) -> None:
        self.path = path
        self.exists = path.exists()
        self._value: T | None = None
        self._why = f"there is no {path}: {WRITTEN_BY[path.name]}"
        if self.exists:
            try:
                self._value = read(path)
            except PladaError as error:
                self._why = str(error.args[0])

    def __call__(self) -> T:
        if self._value is None:
            raise InputError(self._why, rule="report")
        return self._value


class RunFolder:
    """The files of a run. If their reference sets differ, only files with the first one's reference set are used."""

    def __init__(self, folder: Path) -> None:
        if not folder.is_dir():
            raise InputError(f"there is no folder {folder}: name a folder that `plada-train run` wrote", rule="report")
        plan, planned = folder / "plan" / "plan.json", folder / "plan" / "payload.plada"
        payload = folder / "payload.plada"
        self.folder = folder
        self._digest, self._said_by = "", ""
        self.sent = LazyFile(planned if planned.exists() and not payload.exists() else payload, self._read_payload)
        self.report = LazyFile(folder / "report.json", self._read_report)
        self.scores = LazyFile(folder / "scores", self._read_scores)
        self.plan = LazyFile(plan if plan.exists() else folder / "plan.json", self._read_plan)
        self.model = {role: LazyFile(folder / f"{role}.json", _read_checkpoint_info) for role in ("teacher", "student")}
        files: tuple[LazyFile[Any], ...] = (self.sent, self.report, self.scores, self.plan, *self.model.values())
        if not any(file.exists for file in files):
            what = f"{folder} has no file of a run ({', '.join(WRITTEN_BY)})"
            raise InputError(f"{what}: name a folder that `plada-train run` wrote", rule="report")

    def payload_bytes(self) -> int:
        """Size of the payload, or its size by the report if the payload is missing."""
        sent = first_result(lambda: len(self.sent().encoded))
        return self.report().payload_bytes if sent is None else sent

    def chosen(self) -> tuple[PlanCandidate, int]:
        """The planner's choice: a candidate, and its budget in bytes."""
        if (report := first_result(self.report)) is not None:
            if report.plan is None:
                raise InputError("the selection was named, not planned", rule="report")
            return report.plan.candidate, report.plan.budget_bytes
        chosen = self.plan().largest_winner
        if chosen is None or chosen[1].payload_bytes != self.payload_bytes():
            raise InputError("the payload is not the planner's", rule="report")
        winner, candidate = chosen
        return candidate, winner.budget_bytes

    def _read_payload(self, path: Path) -> SentPayload:
        encoded = read_bytes(path)
        try:
            payload = decode(encoded)
        except PladaError as error:
            raise InputError(f"{path} is damaged: {error.args[0]}", rule="report") from error
        if not payload.kept:
            raise InputError(f"{path} keeps no image", rule="report")
        self._check_reference(path, payload.reference_digest.hex())
        return SentPayload(payload, encoded)

    def _read_report(self, path: Path) -> RunReport:
        report = json_files.read(path, RunReport)
        sent = first_result(self.sent)
        if sent and (report.kept, report.payload_bytes) != (sent.payload.kept, len(sent.encoded)):
            raise InputError(f"{path} belongs to another payload than payload.plada", rule="report")
        self._check_reference(path, report.reference_digest)
        return report

    def _read_scores(self, path: Path) -> Scores:
        scores = Scores.load(path)
        self._check_reference(path, scores.reference_digest.hex())
        sent = first_result(self.sent)
        sizes = (len(scores.label), scores.num_classes)
        if sent and sizes != (sent.payload.reference_size, sent.payload.num_classes):
            raise InputError(f"{path} has other numbers of images or classes than payload.plada", rule="report")
        if not sizes[0] or not 0 <= scores.label.min() <= scores.label.max() < scores.num_classes:
            raise InputError(f"{path} has no labels, or labels that are not classes", rule="report")
        return scores

    def _read_plan(self, path: Path) -> Plan:
        plan = json_files.read(path, Plan)
        self._check_reference(path, plan.reference_digest)
        return plan

    def _check_reference(self, path: Path, digest: str) -> None:
        """Check a digest in hexadecimal. That of a payload, which is read first, may be shortened or empty."""
        if not digest.startswith(self._digest):
            what = f"({digest[:16]}) than {self._said_by} ({self._digest[:16]})"
            raise InputError(f"{path} is of another reference set {what}", rule="report")
        self._digest, self._said_by = digest, path.name


def _read_checkpoint_info(path: Path) -> CheckpointInfo:
    return json_files.read(path, CheckpointInfo)


def first_result(*ways: Callable[[], T | None]) -> T | None:
    """The first result of the `ways`; None if all raise a PladaError or return None."""
    for way in ways:
        with suppress(PladaError):
            if (value := way()) is not None:
                return value
    return None
