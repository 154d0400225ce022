"""How many examples a property is looked at with: a share of what the tier looks at (tests/conftest.py)."""

from __future__ import annotations

from hypothesis import settings


def examples(factor: float) -> settings:
    """So many times the examples of the profile: more where they are cheap to look at, fewer where they are large."""
    return settings(max_examples=max(1, round(factor * settings().max_examples)))
