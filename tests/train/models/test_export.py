"""Exported models, in another runtime: the same logits for any number of images, from images prepared by metadata."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("onnxscript")
onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

import torch
from click.testing import CliRunner, Result
from PIL import Image
from safetensors.torch import load_file

from plada_codec.errors import InputError
from plada_train.cli.main import main
from plada_train.models import export as exporting
from plada_train.models.classifier import Classifier, make_classifier, save_checkpoint
from plada_train.models.export import IR_VERSION, OPSET, export
from plada_train.models.timm_import import timm
from plada_train.recipe import Recipe

pytestmark = pytest.mark.training

NAMES = ("grün", "red", "blue")


def classifier(model: str = "test_resnet", image_size: int | None = 32) -> Classifier:
    """A model that is sure of nothing yet, but whose last layer is not zero."""
    torch.manual_seed(0)
    made = make_classifier(Recipe(model=model, image_size=image_size, mean=(0.4, 0.5, 0.6)), 3, NAMES)
    with torch.no_grad():
        made.last_layer().weight.normal_()
    return made


def logits(made: Classifier, images: torch.Tensor) -> np.ndarray:
    with torch.inference_mode():
        result: np.ndarray = made.network.eval()(images).numpy()
    return result


def run(path: Path, images: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    [result] = session.run(["logits"], {"images": images})
    return np.asarray(result)


def assert_close(result: np.ndarray, expected: np.ndarray) -> None:
    np.testing.assert_allclose(result, expected, rtol=1e-3, atol=1e-3 * np.abs(expected).max())


def plada_train(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments], prog_name="plada-train")


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("checkpoint") / "student.safetensors"
    save_checkpoint(classifier(), path)
    return path


@pytest.fixture(scope="session")
def exported(checkpoint: Path) -> Path:
    """Export the checkpoint with the command, check its output, and return the path of the ONNX file."""
    path = checkpoint.with_suffix(".onnx")
    result = plada_train("export", "--checkpoint", checkpoint, "--output", path)
    assert result.exit_code == 0, result.output
    assert result.stdout == f"{path}: test_resnet, 32 x 32 pixels, 3 classes, {path.stat().st_size} bytes\n"
    assert result.stderr == ""
    return path


@pytest.mark.parametrize(
    ("model", "image_size"), [("test_resnet", 32), ("mobilenetv4_conv_small_035", 64), ("test_vit", None)]
)
def test_an_onnx_file_gives_the_same_logits_for_any_number_of_images(
    tmp_path: Path, model: str, image_size: int | None
) -> None:
    made = classifier(model, image_size)
    path = tmp_path / "student.onnx"
    export(made, path)
    assert list(tmp_path.iterdir()) == [path]
    size = made.config.image_size
    for number in (1, 5):
        images = torch.randn(number, 3, size, size)
        assert_close(run(path, images.numpy()), logits(made, images))
    file = onnx.load(path)
    onnx.checker.check_model(file, full_check=True)
    assert file.ir_version == IR_VERSION
    assert [(opset.domain, opset.version) for opset in file.opset_import] == [("", OPSET)]


def test_images_prepared_by_the_metadata_alone_get_the_same_logits(exported: Path) -> None:
    """A client needs only onnxruntime, Pillow and numpy."""
    session = onnxruntime.InferenceSession(exported, providers=["CPUExecutionProvider"])
    said: dict[str, Any] = {k: json.loads(v) for k, v in session.get_modelmeta().custom_metadata_map.items()}
    assert said["class_names"] == list(NAMES)
    assert said["model"] == "test_resnet"

    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (50, 70, 3), dtype=np.uint8))
    size = said["image_size"]
    scaled = picture.resize((size * 70 // 50, size), Image.Resampling[said["interpolation"].upper()])
    left = round((scaled.width - size) / 2)
    values = np.asarray(scaled.crop((left, 0, left + size, size)), np.float32) / 255
    image = ((values - said["mean"]) / said["std"]).transpose(2, 0, 1)[None].astype(np.float32)

    made = classifier()
    assert_close(run(exported, image), logits(made, made.config.transform()(picture)[None]))


def test_the_same_model_gives_the_same_file_without_a_trace_of_the_machine(exported: Path, tmp_path: Path) -> None:
    export(classifier(), tmp_path / "again.onnx")
    data = exported.read_bytes()
    assert data == (tmp_path / "again.onnx").read_bytes()
    assert b".py" not in data
    assert str(Path(timm.__file__).parent).encode() not in data


@pytest.mark.parametrize("suffix", ["pt", "safetensors"])
def test_plain_weights_load_into_the_same_model_of_timm(checkpoint: Path, tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"plain.{suffix}"
    assert plada_train("export", "--checkpoint", checkpoint, "--output", path).exit_code == 0
    assert list(tmp_path.iterdir()) == [path]
    network = timm.create_model("test_resnet", num_classes=3)
    network.load_state_dict(torch.load(path, weights_only=True) if suffix == "pt" else load_file(path))
    images = torch.randn(2, 3, 32, 32)
    made = classifier()
    assert_close(logits(replace(made, network=network), images), logits(made, images))


@pytest.mark.parametrize(
    ("checkpoint_name", "output", "text"),
    [
        (None, "student.tflite", "must end in one of .onnx, .pt, .safetensors"),
        (None, "student", "must end in one of"),
        ("nowhere.safetensors", "student.onnx", "cannot read nowhere.json"),
    ],
)
def test_a_model_that_cannot_be_exported_is_one_line_and_exit_code_1(
    checkpoint: Path, tmp_path: Path, checkpoint_name: str | None, output: str, text: str
) -> None:
    result = plada_train("export", "--checkpoint", checkpoint_name or checkpoint, "--output", tmp_path / output)
    assert result.exit_code == 1
    assert result.stderr.count("\n") == 1
    assert text in result.stderr
    assert not list(tmp_path.iterdir())


def test_without_onnxscript_one_line_says_what_to_install(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    result = plada_train("export", "--checkpoint", checkpoint, "--output", tmp_path / "student.onnx")
    assert result.exit_code == 1
    assert result.stderr == "plada-train: onnxscript is not installed: pip install plada[export]\n"
    assert plada_train("export", "--checkpoint", checkpoint, "--output", tmp_path / "student.pt").exit_code == 0


def test_a_model_that_onnx_cannot_hold_or_express_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = classifier()
    path = tmp_path / "student.onnx"

    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError("no such operator\nand much more")

    monkeypatch.setattr(torch.onnx, "export", fail)
    with pytest.raises(InputError, match=r"test_resnet cannot be exported to ONNX \(no such operator\)"):
        export(made, path)
    monkeypatch.setattr(exporting, "MAX_ONNX_BYTES", 1000)
    with pytest.raises(InputError, match="does not fit one ONNX file"):
        export(made, path)
    assert not path.exists()
