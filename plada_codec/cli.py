"""The command line `plada`: a thin layer over the Python API.

Exit codes: 0 done; 1 bad input, with one line on standard error; 2 wrong usage. Everything but click is imported
where it is used, so that `plada --help` answers at once.
"""

from __future__ import annotations

import io
import json
import math
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from plada_codec.errors import InvalidPayload, PladaError

if TYPE_CHECKING:
    from typing import BinaryIO, NoReturn

    from plada_codec.limits import Limits
    from plada_codec.payload import Payload

_Command = TypeVar("_Command", bound=Callable[..., Any])


class OneLineErrors(click.Group):
    """A group of commands whose errors are one line on standard error; bad input exits with 1, wrong usage with 2."""

    def invoke(self, ctx: click.Context) -> Any:
        # File names need not be UTF-8; a name that cannot be printed is no reason to fail.
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(errors="backslashreplace")
        try:
            return super().invoke(ctx)
        except click.exceptions.NoArgsIsHelpError:
            raise
        except click.UsageError as error:
            path = error.ctx.command_path if error.ctx else ctx.command_path
            complain(f"{path}: {error.format_message().removesuffix('.')}. See '{path} --help'.")
            ctx.exit(2)
        except (PladaError, OSError) as error:
            complain(f"{ctx.info_name}: {_in_words(error)}")
            ctx.exit(1)
        except MemoryError:
            complain(f"{ctx.info_name}: out of memory")
            ctx.exit(1)


def complain(message: str) -> None:
    """Prints one line on standard error, whatever is in it."""
    click.echo("".join(ch if ch.isprintable() else ascii(ch)[1:-1] for ch in message), err=True)


