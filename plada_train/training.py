"""Training, logits and accuracy of a classifier.

Training is repeatable: the same recipe, images, machine and number of threads give the same weights.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from plada_codec.reference import ImageSource
from plada_train._timm import timm
from plada_train.data import Batch, ImageBatches, LabelledImages
from plada_train.errors import BadInput
from plada_train.models import Classifier, first_line, make_classifier
from plada_train.recipe import Recipe

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Images in a batch where nothing is trained, on a CPU: with 64, MobileNetV2 spends half of its time on page faults.
CPU_FORWARD_BATCH = 16
#: Called with the steps done and their number.
Progress = Callable[[int, int], None]


class Batches(Protocol):
    """Batches of inputs and labels, to be gone through in each epoch; `len()`: their number."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[Batch]: ...


def train(data: LabelledImages, recipe: Recipe, progress: Progress) -> Classifier:
    """A classifier of `data`'s classes, made and trained on `data` by `recipe`.

    Raises:
        BadSource: if an image cannot be read or decoded.
        BadInput: as `make_classifier`; if there are too few images; if the loss is not finite.
    """
    random.seed(recipe.seed)
    torch.manual_seed(recipe.seed)
    classifier = make_classifier(recipe, data.num_classes, data.class_names)
    if recipe.freeze:
        layer = classifier.last_layer()
        function = classifier.features
        features = np.concatenate(list(_forward(classifier, function, data.images, data.numbers, recipe, progress)))
        _descend(layer, _FeatureBatches(features, data.labels, recipe), recipe, progress)
        return classifier
    if len(data.numbers) < 2:
        raise BadInput("one image is not enough to train a whole model on: keep more, or freeze it", rule="kept")
    transform = classifier.config.training_transform(recipe.flip)
    batches = ImageBatches(
        data.images, data.numbers, data.labels, transform, recipe.batch_size, recipe.seed, recipe.workers
    )
    _descend(classifier.network, batches, recipe, progress)
    return classifier


def logits(
    classifier: Classifier, images: ImageSource, numbers: NDArray[np.int64], recipe: Recipe, progress: Progress
) -> Iterator[NDArray[np.float32]]:
    """Logits of the images `numbers`, a batch at a time: float32 [B, C]. Raises BadSource as `train`."""
    return _forward(classifier, classifier.network, images, numbers, recipe, progress)


def accuracy(classifier: Classifier, data: LabelledImages, recipe: Recipe, progress: Progress) -> float:
    """Share of the images of `data` whose largest logit is that of their label. Raises BadSource as `train`."""
    predicted = [batch.argmax(axis=1) for batch in logits(classifier, data.images, data.numbers, recipe, progress)]
    return float(np.mean(np.concatenate(predicted) == data.labels))


def _forward(
    classifier: Classifier,
    function: Callable[[torch.Tensor], torch.Tensor],
    images: ImageSource,
    numbers: NDArray[np.int64],
    recipe: Recipe,
    progress: Progress,
) -> Iterator[NDArray[np.float32]]:
    transform = classifier.config.transform()
    batch_size = CPU_FORWARD_BATCH if recipe.device == "cpu" else recipe.batch_size
    batches = ImageBatches(images, numbers, None, transform, batch_size, workers=recipe.workers)
    classifier.network.eval()
    for step, (pixels, _) in enumerate(batches, 1):
        with torch.inference_mode():
            yield function(_placed(pixels, recipe)).float().cpu().numpy()
        progress(step, len(batches))


def _placed(inputs: torch.Tensor, recipe: Recipe) -> torch.Tensor:
    """`inputs` on the device, images in the models' memory format."""
    if inputs.dim() == 4:
        return inputs.to(recipe.device, memory_format=torch.channels_last)
    return inputs.to(recipe.device)


class _FeatureBatches:
    """Batches of features, in another order each time."""

    def __init__(self, features: NDArray[np.float32], labels: NDArray[np.int64], recipe: Recipe) -> None:
        self._features = torch.from_numpy(features)
        self._labels = torch.from_numpy(labels)
        self._size = recipe.batch_size
        self._generator = torch.Generator().manual_seed(recipe.seed)

    def __len__(self) -> int:
        return -(-len(self._labels) // self._size)

    def __iter__(self) -> Iterator[Batch]:
        order = torch.randperm(len(self._labels), generator=self._generator)
        for start in range(0, len(order), self._size):
            chosen = order[start : start + self._size]
            yield self._features[chosen], self._labels[chosen]


def _descend(module: nn.Module, batches: Batches, recipe: Recipe, progress: Progress) -> None:
    steps = recipe.epochs * len(batches)
    optimizer = timm.optim.create_optimizer_v2(
        module, opt="adamw", lr=recipe.learning_rate, weight_decay=recipe.weight_decay
    )
    scheduler = timm.scheduler.CosineLRScheduler(
        optimizer, t_initial=steps, warmup_t=steps // 10, warmup_lr_init=recipe.learning_rate / 100, t_in_epochs=False
    )
    module.train()
    step = 0
    for _ in range(recipe.epochs):
        for inputs, labels in batches:
            try:
                loss = functional.cross_entropy(module(_placed(inputs, recipe)), labels.to(recipe.device))
            except (RuntimeError, ValueError) as error:
                raise BadInput(
                    f"a batch of {len(labels)} cannot be trained on ({first_line(error)})", rule="batch"
                ) from error
            if not torch.isfinite(loss):
                raise BadInput(f"training diverged at step {step} of {steps}: lower the learning rate", rule="loss")
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            step += 1
            scheduler.step_update(step)
            progress(step, steps)
    module.eval()
