"""Defaults of deliveries, for the library and for the help of commands. Nothing is imported here: help must be fast."""

from __future__ import annotations

#: Probability with which all receivers must get the object.
PROBABILITY = 0.99
