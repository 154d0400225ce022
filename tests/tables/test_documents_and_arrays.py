"""Tables in JSON and in numpy arrays are read in any layout, or refused by line or row."""

from __future__ import annotations

import io
import json
from typing import Any

import numpy as np
import pytest

from plada_codec import InvalidArgument, LimitExceeded, Limits, Payload, PladaError
from plada_codec.errors import FileError
from plada_codec.interop import read

SIZES: dict[str, Any] = {"reference_size": 100, "num_classes": 10}
EXAMPLE = Payload([3, 14, 15], [6, 5, 3], **SIZES)


def payload(data: Any, format: str, **given: Any) -> Payload:
    if isinstance(data, np.ndarray):
        stream = io.BytesIO()
        np.save(stream, data)
        data = stream.getvalue()
    return read(io.BytesIO(data.encode() if isinstance(data, str) else data), format, **(SIZES | given))


@pytest.mark.parametrize(
    "document",
    [
        '[{"index":3,"label":6},{"label":5,"index":14.0,"score":0.5},{"index":15,"label":3}]',
        '{"index":[3,14,15],"label":[6,5,3]}',
        '{"score":{"0":1,"1":2,"2":3},"label":{"0":6,"1":5,"2":3},"index":{"0":3,"1":14,"2":15}}',
        '{"columns":["label","index"],"index":[0,1,2],"data":[[6,3],[5,14],[3,15]]}',
        '{"columns":["label","index"],"index":[0,1,2],"data":[[6,3],[5,14],[3,15]],"index_names":[null]}',
        '[{"index":"3","label":"6"},{"index":"14","label":"5.0"},{"index":"15","label":"3"}]',
        "[[3,6],[14,5],[15,3]]",
        '{"index":3,"label":6}\n{"index":14,"label":5}\n{"index":15,"label":3}\n',
    ],
)
def test_json_documents_of_any_layout_are_read(document: str) -> None:
    assert payload(document, "json") == EXAMPLE
    assert payload(document.encode("utf-16"), "json") == EXAMPLE
    assert payload(b"\xef\xbb\xbf" + document.encode(), "json") == EXAMPLE


def test_a_json_object_is_a_row_of_its_own() -> None:
    row = '{"index":3,"label":6}'
    assert payload(row, "json") == payload(row, "jsonl") == Payload([3], [6], **SIZES)


def test_keys_of_json_lines_are_chosen_by_name() -> None:
    text = '{"image":3,"class":6.0}\n\n{"class":5,"image":14}\n{"image":15,"class":3,"more":[{}]}\n'
    assert payload(text, "jsonl") == EXAMPLE
    assert payload(text.replace("image", "a").replace("class", "b"), "jsonl", index_column="a", label_column="b")
    with pytest.raises(InvalidArgument, match=r"line 1: .* the columns are 'a', 'b': give index_column"):
        payload('{"a":3,"b":6}\n', "jsonl")


@pytest.mark.parametrize(
    ("document", "format", "message"),
    [
        ('{"index":3,"label":6}\n{"index":14}\n', "jsonl", "line 2: it has no 'label'"),
        ('{"index":3,"label":6}\n{"index":14,"label":5.5}\n', "jsonl", "line 2: label 5.5 is not a whole number"),
        ('{"index":3,"label":6}\n{"index":14,"label":"5"}\n', "jsonl", "line 2: label '5' is not a whole number"),
        ('{"index":3,"label":6}\n{"index":true,"label":5}\n', "jsonl", "line 2: index True is not a whole number"),
        ('{"index":3,"label":6}\n{"index":null,"label":5}\n', "jsonl", "line 2: index is missing"),
        ('{"index":"a","label":6}\n{"index":14,"label":5}\n', "jsonl", "line 2: index 14 is no name"),
        ('[{"index":3,"label":6}]\n', "jsonl", "is not a JSON object; a document of JSON is the format json"),
        ('{"index":3,"label":6},{"index":4,\n"label":5},{"index":6,"label":6}\n', "jsonl", "line 1: "),
        ("[" * 100_000, "json", "it is not JSON: too deeply nested"),
        (
            f'{{"index":[{"9" * 5000}],"label":[6]}}',
            "json",
            "too deeply nested, or of too long numbers",
        ),
        ("{}", "json", "it is not clear which column holds the images"),
        ("3", "json", "it is no table"),
        ('[{"index":3,"label":6},{"index":14}]', "json", "row 2: it is no object, or has no 'label'"),
        ('{"index":[3,14],"label":[6]}', "json", "2 indices, but 1 labels"),
        ('{"index":[3,[]],"label":[6,5]}', "json", "row 2: index [] is not a whole number"),
        ('{"index":[3,1e400],"label":[6,5]}', "json", "row 2: index inf is not a whole number"),
        ("[[3,6,1],[14,5,1]]", "json", "its 3 columns have no names; the columns are '1', '2', '3'"),
        ("[[3,6],[14]]", "json", "row 2: it is no array of 2 values"),
        ('{"columns":["index","label"],"index":[0],"data":7}', "json", "its data are no array"),
    ],
)
def test_bad_json_is_refused_by_line_or_row(document: str, format: str, message: str) -> None:
    with pytest.raises(PladaError) as caught:
        payload(document, format)
    assert message in str(caught.value)


