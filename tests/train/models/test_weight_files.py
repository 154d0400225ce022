"""Weights of other programs: loaded whole whatever holds them, or an error that says why not."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

import torch
from safetensors.torch import save_file

from plada_codec.errors import InputError, PladaWarning
from plada_train.models.classifier import load_checkpoint, make_classifier, save_checkpoint
from plada_train.models.timm_import import timm
from plada_train.recipe import Recipe

pytestmark = pytest.mark.training

Weights = dict[str, torch.Tensor]


def weights_of(model: str, **arguments: Any) -> Weights:
    return dict(timm.create_model(model, **arguments).state_dict())


def prefixed(prefix: str, weights: Weights) -> Weights:
    return {f"{prefix}{name}": weight for name, weight in weights.items()}


def each(weights: Weights, change: Callable[[torch.Tensor], torch.Tensor]) -> Weights:
    """The weights, of which all floating-point ones are changed."""
    return {name: change(weight) if weight.is_floating_point() else weight for name, weight in weights.items()}


def load(path: Path, content: Any, model: str = "test_resnet", size: int = 32, **model_args: Any) -> Weights:
    """The weights of a classifier that is made from a file with this content."""
    if path.suffix == ".safetensors":
        save_file(content, path)
    else:
        torch.save(content, path)
    recipe = Recipe(model=model, weights=path, image_size=size, model_args=model_args)
    return make_classifier(recipe, 3).network.state_dict()


def assert_loaded(found: Weights, weights: Weights) -> None:
    for name, weight in found.items():
        if not name.startswith(("fc.", "head.")) and not name.endswith("num_batches_tracked"):
            assert torch.equal(weight, weights[name])


@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
@pytest.mark.parametrize(
    "prefix", ["", "model.", "module.", "resnet.", "_orig_mod.", "backbone.", "module.encoder_q.", "model.net.encoder."]
)
def test_a_prefix_of_all_names_is_left_out(tmp_path: Path, prefix: str, suffix: str) -> None:
    weights = weights_of("test_resnet")
    with warnings.catch_warnings():
        warnings.simplefilter("error", PladaWarning)
        assert_loaded(load(tmp_path / f"w.{suffix}", prefixed(prefix, weights)), weights)


@pytest.mark.parametrize(
    "pack",
    [
        lambda weights: {"net": weights, "epoch": 3, "acc": torch.tensor(0.5)},
        lambda weights: {"net": prefixed("module.", weights), "optimizer": {"state": {0: {"step": torch.ones(1)}}}},
        lambda weights: {"state_dict": weights},
        lambda weights: {"model": weights},
        lambda weights: {"model": {"weights": weights}},
        lambda weights: {"model_ema": weights, "model": {name: weight + 1 for name, weight in weights.items()}},
    ],
)
def test_weights_are_found_in_any_part_of_a_file(tmp_path: Path, pack: Callable[[Weights], Any]) -> None:
    weights = weights_of("test_resnet")
    assert_loaded(load(tmp_path / "w.pth", pack(weights)), weights)


@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
def test_old_files_without_counts_of_batches_are_loaded(tmp_path: Path, suffix: str) -> None:
    weights = weights_of("test_resnet")
    old = {name: weight for name, weight in weights.items() if not name.endswith("num_batches_tracked")}
    assert_loaded(load(tmp_path / f"w.{suffix}", old), weights)


@pytest.mark.parametrize("pack", [dict, lambda weights: {"net": prefixed("module.", weights)}])
def test_position_embeddings_are_resized_as_timm_does(tmp_path: Path, pack: Callable[[Weights], Any]) -> None:
    weights = weights_of("test_vit")
    found = load(tmp_path / "w.pth", pack(weights), "test_vit", 32, img_size=32)
    arguments = {"pretrained_cfg_overlay": {"state_dict": weights}, "img_size": 32, "num_classes": 3}
    expected = timm.create_model("test_vit", pretrained=True, **arguments).state_dict()
    assert found["pos_embed"].shape != weights["pos_embed"].shape
    assert_loaded(found, expected)


def test_embeddings_that_timm_does_not_resize_are_an_error_with_their_size(tmp_path: Path) -> None:
    weights = weights_of("cait_xxs24_224", depth=1, depth_token_only=1)
    with pytest.raises(InputError, match=r"are for images of 224 px .*: give --model-arg img_size=224"):
        load(tmp_path / "w.pth", weights, "cait_xxs24_224", 48, img_size=48, depth=1, depth_token_only=1)


def test_weights_outside_the_prefix_are_left_out_with_a_warning(tmp_path: Path) -> None:
    weights = weights_of("test_resnet")
    more = prefixed("model.", weights) | {"criterion.weight": torch.ones(3)}
    with pytest.warns(PladaWarning, match=r"only 'model' is used; not 1 weight outside it, such as criterion.weight"):
        assert_loaded(load(tmp_path / "w.pth", {"state_dict": more}), weights)


@pytest.mark.parametrize(
    ("pack", "text"),
    [
        (lambda w: prefixed("q.", w) | prefixed("k.", w), "several sets of weights for test_resnet, 'q' and 'k'"),
        (lambda w: {"student": prefixed("a.", w), "teacher": w}, "'student.a' and 'teacher'"),
        (lambda w: dict(list(w.items())[1:]), "it lacks 1 weight, such as conv1.0.weight"),
        (lambda w: w | {"new.weight": torch.ones(1)}, "1 weight that the model does not have, such as new.weight"),
        (lambda w: w | {"conv1.0.weight": torch.ones(1)}, r"conv1.0.weight is \[1\] and not \[16, 3, 3, 3\]"),
        (lambda _: prefixed("a.b.", weights_of("test_convnext")), r"all its names begin with 'a.b.'"),
        (lambda _: weights_of("test_convnext"), r"lacks \d+ weights, such as .*, and has \d+ weights of other names"),
        (lambda _: {}, "it has no weights by name"),
        (lambda _: {"epoch": 3}, "it has no weights by name"),
        (lambda _: [torch.ones(1)], "cannot be read as weights"),
        (lambda _: torch.ones(1), "cannot be read as weights"),
        (lambda _: torch.nn.Linear(1, 1), "holds objects of Python, such as .*: write its state_dict to a file"),
        (lambda _: {"net": torch.nn.Linear(1, 1)}, "holds objects of Python"),
        (lambda w: each(w, lambda x: (100 * x).to(torch.int8)), "weights of another kind, .*int8"),
        (lambda w: each(w, lambda x: x.to(torch.complex64)), "weights of another kind, .*complex64"),
        (lambda w: each(w, lambda x: x.to("meta")), "weights of another kind, .*meta"),
        (lambda w: each(w, lambda x: x.to_sparse()), "weights of another kind, .*sparse"),
        (lambda w: each(w, lambda x: x * float("nan")), "with values that are not finite, such as conv1.0.weight"),
    ],
)
def test_weights_that_do_not_fit_are_an_error_that_says_why(
    tmp_path: Path, pack: Callable[[Weights], Any], text: str
) -> None:
    with pytest.raises(InputError, match=text) as caught:
        load(tmp_path / "w.pth", pack(weights_of("test_resnet")))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float64])
def test_weights_of_any_precision_are_loaded(tmp_path: Path, kind: torch.dtype) -> None:
    weights = each(weights_of("test_resnet"), lambda weight: weight.to(torch.bfloat16).to(kind))
    assert_loaded(load(tmp_path / "w.pth", weights), each(weights, lambda weight: weight.float()))


@pytest.mark.parametrize(
    ("name", "content", "text"),
    [
        ("w.pth", b"<html>", r"\(it is a web page: download the file again\)"),
        ("w.safetensors", b"version https://git-lfs.github.com/spec/v1\n", "it is a pointer of Git LFS"),
        ("w.pth", b"\x02" + bytes(7) + b"{}", r"\(its name must end with .safetensors\)"),
        ("w.safetensors", b"PK\x03\x04", r"\(its name must not end with .safetensors\)"),
        ("w.pth", b"rubbish", "cannot be read as weights"),
    ],
)
def test_the_error_for_another_file_says_what_it_is(tmp_path: Path, name: str, content: bytes, text: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=text) as caught:
        make_classifier(Recipe(model="test_resnet", weights=tmp_path / name, image_size=32), 3)
    assert "weights_only" not in str(caught.value)


@pytest.mark.parametrize("prefix", ["", "model."])
@pytest.mark.parametrize(("model", "of_file"), [("resnet18", "resnet34"), ("resnet34", "resnet18")])
def test_weights_of_a_deeper_or_shallower_model_do_not_fit(
    tmp_path: Path, model: str, of_file: str, prefix: str
) -> None:
    with pytest.raises(InputError, match=f"does not fit {model}"):
        load(tmp_path / "w.pth", prefixed(prefix, weights_of(of_file)), model)


# --- models that are no classifiers ---


@pytest.mark.parametrize(
    ("model_args", "text"),
    [
        ({"features_only": True}, r"does not classify: for one image and 3 classes, its output is a list"),
        ({"global_pool": ""}, r"test_resnet with {'global_pool': ''} takes no images of 32 px"),
        ({"num_classes": 0}, "the argument num_classes of a model cannot be given: the images say"),
        ({"num_classes": 7}, "the argument num_classes of a model cannot be given: the images say"),
        ({"pretrained": True}, "--weights names the weights"),
        ({"checkpoint_path": "w.pth"}, "--weights names the weights"),
    ],
)
@pytest.mark.parametrize("suffix", [None, "pth"])
def test_a_model_without_logits_is_refused_when_it_is_made(
    tmp_path: Path, model_args: dict[str, Any], text: str, suffix: str | None
) -> None:
    path = None if suffix is None else tmp_path / f"w.{suffix}"
    if path:
        torch.save(weights_of("test_resnet"), path)
    with pytest.raises(InputError, match=text):
        make_classifier(Recipe(model="test_resnet", weights=path, image_size=32, model_args=model_args), 3)


def test_a_checkpoint_of_a_model_without_logits_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    save_checkpoint(make_classifier(Recipe(model="test_resnet", image_size=32), 3), path)
    info = path.with_suffix(".json")
    info.write_text(info.read_text().replace('"model_args": {}', '"model_args": {"features_only": true}'))
    with pytest.raises(InputError):
        load_checkpoint(path)


def test_an_image_size_that_a_model_does_not_take_is_an_error_with_its_own_size() -> None:
    with pytest.raises(InputError, match="it is for 224 px; --model-arg img_size=32 may change that"):
        make_classifier(Recipe(model="vit_tiny_patch16_224", image_size=32, model_args={"depth": 1}), 3)


@pytest.mark.parametrize(
    ("model", "near"),
    [
        ("convnextv2_tinny", "convnextv2_tiny"),
        ("ResNet18", "resnet18"),
        ("resnet-18", "resnet18"),
        ("vit_tiny", "vit_tiny_patch16_224"),
        ("resnet18.a1_in", "resnet18.a1_in1k"),
    ],
)
def test_a_misspelt_model_is_an_error_with_the_nearest_names(model: str, near: str) -> None:
    with pytest.raises(InputError, match=rf"has no model .*: did you mean .*\b{near}\b.*\?|cannot be made .*tag"):
        make_classifier(Recipe(model=model), 3)
