"""Exported names: each is there, none hides a module, and `dir` lists them before they are imported."""

from __future__ import annotations

import importlib
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

import plada_codec
from tests.helpers.paths import ROOT

PACKAGES = sorted(
    ".".join(path.relative_to(ROOT).parent.parts)
    for package in ("plada_codec", "plada_train")
    for path in (ROOT / package).rglob("__init__.py")
)


@pytest.mark.parametrize("name", PACKAGES)
def test_no_exported_name_hides_a_module(name: str) -> None:
    package = importlib.import_module(name)
    folder = Path(str(package.__file__)).parent
    modules = {path.stem for path in folder.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    exported = set(getattr(package, "__all__", vars(package)))
    hidden = {each for each in exported & modules if getattr(package, each).__class__.__name__ != "module"}
    assert not hidden


def test_each_exported_name_is_there() -> None:
    assert sorted(plada_codec.__all__) == plada_codec.__all__
    for name in plada_codec.__all__:
        assert name in dir(plada_codec)
        value = getattr(plada_codec, name)
        assert name == "__version__" or value.__module__.startswith("plada_codec.")


def test_the_version_is_that_of_the_distribution() -> None:
    assert plada_codec.__version__ == version("plada")


def test_dir_lists_the_exported_names_without_importing_numpy() -> None:
    program = "import sys, plada_codec; print('decode' in dir(plada_codec), 'numpy' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout.split() == ["True", "False"]
