"""Scores depend on the teacher and not on the shards; interrupted labelling resumes and gives the same bytes."""

from __future__ import annotations

import hashlib
import io
import json
import multiprocessing
import os
import random
import shutil
import sys
import tempfile
import time
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from torch import Tensor, nn

from plada_codec.errors import FileError, InputError, MissingClasses, PladaWarning, SourceError
from plada_codec.progress import progress_bar
from plada_codec.reference import ImageSource, open_images, reference_digest
from plada_train import stages
from plada_train.cli.main import main
from plada_train.models import inference
from plada_train.models.classifier import Classifier, make_classifier, save_checkpoint
from plada_train.recipe import Recipe
from plada_train.scores.energy import energy
from plada_train.scores.entropy import entropy
from plada_train.scores.reference_scores import Scores
from plada_train.scores.registry import SCORES, SCORES_OF_LOGITS
from plada_train.scores.shards import Manifest, Shard
from plada_train.scores.softmax import probabilities
from tests.helpers.examples import examples

pytestmark = pytest.mark.training

IMAGES = 40
SHARD_SIZE = 6
RECIPE = Recipe(model="test_resnet", image_size=24)
NO_PROGRESS: Any = lambda *_: None  # noqa: E731


def jpeg(seed: int) -> bytes:
    generator = np.random.default_rng(seed)
    noise = generator.integers(0, 256, 3) + generator.normal(scale=20, size=(12, 12, 3))
    out = io.BytesIO()
    Image.fromarray(noise.clip(0, 255).astype(np.uint8)).save(out, "jpeg")
    return out.getvalue()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A reference set that a test may damage."""
    path = tmp_path / "ref"
    path.mkdir()
    for i in range(IMAGES):
        (path / f"{i:03}.jpg").write_bytes(jpeg(i))
    return path


@pytest.fixture
def reference(folder: Path) -> ImageSource:
    return open_images(folder)


def random_teacher(seed: int, names: tuple[str, ...] | None = None) -> Classifier:
    """A teacher of three classes, each of which labels some of the images."""
    torch.manual_seed(seed)
    teacher = make_classifier(RECIPE, 3, names)
    transform = teacher.config.transform()
    with torch.inference_mode():
        features = teacher.features(torch.stack([transform(Image.open(io.BytesIO(jpeg(i)))) for i in range(IMAGES)]))
        scale, mean = features.std(0).clamp(min=1e-6), features.mean(0)
        last = teacher.last_layer()
        last.weight.copy_(torch.randn(3, len(mean)) / scale)
        last.bias.copy_(-last.weight @ mean)
    return teacher


@pytest.fixture(scope="module")
def teacher() -> Classifier:
    return random_teacher(0, ("red", "green", "blue"))


class Colours(nn.Module):
    """A network whose logits are the means of the channels, scaled, of which a few may be not a number."""

    def __init__(self, num_classes: int = 3, not_finite_at: int | None = None) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.not_finite_at = not_finite_at
        self.seen = 0

    def forward(self, pixels: Tensor) -> Tensor:
        logits: Tensor = torch.zeros(len(pixels), self.num_classes)
        logits[:, :3] = 5 * pixels.mean(dim=(2, 3))
        if self.not_finite_at is not None and 0 <= self.not_finite_at - self.seen < len(pixels):
            logits[self.not_finite_at - self.seen, 1] = torch.nan
        self.seen += len(pixels)
        return logits


def score(teacher: Classifier, reference: ImageSource, folder: Path | None, **more: Any) -> Scores:
    options = {"shard_size": SHARD_SIZE, **more}
    return stages.score(teacher, reference, options.pop("recipe", RECIPE), folder, **options)


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def assert_equal(one: Scores, other: Scores) -> None:
    ours, theirs = (dict(vars(scores)) for scores in (one, other))
    assert list(one.columns) == list(other.columns)
    for name in one.columns:
        np.testing.assert_array_equal(ours["columns"][name], theirs["columns"][name])
    for name in ours.keys() - {"columns"}:
        np.testing.assert_array_equal(ours[name], theirs[name])


def plada_train(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments], prog_name="plada-train")


# --- definitions of scores ---


@pytest.mark.parametrize("temperature", [1.0, 2.5])
def test_scores_are_those_of_the_teachers_logits(
    teacher: Classifier, reference: ImageSource, temperature: float
) -> None:
    scores = score(teacher, reference, None, temperature=temperature)
    logits = np.concatenate(list(inference.logits(teacher, reference, np.arange(IMAGES), RECIPE, NO_PROGRESS)))
    np.testing.assert_array_equal(scores.label, logits.argmax(axis=1))
    np.testing.assert_allclose(scores.column("energy"), energy(logits, temperature), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(scores.column("entropy"), entropy(logits, temperature), rtol=1e-4, atol=1e-5)
    p = np.exp(logits.astype(np.float64))
    p /= p.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(probabilities(logits), p, rtol=1e-6, atol=1e-9)
    assert scores.soft_sum is not None
    assert scores.own_square_sum is not None
    for c in range(3):
        of_class = p[scores.label == c]
        np.testing.assert_allclose(scores.soft_sum[c], of_class.sum(axis=0), rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(scores.own_square_sum[c], (of_class[:, c] ** 2).sum(), rtol=1e-4, atol=1e-6)
    assert len(np.unique(scores.label)) == 3
    assert (scores.temperature, scores.num_classes, scores.class_names) == (temperature, 3, ("red", "green", "blue"))
    assert scores.reference_digest == reference_digest(reference)


@pytest.mark.parametrize("shard_size", [1, 7, 16, IMAGES, 1000])
def test_the_scores_do_not_depend_on_the_shards(reference: ImageSource, tmp_path: Path, shard_size: int) -> None:
    teacher = Classifier(Colours(), make_classifier(RECIPE, 3).config)
    scores = score(teacher, reference, tmp_path / "scores", shard_size=shard_size)
    whole = score(teacher, reference, None, shard_size=IMAGES)
    for name in ("label", "reference_digest"):
        np.testing.assert_array_equal(getattr(scores, name), getattr(whole, name))
    # Images that are forwarded in other company may differ in their last bits
    for name in SCORES_OF_LOGITS:
        np.testing.assert_allclose(scores.column(name), whole.column(name), rtol=1e-5, atol=1e-5)
    for name in ("soft_sum", "own_square_sum"):
        np.testing.assert_allclose(getattr(scores, name), getattr(whole, name), rtol=1e-5, atol=1e-5)
    assert len(list((tmp_path / "scores").glob("shard-*.npz"))) == -(-IMAGES // shard_size)
    assert_equal(Scores.load(tmp_path / "scores"), scores)


def test_too_many_classes_for_soft_labels_have_no_sums(reference: ImageSource, tmp_path: Path) -> None:
    teacher = Classifier(Colours(2049), make_classifier(RECIPE, 2049).config)
    with pytest.warns(MissingClasses):
        scores = score(teacher, reference, tmp_path / "scores")
    assert scores.soft_sum is None
    assert scores.own_square_sum is None
    assert_equal(Scores.load(tmp_path / "scores"), scores)


finite = st.floats(-(2.0**100), 2.0**100, width=32)


@examples(0.3)
@given(
    st.lists(st.tuples(st.integers(0, 4), finite, finite), min_size=1),
    st.sampled_from([None, ("a", "é", "猫", "d d", "e")]),
    st.booleans(),
    st.floats(1e-3, 1e3),
)
def test_scores_survive_their_folder(
    rows: list[tuple[int, float, float]], names: tuple[str, ...] | None, sums: bool, temperature: float
) -> None:
    label, energies, entropies = zip(*rows, strict=True)
    columns = {"energy": np.array(energies, np.float32), "entropy": np.array(entropies, np.float32)}
    scores = Scores(
        np.array(label, np.int32), columns, bytes(range(32)), 5, names, temperature,
        np.arange(25.0).reshape(5, 5) if sums else None, np.arange(5.0) if sums else None,
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        scores.save(Path(folder, "scores"))
        loaded = Scores.load(Path(folder, "scores"))
    assert_equal(loaded, scores)
    assert [array.dtype for array in (loaded.label, *loaded.columns.values())] == [np.int32, np.float32, np.float32]


# --- the registry ---


@pytest.mark.parametrize("name", SCORES_OF_LOGITS)
@given(st.lists(st.lists(st.floats(-80, 80, width=32), min_size=3, max_size=3), min_size=1), st.floats(0.1, 10))
def test_each_score_of_logits_is_one_finite_number_for_each_image(
    name: str, rows: list[list[float]], temperature: float
) -> None:
    column = SCORES[name].load()(np.array(rows, np.float32), temperature)
    assert column.shape == (len(rows),)
    assert np.isfinite(column).all()


@pytest.mark.parametrize("name", SCORES_OF_LOGITS)
def test_each_score_of_logits_is_lower_where_the_teacher_is_surer(name: str) -> None:
    sure, torn = SCORES[name].load()(np.array([[9.0, 0, 0], [0.1, 0, 0]], np.float32), 1.0)
    assert sure < torn


def test_names_of_scores_are_free_and_the_planner_combines_known_ones() -> None:
    assert not set(SCORES) & {"label", "soft_sum", "own_square_sum", "digest"}
    assert all(name == score.name and name.isidentifier() for name, score in SCORES.items())
    combinations = [each for score in SCORES.values() for each in score.planned]
    assert len(set(combinations)) == len(combinations)
    assert {name for each in combinations for name in each} <= set(SCORES)
    assert all(score.name in each for score in SCORES.values() for each in score.planned)


def without_entropy(folder: Path, number: int) -> None:
    """Rewrite a shard in the older version that had no entropy."""
    manifest = Manifest.read(folder)
    shard = Shard.read(folder, manifest, number)
    replace(shard, columns={"energy": shard.columns["energy"]}).write(folder, manifest, number)


def test_a_score_that_a_shard_lacks_is_named_with_its_cure_and_the_others_are_read(
    teacher: Classifier, reference: ImageSource, tmp_path: Path
) -> None:
    out = tmp_path / "scores"
    whole = score(teacher, reference, out)
    without_entropy(out, 1)
    loaded = Scores.load(out)
    np.testing.assert_array_equal(loaded.label, whole.label)
    np.testing.assert_array_equal(loaded.column("energy"), whole.column("energy"))
    with pytest.raises(
        InputError, match="made without the entropy: label the reference set again, with `plada-train score`"
    ):
        loaded.column("entropy")
    with pytest.raises(InputError, match="the loss is not known: plada-train plan computes it"):
        loaded.column("loss")


def test_a_shard_that_lacks_a_score_is_labelled_again(
    teacher: Classifier, reference: ImageSource, tmp_path: Path
) -> None:
    out = tmp_path / "scores"
    whole = score(teacher, reference, out)
    before = content(out)
    without_entropy(out, 1)
    assert content(out) != before
    assert_equal(score(teacher, reference, out), whole)
    assert content(out) == before


def test_a_shard_by_the_first_rule_of_pixels_has_the_same_arrays_and_the_same_digest(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    label = random.integers(0, 3, 20).astype(np.int32)
    columns = {"energy": random.normal(size=20).astype(np.float32), "entropy": random.random(20).astype(np.float32)}
    names, sums = ("a", "b", "c"), (np.arange(9.0).reshape(3, 3), np.arange(3.0))
    Scores(label, columns, bytes(range(32)), 3, names, 2.0, *sums).save(tmp_path)
    with np.load(tmp_path / "shard-00000.npz") as file:
        assert file.files == ["digest", "label", "energy", "entropy", "soft_sum", "own_square_sum"]
        digest = file["digest"].tobytes().hex()
    assert digest == "f278ac8375af6c636f97021c52e7c6fab7b35dba68867af8f277becb6433e9e1"


@pytest.mark.parametrize("rule", [None, 0, 2])
def test_scores_by_another_rule_of_pixels_are_refused_and_labelled_again(
    teacher: Classifier, reference: ImageSource, tmp_path: Path, rule: int | None
) -> None:
    out = tmp_path / "scores"
    whole = score(teacher, reference, out)
    values = json.loads((out / "scores.json").read_text())
    values |= {"pixel_rule": rule}
    if rule is None:  # scores of versions without such rules
        del values["pixel_rule"]
    hashed = {name: value for name, value in values.items() if name not in ("format", "digest")}
    values["digest"] = hashlib.sha256(json.dumps(hashed, sort_keys=True).encode()).hexdigest()
    (out / "scores.json").write_text(json.dumps(values))
    with pytest.raises(InputError, match=f"holds scores by pixel rule {rule or 0}, and this version has rule 1"):
        Scores.load(out)
    with pytest.raises(InputError, match="scores of another pixel rule"):
        score(teacher, reference, out)
    assert_equal(score(teacher, reference, tmp_path / "again"), whole)


# --- going on ---


def test_a_description_of_scores_that_was_read_can_be_written_again(tmp_path: Path) -> None:
    Scores(np.zeros(2, np.int32), {"energy": np.zeros(2, np.float32)}, bytes(32), 2, ("a", "b")).save(tmp_path)
    path = tmp_path / "scores.json"
    before, manifest = path.read_bytes(), Manifest.read(tmp_path)
    manifest.write(tmp_path)
    assert path.read_bytes() == before
    assert Manifest.read(tmp_path) == manifest


def test_killed_at_any_moment_labelling_goes_on_to_the_same_bytes(
    teacher: Classifier, reference: ImageSource, tmp_path: Path
) -> None:
    """Ten kills; processes are forked, so that they are at work at once."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    start = time.perf_counter()
    score(teacher, reference, tmp_path / "unbroken", shard_size=1)
    unbroken_s = time.perf_counter() - start
    fork = multiprocessing.get_context("fork")
    broken = tmp_path / "broken"
    unfinished = 0
    for moment in sorted(random.Random(0).uniform(0, unbroken_s / 4) for _ in range(10)):
        process = fork.Process(target=score, args=(teacher, reference, broken), kwargs={"shard_size": 1})
        process.start()
        time.sleep(moment)
        process.kill()
        process.join()
        unfinished += len(list(broken.glob("shard-*.npz"))) < IMAGES
    assert unfinished
    score(teacher, reference, broken, shard_size=1)
    torch.set_num_threads(threads)
    assert content(broken) == content(tmp_path / "unbroken")


