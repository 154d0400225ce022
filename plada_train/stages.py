"""The four stages (paper, section 4.1): a server's teacher, scores and selection, and a client's student.

- `check_images`: find images that cannot be decoded before anything is trained
- `train_teacher`: the target's images -> a teacher
- `score`: teacher and reference set -> scores
- `select` (`selection.payloads`): scores -> a payload, a few hundred or thousand bytes; nothing else is sent
- `virtual_dataset` and `train_student`: reference set and payload -> a student
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from plada_codec.errors import InputError, MissingClasses
from plada_codec.files import lock_folder, output_folder
from plada_codec.progress import progress_bar
from plada_codec.reference import ImageSource, reference_digest
from plada_codec.sections.soft_labels import dequantised_concentrations
from plada_codec.sections.weights import dequantised_weights
from plada_codec.virtual_dataset import decode_for
from plada_train.data import checks
from plada_train.data.labelled import LabelledImages
from plada_train.models import inference
from plada_train.models.classifier import Classifier
from plada_train.recipe import SHARD_SIZE, TEMPERATURE, Recipe
from plada_train.scores import labelling
from plada_train.scores.reference_scores import Scores
from plada_train.training import loop

if TYPE_CHECKING:
    from numpy.typing import NDArray


def check_images(data: Sequence[LabelledImages], reference: ImageSource | None = None) -> None:
    """Decode all images that later stages need, once, with a progress bar, and as many threads as torch has.

    Args:
        data: labelled images.
        reference: a reference set that is needed whole.

    Raises:
        SourceError: if any cannot be read or decoded; the message names the first ones, and says how to list all.
    """
    parts = [(each.images, each.numbers) for each in data]
    if reference is not None:
        parts.append((reference, np.arange(len(reference))))
    with progress_bar("decoding all images once", "images") as progress:
        checks.check_images(parts, progress, torch.get_num_threads())


def train_teacher(data: LabelledImages, recipe: Recipe, checkpoint: Path | None = None) -> Classifier:
    """Train the teacher on the target's labelled images. Arguments and errors: `training.loop.train`."""
    with progress_bar("training the teacher") as progress:
        return loop.train(data, recipe, progress, checkpoint)


def score(
    teacher: Classifier,
    reference: ImageSource,
    recipe: Recipe,
    folder: Path | None = None,
    *,
    temperature: float = TEMPERATURE,
    shard_size: int = SHARD_SIZE,
) -> Scores:
    """Label and score every reference image, shard by shard.

    Args:
        teacher: the classifier.
        reference: the reference set.
        recipe: settings of the computation: `batch_size`, `device`, `workers` and `amp`.
        folder: for the shards (see `scores.shards`). Shards that it holds with all scores of the registry are not
            labelled again, so that an interrupted run continues to the same bytes, after it has read the whole
            reference set again for its digest. None: shards are not kept.
        temperature: of the scores.
        shard_size: images of a shard.

    Raises:
        SourceError: if an image cannot be read or decoded.
        InputError: if a logit is not finite, if the folder holds other scores, or as `inference.convert_torch_errors`.
        FileError: if a shard cannot be written, or if another process works in the folder.

    Warns:
        PladaWarning: if a shard is damaged; it is labelled again.
        MissingClasses: if classes label no image.
    """
    with nullcontext() if folder is None else lock_folder(output_folder(folder)):
        with progress_bar("computing the reference digest", "images") as progress:
            manifest = labelling.manifest_of(teacher, reference, recipe, temperature, shard_size, progress)
        if folder is not None:
            labelling.prepare_folder(folder, manifest)
        with progress_bar("labelling the reference set", "images") as progress:
            shards = labelling.shards(teacher, reference, recipe, manifest, folder, progress)
            scores = Scores.of_shards(manifest, shards)
    labelling.warn_of_unused_classes(scores)
    return scores


def virtual_dataset(
    reference: ImageSource, payload: bytes, class_names: tuple[str, ...] | None = None
) -> LabelledImages:
    """The client's training set: its own reference images, with the labels of a payload.

    Args:
        reference: the client's reference set; its digest is computed here.
        payload: bytes of the payload; its soft labels and weights, if any, become part of the training set.
        class_names: names of the classes, if the client knows them.

    Raises:
        ReferenceMismatch: if the payload is for another reference set, or does not name its reference set.
        ClassMismatch: if the payload has other class names, or the class check of others.
        PladaError: if the payload cannot be decoded.
        InputError: if the payload keeps no image.

    Warns:
        MissingClasses: if classes have no image in the payload.
    """
    with progress_bar("computing the reference digest", "images") as progress:
        received = decode_for(reference, payload, progress=progress)
    if class_names is not None:
        received = received.with_class_names(class_names)
    if not received.kept:
        raise InputError("the payload keeps no image: there is nothing to learn", rule="kept")
    data = LabelledImages(
        reference,
        received.indices,
        received.labels.astype(np.int64),
        received.num_classes,
        received.class_names,
        weights=None if received.weights is None else dequantised_weights(received.weights),
        concentrations=None if received.soft_labels is None else dequantised_concentrations(received.soft_labels),
    )
    if missing := data.missing_classes():
        what = f"the payload has no image of these classes: {', '.join(missing)}"
        warnings.warn(what, MissingClasses, stacklevel=2)
    return data


def train_student(data: LabelledImages, recipe: Recipe, checkpoint: Path | None = None) -> Classifier:
    """Train the student on the virtual dataset. Arguments and errors: `training.loop.train`."""
    with progress_bar("training the student") as progress:
        return loop.train(data, recipe, progress, checkpoint)


def predict(classifier: Classifier, data: LabelledImages, recipe: Recipe) -> NDArray[np.int64]:
    """Predict the classes of the target's test images: int64 [n]. Errors: `inference.forward`."""
    with progress_bar("testing", "images") as progress:
        return inference.predict(classifier, data, recipe, progress)


def digest_of(images: ImageSource) -> bytes:
    """Compute the reference digest, 32 bytes, with a progress bar. Raises SourceError if an image cannot be read."""
    with progress_bar("computing the reference digest", "images") as progress:
        return reference_digest(images, progress)
