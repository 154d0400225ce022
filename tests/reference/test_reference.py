"""The digest of a reference set is that of its images' bytes in order, however they are stored; faults are named."""

from __future__ import annotations

import hashlib
import io
import os
import pickle
import re
import tarfile
import tempfile
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plada_codec.errors import FilesPassedOver, PladaError, SourceError
from plada_codec.reference import IMAGE_SUFFIXES, ImageSource, open_images, reference_digest
from plada_codec.reference.base import IGNORED_FILES, IGNORED_FOLDERS, OTHER_IMAGE_SUFFIXES
from tests.helpers.paths import SPEC

#: Anything is an image here: no decoder looks at it.
image_lists = st.lists(st.binary(max_size=40), min_size=1, max_size=12)


def write_shard(path: Path, members: Sequence[tuple[str, bytes]], tar_format: int = tarfile.PAX_FORMAT) -> None:
    with tarfile.open(path, "w", format=tar_format) as archive:
        for name, data in members:
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))


def write_shards(folder: Path, images: Sequence[bytes], per_shard: int = 3, prefix: str = "ref-") -> None:
    for number, first in enumerate(range(0, len(images), per_shard)):
        some = images[first : first + per_shard]
        write_shard(folder / f"{prefix}{number:03}.tar", [(f"{first + i:05}.jpg", data) for i, data in enumerate(some)])


def write_folder(folder: Path, images: Sequence[bytes]) -> None:
    for i, data in enumerate(images):
        (folder / f"{i:05}.jpg").write_bytes(data)


def digest_by_hand(images: Sequence[bytes]) -> bytes:
    listing = b"".join(hashlib.sha256(image).digest() for image in images)
    return hashlib.sha256(b"plada-reference-digest-1" + len(images).to_bytes(8, "little") + listing).digest()


def stored(source: str | Path) -> list[bytes]:
    images = open_images(source)
    return [images.read(i) for i in range(len(images))]


# --- properties ---


@given(image_lists, st.integers(1, 5), st.sampled_from([tarfile.PAX_FORMAT, tarfile.GNU_FORMAT]), st.data())
def test_same_bytes_in_same_order_have_one_digest_however_stored(
    images: list[bytes], per_shard: int, tar_format: int, data: st.DataObject
) -> None:
    """Folder, tree, and shards of any size, member names (long ones, in folders), and companions."""
    stem = st.text("abcXYZ019_-éß", min_size=1, max_size=120)
    suffix = st.sampled_from(IMAGE_SUFFIXES + tuple(map(str.upper, IMAGE_SUFFIXES)))
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        for name in ("flat", "tree", "shards"):
            (root / name).mkdir()
        write_folder(root / "flat", images)
        for i, image in enumerate(images):
            folder = root / "tree" / f"class{i // per_shard:03}"
            folder.mkdir(exist_ok=True)
            (folder / f"{i:05}{data.draw(stem)}{data.draw(suffix)}").write_bytes(image)
        for number, first in enumerate(range(0, len(images), per_shard)):
            members = []
            for i, image in enumerate(images[first : first + per_shard]):
                key = f"{data.draw(stem)}/{i}-{data.draw(stem)}"
                members += [(f"{key}{data.draw(suffix)}", image), (f"{key}.json", b"{}")]
            write_shard(root / "shards" / f"{number:02}.tar", members, tar_format)
        for name in ("flat", "tree", "shards"):
            assert stored(root / name) == images
            assert reference_digest(open_images(root / name)) == digest_by_hand(images)