def test_shards_that_are_there_are_not_labelled_again(
    teacher: Classifier, reference: ImageSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "scores"
    whole = score(teacher, reference, out)
    before = content(out)
    (out / "shard-00002.npz").unlink()
    (out / ".plada-0123456789abcdef.tmp").write_bytes(b"left by a kill")
    with pytest.raises(InputError, match=r"shard-00002.npz is missing: run `plada-train score` again"):
        Scores.load(out)
    labelled = []

    def noted(teacher: Any, images: Any, numbers: Any, *more: Any) -> Any:
        labelled.extend(numbers.tolist())
        return inference.logits(teacher, images, numbers, *more)

    monkeypatch.setattr("plada_train.scores.labelling.logits", noted)
    assert_equal(score(teacher, reference, out), whole)
    assert labelled == list(range(12, 18))
    assert content(out) == before


@pytest.mark.parametrize("damage", ["empty", "cut", "text", "bit", "another's", "other arrays"])
def test_a_damaged_shard_is_named_and_labelled_again(
    teacher: Classifier, reference: ImageSource, tmp_path: Path, damage: str
) -> None:
    out = tmp_path / "scores"
    whole = score(teacher, reference, out)
    before = content(out)
    path = out / "shard-00001.npz"
    data = bytearray(path.read_bytes())
    if damage == "bit":
        with np.load(path) as file:
            data[data.index(file["energy"].tobytes())] ^= 1
    buffer = io.BytesIO()
    np.savez(buffer, digest=np.zeros(32, np.uint8), colour=np.zeros(3))
    path.write_bytes(
        {
            "empty": b"",
            "cut": bytes(data[:-30]),
            "text": b"no shard",
            "bit": bytes(data),
            "another's": before["shard-00000.npz"],
            "other arrays": buffer.getvalue(),
        }[damage]
    )
    with pytest.raises(InputError, match=r"shard-00001.npz is damaged, or of other images"):
        Scores.load(out)
    with pytest.warns(PladaWarning, match=r"shard-00001.npz is damaged, or of other images") as warned:
        assert_equal(score(teacher, reference, out), whole)
    assert len(warned) == 1
    assert content(out) == before


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"teacher": random_teacher(1)}, "another teacher"),
        ({"temperature": 2.0}, "another temperature"),
        ({"recipe": replace(RECIPE, amp=True)}, "another setting of --amp"),
        ({"shard_size": 7}, "another shard size"),
        ({"reference": "other"}, "another reference set"),
    ],
)
def test_a_folder_with_scores_of_another_setting_is_refused_and_unchanged(
    teacher: Classifier, reference: ImageSource, tmp_path: Path, change: dict[str, Any], what: str
) -> None:
    out = tmp_path / "scores"
    score(teacher, reference, out)
    before = content(out)
    if "reference" in change:
        (tmp_path / "other").mkdir()
        for i in range(IMAGES):
            (tmp_path / "other" / f"{i:03}.jpg").write_bytes(jpeg(i + 1))
        change = {"reference": open_images(tmp_path / "other")}
    arguments = {"teacher": teacher, "reference": reference, "folder": out, **change}
    with pytest.raises(InputError, match=f"{what}: name another folder, or remove this one"):
        score(**arguments)
    assert content(out) == before
    (out / "scores.json").unlink()
    with pytest.warns(PladaWarning):
        again = score(**arguments)
    assert_equal(again, score(**{**arguments, "folder": None}))
    assert_equal(Scores.load(out), again)


