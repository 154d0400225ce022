"""Benchmarks: `make bench` of sizes, times and memory, `make accuracy` of students on real images, and
`python -m bench.labelling` of the rate at which images are labelled.

The first needs ../shared/corpora, the others ../shared/data and ../shared/weights. Results are in bench/results.
"""