@given(image_lists, st.data())
def test_a_swap_a_loss_an_addition_or_a_change_gives_another_digest(images: list[bytes], data: st.DataObject) -> None:
    i = data.draw(st.integers(0, len(images) - 1))
    j = data.draw(st.integers(0, len(images) - 1))
    swapped = list(images)
    swapped[i], swapped[j] = swapped[j], swapped[i]
    others = [
        [*images[:i], *images[i + 1 :]],
        [*images[:i], data.draw(st.binary(max_size=40)), *images[i:]],
        [*images[:i], data.draw(st.binary(max_size=40)), *images[i + 1 :]],
        swapped,
    ]

    def digest(listed: list[bytes]) -> bytes:
        with tempfile.TemporaryDirectory() as folder:
            write_folder(Path(folder), listed)
            return reference_digest(open_images(folder))

    for other in others:
        if other and other != images:
            assert digest(other) != digest(images)


@given(st.lists(st.lists(st.text("ab.-é~", min_size=1, max_size=3), min_size=1, max_size=3), min_size=1, max_size=8))
def test_folder_order_is_by_component_and_bytes(paths: list[list[str]]) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        expected = set()
        for parts in paths:
            # names apart from folders' names, which end in "_"; a leading dot would hide them
            names = [f"n{part}_" for part in parts[:-1]] + [f"n{parts[-1]}.jpg"]
            folder = Path(temporary, *names[:-1])
            folder.mkdir(parents=True, exist_ok=True)
            (folder / names[-1]).touch()
            expected.add(tuple(name.encode() for name in names))
        images = open_images(temporary)
        assert [images.name(i).encode() for i in range(len(images))] == [b"/".join(path) for path in sorted(expected)]


