"""Tables in memory are read with their masks, categories and class names, or refused by row.

pandas, polars, jax and Hugging Face's datasets need not be installed: their tests are skipped without them.
"""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from plada_codec import InvalidArgument, Payload, PladaError
from plada_codec.interop import from_table

SIZES: dict[str, Any] = {"reference_size": 100, "num_classes": 10}
EXAMPLE = Payload([3, 14, 15], [6, 5, 3], **SIZES)
INDICES, LABELS = [3, 14, 15], [6, 5, 3]
CLASSES = ("bear", "cat", "dog")
#: A payload of class names: labels cat, dog, cat of CLASSES.
NAMED = Payload(INDICES, [1, 2, 1], 100, 3, class_names=CLASSES)


def refused(table: Any, **given: Any) -> str:
    """The message of the error that a table raises: one line."""
    with pytest.raises(PladaError) as caught:
        from_table(table, **(SIZES | given))
    message = str(caught.value)
    assert message.isprintable()
    return message


@pytest.mark.parametrize(
    "make",
    [
        list,
        tuple,
        np.array,
        lambda values: np.array(values, np.float32),
        lambda values: np.array(values, object),
        lambda values: np.ma.array(values, mask=[False, False, False]),
        lambda values: [float(value) for value in values],
        lambda values: [np.int8(value) for value in values],
        lambda values: [Decimal(value) for value in values],
        lambda values: [f"{value}" for value in values],
    ],
)
def test_columns_of_numpy_and_python_are_read(make: Any) -> None:
    assert from_table({"index": make(INDICES), "label": make(LABELS)}, **SIZES) == EXAMPLE
    assert from_table({"b": make(LABELS), "a": make(INDICES)}, index_column="a", label_column="b", **SIZES) == EXAMPLE
    shuffled = {"index": make(INDICES[::-1]), "label": make(LABELS[::-1])}
    assert from_table(shuffled, sort=True, **SIZES) == EXAMPLE


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([6, 5], "3 indices, but 2 labels"),
        ([6, None, 3], "row 2: label is missing"),
        ([6, 5.5, 3], "row 2: label 5.5 is not a whole number"),
        ([6, True, 3], "row 2: label True is not a whole number"),
        ([6, "5", 3], "row 2: label '5' is not a whole number"),
        (["6", 5, 3], "row 2: label 5 is no name, as '6' is"),
        (["cat", "dog", "cat"], "row 1: label 'cat' is a name: give the names of all classes"),
        (np.ma.array([6, 5, 3], mask=[False, True, False]), "row 2: label is missing"),
        (np.array([6, np.nan, 3]), "row 2: label nan is not a whole number"),
        (np.array([[6, 5, 3]]), "label: a column has one dimension, not 2"),
        (np.array([True, False, True]), "label: a column of bool holds neither whole numbers nor names"),
        (np.array(["2020", "2021", "2022"], "M8[Y]"), "label: a column of datetime64[Y] holds neither"),
        (7, "label: a column has one dimension, not 0"),
    ],
)
def test_bad_columns_are_refused_by_row(labels: Any, message: str) -> None:
    assert message in refused({"index": INDICES, "label": labels})


def test_an_object_that_is_no_table_is_refused() -> None:
    for table in (None, 7, "index,label", INDICES, [[3, 6]], object()):
        with pytest.raises(InvalidArgument, match="is no table that can be read"):
            from_table(table, **SIZES)


def test_an_object_whose_array_fails_is_refused_in_one_line() -> None:
    class Broken:
        def __array__(self, *arguments: Any, **more: Any) -> Any:
            raise RuntimeError("no\narray")

    assert "label: no column of numbers or names: no array" in refused({"index": INDICES, "label": Broken()})


def test_columns_of_torch_are_read() -> None:
    torch = pytest.importorskip("torch")
    for dtype in (torch.int64, torch.uint8, torch.float32, torch.bfloat16, torch.float16):
        table = {"index": torch.tensor(INDICES), "label": torch.tensor(LABELS, dtype=dtype)}
        assert from_table(table, **SIZES) == EXAMPLE, dtype
    with_gradient = torch.tensor([6.0, 5.0, 3.0], requires_grad=True)
    assert from_table({"index": INDICES, "label": with_gradient}, **SIZES) == EXAMPLE
    assert "label: a column of bool" in refused({"index": INDICES, "label": torch.tensor([True, False, True])})


