"""Members of a tar archive are those that Python's tarfile finds; a hostile archive is refused in bounded time."""

from __future__ import annotations

import io
import resource
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plada_codec.errors import SourceError
from plada_codec.reference import open_images
from plada_codec.reference.sources.tar import DamagedTarError, members
from tests.helpers.examples import examples

FORMATS = [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]
TYPES = [tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.CONTTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE]
END = bytes(1024)


def header(name: bytes, kind: bytes, size: int) -> bytes:
    block = bytearray(
        name.ljust(100, b"\0") + b"0000644\0" * 3 + b"%011o\0" % size + b"0" * 11 + b"\0" + b" " * 8 + kind
    )
    block = block.ljust(257, b"\0") + b"ustar\00000"
    block = block.ljust(512, b"\0")
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def member(name: bytes, kind: bytes, contents: bytes) -> bytes:
    return header(name, kind, len(contents)) + contents + bytes(-len(contents) % 512)


def found(archive: bytes) -> list[tuple[str, bytes, bool, bool]]:
    return [
        (each.name, archive[each.start : each.start + each.size], each.is_folder, each.is_file)
        for each in members(io.BytesIO(archive))
    ]


@given(
    st.sampled_from(FORMATS),
    st.lists(
        st.tuples(
            st.text("ab/é~.0", min_size=1, max_size=20).filter(lambda text: text.strip("/")),
            st.integers(1, 20),
            st.sampled_from(TYPES),
            st.binary(max_size=1100),
        ),
        max_size=6,
    ),
)
def test_members_are_those_of_tarfile(tar_format: int, listed: list[tuple[str, int, bytes, bytes]]) -> None:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w", format=tar_format, encoding="utf-8") as writer:
        for name, repeats, kind, contents in listed:
            item = tarfile.TarInfo("/".join([name.strip("/")] * repeats))
            # tarfile looks at the first 100 bytes of a name for the slash at the end of a folder's
            item.type = tarfile.REGTYPE if len(item.name) > 50 and kind == tarfile.AREGTYPE else kind
            item.linkname = "x" * 150 if kind in (tarfile.SYMTYPE, tarfile.LNKTYPE) and tar_format else ""
            item.size = len(contents) if item.isreg() else 0
            try:
                writer.addfile(item, io.BytesIO(contents))
            except ValueError:  # ustar has no place for a name so long
                continue
    with tarfile.open(fileobj=io.BytesIO(archive.getvalue()), encoding="utf-8") as reader:
        expected = [
            (
                item.name,
                file.read() if item.isreg() and (file := reader.extractfile(item)) else b"",
                item.isdir(),
                item.isreg(),
            )
            for item in reader
        ]
    assert [(name.rstrip("/"), *rest) for name, *rest in found(archive.getvalue())] == expected


@examples(3)
@given(st.data())
def test_damaged_archives_raise_one_kind_of_error(data: st.DataObject) -> None:
    archive = bytearray(
        member(b"long", b"L", b"n" * 300)
        + member(b"0.jpg", b"0", b"image")
        + member(b"pax", b"x", b"11 size=00\n12 path=abc\n")
        + member(b"1.jpg", b"0", b"")
        + member(b"sparse", b"S", b"")
        + END
    )
    for _ in range(data.draw(st.integers(1, 3))):
        archive[data.draw(st.integers(0, len(archive) - 1))] = data.draw(st.integers(0, 255))
    try:
        found(bytes(archive))
    except DamagedTarError as error:
        assert "\n" not in str(error)


def test_a_checksum_of_signed_bytes_is_taken() -> None:
    block = bytearray(header(b"\xc3\xa9.jpg", b"0", 1))
    block[148:156] = b"%06o\0 " % (int(block[148:154], 8) - 2 * 256)
    assert found(bytes(block) + bytes(512) + END) == [("é.jpg", b"\0", False, True)]


def sparse_of_pax() -> bytes:
    records = b"22 GNU.sparse.major=1\n22 GNU.sparse.minor=0\n"
    return member(b"pax", b"x", records) + member(b"0.jpg", b"0", b"1\n0\n5\n".ljust(512, b"\0") + b"image")


