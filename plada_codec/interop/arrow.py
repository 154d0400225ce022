"""The formats `arrow` (Arrow IPC, file or stream) and `parquet`: integer columns `index` and `label` (extra `arrow`).

A third integer column, `weight_code`, exists only if the payload has weights.

The rest of the payload is a JSON object under `plada` in the schema's metadata. Each of its keys is optional:

    {"reference_size": .., "num_classes": .., "reference_digest": hex, "class_check": hex, "offset": .., "stride": ..,
     "class_names": [..] or null, "soft_labels": a list of codes for each used class, or null}

The writers use int64 for index, int32 for label, uint8 for weight_code; they write IPC as a file, not as a stream.
"""

from __future__ import annotations

import json
from typing import Any, BinaryIO

import numpy as np

from plada_codec.errors import FileError
from plada_codec.extras import extra_module
from plada_codec.interop.base import Contents, Source, file_errors
from plada_codec.payload import Payload
from plada_codec.sections.registry import SECTIONS
from plada_codec.universe import Universe

_COLUMNS, _WEIGHTS_COLUMN = ("index", "label"), "weight_code"
_METADATA_KEY = b"plada"
#: Optional sections in the schema's metadata: all but the weights, which are a column.
_SECTIONS = tuple(section.field for section in SECTIONS if section.field != "weights")
_METADATA = ("reference_size", "num_classes", "reference_digest", "class_check", "universe", *_SECTIONS)
#: First bytes of an IPC file; an IPC stream begins differently.
_FILE_MAGIC = b"ARROW1"


def read_ipc(source: Source) -> Contents:
    """Read Arrow IPC, file or stream, batch by batch."""
    pyarrow = extra_module("pyarrow", "arrow")
    data = source.read_all()
    is_file = data.startswith(_FILE_MAGIC)
    opener = pyarrow.ipc.open_file if is_file else pyarrow.ipc.open_stream
    with file_errors("not Arrow IPC, or damaged"):
        schema = opener(data).schema
        numbers = list(_columns(pyarrow, schema).values())
        options = pyarrow.ipc.IpcReadOptions(included_fields=numbers, use_threads=False)
        reader = opener(data, options=options)
        batches: list[Any] = []
        kept = 0
        for batch in map(reader.get_batch, range(reader.num_record_batches)) if is_file else reader:
            kept += batch.num_rows
            source.check_kept(kept)
            batches.append(batch)
        return _contents(pyarrow.Table.from_batches(batches, reader.schema), schema.metadata)


def read_parquet(source: Source) -> Contents:
    """Read a Parquet file."""
    pyarrow = extra_module("pyarrow", "arrow")
    parquet = extra_module("pyarrow.parquet", "arrow")
    data = source.read_all()
    with file_errors("not Parquet, or damaged"):
        file = parquet.ParquetFile(pyarrow.BufferReader(data))
        schema = file.schema_arrow
        columns = list(_columns(pyarrow, schema))
        source.check_kept(file.metadata.num_rows)
        return _contents(file.read(columns=columns, use_threads=False), schema.metadata)


def write_ipc(payload: Payload, stream: BinaryIO) -> None:
    """Write an IPC file of one batch."""
    pyarrow = extra_module("pyarrow", "arrow")
    table = _table(pyarrow, payload)
    with pyarrow.ipc.new_file(stream, table.schema) as writer:
        writer.write_table(table)


def write_parquet(payload: Payload, stream: BinaryIO) -> None:
    """Write a Parquet file."""
    pyarrow = extra_module("pyarrow", "arrow")
    extra_module("pyarrow.parquet", "arrow").write_table(_table(pyarrow, payload), stream)


def _columns(pyarrow: Any, schema: Any) -> dict[str, int]:
    """The columns to read: their numbers by name."""
    numbers = {}
    with_weights = _WEIGHTS_COLUMN in schema.names
    for name in (*_COLUMNS, _WEIGHTS_COLUMN) if with_weights else _COLUMNS:
        found = schema.get_all_field_indices(name)
        if len(found) != 1:
            raise FileError(f"there must be one column {name!r}, not {len(found)}", rule="file")
        kind = schema.field(found[0]).type
        if not pyarrow.types.is_integer(kind):
            raise FileError(f"column {name!r} must be integers, not {kind}", rule="file")
        numbers[name] = found[0]
    return numbers


def _contents(table: Any, metadata: dict[bytes, bytes] | None) -> Contents:
    table.validate(full=True)
    for name in table.column_names:
        if missing_values := table.column(name).null_count:
            raise FileError(f"column {name!r} has {missing_values} missing values", rule="file")
    columns = {name: table.column(name).to_numpy() for name in table.column_names}
    indices, labels = (columns[name] for name in _COLUMNS)
    with file_errors("the schema's metadata 'plada' is not what it should be"):
        fields = json.loads((metadata or {}).get(_METADATA_KEY, b"{}"))
        bounds = {name: fields.pop(name) for name in ("offset", "stride") if name in fields}
        if bounds:
            fields["universe"] = Universe(**bounds)
        for name in ("reference_digest", "class_check"):
            if name in fields:
                fields[name] = bytes.fromhex(fields[name])
        if not isinstance(fields.get("class_names"), list | None):
            raise TypeError("class_names is no list")
        fields = {name: value for name, value in fields.items() if name in _METADATA}
        if _WEIGHTS_COLUMN in columns:
            fields["weights"] = columns[_WEIGHTS_COLUMN]
        return Contents(indices, labels, fields)


def _table(pyarrow: Any, payload: Payload) -> Any:
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
    columns = dict(zip(_COLUMNS, (payload.indices, payload.labels), strict=True))
    if payload.weights is not None:
        columns[_WEIGHTS_COLUMN] = payload.weights
    table = pyarrow.table(columns)
    return table.replace_schema_metadata({_METADATA_KEY: json.dumps(metadata)})
