"""All images that cannot be decoded are found, in order, by any number of threads; the command lists each."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

Image = pytest.importorskip("PIL.Image")

from plada_codec.errors import SourceError
from plada_codec.reference import ImageSource, unreadable_images
from tests.helpers.commands import ok, run


def png(shade: int) -> bytes:
    out = io.BytesIO()
    Image.new("L", (2, 3), shade).save(out, "png")
    return out.getvalue()


GOOD, PAGE = png(7), b"<!doctype html><p>Not found"


class Images(ImageSource):
    """A source whose `bad` images are pages of HTML."""

    def __init__(self, size: int, bad: set[int]) -> None:
        super().__init__("source")
        self.size, self.bad = size, bad

    def __len__(self) -> int:
        return self.size

    def _name(self, i: int) -> str:
        return f"{i}.png"

    def _read(self, i: int) -> bytes:
        return PAGE if i in self.bad else GOOD


@given(st.integers(1, 150), st.sets(st.integers(0, 149)), st.integers(1, 4), st.data())
def test_exactly_the_bad_ones_of_the_chosen_images_are_found_in_order(
    size: int, bad: set[int], threads: int, data: st.DataObject
) -> None:
    numbers = data.draw(st.none() | st.lists(st.integers(0, size - 1), unique=True))
    chosen = list(range(size)) if numbers is None else numbers
    calls: list[tuple[int, int]] = []
    found = list(
        unreadable_images(Images(size, bad), lambda *call: calls.append(call), numbers=numbers, threads=threads)
    )
    assert [i for i, _ in found] == [i for i in chosen if i in bad]
    assert all(f"image {i} of source, {i}.png, " in str(error) for i, error in found)
    assert calls == sorted(calls)
    assert not chosen or calls[-1] == (len(chosen), len(chosen))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    images = tmp_path / "ref"
    images.mkdir()
    contents = [GOOD, b"", GOOD, PAGE, GOOD[:40], GOOD]
    for i, content in enumerate(contents):
        (images / f"{i}.png").write_bytes(content)
    return images


def test_the_command_lists_every_image_that_cannot_be_decoded_and_exits_with_1(folder: Path) -> None:
    result = run("reference", "check", folder)
    assert result.exit_code == 1
    assert result.stderr == f"main: of the images of {folder}, 3 of 6 cannot be decoded [image-unreadable]\n"
    lines = result.stdout.splitlines()
    assert [line.partition(", ")[0] for line in lines] == [f"image {i} of {folder}" for i in (1, 3, 4)]
    for line, cause in zip(lines, ("empty", "HTML", "cut off"), strict=True):
        assert cause in line
    result = run("reference", "check", folder, "--json")
    assert result.exit_code == 1
    listed = json.loads(result.stdout)
    assert [(image["index"], image["name"]) for image in listed] == [(1, "1.png"), (3, "3.png"), (4, "4.png")]


def test_a_source_without_bad_images_is_good(folder: Path) -> None:
    for name in ("1", "3", "4"):
        (folder / f"{name}.png").unlink()
    assert ok("reference", "check", folder).stdout == f"{folder}: good, 3 of 3 images can be decoded\n"
    assert json.loads(ok("reference", "check", folder, "--json").stdout) == []


@pytest.mark.parametrize(
    ("error", "reason"),
    [(OSError(5, "Input/output error"), "Input/output error"), (OSError("bad page\nmore"), "bad page")],
)
def test_an_image_that_cannot_be_read_has_a_reason(error: OSError, reason: str) -> None:
    """Libraries raise OSError without a number of the operating system's."""

    class Failing(Images):
        def _read(self, i: int) -> bytes:
            raise error

    with pytest.raises(SourceError, match=rf"image 0 of source, 0\.png, cannot be read \({reason}\)"):
        Failing(1, set()).read(0)
