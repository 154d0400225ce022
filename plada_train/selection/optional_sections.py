"""`OptionalSections`: the parts that a payload carries besides indices and labels (paper, appendix D)."""

from __future__ import annotations

from dataclasses import dataclass

from plada_codec.errors import InputError
from plada_codec.limits import Limits


@dataclass(frozen=True)
class OptionalSections:
    """The optional sections that a payload carries (spec section 8), and the class check (section 3.4).

    Attributes:
        class_names: send the names of the classes.
        class_check: send two bytes that depend on the names, if they are known and not sent. A client whose test images
            are of other classes, or of classes in another order, then gets an error.
        soft_labels: send the soft labels of the classes (see `soft_labels_and_weights.dirichlet_concentrations`).
        weights_tau: if given, send importance weights with this temperature (see
            `soft_labels_and_weights.importance_weights`).
    """

    class_names: bool = False
    class_check: bool = True
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
        if self.class_names and class_names is not None:
            size = sum(len(name.encode()) + 1 for name in class_names) - 1
            if size > Limits.max_class_names_bytes:
                what = f"the class names take {size} bytes, but receivers take {Limits.max_class_names_bytes}"
                raise InputError(f"{what}: do not send them", rule="class-names")
        if self.soft_labels and num_classes**2 > Limits.max_soft_label_values:
            raise InputError(f"{num_classes} classes are too many for soft labels", rule="soft-labels")

    def class_check_of(self, class_names: tuple[str, ...] | None) -> bytes:
        """The class check to send for classes of these names, if they are known; b"" for none."""
        from plada_codec.sections.class_names import class_check

        return b"" if class_names is None or self.class_names or not self.class_check else class_check(class_names)
