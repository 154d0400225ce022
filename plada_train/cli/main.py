"""The commands of `plada-train`: the whole method (`run`), each stage on files, and a demonstration.

`plan` and `report` are in `plan.py`.

An error is one line on standard error and exit code 1; wrong usage is exit code 2. Nothing heavy is imported before a
command runs.
"""

from __future__ import annotations

import os
import shlex
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

# Before torch is imported: waiting OpenMP threads that spin slow a shared machine down tenfold and more.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("GOMP_SPINCOUNT", "0")
# Users can do nothing about the warnings of torch's own code, such as one about a host without a name.
os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")

import click
from click.core import ParameterSource

from plada_codec.cli.terminal import (
    OneLineErrors,
    check_not_input,
    complain,
    finite,
    is_standard_output,
    lines_of,
    naming_file,
    option_group,
    say,
    write_bytes,
)
from plada_codec.errors import InputError, PladaWarning
from plada_train.cli import plan
from plada_train.cli.fields import field_option, option
from plada_train.cli.options import (
    FILE,
    NATURAL,
    POSITIVE,
    TEMPERATURES,
    budgets_of,
    check_option,
    folder_option,
    link_options,
    planning_options,
    rate,
    reference_option,
    rule_options,
    section_options,
    sections_of,
    target_train_option,
    threads_option,
)
from plada_train.cli.recipes import compute_options, one_model_options, options_of_models, recipe_of, recipe_options
from plada_train.files import UNFINISHED
from plada_train.recipe import (
    SHARD_SIZE,
    STUDENT_MODEL,
    TEACHER_LABEL_SMOOTHING,
    TEACHER_MODEL,
    TEMPERATURE,
    Planning,
    Recipe,
    Targets,
)
from plada_train.scores.registry import SCORES, SCORES_OF_LOGITS
from plada_train.selection.registry import OPTIONS, make_rule, row_of

if TYPE_CHECKING:
    from plada_train.data.labelled import LabelledImages
    from plada_train.models.classifier import Classifier
    from plada_train.run_config import Selection

#: The extra that installs a package.
EXTRAS = dict.fromkeys(("PIL", "huggingface_hub", "jinja2", "pydantic", "pydantic_core", "safetensors"), "train")
EXTRAS |= dict.fromkeys(("sklearn", "timm", "torch", "torchvision"), "train")
EXTRAS |= dict.fromkeys(("onnx", "onnx_ir", "onnxscript"), "export")

#: Options of `run` that name a selection; without any of them, the planner chooses one.
SELECTION_OPTIONS = ("keep", "kept", "score", "inverse", *OPTIONS, "stride", "offset")
#: Options of `run` that are for the planner.
PLANNER_OPTIONS = ("held_out", "candidates", "minutes", "proxy_steps")
SHARE = click.FloatRange(0, 1, min_open=True)


class _Commands(OneLineErrors):
    """A group of commands that reports a missing extra in one line."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
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

    SRC is a source of images: a folder of images, a folder of WebDataset shards, one shard, or a pattern such as
    'ref-{000..007}.tar'. Images of the target need labels: a folder for each class, or .cls members in the shards.
    """


_student_options = option_group(
    field_option(Recipe, "targets"),
    option("--no-weights", is_flag=True, help="Count all images alike, even if the payload has importance weights."),
)
_select_options = option_group(
    option("--keep", callback=rate, metavar="P", help="Share of the images to keep, such as 0.05; rounded down."),
    option("--kept", type=POSITIVE, metavar="K", help="Number of images to keep, instead of --keep."),
    option(
        "--max-bytes",
        type=POSITIVE,
        metavar="B",
        help="Largest size of the payload in bytes; fewer images are kept if needed.",
    ),
    option(
        "--score",
        type=click.Choice(SCORES_OF_LOGITS),
        multiple=True,
        default=["energy"],
        help="Score of the images: those with the lowest score are kept. Repeat it for the consensus of several. "
        + " ".join(f"{name}: {SCORES[name].description}" for name in SCORES_OF_LOGITS),
    ),
    option(
        "--inverse",
        is_flag=True,
        help="Keep the images with the highest scores (for a target that differs much from the reference set).",
    ),
    rule_options,
    option("--stride", type=POSITIVE, default=1, metavar="S", help="Use only every S-th image of the reference set."),
    option("--offset", type=NATURAL, default=0, metavar="O", help="Number of the first image that is used."),
    section_options,
)
_target_test_option = click.option("--target-test", required=True, metavar="SRC", help="Images to measure accuracy on.")


