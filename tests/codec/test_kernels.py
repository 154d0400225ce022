"""Kernels: interpreted and compiled code agree; compiled code is kept where no other user can write."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import resource
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plada_codec import Limits, Payload, PladaError, decode, encode
from plada_codec.errors import PladaWarning
from plada_codec.kernels import cache, classes, huffman, jit, runs
from plada_codec.testing.strategies import damaged_payloads, encoded_payloads
from tests.helpers.examples import examples
from tests.helpers.paths import PAYLOAD_VECTORS

ENTRIES: list[dict[str, Any]] = json.loads((PAYLOAD_VECTORS / "index.json").read_text(encoding="utf-8"))["vectors"]
MODES = ("interpreted", "compiled")
#: A thousand labels of 100,000 images.
THOUSAND = Payload(np.arange(1_000) * 97 + np.arange(1_000) % 7, np.arange(1_000) // 120, 100_000, 10)


@contextmanager
def mode(name: str) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(jit.MODE_VARIABLE, name)
        yield


def outcome(blob: bytes, limits: Limits = Limits(), reference: bytes | None = None) -> object:
    """Decode; return the payload, or everything that the error tells."""
    try:
        return decode(blob, limits, reference)
    except PladaError as error:
        return error.kind, error.rule, error.offset, error.args


# --- one function, two ways to run it --------------------------------------------------------------------------------


@given(encoded_payloads(max_kept=60))
@examples(0.2)
def test_compiled_and_interpreted_kernels_write_the_same_bytes(example: Any) -> None:
    said = (example.profile, "full", example.index_coding, example.label_coding)
    for name in MODES:
        with mode(name):
            assert encode(example.payload, *said) == example.blob


@given(damaged_payloads() | st.builds(lambda example: example.blob, encoded_payloads(max_kept=300)))
def test_compiled_and_interpreted_kernels_decode_alike_and_refuse_alike(blob: bytes) -> None:
    said = []
    for name in MODES:
        with mode(name):
            said.append(outcome(blob))
    assert said[0] == said[1]


@pytest.mark.parametrize("name", MODES)
def test_the_vectors_are_read_the_same_and_refused_alike(name: str) -> None:
    for vector in ENTRIES:
        limits = Limits(**vector.get("limits", {}))
        blob, expected = (PAYLOAD_VECTORS / vector["file"]).read_bytes(), vector.get("expected_digest")
        reference = None if expected is None else bytes.fromhex(expected)
        by_itself = outcome(blob, limits, reference)
        with mode(name):
            assert outcome(blob, limits, reference) == by_itself, vector["id"]


@given(st.lists(st.integers(1, 2**63 - 1) | st.integers(0, 62).map(lambda n: 1 << n), min_size=1))
def test_compiled_and_interpreted_kernels_count_the_same_bit_lengths(numbers: list[int]) -> None:
    expected = np.bincount([number.bit_length() - 1 for number in numbers], minlength=63)
    for name in MODES:
        counts = np.zeros(63, np.int64)
        with mode(name):
            huffman.count_bit_lengths(np.array(numbers), counts)
        assert (counts == expected).all()


@pytest.mark.parametrize("name", MODES)
def test_arrays_that_a_kernel_does_not_write_may_be_read_only_or_have_strides(name: str) -> None:
    labels = np.arange(20, dtype=np.int32)[::2]
    labels.flags.writeable = False
    packed, back = np.zeros(7, np.uint8), np.zeros(10, np.int32)
    with mode(name):
        classes.pack(labels, 5, packed)
        classes.unpack(packed, 5, back)
    assert (back == labels).all()


# --- when a kernel is compiled ---------------------------------------------------------------------------------------


def python(code: str, **more: Any) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name != jit.MODE_VARIABLE}
    environment |= more.pop("env", {})
    return subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False, **more
    )


@pytest.mark.processes
def test_a_thousand_labels_are_encoded_and_decoded_without_numba(tmp_path: Path) -> None:
    code = """
import sys
from plada_codec import Payload, decode, encode
from test_kernels import THOUSAND
for name in [name for name in sys.modules if name.partition(".")[0] == "numba"]:
    del sys.modules[name]
