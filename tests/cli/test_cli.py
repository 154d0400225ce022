"""The command line: its output, its files and its errors."""

from __future__ import annotations

import csv as csv_module
import hashlib
import io
import json
import os
import re
import subprocess
import sys
import time
import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from plada_codec import Payload, Universe, class_check, decode, encode, interop
from plada_codec.cli.main import main
from plada_codec.errors import FilesPassedOver
from plada_codec.progress import progress_bar
from tests.helpers.commands import fails, ok, run
from tests.helpers.paths import SPEC

PAYLOAD = Payload(
    [2, 3, 4, 50, 900],
    [1, 1, 0, 2, 1],
    1000,
    3,
    bytes(range(8)),
    class_names=["a", "b", "c"],
    soft_labels=[[45, 0, 37], [35, 50, 39], [40, 40, 52]],
    weights=[15, 12, 12, 9, 13],
)


@pytest.fixture
def plada(tmp_path: Path) -> Path:
    path = tmp_path / "p.plada"
    path.write_bytes(encode(PAYLOAD))
    return path


@pytest.fixture
def csv(tmp_path: Path) -> Path:
    path = tmp_path / "p.csv"
    path.write_text("index,label\n2,1\n3,1\n4,0\n50,2\n900,1\n")
    return path


def test_encode_then_decode_gives_back_the_file(tmp_path: Path, csv: Path) -> None:
    out, back = tmp_path / "p.plada", tmp_path / "back.csv"
    ok("encode", csv, "-o", out, "--reference-size", "1000", "--classes", "3", "--reference-digest", "00" * 32)
    assert decode(out.read_bytes()).reference_digest == bytes(8)
    ok("decode", out, "-o", back)
    assert back.read_bytes() == csv.read_bytes()


def test_every_option_of_encode_reaches_the_payload(tmp_path: Path) -> None:
    source, names, out = tmp_path / "s.csv", tmp_path / "names.txt", tmp_path / "o.plada"
    source.write_text("5,0\n15,1\n")
    names.write_text("left\nright\n")
    ok("encode", source, "-o", out, "--reference-size", "100", "--classes", "2", "--offset", "5", "--stride", "10",
       "--class-names", names, "--reference-digest", "ab" * 20, "--digest-bytes", "20", "--profile", "fast",
       "--decoder-class", "core", "--index-coding", "bitmap-plain", "--label-coding", "classes-plain")  # fmt: skip
    expected = Payload([5, 15], [0, 1], 100, 2, b"\xab" * 20, Universe(5, 10), ["left", "right"])
    assert decode(out.read_bytes()) == expected
    info = json.loads(ok("inspect", "--json", out).stdout)
    assert [section["coding"] for section in info["sections"]] == ["bitmap-plain", "classes-plain", "plain"]


def test_standard_input_and_output_are_files_named_dash(csv: Path) -> None:
    encoded = ok(
        "encode", "-", "--from", "csv", "-o", "-", "--reference-size", "1000", "--classes", "3", stdin=csv.read_bytes()
    )
    decoded = ok("decode", "-", "-o", "-", "--to", "csv", stdin=encoded.stdout_bytes)
    assert decoded.stdout_bytes == csv.read_bytes()
    assert json.loads(ok("inspect", "-", "--json", stdin=encoded.stdout_bytes).stdout)["kept"] == 5


@pytest.mark.parametrize("suffix", ["npz", "csv", "jsonl", "parquet", "arrow", "idx-raw", "bmp-raw", "plada"])
def test_decode_and_convert_write_every_format(tmp_path: Path, plada: Path, suffix: str) -> None:
    out = tmp_path / f"out.{suffix}"
    ok("decode", plada, "-o", out)
    payload = interop.read(out, reference_size=1000, num_classes=3)
    assert payload.indices.tolist() == PAYLOAD.indices.tolist()
    assert payload.labels.tolist() == PAYLOAD.labels.tolist()
    assert payload == PAYLOAD or suffix not in ("npz", "parquet", "arrow", "plada")
    ok("convert", out, tmp_path / "again.csv", "--reference-size", "1000", "--classes", "3")
    assert (tmp_path / "again.csv").read_text().splitlines()[1:] == ["2,1", "3,1", "4,0", "50,2", "900,1"]


