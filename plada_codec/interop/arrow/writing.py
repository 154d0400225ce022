"""Write Arrow IPC and Parquet."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, BinaryIO

import numpy as np

from plada_codec.errors import InvalidPayload
from plada_codec.extras import extra_module
from plada_codec.interop.arrow.columns import COLUMNS, METADATA_KEY, SECTION_FIELDS, WEIGHTS_COLUMN
from plada_codec.interop.named import NAMED_COLUMNS, ImageName, named_blocks
from plada_codec.payload import Payload


def write_ipc(payload: Payload, stream: BinaryIO) -> None:
    """Write an IPC file of one batch."""
    _write_ipc(_table(payload, COLUMNS, payload.indices, payload.labels), stream)


def write_parquet(payload: Payload, stream: BinaryIO) -> None:
    """Write a Parquet file."""
    _write_parquet(_table(payload, COLUMNS, payload.indices, payload.labels), stream)


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
    for name in SECTION_FIELDS:
        value = payload.sections.get(name)
        metadata[name] = value.tolist() if isinstance(value, np.ndarray) else value
    columns = dict(zip(names, (images, labels), strict=True))
    if payload.weights is not None:
        columns[WEIGHTS_COLUMN] = payload.weights
    table = extra_module("pyarrow", "arrow").table(columns)
    return table.replace_schema_metadata({METADATA_KEY: json.dumps(metadata)})
