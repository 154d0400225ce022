"""Folders that Hugging Face's `save_to_disk` wrote, with Arrow files (spec/reference-digest.md, section 2.3)."""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from plada_codec.errors import SourceError
from plada_codec.extras import extra_module
from plada_codec.reference.base import ImageSource, Location, chosen_split, read_json
from plada_codec.reference.image_tables.table import Columns, TableImages, choose_columns
from plada_codec.reference.sources.unsupported import source_errors
from plada_codec.tables.arrow_messages import is_compressed

#: Files in the folder of a dataset; the file in a folder of several datasets, its splits.
_STATE, _INFO, _SPLITS = "state.json", "dataset_info.json", "dataset_dict.json"
#: End of a stream of Arrow IPC. A stream that was cut off between two batches lacks it.
_END_OF_STREAM = b"\xff\xff\xff\xff\0\0\0\0"


def open_saved_dataset(location: Location) -> ImageSource | None:
    """Open a dataset that was saved, or a split of several. None if there is no such folder."""
    if not location.is_folder:
        return None
    folder = location.path
    if (folder / _SPLITS).is_file():
        folder = folder / _split(location)
    elif not ((folder / _STATE).is_file() and (folder / _INFO).is_file()):
        return None
    elif location.split is not None:
        what = f"{folder} is one dataset without splits: leave #{location.split} out"
        raise SourceError(what, rule="source-part")
    return SavedImages(location, _data_files(folder))


class _Batch(NamedTuple):
    """A batch of rows: the number of its first row, and where it is in its file."""

    first: int
    start: int


class SavedImages(TableImages):
    """The images of Arrow files that hold streams of batches. The files are mapped, not read."""

    def __init__(self, location: Location, files: list[Path]) -> None:
        self._files = files
        self._batches: list[list[_Batch]] = []
        columns: Columns | None = None
        rows = []
        for path in files:
            with source_errors(path):
                batches, count, schema = _batches(path)
                found = choose_columns(schema, location.columns, str(path))
            if columns is not None and found != columns:
                raise SourceError(f"{path} has other columns or classes than {files[0]}", rule="table-columns")
            columns = found
            self._batches.append(batches)
            rows.append(count)
        assert columns is not None
        super().__init__(location.source, columns, files, rows)

    def _read_block(self, table: int, row: int, leaf: str) -> tuple[int, Any]:
        batches = self._batches[table]
        batch = batches[max(number for number, batch in enumerate(batches) if batch.first <= row)]
        return batch.first, self._column(table, batch, self._columns.image)

    def _label_columns(self, table: int) -> Iterator[Any]:
        for batch in self._batches[table]:
            yield self._column(table, batch, str(self._columns.label))

    def _column(self, table: int, batch: _Batch, name: str) -> Any:
        ipc = extra_module("pyarrow.ipc", "arrow")
        data = _mapped(self._files[table])
        schema = _schema(data)
        message = ipc.read_message(data.slice(batch.start))
        column = ipc.read_record_batch(message, schema).column(name)
        column.validate(full=True)
        return column


def _split(location: Location) -> str:
    path = location.path / _SPLITS
    content = read_json(path, "source-damaged")
    splits = content.get("splits") if isinstance(content, dict) else None
    if not isinstance(splits, list) or not all(isinstance(split, str) and _is_name(split) for split in splits):
        raise SourceError(f"{path} does not list splits", rule="source-damaged")
    return chosen_split(location, splits)


def _data_files(folder: Path) -> list[Path]:
    path = folder / _STATE
    state = read_json(path, "source-damaged")
    try:
        names = [file["filename"] for file in state["_data_files"]]
        has_indices = bool(state.get("_indices_data_files"))
    except (TypeError, KeyError, AttributeError) as error:
        raise SourceError(f"{path} does not list the files of a dataset", rule="source-damaged") from error
    if not names or not all(isinstance(name, str) and _is_name(name) for name in names):
        raise SourceError(f"{path} does not list the files of a dataset", rule="source-damaged")
    if has_indices:
        what = f"{folder} holds a selection of rows: call flatten_indices() before save_to_disk()"
        raise SourceError(what, rule="source-unsupported")
    return [folder / name for name in names]


def _is_name(name: str) -> bool:
    """Whether this is the name of a file in a folder, and not a path to somewhere else."""
    return name not in ("", ".", "..") and not {"/", "\\", "\0"} & set(name)


def _mapped(path: Path) -> Any:
    """The bytes of a file (pyarrow Buffer)."""
    pyarrow = extra_module("pyarrow", "arrow")
    with path.open("rb") as file:
        return pyarrow.py_buffer(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))


def _batches(path: Path) -> tuple[list[_Batch], int, Any]:
    """The batches of a stream, the number of its rows, and its schema."""
    pyarrow = extra_module("pyarrow", "arrow")
    ipc = extra_module("pyarrow.ipc", "arrow")
    data = _mapped(path)
    reader = pyarrow.BufferReader(data)
    schema = _schema(reader)
    batches = []
    rows = 0
    while data.slice(start := reader.tell(), len(_END_OF_STREAM)).to_pybytes() != _END_OF_STREAM:
        message = ipc.read_message(reader)
        if message.type != "record batch":
            raise ValueError(f"a {message.type} in place of a batch")
        if is_compressed(memoryview(message.metadata)):
            # Nothing bounds the size that a compressed column claims
            raise SourceError(f"{path} is compressed: write it without compression", rule="source-unsupported")
        batches.append(_Batch(rows, start))
        rows += ipc.read_record_batch(message, schema).num_rows
    return batches, rows, schema


def _schema(stream: Any) -> Any:
    """The schema in the first message of a stream. pyarrow trusts that the message is one."""
    ipc = extra_module("pyarrow.ipc", "arrow")
    message = ipc.read_message(stream)
    if message.type != "schema":
        raise ValueError(f"a message of type {message.type} in place of the schema")
    return ipc.read_schema(message)
