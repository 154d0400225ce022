"""Measurements of candidates, and the file `measurements.jsonl` that keeps them.

A search writes a line when it begins and after each measurement. A search that continues reads them, and the time that
they took.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from plada_codec.errors import FileError
from plada_train.constraints import Count, Positive, Seconds, Share
from plada_train.files import append
from plada_train.json_files import dumps, loads

if TYPE_CHECKING:
    from plada_train.planning.candidates.grid import Candidate


@dataclass(frozen=True)
class Measurement:
    """The result of training proxies on a candidate's payload.

    Attributes:
        kept: number of kept images.
        payload_bytes: size of the payload.
        accuracies: accuracy of each proxy on held-out images, 0 .. 1.
    """

    kept: Positive
    payload_bytes: Positive
    accuracies: dict[str, Share]

    def __post_init__(self) -> None:
        if not self.accuracies:
            raise ValueError("accuracies are missing")

    @property
    def accuracy(self) -> float:
        """Mean accuracy of the proxies."""
        return sum(self.accuracies.values()) / len(self.accuracies)


@dataclass(frozen=True, kw_only=True)
class MeasurementLine:
    """A line of `measurements.jsonl`: a candidate was measured.

    Attributes:
        candidate: key of the candidate (`Candidate.key`).
        rung: number of the rung, from 0.
        measurement: the result; null if no payload fits the candidate's level.
        seconds: elapsed seconds of the search.
        search: name of the search: its budgets.
    """

    candidate: str
    rung: Count
    measurement: Measurement | None
    seconds: Seconds
    search: str


@dataclass(frozen=True, kw_only=True)
class SearchLine:
    """A line of `measurements.jsonl`: a search began to measure.

    Attributes:
        search_began_s: elapsed seconds when the search began.
        seconds: the same.
        search: name of the search: its budgets.
    """

    search_began_s: Seconds
    seconds: Seconds
    search: str


class MeasurementLog:
    """Measurements by candidate and rung, and the elapsed seconds of a search, in a file that only grows.

    Searches share measurements, but each has its own time: `search` is the name of one.
    """

    def __init__(self, path: Path, search: str = "") -> None:
        self._path = path
        self._search = search
        self._found: dict[tuple[str, int], Measurement | None] = {}
        self._search_began_s: float | None = None
        self._began_s = time.monotonic()
        for text in path.read_text(errors="replace").splitlines() if path.exists() else []:
            # Ignore half a line of a killed process, and lines of another version
            with suppress(FileError):
                self._take(loads(text, MeasurementLine | SearchLine, path))

    def _take(self, line: MeasurementLine | SearchLine) -> None:
        if isinstance(line, MeasurementLine):
            self._found[line.candidate, line.rung] = line.measurement
        if line.search == self._search:
            self._began_s = time.monotonic() - line.seconds
            if isinstance(line, SearchLine):
                self._search_began_s = line.search_began_s

    @property
    def seconds(self) -> float:
        """Elapsed seconds of the search, earlier calls included."""
        return time.monotonic() - self._began_s

    def knows(self, candidate: Candidate, rung: int) -> bool:
        """Whether a candidate was measured on a rung."""
        return (candidate.key, rung) in self._found

    def measured(self, candidates: Iterable[Candidate], rung: int) -> dict[Candidate, Measurement]:
        """Measurements of candidates on a rung, in the order of candidates; those without a payload are left out."""
        found = ((one, self._found.get((one.key, rung))) for one in candidates)
        return {one: measurement for one, measurement in found if measurement is not None}

    def add(self, candidate: Candidate, rung: int, measurement: Measurement | None) -> None:
        """Keep a measurement. Raises FileError if it cannot be written."""
        self._found[candidate.key, rung] = measurement
        self._write(
            MeasurementLine(
                candidate=candidate.key,
                rung=rung,
                measurement=measurement,
                seconds=round(self.seconds, 2),
                search=self._search,
            )
        )

    def began_s(self) -> float:
        """Elapsed seconds when the search began to measure; it begins now if it has not begun."""
        if self._search_began_s is None:
            now = self._search_began_s = round(self.seconds, 2)
            self._write(SearchLine(search_began_s=now, seconds=now, search=self._search))
        return self._search_began_s

    def _write(self, line: MeasurementLine | SearchLine) -> None:
        append(self._path, dumps(line, indent=None))
