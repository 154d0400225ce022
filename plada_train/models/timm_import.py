"""Import timm even if torchvision cannot be imported. All modules that need timm import it from here.

timm imports torchvision, but PyPI's torchvision cannot be imported with the CPU build of torch: it looks for two
operators that its compiled part, which cannot be loaded, should have declared (`operator torchvision::nms does not
exist`). This module declares them; nothing in this package calls them. A working torchvision stays unchanged.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any

import torch

try:
    import_module("torchvision")
except RuntimeError as error:
    if "torchvision::nms" not in str(error):
        raise
    for _name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
        del sys.modules[_name]
    _library: Any = torch.library.Library
    #: The declarations end with this object.
    _declared = _library("torchvision", "FRAGMENT")
    for _operator in ("nms", "qnms"):
        _declared.define(f"{_operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")

#: The package, which is untyped, with the submodules that it does not import itself.
timm: Any = import_module("timm")
for _name in ("data", "models", "optim", "scheduler"):
    import_module(f"timm.{_name}")
