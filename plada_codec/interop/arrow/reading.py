"""Read Arrow IPC and Parquet, within the limits whatever a file claims."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from plada_codec.errors import FileError, file_errors
from plada_codec.extras import extra_module
from plada_codec.interop.arrow.columns import METADATA_KEY, SECTION_FIELDS, WEIGHTS_COLUMN
from plada_codec.interop.base import Contents, Source
from plada_codec.tables.arrow_columns import arrow_values, rows_after
from plada_codec.tables.arrow_messages import claims_of
from plada_codec.tables.compressed import check_inflated
from plada_codec.tables.hugging_face import class_names_in
from plada_codec.tables.parquet_pages import RowGroup, largest_page, read_footer
from plada_codec.tables.table import TableBuilder
from plada_codec.universe import Universe

_METADATA = ("reference_size", "num_classes", "reference_digest", "class_check", "universe", *SECTION_FIELDS)
#: First bytes of an IPC file; an IPC stream begins differently.
_FILE_MAGIC, _FILE_HEAD_BYTES = b"ARROW1", 8
#: Parquet is read by so many rows, and from buffers of this size.
_BATCH_ROWS, _BUFFER_BYTES = 1 << 16, 1 << 20


def read_ipc(source: Source) -> Contents:
    """Read Arrow IPC, file or stream, batch by batch."""
    pyarrow = extra_module("pyarrow", "arrow")
    data = source.read_all()
    with file_errors("not Arrow IPC, or damaged"):
        content = _stream_in(data)
        _check_messages(pyarrow.ipc.MessageReader.open_stream(content), source, len(data))
        schema = pyarrow.ipc.open_stream(content).schema
        columns = _columns(schema.names, source)
        numbers = sorted(map(schema.get_field_index, columns.values()))
        options = pyarrow.ipc.IpcReadOptions(included_fields=numbers, use_threads=False)
        return _contents(pyarrow.ipc.open_stream(content, options=options), columns, source, schema.metadata)


def read_parquet(source: Source) -> Contents:
    """Read a Parquet file, some thousand rows at a time: its footer may claim anything."""
    pyarrow = extra_module("pyarrow", "arrow")
    parquet = extra_module("pyarrow.parquet", "arrow")
    data = source.read_all()
    with file_errors("not Parquet, or damaged"):
        schema = parquet.ParquetFile(pyarrow.BufferReader(data)).schema_arrow
        columns = _columns(schema.names, source)
        names = list(columns.values())
        texts = [name for name in names if str(schema.field(name).type).endswith("string")]
        file = parquet.ParquetFile(pyarrow.BufferReader(data), read_dictionary=texts, buffer_size=_BUFFER_BYTES)
        rows, groups = read_footer(io.BytesIO(data), file.schema)
        _check_footer(rows, groups, names, source, len(data))
        for group in groups:
            if group.rows:
                check_inflated(largest_page(io.BytesIO(data), group.chunks_of(names)), len(data), "Parquet")
        batches = file.iter_batches(_BATCH_ROWS, columns=names, use_threads=False)
        return _contents(batches, columns, source, schema.metadata)


def _columns(names: list[str], source: Source) -> dict[str, str]:
    """The columns to read: their names, by what they hold."""
    image, label = source.choice.of(names)
    columns = {"index": names[image], "label": names[label]}
    if WEIGHTS_COLUMN in names:
        columns[WEIGHTS_COLUMN] = WEIGHTS_COLUMN
    for name in columns.values():
        if names.count(name) > 1:
            raise FileError(f"{names.count(name)} columns are named {name!r}", rule="file")
    return columns


def _contents(
    batches: Iterable[Any], columns: dict[str, str], source: Source, metadata: Mapping[bytes, bytes] | None
) -> Contents:
    """Read the columns of all batches, and the metadata of their schema."""
    builder = TableBuilder(source.check_kept, "row", columns["index"])
    weights: list[Any] = []
    for batch in batches:
        source.check_kept(builder.rows + batch.num_rows)
        batch.validate(full=True)
        place = rows_after(builder.rows)
        values = {what: arrow_values(batch.column(name), what, place) for what, name in columns.items()}
        numbers = np.arange(builder.rows + 1, builder.rows + 1 + batch.num_rows)
        builder.add(values["index"], values["label"], numbers)
        weights.append(values.get(WEIGHTS_COLUMN, ()))
    table = builder.table()
    fields = _fields((metadata or {}).get(METADATA_KEY, b"{}"))
    if WEIGHTS_COLUMN in columns:
        fields["weights"] = np.concatenate(weights) if weights else np.empty(0, np.int64)
    class_names = class_names_in(metadata, columns["label"])
    if class_names is not None and fields.get("class_names") is None:
        fields["class_names"] = class_names
        table = replace(table, class_names=class_names)
    return Contents.of_table(table, fields)


def _fields(metadata: bytes) -> dict[str, Any]:
    """The attributes of Payload that are in the schema's metadata."""
    with file_errors("the schema's metadata 'plada' is not what it should be"):
        fields = json.loads(metadata)
        bounds = {name: fields.pop(name) for name in ("offset", "stride") if name in fields}
        if bounds:
            fields["universe"] = Universe(**bounds)
        for name in ("reference_digest", "class_check"):
            if name in fields:
                fields[name] = bytes.fromhex(fields[name])
        if not isinstance(fields.get("class_names"), list | None):
            raise TypeError("class_names is no list")
        return {name: value for name, value in fields.items() if name in _METADATA}


def _check_footer(rows: int, groups: list[RowGroup], names: list[str], source: Source, file_bytes: int) -> None:
    """Refuse a footer whose claims contradict each other, or go beyond the limits."""
    chunks = [(group, chunk) for group in groups for chunk in group.chunks_of(names)]
    for group, chunk in chunks:
        if chunk.values != group.rows:
            raise FileError(
                f"a row group claims {group.rows} rows, but column {chunk.path!r} has {chunk.values} values",
                rule="file",
            )
    in_groups = sum(group.rows for group in groups)
    if in_groups != rows:
        raise FileError(f"the footer claims {rows} rows, but its row groups {in_groups}", rule="file")
    source.check_kept(rows)
    check_inflated(sum(chunk.inflated_bytes for _, chunk in chunks), file_bytes, "Parquet")


def _check_messages(messages: Iterable[Any], source: Source, file_bytes: int) -> None:
    """Refuse record batches and dictionaries that claim more rows or bytes than the limits allow."""
    rows = inflated_bytes = 0
    for message in messages:
        if message.type in ("record batch", "dictionary"):
            length, size = claims_of(memoryview(message.metadata), memoryview(message.body))
            inflated_bytes += size
            rows += length if message.type == "record batch" else 0
            source.check_kept(rows)
            check_inflated(inflated_bytes, file_bytes, "Arrow IPC")


def _stream_in(data: bytes) -> memoryview:
    """The IPC stream of a file, which stands between two magic numbers, or the stream itself.

    The footer of a file is not used: it only says again where the batches are.
    """
    if not data.startswith(_FILE_MAGIC):
        return memoryview(data)
    if not data.endswith(_FILE_MAGIC):
        raise FileError("it is cut off", rule="file")
    return memoryview(data)[_FILE_HEAD_BYTES:]