def _named(ctx: click.Context, names: tuple[str, ...]) -> str | None:
    """The first of these options that the user gave to the command; None if there is none."""
    given = (param for param in ctx.command.params if param.name in names)
    given = (param for param in given if ctx.get_parameter_source(param.name or "") is ParameterSource.COMMANDLINE)
    return next((param.opts[0] for param in given), None)


def _selection(options: dict[str, Any], sizes_named: str = "--kept, --keep or --max-bytes") -> Selection:
    """Make the selection that a command's options name; remove these options."""
    sizes = {name: options.pop(name) for name in ("keep", "kept", "max_bytes")}
    if all(size is None for size in sizes.values()):
        raise click.UsageError(f"{sizes_named} is needed.")
    if None not in (sizes["keep"], sizes["kept"]):
        raise click.UsageError("--keep and --kept exclude each other.")
    of_rule = {name: options.pop(name) for name in OPTIONS}
    try:
        row_of(of_rule)
    except InputError as error:
        raise click.UsageError(f"{error.args[0]}.") from None
    from plada_train.run_config import Selection

    rule = make_rule(options.pop("score"), options.pop("inverse"), of_rule)
    return Selection(**sizes, rule=rule, offset=options.pop("offset"), stride=options.pop("stride"))


@main.command()
@reference_option
@target_train_option
@_target_test_option
@_select_options
@link_options
@field_option(Planning, "held_out")
@planning_options
@option(
    "--teacher", default=TEACHER_MODEL, metavar="MODEL", help="Architecture of the teacher: the name of a timm model."
)
@option(
    "--student", default=STUDENT_MODEL, metavar="MODEL", help="Architecture of the student: the name of a timm model."
)
@_student_options
@recipe_options
@one_model_options
@check_option
@click.option("--task", metavar="NAME", help="Name of the task, for the report.  [default: the target's folder]")
@folder_option
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
@click.pass_context
def run(
    ctx: click.Context,
    /,
    reference: str,
    target_train: str,
    target_test: str,
    link_id: str | None,
    within_s: float | None,
    teacher: str,
    student: str,
    targets: Targets,
    no_weights: bool,
    task: str | None,
    output: Path,
    as_json: bool,
    threads: int,
    check_images: bool,
    **options: Any,
) -> None:
    """Run the whole method: teacher, scores, payload, student, report.

    \b
    Example:
      plada-train run --reference REF --target-train TRAIN --target-test TEST --max-bytes 1000 --output out

    If only a budget of bytes is given (--max-bytes, or --link and --within), the planner chooses the images that are
    kept. To choose yourself, give --keep, --kept, --score, --inverse, --safety-net, --reserved, --stride or --offset.

    Options such as --weights, --model-arg and --image-size are for both models. --teacher-weights and --student-weights
    and so on are for one model, and come before those for both.

    If a run is interrupted, the same command continues it. The results are the same; on GPUs or with --amp they may
    differ in the last bits. The planner makes the same choice on any machine if its --minutes suffice for --candidates
    N. Ctrl-C during the planner's search only ends the search: the best candidate so far is chosen.

    \b
    More examples:
      plada-train run --reference REF --target-train TRAIN --target-test TEST \\
      --link nanomodem-v3 --within '20 s' --output out
      plada-train run --reference REF --target-train TRAIN --target-test TEST \\
      --keep 0.05 --safety-net 0 --output out
    """  # noqa: D301
    selecting, for_the_planner = _named(ctx, SELECTION_OPTIONS), _named(ctx, PLANNER_OPTIONS)
    if selecting and for_the_planner:
        raise click.UsageError(f"{for_the_planner} is for the planner, but {selecting} names a selection without it.")
    max_bytes = () if options["max_bytes"] is None else (options["max_bytes"],)
    options["max_bytes"] = budget_bytes = next(iter(budgets_of(max_bytes, link_id, within_s)), None)
    choice: Selection | Planning = _selection(options, "--max-bytes, --link, --kept or --keep")
    limits = {name: options.pop(name) for name in PLANNER_OPTIONS}
    if budget_bytes is not None and not selecting:
        choice = Planning(budget_bytes=budget_bytes, workers=threads, **limits)
    from plada_train.distributed import check_single_process

    check_single_process("run")
    from plada_train.json_files import dumps
    from plada_train.pipeline import run as run_all
    from plada_train.run_config import RunConfig, Sources

    # Removed from the options first: the remaining ones are for the recipes
    sections = sections_of(options)
    of_teacher, of_student = options_of_models(options)
    for name in ("teacher", "student"):
        check_not_input(output / f"{name}.safetensors", of_teacher["weights"], of_student["weights"])
    config = RunConfig(
        sources=Sources(reference=reference, target_train=target_train, target_test=target_test),
        teacher=recipe_of(teacher, threads, of_teacher, label_smoothing=TEACHER_LABEL_SMOOTHING),
        student=recipe_of(student, threads, of_student, targets=targets, importance=not no_weights),
        choice=choice,
        sections=sections,
        task=task,
    )
    report = run_all(config, output, check_images=check_images)
    if as_json:
        click.echo(dumps(report))
    else:
        from rich import print as rich_print

        from plada_train.cli.summary import result_table

        rich_print(result_table(report))
        say("")
        say(f"To look at: {output / 'report.html'}")


