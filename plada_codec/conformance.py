"""Runs an external decoder over the vectors of the specification and over generated payloads.

A decoder is a command that reads a payload from standard input and writes CSV (`index,label`) to standard
output, or exits with another code than 0 for a payload that must be refused.
"""

from __future__ import annotations

import hashlib
import json
import shlex
import subprocess
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from plada_codec.api import decode
from plada_codec.errors import InvalidPayload, PladaError, Unsupported
from plada_codec.files import BadFile

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
    folder, vectors = _vectors()
    generated = _generate(examples, seed)
    total = len(vectors) + len(generated)
    failures = []
    for done, vector in enumerate(vectors):
        blob = (folder / vector["file"]).read_bytes()
        what = _judge(arguments, blob, vector.get("csv_sha256"), "ancillary" in vector["flags"], timeout_s)
        if what:
            failures.append(Failure(vector["id"], vector["comment"], what))
        progress(done + 1, total)
    for number, blob in enumerate(generated):
        what = _judge(arguments, blob, _csv_sha256(blob), False, timeout_s)
        if what:
            failures.append(Failure(f"generated-{number}", f"seed {seed}, bytes {blob[:64].hex()}", what))
        progress(len(vectors) + number + 1, total)
    return Report(len(vectors), len(generated), tuple(failures))


def _vectors() -> tuple[Path, list[dict[str, Any]]]:
    for folder in _VECTOR_FOLDERS:
        if (folder / "index.json").exists():
            vectors = json.loads((folder / "index.json").read_text(encoding="utf-8"))["vectors"]
            return folder, [v for v in vectors if "limits" not in v and "expected_reference" not in v]
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
    damaged = damaged_payloads().filter(_is_not_refused_for_names)

    @seeded(seed)
    @settings(
        max_examples=examples,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(whole | damaged)
    def collect(blob: bytes) -> None:
        found.append(blob)

    collect()
    return found


def _is_not_refused_for_names(blob: bytes) -> bool:
    """Whether a decoder that skips class names, as it may, gives the same answer."""
    try:
        decode(blob)
    except PladaError as error:
        return error.rule != "class-names"
    return True


def _csv_sha256(blob: bytes) -> str | None:
    """The hash of a payload as CSV; None if it must be refused."""
    try:
        payload = decode(blob)
    except PladaError:
        return None
    rows = zip(payload.indices.tolist(), payload.labels.tolist(), strict=True)
    return hashlib.sha256(("index,label\n" + "".join(f"{i},{label}\n" for i, label in rows)).encode()).hexdigest()


def _judge(command: list[str], blob: bytes, csv_sha256: str | None, may_accept: bool, timeout_s: float) -> str | None:
    """What the decoder did wrong, or None."""
    try:
        done = subprocess.run(command, input=blob, capture_output=True, timeout=timeout_s, check=False)
    except subprocess.TimeoutExpired:
        return f"took more than {timeout_s} s"
    except OSError as error:
        raise InvalidPayload(f"the decoder cannot be run: {error}", rule="decoder") from None
    if csv_sha256 is None:
        return "was accepted, but must be refused" if done.returncode == 0 and not may_accept else None
    if done.returncode != 0:
        message = done.stderr.decode(errors="replace").strip().splitlines()
        return f"was refused, but is valid: {message[-1] if message else f'exit code {done.returncode}'}"
    lines = done.stdout.replace(b"\r\n", b"\n")
    if hashlib.sha256(lines).hexdigest() != csv_sha256:
        return "was decoded to something else"
    return None
