"""Defaults of deliveries, for the library and for the help of commands. Nothing is imported here: help must be fast."""

from __future__ import annotations

#: Number of receivers that must get the object, and probability with which all of them must.
RECEIVERS, PROBABILITY = 1, 0.99
#: Length of an acknowledgement or a NACK list, and share of them that is lost.
ACKNOWLEDGEMENT_BYTES, RETURN_LOSS = 8, 0.0
#: Number of frames between two NACK lists.
NACK_BURST_FRAMES = 32
