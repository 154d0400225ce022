"""The selections that the benchmarks measure: real teachers' and calibrated ones, from ../shared/corpora."""

from __future__ import annotations

import csv
import importlib.util
import io
import platform
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from plada_codec import Payload, Universe
from plada_codec.files import atomic_write

if TYPE_CHECKING:
    from numpy.typing import NDArray

CORPORA = Path(__file__).parent.parent.parent / "shared" / "corpora"
RESULTS = Path(__file__).parent / "results"
REAL = ("cifar10", "resisc12", "clothing10")
KEEP_RATES = (0.001, 0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1.0)
STRIDES = (10, 100)
DIGEST = bytes(8)


def require_corpora() -> None:
    """Ends the benchmark where the corpora are not to be had."""
    if not CORPORA.exists():
        raise SystemExit(f"this benchmark needs {CORPORA}")


def real_selections(target: str) -> Iterator[tuple[str, Payload]]:
    """(rule, payload) of a real teacher: lowest energy at each keep rate, and each stride with all kept."""
    data = np.load(CORPORA / f"{target}-on-tiny-imagenet-100k.npz")
    logits = data["logits"].astype(np.float64)
    size, num_classes = logits.shape
    labels = logits.argmax(1)
    largest = logits.max(1)
    energy = -(np.log(np.exp(logits - largest[:, None]).sum(1)) + largest)
    by_energy = np.argsort(energy, kind="stable")
    for keep in KEEP_RATES:
        indices = np.sort(by_energy[: int(keep * size)])
        yield f"keep {keep:g}", Payload(indices, labels[indices], size, num_classes, DIGEST)
    for stride in STRIDES:
        indices = np.arange(0, size, stride)
        yield f"stride {stride}", Payload(indices, labels[indices], size, num_classes, DIGEST, Universe(0, stride))


def calibrated(dataset: str, size: str) -> tuple[NDArray[np.float32], NDArray[np.uint16], int]:
    """(energy [N], label [N], C) of the generator in ../shared/corpora."""
    spec = importlib.util.spec_from_file_location("paper_calibrated", CORPORA / "paper_calibrated.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    result: tuple[NDArray[np.float32], NDArray[np.uint16], int] = module.energies_and_labels(dataset, size)
    return result


def write_results(name: str, command: str, rows: Sequence[dict[str, Any]]) -> None:
    """Writes bench/results/NAME: the rows, each with the command, machine and versions that made it."""
    made = {
        "command": command,
        "machine": f"{platform.machine()}, {platform.system()}, Python {platform.python_version()}",
        "versions": " ".join(f"{package} {version(package)}" for package in ("plada", "numpy", "numba", "zstandard")),
    }
    text = io.StringIO()
    lines = csv.writer(text, lineterminator="\n")
    lines.writerow([*rows[0], *made])
    lines.writerows([*row.values(), *made.values()] for row in rows)
    with atomic_write(RESULTS / name) as file:
        file.write(text.getvalue().encode())