assert decode(encode(THOUSAND)) == THOUSAND
print("numba" in sys.modules)
"""
    done = python(code, cwd=Path(__file__).parent, env={"NUMBA_CACHE_DIR": str(tmp_path)})
    assert (done.stdout, done.stderr) == ("False\n", "")


def test_a_kernel_is_compiled_once_its_work_adds_up() -> None:
    kernel = jit.Kernel(huffman.count_bit_lengths.function, ["counts"], lambda distances, counts: 1, 0.4, 1.0)
    counts = np.zeros(63, np.int64)
    compiled = []
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv(jit.MODE_VARIABLE, raising=False)
        patch.setattr(cache, "has", lambda function: False)
        for _ in range(4):
            kernel(np.array([5]), counts)
            compiled.append(kernel.compiled is not None)
    assert compiled[0] is False
    assert compiled[-1] is True
    assert counts[2] == 4


def test_expected_work_compiles_a_kernel_at_once_and_a_cached_kernel_needs_less_work() -> None:
    def fresh() -> jit.Kernel:
        return jit.Kernel(huffman.count_bit_lengths.function, ["counts"], lambda distances, counts: 1, 0.1, 1e9)

    with pytest.MonkeyPatch.context() as patch:
        patch.delenv(jit.MODE_VARIABLE, raising=False)
        patch.setattr(cache, "has", lambda function: False)
        never, expected, kept = fresh(), fresh(), fresh()
        expected.expect_steps(10**11)
        for kernel in (never, expected):
            kernel(np.array([5]), np.zeros(63, np.int64))
        patch.setattr(cache, "has", lambda function: True)
        for _ in range(5):
            kept(np.array([5]), np.zeros(63, np.int64))
    assert [kernel.compiled is not None for kernel in (never, expected, kept)] == [False, True, True]


def test_large_arrays_are_never_made_lists() -> None:
    kernel = jit.Kernel(runs.stream_bytes.function, [], lambda positions: 0, 0.0, 1e9)
    assert kernel(np.arange(100_000)) == 4
    assert kernel.compiled is not None


@pytest.mark.processes
def test_where_numba_compiles_nothing_kernels_are_interpreted() -> None:
    code = "from plada_codec import Payload, decode, encode; sent = Payload([3, 5], [1, 0], 9, 2)"
    code += "; print(decode(encode(sent)) == sent)"
    done = python(code, env={"NUMBA_DISABLE_JIT": "1", jit.MODE_VARIABLE: "compiled"}, timeout=300)
    assert (done.stdout, done.stderr) == ("True\n", "")
    done = python(code, env={"NUMBA_NUM_THREADS": "0", jit.MODE_VARIABLE: "compiled"}, timeout=300)
    assert done.stdout == "True\n"
    assert "PladaWarning: numba cannot be imported (ValueError" in done.stderr


def test_an_unknown_mode_is_warned_of_once() -> None:
    jit._warn_of_mode.cache_clear()
    with mode("Compiled"), pytest.warns(PladaWarning, match="PLADA_KERNELS is 'Compiled'") as warned:
        encode(THOUSAND)
    assert len(warned) == 1


@pytest.mark.processes
def test_threads_that_need_a_kernel_at_once_compile_it_once_and_forked_children_use_it() -> None:
    # In a process of its own: whoever forks among threads of other tests asks for trouble.
    code = """
import os, threading
import numpy as np
from plada_codec.kernels import classes
packed = np.zeros(50, np.uint8)
classes.pack(np.arange(80, dtype=np.int32) % 32, 5, packed)
said, children = [], []
def unpack():
    back = np.zeros(80, np.int32)
    classes.unpack(packed, 5, back)
    said.append(bool((back == np.arange(80) % 32).all()))
threads = [threading.Thread(target=unpack) for _ in range(8)]
for thread in threads:
    thread.start()
for _ in range(3):
    child = os.fork()
    if child == 0:
        unpack()
        os._exit(0 if said[-1] else 1)
    children.append(child)
for thread in threads:
    thread.join()
