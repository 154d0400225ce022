"""Read and write the CSVs of bench/results: named columns of text, below a comment with the command that wrote them."""

from __future__ import annotations

import csv
import hashlib
import io
import platform
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from plada_codec.files import atomic_write

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "bench" / "results"
#: Packages whose releases decide sizes and times.
PACKAGES = ("numpy", "numba", "zstandard", "brotli", "pyppmd", "pcodec", "constriction", "pyroaring")

#: The compressor that all ratios and bars are about.
OURS = "plada small"
#: Compressors that times are compared with.
YARDSTICKS = ("zstd-19", "brotli -11")

Row = dict[str, str]


def write_rows(
    path: Path,
    command: str,
    rows: Sequence[dict[str, Any]],
    packages: Sequence[str] = PACKAGES,
    sources: Sequence[str] = ("plada_codec",),
) -> None:
    """Write the rows to `path`, below a comment with the command, machine, versions and sources that made them."""
    machine = f"{platform.machine()}, {platform.system()}, Python {platform.python_version()}"
    text = io.StringIO()
    digests = ", ".join(f"{name} {sources_digest(name)[:12]}" for name in sources)
    text.write(f"# {command}; {machine}; {' '.join(versions(packages))}; {digests}\n")
    lines = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    lines.writeheader()
    lines.writerows(rows)
    with atomic_write(path) as file:
        file.write(text.getvalue().encode())


def read_rows(path: Path) -> list[Row]:
    """Read the rows of a file."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(line for line in file if not line.startswith("#")))


def versions(packages: Sequence[str] = PACKAGES) -> list[str]:
    """Name and release of each package, as one text."""
    return [f"{package} {version(package)}" for package in packages]


def sources_digest(*names: str) -> str:
    """SHA-256, in hexadecimal, of the Python sources in files and folders; `names` are relative to the repository."""
    digest = hashlib.sha256()
    for name in names:
        path = ROOT / name
        for source in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            digest.update(source.read_bytes())
    return digest.hexdigest()
