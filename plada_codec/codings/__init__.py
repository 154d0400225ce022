"""The codings of format 1: one file each, one table (`table.py`) that mirrors spec sections 5.1 and 5.2."""
