"""Hypothesis profiles: `make test` runs `ci` and `brief`; HYPOTHESIS_PROFILE=thorough looks longer."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

_CALM = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow, HealthCheck.data_too_large]}
settings.register_profile("ci", max_examples=300, derandomize=False, print_blob=True, **_CALM)  # type: ignore[arg-type]
settings.register_profile("brief", max_examples=60, print_blob=True, **_CALM)  # type: ignore[arg-type]
settings.register_profile("thorough", max_examples=5_000, print_blob=True, **_CALM)  # type: ignore[arg-type]
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))
