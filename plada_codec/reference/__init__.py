"""Reference sets: the ordered images that every client holds, and the digest that tells one set from another."""
