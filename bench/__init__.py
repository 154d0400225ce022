"""Benchmarks: a folder or file for each measurement, and `results` for the measured figures.

    payload/      sizes, times and memory of payloads, beside the peers     make bench, make cold
    accuracy/     accuracy of students, from payloads and alternatives      make accuracy
    planning/     accuracy of students, from the planner's payloads         make frontier
    frames.py     frames under loss, damage and interruption; speed         make frames
    names.py      the rate at which names of images become numbers          python -m bench.names
    labelling.py  the rate of labelling                                     python -m bench.labelling

The others are shared: the corpora, the alternatives to labels, tables in CSV, bars, plots, and the figures of the
documentation. payload/ needs ../shared/corpora; accuracy/, planning/ and labelling.py need ../shared/data and
../shared/weights.
"""
