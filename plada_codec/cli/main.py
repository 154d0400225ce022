"""The group of all commands of `plada`, and those on payloads and reference sets: `encode`, `decode`, `verify`, ...

The commands are a thin layer over the Python API. Exit codes: 0 done; 1 bad input, with one line on standard error; 2
wrong usage. Everything but click is imported where it is used, so that `plada --help` answers at once.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from plada_codec.cli.budget.command import budget
from plada_codec.cli.extract import extract
from plada_codec.cli.frames.commands import carousel, channel, packetize
from plada_codec.cli.frames.reassemble import reassemble
from plada_codec.cli.reference import reference
from plada_codec.cli.terminal import (
    OneLineErrors,
    RegistryChoice,
    check_not_input,
    complain,
    finite,
    input_of,
    json_option,
    lines_of,
    message_of,
    naming_file,
    option_group,
    print_table,
    read_bytes,
    say,
    standard_output,
    write_bytes,
)
from plada_codec.errors import InvalidArgument, PladaError
from plada_codec.progress import FIRST_RUN, progress_bar

if TYPE_CHECKING:
    from plada_codec.limits import Limits
    from plada_codec.payload import Payload
    from plada_codec.reference import ImageSource


#: Class names that `inspect` prints in its table.
_SHOWN_NAMES = 20


class _ListsFormats(click.Command):
    """A command whose help lists the file formats."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        from plada_codec.interop.registry import FORMATS

        for title, is_complete in (("Formats of whole payloads", True), ("Formats of indices and labels", False)):
            with formatter.section(title):
                rows = FORMATS.items()
                formatter.write_dl([(name, row.content) for name, row in rows if row.is_complete == is_complete])
        super().format_epilog(ctx, formatter)


@click.group(cls=OneLineErrors, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="plada")
def main() -> None:
    """PLADA payloads: which images of a reference set are kept, and their classes, in few bytes."""


main.add_command(budget)
main.add_command(packetize)
main.add_command(carousel)
main.add_command(channel)
main.add_command(reassemble)
main.add_command(reference)
main.add_command(extract)


def _even(ctx: click.Context, param: click.Parameter, value: int | None) -> int | None:
    if value is not None and value % 2:
        raise click.BadParameter(f"{value} is odd: a digest has 8, 10, .. 32 bytes.")
    return value


_payload_options = option_group(
    click.option(
        "--reference",
        metavar="REF",
        help="The reference set: its size and digest, and the numbers of the images that IN names.",
    ),
    click.option(
        "--reference-size", type=click.IntRange(1), metavar="N", help="Number of images in the reference set."
    ),
    click.option("--classes", type=click.IntRange(1, 65_536), metavar="C", help="Number of classes."),
    click.option("--reference-digest", metavar="HEX", help="Digest of the reference set (`plada reference digest`)."),
    click.option(
        "--digest-bytes",
        type=click.IntRange(8, 32),
        callback=_even,
        metavar="D",
        help="Number of bytes of --reference-digest to send: 8, 10, .. 32.  [default: 8]",
    ),
    click.option(
        "--offset", type=click.IntRange(0), metavar="O", help="First image of the universe.  [default: IN's, or 0]"
    ),
    click.option(
        "--stride",
        type=click.IntRange(1),
        metavar="S",
        help="Every S-th image is in the universe.  [default: IN's, or 1]",
    ),
    click.option(
        "--class-names",
        type=click.Path(exists=True, dir_okay=False),
        help="Text file with the name of a class on each line: all are sent.",
    ),
    click.option(
        "--class-check",
        type=click.Path(exists=True, dir_okay=False),
        help="The same file, but only a check of the names is sent, in 2 bytes.",
    ),
    click.option("--no-class-check", is_flag=True, help="Drop the class check that IN has."),
    click.option(
        "--index-column",
        metavar="NAME",
        help="Column of the images in a table, by name, or by number from 1.  [default: index, or a name like it]",
    ),
    click.option(
        "--label-column",
        metavar="NAME",
        help="Column of the labels.  [default: label, or a name like it]",
    ),
    click.option("--sort", is_flag=True, help="Sort the rows of the input by index."),
)
_compared_names_option = click.option(
    "--class-names",
    "names_file",
    type=click.Path(exists=True, dir_okay=False),
    help="Text file with the names of your classes: the payload must be for them.",
)
_from_option = click.option(
    "--from", "from_format", metavar="FORMAT", help="Format of the input.  [default: its suffix]"
)
_to_option = click.option("--to", "to_format", metavar="FORMAT", help="Format of the output.  [default: its suffix]")
_limit_option = click.option(
    "--max-kept", type=click.IntRange(0), metavar="K", help="Largest number of kept images to accept."
)
_coding_options = option_group(
    click.option(
        "--profile",
        type=RegistryChoice("plada_codec.codings.coders", "PROFILES"),
        default="small",
        show_default=True,
        help="Fewest bytes, or less time.",
    ),
    click.option(
        "--decoder-class",
        type=RegistryChoice("plada_codec.codings.coders", "DECODER_CLASSES"),
        default="full",
        show_default=True,
        help="Least able receiver that must read it.",
    ),
    click.option(
        "--index-coding",
        default="auto",
        show_default=True,
        metavar="NAME",
        help="Coding of the images, such as gaps-zstd.",
    ),
    click.option(
        "--label-coding",
        default="auto",
        show_default=True,
        metavar="NAME",
        help="Coding of the labels, such as classes-huffman.",
    ),
)
_no_check_option = click.option(
    "--no-check", is_flag=True, help="With --reference: do not compute its digest, but compare N alone."
)
_expected_digest_option = click.option(
    "--expected-digest",
    metavar="HEX",
    help="Digest, or its first bytes, of the reference set that a payload must be for.",
)
_output_option = click.option("-o", "--output", required=True, metavar="OUT", help="File to write, or - .")


