"""Images in tables and arrays: one digest however they are stored, labels only for a target, faults in one line."""

from __future__ import annotations

import io
import json
import os
import pickle
import resource
import struct
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plada_codec.errors import InvalidArgument, PladaError, SourceError
from plada_codec.reference import ImageSource, from_dataset, open_images, reference_digest
from plada_codec.reference.image_tables import parquet as parquet_module
from plada_codec.reference.sources import npz as npz_module
from plada_codec.tables.parquet_pages import largest_page, read_footer
from tests.helpers.memory import PEAK

pyarrow = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")

CLASSES = ["cat", "dog", "emu"]
image_lists = st.lists(st.binary(max_size=40), min_size=1, max_size=12)


def table_of(images: Sequence[bytes | None], labels: Sequence[int | None] | None = None, **columns: Any) -> Any:
    """A table as `datasets` writes it."""
    features: dict[str, Any] = {"image": {"_type": "Image"}}
    arrays: dict[str, Any] = {
        "image": pyarrow.array(
            [{"bytes": image, "path": f"{i}.png"} for i, image in enumerate(images)],
            pyarrow.struct({"bytes": pyarrow.binary(), "path": pyarrow.string()}),
        )
    }
    if labels is not None:
        arrays["label"] = pyarrow.array(labels, pyarrow.int64())
        features["label"] = {"names": CLASSES, "_type": "ClassLabel"}
    arrays |= columns
    table = pyarrow.table(arrays)
    return table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})


def save_to_disk(folder: Path, table: Any, files: int = 1, rows: int = 3) -> None:
    """Write a folder as `datasets` does."""
    folder.mkdir(parents=True)
    names = [f"data-{i:05}-of-{files:05}.arrow" for i in range(files)]
    bounds = np.linspace(0, len(table), files + 1).astype(int)
    for name, start, stop in zip(names, bounds[:-1], bounds[1:], strict=True):
        with pyarrow.ipc.new_stream(folder / name, table.schema) as writer:
            writer.write_table(table[int(start) : int(stop)], max_chunksize=rows)
    (folder / "state.json").write_text(json.dumps({"_data_files": [{"filename": name} for name in names]}))
    (folder / "dataset_info.json").write_text("{}")


class Dataset:
    """A dataset of Hugging Face, as far as it is used: rows of a table, in Arrow's format."""

    features = None

    def __init__(self, table: Any) -> None:
        self.table = table

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def with_format(self, kind: str) -> Dataset:
        assert kind == "arrow"
        return self

    def select_columns(self, names: list[str]) -> Dataset:
        return Dataset(self.table.select(names))

    def __getitem__(self, rows: slice) -> Any:
        return self.table[rows]


def stored(images: ImageSource) -> list[bytes]:
    return [images.read(i) for i in range(len(images))]


# --- properties ---


@given(image_lists, st.integers(1, 4), st.integers(1, 3), st.data())
def test_tables_have_the_digest_of_the_files_that_they_hold(
    images: list[bytes], rows: int, files: int, data: st.DataObject
) -> None:
    labels = data.draw(st.lists(st.integers(-1, 2), min_size=len(images), max_size=len(images)))
    table = table_of(images, labels)
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        (root / "files").mkdir()
        for i, image in enumerate(images):
            (root / "files" / f"{i:05}.jpg").write_bytes(image)
        expected = reference_digest(open_images(root / "files"))
        save_to_disk(root / "saved", table, files, rows)
        (root / "parquet").mkdir()
        bounds = np.linspace(0, len(images), files + 1).astype(int)
        for i in range(files):
            some = table[int(bounds[i]) : int(bounds[i + 1])]
            parquet.write_table(some, root / "parquet" / f"train-{i:05}-of-{files:05}.parquet", row_group_size=rows)
        for source in (
            open_images(root / "saved"),
            open_images(root / "parquet"),
            open_images(f"{root}/parquet#train"),
            from_dataset(Dataset(table)),
        ):
            order = data.draw(st.permutations(range(len(images))))
            assert [source.read(i) for i in order] == [images[i] for i in order]
            assert reference_digest(source) == expected
            assert source.labels.tolist() == labels
            assert source.class_names == tuple(CLASSES)


