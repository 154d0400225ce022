"""Fuzzing beyond what the tests have time for: `python -m fuzz.decoders --minutes 10`."""
