"""The columns and the metadata of the formats `arrow` and `parquet`."""

from __future__ import annotations

from plada_codec.sections.registry import SECTIONS

COLUMNS, WEIGHTS_COLUMN = ("index", "label"), "weight_code"
METADATA_KEY = b"plada"
#: Optional sections in the schema's metadata: all but the weights, which are a column.
SECTION_FIELDS = tuple(section.field for section in SECTIONS if section.field != "weights")