def test_inspect_json_has_the_documented_keys(plada: Path) -> None:
    info = json.loads(ok("inspect", plada, "--json").stdout)
    assert info["format_version"] == 1
    assert info["class_names"] == ["a", "b", "c"]
    assert info["reference_size"] == 1000
    assert info["reference_digest"] == bytes(range(8)).hex()
    assert info["num_classes"] == 3
    assert info["kept"] == 5
    assert info["universe"] == {"offset": 0, "stride": 1, "size": 1000}
    assert {tuple(sorted(section)) for section in info["sections"]} == {("bytes", "coding", "type")}
    assert info["payload_bytes"] == plada.stat().st_size
    streams = sum(section["bytes"] for section in info["sections"] if section["type"] in ("index", "labels"))
    assert info["overhead_bytes"] == info["payload_bytes"] - streams
    assert info["bits_per_kept"] == 8 * info["payload_bytes"] / 5
    assert info["bits_per_class"] == 8 * info["payload_bytes"] / 3


def test_inspect_prints_the_fields_for_people_and_all_bytes_with_hex(plada: Path) -> None:
    text = ok("inspect", plada).stdout
    for word in (
        "a, b, c",
        "1,000 images",
        "0001020304050607",
        "classes",
        "kept",
        "section index",
        "section labels",
        "section soft-labels",
        "section weights",
    ):
        assert word in text
    listing = ok("inspect", "--hex", plada).stdout.splitlines()
    assert bytes.fromhex("".join(line[8:31] for line in listing)) == plada.read_bytes()


def test_verify_tells_good_from_bad_and_goes_on(tmp_path: Path, plada: Path) -> None:
    bad = tmp_path / "bad.plada"
    bad.write_bytes(plada.read_bytes()[:-1])
    result = run("verify", bad, plada, tmp_path / "none.plada")
    assert result.exit_code == 1
    assert result.stdout.splitlines() == [f"{plada}: good, 5 of 1000 images kept"]
    assert len(result.stderr.splitlines()) == 2
    ok("verify", plada, "--expected-digest", bytes(range(8)).hex() + "99" * 24)
    assert "reference" in fails(1, "verify", plada, "--expected-digest", "00" * 8)


def test_compare_prints_the_papers_row_and_ours(plada: Path, csv: Path) -> None:
    row = json.loads(ok("compare", plada, "--json").stdout)
    assert {layout["layout"] for layout in row["layouts"]} == {"idx", "bmp"}
    assert row["layouts"][0]["raw_bytes"] == 5 * 6
    text = ok("compare", csv, "--reference-size", "1000", "--classes", "3").stdout
    assert "zstd-19" in text
    assert "paper, bmp" in text


def test_reference_digest_is_that_of_the_specification(tmp_path: Path) -> None:
    for name, data in (("x/1.png", b"a"), ("x/2.PNG", b"b"), ("y/0.jpg", b"c")):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(data)
    stated = (SPEC / "reference-digest.md").read_text().split("## 3. Example")[1].split("    ")[1].split()[0]
    assert json.loads(ok("reference", "digest", tmp_path, "--json").stdout) == {
        "reference_size": 3,
        "reference_digest": stated,
    }
    assert ok("reference", "digest", tmp_path).stdout.startswith(stated)


def test_reference_list_prints_number_name_and_digest_of_each_image(tmp_path: Path) -> None:
    names = ["a/1.png", 'b/2,"ü\n.png', "b/3.png"]
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(name.encode())
    digests = [hashlib.sha256(name.encode()).hexdigest() for name in names]
    rows = json.loads(ok("reference", "list", tmp_path, "--json").stdout)
    assert rows == [
        {"index": i, "name": name, "sha256": digest}
        for i, (name, digest) in enumerate(zip(names, digests, strict=True))
    ]
    table = list(csv_module.reader(io.StringIO(ok("reference", "list", tmp_path, "--csv").stdout, newline="")))
    assert table == [["index", "name", "sha256"], *([str(row["index"]), row["name"], row["sha256"]] for row in rows)]
    lines = ok("reference", "list", tmp_path).stdout.splitlines()
    assert lines[:2] == [f"0  {digests[0]}  a/1.png", f'1  {digests[1]}  b/2,"ü\\n.png']
    assert "exclude" in fails(2, "reference", "list", tmp_path, "--json", "--csv")