@main.command()
@target_train_option
@_target_test_option
@option("--model", default=TEACHER_MODEL, metavar="MODEL", help="Architecture of the model: the name of a timm model.")
@field_option(
    Planning,
    "held_out",
    "--held-out",
    "held_out_share",
    default=None,
    help="Share of the training images that the teacher does not see, for `plada-train plan --held-out P`.",
)
@recipe_options
@check_option
@folder_option
def teacher(
    target_train: str,
    target_test: str,
    model: str,
    held_out_share: float | None,
    output: Path,
    threads: int,
    check_images: bool,
    **options: Any,
) -> None:
    """Train a teacher on the target.

    \b
    Example:
      plada-train teacher --target-train train --target-test test --output out

    The results are teacher.safetensors and teacher.json. If the training is interrupted, the same command continues it
    from teacher.unfinished. The result is the same; on GPUs or with --amp it may differ in the last bits. torchrun can
    start the command as several processes.

    \b
    More examples:
      torchrun --nproc-per-node 2 -m plada_train teacher --target-train train --target-test test --output out
    """  # noqa: D301
    from plada_train import stages
    from plada_train.data.labelled import open_test_images, open_training_images, split_held_out
    from plada_train.distributed import is_first, join_processes
    from plada_train.models.classifier import make_classifier

    path = output / "teacher.safetensors"
    check_not_input(path, options["weights"])
    with join_processes(options["device"]) as device, ExitStack() as stack:
        recipe = recipe_of(model, threads, options | {"device": device}, label_smoothing=TEACHER_LABEL_SMOOTHING)
        stack.enter_context(_locked_folder_of(path))
        data = open_training_images(target_train)
        test = open_test_images(target_test, data.num_classes, data.class_names)
        # Find errors of the model now, before all images are decoded
        make_classifier(recipe, data.num_classes)
        if check_images and not path.with_suffix(UNFINISHED).exists():
            stages.check_images((data, test))
        if held_out_share is not None:
            data, _ = split_held_out(data, held_out_share)
        classifier = stages.train_teacher(data, recipe, path.with_suffix(UNFINISHED))
        classifier = replace(classifier, held_out=held_out_share)
        if is_first():
            _finish(classifier, test, recipe, path)


@contextmanager
def _locked_folder_of(path: Path) -> Iterator[None]:
    """Check that a result can be written, and hold a lock on its folder, in the first process."""
    from plada_codec.files import lock_folder
    from plada_train.distributed import is_first
    from plada_train.files import output_file

    with lock_folder(output_file(path).parent) if is_first() else nullcontext():
        yield


def _finish(classifier: Classifier, test: LabelledImages | None, recipe: Recipe, path: Path) -> None:
    """Measure a trained model on the test images (if any), write it, and remove the state of its training."""
    from plada_train import stages
    from plada_train.models.classifier import save_checkpoint

    accuracy = None if test is None else test.accuracy(stages.predict(classifier, test, recipe))
    save_checkpoint(classifier, path, accuracy=accuracy)
    path.with_suffix(UNFINISHED).unlink(missing_ok=True)
    say(f"{path}: accuracy {'not measured' if accuracy is None else f'{accuracy:.1%}'}")


