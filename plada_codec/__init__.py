"""PLADA payload codec: which images of a reference set are kept, and their classes, in few bytes.

    from plada_codec import Payload, encode, decode

The format is specified in `spec/plada-format-1.md`. How payloads cross narrow links, in frames that may be lost, and
how long that takes, is in `plada_codec.frames` and `plada_codec.links.budgets.budget`:

    from plada_codec import Conditions, IndependentLoss, Reassembler, Sender, link, packetize
    from plada_codec.links.budgets.budget import budget
    from plada_codec.links.profiles import links

Names are imported when they are first used, so that `plada --help` does not wait for numpy.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    __version__: str
    from plada_codec.api import Inspection, decode, encode, expect_encodings, inspect
    from plada_codec.errors import (
        ClassMismatch,
        Corrupt,
        FileError,
        FilesPassedOver,
        InputError,
        InvalidArgument,
        InvalidPayload,
        LimitExceeded,
        LinkError,
        MissingClasses,
        PladaError,
        PladaWarning,
        ReferenceMismatch,
        SourceError,
        Truncated,
        Unavailable,
        Unsupported,
    )
    from plada_codec.frames import FrameLimits, Reassembler, Sender, carousel, packetize
    from plada_codec.interop.comparison import compare
    from plada_codec.limits import Limits
    from plada_codec.links.budgets.budget import Budget, best_frame_bytes, max_bytes
    from plada_codec.links.budgets.conditions import Conditions
    from plada_codec.links.link import Link
    from plada_codec.links.loss import BitErrors, BurstyLoss, IndependentLoss
    from plada_codec.links.profiles import link
    from plada_codec.payload import Payload
    from plada_codec.reference import ImageSource, from_dataset, open_images, reference_digest
    from plada_codec.sections.class_names import class_check
    from plada_codec.sections.soft_labels import dequantised_concentrations, quantised_concentrations
    from plada_codec.sections.weights import dequantised_weights, quantised_weights
    from plada_codec.universe import Universe
    from plada_codec.virtual_dataset import VirtualDataset

_HOMES = {
    "api": ("Inspection", "decode", "encode", "expect_encodings", "inspect"),
    "links.budgets.budget": ("Budget", "best_frame_bytes", "max_bytes"),
    "links.budgets.conditions": ("Conditions",),
    "interop.comparison": ("compare",),
    "errors": (
        "ClassMismatch",
        "Corrupt",
        "FileError",
        "FilesPassedOver",
        "InputError",
        "InvalidArgument",
        "InvalidPayload",
        "LimitExceeded",
        "LinkError",
        "MissingClasses",
        "PladaError",
        "PladaWarning",
        "ReferenceMismatch",
        "SourceError",
        "Truncated",
        "Unavailable",
        "Unsupported",
    ),
    "frames": ("FrameLimits", "Reassembler", "Sender", "carousel", "packetize"),
    "limits": ("Limits",),
    "links.link": ("Link",),
    "links.loss": ("BitErrors", "BurstyLoss", "IndependentLoss"),
    "links.profiles": ("link",),
    "payload": ("Payload",),
    "reference": ("ImageSource", "from_dataset", "open_images", "reference_digest"),
    "sections.class_names": ("class_check",),
    "sections.soft_labels": ("dequantised_concentrations", "quantised_concentrations"),
    "sections.weights": ("dequantised_weights", "quantised_weights"),
    "universe": ("Universe",),
    "virtual_dataset": ("VirtualDataset",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "BitErrors",
    "Budget",
    "BurstyLoss",
    "ClassMismatch",
    "Conditions",
    "Corrupt",
    "FileError",
    "FilesPassedOver",
    "FrameLimits",
    "ImageSource",
    "IndependentLoss",
    "InputError",
    "Inspection",
    "InvalidArgument",
    "InvalidPayload",
    "LimitExceeded",
    "Limits",
    "Link",
    "LinkError",
    "MissingClasses",
    "Payload",
    "PladaError",
    "PladaWarning",
    "Reassembler",
    "ReferenceMismatch",
    "Sender",
    "SourceError",
    "Truncated",
    "Unavailable",
    "Universe",
    "Unsupported",
    "VirtualDataset",
    "__version__",
    "best_frame_bytes",
    "carousel",
    "class_check",
    "compare",
    "decode",
    "dequantised_concentrations",
    "dequantised_weights",
    "encode",
    "expect_encodings",
    "from_dataset",
    "inspect",
    "link",
    "max_bytes",
    "open_images",
    "packetize",
    "quantised_concentrations",
    "quantised_weights",
    "reference_digest",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        value: Any = importlib.import_module("importlib.metadata").version("plada")
    elif name in _HOME_OF:
        value = getattr(importlib.import_module(f"{__name__}.{_HOME_OF[name]}"), name)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