@pytest.mark.parametrize("images", [SHARD_SIZE, IMAGES - 1])
def test_scores_of_a_part_of_the_reference_set_do_not_take_the_place_of_those_of_all(
    teacher: Classifier, reference: ImageSource, tmp_path: Path, images: int
) -> None:
    out = tmp_path / "scores"
    score(teacher, reference, out)
    before = content(out)
    (tmp_path / "part").mkdir()
    for i in range(images):
        (tmp_path / "part" / f"{i:03}.jpg").write_bytes(jpeg(i))
    with pytest.raises(InputError, match="another reference set"):
        score(teacher, open_images(tmp_path / "part"), out)
    assert content(out) == before


def test_a_corrupt_image_is_named_and_labelling_goes_on_when_it_is_mended(
    teacher: Classifier, folder: Path, tmp_path: Path
) -> None:
    unbroken = score(teacher, open_images(folder), tmp_path / "unbroken")
    out = tmp_path / "scores"
    (folder / "020.jpg").write_bytes(b"no image")
    for workers in (0, 1):
        with pytest.raises(SourceError, match=r"image 20 of .*020.jpg, is text"):
            score(teacher, open_images(folder), out, recipe=replace(RECIPE, workers=workers))
        assert sorted(path.name for path in out.glob("shard-*")) == [f"shard-{i:05}.npz" for i in range(3)]
    finished = {path: path.stat().st_mtime_ns for path in out.glob("shard-*")}
    (folder / "020.jpg").write_bytes(jpeg(20))
    assert_equal(score(teacher, open_images(folder), out), unbroken)
    assert content(out) == content(tmp_path / "unbroken")
    assert finished == {path: path.stat().st_mtime_ns for path in finished}


