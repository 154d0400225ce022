"""Label and scores of every reference image, from a teacher's logits (paper, sections 4.2 and 4.3)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from plada_codec.files import atomic_write
from plada_train.errors import BadInput

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
    """What a teacher says of a reference set.

    Attributes:
        label: int32 [N], the class of the largest logit (the first of equal ones).
        energy: float32 [N], see `energy`, temperature 1.
        entropy: float32 [N], see `entropy`, temperature 1.
        reference_digest: 32 bytes.
        num_classes: number of classes C.
        class_names: their names, where they are known.
    """

    label: NDArray[np.int32]
    energy: NDArray[np.float32]
    entropy: NDArray[np.float32]
    reference_digest: bytes
    num_classes: int
    class_names: tuple[str, ...] | None

    def save(self, path: Path) -> None:
        """Writes an npz file with these attributes; `class_names` is empty where they are not known."""
        with atomic_write(path) as file:
            np.savez(
                file,
                label=self.label,
                energy=self.energy,
                entropy=self.entropy,
                reference_digest=np.frombuffer(self.reference_digest, np.uint8),
                num_classes=np.int64(self.num_classes),
                class_names=np.array(self.class_names or (), dtype=np.str_),
            )

    @classmethod
    def load(cls, path: Path) -> Scores:
        """Reads what `save` wrote. Raises BadInput if it is not that."""
        try:
            with np.load(path, allow_pickle=False) as file:
                scores = cls(
                    label=file["label"],
                    energy=file["energy"],
                    entropy=file["entropy"],
                    reference_digest=file["reference_digest"].tobytes(),
                    num_classes=int(file["num_classes"]),
                    class_names=tuple(file["class_names"].tolist()) or None,
                )
        except Exception as error:
            raise BadInput(f"{path} is not a file of scores ({error})", rule="scores") from error
        columns = (scores.label, scores.energy, scores.entropy)
        if any(column.shape != (scores.label.size,) for column in columns):
            raise BadInput(f"{path} has columns of different lengths", rule="scores")
        if scores.label.dtype.kind not in "iu" or any(column.dtype.kind != "f" for column in columns[1:]):
            raise BadInput(f"{path} has columns that are not label, energy and entropy", rule="scores")
        if not all(np.isfinite(column).all() for column in columns):
            raise BadInput(f"{path} has scores that are not finite", rule="scores")
        return scores
