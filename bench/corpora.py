"""The selections that benchmarks measure, from the labels and scores in ../shared/corpora, in three families.

    real        three teachers over 100,000 images: lowest energy and Safety-Net at eight keep rates; two strides
    calibrated  the paper's ten datasets over ImageNet-1K's 1,281,167 images, four over ImageNet-21K's 14,197,122
    shuffled    a real corpus in random order, so that the neighbours of an image say nothing about it

Safety-Net (paper, section 4.3) has its whole budget in class quotas. With everything kept it is the lowest energy, so
it is measured for smaller keep rates only.
"""

from __future__ import annotations

import functools
import importlib.util
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from plada_codec import Payload, Universe
from plada_train.selection.counts import kept_count
from plada_train.selection.lowest_cost import LowestCost
from plada_train.selection.safety_net import SafetyNet

if TYPE_CHECKING:
    from numpy.typing import NDArray

CORPORA = Path(__file__).parent.parent.parent / "shared" / "corpora"
DIGEST = bytes(8)
REAL = ("cifar10", "resisc12", "clothing10")
#: At ImageNet-21K's size some peers take minutes for a selection, so four datasets stand for all.
CALIBRATED_21K = ("CUB-200", "CIFAR-10", "RESISC45", "Food-101")
#: The corpus of the speed table, and the only one of ImageNet-21K's size with all images kept.
SPEED_CORPUS = "CUB-200@21k"
KEEP_RATES = (0.001, 0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1.0)
STRIDES = (10, 100)
ALPHAS = (0.0, -0.2)


@dataclass(frozen=True)
class CorpusScores:
    """Energy and label of each reference image, and the number of classes, from one teacher."""

    energy: NDArray[np.floating[Any]]
    label: NDArray[np.integer[Any]]
    num_classes: int


@dataclass(frozen=True)
class CorpusRule:
    """A selection rule with its keep rate and stride."""

    name: str
    keep: float
    stride: int = 1
    alpha: float | None = None

    def payload(self, scores: CorpusScores) -> Payload:
        """Make the payload of the selection."""
        size = len(scores.energy)
        if self.stride > 1:
            indices = np.arange(0, size, self.stride)
        else:
            count = kept_count(self.keep, size)
            rule = LowestCost() if self.alpha is None else SafetyNet(alpha=self.alpha)
            indices = rule.choose(scores.energy, scores.label, scores.num_classes, count)
        return Payload(indices, scores.label[indices], size, scores.num_classes, DIGEST, Universe(0, self.stride))


@dataclass(frozen=True)
class Corpus:
    """Scores, which `load` reads, and the rules to select images by."""

    name: str
    family: str
    images: int
    rules: tuple[CorpusRule, ...]
    load: Callable[[], CorpusScores]

    def cell(self, rule: CorpusRule) -> str:
        """The name of the corpus under a rule."""
        return f"{self.name} {rule.name} {rule.keep:g}"


def corpora() -> list[Corpus]:
    """All corpora."""
    real_rules = (
        *_lowest_energy(*KEEP_RATES),
        *(CorpusRule(f"safety-net({a:g})", keep, alpha=a) for a in ALPHAS for keep in KEEP_RATES if keep < 1),
        *(CorpusRule(f"stride-{stride}", 1.0, stride) for stride in STRIDES),
    )
    result = [Corpus(name, "real", 100_000, real_rules, functools.partial(_real, name)) for name in REAL]
    datasets = json.loads((CORPORA / "paper_calibrated.json").read_text())
    for size, images, names in (("1k", 1_281_167, datasets), ("21k", 14_197_122, CALIBRATED_21K)):
        for name in names:
            corpus_name, load = f"{name}@{size}", functools.partial(_calibrated, name, size)
            keep_rates = [0.01, 0.1, *([0.5] if size == "1k" else [])]
            if size == "1k" or corpus_name == SPEED_CORPUS:
                keep_rates.append(1.0)
            result.append(Corpus(corpus_name, "calibrated", images, _lowest_energy(*keep_rates), load))
    shuffled = functools.partial(_shuffled, REAL[0])
    result.append(Corpus(f"{REAL[0]}-shuffled", "shuffled", 100_000, _lowest_energy(0.01, 0.1, 1.0), shuffled))
    return result


def require_corpora() -> None:
    """End the benchmark if the corpora are missing."""
    if not CORPORA.exists():
        raise SystemExit(f"this benchmark needs {CORPORA}")


def _lowest_energy(*keep_rates: float) -> tuple[CorpusRule, ...]:
    return tuple(CorpusRule("lowest-energy", keep) for keep in keep_rates)


def _real(target: str) -> CorpusScores:
    logits = np.load(CORPORA / f"{target}-on-tiny-imagenet-100k.npz")["logits"].astype(np.float64)
    largest = logits.max(1)
    energy = -(np.log(np.exp(logits - largest[:, None]).sum(1)) + largest)
    return CorpusScores(energy, logits.argmax(1), logits.shape[1])


def _shuffled(target: str) -> CorpusScores:
    scores = _real(target)
    order = np.random.default_rng(0).permutation(len(scores.energy))
    return CorpusScores(scores.energy[order], scores.label[order], scores.num_classes)


def _calibrated(dataset: str, size: str) -> CorpusScores:
    spec = importlib.util.spec_from_file_location("paper_calibrated", CORPORA / "paper_calibrated.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return CorpusScores(*module.energies_and_labels(dataset, size))
