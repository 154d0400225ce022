"""Configuration of a run: contradictions are refused, and the report's settings are those of the configuration."""

from __future__ import annotations

from dataclasses import fields
from fractions import Fraction
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="needs the extra 'train'")

from hypothesis import given
from hypothesis import strategies as st

from plada_codec import Universe
from plada_codec.errors import InputError
from plada_train.json_files import dumps, loads
from plada_train.recipe import Planning, Recipe
from plada_train.report.run_report import RunSettings
from plada_train.run_config import RunConfig, Selection, Sources
from plada_train.selection.optional_sections import OptionalSections
from plada_train.selection.registry import rule_from_json
from plada_train.selection.safety_net import SafetyNet

SOURCES = Sources(reference="ref", target_train="train", target_test="test")
RECIPE = Recipe(model="test_resnet", mean=(0.1, 0.2, 0.3), weights=Path("w.pth"))
selections = st.builds(
    Selection,
    keep=st.none() | st.sampled_from(["0.29", 0.5, Fraction(1, 3)]),
    kept=st.none() | st.integers(1, 9),
    max_bytes=st.none() | st.integers(1, 999),
    rule=st.builds(SafetyNet, alpha=st.floats(-1, 1), reserved=st.sampled_from(["1", "0.5"])),
    offset=st.integers(0, 9),
    stride=st.integers(1, 9),
)
plannings = st.builds(Planning, budget_bytes=st.integers(1, 999), candidates=st.none() | st.integers(1, 9))
sections = st.builds(
    OptionalSections,
    class_names=st.booleans(),
    class_check=st.booleans(),
    soft_labels=st.booleans(),
    weights_tau=st.none() | st.floats(0.1, 9),
)


@given(selections | plannings, sections)
def test_the_settings_in_a_report_are_those_of_the_configuration(
    choice: Selection | Planning, sections: OptionalSections
) -> None:
    config = RunConfig(sources=SOURCES, teacher=RECIPE, student=RECIPE, choice=choice, sections=sections, task="pets")
    settings = loads(dumps(RunSettings.of(config)), RunSettings, "FILE")
    assert (settings.task, settings.reference, settings.target_test) == ("pets", "ref", "test")
    assert settings.planning == config.planning
    assert OptionalSections(*(getattr(settings, field.name) for field in fields(OptionalSections))) == sections
    assert settings.teacher.mean == RECIPE.mean
    assert settings.teacher.weights == "w.pth"
    chosen = config.selection
    assert rule_from_json(settings.rule) == chosen.rule
    assert (settings.kept, settings.max_bytes) == (chosen.kept, chosen.max_bytes)
    assert (settings.offset, settings.stride) == (chosen.offset, chosen.stride)
    assert settings.keep == (None if chosen.keep is None else str(chosen.keep))


@pytest.mark.parametrize("targets", ["average", "dirichlet"])
def test_soft_targets_without_soft_labels_are_refused(targets: str) -> None:
    student = Recipe(model="test_resnet", targets=targets)  # type: ignore[arg-type]
    with pytest.raises(InputError, match=f"no soft labels for {targets} targets: add --soft-labels"):
        RunConfig(sources=SOURCES, teacher=RECIPE, student=student, choice=Selection(kept=1))
    sections = OptionalSections(soft_labels=True)
    RunConfig(sources=SOURCES, teacher=RECIPE, student=student, choice=Selection(kept=1), sections=sections)


def test_a_selection_has_a_universe_that_it_fits() -> None:
    assert Selection(kept=5, offset=1, stride=2).universe(11) == Universe(1, 2)
    for wrong, text in (
        (Selection(kept=6, offset=1, stride=2), "6 of 5 images cannot be kept"),
        (Selection(kept=1, stride=12), "do not fit 11 images"),
        (Selection(kept=1, keep=0.5), "exclude each other"),
        (Selection(), "is needed"),
    ):
        with pytest.raises(InputError, match=text):
            wrong.universe(11)
