"""The command `plada-train`: the whole method (`run`), its stages one by one on files, and a demonstration.

What cannot be used is one line on standard error and exit code 1; wrong usage is exit code 2. Nothing heavy is imported
before a command runs.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
import warnings
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

# Before torch is imported: waiting OpenMP threads that spin slow a shared machine down tenfold and more.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("GOMP_SPINCOUNT", "0")

import click

from plada_codec.terminal import OneLineErrors, complain, finite, naming, option_group
from plada_train.errors import PladaWarning
from plada_train.files import UNFINISHED
from plada_train.recipe import TEACHER_LABEL_SMOOTHING, Recipe, Targets

if TYPE_CHECKING:
    from plada_train.data import LabelledImages
    from plada_train.models import Classifier

#: Which extra brings a package.
EXTRAS = dict.fromkeys(("PIL", "huggingface_hub", "safetensors", "sklearn", "timm", "torch", "torchvision"), "train")
EXTRAS |= dict.fromkeys(("onnx", "onnx_ir", "onnxscript"), "export")

#: Characters of a keep rate.
MAX_RATE_LENGTH = 40
Command = Callable[..., None]
FILE = click.Path(path_type=Path)
POSITIVE = click.IntRange(min=1)
NATURAL = click.IntRange(min=0)
SEED = click.IntRange(0, 2**32 - 1)
#: Well within float32.
RATE = click.FloatRange(0, 1e30)
BATCH_SIZE = click.IntRange(1, 1 << 20)
THREADS = click.IntRange(1, 1024)
TEMPERATURE = click.FloatRange(1e-3, 1e3)
ABOVE_ZERO = click.FloatRange(min=0, min_open=True)
SHARE = click.FloatRange(0, 1, min_open=True)
PORTION = click.FloatRange(0, 1)


class _Commands(OneLineErrors):
    """Warnings are one line too, and so is that the extra is not installed."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("always", PladaWarning)
                warnings.showwarning = _in_one_line(warnings.showwarning)
                return super().invoke(ctx)
        except ModuleNotFoundError as error:
            extra = EXTRAS.get((error.name or "").partition(".")[0])
            if extra is None:
                raise
            complain(f"{ctx.info_name}: {error.name} is not installed: pip install plada[{extra}]")
            ctx.exit(1)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="plada")
def main() -> None:
    """PLADA, end to end: teacher, scores, selection, payload, student.

    SRC is a folder of images (of the target: one folder for each class), a folder of WebDataset shards, one shard, or a
    pattern such as 'ref-{000..007}.tar' (of the target: with .cls members).
    """


