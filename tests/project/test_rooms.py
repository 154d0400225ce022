"""Rooms of the house (folders, and the modules beside them) import each other in one direction only."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.paths import ROOT

#: Rooms that each room of plada_codec may import. `cli` is imported by the command lines alone.
CODEC = {
    "errors": "",
    "extras": "errors",
    "files": "errors",
    "limits": "errors",
    "progress": "",
    "reader": "errors",
    "universe": "",
    "tables": "errors",
    "arrays": "errors tables",
    "streams": "errors",
    "reference": "errors extras files limits progress tables",
    "kernels": "errors files",
    "codings": "errors kernels limits reader",
    "container": "codings errors limits reader universe",
    "sections": "arrays codings errors limits tables",
    "payload": "arrays errors limits sections tables universe",
    "api": "codings container errors limits payload reader sections universe",
    "virtual_dataset": "api errors files limits payload progress reference",
    "interop": "api codings errors extras files limits payload progress sections streams tables universe",
    "frames": "errors extras files reader streams",
    "links": "errors frames",
    "testing": "api codings container errors extras files frames interop limits links payload progress reader"
    " sections tables universe",
    "cli": "api codings container errors extras files frames interop limits links payload progress reader reference"
    " sections testing universe virtual_dataset",
    "__init__": "api errors frames interop limits links payload reference sections universe virtual_dataset",
    "__main__": "cli",
}
#: Rooms of plada_train that each of its rooms may import.
TRAIN = {
    "versions": "",
    "files": "",
    "distributed": "",
    "constraints": "",
    "json_files": "files",
    "recipe": "constraints",
    "data": "distributed files json_files",
    "models": "constraints data files json_files recipe",
    "training": "data distributed files json_files models recipe",
    "scores": "constraints data files json_files models recipe",
    "selection": "scores",
    "charts": "",
    "planning": "charts constraints data files json_files models recipe scores selection training versions",
    "run_config": "recipe scores selection",
    "report": "charts constraints data files json_files models planning recipe run_config scores selection",
    "stages": "data files models recipe scores training",
    "pipeline": "data files json_files models planning recipe report run_config scores stages versions",
    "schemas": "files json_files models planning report scores",
    "cli": "constraints data distributed files json_files models pipeline planning recipe report run_config scores"
    " selection stages",
    "__init__": "",
    "__main__": "cli",
}
#: Bars of the house: modules beside the rooms, and lines of a room, but where CONTRIBUTING.md says why.
MAX_MODULES = {"plada_codec": 14, "plada_train": 12}
MAX_LINES = 1_500


def room_of(module: str) -> tuple[str, str]:
    """The package and the room of a dotted name."""
    package, _, rest = module.partition(".")
    return package, rest.partition(".")[0] or "__init__"


def imports(path: Path) -> Iterator[str]:
    """The dotted names of our modules that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} has a relative import"
            module = str(node.module)
            for alias in node.names:
                child = ROOT.joinpath(*module.split("."), alias.name)
                is_module = child.is_dir() or child.with_suffix(".py").exists()
                yield f"{module}.{alias.name}" if is_module else module


def modules(package: str) -> list[Path]:
    return sorted(path.relative_to(ROOT) for path in (ROOT / package).rglob("*.py"))


@pytest.mark.parametrize("path", [*modules("plada_codec"), *modules("plada_train")], ids=str)
def test_a_room_imports_only_rooms_below_it(path: Path) -> None:
    package, room = room_of(".".join(path.with_suffix("").parts))
    for module in imports(ROOT / path):
        of, imported = room_of(module)
        if of == package and imported != room:
            allowed = (CODEC if package == "plada_codec" else TRAIN)[room].split()
            assert imported in allowed, f"{room} imports {imported}"
        elif of.startswith("plada_") and package == "plada_codec":
            assert of == "plada_codec", f"{room} imports {of}"
        elif of == "plada_codec" and package == "plada_train":
            assert imported != "cli" or room == "cli", f"{room} imports {module}"


@pytest.mark.parametrize("rooms", [CODEC, TRAIN], ids=["plada_codec", "plada_train"])
def test_no_two_rooms_may_import_each_other(rooms: dict[str, str]) -> None:
    below: set[str] = set()
    for room, allowed in rooms.items():
        assert set(allowed.split()) <= below, f"{room} stands before what it imports"
        below.add(room)


@pytest.mark.parametrize("package", MAX_MODULES)
def test_few_modules_stand_beside_the_rooms(package: str) -> None:
    assert len(list((ROOT / package).glob("*.py"))) <= MAX_MODULES[package]


@pytest.mark.parametrize("package", MAX_MODULES)
def test_large_folders_and_no_others_have_a_reason_in_contributing(package: str) -> None:
    reasons = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    for folder in {path.parent for path in (ROOT / package).glob("*/**/*.py")}:
        lines = sum(len(path.read_text(encoding="utf-8").splitlines()) for path in folder.glob("*.py"))
        name = folder.relative_to(ROOT).as_posix()
        assert (lines > MAX_LINES) == (f"| `{name}` | " in reasons), f"{name} has {lines} lines"
