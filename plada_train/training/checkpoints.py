"""Keep the state of an unfinished training in a file, from which the same command continues.

Batches, augmentation and learning rate depend only on the number of the step: the state is step, module and optimizer.
The file is 32 bytes, the SHA-256 of the rest, and the output of `torch.save`.
"""

from __future__ import annotations

import hashlib
import io
import time
import warnings
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import nn

from plada_codec.errors import InputError, PladaWarning
from plada_train import distributed, json_files
from plada_train.data.labelled import LabelledImages
from plada_train.files import read_bytes, write_bytes
from plada_train.models.classifier import Classifier
from plada_train.models.config import CheckpointInfo
from plada_train.models.inference import fingerprint
from plada_train.models.timm_import import timm
from plada_train.recipe import Recipe

#: Fields of a recipe that do not change the result.
IRRELEVANT = {"workers", "checkpoint_s"}
#: Bytes of the SHA-256 at the beginning of the file.
DIGEST_BYTES = 32


class Checkpoint:
    """The file with the state of one training.

    Args:
        path: path of the file.
        identity: everything that the training depends on, by name; only a state with the same identity is used.
        interval_s: seconds between two saved states; the last state is always saved.
    """

    def __init__(self, path: Path, identity: dict[str, str], interval_s: float) -> None:
        self.path = path
        self._identity = identity
        self._interval_s = interval_s
        self._saved_at_s = time.monotonic()

    def check_result(self) -> None:
        """Check that a finished result beside the state, which would be replaced, is of the same training.

        Raises:
            InputError: if it is of another training.
            FileError: if its description cannot be read.
        """
        path = self.path.with_suffix(".safetensors")
        if not distributed.is_first() or self.path.exists() or not path.exists():
            return
        description = path.with_suffix(".json")
        theirs = json_files.read(description, CheckpointInfo).training if description.exists() else None
        if theirs is None:
            what = f"{path} does not say how it was trained"
            raise InputError(f"{what}: name another folder, or remove it", rule="checkpoint")
        if changes := _changes(theirs, self._identity):
            what = f"{path} is of another training ({changes})"
            raise InputError(f"{what}: name another folder, or remove it", rule="checkpoint")

    def resume(self, module: nn.Module, optimizer: torch.optim.Optimizer) -> int:
        """Load the state in the file, if any, into module and optimizer; return the number of finished steps.

        A damaged file is ignored, with a warning.

        Raises:
            InputError: if the state belongs to another training.
            FileError: if the file cannot be read.
        """
        state = distributed.broadcast_value(self._load() if distributed.is_first() else None)
        if state is None:
            return 0
        module.load_state_dict(state["module"])
        optimizer.load_state_dict(state["optimizer"])
        return int(state["step"])

    def save(self, step: int, module: nn.Module, optimizer: torch.optim.Optimizer, *, now: bool) -> None:
        """Write the state after `step` steps, if `now` or the interval has passed. Raises FileError if that fails."""
        if not distributed.is_first() or not (now or time.monotonic() - self._saved_at_s >= self._interval_s):
            return
        data = io.BytesIO()
        state = {
            "identity": self._identity,
            "step": step,
            "module": module.state_dict(),
            "optimizer": optimizer.state_dict(),
        }
        torch.save(state, data)
        write_bytes(self.path, hashlib.sha256(data.getbuffer()).digest(), data.getbuffer())
        self._saved_at_s = time.monotonic()

    def remove(self) -> None:
        """Remove the file, if there is one: its state is useless."""
        if distributed.is_first():
            self.path.unlink(missing_ok=True)

    def _load(self) -> dict[str, Any] | None:
        if not self.path.exists():
            return None
        data = read_bytes(self.path)
        if hashlib.sha256(memoryview(data)[DIGEST_BYTES:]).digest() != data[:DIGEST_BYTES]:
            warnings.warn(f"{self.path} is damaged: training starts again", PladaWarning, stacklevel=2)
            return None
        file = io.BytesIO(data)
        file.seek(DIGEST_BYTES)
        state: dict[str, Any] = torch.load(file, map_location="cpu", weights_only=True)
        if changes := _changes(state["identity"], self._identity):
            what = f"{self.path} belongs to another training ({changes})"
            raise InputError(f"{what}: repeat that one, or remove the file", rule="checkpoint")
        return state


def _changes(theirs: dict[str, str], ours: dict[str, str]) -> str:
    """The differences of two identities, for people; empty if there are none."""
    return ", ".join(
        f"{name} was {theirs.get(name)} and is {ours.get(name)}"
        for name in sorted(theirs.keys() | ours.keys())
        if theirs.get(name) != ours.get(name)
    )


def identity_of(data: LabelledImages, recipe: Recipe, classifier: Classifier) -> dict[str, str]:
    """Everything that the training of a new `classifier` depends on, by name.

    These are the fields of the recipe, the starting weights, labels, software, threads and processes. Images are
    identified by name: reading all of them would take too long.
    """
    fields = {name: str(value) for name, value in asdict(recipe).items() if name not in IRRELEVANT}
    digest = hashlib.sha256(repr((data.num_classes, data.class_names)).encode())
    for column in (data.numbers, data.labels, data.weights, data.concentrations):
        digest.update(b"-" if column is None else column.tobytes())
    for number in data.numbers:
        digest.update(data.images.name(int(number)).encode(errors="surrogateescape") + b"\0")
    return fields | {
        "data": digest.hexdigest()[:16],
        "starting_weights": fingerprint(classifier)[:16],
        "threads": str(torch.get_num_threads()),
        "processes": str(distributed.world_size()),
        "plada": version("plada"),
        "torch": str(torch.__version__),
        "timm": timm.__version__,
    }
