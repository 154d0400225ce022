"""Rules of errors: each one raised stands in a table of a specification or in `API_RULES`, with its kind."""

from __future__ import annotations

import ast
import pickle
import re
from collections.abc import Iterator

import pytest

from plada_codec import errors
from plada_codec.errors import API_RULES, PladaError
from tests.helpers.paths import ROOT, SPEC

PAGE = ROOT / "docs" / "reference" / "errors.md"
KINDS = {kind.__name__: kind for kind in PladaError.__subclasses__() if kind.__module__ == errors.__name__}
#: Methods that make an error of one kind: the position of the rule among the arguments.
MAKERS = {"corrupt": ("Corrupt", 1), "bad_image": ("SourceError", 2)}
#: Rules that code puts together from the name of an argument: no literal shows them.
COMPUTED = {
    *((rule, "InvalidPayload") for rule in ("reference-size", "classes", "universe-offset", "universe-stride")),
    *((rule, "InvalidPayload") for rule in ("indices", "labels", "soft-labels", "weights")),
    *((rule, "InvalidArgument") for rule in ("reference-size", "classes", "payload")),
}


def literals(node: ast.expr) -> Iterator[str]:
    """The strings that an expression may be."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.IfExp):
        yield from (*literals(node.body), *literals(node.orelse))


def raised() -> set[tuple[str, str]]:
    """(rule, kind) of each error that the source makes with a literal rule."""
    found = set()
    for path in (*ROOT.glob("plada_codec/**/*.py"), *ROOT.glob("plada_train/**/*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            if isinstance(node.func, ast.Name) and node.func.id in KINDS:
                for keyword in node.keywords:
                    if keyword.arg == "rule":
                        found |= {(rule, node.func.id) for rule in literals(keyword.value)}
            elif isinstance(node.func, ast.Attribute) and node.func.attr in MAKERS:
                kind, position = MAKERS[node.func.attr]
                for argument in node.args[position : position + 1]:
                    found |= {(rule, kind) for rule in literals(argument)}
    return found


def specified() -> set[tuple[str, str]]:
    """(rule, kind) of the tables of the specifications."""
    found = set()
    payload = (SPEC / "plada-format-1.md").read_text(encoding="utf-8").split("\n## 10. Errors\n")[1]
    for kind, rules in re.findall(r"^\|[^|]*\| ([A-Z][A-Za-z]+) \| (.*) \|$", payload, re.MULTILINE):
        found |= {(rule, kind) for rule in re.findall(r"`([a-z-]+)`", rules)}
    frames = (SPEC / "plada-frames-1.md").read_text(encoding="utf-8")
    links = (SPEC / "link-budget.md").read_text(encoding="utf-8")
    images = (SPEC / "reference-digest.md").read_text(encoding="utf-8")
    pixels = (SPEC / "reference-images.md").read_text(encoding="utf-8")
    for text, default in ((frames, ""), (links, "LinkError"), (images, "SourceError"), (pixels, "SourceError")):
        for table in re.findall(r"^\| rule \|.*\n\|[-|]+\n((?:\|.*\n)+)", text, re.MULTILINE):
            for rule, kind in re.findall(r"^\| `([a-z-]+)` \|(?: ([A-Z][A-Za-z]+) \|)?", table, re.MULTILINE):
                found.add((rule, kind or default))
    return found


def test_each_rule_that_is_raised_is_listed_with_its_kind() -> None:
    listed = {(row.name, row.kind.__name__) for row in API_RULES} | specified()
    missing = raised() - listed
    assert not missing, "give each a row in API_RULES of plada_codec/errors.py, or in its specification"


def test_each_rule_of_the_api_is_raised_and_in_no_specification() -> None:
    listed = {(row.name, row.kind.__name__) for row in API_RULES}
    assert not listed - raised() - COMPUTED
    assert not listed & specified()
    assert len(listed) == len(API_RULES)


def test_kinds_and_rules_stand_on_the_page_of_errors() -> None:
    text = PAGE.read_text(encoding="utf-8")
    kinds = re.findall(r"^\| `([A-Z][A-Za-z]+)` \| (.*) \|$", text, re.MULTILINE)
    assert kinds == [(name, (kind.__doc__ or "").splitlines()[0].rstrip(".")) for name, kind in KINDS.items()]
    rules = re.findall(r"^\| `([a-z-]+)` \| `([A-Za-z]+)` \| (.*) \|$", text, re.MULTILINE)
    assert rules == [(row.name, row.kind.__name__, row.broken_by) for row in API_RULES]


@pytest.mark.parametrize("name", [*KINDS, "PladaError", "PladaWarning", "MissingClasses", "FilesPassedOver"])
def test_each_kind_is_exported(name: str) -> None:
    import plada_codec

    assert getattr(plada_codec, name) is getattr(errors, name)
    assert name in plada_codec.__all__


def test_a_message_is_one_line_whatever_names_it_holds() -> None:
    error = errors.FileError("a\x1b[2K\nplada: good\u202e\udcff: no \u00e9 \u65e5", rule="file")
    assert str(error) == r"a\x1b[2K\nplada: good\u202e\udcff: no \u00e9 \u65e5 [file]".replace(
        r"\u00e9 \u65e5", "\u00e9 \u65e5"
    )
    assert str(pickle.loads(pickle.dumps(error))) == str(error)
