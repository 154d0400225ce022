"""Proxies: small networks, trained end to end on pixels, that stand for the clients' students.

The planner measures a candidate by the accuracy of proxies that learn from its labels, on held-out images. A student on
frozen features cannot serve: it copies the teacher's function from almost any images.

Proxies that learn the target itself, from the teacher's training images, show which labels of the reference set a
network can confirm from pixels: `label_loss`, a score like energy. For noisy labels, a small loss is known to mark
labels worth learning from (Co-teaching, Han et al. 2018, arXiv 1804.06872).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from plada_codec.progress import Progress
from plada_train.data.labelled import reseed
from plada_train.data.pixels import MemoryBatches, augment, normalise
from plada_train.models.classifier import make_classifier
from plada_train.recipe import Recipe
from plada_train.training.loop import fit

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import nn

#: Two architectures, because those of clients are unknown: a single one might prefer payloads that no other does. Among
#: timm's test models, these two learn most per second at 32 pixels on a CPU (bench/results/frontier.csv measures
#: another architecture).
MODELS = ("test_resnet", "test_byobnet")
IMAGE_SIZE = 32
#: Images in a step, unless the student takes fewer.
BATCH_SIZE = 64
#: Images in a forward pass.
_CHUNK = 512
_RECIPE = Recipe(model="", image_size=IMAGE_SIZE, learning_rate=4e-3, epochs=1)


def make_proxy(model: str, num_classes: int) -> nn.Module:
    """Make a proxy with random weights, in evaluation mode."""
    return make_classifier(replace(_RECIPE, model=model), num_classes).network.eval()


def train_proxy(
    model: str,
    pixels: NDArray[np.uint8],
    labels: NDArray[np.integer[Any]],
    num_classes: int,
    *,
    steps: int,
    batch_size: int,
    seed: int,
    flip: bool,
    progress: Progress,
) -> nn.Module:
    """Train a proxy on images, uint8 [n, S, S, 3], and their labels [n], for a number of steps."""
    reseed(seed)
    network = make_proxy(model, num_classes)
    prepare = partial(augment, flip=flip)
    batches = MemoryBatches(pixels, labels.astype(np.int64), prepare, batch_size, steps, seed)
    fit(network, batches, replace(_RECIPE, batch_size=batch_size, seed=seed), progress)
    return network


def log_probabilities(network: nn.Module, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Logarithms of a proxy's class probabilities for images, uint8 [n, S, S, 3]: float32 [n, C]."""
    parts = []
    with torch.inference_mode():
        for start in range(0, len(pixels), _CHUNK):
            logits = network(normalise(pixels[start : start + _CHUNK]).contiguous(memory_format=torch.channels_last))
            parts.append(torch.log_softmax(logits, 1).numpy())
    return np.concatenate(parts)


def accuracy(network: nn.Module, pixels: NDArray[np.uint8], labels: NDArray[np.integer[Any]]) -> float:
    """Share of images whose label a proxy predicts."""
    return float(np.mean(log_probabilities(network, pixels).argmax(1) == labels))


def label_loss(log_p: Sequence[NDArray[np.float32]], labels: NDArray[np.integer[Any]]) -> NDArray[np.float32]:
    """-log of the mean probability that proxies with `log_p` [n, C] give to labels [n]: float32 [n]."""
    of_labels = [one[np.arange(len(labels)), labels] for one in log_p]
    loss: NDArray[np.float32] = np.float32(np.log(len(of_labels))) - np.logaddexp.reduce(of_labels)
    return loss
