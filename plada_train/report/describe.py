"""Sentences about a run: its title, the rule by which images were chosen, and facts to reproduce it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from plada_codec import Universe
from plada_codec.sections.registry import SECTIONS
from plada_train.planning.plan_file import Plan
from plada_train.recipe import Recipe
from plada_train.report.folder import RunFolder, SentPayload, first_result
from plada_train.report.run_report import RunReport
from plada_train.selection.registry import rule_from_json
from plada_train.selection.rule import selection_name

#: Names of folders for a part of a target: they do not name the target.
_PARTS = {"train", "training", "target-train", "images", "data"}


def title(run: RunFolder, names: tuple[str, ...]) -> str:
    """Title of the report: the task and its classes."""
    named = first_result(lambda: run.report().settings.task)
    source = first_result(lambda: Path(run.report().settings.target_train))
    folder = Path() if source is None else source.parent if source.suffix == ".tar" else source
    # A source in the folder where the run was started has no folder name
    task = named or (folder.parent if folder.name in _PARTS else folder).name or run.folder.resolve().name
    if not names:
        return task
    shown = names if len(names) <= 4 else (*names[:3], f"{len(names) - 3} more")
    return f"{task}: {' and '.join((', '.join(shown[:-1]), shown[-1]) if len(shown) > 1 else shown)}"


def choice(run: RunFolder) -> tuple[str, int | None]:
    """The rule by which images were chosen, and the limit in bytes, if there was one."""

    def planned() -> tuple[str, int | None]:
        candidate, budget_bytes = run.chosen()
        return candidate.name, budget_bytes

    def named() -> tuple[str, int | None]:
        settings = run.report().settings
        sent = first_result(run.sent)
        rule = None if sent is not None and sent.is_whole else rule_from_json(settings.rule)
        return selection_name(rule, Universe(settings.offset, settings.stride)), settings.max_bytes

    return first_result(planned, named) or ("a rule that is not on record", None)


def facts(run: RunFolder) -> Iterator[tuple[str, str]]:
    """Facts to reproduce a run, by name, from report.json, plan.json or both."""
    report, plan = first_result(run.report), first_result(run.plan)
    if report is None and plan is None:
        run.report()
    if report is not None:
        yield from _facts_of_run(report, first_result(run.sent))
    if plan is not None:
        yield from _facts_of_plan(plan)
    source = report or plan
    assert source is not None
    yield "Reference digest", source.reference_digest
    yield "Versions", _listed(source.versions)


def _facts_of_run(report: RunReport, sent: SentPayload | None) -> Iterator[tuple[str, str]]:
    settings = report.settings
    yield "Reference set", f"{settings.reference}, {report.reference_size:,} images"
    yield "Target", f"{settings.target_train}; accuracies on {settings.target_test}"
    yield "Teacher", _recipe_in_words(settings.teacher)
    yield "Student", _recipe_in_words(settings.student)
    sections = [row.name for row in SECTIONS if sent is not None and getattr(sent.payload, row.field) is not None]
    if sections:
        yield "Sent too", ", ".join(sections).replace("-", " ")
    yield "Threads", str(settings.threads)
    yield "Seconds", _listed({stage: f"{spent:.1f}" for stage, spent in report.seconds.items()})


def _recipe_in_words(recipe: Recipe) -> str:
    weights = "random weights" if recipe.weights in (None, "none") else f"weights {recipe.weights}"
    size = "its own size" if recipe.image_size is None else f"{recipe.image_size} pixels"
    steps = f"{recipe.epochs} epochs, batches of {recipe.batch_size}, learning rate {recipe.learning_rate:g}"
    last = ", last layer alone" if recipe.freeze else ""
    return f"{recipe.model}, {weights}, at {size}, {steps}{last}, seed {recipe.seed}"


def _facts_of_plan(plan: Plan) -> Iterator[tuple[str, str]]:
    ended = {"time": "as its time did not suffice", "interrupt": "when it was stopped", None: "by itself"}[plan.stopped]
    measured = ", ".join(f"{rung.measured} of {rung.candidates}" for rung in plan.rungs)
    budgets = ", ".join(f"{size:,}" for size in plan.budgets)
    yield (
        "Planner",
        f"budgets of {budgets} bytes; candidates measured, rung by rung: {measured}, in "
        f"{plan.seconds:.0f} s of {plan.minutes:g} minutes, ended {ended}; seed {plan.seed}",
    )
    of_target = {name: f"{accuracy:.1%}" for name, accuracy in plan.proxy_accuracy.items()}
    yield (
        "Proxies",
        f"{', '.join(plan.proxies)} at {plan.image_size} pixels, measured on {plan.held_out_images:,} "
        f"held-out images; those that learnt the target's own {plan.train_images:,}: {_listed(of_target)}",
    )


def _listed(values: dict[str, str]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items())