@main.command()
@click.argument("source", metavar="IN")
@_output_option
@_payload_options
@_coding_options
@_from_option
@_limit_option
def encode(
    source: str,
    output: str,
    profile: str,
    decoder_class: str,
    index_coding: str,
    label_coding: str,
    from_format: str | None,
    max_kept: int | None,
    **options: Any,
) -> None:
    """Encode a selection of images and labels as a payload.

    \b
    Example:
      plada encode kept.csv -o task.plada --reference-size 40000 --classes 12

    IN has any format that `plada convert` reads. With --reference, a table may name the images: by their path in REF,
    by that path without its suffix, or by the end of one of these. With --class-names or --class-check, it may name the
    classes.

    \b
    More examples:
      plada encode named.csv -o task.plada --reference 'ref-{000..001}.tar' --class-names names.txt
    """  # noqa: D301
    check_not_input(output, source, options["reference"], options["class_names"], options["class_check"])
    from plada_codec import api

    payload = _read(source, from_format, _limits(max_kept), options)
    with progress_bar(f"encoding ({FIRST_RUN})"):
        blob = api.encode(payload, profile, decoder_class, index_coding, label_coding, limits=_limits(max_kept))
    write_bytes(blob, output)


@main.command(cls=_ListsFormats)
@click.argument("source", metavar="IN.plada")
@_output_option
@_to_option
@click.option("--reference", metavar="REF", help="The reference set: OUT names its images, instead of their numbers.")
@_no_check_option
@_expected_digest_option
@_compared_names_option
@_limit_option
def decode(
    source: str,
    output: str,
    to_format: str | None,
    reference: str | None,
    no_check: bool,
    expected_digest: str | None,
    names_file: str | None,
    max_kept: int | None,
) -> None:
    """Decode a payload to a file of another format.

    \b
    Example:
      plada decode task.plada -o kept.npz

    The suffix of OUT chooses the format. With --reference, OUT is a table of the names of images, and of classes if the
    payload has their names.

    \b
    More examples:
      plada decode received.plada -o kept.csv --reference 'ref-{000..001}.tar'
    """  # noqa: D301
    check_not_input(output, source, reference, names_file)
    if reference is None and no_check:
        raise click.UsageError("--no-check needs --reference.")
    if reference is not None and expected_digest is not None:
        raise click.UsageError("--reference and --expected-digest exclude each other: the digest is computed.")
    from plada_codec import api, interop

    names = None if names_file is None else lines_of(names_file)
    target = standard_output() if output == "-" else output
    if reference is not None:
        interop.check_holds_names(target, to_format)
    images = None if reference is None else _opened_reference(reference)
    with naming_file(source), progress_bar(f"decoding ({FIRST_RUN})", "images") as progress:
        blob = read_bytes(source)
        if images is None:
            payload = api.decode(blob, _limits(max_kept), _digest(expected_digest))
        else:
            from plada_codec.virtual_dataset import decode_for

            payload = decode_for(images, blob, _limits(max_kept), check=not no_check, progress=progress)
        if names is not None:
            payload = payload.with_class_names(names)
    interop.write(payload, target, to_format, image_name=None if images is None else images.name)


