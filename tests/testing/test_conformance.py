"""`plada conformance`: right decoders pass, and decoders that are wrong in one way fail for that reason."""

from __future__ import annotations

import io
import json
import os
import shlex
import sys
import tomllib
import zlib
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from random import Random
from typing import Any
from unittest.mock import patch

import plada_decode as oracle
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from plada_codec import Limits, PladaError, decode, encode, inspect
from plada_codec.frames import FrameLimits, Reassembler, read_frames
from plada_codec.interop import csv
from plada_codec.testing import cases, decoders
from plada_codec.testing.answers import Answers, right_answers, sha256_of
from plada_codec.testing.cases import (
    Case,
    damaged_copy,
    frame_vectors,
    generated_payloads,
    generated_streams,
    payload_vectors,
)
from plada_codec.testing.conformance import Report, run_conformance
from plada_codec.testing.decoders import Accepted, BatchDecoder, Fault, Refused, ask_process
from plada_codec.testing.strategies import EncodedPayload, encoded_payloads
from tests.helpers.commands import fails, ok, run
from tests.helpers.paths import FRAME_VECTORS, PAYLOAD_VECTORS, ROOT, SPEC

DECODER = [sys.executable, str(SPEC / "decoder" / "plada_decode.py")]
RECEIVER = [sys.executable, str(SPEC / "decoder" / "plada_frames_decode.py")]
INDEX: dict[str, Any] = json.loads((PAYLOAD_VECTORS / "index.json").read_text(encoding="utf-8"))
FRAME_INDEX: dict[str, Any] = json.loads((FRAME_VECTORS / "index.json").read_text(encoding="utf-8"))

#: Some vectors of each sort: valid, invalid, with a bad section that decoders may skip, with limits, with a digest.
FEW = [
    "index-gaps-plain",
    "trailing-byte",
    "version-2",
    "names-few",
    "label-classes-huffman",
    "kept-above-limit",
    "reference-mismatch",
    "reference-as-expected",
]
FEW_FRAMES = ["one-symbol", "one-missing", "two-objects-second", "slip-escapes", "two-objects", "limit-held"]
VALID = {"index-gaps-plain", "label-classes-huffman", "reference-as-expected"}
#: The vector on which the decoders misbehave.
VICTIM = FEW[2]


@pytest.fixture
def few(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Case]:
    """Limit `run_conformance` to a few vectors."""
    for name, index, ids in (("PAYLOAD_VECTOR_FOLDERS", INDEX, FEW), ("FRAME_VECTOR_FOLDERS", FRAME_INDEX, FEW_FRAMES)):
        (original,) = [folder for folder in getattr(cases, name) if folder.exists()]
        folder = tmp_path / name
        folder.mkdir()
        vectors = [{**vector, "file": str(original / vector["file"])} for vector in index["vectors"]]
        listed = sorted((vector for vector in vectors if vector["id"] in ids), key=lambda each: ids.index(each["id"]))
        (folder / "index.json").write_text(json.dumps({"vectors": listed}))
        monkeypatch.setattr(cases, name, (folder,))
    return payload_vectors()


# Decoders that know the right answer to each case, and are wrong in one way