@main.command(context_settings={"default_map": {"workers": 1}})
@reference_option
@click.option("--teacher", required=True, type=FILE, help="The checkpoint teacher.safetensors.")
@option(
    "--temperature",
    type=TEMPERATURES,
    callback=finite,
    default=TEMPERATURE,
    metavar="T",
    help="Temperature of the scores.",
)
@option("--shard-size", type=POSITIVE, default=SHARD_SIZE, metavar="N", help="Images in each file of scores.")
@field_option(
    Recipe, "amp", help="Compute in bfloat16 where that loses little. It is faster, and the scores differ a little."
)
@compute_options
@click.option("--output", required=True, type=FILE, metavar="DIR", help="Folder for the scores.")
def score(
    reference: str, teacher: Path, temperature: float, shard_size: int, output: Path, threads: int, **options: Any
) -> None:
    """Label and score the reference set with a teacher.

    \b
    Example:
      plada-train score --reference 'ref-{000..007}.tar' --teacher out/teacher.safetensors --output out/scores

    The scores are written shard by shard. If the command is interrupted, the same command reads the whole reference set
    again for its digest, and continues after the last whole shard. The bytes are the same; on GPUs or with --amp the
    last bits may differ.
    """  # noqa: D301
    from plada_codec.files import output_folder
    from plada_codec.reference import open_images
    from plada_train import stages
    from plada_train.distributed import check_single_process
    from plada_train.models.classifier import load_checkpoint

    check_single_process("score")
    output_folder(output)
    classifier = load_checkpoint(teacher, options["device"])
    recipe = recipe_of(classifier.config.model, threads, options)
    images = open_images(reference)
    scores = stages.score(classifier, images, recipe, output, temperature=temperature, shard_size=shard_size)
    say(f"{output}: {len(scores.label)} images, {scores.num_classes} classes")


@main.command()
@click.option(
    "--scores",
    required=True,
    multiple=True,
    type=FILE,
    help="Folder that `plada-train score` wrote; repeat it for a consensus.",
)
@_select_options
@click.option("--output", required=True, type=FILE, metavar="FILE", help="File for the payload.")
@click.option("--json", "as_json", is_flag=True, help="Print the numbers of kept images, class by class, as JSON.")
def select(scores: tuple[Path, ...], output: Path, as_json: bool, **options: Any) -> None:
    """Choose the labels to send, and write them as a payload.

    \b
    Example:
      plada-train select --scores out/scores --keep 0.01 --safety-net -0.2 --output task.plada
    """  # noqa: D301
    selection = _selection(options)
    target = str(output)
    check_not_input(target, *(file for folder in scores for file in folder.glob("*") if file.suffix != ".plada"))
    if as_json and is_standard_output(target):
        raise click.UsageError("--json and the payload cannot both be on standard output.")
    from plada_train.files import output_file, read_bytes
    from plada_train.json_files import dumps
    from plada_train.scores.reference_scores import Scores
    from plada_train.selection.payloads import selection_report

    if target != "-":
        output_file(output)
    loaded = [Scores.load(path) for path in scores]
    payload, encoded = selection.select(loaded, sections_of(options))
    if output.is_file() and read_bytes(output) != encoded:
        warnings.warn(f"{output} held something else: it is replaced", PladaWarning, stacklevel=1)
    write_bytes(encoded, target)
    if as_json:
        click.echo(dumps(selection_report(loaded[0], payload, encoded)))
    elif not is_standard_output(target):
        say(f"{output}: {payload.kept} of {payload.reference_size} images kept, {len(encoded)} bytes")


@main.command()
@reference_option
@click.option("--payload", required=True, type=FILE, help="File with the received payload.")
@click.option("--target-test", metavar="SRC", help="Images to measure accuracy on, if the client has any.")
@click.option(
    "--class-names",
    "names_file",
    type=FILE,
    help="Text file with the name of each class, in the order of the labels, if the payload does not hold them.",
)
@option("--model", default=STUDENT_MODEL, metavar="MODEL", help="Architecture of the model: the name of a timm model.")
@_student_options
@recipe_options
@check_option
@folder_option
def student(
    reference: str,
    payload: Path,
    target_test: str | None,
    names_file: Path | None,
    model: str,
    targets: Targets,
    no_weights: bool,
    output: Path,
    threads: int,
    check_images: bool,
    **options: Any,
) -> None:
    """Train a student from a reference set and a payload.

    \b
    Example:
      plada-train student --reference 'ref-{000..007}.tar' --payload task.plada --output out

    Clients use this command. The results are student.safetensors and student.json. If the training is interrupted, the
    same command continues it from student.unfinished. The result is the same; on GPUs or with --amp it may differ in
    the last bits. torchrun can start the command as several processes.

    \b
    More examples:
      torchrun --nproc-per-node 2 -m plada_train student --reference ref --payload task.plada --output out
    """  # noqa: D301
    from plada_codec import decode
    from plada_codec.reference import open_images
    from plada_train import stages
    from plada_train.data.labelled import open_test_images
    from plada_train.distributed import is_first, join_processes
    from plada_train.files import read_bytes
    from plada_train.models.classifier import make_classifier

    path = output / "student.safetensors"
    check_not_input(path, options["weights"], names_file)
    with join_processes(options["device"]) as device, ExitStack() as stack:
        options |= {"device": device, "targets": targets, "importance": not no_weights}
        recipe = recipe_of(model, threads, options)
        stack.enter_context(_locked_folder_of(path))
        encoded = read_bytes(payload)
        with naming_file(str(payload)):
            decoded = decode(encoded)
            if names_file is not None:
                decoded = decoded.with_class_names(lines_of(str(names_file)))
        # Find errors now, before all images of the reference set are read for its digest
        test = None
        if target_test:
            test = open_test_images(target_test, decoded.num_classes, decoded.class_names, decoded.class_check)
        make_classifier(recipe, decoded.num_classes)
        known_names = decoded.class_names if test is None else test.class_names
        received = stages.virtual_dataset(open_images(reference), encoded, known_names)
        if check_images and not path.with_suffix(UNFINISHED).exists():
            stages.check_images((received,) if test is None else (received, test))
        classifier = stages.train_student(received, recipe, path.with_suffix(UNFINISHED))
        if is_first():
            _finish(classifier, test, recipe, path)


