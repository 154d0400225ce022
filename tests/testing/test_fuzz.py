"""Faults that fuzzing once found stay fixed, and the fuzzer itself works."""

from __future__ import annotations

import random

import pytest
from hypothesis import settings

from fuzz.paths import CORPUS, FOUND
from fuzz.run import finding, inputs, minimised
from fuzz.structures import mutated
from fuzz.targets import TARGETS
from plada_codec.interop.registry import FORMATS
from tests.helpers.paths import ROOT


@pytest.mark.parametrize("name", TARGETS)
def test_nothing_is_wrong_with_seeds_corpus_and_past_findings(name: str) -> None:
    target = TARGETS[name]
    for blob in [*target.seeds(), *inputs(CORPUS, name), *inputs(FOUND, name)]:
        assert finding(target, blob) is None


@pytest.mark.parametrize("name", TARGETS)
def test_nothing_is_wrong_with_changed_seeds(name: str) -> None:
    target, chance = TARGETS[name], random.Random(0)
    seeds = target.seeds()
    for _ in range(settings().max_examples):
        blob = mutated(target.structure, chance.choice(seeds), chance.choice(seeds), chance)
        assert finding(target, blob) is None, blob


@pytest.mark.parametrize("name", ["payload", "npz", "tar", "frames", "slip", "folder", "csv"])
def test_an_input_is_the_same_after_it_was_taken_apart(name: str) -> None:
    structure = TARGETS[name].structure
    for blob in TARGETS[name].seeds()[:20]:
        again = structure.join(structure.split(blob))
        assert structure.split(again) == structure.split(blob)


def test_an_error_of_another_kind_and_a_warning_are_findings() -> None:
    def broken(blob: bytes) -> None:
        raise KeyError(blob)

    def deprecated(blob: bytes) -> None:
        import warnings

        warnings.warn("old", DeprecationWarning, stacklevel=1)

    target = TARGETS["links"]
    assert "KeyError" in str(finding(target._replace(check=broken), b"x"))
    assert "DeprecationWarning" in str(finding(target._replace(check=deprecated), b"x"))


def test_a_minimised_corpus_leaves_out_what_the_seeds_reach() -> None:
    target = TARGETS["links"]
    seeds = target.seeds()
    assert minimised(target, seeds, seeds[:2]) == []
    assert minimised(target, seeds, [b"[x", b"[x longer"]) == [b"[x"]


def test_every_format_has_a_target_and_every_target_has_its_rows_in_the_readme() -> None:
    assert FORMATS.keys() <= TARGETS.keys()
    text = (ROOT / "fuzz" / "README.md").read_text(encoding="utf-8")
    for name, target in TARGETS.items():
        assert f"| `{name}` | {target.what} |" in text
        for file in target.files:
            assert f"| `{file}` |" in text
            assert (ROOT / file).is_file()