def test_an_image_that_was_replaced_after_the_end_is_labelled_again(
    teacher: Classifier, folder: Path, tmp_path: Path
) -> None:
    out = tmp_path / "scores"
    score(teacher, open_images(folder), out)
    (folder / "020.jpg").write_bytes(jpeg(99))
    with pytest.warns(PladaWarning, match="shard-00003.npz is damaged, or of other images") as warned:
        score(teacher, open_images(folder), out)
    assert len(warned) == 1
    score(teacher, open_images(folder), tmp_path / "fresh")
    assert content(out) == content(tmp_path / "fresh")


def test_a_full_disk_is_one_error_and_finished_shards_stay(
    teacher: Classifier, reference: ImageSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "scores"
    writes = 0

    def fsync(fd: int) -> None:
        nonlocal writes
        writes += 1
        if writes > 5:
            raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fsync)
        with pytest.raises(FileError, match=r"cannot write .*: No space left on device"):
            score(teacher, reference, out)
    assert not list(out.glob(".plada-*.tmp"))
    assert 0 < len(list(out.glob("shard-*.npz"))) < 6
    score(teacher, reference, out)
    score(teacher, reference, tmp_path / "unbroken")
    assert content(out) == content(tmp_path / "unbroken")


def test_the_bytes_are_the_same_whenever_and_with_any_number_of_workers(
    teacher: Classifier, reference: ImageSource, tmp_path: Path
) -> None:
    for workers in (0, 1, 2):
        score(teacher, reference, tmp_path / str(workers), shard_size=20, recipe=replace(RECIPE, workers=workers))
        assert content(tmp_path / str(workers)) == content(tmp_path / "0")
    with zipfile.ZipFile(tmp_path / "0" / "shard-00000.npz") as archive:
        assert {member.date_time for member in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}


