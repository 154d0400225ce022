"""Options are those of the fields that they set: names, defaults and ranges."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import click
import pytest

pytest.importorskip("pydantic", reason="needs the extra 'train'")

from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from plada_codec.errors import FileError
from plada_train.cli.fields import field_option, field_types
from plada_train.constraints import Positive, ProperShare, Range, Share
from plada_train.json_files import loads
from plada_train.recipe import Help, Planning, Recipe


@dataclass(frozen=True, kw_only=True)
class Sample:
    count: Annotated[Positive | None, Help("A count.", "N")] = None
    few: Annotated[int, Range(2, 5), Help("A few.")] = 3
    share: Annotated[Share, Help("A share.")] = 0.5
    part: Annotated[ProperShare, Help("A part.")] = 0.5
    number: Annotated[float, Help("A number.")] = 1.5
    pair: Annotated[tuple[float, Share] | None, Help("A pair.")] = None
    kind: Annotated[Literal["one", "two"], Help("A kind.")] = "one"
    text: Annotated[str, Help("A text.")] = "a"
    on: Annotated[bool, Help("On.")] = True
    off: Annotated[bool, Help("Off.")] = False


def parsed(kind: type, name: str, *arguments: str) -> Any:
    """The value of the option of a field; ValueError if it refuses the arguments."""
    values = {}

    @click.command()
    @field_option(kind, name)
    def command(**options: Any) -> None:
        values.update(options)

    if CliRunner().invoke(command, arguments).exit_code:
        raise ValueError(arguments)
    return values[name]


@pytest.mark.parametrize("field", dataclasses.fields(Sample), ids=lambda field: field.name)
def test_the_default_of_an_option_is_that_of_the_field(field: dataclasses.Field[Any]) -> None:
    assert parsed(Sample, field.name) == field.default


@given(
    st.sampled_from(["few", "share", "part", "number", "count"]),
    st.integers(-2, 7) | st.sampled_from([0.0, 0.5, 1.0, 1.5, float("nan"), float("inf")]),
)
def test_an_option_takes_the_values_that_a_file_may_have(name: str, value: float) -> None:
    try:
        expected = getattr(loads(json.dumps({name: value}), Sample, "FILE"), name)
    except FileError:
        with pytest.raises(ValueError, match=name):
            parsed(Sample, name, f"--{name.replace('_', '-')}={value}")
    else:
        assert parsed(Sample, name, f"--{name.replace('_', '-')}={value}") == expected


def test_flags_choices_and_pairs_are_parsed_and_checked() -> None:
    assert parsed(Sample, "on", "--no-on") is False
    assert parsed(Sample, "off", "--off") is True
    assert parsed(Sample, "kind", "--kind=two") == "two"
    assert parsed(Sample, "pair", "--pair", "0.1", "0.2") == (0.1, 0.2)
    for name, arguments in (("kind", ["--kind=three"]), ("pair", ["--pair", "1", "nan"])):
        with pytest.raises(ValueError, match=name):
            parsed(Sample, name, *arguments)


@pytest.mark.parametrize("kind", [Recipe, Planning])
def test_every_default_of_a_recipe_is_within_its_range(kind: type) -> None:
    for field in dataclasses.fields(kind):
        if field.default is not dataclasses.MISSING and any(
            isinstance(each, Help) for each in getattr(field_types(kind)[field.name], "__metadata__", ())
        ):
            assert parsed(kind, field.name) == field.default