SCRIPT = r'''
import json, os, signal, sys, time

answers, victim, wrong = json.load(open(sys.argv[1])), sys.argv[2], sys.argv[3]
is_batch = "--batch" in sys.argv


def changed(answer):
    """The answer of a decoder that is always wrong in this way."""
    if wrong == "accepts everything":
        return "+index,label\n"
    if wrong == "refuses everything":
        return "-Corrupt checksum"
    if wrong == "wrong kind" and answer[0] == "-":
        return "-Truncated " + answer.split(" ")[1]
    if wrong == "wrong rule" and answer[0] == "-":
        return answer + "-or-so"
    if wrong == "no rule" and answer[0] == "-":
        return "-cannot be read"
    if wrong == "wrong output" and answer[0] == "+":
        return answer + "7,7\n"
    return answer


def close_standard_output():
    os.close(1)
    if is_batch:
        time.sleep(1000)


def write_without_end():
    while True:
        os.write(1, b"without end " * 999)


def fail():
    raise KeyError("of my own")


#: Ways in which a decoder misbehaves when it meets its victim.
MISBEHAVIOUR = {
    "dies": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "hangs": lambda: time.sleep(1000),
    "raises": fail,
    "closes standard output": close_standard_output,
    "writes garbage": lambda: os.write(1, b"garbage"),
    "writes without end": write_without_end,
    "says nothing": lambda: os.write(1, bytes(4)),
    "says too much": lambda: os.write(1, b"\x02\0\0\0+1and more"),
    "promises too much": lambda: os.write(1, b"\xff\xff\xff\xff+"),
    "has no sign": lambda: os.write(1, b"\x05\0\0\0index"),
}


def respond(options, data):
    answer = changed(answers[options + data.hex()])
    if data.hex() == victim and wrong in MISBEHAVIOUR:
        MISBEHAVIOUR[wrong]()
    elif is_batch:
        os.write(1, len(answer).to_bytes(4, "little") + answer.encode("latin-1"))
    elif answer[0] == "-":
        sys.exit("refused: [" + answer[1:] + " at byte 0]")
    else:
        os.write(1, answer[1:].encode("latin-1"))


if is_batch:
    read = sys.stdin.buffer.read
    while size := read(4):
        options = read(int.from_bytes(size, "little")).decode()
        respond(options, read(int.from_bytes(read(4), "little")))
    if wrong == "does not end":
        time.sleep(1000)
    if wrong == "goes on":
        os.write(1, b"\x01")
else:
    words = sys.argv[4:]
    options = "".join(f"{name[2:].replace('-', '_')}={value}\n" for name, value in zip(words[::2], words[1::2]))
    respond(options, sys.stdin.buffer.read())
'''


def plada_answers(case: Case) -> str:
    """Return the answer of plada to a case, in the words of a batch decoder."""
    options = dict(case.options)
    framing, tag, expected = (options.pop(name, None) for name in ("framing", "tag", "expected_digest"))
    limits = {name: int(value) for name, value in options.items()}
    try:
        if framing is None:
            rows = io.BytesIO()
            csv.write(decode(case.data, Limits(**limits), bytes.fromhex(expected) if expected else None), rows)
            return "+" + rows.getvalue().decode()
        reassembler = Reassembler(FrameLimits(**limits), int(tag, 16) if tag else None)
        for frame in read_frames(io.BytesIO(case.data), framing):
            reassembler.add(frame)
        return "+" + reassembler.result().decode("latin-1")
    except PladaError as error:
        return f"-{error.kind} {error.rule}"


def decoder_that(wrong: str, tested: list[Case], folder: Path, victim: str = VICTIM) -> str:
    """The command of a decoder that answers these cases, and is wrong in this way."""
    script, table = folder / "decoder.py", folder / "table.json"
    script.write_text(SCRIPT)
    said = {"".join(f"{name}={value}\n" for name, value in case.options.items()) + case.data.hex(): plada_answers(case)
            for case in tested}  # fmt: skip
    table.write_text(json.dumps(said))
    (data,) = [case.data.hex() for case in tested if case.id == victim]
    return shlex.join([sys.executable, "-I", "-S", str(script), str(table), data, wrong])


def failing(report: Report) -> set[str]:
    return {failure.id for failure in report.failures}


def check(command: str, *, batch: bool, timeout_s: float = 60, rules: bool = True, frames: bool = False) -> Report:
    """Test a decoder on the few vectors, those with options among them."""
    command = f"{command} --batch" if batch else command
    return run_conformance(command, 0, 0, timeout_s, frames=frames, options=True, rules=rules, batch=batch)


both_modes = pytest.mark.parametrize("batch", [False, True], ids=["processes", "batch"])


@both_modes
@pytest.mark.processes
def test_a_right_decoder_and_a_right_receiver_pass(few: list[Case], tmp_path: Path, batch: bool) -> None:
    report = check(decoder_that("nothing", few, tmp_path), batch=batch)
    assert report == Report(len(FEW), 0, True, (), ())
    command = decoder_that("nothing", frame_vectors(), tmp_path, victim="one-symbol")
    assert check(command, batch=batch, frames=True) == Report(len(FEW_FRAMES), 0, True, (), ())


