"""Measure the accuracy of students that learn from the planner's payloads, beside fixed rules: `make frontier`."""