def test_a_fingerprint_survives_saving_and_changes_with_weights_and_preparation(
    teacher: Classifier, tmp_path: Path
) -> None:
    from plada_train.models.classifier import load_checkpoint

    save_checkpoint(teacher, tmp_path / "teacher.safetensors")
    loaded = load_checkpoint(tmp_path / "teacher.safetensors")
    assert inference.fingerprint(loaded) == inference.fingerprint(teacher)
    prepared = Classifier(loaded.network, replace(loaded.config, mean=(0.1, 0.2, 0.3)))
    assert inference.fingerprint(prepared) != inference.fingerprint(teacher)
    loaded.last_layer().bias.data[1] += 1
    assert inference.fingerprint(loaded) != inference.fingerprint(teacher)


def test_whole_numbers_in_settings_survive_saving(teacher: Classifier, reference: ImageSource, tmp_path: Path) -> None:
    from plada_train.models.classifier import load_checkpoint

    whole = replace(teacher, config=replace(teacher.config, mean=(0, 0, 0), std=(1, 1, 1)))
    save_checkpoint(whole, tmp_path / "teacher.safetensors")
    assert inference.fingerprint(load_checkpoint(tmp_path / "teacher.safetensors")) == inference.fingerprint(whole)
    made = score(teacher, reference, tmp_path / "scores", temperature=1)
    assert_equal(Scores.load(tmp_path / "scores"), made)
    assert_equal(score(teacher, reference, tmp_path / "scores", temperature=1.0), made)


