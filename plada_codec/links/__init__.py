"""Narrow links: their airtime, their losses, the cost of a delivery over them, and the bytes that fit a time."""
