"""A pack has the digest of its source, and the same bytes however the images were stored; it survives a kill."""

from __future__ import annotations

import hashlib
import io
import json
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plada_codec.errors import FileError, PladaWarning, SourceError
from plada_codec.reference import ImageSource, ListedImages, from_dataset, open_images, pack, reference_digest
from plada_codec.reference.base import is_image
from plada_codec.reference.pixels.formats import FORMATS
from tests.helpers.commands import fails, ok
from tests.helpers.memory import peak_bytes

HEADS = [
    b"\xff\xd8\xff",
    b"\x89PNG\r\n\x1a\n",
    b"RIFF\n\n\n\nWEBP",
    b"GIF89a",
    b"BM",
    b"II*\0",
    b"P5\n1 1\n255\n",
    b"?",
]
contents = st.builds(bytes.__add__, st.sampled_from(HEADS), st.binary(max_size=1100))
labelled = st.lists(st.tuples(contents, st.integers(0, 2)), min_size=1, max_size=12)


class Listed(ListedImages):
    """Images in memory."""

    def __init__(self, images: Sequence[bytes], labels: Sequence[int], names: tuple[str, ...] | None = None) -> None:
        super().__init__("memory")
        self._images = list(images)
        self._class_names = names
        for i, label in enumerate(labels):
            self._add(f"{i}.jpg", label)

    def _read(self, i: int) -> bytes:
        return self._images[i]


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name[0] != "."}


def packed(images: ImageSource, per_shard: int = 3) -> dict[str, bytes]:
    with tempfile.TemporaryDirectory() as folder:
        pack(images, Path(folder), per_shard)
        return files(Path(folder))


# --- properties ---


@given(labelled, st.integers(1, 4))
def test_packing_keeps_images_labels_and_digest(images: list[tuple[bytes, int]], per_shard: int) -> None:
    data, labels = zip(*images, strict=True)
    source = Listed(data, labels, ("a", "b", "c"))
    with tempfile.TemporaryDirectory() as folder:
        done = pack(source, Path(folder), per_shard)
        opened = open_images(folder)
        assert [opened.read(i) for i in range(len(opened))] == list(data)
        assert opened.labels.tolist() == list(labels)
        assert opened.class_names == ("a", "b", "c")
        assert done.reference_digest == reference_digest(source).hex() == reference_digest(opened).hex()
        assert json.loads((Path(folder) / "pack.json").read_text()) == vars(done)
        for name, digest in done.shards.items():
            assert hashlib.sha256((Path(folder) / name).read_bytes()).hexdigest() == digest
            with tarfile.open(Path(folder) / name) as archive:
                assert {(m.mode, m.uid, m.gid, m.mtime, m.uname, m.gname) for m in archive} == {
                    (0o644, 0, 0, 0, "", "")
                }


@given(labelled)
def test_a_pack_does_not_depend_on_how_images_are_stored(images: list[tuple[bytes, int]]) -> None:
    images.sort(key=lambda image: image[1])
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for i, (data, label) in enumerate(images):
            (root / "tree" / f"{label}").mkdir(parents=True, exist_ok=True)
            (root / "tree" / f"{label}" / f"{i:03}.jpg").write_bytes(data)
        tree = open_images(root / "tree")
        expected = packed(tree)
        pack(tree, root / "shards", 5)
        assert packed(open_images(root / "shards")) == expected
        pairs = [(data, int(label)) for (data, _), label in zip(images, tree.labels, strict=True)]
        # A head that is no image's: the suffix is that of the name, which items of a dataset do not have
        if not any(data.startswith(b"?") for data, _ in images):
            assert packed(from_dataset(pairs, class_names=tree.class_names)) == expected


@pytest.mark.parametrize("kind", ["parquet", "npz"])
def test_tables_and_arrays_give_the_same_pack_as_their_files(kind: str, tmp_path: Path) -> None:
    pixels = np.arange(7 * 12, dtype=np.uint8).reshape(7, 3, 4)
    (tmp_path / "files").mkdir()
    for i, image in enumerate(pixels):
        (tmp_path / "files" / f"{i}.pgm").write_bytes(b"P5\n4 3\n255\n" + image.tobytes())
    source = tmp_path / f"x.{kind}"
    if kind == "npz":
        np.savez_compressed(source, images=pixels)
    else:
        pyarrow = pytest.importorskip("pyarrow")
        data = [path.read_bytes() for path in sorted((tmp_path / "files").iterdir())]
        pytest.importorskip("pyarrow.parquet").write_table(pyarrow.table({"image": data}), source)
    assert packed(open_images(source)) == packed(open_images(tmp_path / "files"))


# --- examples ---


def test_the_bytes_of_a_pack_are_those_of_every_machine() -> None:
    found = packed(Listed([b"P5\n1 1\n255\n\0", b"\x89PNG\r\n\x1a\n", b"GIF89a"], [1, -1, 0], ("é", "b")), per_shard=2)
    assert {name: hashlib.sha256(data).hexdigest()[:16] for name, data in found.items() if name != "pack.json"} == {
        "images-00000.tar": "2f725a025ffdc495",
        "images-00001.tar": "10b293f3fff1e7de",
        "classes.json": "37d8090c4ac6b728",
    }
    with tarfile.open(fileobj=io.BytesIO(found["images-00000.tar"])) as archive:
        assert archive.getnames() == ["00000000.pnm", "00000000.cls", "00000001.png"]


