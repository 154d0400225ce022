"""Benchmarks: `make bench`. Each prints a table and writes a CSV to bench/results; both need ../shared/corpora."""
