"""Small sources of images, settings that train in a second, and the command `plada-train` within the tests' process."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import numpy as np
from click.testing import CliRunner, Result
from PIL import Image

from plada_train.cli.main import main
from plada_train.recipe import Recipe

COLOURS = {"red": (200, 40, 40), "green": (40, 200, 40), "blue": (40, 40, 200)}
RECIPE = Recipe(model="test_resnet", image_size=24, epochs=2, batch_size=8)
OPTIONS = ["--weights=none", "--image-size=24", "--epochs=2", "--batch-size=8", "--threads=1"]
MODELS = ["--teacher=test_resnet", "--student=test_resnet"]


def jpeg(colour: tuple[int, int, int], seed: int) -> bytes:
    noise = np.random.default_rng(seed).normal(scale=30, size=(16, 20, 3))
    out = io.BytesIO()
    Image.fromarray((np.array(colour) + noise).clip(0, 255).astype(np.uint8)).save(out, "jpeg", quality=90)
    return out.getvalue()


def write_tree(folder: Path, per_class: int, seed: int, names: tuple[str, ...] = tuple(COLOURS)) -> None:
    for name in names:
        (folder / name).mkdir(parents=True)
        for i in range(per_class):
            (folder / name / f"{i}.jpg").write_bytes(jpeg(COLOURS[name], seed + 100 * i + len(name)))


def write_shards(folder: Path, shards: int, per_shard: int) -> None:
    folder.mkdir()
    for shard in range(shards):
        with tarfile.open(folder / f"ref-{shard:03}.tar", "w") as archive:
            for i in range(per_shard):
                number = shard * per_shard + i
                data = jpeg(tuple(COLOURS.values())[number * 7 % 3], 5000 + number)
                member = tarfile.TarInfo(f"{number:04}.jpg")
                member.size = len(data)
                archive.addfile(member, io.BytesIO(data))


def source_options(folder: Path) -> list[str]:
    return [f"--reference={folder / 'ref'}", f"--target-train={folder / 'train'}", f"--target-test={folder / 'test'}"]


def plada_train(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments], prog_name="plada-train")


def assert_fails(result: Result, *texts: str, code: int = 1) -> None:
    assert result.exit_code == code, result.output
    assert isinstance(result.exception, SystemExit)
    if code == 1:
        lines = [line for line in result.stderr.splitlines() if not line.startswith("plada-train: warning: ")]
        assert len(lines) == 1
        assert lines[0].startswith("plada-train: ")
    for text in texts:
        assert text in result.stderr


def student(sources: Path, payload: bytes, *options: str) -> Result:
    (sources / "p.plada").write_bytes(payload)
    ref, _, test = source_options(sources)
    return plada_train(
        "student", ref, f"--payload={sources / 'p.plada'}", test, "--model=test_resnet", *OPTIONS,
        f"--output={sources / 'out'}", *options,
    )  # fmt: skip
