"""Two processes in one folder, and results of other settings: one works, the other says so, and nothing is replaced."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("fcntl")

from plada_codec import Payload, encode
from plada_codec.files import lock_folder
from plada_codec.reference import open_images, reference_digest
from plada_train.models.classifier import load_checkpoint
from tests.helpers.training import (
    MODELS,
    OPTIONS,
    assert_fails,
    plada_train,
    source_options,
    write_shards,
    write_tree,
)

pytestmark = pytest.mark.training

#: A process that works in a folder until its standard input ends.
WORK = "import sys; from pathlib import Path; from plada_codec.files import lock_folder\n"
WORK += "with lock_folder(Path(sys.argv[1])): print('locked', flush=True); sys.stdin.read()"


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    write_tree(tmp_path / "train", 2, 0)
    write_tree(tmp_path / "test", 2, 1)
    write_shards(tmp_path / "ref", 1, 6)
    digest = reference_digest(open_images(tmp_path / "ref"))
    payload = Payload(range(6), [0, 1, 2, 0, 1, 2], 6, 3, digest, class_names=("blue", "green", "red"))
    (tmp_path / "p.plada").write_bytes(encode(payload))
    return tmp_path


@contextmanager
def another_process_in(folder: Path) -> Iterator[None]:
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-c", WORK, str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "locked\n"
        yield


def command(name: str, sources: Path, output: Path, *more: str) -> list[str]:
    ref, train, test = source_options(sources)
    arguments = {
        "teacher": [train, test, MODELS[0].replace("--teacher", "--model"), *OPTIONS],
        "student": [ref, test, f"--payload={sources / 'p.plada'}", "--model=test_resnet", *OPTIONS],
        "score": [ref, f"--teacher={sources / 'made' / 'teacher.safetensors'}", "--threads=1"],
        "run": [ref, train, test, *MODELS, *OPTIONS, "--keep=1"],
    }[name]
    return [name, *arguments, f"--output={output}", *more]


def made_teacher(sources: Path) -> None:
    result = plada_train(*command("teacher", sources, sources / "made"))
    assert result.exit_code == 0, result.output


@pytest.mark.parametrize("name", ["teacher", "student", "score", "run"])
def test_a_stage_does_not_work_in_a_folder_in_which_another_process_works(sources: Path, name: str) -> None:
    made_teacher(sources)
    out = sources / "out"
    with another_process_in(out):
        assert_fails(plada_train(*command(name, sources, out)), f"another process works in {out}: wait for it, or")
        assert {path.name for path in out.iterdir()} == {".plada-lock"}
    result = plada_train(*command(name, sources, out))
    assert result.exit_code == 0, result.output


def test_of_two_teachers_at_once_one_is_trained_and_the_other_says_why_not(sources: Path) -> None:
    out = sources / "out"
    commands = [
        [sys.executable, "-m", "plada_train", *command("teacher", sources, out, f"--seed={seed}", "--epochs=10")]
        for seed in (0, 1)
    ]
    processes = [subprocess.Popen(each, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for each in commands]
    outputs = [process.communicate() for process in processes]
    codes = [process.returncode for process in processes]
    # Whoever comes second finds the lock, or, if it was slow to start, the state or result of the other
    assert sorted(codes) == [0, 1], outputs
    (said,) = outputs[codes.index(1)][1].splitlines()
    assert any(text in said for text in ("another process works in", "is of another training (seed was"))
    assert load_checkpoint(out / "teacher.safetensors").training["seed"] == str(codes.index(0))  # type: ignore[index]


def test_systems_without_posix_locks_work_without_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fcntl", None)
    with lock_folder(tmp_path), lock_folder(tmp_path):
        assert not list(tmp_path.iterdir())


# --- finished results ---


@pytest.mark.parametrize("name", ["teacher", "student"])
@pytest.mark.parametrize("more", ["--seed=1", "--epochs=1", "--freeze", "--batch-size=4"])
def test_a_finished_result_is_not_replaced_by_one_of_other_settings(sources: Path, name: str, more: str) -> None:
    out = sources / "out"
    assert plada_train(*command(name, sources, out)).exit_code == 0
    before = {path: path.read_bytes() for path in out.iterdir()}
    result = plada_train(*command(name, sources, out, more))
    field = more.removeprefix("--").partition("=")[0].replace("-", "_")
    assert_fails(result, f"{out / name}.safetensors is of another training ({field} was ", "name another folder, or")
    assert {path: path.read_bytes() for path in out.iterdir()} == before
    result = plada_train(*command(name, sources, out))
    assert result.exit_code == 0, result.output
    assert {path: path.read_bytes() for path in out.iterdir()} == before


def test_a_result_of_other_images_is_not_replaced(sources: Path) -> None:
    made_teacher(sources)
    write_tree(sources / "other", 3, 0)
    result = plada_train(*command("teacher", sources, sources / "made", f"--target-train={sources / 'other'}"))
    assert_fails(result, "teacher.safetensors is of another training (data was")


def test_a_result_without_its_training_is_not_replaced(sources: Path) -> None:
    made_teacher(sources)
    path = sources / "made" / "teacher.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"training": None}))
    result = plada_train(*command("teacher", sources, sources / "made"))
    assert_fails(result, "teacher.safetensors does not say how it was trained: name another folder, or remove it")
    path.unlink()
    result = plada_train(*command("teacher", sources, sources / "made"))
    assert_fails(result, "teacher.safetensors does not say how it was trained")


def test_another_payload_is_replaced_with_a_warning(sources: Path) -> None:
    made_teacher(sources)
    assert plada_train(*command("score", sources, sources / "scores")).exit_code == 0
    path = sources / "task.plada"
    for keep, warns in (("1", False), ("1", False), ("0.5", True)):
        result = plada_train("select", f"--scores={sources / 'scores'}", f"--keep={keep}", f"--output={path}")
        assert result.exit_code == 0, result.output
        assert (f"{path} held something else: it is replaced" in result.stderr) == warns