@main.command()
@click.argument("source", metavar="IN.plada")
@json_option
@click.option("--hex", "as_hex", is_flag=True, help="Print every field with its bytes.")
def inspect(source: str, as_json: bool, as_hex: bool) -> None:
    """Show the header and the sections of a payload.

    \b
    Example:
      plada inspect task.plada --hex

    The checksum is compared. No other stream than the class names is decoded: that is `plada verify`.
    """  # noqa: D301
    from plada_codec import api

    if as_json and as_hex:
        raise click.UsageError("--json and --hex exclude each other.")
    with naming_file(source):
        blob = read_bytes(source)
        info = api.inspect(blob)
    if as_json:
        click.echo(json.dumps(info.as_dict(), indent=2))
    elif as_hex:
        from plada_codec.cli.hexdump import annotated_lines

        for line in annotated_lines(blob):
            say(line)
    else:
        rows = [
            ("format version", str(info.format_version)),
            ("reference set", f"{info.reference_size:,} images, digest {info.reference_digest.hex() or 'not said'}"),
            ("universe", f"offset {info.universe.offset}, stride {info.universe.stride}"),
            ("classes", f"{info.num_classes:,}{f', check {info.class_check.hex()}' if info.class_check else ''}"),
            *([] if info.class_names is None else [("class names", _some(info.class_names))]),
            ("kept", f"{info.kept:,}{' (the dropped ones are coded)' if info.complement else ''}"),
            ("decoder class", info.decoder_class),
            *((f"section {s.type}", f"{s.bytes:,} bytes, {s.coding}") for s in info.sections),
            ("overhead", f"{info.overhead_bytes:,} bytes"),
            ("payload", f"{info.payload_bytes:,} bytes"),
            ("bits per class", f"{info.bits_per_class:.1f}"),
            ("bits per kept image", "-" if info.bits_per_kept is None else f"{info.bits_per_kept:.3f}"),
        ]
        print_table(["", source], rows)


@main.command()
@click.argument("sources", metavar="IN.plada...", nargs=-1, required=True)
@_expected_digest_option
@_compared_names_option
@_limit_option
def verify(sources: tuple[str, ...], expected_digest: str | None, names_file: str | None, max_kept: int | None) -> None:
    """Decode payloads completely, and say whether each is valid.

    \b
    Example:
      plada verify task.plada
    """  # noqa: D301
    from plada_codec import api

    expected = _digest(expected_digest)
    names = None if names_file is None else lines_of(names_file)
    bad = 0
    for source in sources:
        try:
            with progress_bar(f"verifying ({FIRST_RUN})"):
                payload = api.decode(read_bytes(source), _limits(max_kept), expected)
                if names is not None:
                    payload.with_class_names(names)
        except (PladaError, OSError) as error:
            bad += 1
            complain(f"{source}: {error}" if isinstance(error, PladaError) else message_of(error))
        else:
            say(f"{source}: good, {payload.kept} of {payload.reference_size} images kept")
    if bad:
        raise SystemExit(1)


@main.command()
@click.argument("source", metavar="IN")
@_payload_options
@_from_option
@json_option
def compare(source: str, from_format: str | None, as_json: bool, **options: Any) -> None:
    """Compare the size of a payload with the codings of the paper.

    \b
    Example:
      plada compare kept.csv --reference-size 40000 --classes 12

    The codings are those of Appendix E. IN has any format that `plada convert` reads.
    """  # noqa: D301
    from plada_codec.interop.comparison import compare as compare_with_paper
    from plada_codec.limits import Limits

    payload = _read(source, from_format, Limits(), options)
    with progress_bar(f"comparing ({FIRST_RUN})") as progress:
        comparison = compare_with_paper(payload, progress=progress)
    if as_json:
        click.echo(json.dumps(comparison.as_dict(), indent=2))
        return
    rows = [
        (f"paper, {s.layout}", f"{s.raw_bytes:,}", f"{s.compact_bytes:,}", f"{s.huffman_bytes:,}", f"{s.zstd_bytes:,}")
        for s in comparison.layouts
    ]
    print_table(["bytes", "raw", "compact", "Huffman", "zstd-19"], rows)
    click.echo(f"plada: {comparison.ours_bytes:,} bytes, {comparison.ratio:.3f} of the paper's best")


