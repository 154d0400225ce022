"""Command-line options made from the fields of dataclasses: types, ranges, defaults and help are written once."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import cache
from types import NoneType
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import click

from plada_codec.cli.terminal import finite
from plada_codec.limits import MAX_VARINT
from plada_train.constraints import Range
from plada_train.recipe import Help

Command = Callable[..., None]


def option(*names: str, **settings: Any) -> Callable[[Command], Command]:
    """An option whose default, if it has one, is shown."""
    return click.option(*names, show_default=settings.get("default") is not None, **settings)


@cache
def field_types(kind: type) -> dict[str, Any]:
    """Types of a dataclass's fields by name, with their `Annotated` metadata."""
    return get_type_hints(kind, include_extras=True)


def field_option(kind: type, name: str, *names: str, **changes: Any) -> Callable[[Command], Command]:
    """The option that sets a field of a dataclass.

    Args:
        kind: the dataclass.
        name: of the field. Its type has a `Help`.
        names: of the option and its parameter, if they differ from the field's.
        changes: settings of `click.option` that differ from those of the field.
    """
    annotation = field_types(kind)[name]
    (field,) = (each for each in dataclasses.fields(kind) if each.name == name)
    (help,) = (each for each in get_args(annotation) if isinstance(each, Help))
    settings: dict[str, Any] = {"help": help.text, "metavar": help.metavar}
    if field.default is not dataclasses.MISSING:
        settings["default"] = field.default
    flag = f"--{name.replace('_', '-')}"
    if field.default is False:
        settings["is_flag"] = True
        del settings["default"]
    elif field.default is True:
        flag = f"{flag}/--no-{flag[2:]}"
    else:
        settings |= _type_settings(annotation)
    return option(*(names or (flag,)), **settings | changes)


def click_type(annotation: Any) -> click.ParamType[Any]:
    """The click type for a number in a range, a text, or a choice of texts."""
    kind, limits = _kind_and_range(annotation)
    if get_origin(kind) is Literal:
        return click.Choice(get_args(kind))
    if kind is int:
        low, high = limits.minimum, None if limits.maximum == MAX_VARINT else limits.maximum
        return click.IntRange(None if low is None else int(low), None if high is None else int(high))
    if kind is float and limits == Range():
        return click.FLOAT
    if kind is float:
        minimum = limits.minimum if limits.above is None else limits.above
        maximum = limits.maximum if limits.below is None else limits.below
        return click.FloatRange(minimum, maximum, min_open=limits.above is not None, max_open=limits.below is not None)
    return click.STRING


def _type_settings(annotation: Any) -> dict[str, Any]:
    """The settings of `click.option` that follow from the type of a field."""
    kind, _ = _kind_and_range(annotation)
    if get_origin(kind) is tuple:
        part, *more = get_args(kind)
        return {"type": click_type(part), "nargs": 1 + len(more), "callback": finite}
    return {"type": click_type(annotation)} | ({"callback": finite} if kind is float else {})


def _kind_and_range(annotation: Any) -> tuple[Any, Range]:
    """Split a type into its kind, without `Annotated` and None, and its range."""
    limits = Range()
    while get_origin(annotation) is Annotated or NoneType in get_args(annotation):
        annotation, *metadata = (each for each in get_args(annotation) if each is not NoneType)
        limits = next((each for each in metadata if isinstance(each, Range)), limits)
    return annotation, limits
