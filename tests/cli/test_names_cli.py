"""Tables that name images and classes: into payloads with --reference, and out again; errors by line."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from plada_codec import Payload, decode, encode, open_images, reference_digest
from tests.helpers.commands import fails, ok
from tests.helpers.examples import examples

IMAGES = ("cat/01.jpg", "cat/02.jpg", "dog/01.jpg", "dog/03.jpg", "x y/é, #.png")
CLASSES = ("black cat", "dog", "eel")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in IMAGES:
        path = tmp_path / "ref" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    (tmp_path / "classes.txt").write_text("".join(f"{name}\n" for name in CLASSES))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def digest() -> bytes:
    return reference_digest(open_images("ref"))


def encoded(table: str, *options: str, name: str = "t.csv") -> Payload:
    Path(name).write_text(table)
    ok("encode", name, "-o", "t.plada", "--reference", "ref", *options)
    return decode(Path("t.plada").read_bytes())


@pytest.mark.usefixtures("folder")
class TestEncode:
    def test_names_of_images_and_classes_become_numbers_in_order(self) -> None:
        table = "filename,label\ndog/03.jpg,eel\ncat/01.jpg,black cat\n02,dog\n"
        payload = encoded(table, "--class-names", "classes.txt")
        assert payload == Payload([0, 1, 3], [0, 1, 2], 5, 3, digest()[:8], class_names=CLASSES)

    def test_numbers_of_classes_may_stand_beside_names_of_images(self) -> None:
        payload = encoded("image\tclass\nref/dog/01.jpg\t1\n03\t0\n", "--classes", "2", name="t.tsv")
        assert payload == Payload([2, 3], [1, 0], 5, 2, digest()[:8])

    def test_a_class_check_in_the_place_of_names(self) -> None:
        payload = encoded("image,label\n03,eel\n", "--class-check", "classes.txt")
        assert payload.class_names is None
        assert payload.with_class_names(CLASSES).class_check == b""
        assert payload.labels.tolist() == [2]

    def test_size_and_digest_come_from_the_reference_set(self) -> None:
        assert encoded("index,label\n1,0\n", "--classes", "1") == Payload([1], [0], 5, 1, digest()[:8])
        assert encoded("index,label\n1,0\n", "--classes", "1", "--digest-bytes", "32").reference_digest == digest()

    def test_other_formats_have_names_too(self) -> None:
        lines = "".join(json.dumps({"path": name, "label": 0}) + "\n" for name in IMAGES)
        assert encoded(lines, "--classes", "1", name="t.jsonl").indices.tolist() == [0, 1, 2, 3, 4]
        Path("t.csv.gz").write_bytes(gzip.compress(b"key;target\ncat/02;0\n"))
        ok("encode", "t.csv.gz", "-o", "t.plada", "--reference", "ref", "--classes", "1")
        assert decode(Path("t.plada").read_bytes()).indices.tolist() == [1]

    @pytest.mark.parametrize(
        ("table", "words"),
        [
            ("image,label\n03,dog\n04.jpg,dog\n", "t.csv: line 3: no image of ref is named '04.jpg'"),
            ("image,label\n01,dog\n", "t.csv: line 2: '01' may be image 0, cat/01.jpg, or image 2, dog/01.jpg,"),
            ("image,label\n03,dog\n\n02,cow\n", "t.csv: line 4: no class is named 'cow': they are 'black cat', "),
            ("image,label\n03,dog\ndog/03.jpg,eel\n", "t.csv: line 3: index 3 is repeated: it is in line 2"),
        ],
    )
    def test_unknown_and_ambiguous_names_are_errors_by_line(self, table: str, words: str) -> None:
        Path("t.csv").write_text(table)
        arguments = ("encode", "t.csv", "-o", "t.plada", "--reference", "ref", "--class-names", "classes.txt")
        assert words in fails(1, *arguments)
        assert not Path("t.plada").exists()

    def test_class_names_that_nobody_lists_are_never_guessed(self) -> None:
        Path("t.csv").write_text("image,label\n03,dog\n02,cat\n")
        for options in ([], ["--classes", "2"]):
            error = fails(1, "encode", "t.csv", "-o", "t.plada", "--reference", "ref", *options)
            assert "line 2: label 'dog' is a name: give the names of all classes" in error
            assert "--class-names" in error
            assert "'cat', 'dog'" in error

    def test_a_header_that_is_not_known_is_suspected(self) -> None:
        arguments = ("encode", "t.csv", "-o", "t.plada", "--reference", "ref", "--class-names", "classes.txt")
        for name, message in (("03", "it does not name a column of images"), ("03.jpg", "no image of ref is named")):
            Path("t.csv").write_text(f"photo,species\n{name},dog\n02.jpg,eel\n")
            assert f"line 1: {message}" in (error := fails(1, *arguments))
            assert "--index-column" in error
        assert "if this is a header, give the names of its columns: index_column (--index-column)" in error
        assert "is a header" in fails(1, *arguments, "--index-column", "1", "--label-column", "2")
        ok(*arguments, "--index-column", "photo", "--label-column", "species")

    @pytest.mark.parametrize(
        ("table", "words"),
        [
            ("image,label\n04.jpg,dog\n", "no image of ref is named '04.jpg'"),
            ("image,label\n03,cow\n", "no class is named 'cow'"),
            ("image,label\n,dog\n", "index is missing"),
        ],
    )
    def test_a_header_that_is_known_is_not_suspected_in_the_next_row(self, table: str, words: str) -> None:
        Path("t.csv").write_text(table)
        arguments = ("encode", "t.csv", "-o", "t.plada", "--reference", "ref", "--class-names", "classes.txt")
        assert words in (error := fails(1, *arguments))
        assert "is a header" not in error
        Path("t.csv").write_text(table.partition("\n")[2])
        assert words in (error := fails(1, *arguments))
        assert "if this is a header" in error

    @pytest.mark.parametrize("row", ["x y/é, #.png;dog", "03;hündin"])
    def test_a_table_that_is_not_utf_8_is_said_to_be_so(self, row: str) -> None:
        Path("t.csv").write_bytes(f'image;label\n"{row.replace(";", chr(34) + ";")}\n'.encode("cp1252"))
        error = fails(1, "encode", "t.csv", "-o", "t.plada", "--reference", "ref", "--class-names", "classes.txt")
        assert "line 2: no " in error
        assert "it is not in UTF-8: save the table in UTF-8" in error

    def test_pairs_without_names_of_columns_need_no_options_in_any_format(self) -> None:
        np.save("t.npy", [[1, 0], [3, 1]])
        Path("t.json").write_text("[[1, 0], [3, 1]]")
        Path("t.csv").write_text("1,0\n3,1\n")
        for name in ("t.npy", "t.json", "t.csv"):
            for options in ([], ["--index-column", "1"], ["--label-column", "2"]):
                ok("encode", name, "-o", "t.plada", "--reference", "ref", "--classes", "2", *options)
                assert decode(Path("t.plada").read_bytes()).indices.tolist() == [1, 3]

    @pytest.mark.parametrize(
        ("name", "words"),
        [("ref", "ref is a folder, not a file of images and labels"), ("t.xlsx", "has the suffix of no format of")],
    )
    def test_a_file_that_is_no_table_is_said_to_be_so(self, name: str, words: str) -> None:
        Path("t.xlsx").touch()
        error = fails(1, "encode", name, "-o", "t.plada", "--reference", "ref", "--classes", "2")
        assert words in error
        assert "the formats are: plada, npz, csv" in error

    def test_names_without_a_reference_set_are_an_error_that_names_the_option(self) -> None:
        Path("t.csv").write_text("image,label\n03.jpg,0\n")
        arguments = ("encode", "t.csv", "-o", "t.plada", "--reference-size", "5", "--classes", "2")
        assert "--reference" in fails(1, *arguments)

    def test_options_that_the_reference_set_answers_are_refused(self) -> None:
        Path("t.csv").write_text("index,label\n3,0\n")
        for option in (["--reference-size", "5"], ["--reference-digest", "00" * 32]):
            assert "exclude" in fails(2, "encode", "t.csv", "-o", "o", "--reference", "ref", "--classes", "1", *option)

    def test_a_payload_for_another_reference_set_keeps_its_identity(self) -> None:
        Path("p.plada").write_bytes(encode(Payload([1], [0], 5, 1, bytes(8))))
        assert "plada reference list" in fails(1, "encode", "p.plada", "-o", "o.plada", "--reference", "ref")
        Path("p.plada").write_bytes(encode(Payload([1], [0], 4, 1)))
        assert "4 images, not of 5" in fails(1, "encode", "p.plada", "-o", "o.plada", "--reference", "ref")

    def test_numbers_that_are_names_of_other_images_are_refused(self) -> None:
        Path("t.csv").write_text("id,label\n2,0\n3,0\n")
        error = fails(1, "encode", "t.csv", "-o", "o.plada", "--reference", "ref", "--classes", "1")
        assert "line 2: 2 may be the number of an image, or the name of image 1, cat/02.jpg" in error
        Path("t.jsonl").write_text('{"image_id": 2, "label": 0}\n')
        arguments = ("encode", "t.jsonl", "-o", "o.plada", "--reference", "ref", "--classes", "1")
        assert "line 1: 2 may be" in fails(1, *arguments)
        assert encoded("index,label\n2,0\n3,0\n", "--classes", "1").indices.tolist() == [2, 3]
        assert encoded("2,0\n3,0\n", "--classes", "1").indices.tolist() == [2, 3]
        assert encoded("id,label\n0,0\n2,0\n", "--classes", "1").indices.tolist() == [0, 2]  # no image is named 0

    def test_numbers_that_are_names_of_other_classes_are_refused(self) -> None:
        Path("t.csv").write_text("image,label\n02,0\n03,2\n")
        Path("ten.txt").write_text("0\n1\n10\n2\n")
        error = fails(1, "encode", "t.csv", "-o", "o.plada", "--reference", "ref", "--class-names", "ten.txt")
        assert "line 3: label 2 may be the number or the name of a class" in error
        Path("ten.txt").write_text("0\n1\n2\n10\n")
        assert encoded("image,label\n03,0\n02,2\n", "--class-names", "ten.txt").labels.tolist() == [2, 0]


@pytest.mark.usefixtures("folder")
class TestDecode:
    def write(self, names: tuple[str, ...] | None = CLASSES) -> Payload:
        payload = Payload([0, 3, 4], [2, 0, 1], 5, 3, digest()[:8], class_names=names)
        Path("p.plada").write_bytes(encode(payload))
        return payload

    def test_names_of_images_and_classes_come_out(self) -> None:
        self.write()
        ok("decode", "p.plada", "-o", "o.csv", "--reference", "ref")
        lines = ["image,label", "cat/01.jpg,eel", 'dog/03.jpg,"black cat"', '"x y/é, #.png",dog']
        assert Path("o.csv").read_text().splitlines() == lines
        self.write(None)
        out = ok("decode", "p.plada", "-o", "-", "--to", "jsonl", "--reference", "ref").stdout
        assert json.loads(out.splitlines()[0]) == {"image": "cat/01.jpg", "label": 2}

    @pytest.mark.parametrize("names", [CLASSES, None], ids=["named", "numbered"])
    @pytest.mark.parametrize("suffix", ["csv", "tsv", "csv.gz", "jsonl", "json", "arrow", "parquet"])
    def test_every_format_that_holds_names_gives_the_payload_back(
        self, suffix: str, names: tuple[str, ...] | None
    ) -> None:
        if suffix in ("arrow", "parquet"):
            pytest.importorskip("pyarrow", reason="needs the extra 'arrow'")
        payload = self.write(names)
        ok("decode", "p.plada", "-o", f"o.{suffix}", "--reference", "ref")
        classes = ["--classes", "3"] if names is None else ["--class-names", "classes.txt"]
        ok("encode", f"o.{suffix}", "-o", "again.plada", "--reference", "ref", *classes)
        assert decode(Path("again.plada").read_bytes()) == payload

    @pytest.mark.parametrize("suffix", ["npz", "plada", "idx-raw"])
    def test_formats_without_names_are_refused(self, suffix: str) -> None:
        self.write()
        assert "csv, tsv, jsonl" in fails(1, "decode", "p.plada", "-o", f"o.{suffix}", "--reference", "ref")
        assert not Path(f"o.{suffix}").exists()

    def test_another_reference_set_is_refused(self) -> None:
        self.write()
        Path("ref/dog/01.jpg").write_bytes(b"other")
        assert "plada reference list" in fails(1, "decode", "p.plada", "-o", "o.csv", "--reference", "ref")
        ok("decode", "p.plada", "-o", "o.csv", "--reference", "ref", "--no-check")
        assert "needs --reference" in fails(2, "decode", "p.plada", "-o", "o.csv", "--no-check")
        both = ("--reference", "ref", "--expected-digest", "00" * 8)
        assert "exclude" in fails(2, "decode", "p.plada", "-o", "o.csv", *both)


@examples(0.5)
@example("a\rb")
@given(st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=9))
def test_odd_names_come_back_from_text_or_are_refused(tmp_path_factory: pytest.TempPathFactory, name: str) -> None:
    root = tmp_path_factory.mktemp("odd")
    path = root / "ref" / f"{name}.png"
    path.parent.mkdir()
    path.write_bytes(b"x")
    (root / "ref" / "other.png").write_bytes(b"y")
    try:
        images = open_images(root / "ref")
    except ValueError:
        return
    kept = next((i for i in range(len(images)) if images.name(i) == path.name), None)
    if kept is None:
        return  # hidden
    payload = Payload([kept], [0], len(images), 1, reference_digest(images)[:8])
    (root / "p.plada").write_bytes(encode(payload))
    for suffix in ("csv", "tsv", "json", "jsonl"):
        decoding = ("decode", root / "p.plada", "-o", root / f"o.{suffix}", "--reference", root / "ref")
        if "\r" in name and suffix.endswith("sv"):
            assert "carriage return" in fails(1, *decoding)
            continue
        ok(*decoding)
        again = ("encode", root / f"o.{suffix}", "-o", root / "again.plada", "--reference", root / "ref")
        ok(*again, "--classes", "1")
        assert decode((root / "again.plada").read_bytes()) == payload