@pytest.mark.processes
@both_modes
@pytest.mark.parametrize(
    ("wrong", "found", "words"),
    [
        ("accepts everything", {*FEW}, "was accepted, but must be refused as Unsupported version"),
        ("refuses everything", {*FEW} - {"trailing-byte"}, "must be as Unsupported version"),
        ("wrong kind", {*FEW} - VALID, "was refused as Truncated version, but must be as Unsupported version"),
        ("wrong rule", {*FEW} - VALID, "was refused as Unsupported version-or-so"),
        ("no rule", {*FEW} - VALID, "cannot be read"),
        ("wrong output", VALID, ""),
        ("dies", {VICTIM}, "was ended by signal 9"),
    ],
)
def test_a_decoder_with_one_fault_fails_exactly_the_vectors_that_show_it(
    wrong: str, found: set[str], words: str, few: list[Case], tmp_path: Path, batch: bool
) -> None:
    report = check(decoder_that(wrong, few, tmp_path), batch=batch)
    assert failing(report) == found
    assert {failure.what for failure in report.failures if failure.id == VICTIM and words not in failure.what} == set()
    assert (report.vectors, report.left_out) == (len(FEW), ())


@pytest.mark.processes
@pytest.mark.parametrize(
    ("wrong", "what"),
    [
        ("writes garbage", "announced an answer of"),
        ("writes without end", "announced an answer of"),
        ("says nothing", "announced an answer of 0 bytes"),
        ("says too much", "announced an answer of 2 bytes, and wrote more"),
        ("promises too much", "announced an answer of 4294967295 bytes"),
        ("has no sign", "neither + nor -"),
        ("closes standard output", "closed its standard output"),
        ("raises", "ended with exit code 1: KeyError: 'of my own'"),
    ],
)
def test_a_batch_decoder_that_breaks_the_protocol_fails_one_vector_and_is_tested_on_the_rest(
    wrong: str, what: str, few: list[Case], tmp_path: Path
) -> None:
    report = check(decoder_that(wrong, few, tmp_path), batch=True)
    assert failing(report) == {VICTIM}
    assert what in report.failures[0].what
    assert report.vectors == len(FEW)


@pytest.mark.processes
@pytest.mark.parametrize("wrong", ["writes garbage", "closes standard output"])
def test_a_decoder_that_writes_no_csv_for_a_valid_payload_is_found_out(
    wrong: str, few: list[Case], tmp_path: Path
) -> None:
    report = check(decoder_that(wrong, few, tmp_path, victim=FEW[0]), batch=False)
    assert [(failure.id, failure.what) for failure in report.failures] == [(FEW[0], "was decoded to something else")]


@both_modes
@pytest.mark.processes
def test_a_decoder_that_hangs_is_found_out_and_tested_on_the_rest(few: list[Case], tmp_path: Path, batch: bool) -> None:
    report = check(decoder_that("hangs", few, tmp_path), batch=batch, timeout_s=2)
    assert VICTIM in failing(report)
    assert report.vectors == len(FEW)


@pytest.mark.processes
@pytest.mark.parametrize("batch", [False, True], ids=["processes", "batch"])
@pytest.mark.parametrize("decoder", ["sleep 1000", "sh -c 'exec >&-; exec sleep 1000'"])
def test_a_test_ends_when_the_decoder_hangs_again_and_again(few: list[Case], decoder: str, batch: bool) -> None:
    report = run_conformance(decoder, 0, 0, 0.1, batch=batch)
    what = [failure.what for failure in report.failures]
    if batch and ">&-" in decoder:
        # One of the two messages, depending on whether the process starts in time
        assert set(what) <= {"took more than 0.1 s", "closed its standard output"}
    else:
        assert what == ["took more than 0.1 s"] * 5
    assert report.vectors == len(report.failures) == 5
    assert [case.id for case in report.left_out] == FEW[5:]


@pytest.mark.processes
@pytest.mark.parametrize(
    ("wrong", "what"),
    [("does not end", "did not end with its standard input"), ("goes on", "wrote more than its answers")],
)
def test_a_batch_decoder_must_end_with_its_standard_input(
    wrong: str, what: str, few: list[Case], tmp_path: Path
) -> None:
    report = check(decoder_that(wrong, few, tmp_path), batch=True, timeout_s=2)
    assert [failure.what for failure in report.failures if failure.id == "end-of-input"] == [what]


@pytest.mark.processes
@both_modes
def test_kinds_and_rules_are_compared_only_if_asked_for(few: list[Case], tmp_path: Path, batch: bool) -> None:
    for wrong in ("wrong kind", "wrong rule", "no rule"):
        assert check(decoder_that(wrong, few, tmp_path), batch=batch, rules=False).failures == ()


