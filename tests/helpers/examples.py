"""Numbers of hypothesis examples: a multiple of the tier's number (tests/conftest.py)."""

from __future__ import annotations

from hypothesis import settings


def examples(factor: float) -> settings:
    """Use this multiple of the profile's examples: more for cheap properties, fewer for expensive ones."""
    return settings(max_examples=max(1, round(factor * settings().max_examples)))
