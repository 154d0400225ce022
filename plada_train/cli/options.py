"""Options that several commands of `plada-train` have, and what reads them. Nothing heavy is imported here."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from plada_codec.cli.terminal import complain, finite, option_group, quantity, usage_errors
from plada_codec.errors import InputError
from plada_train.recipe import Planning

Command = Callable[..., None]
FILE = click.Path(path_type=Path)
POSITIVE = click.IntRange(min=1)
NATURAL = click.IntRange(min=0)
SEED = click.IntRange(0, 2**32 - 1)
THREADS = click.IntRange(1, 1024)
TEMPERATURE = click.FloatRange(1e-3, 1e3)
MINUTES = click.FloatRange(0, 1e6, min_open=True)
#: Neither nothing nor all.
PART = click.FloatRange(0, 1, min_open=True, max_open=True)


def option(*names: str, **settings: Any) -> Callable[[Command], Command]:
    """An option whose default, where it has one, is shown."""
    return click.option(*names, show_default=settings.get("default") is not None, **settings)


reference_option = click.option("--reference", required=True, metavar="SRC", help="The reference set.")
target_train_option = click.option("--target-train", required=True, metavar="SRC", help="Images to teach with.")
folder_option = click.option("--output", required=True, type=FILE, metavar="DIR", help="Folder for what is made.")
planning_options = option_group(
    option(
        "--candidates",
        type=POSITIVE,
        metavar="N",
        help="Selections that the planner tries: the same choice on any machine. [default: those there is time for]",
    ),
    option(
        "--minutes",
        type=MINUTES,
        callback=finite,
        default=Planning.minutes,
        metavar="M",
        help="The planner's time at most: what has begun is finished, and the best so far chosen.",
    ),
    option(
        "--proxy-steps",
        type=click.IntRange(1, 1_000_000),
        default=Planning.proxy_steps,
        metavar="N",
        help="Training steps of the planner's longest trainings.",
    ),
)
#: What a payload has besides indices and labels.
sending_options = option_group(
    option("--class-names", is_flag=True, help="Send the names of the classes too."),
    option("--soft-labels", is_flag=True, help="Send what the teacher's probabilities are like in each class too."),
    option(
        "--importance-weights",
        "weights_tau",
        type=TEMPERATURE,
        callback=finite,
        metavar="TAU",
        help="Send a weight of each image too, exp(-score / TAU), TAU in standard deviations of the kept images'.",
    ),
)
link_options = option_group(
    option(
        "--link", "link_id", metavar="ID", help="Instead of --max-bytes: what this link of `plada budget` takes ..."
    ),
    option(
        "--within",
        "--seconds",
        "within_s",
        callback=quantity("seconds"),
        metavar="TIME",
        help="... in so many seconds, or '20 min'. Of losses and distances, ask `plada budget ... --max-bytes`.",
    ),
)


def budgets_of(max_bytes: tuple[int, ...], link_id: str | None, within_s: float | None) -> tuple[int, ...]:
    """The budgets in bytes that --max-bytes says, or --link and --within, which is said on standard error.

    Raises:
        UsageError: if both do, or one of the two is missing.
        InputError: if not one byte gets over the link.
    """
    if link_id is None and within_s is None:
        return max_bytes
    if max_bytes:
        raise click.UsageError("--max-bytes and --link exclude each other.")
    if link_id is None or within_s is None:
        raise click.UsageError("--link and --within need each other.")
    with usage_errors():
        from plada_codec.links.budget import max_bytes as bytes_that_fit
        from plada_codec.links.conditions import Conditions
        from plada_codec.links.profiles import link
        from plada_codec.links.units import show_seconds

        profile = link(link_id)
        size = bytes_that_fit(profile, within_s)
    time = show_seconds(within_s)
    if size == 0:
        raise InputError(f"not one byte gets over {link_id} in {time}: give it more time, or another link", rule="link")
    sure = f"{Conditions().probability:.0%} sure"
    loss = f"{sure} at its loss of {profile.loss:.0%}" if profile.loss else "without loss"
    complain(f"{link_id}: {size} bytes in {time}, {loss}, at no distance")
    return (size,)
