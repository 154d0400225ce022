"""Measure the accuracy that the planner's payloads teach, beside fixed rules: `make frontier`."""
