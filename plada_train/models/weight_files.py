"""Load weights from files of others into a timm model: as timm would, and never only a part of them.

Other programs put a prefix before all names (`module.`, `model.`, `resnet.`), or their weights into a part of the file
(`{"net": ...}`); old ones do not count batches; a ViT may be for images of another size. timm has a filter for the
files of each model, which renames weights and resizes position embeddings. The last layer is for other classes: it is
not loaded.
"""

from __future__ import annotations

import math
import pickle
import re
import threading
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import nn

from plada_codec.errors import InputError, PladaWarning, first_line
from plada_train.models.timm_import import timm

#: Weights by name.
Weights = dict[str, torch.Tensor]
#: Buffers of batch norms that files of torch before 0.4.1 do not have; nothing is computed from them.
UNCOUNTED = "num_batches_tracked"
#: Parts of files are looked for in this many levels of dictionaries.
_MAX_DEPTH = 3
#: Parts of the names of weights whose shapes depend on the size of the images.
_POSITIONS = ("pos_embed", "pos_emb", "rel_pos", "relative_position", "position")
#: First bytes of files that are not weights.
_LOOKS = (
    (rb"version https:", "it is a pointer of Git LFS: run git lfs pull"),
    (rb"\s*<", "it is a web page: download the file again"),
)
#: First bytes of files of safetensors: the size of a header, and the header.
_SAFETENSORS = rb".{3}\x00{5}\{"
#: `_filter_of` changes timm for a moment.
_timm_lock = threading.Lock()


def load_weights(network: nn.Module, path: Path, model: str, model_args: dict[str, Any]) -> None:
    """Load the weights of a file (safetensors or pth) into `network`, all but those of its last layer.

    Args:
        network: the model.
        path: the file.
        model: timm's name of the model.
        model_args: the further arguments of `timm.create_model` that made it.

    Raises:
        InputError: if the file cannot be read, or if its weights are not those of this model.

    Warns:
        PladaWarning: if the file has further weights, which are not used.
    """
    parts = _parts(path)
    fits = _fits(network, parts, lambda weights: weights)
    if not any(fit.is_whole for fit in fits):
        fits += _fits(network, parts, *_filter_of(model, model_args, network))
    whole = [fit for fit in fits if fit.is_whole]
    if len(whole) > 1:
        names = " and ".join(repr(fit.name) for fit in whole)
        what = f"{path} has several sets of weights for {model}, {names}: write one of them to a file of its own"
        raise InputError(what, rule="weights")
    if not whole:
        raise InputError(f"{path} does not fit {model}: {_difference(network, fits, parts)}", rule="weights")
    (fit,) = whole
    if fit.outside:
        what = f"{path}: only {fit.name!r} is used; not {_count(fit.outside)} outside it, such as {fit.outside[0]}"
        warnings.warn(what, PladaWarning, stacklevel=3)
    _check_values(network, fit.weights, path)
    network.load_state_dict(fit.weights, strict=False)


def _check_values(network: nn.Module, weights: Weights, path: Path) -> None:
    """Refuse weights that torch would take, but not as the numbers that they were for the program that wrote them."""
    wanted = network.state_dict()
    odd = [name for name, weight in weights.items() if not _is_like(weight, wanted[name])]
    if odd:
        kind = weights[odd[0]]
        what = f"{path} has {_count(odd)} of another kind, such as {odd[0]}: {kind.dtype}, {kind.layout}, {kind.device}"
        raise InputError(f"{what}: write a state_dict of floating-point numbers", rule="weights")
    broken = [name for name, _ in network.named_parameters() if name in weights and not _is_finite(weights[name])]
    if broken:
        what = f"{path} has {_count(broken)} with values that are not finite, such as {broken[0]}"
        raise InputError(f"{what}: its training may have diverged", rule="weights")


def _is_like(weight: torch.Tensor, wanted: torch.Tensor) -> bool:
    """Whether the values of a weight are in memory, and of the kind that the model has: quantised ones are not."""
    if weight.layout != torch.strided or weight.is_meta or weight.is_quantized:
        return False
    return weight.is_floating_point() or not (wanted.is_floating_point() or weight.is_complex())


def _is_finite(weight: torch.Tensor) -> bool:
    return bool(torch.isfinite(weight.float()).all())


def last_layer_prefixes(network: nn.Module) -> tuple[str, ...]:
    """Prefixes of the names of the last layer's parameters."""
    pretrained: Any = network.pretrained_cfg
    named = pretrained.get("classifier") or ()
    return tuple(f"{layer}." for layer in ([named] if isinstance(named, str) else named))