def test_a_digest_mismatch_says_how_to_find_the_images_that_differ(tmp_path: Path, plada: Path) -> None:
    assert "plada reference list" in fails(1, "decode", plada, "-o", tmp_path / "o.csv", "--expected-digest", "00" * 8)


@pytest.mark.parametrize(
    ("name", "content", "word"),
    [
        ("empty.csv", "", "empty"),
        ("header.csv", "index,label\n", None),
        ("float.csv", "1.5,0\n", "line 1"),
        ("nan.csv", "index,label\nnan,0\n", "line 2"),
        ("unsorted.csv", "5,0\n3,0\n", "comes after 5"),
        ("repeated.csv", "5,0\n5,0\n", "repeated"),
        ("negative.csv", "-1,0\n", "-1"),
        ("large.csv", "1000,0\n", "1000"),
        ("label.csv", "1,3\n", "3"),
        ("lengths.csv", "1,0\n2\n", "line 2"),
        ("broken.npz", "PK\x03\x04nothing", None),
        ("broken.jsonl", '{"index": 1, "label": 0}\n{"index": 2}\n', "line 2"),
        ("noise.parquet", "PAR1", None),
        ("other.plada", "not a payload", "signature"),
        ("unknown.xyz", "1,0\n", "suffix"),
    ],
)
def test_bad_files_are_one_line_and_exit_code_1(tmp_path: Path, name: str, content: str, word: str | None) -> None:
    source = tmp_path / name
    source.write_text(content)
    arguments = ("encode", source, "-o", tmp_path / "o.plada", "--reference-size", "1000", "--classes", "3")
    if name == "header.csv":
        ok(*arguments)
        assert decode((tmp_path / "o.plada").read_bytes()).kept == 0
        return
    error = fails(1, *arguments)
    assert str(source) in error
    assert word is None or word in error
    assert not (tmp_path / "o.plada").exists()


def test_columns_that_are_not_whole_numbers_are_refused(tmp_path: Path) -> None:
    for name, arrays in {
        "float": {"indices": np.array([1.5]), "labels": np.array([0])},
        "nan": {"indices": np.array([np.nan]), "labels": np.array([0])},
        "lengths": {"indices": np.array([1, 2]), "labels": np.array([0])},
        "missing": {"indices": np.array([1])},
    }.items():
        np.savez(tmp_path / f"{name}.npz", **arrays)  # type: ignore[arg-type]
        fails(1, "encode", tmp_path / f"{name}.npz", "-o", tmp_path / "o", "--reference-size", "9", "--classes", "3")


@pytest.mark.parametrize("command", ["decode", "inspect", "verify", "compare"])
def test_a_payload_cut_at_any_byte_is_one_line_and_exit_code_1(tmp_path: Path, command: str) -> None:
    blob = encode(PAYLOAD)
    cut = tmp_path / "cut.plada"
    output = ("-o", str(tmp_path / "o.csv")) if command == "decode" else ()
    for size in range(len(blob)):
        cut.write_bytes(blob[:size])
        assert str(cut) in fails(1, command, cut, *output)