@main.command(cls=_ListsFormats)
@click.argument("source", metavar="IN")
@click.argument("target", metavar="OUT")
@_payload_options
@_from_option
@_to_option
def convert(source: str, target: str, from_format: str | None, to_format: str | None, **options: Any) -> None:
    """Convert a selection from one file format to another.

    \b
    Example:
      plada convert task.plada kept.jsonl

    The suffix of a file chooses its format.
    """  # noqa: D301
    check_not_input(target, source, options["reference"], options["class_names"], options["class_check"])
    _check_kept(target, to_format, options)
    from plada_codec.limits import Limits

    with progress_bar(f"reading ({FIRST_RUN})"):
        payload = _read(source, from_format, Limits(), options)
    with progress_bar(f"writing ({FIRST_RUN})"):
        _write(payload, target, to_format)


@main.command()
@click.option("--decoder", required=True, metavar="CMD", help="Command that starts the decoder.")
@click.option("--frames", is_flag=True, help="Test a receiver of frames, not a decoder of payloads.")
@click.option("--batch", is_flag=True, help="Start one process that answers all requests.")
@click.option("--options", is_flag=True, help="The decoder takes limits and a digest as arguments.")
@click.option("--rules", is_flag=True, help="Compare kind and rule of each refusal.")
@click.option("--examples", type=click.IntRange(0), default=200, show_default=True, help="Number of generated cases.")
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of the generated cases.")
@click.option(
    "--timeout",
    "timeout_s",
    type=click.FloatRange(0, 86_400, min_open=True),
    default=60.0,
    callback=finite,
    show_default=True,
    help="Longest time for an answer, in seconds.",
)
@json_option
def conformance(
    decoder: str,
    frames: bool,
    batch: bool,
    options: bool,
    rules: bool,
    examples: int,
    seed: int,
    timeout_s: float,
    as_json: bool,
) -> None:
    """Test a decoder on the vectors and on generated payloads.

    \b
    Example:
      plada conformance --decoder 'python spec/decoder/plada_decode.py --batch' --batch --rules --examples 20

    The decoder gets a payload on standard input. It writes a line `index,label`, then a line for each kept image,
    and exits with 0. For a payload that must be refused, it exits with another code; with --rules, the last line on
    standard error must then hold kind and rule, such as Corrupt checksum. With --options, the decoder gets arguments
    such as --max-kept 1000 and --expected-digest 0123456789abcdef; without, the vectors that need them are left out.
    With --frames, it gets a stream of frames, --framing and --tag, and writes the object.

    \b
    With --batch, it answers requests until standard input ends, and exits with 0. Lengths are u32, little-endian.
      request: length, lines NAME=VALUE (options, such as max_kept=1000), length, payload
      answer:  length, then + and the CSV (the object), or - and KIND RULE

    \b
    More examples:
      plada conformance --decoder 'python spec/decoder/plada_frames_decode.py --batch' --frames --batch --rules
    """  # noqa: D301
    from plada_codec.testing.conformance import run_conformance

    with progress_bar("testing the decoder") as progress:
        report = run_conformance(
            decoder, examples, seed, timeout_s, progress, frames=frames, options=options, rules=rules, batch=batch
        )
    if as_json:
        click.echo(json.dumps(report.as_dict(), indent=2))
    else:
        for failure in report.failures:
            say(f"{failure.id}: {failure.what} ({failure.comment})")
        click.echo(
            f"{report.vectors} vectors, {report.examples} generated {'streams' if frames else 'payloads'}: "
            f"{'all as they should be' if not report.failures else f'{len(report.failures)} wrong'}"
        )
        for reason, count in Counter(case.reason for case in report.left_out).items():
            say(f"{count} left out: {reason}")
    if report.failures:
        raise SystemExit(1)


def _limits(max_kept: int | None) -> Limits:
    from plada_codec.limits import Limits

    return Limits() if max_kept is None else Limits(max_kept=max_kept)


