"""Benchmarks. `make bench` measures sizes, times and memory; `python -m bench.first_light` students on real images.

All need ../shared/corpora. Results are in bench/results.
"""
