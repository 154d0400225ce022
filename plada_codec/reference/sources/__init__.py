"""Sources of images: a file for each type; their registry is `plada_codec/reference/registry.py`."""
