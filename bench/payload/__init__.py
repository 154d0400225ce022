"""Payloads beside the peers: sizes, times and memory (`make bench`), and the first call of a process (`make cold`)."""
