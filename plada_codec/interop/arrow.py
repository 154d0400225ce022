"""The formats `arrow` (Arrow IPC, file or stream) and `parquet`: integer columns `index` and `label`. Extra `arrow`.

The rest of the payload is a JSON object under `plada` in the schema's metadata, each key of which is optional:

    {"reference_size": .., "num_classes": .., "reference_digest": hex, "offset": .., "stride": ..,
     "class_names": [..] or null}

Written: index as int64, label as int32; IPC as a file.
"""

from __future__ import annotations

import json
from typing import Any, BinaryIO

from plada_codec.files import BadFile
from plada_codec.interop.base import Contents, Source, extra_module, faults_are
from plada_codec.payload import Payload, Universe

_COLUMNS = ("index", "label")
_METADATA_KEY = b"plada"
_SAID = ("reference_size", "num_classes", "reference_digest", "universe", "class_names")
#: What an IPC file begins with, and an IPC stream does not.
_FILE_MAGIC = b"ARROW1"


def read_ipc(source: Source) -> Contents:
    """Reads the two columns, batch by batch."""
    pyarrow = extra_module("pyarrow", "arrow")
    data = source.read_all()
    is_file = data.startswith(_FILE_MAGIC)
    opener = pyarrow.ipc.open_file if is_file else pyarrow.ipc.open_stream
    with faults_are("not Arrow IPC, or damaged"):
        schema = opener(data).schema
        options = pyarrow.ipc.IpcReadOptions(included_fields=_column_numbers(pyarrow, schema), use_threads=False)
        reader = opener(data, options=options)
        batches: list[Any] = []
        kept = 0
        for batch in map(reader.get_batch, range(reader.num_record_batches)) if is_file else reader:
            kept += batch.num_rows
            source.check_kept(kept)
            batches.append(batch)
        return _contents(pyarrow.Table.from_batches(batches, reader.schema), schema.metadata)


def read_parquet(source: Source) -> Contents:
    """Reads the two columns."""
    pyarrow = extra_module("pyarrow", "arrow")
    parquet = extra_module("pyarrow.parquet", "arrow")
    data = source.read_all()
    with faults_are("not Parquet, or damaged"):
        file = parquet.ParquetFile(pyarrow.BufferReader(data))
        schema = file.schema_arrow
        _column_numbers(pyarrow, schema)
        source.check_kept(file.metadata.num_rows)
        return _contents(file.read(columns=list(_COLUMNS), use_threads=False), schema.metadata)


def write_ipc(payload: Payload, stream: BinaryIO) -> None:
    """Writes an IPC file of one batch."""
    pyarrow = extra_module("pyarrow", "arrow")
    table = _table(pyarrow, payload)
    with pyarrow.ipc.new_file(stream, table.schema) as writer:
        writer.write_table(table)


def write_parquet(payload: Payload, stream: BinaryIO) -> None:
    """Writes a Parquet file."""
    pyarrow = extra_module("pyarrow", "arrow")
    extra_module("pyarrow.parquet", "arrow").write_table(_table(pyarrow, payload), stream)


def _column_numbers(pyarrow: Any, schema: Any) -> list[int]:
    numbers = []
    for name in _COLUMNS:
        found = schema.get_all_field_indices(name)
        if len(found) != 1:
            raise BadFile(f"there must be one column {name!r}, not {len(found)}", rule="file")
        kind = schema.field(found[0]).type
        if not pyarrow.types.is_integer(kind):
            raise BadFile(f"column {name!r} must be integers, not {kind}", rule="file")
        numbers.append(found[0])
    return numbers


def _contents(table: Any, metadata: dict[bytes, bytes] | None) -> Contents:
    table.validate(full=True)
    for name in _COLUMNS:
        if missing_values := table.column(name).null_count:
            raise BadFile(f"column {name!r} has {missing_values} missing values", rule="file")
    indices, labels = (table.column(name).to_numpy() for name in _COLUMNS)
    with faults_are("the schema's metadata 'plada' is not what it should be"):
        said = json.loads((metadata or {}).get(_METADATA_KEY, b"{}"))
        bounds = {name: said.pop(name) for name in ("offset", "stride") if name in said}
        if bounds:
            said["universe"] = Universe(**bounds)
        if "reference_digest" in said:
            said["reference_digest"] = bytes.fromhex(said["reference_digest"])
        if not isinstance(said.get("class_names"), list | None):
            raise TypeError("class_names is no list")
        return Contents(indices, labels, {name: value for name, value in said.items() if name in _SAID})


def _table(pyarrow: Any, payload: Payload) -> Any:
    said = {
        "reference_size": payload.reference_size,
        "num_classes": payload.num_classes,
        "reference_digest": payload.reference_digest.hex(),
        "offset": payload.universe.offset,
        "stride": payload.universe.stride,
        "class_names": payload.class_names,
    }
    table = pyarrow.table(dict(zip(_COLUMNS, (payload.indices, payload.labels), strict=True)))
    return table.replace_schema_metadata({_METADATA_KEY: json.dumps(said)})
