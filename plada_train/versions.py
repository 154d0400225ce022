"""Versions of the software that a result depends on."""

from __future__ import annotations

import platform
from importlib.metadata import version

#: The packages, besides Python.
PACKAGES = ("plada", "numpy", "zstandard", "pillow", "torch", "torchvision", "timm")


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that a result depends on, by name."""
    return {"python": platform.python_version()} | {name: version(name) for name in PACKAGES}
