"""JSON files: a written file is read back unchanged, and the error of any other names the file and the key."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import pytest

pytest.importorskip("pydantic", reason="needs the extra 'train'")

from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from plada_codec.errors import FileError
from plada_train import json_files
from plada_train.constraints import Count, Digest, Positive, ProperShare, Share


@dataclass(frozen=True)
class Inner:
    """A part of a file.

    Attributes:
        size, other: two numbers,
            on two lines.
    """

    size: Positive
    other: Count | None = None

    def __post_init__(self) -> None:
        if self.other == self.size:
            raise ValueError("other is size")


@dataclass(frozen=True, kw_only=True)
class Whole:
    """A file.

    Attributes:
        name: of it.
    """

    name: str
    flag: bool
    share: Share
    open_share: ProperShare
    digest: Digest
    kind: Literal["one", "two", 3]
    inner: Inner | None
    parts: tuple[Inner, ...]
    mean: tuple[float, float, float]
    by_name: dict[str, Count]
    text_or_number: str | int
    path: Path
    free: Any


numbers = st.integers(0, 9)
inners = st.builds(Inner, st.integers(10, 99), st.none() | numbers)
finite = st.floats(allow_nan=False, allow_infinity=False)
free = st.recursive(
    st.none() | st.booleans() | st.integers() | finite | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
wholes = st.builds(
    Whole,
    name=st.text(),
    flag=st.booleans(),
    share=st.floats(0, 1),
    open_share=st.floats(0, 1, exclude_min=True, exclude_max=True),
    digest=st.text("0123456789abcdef"),
    kind=st.sampled_from(["one", "two", 3]),
    inner=st.none() | inners,
    parts=st.lists(inners, max_size=3).map(tuple),
    mean=st.tuples(finite, finite, finite),
    by_name=st.dictionaries(st.text(), numbers, max_size=3),
    text_or_number=st.text() | numbers,
    path=st.sampled_from([Path("a/b"), Path()]),
    free=free,
)
EXAMPLE = Whole(
    name="a", flag=True, share=0.5, open_share=0.5, digest="0f", kind=3, inner=Inner(5), parts=(Inner(1), Inner(2, 3)),
    mean=(0.1, 0.2, 0.3), by_name={"x": 1}, text_or_number="t", path=Path("p"), free={"deep": [1.5]},
)  # fmt: skip
VALUES: dict[str, Any] = json.loads(json_files.dumps(EXAMPLE))


@given(wholes)
def test_a_written_file_is_read_back_and_fits_its_schema(whole: Whole) -> None:
    text = json_files.dumps(whole)
    assert json_files.loads(text, Whole, "FILE") == whole
    Draft202012Validator(json_files.schema(Whole, "FILE")).validate(json.loads(text))


def test_keys_are_in_the_order_of_the_fields_and_a_default_may_be_missing(tmp_path: Path) -> None:
    assert list(VALUES) == list(Whole.__dataclass_fields__)
    without = VALUES | {"inner": {"size": 5}}
    assert json_files.loads(json.dumps(without), Whole, "FILE") == EXAMPLE
    json_files.write(tmp_path / "file.json", EXAMPLE)
    assert json_files.read(tmp_path / "file.json", Whole) == EXAMPLE
    assert (tmp_path / "file.json").read_text() == json.dumps(VALUES, indent=2) + "\n"


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"name": 5}, "name: Input should be a valid string, not 5"),
        ({"flag": 1}, "flag: Input should be a valid boolean, not 1"),
        ({"share": 1.5}, "share: Input should be less than or equal to 1, not 1.5"),
        ({"share": True}, "share: Input should be a valid number, not True"),
        ({"open_share": 0}, "open_share: Input should be greater than 0, not 0"),
        ({"digest": "xyz"}, r"digest: String should match pattern '\^\[0-9a-f\]\*\$', not 'xyz'"),
        ({"digest": "0f\n"}, r"digest: String should match pattern .*, not '0f\\n'"),
        ({"kind": "four"}, "kind: Input should be 'one', 'two' or 3, not 'four'"),
        ({"inner": []}, "inner: Input should be an object"),
        ({"inner": {"size": 0}}, "inner.size: Input should be greater than or equal to 1, not 0"),
        ({"inner": {"size": 2**63}}, "inner.size: Input should be less than or equal to 9223372036854775807, not 9"),
        ({"inner": {"size": 2, "other": 2}}, "inner: other is size"),
        ({"inner": {"size": 2, "more": 2}}, "inner.more is not a known key"),
        ({"parts": [{"size": 1}, {}]}, r"parts\[1\].size is missing"),
        ({"parts": {}}, "parts: Input should be a valid array"),
        ({"mean": [1, 2]}, r"mean\[2\] is missing"),
        ({"mean": [1, 2, 3, 4]}, "mean: Tuple should have at most 3 items"),
        ({"by_name": {"x": -1}}, "by_name.x: Input should be greater than or equal to 0, not -1"),
        ({"by_name": {"two\nlines": 1.0}}, r"by_name\['two\\nlines'\]: Input should be a valid integer, not 1.0"),
        ({"text_or_number": None}, "text_or_number.str: Input should be a valid string, not None"),
        ({"path": 5}, "path: Input should be a valid string, not 5"),
        ({"unknown": 1}, "unknown is not a known key"),
    ],
)
def test_a_wrong_value_is_an_error_that_names_the_file_and_the_key(change: dict[str, Any], text: str) -> None:
    with pytest.raises(FileError, match=rf"^FILE is damaged, or another version wrote it \({text}") as caught:
        json_files.loads(json.dumps(VALUES | change), Whole, "FILE")
    assert "): remove it, or write it again" in str(caught.value)


@pytest.mark.parametrize("key", VALUES)
def test_a_key_that_is_missing_is_named(key: str) -> None:
    values = {name: value for name, value in VALUES.items() if name != key}
    with pytest.raises(FileError, match=f"{key} is missing"):
        json_files.loads(json.dumps(values), Whole, "FILE")


@given(free)
def test_a_json_value_of_another_kind_is_an_error_and_no_crash(value: Any) -> None:
    with pytest.raises(FileError, match="FILE is damaged"):
        json_files.loads(json.dumps(value), Whole, "FILE")


def test_a_file_name_that_is_not_utf_8_is_written_as_text(tmp_path: Path) -> None:
    name = b"data-\xff".decode(errors="surrogateescape")
    json_files.write(tmp_path / "file.json", replace(EXAMPLE, name=name, path=Path(name), by_name={name: 1}))
    found = json_files.read(tmp_path / "file.json", Whole)
    assert {found.name, str(found.path), *found.by_name} == {r"data-\udcff"}


@pytest.mark.parametrize("number", ["1e999", "-1e999"])
def test_a_number_that_no_float_holds_is_refused(number: str) -> None:
    text = json.dumps(VALUES).replace("0.1", number)
    with pytest.raises(FileError, match=r"mean\[0\]: Input should be a finite number, not -?inf"):
        json_files.loads(text, Whole, "FILE")


@pytest.mark.parametrize("text", ["", "{", '{"free": NaN}', '{"share": -Infinity}', "[" * 100_000, b"\xff", "1" * 5000])
def test_a_file_that_is_not_json_is_refused(text: str | bytes) -> None:
    with pytest.raises(FileError, match="FILE is not JSON: remove it"):
        json_files.loads(text, Whole, "FILE")


def test_a_number_that_is_not_finite_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="Out of range"):
        json_files.write(tmp_path / "file.json", replace(EXAMPLE, share=math.nan))
    assert not list(tmp_path.iterdir())


def test_a_schema_has_the_descriptions_of_docstrings() -> None:
    schema = json_files.schema(Whole, "FILE")
    assert schema["description"] == "A file."
    assert schema["properties"]["name"] == {"type": "string", "description": "of it."}
    sizes = schema["$defs"]["Inner"]["properties"]
    assert sizes["size"]["description"] == sizes["other"]["description"] == "two numbers, on two lines."
    assert schema["$defs"]["Inner"]["required"] == ["size"]


@pytest.mark.parametrize("change", [{"share": 2}, {"digest": "x"}, {"mean": [1, 2, 3, 4]}, {"kind": "four"}, {"a": 1}])
def test_a_schema_refuses_what_reading_refuses(change: dict[str, Any]) -> None:
    assert not Draft202012Validator(json_files.schema(Whole, "FILE")).is_valid(VALUES | change)
