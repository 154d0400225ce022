"""The objectives of training: for hard targets (classes), or the soft targets of the paper's Appendix D.

An objective maps logits, float32 [B, C], and labels, int64 [B], to the loss of each image, float32 [B].
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from torch.distributions import Gamma
from torch.nn import functional

from plada_codec.errors import InputError
from plada_train.data.labelled import LabelledImages
from plada_train.recipe import Recipe

if TYPE_CHECKING:
    from numpy.typing import NDArray

Objective = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def objective_of(data: LabelledImages, recipe: Recipe) -> Objective:
    """The objective of a recipe. Raises InputError if it needs soft labels and the data have none."""
    if recipe.targets == "hard":
        return hard_objective(recipe.label_smoothing)
    if data.concentrations is None:
        raise InputError(
            f"the payload has no soft labels for {recipe.targets} targets: learn hard targets, "
            "or ask for a payload of `plada-train select --soft-labels`",
            rule="targets",
        )
    return soft_objective(data.concentrations, data.labels, data.num_classes, recipe.targets, recipe.device)


def soft_objective(
    concentrations: NDArray[np.float64],
    labels: NDArray[np.integer[Any]],
    num_classes: int,
    targets: Literal["average", "dirichlet"],
    device: str = "cpu",
) -> Objective:
    """The objective for soft targets, from a payload's concentrations.

    Args:
        concentrations: float64 [U, C], a row for each of the U classes among `labels`, ascending.
        labels: classes of the kept images, integers [k].
        num_classes: number of classes C.
        targets: the kind of targets, see `average_objective` and `dirichlet_objective`.
        device: device of the logits.
    """
    rows = np.zeros(num_classes, np.int64)
    used = np.unique(labels)
    rows[used] = np.arange(len(used))
    make = average_objective if targets == "average" else dirichlet_objective
    return make(concentrations, rows, device)


def hard_objective(label_smoothing: float = 0.0) -> Objective:
    """The objective for classes: cross entropy, with a share `label_smoothing` spread over all classes."""

    def losses(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        return functional.cross_entropy(logits, labels, reduction="none", label_smoothing=label_smoothing)

    return losses


def average_objective(concentrations: NDArray[np.float64], rows: NDArray[np.int64], device: str = "cpu") -> Objective:
    """The objective KL(target || prediction) with the average soft label of each class (paper, D.3.1).

    Args:
        concentrations: float64 [U, C], parameters of Dirichlet distributions; a row divided by its sum is its mean.
        rows: int64 [C], the row of each class.
        device: of the logits.
    """
    mean = torch.from_numpy(concentrations / concentrations.sum(axis=1, keepdims=True)).float().to(device)
    row_of = torch.from_numpy(rows).to(device)
    return lambda logits, labels: _divergence(mean[row_of[labels]], logits)


def dirichlet_objective(concentrations: NDArray[np.float64], rows: NDArray[np.int64], device: str = "cpu") -> Objective:
    """The objective KL(target || prediction) with targets drawn from the class's distribution (paper, D.3.2).

    Drawn by torch's generator, which `training.fit` seeds for each step. Arguments as of `average_objective`.
    """
    parameters = torch.from_numpy(concentrations).to(device)
    row_of = torch.from_numpy(rows).to(device)
    return lambda logits, labels: _divergence(draw_soft_labels(parameters[row_of[labels]]).float(), logits)


def draw_soft_labels(concentrations: torch.Tensor) -> torch.Tensor:
    """Draw once from the Dirichlet distribution of each row, float64 [B, C]; a concentration of 0 gives probability 0.

    A gamma variable of shape a is one of shape a + 1 times u^(1/a), u uniform. Its logarithm, unlike itself, does not
    underflow for small a, and torch's own Dirichlet takes no 0.
    """
    gamma = Gamma(concentrations + 1, torch.ones_like(concentrations)).sample()
    minus_log_u = torch.empty_like(concentrations).exponential_()
    return functional.softmax(gamma.log() - minus_log_u / concentrations, dim=1)


def _divergence(target: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
    return functional.kl_div(functional.log_softmax(logits, dim=1), target, reduction="none").sum(dim=1)
