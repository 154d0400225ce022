"""Tables and columns in memory, of numpy, pandas, polars, pyarrow, torch, jax and Hugging Face's datasets.

None of these packages is imported: an object is known by the package of its type. Missing values are refused, in
whatever way a package marks them: masks, nulls, NA or NaN.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from plada_codec.errors import FileError, InvalidArgument, PladaError
from plada_codec.tables.arrow_columns import arrow_values
from plada_codec.tables.hugging_face import class_names_in
from plada_codec.tables.numbers import whole_numbers
from plada_codec.tables.table import (
    Choice,
    Table,
    Values,
    column_of,
    neither_numbers_nor_names,
    not_whole,
    row_number,
    table_of,
)

_Place = Callable[[int], str]


class Column(NamedTuple):
    """Values of a column, and the names of the classes that they count, if the column says them."""

    values: Values
    class_names: tuple[str, ...] | None = None


def table_of_object(table: Any, choice: Choice) -> Table:
    """The columns of images and labels of any table in memory.

    Raises:
        InvalidArgument: (rule columns) if it is no table, or it is not clear which columns to read.
        FileError: if a value is missing, or neither a whole number nor a name; the message names the row, from 1.
    """
    if isinstance(table, np.ndarray):
        return table_of_array(table, choice, lambda rows: None)
    names, columns = _columns_of(table)
    image, label = choice.of(names)
    package = _package_of(table)
    if package == "datasets":
        chosen = table.select_columns([names[image], names[label]]).with_format("arrow")[:]
        columns = [None] * len(names)
        columns[image], columns[label] = chosen.column(names[image]), chosen.column(names[label])
    images = column_values(columns[image], "index")
    labels = column_values(columns[label], "label")
    class_names = labels.class_names
    if package == "datasets":
        class_names = getattr(table.features[names[label]], "names", None)
    elif package == "pyarrow":
        class_names = class_names_in(table.schema.metadata, names[label])
    if len(images.values) != len(labels.values):
        raise FileError(f"{len(images.values)} indices, but {len(labels.values)} labels", rule="file")
    made = table_of(images.values, labels.values, row_number, names[image])
    return made if class_names is None else replace(made, class_names=tuple(class_names))


def table_of_array(array: np.ndarray[Any, Any], choice: Choice, check_rows: Callable[[int], None]) -> Table:
    """The columns of images and labels of an array: of its fields, or of its second axis."""
    image_column = None
    if array.dtype.names is not None and array.ndim == 1:
        names = list(array.dtype.names)
        image, label = choice.of(names)
        image_column = names[image]
        columns = [array[name] for name in names]
    elif array.ndim == 2:
        image, label = choice.of_unnamed(array.shape[1])
        columns = list(array.T)
    else:
        raise FileError(
            f"an array of {array.dtype} and shape {array.shape} is no table: it must have records, or two columns",
            rule="file",
        )
    check_rows(len(array))
    images, labels = (column_values(columns[at], what).values for at, what in ((image, "index"), (label, "label")))
    return table_of(images, labels, row_number, image_column)


def column_values(column: Any, what: str, place: _Place = row_number) -> Column:
    """The values of a column of any package.

    Args:
        column: an array, a series, a tensor or a list.
        what: its meaning, `index` or `label`, for messages. Categories of labels are class names.
        place: the place of a row, for messages.

    Raises:
        FileError: if a value is missing, or neither a whole number nor a name; the message names the row.
    """
    read = _READERS.get(_package_of(column), _of_array)
    try:
        return read(column, what, place)
    except PladaError:
        raise
    except Exception as error:  # the packages raise any kind
        reason = " ".join(str(error).split()) or type(error).__name__
        raise FileError(f"{what}: no column of numbers or names: {reason}", rule="file") from None


def _package_of(value: Any) -> str:
    return type(value).__module__.partition(".")[0]


def _columns_of(table: Any) -> tuple[list[str], Sequence[Any]]:
    """The names of the columns, and the columns."""
    package, kind = _package_of(table), type(table).__name__
    if isinstance(table, Mapping) and package != "datasets":
        return [str(name) for name in table], list(table.values())
    if package == "pandas" and kind == "DataFrame":
        levels = [level for level, name in enumerate(table.index.names) if name is not None]
        columns = [table.index.get_level_values(level) for level in levels]
        columns += [table.iloc[:, at] for at in range(table.shape[1])]
        return [str(column.name) for column in columns], columns
    if package == "polars" and kind == "DataFrame":
        return list(table.columns), table.get_columns()
    if package == "pyarrow" and kind in ("Table", "RecordBatch"):
        return list(table.schema.names), table.columns
    if package == "datasets" and kind == "Dataset":
        return list(table.column_names), ()
    hint = ": choose one of its splits" if kind.endswith("DatasetDict") else ""
    raise InvalidArgument(f"{package}.{kind} is no table that can be read{hint}", rule="columns")


def _refuse_missing(missing: Any, what: str, place: _Place) -> None:
    missing = np.asarray(missing)
    if missing.any():
        raise not_whole(place(int(np.argmax(missing))), what, None)


def _of_array(column: Any, what: str, place: _Place) -> Column:
    """Of numpy, of a package whose columns numpy understands, such as jax, or of Python."""
    if isinstance(column, np.ma.MaskedArray):
        _refuse_missing(np.ma.getmaskarray(column), what, place)
        column = column.data
    if isinstance(column, list | tuple):
        return Column(column_of(column, place, what))
    array = np.asarray(column)
    if array.ndim != 1:
        raise FileError(f"{what}: a column has one dimension, not {array.ndim}", rule="file")
    if array.dtype.kind in "OU":
        return Column(column_of(array.tolist(), place, what))
    if array.dtype.kind not in "iuf":
        raise neither_numbers_nor_names(what, array.dtype)
    numbers, bad = whole_numbers(array)
    if bad is not None:
        raise not_whole(place(bad), what, array[bad])
    return Column(numbers)


def _of_pandas(column: Any, what: str, place: _Place) -> Column:
    array = getattr(column, "array", column)
    _refuse_missing(array.isna(), what, place)
    if str(array.dtype) != "category":
        return _of_array(array.to_numpy(), what, place)
    return _of_categories(np.asarray(array.codes), list(array.categories), what, place)


def _of_polars(column: Any, what: str, place: _Place) -> Column:
    if column.null_count():
        _refuse_missing(column.is_null().to_numpy(), what, place)
    kind = str(column.dtype.base_type())
    if kind == "Enum":
        return _of_categories(column.to_physical().to_numpy(), column.dtype.categories.to_list(), what, place)
    if kind in ("Categorical", "String", "Int128", "UInt128"):
        return _of_array(column.to_list(), what, place)
    return _of_array(column.to_numpy(), what, place)


def _of_categories(codes: np.ndarray[Any, Any], categories: list[Any], what: str, place: _Place) -> Column:
    """Categories of labels that are names are classes; all others are values."""
    if what == "label" and categories and all(isinstance(name, str) for name in categories):
        return Column(codes.astype(np.int64), tuple(categories))
    return _of_array([categories[code] for code in codes.tolist()], what, place)


def _of_arrow(column: Any, what: str, place: _Place) -> Column:
    return Column(arrow_values(column, what, place))


def _of_torch(column: Any, what: str, place: _Place) -> Column:
    column = column.detach().cpu()
    is_narrow = column.dtype.is_floating_point and column.element_size() < 4  # numpy has no bfloat16
    return _of_array((column.float() if is_narrow else column).numpy(), what, place)


def _of_datasets(column: Any, what: str, place: _Place) -> Column:
    return _of_array(list(column), what, place)


_READERS: dict[str, Callable[[Any, str, _Place], Column]] = {
    "pandas": _of_pandas,
    "polars": _of_polars,
    "pyarrow": _of_arrow,
    "torch": _of_torch,
    "datasets": _of_datasets,
}