@dataclass(frozen=True)
class _Fit:
    """A comparison of a model with one set of weights in a file.

    Attributes:
        part: name of the part of the file; "" for the whole file.
        prefix: beginning of the names of these weights in the file.
        weights: the weights by the model's names, without the last layer.
        missing, unknown, reshaped: names of weights that only the model has, that only the file has, and that have
            another shape in the file.
        outside: names of weights in the part that do not begin with `prefix`.
    """

    part: str
    prefix: str
    weights: Weights
    missing: list[str]
    unknown: list[str]
    reshaped: list[str]
    outside: list[str]

    @property
    def is_whole(self) -> bool:
        """Whether all weights of the model are there, and no others."""
        return not (self.missing or self.unknown or self.reshaped)

    @property
    def name(self) -> str:
        """Name of this set of weights within the file."""
        return ".".join(filter(None, (self.part, self.prefix.removesuffix("."))))


def _parts(path: Path) -> dict[str, Weights]:
    """The sets of weights in a file, by the names of the dictionaries that hold them."""
    try:
        content = timm.models.load_state_dict(str(path), weights_only=True)
    except Exception as error:  # unpickling damaged bytes may raise any error, and the file may hold any object
        if classes := _classes_of(path, error):
            what = f"{path} holds objects of Python, such as {classes[0]}, and not only weights"
            raise InputError(f"{what}: write its state_dict to a file", rule="weights") from error
        raise unreadable(path, error) from error
    if not (parts := dict(_weights_in(content))):
        raise InputError(f"{path} cannot be read as weights (it has no weights by name)", rule="weights")
    return parts


def unreadable(path: Path, error: Exception) -> InputError:
    """The error for a file that is not one of weights: what it looks like, or else the reason."""
    try:
        with path.open("rb") as file:
            head = file.read(16)
    except OSError:
        head = b""
    looks = next((what for first, what in _LOOKS if re.match(first, head, re.IGNORECASE)), "")
    is_safetensors = bool(re.match(_SAFETENSORS, head, re.DOTALL))
    if not looks and is_safetensors != (path.suffix == ".safetensors"):
        looks = f"its name must{'' if is_safetensors else ' not'} end with .safetensors"
    reason = first_line(error)
    if "weights_only" in reason:
        reason = "it is no checkpoint of torch, or a program of TorchScript"  # torch advises to run it
    return InputError(f"{path} cannot be read as weights ({looks or reason})", rule="weights")


def _classes_of(path: Path, error: Exception) -> list[str]:
    """Names of the classes that a pickled file needs besides torch's own, if `error` is about them."""
    if not any(isinstance(each, pickle.UnpicklingError) for each in (error, error.__cause__)):
        return []
    try:
        # Since torch 2.6
        classes: list[str] = torch.serialization.get_unsafe_globals_in_checkpoint(str(path))
    except Exception:  # the file may be damaged in any way
        return []
    return sorted(classes)


def _weights_in(content: Any, name: str = "", depth: int = _MAX_DEPTH) -> Iterator[tuple[str, Weights]]:
    if not isinstance(content, Mapping):
        return
    named = {key: value for key, value in content.items() if isinstance(key, str)}
    if weights := {key: value for key, value in named.items() if isinstance(value, torch.Tensor)}:
        yield name, weights
    if depth:
        for key, value in named.items():
            yield from _weights_in(value, f"{name}.{key}" if name else key, depth - 1)


def _fits(
    network: nn.Module, parts: dict[str, Weights], convert: Callable[[Weights], Weights], strict: bool = True
) -> list[_Fit]:
    """Compare a model with all sets of weights of a file, after `convert`; of each part, the whole one alone if any."""
    fits = []
    for part, weights in parts.items():
        of_part = [_fit(network, part, weights, prefix, convert, strict) for prefix in _prefixes(network, weights)]
        fits += next(([fit] for fit in of_part[:1] if fit.is_whole), of_part)
    return fits


def _prefixes(network: nn.Module, weights: Weights) -> list[str]:
    """Possible prefixes of the names in a file, the empty one first."""
    wanted = network.state_dict().keys()
    found: Counter[str] = Counter()
    for name in weights:
        words = name.split(".")
        tails = ((".".join(words[:i]), ".".join(words[i:])) for i in range(1, len(words)))
        found.update(f"{head}." for head, tail in tails if tail in wanted)
    most = max(found.values(), default=0)
    likely = [prefix for prefix, count in found.items() if 2 * count > most]
    return list(dict.fromkeys(["", *_common_prefixes(weights), *likely]))


