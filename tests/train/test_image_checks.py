"""An image that cannot be decoded ends a command before anything is trained, wherever it is needed."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("torch")

from plada_codec import Payload, encode
from plada_codec.reference import open_images, reference_digest
from tests.helpers.training import MODELS, OPTIONS, assert_fails, plada_train, source_options, write_tree

pytestmark = pytest.mark.training


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    write_tree(tmp_path / "train", 3, 0)
    write_tree(tmp_path / "test", 3, 1)
    write_tree(tmp_path / "ref", 4, 2)
    return tmp_path


def command(name: str, sources: Path, *more: str) -> list[str]:
    ref, train, test = source_options(sources)
    digest = reference_digest(open_images(sources / "ref"))
    # Images 1, 3, 5, ... are kept
    payload = Payload(range(1, 12, 2), [0, 1, 2, 0, 1, 2], 12, 3, digest, class_names=("blue", "green", "red"))
    (sources / "p.plada").write_bytes(encode(payload))
    arguments = {
        "teacher": [train, test, "--model=test_resnet"],
        "student": [ref, test, f"--payload={sources / 'p.plada'}", "--model=test_resnet"],
        "run": [ref, train, test, *MODELS, "--keep=1"],
    }[name]
    return [name, *arguments, *OPTIONS, f"--output={sources / 'out'}", *more]


def damage(sources: Path, *names: str) -> None:
    for name in names:
        (sources / name).write_bytes(b"<html>Not found</html>")


@pytest.mark.parametrize(
    ("name", "image"),
    [
        *(("teacher", "test/red/2.jpg"), ("teacher", "train/blue/0.jpg")),
        *(("student", "test/red/2.jpg"), ("student", "ref/blue/1.jpg")),
        *(("run", "test/red/2.jpg"), ("run", "train/blue/0.jpg"), ("run", "ref/red/3.jpg")),
    ],
)
def test_a_bad_image_is_found_before_anything_is_trained(sources: Path, name: str, image: str) -> None:
    damage(sources, image)
    folder, _, file = image.partition("/")
    assert_fails(plada_train(*command(name, sources)), f"of {sources / folder}, {file}, is ")
    assert not list((sources / "out").glob("[!.]*"))


def test_the_error_counts_the_bad_images_of_all_sources_and_says_how_to_list_them(sources: Path) -> None:
    damage(sources, *(f"test/red/{i}.jpg" for i in range(3)), "ref/blue/0.jpg", "train/green/1.jpg")
    result = plada_train(*command("run", sources))
    assert_fails(result, "5 images cannot be decoded: image ", "green/1.jpg, is ", "red/0.jpg, is ", "; ... (")
    assert f"`plada reference check {sources / 'train'}` lists all" in result.stderr
    damage(sources, "train/green/2.jpg")
    assert_fails(plada_train(*command("teacher", sources)), "5 images cannot be decoded")


def test_the_planner_needs_its_held_out_images_too(sources: Path) -> None:
    damage(sources, *(f"train/{name}/{i}.jpg" for name in ("red", "green", "blue") for i in range(3)))
    run = command("run", sources, "--max-bytes=60")
    run.remove("--keep=1")
    assert_fails(plada_train(*run), "9 images cannot be decoded")


def test_a_student_needs_the_kept_images_alone(sources: Path) -> None:
    damage(sources, "ref/blue/0.jpg", "ref/blue/2.jpg")
    result = plada_train(*command("student", sources))
    assert result.exit_code == 0, result.output


@pytest.mark.parametrize("name", ["teacher", "student"])
def test_the_check_can_be_left_out(sources: Path, name: str) -> None:
    damage(sources, "test/red/0.jpg", "test/red/1.jpg")
    result = plada_train(*command(name, sources, "--no-check-images"))
    assert_fails(result, "red/0.jpg, is ")
    assert (sources / "out" / f"{name}.unfinished").exists()
