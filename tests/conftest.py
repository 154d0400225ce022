"""Hypothesis profiles: `make test` runs `ci` and `brief`; HYPOTHESIS_PROFILE=thorough looks longer.

And a cache of compiled kernels for each state of their sources: numba's own does not notice that a kernel calls one of
another file that has changed.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from hypothesis import HealthCheck, settings

_ROOT = Path(__file__).parent.parent
_sources = hashlib.sha256(os.environ.get("NUMBA_BOUNDSCHECK", "").encode())
for _path in sorted((_ROOT / "plada_codec" / "kernels").glob("*.py")):
    _sources.update(_path.read_bytes())
os.environ.setdefault("NUMBA_CACHE_DIR", str(_ROOT / ".cache" / "numba" / _sources.hexdigest()[:16]))

_CALM = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow, HealthCheck.data_too_large]}
settings.register_profile("ci", max_examples=300, derandomize=False, print_blob=True, **_CALM)  # type: ignore[arg-type]
settings.register_profile("brief", max_examples=60, print_blob=True, **_CALM)  # type: ignore[arg-type]
settings.register_profile("thorough", max_examples=5_000, print_blob=True, **_CALM)  # type: ignore[arg-type]
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))
