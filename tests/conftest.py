"""Hypothesis profiles, one for each tier of tests: `make check` looks at `quick`, `make test` at `ci` and
`make test-all` at `thorough`, by HYPOTHESIS_PROFILE. The first two are derandomised: a red run is red again.
`seeded` is `ci`, but for --hypothesis-seed.
"""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

_CALM = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow, HealthCheck.data_too_large]}
settings.register_profile("quick", max_examples=25, derandomize=True, **_CALM)  # type: ignore[arg-type]
settings.register_profile("ci", max_examples=100, derandomize=True, **_CALM)  # type: ignore[arg-type]
settings.register_profile("seeded", max_examples=100, **_CALM)  # type: ignore[arg-type]
settings.register_profile("thorough", max_examples=3_000, print_blob=True, **_CALM)  # type: ignore[arg-type]
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))