def _in_one_line(show_others: Callable[..., None]) -> Callable[..., None]:
    """A `warnings.showwarning` that says ours in one line, and leaves others to `show_others`."""

    def show(message: Warning | str, category: type[Warning], *where: Any, **more: Any) -> None:
        if issubclass(category, PladaWarning):
            complain(f"plada-train: warning: {message}")
        else:
            show_others(message, category, *where, **more)

    return show


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
    _option(
        "--batch-size",
        type=BATCH_SIZE,
        default=Recipe.batch_size,
        metavar="N",
        help="Images a step; on a CPU, where nothing is trained, 16 in any case.",
    ),
    _option("--device", default=Recipe.device, help="Where torch computes: cpu, cuda, cuda:1, ..."),
    _option(
        "--workers",
        type=NATURAL,
        default=Recipe.workers,
        metavar="N",
        help="Processes that decode; 0: this one, in a thread where nothing is trained.",
    ),
    _option("--threads", type=THREADS, default=2, metavar="N", help="Threads of torch."),
)
_recipe_options = option_group(
    _option(
        "--weights",
        default="hub",
        metavar="FILE|NAME",
        help="To begin with: a file, safetensors or pth; timm's own (hub, hub:TAG); hf-hub:OWNER/NAME; none: random.",
    ),
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
    _option(
        "--warmup",
        type=PORTION,
        callback=finite,
        default=Recipe.warmup,
        metavar="P",
        help="Share of the steps in which it rises.",
    ),
    _option("--weight-decay", type=RATE, callback=finite, default=Recipe.weight_decay, metavar="X", help="AdamW's."),
    _option(
        "--label-smoothing",
        type=PORTION,
        callback=finite,
        metavar="P",
        help=f"Share of a hard target that all classes get. [default: {TEACHER_LABEL_SMOOTHING} for a teacher, else 0]",
    ),
    _option("--flip/--no-flip", default=Recipe.flip, help="Mirror half of the training images."),
    _option("--amp", is_flag=True, help="Compute in bfloat16 what loses little by it."),
    _option("--seed", type=SEED, default=Recipe.seed, metavar="N", help="The same seed gives the same results."),
    _option(
        "--checkpoint-s",
        type=RATE,
        callback=finite,
        default=Recipe.checkpoint_s,
        metavar="S",
        help="Seconds between two states of an unfinished training that are kept.",
    ),
    _compute_options,
)
_student_options = option_group(
    _option(
        "--targets",
        type=click.Choice(["hard", "average", "dirichlet"]),
        default=Recipe.targets,
        help="Learn classes, or the payload's soft labels: their averages, or drawn anew each time.",
    ),
    _option("--no-weights", is_flag=True, help="Let all images count alike, whatever weights the payload has."),
)
_select_options = option_group(
    _option("--keep", callback=_rate, metavar="P", help="Share of the images to keep: floor(P M) of M, the surest."),
    _option("--kept", type=POSITIVE, metavar="K", help="Their number instead."),
    _option("--max-bytes", type=POSITIVE, metavar="B", help="Keep as many as B bytes hold, no more than P or K says."),
    _option(
        "--score",
        type=click.Choice(["energy", "entropy"]),
        multiple=True,
        default=["energy"],
        help="What the surest have the least of; may be repeated: their consensus.",
    ),
    _option("--inverse", is_flag=True, help="Keep the least sure instead (for a target far from the reference set)."),
    _option(
        "--safety-net",
        "alpha",
        type=float,
        callback=finite,
        metavar="ALPHA",
        help="Keep some of each class: quotas as n^ALPHA of its n images; 1 proportional, 0 equal, paper -0.2.",
    ),
    _option("--reserved", callback=_rate, default="1", metavar="P", help="Share of the kept images that quotas get."),
    _option("--stride", type=POSITIVE, default=1, metavar="S", help="Choose from every S-th image only ..."),
    _option("--offset", type=NATURAL, default=0, metavar="O", help="... from image O on."),
    _option("--class-names", is_flag=True, help="Send the names of the classes too."),
    _option("--soft-labels", is_flag=True, help="Send what the teacher's probabilities are like in each class too."),
    _option(
        "--importance-weights",
        "weights_tau",
        type=TEMPERATURE,
        callback=finite,
        metavar="TAU",
        help="Send a weight of each image too, exp(-score / TAU), TAU in standard deviations of the kept images'.",
    ),
)
_reference_option = click.option("--reference", required=True, metavar="SRC", help="The reference set.")
_target_train_option = click.option("--target-train", required=True, metavar="SRC", help="Images to teach with.")
_target_test_option = click.option("--target-test", required=True, metavar="SRC", help="Images to measure accuracy on.")
_folder_option = click.option("--output", required=True, type=FILE, metavar="DIR", help="Folder for what is made.")


def _recipe(model: str, threads: int, options: dict[str, Any], **defaults: Any) -> Recipe:
    """The recipe of a command's options, with `defaults` for those that were not given."""
    import torch

    from plada_train.models import parse_weights

    torch.set_num_threads(threads)
    given = {name: value for name, value in options.items() if value is not None}
    if "weights" in given:
        given["weights"] = parse_weights(given["weights"])
    return Recipe(model=model, **(defaults | given))


