"""`OptionalSections`: the optional sections that a payload carries besides indices and labels (paper, appendix D)."""

from __future__ import annotations

from dataclasses import dataclass

from plada_codec.errors import InputError
from plada_codec.limits import Limits


@dataclass(frozen=True)
class OptionalSections:
    """The optional sections that a payload carries (spec section 8).

    Attributes:
        class_names: send the names of the classes.
        soft_labels: send the soft labels of the classes (see `soft_labels_and_weights.dirichlet_concentrations`).
        weights_tau: if given, send importance weights with this temperature (see
            `soft_labels_and_weights.importance_weights`).
    """

    class_names: bool = False
    soft_labels: bool = False
    weights_tau: float | None = None

    def check(self, class_names: tuple[str, ...] | None, num_classes: int) -> None:
        """Raise InputError if these sections cannot be sent for a target.

        Args:
            class_names: names of the classes, if known.
            num_classes: number of classes C.
        """
        if self.class_names and class_names is None:
            raise InputError("the classes have no names to send", rule="class-names")
        if self.soft_labels and num_classes**2 > Limits.max_soft_label_values:
            raise InputError(f"{num_classes} classes are too many for soft labels", rule="soft-labels")
