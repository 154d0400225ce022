"""Label and scores of every reference image, from a teacher's logits (paper, sections 4.2 and 4.3)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from plada_codec.errors import InputError
from plada_train.files import output_folder
from plada_train.scores.shards import Manifest, Shard

if TYPE_CHECKING:
    from numpy.typing import NDArray


def energy(logits: NDArray[np.floating[Any]], temperature: float = 1.0) -> NDArray[np.float64]:
    """-T log sum_c exp(f_c / T) of logits [n, C]: float64 [n]. Lower is surer."""
    top, _, log_sum = _below_top(logits, temperature)
    result: NDArray[np.float64] = -temperature * (top + log_sum)
    return result


def entropy(logits: NDArray[np.floating[Any]], temperature: float = 1.0) -> NDArray[np.float64]:
    """-sum_c p_c log p_c in nats, p = softmax(f / T), of logits [n, C]: float64 [n]. Lower is surer."""
    _, below, log_sum = _below_top(logits, temperature)
    log_p = below - log_sum[:, None]
    p = np.exp(log_p)
    # p log p goes to 0 with p; a class whose probability underflows adds nothing
    result: NDArray[np.float64] = 0.0 - np.where(p > 0, p * log_p, 0.0).sum(axis=1)
    return result


def probabilities(logits: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """softmax(f) of logits [n, C]: float64 [n, C]."""
    _, below, log_sum = _below_top(logits, 1.0)
    result: NDArray[np.float64] = np.exp(below - log_sum[:, None])
    return result


def _below_top(
    logits: NDArray[np.floating[Any]], temperature: float
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """The largest f / T of each row, all f / T minus it, and the log of the sum of the exponentials of these."""
    scaled = np.asarray(logits, np.float64) / temperature
    top: NDArray[np.float64] = scaled.max(axis=1)
    below = scaled - top[:, None]
    log_sum: NDArray[np.float64] = np.log(np.exp(below).sum(axis=1))
    return top, below, log_sum


@dataclass(frozen=True)
class Scores:
    """What a teacher says of a reference set of N images. On disk, a folder (see `score_shards`).

    Attributes:
        label: int32 [N], the class of the largest logit (the first of equal ones).
        energy: float32 [N], see `energy`.
        entropy: float32 [N], see `entropy`.
        reference_digest: 32 bytes.
        num_classes: number of classes C.
        class_names: their names, where they are known.
        temperature: of energy and entropy.
        soft_sum: float64 [C, C], row c: the sum of softmax(f(x)) over the images labelled c (paper, appendix D.3); None
            where it is not known, or C too large for a payload to carry soft labels.
        own_square_sum: float64 [C], the sum of softmax(f(x))_c ** 2 over the images labelled c; None likewise.
        loss: float32 [N], of the label under proxies that learnt the target from pixels (see `planning.proxies`); not
            finite where it was not computed, None where it is not known. No file of a folder of scores has it.
        held_out: share of the target's images that the teacher did not learn from (see `models.Classifier`).
    """

    label: NDArray[np.int32]
    energy: NDArray[np.float32]
    entropy: NDArray[np.float32]
    reference_digest: bytes
    num_classes: int
    class_names: tuple[str, ...] | None
    temperature: float = 1.0
    soft_sum: NDArray[np.float64] | None = None
    own_square_sum: NDArray[np.float64] | None = None
    loss: NDArray[np.float32] | None = None
    held_out: float | None = None

    def save(self, folder: Path) -> None:
        """Writes a folder of one shard, that does not say which teacher it is from. Raises FileError if that fails."""
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
        )
        manifest.write(output_folder(folder))
        Shard(self.label, self.energy, self.entropy, self.soft_sum, self.own_square_sum).write(folder, manifest, 0)

    @classmethod
    def load(cls, folder: Path) -> Scores:
        """Reads a folder of scores. Raises InputError if it is none, or if a shard of it is missing or damaged."""
        manifest = Manifest.read(folder)
        scores = cls.of_shards(manifest, (Shard.read(folder, manifest, i) for i in range(manifest.num_shards)))
        if not (np.isfinite(scores.energy).all() and np.isfinite(scores.entropy).all()):
            raise InputError(f"{folder} has scores that are not finite", rule="scores")
        return scores

    @classmethod
    def of_shards(cls, manifest: Manifest, shards: Iterable[Shard]) -> Scores:
        """The rows of all shards, in order, and the sums of their sums."""
        whole = Shard.of_zeros(manifest.images, manifest.num_classes)
        soft_sum, own_square_sum = whole.soft_sum, whole.own_square_sum
        for number, shard in enumerate(shards):
            rows = manifest.rows(number)
            whole.label[rows], whole.energy[rows], whole.entropy[rows] = shard.label, shard.energy, shard.entropy
            soft_sum, own_square_sum = _sum(soft_sum, shard.soft_sum), _sum(own_square_sum, shard.own_square_sum)
        return cls(
            label=whole.label,
            energy=whole.energy,
            entropy=whole.entropy,
            reference_digest=bytes.fromhex(manifest.reference_digest),
            num_classes=manifest.num_classes,
            class_names=manifest.class_names,
            temperature=manifest.temperature,
            soft_sum=soft_sum,
            own_square_sum=own_square_sum,
            held_out=manifest.held_out,
        )


def _sum(total: NDArray[np.float64] | None, part: NDArray[np.float64] | None) -> NDArray[np.float64] | None:
    """Their sum, which is not known if one of them is not."""
    return None if total is None or part is None else total + part
