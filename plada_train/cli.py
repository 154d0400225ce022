"""The command `plada-train`: the whole method (`run`), its stages one by one on files, and a demonstration.

What cannot be used is one line on standard error and exit code 1; wrong usage is exit code 2. Nothing heavy is imported
before a command runs.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

# Before torch is imported: waiting OpenMP threads that spin slow a shared machine down tenfold and more.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("GOMP_SPINCOUNT", "0")

import click

from plada_codec.cli import OneLineErrors, complain, finite, naming, option_group
from plada_train.recipe import Recipe

#: What the extra `train` brings.
EXTRA = {"PIL", "safetensors", "sklearn", "timm", "torch", "torchvision"}

#: Characters of a keep rate.
MAX_RATE_LENGTH = 40
Command = Callable[..., None]
FILE = click.Path(path_type=Path)
POSITIVE = click.IntRange(min=1)
NATURAL = click.IntRange(min=0)
SEED = click.IntRange(0, 2**32 - 1)
RATE = click.FloatRange(min=0)
BATCH_SIZE = click.IntRange(1, 1 << 20)
THREADS = click.IntRange(1, 1024)
ABOVE_ZERO = click.FloatRange(min=0, min_open=True)


class _Commands(OneLineErrors):
    """Where the extra is not installed, says so in one line too."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except ModuleNotFoundError as error:
            if error.name is None or error.name.partition(".")[0] not in EXTRA:
                raise
            complain(f"{ctx.info_name}: {error.name} is not installed: pip install plada[train]")
            ctx.exit(1)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="plada")
def main() -> None:
    """PLADA, end to end: teacher, scores, selection, payload, student.

    SRC is a folder of images (of the target: one folder for each class), a folder of WebDataset shards, one shard, or a
    pattern such as 'ref-{000..007}.tar' (of the target: with .cls members).
    """


def _rate(ctx: click.Context, parameter: click.Parameter, text: str | None) -> str | None:
    try:
        if text is not None:
            if len(text) > MAX_RATE_LENGTH or re.search(r"[eE][+-]?\d{4}", text):
                raise ValueError("a fraction of so many digits takes for ever")
            Fraction(text)
    except (ValueError, ZeroDivisionError):
        raise click.BadParameter(f"{text!r} is not a number") from None
    return text


def _model_args(ctx: click.Context, parameter: click.Parameter, texts: tuple[str, ...]) -> dict[str, Any]:
    values = {}
    for text in texts:
        name, found, value = text.partition("=")
        if not found or not name.isidentifier():
            raise click.BadParameter(f"{text!r} is not NAME=VALUE")
        try:
            values[name] = json.loads(value)
        except ValueError:
            values[name] = value
    return values


def _option(*names: str, **settings: Any) -> Callable[[Command], Command]:
    """An option whose default, where it has one, is shown."""
    return click.option(*names, show_default=settings.get("default") is not None, **settings)


