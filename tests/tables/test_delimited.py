"""A table of delimited text means its rows, however it is written, or it is refused by line."""

from __future__ import annotations

import csv
import gzip
import io
from typing import Any

import numpy as np
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from plada_codec import InvalidArgument, LimitExceeded, Payload, PladaError
from plada_codec.errors import FileError, PladaWarning
from plada_codec.interop import read
from plada_codec.tables.table import ANY_COLUMNS, Choice, Table
from plada_codec.tables.text import lines
from plada_codec.tables.text.delimited import read_delimited

SIZES: dict[str, Any] = {"reference_size": 100, "num_classes": 10}
EXAMPLE = Payload([3, 14, 15], [6, 5, 3], **SIZES)
PLAIN = "index,label\n3,6\n14,5\n15,3\n"


def payload(text: str | bytes, format: str = "csv", **given: Any) -> Payload:
    data = text.encode() if isinstance(text, str) else text
    return read(io.BytesIO(data), format, **(SIZES | given))


def table(text: str | bytes, choice: Choice = ANY_COLUMNS) -> Table:
    data = text.encode() if isinstance(text, str) else text
    return read_delimited(io.BytesIO(data), choice, lambda rows: None)


@pytest.mark.parametrize(
    "text",
    [
        PLAIN,
        "3,6\n14,5\n15,3",
        "index;label\n3;6\n14;5\n15;3\n",
        "index\tlabel\n3\t6\n14\t5\n15\t3\n",
        "3|6\n14|5\n15|3\n",
        "3 6\n 14  5 \n15\t3\n".replace("\t", " "),
        '"index","label"\n"3","6"\n"14","5"\n"15","3"\n',
        "index, label\n 3 , 6\n\t14,\t5\n15 ,3\n",
        ",index,label\n0,3,6\n1,14,5\n2,15,3\n",
        "label,index\n6,3\n5,14\n3,15\n",
        "id,class\n3,6\n14,5\n15,3\n",
        "image,label\n3,6\n14,5\n15,3\n",
        "Image ID,Target\n3,6\n14,5\n15,3\n",
        "index,score,label,note\n3,0.5,6,\n14,0.1,5,a\n15,,3,\n",
        'note,label,index\n"a, b",6,3\n"two\nlines",5,14\n"a ""quote""",3,15\n',
        "3,6,\n14,5,\n15,3,\n",
        "index,label,\n3,6,\n14,5\n15,3,,\n",
        "# made by hand\nindex,label\n# one\n3,6\n14,5\n  # don't \" count\n15,3\n",
        "# label,index\n6,3\n5,14\n3,15\n",
        "sep=;\nindex;label\n3;6\n14;5\n15;3\n",
        "\n\nindex,label\n\n3,6\n   \n14,5\n,\n15,3\n\n",
        "3.0,6\n14.,5.000\n1.5e1,3\n",
        "3.000000000000000000e+00 6.000000000000000000e+00\n1.4e+01 5.0e0\n1.5e+01 3e0\n",
        "+3,06\n014,5\n15,3\n",
        "\t3,\t6\n14,\t5\n15,\t3\n",
        "3\t,\t6\n14 ,\t5\n15,3\n",
        "ImageId,class_index\n3,6\n14,5\n15,3\n",
        '"index" "label"\n"1" 3 6\n"2" 14 5\n"7" 15 3\n',
        '"label"\t"note"\t"index"\n"a"\t6\t"x"\t3\n"b"\t5\t"y"\t14\n"c"\t3\t"z"\t15\n',
    ],
)  # fmt: skip
def test_tables_of_other_programs_are_read(text: str) -> None:
    assert payload(text) == EXAMPLE
    for encoding in ("utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"):
        assert payload(text.encode(encoding)) == EXAMPLE, encoding
    for end in ("\r\n", "\r"):
        assert payload(text.replace("\n", end)) == EXAMPLE, end
    assert payload(gzip.compress(text.encode())) == EXAMPLE
    assert payload(gzip.compress(text[:9].encode()) + gzip.compress(text[9:].encode())) == EXAMPLE
    compressed = zstandard.compress(text[:9].encode()) + zstandard.compress(text[9:].encode())
    assert payload(compressed) == EXAMPLE


def test_columns_are_chosen_by_name_or_number() -> None:
    text = "a,b,c\n6,0,3\n5,1,14\n3,2,15\n"
    assert payload(text, index_column="c", label_column="a") == EXAMPLE
    assert payload(text.partition("\n")[2], index_column="3", label_column="1") == EXAMPLE
    assert payload("6,3\n5,14\n3,15\n", index_column="2") == EXAMPLE
    assert payload("6,3\n5,14\n3,15\n", label_column="1") == EXAMPLE
    assert payload("index,label\n6,3\n5,14\n3,15\n", index_column="2", label_column="1") == EXAMPLE
    # Names above numbers are a header, even if they are not known or are there twice
    assert payload(text, index_column="3", label_column="1") == EXAMPLE
    twice = text.replace("a,b,c", "label,index,index")
    assert payload(twice, index_column="3") == EXAMPLE
    assert payload(twice, index_column="3", label_column="label") == EXAMPLE


