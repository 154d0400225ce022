"""The four stages (paper, section 4.1): a server's teacher, scores and selection, and a client's student.

- `teach`: the target's images to a teacher
- `score`: teacher and reference set to scores
- `select` (selection.py): scores to a payload, a few hundred or thousand bytes, all that is sent
- `virtual_dataset` and `learn`: reference set and payload to a student
"""

from __future__ import annotations

import numpy as np

from plada_codec import decode
from plada_codec.progress import progress_bar
from plada_codec.reference import ImageSource, reference_digest
from plada_train import training
from plada_train.data import LabelledImages
from plada_train.errors import BadInput
from plada_train.models import Classifier
from plada_train.recipe import Recipe
from plada_train.scores import Scores, energy, entropy


def teach(data: LabelledImages, recipe: Recipe) -> Classifier:
    """The teacher: a classifier trained on the target's labelled images. Raises as `training.train`."""
    with progress_bar("training the teacher") as progress:
        return training.train(data, recipe, progress)


def score(teacher: Classifier, reference: ImageSource, recipe: Recipe) -> Scores:
    """Label, energy and entropy of every reference image, a batch of images in memory at a time.

    Args:
        teacher: the classifier.
        reference: the reference set.
        recipe: of it, how to go about it: `batch_size`, `device`, `workers`.

    Raises:
        BadSource: if an image cannot be read or decoded.
        BadInput: if a logit is not finite.
    """
    total = len(reference)
    digest = digest_of(reference)
    labels, energies, entropies = np.empty(total, np.int32), np.empty(total, np.float32), np.empty(total, np.float32)
    start = 0
    with progress_bar("labelling the reference set") as progress:
        for batch in training.logits(teacher, reference, np.arange(total), recipe, progress):
            if not np.isfinite(batch).all():
                what = f"gets logits that are not finite from {teacher.config.model}"
                raise reference.bad_image(start + int(np.argmin(np.isfinite(batch).all(axis=1))), what, "logits")
            rows = slice(start, start + len(batch))
            labels[rows], energies[rows], entropies[rows] = batch.argmax(axis=1), energy(batch), entropy(batch)
            start = rows.stop
    return Scores(labels, energies, entropies, digest, teacher.config.num_classes, teacher.config.class_names)


def virtual_dataset(reference: ImageSource, payload: bytes) -> LabelledImages:
    """What a client makes of a payload: its own reference images, with the labels that it received.

    Args:
        reference: the client's reference set; its digest is computed here.
        payload: what was received.

    Raises:
        ReferenceMismatch: if the payload is for another reference set, or does not say for which.
        PladaError: if the payload cannot be decoded.
        BadInput: if it keeps nothing.
    """
    received = decode(payload, expected_reference=digest_of(reference))
    if not received.kept:
        raise BadInput("the payload keeps no image: there is nothing to learn", rule="kept")
    labels = received.labels.astype(np.int64)
    return LabelledImages(reference, received.indices, labels, received.num_classes, received.class_names)


def learn(data: LabelledImages, recipe: Recipe) -> Classifier:
    """The student: a classifier trained on the virtual dataset. Raises as `training.train`."""
    with progress_bar("training the student") as progress:
        return training.train(data, recipe, progress)


def measure(classifier: Classifier, data: LabelledImages, recipe: Recipe) -> float:
    """Accuracy on the target's test images, 0 .. 1. Raises BadSource as `score`."""
    with progress_bar("testing") as progress:
        return training.accuracy(classifier, data, recipe, progress)


def digest_of(images: ImageSource) -> bytes:
    """The reference digest, 32 bytes, with a progress bar. Raises BadSource if an image cannot be read."""
    with progress_bar("computing the reference digest") as progress:
        return reference_digest(images, progress)
