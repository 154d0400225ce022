"""Runs an external decoder over the vectors of the specification and over generated payloads.

A decoder is a command that reads a payload from standard input and writes CSV (`index,label`) to standard
output, or exits with another code than 0 for a payload that must be refused. Class names, soft labels and weights are
not part of that: a decoder may skip them, and so accept a payload in which only they are bad.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import shlex
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from plada_codec.api import decode, inspect
from plada_codec.container import SECTION_NAMES
from plada_codec.errors import InvalidPayload, PladaError, Unsupported
from plada_codec.files import BadFile
from plada_codec.interop import csv

#: In an installed distribution, and in a checkout.
_VECTOR_FOLDERS = (Path(__file__).parent / "vectors", Path(__file__).parent.parent / "spec" / "vectors")


@dataclass(frozen=True)
class Failure:
    """What a decoder got wrong: on which vector or payload, and how."""

    id: str
    comment: str
    what: str


@dataclass(frozen=True)
class Report:
    """What a decoder was tested on, and what it got wrong."""

    vectors: int
    examples: int
    failures: tuple[Failure, ...]

    def as_dict(self) -> dict[str, Any]:
        """What `plada conformance --json` prints."""
        return asdict(self)


def run_conformance(
    command: str,
    examples: int,
    seed: int,
    timeout_s: float,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Report:
    """Tests the decoder `command` on every vector that needs no options, and on `examples` generated payloads.

    Half of the generated payloads are damaged; those that plada's own decoder refuses must be refused.

    Raises:
        InvalidPayload: if the command cannot be run.
        Unsupported: if payloads are to be generated and hypothesis is not installed.
    """
    try:
        arguments = shlex.split(command)
    except ValueError as error:
        raise InvalidPayload(f"the decoder command cannot be read: {error}", rule="decoder") from None
    if not arguments:
        raise InvalidPayload("the decoder command is empty", rule="decoder")
    vectors = _vectors()
    generated = [
        _Case(
            f"generated-{number}",
            f"seed {seed}, bytes {blob[:64].hex()}",
            blob,
            _csv_sha256(blob),
            _has_skippable(blob),
        )
        for number, blob in enumerate(_generate(examples, seed))
    ]
    cases = vectors + generated

    def run(case: _Case) -> Failure | None:
        what = _judge(arguments, case, timeout_s)
        return Failure(case.id, case.comment, what) if what else None

    failures = []
    # The decoders are processes; threads only wait for them.
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for done, failure in enumerate(pool.map(run, cases), start=1):
            failures += [failure] if failure else []
            progress(done, len(cases))
    return Report(len(vectors), len(generated), tuple(failures))


@dataclass(frozen=True)
class _Case:
    """A payload, and what to expect: the hash of its CSV, or None if it must be refused (or may be accepted)."""

    id: str
    comment: str
    blob: bytes
    csv_sha256: str | None
    may_accept: bool


def _vectors() -> list[_Case]:
    for folder in _VECTOR_FOLDERS:
        if (folder / "index.json").exists():
            vectors = json.loads((folder / "index.json").read_text(encoding="utf-8"))["vectors"]
            return [
                _Case(
                    v["id"],
                    v["comment"],
                    (folder / v["file"]).read_bytes(),
                    v.get("csv_sha256"),
                    "ancillary" in v["flags"],
                )
                for v in vectors
                if "limits" not in v and "expected_reference" not in v
            ]
    raise BadFile(f"the test vectors are not where they belong, {_VECTOR_FOLDERS[0]}", rule="vectors")


def _generate(examples: int, seed: int) -> list[bytes]:
    """Payloads, whole and damaged, the same for the same seed and release of hypothesis."""
    if not examples:
        return []
    try:
        from hypothesis import HealthCheck, Phase, given, settings
        from hypothesis import seed as seeded

        from plada_codec.strategies import damaged_payloads, encoded_payloads
    except ImportError:
        raise Unsupported(
            "generated payloads need hypothesis: pip install 'plada[conformance]', or use --examples 0", rule="extra"
        ) from None

    found: list[bytes] = []
    whole = encoded_payloads().map(lambda example: example.blob)

    @seeded(seed)
    @settings(
        max_examples=examples,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(whole | damaged_payloads())
    def collect(blob: bytes) -> None:
        found.append(blob)

    collect()
    return found


def _has_skippable(blob: bytes) -> bool:
    """Whether a decoder that skips ancillary sections, as it may, could accept what others refuse."""
    try:
        return any(section.type in SECTION_NAMES.values() for section in inspect(blob).sections)
    except PladaError:
        return False


def _csv_sha256(blob: bytes) -> str | None:
    """The hash of a payload as CSV; None if it must be refused."""
    try:
        payload = decode(blob)
    except PladaError:
        return None
    rows = io.BytesIO()
    csv.write(payload, rows)
    return hashlib.sha256(rows.getvalue()).hexdigest()


def _judge(command: list[str], case: _Case, timeout_s: float) -> str | None:
    """What the decoder did wrong, or None."""
    try:
        done = subprocess.run(command, input=case.blob, capture_output=True, timeout=timeout_s, check=False)
    except subprocess.TimeoutExpired:
        return f"took more than {timeout_s} s"
    except OSError as error:
        raise InvalidPayload(f"the decoder cannot be run: {error}", rule="decoder") from None
    if case.csv_sha256 is None:
        return "was accepted, but must be refused" if done.returncode == 0 and not case.may_accept else None
    if done.returncode != 0:
        message = done.stderr.decode(errors="replace").strip().splitlines()
        return f"was refused, but is valid: {message[-1] if message else f'exit code {done.returncode}'}"
    lines = done.stdout.replace(b"\r\n", b"\n")
    if hashlib.sha256(lines).hexdigest() != case.csv_sha256:
        return "was decoded to something else"
    return None
