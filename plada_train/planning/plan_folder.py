"""Write the folder of a plan: its identity, and its results (`plan.json`, payloads, `plan.svg`)."""

from __future__ import annotations

import hashlib
import json
import re
import warnings
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from plada_codec.errors import FileError, InputError, PladaWarning
from plada_codec.reference import PIXEL_RULE
from plada_train import json_files
from plada_train.charts.svg import frontier_svg
from plada_train.files import read_bytes, write_bytes
from plada_train.planning.candidates.grid import Candidate
from plada_train.planning.plan_file import Plan, PlanCandidate, Rung, Winner
from plada_train.planning.search import SearchLimits, SearchResult
from plada_train.planning.workers import PlanContext
from plada_train.selection.registry import rule_to_json
from plada_train.training import proxies
from plada_train.versions import versions

if TYPE_CHECKING:
    from numpy.typing import NDArray


def write_identity(context: PlanContext) -> None:
    """Write the identity of a plan (`plan-of.json`). Raises InputError if the folder holds another plan."""
    path = context.folder / "plan-of.json"
    ours = _identity(context)
    if not path.exists():
        json_files.write(path, ours)
        return
    theirs = json_files.read(path, dict[str, str])
    if theirs != ours:
        names = [name for name in ours if ours[name] != theirs.get(name)]
        what = f"{context.folder} holds a plan with other {', '.join(names)}"
        raise InputError(f"{what}: name another folder, or remove it", rule="plan")


def _identity(context: PlanContext) -> dict[str, str]:
    """Everything that measurements depend on, by name.

    Budgets and minutes are not part of it: searches with other limits share the measurements.
    """
    columns = [column for one in context.scores for column in (one.label, *one.columns.values())]
    options = asdict(context.sections) | {"flip": context.flip, "seed": context.seed}
    if context.sections.class_names or context.sections.class_check:
        options["class_names"] = context.scores[0].class_names
    return {
        "pixel rule": str(PIXEL_RULE),
        "reference set": context.scores[0].reference_digest.hex(),
        "scores": _digest(columns),
        "training images": _digest([context.train.pixels, context.train.labels]),
        "held-out images": _digest([context.held_out.pixels, context.held_out.labels]),
        "options": json.dumps(options, sort_keys=True),
        "proxies": f"{proxies.MODELS} {proxies.IMAGE_SIZE} {context.rungs} {context.batch_size}",
    }


def _digest(columns: Sequence[NDArray[Any]]) -> str:
    digest = hashlib.sha256()
    for column in columns:
        digest.update(column.tobytes())
    return digest.hexdigest()[:16]


def write(
    context: PlanContext, found: SearchResult, limits: SearchLimits, seconds: float, proxy_accuracy: dict[str, float]
) -> Plan:
    """Write `plan.json`, the payloads of the winners, and `plan.svg`; return the plan.

    Args:
        context: the data of the measurements.
        found: result of the search.
        limits: limits of the search.
        seconds: elapsed seconds of the search.
        proxy_accuracy: see `Plan`.

    Warns:
        PladaWarning: if this replaces the plan of an earlier call with other budgets.
    """
    numbers = {one: number for number, one in enumerate(dict.fromkeys(one for rung in found.rungs for one in rung))}
    winners = {budget: found.winner(budget) for budget in limits.budgets}
    plan = Plan(
        budgets=limits.budgets,
        stopped=found.stopped,
        winners=tuple(_winner(budget, one, numbers, found) for budget, one in winners.items()),
        candidates=tuple(_plan_candidate(number, one, found) for one, number in numbers.items()),
        frontier=tuple(numbers[one] for one in found.frontier()),
        rungs=tuple(
            Rung(steps=steps, candidates=asked, measured=len(measured))
            for steps, asked, measured in zip(context.rungs, found.candidate_counts, found.rungs, strict=True)
        ),
        proxies=proxies.MODELS,
        image_size=proxies.IMAGE_SIZE,
        reference_size=len(context.reference),
        reference_digest=context.scores[0].reference_digest.hex(),
        num_classes=context.num_classes,
        class_names=context.scores[0].class_names,
        train_images=len(context.train.labels),
        held_out_images=len(context.held_out.labels),
        sending=context.sections,
        seed=context.seed,
        versions=versions(),
        candidates_asked=limits.candidates,
        minutes=limits.minutes,
        seconds=round(seconds, 1),
        proxy_accuracy=proxy_accuracy,
    )
    _warn_of_other_budgets(context.folder / "plan.json", limits.budgets)
    payloads = {budget: read_bytes(context.payload_path(one)) for budget, one in winners.items() if one is not None}
    _write_payloads(context.folder, payloads, max(limits.budgets), several=len(limits.budgets) > 1)
    write_bytes(context.folder / "plan.svg", frontier_svg(plan.points(), standalone=True).encode())
    json_files.write(context.folder / "plan.json", plan)
    return plan


def _warn_of_other_budgets(path: Path, budgets: Sequence[int]) -> None:
    try:
        earlier = json_files.read(path, Plan).budgets
    except FileError:
        return  # there is none that anybody could read
    if set(earlier) != set(budgets):
        sizes = ", ".join(map(str, earlier))
        warnings.warn(f"{path} held a plan for {sizes} bytes: it is replaced", PladaWarning, stacklevel=4)


def _winner(budget: int, one: Candidate | None, numbers: dict[Candidate, int], found: SearchResult) -> Winner:
    if one is None:
        return Winner(budget_bytes=budget, candidate=None, rung=None)
    return Winner(budget_bytes=budget, candidate=numbers[one], rung=found.last_rung(one))


def _plan_candidate(number: int, one: Candidate, found: SearchResult) -> PlanCandidate:
    rung = found.last_rung(one)
    assert rung is not None
    measurement = found.rungs[rung][one]
    return PlanCandidate(
        id=number,
        name=one.name,
        rule=rule_to_json(one.rule),
        stride=one.universe.stride,
        offset=one.universe.offset,
        level_bytes=one.level_bytes,
        baseline=one.baseline,
        kept=measurement.kept,
        payload_bytes=measurement.payload_bytes,
        accuracies=measurement.accuracies,
        rung=rung,
        accuracy=measurement.accuracy,
    )


def _write_payloads(folder: Path, payloads: dict[int, bytes], largest: int, *, several: bool) -> None:
    """Write the payloads of the budgets; remove payloads of earlier calls with other budgets."""
    named = {f"payload-{budget}.plada": payload for budget, payload in payloads.items()} if several else {}
    if largest in payloads:
        named["payload.plada"] = payloads[largest]
    for name, payload in named.items():
        write_bytes(folder / name, payload)
    for path in folder.glob("payload*.plada"):
        if path.name not in named and re.fullmatch(r"payload(-\d+)?\.plada", path.name):
            path.unlink()
