"""Fuzzing that runs longer than the tests: `python -m fuzz.run`, `make fuzz`."""
