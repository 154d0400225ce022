"""The codings of format 1: a file for each, and one registry (`registry.py`) with the rows of spec 5.1 and 5.2."""
