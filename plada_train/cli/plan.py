"""The commands `plan`, which chooses a payload within a budget, and `report`, which shows a run as a page."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click

from plada_codec.cli.terminal import check_not_input, complain, is_standard_output, say, write_bytes
from plada_codec.errors import InputError
from plada_train.cli.fields import field_option
from plada_train.cli.options import (
    FILE,
    POSITIVE,
    budgets_of,
    folder_option,
    link_options,
    planning_options,
    reference_option,
    section_options,
    sections_of,
    target_train_option,
)
from plada_train.recipe import Planning, Recipe


def _source_or_share(ctx: click.Context, parameter: click.Parameter, text: str | None) -> str | float:
    """The value of --held-out: a source of images, or a share of the training images."""
    if text is None:
        raise click.UsageError(
            "--held-out is needed: labelled images that the teacher did not learn from, or the share P of "
            "--target-train that `plada-train teacher --held-out P` held out."
        )
    try:
        share = float(text)
    except ValueError:
        return text
    if not 0 < share < 1:
        raise click.BadParameter(f"{text} is not between 0 and 1 (a folder of that name is ./{text})")
    return share


def _check_held_out(share: float, of_teacher: float | None, scores: Path) -> None:
    """Raise InputError if, by its scores, a teacher learnt from images that are to be held out."""
    if of_teacher is None:
        raise InputError(
            f"{scores} does not say that its teacher held images out: run `plada-train teacher --held-out {share}`, "
            "then `plada-train score`; or name images that it did not learn from with --held-out SRC",
            rule="held-out",
        )
    if of_teacher != share:
        what = f"the teacher of {scores} was taught with --held-out {of_teacher}, not {share}"
        raise InputError(f"{what}: give the same share, or train another teacher", rule="held-out")


@click.command()
@click.argument("scores", nargs=-1, required=True, type=FILE)
@reference_option
@target_train_option
@click.option(
    "--held-out",
    callback=_source_or_share,
    metavar="SRC|P",
    help="Images of the target to measure candidates on: a source, or the share P that was held out.  [required]",
)
@click.option(
    "--max-bytes",
    type=POSITIVE,
    multiple=True,
    metavar="B",
    help="Largest size of the payload in bytes; may be repeated.",
)
@link_options
@planning_options
@field_option(Planning, "workers")
@field_option(Recipe, "flip", help="Mirror half of the images that proxies learn from.")
@section_options
@field_option(Recipe, "seed", help="Seed of the proxies.")
@folder_option
@click.option("--json", "as_json", is_flag=True, help="Print the plan as JSON.")
def plan(
    scores: tuple[Path, ...],
    reference: str,
    target_train: str,
    held_out: str | float,
    max_bytes: tuple[int, ...],
    link_id: str | None,
    within_s: float | None,
    output: Path,
    as_json: bool,
    **options: Any,
) -> None:
    """Choose the payload that teaches most within a budget of bytes.

    \b
    Example:
      plada-train plan out/scores --reference REF --target-train TRAIN --held-out 0.1 --max-bytes 1000 --output plan

    SCORES are folders that `plada-train score` wrote; several make a consensus. The planner tries candidates with
    different strides, sizes, scores and Safety-Nets. It encodes each candidate, trains proxies (small networks) on it,
    and measures them on images that the teacher did not learn from. The most accurate candidate wins.

    Ctrl-C ends the search, and the best candidate so far is chosen; the same command continues the search. Each
    --max-bytes has its own winner. `plada budget` computes the budget of a link with losses and distance: --max-bytes
    "$(plada budget --link ID --loss 10% --within TIME --max-bytes)".

    \b
    More examples:
      plada-train plan out/scores --reference REF --target-train TRAIN --held-out VAL \\
      --link nanomodem-v3 --within '20 s' --output plan
    """  # noqa: D301
    budgets = budgets_of(max_bytes, link_id, within_s)
    if not budgets:
        raise click.UsageError("--max-bytes is needed, or --link and --within.")
    from plada_codec.files import output_folder
    from plada_codec.reference import open_images
    from plada_train.cli.summary import print_plan
    from plada_train.data.labelled import check_unseen, open_test_images, open_training_images
    from plada_train.data.labelled import split_held_out as parted
    from plada_train.json_files import dumps
    from plada_train.planning.plan import plan as search
    from plada_train.scores.reference_scores import Scores

    output_folder(output)
    loaded = [Scores.load(path) for path in scores]
    if isinstance(held_out, float):
        for path, one in zip(scores, loaded, strict=True):
            _check_held_out(held_out, one.held_out, path)
    train = open_training_images(target_train)
    if isinstance(held_out, float):
        train, held = parted(train, held_out)
    else:
        held = open_test_images(held_out, train.num_classes, train.class_names)
        check_unseen(held, train)
    sections = sections_of(options)
    found = search(loaded, open_images(reference), train, held, output, budgets=budgets, sections=sections, **options)
    if found.ended_early:
        complain(f"plada-train: {found.ended_early}; the same command continues the search")
    if as_json:
        click.echo(dumps(found))
        return
    print_plan(found)
    tried = ", ".join(f"{rung.measured} of {rung.candidates}" for rung in found.rungs)
    click.echo(f"candidates measured, rung by rung: {tried}")
    payloads = ["payload.plada"] if len(budgets) == 1 else []
    for winner in found.winners:
        size = winner.budget_bytes
        if winner.candidate is None:
            complain(f"plada-train: no candidate that fits {size} bytes was measured in this time: give more --minutes")
        elif len(budgets) > 1:
            payloads.append(f"payload-{size}.plada")
    say(f"{output}: {', '.join([*payloads, 'plan.json', 'plan.svg'])}")


@click.command()
@click.argument("folder", metavar="DIR", type=FILE)
@click.option("--reference", metavar="SRC", help="Source of the reference set.  [default: that of the run]")
@click.option(
    "--output", metavar="FILE", help="File for the page, or - for standard output.  [default: DIR/report.html]"
)
def report(folder: Path, reference: str | None, output: str | None) -> None:
    """Show a run as one HTML page.

    \b
    Example:
      plada-train report out

    DIR is a folder that `plada-train run` or `plada-train plan` wrote. The page names the parts that are missing.
    """  # noqa: D301
    from plada_train.report.gather import gather
    from plada_train.report.page import render

    target = output or str(folder / "report.html")
    # No page is an input: one that is there is replaced
    check_not_input(target, reference, None if os.path.realpath(target).endswith(".html") else folder)
    contents = gather(folder, reference)
    write_bytes(render(contents).encode(), target)
    for part in contents.missing_by_reason:
        complain(f"plada-train: without {part.part}: {part.reason}")
    if not is_standard_output(target):
        say(target)
