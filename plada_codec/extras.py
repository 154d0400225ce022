"""Modules that come with an extra of the distribution, such as pyarrow with plada[arrow]."""

from __future__ import annotations

import importlib
from typing import Any

from plada_codec.errors import Unsupported


def extra_module(module: str, extra: str) -> Any:
    """A module that comes with an extra of the distribution.

    Raises:
        Unsupported: (rule extra) if it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError:
        needed = module.partition(".")[0]
        raise Unsupported(f"this needs {needed}: pip install plada[{extra}]", rule="extra") from None
