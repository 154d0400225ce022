"""Labels and scores of a reference set, shard by shard, from a teacher's logits (paper, sections 4.2 and 4.3)."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from plada_codec.errors import InputError, MissingClasses, PladaWarning
from plada_codec.files import output_folder
from plada_codec.progress import Progress
from plada_codec.reference import PIXEL_RULE, ImageSource, reference_digest
from plada_train.models.classifier import Classifier
from plada_train.models.inference import fingerprint, logits
from plada_train.recipe import Recipe
from plada_train.scores.reference_scores import Scores
from plada_train.scores.registry import SCORES, SCORES_OF_LOGITS
from plada_train.scores.shards import Manifest, Shard, shard_path
from plada_train.scores.softmax import probabilities

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Largest number of classes that a warning names.
NAMED_CLASSES = 20
#: Fields of a manifest that all shards of a folder share, with their names in error messages.
DECISIVE = {
    "pixel_rule": "pixel rule",
    "teacher_digest": "teacher",
    "temperature": "temperature",
    "amp": "setting of --amp",
    "shard_size": "shard size",
}


def manifest_of(
    teacher: Classifier,
    reference: ImageSource,
    recipe: Recipe,
    temperature: float,
    shard_size: int,
    progress: Progress,
) -> Manifest:
    """Make the manifest of new scores. Reads every image once. Raises SourceError if one cannot be read."""
    noted = _NotedImages(reference, shard_size)
    digest = reference_digest(noted, progress)
    return Manifest(
        images=len(reference),
        num_classes=teacher.config.num_classes,
        class_names=teacher.config.class_names,
        reference_digest=digest.hex(),
        teacher_digest=fingerprint(teacher),
        temperature=temperature,
        amp=recipe.amp,
        shard_size=shard_size,
        image_digests=tuple(shard.hexdigest() for shard in noted.shards),
        held_out=teacher.held_out,
        pixel_rule=PIXEL_RULE,
    )


def prepare_folder(folder: Path, manifest: Manifest) -> None:
    """Prepare `folder` for the shards of `manifest`; keep the shards that it already holds.

    An image may have been repaired since the folder was created. Then the reference set is another one, but shards with
    unchanged images are still valid.

    Raises:
        FileError: if nothing can be written there.
        InputError: if it holds scores of another teacher, temperature, shard size or reference set.
    """
    output_folder(folder)
    path = folder / "scores.json"
    if path.exists():
        try:
            found = Manifest.read(folder)
        except InputError as error:
            what = f"{error.args[0]}: remove {path}; good shards are kept"
            raise InputError(what, rule=error.rule) from error
        differs = [what for name, what in DECISIVE.items() if getattr(found, name) != getattr(manifest, name)]
        same_images = any(a == b for a, b in zip(found.image_digests, manifest.image_digests, strict=False))
        same_set = same_images and found.images == manifest.images
        if not (differs or same_set) and any(shard_path(folder, i).exists() for i in range(found.num_shards)):
            differs = ["reference set"]
        if differs:
            what = f"{folder} holds scores of another {differs[0]}"
            raise InputError(f"{what}: name another folder, or remove this one", rule="scores")
    manifest.write(folder)


def shards(
    teacher: Classifier,
    reference: ImageSource,
    recipe: Recipe,
    manifest: Manifest,
    folder: Path | None,
    progress: Progress,
) -> Iterator[Shard]:
    """Yield all shards in order: read from `folder` if it has them; else labelled, and written to `folder` if given."""
    for number in range(manifest.num_shards):
        shard = None if folder is None else _finished(folder, manifest, number)
        if shard is None:
            shard = _labelled(teacher, reference, recipe, manifest, number, progress)
            if folder is not None:
                shard.write(folder, manifest, number)
        progress(manifest.rows(number).stop, manifest.images)
        yield shard


def add_logits(shard: Shard, rows: slice, logits: NDArray[np.float32], temperature: float) -> None:
    """Add the labels and scores of some images to their shard and its sums.

    Args:
        shard: the shard.
        rows: places of the B images in the shard; each image is added once.
        logits: the teacher's logits for these images, float32 [B, C].
        temperature: temperature of the scores.
    """
    label, p = logits.argmax(axis=1), probabilities(logits)
    shard.label[rows] = label
    for name, column in shard.columns.items():
        column[rows] = SCORES[name].load()(logits, temperature)
    if shard.soft_sum is not None and shard.own_square_sum is not None:
        np.add.at(shard.soft_sum, label, p)
        np.add.at(shard.own_square_sum, label, p[np.arange(len(p)), label] ** 2)


def warn_of_unused_classes(scores: Scores) -> None:
    """Warn in one line of classes that label no reference image."""
    unused = np.flatnonzero(np.bincount(scores.label, minlength=scores.num_classes) == 0)
    if not len(unused):
        return
    named = ", ".join(scores.class_names[c] if scores.class_names else str(c) for c in unused[:NAMED_CLASSES])
    more = f" and {len(unused) - NAMED_CLASSES} more" if len(unused) > NAMED_CLASSES else ""
    warnings.warn(
        f"no reference image is labelled {named}{more}: a student cannot learn that class", MissingClasses, stacklevel=3
    )


def _finished(folder: Path, manifest: Manifest, number: int) -> Shard | None:
    """Read a shard of an earlier call; None if there is none, or it lacks a score of the registry."""
    if not shard_path(folder, number).exists():
        return None
    try:
        shard = Shard.read(folder, manifest, number)
    except InputError as error:
        warnings.warn(error.args[0], PladaWarning, stacklevel=2)
        return None
    return shard if set(SCORES_OF_LOGITS) <= set(shard.columns) else None


def _labelled(
    teacher: Classifier,
    reference: ImageSource,
    recipe: Recipe,
    manifest: Manifest,
    number: int,
    progress: Progress,
) -> Shard:
    images = manifest.rows(number)
    shard = Shard.of_zeros(images.stop - images.start, manifest.num_classes)

    def moved(done: int, _: int) -> None:
        progress(images.start + done, manifest.images)

    start = 0
    for batch in logits(teacher, reference, np.arange(images.start, images.stop), recipe, moved):
        finite = np.isfinite(batch).all(axis=1)
        if not finite.all():
            cure = "train it again with a lower learning rate" + (", or compute without --amp" if recipe.amp else "")
            what = f"gets logits that are not finite from {teacher.config.model}: {cure}"
            raise reference.bad_image(images.start + start + int(np.argmin(finite)), what, "logits")
        add_logits(shard, slice(start, start + len(batch)), batch, manifest.temperature)
        start += len(batch)
    return shard


class _NotedImages(ImageSource):
    """The images of another source. Reading them in order computes the digest of each shard."""

    def __init__(self, images: ImageSource, shard_size: int) -> None:
        super().__init__(images.source)
        self._images = images
        self._shard_size = shard_size
        self.shards = [hashlib.sha256() for _ in range(0, len(images), shard_size)]

    def __len__(self) -> int:
        return len(self._images)

    def _name(self, i: int) -> str:
        return self._images.name(i)

    def _read(self, i: int) -> bytes:
        data = self._images.read(i)
        self.shards[i // self._shard_size].update(data)
        return data
