"""The optional sections of a payload (spec section 8): a file for each, and one registry (`registry.py`)."""
