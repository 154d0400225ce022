"""Sources of a model's weights: timm's hub, other repositories, a file, or none; all without a network."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

import huggingface_hub
import torch
from huggingface_hub import constants
from safetensors.torch import save_file

from plada_codec.errors import InputError
from plada_train.models.classifier import (
    HUB_TIMEOUT_S,
    load_checkpoint,
    make_classifier,
    parse_weights,
    save_checkpoint,
)
from plada_train.models.timm_import import timm
from plada_train.recipe import Recipe

pytestmark = pytest.mark.training

TAGGED = "test_resnet.r160_in1k"


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of the hub, while the hub is out of reach."""
    cache = tmp_path / "hub"
    cache.mkdir()
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    return cache


def publish(hub: Path, repository: str, network: torch.nn.Module, config: dict[str, Any] | None = None) -> None:
    """Put a repository into the cache, as a download would."""
    commit = "0" * 40
    folder = hub / f"models--{repository.replace('/', '--')}"
    snapshot = folder / "snapshots" / commit
    snapshot.mkdir(parents=True)
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text(commit)
    save_file(dict(network.state_dict()), snapshot / "model.safetensors")
    if config is not None:
        (snapshot / "config.json").write_text(json.dumps(config))


def assert_same_but_for_the_last_layer(network: Any, published: Any) -> None:
    theirs = published.state_dict()
    last = published.pretrained_cfg["classifier"]
    for name, tensor in network.state_dict().items():
        if name.startswith(last):
            assert not tensor.any()
        else:
            assert torch.equal(tensor, theirs[name])


@pytest.mark.parametrize(
    ("text", "weights"),
    [
        ("none", None),
        ("hub", "hub"),
        ("hub:a1_in1k", "hub:a1_in1k"),
        ("hf-hub:owner/name", "hf-hub:owner/name"),
        ("w.safetensors", Path("w.safetensors")),
        ("./hub", Path("./hub")),
        ("hubble.pth", Path("hubble.pth")),
    ],
)
def test_a_value_of_weights_names_the_hub_a_file_or_random_weights(text: str, weights: Path | str | None) -> None:
    assert parse_weights(text) == weights


@pytest.mark.parametrize(
    ("model", "weights"), [("test_resnet", "hub"), ("test_resnet", "hub:r160_in1k"), (TAGGED, "hub")]
)
def test_timms_weights_are_loaded_but_for_the_last_layer_and_named_in_the_checkpoint(
    hub: Path, tmp_path: Path, model: str, weights: str
) -> None:
    published = timm.create_model("test_resnet")
    publish(hub, f"timm/{TAGGED}", published)
    classifier = make_classifier(Recipe(model=model, weights=weights), 3)
    assert_same_but_for_the_last_layer(classifier.network, published)
    said = timm.get_pretrained_cfg(TAGGED)
    config = classifier.config
    assert (config.model, config.image_size) == (TAGGED, said.input_size[-1])
    assert (config.mean, config.std, config.interpolation) == (said.mean, said.std, said.interpolation)
    save_checkpoint(classifier, tmp_path / "model.safetensors")
    assert load_checkpoint(tmp_path / "model.safetensors").config == config


def test_the_input_of_the_recipe_overrides_that_of_the_weights(hub: Path) -> None:
    publish(hub, f"timm/{TAGGED}", timm.create_model("test_resnet"))
    recipe = Recipe(model="test_resnet", weights="hub", image_size=24, mean=(0.1, 0.2, 0.3), std=(0.4, 0.5, 0.6))
    config = make_classifier(recipe, 3).config
    assert (config.image_size, config.mean, config.std) == (24, recipe.mean, recipe.std)


