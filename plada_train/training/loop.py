"""The training of a classifier.

Training is repeatable: the same recipe, images, machine and numbers of threads and processes give the same weights,
even if it was interrupted and continued from a checkpoint, and with any number of worker processes. This needs
repeatable kernels of torch: those for CPUs are, except in bfloat16; for GPUs, see torch.use_deterministic_algorithms.
With other kernels, a continued training is as good as an uninterrupted one, but the last bits may differ.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch
from torch import nn

from plada_codec.errors import InputError
from plada_codec.progress import Progress
from plada_train import distributed
from plada_train.data.labelled import STEP, Batch, FeatureBatches, ImageBatches, LabelledImages, reseed
from plada_train.models.classifier import Classifier, make_classifier
from plada_train.models.inference import convert_torch_errors, forward
from plada_train.models.timm_import import timm
from plada_train.recipe import Recipe
from plada_train.training.checkpoints import Checkpoint, identity_of
from plada_train.training.targets import Objective, hard_objective, objective_of

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Batches(Protocol):
    """The batches of a training. They are numbered through all epochs; each depends only on its number."""

    def __len__(self) -> int:
        """Number of batches in an epoch."""

    def iterate(self, start: int, stop: int) -> Iterator[Batch]:
        """Yield batches `start` to `stop` - 1: the part of each for this process (see `distributed.part`)."""


def train(data: LabelledImages, recipe: Recipe, progress: Progress, checkpoint: Path | None = None) -> Classifier:
    """Make a classifier for the classes of `data`, and train it on `data` by `recipe`.

    Args:
        data: images and labels; soft labels and weights, if known.
        recipe: the model and its training.
        progress: called after each step.
        checkpoint: file for the state of the training, written every `recipe.checkpoint_s` seconds and at the end. If
            the file exists, training continues from it. A finished `.safetensors` beside it must be of this training.

    Raises:
        SourceError: if an image cannot be read or decoded.
        InputError: as `make_classifier`, `objective_of` and `fit`; if there are too few images; if the finished result
            beside `checkpoint` is of another training.
        FileError: if the checkpoint cannot be written.
    """
    if not recipe.importance:
        data = replace(data, weights=None)
    processes = distributed.world_size()
    if min(len(data.numbers), recipe.batch_size) < processes:
        raise InputError(
            f"a batch of {recipe.batch_size} of {len(data.numbers)} images has fewer images than "
            f"there are processes, {processes}",
            rule="batch",
        )
    random.seed(recipe.seed)
    torch.manual_seed(recipe.seed)
    classifier = make_classifier(recipe, data.num_classes, data.class_names)
    objective = objective_of(data, recipe)
    identity = identity_of(data, recipe, classifier)
    classifier = replace(classifier, training=identity)
    state = Checkpoint(checkpoint, identity, recipe.checkpoint_s) if checkpoint else None
    if state:
        state.check_result()
    if recipe.freeze:
        layer = classifier.last_layer()
        features = _features(classifier, data, recipe, progress)
        batches = FeatureBatches(features, data.labels, recipe.batch_size, recipe.seed, data.weights)
        fit(layer, batches, recipe, progress, objective=objective, checkpoint=state)
        return classifier
    if len(data.numbers) < 2:
        raise InputError(
            "one image is not enough to train a whole model: keep more images, or use --freeze", rule="kept"
        )
    transform = classifier.config.training_transform(recipe.flip)
    images = ImageBatches(data, transform, recipe.batch_size, recipe.seed, recipe.workers)
    fit(classifier.network, images, recipe, progress, objective=objective, checkpoint=state)
    return classifier


def _features(classifier: Classifier, data: LabelledImages, recipe: Recipe, progress: Progress) -> NDArray[np.float32]:
    """Features of all images, float32 [n, F]."""
    features = np.empty((len(data.numbers), classifier.last_layer().in_features), np.float32)
    done = 0
    for batch in forward(classifier, classifier.features, data.images, data.numbers, recipe, progress):
        features[done : done + len(batch)] = batch
        done += len(batch)
    return features


@convert_torch_errors("training")
def fit(
    module: nn.Module,
    batches: Batches,
    recipe: Recipe,
    progress: Progress,
    *,
    objective: Objective | None = None,
    checkpoint: Checkpoint | None = None,
) -> None:
    """Train `module` in place, with AdamW, a linear warm-up and a cosine to zero (paper, section 5.1).

    Args:
        module: maps a batch's inputs to logits, float32 [B, C]. It is on `recipe.device`, and ends in evaluation
            mode.
        batches: batches to learn from; the training takes `recipe.epochs` times `len(batches)` of them.
        recipe: settings of the training; model and weights are ignored.
        progress: called after each step.
        objective: computes the loss of each image, which is multiplied by its weight; by default cross entropy with
            `recipe.label_smoothing`.
        checkpoint: saves the state of the training; training continues from its state, if any.

    Raises:
        InputError: if the loss is not finite (the checkpoint is then removed), as `convert_torch_errors`, or as
            `Checkpoint.resume`.
        FileError: if the checkpoint cannot be written.
    """
    objective = objective or hard_objective(recipe.label_smoothing)
    steps = recipe.epochs * len(batches)
    warmup_steps = int(steps * recipe.warmup)
    optimizer = timm.optim.create_optimizer_v2(
        module, opt="adamw", lr=recipe.learning_rate, weight_decay=recipe.weight_decay
    )
    scheduler = timm.scheduler.CosineLRScheduler(
        optimizer,
        # timm warns of a cosine of one step
        t_initial=max(2, steps - warmup_steps),
        warmup_t=warmup_steps,
        warmup_prefix=True,
        warmup_lr_init=recipe.learning_rate / 100,
        t_in_epochs=False,
    )
    start = checkpoint.resume(module, optimizer) if checkpoint else 0
    module.train()
    distributed.broadcast(module.parameters())
    for step, batch in enumerate(batches.iterate(start, steps), start):
        reseed(STEP, recipe.seed, step, distributed.rank())
        scheduler.step_update(step)
        distributed.broadcast(module.buffers())
        loss = _loss(module, batch, recipe, objective)
        if not torch.isfinite(loss):
            if checkpoint:
                checkpoint.remove()
            raise InputError(f"training diverged at step {step + 1} of {steps}: lower the learning rate", rule="loss")
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        distributed.sum_gradients(module)
        optimizer.step()
        if checkpoint:
            checkpoint.save(step + 1, module, optimizer, now=step + 1 == steps)
        progress(step + 1, steps)
    distributed.broadcast(module.buffers())
    module.eval()


def _loss(module: nn.Module, batch: Batch, recipe: Recipe, objective: Objective) -> torch.Tensor:
    device = torch.device(recipe.device)
    inputs = batch.inputs
    # Images use the memory format of the models
    memory_format = torch.channels_last if inputs.dim() == 4 else torch.preserve_format
    with torch.autocast(device.type, torch.bfloat16, enabled=recipe.amp):
        logits = module(inputs.to(device, memory_format=memory_format))
    losses = objective(logits.float(), batch.labels.to(device))
    return distributed.mean(losses if batch.weights is None else losses * batch.weights.to(device))