def test_an_impossible_request_is_one_line_that_says_what_to_do(tmp_path: Path, plada: Path, csv: Path) -> None:
    assert "--reference-size" in fails(1, "encode", csv, "-o", tmp_path / "o", "--classes", "3")
    assert "--classes" in fails(1, "encode", csv, "-o", tmp_path / "o", "--reference-size", "1000")
    assert "formats are" in fails(1, "encode", "-", "-o", "-", stdin=b"1,0\n")
    assert "hexadecimal" in fails(1, "decode", plada, "-o", "-", "--to", "csv", "--expected-digest", "xyz")
    assert "reference" in fails(1, "decode", plada, "-o", tmp_path / "o.csv", "--expected-digest", "00" * 8)
    assert "max_kept" in fails(1, "decode", plada, "-o", tmp_path / "o.csv", "--max-kept", "4")
    assert "No such file" in fails(1, "inspect", tmp_path / "none.plada")
    assert "none" in fails(1, "reference", "digest", tmp_path / "none")
    assert "gaps-zstd" in fails(1, "encode", plada, "-o", "-", "--index-coding", "gapszstd")
    unwritable = tmp_path / "file"
    unwritable.write_text("")
    assert "cannot write" in fails(1, "decode", plada, "-o", unwritable / "o.csv")
    assert not (tmp_path / "o.csv").exists()


def test_wrong_usage_is_exit_code_2(plada: Path) -> None:
    usages: list[list[str | Path]] = [
        ["decode", plada],
        ["encode"],
        ["inspect", plada, "--nonsense"],
        ["nonsense"],
        ["verify"],
        ["encode", plada, "-o", "-", "--profile", "tiny"],
    ]
    for arguments in usages:
        fails(2, *arguments)


def test_help_imports_neither_numpy_nor_numba() -> None:
    # Some help lists a registry of code, and needs the code.
    code = (
        "import sys\nfrom plada_codec.cli.main import main\n"
        "slow = ('budget', 'convert', 'decode', 'extract')\n"
        "for command in [[], *([name] for name in main.commands if name not in slow)]:\n"
        "    try: main([*command, '--help'])\n"
        "    except SystemExit: pass\n"
        "print([m for m in ('numpy', 'numba', 'rich', 'construct', 'zstandard') if m in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"
    assert "Commands:" in done.stdout


def test_nothing_but_data_goes_to_standard_output_and_nothing_to_a_silent_terminal(plada: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "plada_codec", "decode", str(plada), "-o", "-", "--to", "csv"],
        capture_output=True,
        check=True,
        env={**os.environ, "PYTHONWARNINGS": "default"},
    )
    assert done.stdout.startswith(b"index,label\n")
    assert done.stderr == b""


def test_every_command_has_help() -> None:
    def walk(command: Any, path: list[str]) -> None:
        assert "Usage" in ok(*path, "--help").stdout
        for name, inner in getattr(command, "commands", {}).items():
            walk(inner, [*path, name])

    walk(main, [])


def test_odd_file_names_are_printed_and_break_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "["
    folder.mkdir()
    for name in ("x].plada", "line\nfeed.plada", os.fsdecode(b"\xff.plada")):
        path = folder / name
        path.write_bytes(encode(PAYLOAD))
        done = subprocess.run(
            [sys.executable, "-m", "plada_codec", "verify", str(path)],
            capture_output=True,
            check=True,
            env={**os.environ, "PYTHONIOENCODING": "utf-8:strict"},
        )
        assert b"good, 5 of 1000 images kept" in done.stdout
        assert "1,000 images" in ok("inspect", path).stdout
        path.write_bytes(b"")
        fails(1, "inspect", path)


def test_class_names_are_split_at_line_ends_only(tmp_path: Path, csv: Path) -> None:
    names, out = tmp_path / "names.txt", tmp_path / "o.plada"
    names.write_bytes("\ufeffone\r\ntwo\u2028halves\nthree\n".encode())
    ok("encode", csv, "-o", out, "--reference-size", "1000", "--classes", "3", "--class-names", names)
    assert decode(out.read_bytes()).class_names == ("one", "two\u2028halves", "three")
    names.write_bytes(b"\xff\n")
    assert "UTF-8" in fails(
        1, "encode", csv, "-o", out, "--reference-size", "9", "--classes", "1", "--class-names", names
    )


