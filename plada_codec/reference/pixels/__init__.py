"""Images become pixels, by one rule that every reader of images follows (spec/reference-images.md)."""
