"""The optional sections of a payload: what it can hold besides images and labels (spec section 8)."""