def test_tables_of_arrow_are_read() -> None:
    pa = pytest.importorskip("pyarrow")
    for kind in (pa.int8(), pa.uint64(), pa.float32(), pa.float64(), pa.decimal128(12, 2)):
        table = pa.table({"note": ["a", "b", "c"], "label": pa.array(LABELS, kind), "index": INDICES})
        assert from_table(table, **SIZES) == EXAMPLE
        assert from_table(table.to_batches()[0], **SIZES) == EXAMPLE
        assert from_table({"index": table["index"], "label": table["label"].dictionary_encode()}, **SIZES) == EXAMPLE
    texts = pa.array([str(label) for label in LABELS], pa.large_string())
    assert from_table(pa.table({"index": INDICES, "label": texts}), **SIZES) == EXAMPLE
    fractions = pa.array([Decimal("6.00"), Decimal("5.50"), Decimal(3)])
    assert "row 2: label 5.50 is not a whole number" in refused(pa.table({"index": INDICES, "label": fractions}))
    assert "row 2: label is missing" in refused(pa.table({"index": INDICES, "label": [6, None, 3]}))
    assert "row 1: label 'a' is a name" in refused({"index": INDICES, "label": pa.array(["a", "b", "a"])})
    assert "a column of bool" in refused({"index": INDICES, "label": pa.array([True, False, True])})


def test_tables_of_pandas_are_read() -> None:
    pd = pytest.importorskip("pandas", reason="needs pandas")
    frame = pd.DataFrame({"index": INDICES, "score": [0.5, 0.1, 0.2], "label": LABELS})
    assert from_table(frame, **SIZES) == EXAMPLE
    assert from_table(frame.set_index("index"), **SIZES) == EXAMPLE
    twice = frame.set_index(pd.Index([1, 2, 3], name="index"))
    assert "the columns are 'index', 'index', 'score', 'label'" in refused(twice)
    assert from_table(twice, index_column="2", **SIZES) == EXAMPLE
    for kind in ("Int64", "float64", "Float32", "int64[pyarrow]", "category"):
        assert from_table(frame.astype({"label": kind, "index": kind}), **SIZES) == EXAMPLE, kind
    assert "row 2: label is missing" in refused(frame.assign(label=pd.array([6, None, 3], "Int64")))
    assert "row 2: label is missing" in refused(frame.assign(label=[6, np.nan, 3]))
    named = frame.assign(label=pd.Categorical(["cat", "dog", "cat"], CLASSES))
    assert from_table(named, reference_size=100) == NAMED
    assert "row 2: label is missing" in refused(frame.assign(label=pd.Categorical(["cat", None, "cat"], CLASSES)))
    assert "row 1: label 'cat' is a name" in refused(frame.assign(label=["cat", "dog", "cat"]))
    assert "the columns are 'a', 'score', 'label'" in refused(frame.rename(columns={"index": "a"}))


def test_tables_of_polars_are_read() -> None:
    pl = pytest.importorskip("polars", reason="needs polars")
    frame = pl.DataFrame({"index": INDICES, "score": [0.5, 0.1, 0.2], "label": LABELS})
    for kind in (pl.Int128, pl.Decimal(12, 2), pl.String, pl.Int8, pl.UInt64, pl.Float32, pl.Float64):
        assert from_table(frame.with_columns(pl.col("label").cast(kind)), **SIZES) == EXAMPLE, kind
    assert "row 2: label is missing" in refused(frame.with_columns(label=pl.Series([6, None, 3])))
    named = frame.with_columns(label=pl.Series(["cat", "dog", "cat"], dtype=pl.Enum(CLASSES)))
    assert from_table(named, reference_size=100) == NAMED
    # The numbers of a Categorical are those of the process, and no classes
    categorical = frame.with_columns(label=pl.Series(["cat", "dog", "cat"], dtype=pl.Categorical))
    assert "row 1: label 'cat' is a name" in refused(categorical)


