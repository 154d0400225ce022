"""The files of a run's folder, any of which may be missing or damaged.

    report.json               accuracies, confusion and settings     `plada-train run`
    scores/                   labels and energies                    `plada-train score`
    payload.plada             what was sent                          `plada-train select`
    plan/plan.json            candidates (or plan.json)              `plada-train plan`
    teacher.json, student.json  an accuracy each                     `plada-train teacher`, `student`

The payload is what a report is about: what is of another payload or another reference set counts as missing.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from plada_codec import Payload, decode
from plada_codec.errors import InputError, PladaError, first_line
from plada_train.files import read_bytes, read_json
from plada_train.report.json_checks import count
from plada_train.report.plan_data import largest_winner
from plada_train.scores.reference_scores import Scores

T = TypeVar("T")

#: What writes a file that is not there.
WRITTEN_BY = {
    "report.json": "`plada-train run` writes it in the end",
    "scores": "`plada-train score` writes it",
    "payload.plada": "`plada-train run`, `plan` or `select` writes it",
    "plan.json": "`plada-train plan` writes it, and `plada-train run` where no selection is named",
    "teacher.json": "`plada-train teacher` writes it",
    "student.json": "`plada-train student` writes it",
}


@dataclass(frozen=True)
class Sent:
    """A payload, and its bytes."""

    payload: Payload
    encoded: bytes

    @property
    def is_whole(self) -> bool:
        """Whether all images of the universe are kept."""
        return self.payload.kept == self.payload.universe_size


class File(Generic[T]):
    """What a file holds, read once; called where it cannot be used, it raises the InputError that says why."""

    def __init__(self, path: Path, read: Callable[[Path], T]) -> None:
        self.path = path
        self.exists = path.exists()
        self._value: T | None = None
        self._why = f"there is no {path}: {WRITTEN_BY[path.name]}"
        if self.exists:
            try:
                self._value = read(path)
            except Exception as error:  # as where an image is decoded: readers raise whatever they run into
                self._why = why(error, path)

    def __call__(self) -> T:
        if self._value is None:
            raise InputError(self._why, rule="report")
        return self._value


class Run:
    """The files of a run. Of those that are of different reference sets, only what the first is of can be used."""

    def __init__(self, folder: Path) -> None:
        if not folder.is_dir():
            raise InputError(f"there is no folder {folder}: name one that `plada-train run` wrote", rule="report")
        plan, planned = folder / "plan" / "plan.json", folder / "plan" / "payload.plada"
        payload = folder / "payload.plada"
        self.folder = folder
        self._digest, self._said_by = "", ""
        self.sent = File(planned if planned.exists() and not payload.exists() else payload, self._read_payload)
        self.report = File(folder / "report.json", self._read_report)
        self.scores = File(folder / "scores", self._read_scores)
        self.plan = File(plan if plan.exists() else folder / "plan.json", self._read_plan)
        self.model = {who: File(folder / f"{who}.json", _read_object) for who in ("teacher", "student")}
        files: tuple[File[Any], ...] = (self.sent, self.report, self.scores, self.plan, *self.model.values())
        if not any(file.exists for file in files):
            what = f"{folder} holds nothing of a run ({', '.join(WRITTEN_BY)})"
            raise InputError(f"{what}: name a folder that `plada-train run` wrote", rule="report")

    def payload_bytes(self) -> int:
        """Of the payload, or as the report says."""
        sent = first(lambda: len(self.sent().encoded))
        return count(self.report()["payload_bytes"], 1) if sent is None else sent

    def chosen(self) -> tuple[dict[str, Any], int]:
        """The planner's choice: the entry of a candidate, and the budget in bytes that it is for."""
        if (report := first(self.report)) is not None:
            plan = report["plan"]
            return plan["candidate"], count(plan["budget_bytes"])
        winner = largest_winner(self.plan())
        (candidate,) = (each for each in self.plan()["candidates"] if each["id"] == winner["candidate"])
        if candidate["payload_bytes"] != self.payload_bytes():
            raise InputError("the payload is not the planner's", rule="report")
        return candidate, count(winner["budget_bytes"])

    def _read_payload(self, path: Path) -> Sent:
        encoded = read_bytes(path)
        try:
            payload = decode(encoded)
        except PladaError as error:
            raise InputError(f"{path} is damaged: {error.args[0]}", rule="report") from error
        if not payload.kept:
            raise InputError(f"{path} keeps no image", rule="report")
        self._check_reference(path, payload.reference_digest.hex())
        return Sent(payload, encoded)

    def _read_report(self, path: Path) -> dict[str, Any]:
        report = _read_object(path)
        sent = first(self.sent)
        if sent and (report["kept"], report["payload_bytes"]) != (sent.payload.kept, len(sent.encoded)):
            raise InputError(f"{path} is of another payload than payload.plada", rule="report")
        self._check_reference(path, report["reference_digest"])
        return report

    def _read_scores(self, path: Path) -> Scores:
        scores = Scores.load(path)
        self._check_reference(path, scores.reference_digest.hex())
        sent = first(self.sent)
        sizes = (len(scores.label), scores.num_classes)
        if sent and sizes != (sent.payload.reference_size, sent.payload.num_classes):
            raise InputError(f"{path} has other numbers of images or classes than payload.plada", rule="report")
        if not sizes[0] or not 0 <= scores.label.min() <= scores.label.max() < scores.num_classes:
            raise InputError(f"{path} has no labels, or labels that are no classes", rule="report")
        return scores

    def _read_plan(self, path: Path) -> dict[str, Any]:
        plan = _read_object(path)
        self._check_reference(path, plan["reference_digest"])
        return plan

    def _check_reference(self, path: Path, digest: str) -> None:
        """Digests, in hexadecimal, may be cut off or empty in a payload, which is read first."""
        if not digest.startswith(self._digest):
            what = f"({digest[:16]}) than {self._said_by} ({self._digest[:16]})"
            raise InputError(f"{path} is of another reference set {what}", rule="report")
        self._digest, self._said_by = digest, path.name


def _read_object(path: Path) -> dict[str, Any]:
    values = read_json(path)
    if not isinstance(values, dict):
        raise InputError(f"{path} is not what was written there: remove it", rule="report")
    return values


def first(*ways: Callable[[], T | None]) -> T | None:
    """What the first of the ways gives that gives anything."""
    for way in ways:
        with suppress(Exception):  # as in `gather`
            if (value := way()) is not None:
                return value
    return None


def why(error: Exception, path: Path) -> str:
    """Why something cannot be shown; what is no error of ours comes of what is in the file `path`."""
    if isinstance(error, PladaError):
        return str(error.args[0])
    what = f"there is no {error}" if isinstance(error, KeyError) else first_line(error)
    return f"{path} is damaged, or another version wrote it ({what})"
