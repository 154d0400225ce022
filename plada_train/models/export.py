"""Export models for other runtimes: as ONNX, or only the weights.

An ONNX file maps `images`, float32 [N, 3, S, S] with any N, to `logits`, float32 [N, C]. Its metadata, each value as
JSON, say how to prepare images. spec/reference-images.md makes an RGB image of a file. Scale its shorter side to
`image_size` pixels by `interpolation`, crop the central square, scale its values to 0 .. 1, subtract `mean` and divide
by `std`, by channel.
"""

from __future__ import annotations

import io
import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save

from plada_codec.errors import InputError, first_line
from plada_codec.files import atomic_write
from plada_train.models.classifier import Classifier
from plada_train.models.config import ModelConfig

#: Version of ONNX's operators, and the oldest version of files that has them: older runtimes read it too.
OPSET, IR_VERSION = 18, 8
#: The limit of protobuf, and so of a single ONNX file, minus a margin for the graph.
MAX_ONNX_BYTES = 2**31 - 2**24


def export(classifier: Classifier, path: Path) -> None:
    """Write a model in the format that the suffix of `path` names; see `FORMATS`.

    Raises:
        InputError: if there is no format with this suffix, or if ONNX cannot express the model or hold it in one file.
        FileError: if the file cannot be written.
        ModuleNotFoundError: if the format is ONNX and the extra `export` is not installed.
    """
    if path.suffix not in FORMATS:
        raise InputError(f"{path} must end in one of {', '.join(FORMATS)}", rule="format")
    exported = FORMATS[path.suffix](classifier)
    with atomic_write(path) as file:
        file.write(exported)


def image_metadata(config: ModelConfig) -> dict[str, str]:
    """Everything that a client needs to prepare images and to name classes, each value as JSON."""
    names = ("model", "image_size", "mean", "std", "interpolation", "class_names")
    return {name: json.dumps(getattr(config, name)) for name in names}


def _onnx(classifier: Classifier) -> bytes:
    import onnxscript  # noqa: F401  # if it is missing, torch's own error has many lines

    network, config = classifier.network.eval(), classifier.config
    if sum(tensor.nbytes for tensor in network.state_dict().values()) > MAX_ONNX_BYTES:
        raise InputError(f"{config.model} does not fit one ONNX file (2 GB): export .safetensors", rule="format")
    images = torch.zeros(2, 3, config.image_size, config.image_size)  # torch would take a batch of one for a constant
    try:
        with warnings.catch_warnings(action="ignore"):
            program: Any = torch.onnx.export(
                network,
                (images,),
                input_names=["images"],
                output_names=["logits"],
                dynamic_shapes=({0: torch.export.Dim("N")},),
                opset_version=OPSET,
                dynamo=True,
                verbose=False,
            )
    except Exception as error:  # the exporter runs the model's code on symbolic values: any error is possible
        raise InputError(f"{config.model} cannot be exported to ONNX ({first_line(error)})", rule="format") from error
    model: Any = program.model_proto
    model.ir_version = IR_VERSION
    graph = model.graph
    for part in (model, graph, *graph.node, *graph.input, *graph.output, *graph.value_info, *graph.initializer):
        part.ClearField("metadata_props")  # the exporter's notes, such as stack traces; newer than IR_VERSION
    for key, value in image_metadata(config).items():
        model.metadata_props.add(key=key, value=value)
    data: bytes = model.SerializeToString(deterministic=True)
    return data


def _state_dict(classifier: Classifier) -> bytes:
    data = io.BytesIO()
    torch.save(classifier.weights(), data)
    return data.getvalue()


#: The formats by suffix: ONNX; and the plain `state_dict`, with timm's names, as torch and as safetensors.
FORMATS: dict[str, Callable[[Classifier], bytes]] = {
    ".onnx": _onnx,
    ".pt": _state_dict,
    ".safetensors": lambda classifier: save(classifier.weights()),
}