_compute_options = option_group(
    _option("--batch-size", type=BATCH_SIZE, default=Recipe.batch_size, metavar="N", help="Images a step."),
    _option("--device", default=Recipe.device, help="Where torch computes: cpu, cuda, cuda:1, ..."),
    _option("--workers", type=NATURAL, default=Recipe.workers, metavar="N", help="Processes that decode; 0: this one."),
    _option("--threads", type=THREADS, default=2, metavar="N", help="Threads of torch."),
)
_recipe_options = option_group(
    _option("--weights", type=FILE, help="Weights to begin with, safetensors or pth. [default: random]"),
    _option(
        "--model-arg",
        "model_args",
        multiple=True,
        metavar="NAME=VALUE",
        callback=_model_args,
        help="A further argument of timm.create_model; may be repeated.",
    ),
    _option("--image-size", type=POSITIVE, metavar="PIXELS", help="Side of the model's input. [default: the model's]"),
    _option(
        "--mean", type=float, nargs=3, callback=finite, help="Of each input channel. [default: the weights' or model's]"
    ),
    _option(
        "--std",
        type=ABOVE_ZERO,
        nargs=3,
        callback=finite,
        help="Of each input channel. [default: the weights' or model's]",
    ),
    _option("--freeze", is_flag=True, help="Train the last layer alone, on features that are computed once."),
    _option("--epochs", type=POSITIVE, default=Recipe.epochs, metavar="N", help="Passes over the images."),
    _option(
        "--learning-rate",
        type=RATE,
        callback=finite,
        default=Recipe.learning_rate,
        metavar="X",
        help="Peak of AdamW's.",
    ),
    _option("--weight-decay", type=RATE, callback=finite, default=Recipe.weight_decay, metavar="X", help="AdamW's."),
    _option("--flip/--no-flip", default=Recipe.flip, help="Mirror half of the training images."),
    _option("--seed", type=SEED, default=Recipe.seed, metavar="N", help="The same seed gives the same results."),
    _compute_options,
)
_select_options = option_group(
    _option("--keep", callback=_rate, metavar="P", help="Share of the images to keep: floor(P M) of M, the surest."),
    _option("--max-bytes", type=POSITIVE, metavar="B", help="Keep fewer if need be, so that the payload fits B bytes."),
    _option("--stride", type=POSITIVE, default=1, metavar="S", help="Choose from every S-th image only ..."),
    _option("--offset", type=NATURAL, default=0, metavar="O", help="... from image O on."),
    _option("--class-names", is_flag=True, help="Send the names of the classes too."),
)
_reference_option = click.option("--reference", required=True, metavar="SRC", help="The reference set.")
_target_train_option = click.option("--target-train", required=True, metavar="SRC", help="Images to teach with.")
_target_test_option = click.option("--target-test", required=True, metavar="SRC", help="Images to measure accuracy on.")
_folder_option = click.option("--output", required=True, type=FILE, metavar="DIR", help="Folder for what is made.")


def _recipe(model: str, threads: int, options: dict[str, Any]) -> Recipe:
    import torch

    torch.set_num_threads(threads)
    return Recipe(model=model, **options)


def _keep(keep: str | None, max_bytes: int | None) -> str:
    if keep is None and max_bytes is None:
        raise click.UsageError("--keep or --max-bytes is needed")
    return keep or "1"


@main.command()
@_reference_option
@_target_train_option
@_target_test_option
@_select_options
@click.option("--teacher", required=True, metavar="MODEL", help="A timm model.")
@click.option("--student", required=True, metavar="MODEL", help="A timm model. The options below are for both.")
@_recipe_options
@_folder_option
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
def run(
    reference: str,
    target_train: str,
    target_test: str,
    keep: str | None,
    max_bytes: int | None,
    stride: int,
    offset: int,
    class_names: bool,
    teacher: str,
    student: str,
    output: Path,
    as_json: bool,
    threads: int,
    **options: Any,
) -> None:
    """Run the whole method: teacher, scores, payload, student."""
    rate = _keep(keep, max_bytes)
    recipe = _recipe(teacher, threads, options)
    from dataclasses import replace

    from plada_train.run import run as run_all

    report = run_all(
        reference,
        target_train,
        target_test,
        output,
        teacher=recipe,
        student=replace(recipe, model=student),
        keep=rate,
        max_bytes=max_bytes,
        offset=offset,
        stride=stride,
        class_names=class_names,
    )
    if as_json:
        click.echo(json.dumps(report, indent=2))
    else:
        from rich import print as rich_print

        from plada_train.summary import summary

        rich_print(summary(report))


@main.command()
@_target_train_option
@_target_test_option
@click.option("--model", required=True, help="A timm model.")
@_recipe_options
@_folder_option
def teacher(target_train: str, target_test: str, model: str, output: Path, threads: int, **options: Any) -> None:
    """Train a teacher on the target; writes teacher.safetensors and teacher.json."""
    recipe = _recipe(model, threads, options)
    from plada_train import stages
    from plada_train.data import open_test_images, open_training_images
    from plada_train.files import output_file
    from plada_train.models import save_checkpoint

    path = output_file(output / "teacher.safetensors")
    data = open_training_images(target_train)
    test = open_test_images(target_test, data.num_classes, data.class_names)
    classifier = stages.teach(data, recipe)
    accuracy = stages.measure(classifier, test, recipe)
    save_checkpoint(classifier, path, accuracy=accuracy)
    click.echo(f"{path}: accuracy {accuracy:.1%}")


