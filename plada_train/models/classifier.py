"""Make classifiers (timm models) from a recipe, with weights from the hub or a file; save and load checkpoints.

A checkpoint is `NAME.safetensors`, the weights by timm's names, and `NAME.json`, its `CheckpointInfo`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import huggingface_hub
import torch
from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import nn

from plada_codec.errors import InputError, first_line
from plada_codec.sections.class_names import checked_class_names
from plada_train import json_files
from plada_train.files import write_bytes
from plada_train.models.config import CheckpointInfo, ModelConfig
from plada_train.models.timm_import import timm
from plada_train.models.weight_files import last_layer_prefixes, load_weights, unreadable
from plada_train.recipe import Recipe

#: The hub counts as unreachable if it does not answer within this time.
HUB_TIMEOUT_S = 5
#: Prefixes of names of weights: timm's own weights of a model, and weights of any repository.
TIMM_HUB, ANY_HUB = "hub", "hf-hub"
#: Arguments of `timm.create_model` that follow from others.
OWN_ARGUMENTS = {"num_classes": "the images say the number of classes"}
OWN_ARGUMENTS |= dict.fromkeys(
    ("pretrained", "pretrained_cfg", "pretrained_cfg_overlay", "checkpoint_path"), "--weights names the weights"
)
#: Names of files with weights in a repository, unless timm names another.
HUB_WEIGHTS = ("model.safetensors", "pytorch_model.bin")


def parse_weights(text: str) -> Path | str | None:
    """Convert a value of `--weights` to `Recipe.weights`: a name on the hub, a file, or None for random weights.

    `hub` and `hub:TAG` are timm's pre-trained weights of the model, `hf-hub:OWNER/NAME[@REVISION]` those of any
    repository of the Hugging Face hub, `none` random weights. Everything else is a file (for a file named hub, write
    `./hub`).
    """
    if text == "none":
        return None
    return text if text.partition(":")[0] in (TIMM_HUB, ANY_HUB) else Path(text)


@dataclass(frozen=True)
class Classifier:
    """A network that maps float32 [B, 3, S, S] to logits, float32 [B, C], and its description.

    Attributes:
        network: the network, in evaluation mode except during training.
        config: the model, and the preparation of its images.
        held_out: share of the target's images that it did not learn from (`data.labelled.split_held_out`); None if it
            learnt from all, or this is not known.
        training: everything that its training depended on, by name (`training.checkpoints.identity_of`); None if it is
            not known.
    """

    network: nn.Module
    config: ModelConfig
    held_out: float | None = None
    training: dict[str, str] | None = None

    def features(self, pixels: torch.Tensor) -> torch.Tensor:
        """Compute the input of the last layer: float32 [B, F]."""
        network: Any = self.network
        features: torch.Tensor = network.forward_head(network.forward_features(pixels), pre_logits=True)
        return features

    def last_layer(self) -> nn.Linear:
        """The layer from features to logits. Raises InputError if the model has no such layer."""
        network: Any = self.network
        layer = network.get_classifier()
        if not isinstance(layer, nn.Linear):
            raise InputError(f"{self.config.model} does not end in one linear layer: it cannot be frozen", rule="model")
        return layer

    def weights(self) -> dict[str, torch.Tensor]:
        """A copy of all weights by timm's names, on the CPU and contiguous."""
        state = self.network.state_dict()
        return {name: tensor.cpu().clone(memory_format=torch.contiguous_format) for name, tensor in state.items()}


def make_classifier(recipe: Recipe, num_classes: int, class_names: tuple[str, ...] | None = None) -> Classifier:
    """Make a model with a new last layer for `num_classes` classes, whose weights are zero.

    The size, mean, standard deviation and interpolation of the input come from the recipe, or else from the weights
    (for files, see `_metadata_of_file`).

    Raises:
        InputError: if timm does not have the model, if the model does not take these arguments or images, if weights
            cannot be found or read or do not fit, or if the device does not exist.
    """
    _check_model(recipe.model, recipe.model_args)
    weights = recipe.weights
    if isinstance(weights, str):
        metadata = _metadata_of_hub(weights, recipe.model)
    else:
        metadata = _metadata_of_file(weights, recipe.model) if weights else {}
    model = metadata.get("model", recipe.model)
    model_args = {**metadata.get("model_args", {}), **recipe.model_args}
    network = _create(model, model_args, num_classes, weights if isinstance(weights, str) else None)
    default = timm.data.resolve_data_config({}, model=network)
    config = ModelConfig(
        model=model,
        model_args=model_args,
        num_classes=num_classes,
        class_names=class_names,
        image_size=recipe.image_size or default["input_size"][-1],
        mean=recipe.mean or metadata.get("mean", tuple(default["mean"])),
        std=recipe.std or metadata.get("std", tuple(default["std"])),
        interpolation=default["interpolation"],
    )
    _try_out(network, config)
    if isinstance(weights, Path):
        load_weights(network, weights, model, model_args)
    last = last_layer_prefixes(network)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if name.startswith(last):
                # With a large random layer, some frozen models stay far below their best (72%, not 79%, on resisc12)
                parameter.zero_()
    return _on_device(Classifier(network, config), recipe.device)


