"""Narrow links: how long frames take on them, which frames they lose, and how many bytes fit into a time."""
