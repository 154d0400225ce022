"""A plan's folder: what says which plan it is, and what it comes to (`plan.json`, payloads, `plan.svg`)."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from plada_codec.errors import InputError
from plada_train.charts.svg import frontier_svg
from plada_train.files import read_bytes, read_json, write_bytes, write_json
from plada_train.planning import proxies
from plada_train.planning.candidates import Candidate
from plada_train.planning.search import Found
from plada_train.planning.workers import Measurement, Task
from plada_train.report.plan_data import points
from plada_train.versions import versions

if TYPE_CHECKING:
    from numpy.typing import NDArray


def begin(task: Task) -> None:
    """Marks a folder as that of a plan. Raises InputError if it holds another."""
    path = task.folder / "plan-of.json"
    ours = _identity(task)
    if not path.exists():
        write_json(path, ours)
        return
    theirs = read_json(path)
    if theirs != ours:
        names = [name for name in ours if ours[name] != theirs.get(name)]
        what = f"{task.folder} holds a plan with other {', '.join(names)}"
        raise InputError(f"{what}: name another folder, or remove it", rule="plan")


def _identity(task: Task) -> dict[str, str]:
    """What measurements depend on. Budgets and minutes are not of it: another search uses the same measurements."""
    columns = [column for one in task.scores for column in (one.label, one.energy, one.entropy)]
    options = task.sending | {"flip": task.flip, "seed": task.seed}
    if task.sending["class_names"]:
        options["class_names"] = task.scores[0].class_names
    return {
        "reference set": task.scores[0].reference_digest.hex(),
        "scores": _digest(columns),
        "training images": _digest([task.train.pixels, task.train.labels]),
        "held-out images": _digest([task.held_out.pixels, task.held_out.labels]),
        "options": json.dumps(options, sort_keys=True),
        "proxies": f"{proxies.MODELS} {proxies.IMAGE_SIZE} {task.rungs} {task.batch_size}",
    }


def _digest(columns: Sequence[NDArray[Any]]) -> str:
    digest = hashlib.sha256()
    for column in columns:
        digest.update(column.tobytes())
    return digest.hexdigest()[:16]


def write(task: Task, found: Found, budgets: Sequence[int], more: dict[str, Any]) -> dict[str, Any]:
    """Writes `plan.json`, the payloads of the winners, and `plan.svg`; returns the first, `more` included."""
    numbers = {one: number for number, one in enumerate(dict.fromkeys(one for rung in found.rungs for one in rung))}
    winners = {budget: found.winner(budget) for budget in budgets}
    result = {
        "budgets": list(budgets),
        "stopped": found.stopped,
        "winners": [_winner(budget, one, numbers, found) for budget, one in winners.items()],
        "candidates": [_row(numbers[one], one, found) for one in numbers],
        "frontier": [numbers[one] for one in found.frontier()],
        "rungs": [
            {"steps": steps, "candidates": asked, "measured": len(measured)}
            for steps, asked, measured in zip(task.rungs, found.asked, found.rungs, strict=True)
        ],
        "proxies": list(proxies.MODELS),
        "image_size": proxies.IMAGE_SIZE,
        "reference_size": len(task.reference),
        "reference_digest": task.scores[0].reference_digest.hex(),
        "num_classes": task.num_classes,
        "class_names": task.scores[0].class_names,
        "train_images": len(task.train.labels),
        "held_out_images": len(task.held_out.labels),
        "sending": task.sending,
        "seed": task.seed,
        "versions": versions(),
    } | more
    payloads = {budget: read_bytes(task.payload_path(one)) for budget, one in winners.items() if one is not None}
    _write_payloads(task.folder, payloads, max(budgets), several=len(budgets) > 1)
    write_bytes(task.folder / "plan.svg", frontier_svg(points(result), standalone=True).encode())
    write_json(task.folder / "plan.json", result)
    return result


def _winner(budget: int, one: Candidate | None, numbers: dict[Candidate, int], found: Found) -> dict[str, Any]:
    """The entry of a budget's winner. Accuracies of different rungs do not compare."""
    if one is None:
        return {"budget_bytes": budget, "candidate": None, "rung": None}
    return {"budget_bytes": budget, "candidate": numbers[one], "rung": found.last(one)}


def _write_payloads(folder: Path, payloads: dict[int, bytes], largest: int, *, several: bool) -> None:
    """Writes the payloads, by budget. Those of an earlier call with other budgets go: they are not of this plan."""
    named = {f"payload-{budget}.plada": payload for budget, payload in payloads.items()} if several else {}
    if largest in payloads:
        named["payload.plada"] = payloads[largest]
    for name, payload in named.items():
        write_bytes(folder / name, payload)
    for path in folder.glob("payload*.plada"):
        if path.name not in named and re.fullmatch(r"payload(-\d+)?\.plada", path.name):
            path.unlink()


def _row(number: int, one: Candidate, found: Found) -> dict[str, Any]:
    rung = found.last(one)
    assert rung is not None
    said: Measurement = found.rungs[rung][one]
    return {"id": number} | one.as_json() | asdict(said) | {"rung": rung, "accuracy": said.accuracy}