# --- unusable input ---


def test_an_error_of_torch_is_one_line(reference: ImageSource) -> None:
    class TooLarge(nn.Module):
        def forward(self, pixels: Tensor) -> Tensor:
            raise torch.OutOfMemoryError("CUDA out of memory.")

    teacher = Classifier(TooLarge(), make_classifier(RECIPE, 3).config)
    with pytest.raises(InputError, match=r"the forward pass failed \(CUDA out of memory.\): make batches smaller"):
        score(teacher, reference, None)


def test_an_image_with_logits_that_are_not_finite_is_named(reference: ImageSource, tmp_path: Path) -> None:
    teacher = Classifier(Colours(not_finite_at=21), make_classifier(RECIPE, 3).config)
    with pytest.raises(SourceError, match=r"image 21 of .*021.jpg, gets logits that are not finite .*: train it again"):
        score(teacher, reference, tmp_path / "scores")
    assert len(list((tmp_path / "scores").glob("shard-*"))) == 3
    with pytest.raises(SourceError, match="without --amp"):
        score(replace(teacher, network=Colours(not_finite_at=0)), reference, None, recipe=replace(RECIPE, amp=True))


@pytest.mark.parametrize(
    ("num_classes", "names", "said"),
    [
        (5, ("red", "green", "blue", "grey", "é"), "is labelled grey, é: "),
        (30, None, "is labelled 3, 4, .*, 22 and 7 more: "),
    ],
)
def test_classes_that_label_no_image_are_named(
    reference: ImageSource, num_classes: int, names: tuple[str, ...] | None, said: str
) -> None:
    teacher = Classifier(Colours(num_classes), make_classifier(RECIPE, num_classes, names).config)
    teacher = replace(teacher, config=replace(teacher.config, mean=(0.0, 0.0, 0.0)))
    with pytest.warns(MissingClasses, match=said):
        score(teacher, reference, None)


@pytest.mark.parametrize("share", [None, 0.1])
def test_scores_keep_what_their_teacher_held_out_and_older_ones_say_nothing_of_it(
    tmp_path: Path, share: float | None
) -> None:
    column = np.array([1, 2], np.float32)
    Scores(np.array([0, 1], np.int32), {"energy": column}, bytes(32), 2, None, held_out=share).save(tmp_path)
    assert Scores.load(tmp_path).held_out == share
    path = tmp_path / "scores.json"
    values = json.loads(path.read_text())
    older = {name: value for name, value in values.items() if name not in ("format", "digest", "held_out")}
    digest = hashlib.sha256(json.dumps(older, sort_keys=True).encode()).hexdigest()
    path.write_text(json.dumps({"format": values["format"], **older, "digest": digest}))
    assert Scores.load(tmp_path).held_out is None