@pytest.fixture
def checked(tmp_path: Path, csv: Path) -> tuple[Path, Path, Path]:
    """A payload with a class check, the names of its classes, and the same names in another order."""
    names, others, out = tmp_path / "names.txt", tmp_path / "others.txt", tmp_path / "checked.plada"
    names.write_text("a\nb\nc\n")
    others.write_text("b\na\nc\n")
    ok("encode", csv, "-o", out, "--reference-size", "1000", "--classes", "3", "--class-check", names)
    return out, names, others


def test_encode_sends_the_check_of_class_names_that_it_does_not_send(checked: tuple[Path, Path, Path]) -> None:
    out, _, _ = checked
    payload = decode(out.read_bytes())
    assert (payload.class_names, payload.class_check) == (None, class_check(["a", "b", "c"]))
    assert json.loads(ok("inspect", out, "--json").stdout)["class_check"] == payload.class_check.hex()
    assert f"check {payload.class_check.hex()}" in ok("inspect", out).stdout
    assert f"class check: {payload.class_check.hex()}" in ok("inspect", out, "--hex").stdout


def test_every_command_that_takes_class_names_compares_them_with_the_payload(
    tmp_path: Path, checked: tuple[Path, Path, Path]
) -> None:
    out, names, others = checked
    named = tmp_path / "named.plada"
    ok("convert", out, named, "--class-names", names)
    for payload in (out, named):
        assert "good" in ok("verify", payload, "--class-names", names).stdout
        for command in (("verify", payload), ("decode", payload, "-o", tmp_path / "o.npz")):
            assert "class" in fails(1, *command, "--class-names", others)
    npz, again = tmp_path / "o.npz", tmp_path / "o.plada"
    for reading in (("convert", out, npz), ("encode", out, "-o", again), ("compare", out, "--from", "plada")):
        for option in ("--class-names", "--class-check"):
            assert "another order" in fails(1, *reading, option, others)
            ok(*reading, option, names)
    ok("decode", out, "-o", tmp_path / "o.npz", "--class-names", names)
    assert interop.read(tmp_path / "o.npz").class_names == ("a", "b", "c")


def test_convert_keeps_the_class_check_or_drops_it(tmp_path: Path, checked: tuple[Path, Path, Path]) -> None:
    out, _, _ = checked
    for suffix in ("npz", "arrow", "parquet", "plada"):
        ok("convert", out, tmp_path / f"kept.{suffix}")
        assert interop.read(tmp_path / f"kept.{suffix}").class_check == class_check(["a", "b", "c"])
        ok("convert", tmp_path / f"kept.{suffix}", tmp_path / "dropped.plada", "--no-class-check")
        assert decode((tmp_path / "dropped.plada").read_bytes()).class_check == b""


def test_options_that_make_no_sense_are_wrong_usage(plada: Path) -> None:
    names = ("--class-names", plada, "--class-check", plada, "--no-class-check")
    for options in (names[:4], (*names[:2], names[4]), names[2:]):
        assert "exclude" in fails(2, "compare", plada, *options)
    assert "odd" in fails(2, "compare", plada, "--digest-bytes", "9")
    assert "finite" in fails(2, "conformance", "--decoder", "true", "--timeout", "nan")
    assert "exclude" in fails(2, "inspect", plada, "--json", "--hex")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("--reference-digest 0102030405060708 --digest-bytes 16", "has 8 bytes: 16 cannot be sent"),
        ("--reference-digest 01020304", "has 4 bytes: 8 cannot be sent"),
        (f"--reference-digest {'01' * 33}", "has 33 bytes, but a digest has 32"),
        ("--digest-bytes 16", "--digest-bytes needs --reference-digest"),
    ],
)
@pytest.mark.parametrize("command", ["encode IN -o OUT", "convert IN OUT --to plada", "compare IN"])
def test_a_digest_that_cannot_be_sent_as_asked_is_refused(
    tmp_path: Path, csv: Path, command: str, options: str, said: str
) -> None:
    command = command.replace("IN", str(csv)).replace("OUT", str(tmp_path / "o"))
    assert said in fails(2, *command.split(), "--reference-size", "1000", "--classes", "3", *options.split())


