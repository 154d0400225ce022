"""Tables of Hugging Face as sources of images: parquet files, and Arrow files of `save_to_disk`."""