def test_a_json_document_that_would_fill_the_memory_is_refused() -> None:
    with pytest.raises(LimitExceeded, match="use JSON lines"):
        payload("[" + "{}," * 3_000_000 + "{}]", "json")
    with pytest.raises(FileError, match="not JSON"):
        payload('{"index": ' + "1" * 1_000_000 + "}", "json")


pairs = np.array([[3, 6], [14, 5], [15, 3]])
records = np.array([(6, 3), (5, 14), (3, 15)], [("class", "i1"), ("image", ">u8")])


@pytest.mark.parametrize(
    "array", [pairs, pairs.astype(float), np.asfortranarray(pairs.astype(">i2")), records, pairs.astype(np.float16)]
)
def test_arrays_of_pairs_and_records_are_read(array: Any) -> None:
    assert payload(array, "npy") == EXAMPLE


def test_wider_arrays_are_read_by_the_numbers_of_their_columns() -> None:
    wide = np.array([[0, 6, 3], [1, 5, 14], [2, 3, 15]])
    assert payload(wide, "npy", index_column="3", label_column="2") == EXAMPLE
    with pytest.raises(InvalidArgument, match="its 3 columns have no names; the columns are '1', '2', '3'"):
        payload(wide, "npy")


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.array([3, 14]), "is no table: it must have records, or two columns"),
        (np.array([[3, 6], [14, 5.5]]), "row 2: label 5.5 is not a whole number"),
        (np.array([[3, 6], [14, np.nan]]), "row 2: label nan is not a whole number"),
        (np.array([[True, False]]), "a column of bool holds neither"),
        (np.array([[3, 6], [2**24 + 2, 5]], np.float32), "row 2: index 1"),
        (np.array([["a", "b"]], object), "pickled objects"),
        (np.array([["a", "b"]]), "row 1: label 'b' is a name"),
    ],
)
def test_bad_arrays_are_refused_by_row(array: Any, message: str) -> None:
    with pytest.raises(PladaError) as caught:
        payload(array, "npy") if not array.dtype.hasobject else payload(pickled(array), "npy")
    assert message in str(caught.value)


def pickled(array: Any) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=True)
    return stream.getvalue()


@pytest.mark.parametrize("shape", [(1 << 40, 2), (1 << 25, 17), (3, 1 << 40)])
def test_the_claims_of_an_array_are_checked_before_allocation(shape: tuple[int, int]) -> None:
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"descr": "<i8", "fortran_order": False, "shape": shape})
    with pytest.raises(LimitExceeded, match="the limits allow"):
        payload(stream.getvalue(), "npy")
    header = b"\x93NUMPY\x02\x00" + (1 << 31).to_bytes(4, "little")
    with pytest.raises(FileError, match="its header claims 2147483648 bytes"):
        payload(header + bytes(100), "npy")


def test_limits_hold_for_documents_and_arrays() -> None:
    few = Limits(max_kept=2)
    for data, format in ((pairs, "npy"), (json.dumps(pairs.tolist()), "json"), (records, "npy")):
        with pytest.raises(LimitExceeded):
            payload(data, format, limits=few)