print(said, [os.waitpid(child, 0)[1] for child in children], len(classes.unpack.compiled.signatures))
"""
    done = python(code, env={jit.MODE_VARIABLE: "compiled"}, timeout=300)
    assert (done.stdout, done.returncode) == (f"{[True] * 8} [0, 0, 0] 1\n", 0), done.stderr


# --- the cache of compiled kernels -----------------------------------------------------------------------------------

#: Calls the kernel that is compiled soonest.
CALL_ONE = "import numpy; from plada_codec.kernels import runs; assert runs.stream_bytes(numpy.arange(9)) == 2"


@pytest.fixture
def compiling(tmp_path: Path) -> Callable[..., tuple[str, list[Path]]]:
    """Compile kernels in a process whose cache is a folder; give what it complains of, and what is in the folder."""

    def run(folder: Path = tmp_path, **more: Any) -> tuple[str, list[Path]]:
        variables = {jit.MODE_VARIABLE: "compiled", "NUMBA_CACHE_DIR": str(folder)} | more.pop("env", {})
        done = python(CALL_ONE, env=variables, timeout=300, **more)
        assert done.returncode == 0, done.stderr
        return done.stderr, sorted(folder.rglob("*.kernel")) if folder.exists() else []

    return run


@pytest.mark.processes
def test_a_compiled_kernel_is_loaded_from_the_cache(compiling: Any) -> None:
    complaints, first = compiling()
    assert complaints == ""
    assert len(first) == 1
    times = [path.stat().st_mtime_ns for path in first]
    assert compiling() == ("", first)
    assert [path.stat().st_mtime_ns for path in first] == times


@pytest.mark.processes
def test_kernels_of_other_sources_or_settings_are_not_taken_for_these(compiling: Any) -> None:
    _, first = compiling()
    _, both = compiling(env={"NUMBA_BOUNDSCHECK": "1"})
    assert set(first) < set(both)
    assert len({path.parent for path in both}) == 2


@pytest.mark.processes
@pytest.mark.parametrize("damage", ["empty", "cut", "garbage", "a page of zeros", "a bit"])
def test_a_damaged_file_is_compiled_anew(compiling: Any, damage: str) -> None:
    _, (path,) = compiling()
    data = path.read_bytes()
    middle = len(data) // 2
    path.write_bytes(
        {
            "empty": b"",
            "cut": data[:middle],
            "garbage": b"\x80\x05garbage",
            "a page of zeros": data[:4096] + bytes(4096) + data[8192:],
            "a bit": data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :],
        }[damage]
    )
    assert compiling() == ("", [path])
    assert len(path.read_bytes()) > 500


@pytest.mark.processes
def test_a_private_cache_file_is_trusted(tmp_path: Path, compiling: Any) -> None:
    _, (path,) = compiling()
    path.write_bytes(bomb(tmp_path / "mark"))
    compiling()
    assert (tmp_path / "mark").exists()  # so that the tests below can fail


@pytest.mark.processes
@pytest.mark.parametrize("how", ["others can write to it", "it is a link", "it is a pipe"])
def test_a_cache_file_that_others_can_write_is_compiled_anew(tmp_path: Path, compiling: Any, how: str) -> None:
    _, (path,) = compiling(preexec_fn=lambda: os.umask(0))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    mark = tmp_path / "mark"
    path.write_bytes(bomb(mark))
    if how == "others can write to it":
        path.chmod(0o622)
    else:
        moved = path.rename(tmp_path / "moved")
        path.symlink_to(moved) if how == "it is a link" else os.mkfifo(path)
    assert compiling() == ("", [path])
    assert not mark.exists()
    assert path.is_file()
    assert not path.is_symlink()


class Bomb:
    """An object that creates the file `mark` when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.mark,)


def bomb(mark: Path) -> bytes:
    """Return the bytes of a cache file that holds a `Bomb`."""
    data = pickle.dumps(Bomb(mark))
    return hashlib.sha256(data).digest() + data


@pytest.mark.processes
@pytest.mark.parametrize("where", ["the folder itself", "a folder above it"])
@pytest.mark.parametrize("bits", [0o020, 0o002])
def test_a_folder_that_others_can_write_to_is_neither_read_nor_written(
    tmp_path: Path, compiling: Any, where: str, bits: int
) -> None:
    above = tmp_path / "above"
    _, files = compiling(above / "cache")
    mark = tmp_path / "mark"
    for path in files:
        path.write_bytes(bomb(mark))
    loose = files[0].parent if where == "the folder itself" else above
    loose.chmod(loose.stat().st_mode | bits)
    complaints, after = compiling(above / "cache")
    assert "others can write to" in complaints
    assert complaints.count("PladaWarning") == 1
    assert not mark.exists()
    assert after == files