@given(
    st.integers(1, 20),
    st.integers(1, 5),
    st.integers(1, 5),
    st.booleans(),
    st.booleans(),
    st.integers(0, 99),
    st.data(),
)
def test_arrays_have_the_bytes_of_pnm_files_in_any_order(
    count: int, height: int, width: int, colour: bool, compress: bool, seed: int, data: st.DataObject
) -> None:
    shape = (count, height, width, *((3,) if colour else ()))
    pixels = np.random.default_rng(seed).integers(0, 256, shape, np.uint8)
    labels = np.arange(count)[:, None]
    with tempfile.TemporaryDirectory() as temporary, pytest.MonkeyPatch.context() as patch:
        patch.setattr(npz_module, "_BLOCK_BYTES", data.draw(st.integers(7, 300)))
        patch.setattr(npz_module, "_READ_BYTES", data.draw(st.integers(1, 100)))
        path = Path(temporary) / "m.npz"
        (np.savez_compressed if compress else np.savez)(path, train_images=pixels, train_labels=labels)
        images = open_images(path)
        header = f"P{6 if colour else 5}\n{width} {height}\n255\n".encode()
        for i in data.draw(st.permutations(range(count))):
            assert images.read(i) == header + pixels[i].tobytes()
        assert images.labels.tolist() == list(range(count))
        pairs = from_dataset(list(zip(pixels, range(count), strict=True)))
        assert reference_digest(images) == reference_digest(pairs)
        assert pairs.labels.tolist() == list(range(count))


@given(st.binary(max_size=30), st.sampled_from(["parquet", "saved", "npz"]), st.data())
def test_damaged_tables_and_arrays_raise_errors_of_one_line(noise: bytes, kind: str, data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        source = path = Path(temporary) / f"s.{kind}"
        if kind == "parquet":
            parquet.write_table(table_of([b"abc" * 9] * 9, [0, 1, 2] * 3), path, row_group_size=4)
        elif kind == "saved":
            source = Path(temporary) / "saved"
            save_to_disk(source, table_of([b"abc" * 9] * 9, [0, 1, 2] * 3))
            path = source / data.draw(st.sampled_from(["data-00000-of-00001.arrow", "state.json"]))
        else:
            np.savez_compressed(path, train_images=np.arange(99 * 9, dtype=np.uint8).reshape(-1, 9, 9))
        content = bytearray(path.read_bytes())
        start = data.draw(st.integers(0, len(content) - 1))
        content[start : start + data.draw(st.integers(0, 30))] = noise
        path.write_bytes(content)
        try:
            images = open_images(source)
            for i in range(min(len(images), 20)):
                images.read(i)
                images.name(i)
            images.labels  # noqa: B018
        except PladaError as error:
            assert "\n" not in str(error)


# --- examples ---


def test_two_blocks_of_images_are_all_that_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet_module, "_BLOCK_BYTES", 500)
    images = [bytes([i]) * 100 for i in range(60)]
    parquet.write_table(table_of(images), tmp_path / "a.parquet", data_page_size=200, write_batch_size=2)
    source = open_images(tmp_path / "a.parquet")
    for i in (0, 59, 3, 30, 31, 32):
        assert source.read(i) == images[i]
        assert all(len(block.column) <= 10 for block in source._blocks["bytes"])  # type: ignore[attr-defined]
    assert stored(source) == images


