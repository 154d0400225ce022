"""Defaults of deliveries, for the library and for the help of commands. Nothing is imported here: help must be fast."""

from __future__ import annotations

#: Number of receivers that must get the object, and probability with which all of them must.
DEFAULT_RECEIVERS, DEFAULT_PROBABILITY = 1, 0.99
#: Length of an acknowledgement or a NACK list, and share of them that is lost.
DEFAULT_ACKNOWLEDGEMENT_BYTES, DEFAULT_RETURN_LOSS = 8, 0.0
#: Number of frames between two NACK lists.
DEFAULT_NACK_BURST_FRAMES = 32
