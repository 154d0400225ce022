"""Options that several commands of `plada-train` share. Nothing heavy is imported here."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import fields
from fractions import Fraction
from pathlib import Path
from typing import Any

import click

from plada_codec.cli.terminal import complain, finite, option_group, quantity, usage_errors
from plada_codec.errors import InputError
from plada_train.cli.fields import Command, field_option, option
from plada_train.recipe import Planning
from plada_train.selection.optional_sections import OptionalSections
from plada_train.selection.registry import OPTIONS

FILE = click.Path(path_type=Path)
POSITIVE = click.IntRange(min=1)
NATURAL = click.IntRange(min=0)
TEMPERATURES = click.FloatRange(1e-3, 1e3)
#: Characters of a keep rate.
MAX_RATE_LENGTH = 40


def threads_option(help: str) -> Callable[[Command], Command]:
    """The option --threads."""
    return option("--threads", type=click.IntRange(1, 1024), default=2, metavar="N", help=help)


def rate(ctx: click.Context, parameter: click.Parameter, text: str | None) -> str | None:
    """A callback that checks a number such as 0.29 or 1/3, and returns it as text, so that it stays exact."""
    try:
        if text is not None:
            if len(text) > MAX_RATE_LENGTH or re.search(r"[eE][+-]?\d{4}", text):
                raise ValueError("a fraction with so many digits takes forever")
            Fraction(text)
    except (ValueError, ZeroDivisionError):
        raise click.BadParameter(f"{text!r} is not a number") from None
    return text


#: Settings of an option, by the kind of its value.
_KINDS: dict[type, dict[str, Any]] = {
    float: {"type": float, "callback": finite},
    int: {"type": int},
    Fraction: {"callback": rate},
}

reference_option = click.option("--reference", required=True, metavar="SRC", help="Source of the reference set.")
target_train_option = click.option(
    "--target-train", required=True, metavar="SRC", help="Source of the target's images to train the teacher."
)
check_option = option(
    "--check-images/--no-check-images",
    default=True,
    help="Before anything is trained, decode all images once, to find those that cannot be decoded.",
)
folder_option = click.option("--output", required=True, type=FILE, metavar="DIR", help="Folder for the results.")
planning_options = option_group(
    field_option(Planning, "candidates"),
    field_option(Planning, "minutes"),
    field_option(Planning, "proxy_steps"),
)
#: Optional sections of a payload, by the fields of `OptionalSections`.
section_options = option_group(
    option("--class-names", is_flag=True, help="Send the names of the classes."),
    option(
        "--class-check/--no-class-check",
        default=True,
        help="Send a check of the names in 2 bytes, if they are not sent: it shows clients with other classes their"
        " mistake.",
    ),
    option(
        "--soft-labels",
        is_flag=True,
        help="Send soft labels: the distribution of the teacher's probabilities in each class.",
    ),
    option(
        "--importance-weights",
        "weights_tau",
        type=TEMPERATURES,
        callback=finite,
        metavar="TAU",
        help="Send a weight for each image, exp(-score / TAU); TAU is in standard deviations of the scores.",
    ),
)
#: Options of the selection rules.
rule_options = option_group(
    *(
        option(
            each.flag,
            each.field,
            default=each.default,
            **({"is_flag": True} if each.kind is bool else {"metavar": each.metavar} | _KINDS[each.kind]),
            help=each.help,
        )
        for each in OPTIONS.values()
    )
)
link_options = option_group(
    option(
        "--link",
        "link_id",
        metavar="ID",
        help="Link of `plada budget`: the budget is what it carries within --within, instead of --max-bytes.",
    ),
    option(
        "--within",
        "--seconds",
        "within_s",
        callback=quantity("seconds"),
        metavar="TIME",
        help="Time for --link, in seconds or as '20 min'. For losses and distances, see `plada budget --max-bytes`.",
    ),
)


def budgets_of(max_bytes: tuple[int, ...], link_id: str | None, within_s: float | None) -> tuple[int, ...]:
    """The budgets in bytes: of --max-bytes, or of --link and --within (this one is printed on standard error).

    Raises:
        UsageError: if both are given, or --link or --within is missing.
        InputError: if not one byte fits the link and the time.
    """
    if link_id is None and within_s is None:
        return max_bytes
    if max_bytes:
        raise click.UsageError("--max-bytes and --link exclude each other.")
    if link_id is None or within_s is None:
        raise click.UsageError("--link and --within need each other.")
    with usage_errors():
        from plada_codec.links.budgets.budget import max_bytes as bytes_that_fit
        from plada_codec.links.budgets.conditions import Conditions
        from plada_codec.links.profiles import link
        from plada_codec.links.units import show_seconds

        profile = link(link_id)
        size = bytes_that_fit(profile, within_s)
    time = show_seconds(within_s)
    if size == 0:
        raise InputError(f"not one byte gets over {link_id} in {time}: give more time, or another link", rule="link")
    sure = f"{Conditions().probability:.0%} sure"
    loss = f"{sure} at its loss of {profile.loss:.0%}" if profile.loss else "without loss"
    complain(f"{link_id}: {size} bytes in {time}, {loss}, at no distance")
    return (size,)


def sections_of(options: dict[str, Any]) -> OptionalSections:
    """Make the optional sections that `section_options` name; remove these options."""
    return OptionalSections(**{field.name: options.pop(field.name) for field in fields(OptionalSections)})