def _digest(text: str | None) -> bytes | None:
    if text is None:
        return None
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise InvalidArgument(f"a digest is hexadecimal, not {text!r}", rule="reference-digest") from None


def _read(source: str, format: str | None, limits: Limits, options: dict[str, Any]) -> Payload:
    """Read a payload from a file and from the options of `_payload_options`."""
    from plada_codec import interop
    from plada_codec.limits import MIN_DIGEST_BYTES
    from plada_codec.reference import image_numbers, reference_digest

    names, checked_names = options["class_names"], options["class_check"]
    given = [name for name in ("class_names", "class_check", "no_class_check") if options[name]]
    if len(given) > 1:
        one, other = (f"--{name.replace('_', '-')}" for name in given[:2])
        raise click.UsageError(f"{one} and {other} exclude each other.")
    images = _opened_reference(options["reference"], options)
    if options["digest_bytes"] is not None and images is None and options["reference_digest"] is None:
        raise click.UsageError("--digest-bytes needs --reference-digest or --reference.")
    payload = interop.read(
        input_of(source),
        format,
        reference_size=options["reference_size"] if images is None else len(images),
        num_classes=options["classes"],
        reference_digest=_digest_to_send(options["reference_digest"], options["digest_bytes"]),
        class_names=None if names is None else lines_of(names),
        class_check=b"" if options["no_class_check"] else None,
        index_column=options["index_column"],
        label_column=options["label_column"],
        image_numbers=None if images is None else partial(image_numbers, images),
        label_names=None if checked_names is None else lines_of(checked_names),
        sort=options["sort"],
        limits=limits,
    )
    with naming_file(source):
        if images is not None:
            with progress_bar("computing the reference digest", "images") as progress:
                digest = reference_digest(images, progress)
            payload = payload.with_reference_digest(digest[: options["digest_bytes"] or MIN_DIGEST_BYTES])
        if options["offset"] is not None or options["stride"] is not None:
            payload = payload.with_universe(options["offset"], options["stride"])
        return payload if checked_names is None else payload.with_class_check(lines_of(checked_names))


def _opened_reference(source: str | None, options: Mapping[str, Any] = {}) -> ImageSource | None:
    """The source of --reference. It excludes options that say the same."""
    from plada_codec.reference import open_images

    if source is None:
        return None
    for name in ("reference_size", "reference_digest"):
        if options.get(name) is not None:
            raise click.UsageError(f"--reference and --{name.replace('_', '-')} exclude each other: REF says it.")
    return open_images(source)


def _digest_to_send(text: str | None, size: int | None) -> bytes | None:
    """The first `size` bytes of a digest, which it must have."""
    from plada_codec.limits import MAX_DIGEST_BYTES, MIN_DIGEST_BYTES

    digest = _digest(text)
    if digest is None:
        return None
    if len(digest) > MAX_DIGEST_BYTES:
        raise click.UsageError(f"--reference-digest has {len(digest)} bytes, but a digest has {MAX_DIGEST_BYTES}.")
    wanted = MIN_DIGEST_BYTES if size is None else size
    if len(digest) < wanted:
        raise click.UsageError(f"--reference-digest has {len(digest)} bytes: {wanted} cannot be sent.")
    return digest[:wanted]


def _check_kept(target: str, format: str | None, options: dict[str, Any]) -> None:
    """Refuse options that set something which the format of the output does not hold."""
    from plada_codec.interop.registry import FORMATS

    name = format or Path(target).suffix.lower().removeprefix(".")
    given = [option for option in ("class_names", "class_check", "reference_digest") if options[option] is not None]
    if given and name in FORMATS and not FORMATS[name].is_complete:
        raise click.UsageError(f"--{given[0].replace('_', '-')}: the format {name} holds indices and labels only.")


def _some(names: Sequence[str]) -> str:
    """The first names of a list, and the number of the others."""
    shown = ", ".join(names[:_SHOWN_NAMES])
    return shown if len(names) <= _SHOWN_NAMES else f"{shown} and {len(names) - _SHOWN_NAMES:,} more"


def _write(payload: Payload, target: str, format: str | None) -> None:
    from plada_codec import interop

    interop.write(payload, standard_output() if target == "-" else target, format)