@main.command()
@click.option("--checkpoint", required=True, type=FILE, help="File student.safetensors or teacher.safetensors.")
@click.option(
    "--output", required=True, type=FILE, metavar="FILE", help="File to write; its suffix chooses the format."
)
def export(checkpoint: Path, output: Path) -> None:
    """Write a model for other runtimes, such as ONNX.

    \b
    Example:
      plada-train export --checkpoint out/student.safetensors --output student.onnx

    The suffix of the output chooses the format: .onnx, or the plain state_dict as .pt or .safetensors. The ONNX file
    maps `images`, float32 [N, 3, S, S], to `logits`. Its metadata say how to prepare images, and name the classes.
    """  # noqa: D301
    check_not_input(output, checkpoint, checkpoint.with_suffix(".json"))
    from plada_train.files import output_file
    from plada_train.models.classifier import load_checkpoint
    from plada_train.models.export import export as write

    classifier = load_checkpoint(checkpoint)
    write(classifier, output_file(output))
    config = classifier.config
    size = f"{config.image_size} x {config.image_size} pixels"
    say(f"{output}: {config.model}, {size}, {config.num_classes} classes, {output.stat().st_size} bytes")


@main.command()
@click.option(
    "--target", "targets", required=True, multiple=True, metavar="SRC", help="Images of the target; may be repeated."
)
@reference_option
@option(
    "--threshold",
    type=SHARE,
    callback=finite,
    default=0.02,
    metavar="D",
    help="Largest mean difference of the pixels of two copies, 0 .. 1.",
)
@option("--size", type=POSITIVE, default=32, metavar="PIXELS", help="Side of the square that images are scaled to.")
@threads_option("Number of images that are decoded at a time.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def leakage(targets: tuple[str, ...], reference: str, threshold: float, size: int, threads: int, as_json: bool) -> None:
    """Find images of the target that are also in the reference set.

    \b
    Example:
      plada-train leakage --target train --target test --reference 'ref-{000..007}.tar'

    Copies are found in any size and encoding. Crops and mirrored images are not found. See the paper, Appendix A.
    """  # noqa: D301
    from plada_train.data.leakage import find
    from plada_train.json_files import dumps

    report = find(targets, reference, threshold=threshold, size=size, threads=threads)
    if as_json:
        click.echo(dumps(report))
    else:
        from plada_train.cli.summary import print_leakage

        print_leakage(report)


@main.command()
@option("--output", type=FILE, default="plada-demo", metavar="DIR", help="Folder for all files.")
@click.pass_context
def demo(ctx: click.Context, output: Path) -> None:
    """Run the whole method on handwritten digits, in a minute.

    \b
    Example:
      plada-train demo --output out
    """  # noqa: D301
    from plada_train.data.digits import OPTIONS, write_digits

    sources = write_digits(output)
    arguments = [text for name, source in sources.items() for text in (f"--{name}", str(source))]
    arguments += [*OPTIONS, "--output", str(output)]
    say(shlex.join(["plada-train", "run", *arguments]))
    say("")
    with run.make_context("run", arguments, parent=ctx) as run_context:
        run.invoke(run_context)


main.add_command(plan.plan)
main.add_command(plan.report)