def _selection(options: dict[str, Any]) -> dict[str, Any]:
    """The arguments of `plada_train.selection.select`, taken out of a command's options."""
    sizes = {name: options.pop(name) for name in ("keep", "kept", "max_bytes")}
    if all(size is None for size in sizes.values()):
        raise click.UsageError("--kept, --keep or --max-bytes is needed.")
    if None not in (sizes["keep"], sizes["kept"]):
        raise click.UsageError("--keep and --kept exclude each other.")
    if options["alpha"] is None and options["reserved"] != "1":
        raise click.UsageError("--reserved is for --safety-net.")
    from plada_train.selection import Rule

    rule = Rule(**{name: options.pop(name) for name in ("score", "inverse", "alpha", "reserved")})
    return sizes | {"rule": rule} | {name: options.pop(name) for name in ("class_names", "soft_labels", "weights_tau")}


@main.command()
@_reference_option
@_target_train_option
@_target_test_option
@_select_options
@_option("--teacher", default="convnextv2_tiny", metavar="MODEL", help="A timm model.")
@_option("--student", default="resnet18", metavar="MODEL", help="A timm model.")
@_student_options
@_recipe_options
@_folder_option
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
def run(
    reference: str,
    target_train: str,
    target_test: str,
    stride: int,
    offset: int,
    teacher: str,
    student: str,
    targets: Targets,
    no_weights: bool,
    output: Path,
    as_json: bool,
    threads: int,
    **options: Any,
) -> None:
    """Run the whole method: teacher, scores, payload, student.

    Whenever it is ended, the same command goes on, to the same results; on GPUs or with --amp not to the bit.

    \b
    Example:
      plada-train run --reference REF --target-train TRAIN --target-test TEST \\
      --keep 0.05 --safety-net 0 --output out
    """  # noqa: D301
    selection = _selection(options)
    from plada_train.distributed import check_alone

    check_alone("run")
    teacher_recipe = _recipe(teacher, threads, options, label_smoothing=TEACHER_LABEL_SMOOTHING)
    student_recipe = _recipe(student, threads, options, targets=targets, importance=not no_weights)
    from plada_train.run import run as run_all

    report = run_all(
        reference,
        target_train,
        target_test,
        output,
        teacher=teacher_recipe,
        student=student_recipe,
        offset=offset,
        stride=stride,
        **selection,
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
@_option("--model", default="convnextv2_tiny", metavar="MODEL", help="A timm model.")
@_recipe_options
@_folder_option
def teacher(target_train: str, target_test: str, model: str, output: Path, threads: int, **options: Any) -> None:
    """Train a teacher on the target; writes teacher.safetensors and teacher.json.

    Whenever it is ended, the same command goes on from teacher.unfinished, to the same result; on GPUs or with --amp
    not to the bit. torchrun may start it as several processes.

    \b
    Examples:
      plada-train teacher --target-train train --target-test test --output out
      torchrun --nproc-per-node 2 -m plada_train teacher --target-train train --target-test test --output out
    """  # noqa: D301
    from plada_train import stages
    from plada_train.data import open_test_images, open_training_images
    from plada_train.distributed import is_first, joined
    from plada_train.files import output_file

    path = output / "teacher.safetensors"
    with joined(options["device"]) as device:
        recipe = _recipe(model, threads, options | {"device": device}, label_smoothing=TEACHER_LABEL_SMOOTHING)
        if is_first():
            output_file(path)
        data = open_training_images(target_train)
        test = open_test_images(target_test, data.num_classes, data.class_names)
        classifier = stages.teach(data, recipe, path.with_suffix(UNFINISHED))
        if is_first():
            _finish(classifier, test, recipe, path)


def _finish(classifier: Classifier, test: LabelledImages | None, recipe: Recipe, path: Path) -> None:
    """Writes what was trained, measured if there is something to measure on, and removes what was kept meanwhile."""
    from plada_train import stages
    from plada_train.models import save_checkpoint

    accuracy = None if test is None else stages.measure(classifier, test, recipe)
    save_checkpoint(classifier, path, accuracy=accuracy)
    path.with_suffix(UNFINISHED).unlink(missing_ok=True)
    click.echo(f"{path}: accuracy {'not measured' if accuracy is None else f'{accuracy:.1%}'}")


@main.command(context_settings={"default_map": {"workers": 1}})
@_reference_option
@click.option("--teacher", required=True, type=FILE, help="The checkpoint teacher.safetensors.")
@_option("--temperature", type=TEMPERATURE, callback=finite, default=1.0, metavar="T", help="Of energy and entropy.")
@_option("--shard-size", type=POSITIVE, default=1 << 16, metavar="N", help="Images labelled between two files.")
@_option("--amp", is_flag=True, help="Compute in bfloat16 what loses little by it: faster, and other scores.")
@_compute_options
@click.option("--output", required=True, type=FILE, metavar="DIR", help="Folder for the scores.")
def score(
    reference: str, teacher: Path, temperature: float, shard_size: int, output: Path, threads: int, **options: Any
) -> None:
    """Label and score the reference set with a teacher, shard by shard.

    Whenever it is ended, the same command goes on from the shards that are there, to the same bytes; on GPUs or with
    --amp not to the bit. Before it does, it reads the whole reference set again, for its digest.

    \b
    Example:
      plada-train score --reference 'ref-{000..007}.tar' --teacher out/teacher.safetensors --output out/scores
    """  # noqa: D301
    from plada_codec.reference import open_images
    from plada_train import stages
    from plada_train.distributed import check_alone
    from plada_train.files import output_folder
    from plada_train.models import load_checkpoint

    check_alone("score")
    output_folder(output)
    classifier = load_checkpoint(teacher, options["device"])
    recipe = _recipe(classifier.config.model, threads, options)
    images = open_images(reference)
    scores = stages.score(classifier, images, recipe, output, temperature=temperature, shard_size=shard_size)
    click.echo(f"{output}: {len(scores.label)} images, {scores.num_classes} classes")


@main.command()
@click.option(
    "--scores", required=True, multiple=True, type=FILE, help="What `score` wrote; may be repeated: their consensus."
)
@_select_options
@click.option("--output", required=True, type=FILE, metavar="FILE", help="The payload.")
@click.option("--json", "as_json", is_flag=True, help="Print what was kept, class by class, as JSON.")
def select(scores: tuple[Path, ...], stride: int, offset: int, output: Path, as_json: bool, **options: Any) -> None:
    """Choose the labels to send, and write them as a payload.

    \b
    Example:
      plada-train select --scores out/scores --keep 0.01 --safety-net -0.2 --output task.plada
    """  # noqa: D301
    selection = _selection(options)
    from plada_train.files import output_file, write_bytes
    from plada_train.scores import Scores
    from plada_train.selection import report_of, universe_of
    from plada_train.selection import select as select_by_rule

    output_file(output)
    loaded = [Scores.load(path) for path in scores]
    universe = universe_of(len(loaded[0].label), offset, stride)
    payload, encoded = select_by_rule(loaded, universe=universe, **selection)
    write_bytes(output, encoded)
    if as_json:
        click.echo(json.dumps(report_of(loaded[0], payload, encoded), indent=2))
    else:
        click.echo(f"{output}: {payload.kept} of {payload.reference_size} images kept, {len(encoded)} bytes")


@main.command()
@_reference_option
@click.option("--payload", required=True, type=FILE, help="What was received.")
@click.option("--target-test", metavar="SRC", help="Images to measure accuracy on, where the client has any.")
@_option("--model", default="resnet18", metavar="MODEL", help="A timm model.")
@_student_options
@_recipe_options
@_folder_option
def student(
    reference: str,
    payload: Path,
    target_test: str | None,
    model: str,
    targets: Targets,
    no_weights: bool,
    output: Path,
    threads: int,
    **options: Any,
) -> None:
    """Train a student on the client's side, from its reference set and a payload.

    Writes student.safetensors and student.json. Whenever it is ended, the same command goes on from
    student.unfinished, to the same result; on GPUs or with --amp not to the bit. torchrun may start it as several
    processes.

    \b
    Examples:
      plada-train student --reference 'ref-{000..007}.tar' --payload task.plada --output out
      torchrun --nproc-per-node 2 -m plada_train student --reference ref --payload task.plada --output out
    """  # noqa: D301
    from plada_codec import decode
    from plada_codec.reference import open_images
    from plada_train import stages
    from plada_train.data import open_test_images
    from plada_train.distributed import is_first, joined
    from plada_train.files import output_file, read_bytes
    from plada_train.models import make_classifier

    path = output / "student.safetensors"
    with joined(options["device"]) as device:
        options |= {"device": device, "targets": targets, "importance": not no_weights}
        recipe = _recipe(model, threads, options)
        if is_first():
            output_file(path)
        encoded = read_bytes(payload)
        with naming(str(payload)):
            said = decode(encoded)
        # What cannot work is found now, not after all images of the reference set were read for its digest
        test = open_test_images(target_test, said.num_classes, said.class_names) if target_test else None
        make_classifier(recipe, said.num_classes)
        received = stages.virtual_dataset(open_images(reference), encoded)
        classifier = stages.learn(received, recipe, path.with_suffix(UNFINISHED))
        if is_first():
            _finish(classifier, test, recipe, path)


@main.command()
@click.option("--checkpoint", required=True, type=FILE, help="student.safetensors, or any that was made here.")
@click.option("--output", required=True, type=FILE, metavar="FILE", help="Its suffix says the format.")
def export(checkpoint: Path, output: Path) -> None:
    """Write a model for other runtimes: .onnx, or its plain state_dict as .pt or .safetensors.

    The ONNX file takes `images`, float32 [N, 3, S, S], and gives `logits`; how images are prepared, and the names of
    the classes, are in its metadata.

    \b
    Example:
      plada-train export --checkpoint out/student.safetensors --output student.onnx
    """  # noqa: D301
    from plada_train.export import export as write
    from plada_train.files import output_file
    from plada_train.models import load_checkpoint

    classifier = load_checkpoint(checkpoint)
    write(classifier, output_file(output))
    config = classifier.config
    size = f"{config.image_size} x {config.image_size} pixels"
    click.echo(f"{output}: {config.model}, {size}, {config.num_classes} classes, {output.stat().st_size} bytes")


@main.command()
@click.option("--target", "targets", required=True, multiple=True, metavar="SRC", help="May be repeated: train, test.")
@_reference_option
@_option(
    "--threshold",
    type=SHARE,
    callback=finite,
    default=0.02,
    metavar="D",
    help="Mean absolute difference, 0 .. 1, of pixels.",
)
@_option("--size", type=POSITIVE, default=32, metavar="PIXELS", help="Side of the square that images are scaled to.")
@_option("--threads", type=THREADS, default=2, metavar="N", help="Images that are decoded at a time.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def leakage(targets: tuple[str, ...], reference: str, threshold: float, size: int, threads: int, as_json: bool) -> None:
    """Find images of the target that are in the reference set too (paper, Appendix A).

    Copies are found, other sizes and encodings of them too; crops and mirrored ones are not.

    \b
    Example:
      plada-train leakage --target train --target test --reference 'ref-{000..007}.tar'
    """  # noqa: D301
    from plada_train.leakage import find, table

    report = find(targets, reference, threshold=threshold, size=size, threads=threads)
    if as_json:
        click.echo(json.dumps(report, indent=2))
    else:
        from rich import print as rich_print

        rich_print(table(report))


@main.command()
@click.option("--output", type=FILE, metavar="DIR", help="Folder for all that is made. [default: a temporary one]")
@click.pass_context
def demo(ctx: click.Context, output: Path | None) -> None:
    """Run the whole method on scikit-learn's handwritten digits; takes less than a minute.

    \b
    Example:
      plada-train demo --output out
    """  # noqa: D301
    from plada_train.demo import OPTIONS, write_digits

    with tempfile.TemporaryDirectory() as temporary:
        folder = output or Path(temporary)
        sources = write_digits(folder)
        arguments = [text for name, source in sources.items() for text in (f"--{name}", str(source))]
        arguments += [*OPTIONS, "--output", str(folder)]
        click.echo(f"plada-train run {' '.join(arguments)}\n")
        with run.make_context("run", arguments, parent=ctx) as run_context:
            run.invoke(run_context)
