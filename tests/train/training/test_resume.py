"""A training that is interrupted at any moment resumes and gives the same bytes."""

from __future__ import annotations

import errno
import multiprocessing
import os
import random
import shutil
import signal
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from plada_codec import Payload, encode
from plada_codec.errors import InputError
from plada_codec.reference import open_images, reference_digest
from plada_train.cli.main import main
from plada_train.data.labelled import (
    Batch,
    FeatureBatches,
    ImageBatches,
    batches_per_epoch,
    open_training_images,
    shuffled_batches,
)
from plada_train.models.classifier import make_classifier
from plada_train.training.checkpoints import Checkpoint
from plada_train.training.loop import fit
from plada_train.training.targets import hard_objective
from tests.helpers.examples import examples
from tests.helpers.training import RECIPE, assert_fails, plada_train, source_options, write_shards, write_tree

pytestmark = pytest.mark.training

OPTIONS = ["--weights=none", "--image-size=16", "--epochs=5", "--batch-size=8", "--threads=1"]
MODEL = "--model=test_resnet"
#: The file through which a folder is locked.
LOCK = ".plada-lock"


class Ended(BaseException):
    """Simulates a power failure: no handler of ordinary exceptions catches it."""


def nothing(done: int, total: int | None) -> None: ...


@pytest.fixture(scope="module")
def shared_sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("resume")
    write_tree(folder / "train", 10, 0)
    write_tree(folder / "test", 2, 1)
    write_shards(folder / "ref", 3, 16)
    digest = reference_digest(open_images(folder / "ref"))
    payload = Payload(range(40), [i % 3 for i in range(40)], 48, 3, digest, class_names=("blue", "green", "red"))
    (folder / "p.plada").write_bytes(encode(payload))
    return folder


@pytest.fixture
def sources(shared_sources: Path, tmp_path: Path) -> Path:
    shutil.copytree(shared_sources, tmp_path, dirs_exist_ok=True)
    return tmp_path


def command(name: str, folder: Path, output: Path, *more: str) -> list[str]:
    ref, train, test = source_options(folder)
    sources = [train] if name == "teacher" else [ref, f"--payload={folder / 'p.plada'}"]
    return [name, *sources, test, MODEL, *OPTIONS, f"--output={output}", "--checkpoint-s=0", *more]


# --- batches ---


@given(st.integers(1, 30), st.integers(1, 12), st.integers(0, 9), st.data())
def test_batches_are_functions_of_seed_and_number(count: int, size: int, seed: int, data: st.DataObject) -> None:
    per_epoch = batches_per_epoch(count, size)
    stop = data.draw(st.integers(0, 4 * per_epoch))
    start = data.draw(st.integers(0, stop))
    all_of_them = list(shuffled_batches(count, size, seed, 0, stop))
    for (epoch, items), (expected_epoch, expected) in zip(
        shuffled_batches(count, size, seed, start, stop), all_of_them[start:], strict=True
    ):
        assert epoch == expected_epoch
        np.testing.assert_array_equal(items, expected)
        assert len(items) == min(size, count)
    for epoch in range(stop // per_epoch):
        seen = np.concatenate([items for number, items in all_of_them if number == epoch])
        assert len(np.unique(seen)) == len(seen) == per_epoch * min(size, count)


def same(a: Batch, b: Batch) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a, b, strict=True) if x is not None and y is not None)


def test_augmented_images_are_the_same_from_any_batch_on_and_with_any_workers(sources: Path) -> None:
    data = open_training_images(sources / "train")
    data = replace(data, weights=np.arange(30.0))
    transform = make_classifier(RECIPE, 3).config.training_transform(flip=True)
    batches = list(ImageBatches(data, transform, 8, seed=1).iterate(0, 6))
    for start, workers in ((0, 2), (4, 0), (5, 1)):
        random.seed(start)
        torch.manual_seed(start)
        again = ImageBatches(data, transform, 8, seed=1, workers=workers).iterate(start, 6)
        assert all(same(a, b) for a, b in zip(batches[start:], again, strict=True))
    others = ImageBatches(data, transform, 8, seed=2).iterate(0, 6)
    assert not any(same(a, b) for a, b in zip(batches, others, strict=True))
    for batch in batches:
        assert batch.weights is not None
        assert data.labels[batch.weights.long()].tolist() == batch.labels.tolist()


# --- the loop ---


def small_network() -> nn.Module:
    torch.manual_seed(0)
    return torch.nn.Sequential(
        torch.nn.Linear(4, 8), torch.nn.BatchNorm1d(8), torch.nn.Dropout(0.5), torch.nn.Linear(8, 3)
    )


def state_of(network: nn.Module) -> list[torch.Tensor]:
    return list(network.state_dict().values())


