"""The specification's own words: its examples are vectors, its tables are the code's tables."""

from __future__ import annotations

import dataclasses
import inspect
import re

import plada_decode as oracle

from plada_codec import Limits, Payload, PladaError
from plada_codec.cli.hexdump import annotated_lines
from plada_codec.codings.registry import INDEX_CODINGS, LABEL_CODINGS, Coding
from plada_codec.container import FIRST_ANCILLARY_TYPE
from plada_codec.sections.registry import SECTIONS
from tests.helpers.paths import PAYLOAD_VECTORS, SPEC

TEXT = (SPEC / "plada-format-1.md").read_text(encoding="utf-8")


def section(number: str) -> str:
    return re.split(r"^##+ [0-9]", TEXT.split(f"# {number} ", 1)[1], maxsplit=1, flags=re.MULTILINE)[0]


def test_every_worked_example_is_a_vector_as_inspect_prints_it() -> None:
    examples = re.findall(r"```hex ([a-z0-9-]+)\n(.*?)```", TEXT, re.DOTALL)
    assert len(examples) >= 10
    for name, listing in examples:
        blob = (PAYLOAD_VECTORS / "valid" / f"{name}.plada").read_bytes()
        assert listing.splitlines() == list(annotated_lines(blob))


def test_the_annotated_dump_shows_every_byte_once() -> None:
    for path in PAYLOAD_VECTORS.glob("valid/*.plada"):
        blob = path.read_bytes()
        lines = list(annotated_lines(blob))
        assert bytes.fromhex("".join(line[8:31].replace(" ", "") for line in lines)) == blob


def test_the_tables_of_codings_are_those_of_the_code() -> None:
    def rows(number: str) -> list[tuple[int, str, str]]:
        found = re.findall(r"^\| ([0-9]+) \| `([a-z-]+)` \| ([a-z]+) \| (.*) \|$", section(number), re.MULTILINE)
        return [(int(code), name, least) for code, name, least, _ in found]

    def table(codings: tuple[Coding, ...]) -> list[tuple[int, str, str]]:
        return [(coding.code, coding.name, coding.coder.decoder_class) for coding in codings]

    assert rows("5.1") == table(INDEX_CODINGS)
    assert rows("5.2") == table(LABEL_CODINGS)


def test_the_sections_are_those_of_the_specification() -> None:
    rows = re.findall(r"^\| `([0-9a-f]{2})` \| ([a-z ]+) \| section 8", section("8."), re.MULTILINE)
    assert [(int(code, 16), name.replace(" ", "-")) for code, name in rows] == [
        (row.code, row.name) for row in SECTIONS
    ]
    assert all(row.code >= FIRST_ANCILLARY_TYPE for row in SECTIONS)
    assert {row.field for row in SECTIONS} <= inspect.signature(Payload).parameters.keys()


def test_the_limits_have_the_defaults_that_the_specification_states() -> None:
    stated = dict(re.findall(r"^\| `(max_[a-z_]+)` \| ([^|=]+?) (?:=[^|]*)?\|", section("9."), re.MULTILINE))
    defaults = {name: eval(value.replace("^", "**").replace(",", "")) for name, value in stated.items()}
    assert defaults == dataclasses.asdict(Limits())
    assert defaults == dataclasses.asdict(oracle.Limits())


def test_the_kinds_of_error_are_those_of_the_specification() -> None:
    stated = set(re.findall(r"^\|[^|]*\| ([A-Z][A-Za-z]+) \|", section("10."), re.MULTILINE))
    kinds = {kind.__name__ for kind in PladaError.__subclasses__()}
    assert stated == kinds & {"Truncated", "Corrupt", "Unsupported", "LimitExceeded", "ReferenceMismatch"}


def test_the_links_inside_the_specification_lead_somewhere() -> None:
    for target in re.findall(r"\]\(([a-z0-9_./-]+)\)", TEXT):
        assert (SPEC / target).exists(), target
    anchors = {
        re.sub(r"[^a-z0-9 -]", "", line.lower()).replace(" ", "-") for line in re.findall(r"^#+ (.*)$", TEXT, re.M)
    }
    for anchor in re.findall(r"\]\(#([a-z0-9-]+)\)", TEXT):
        assert anchor in anchors, anchor