@pytest.mark.parametrize(
    ("options", "universe"),
    [
        ([], Universe(1, 4)),
        (["--stride", "2"], Universe(1, 2)),
        (["--offset", "5"], Universe(5, 4)),
        (["--offset", "0", "--stride", "1"], Universe()),
    ],
)
@pytest.mark.parametrize("suffix", ["plada", "npz", "parquet"])
def test_an_option_of_the_universe_leaves_the_other_number_as_the_file_has_it(
    tmp_path: Path, suffix: str, options: list[str], universe: Universe
) -> None:
    source = tmp_path / f"u.{suffix}"
    interop.write(Payload([5, 9], [0, 1], 100, 2, universe=Universe(1, 4)), source)
    ok("convert", source, tmp_path / "o.plada", *options)
    assert decode((tmp_path / "o.plada").read_bytes()).universe == universe


@pytest.mark.parametrize("option", ["--class-names", "--reference-digest"])
def test_options_that_the_format_of_the_output_cannot_hold_are_refused(
    tmp_path: Path, plada: Path, csv: Path, option: str
) -> None:
    (tmp_path / "names").write_text("a\nb\nc\n")
    value = tmp_path / "names" if option == "--class-names" else "ab" * 8
    said = fails(2, "convert", plada, tmp_path / "o.csv", option, value)
    assert f"{option}: the format csv holds indices and labels only" in said
    ok("convert", plada, tmp_path / "o.npz", option, value)


@pytest.mark.parametrize("arguments", [["--frobnicate"], ["decode", "--frobnicate"], ["frobnicate"], ["budget", "--x"]])
def test_unknown_options_and_commands_are_one_line(arguments: list[str]) -> None:
    said = fails(2, *arguments)
    assert said.startswith(f"main{' ' + arguments[0] if len(arguments) > 1 else ''}: No such ")
    assert said.endswith("--help'.")


def test_a_huge_brace_range_ends_at_its_first_missing_shard(tmp_path: Path) -> None:
    assert "x-0.tar is missing" in fails(1, "reference", "digest", tmp_path / "x-{0..99999999999}.tar")


@pytest.mark.parametrize(
    "arguments",
    [
        "budget --bytes 5",
        "budget --bytes 5 --link uwm-5k -v",
        "budget --bytes 5 --link uwm-5k --json",
        "inspect {payload}",
        "inspect --json {payload}",
        "inspect --hex {payload}",
        "verify {payload}",
        "decode {payload} -o -",
    ],
)
def test_closed_standard_output_is_bad_input(plada: Path, arguments: str) -> None:
    command = f"exec {sys.executable} -m plada_codec {arguments.format(payload=plada)} >&-"
    result = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60)
    assert result.returncode == 1
    [line] = result.stderr.splitlines()
    assert line.endswith("standard output is closed [file]")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("arguments", ["--help", "--version", "decode --help", "budget --bytes 5"])
def test_a_full_disk_is_one_line_for_any_output(arguments: str) -> None:
    command = f"exec {sys.executable} -m plada_codec {arguments} >/dev/full"
    result = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60)
    assert result.returncode == 1
    [line] = result.stderr.splitlines()
    assert line.startswith("plada")
    assert line.endswith("No space left on device")


#: Control characters, an escape of the terminal, a line that passes for ours, an override of the direction, a byte.
HOSTILE = "a\x1b]0;owned\x07\x1b[2K\nplada: good\r\x9b31m\u202e\u2066" + os.fsdecode(b"\xff")
_HARMLESS = re.compile(r"[^\x00-\x09\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]*")