@both_modes
@pytest.mark.processes
def test_a_wrong_receiver_of_frames_fails_the_vectors_that_show_its_fault(
    few: list[Case], tmp_path: Path, batch: bool
) -> None:
    valid = {"one-symbol", "two-objects-second", "slip-escapes"}
    for wrong, found in (
        ("accepts everything", {*FEW_FRAMES}),
        ("wrong output", valid),
        ("wrong rule", {*FEW_FRAMES} - valid),
    ):
        command = decoder_that(wrong, frame_vectors(), tmp_path, victim="one-symbol")
        assert failing(check(command, batch=batch, frames=True)) == found


# Vectors that are left out, and the output of the command


@pytest.mark.processes
def test_vectors_that_need_options_are_left_out_by_name_and_with_the_reason(few: list[Case], tmp_path: Path) -> None:
    report = run_conformance(decoder_that("nothing", few, tmp_path), 0, 0, 60)
    assert [case.id for case in report.left_out] == FEW[5:]
    assert all("--options" in case.reason for case in report.left_out)
    assert (report.vectors, report.failures) == (5, ())


@pytest.mark.processes
def test_json_has_all_that_was_tested_left_out_and_wrong(few: list[Case], tmp_path: Path) -> None:
    result = run("conformance", "--decoder", decoder_that("wrong output", few, tmp_path), "--examples", "0", "--json")
    assert result.exit_code == 1
    report = json.loads(result.stdout)
    assert {key: report[key] for key in ("vectors", "examples", "rules")} == {
        "vectors": 5,
        "examples": 0,
        "rules": False,
    }
    assert [case["id"] for case in report["left_out"]] == FEW[5:]
    assert {tuple(failure) for failure in report["failures"]} == {("id", "comment", "what")}
    assert [failure["id"] for failure in report["failures"]] == ["index-gaps-plain", "label-classes-huffman"]


@pytest.mark.processes
def test_the_text_counts_what_was_tested_left_out_and_wrong(few: list[Case], tmp_path: Path) -> None:
    lines = ok("conformance", "--decoder", decoder_that("nothing", few, tmp_path), "--examples", "0").stdout
    assert lines.splitlines()[0] == "5 vectors, 0 generated payloads: all as they should be"
    assert lines.splitlines()[1].startswith("3 left out: ")
    result = run("conformance", "--decoder", decoder_that("raises", few, tmp_path) + " --batch", "--examples", "0",
                 "--batch")  # fmt: skip
    assert result.exit_code == 1
    assert result.stdout.splitlines() == [
        "version-2: ended with exit code 1: KeyError: 'of my own' (version 2)",
        "8 vectors, 0 generated payloads: 1 wrong",
    ]


@pytest.mark.processes
@both_modes
@pytest.mark.parametrize(
    ("decoder", "word"), [("/no/such/decoder", "cannot be run"), ("", "empty"), ("'", "cannot be read")]
)
def test_a_command_that_cannot_be_run_is_one_line(decoder: str, word: str, batch: bool) -> None:
    assert word in fails(1, "conformance", "--decoder", decoder, "--examples", "0", *(["--batch"] if batch else []))


def test_vectors_that_are_not_there_are_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(cases, "PAYLOAD_VECTOR_FOLDERS", (tmp_path,))
    assert "vectors" in fails(1, "conformance", "--decoder", "true", "--examples", "0")


@pytest.mark.processes
def test_the_answer_of_a_decoder_is_printed_in_one_line(few: list[Case]) -> None:
    command = [sys.executable, "-c", r"print('\033[31mone\u2028\ntwo\r\0', end='', file=__import__('sys').stderr); 1/0"]
    answer = ask_process(command, few[0], 60)
    assert isinstance(answer, Refused)
    assert answer.message.isprintable()


# Plain decoders


@pytest.mark.processes
def test_the_plain_decoder_conforms() -> None:
    command = shlex.join([*DECODER, "--batch"])
    report = json.loads(
        ok("conformance", "--decoder", command, "--batch", "--rules", "--examples", "100", "--json").stdout
    )
    assert report == {
        "vectors": len(INDEX["vectors"]),
        "examples": 100,
        "rules": True,
        "left_out": [],
        "failures": [],
    }