@main.command()
@_reference_option
@click.option("--teacher", required=True, type=FILE, help="The checkpoint teacher.safetensors.")
@_compute_options
@click.option("--output", required=True, type=FILE, metavar="FILE", help="The scores, npz.")
def score(reference: str, teacher: Path, output: Path, threads: int, **options: Any) -> None:
    """Label and score the reference set with a teacher; writes label, energy and entropy of each image."""
    from plada_codec.reference import open_images
    from plada_train import stages
    from plada_train.files import output_file
    from plada_train.models import load_checkpoint

    output_file(output)
    classifier = load_checkpoint(teacher, options["device"])
    recipe = _recipe(classifier.config.model, threads, options)
    scores = stages.score(classifier, open_images(reference), recipe)
    scores.save(output)
    click.echo(f"{output}: {len(scores.label)} images, {scores.num_classes} classes")


@main.command()
@click.option("--scores", required=True, type=FILE, help="What `score` wrote.")
@_select_options
@click.option("--output", required=True, type=FILE, metavar="FILE", help="The payload.")
def select(
    scores: Path,
    keep: str | None,
    max_bytes: int | None,
    stride: int,
    offset: int,
    class_names: bool,
    output: Path,
) -> None:
    """Choose the surest labels, by lowest energy, and write them as a payload."""
    rate = _keep(keep, max_bytes)
    from plada_train.files import output_file, write_bytes
    from plada_train.scores import Scores
    from plada_train.selection import select as select_lowest
    from plada_train.selection import universe_of

    output_file(output)
    loaded = Scores.load(scores)
    universe = universe_of(len(loaded.label), offset, stride)
    payload, encoded = select_lowest(loaded, rate, max_bytes=max_bytes, universe=universe, class_names=class_names)
    write_bytes(output, encoded)
    click.echo(f"{output}: {payload.kept} of {payload.reference_size} images kept, {len(encoded)} bytes")


@main.command()
@_reference_option
@click.option("--payload", required=True, type=FILE, help="What was received.")
@_target_test_option
@click.option("--model", required=True, help="A timm model.")
@_recipe_options
@_folder_option
def student(
    reference: str, payload: Path, target_test: str, model: str, output: Path, threads: int, **options: Any
) -> None:
    """Train a student on the client's side, from its reference set and a payload."""
    recipe = _recipe(model, threads, options)
    from plada_codec.reference import open_images
    from plada_train import stages
    from plada_train.data import open_test_images
    from plada_train.files import output_file, read_bytes
    from plada_train.models import save_checkpoint

    path = output_file(output / "student.safetensors")
    with naming(str(payload)):
        received = stages.virtual_dataset(open_images(reference), read_bytes(payload))
    test = open_test_images(target_test, received.num_classes, received.class_names)
    classifier = stages.learn(received, recipe)
    accuracy = stages.measure(classifier, test, recipe)
    save_checkpoint(classifier, path, accuracy=accuracy)
    click.echo(f"{path}: accuracy {accuracy:.1%}")


@main.command()
@click.option("--output", type=FILE, metavar="DIR", help="Folder for all that is made. [default: a temporary one]")
@click.pass_context
def demo(ctx: click.Context, output: Path | None) -> None:
    """Run the whole method on scikit-learn's handwritten digits; takes less than a minute."""
    from plada_train.demo import OPTIONS, write_digits

    with tempfile.TemporaryDirectory() as temporary:
        folder = output or Path(temporary)
        sources = write_digits(folder)
        arguments = [text for name, source in sources.items() for text in (f"--{name}", str(source))]
        arguments += [*OPTIONS, "--output", str(folder)]
        click.echo(f"plada-train run {' '.join(arguments)}\n")
        with run.make_context("run", arguments, parent=ctx) as run_context:
            run.invoke(run_context)