@pytest.mark.processes
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to give a folder away")
def test_a_folder_of_another_user_is_neither_read_nor_written(tmp_path: Path, compiling: Any) -> None:
    _, files = compiling(tmp_path / "cache")
    os.chown(files[0].parent, 12_345, -1)
    before = [path.stat().st_mtime_ns for path in files]
    complaints, after = compiling(tmp_path / "cache")
    assert "belongs to another user" in complaints
    assert [path.stat().st_mtime_ns for path in after] == before


@pytest.mark.processes
def test_folders_that_are_made_are_private_whatever_the_umask(tmp_path: Path, compiling: Any) -> None:
    complaints, files = compiling(tmp_path / "made" / "cache", preexec_fn=lambda: os.umask(0o002))
    assert (complaints, len(files)) == ("", 1)
    assert {stat.S_IMODE((tmp_path / "made" / part).stat().st_mode) for part in ("", "cache")} == {0o700}


@pytest.mark.processes
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to make a link of somebody else's")
def test_the_owner_of_a_linked_cache_folder_is_checked_not_that_of_the_link(tmp_path: Path, compiling: Any) -> None:
    _, files = compiling(tmp_path / "cache")
    ours = files[0].parent
    theirs = ours.rename(tmp_path / "theirs")
    os.chown(theirs, 12_345, -1)
    ours.symlink_to(theirs)
    assert "belongs to another user" in compiling(tmp_path / "cache")[0]


@pytest.mark.processes
def test_without_a_place_for_them_kernels_are_compiled_in_memory_with_one_warning(
    tmp_path: Path, compiling: Any
) -> None:
    taken = tmp_path / "taken"
    taken.write_text("a file")
    assert compiling(taken / "cache")[0].count("PladaWarning: compiled kernels cannot be kept") == 1
    for home in ("/proc/nothing", "", "relative"):
        said = {"HOME": home, "XDG_CACHE_HOME": "relative", "NUMBA_CACHE_DIR": ""}
        complaints, files = compiling(tmp_path / "nowhere", env=said)
        assert complaints.count("PladaWarning: compiled kernels cannot be kept") == 1
        assert files == []


@pytest.mark.processes
def test_a_full_disk_is_one_warning(tmp_path: Path, compiling: Any) -> None:
    def no_room() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))

    complaints, files = compiling(preexec_fn=no_room)
    assert complaints.count("PladaWarning: compiled kernels cannot be kept") == 1
    assert files == []
    assert list(tmp_path.rglob("*.tmp")) == []


@pytest.mark.processes
def test_a_command_warns_of_an_unusable_cache_in_one_line_and_goes_on(tmp_path: Path) -> None:
    payload, taken = tmp_path / "p.plada", tmp_path / "taken"
    every = Payload(np.arange(40), np.arange(40) % 5, 40, 5)
    payload.write_bytes(encode(every, label_coding="classes-plain"))
    taken.write_text("a file")
    done = subprocess.run(
        [sys.executable, "-m", "plada_codec", "verify", payload],
        env=os.environ | {jit.MODE_VARIABLE: "compiled", "NUMBA_CACHE_DIR": str(taken / "cache")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == f"{payload}: good, 40 of 40 images kept\n"
    (line,) = done.stderr.splitlines()
    assert "warning: compiled kernels cannot be kept" in line
    assert "Not a directory" in line


@pytest.mark.processes
def test_threads_may_import_and_compile_at_once() -> None:
    code = """
import threading
said = []
def work():
    from plada_codec import Payload, decode, encode
    sent = Payload(range(0, 900, 3), [0, 1, 2] * 100, 900, 3)
    said.append(decode(encode(sent, "fast")) == sent)
threads = [threading.Thread(target=work) for _ in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(said)
"""
    done = python(code, env={jit.MODE_VARIABLE: "compiled"}, timeout=300)
    assert (done.stdout, done.returncode) == (f"{[True] * 4}\n", 0), done.stderr