def save_checkpoint(classifier: Classifier, path: Path, *, accuracy: float | None = None) -> None:
    """Write the checkpoint `path` (`.safetensors`), and its description `.json` beside it."""
    write_bytes(path, save(classifier.weights()))
    info = CheckpointInfo(
        config=classifier.config, held_out=classifier.held_out, accuracy=accuracy, training=classifier.training
    )
    json_files.write(path.with_suffix(".json"), info)


def load_checkpoint(path: Path, device: str = "cpu") -> Classifier:
    """Read a checkpoint that `save_checkpoint` wrote.

    Raises:
        FileError: if its description cannot be read or is damaged.
        PladaError: if a payload cannot have its class names.
        InputError: if the weights cannot be read or do not fit the model, if timm cannot make the model, or if
            the device does not exist.
    """
    info = json_files.read(path.with_suffix(".json"), CheckpointInfo)
    config = info.config
    if config.class_names is not None:
        checked_class_names(config.class_names, config.num_classes)
    _check_model(config.model, config.model_args)
    network = _create(config.model, config.model_args, config.num_classes)
    try:
        network.load_state_dict(load_file(path))
    except (OSError, SafetensorError, RuntimeError) as error:
        raise InputError(f"{path} is not a checkpoint ({first_line(error)})", rule="checkpoint") from error
    _try_out(network, config)
    return _on_device(Classifier(network, config, info.held_out, info.training), device)


def _check_model(model: str, model_args: Mapping[str, Any] = {}) -> None:
    if not timm.is_model(model):
        known = [*timm.list_models(), *timm.list_pretrained()]
        near = [name for name in known if model and name.startswith(model)] or get_close_matches(model.lower(), known)
        hint = f": did you mean {' or '.join(near[:3])}?" if near else ""
        raise InputError(f"timm {timm.__version__} has no model {model!r}{hint}", rule="model")
    for name in OWN_ARGUMENTS.keys() & model_args.keys():
        raise InputError(f"the argument {name} of a model cannot be given: {OWN_ARGUMENTS[name]}", rule="model")


def _create(model: str, model_args: dict[str, Any], num_classes: int, hub_weights: str | None = None) -> nn.Module:
    """Make a timm model with random weights, or with `hub_weights`, which `_metadata_of_hub` has checked."""
    name = hub_weights if hub_weights and hub_weights.startswith(f"{ANY_HUB}:") else model
    try:
        network: nn.Module = timm.create_model(
            name, pretrained=hub_weights is not None, num_classes=num_classes, **model_args
        )
    except Exception as error:  # each model of timm has its own arguments, and few are checked
        given = [f"{model_args}"] * bool(model_args) + [f"weights {hub_weights}"] * bool(hub_weights)
        how = f" with {' and '.join(given)}" if given else ""
        raise InputError(f"{model} cannot be made{how} ({first_line(error)})", rule="model") from error
    return network


def _metadata_of_hub(weights: str, model: str) -> dict[str, Any]:
    """Check weights on the hub; return `model` (timm's name with a tag) or `model_args`."""
    architecture, _, tag = model.partition(".")
    source, _, name = weights.partition(":")
    if source == ANY_HUB:
        if not re.fullmatch(r"[\w.-]+/[\w.-]+(@[^@]+)?", name):
            raise InputError(f"weights {weights!r} must be named {ANY_HUB}:OWNER/NAME", rule="weights")
        _reach_hub(name, "config.json")
        try:
            config, of_architecture, model_args = timm.models.load_model_config_from_hf(name)
            # Only the repository knows this size: a model made from its name alone would have timm's usual size
            size = {"img_size": config["input_size"][-1]} if config.get("fixed_input_size") else {}
        except Exception as error:  # timm does not check the repository's config.json
            raise InputError(f"{weights} is not a timm model ({first_line(error)})", rule="weights") from error
        if of_architecture != architecture:
            raise InputError(f"{weights} does not fit {model}: its architecture is {of_architecture}", rule="weights")
        _reach_hub(name, *HUB_WEIGHTS)
        return {"model_args": {**size, **model_args}}
    tags = [known.partition(".")[2] for known in timm.list_pretrained(architecture)]
    if not tags:
        raise InputError(f"timm has no weights for {architecture}: give --weights FILE or none", rule="weights")
    tag = name or tag or timm.get_pretrained_cfg(architecture).tag or ""
    if tag not in tags:
        raise InputError(f"timm has no weights {tag!r} for {architecture}; it has {', '.join(tags)}", rule="weights")
    tagged = f"{architecture}.{tag}" if tag else architecture
    config = timm.get_pretrained_cfg(tagged)
    if config.hf_hub_id:
        _reach_hub(config.hf_hub_id, *([config.hf_hub_filename] if config.hf_hub_filename else HUB_WEIGHTS))
    return {"model": tagged}