@pytest.mark.parametrize(
    ("text", "choice", "message"),
    [
        ("3,6,1\n14,5,1\n", Choice(), "line 1: .* the columns are '3', '6', '1': give index_column"),
        ("a,b,c\n3,6,1\n", Choice(), "line 1: .* the columns are 'a', 'b', 'c'"),
        ("id,path,label\n3,6,1\n", Choice(), "the columns are 'id', 'path', 'label'"),
        ("index,label\n3,6\n", Choice("idx"), "the columns are 'index', 'label'"),
        ("index,label\n3,6\n", Choice("label"), "the same column|does not name"),
        ("index,index,label\n3,6,1\n", Choice(), "the columns are 'index', 'index', 'label'"),
        ("3,6\n", Choice("3"), "the columns are '3', '6'"),
        ("a,b\n3,6\n", Choice(), "line 1: it does not name a column of images .* the columns are 'a', 'b'"),
        ("a,b,c\n3,6,1\n", Choice("x", "b"), "no column, or more than one, is 'x'; the columns are 'a', 'b', 'c'"),
    ],
)
def test_columns_that_are_not_clear_are_listed(text: str, choice: Choice, message: str) -> None:
    with pytest.raises(InvalidArgument, match=message) as caught:
        table(text, choice)
    assert caught.value.rule == "columns"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('index,label\n3,"6\n14,5\n', "line 2: a quote opens a field, but none closes it"),
        ('index,label\n3,6\n14,5"5"\n', "line 3: a quote in the middle of a field"),
        ("index,label\n3\n", "line 2: '3' has 1 of 2 fields"),
        ("index,label\n3,6,7\n", "line 2: '3,6,7' has 3 of 2 fields"),
        ("index,label\n3,6\n\n# c\n14,x\n", "line 5: label 'x' is not a whole number"),
        ("3,1.5\n", "line 1: label '1.5' is not a whole number"),
        ("3,6\n14,NaN\n", "line 2: label 'NaN' is not a whole number"),
        ("3,6\n14,\n", "line 2: label is missing"),
        ("3;1,5\n4;2,5\n", "line 1: label '1,5' is a name"),
        ("3\n14\n", "line 1: '3' is not two fields"),
        ("index,label\n3,4503599627370497.2\n", "line 2: label '4503599627370497.2' is not"),
        ("index,label\n3,1e99\n", "line 2: label '1e99' is not a whole number of 64 bits"),
        ("index;label\n1.000;6\n2.000;5\n", "line 2: index 1.000 may be 1 or 1000"),
        ("0,1,2\n3,6,9\n", "line 1: it may be a row, or the numbers of columns, as pandas writes them"),
        (",0,1\n0,3,6\n1,14,5\n", "line 1: it may be a row, or the numbers of columns"),
        ("index,label\nNA,6\n14,5\n", "line 2: index 'NA' is not a whole number"),
        ('"index","label"\n"3","6","1"\n', "line 2: '\"3\",\"6\",\"1\"' has 3 of 2 fields"),
        ("a.png,1\n#b.png,2\n", "line 2: '#b.png,2' may be a comment or a row"),
        (b"\xff\xfe3\x00,\x00\x00\xd8", "it is not UTF-16-LE"),
    ],
)  # fmt: skip
def test_a_fault_is_told_by_line(text: str | bytes, message: str) -> None:
    with pytest.raises(FileError) as caught:
        payload(text)
    assert message in str(caught.value)
    assert str(caught.value).isprintable()


def test_a_first_row_that_may_be_numbers_of_columns_is_taken_with_a_warning() -> None:
    with pytest.warns(PladaWarning, match="line 1, 0,1, is taken as a row"):
        kept = payload("0,1\n3,6\n14,5\n")
    assert (kept.indices.tolist(), kept.labels.tolist()) == ([0, 3, 14], [1, 6, 5])


def test_unsorted_rows_are_sorted_on_request_only() -> None:
    text = "index,label\n15,3\n3,6\n14,5\n"
    with pytest.raises(PladaError, match=r"line 3: index 3 comes after 15: give sort=True \(--sort\)"):
        payload(text)
    assert payload(text, sort=True) == EXAMPLE
    assert payload(text, sort=True, weights=[1, 2, 3]).weights.tolist() == [2, 3, 1]  # type: ignore[union-attr]
    with pytest.raises(PladaError, match="line 4: index 3 is repeated: it is in line 2, too"):
        payload("index,label\n3,3\n15,6\n3,5\n", sort=True)


