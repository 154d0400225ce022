"""The formats `arrow` (Arrow IPC, file or stream) and `parquet`: columns `index` and `label` (extra `arrow`).

A third column, `weight_code`, exists only if the payload has weights. Readers take columns of other names, of any whole
numbers, and dictionaries of them. If a label is a ClassLabel of Hugging Face's datasets, its names are the class names.

The rest of the payload is a JSON object under `plada` in the schema's metadata. Each of its keys is optional:

    {"reference_size": .., "num_classes": .., "reference_digest": hex, "class_check": hex, "offset": .., "stride": ..,
     "class_names": [..] or null, "soft_labels": a list of codes for each used class, or null}

The writers use int64 for index, int32 for label, uint8 for weight_code; they write IPC as a file, not as a stream.
"""

from __future__ import annotations

from plada_codec.interop.arrow.reading import read_ipc, read_parquet
from plada_codec.interop.arrow.writing import write_ipc, write_named_ipc, write_named_parquet, write_parquet

__all__ = ["read_ipc", "read_parquet", "write_ipc", "write_named_ipc", "write_named_parquet", "write_parquet"]
