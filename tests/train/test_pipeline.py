"""The stages of training on tiny generated images: repeatable, the same in one run as one by one, and faults named."""

from __future__ import annotations

import io
import json
import shlex
import shutil
import subprocess
import sys
import tarfile
import warnings
from dataclasses import replace
from importlib.metadata import version
from multiprocessing import get_start_method
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.helpers.paths import SHARED

torch = pytest.importorskip("torch")

from click.testing import Result
from PIL import ImageFile
from safetensors.torch import save_file

from plada_codec import Payload, class_check, compare, decode, encode
from plada_codec.errors import FilesPassedOver, InputError, PladaError, SourceError
from plada_codec.limits import Limits
from plada_codec.links.profiles import link
from plada_codec.links.units import show_seconds
from plada_codec.reference import NO_LABEL, decode_image, open_images, reference_digest
from plada_train import stages
from plada_train.cli.summary import LINKS
from plada_train.data.labelled import ImageBatches, open_test_images, open_training_images
from plada_train.models.classifier import load_checkpoint, make_classifier, save_checkpoint
from plada_train.models.config import ModelConfig
from plada_train.models.inference import logits
from plada_train.report.gather import link_time
from plada_train.scores.reference_scores import Scores
from tests.helpers.schemas import assert_valid
from tests.helpers.training import (
    COLOURS,
    MODELS,
    OPTIONS,
    RECIPE,
    assert_fails,
    jpeg,
    plada_train,
    source_options,
    student,
    write_shards,
    write_tree,
)

pytestmark = pytest.mark.training


@pytest.fixture(scope="session")
def shared_sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sources")
    write_tree(folder / "train", 10, 0)
    write_tree(folder / "test", 5, 1)
    write_shards(folder / "ref", 3, 16)
    return folder


@pytest.fixture
def sources(shared_sources: Path, tmp_path: Path) -> Path:
    """Sources that a test may damage."""
    shutil.copytree(shared_sources, tmp_path, dirs_exist_ok=True)
    return tmp_path


def run(sources: Path, output: Path, *more: str) -> dict[str, Any]:
    options = [*source_options(sources), *MODELS, *OPTIONS, "--keep=0.5", f"--output={output}", "--json", *more]
    result = plada_train("run", *options)
    assert result.exit_code == 0, result.output
    report: dict[str, Any] = json.loads(result.stdout)
    assert report == json.loads((output / "report.json").read_text())
    assert_valid("report", report)
    assert_valid("scores", json.loads((output / "scores" / "scores.json").read_text()))
    for name in ("teacher", "student"):
        assert_valid("checkpoint", json.loads((output / f"{name}.json").read_text()))
    return report


# --- results of a run ---


def test_a_run_writes_its_payload_scores_models_and_report(sources: Path) -> None:
    report = run(sources, sources / "out")
    blob = (sources / "out" / "payload.plada").read_bytes()
    reference = open_images(sources / "ref")
    payload = decode(blob, expected_digest=reference_digest(reference))
    scores = Scores.load(sources / "out" / "scores")
    lowest = np.sort(np.argsort(scores.column("energy"), kind="stable")[:24])
    np.testing.assert_array_equal(payload.indices, lowest)
    np.testing.assert_array_equal(payload.labels, scores.label[lowest])
    assert scores.class_names == ("blue", "green", "red")
    assert payload.class_names is None
    assert report["kept"] == payload.kept == 24
    assert report["payload_bytes"] == len(blob)
    assert report["paper_zstd_bytes"] == compare(payload).best_zstd_bytes
    assert report["reference_digest"] == reference_digest(reference).hex() == scores.reference_digest.hex()
    assert payload.reference_digest == scores.reference_digest[:8]
    assert set(report["seconds"]) == {"teacher", "score", "select", "student"}
    assert report["seeds"] == {"teacher": 0, "student": 0}
    assert report["class_names"] == ["blue", "green", "red"]
    assert report["plan"] is report["held_out_images"] is None
    assert "<html" in (sources / "out" / "report.html").read_text()
    assert report["versions"]["torch"] == version("torch")
    for name in ("teacher", "student"):
        classifier = load_checkpoint(sources / "out" / f"{name}.safetensors")
        test = open_test_images(sources / "test", 3, classifier.config.class_names)
        predicted = stages.predict(classifier, test, RECIPE)
        assert test.accuracy(predicted) == report[f"{name}_accuracy"]
        assert test.confusion(predicted).tolist() == report["confusion"][name]