def test_names_come_with_their_lines() -> None:
    found = table("filename,label\n\n\"a, 'b'.png\",cat\nü.png,dog\n")
    assert found.images.tolist() == ["a, 'b'.png", "ü.png"]
    assert found.labels.tolist() == ["cat", "dog"]
    assert [found.place(row) for row in range(2)] == ["line 3", "line 4"]
    with pytest.raises(FileError, match="line 3: label 'cat' is a name: give the names of all classes"):
        payload("index,label\n\n3,cat\n")


def test_words_for_a_missing_number_are_names_among_names() -> None:
    names = ("cat", "none", "NA")
    found = payload("index,label\n3,none\n14,NA\n15,cat\n", class_names=names, num_classes=3)
    assert found == Payload([3, 14, 15], [1, 2, 0], 100, 3, class_names=names)


@pytest.mark.parametrize("names", [("1", "-1"), ("cat", "0", "1"), ("0", "2", "1")])
def test_numbers_that_may_be_names_of_other_classes_are_refused(names: tuple[str, ...]) -> None:
    with pytest.raises(FileError, match="line 2: label 1 may be the number or the name of a class"):
        payload("index,label\n3,1\n14,2\n", class_names=names, num_classes=len(names))


rows = st.lists(
    st.tuples(st.integers(-(2**63), 2**63 - 1), st.integers(0, 65_535), st.text(max_size=6)), min_size=1, max_size=30
)


@given(rows, st.sampled_from(",;\t|"), st.sampled_from(["\n", "\r\n"]), st.booleans(), st.integers(20, 300))
def test_all_that_the_csv_module_writes_is_read(
    written: list[tuple[int, int, str]], delimiter: str, end: str, all_quoted: bool, block_bytes: int
) -> None:
    written = [(index, label, note.replace("\0", "").replace("#", "")) for index, label, note in written]
    text = io.StringIO()
    options: dict[str, Any] = {"quoting": csv.QUOTE_ALL if all_quoted else csv.QUOTE_MINIMAL}
    writer = csv.writer(text, delimiter=delimiter, lineterminator=end, **options)
    writer.writerow(["note", "index", "label"])
    writer.writerows((note, index, label) for index, label, note in written)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lines, "BLOCK_BYTES", block_bytes)
        found = table(text.getvalue().encode("utf-8", "surrogatepass"))
    assert found.images.tolist() == [index for index, _, _ in written]
    assert found.labels.tolist() == [label for _, label, _ in written]


def test_places_are_lines_across_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "BLOCK_BYTES", 64)
    text = "index,label\n" + "".join(f"{n},{n}\n" + "\n" * (n % 3 == 0) for n in range(500))
    found = table(text)
    expected = [at for at, line in enumerate(text.split("\n"), 1) if line[:1].isdigit()]
    assert [found.place(row) for row in range(500)] == [f"line {at}" for at in expected]


def test_huge_or_endless_text_is_refused_within_bounds() -> None:
    with pytest.raises(FileError, match="line 1: longer than"):
        table(b"1" * 5_000_000)
    with pytest.raises(FileError, match="line 2: longer than"):
        table(b'index,label\n"' + b"1\n" * 3_000_000)
    with pytest.raises(LimitExceeded, match="inflate to"):
        payload(gzip.compress(b"\n" * (1 << 27)))
    with pytest.raises(LimitExceeded, match="inflate to"):
        payload(zstandard.compress(b"\n" * (1 << 27)))
    with pytest.raises(InvalidArgument, match="and 199980 more"):
        table(b"a," * 200_000)


@pytest.mark.parametrize("compress", [gzip.compress, zstandard.compress])
def test_compressed_text_that_is_cut_off_or_damaged_is_refused(compress: Any) -> None:
    data = compress(("index,label\n" + "".join(f"{n},{n % 7}\n" for n in range(100))).encode())
    for end in range(4, len(data), 5):
        with pytest.raises(FileError):
            payload(data[:end])
    with pytest.raises(FileError):
        payload(data[:20] + bytes([data[20] ^ 255]) + data[21:])


def test_a_large_table_is_what_numpy_reads() -> None:
    draw = np.random.default_rng(0)
    indices = np.sort(draw.choice(10**9, 200_000, replace=False))
    labels = draw.integers(0, 1000, 200_000)
    text = "".join(f"{index},{label}\n" for index, label in zip(indices.tolist(), labels.tolist(), strict=True))
    found = table(text)
    assert np.array_equal(found.images, indices)
    assert np.array_equal(found.labels, labels)