def _common_prefixes(weights: Weights) -> list[str]:
    """All that the names of all weights begin with, in whole words: "a.", "a.b.", ..."""
    first, *others = ([*name.split(".")[:-1]] for name in weights)
    common = 0
    while common < len(first) and all(words[: common + 1] == first[: common + 1] for words in others):
        common += 1
    return [f"{'.'.join(first[: i + 1])}." for i in range(common)]


def _fit(
    network: nn.Module,
    part: str,
    weights: Weights,
    prefix: str,
    convert: Callable[[Weights], Weights],
    strict: bool,
) -> _Fit:
    last = last_layer_prefixes(network)
    inside = {name.removeprefix(prefix): weight for name, weight in weights.items() if name.startswith(prefix)}
    try:
        converted = convert(inside)
    except Exception:  # filters of timm expect certain names, and raise any error without them
        converted = inside
    given = {
        name: weight
        for name, weight in converted.items()
        if isinstance(weight, torch.Tensor) and not name.startswith(last)
    }
    wanted = {name: weight.shape for name, weight in network.state_dict().items() if not name.startswith(last)}
    return _Fit(
        part=part,
        prefix=prefix,
        weights={name: given[name] for name in given if name in wanted},
        missing=[name for name in wanted if name not in given and not name.endswith(UNCOUNTED)],
        unknown=[name for name in given if name not in wanted] if strict else [],
        reshaped=[name for name in wanted if name in given and given[name].shape != wanted[name]],
        outside=[name for name in weights if not name.startswith(prefix)],
    )


def _filter_of(model: str, model_args: dict[str, Any], network: nn.Module) -> tuple[Callable[[Weights], Weights], bool]:
    """Timm's filter of this model's files, and whether its files have all weights of the model and no others."""
    builder: Any = import_module("timm.models._builder")
    given: dict[str, Any] = {}

    def load_nothing(*_: Any, **arguments: Any) -> None:
        given.update(arguments)

    with _timm_lock:
        load_pretrained = builder.load_pretrained
        # timm gives the filter, which may depend on the model, to this function alone
        builder.load_pretrained = load_nothing
        try:
            timm.create_model(model, pretrained=True, **model_args)
        finally:
            builder.load_pretrained = load_pretrained
    if given.get("filter_fn") is None:
        return dict, True
    return partial(_call_filter, given["filter_fn"], network), given.get("strict", True)


def _call_filter(filter_fn: Callable[..., Weights], network: nn.Module, weights: Weights) -> Weights:
    try:
        return filter_fn(dict(weights), network)
    except TypeError:
        return filter_fn(dict(weights))  # old filters do not need the model


def _difference(network: nn.Module, fits: list[_Fit], parts: dict[str, Weights]) -> str:
    """The difference of a model and the most similar weights of a file."""
    fit = min(fits, key=lambda fit: (len(fit.missing), len(fit.unknown) + len(fit.reshaped)))
    if fit.missing:
        others = f", and has {_count(fit.unknown)} of other names, such as {fit.unknown[0]}" if fit.unknown else ""
        common = _common_prefixes(parts[fit.part])
        begin = f" (all its names begin with {common[-1]!r})" if common else ""
        return f"it lacks {_count(fit.missing)}, such as {fit.missing[0]}{others}{begin}"
    if fit.unknown:
        what = f"it has {_count(fit.unknown)} that the model does not have, such as {fit.unknown[0]}"
        return f"{what}: if they are not for this model, write a file without them"
    name = fit.reshaped[0]
    shapes = f"{name} is {list(fit.weights[name].shape)} and not {list(network.state_dict()[name].shape)}"
    if not all(any(word in each for word in _POSITIONS) for each in fit.reshaped):
        return f"it has another shape of {_count(fit.reshaped)}: {shapes}"
    size = _image_size(network, fit.weights[name])
    if size is None:
        return f"its weights are for images of another size: {shapes}"
    cure = f"give --model-arg img_size={size} and --image-size {size}"
    return f"its weights are for images of {size} px ({shapes}): {cure}"


def _count(names: list[str]) -> str:
    return f"{len(names)} weight{'s' if len(names) > 1 else ''}"


def _image_size(network: nn.Module, positions: torch.Tensor) -> int | None:
    """Side of the images that position embeddings [1, T, F] are for, in pixels; None if it is not known."""
    anything: Any = network
    patch_size = getattr(getattr(anything, "patch_embed", None), "patch_size", None)
    if positions.dim() != 3 or not isinstance(patch_size, tuple):
        return None
    # Some models have no position for the token of the class
    for others in (int(getattr(anything, "num_prefix_tokens", 0)), 0):
        patches = positions.shape[1] - others
        side = math.isqrt(max(0, patches))
        if side and side**2 == patches:
            return side * int(patch_size[0])
    return None
