"""`Scores`: the label and the scores of every reference image (paper, sections 4.2 and 4.3)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from plada_codec.errors import InputError
from plada_codec.files import output_folder
from plada_codec.reference import PIXEL_RULE
from plada_train.scores.registry import SCORES
from plada_train.scores.shards import Manifest, Shard

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Scores:
    """Labels and scores of a reference set of N images, from one teacher. On disk, a folder (see `scores.shards`).

    Attributes:
        label: int32 [N], the class of the largest logit (the first if several are equal).
        columns: float32 [N] for each score, by its name in the registry. `loss` comes from the planner: it is in no
            folder of scores, and not finite for images without a computed loss.
        reference_digest: 32 bytes.
        num_classes: number of classes C.
        class_names: names of the classes, if known.
        temperature: temperature of the scores.
        soft_sum: float64 [C, C], row c: the sum of softmax(f(x)) over the images labelled c (paper, appendix D.3); None
            if unknown, or if C is too large for soft labels in a payload.
        own_square_sum: float64 [C], the sum of softmax(f(x))_c ** 2 over the images labelled c; None as above.
        held_out: share of the target's images that the teacher did not learn from (see `models.Classifier`).
    """

    label: NDArray[np.int32]
    columns: Mapping[str, NDArray[np.float32]]
    reference_digest: bytes
    num_classes: int
    class_names: tuple[str, ...] | None
    temperature: float = 1.0
    soft_sum: NDArray[np.float64] | None = None
    own_square_sum: NDArray[np.float64] | None = None
    held_out: float | None = None

    def column(self, name: str) -> NDArray[np.float32]:
        """The score with this name, float32 [N]. Raises InputError, with advice, if it is not known."""
        if name in self.columns:
            return self.columns[name]
        if SCORES[name].function is None:
            raise InputError(f"the {name} is not known: plada-train plan computes it", rule="score")
        cure = "label the reference set again, with `plada-train score`"
        raise InputError(f"the scores were made without the {name}: {cure}", rule="score")

    def with_column(self, name: str, column: NDArray[np.float32]) -> Scores:
        """A copy with one more score, float32 [N]."""
        return replace(self, columns={**self.columns, name: column})

    def save(self, folder: Path) -> None:
        """Write a folder of one shard, without the digest of the teacher. Raises FileError if that fails."""
        manifest = Manifest(
            images=len(self.label),
            num_classes=self.num_classes,
            class_names=self.class_names,
            reference_digest=self.reference_digest.hex(),
            teacher_digest="",
            temperature=self.temperature,
            amp=False,
            shard_size=len(self.label),
            image_digests=("",),
            held_out=self.held_out,
            pixel_rule=PIXEL_RULE,
        )
        manifest.write(output_folder(folder))
        columns = {name: column for name, column in self.columns.items() if SCORES[name].function is not None}
        Shard(self.label, columns, self.soft_sum, self.own_square_sum).write(folder, manifest, 0)

    @classmethod
    def load(cls, folder: Path) -> Scores:
        """Read a folder of scores. Raises InputError if it is not one, or if a shard is missing or damaged.

        Scores by another pixel rule are refused.

        Scores that a shard of another version lacks are left out.
        """
        manifest = Manifest.read(folder)
        if manifest.pixel_rule != PIXEL_RULE:
            what = f"{folder} holds scores by pixel rule {manifest.pixel_rule}, and this version has rule {PIXEL_RULE}"
            cure = "label the reference set again, with `plada-train score` and another folder"
            raise InputError(f"{what}: {cure}", rule="scores")
        scores = cls.of_shards(manifest, (Shard.read(folder, manifest, i) for i in range(manifest.num_shards)))
        if not all(np.isfinite(column).all() for column in scores.columns.values()):
            raise InputError(f"{folder} has scores that are not finite", rule="scores")
        return scores

    @classmethod
    def of_shards(cls, manifest: Manifest, shards: Iterable[Shard]) -> Scores:
        """Join the rows of all shards in order, and add their sums. A score that a shard lacks is left out."""
        whole = Shard.of_zeros(manifest.images, manifest.num_classes)
        columns, soft_sum, own_square_sum = whole.columns, whole.soft_sum, whole.own_square_sum
        for number, shard in enumerate(shards):
            rows = manifest.rows(number)
            whole.label[rows] = shard.label
            columns = {name: column for name, column in columns.items() if name in shard.columns}
            for name, column in columns.items():
                column[rows] = shard.columns[name]
            soft_sum, own_square_sum = _sum(soft_sum, shard.soft_sum), _sum(own_square_sum, shard.own_square_sum)
        return cls(
            label=whole.label,
            columns=columns,
            reference_digest=bytes.fromhex(manifest.reference_digest),
            num_classes=manifest.num_classes,
            class_names=manifest.class_names,
            temperature=manifest.temperature,
            soft_sum=soft_sum,
            own_square_sum=own_square_sum,
            held_out=manifest.held_out,
        )


def _sum(total: NDArray[np.float64] | None, part: NDArray[np.float64] | None) -> NDArray[np.float64] | None:
    """The sum; None if one of the two is not known."""
    return None if total is None or part is None else total + part
