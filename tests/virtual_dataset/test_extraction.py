"""Extracted files: the kept images under the names of their classes, complete or not there, and the same each time."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plada_codec import (
    FileError,
    InputError,
    InvalidArgument,
    MissingClasses,
    Payload,
    PladaWarning,
    SourceError,
    encode,
    open_images,
    reference_digest,
)
from plada_codec.reference import ImageSource, ListedImages
from plada_codec.virtual_dataset import EXTRACT_FORMATS, extract
from plada_codec.virtual_dataset.extraction import class_folders
from tests.helpers.commands import fails, ok, run
from tests.helpers.examples import examples

KEPT, LABELS = [1, 2, 5, 11], [2, 0, 2, 1]
PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture
def images(tmp_path: Path) -> ImageSource:
    folder = tmp_path / "ref"
    folder.mkdir()
    for i in range(12):
        (folder / f"{i:02}.{'JPG' if i % 2 else 'png'}").write_bytes(PNG + bytes([i]))
    return open_images(folder)


def payload(**more: object) -> Payload:
    return Payload(KEPT, LABELS, 12, 3, **more)  # type: ignore[arg-type]


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_folder_has_the_stored_bytes_of_each_class_in_its_folder(images: ImageSource, tmp_path: Path) -> None:
    extract(images, payload(class_names=["cat", "dog", "eel"]), tmp_path / "out")
    assert tree(tmp_path / "out") == {
        "cat/02.png": images.read(2),
        "dog/11.jpg": images.read(11),
        "eel/01.jpg": images.read(1),
        "eel/05.jpg": images.read(5),
    }
    extracted = open_images(tmp_path / "out")
    assert extracted.class_names == ("cat", "dog", "eel")
    assert extracted.labels.tolist() == [0, 1, 2, 2]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "ref"]


def test_shards_hold_the_same_images_with_their_labels(images: ImageSource, tmp_path: Path) -> None:
    extract(images, payload(class_names=["cat", "dog", "é/l"]), tmp_path / "out", "shards", shard_images=3)
    assert sorted(tree(tmp_path / "out")) == ["classes.json", "kept-000000.tar", "kept-000001.tar"]
    extracted = open_images(tmp_path / "out")
    assert [extracted.read(i) for i in range(4)] == [images.read(i) for i in KEPT]
    assert extracted.labels.tolist() == LABELS
    assert extracted.class_names == ("cat", "dog", "é/l")


def test_classes_without_names_have_folders_in_the_order_of_their_numbers() -> None:
    folders = class_folders(Payload([0], [0], 1, 101))
    assert folders == sorted(folders)
    assert folders[7] == "007"


name = st.text(st.characters(exclude_categories=("Cc", "Cs")), min_size=1, max_size=8)
odd = st.sampled_from(["..", ".", "a/b", "a%2Fb", "a\\b", ".hidden", "@eaDir", "__MACOSX", "con.", "x ", "~", "a:b"])


@examples(0.2)
@given(names=st.lists(name | odd, min_size=1, max_size=4, unique_by=lambda text: text.casefold()))
def test_folders_of_odd_class_names_are_safe_and_all_different(
    names: list[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    try:
        value = Payload(list(range(len(names))), list(range(len(names))), len(names), len(names), class_names=names)
    except ValueError:
        return  # names that no payload can have
    root = tmp_path_factory.mktemp("odd")
    (root / "ref").mkdir()
    for i in range(len(names)):
        (root / "ref" / f"{i}.png").write_bytes(bytes([i]))
    extract(open_images(root / "ref"), value, root / "out")
    out = open_images(root / "out")
    assert sorted(out.read(i) for i in range(len(out))) == [bytes([i]) for i in range(len(names))]
    assert sorted(out.class_names or ()) == sorted(class_folders(value))
    assert sorted(path.name for path in root.iterdir() if path.is_dir()) == ["out", "ref"]


class Interrupted(Exception):
    """Stands for anything that ends the process."""


@pytest.mark.parametrize("format", EXTRACT_FORMATS)
@pytest.mark.parametrize("stop_after", range(4))
def test_an_interrupted_extraction_is_not_there_and_continues(
    images: ImageSource, tmp_path: Path, format: str, stop_after: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    extract(images, payload(), tmp_path / "whole", format, shard_images=2)
    read, reads = images._read, 0

    def interrupted(i: int) -> bytes:
        nonlocal reads
        reads += 1
        if reads > stop_after:
            raise Interrupted
        return read(i)

    monkeypatch.setattr(images, "_read", interrupted)
    with pytest.raises(Interrupted):
        extract(images, payload(), tmp_path / "out", format, shard_images=2)
    assert not (tmp_path / "out").exists()
    monkeypatch.undo()
    with pytest.raises(FileError, match="belongs to another extraction"):
        extract(images, Payload(KEPT, LABELS[::-1], 12, 3), tmp_path / "out", format, shard_images=2)
    extract(images, payload(), tmp_path / "out", format, shard_images=2)
    assert tree(tmp_path / "out") == tree(tmp_path / "whole")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "ref", "whole"]


def test_files_that_a_crash_left_damaged_are_written_again(images: ImageSource, tmp_path: Path) -> None:
    Path(images.source, "11.JPG").chmod(0o644)
    Path(images.source, "11.JPG").rename(tmp_path / "kept-away")
    with pytest.raises(SourceError):
        extract(images, payload(), tmp_path / "out")
    (tmp_path / "out.unfinished" / "files" / "0" / "02.png").write_bytes(bytes(9))
    (tmp_path / "kept-away").rename(Path(images.source, "11.JPG"))
    extract(images, payload(), tmp_path / "out")
    assert (tmp_path / "out" / "0" / "02.png").read_bytes() == images.read(2)


def test_nothing_is_written_over(images: ImageSource, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    extract(images, payload(), tmp_path / "out")
    before = tree(tmp_path / "out")
    (tmp_path / "file").write_text("mine")
    for target in ("out", "file"):
        with pytest.raises(FileError, match="exists already"):
            extract(images, payload(), tmp_path / target)
    assert tree(tmp_path / "out") == before
    with pytest.raises(FileError, match="part of the reference set"):
        extract(images, payload(), Path(images.source) / "new" / "folder")
    (tmp_path / "new.unfinished").mkdir()
    (tmp_path / "new.unfinished" / "mine").write_text("mine")
    with pytest.raises(FileError, match="belongs to another"):
        extract(images, payload(), tmp_path / "new")
    assert tree(tmp_path / "new.unfinished") == {".plada-lock": b"", "mine": b"mine"}


def test_no_link_is_followed(images: ImageSource, tmp_path: Path) -> None:
    (tmp_path / "victim").write_text("mine")
    (tmp_path / "out.unfinished").mkdir()
    (tmp_path / "out.unfinished" / "temporary").symlink_to(tmp_path / "victim")
    extract(images, payload(), tmp_path / "out")
    assert (tmp_path / "victim").read_text() == "mine"


def test_classes_without_an_image_get_no_folder_and_a_warning(images: ImageSource, tmp_path: Path) -> None:
    with pytest.warns(MissingClasses, match="dog"):
        extract(images, Payload([0], [0], 12, 2, class_names=["cat", "dog"]), tmp_path / "out")
    assert list(tree(tmp_path / "out")) == ["cat/00.png"]


def test_weights_are_lost_with_a_warning(images: ImageSource, tmp_path: Path) -> None:
    with pytest.warns(PladaWarning, match="weights"):
        extract(images, payload(weights=[1, 2, 3, 4]), tmp_path / "out")


def test_wrong_arguments_are_refused(images: ImageSource, tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument, match="folder, shards"):
        extract(images, payload(), tmp_path / "out", "zip")
    with pytest.raises(InvalidArgument, match="shard"):
        extract(images, payload(), tmp_path / "out", "shards", shard_images=0)
    with pytest.raises(InputError, match="no image"):
        extract(images, Payload([], [], 12, 1), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_images_without_a_suffix_get_that_of_their_bytes(tmp_path: Path) -> None:
    class Bare(ListedImages):
        def _read(self, i: int) -> bytes:
            return [b"P6 1 1 255 abc", b"\xff\xd8\xff", b"BM", b"nothing"][i]

    images = Bare("bare")
    for i in range(4):
        images._add(f"row {i}")
    extract(images, Payload([0, 1, 2], [0, 0, 0], 4, 1), tmp_path / "out")
    assert sorted(tree(tmp_path / "out")) == ["0/0.pnm", "0/1.jpg", "0/2.bmp"]
    with pytest.raises(SourceError, match=r"image 3 of bare, row 3, is no image"):
        extract(images, Payload([3], [0], 4, 1), tmp_path / "none")


def test_pngs_have_the_pixels_of_the_rule(tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image", reason="needs the extra 'images'")
    (tmp_path / "ref").mkdir()
    (tmp_path / "ref" / "0.ppm").write_bytes(b"P6 1 1 65535\n" + bytes([200, 255, 100, 0, 7, 9]))
    extract(open_images(tmp_path / "ref"), Payload([0], [0], 1, 1), tmp_path / "out", as_png=True)
    with image.open(tmp_path / "out" / "0" / "0.png") as png:
        assert (png.mode, png.getpixel((0, 0))) == ("RGB", (200, 100, 7))


def test_the_command_extracts_for_the_right_reference_set_only(images: ImageSource, tmp_path: Path) -> None:
    blob = encode(payload(reference_digest=reference_digest(images)[:8]))
    path, names, out = tmp_path / "p.plada", tmp_path / "names.txt", tmp_path / "out"
    path.write_bytes(blob)
    names.write_text("cat\ndog\neel\n")
    ok("extract", path, "--reference", images.source, "-o", out, "--class-names", names)
    assert sorted(tree(out)) == ["cat/02.png", "dog/11.jpg", "eel/01.jpg", "eel/05.jpg"]
    ok("extract", path, "--reference", images.source, "-o", tmp_path / "shards", "--format", "shards")
    assert open_images(tmp_path / "shards").labels.tolist() == LABELS
    assert "exists already" in fails(1, "extract", path, "--reference", images.source, "-o", out)
    within = Path(images.source, "out")
    assert "part of the reference set" in fails(1, "extract", path, "--reference", images.source, "-o", within)
    Path(images.source, "03.JPG").write_bytes(b"other")
    error = fails(1, "extract", path, "--reference", images.source, "-o", tmp_path / "new")
    assert f"{path}: the payload is for the reference set" in error
    assert not (tmp_path / "new").exists()
    assert run("extract", path, "--reference", images.source, "-o", tmp_path / "new", "--no-check").exit_code == 0


def test_equal_payloads_make_equal_shards(images: ImageSource, tmp_path: Path) -> None:
    digests = set()
    for out in ("one", "two"):
        extract(images, payload(), tmp_path / out, "shards")
        digests.add(hashlib.sha256((tmp_path / out / "kept-000000.tar").read_bytes()).hexdigest())
    assert len(digests) == 1
    assert not (tmp_path / "one" / "classes.json").exists()
    extract(images, payload(class_names=list("abc")), tmp_path / "named", "shards")
    assert json.loads((tmp_path / "named" / "classes.json").read_text("utf-8")) == ["a", "b", "c"]