@pytest.mark.processes
def test_the_plain_receiver_conforms() -> None:
    pytest.importorskip("raptorq")
    command = shlex.join([*RECEIVER, "--batch"])
    report = run_conformance(command, 300, 0, 60, frames=True, rules=True, batch=True)
    assert report == Report(len(FRAME_INDEX["vectors"]), 300, True, (), ())


@pytest.mark.processes
def test_the_plain_decoders_conform_with_a_process_for_each_payload(few: list[Case]) -> None:
    assert check(shlex.join(DECODER), batch=False) == Report(len(FEW), 0, True, (), ())
    assert check(shlex.join(RECEIVER), batch=False, frames=True) == Report(len(FEW_FRAMES), 0, True, (), ())


# The protocol


@pytest.fixture(scope="module")
def echo() -> Iterator[BatchDecoder]:
    """A decoder that answers with the request."""
    script = (
        "import sys\n"
        "read, write = sys.stdin.buffer.read, sys.stdout.buffer.write\n"
        "while size := read(4):\n"
        "    request = size + read(int.from_bytes(size, 'little'))\n"
        "    size = read(4)\n"
        "    request += size + read(int.from_bytes(size, 'little'))\n"
        "    write((1 + len(request)).to_bytes(4, 'little') + b'+' + request)\n"
        "    sys.stdout.flush()\n"
    )
    with BatchDecoder([sys.executable, "-c", script], 60) as decoder:
        yield decoder


names = st.sampled_from(["max_kept", "max_classes", "tag", "expected_digest"])


@given(
    st.dictionaries(names, st.text("0123456789abcdef", min_size=1)), st.binary() | st.integers(0, 400_000).map(bytes)
)
def test_requests_and_answers_are_as_the_protocol_says(
    echo: BatchDecoder, options: dict[str, str], data: bytes
) -> None:
    lines = "".join(f"{name}={value}\n" for name, value in options.items()).encode()
    request = b"".join(len(part).to_bytes(4, "little") + part for part in (lines, data))
    assert echo.ask(Case("id", "comment", data, Answers(), options)) == Accepted(request)


@pytest.mark.processes
def test_a_decoder_that_writes_before_it_reads_is_no_deadlock() -> None:
    script = "import sys; sys.stdout.buffer.write((1 << 20).to_bytes(4, 'little') + b'+' * (1 << 20)); sys.stdin.read()"
    with BatchDecoder([sys.executable, "-c", script], 60) as decoder:
        answer = decoder.ask(Case("id", "comment", bytes(1 << 20), Answers()))
        assert answer == Accepted(b"+" * ((1 << 20) - 1))
        assert decoder.finish() is None


@pytest.mark.processes
def test_a_decoder_that_fills_standard_error_is_no_deadlock() -> None:
    script = "import sys; sys.stderr.write('x' * (1 << 20) + '\\n'); raise SystemExit('the end')"
    with BatchDecoder([sys.executable, "-c", script], 60) as decoder:
        assert decoder.ask(Case("id", "comment", b"", Answers())) == Fault("ended with exit code 1: the end")


@pytest.mark.processes
@pytest.mark.parametrize("end", ["wait", "kill -9 $$"])
def test_processes_that_a_decoder_of_one_payload_started_end_with_it(tmp_path: Path, end: str) -> None:
    os.mkfifo(tmp_path / "fifo")
    reader = os.open(tmp_path / "fifo", os.O_RDONLY | os.O_NONBLOCK)
    script = f"exec 3> {shlex.quote(str(tmp_path / 'fifo'))}; sleep 1000 >/dev/null 2>&1 & {end}"
    assert isinstance(ask_process(["sh", "-c", script], Case("id", "comment", b"", Answers()), 3), Fault)
    os.set_blocking(reader, True)
    assert os.read(reader, 1) == b""  # all that had it open have ended
    os.close(reader)


@pytest.mark.processes
def test_an_answer_without_end_is_not_read_to_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoders, "MAX_ANSWER_BYTES", 1_000_000)
    case = Case("id", "comment", b"", Answers())
    assert ask_process(["yes"], case, 600) == Fault("wrote more than 1000000 bytes")