@given(image_lists, st.data())
def test_a_damaged_header_or_a_cut_is_never_a_smaller_reference_set(images: list[bytes], data: st.DataObject) -> None:
    """tarfile takes a damaged header for the end of the archive."""
    with tempfile.TemporaryDirectory() as temporary:
        shard = Path(temporary) / "ref.tar"
        write_shard(shard, [(f"{i}.jpg", image) for i, image in enumerate(images)], tarfile.USTAR_FORMAT)
        whole = shard.read_bytes()
        end = sum(512 + -(-len(image) // 512) * 512 for image in images)
        shard.write_bytes(whole[: data.draw(st.integers(0, end))])
        with pytest.raises(SourceError):
            open_images(shard)
        bad = bytearray(whole)
        header = 512 * sum(1 + -(-len(image) // 512) for image in images[: data.draw(st.integers(0, len(images) - 1))])
        bad[header + data.draw(st.integers(0, 499))] ^= 1 << data.draw(st.integers(0, 7))
        shard.write_bytes(bad)
        try:
            opened = open_images(shard)
        except SourceError:
            return
        # the checksum field may end in a NUL or a space: such a header says the same
        assert [opened.read(i) for i in range(len(opened))] == images


# --- examples ---


def test_the_digests_of_the_specifications_example_come_out(tmp_path: Path) -> None:
    write_folder(tmp_path, [b"a", b"b", b"c"])
    expected = "94a0b5df5b993ce5bce363b490ad7770c6542a197c94ef1c62be162fa87b7f39"
    assert reference_digest(open_images(tmp_path)).hex() == expected
    write_folder(tmp_path, [b"b", b"a", b"c"])
    expected = "ab007afde164977b29e536eb3767332b6580d582a8fad5a394b19932a57aec5b"
    assert reference_digest(open_images(tmp_path)).hex() == expected


def test_hidden_names_and_other_files_are_passed_over(tmp_path: Path) -> None:
    write_folder(tmp_path, [b"a"])
    (tmp_path / ".hidden").mkdir()
    for name in (".b.jpg", ".hidden/c.jpg", "notes.txt", "jpg"):
        (tmp_path / name).write_bytes(b"x")
    with pytest.warns(FilesPassedOver, match=r"2 other files \(1 \.txt, 1 without suffix\)$"):
        assert stored(tmp_path) == [b"a"]
    (tmp_path / "notes.txt").unlink()
    (tmp_path / "jpg").unlink()
    members = [("./0.jpg", b"a"), (".1.jpg", b"x"), (".d/2.jpg", b"x"), ("3.txt", b"x"), ("./d/._4.jpg", b"x")]
    write_shard(tmp_path / "s.tar", members)
    assert stored(tmp_path / "s.tar") == [b"a"]


@pytest.mark.parametrize("name", sorted(IGNORED_FOLDERS))
def test_folders_of_thumbnails_and_systems_are_ignored(name: str, tmp_path: Path) -> None:
    (tmp_path / "set" / "cat" / name).mkdir(parents=True)
    (tmp_path / "set" / name).mkdir()
    for path in ("cat/1.jpg", f"cat/{name}/1.jpg", f"{name}/2.jpg", "Thumbs.db", "cat/desktop.ini"):
        (tmp_path / "set" / path).write_bytes(b"x")
    members = [("cat/1.jpg", b"x"), (f"cat/{name}/1.jpg", b"x"), (f"{name}/2.jpg", b"x"), ("cat/Thumbs.db", b"x")]
    write_shard(tmp_path / "s.tar", members)
    with warnings.catch_warnings(action="error"):
        images = open_images(tmp_path / "set")
        assert (len(images), images.class_names, images.empty_folders) == (1, ("cat",), ())
        assert len(open_images(tmp_path / "s.tar")) == 1


def test_files_that_are_passed_over_are_counted_by_suffix_in_one_warning(tmp_path: Path) -> None:
    write_folder(tmp_path, [b"a"])
    for number, suffix in enumerate(["heic", "HEIC", "heic", "svg", "txt", *"abcdefgh"]):
        (tmp_path / f"{number}.{suffix}").touch()
    with pytest.warns(FilesPassedOver) as seen:
        open_images(tmp_path)
    (warning,) = seen
    counts = "3 .heic, 1 .a, 1 .b, 1 .c, 1 .d, 1 .e, 1 .f, 1 .g, 3 more"
    assert str(warning.message) == f"passed over in {tmp_path}: 13 other files ({counts})"


def test_companions_in_shards_get_no_warning_but_other_images_do(tmp_path: Path) -> None:
    members = [("0.jpg", b""), ("0.cls", b"3"), ("0.json", b"{}"), ("0.txt", b"")]
    write_shard(tmp_path / "a.tar", members)
    with warnings.catch_warnings(action="error"):
        open_images(tmp_path)
    write_shard(tmp_path / "a.tar", [*members, ("1.avif", b""), ("2.seg.jp2", b"")])
    (tmp_path / "3.heic").touch()
    (tmp_path / "notes.txt").touch()
    with pytest.warns(FilesPassedOver, match=r"3 other files \(1 \.avif, 1 \.heic, 1 \.jp2\)$"):
        assert len(open_images(tmp_path)) == 1


def test_a_source_of_other_files_alone_says_which(tmp_path: Path) -> None:
    (tmp_path / "1.heic").touch()
    with pytest.raises(SourceError, match=r"has no images, only 1 other file \(1 \.heic\) \[source-empty\]"):
        open_images(tmp_path)


def test_top_folders_without_images_are_known(tmp_path: Path) -> None:
    for path in ("cat/1.jpg", "empty/deeper/x.txt", ".hidden/1.jpg"):
        (tmp_path / path).parent.mkdir(parents=True)
        (tmp_path / path).touch()
    (tmp_path / "bare").mkdir()
    with pytest.warns(FilesPassedOver):
        images = open_images(tmp_path)
    assert (images.class_names, images.empty_folders) == (("cat",), ("bare", "empty"))


def test_the_specification_lists_the_suffixes_and_the_names_that_are_ignored() -> None:
    section = (SPEC / "reference-digest.md").read_text(encoding="utf-8").split("### 2.1")[0]
    listed = set(re.findall(r"`([^`]+)`", section.split("\n## 2.")[1]))
    assert {*IMAGE_SUFFIXES, *IGNORED_FOLDERS, *IGNORED_FILES} <= listed
    assert not {*OTHER_IMAGE_SUFFIXES} & set(IMAGE_SUFFIXES)


def test_links_to_images_and_folders_are_followed(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    write_folder(tmp_path / "real", [b"a", b"b"])
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "folder").symlink_to(tmp_path / "real")
    (tmp_path / "set" / "zero.jpg").symlink_to(tmp_path / "real" / "00000.jpg")
    assert stored(tmp_path / "set") == [b"a", b"b", b"a"]


def test_a_pattern_or_a_brace_range_names_its_shards_in_order(tmp_path: Path) -> None:
    images = [bytes([i]) for i in range(12)]
    write_shards(tmp_path, images, per_shard=1)
    assert stored(tmp_path) == stored(tmp_path / "ref-*.tar") == images
    assert stored(f"{tmp_path}/ref-{{000..011}}.tar") == images
    assert stored(f"{tmp_path}/ref-{{008..010}}.tar") == images[8:11]
    assert stored(tmp_path / "ref-00?.tar") == images[:10]
    assert stored(tmp_path / "ref-007.tar") == images[7:8]


def test_a_brace_range_is_in_the_order_of_its_numbers(tmp_path: Path) -> None:
    for number in (9, 10):
        write_shard(tmp_path / f"ref-{number}.tar", [("0.jpg", bytes([number]))])
    assert stored(tmp_path / "ref-{9..10}.tar") == [bytes([9]), bytes([10])]


def test_a_path_that_exists_is_not_a_pattern(tmp_path: Path) -> None:
    write_shard(tmp_path / "ref-{0..1}.tar", [("0.jpg", b"a")])
    assert stored(tmp_path / "ref-{0..1}.tar") == [b"a"]


def test_labels_of_a_folder_tree_are_its_top_folders(tmp_path: Path) -> None:
    for path in ("cat/1.jpg", "cat/more/2.jpg", "ant/0.jpg", "zebra.jpg"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(b"x")
    images = open_images(tmp_path)
    assert images.class_names == ("ant", "cat")
    assert images.labels.tolist() == [0, 1, 1, -1]


def test_labels_of_shards_are_their_cls_members(tmp_path: Path) -> None:
    members = [("0.jpg", b""), ("0.cls", b"3"), ("1.cls", b" 65535\n"), ("1.jpg", b""), ("2.jpg", b""), ("3.cls", b"1")]
    write_shard(tmp_path / "s.tar", members)
    assert open_images(tmp_path).labels.tolist() == [3, 65535, -1]
    assert open_images(tmp_path).class_names is None
    (tmp_path / "classes.json").write_text('["a", "b"]')
    assert open_images(tmp_path / "s.tar").class_names == ("a", "b")


def test_a_source_can_be_pickled_and_read_from_threads(tmp_path: Path) -> None:
    images = [os.urandom(100) for _ in range(200)]
    write_shards(tmp_path, images, per_shard=50)
    source: ImageSource = pickle.loads(pickle.dumps(open_images(tmp_path)))
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(source.read, range(200))) == images


def test_progress_ends_with_the_number_of_images(tmp_path: Path) -> None:
    write_folder(tmp_path, [b"x"] * 300)
    seen: list[tuple[int, int]] = []
    reference_digest(open_images(tmp_path), lambda done, total: seen.append((done, total)))
    assert seen == [(256, 300), (300, 300)]


# --- errors: every rule of section 2.3 ---


def _fault(rule: str) -> Callable[[Callable[[Path], object]], Callable[[Path], object]]:
    def register(make: Callable[[Path], object]) -> Callable[[Path], object]:
        FAULTS.append(pytest.param(make, rule, id=f"{rule}-{make.__name__.strip('_').replace('_', '-')}"))
        return make

    return register


FAULTS: list[object] = []


@_fault("source-missing")
def _no_such_path(root: Path) -> object:
    return root / "nothing"


@_fault("source-missing")
def _no_match(root: Path) -> object:
    return root / "ref-*.tar"


@_fault("source-missing")
def _wildcard_in_no_folder(root: Path) -> object:
    return root / "nothing" / "*.tar"


@_fault("source-missing")
def _not_a_shard(root: Path) -> object:
    (root / "a.zip").touch()
    return root / "a.zip"


@_fault("source-missing")
def _descending_range(root: Path) -> object:
    write_shards(root, [b"a"] * 6)
    return root / "ref-{001..000}.tar"


@_fault("source-empty")
def _empty_folder(root: Path) -> object:
    (root / "empty").mkdir()
    return root


@_fault("source-empty")
def _shard_without_images(root: Path) -> object:
    write_shard(root / "s.tar", [("0.cls", b"1")])
    return root


@_fault("source-mixed")
def _shards_and_images(root: Path) -> object:
    write_shards(root, [b"a"])
    (root / "deeper").mkdir()
    write_folder(root / "deeper", [b"a"])
    return root


@_fault("source-loop")
def _folder_in_itself(root: Path) -> object:
    (root / "a").mkdir()
    (root / "a" / "b").symlink_to(root)
    return root


@_fault("source-loop")
def _two_links_to_the_next_folder_31_times(root: Path) -> object:
    for i in range(31):
        (root / f"f{i}").mkdir()
        for name in "ab":
            (root / f"f{i}" / name).symlink_to(root / f"f{i + 1}")
    (root / "f31").mkdir()
    return root / "f0"


@_fault("source-unreadable")
def _image_links_to_nothing(root: Path) -> object:
    (root / "a.jpg").symlink_to(root / "nothing")
    return root


@_fault("source-unreadable")
def _shard_links_to_nothing(root: Path) -> object:
    (root / "a.tar").symlink_to(root / "nothing")
    return root


@_fault("source-unreadable")
def _name_too_long(root: Path) -> object:
    return root / ("x" * 300)


@_fault("shard-missing")
def _hole_in_a_folder(root: Path) -> object:
    write_shards(root, [b"a"] * 9)
    (root / "ref-001.tar").unlink()
    return root


@_fault("shard-missing")
def _first_two_missing(root: Path) -> object:
    write_shards(root, [b"a"] * 12)
    (root / "ref-000.tar").unlink()
    (root / "ref-001.tar").unlink()
    return root / "ref-*.tar"


@_fault("shard-missing")
def _last_of_a_range_missing(root: Path) -> object:
    write_shards(root, [b"a"] * 9)
    return root / "ref-{000..003}.tar"


@_fault("shard-repeated")
def _one_number_twice(root: Path) -> object:
    for name in ("ref-0.tar", "ref-00.tar"):
        write_shard(root / name, [("0.jpg", b"a")])
    return root


@_fault("shard-damaged")
def _not_an_archive(root: Path) -> object:
    (root / "s.tar").write_bytes(b"x" * 2000)
    return root


@_fault("shard-damaged")
def _empty_archive(root: Path) -> object:
    (root / "s.tar").touch()
    return root


@_fault("shard-damaged")
def _compressed_archive(root: Path) -> object:
    with tarfile.open(root / "s.tar", "w:gz") as archive:
        archive.addfile(tarfile.TarInfo("0.jpg"))
    return root


@_fault("shard-damaged")
def _two_archives_behind_each_other(root: Path) -> object:
    write_shards(root, [b"a", b"b"], per_shard=1)
    both = (root / "ref-000.tar").read_bytes() + (root / "ref-001.tar").read_bytes()
    (root / "ref-000.tar").write_bytes(both)
    return root


@_fault("shard-damaged")
def _link_for_an_image(root: Path) -> object:
    with tarfile.open(root / "s.tar", "w") as archive:
        member = tarfile.TarInfo("0.jpg")
        member.type, member.linkname = tarfile.SYMTYPE, "1.jpg"
        archive.addfile(member)
    return root


@_fault("shard-key")
def _two_images_of_one_key(root: Path) -> object:
    write_shard(root / "s.tar", [("0.jpg", b"a"), ("0.cls", b"1"), ("0.seg.png", b"a")])
    return root


@_fault("source-part")
def _split_of_a_folder(root: Path) -> object:
    write_folder(root, [b"a"])
    return f"{root}#train"


@_fault("source-part")
def _part_of_another_form(root: Path) -> object:
    return f"{root}#train,picture=x"


@pytest.mark.parametrize(("make", "rule"), FAULTS)
def test_a_faulty_image_source_is_an_error_of_one_line(make: Callable[[Path], Path], rule: str, tmp_path: Path) -> None:
    with pytest.raises(PladaError) as caught:
        open_images(make(tmp_path))
    assert caught.value.rule == rule
    assert "\n" not in str(caught.value)
    assert str(tmp_path) in str(caught.value)


@pytest.mark.parametrize(
    ("member", "shown"),
    [(b"cat", "'cat'"), (b"1.0", "'1.0'"), (b"65536", "'65536'"), (b"0" * 5000, "'00"), (b"", "''")],
)
def test_labels_are_judged_only_where_they_are_asked_for(member: bytes, shown: str, tmp_path: Path) -> None:
    members = [("0.jpg", b"a"), ("0.cls", b"1"), ("1.cls", member), ("1.jpg", b"b"), ("2.cls", member)]
    write_shard(tmp_path / "s.tar", members)
    assert stored(tmp_path) == [b"a", b"b"]
    with pytest.raises(SourceError, match=rf"1\.cls in .*s\.tar, {shown}.*is not a class number .*shard-label"):
        open_images(tmp_path).labels  # noqa: B018


@pytest.mark.parametrize(
    "text", [b"cat dog", b'{"cat": 0}', b'["a", 1]', b"[" * 200_000, b"\xff", b" " * ((1 << 24) + 1)], ids=range(6)
)
def test_class_names_are_judged_only_where_they_are_asked_for(text: bytes, tmp_path: Path) -> None:
    write_shards(tmp_path, [b"a"])
    (tmp_path / "classes.json").write_bytes(text)
    assert stored(tmp_path) == [b"a"]
    with pytest.raises(SourceError, match="class-names") as caught:
        open_images(tmp_path).class_names  # noqa: B018
    assert "\n" not in str(caught.value)


def test_a_folder_1200_folders_deep_is_refused_in_one_line(tmp_path: Path) -> None:
    folders = [str(tmp_path) + "/d" * depth for depth in range(1, 1201)]
    for folder in folders:
        os.mkdir(folder)  # noqa: PTH102  # Path takes quadratic time
    try:
        with pytest.raises(SourceError, match=r"more than 256 folders deep \[source-deep\]"):
            open_images(tmp_path)
    finally:
        # pytest cannot remove them
        for folder in reversed(folders):
            os.rmdir(folder)  # noqa: PTH106


@pytest.mark.parametrize("number", [-1, 3, 1 << 70])
def test_an_image_number_outside_the_set_is_an_error(number: int, tmp_path: Path) -> None:
    write_folder(tmp_path, [b"a", b"b", b"c"])
    for ask in (open_images(tmp_path).read, open_images(tmp_path).name):
        with pytest.raises(SourceError, match="image-number"):
            ask(number)


def test_an_image_that_is_lost_after_listing_is_named_and_not_replaced(tmp_path: Path) -> None:
    for name, write in (("folder", write_folder), ("shards", write_shards)):
        (tmp_path / name).mkdir()
        write(tmp_path / name, [b"a", b"b", b"c", b"d"])
    folder, shards = open_images(tmp_path / "folder"), open_images(tmp_path / "shards")
    (tmp_path / "folder" / "00001.jpg").unlink()
    os.truncate(tmp_path / "shards" / "ref-001.tar", 512)
    for images, number, name in ((folder, 1, "00001.jpg"), (shards, 3, "ref-001.tar/00003.jpg")):
        with pytest.raises(SourceError, match=f"image {number} of .*{name}.*image-unreadable"):
            images.read(number)
        with pytest.raises(SourceError, match="image-unreadable"):
            reference_digest(images)
        assert images.read(2) == b"c"
