"""What students learn from payloads, and from the alternatives in as many bytes: `make accuracy`."""