def ending_at(call: int) -> Callable[[torch.Tensor, torch.Tensor], torch.Tensor]:
    """An objective that simulates a power failure in its `call`-th call."""
    objective = hard_objective()
    calls = iter(range(call))

    def losses(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        if next(calls, None) is None:
            raise Ended
        return objective(logits, labels)

    return losses


@examples(0.12)
@given(
    st.lists(st.integers(0, 9), max_size=3),
    st.integers(2, 12),
    st.integers(2, 8),
    st.integers(1, 3),
    st.sampled_from([0.0, 0.002, 1000.0]),
)
def test_a_training_resumed_after_any_step_gives_the_same_model(
    ends: list[int], count: int, size: int, epochs: int, interval_s: float
) -> None:
    """This holds with dropout, batch norm and weights, and for any time between checkpoints."""
    rng = np.random.default_rng(count)
    with tempfile.TemporaryDirectory() as folder:
        features = rng.normal(size=(count, 4)).astype(np.float32)
        batches = FeatureBatches(features, rng.integers(0, 3, count), size, 3, rng.random(count))
        recipe = replace(RECIPE, epochs=epochs)
        expected, network = small_network(), small_network()
        fit(expected, batches, recipe, nothing)
        for end in ends:
            network = small_network()
            checkpoint = Checkpoint(Path(folder) / "x", {}, interval_s)
            try:
                fit(network, batches, recipe, nothing, objective=ending_at(end), checkpoint=checkpoint)
            except Ended:
                continue
        network = small_network()
        fit(network, batches, recipe, nothing, checkpoint=Checkpoint(Path(folder) / "x", {}, interval_s))
        assert all(torch.equal(a, b) for a, b in zip(state_of(network), state_of(expected), strict=True))
        network, done = small_network(), list[int]()
        again = Checkpoint(Path(folder) / "x", {}, interval_s)
        fit(network, batches, recipe, lambda step, _: done.append(step), checkpoint=again)
        assert not done, "what is complete is not done again"
        assert all(torch.equal(a, b) for a, b in zip(state_of(network), state_of(expected), strict=True))


def diverging_in(step: int) -> Callable[[torch.Tensor, torch.Tensor], torch.Tensor]:
    steps = count(1)
    return lambda logits, labels: logits[:, 0] / (step - next(steps))


def test_a_training_that_diverges_leaves_no_checkpoint_in_the_way_of_the_next(tmp_path: Path) -> None:
    features = np.random.default_rng(0).normal(size=(8, 4)).astype(np.float32)
    batches = FeatureBatches(features, np.arange(8) % 3, 2, 0)
    for step in (3, 1):
        checkpoint = Checkpoint(tmp_path / "x", {}, interval_s=0)
        with pytest.raises(InputError, match=f"diverged at step {step} of 8: lower the learning rate"):
            fit(small_network(), batches, RECIPE, nothing, objective=diverging_in(step), checkpoint=checkpoint)
        assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (RuntimeError("CUDA out of memory.\nTried"), r"training failed \(CUDA out of memory.\): make batches smaller"),
        (ValueError("Expected more than 1 value"), r"training failed \(Expected more than 1 value\) \["),
    ],
)
@pytest.mark.parametrize("where", ["forward", "backward", "step"])
def test_an_error_of_torch_is_one_line_in_every_part_of_a_step(
    monkeypatch: pytest.MonkeyPatch, error: Exception, said: str, where: str
) -> None:
    def fails(*_: Any, **more: Any) -> None:
        raise error

    module, name = {
        "forward": (nn.Linear, "forward"),
        "backward": (torch.Tensor, "backward"),
        "step": (torch.optim.AdamW, "step"),
    }[where]
    monkeypatch.setattr(module, name, fails)
    batches = FeatureBatches(np.zeros((8, 4), np.float32), np.arange(8) % 3, 2, 0)
    with pytest.raises(InputError, match=said):
        fit(small_network(), batches, RECIPE, nothing)


def killing(image: Any) -> Any:
    """A transform that ends its process."""
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_killed_worker_is_one_line(sources: Path) -> None:
    batches = ImageBatches(open_training_images(sources / "train"), killing, 8, seed=0, workers=1)
    with pytest.raises(InputError, match=r"training failed \(DataLoader worker .*\)"):
        fit(small_network(), batches, RECIPE, nothing)


# --- the commands ---


