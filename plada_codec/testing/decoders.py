"""The processes of a tested decoder: one for each case, or one for all cases. See `conformance` for the protocols."""

from __future__ import annotations

import os
import re
import selectors
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Self

from plada_codec.errors import InvalidArgument
from plada_codec.testing.cases import Case

#: Longer answers are not read: no vector and no generated case has one.
MAX_ANSWER_BYTES = 1 << 26
_LENGTH_BYTES = 4
_CHUNK_BYTES = 1 << 16
#: Seconds in which a process must end after it has closed its standard output.
_GRACE_S = 1.0

#: Number of characters that are kept of a decoder's error message.
_MESSAGE_LENGTH = 500

_KINDS = ("Truncated", "Corrupt", "Unsupported", "LimitExceeded", "ReferenceMismatch", "InvalidPayload")
_ERROR = re.compile(rf"\b(?:{'|'.join(_KINDS)}) [a-z][a-z0-9-]*")


@dataclass(frozen=True)
class Accepted:
    """An answer: the output that a decoder wrote."""

    output: bytes


@dataclass(frozen=True)
class Refused:
    """An answer: a refusal, as "KIND RULE" (None if the decoder gives none), and its message."""

    error: str | None
    message: str


@dataclass(frozen=True)
class Fault:
    """A missing or wrong answer: a decoder did not answer, or not by the protocol. `timed_out`: it took too long."""

    what: str
    timed_out: bool = False


Answer = Accepted | Refused | Fault


def ask_process(command: list[str], case: Case, timeout_s: float) -> Answer:
    """Start a process for one case, with its options as arguments; return its answer.

    Raises:
        InvalidArgument: (rule decoder) if the command cannot be run.
    """
    arguments = [word for name, value in case.options.items() for word in (f"--{name.replace('_', '-')}", value)]
    process = _Process([*command, *arguments])
    try:
        return process.ask_once(case.data, timeout_s)
    finally:
        process.kill()


class BatchDecoder:
    """A decoder that is one process and answers requests. It is restarted after a request without an answer.

    It is a context manager: when it ends, the process is killed if it still runs.
    """

    def __init__(self, command: list[str], timeout_s: float) -> None:
        self._command = command
        self._timeout_s = timeout_s
        self._running: _Process | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def ask(self, case: Case) -> Answer:
        """Ask for the answer to one case.

        Raises:
            InvalidArgument: (rule decoder) if the command cannot be run.
        """
        if self._running is None:
            self._running = _Process(self._command)
        answer = self._running.exchange(_request(case), self._timeout_s)
        if isinstance(answer, Fault):
            self._end()
        return answer

    def finish(self) -> Fault | None:
        """Close standard input: then the decoder must end. Return the fault if it does not end properly."""
        return None if self._running is None else self._running.finish(self._timeout_s)

    def _end(self) -> None:
        if self._running is not None:
            self._running.kill()
            self._running = None