def test_a_source_of_tables_can_be_pickled_and_read_from_threads(tmp_path: Path) -> None:
    images = [bytes([i]) * 9 for i in range(200)]
    table = table_of(images)
    parquet.write_table(table, tmp_path / "a.parquet", row_group_size=7)
    save_to_disk(tmp_path / "saved", table, files=2, rows=30)
    np.savez_compressed(tmp_path / "a.npz", images=np.arange(1800, dtype=np.uint8).reshape(200, 3, 3))
    for name in ("a.parquet", "saved", "a.npz"):
        opened = open_images(tmp_path / name)
        expected = stored(opened)
        source: ImageSource = pickle.loads(pickle.dumps(opened))
        with ThreadPoolExecutor(4) as pool:
            assert list(pool.map(source.read, range(200))) == expected


def test_names_are_paths_in_the_table_or_rows(tmp_path: Path) -> None:
    parquet.write_table(table_of([b"a", b"b"]), tmp_path / "a.parquet")
    parquet.write_table(pyarrow.table({"jpeg": [b"a", b"b"]}), tmp_path / "b.parquet")
    assert open_images(tmp_path / "a.parquet").name(1) == "a.parquet/1.png"
    assert open_images(tmp_path / "b.parquet").name(1) == "b.parquet/1"
    assert open_images(tmp_path / "b.parquet").labels.tolist() == [-1, -1]


def test_names_are_listed_without_reading_images(tmp_path: Path) -> None:
    parquet.write_table(table_of([b"image"] * 9), tmp_path / "a.parquet", row_group_size=4)
    images = open_images(tmp_path / "a.parquet")
    assert [images.name(i) for i in range(9)] == [f"a.parquet/{i}.png" for i in range(9)]
    assert list(images._blocks) == ["path"]  # type: ignore[attr-defined]


def test_splits_are_chosen_by_name(tmp_path: Path) -> None:
    for split, image in (("train", b"a"), ("test", b"b")):
        save_to_disk(tmp_path / "dict" / split, table_of([image]))
        (tmp_path / "cifar.parquet").mkdir(exist_ok=True)
        parquet.write_table(table_of([image]), tmp_path / "cifar.parquet" / f"{split}-00000-of-00001.parquet")
    (tmp_path / "dict" / "dataset_dict.json").write_text('{"splits": ["train", "test"]}')
    grey = np.arange(8, dtype=np.uint8).reshape(2, 2, 2)
    np.savez(tmp_path / "x.npz", train_images=grey, test_images=grey[:1], train_labels=[0, 1])
    np.savez(tmp_path / "keras.npz", x_train=grey, y_train=[0, 1], x_test=grey[:1], y_test=[1])
    for name in ("dict", "cifar.parquet", "x.npz", "keras.npz"):
        with pytest.raises(SourceError, match=r"has the splits .*test.* choose with .*#t.*source-part"):
            open_images(tmp_path / name)
        with pytest.raises(SourceError, match=r"has no split 'val': it has .*train.*source-part"):
            open_images(f"{tmp_path / name}#val")
    for name in ("dict", "cifar.parquet"):
        assert stored(open_images(f"{tmp_path / name}#train")) == [b"a"]
        assert stored(open_images(f"{tmp_path / name}#test")) == [b"b"]
    for name in ("x.npz", "keras.npz"):
        assert len(open_images(f"{tmp_path / name}#train")) == 2
        assert len(open_images(f"{tmp_path / name}#test")) == 1
        assert open_images(f"{tmp_path / name}#train").labels.tolist() == [0, 1]
    assert open_images(f"{tmp_path}/x.npz#test").labels.tolist() == [-1]