def test_images_without_labels_have_no_cls_members_and_no_class_names() -> None:
    found = packed(Listed([b"GIF89a"] * 2, [-1, -1], ("a", "b")))
    assert sorted(found) == ["images-00000.tar", "pack.json"]
    assert json.loads(found["pack.json"])["has_labels"] is False


def test_labels_that_are_no_class_numbers_are_left_out_with_a_warning() -> None:
    source = from_dataset([(b"GIF89a", "cat")])
    with pytest.warns(PladaWarning, match="labels are left out: image 0 of the dataset"):
        found = packed(source)
    assert json.loads(found["pack.json"])["has_labels"] is False
    twice = from_dataset([(b"GIF89a", 0)], class_names=["é", "e\u0301"])
    with pytest.warns(PladaWarning, match="labels are left out: the dataset has two classes of one name"):
        assert "classes.json" not in packed(twice)


def test_an_image_of_no_known_format_needs_a_suffix() -> None:
    with pytest.raises(SourceError, match=r"image 0 of the dataset.* is of no known format.*image-unreadable"):
        packed(from_dataset([b"?"]))


def test_the_suffix_of_every_format_is_that_of_an_image() -> None:
    assert all(is_image(row.suffix) for row in FORMATS)


def test_a_pack_that_is_there_is_compared_and_not_written_again(tmp_path: Path) -> None:
    images = [b"GIF89a%d" % i for i in range(7)]
    pack(Listed(images, [0] * 7), tmp_path, 3)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.glob("*.tar")}
    content = files(tmp_path)
    (tmp_path / "images-00002.tar").unlink()
    (tmp_path / "pack.json").unlink()
    pack(Listed(images, [0] * 7), tmp_path, 3)
    assert files(tmp_path) == content
    assert all(path.stat().st_mtime_ns == when for path, when in before.items() if path.name != "images-00002.tar")


@pytest.mark.parametrize(
    ("images", "labels", "per_shard"),
    [(b"GIF89b", 0, 3), (b"GIF89a", 1, 3), (b"GIF89a", 0, 2), (b"GIF89a" * 999, 0, 3)],
    ids=["images", "labels", "shards", "sizes"],
)
def test_a_folder_of_another_pack_is_refused(images: bytes, labels: int, per_shard: int, tmp_path: Path) -> None:
    pack(Listed([b"GIF89a"] * 4, [0] * 4), tmp_path, 3)
    before = files(tmp_path)
    with pytest.raises(FileError, match=r"images-00000\.tar is there, but not with these images.*name another folder"):
        pack(Listed([images] * 4, [labels] * 4), tmp_path, per_shard)
    assert files(tmp_path) == before


def test_a_folder_with_other_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    with pytest.raises(FileError, match=r"holds notes\.txt, which is no part of this pack: name an empty folder"):
        pack(Listed([b"GIF89a"], [0]), tmp_path)


def test_packing_takes_memory_for_one_image_at_a_time(tmp_path: Path) -> None:
    source = Listed([], [])
    source._images = [b"GIF89a" + bytes(5000)]
    for i in range(4000):
        source._add(f"{i}.gif", 0)
    source._read = lambda i: source._images[0]  # type: ignore[method-assign]
    folders = (tmp_path / name for name in "ab")
    assert peak_bytes(lambda: pack(source, next(folders), 1000)) < 1_000_000


@pytest.mark.processes
def test_a_pack_that_was_killed_goes_on_to_the_same_bytes(tmp_path: Path) -> None:
    (tmp_path / "ref").mkdir()
    for i in range(400):
        (tmp_path / "ref" / f"{i:03}.gif").write_bytes(b"GIF89a%d" % i + bytes(100_000))
    arguments = ["reference", "pack", str(tmp_path / "ref"), "--images-per-shard", "40", "-o"]
    ok(*arguments, tmp_path / "whole")
    broken = tmp_path / "broken"
    for shards in (1, 4):
        command = [sys.executable, "-m", "plada_codec", *arguments, str(broken)]
        with subprocess.Popen(command) as process:
            while process.poll() is None and len(list(broken.glob("*.tar"))) < shards:
                time.sleep(0.001)
            process.send_signal(signal.SIGKILL)
    ok(*arguments, broken)
    assert files(broken) == files(tmp_path / "whole")
    assert not list(broken.glob(".*.tmp"))


def test_the_command_packs_and_says_digest_and_number(tmp_path: Path) -> None:
    (tmp_path / "ref" / "cat").mkdir(parents=True)
    (tmp_path / "ref" / "cat" / "1.gif").write_bytes(b"GIF89a")
    digest = ok("reference", "digest", tmp_path / "ref").stdout.split()[0]
    assert ok("reference", "pack", tmp_path / "ref", "-o", tmp_path / "out").stdout.startswith(f"{digest}  1 images")
    done = ok("reference", "pack", tmp_path / "ref", "-o", tmp_path / "out", "--json").stdout
    assert json.loads(done) == json.loads((tmp_path / "out" / "pack.json").read_text())
    assert ok("reference", "digest", tmp_path / "out").stdout.startswith(digest)
    assert "--images-per-shard" in fails(2, "reference", "pack", tmp_path / "ref", "-o", "x", "--images-per-shard", "0")
