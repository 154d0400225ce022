"""Parquet files as Hugging Face writes them: one file, or a folder of them (spec/reference-digest.md, section 2.3)."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from plada_codec.errors import SourceError
from plada_codec.extras import extra_module
from plada_codec.reference.base import ImageSource, Location, chosen_split, entries, is_file, is_image
from plada_codec.reference.image_tables.table import Columns, TableImages, choose_columns
from plada_codec.reference.sources.unsupported import source_errors
from plada_codec.tables.parquet_pages import MAX_PAGE_BYTES, RowGroup, largest_page, read_footer

SUFFIX = ".parquet"
#: Images that are kept in memory, in bytes; rows that are decoded at a time.
_BLOCK_BYTES, _BATCH_ROWS = 1 << 26, 64
#: Labels that are decoded at a time.
_BATCH_LABELS = 1 << 16
#: Most elements of a list in a file's footer, such as row groups.
_MAX_LIST = 1 << 17


def open_parquet(location: Location) -> ImageSource | None:
    """Open a parquet file, or the parquet files of a folder. None if there are none."""
    if location.is_file and location.path.suffix == SUFFIX:
        files = [location.path]
        if location.split not in (None, split_of(location.path.name)):
            what = f"{location.path} is one file without splits: leave #{location.split} out, or name the folder"
            raise SourceError(what, rule="source-part")
    elif location.is_folder:
        there = entries(location.path)
        files = [Path(entry.path) for entry in there if entry.name.endswith(SUFFIX) and is_file(entry)]
        if files and any(is_image(entry.name) or entry.name.endswith(".tar") for entry in there):
            what = f"{location.path} holds both {SUFFIX} files and images or shards: name one of them"
            raise SourceError(what, rule="source-mixed")
        if files:
            files = _files_of_split(location, files)
    else:
        files = []
    return ParquetImages(location, files) if files else None


@dataclass
class _Reading:
    """A row group that is read, for one leaf: the number of the next row, and the batches to come."""

    table: int
    group: int
    row: int
    batches: Iterator[Any]


class ParquetImages(TableImages):
    """The images of parquet files, in the order of `files`.

    A row group is decoded from its beginning on: images are read fast in their order, and at random in files with small
    row groups, such as those of Hugging Face. In a large row group, reading goes on where it paused after a block.
    """

    def __init__(self, location: Location, files: list[Path]) -> None:
        self._files = files
        self._paused: dict[str, _Reading] = {}
        self._groups: list[list[RowGroup]] = []  # for each file
        columns: Columns | None = None
        for path in files:
            with source_errors(path), _opened(path) as file:
                found = choose_columns(file.schema_arrow, location.columns, str(path))
                with path.open("rb") as content:
                    _, groups = read_footer(content, file.schema)
            if columns is not None and found != columns:
                raise SourceError(f"{path} has other columns or classes than {files[0]}", rule="table-columns")
            columns = found
            self._groups.append(groups)
        assert columns is not None
        super().__init__(
            location.source, columns, files, [sum(group.rows for group in groups) for groups in self._groups]
        )

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "_paused": {}}

    def _read_block(self, table: int, row: int, leaf: str) -> tuple[int, Any]:
        group = first = 0
        while row >= first + self._groups[table][group].rows:
            first += self._groups[table][group].rows
            group += 1
        pyarrow = extra_module("pyarrow", "arrow")
        reading = self._paused.pop(leaf, None)
        if reading is None or (reading.table, reading.group) != (table, group) or reading.row > row:
            reading = _Reading(table, group, first, self._batches(table, group, leaf))
        kept: deque[Any] = deque()
        size = 0
        for batch in reading.batches:
            column = batch.column(0)
            kept.append(column)
            size += column.nbytes
            reading.row += len(column)
            while len(kept) > 1 and size > _BLOCK_BYTES and reading.row <= row:
                size -= kept.popleft().nbytes
            if reading.row > row and size > _BLOCK_BYTES:
                self._paused[leaf] = reading
                break
        if reading.row <= row:
            raise ValueError("fewer rows than the file says")
        block = pyarrow.concat_arrays(kept)
        return reading.row - len(block), block

    def _batches(self, table: int, group: int, leaf: str) -> Iterator[Any]:
        """A leaf of the column of the images of a row group, in batches of few rows."""
        leaves = [f"{self._columns.image}.{leaf}" if leaf else self._columns.image]
        file = _opened(self._files[table])
        page = _largest_page(self._files[table], self._groups[table][group], leaves)
        rows = max(1, min(_BATCH_ROWS, _BLOCK_BYTES // max(page, 1)))
        batches: Iterator[Any] = file.iter_batches(rows, row_groups=[group], columns=leaves, use_threads=False)
        return batches

    def _label_columns(self, table: int) -> Iterator[Any]:
        label = self._columns.label
        with _opened(self._files[table]) as file:
            for group in self._groups[table]:
                if group.rows:
                    _largest_page(self._files[table], group, [str(label)])
            for batch in file.iter_batches(_BATCH_LABELS, columns=[label], use_threads=False):
                yield batch.column(0)


def _largest_page(path: Path, group: RowGroup, names: list[str]) -> int:
    """Size of the largest page of some columns, in bytes. Raises SourceError if it is larger than MAX_PAGE_BYTES."""
    with path.open("rb") as file:
        page = largest_page(file, group.chunks_of(names))
    if page > MAX_PAGE_BYTES:
        what = f"{path} has a page of {page} bytes, and the limit is {MAX_PAGE_BYTES}"
        raise SourceError(f"{what}: write it with smaller row groups", rule="source-limits")
    return page


def _opened(path: Path) -> Any:
    parquet = extra_module("pyarrow.parquet", "arrow")
    return parquet.ParquetFile(path, thrift_container_size_limit=_MAX_LIST)


def _files_of_split(location: Location, files: list[Path]) -> list[Path]:
    """The files of the split that is asked for. Raises SourceError if there are several, and none is asked for."""
    splits: dict[str, list[Path]] = {}
    for path in files:
        splits.setdefault(split_of(path.name), []).append(path)
    chosen = splits[chosen_split(location, splits)]
    _check_whole(chosen)
    return chosen


def split_of(name: str) -> str:
    """The split that a file's name begins with: `train-00000-of-00002.parquet`, `test.parquet`; "" if none."""
    match = re.fullmatch(r"(.+?)(-\d+-of-\d+.*)?\.parquet", name, re.DOTALL)
    stem, numbered = (match[1], match[2]) if match else ("", None)
    return stem if numbered or stem in ("train", "test", "val", "valid", "validation", "dev") else ""


def _check_whole(files: list[Path]) -> None:
    """Files `...-00000-of-00002...` must all be there."""
    matches = [re.search(r"-(\d+)-of-(\d+)", path.name, re.ASCII) for path in files]
    numbers = {int(match[1]) for match in matches if match and len(match[1]) < 10}
    for match in matches:
        if match and len(match[2]) < 10 and len(numbers) < int(match[2]):
            missing = next(number for number in range(int(match[2])) if number not in numbers)
            what = f"file {missing} of {int(match[2])} is missing beside {files[0]}"
            raise SourceError(what, rule="shard-missing")