def test_columns_are_chosen_by_name(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    more = {"thumb": [b"t"], "fine": [2], "coarse": [1]}
    parquet.write_table(pyarrow.table({"img": [b"a"], **more}), path)
    with pytest.raises(SourceError, match=r"images in the columns img, thumb: choose with #image=img"):
        open_images(path)
    assert stored(open_images(f"{path}#image=thumb")) == [b"t"]
    assert open_images(f"{path}#image=img").labels.tolist() == [-1]
    assert open_images(f"{path}#image=img,label=fine").labels.tolist() == [2]
    features = {name: {"_type": "ClassLabel", "names": CLASSES} for name in ("fine", "coarse")}
    table = pyarrow.table({"img": [b"a"], **more}).drop_columns("thumb")
    metadata = {"huggingface": json.dumps({"info": {"features": features}})}
    parquet.write_table(table.replace_schema_metadata(metadata), path)
    assert stored(open_images(path)) == [b"a"]
    with pytest.raises(SourceError, match=r"has the labels fine, coarse: choose with #label=fine.*table-label"):
        open_images(path).labels  # noqa: B018
    assert open_images(f"{path}#label=coarse").labels.tolist() == [1]


@pytest.mark.parametrize("values", [[0, 70_000], [0, -2], ["a", "b"], [0.0, 1.5]], ids=str)
def test_labels_of_tables_are_judged_only_where_they_are_asked_for(values: list[Any], tmp_path: Path) -> None:
    table = table_of([b"a", b"b"], label=pyarrow.array(values))
    parquet.write_table(table, tmp_path / "a.parquet")
    save_to_disk(tmp_path / "saved", table)
    labels = np.array(values)
    np.savez(tmp_path / "a.npz", images=np.zeros((2, 3, 3), np.uint8), labels=labels)
    for name in ("a.parquet", "saved", "a.npz"):
        images = open_images(tmp_path / name)
        reference_digest(images)
        with pytest.raises(SourceError, match="table-label"):
            images.labels  # noqa: B018


def test_whole_floats_are_labels_and_names_bound_them(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", images=np.zeros((2, 3, 3), np.uint8), labels=np.array([0, 1], np.float32))
    table = table_of([b"a", b"b", b"c"], label=pyarrow.array([0.0, None, 1.0]))
    parquet.write_table(table, tmp_path / "a.parquet")
    assert open_images(tmp_path / "a.npz").labels.tolist() == [0, 1]
    assert open_images(tmp_path / "a.parquet").labels.tolist() == [0, -1, 1]
    features = {"label": {"_type": "ClassLabel", "names": ["bear"]}}
    metadata = {"huggingface": json.dumps({"info": {"features": features}})}
    parquet.write_table(table.replace_schema_metadata(metadata), tmp_path / "a.parquet")
    with pytest.raises(SourceError, match=r"image 2 of .* has label 1.0, which is not a class number 0 .. 0"):
        open_images(tmp_path / "a.parquet").labels  # noqa: B018


@pytest.mark.parametrize("labels", [np.array([0, 1], object), np.array(7), np.eye(2), np.array(["a", "b"])], ids=str)
def test_labels_of_any_kind_in_an_archive_do_no_harm_to_a_reference_set(labels: Any, tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", images=np.zeros((2, 3, 3), np.uint8), labels=labels)
    images = open_images(tmp_path / "a.npz")
    assert len(stored(images)) == 2
    with pytest.raises(SourceError, match=r"labels of .*save|is one number.*table-label"):
        images.labels  # noqa: B018


# --- datasets in Python ---


def test_items_may_be_images_of_pillow_arrays_dicts_and_bytes() -> None:
    image = pytest.importorskip("PIL.Image")
    grey = np.arange(6, dtype=np.uint8).reshape(2, 3)
    colour = np.arange(18, dtype=np.uint8).reshape(2, 3, 3)
    items = [
        (image.fromarray(grey), 1),
        (grey, np.int64(2)),
        {"image": image.fromarray(colour), "label": 0},
        (grey[..., None], None),
        image.fromarray(grey > 2),
        (b"file", 1),
        {"image": {"bytes": b"file", "path": None}},
    ]
    images = from_dataset(items, "mine", class_names=CLASSES)
    plain = b"P5\n3 2\n255\n" + grey.tobytes()
    black_and_white = b"P5\n3 2\n255\n" + bytes([0, 0, 0, 255, 255, 255])
    in_colour = b"P6\n3 2\n255\n" + colour.tobytes()
    assert stored(images) == [plain, plain, in_colour, plain, black_and_white, b"file", b"file"]
    assert images.labels.tolist() == [1, 2, 0, -1, -1, 1, -1]
    assert images.class_names == tuple(CLASSES)
    assert images.name(2) == "item 2"


@pytest.mark.parametrize(
    ("item", "said"),
    [
        ((np.zeros((3, 4, 4), np.float32), 0), r"float32 of shape \[3, 4, 4\].*leave out the dataset's transform"),
        ((np.zeros((3, 4, 4), np.uint8), 0), r"uint8 of shape \[3, 4, 4\]"),
        ((np.zeros((4, 4, 4), np.uint8), 0), r"uint8 of shape \[4, 4, 4\]"),
        ((np.zeros((0, 4), np.uint8), 0), r"shape \[0, 4\]"),
        (("a.png", 0), "and not uint8"),
        ({"img": 1}, "has no 'image': it has 'img'"),
    ],
    ids=str,
)
def test_items_that_are_no_images_are_errors_that_name_them(item: Any, said: str) -> None:
    images = from_dataset([(np.zeros((2, 2), np.uint8), 0), item], "mine")
    with pytest.raises(SourceError, match=f"image 1 of mine, item 1, .*{said}.*image-unreadable"):
        images.read(1)


@pytest.mark.parametrize("label", ["cat", 1.5, -2, 65_536, True, [1]], ids=str)
def test_labels_of_datasets_that_are_no_class_numbers_are_errors(label: Any) -> None:
    images = from_dataset([(b"x", 0), (b"x", label)], "mine")
    assert stored(images) == [b"x", b"x"]
    with pytest.raises(SourceError, match=r"image 1 of mine, item 1, has label .*table-label"):
        images.labels  # noqa: B018


@pytest.mark.parametrize("dataset", [{"train": [1]}, iter([1]), 3], ids=["dict", "iterator", "number"])
def test_a_dataset_whose_items_have_no_numbers_is_refused(dataset: Any) -> None:
    with pytest.raises(InvalidArgument, match="dataset"):
        from_dataset(dataset)


# --- faults ---

FAULTS: list[Any] = []


def _fault(rule: str, said: str = "") -> Callable[[Callable[[Path], object]], Callable[[Path], object]]:
    def register(make: Callable[[Path], object]) -> Callable[[Path], object]:
        FAULTS.append(pytest.param(make, rule, said, id=make.__name__.strip("_").replace("_", "-")))
        return make

    return register


@_fault("source-damaged", "Git LFS")
def _a_pointer_of_git_lfs(root: Path) -> object:
    (root / "a.parquet").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")
    return root / "a.parquet"


@_fault("source-mixed")
def _parquet_and_images(root: Path) -> object:
    parquet.write_table(table_of([b"a"]), root / "a.parquet")
    (root / "a.png").touch()
    return root


@_fault("shard-missing", "file 1 of 2")
def _a_file_of_two_is_missing(root: Path) -> object:
    parquet.write_table(table_of([b"a"]), root / "train-00000-of-00002.parquet")
    return root


@_fault("table-columns", "other columns")
def _two_files_of_other_columns(root: Path) -> object:
    parquet.write_table(table_of([b"a"]), root / "0.parquet")
    parquet.write_table(pyarrow.table({"img": [b"a"]}), root / "1.parquet")
    return root


@_fault("table-columns", r"it has text \(string\)")
def _no_images(root: Path) -> object:
    parquet.write_table(pyarrow.table({"text": ["a"]}), root / "a.parquet")
    return root / "a.parquet"


@_fault("source-empty")
def _no_rows(root: Path) -> object:
    parquet.write_table(table_of([b"a"])[:0], root / "a.parquet")
    return root / "a.parquet"


@_fault("image-unreadable", "embed")
def _an_image_without_bytes(root: Path) -> object:
    parquet.write_table(table_of([None]), root / "a.parquet")
    return root / "a.parquet"


@_fault("source-damaged", "Recursion|recursion|nesting|depth")
def _metadata_of_brackets(root: Path) -> object:
    table = table_of([b"a"]).replace_schema_metadata({"huggingface": "[" * 200_000})
    parquet.write_table(table, root / "a.parquet")
    return root / "a.parquet"


@_fault("source-unsupported", "without compression")
def _a_compressed_arrow_file(root: Path) -> object:
    save_to_disk(root / "saved", table_of([b"a"]))
    options = pyarrow.ipc.IpcWriteOptions(compression="zstd")
    table = table_of([b"a" * 999])
    with pyarrow.ipc.new_stream(root / "saved" / "data-00000-of-00001.arrow", table.schema, options=options) as writer:
        writer.write_table(table)
    return root / "saved"


@_fault("source-damaged")
def _an_arrow_file_that_ends_between_two_batches(root: Path) -> object:
    save_to_disk(root / "saved", table_of([b"a"] * 6))
    path = root / "saved" / "data-00000-of-00001.arrow"
    path.write_bytes(path.read_bytes().removesuffix(b"\xff\xff\xff\xff\0\0\0\0"))
    return root / "saved"


@_fault("source-damaged", "does not list")
def _a_dataset_that_leads_out_of_its_folder(root: Path) -> object:
    save_to_disk(root / "saved", table_of([b"a"]))
    (root / "saved" / "state.json").write_text('{"_data_files": [{"filename": "../../secret"}]}')
    return root / "saved"


@_fault("source-unsupported", "flatten_indices")
def _a_dataset_with_indices(root: Path) -> object:
    save_to_disk(root / "saved", table_of([b"a"]))
    state = json.loads((root / "saved" / "state.json").read_text())
    (root / "saved" / "state.json").write_text(json.dumps({**state, "_indices_data_files": [{"filename": "i.arrow"}]}))
    return root / "saved"


@_fault("source-damaged")
def _an_archive_that_is_none(root: Path) -> object:
    (root / "a.npz").write_bytes(b"x" * 99)
    return root / "a.npz"


@_fault("source-empty", "it has indices, labels")
def _an_archive_without_images(root: Path) -> object:
    np.savez(root / "a.npz", indices=[1], labels=[0])
    return root / "a.npz"


@_fault("source-damaged", "several arrays of one name")
def _two_arrays_of_one_name(root: Path) -> object:
    data = io.BytesIO()
    np.save(data, np.zeros((2, 3, 3), np.uint8))
    with zipfile.ZipFile(root / "a.npz", "w") as archive:
        archive.writestr("images.npy", data.getvalue())
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("images.npy", data.getvalue())
    return root / "a.npz"


@_fault("source-missing", "must end with .npz: rename it")
def _an_archive_in_capitals(root: Path) -> object:
    (root / "A.NPZ").write_bytes(b"x")
    return root / "A.NPZ"


@_fault("source-missing", "is no file and no folder")
def _a_named_pipe(root: Path) -> object:
    os.mkfifo(root / "a.tar")
    return root / "a.tar"


@_fault("source-unsupported", "float64 of shape")
def _images_of_floats(root: Path) -> object:
    np.savez(root / "a.npz", images=np.zeros((2, 3, 3)))
    return root / "a.npz"


@_fault("source-unsupported", "Fortran")
def _images_in_the_order_of_fortran(root: Path) -> object:
    np.savez(root / "a.npz", images=np.asfortranarray(np.zeros((2, 3, 3), np.uint8)))
    return root / "a.npz"


@_fault("source-damaged", "size")
def _an_array_that_claims_petabytes(root: Path) -> object:
    with zipfile.ZipFile(root / "a.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        header = io.BytesIO()
        np.lib.format.write_array_header_1_0(
            header, {"descr": "|u1", "fortran_order": False, "shape": (1 << 40, 32, 32)}
        )
        archive.writestr("images.npy", header.getvalue())
    return root / "a.npz"


@_fault("source-unsupported", "encrypted|compressed")
def _an_archive_compressed_with_bzip2(root: Path) -> object:
    with zipfile.ZipFile(root / "a.npz", "w", zipfile.ZIP_BZIP2) as archive:
        data = io.BytesIO()
        np.save(data, np.zeros((2, 3, 3), np.uint8))
        archive.writestr("images.npy", data.getvalue())
    return root / "a.npz"


@_fault("source-part")
def _columns_of_an_archive(root: Path) -> object:
    np.savez(root / "a.npz", images=np.zeros((2, 3, 3), np.uint8))
    return f"{root}/a.npz#image=x"


@pytest.mark.parametrize(("make", "rule", "said"), FAULTS)
def test_faulty_tables_and_arrays_are_errors_of_one_line(
    make: Callable[[Path], Path], rule: str, said: str, tmp_path: Path
) -> None:
    with pytest.raises(SourceError, match=rf"(?s)({said}).*\[{rule}\]") as caught:
        stored(open_images(make(tmp_path)))
    assert "\n" not in str(caught.value)
    assert str(tmp_path) in str(caught.value)


def test_the_largest_page_is_that_of_pyarrow(tmp_path: Path) -> None:
    images = [bytes([i]) * 1000 for i in range(50)]
    for dictionary in (True, False):
        for codec in ("snappy", "none"):
            parquet.write_table(
                table_of(images), tmp_path / "a.parquet", use_dictionary=dictionary, compression=codec,
                data_page_size=3000, write_batch_size=2,
            )  # fmt: skip
            with (tmp_path / "a.parquet").open("rb") as file:
                _, [group] = read_footer(file, parquet.ParquetFile(tmp_path / "a.parquet").schema)
                largest = largest_page(file, group.chunks_of(["image.bytes"]))
            assert (largest == 50 * 1004) if dictionary else (2 * 1004 <= largest < 8 * 1004)


#: Runs a command, and then prints the most memory that its process had.
PEAK_OF_COMMAND = f"""{PEAK}
from plada_codec.cli.main import main
try:
    main()
finally:
    print(peak_kilobytes())
"""


@pytest.mark.processes
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")
def test_bombs_in_tables_and_arrays_take_bounded_memory(tmp_path: Path) -> None:
    """Each is less than 1 MB, and takes less than 700 MB."""
    zeros = bytes(1 << 27)
    one = table_of([b"a"])
    parquet.write_table(one, tmp_path / "harmless.parquet")
    parquet.write_table(table_of([zeros]), tmp_path / "page.parquet", compression="zstd", use_dictionary=False)
    repeated = pyarrow.DictionaryArray.from_arrays([0] * 16, pyarrow.array([zeros[: 1 << 25]], pyarrow.binary()))
    options = {"compression": "zstd", "dictionary_pagesize_limit": 1 << 28, "store_schema": False}
    parquet.write_table(pyarrow.table({"image": repeated}), tmp_path / "dictionary.parquet", **options)
    with zipfile.ZipFile(tmp_path / "array.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        magic = b"\x93NUMPY\x02\x00" + struct.pack("<I", 1 << 30)
        with archive.open("images.npy", "w") as file:
            file.write(magic)
            for _ in range(2):
                file.write(zeros)
    for name in ("harmless.parquet", "page.parquet", "dictionary.parquet", "array.npz"):
        assert (tmp_path / name).stat().st_size < 1 << 20
        command = [sys.executable, "-c", PEAK_OF_COMMAND, "reference", "digest", str(tmp_path / name)]
        done = subprocess.run(command, capture_output=True, text=True, preexec_fn=_limit)
        assert int(done.stdout.split()[-1]) < 700_000, name
        assert (done.returncode, len(done.stderr.splitlines())) in ((0, 0), (1, 1)), done.stderr


def _limit() -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (60, 60))