def test_a_repositorys_weights_come_with_its_input_and_can_be_made_again_without_it(hub: Path, tmp_path: Path) -> None:
    published = timm.create_model("test_vit", img_size=96, num_classes=7)
    said = {"input_size": [3, 96, 96], "fixed_input_size": True, "mean": [0.1, 0.2, 0.3], "std": [0.4, 0.5, 0.6]}
    said |= {"interpolation": "bilinear", "classifier": "head", "num_classes": 7, "first_conv": "patch_embed.proj"}
    publish(hub, "owner/name", published, {"architecture": "test_vit", "num_classes": 7, "pretrained_cfg": said})
    classifier = make_classifier(Recipe(model="test_vit", weights="hf-hub:owner/name"), 3)
    assert_same_but_for_the_last_layer(classifier.network, published)
    config = asdict(classifier.config)
    assert config | {"image_size": 96, "mean": (0.1, 0.2, 0.3), "std": (0.4, 0.5, 0.6)} == config
    assert config["interpolation"] == "bilinear"
    save_checkpoint(classifier, tmp_path / "model.safetensors")
    (hub / "models--owner--name").rename(tmp_path / "gone")
    assert load_checkpoint(tmp_path / "model.safetensors").config == classifier.config
    publish(hub, "owner/other", published, {"architecture": "test_resnet", "pretrained_cfg": said})
    with pytest.raises(InputError, match="hf-hub:owner/other does not fit test_vit: its architecture is test_resnet"):
        make_classifier(Recipe(model="test_vit", weights="hf-hub:owner/other"), 3)


@pytest.mark.parametrize("weights", ["hub", "hub:r160_in1k", "hf-hub:owner/name", "hf-hub:owner/name@v2"])
def test_a_hub_out_of_reach_is_asked_once_and_the_error_says_what_to_do(
    hub: Path, monkeypatch: pytest.MonkeyPatch, weights: str
) -> None:
    asked = []

    def unreachable(url: str, timeout: float) -> None:
        asked.append((url, timeout))
        raise ConnectionError("no route to host")

    monkeypatch.setattr(huggingface_hub, "get_hf_file_metadata", unreachable)
    with pytest.raises(InputError, match=r"reached \(no route to host\): give --weights FILE or none") as caught:
        make_classifier(Recipe(model="test_resnet", weights=weights), 3)
    assert "\n" not in str(caught.value)
    [(url, timeout)] = asked
    assert timeout == HUB_TIMEOUT_S
    assert ("timm/test_resnet" if weights.startswith("hub") else "owner/name") in url
    assert ("/v2/" in url) == weights.endswith("@v2")


def test_offline_mode_is_a_hub_out_of_reach(hub: Path) -> None:
    with pytest.raises(InputError, match="cannot be reached"):
        make_classifier(Recipe(model="test_resnet", weights="hub"), 3)


@pytest.mark.parametrize(
    ("model", "weights", "text"),
    [
        ("resnet18", "hub:a4_in1k", "no weights 'a4_in1k' for resnet18; it has a1_in1k, a2_in1k,"),
        ("resnet18.a4_in1k", "hub", "no weights 'a4_in1k' for resnet18"),
        ("coatnet_0_224", "hub", "no weights for coatnet_0_224: give --weights FILE or none"),
        ("resnet_of_mine", "hub", "no model 'resnet_of_mine'"),
        ("resnet18", "hf-hub:name", "'hf-hub:name' must be named hf-hub:OWNER/NAME"),
        ("resnet18", "hf-hub:", "must be named"),
    ],
)
def test_missing_weights_are_an_error_that_names_the_available_ones(
    hub: Path, model: str, weights: str, text: str
) -> None:
    with pytest.raises(InputError, match=text):
        make_classifier(Recipe(model=model, weights=weights), 3)


def test_a_file_for_an_architecture_fits_every_tag_of_it(tmp_path: Path) -> None:
    published = timm.create_model("test_resnet")
    path = tmp_path / "w.safetensors"
    save_file(dict(published.state_dict()), path, {"arch": "test_resnet"})
    assert_same_but_for_the_last_layer(make_classifier(Recipe(model=TAGGED, weights=path), 3).network, published)