def _in_words(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return str(error)


@click.group(cls=OneLineErrors, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="plada")
def main() -> None:
    """PLADA payloads: which images of a reference set are kept, and their classes, in few bytes."""


def option_group(*options: Callable[[_Command], _Command]) -> Callable[[_Command], _Command]:
    """One decorator of several options, in the order in which the help lists them."""

    def add(command: _Command) -> _Command:
        for option in reversed(options):
            command = option(command)
        return command

    return add


def finite(ctx: click.Context, parameter: click.Parameter, value: Any) -> Any:
    """A callback that refuses NaN and infinity, which are within click's ranges."""
    for number in value if isinstance(value, tuple) else (value,):
        if number is not None and not math.isfinite(number):
            raise click.BadParameter(f"{number} is not a finite number")
    return value


_payload_options = option_group(
    click.option("--reference-size", type=int, metavar="N", help="Number of images in the reference set."),
    click.option("--classes", type=int, metavar="C", help="Number of classes."),
    click.option("--reference-digest", metavar="HEX", help="Digest of the reference set (`plada reference digest`)."),
    click.option(
        "--digest-bytes",
        type=click.IntRange(8, 32),
        default=8,
        show_default=True,
        help="How many bytes of --reference-digest are sent.",
    ),
    click.option("--offset", type=int, metavar="O", help="First image of the universe.  [default: 0]"),
    click.option("--stride", type=int, metavar="S", help="Every how many images the universe has one.  [default: 1]"),
    click.option("--class-names", type=click.Path(exists=True, dir_okay=False), help="Text file, one name a line."),
)
_from_option = click.option(
    "--from", "from_format", metavar="FORMAT", help="Format of the input.  [default: its suffix]"
)
_to_option = click.option("--to", "to_format", metavar="FORMAT", help="Format of the output.  [default: its suffix]")
_json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
_limit_option = click.option("--max-kept", type=click.IntRange(0), metavar="K", help="Limit on kept images.")
_coding_options = option_group(
    click.option("--profile", type=click.Choice(["small", "fast"]), default="small", show_default=True),
    click.option(
        "--decoder-class",
        type=click.Choice(["core", "zstd", "full"]),
        default="full",
        show_default=True,
        help="The least able receiver.",
    ),
    click.option("--index-coding", default="auto", show_default=True, metavar="NAME", help="For instance gaps-zstd."),
    click.option("--label-coding", default="auto", show_default=True, metavar="NAME", help="Or classes-huffman."),
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
    **said: Any,
) -> None:
    """Encode a selection: indices and labels in any format that `plada convert` reads.

    \b
    Example:
      plada encode kept.csv -o task.plada --reference-size 40000 --classes 12
    """  # noqa: D301
    from plada_codec import api

    payload = _read(source, from_format, _limits(max_kept), said)
    with _patience("encoding"):
        blob = api.encode(payload, profile, decoder_class, index_coding, label_coding, limits=_limits(max_kept))
    _write_bytes(blob, output)


@main.command()
@click.argument("source", metavar="IN.plada")
@_output_option
@_to_option
@click.option("--reference", metavar="HEX", help="Digest that the payload must be for.")
@_limit_option
def decode(source: str, output: str, to_format: str | None, reference: str | None, max_kept: int | None) -> None:
    """Decode a payload to npz, csv, jsonl, arrow, parquet, ...

    All but npz, arrow, parquet and plada hold indices and labels only: class names, soft labels and weights are lost.

    \b
    Example:
      plada decode task.plada -o kept.npz
    """  # noqa: D301
    from plada_codec import api

    with naming(source), _patience("decoding"):
        payload = api.decode(_read_bytes(source), _limits(max_kept), _digest(reference))
    _write(payload, output, to_format)


@main.command()
@click.argument("source", metavar="IN.plada")
@_json_option
@click.option("--hex", "as_hex", is_flag=True, help="Print every field with its bytes.")
def inspect(source: str, as_json: bool, as_hex: bool) -> None:
    """Show header and sections of a payload; no stream is decoded.

    \b
    Example:
      plada inspect task.plada --hex
    """  # noqa: D301
    from plada_codec import api

    if as_json and as_hex:
        raise click.UsageError("--json and --hex exclude each other.")
    with naming(source):
        blob = _read_bytes(source)
        info = api.inspect(blob)
    if as_json:
        click.echo(json.dumps(info.as_dict(), indent=2))
    elif as_hex:
        from plada_codec.hexdump import annotated_lines

        click.echo("\n".join(annotated_lines(blob)))
    else:
        rows = [
            ("format version", str(info.format_version)),
            ("reference set", f"{info.reference_size:,} images, digest {info.reference_digest.hex() or 'not said'}"),
            ("universe", f"offset {info.universe.offset}, stride {info.universe.stride}"),
            ("classes", f"{info.num_classes:,}"),
            ("kept", f"{info.kept:,}{' (the dropped ones are coded)' if info.complement else ''}"),
            ("decoder class", info.decoder_class),
            *((f"section {s.type}", f"{s.bytes:,} bytes, {s.coding}") for s in info.sections),
            ("overhead", f"{info.overhead_bytes:,} bytes"),
            ("payload", f"{info.payload_bytes:,} bytes"),
            ("bits per class", f"{info.bits_per_class:.1f}"),
            ("bits per kept image", "-" if info.bits_per_kept is None else f"{info.bits_per_kept:.3f}"),
        ]
        _table(["", source], rows)


@main.command()
@click.argument("sources", metavar="IN.plada...", nargs=-1, required=True)
@click.option("--reference", metavar="HEX", help="Digest that the payloads must be for.")
@_limit_option
def verify(sources: tuple[str, ...], reference: str | None, max_kept: int | None) -> None:
    """Decode payloads completely and say whether each is good.

    \b
    Example:
      plada verify task.plada
    """  # noqa: D301
    from plada_codec import api

    expected = _digest(reference)
    bad = 0
    for source in sources:
        try:
            with _patience("verifying"):
                payload = api.decode(_read_bytes(source), _limits(max_kept), expected)
        except (PladaError, OSError) as error:
            bad += 1
            complain(f"{source}: {error}" if isinstance(error, PladaError) else _in_words(error))
        else:
            click.echo(f"{source}: good, {payload.kept} of {payload.reference_size} images kept")
    if bad:
        raise SystemExit(1)


@main.command()
@click.argument("source", metavar="IN")
@_payload_options
@_from_option
@_json_option
def compare(source: str, from_format: str | None, as_json: bool, **said: Any) -> None:
    """Compare a selection's size with the paper's codings (Appendix E).

    \b
    Example:
      plada compare kept.csv --reference-size 40000 --classes 12
    """  # noqa: D301
    from plada_codec.limits import Limits
    from plada_codec.paper import compare as compare_with_paper
    from plada_codec.progress import FIRST_RUN, progress_bar

    payload = _read(source, from_format, Limits(), said)
    with progress_bar(f"comparing ({FIRST_RUN})") as progress:
        comparison = compare_with_paper(payload, progress=progress)
    if as_json:
        click.echo(json.dumps(comparison.as_dict(), indent=2))
        return
    rows = [
        (f"paper, {s.layout}", f"{s.raw_bytes:,}", f"{s.compact_bytes:,}", f"{s.huffman_bytes:,}", f"{s.zstd_bytes:,}")
        for s in comparison.layouts
    ]
    _table(["bytes", "raw", "compact", "Huffman", "zstd-19"], rows)
    click.echo(f"plada: {comparison.ours_bytes:,} bytes, {comparison.ratio:.3f} of the paper's best")


@main.group()
def reference() -> None:
    """Reference sets."""


@reference.command()
@click.argument("source", metavar="SOURCE")
@_json_option
def digest(source: str, as_json: bool) -> None:
    """Print the digest of a reference set: a folder of images, or WebDataset shards.

    \b
    Example:
      plada reference digest 'ref-{000..001}.tar'
    """  # noqa: D301
    from plada_codec.progress import progress_bar
    from plada_codec.reference import open_images, reference_digest

    images = open_images(source)
    with progress_bar("reading images") as progress:
        value = reference_digest(images, progress)
    if as_json:
        click.echo(json.dumps({"reference_size": len(images), "reference_digest": value.hex()}))
    else:
        click.echo(f"{value.hex()}  {len(images)} images  {source}")


@main.command()
@click.argument("source", metavar="IN")
@click.argument("target", metavar="OUT")
@_payload_options
@_from_option
@_to_option
def convert(source: str, target: str, from_format: str | None, to_format: str | None, **said: Any) -> None:
    """Convert between plada, npz, csv, jsonl, arrow, parquet, roaring, idx-raw and bmp-raw.

    All but npz, arrow, parquet and plada hold indices and labels only: class names, soft labels and weights are lost.

    \b
    Example:
      plada convert task.plada kept.jsonl
    """  # noqa: D301
    from plada_codec.limits import Limits

    with _patience("reading"):
        payload = _read(source, from_format, Limits(), said)
    with _patience("writing"):
        _write(payload, target, to_format)


@main.command()
@click.option("--decoder", required=True, metavar="CMD", help="Reads a payload, writes index,label CSV.")
@click.option("--examples", type=click.IntRange(0), default=200, show_default=True, help="Generated payloads.")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option(
    "--timeout",
    "timeout_s",
    type=click.FloatRange(0, 86_400, min_open=True),
    default=60.0,
    callback=finite,
    show_default=True,
    help="Seconds a payload.",
)
@_json_option
def conformance(decoder: str, examples: int, seed: int, timeout_s: float, as_json: bool) -> None:
    """Run an external decoder over the vectors and over generated payloads.

    The decoder gets a payload on standard input. It writes a line `index,label` and a line for each kept image, or
    exits with another code than 0 for a payload that must be refused. Vectors that need options (other limits, an
    expected digest) are left out.

    \b
    Example:
      plada conformance --decoder 'python spec/decoder/plada_decode.py' --examples 20
    """  # noqa: D301
    from plada_codec.conformance import run_conformance
    from plada_codec.progress import progress_bar

    with progress_bar("testing the decoder") as progress:
        report = run_conformance(decoder, examples, seed, timeout_s, progress)
    if as_json:
        click.echo(json.dumps(report.as_dict(), indent=2))
    else:
        for failure in report.failures:
            click.echo(f"{failure.id}: {failure.what} ({failure.comment})")
        click.echo(
            f"{report.vectors} vectors, {report.examples} generated payloads: "
            f"{'all as they should be' if not report.failures else f'{len(report.failures)} wrong'}"
        )
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
        raise InvalidPayload(f"a digest is hexadecimal, not {text!r}", rule="reference-digest") from None


def _read(source: str, format: str | None, limits: Limits, said: dict[str, Any]) -> Payload:
    """A payload from a file, and from what the options of `_payload_options` say about it."""
    from plada_codec import interop
    from plada_codec.payload import Universe

    universe = None
    if said["offset"] is not None or said["stride"] is not None:
        universe = Universe(said["offset"] or 0, 1 if said["stride"] is None else said["stride"])
    names = said["class_names"]
    whole_digest = _digest(said["reference_digest"])
    with _input(source) as stream:
        return interop.read(
            stream,
            format,
            reference_size=said["reference_size"],
            num_classes=said["classes"],
            reference_digest=None if whole_digest is None else whole_digest[: said["digest_bytes"]],
            universe=universe,
            class_names=None if names is None else _lines(names),
            limits=limits,
        )


def _lines(path: str) -> list[str]:
    # Not splitlines(), which also splits at characters that a name may have.
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
        return [line.removesuffix("\r") for line in text.removesuffix("\n").split("\n")]
    except UnicodeDecodeError:
        raise InvalidPayload(f"{path}: class names must be UTF-8", rule="class-names") from None


def _write(payload: Payload, target: str, format: str | None) -> None:
    from plada_codec import interop

    interop.write(payload, _standard_output() if target == "-" else target, format)


@contextmanager
def _input(source: str) -> Iterator[str | BinaryIO]:
    yield _standard_input() if source == "-" else source


def _read_bytes(source: str) -> bytes:
    return _standard_input().read() if source == "-" else Path(source).read_bytes()


def _standard_input() -> BinaryIO:
    return sys.stdin.buffer if sys.stdin else _closed("input")


def _standard_output() -> BinaryIO:
    return sys.stdout.buffer if sys.stdout else _closed("output")


def _closed(what: str) -> NoReturn:
    raise InvalidPayload(f"standard {what} is closed", rule="file")


def _write_bytes(data: bytes, target: str) -> None:
    from plada_codec.files import atomic_write

    if target == "-":
        stream = _standard_output()
        stream.write(data)
        stream.flush()
        return
    with atomic_write(target) as file:
        file.write(data)


@contextmanager
def naming(source: str) -> Iterator[None]:
    """Puts the file's name in front of an error's message."""
    try:
        yield
    except PladaError as error:
        raise type(error)(f"{source}: {error.args[0]}", rule=error.rule, offset=error.offset) from None


@contextmanager
def _patience(what: str) -> Iterator[None]:
    """A spinner on a terminal: kernels are compiled when they are first used, which takes seconds."""
    if not sys.stderr.isatty():
        yield
        return
    from rich.console import Console

    from plada_codec.progress import FIRST_RUN

    with Console(stderr=True).status(f"{what} ({FIRST_RUN})"):
        yield


def _table(header: list[str], rows: Sequence[tuple[str, ...]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(show_edge=False)
    for number, title in enumerate(header):
        table.add_column(Text(title), justify="left" if number == 0 or len(header) == 2 else "right", overflow="fold")
    for row in rows:
        table.add_row(*row)
    Console().print(table)


if __name__ == "__main__":
    main()
