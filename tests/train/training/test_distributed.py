"""Training by several processes (gloo) gives the weights of one process; one process writes, and one reports errors."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

import torch

from plada_codec import Payload, encode
from plada_codec.errors import InputError
from plada_codec.reference import open_images, reference_digest
from plada_train import stages
from plada_train.cli.main import main
from plada_train.data.labelled import LabelledImages
from plada_train.distributed import join_processes, part
from plada_train.recipe import Recipe
from plada_train.training.checkpoints import Checkpoint
from tests.helpers.training import RECIPE, assert_fails, jpeg, plada_train, source_options, write_shards, write_tree

pytestmark = pytest.mark.training

#: Longer than anything here takes, much shorter than gloo's patience: what hangs, fails.
PATIENCE_S = 120


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("distributed")
    write_tree(folder / "test", 2, 1)
    write_shards(folder / "ref", 1, 16)
    (folder / "damaged").mkdir()
    for i in range(16):
        (folder / "damaged" / f"{i:02}.jpg").write_bytes(jpeg((90, 60, 30), i) if i != 3 else b"no image")
    for name in ("ref", "damaged"):
        digest = reference_digest(open_images(folder / name))
        labels = [i % 3 for i in range(14)]
        payload = Payload(range(14), labels, 16, 3, digest, class_names=("blue", "green", "red"))
        (folder / f"{name}.plada").write_bytes(encode(payload))
    return folder


def together(
    folder: Path, function: Callable[..., None], *arguments: Any, processes: int = 2
) -> tuple[list[int | None], list[str]]:
    """Exit codes of processes that torchrun could have started, and what each printed."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["plada_train.stages"])
    # Kept by the parent, as torchrun does
    tcp_store: Any = torch.distributed.TCPStore  # type: ignore[attr-defined]
    store = tcp_store("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    outputs = [folder / f"printed-{rank}" for rank in range(processes)]
    ranks = [
        context.Process(target=as_rank, args=(rank, processes, store.port, outputs[rank], function, arguments))
        for rank in range(processes)
    ]
    for process in ranks:
        process.start()
    for process in ranks:
        process.join(PATIENCE_S)
        process.kill()
        process.join()
    return [process.exitcode for process in ranks], [output.read_text() for output in outputs]


def as_rank(
    rank: int, processes: int, port: int, output: Path, function: Callable[..., None], arguments: tuple[Any, ...]
) -> None:
    os.environ |= {
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "WORLD_SIZE": str(processes),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "TORCHELASTIC_USE_AGENT_STORE": "True",
    }
    with output.open("w") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
        torch.set_num_threads(1)
        function(*arguments)


def student(sources: Path, output: Path, *more: str) -> None:
    ref, _, test = source_options(sources)
    options = ["--weights=none", "--model=test_resnet", "--image-size=16", "--epochs=2", "--batch-size=6"]
    options += [ref, test, f"--payload={sources / 'ref.plada'}", "--threads=1", f"--output={output}", *more]
    main(["student", *options], prog_name="plada-train")


def learn(data: LabelledImages, recipe: Recipe, folder: Path) -> None:
    with join_processes("cpu"):
        classifier = stages.train_student(data, recipe)
    torch.save(classifier.network.state_dict(), folder / f"{os.environ['RANK']}.pt")


def data_of(sources: Path) -> LabelledImages:
    weights = np.random.default_rng(0).random(14)
    labels = np.arange(14) % 3
    return LabelledImages(open_images(sources / "ref"), np.arange(14), labels, 3, None, weights / weights.mean())


def states(folder: Path) -> list[dict[str, torch.Tensor]]:
    return [torch.load(path, weights_only=True) for path in sorted(folder.glob("*.pt"))]


def test_parts_are_the_whole_and_differ_by_one_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    from plada_train import distributed

    for world in (1, 2, 3):
        monkeypatch.setattr(distributed, "world_size", lambda world=world: world)
        parts = []
        for rank in range(world):
            monkeypatch.setattr(distributed, "rank", lambda rank=rank: rank)
            parts.append(part(np.arange(10)))
        assert sorted(np.concatenate(parts)) == list(range(10))
        assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_all_processes_end_with_equal_weights_and_buffers(sources: Path, tmp_path: Path) -> None:
    recipe = replace(RECIPE, image_size=16, batch_size=6)
    codes, _ = together(tmp_path, learn, data_of(sources), recipe, tmp_path, processes=3)
    assert codes == [0, 0, 0]
    first, *others = states(tmp_path)
    assert len(others) == 2
    for other in others:
        assert first.keys() == other.keys()
        assert all(torch.equal(first[name], other[name]) for name in first)


@pytest.mark.parametrize("freeze", [False, True])
def test_without_batch_norm_two_processes_learn_what_one_does(sources: Path, tmp_path: Path, freeze: bool) -> None:
    """Also where the parts of a batch, of 5 images here, have different sizes, and images different weights."""
    recipe = replace(RECIPE, model="test_vit", image_size=None, batch_size=5, freeze=freeze, label_smoothing=0.1)
    codes, _ = together(tmp_path, learn, data_of(sources), recipe, tmp_path)
    assert codes == [0, 0]
    alone = stages.train_student(data_of(sources), recipe).network.state_dict()
    before = stages.train_student(data_of(sources), replace(recipe, learning_rate=0)).network.state_dict()
    for name, tensor in states(tmp_path)[0].items():
        torch.testing.assert_close(tensor, alone[name], rtol=1e-3, atol=1e-4)
    assert any(not torch.allclose(alone[name], before[name], atol=1e-3) for name in alone)


def test_the_first_process_alone_writes_and_prints(sources: Path, tmp_path: Path) -> None:
    codes, printed = together(tmp_path, student, sources, tmp_path / "out")
    assert codes == [0, 0]
    assert printed[0].startswith(f"{tmp_path / 'out' / 'student.safetensors'}: accuracy ")
    assert printed[0].count("\n") == 1
    assert printed[1] == ""
    assert {path.name for path in (tmp_path / "out").glob("*.*")} - {".plada-lock"} == {
        "student.json",
        "student.safetensors",
    }


@pytest.mark.parametrize(
    ("more", "text"),
    [("--model=nothing", "no model 'nothing'"), ("--batch-size=1", "fewer images than there are processes, 2")],
)
def test_an_error_in_all_processes_is_printed_once(sources: Path, tmp_path: Path, more: str, text: str) -> None:
    codes, printed = together(tmp_path, student, sources, tmp_path / "out", more)
    assert codes == [1, 1]
    assert sum(lines.count("\n") for lines in printed) == 1
    assert text in "".join(printed)


def fail(rank: int) -> None:
    """In the process `rank`, something is wrong; the others wait for it."""
    with join_processes("cpu"):
        if os.environ["RANK"] == str(rank):
            raise InputError("this is wrong", rule="batch")
        torch.distributed.barrier()


@pytest.mark.parametrize("rank", [0, 1])
def test_an_error_in_one_process_ends_all_and_is_said_once(tmp_path: Path, rank: int) -> None:
    codes, printed = together(tmp_path, fail, rank)
    assert codes == [1, 1]
    assert "this is wrong" in printed[rank]
    assert printed[1 - rank] == ""


def test_an_image_that_one_process_cannot_decode_ends_all(sources: Path, tmp_path: Path) -> None:
    damaged = f"--reference={sources / 'damaged'}", f"--payload={sources / 'damaged.plada'}"
    codes, printed = together(tmp_path, student, sources, tmp_path / "out", *damaged)
    assert codes == [1, 1]
    said = "".join(printed)
    assert said.startswith(f"plada-train: image 3 of {sources / 'damaged'}, 03.jpg, ")
    assert said.count("\n") == 1


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"WORLD_SIZE": "2"}, "environment variable RANK expected, but not set"),
        ({"WORLD_SIZE": "two", "RANK": "0"}, "two"),
        ({"WORLD_SIZE": "2", "RANK": "0", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "x"}, "x"),
    ],
)
def test_processes_that_cannot_be_joined_are_one_line(
    sources: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: dict[str, str], said: str
) -> None:
    for name in ("WORLD_SIZE", "RANK", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    for name, value in change.items():
        monkeypatch.setenv(name, value)
    _, train, test = source_options(sources)
    result = plada_train("teacher", train, test, f"--output={tmp_path}")
    assert_fails(result, "cannot join the other processes", said, "start them with torchrun")


@pytest.mark.parametrize("command", ["run", "score"])
def test_commands_for_one_process_refuse_several(
    sources: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    ref, train, test = source_options(sources)
    options = [ref, train, test, "--keep=1"] if command == "run" else [ref, "--teacher=teacher.safetensors"]
    for rank, lines in (("0", 1), ("1", 0)):
        monkeypatch.setenv("RANK", rank)
        result = plada_train(command, *options, f"--output={tmp_path}")
        assert result.exit_code == 1
        assert result.stderr.count(f"plada-train: {command} is for one process: start it without torchrun") == lines
        assert result.stderr.count("\n") == lines


def killed_student(sources: Path, output: Path) -> None:
    """A student whose first process is killed after the third checkpoint."""
    keep, calls = Checkpoint.save, count(1)

    def keep_and_die(*given: Any, **more: Any) -> None:
        keep(*given, **more)
        if os.environ["RANK"] == "0" and next(calls) == 3:
            os.kill(os.getpid(), signal.SIGKILL)

    Checkpoint.save = keep_and_die  # type: ignore[method-assign]
    student(sources, output, "--checkpoint-s=0")


def test_killed_and_started_again_all_processes_go_on_to_the_same_bytes(sources: Path, tmp_path: Path) -> None:
    assert together(tmp_path, student, sources, tmp_path / "1", processes=3)[0] == [0, 0, 0]
    codes, printed = together(tmp_path, killed_student, sources, tmp_path / "2", processes=3)
    assert codes == [-signal.SIGKILL, 1, 1]
    assert sum(lines.count("\n") for lines in printed) <= 1, "no traceback"
    assert (tmp_path / "2" / "student.unfinished").exists()
    codes, _ = together(tmp_path, student, sources, tmp_path / "2", processes=3)
    assert codes == [0, 0, 0]
    unbroken, broken = ((tmp_path / name / "student.safetensors").read_bytes() for name in "12")
    assert broken == unbroken
