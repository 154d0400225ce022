"""Columns of Arrow, whatever their type. pyarrow made them: it is not imported."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from plada_codec.tables.numbers import whole_numbers
from plada_codec.tables.table import Values, column_of, neither_numbers_nor_names, not_whole, row_number

if TYPE_CHECKING:
    from numpy.typing import NDArray


def arrow_values(column: Any, what: str, place: Callable[[int], str]) -> Values:
    """The whole numbers or names of an Array or ChunkedArray; dictionaries are looked up.

    Raises:
        FileError: if a value is missing, or neither a whole number nor a name; the message names the row.
    """
    chunks = column.chunks if hasattr(column, "chunks") else [column]
    begins = itertools.accumulate(map(len, chunks), initial=0)
    parts = [
        _chunk_values(chunk, what, rows_after(begin, place))
        for begin, chunk in zip(begins, chunks, strict=False)
        if len(chunk)
    ]
    if any(isinstance(part, list) for part in parts):
        return [name for part in parts for name in part]
    return np.concatenate(parts) if parts else np.empty(0, np.int64)


def rows_after(begin: int, place: Callable[[int], str] = row_number) -> Callable[[int], str]:
    """The places of rows that are counted from row `begin` on."""
    return lambda row: place(begin + row)


def _chunk_values(chunk: Any, what: str, place: Callable[[int], str]) -> Values:
    if chunk.null_count:
        raise not_whole(place(int(np.argmax(chunk.is_null().to_numpy(zero_copy_only=False)))), what, None)
    kind = str(chunk.type)
    if kind.startswith("extension<"):
        return _chunk_values(chunk.storage, what, place)
    if kind.startswith("dictionary<"):
        # Not all at once: a long name may be there millions of times
        values = chunk.dictionary.to_pylist()
        codes = chunk.indices.to_numpy(zero_copy_only=False)
        looked_up: NDArray[Any] = np.empty(len(values), object)
        looked_up[:] = values
        return column_of(looked_up[codes].tolist(), place, what)
    if kind.startswith("decimal"):
        return column_of(chunk.to_pylist(), place, what)
    if kind in ("string", "large_string", "string_view"):
        return column_of(chunk.to_pylist(), place, what)
    if not kind.startswith(("int", "uint", "halffloat", "float", "double")):
        raise neither_numbers_nor_names(what, kind)
    values = chunk.to_numpy(zero_copy_only=False)
    numbers, bad = whole_numbers(values)
    if bad is not None:
        raise not_whole(place(bad), what, values[bad])
    return numbers