HOSTILE: dict[str, Callable[[], bytes]] = {
    "long names in a row": lambda: member(b"long", b"L", b"a" * 10) * 1500 + member(b"0.jpg", b"0", b"a"),
    "long link names in a row": lambda: member(b"long", b"K", b"a" * 10) * 1500 + member(b"0.jpg", b"0", b"a"),
    "pax headers in a row": lambda: member(b"pax", b"x", b"11 path=ab\n") * 1500 + member(b"0.jpg", b"0", b"a"),
    "a length of 60,000 digits": lambda: member(b"pax", b"x", b"1" * 60_000) + member(b"0.jpg", b"0", b"a"),
    "a pax header of zeros": lambda: member(b"pax", b"x", b"0 a=b\n") + member(b"0.jpg", b"0", b"a"),
    "records of two bytes": lambda: member(b"pax", b"g", b"2 " * 30_000 + b"=") * 16 + member(b"0.jpg", b"0", b"a"),
    "a header of 64 GB": lambda: header(b"long", b"L", 0o77777777777),
    "a size in pax that is no number": lambda: member(b"pax", b"x", b"10 size=-\n") + member(b"0.jpg", b"0", b"a"),
    "a size in pax of 4,000 digits": lambda: member(b"pax", b"x", b"4011 size=" + b"9" * 4000 + b"\n"),
    "one path for all members": lambda: member(b"pax", b"g", b"11 path=ab\n") + member(b"0.jpg", b"0", b"a"),
    "an image that is sparse (GNU)": lambda: member(b"0.jpg", b"S", b"a"),
    "an image that is sparse (pax)": sparse_of_pax,
    "a sparse map without end": lambda: header(b"0.jpg", b"S", 0).replace(b"ustar", b"ustar") + b"\xff" * 2048,
    "a link to itself": lambda: member(b"0.jpg", b"2", b""),
    "a hard link": lambda: member(b"0.jpg", b"1", b""),
    "a size below zero": lambda: header(b"0.jpg", b"0", 0)[:124] + b"\xff" * 12 + header(b"0.jpg", b"0", 0)[136:],
}


@pytest.mark.parametrize("make", HOSTILE.values(), ids=HOSTILE)
def test_hostile_archives_are_refused_in_one_line(make: Callable[[], bytes], tmp_path: Path) -> None:
    (tmp_path / "ref.tar").write_bytes(make() + END)
    with pytest.raises(SourceError, match="shard-damaged") as caught:
        open_images(tmp_path)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500


def test_a_member_1200_folders_deep_is_an_image(tmp_path: Path) -> None:
    (tmp_path / "ref.tar").write_bytes(
        member(b"long", b"L", b"d/" * 1200 + b"0.jpg\0") + member(b"x", b"0", b"a") + END
    )
    assert open_images(tmp_path).read(0) == b"a"


@pytest.mark.processes
def test_hostile_archives_take_bounded_time_and_memory(tmp_path: Path) -> None:
    """1 MB of each kind in its own process, with 1 GB of memory in all and 10 seconds of processor time."""
    blocks = {
        "headers": member(b"long", b"L", b"a") * 900,
        "members": member(b"pax", b"x", b"11 path=ab\n") + member(b"0.jpg", b"2", b""),
        "records": member(b"pax", b"g", b"5 a=\n" * 200_000) + header(b"x", b"0", 1),
        "digits": member(b"pax", b"x", b"1000010 a=" + b"1" * 1_000_000 + b"\n") + header(b"x", b"0", 1),
    }
    for name, data in blocks.items():
        (tmp_path / f"{name}.tar").write_bytes(data)
        command = [sys.executable, "-m", "plada_codec", "reference", "digest", str(tmp_path / f"{name}.tar")]
        done = subprocess.run(command, capture_output=True, text=True, preexec_fn=_limit)
        assert done.returncode == 1, done.stderr
        (line,) = done.stderr.splitlines()
        assert line.endswith("[shard-damaged]")


def _limit() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
    resource.setrlimit(resource.RLIMIT_CPU, (10, 10))
