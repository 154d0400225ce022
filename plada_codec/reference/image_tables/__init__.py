"""Tables with images in their rows as sources: parquet files, and the Arrow files of `save_to_disk`."""