@pytest.mark.processes
def test_a_batch_decoder_must_end_with_0() -> None:
    with BatchDecoder(["sh", "-c", "printf '\\3\\0\\0\\0+ok'; cat > /dev/null; exit 3"], 60) as decoder:
        assert decoder.ask(Case("id", "comment", b"", Answers())) == Accepted(b"ok")
        assert decoder.finish() == Fault("ended with exit code 3")


@pytest.mark.processes
def test_kind_and_rule_are_found_in_long_messages() -> None:
    case, more = Case("id", "comment", b"", Answers()), "x" * 5_000
    at_once = f"import sys; sys.exit('Corrupt checksum {more}')"
    answer = f"-Corrupt checksum {more}".encode()
    in_batch = f"import os; os.write(1, {len(answer).to_bytes(4, 'little') + answer!r}); input()"
    with BatchDecoder([sys.executable, "-c", in_batch], 60) as decoder:
        said = (decoder.ask(case), ask_process([sys.executable, "-c", at_once], case, 60))
    for each in said:
        assert isinstance(each, Refused)
        assert each.error == "Corrupt checksum"
        assert len(each.message) == 500


@pytest.mark.processes
def test_processes_that_a_decoder_started_end_with_it(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    reader = os.open(tmp_path / "fifo", os.O_RDONLY | os.O_NONBLOCK)
    script = f"exec 3> {shlex.quote(str(tmp_path / 'fifo'))}; sleep 1000 & printf '\\3\\0\\0\\0+ok'; wait"
    with BatchDecoder(["sh", "-c", script], 60) as decoder:
        assert decoder.ask(Case("id", "comment", b"", Answers())) == Accepted(b"ok")
    os.set_blocking(reader, True)
    assert os.read(reader, 1) == b""  # all that had it open have ended
    os.close(reader)


@pytest.mark.parametrize(
    ("errors", "error"),
    [
        ("decoder: damaged [Corrupt checksum at byte 26]", "Corrupt checksum"),
        ("Truncated header", "Truncated header"),
        ("a warning\nCorrupt data: a gap of 2^64 [Corrupt gap-width]\n", "Corrupt gap-width"),
        ("Corrupt checksum\nsome other line", None),
        ("NotCorrupt checksum", None),
        ("", None),
    ],
)
def test_the_last_kind_and_rule_of_the_last_line_count(errors: str, error: str | None) -> None:
    answer = ask_process(["sh", "-c", 'printf %s "$0" >&2; exit 3', errors], Case("id", "comment", b"", Answers()), 60)
    assert isinstance(answer, Refused)
    assert answer.error == error
    assert answer.message


# Right answers, where the specification leaves a choice

#: Low enough that no claim costs time.
LIMITS = {"max_kept": 5_000, "max_soft_label_values": 20_000}


def plain_answer(blob: bytes) -> str:
    """The hash of the CSV that the plain decoder makes of a payload, or kind and rule, as it is patched now."""
    try:
        decoded = oracle.decode(blob, oracle.Limits(**LIMITS))
    except oracle.DecodeError as error:
        return f"{error.kind} {error.rule}"
    rows = "".join(f"{index},{label}\n" for index, label in zip(decoded.indices, decoded.labels, strict=True))
    return sha256_of(f"index,label\n{rows}".encode())


@st.composite
def damaged_examples(draw: st.DrawFn) -> tuple[bytes, frozenset[str]]:
    """A damaged payload, and the right answers."""
    sent = draw(encoded_payloads(max_kept=50)).blob
    blob = damaged_copy(sent, Random(draw(st.integers(0, 2**32 - 1))))
    right = right_answers(blob, Limits(**LIMITS), sent=sent)
    return blob, right.outputs | right.errors


@given(damaged_examples())
def test_the_plain_decoder_is_right_about_damaged_payloads(example: tuple[bytes, frozenset[str]]) -> None:
    blob, right = example
    assert plain_answer(blob) in right


@given(
    damaged_examples(), st.sets(st.sampled_from(["read_class_names", "read_soft_labels", "read_weights"]), min_size=1)
)
def test_a_decoder_that_skips_sections_is_right(example: tuple[bytes, frozenset[str]], skipped: set[str]) -> None:
    blob, right = example
    with ExitStack() as stack:
        for reader in skipped:
            stack.enter_context(patch.object(oracle, reader, return_value=None))
        assert plain_answer(blob) in right


@given(damaged_examples())
def test_a_decoder_that_reads_labels_before_indices_is_right(example: tuple[bytes, frozenset[str]]) -> None:
    blob, right = example
    try:
        codings = [section.coding for section in inspect(blob).sections]
    except PladaError:
        codings = []
    assume(not any(coding.endswith("modelled") for coding in codings[1:]))  # they cannot be read without indices
    with patch.object(oracle, "coded_set", lambda coding, stream, at, d, m, max_bytes: range(d)):
        answer = plain_answer(blob)
    assert (answer if " " in answer else plain_answer(blob)) in right


@given(encoded_payloads(max_kept=300), st.data())
def test_a_damaged_zstd_frame_may_be_refused_or_read_as_it_was_sent(
    example: EncodedPayload, data: st.DataObject
) -> None:
    assume(example.payload.kept > 0)
    sent = encode(example.payload, "fast", "zstd", label_coding="classes-zstd")
    (frame,) = [extent for extent in inspect(sent).extents if extent.name == "label stream"]
    assume(frame.size > 10)

    def right_after_damage(begin: int, end: int) -> Answers:
        """The right answers where one of these bytes of the frame is another one."""
        blob = bytearray(sent)
        blob[frame.offset + data.draw(st.integers(begin, end - 1))] ^= data.draw(st.integers(1, 255))
        blob[-4:] = zlib.crc32(blob[:-4]).to_bytes(4, "little")
        return right_answers(bytes(blob), sent=sent)

    assert right_after_damage(5, frame.size - 4) == Answers(
        frozenset([plain_answer(sent)]), frozenset(["Corrupt zstd-frame"])
    )
    # Whoever accepts a frame with a wrong checksum has not compared it.
    assert right_after_damage(frame.size - 4, frame.size) == Answers(errors=frozenset(["Corrupt zstd-frame"]))


def test_the_flag_ancillary_marks_the_vectors_that_a_decoder_may_accept_by_skipping_sections() -> None:
    flagged = {vector["id"] for vector in INDEX["vectors"] if "ancillary" in vector["flags"]}
    assert flagged == {
        case.id for case in payload_vectors() if case.right_answers.errors and case.right_answers.outputs
    }


# Generated cases


def test_generated_cases_are_the_same_for_one_seed_and_others_for_another() -> None:
    for generate in (generated_payloads, generated_streams):
        assert generate(40, 1) == generate(40, 1)
        assert generate(40, 1) != generate(40, 2)
        assert len(generate(7, 1)) == 7
        assert generate(0, 1) == []


def test_generated_payloads_show_what_many_rules_are_for() -> None:
    generated = generated_payloads(600, 0)
    assert sum(1 for case in generated if case.right_answers.outputs) > 150
    assert len({error for case in generated for error in case.right_answers.errors}) >= 15


def test_generated_streams_show_every_framing_with_and_without_a_tag() -> None:
    generated = generated_streams(200, 0)
    assert {(case.options["framing"], "tag" in case.options) for case in generated} == {
        (framing, with_tag) for framing in ("length", "slip") for with_tag in (False, True)
    }
    assert {error for case in generated for error in case.right_answers.errors} == {
        "Truncated incomplete",
        "InvalidPayload objects",
    }
    assert sum(1 for case in generated if case.right_answers.outputs) > 50


@pytest.mark.parametrize(("extra", "options"), [("hypothesis", []), ("raptorq", ["--frames"])])
def test_without_its_extra_the_error_says_what_to_install(extra: str, options: list[str]) -> None:
    with patch.dict(sys.modules, {extra: None}):
        assert "pip install" in fails(1, "conformance", "--decoder", "true", *options)


# Files


def test_the_wheel_has_every_vector_where_it_is_looked_for() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    included = project["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    for index, (in_wheel, in_checkout) in (
        (INDEX, cases.PAYLOAD_VECTOR_FOLDERS),
        (FRAME_INDEX, cases.FRAME_VECTOR_FOLDERS),
    ):
        for file in ("index.json", index["schema"], *(vector["file"] for vector in index["vectors"])):
            source = (in_checkout / file).relative_to(ROOT).as_posix()
            (place,) = [source.replace(begin, end, 1) for begin, end in included.items() if is_in(source, begin)]
            assert place == (in_wheel / file).relative_to(ROOT).as_posix()


def is_in(path: str, folder: str) -> bool:
    return Path(path).is_relative_to(folder)
