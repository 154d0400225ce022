"""Names of images become numbers: paths, keys and ends of them, each of one image only."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plada_codec.errors import FileError
from plada_codec.reference import ImageSource, ListedImages, image_numbers, open_images
from tests.helpers.examples import examples


def line(row: int) -> str:
    return f"line {row + 2}"


def source(folder: Path, *names: str) -> ImageSource:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    return open_images(folder)


@pytest.fixture
def images(tmp_path: Path) -> ImageSource:
    return source(tmp_path, "cat/1.jpg", "cat/2.front.jpg", "dog/1.jpg", "dog/3.png", "eel/deep/3.png", "top.jpg")


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("cat/1.jpg", 0),  # a path
        ("cat/1", 0),  # a path without its suffix
        ("2.front.jpg", 1),  # the end of a path
        ("2.front", 1),
        ("2", 1),  # up to the first dot, as keys of shards
        ("deep/3.png", 4),
        ("eel/deep/3", 4),
        ("top", 5),
        ("./dog/1.jpg", 2),
        ("dog\\1.jpg", 2),
    ],
)
def test_a_path_a_key_and_the_end_of_each_name_an_image(images: ImageSource, name: str, number: int) -> None:
    assert image_numbers(images, [name], line).tolist() == [number]


def test_names_with_the_folder_of_the_source_are_found(images: ImageSource, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = Path(images.source)
    monkeypatch.chdir(folder.parent)
    relative = open_images(folder.name)
    names = [f"{folder.name}/dog/3.png", str(folder / "dog/1.jpg"), f"./{folder.name}/top.jpg"]
    assert image_numbers(relative, names, line).tolist() == [3, 2, 5]
    assert image_numbers(images, names[1:2], line).tolist() == [2]


@pytest.mark.parametrize("name", ["4.jpg", "", "og/1.jpg", "at/1", "cat", "cat/", "1.jp", "CAT/1.jpg", "x/cat/1.jpg"])
def test_a_name_of_no_image_is_an_error_with_its_line(images: ImageSource, name: str) -> None:
    with pytest.raises(FileError, match=r"line 3: no image of .* is named") as error:
        image_numbers(images, ["top", name, "top"], line)
    assert error.value.rule == "image-name"
    assert "plada reference list" in str(error.value)


@pytest.mark.parametrize("name", ["1", "1.jpg", "3.png", "3"])
def test_a_name_of_several_images_is_an_error_that_names_two(images: ImageSource, name: str) -> None:
    with pytest.raises(FileError, match=r"line 2: .* may be image \d, .* or image \d, .*: give more of its path"):
        image_numbers(images, [name], line)


def test_an_error_counts_the_other_bad_names(images: ImageSource) -> None:
    with pytest.raises(FileError, match=r"line 3: .*\(2 more names like this\)"):
        image_numbers(images, ["top", "a", "b", "1"], line)


def test_a_whole_path_decides_before_an_end(tmp_path: Path) -> None:
    images = source(tmp_path, "1.jpg", "a/1.jpg", "a/1.jpg.png")
    assert image_numbers(images, ["1.jpg", "1", "a/1.jpg"], line).tolist() == [0, 0, 1]


def test_names_are_compared_after_nfc(tmp_path: Path) -> None:
    stored = unicodedata.normalize("NFD", "é/ä.jpg")
    images = source(tmp_path, stored)
    asked = [unicodedata.normalize("NFC", stored), stored, "ä", unicodedata.normalize("NFD", "ä.jpg")]
    assert image_numbers(images, asked, line).tolist() == [0, 0, 0, 0]
    (tmp_path / unicodedata.normalize("NFC", stored)).parent.mkdir(exist_ok=True)
    both = source(tmp_path, unicodedata.normalize("NFC", stored))
    if len(both) == 2:
        with pytest.raises(FileError, match="may be image 0"):
            image_numbers(both, [stored], line)


def test_no_names_are_no_numbers(images: ImageSource) -> None:
    assert image_numbers(images, [], line).tolist() == []


class Listed(ListedImages):
    """A source of names alone."""

    def __init__(self, names: list[str]) -> None:
        super().__init__("listed")
        for name in names:
            self._add(name)

    def _read(self, i: int) -> bytes:
        return b""


parts = st.sampled_from(["a", "b", "a.b", ".c", "a.b.c", "d."])
paths = st.lists(parts, min_size=1, max_size=4).map("/".join)


def names_of(path: str) -> list[set[str]]:
    """The names of an image, the best ones first, by the words of the module."""
    last = path.rpartition("/")[2]
    dots = [at for at, ch in enumerate(last) if ch == "." and at]
    stems = {path[: len(path) - len(last) + at] for at in (dots[:1] + dots[-1:])}
    ends = {whole.split("/", cut)[-1] for whole in {path, *stems} for cut in range(1, whole.count("/") + 1)}
    return [{path}, stems, ends]


@examples(2)
@given(st.lists(paths, min_size=1, max_size=6, unique=True), paths)
def test_each_name_has_the_image_that_its_definition_says(listed: list[str], asked: str) -> None:
    fits: list[int] = []
    for rank in range(3):
        fits = fits or [i for i, path in enumerate(listed) if asked in names_of(path)[rank]]
    if len(fits) == 1:
        assert image_numbers(Listed(listed), [asked], line).tolist() == fits
    else:
        with pytest.raises(FileError, match="may be" if fits else "no image"):
            image_numbers(Listed(listed), [asked], line)
