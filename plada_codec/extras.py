"""Import a package that an extra installs, such as pyarrow with plada[arrow]."""

from __future__ import annotations

import importlib
from typing import Any

from plada_codec.errors import Unavailable


def extra_module(module: str, extra: str) -> Any:
    """Import a module of a package that an extra installs.

    Raises:
        Unavailable: (rule extra) if it is not installed, or cannot be imported.
    """
    needed = module.partition(".")[0]
    try:
        return importlib.import_module(module)
    except ImportError as error:
        if isinstance(error, ModuleNotFoundError) and error.name == needed:
            raise Unavailable(f"this needs {needed}: pip install plada[{extra}]", rule="extra") from None
        reason = " ".join(str(error).split())
        raise Unavailable(f"this needs {needed}, which is installed but broken: {reason}", rule="extra") from None
