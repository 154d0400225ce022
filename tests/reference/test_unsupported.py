"""A source that is not supported is refused in one line that says what is there, and what to do."""

from __future__ import annotations

import gzip
import sys
from pathlib import Path

import pytest

from plada_codec.errors import SourceError, Unavailable
from plada_codec.reference import open_images
from tests.helpers.commands import fails

FILES = [
    ("ref.tar.gz", "a compressed archive: decompress it, and name the .tar file"),
    ("ref.TGZ", "a compressed archive: decompress it"),
    ("ref.tar.zst", "a compressed archive: decompress it"),
    ("ref.zip", "an archive that is not read: unpack it, and name the folder"),
    ("data_batch_1", "a Python pickle of CIFAR, which is never run: open it in Python, .*from_dataset"),
    ("images.pkl", "a Python pickle, which is never run: .*from_dataset"),
    ("data.pt", "a Python pickle"),
    ("train-images-idx3-ubyte.gz", "an IDX file of MNIST: .*from_dataset"),
    ("part.tfrecord", "a TFRecord file: .*from_dataset"),
    ("part.tfrecord-00000-of-00002", "a TFRecord file"),
    ("svhn.mat", "a format that is not read: .*from_dataset"),
    ("x.h5", "a format that is not read"),
    ("images.npy", "a format that is not read"),
    ("data-00000-of-00001.arrow", "an Arrow file by itself: name the folder that save_to_disk"),
    ("kept.csv", "a table or a text, not images: name the folder"),
    ("cat.jpg", "one image: name the folder"),
    ("readme", "no source of images: name a folder, or a file that is one"),
]


def refused(source: str | Path) -> str:
    with pytest.raises(SourceError) as error:
        open_images(source)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize(("name", "said"), FILES, ids=[name for name, _ in FILES])
def test_a_file_that_is_no_source_is_explained(name: str, said: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"\x80\x04")
    with pytest.raises(SourceError, match=rf"{name} is {said}.*source-missing"):
        open_images(tmp_path / name)
    if name not in ("cat.jpg", "readme"):
        message = refused(tmp_path)
        assert message.endswith("[source-empty]")
        assert f"it has {name}, " in message


@pytest.mark.parametrize("url", ["https://example.com/ref.tar", "hf://datasets/cifar10", "s3://bucket/ref-{0..3}.tar"])
def test_an_address_is_explained(url: str) -> None:
    assert "is an address: download it, and name the file or the folder" in refused(url)


@pytest.mark.parametrize(
    ("inner", "said"),
    [
        ("train/0.tar", "it has .tar files in {0}/test, {0}/train: name one of these folders"),
        ("train/0.parquet", "it has .parquet files in {0}/test, {0}/train: name one of these folders"),
        ("train/dataset_info.json", "it has a saved dataset in {0}/test, {0}/train: name one of these folders"),
    ],
)
def test_nested_sources_are_named(inner: str, said: str, tmp_path: Path) -> None:
    for path in (inner, inner.replace("train", "test")):
        (tmp_path / path).parent.mkdir()
        (tmp_path / path).touch()
    assert said.format(tmp_path) in refused(tmp_path)
    assert said.format(tmp_path) in refused(f"{tmp_path}#train")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (gzip.compress(b"x" * 999), "is compressed by gzip: decompress it"),
        (b"(\xb5/\xfd" + b"x" * 999, "is compressed by zstd: decompress it"),
        (
            b"version https://git-lfs.github.com/spec/v1\n" * 20,
            "is a pointer of Git LFS and not the file itself: run",
        ),
        (b"\n<!DOCTYPE html><html>" * 30, "is a web page: download the file again"),
    ],
    ids=["gzip", "zstd", "git-lfs", "html"],
)
@pytest.mark.parametrize("name", ["ref.tar", "ref.npz", "ref.parquet"])
def test_a_file_with_other_content_is_explained(name: str, content: bytes, said: str, tmp_path: Path) -> None:
    if name == "ref.parquet":
        pytest.importorskip("pyarrow")
    (tmp_path / name).write_bytes(content)
    assert said in refused(tmp_path / name)


def test_a_source_that_needs_a_package_names_its_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.parquet").touch()
    for module in ("pyarrow", "pyarrow.parquet"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(Unavailable, match=r"needs pyarrow.*plada\[arrow\]|pyarrow, which is installed but broken"):
        open_images(tmp_path / "a.parquet")
    assert "pyarrow" in fails(1, "reference", "digest", tmp_path / "a.parquet")
