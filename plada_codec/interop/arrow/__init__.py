"""The formats `arrow` (Arrow IPC, file or stream) and `parquet`: columns `index` and `label` (extra `arrow`).

A third column, `weight_code`, exists only if the payload has weights. Readers take columns of other names, of any whole
numbers, and dictionaries of them. If a label is a ClassLabel of Hugging Face's datasets, its names are the class names.

The rest of the payload is a JSON object under `plada` in the schema's metadata. Each of its keys is optional:

    {"reference_size": .., "num_classes": .., "reference_digest": hex, "class_check": hex, "offset": .., "stride": ..,
     "class_names": [..] or null, "soft_labels": a list of codes for each used class, or null}

The writers use int64 for index, int32 for label, uint8 for weight_code; they write IPC as a file, not as a stream.
"""

from __future__ import annotations

import io
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, BinaryIO

import numpy as np

from plada_codec.errors import FileError, InvalidPayload
from plada_codec.extras import extra_module
from plada_codec.interop.arrow.messages import claims_of
from plada_codec.interop.base import Contents, Source, file_errors
from plada_codec.interop.named import NAMED_COLUMNS, ImageName, named_blocks
from plada_codec.payload import Payload
from plada_codec.sections.registry import SECTIONS
from plada_codec.tables.arrow_columns import arrow_values, class_names_in, rows_after
from plada_codec.tables.compressed import check_inflated
from plada_codec.tables.parquet_pages import largest_page
from plada_codec.tables.table import TableBuilder
from plada_codec.universe import Universe

_COLUMNS, _WEIGHTS_COLUMN = ("index", "label"), "weight_code"
_METADATA_KEY = b"plada"
#: Optional sections in the schema's metadata: all but the weights, which are a column.
_SECTIONS = tuple(section.field for section in SECTIONS if section.field != "weights")
_METADATA = ("reference_size", "num_classes", "reference_digest", "class_check", "universe", *_SECTIONS)
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
        _check_footer(file.metadata, names, source, len(data))
        for group in map(file.metadata.row_group, range(file.metadata.num_row_groups)):
            if group.num_rows:
                check_inflated(largest_page(io.BytesIO(data), group, names), len(data), "Parquet")
        batches = file.iter_batches(_BATCH_ROWS, columns=names, use_threads=False)
        return _contents(batches, columns, source, schema.metadata)


def write_ipc(payload: Payload, stream: BinaryIO) -> None:
    """Write an IPC file of one batch."""
    _write_ipc(_table(payload, _COLUMNS, payload.indices, payload.labels), stream)


def write_parquet(payload: Payload, stream: BinaryIO) -> None:
    """Write a Parquet file."""
    _write_parquet(_table(payload, _COLUMNS, payload.indices, payload.labels), stream)


def write_named_ipc(payload: Payload, image_name: ImageName, stream: BinaryIO) -> None:
    """Write an IPC file with names."""
    _write_ipc(_named_table(payload, image_name), stream)


def write_named_parquet(payload: Payload, image_name: ImageName, stream: BinaryIO) -> None:
    """Write a Parquet file with names."""
    _write_parquet(_named_table(payload, image_name), stream)


def _write_ipc(table: Any, stream: BinaryIO) -> None:
    with extra_module("pyarrow", "arrow").ipc.new_file(stream, table.schema) as writer:
        writer.write_table(table)


def _write_parquet(table: Any, stream: BinaryIO) -> None:
    extra_module("pyarrow.parquet", "arrow").write_table(table, stream)


def _columns(names: list[str], source: Source) -> dict[str, str]:
    """The columns to read: their names, by what they hold."""
    image, label = source.choice.of(names)
    columns = {"index": names[image], "label": names[label]}
    if _WEIGHTS_COLUMN in names:
        columns[_WEIGHTS_COLUMN] = _WEIGHTS_COLUMN
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
        weights.append(values.get(_WEIGHTS_COLUMN, ()))
    table = builder.table()
    fields = _fields((metadata or {}).get(_METADATA_KEY, b"{}"))
    if _WEIGHTS_COLUMN in columns:
        fields["weights"] = np.concatenate(weights) if weights else np.empty(0, np.int64)
    class_names = class_names_in(metadata, columns["label"])
    if class_names is not None and fields.get("class_names") is None:
        fields["class_names"] = class_names
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


def _check_footer(metadata: Any, names: Collection[str], source: Source, file_bytes: int) -> None:
    """Refuse a footer whose claims contradict each other, or go beyond the limits."""
    rows, inflated_bytes = 0, 0
    for number in range(metadata.num_row_groups):
        group = metadata.row_group(number)
        rows += group.num_rows
        for column in map(group.column, range(group.num_columns)):
            if column.path_in_schema in names:
                if column.num_values != group.num_rows:
                    raise FileError(
                        f"a row group claims {group.num_rows} rows, but column {column.path_in_schema!r} has "
                        f"{column.num_values} values",
                        rule="file",
                    )
                inflated_bytes += column.total_uncompressed_size
    if rows != metadata.num_rows:
        raise FileError(f"the footer claims {metadata.num_rows} rows, but its row groups {rows}", rule="file")
    source.check_kept(rows)
    check_inflated(inflated_bytes, file_bytes, "Parquet")


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


def _named_table(payload: Payload, image_name: ImageName) -> Any:
    pyarrow = extra_module("pyarrow", "arrow")
    images: list[Any] = []
    labels: list[Any] = []
    try:
        for some_images, some_labels in named_blocks(payload, image_name):
            images.append(pyarrow.array(some_images, pyarrow.string()))
            labels.append(pyarrow.array(some_labels))
    except UnicodeEncodeError:
        raise InvalidPayload("an image has a name that is no text: write the format csv", rule="format") from None
    if not images:
        return _table(payload, NAMED_COLUMNS, pyarrow.array([], pyarrow.string()), payload.labels)
    return _table(payload, NAMED_COLUMNS, pyarrow.chunked_array(images), pyarrow.chunked_array(labels))


def _table(payload: Payload, names: Sequence[str], images: Any, labels: Any) -> Any:
    metadata = {
        "reference_size": payload.reference_size,
        "num_classes": payload.num_classes,
        "reference_digest": payload.reference_digest.hex(),
        "class_check": payload.class_check.hex(),
        "offset": payload.universe.offset,
        "stride": payload.universe.stride,
    }
    for name in _SECTIONS:
        value = payload.sections.get(name)
        metadata[name] = value.tolist() if isinstance(value, np.ndarray) else value
    columns = dict(zip(names, (images, labels), strict=True))
    if payload.weights is not None:
        columns[_WEIGHTS_COLUMN] = payload.weights
    table = extra_module("pyarrow", "arrow").table(columns)
    return table.replace_schema_metadata({_METADATA_KEY: json.dumps(metadata)})
