"""Test other decoders on the vectors of the specification and on generated cases.

*A process for each payload.* The decoder is a command. It gets a payload on standard input. It writes CSV to standard
output, a line `index,label` and then a line for each kept image, and exits with 0; or it refuses the payload, and exits
with another code. (A process that a signal ends has crashed: that is no refusal.) If kinds and rules are compared
(section 10 of the specification), the last line on standard error must hold them, for instance `Corrupt checksum`; if
it holds several, the last ones count.
Limits and the expected digest are arguments, with the names of the specification: `--max-kept 1000`,
`--expected-digest 0123456789abcdef`. A decoder without these arguments is tested on the vectors that need none.

*One process for all payloads.* This takes seconds; starting 10,000 processes takes hours. The decoder answers
requests on standard input, one after the other, until standard input ends; then it exits with 0:

    request: u32 length of the options, the options, u32 length of the payload, the payload
    answer:  u32 length of the rest, then + and the CSV, or - and kind and rule in ASCII (more words may follow)

The lengths are little-endian. Options are ASCII lines, each ended by a line feed: `max_kept=1000`,
`expected_digest=0123456789abcdef`. There may be no options. A decoder must flush each answer before it reads on. An
answer has at most 64 MiB. A process that gives no answer in time, dies or writes anything else is restarted for the
next payload.

*Receivers of frames* get a stream of frames instead of the payload, and write the object instead of the CSV. Their
options are `framing` (`length` or `slip`), always; `tag` (three hexadecimal digits), if one is wanted; and limits. They
must take `--framing` and `--tag` as arguments.

A decoder may skip class names, soft labels and weights, and so accept a payload in which only they are bad. The other
choices that the specification leaves are in `plada_codec.testing.answers`.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

from plada_codec.errors import InvalidArgument, Unavailable
from plada_codec.progress import Progress, no_progress
from plada_codec.testing.answers import Answers, sha256_of
from plada_codec.testing.cases import Case, frame_vectors, generated_payloads, generated_streams, payload_vectors
from plada_codec.testing.decoders import Answer, BatchDecoder, Fault, Refused, ask_process

#: The test ends when this many cases in a row take too long: the decoder probably does not know the protocol.
_MAX_TIMEOUTS = 5
_NEEDS_OPTIONS = "other limits or an expected digest are needed, which decoders get with --options or --batch"
_TOO_SLOW = f"the decoder took too long {_MAX_TIMEOUTS} times in a row"


@dataclass(frozen=True)
class Failure:
    """A wrong answer of a decoder: the vector or generated case, and the fault."""

    id: str
    comment: str
    what: str


@dataclass(frozen=True)
class LeftOutCase:
    """A vector or generated case that was left out, and why."""

    id: str
    reason: str


@dataclass(frozen=True)
class Report:
    """The result of a test of a decoder.

    Attributes:
        vectors: number of vectors that it was tested on.
        examples: number of generated cases.
        rules: whether the kind and the rule of each refusal were compared.
        left_out: vectors and cases that it was not tested on.
        failures: its wrong answers.
    """

    vectors: int
    examples: int
    rules: bool
    left_out: tuple[LeftOutCase, ...]
    failures: tuple[Failure, ...]

    def as_dict(self) -> dict[str, Any]:
        """The fields as `plada conformance --json` prints them."""
        return asdict(self)


def run_conformance(
    command: str,
    examples: int,
    seed: int,
    timeout_s: float,
    progress: Progress = no_progress,
    *,
    frames: bool = False,
    options: bool = False,
    rules: bool = False,
    batch: bool = False,
) -> Report:
    """Test the decoder `command` on the vectors, and on `examples` generated cases.

    Args:
        command: shell command that starts the decoder.
        examples: number of generated payloads (a quarter of them whole, the others damaged) or streams of frames.
        seed: seed of the generated cases.
        timeout_s: seconds that an answer may take.
        progress: called while cases are generated, and then again, from 0, while the decoder answers.
        frames: whether the decoder is a receiver of frames.
        options: whether the decoder takes limits and the expected digest as arguments; with `batch`, it always does.
        rules: whether to compare kind and rule of each refusal.
        batch: whether the decoder is one process that answers requests.

    Raises:
        InvalidArgument: (rule decoder) if the command cannot be run.
        Unavailable: (rule extra) if cases are generated, and hypothesis or raptorq is not installed; (rule system) if
            this is not a POSIX system: the test needs its pipes and process groups.
    """
    if os.name != "posix":
        raise Unavailable("decoders can only be tested on POSIX systems", rule="system")
    arguments = _split(command)
    all_vectors = frame_vectors() if frames else payload_vectors()
    without_options = [] if options or batch else [case for case in all_vectors if case.needs_options]
    vectors = [case for case in all_vectors if options or batch or not case.needs_options]
    generate = generated_streams if frames else generated_payloads
    cases = vectors + generate(examples, seed, progress)
    judge = partial(_judge, rules=rules, is_text=not frames)
    failures = []
    done = 0
    for failure in (_judge_batch if batch else _judge_processes)(arguments, cases, timeout_s, judge):
        failures += [failure] if failure else []
        done = min(done + 1, len(cases))
        progress(done, len(cases))
    return Report(
        vectors=min(done, len(vectors)),
        examples=max(0, done - len(vectors)),
        rules=rules,
        left_out=(
            *(LeftOutCase(case.id, _NEEDS_OPTIONS) for case in without_options),
            *(LeftOutCase(case.id, _TOO_SLOW) for case in cases[done:]),
        ),
        failures=tuple(failures),
    )


def _split(command: str) -> list[str]:
    try:
        arguments = shlex.split(command)
    except ValueError as error:
        raise InvalidArgument(f"the decoder command cannot be read: {error}", rule="decoder") from None
    if not arguments:
        raise InvalidArgument("the decoder command is empty", rule="decoder")
    return arguments


#: Returns the failure of an answer to a case, or None.
_Judge = Callable[[Case, Answer], Failure | None]


def _judge_processes(
    arguments: list[str], cases: list[Case], timeout_s: float, judge: _Judge
) -> Iterator[Failure | None]:
    """Start a process for each case. Yield the failure of each answer, or None, in the order of the cases."""
    # The decoders are processes; threads only wait for them.
    pool = ThreadPoolExecutor(os.cpu_count())
    try:
        answers = pool.map(lambda case: ask_process(arguments, case, timeout_s), cases)
        yield from _judged(zip(cases, answers, strict=True), judge)
    finally:
        pool.shutdown(cancel_futures=True)


def _judged(answered: Iterable[tuple[Case, Answer]], judge: _Judge) -> Iterator[Failure | None]:
    """Yield the failure of each answer, or None, until too many answers in a row come too late."""
    timeouts = 0
    for case, answer in answered:
        yield judge(case, answer)
        timeouts = timeouts + 1 if isinstance(answer, Fault) and answer.timed_out else 0
        if timeouts == _MAX_TIMEOUTS:
            return


def _judge_batch(arguments: list[str], cases: list[Case], timeout_s: float, judge: _Judge) -> Iterator[Failure | None]:
    """Start one process. Yield the failure of each answer, or None, in order; then that of the process's end."""
    with BatchDecoder(arguments, timeout_s) as decoder:
        done = 0
        for failure in _judged(((case, decoder.ask(case)) for case in cases), judge):
            done += 1
            yield failure
        if done < len(cases):
            return
        fault = decoder.finish()
        if fault is not None:
            yield Failure("end-of-input", "standard input ends after the last request", fault.what)


def _judge(case: Case, answer: Answer, *, rules: bool, is_text: bool) -> Failure | None:
    """Compare an answer with the right answers."""
    what = _what_is_wrong(case.right_answers, answer, rules=rules, is_text=is_text)
    return None if what is None else Failure(case.id, case.comment, what)


def _what_is_wrong(right: Answers, answer: Answer, *, rules: bool, is_text: bool) -> str | None:
    if isinstance(answer, Fault):
        return answer.what
    if isinstance(answer, Refused):
        if not right.errors:
            return f"was refused, but is valid: {answer.message}"
        if rules and answer.error not in right.errors:
            return f"was refused as {answer.error or repr(answer.message)}, but must be as {_either(right.errors)}"
        return None
    if not right.outputs:
        return f"was accepted, but must be refused as {_either(right.errors)}"
    output = answer.output.replace(b"\r\n", b"\n") if is_text else answer.output
    return None if sha256_of(output) in right.outputs else "was decoded to something else"


def _either(errors: frozenset[str]) -> str:
    return " or ".join(sorted(errors))
