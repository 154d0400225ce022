"""Measure the accuracy of students that learn from payloads, or from alternatives of the same size: `make accuracy`."""
