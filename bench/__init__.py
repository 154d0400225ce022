"""Benchmarks. `make bench` measures sizes, times and memory; `python -m bench.first_light` students on real images.

The first needs ../shared/corpora, the second ../shared/data and ../shared/weights. Results are in bench/results.
"""