def test_a_folder_without_scores_is_refused(teacher: Classifier, reference: ImageSource, tmp_path: Path) -> None:
    out = tmp_path / "scores"
    with pytest.raises(InputError, match=r"not a folder of scores.*scores.json: No such file"):
        Scores.load(out)
    column = np.array([1, 2], np.float32)
    good = Scores(np.array([0, 1], np.int32), {"energy": column}, bytes(32), 2, None)
    good.save(out)
    text = (out / "scores.json").read_text()
    values = json.loads(text)
    without = {name: value for name, value in values.items() if name != "images"}
    for bad in ("", "[]", text[:-5], json.dumps(without), json.dumps(values | {"format": "scores-0"}),
                json.dumps(values | {"images": 5}), json.dumps(values | {"images": "2"}),
                json.dumps(values | {"shard_size": 0}), json.dumps(values | {"class_names": ["a"]}),
                json.dumps(values | {"images": 2.0}), json.dumps(values | {"reference_digest": "zz"}),
                json.dumps(values | {"reference_digest": "00" * 31 + "01"}),
                json.dumps(values | {"temperature": 2.0})):  # fmt: skip
        (out / "scores.json").write_text(bad)
        with pytest.raises(InputError, match="not a folder of scores"):
            Scores.load(out)
    with pytest.raises(InputError, match=r"not a folder of scores.*: remove .*scores.json"):
        score(teacher, reference, out)
    good.with_column("energy", column * np.nan).save(out)
    with pytest.raises(InputError, match="not finite"):
        Scores.load(out)
    good.with_column("energy", column[:1]).save(out)
    with pytest.raises(InputError, match="is damaged"):
        Scores.load(out)
    shutil.rmtree(out)
    out.write_bytes(b"an old file of scores")
    with pytest.raises(FileError, match=r"cannot write to .*scores"):
        good.save(out)


# --- the command ---


def test_the_command_goes_on_and_says_in_one_line_what_is_wrong(
    teacher: Classifier, reference: ImageSource, folder: Path, tmp_path: Path
) -> None:
    for name, made in (("teacher", teacher), ("other", random_teacher(1))):
        save_checkpoint(made, tmp_path / f"{name}.safetensors")
    out = tmp_path / "scores"

    def command(*more: str) -> Result:
        options = (f"--reference={folder}", f"--shard-size={SHARD_SIZE}", "--temperature=2", "--workers=0", *more)
        return plada_train("score", *options, "--threads=1", f"--output={out}")

    good = f"--teacher={tmp_path / 'teacher.safetensors'}"
    result = command(good)
    assert result.exit_code == 0, result.output
    assert result.stdout == f"{out}: {IMAGES} images, 3 classes\n"
    assert not result.stderr
    whole = Scores.load(out)
    assert_equal(whole, score(teacher, reference, None, temperature=2.0))
    (out / "shard-00001.npz").write_bytes(b"")
    result = command(good)
    assert result.exit_code == 0
    assert result.stderr.count("\n") == 1
    assert "shard-00001.npz is damaged" in result.stderr
    assert_equal(Scores.load(out), whole)
    for more, text in (
        ((f"--teacher={tmp_path / 'other.safetensors'}",), "another teacher"),
        ((good, "--amp"), "another setting of --amp"),
    ):
        result = command(*more)
        assert result.exit_code == 1
        assert result.stderr.count("\n") == 1
        assert text in result.stderr
    assert command(good, "--temperature=0").exit_code == 2


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_the_progress_bar_shows_a_rate_on_a_terminal_and_nothing_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("plada_codec.progress._DELAY_S", 0.0)
    for stream, shown in ((Terminal(), True), (io.StringIO(), False)):
        monkeypatch.setattr(sys, "stderr", stream)
        with progress_bar("labelling", "images") as progress:
            for done in range(5):
                progress(done, 5)
                time.sleep(0.01)
        assert ("images/s" in stream.getvalue()) == shown
        assert bool(stream.getvalue()) == shown
