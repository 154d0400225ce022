"""Outputs of `plada-train`: inputs stay, links are not followed, refusals come before the work."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from plada_codec import FileError
from plada_codec.files import lock_folder, output_folder
from plada_train.data.decoded_images import DecodedImages
from plada_train.files import append, output_file, write_bytes
from tests.helpers.training import assert_fails, plada_train

SOURCES = "--reference=ref --target-train=train --target-test=test"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Have a folder `out` with files that commands read."""
    monkeypatch.chdir(tmp_path)
    for name in ("teacher.safetensors", "student.safetensors", "teacher.json", "scores/scores.json", "report.json"):
        (tmp_path / "out" / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / "out" / name).write_bytes(b"mine")
    return tmp_path


@pytest.mark.parametrize(
    ("command", "read"),
    [
        (f"teacher {SOURCES[16:]} --weights=INPUT --output=out", "teacher.safetensors"),
        ("student --reference=ref --payload=p --weights=INPUT --output=out", "student.safetensors"),
        (f"run {SOURCES} --weights=INPUT --keep=0.5 --output=out", "teacher.safetensors"),
        (f"run {SOURCES} --weights=INPUT --keep=0.5 --output=out", "student.safetensors"),
        ("export --checkpoint=INPUT --output=out/teacher.safetensors", "teacher.safetensors"),
        ("export --checkpoint=INPUT --output=out/teacher.json", "teacher.safetensors"),
        ("select --scores=out/scores --keep=0.5 --output=INPUT", "scores/scores.json"),
        ("report out --output=INPUT", "report.json"),
        ("report out --output=INPUT", "scores/scores.json"),
    ],
)
@pytest.mark.parametrize("by", ["path", "link", "hard link"])
def test_an_output_that_is_an_input_is_refused(folder: Path, command: str, read: str, by: str) -> None:
    source = folder / "out" / read
    name = source
    if by != "path" and "--checkpoint" not in command:
        name = folder / "link"
        name.symlink_to(source) if by == "link" else name.hardlink_to(source)
    if by == "hard link" and command.startswith("report"):
        return  # no file of the folder itself
    assert_fails(plada_train(*command.replace("INPUT", str(name)).split()), "would overwrite the input", code=2)
    assert source.read_bytes() == b"mine"


def test_no_link_in_an_output_folder_is_followed(folder: Path) -> None:
    victim, out = folder / "victim", folder / "out"
    for name in (".plada-lock", "measurements.jsonl", "result", ".plada-probe", ".plada-0123456789abcdef.tmp"):
        victim.write_bytes(b"mine\n")
        (out / name).symlink_to(victim)
    with pytest.raises(FileError, match=r"cannot lock .*/out: \.plada-lock is a link: remove it"), lock_folder(out):
        pass
    with pytest.raises(FileError, match=r"cannot write .*/measurements\.jsonl"):
        append(out / "measurements.jsonl", "{}")
    write_bytes(out / "result", b"new")
    output_folder(out)
    assert victim.read_bytes() == b"mine\n"
    assert (out / "result").read_bytes() == b"new"


class NoImages:
    """A source without images."""

    source = "nothing"

    def __len__(self) -> int:
        return 0


def test_no_link_is_followed_for_decoded_images(folder: Path) -> None:
    victim = folder / "victim.npy"
    np.save(victim, np.arange(9))
    before = victim.read_bytes()
    for name in ("0000000000000000-8px.npy", "0000000000000000-8px-decoded.npy"):
        (folder / name).symlink_to(victim)
    DecodedImages(NoImages(), bytes(32), folder, 8)  # type: ignore[arg-type]
    assert victim.read_bytes() == before


def test_a_result_that_may_not_be_written_is_refused_before_the_work(folder: Path) -> None:
    (folder / "out" / "teacher.safetensors").chmod(0o444)
    with pytest.raises(FileError, match="it may not be written"):
        output_file(folder / "out" / "teacher.safetensors")
    with pytest.raises(FileError, match="it is a folder"):
        output_file(folder / "out" / "scores")
    assert output_file(Path("/dev/stdout")) == Path("/dev/stdout")
    assert (folder / "out" / "teacher.safetensors").read_bytes() == b"mine"