def test_the_same_seed_gives_the_same_payload_and_accuracies(sources: Path) -> None:
    first, second = run(sources, sources / "1"), run(sources, sources / "2")
    assert first.keys() == second.keys()
    for name in ("payload.plada", "scores/shard-00000.npz", "teacher.safetensors", "student.safetensors"):
        assert (sources / "1" / name).read_bytes() == (sources / "2" / name).read_bytes()
    assert first["teacher_accuracy"] == second["teacher_accuracy"]
    assert first["student_accuracy"] == second["student_accuracy"]
    third = run(sources, sources / "3", "--seed=1")
    assert third["seeds"] == {"teacher": 1, "student": 1}
    first_shard, third_shard = (sources / run / "scores" / "shard-00000.npz" for run in ("1", "3"))
    assert first_shard.read_bytes() != third_shard.read_bytes()


def test_stage_by_stage_is_the_same_as_one_run_and_the_client_needs_reference_and_payload_alone(sources: Path) -> None:
    report = run(sources, sources / "run")
    out = sources / "out"
    ref, train, test = source_options(sources)
    for arguments in (
        ["teacher", train, test, "--model=test_resnet", *OPTIONS, f"--output={out}"],
        ["score", ref, f"--teacher={out / 'teacher.safetensors'}", "--threads=1", "--batch-size=8",
         f"--output={out / 'scores'}"],
        ["select", f"--scores={out / 'scores'}", "--keep=0.5", f"--output={out / 'payload.plada'}"],
    ):  # fmt: skip
        assert plada_train(*arguments).exit_code == 0
    client = sources / "client"
    client.mkdir()
    (sources / "ref").rename(client / "ref")
    (out / "payload.plada").rename(client / "payload.plada")
    (sources / "test").rename(client / "test")
    teacher = (out / "teacher.safetensors").read_bytes()
    shutil.rmtree(sources / "train")
    shutil.rmtree(out)
    result = plada_train(
        "student", f"--reference={client / 'ref'}", f"--payload={client / 'payload.plada'}",
        f"--target-test={client / 'test'}", "--model=test_resnet", *OPTIONS, f"--output={client}",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    run_folder = sources / "run"
    assert (client / "payload.plada").read_bytes() == (run_folder / "payload.plada").read_bytes()
    assert (client / "student.safetensors").read_bytes() == (run_folder / "student.safetensors").read_bytes()
    assert json.loads((client / "student.json").read_text())["accuracy"] == report["student_accuracy"]
    assert teacher == (run_folder / "teacher.safetensors").read_bytes()


def test_a_student_learns_what_the_payload_says(sources: Path) -> None:
    """Right labels teach the task; labels that say red for green and green for blue teach that mistake."""
    reference = open_images(sources / "ref")
    truth = np.array([("red", "green", "blue")[i * 7 % 3] for i in range(48)])
    test = open_test_images(sources / "test", 3, ("blue", "green", "red"))
    recipe = replace(RECIPE, freeze=True, epochs=60, learning_rate=0.05)
    for shift, expected in ((0, 1.0), (1, 0.0)):
        labels = [(("blue", "green", "red").index(name) + shift) % 3 for name in truth]
        blob = encode(Payload(range(48), labels, 48, 3, reference_digest(reference)))
        student = stages.train_student(stages.virtual_dataset(reference, blob), recipe)
        assert test.accuracy(stages.predict(student, test, recipe)) == pytest.approx(expected, abs=0.2)


def test_stride_offset_and_max_bytes_reach_the_payload(sources: Path) -> None:
    run(sources, sources / "out", "--keep=1", "--stride=5", "--offset=2", "--freeze", "--class-names")
    blob = (sources / "out" / "payload.plada").read_bytes()
    payload = decode(blob)
    assert payload.indices.tolist() == list(range(2, 48, 5))
    assert payload.class_names == ("blue", "green", "red")
    random = np.random.default_rng(0)
    energies = random.normal(size=500).astype(np.float32)
    labels = random.integers(0, 7, 500, dtype=np.int32)
    Scores(labels, {"energy": energies}, bytes(32), 7, None).save(sources / "scores")
    out = sources / "p.plada"
    arguments = [f"--scores={sources / 'scores'}", "--max-bytes=60", f"--output={out}"]
    assert plada_train("select", *arguments).exit_code == 0
    assert 50 <= len(out.read_bytes()) <= 60
    assert 1 <= decode(out.read_bytes()).kept < 250


def test_test_labels_follow_class_names(sources: Path) -> None:
    """A test folder that lacks a class still means the same classes."""
    shutil.rmtree(sources / "test" / "blue")
    test = open_test_images(sources / "test", 3, ("blue", "green", "red"))
    assert test.labels.tolist() == [1] * 5 + [2] * 5
    with pytest.raises(PladaError, match="a class 'red', which the task does not have"):
        open_test_images(sources / "test", 3, ("blue", "green", "rot"))


def test_a_class_folder_without_images_is_named(sources: Path) -> None:
    (sources / "train" / "bear").mkdir()
    (sources / "train" / "bear" / "1.heic").write_bytes(b"")
    with (
        pytest.warns(FilesPassedOver, match=r"passed over in .*train: 1 other file \(1 \.heic\)$"),
        pytest.raises(InputError, match=r"folder 'bear' of .*train has no image"),
    ):
        open_training_images(sources / "train")
    (sources / "test" / "dog").mkdir()
    with pytest.raises(InputError, match=r"folder 'dog' of .*test has no image"):
        open_test_images(sources / "test", 3, ("blue", "green", "red"))


def test_folders_that_look_like_splits_get_a_warning_that_names_one(sources: Path) -> None:
    root = sources / "root"
    root.mkdir()
    for name in ("train", "test"):
        (sources / name).rename(root / name)
    with pytest.warns(FilesPassedOver, match=r"the classes of .*root are test, train, .* such as .*root/train$"):
        assert open_training_images(root).class_names == ("test", "train")


def test_thumbnails_of_systems_are_neither_images_nor_classes(sources: Path) -> None:
    for name in ("@eaDir", "__MACOSX"):
        (sources / "train" / name).mkdir()
        (sources / "train" / name / "1.jpg").write_bytes(jpeg(COLOURS["red"], 1))
    with warnings.catch_warnings(action="error"):
        assert open_training_images(sources / "train").class_names == ("blue", "green", "red")


# --- images and models ---


@pytest.mark.parametrize(("size", "said"), [(0, "is an empty file"), (300, "is cut off")])
@pytest.mark.parametrize("workers", [0, 2])
def test_an_image_that_cannot_be_decoded_is_named_and_not_replaced(
    sources: Path, size: int, said: str, workers: int
) -> None:
    path = sources / "train" / "green" / "3.jpg"
    path.write_bytes(path.read_bytes()[:size])
    data = open_training_images(sources / "train")
    number = next(i for i in data.numbers if data.images.name(i) == "green/3.jpg")
    with pytest.raises(SourceError, match=f"image {number} of .*green/3.jpg, {said}"):
        decode_image(data.images, number)
    classifier = make_classifier(RECIPE, 3)
    batches = ImageBatches(data, classifier.config.transform(), 5, seed=0, workers=workers)
    with pytest.raises(SourceError, match=f"image {number} of .*green/3.jpg, {said}"):
        list(batches.iterate(0, len(batches)))


def test_running_out_of_memory_is_not_reported_as_a_damaged_image(
    sources: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def out_of_memory(*_: Any) -> None:
        raise MemoryError

    monkeypatch.setattr(ImageFile.ImageFile, "load", out_of_memory)
    # A process that is not forked has memory enough again
    for workers in ("--workers=0", "--workers=1") if get_start_method() == "fork" else ("--workers=0",):
        assert_fails(faulty(sources, workers), "plada-train: out of memory")


def test_batches_hold_the_images_asked_for_whatever_the_workers(sources: Path) -> None:
    data = open_training_images(sources / "train")
    numbers = data.numbers[::-3].copy()
    data = replace(data, numbers=numbers, labels=data.labels[numbers])
    transform = make_classifier(RECIPE, 3).config.transform()
    expected = {transform(decode_image(data.images, int(i))).numpy().tobytes() for i in numbers}
    for workers in (0, 2):
        batches = ImageBatches(data, transform, 5, seed=0, workers=workers)
        assert len(batches) == 2
        pixels, labels, _ = zip(*batches.iterate(4, 6), strict=True)
        assert {image.numpy().tobytes() for image in torch.cat(pixels)} == expected
        assert sorted(torch.cat(labels).tolist()) == sorted(data.labels.tolist())


def test_a_checkpoint_gives_the_same_logits(sources: Path, tmp_path: Path) -> None:
    reference = open_images(sources / "ref")
    classifier = make_classifier(replace(RECIPE, mean=(0.1, 0.2, 0.3)), 3, ("a", "b", "c"))
    save_checkpoint(classifier, tmp_path / "model.safetensors", accuracy=0.5)
    loaded = load_checkpoint(tmp_path / "model.safetensors")
    assert loaded.config == classifier.config
    assert loaded.held_out is None
    for made in (classifier, loaded):
        assert isinstance(made.config, ModelConfig)
    first, second = (next(logits(c, reference, np.arange(8), RECIPE, lambda *_: None)) for c in (classifier, loaded))
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
def test_weights_of_other_classes_are_loaded_but_for_the_last_layer(tmp_path: Path, suffix: str) -> None:
    given = make_classifier(RECIPE, 7).network.state_dict()
    path = tmp_path / f"weights.{suffix}"
    if suffix == "pth":
        torch.save({"state_dict": given}, path)
    else:
        save_file({k: (v.half() if v.is_floating_point() else v).contiguous() for k, v in given.items()}, path)
    got = make_classifier(replace(RECIPE, weights=path), 3).network.state_dict()
    assert got["fc.weight"].shape[0] == 3
    for name, tensor in got.items():
        if not name.startswith("fc."):
            assert torch.allclose(tensor, given[name], atol=1e-2)


def test_freezing_trains_the_last_layer_alone(sources: Path) -> None:
    data = open_training_images(sources / "train")
    torch.manual_seed(0)
    before = make_classifier(replace(RECIPE, freeze=True), 3, data.class_names).network.state_dict()
    after = stages.train_teacher(data, replace(RECIPE, freeze=True)).network.state_dict()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed == {"fc.weight", "fc.bias"}


# --- unusable input ---


def faulty(sources: Path, *more: str, command: tuple[str, ...] = ("run",)) -> Result:
    return plada_train(
        *command, *source_options(sources), *MODELS, *OPTIONS, "--keep=0.5", f"--output={sources / 'out'}", *more
    )


def test_a_corrupt_image_in_the_reference_set_ends_the_run(sources: Path) -> None:
    with tarfile.open(sources / "ref" / "ref-003.tar", "w") as archive:
        member = tarfile.TarInfo("0048.jpg")
        member.size = 100
        archive.addfile(member, io.BytesIO(jpeg(COLOURS["red"], 1)[:100]))
    for workers in ("--workers=0", "--workers=2"):
        assert_fails(faulty(sources, workers), "image 48 of", "ref-003.tar/0048.jpg", "is cut off")


def test_a_missing_shard_in_the_reference_set_ends_the_run(sources: Path) -> None:
    (sources / "ref" / "ref-001.tar").unlink()
    assert_fails(faulty(sources), "ref-001.tar is missing")


def test_a_target_of_one_class_ends_the_run(sources: Path) -> None:
    for name in ("red", "green"):
        shutil.rmtree(sources / "train" / name)
    assert_fails(faulty(sources), "one class")


def test_a_target_image_without_a_label_ends_the_run(sources: Path) -> None:
    (sources / "train" / "stray.jpg").write_bytes(jpeg(COLOURS["red"], 1))
    assert_fails(faulty(sources), "stray.jpg, has no label")


@pytest.mark.parametrize(
    ("option", "text"),
    [
        ("--keep=0", "not above 0"),
        ("--keep=1.01", "at most 1"),
        ("--keep=-1", "not above 0"),
        ("--keep=0.02", "keeps none of 48 images"),
        ("--max-bytes=9", "9 bytes are too few"),
        ("--stride=49", "do not fit 48 images"),
        ("--offset=48", "do not fit 48 images"),
        ("--student=resnet_of_mine", "no model 'resnet_of_mine'"),
        ("--teacher=resnet_of_mine", "no model 'resnet_of_mine'"),
        ("--model-arg=colour=red", "cannot be made"),
        ("--model-arg=in_chans=1", "takes no images"),
        ("--device=abacus", "cannot be used"),
        ("--weights=nowhere.pth", "nowhere.pth does not exist"),
        ("--reference=nowhere", "nowhere does not exist"),
        ("--target-test=nowhere", "nowhere does not exist"),
        ("--output=/dev/null/out", "/dev/null/out"),
        ("--learning-rate=1e30", "diverged"),
    ],
)
def test_unusable_input_is_one_line_and_exit_code_1(sources: Path, option: str, text: str) -> None:
    assert_fails(faulty(sources, option), text)


@pytest.mark.parametrize(
    "option",
    [
        *("--keep=much", "--keep=nan", "--epochs=0", "--stride=0", "--model-arg=x", "--mean=1", "--colour=red"),
        *("--warmup=nan", "--label-smoothing=nan", "--learning-rate=nan", "--learning-rate=1e300"),
    ],
)
def test_wrong_usage_is_exit_code_2(sources: Path, option: str) -> None:
    assert_fails(faulty(sources, option), "--help'.", code=2)


def test_impossible_options_are_refused_before_anything_is_trained(
    sources: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Limits, "max_soft_label_values", 8)
    with tarfile.open(sources / "nameless.tar", "w") as archive:
        for i in range(9):
            for suffix, data in (("jpg", jpeg(COLOURS["red"], i)), ("cls", b"%d" % (i % 3))):
                member = tarfile.TarInfo(f"{i}.{suffix}")
                member.size = len(data)
                archive.addfile(member, io.BytesIO(data))
    nameless = [f"--target-{part}={sources / 'nameless.tar'}" for part in ("train", "test")]
    # A model that ends in two linear layers
    distilled = ("--teacher=deit_tiny_distilled_patch16_224", "--image-size=32", "--model-arg=img_size=32", "--freeze")
    for more, text in (
        (("--targets=average",), "no soft labels for average targets"),
        (("--soft-labels",), "3 classes are too many for soft labels"),
        (("--class-names", *nameless), "no names to send"),
        (distilled, "does not end in one linear layer"),
    ):
        assert_fails(faulty(sources, *more), text)
        assert not list((sources / "out").glob("[!.]*"))


def test_a_folder_of_another_run_is_refused_before_anything_is_trained(sources: Path) -> None:
    run(sources, sources / "out")
    before = {path: path.read_bytes() for path in (sources / "out").rglob("*.*") if path.is_file()}
    for more in ((), ("--seed=1",), ("--keep=0.4",)):
        assert_fails(faulty(sources, *more), f"{sources / 'out'} holds", "name another folder, or remove it")
    assert before == {path: path.read_bytes() for path in (sources / "out").rglob("*.*") if path.is_file()}


@pytest.mark.parametrize("moment", ["report.json", "student.unfinished", "teacher.unfinished"])
def test_a_run_that_is_ended_while_it_tidies_up_goes_on(
    sources: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    """Ended before the report is written or a state is removed."""
    expected = run(sources, sources / "1")
    options = [*source_options(sources), *MODELS, *OPTIONS, "--keep=0.5", f"--output={sources / '2'}"]
    replace_file, unlink = Path.replace, Path.unlink

    def ending_replace(path: Path, target: Path) -> Any:
        if target.name == moment:
            raise KeyboardInterrupt
        return replace_file(path, target)

    def ending_unlink(path: Path, missing_ok: bool = False) -> None:
        if path.name == moment:
            raise KeyboardInterrupt
        unlink(path, missing_ok)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", ending_unlink)
        if moment == "report.json":
            patch.setattr(Path, "replace", ending_replace)
        assert plada_train("run", *options).exit_code == 1
    again = run(sources, sources / "2")
    assert {path.name for path in (sources / "2").iterdir()} == {path.name for path in (sources / "1").iterdir()}
    for name in ("student_accuracy", "payload_bytes", "reference_digest"):
        assert again[name] == expected[name]
    for name in ("teacher.safetensors", "student.safetensors", "payload.plada"):
        assert (sources / "1" / name).read_bytes() == (sources / "2" / name).read_bytes()


def test_a_run_needs_to_be_told_how_many_images_to_keep(sources: Path) -> None:
    result = plada_train("run", *source_options(sources), *MODELS, "--output=out")
    assert_fails(result, "--max-bytes, --link, --kept or --keep is needed", code=2)


def test_weights_of_another_model_are_refused(sources: Path) -> None:
    other = make_classifier(replace(RECIPE, model="test_convnext", image_size=32), 3)
    torch.save(other.network.state_dict(), sources / "w.pth")
    assert_fails(faulty(sources, f"--weights={sources / 'w.pth'}"), "does not fit test_resnet")
    save_file({}, sources / "w.safetensors", {"arch": "mobilenetv2_100", "pad_type": "same"})
    assert_fails(faulty(sources, f"--weights={sources / 'w.safetensors'}"), "its architecture is mobilenetv2_100")
    for name in ("w.pth", "w.safetensors"):
        (sources / name).write_bytes(b"no weights")
        assert_fails(faulty(sources, f"--weights={sources / name}"), "cannot be read as weights")


def test_a_payload_for_another_reference_set_or_for_none_is_refused(sources: Path) -> None:
    digest = reference_digest(open_images(sources / "ref"))
    check = class_check(["blue", "green", "red"])

    def payload(*arguments: Any) -> bytes:
        return encode(Payload(*arguments, class_check=check))  # type: ignore[misc]

    good = payload([1, 2, 3], [0, 1, 2], 48, 3, digest[:8])
    assert student(sources, good).exit_code == 0
    shutil.rmtree(sources / "out")
    other = payload([1, 2, 3], [0, 1, 2], 48, 3, bytes(8))
    assert_fails(student(sources, other), "for the reference set 0000000000000000")
    assert_fails(student(sources, payload([1, 2, 3], [0, 1, 2], 48, 3)), "does not name its reference set")
    assert_fails(student(sources, good[:-1]), f"plada-train: {sources / 'p.plada'}: ")
    assert_fails(student(sources, b"no payload"))
    assert_fails(student(sources, payload([], [], 48, 3, digest[:8])), "keeps no image")
    assert_fails(student(sources, payload([1], [0], 48, 3, digest[:8])), "one image is not enough")
    assert_fails(student(sources, payload([1, 2], [0, 1], 48, 2, digest[:8])), "not those of the task")
    (sources / "ref" / "ref-002.tar").unlink()
    assert_fails(student(sources, good), "for the reference set")


def test_an_error_of_the_reference_set_does_not_carry_the_payloads_name(sources: Path) -> None:
    digest, check = reference_digest(open_images(sources / "ref")), class_check(["blue", "green", "red"])
    good = encode(Payload([1, 2, 3], [0, 1, 2], 48, 3, digest, class_check=check))
    (sources / "ref" / "ref-001.tar").write_bytes(b"no archive")
    result = student(sources, good)
    assert_fails(result, "ref-001.tar")
    assert "p.plada" not in result.stderr


def test_files_of_stages_that_are_not_what_they_should_be_are_refused(sources: Path) -> None:
    ref = source_options(sources)[0]
    out = f"--output={sources / 'x' / 'y'}"
    assert_fails(plada_train("score", ref, "--teacher=nowhere.safetensors", out), "cannot read nowhere.json")
    (sources / "t.json").write_text("{}")
    assert_fails(
        plada_train("score", ref, f"--teacher={sources / 't.safetensors'}", out),
        "t.json is damaged",
        "config is missing",
    )
    assert_fails(plada_train("select", "--scores=nowhere", "--keep=1", f"{out}.plada"), "not a folder of scores")


# --- the command itself ---


def test_help_comes_without_heavy_packages() -> None:
    code = (
        "import sys; from plada_train.cli.main import main; main(['run', '--help'], standalone_mode=False); "
        "sys.exit(bool({'torch', 'numpy', 'pydantic', 'rich', 'timm'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode == 0


def test_without_torch_one_line_says_what_to_install(sources: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    assert_fails(faulty(sources), "torch is not installed: pip install plada[train]")


def test_the_demo_writes_digits_and_runs_on_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from plada_train.data import digits

    monkeypatch.setattr(
        digits, "OPTIONS", (*digits.OPTIONS, "--epochs=1", "--image-size=16", "--candidates=2", "--proxy-steps=1")
    )
    tmp_path /= "it's here"
    result = plada_train("demo", f"--output={tmp_path}")
    assert result.exit_code == 0, result.output
    told = shlex.split(result.stdout.splitlines()[0])
    assert told[:2] == ["plada-train", "run"]
    assert str(tmp_path) in told
    report = json.loads((tmp_path / "report.json").read_text())
    sizes = (f"{report['payload_bytes']} bytes", str(report["paper_zstd_bytes"]))
    assert_valid("report", report)
    chosen = report["plan"]["candidate"]
    assert chosen["payload_bytes"] == report["payload_bytes"] <= report["plan"]["budget_bytes"]
    times = (show_seconds(link_time(report["payload_bytes"], link(name)).airtime_s or 0) for name in LINKS)
    for text in (*sizes, *times, chosen["name"], str(tmp_path / "report.html")):
        assert text in result.stdout
    for name, size in (("reference", 900), ("target-train", 600), ("target-test", 297)):
        images = open_images(tmp_path / name)
        assert len(images) == size
        assert (images.labels[0] == NO_LABEL) == (name == "reference")
        assert decode_image(images, 0).size == (8, 8)


# --- real images ---


@pytest.mark.skipif(not (SHARED / "data").exists(), reason="needs ../shared/data and ../shared/weights")
def test_the_whole_method_on_real_images(tmp_path: Path) -> None:
    """One shard of the reference set, a tenth of the training images."""
    target = SHARED / "data" / "targets" / "clothing10"
    result = plada_train(
        "run",
        f"--reference={SHARED / 'data' / 'reference' / 'tiny-imagenet-40k-000.tar'}",
        f"--target-train={target / 'clothing10-val-000.tar'}",
        f"--target-test={target / 'clothing10-test-000.tar'}",
        f"--weights={SHARED / 'weights' / 'mobilenetv2_100_tf_in1k.safetensors'}",
        *("--teacher=mobilenetv2_100", "--student=mobilenetv2_100", "--freeze", "--image-size=96", "--threads=1"),
        *("--keep=0.1", f"--output={tmp_path}", "--json"),
    )
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert report["kept"] == 500
    assert report["payload_bytes"] <= report["paper_zstd_bytes"] + 32
    assert report["teacher_accuracy"] > 0.6
    assert report["student_accuracy"] > 0.3
    config = json.loads((tmp_path / "student.json").read_text())["config"]
    assert config["model_args"] == {"pad_type": "same"}
    assert config["mean"] == config["std"] == [0.5, 0.5, 0.5]
