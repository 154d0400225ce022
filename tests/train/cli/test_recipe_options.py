"""Options of `run` for one of its models reach that model alone, and errors name the model they are about."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

from plada_codec.errors import InputError
from plada_train.cli.recipes import FIELDS_OF_A_MODEL, MODELS
from plada_train.models.timm_import import timm
from plada_train.recipe import Recipe
from plada_train.run_config import RunConfig
from tests.helpers.training import MODELS as ARCHITECTURES
from tests.helpers.training import OPTIONS, assert_fails, plada_train, source_options, write_shards, write_tree

pytestmark = pytest.mark.training

VALUES: dict[str, tuple[list[str], Any]] = {
    "weights": (["w.pth"], Path("w.pth")),
    "model_args": (["depth=1"], {"depth": 1}),
    "image_size": (["48"], 48),
    "mean": (["0.1", "0.2", "0.3"], (0.1, 0.2, 0.3)),
    "std": (["0.1", "0.2", "0.3"], (0.1, 0.2, 0.3)),
    "freeze": ([], True),
    "epochs": (["3"], 3),
    "batch_size": (["5"], 5),
    "learning_rate": (["0.5"], 0.5),
}


def flag(prefix: str, name: str) -> str:
    return f"--{prefix}{ {'model_args': 'model-arg'}.get(name, name.replace('_', '-')) }"


@pytest.fixture
def recipes(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Parse options of `run`; return the recipes of teacher and student."""
    configs: list[RunConfig] = []

    def note(config: RunConfig, output: Path, *, check_images: bool) -> None:
        configs.append(config)
        raise InputError("enough", rule="output")

    monkeypatch.setattr("plada_train.pipeline.run", note)

    def parsed(*options: str) -> dict[str, Recipe]:
        sources = ["--reference=r", "--target-train=t", "--target-test=e", "--kept=1", "--output=o"]
        assert_fails(plada_train("run", *sources, *ARCHITECTURES, *options), "enough")
        return {"teacher": configs[-1].teacher, "student": configs[-1].student}

    return parsed


def test_every_field_that_depends_on_the_model_has_a_value_here() -> None:
    assert set(VALUES) == set(FIELDS_OF_A_MODEL) <= {field.name for field in fields(Recipe)}


@pytest.mark.parametrize("name", FIELDS_OF_A_MODEL)
@pytest.mark.parametrize("model", MODELS)
def test_an_option_of_one_model_changes_its_recipe_alone(recipes: Any, model: str, name: str) -> None:
    usual = recipes()
    texts, value = VALUES[name]
    found = recipes(flag(f"{model}-", name), *texts)
    assert found == usual | {model: replace(usual[model], **{name: value})}


@pytest.mark.parametrize("name", FIELDS_OF_A_MODEL)
def test_an_option_of_both_models_changes_both_recipes(recipes: Any, name: str) -> None:
    usual = recipes()
    texts, value = VALUES[name]
    expected = {model: replace(recipe, **{name: value}) for model, recipe in usual.items()}
    assert recipes(flag("", name), *texts) == expected


def test_an_option_of_one_model_comes_before_that_of_both_and_adds_to_its_arguments(recipes: Any) -> None:
    found = recipes(
        *("--image-size=32", "--student-image-size=48", "--freeze", "--no-student-freeze"),
        *("--model-arg=a=1", "--model-arg=b=1", "--teacher-model-arg=b=2", "--teacher-model-arg=c=2"),
    )
    teacher, student = found["teacher"], found["student"]
    assert (teacher.image_size, student.image_size) == (32, 48)
    assert (teacher.freeze, student.freeze) == (True, False)
    assert (teacher.model_args, student.model_args) == ({"a": 1, "b": 2, "c": 2}, {"a": 1, "b": 1})


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    write_tree(tmp_path / "train", 2, 0)
    write_tree(tmp_path / "test", 2, 1)
    write_shards(tmp_path / "ref", 1, 6)
    return tmp_path


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (["--teacher=test_vit", "--weights={folder}/w.pth"], "the teacher: {folder}/w.pth does not fit test_vit"),
        (["--student=test_vit", "--weights={folder}/w.pth"], "the student: {folder}/w.pth does not fit test_vit"),
        (["--student=test_vit", "--model-arg=depth=1"], "the teacher: test_resnet cannot be made with {{'depth': 1}}"),
        (
            ["--student-model-arg=features_only=true"],
            "the student: test_resnet with {{'features_only': True}} does",
        ),
        (["--student=resnet81"], "the student: timm"),
        (["--student-learning-rate=1e30", "--student-batch-size=2"], "the student: training diverged"),
        (["--teacher-learning-rate=1e30", "--teacher-batch-size=2"], "the teacher: training diverged"),
    ],
)
def test_an_error_of_a_run_names_the_model_that_it_is_about(sources: Path, options: list[str], text: str) -> None:
    import torch

    torch.save(timm.create_model("test_resnet").state_dict(), sources / "w.pth")
    given = ["--image-size=32", *(option.format(folder=sources) for option in options)]
    result = plada_train(
        "run", *source_options(sources), *ARCHITECTURES, *OPTIONS, "--keep=1", f"--output={sources / 'out'}", *given
    )
    assert_fails(result, text.format(folder=sources))


def test_a_run_of_two_architectures_takes_the_arguments_and_weights_of_each(sources: Path) -> None:
    import torch

    torch.save(timm.create_model("test_resnet").state_dict(), sources / "w.pth")
    result = plada_train(
        "run", *source_options(sources), *OPTIONS, "--keep=1", "--epochs=1", f"--output={sources / 'out'}",
        "--teacher=test_vit", "--student=test_resnet", "--teacher-model-arg=img_size=32", "--teacher-image-size=32",
        f"--student-weights={sources / 'w.pth'}",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