def test_columns_of_jax_are_read() -> None:
    jnp = pytest.importorskip("jax.numpy", reason="needs jax")
    table = {"index": jnp.array(INDICES), "label": jnp.array(LABELS, jnp.float32)}
    assert from_table(table, **SIZES) == EXAMPLE


def test_datasets_are_read_with_the_names_of_their_classes() -> None:
    datasets = pytest.importorskip("datasets", reason="needs datasets")
    features = datasets.Features({"index": datasets.Value("int32"), "label": datasets.ClassLabel(names=list(CLASSES))})
    data = datasets.Dataset.from_dict({"index": INDICES, "label": [1, 2, 1]}, features)
    assert from_table(data, reference_size=100) == NAMED
    assert from_table(data.select([2, 1, 0]), reference_size=100, sort=True) == NAMED
    assert from_table(data.data.table, reference_size=100) == NAMED
    assert from_table({"index": data["index"], "label": data["label"]}, **SIZES).labels.tolist() == [1, 2, 1]
    assert "choose one of its splits" in refused(datasets.DatasetDict({"train": data}))
    assert "choose one" not in refused(data.to_iterable_dataset())


def test_classes_of_a_column_are_matched_by_name_with_those_of_the_caller() -> None:
    pa = pytest.importorskip("pyarrow")
    features = {"label": {"_type": "ClassLabel", "names": CLASSES}}
    metadata = {"huggingface": json.dumps({"info": {"features": features}})}
    table = pa.table({"index": INDICES, "label": [1, 2, 1]}).replace_schema_metadata(metadata)
    assert from_table(table, reference_size=100) == NAMED
    other = ("cat", "lion", "dog")
    moved = Payload(INDICES, [0, 2, 0], 100, 3, class_names=other)
    assert from_table(table, reference_size=100, class_names=other) == moved
    assert from_table(table, reference_size=100, label_names=other) == Payload(INDICES, [0, 2, 0], 100, 3)
    assert "no class is named 'cat'" in refused(table, num_classes=None, class_names=("lion", "dog"))
    beyond = table.set_column(1, "label", pa.array([1, 3, 1]))
    assert "row 2: label 3 is outside the 3 classes" in refused(beyond, num_classes=None, class_names=other)


def test_a_payload_takes_whole_numbers_of_any_type_and_no_others() -> None:
    labels = np.array(LABELS, np.float16)
    good: list[Any] = [[3.0, 14, 15.0], *(np.array(INDICES, kind) for kind in ("f4", object, "u8", ">i2"))]
    for values in good:
        assert Payload(values, labels, **SIZES) == EXAMPLE
    bad_ones: list[tuple[Any, str]] = [
        ([3, 14.5, 15], "indices has 14.5 (number 1), which is not a whole number"),
        ([3, np.nan, 15], "indices has nan (number 1)"),
        ([3, None, 15], "indices has None (number 1)"),
        (np.array([3, "14", 15], object), "indices has '14' (number 1)"),
        (np.array([3, 14, 2**24 + 2], np.float32), "indices has 1"),
        ([True, False, True], "indices must be integers, not bool"),
    ]
    for bad, message in bad_ones:
        with pytest.raises(PladaError) as caught:
            Payload(bad, LABELS, **SIZES)
        assert message in str(caught.value)


def test_a_payload_takes_series_of_pandas_and_polars() -> None:
    pd = pytest.importorskip("pandas", reason="needs pandas")
    pl = pytest.importorskip("polars", reason="needs polars")
    for kind in ("int64", "Int64", "float64", "UInt8", "int64[pyarrow]"):
        assert Payload(pd.Series(INDICES, dtype=kind), pd.Series(LABELS, dtype=kind), **SIZES) == EXAMPLE, kind
    assert Payload(pl.Series(INDICES), pl.Series(LABELS, dtype=pl.Float32), **SIZES) == EXAMPLE
    with pytest.raises(PladaError, match=r"labels has .*which is not a whole number"):
        Payload(INDICES, pd.Series([6, None, 3], dtype="Int64"), **SIZES)
    with pytest.raises(PladaError, match="labels has 'cat'"):
        Payload(INDICES, pd.Series(pd.Categorical(["cat", "dog", "cat"])), **SIZES)
    with pytest.raises(PladaError):
        Payload(INDICES, pl.Series([6, None, 3]), **SIZES)
