"""Classes of two sources are matched by name, or refused; labels are never joined by number where there are names."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("torch", reason="needs the extra 'train'")

from plada_codec import Payload, class_check, decode, encode, reference_digest
from plada_codec.errors import InputError
from plada_codec.reference import open_images
from plada_codec.testing.strategies import class_names
from plada_train.data.classes import Classes, matched_labels
from plada_train.data.labelled import open_test_images, open_training_images
from tests.helpers.training import OPTIONS, assert_fails, jpeg, plada_train, student

GREY = (90, 90, 90)


def tree(folder: Path, names: list[str], images: int = 1) -> Path:
    """An ImageFolder with `images` images in each class."""
    for seed, name in enumerate(names):
        (folder / name).mkdir(parents=True)
        for i in range(images):
            (folder / name / f"{i}.jpg").write_bytes(jpeg(GREY, 100 * seed + i))
    return folder


def shard(folder: Path, labels: list[int], names: list[str] | None = None) -> Path:
    """A shard of images with these labels, in `.cls` files, and perhaps the names of the classes beside it."""
    folder.mkdir()
    with tarfile.open(folder / "images-0.tar", "w") as archive:
        for i, label in enumerate(labels):
            for suffix, data in ((".jpg", jpeg(GREY, i)), (".cls", str(label).encode())):
                member = tarfile.TarInfo(f"{i:04}{suffix}")
                member.size = len(data)
                archive.addfile(member, io.BytesIO(data))
    if names is not None:
        (folder / "classes.json").write_text(json.dumps(names))
    return folder


@given(st.integers(1, 12).flatmap(class_names), st.randoms(use_true_random=False))
def test_names_decide_whatever_their_order(names: list[str], random: np.random.RandomState) -> None:
    theirs = list(names)
    random.shuffle(theirs)
    matched = matched_labels(tuple(theirs), Classes(len(names), tuple(names)))
    assert [names[label] for label in matched.tolist()] == theirs
    by_check = Classes(len(names), None, class_check(names))
    assert matched_labels(tuple(names), by_check).tolist() == list(range(len(names)))


@given(st.integers(1, 300), st.booleans(), st.integers(0, 3))
def test_names_that_are_all_numbers_mean_their_values_on_either_side(count: int, sort: bool, zeros: int) -> None:
    names = [f"{'0' * zeros}{label}" for label in range(count)]
    names = sorted(names) if sort else names
    values = [int(name) for name in names]
    numbered = matched_labels(None, Classes(count, tuple(names)))
    assert [values[label] for label in numbered[:count].tolist()] == list(range(count))
    assert (numbered[count:] == -1).all()
    assert matched_labels(tuple(names), Classes(count)).tolist() == values
    plain = tuple(map(str, range(count)))
    assert matched_labels(tuple(names), Classes(count, plain)).tolist() == values
    if not zeros:
        checked = matched_labels(None, Classes(count, None, class_check(names)))
        assert checked[:count].tolist() == numbered[:count].tolist()


@pytest.mark.parametrize(
    ("names", "task"),
    [
        (("cat", "dog"), Classes(2)),
        (None, Classes(2, ("cat", "dog"))),
        (None, Classes(2, None, class_check(["cat", "dog"]))),
        (("0", "dog"), Classes(2)),
        (None, Classes(2, ("0", "dog"))),
        (("1", "01"), Classes(2)),
    ],
)
def test_names_on_one_side_only_are_refused(names: tuple[str, ...] | None, task: Classes) -> None:
    with pytest.raises(InputError, match="named on one side only"):
        matched_labels(names, task)


@pytest.mark.parametrize(
    ("names", "task", "message"),
    [
        (("cat", "wolf"), Classes(2, ("cat", "dog")), "'wolf', which the task does not have"),
        (("1", "2"), Classes(2, ("0", "1")), "'2', which the task does not have"),
        (("1", "cat"), Classes(2, ("0", "1")), "'cat', which the task does not have"),
        (("0", "7"), Classes(2), "'7', but the task has 2 classes"),
        (("dog", "cat"), Classes(2, None, class_check(["cat", "dog"])), "another order"),
        (("cat",), Classes(2, None, class_check(["cat", "dog"])), "not those of the task"),
        (("0", "1"), Classes(2, None, class_check(["cat", "dog"])), "not those of the task"),
    ],
)
def test_classes_that_contradict_the_task_are_refused(names: tuple[str, ...], task: Classes, message: str) -> None:
    with pytest.raises(InputError, match=message):
        matched_labels(names, task)


def test_folders_sorted_as_text_and_labels_in_shards_mean_the_same_classes(tmp_path: Path) -> None:
    numbers = [str(label) for label in range(11)]
    train, shards = tree(tmp_path / "train", numbers), shard(tmp_path / "shards", list(range(11)))
    task = open_training_images(train)
    assert task.class_names == tuple(sorted(numbers))
    test = open_test_images(shards, task.num_classes, task.class_names)
    assert [task.class_name(label) for label in test.labels.tolist()] == numbers
    task = open_training_images(shards)
    test = open_test_images(train, task.num_classes, task.class_names)
    assert test.labels.tolist() == [int(name) for name in sorted(numbers)]


def test_an_image_whose_number_is_no_class_of_the_task_is_named(tmp_path: Path) -> None:
    shards = shard(tmp_path / "shards", [3, 5, 4])
    with pytest.raises(Exception, match=r"image 2 .*0002\.jpg.* has label 4, but the task has no class of this name"):
        open_test_images(shards, 2, ("3", "5"))
    with pytest.raises(Exception, match="has label 5, but there are 4 classes"):
        open_test_images(shards, 4, None)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["a", "a", "b"], "classes 0 and 1 have the same name, 'a'"),
        (["é", "b", "e\u0301"], "classes 0 and 2 have the same name"),
        (["a", "", "b"], "class name 1 is empty"),
        (["a", "b", "c\n"], "control character"),
        (["a", "b", "\x1b[2J"], "control character"),
    ],
)
def test_names_that_no_payload_can_have_are_refused_when_a_target_is_opened(
    tmp_path: Path, names: list[str], message: str
) -> None:
    named = shard(tmp_path / "named", [0, 1, 2], names)
    with pytest.raises(InputError, match=message):
        open_training_images(named)
    with pytest.raises(InputError, match=message):
        open_test_images(named, 3, None)
    assert len(open_images(named)) == 3


def test_folders_whose_names_no_payload_can_have_are_refused_before_training(tmp_path: Path) -> None:
    test = tree(tmp_path / "test", ["a", "b"])
    for number, names in enumerate((["a", "new\nline"], ["é", "e\u0301"], ["a", "b\udcff"])):
        train = tree(tmp_path / str(number), names)
        done = plada_train(
            "teacher", f"--target-train={train}", f"--target-test={test}", f"--output={tmp_path / 'out'}", *OPTIONS
        )
        assert_fails(done, str(train), "class")
        assert "epoch" not in done.stderr
        assert not list((tmp_path / "out").glob("teacher*"))


@pytest.mark.training
def test_a_student_refuses_test_images_of_another_task_and_takes_its_own(tmp_path: Path) -> None:
    tree(tmp_path / "ref", ["x", "y"], images=8)
    digest = reference_digest(open_images(tmp_path / "ref"))[:8]
    names = ["cat", "dog"]

    def payload(**known: object) -> bytes:
        return encode(Payload(range(16), [0, 1] * 8, 16, 2, digest, **known))  # type: ignore[arg-type]

    others: list[tuple[dict[str, object], list[str]]] = [
        ({"class_check": class_check(names)}, ["dog", "wolf"]),
        ({"class_check": class_check(names[::-1])}, names),
        ({"class_names": names}, ["dog", "wolf"]),
        ({}, names),
    ]
    for number, (known, folder) in enumerate(others):
        sources = tmp_path / str(number)
        tree(sources / "test", folder, images=2)
        (sources / "ref").symlink_to(tmp_path / "ref")
        assert_fails(student(sources, payload(**known)), str(sources / "test"), "class")
    tree(tmp_path / "test", names, images=2)
    done = student(tmp_path, payload(class_check=class_check(names)))
    assert done.exit_code == 0, done.output


@pytest.mark.training
def test_a_student_is_told_the_class_names_of_a_payload_that_holds_none(tmp_path: Path) -> None:
    names = ["dog", "cat"]
    tree(tmp_path / "ref", ["x", "y"], images=8)
    tree(tmp_path / "test", names, images=2)
    digest = reference_digest(open_images(tmp_path / "ref"))[:8]
    blob = encode(Payload(range(16), [0, 1] * 8, 16, 2, digest))
    file = tmp_path / "names.txt"
    for text, what in (("dog\nwolf\n", "cat"), ("dog\n", "class names")):
        file.write_text(text)
        assert_fails(student(tmp_path, blob, f"--class-names={file}"), what)
    file.write_text("\n".join(names))
    done = student(tmp_path, blob, f"--class-names={file}")
    assert done.exit_code == 0, done.output
    other = encode(Payload(range(16), [0, 1] * 8, 16, 2, digest, class_check=class_check(names[::-1])))
    assert_fails(student(tmp_path, other, f"--class-names={file}"), "class check")


@pytest.mark.training
def test_a_selection_sends_the_check_of_the_names_that_it_does_not_send(tmp_path: Path) -> None:
    names = ["cat", "dog"]
    tree(tmp_path / "train", names, images=6)
    tree(tmp_path / "ref", ["x", "y"], images=6)
    out = tmp_path / "out"
    target = [f"--target-train={tmp_path / 'train'}", f"--target-test={tmp_path / 'train'}"]
    assert plada_train("teacher", *target, f"--output={out}", "--model=test_resnet", *OPTIONS).exit_code == 0
    checkpoint = f"--teacher={out / 'teacher.safetensors'}"
    done = plada_train(
        "score", checkpoint, f"--reference={tmp_path / 'ref'}", f"--output={out / 'scores'}", "--threads=1"
    )
    assert done.exit_code == 0, done.output
    for options, expected in (
        ([], (None, class_check(names))),
        (["--no-class-check"], (None, b"")),
        (["--class-names"], (tuple(names), b"")),
    ):
        arguments = [f"--scores={out / 'scores'}", "--kept=5", f"--output={tmp_path / 'p.plada'}"]
        assert plada_train("select", *arguments, *options).exit_code == 0
        sent = decode((tmp_path / "p.plada").read_bytes())
        assert (sent.class_names, sent.class_check) == expected
