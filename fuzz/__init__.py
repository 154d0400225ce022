"""Fuzzing that runs longer than the tests: `python -m fuzz.decoders --minutes 10`."""