def _reach_hub(repository: str, *filenames: str) -> None:
    """Raise InputError at once if the hub has none of the files: timm itself would try for a minute."""
    name, _, at = repository.partition("@")
    revision = at or None
    cached = (huggingface_hub.try_to_load_from_cache(name, filename, revision=revision) for filename in filenames)
    if any(isinstance(path, str) for path in cached):
        return
    try:
        url = huggingface_hub.hf_hub_url(name, filenames[0], revision=revision)
        huggingface_hub.get_hf_file_metadata(url, timeout=HUB_TIMEOUT_S)
    except EntryNotFoundError:
        pass  # the hub answers; timm knows another name of the weights
    except HfHubHTTPError as error:
        raise InputError(f"the hub does not give {repository} ({first_line(error)})", rule="weights") from error
    except Exception as error:  # huggingface_hub passes on errors of its HTTP client, which changed between versions
        what = f"weights {repository} are not in the cache and the hub cannot be reached ({first_line(error)})"
        raise InputError(f"{what}: give --weights FILE or none", rule="weights") from error


def _metadata_of_file(path: Path, model: str) -> dict[str, Any]:
    """Read `model_args`, `mean` and `std` from the metadata `pad_type` and `input` of a safetensors file."""
    if not path.is_file():
        what = "is a folder: name the file of weights in it" if path.is_dir() else "does not exist"
        raise InputError(f"{path} {what}", rule="weights")
    if path.suffix != ".safetensors":
        return {}
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
    except (OSError, SafetensorError) as error:
        raise unreadable(path, error) from error
    architecture = model.partition(".")[0]
    if metadata.get("arch", architecture) != architecture:
        raise InputError(f"{path} does not fit {model}: its architecture is {metadata['arch']}", rule="weights")
    said: dict[str, Any] = {}
    if "pad_type" in metadata:
        said["model_args"] = {"pad_type": metadata["pad_type"]}
    if metadata.get("input", "").endswith("x/127.5-1"):
        said["mean"] = said["std"] = (0.5, 0.5, 0.5)
    return said


def _try_out(network: nn.Module, config: ModelConfig) -> None:
    """Raise InputError unless the model maps an image of this size to logits, so that this does not fail later."""
    size = config.image_size
    made = f"{config.model} with {config.model_args}" if config.model_args else config.model
    try:
        with torch.inference_mode():
            output = network.eval()(torch.zeros(1, 3, size, size))
    except Exception as error:  # models may raise any error for images that are too small
        what = f"{made} takes no images of {size} px ({first_line(error)})"
        usual: Any = network.pretrained_cfg
        if usual.get("fixed_input_size") and usual["input_size"][-1] != size and "img_size" not in config.model_args:
            what += f": it is for {usual['input_size'][-1]} px; --model-arg img_size={size} may change that"
        raise InputError(what, rule="model") from error
    if not isinstance(output, torch.Tensor) or output.shape != (1, config.num_classes):
        given = f"a tensor {list(output.shape)}" if isinstance(output, torch.Tensor) else f"a {type(output).__name__}"
        what = f"{made} does not classify: for one image and {config.num_classes} classes, its output is {given}"
        raise InputError(f"{what} and not [1, {config.num_classes}]", rule="model")


def _on_device(classifier: Classifier, device: str) -> Classifier:
    try:
        # Twice as fast as the default on CPUs
        network: Any = classifier.network
        network.to(device, memory_format=torch.channels_last)
        torch.zeros(1, device=device).item()
    except (RuntimeError, AssertionError) as error:  # AssertionError: this torch has no CUDA
        raise InputError(f"device {device!r} cannot be used ({first_line(error)})", rule="device") from error
    return classifier
