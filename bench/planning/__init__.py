"""What the payloads of the planner teach, beside those of fixed rules: `make frontier`."""