def started(arguments: list[str]) -> Any:
    """The command in a process of its own, which has imported what it needs."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["plada_train.stages"])
    process = context.Process(target=quietly, args=(arguments,))
    process.start()
    return process


def quietly(arguments: list[str]) -> None:
    with Path(os.devnull).open("w") as nowhere:
        os.dup2(nowhere.fileno(), 1)
        main(arguments, prog_name="plada-train")


def finish(arguments: list[str]) -> float:
    """Run the command to its end; return how many seconds that took."""
    start = time.monotonic()
    process = started(arguments)
    process.join()
    assert process.exitcode == 0
    return time.monotonic() - start


def made(output: Path, name: str) -> list[bytes]:
    """Return the bytes of the files that a command leaves: a model, and no checkpoint of its training."""
    files = [output / f"{name}.safetensors", output / f"{name}.json"]
    assert set(output.glob(f"{name}*")) == set(files)
    return [file.read_bytes() for file in files]


@pytest.mark.parametrize("name", ["teacher", "student"])
def test_killed_five_times_and_started_again_writes_the_same_bytes(sources: Path, name: str) -> None:
    unbroken, broken = command(name, sources, sources / "1"), command(name, sources, sources / "2")
    finish(unbroken)
    duration_s = finish(unbroken)
    moments = np.random.default_rng().random(5).tolist()
    for moment in moments:
        process = started(broken)
        process.join(moment * duration_s)
        process.kill()
        process.join()
    finish(broken)
    assert made(sources / "2", name) == made(sources / "1", name), moments


def run_until(checkpoints: int, arguments: list[str]) -> None:
    """The command, in whose training the power fails after so many checkpoints."""
    keep, calls = Checkpoint.save, count(1)

    def keep_and_end(*given: Any, **more: Any) -> None:
        keep(*given, **more)
        if next(calls) == checkpoints:
            raise Ended

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Checkpoint, "save", keep_and_end)
        with pytest.raises(Ended):
            plada_train(*arguments)


@pytest.mark.parametrize("more", [["--freeze"], ["--workers=2", "--label-smoothing=0.3"]])
def test_a_command_goes_on_where_it_ended(sources: Path, more: list[str]) -> None:
    unbroken, broken = (command("teacher", sources, sources / name, *more) for name in "12")
    assert plada_train(*unbroken).exit_code == 0
    for checkpoints in (4, 5):
        run_until(checkpoints, broken)
        assert (sources / "2" / "teacher.unfinished").exists()
    run_until(15 - 4 - 5, broken)
    assert not (sources / "2" / "teacher.safetensors").exists()
    assert plada_train(*broken).exit_code == 0
    assert made(sources / "2", "teacher") == made(sources / "1", "teacher")


def test_a_checkpoint_of_another_training_is_refused_and_what_differs_is_said(sources: Path) -> None:
    arguments = command("teacher", sources, sources / "out")
    run_until(3, arguments)
    path = sources / "out" / "teacher.unfinished"
    before = path.read_bytes()
    for more, text in (
        ("--epochs=6", "epochs was 5 and is 6"),
        ("--label-smoothing=0", "label_smoothing was 0.1 and is 0.0"),
        (f"--target-train={sources / 'test'}", "data was"),
        ("--threads=2", "threads was 1 and is 2"),
    ):
        result = plada_train(*arguments, more)
        assert_fails(result, f"{path} belongs to another training ({text}", "repeat that one, or remove the file")
    assert path.read_bytes() == before
    run_until(2, [*arguments, "--workers=1", "--checkpoint-s=5"])
    path.unlink()
    assert plada_train(*arguments, "--epochs=1").exit_code == 0


def test_other_weights_in_a_file_of_the_same_name_are_another_training(sources: Path) -> None:
    path = sources / "weights.pth"
    arguments = [*command("teacher", sources, sources / "out"), f"--weights={path}"]
    for seed in range(2):
        torch.manual_seed(seed)
        torch.save(make_classifier(RECIPE, 3).network.state_dict(), path)
        if not seed:
            run_until(3, arguments)
    assert_fails(plada_train(*arguments), "belongs to another training (starting_weights was")


def test_half_written_files_of_a_killed_run_are_removed(sources: Path) -> None:
    arguments = command("teacher", sources, sources / "out")
    run_until(3, arguments)
    left = sources / "out" / ".plada-0123456789abcdef.tmp"
    left.write_bytes(bytes(1 << 22))
    assert plada_train(*arguments).exit_code == 0
    assert {path.name for path in (sources / "out").iterdir()} == {LOCK, "teacher.json", "teacher.safetensors"}


@pytest.mark.parametrize("damage", ["flipped", "cut", "empty"])
def test_a_damaged_checkpoint_is_warned_of_and_not_used(sources: Path, damage: str) -> None:
    unbroken, broken = command("student", sources, sources / "1"), command("student", sources, sources / "2")
    assert plada_train(*unbroken).exit_code == 0
    run_until(3, broken)
    path = sources / "2" / "student.unfinished"
    data = path.read_bytes()
    middle = len(data) // 2
    flipped = data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]
    path.write_bytes({"flipped": flipped, "cut": data[:middle], "empty": b""}[damage])
    result = plada_train(*broken)
    assert result.exit_code == 0, result.output
    assert result.stderr == f"plada-train: warning: {path} is damaged: training starts again\n"
    assert made(sources / "2", "student") == made(sources / "1", "student")


def test_a_full_disk_is_one_line_and_the_last_checkpoint_stays(sources: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    unbroken, broken = command("student", sources, sources / "1"), command("student", sources, sources / "2")
    assert plada_train(*unbroken).exit_code == 0
    run_until(3, broken)
    path = sources / "2" / "student.unfinished"
    before = path.read_bytes()

    def full(descriptor: int) -> None:
        if os.fstat(descriptor).st_size:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        assert_fails(plada_train(*broken), f"cannot write {path}: No space left on device")
    assert {file.name for file in (sources / "2").iterdir()} == {LOCK, path.name}
    assert path.read_bytes() == before
    assert plada_train(*broken).exit_code == 0
    assert made(sources / "2", "student") == made(sources / "1", "student")
