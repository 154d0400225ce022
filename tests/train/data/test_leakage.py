"""The leakage check finds copies, in files of any kind, and nothing else; buckets lose no copy."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from plada_codec.errors import InputError
from plada_codec.reference import ListedImages
from plada_train.cli.main import main
from plada_train.data import leakage
from plada_train.data.leakage import Pair, pairs, summarise
from tests.helpers.examples import examples

pytestmark = pytest.mark.training

Pixels = NDArray[np.uint8]


def silent(done: int, total: int) -> None:
    assert 0 < done <= total


def file_of(pixels: Pixels, kind: str = "png", side: int | None = None) -> bytes:
    picture = Image.fromarray(pixels)
    out = io.BytesIO()
    (picture.resize((side, side), Image.Resampling.LANCZOS) if side else picture).save(out, kind, quality=85)
    return out.getvalue()


class Files(ListedImages):
    """Images in memory."""

    def __init__(self, files: Iterable[bytes]) -> None:
        super().__init__("memory")
        self.files = list(files)
        for i in range(len(self.files)):
            self._add(str(i))

    def _read(self, i: int) -> bytes:
        return self.files[i]


def texture(seed: int, side: int = 64, detail: int = 6) -> Pixels:
    """Smooth random colours."""
    coarse = np.random.default_rng(seed).integers(0, 256, (detail, detail, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((side, side), Image.Resampling.BICUBIC))


def found(target: Iterable[bytes], reference: Iterable[bytes], threshold: float = 0.02, size: int = 64) -> list[Pair]:
    one, other = (summarise(Files(files), size, 2, silent) for files in (target, reference))
    return list(pairs(one, other, threshold, silent))


def found_by_comparing_all(target: list[Pixels], reference: list[Pixels], threshold: float) -> list[Pair]:
    """Of images that are of the size already: no bucket and no block."""
    differences = [[float(np.abs(one.astype(np.int16) - other).mean() / 255) for other in reference] for one in target]
    return [Pair(i, j, d) for i, row in enumerate(differences) for j, d in enumerate(row) if d < threshold]


@examples(0.4)
@given(st.data())
def test_the_search_finds_the_same_copies_as_comparing_all_pairs(data: st.DataObject) -> None:
    """Copies are moved, changed in contrast and disturbed by about the threshold, so that they change buckets too."""
    threshold = data.draw(st.sampled_from([0.005, 0.02, 0.1, 0.5]))
    random = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    reference = [texture(seed, 16, data.draw(st.integers(1, 6))) for seed in range(8)]
    target = [texture(100, 16)]
    for original in reference:
        strength = 255 * threshold * data.draw(st.floats(0, 1.5))
        centred = original - original.mean()
        change = {
            "move": strength,
            "contrast": strength * centred / max(np.abs(centred).mean(), 1),
            "disturb": random.choice([-strength, strength], original.shape),
        }[data.draw(st.sampled_from(["move", "contrast", "disturb"]))]
        target.append((original + change).clip(0, 255).astype(np.uint8))
    assert found(map(file_of, target), map(file_of, reference), threshold, 16) == found_by_comparing_all(
        target, reference, threshold
    )


def test_a_copy_beyond_a_buckets_border_is_found() -> None:
    """Half a step of grey to either side of a border of the mean's parts and of the variance's."""
    for grey in range(7, 255, 8):
        one, other = (np.full((64, 64, 3), value, np.uint8) for value in (grey, grey + 1))
        assert len(found([file_of(one)], [file_of(other)])) == 1


@pytest.mark.parametrize(
    ("kind", "side"), [("png", None), ("jpeg", None), ("webp", None), ("png", 48), ("jpeg", 97), ("jpeg", 224)]
)
def test_copies_of_another_encoding_and_size_are_found_and_nothing_else(kind: str, side: int | None) -> None:
    originals = [texture(seed) for seed in range(30)]
    copies = {3: 20, 4: 0, 7: 29}
    target = [file_of(texture(1000 + i)) for i in range(10)]
    for copy, original in copies.items():
        target[copy] = file_of(originals[original], kind, side)
    result = found(target, map(file_of, originals))
    assert {pair.target: pair.reference for pair in result} == copies
    assert len(result) == len(copies)
    if (kind, side) == ("png", None):
        assert {pair.difference for pair in result} == {0}


def test_independent_noise_is_no_copy() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (60, 32, 32, 3), dtype=np.uint8)
    assert not found(map(file_of, noise[:30]), map(file_of, noise[30:]))


def test_a_difference_equal_to_the_threshold_is_no_leakage() -> None:
    black, grey = (np.full((8, 8, 3), value, np.uint8) for value in (0, 51))
    assert not found([file_of(black)], [file_of(grey)], 51 / 255, 8)
    assert found([file_of(black)], [file_of(grey)], 52 / 255, 8) == [Pair(0, 0, 51 / 255)]


def test_the_pairs_do_not_depend_on_the_size_of_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    files = [file_of(texture(seed % 7)) for seed in range(20)]
    whole = found(files, files)
    assert len(whole) == sum(i % 7 == j % 7 for i in range(20) for j in range(20))
    monkeypatch.setattr(leakage, "CHUNK", 3)
    monkeypatch.setattr(leakage, "HELD_BYTES", 2 * 64 * 64 * 3 * 2)
    assert found(files, files) == whole


def test_a_size_that_does_not_divide_into_blocks_is_refused() -> None:
    for size in (0, 2, 30):
        with pytest.raises(InputError, match="cannot be divided"):
            summarise(Files([file_of(texture(0))]), size, 1, silent)


# --- the command ---


def write(folder: Path, files: dict[str, bytes]) -> Path:
    folder.mkdir()
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return folder


@pytest.fixture
def sources(tmp_path: Path) -> list[str]:
    """Options for a reference set, and a target of which one training image is in it, in two copies."""
    original = texture(0)
    reference = {"a.png": original, "b.png": texture(1), "c.png": texture(2)}
    files = {name: file_of(pixels) for name, pixels in reference.items()}
    write(tmp_path / "ref", files | {"d.jpg": file_of(original, "jpeg")})
    write(tmp_path / "train", {"[x].png": file_of(original), "y.png": file_of(texture(4))})
    write(tmp_path / "test", {"z.png": file_of(texture(5))})
    return [f"--reference={tmp_path / 'ref'}", f"--target={tmp_path / 'train'}", f"--target={tmp_path / 'test'}"]


def plada_train(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["leakage", *arguments], prog_name="plada-train")


def test_the_report_names_pairs_and_counts_images_of_each_source(sources: list[str]) -> None:
    result = plada_train(*sources, "--json")
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert (report["images"], report["threshold"], report["size"]) == (4, 0.02, 32)
    train, test = report["targets"]
    assert (train["images"], train["leaked"], test["images"], test["leaked"], test["pairs"]) == (2, 1, 1, 0, [])
    assert [(pair["target_name"], pair["reference"], pair["reference_name"]) for pair in train["pairs"]] == [
        ("[x].png", 0, "a.png"),
        ("[x].png", 3, "d.jpg"),
    ]
    assert 0 == train["pairs"][0]["difference"] < train["pairs"][1]["difference"] < 0.02


def test_the_table_shows_the_pairs_of_the_json(sources: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "500")
    result = plada_train(*sources)
    assert result.exit_code == 0, result.output
    for text in ("1 (50.00%)", "0 (0.00%)", "0: [x].png", "3: d.jpg", "0.0000"):
        assert text in result.stdout
    assert "difference" not in plada_train(*sources[::2]).stdout


def test_what_cannot_be_read_is_one_line_and_exit_code_1(sources: list[str], tmp_path: Path) -> None:
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "1.png").write_bytes(b"no image")
    for option, text in (
        ("--target=nowhere", "nowhere does not exist"),
        (f"--target={tmp_path / 'bad'}", "1.png, is text, not an image"),
        ("--size=30", "cannot be divided"),
    ):
        result = plada_train(*sources, option)
        assert (result.exit_code, result.stderr.count("\n")) == (1, 1)
        assert text in result.stderr
    assert plada_train(*sources, "--threshold=0").exit_code == 2
    assert plada_train(sources[0]).exit_code == 2