class _Process:
    """A running decoder. It writes requests while it reads answers, so that full pipes cannot block both sides."""

    def __init__(self, command: list[str]) -> None:
        # A file takes any amount of standard error; a pipe would fill up.
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 (kill closes it)
        try:
            self._process = subprocess.Popen(
                command, bufsize=0, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors, process_group=0
            )
        except OSError as error:
            raise _cannot_be_run(error) from None
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._requests, self._answers = self._process.stdin, self._process.stdout
        os.set_blocking(self._requests.fileno(), False)

    def ask_once(self, data: bytes, timeout_s: float) -> Answer:
        """Write the data and close standard input; return the answer: the whole output, and the exit code."""
        deadline = time.monotonic() + timeout_s
        received = bytearray()

        def take(chunk: bytes) -> Fault | bool:
            received.extend(chunk)
            is_too_long = len(received) > MAX_ANSWER_BYTES
            return Fault(f"wrote more than {MAX_ANSWER_BYTES} bytes") if is_too_long else not chunk

        try:
            fault = self._converse(data, deadline, take, is_last=True)
            if fault is not None:
                return fault
            code = self._process.wait(max(0.0, deadline - time.monotonic()))
        except (TimeoutError, subprocess.TimeoutExpired):
            return _too_slow(timeout_s)
        if code == 0:
            return Accepted(bytes(received))
        line = self._last_line()
        if code < 0:
            return Fault(_ended(code, _end_of(line)))
        errors = _ERROR.findall(line)
        return Refused(errors[-1] if errors else None, _end_of(line) or f"exit code {code}")

    def exchange(self, request: bytes, timeout_s: float) -> Answer:
        """Write a request, and read the answer."""
        deadline = time.monotonic() + timeout_s
        received = bytearray()

        def take(chunk: bytes) -> Fault | bool:
            if not chunk:
                return self._how_it_ended(deadline)
            received.extend(chunk)
            return _what_is_wrong_with(received) or _is_complete(received)

        try:
            fault = self._converse(request, deadline, take)
        except TimeoutError:
            return _too_slow(timeout_s)
        return fault or _parsed(bytes(received[_LENGTH_BYTES:]))

    def _converse(
        self, request: bytes, deadline: float, take: Callable[[bytes], Fault | bool], *, is_last: bool = False
    ) -> Fault | None:
        """Write a request and read the output at the same time, until `take` has the whole answer.

        `take` gets each piece of the output (an empty piece is its end). It returns whether the answer is complete, or
        a fault, which ends the exchange. If `is_last`, standard input is closed after the request.

        Raises:
            TimeoutError: if the answer is not complete at the deadline.
        """
        unsent, is_all = memoryview(request), False
        with selectors.DefaultSelector() as selector:
            selector.register(self._answers, selectors.EVENT_READ)
            selector.register(self._requests, selectors.EVENT_WRITE)
            while unsent or not is_all:
                ready = selector.select(max(0.0, deadline - time.monotonic()))
                if not ready or time.monotonic() > deadline:
                    raise TimeoutError
                for key, _ in ready:
                    if key.fileobj is self._answers:
                        chunk = os.read(self._answers.fileno(), _CHUNK_BYTES)
                        outcome = take(chunk)
                        if isinstance(outcome, Fault):
                            return outcome
                        is_all = outcome
                        if not chunk:
                            selector.unregister(self._answers)
                        continue
                    unsent = unsent[self._write(unsent) :]
                    if not unsent:
                        selector.unregister(self._requests)
                        if is_last:
                            self._requests.close()
        return None

    def finish(self, timeout_s: float) -> Fault | None:
        """Close standard input. The process must then end with exit code 0 and write nothing more."""
        self._requests.close()
        with selectors.DefaultSelector() as selector:
            selector.register(self._answers, selectors.EVENT_READ)
            ready = selector.select(timeout_s)
        if ready and os.read(self._answers.fileno(), _CHUNK_BYTES):
            return Fault("wrote more than its answers")
        try:
            code = self._process.wait(_GRACE_S if ready else 0)
        except subprocess.TimeoutExpired:
            return Fault("did not end with its standard input")
        return Fault(_ended(code, _end_of(self._last_line()))) if code else None

    def kill(self) -> None:
        """Kill the process, and the processes that it started, if they still run."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        for stream in (self._requests, self._answers, self._errors):
            stream.close()

    def _write(self, unsent: memoryview) -> int:
        """Write as many bytes as the pipe takes; return their number."""
        try:
            return os.write(self._requests.fileno(), unsent[:_CHUNK_BYTES])
        except BrokenPipeError:
            return len(unsent)  # the process has ended: reading its output tells why

    def _how_it_ended(self, deadline: float) -> Fault:
        try:
            code = self._process.wait(max(0.0, min(_GRACE_S, deadline - time.monotonic())))
        except subprocess.TimeoutExpired:
            return Fault("closed its standard output", timed_out=True)
        return Fault(_ended(code, _end_of(self._last_line())))

    def _last_line(self) -> str:
        """The last line of standard error, or the end of that line if it is too long."""
        size = self._errors.seek(0, os.SEEK_END)
        self._errors.seek(max(0, size - _CHUNK_BYTES))
        return self._errors.read().strip().rpartition(b"\n")[2].decode(errors="replace")


def _request(case: Case) -> bytes:
    options = "".join(f"{name}={value}\n" for name, value in case.options.items()).encode("ascii")
    return b"".join(len(part).to_bytes(_LENGTH_BYTES, "little") + part for part in (options, case.data))


def _too_slow(timeout_s: float) -> Fault:
    return Fault(f"took more than {timeout_s:g} s", timed_out=True)


def _what_is_wrong_with(received: bytearray) -> Fault | None:
    """The fault of an answer in a batch, as far as it has come; None if there is none yet."""
    if len(received) < _LENGTH_BYTES:
        return None
    size = _announced(received)
    if not 1 <= size <= MAX_ANSWER_BYTES:
        return Fault(f"announced an answer of {size} bytes: 1 to {MAX_ANSWER_BYTES} are possible")
    if len(received) > _LENGTH_BYTES + size:
        return Fault(f"announced an answer of {size} bytes, and wrote more")
    return None


def _announced(received: bytearray) -> int:
    return int.from_bytes(received[:_LENGTH_BYTES], "little")


def _is_complete(received: bytearray) -> bool:
    return len(received) >= _LENGTH_BYTES and len(received) == _LENGTH_BYTES + _announced(received)


def _parsed(answer: bytes) -> Answer:
    sign, rest = answer[:1], answer[1:]
    if sign == b"+":
        return Accepted(rest)
    if sign == b"-":
        message = rest.decode(errors="replace")
        error = _ERROR.match(message)
        return Refused(error[0] if error else None, _in_one_line(message[:_MESSAGE_LENGTH]))
    return Fault(f"answered {answer[:20]!r}, which begins with neither + nor -")


def _ended(code: int, message: str) -> str:
    how = f"was ended by signal {-code}" if code < 0 else f"ended with exit code {code}"
    return f"{how}: {message}" if message else how


def _end_of(line: str) -> str:
    return _in_one_line(line[-_MESSAGE_LENGTH:])


def _in_one_line(text: str) -> str:
    return "".join(ch if ch.isprintable() else ascii(ch)[1:-1] for ch in text)


def _cannot_be_run(error: OSError) -> InvalidArgument:
    return InvalidArgument(f"the decoder cannot be run: {error}", rule="decoder")