@pytest.mark.parametrize(
    ("arguments", "lines"),
    [
        ("verify FILE", 1),
        ("verify FILE.none", 1),
        ("inspect FILE", None),
        ("inspect --json FILE", None),
        ("inspect --hex FILE", None),
        ("decode FILE -o FILE.csv", 0),
        ("decode FILE.bad -o FILE.csv", 1),
        ("decode FILE -o FILE.none/x.csv", 1),
        ("encode FILE.bad -o x --reference-size 9 --classes 3", 1),
        ("packetize FILE -o FILE.frames", 0),
        ("reassemble FILE.sent -o FILE.copy --state FILE.state", 1),
        ("reassemble FILE.bad -o FILE.copy", 1),
        ("reassemble --status --state FILE.none", 1),
        ("reference digest FILE.images", 1),
        ("reference digest FILE.none", 1),
        ("budget FILE.none --link uwm-5k", 1),
        ("budget --bytes 5 --link FILE", 1),
        ("conformance --decoder FILE --examples 0", 1),
        ("FILE", 1),
        ("verify --FILE", 1),
        ("encode FILE -o x --index-coding FILE", 1),
    ],
)
def test_names_cannot_forge_lines_or_drive_the_terminal(
    tmp_path: Path, plada: Path, monkeypatch: pytest.MonkeyPatch, arguments: str, lines: int | None
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / HOSTILE).write_bytes(plada.read_bytes())
    (tmp_path / f"{HOSTILE}.bad").write_bytes(b"1,\x1b[31m\n")
    (tmp_path / f"{HOSTILE}.images").mkdir()
    (tmp_path / f"{HOSTILE}.images" / "1.jpg").write_bytes(b"1")
    ok("packetize", plada, "-o", f"{HOSTILE}.sent")
    result = run(*(word.replace("FILE", HOSTILE) for word in arguments.split()))
    for stream in (result.stdout, result.stderr):
        assert _HARMLESS.fullmatch(stream)
        assert "\nplada: good" not in stream
    if lines is not None:
        assert (result.stdout + result.stderr).count("\n") == lines


def test_class_names_cannot_drive_the_terminal(tmp_path: Path, csv: Path) -> None:
    names, out = tmp_path / "names", tmp_path / "o.plada"
    names.write_text("left\u202eto right\nb\u2028c\nd\n")
    ok("encode", csv, "-o", out, "--reference-size", "1000", "--classes", "3", "--class-names", names)
    for options in ([], ["--hex"], ["--json"]):
        assert _HARMLESS.fullmatch(ok("inspect", out, *options).stdout)


def test_an_archive_of_python_2_is_read_without_a_word(tmp_path: Path) -> None:
    """numpy warns of its whole numbers, which end in L."""
    with zipfile.ZipFile(tmp_path / "old.npz", "w") as archive:
        for name, values in {"indices": [3, 5], "labels": [1, 2]}.items():
            header = b"{'descr': '<i8', 'fortran_order': False, 'shape': (2L,), }"
            header += b" " * (-(len(header) + 11) % 64) + b"\n"
            data = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header
            archive.writestr(f"{name}.npy", data + np.array(values, "<i8").tobytes())
    command = ["convert", "old.npz", "o.csv", "--reference-size", "100", "--classes", "5"]
    done = subprocess.run([sys.executable, "-m", "plada_codec", *command], cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert (tmp_path / "o.csv").read_text() == "index,label\n3,1\n5,2\n"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_progress_bar_appears_only_after_a_delay(monkeypatch: pytest.MonkeyPatch) -> None:
    for delay_s, shown in ((60.0, False), (0.0, True)):
        monkeypatch.setattr("plada_codec.progress._DELAY_S", delay_s)
        monkeypatch.setattr(sys, "stderr", stream := Terminal())
        with progress_bar("waiting") as progress:
            progress(1, 9)
            time.sleep(0.2)  # the bar comes by itself: nothing moves it any more
            assert ("waiting" in stream.getvalue()) == shown
        assert bool(stream.getvalue()) == shown


def test_equal_warnings_are_one_line_and_those_of_other_packages_none(
    csv: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def warn_and_read(*arguments: Any, **more: Any) -> Payload:
        for _ in range(2):
            warnings.warn("3 files were passed over:\n.gif 2, .heic 1", FilesPassedOver, stacklevel=2)
        warnings.warn("a line of another package", RuntimeWarning, stacklevel=2)
        return PAYLOAD

    monkeypatch.setattr(interop, "read", warn_and_read)
    said = ok("convert", csv, tmp_path / "o.csv").stderr
    assert said == "main: warning: 3 files were passed over:\\n.gif 2, .heic 1\n"
