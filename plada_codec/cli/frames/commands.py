"""The commands that send frames: `packetize`, `carousel`, and `channel`, which simulates a lossy link."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from plada_codec.cli.terminal import (
    RegistryChoice,
    check_not_input,
    finite,
    is_standard_output,
    json_option,
    loss_of,
    naming_device,
    option_group,
    quantity,
    read_bytes,
    share,
    standard_input,
    standard_output,
    usage_errors,
)
from plada_codec.links.defaults import DEFAULT_PROBABILITY, DEFAULT_RECEIVERS

if TYPE_CHECKING:
    from typing import BinaryIO

    from plada_codec.frames import Layout
    from plada_codec.links.loss import Loss
    from plada_codec.progress import Progress

#: Defaults of plada_codec.frames.sending; importing it would slow --help down.
_FRAME_BYTES, _ANNOUNCE_EVERY = 256, 16


def tag_of(ctx: click.Context, parameter: click.Parameter, text: str | None) -> int | None:
    """A callback that reads a tag: three hexadecimal digits."""
    if text is None:
        return None
    try:
        tag = int(text, 16)
    except ValueError:
        tag = -1
    if not 0 <= tag <= 0xFFF:
        raise click.BadParameter(f"{text!r} is not a tag: three hexadecimal digits, such as 3fa")
    return tag


_frame_bytes_option = click.option(
    "--frame-bytes",
    type=click.IntRange(9, 65_535),
    default=_FRAME_BYTES,
    show_default=True,
    metavar="F",
    help="Longest frame that the link takes, in bytes.",
)
_frames_output_option = click.option(
    "-o",
    "--output",
    required=True,
    metavar="OUT",
    help="NAME.frames, a serial port, a pipe or - for a stream of frames; any other name is a new folder.",
)
_tag_option = click.option(
    "--tag",
    callback=tag_of,
    metavar="HEX",
    help="Tag that tells the file from others on the link.  [default: from its SHA-256]",
)
stream_options = option_group(
    click.option(
        "--framing",
        type=RegistryChoice("plada_codec.frames.framing", "FRAMINGS"),
        help="Framing of streams.  [default: slip on a serial port, else length]",
    ),
    click.option(
        "--baud", type=click.IntRange(1), metavar="RATE", help="Speed of the serial port.  [default: unchanged]"
    ),
)


def _rate_option(name: str, to: str, help: str) -> Callable[[Any], Any]:
    return click.option(name, to, default="0", show_default=True, callback=share, metavar="P", help=help)


def _repair(ctx: click.Context, parameter: click.Parameter, text: str | None) -> Any:
    value = quantity("ratio")(ctx, parameter, text)
    if text is not None and value > 1 and "%" not in text:
        raise click.BadParameter(f"{text} may be {100 * value:g}% or {value:g}%: write the one that you mean")
    return value


_burst_option = click.option(
    "--burst",
    "burst_frames",
    type=float,
    callback=finite,
    metavar="B",
    help="Mean length of a burst of losses, in frames.  [default: losses are independent]",
)


@click.command()
@click.argument("source", metavar="FILE")
@_frames_output_option
@_frame_bytes_option
@click.option(
    "--repair",
    callback=_repair,
    metavar="P",
    help="Repair symbols, as a share of the file's symbols.  [default: 10%, at least 2]",
)
@click.option(
    "--loss",
    "loss_rate",
    callback=share,
    metavar="P",
    help="Share of the frames that is expected to be lost.",
)
@_burst_option
@click.option(
    "--receivers",
    type=click.IntRange(1),
    metavar="R",
    help=f"Number of receivers that must all get the file.  [default: {DEFAULT_RECEIVERS}]",
)
@click.option(
    "--probability",
    callback=share,
    metavar="P",
    help=f"Probability that all receivers get the file.  [default: {100 * DEFAULT_PROBABILITY:.6g}%]",
)
@_tag_option
@stream_options
@json_option
def packetize(
    source: str,
    output: str,
    frame_bytes: int,
    repair: float | None,
    loss_rate: float | None,
    burst_frames: float | None,
    receivers: int | None,
    probability: float | None,
    tag: int | None,
    framing: str | None,
    baud: int | None,
    as_json: bool,
) -> None:
    """Cut a file into frames that survive losses.

    \b
    Example:
      plada packetize task.plada -o frames --repair 30%

    OUT is a folder with a file for each frame, or a stream of frames. FILE may be any file. A frame holds a symbol: a
    piece of the file, or a repair symbol, which is made from all pieces. A receiver rebuilds the file from as many
    symbols as there are pieces, and two more: any symbols will do. Other frames hold the announce: the file's length
    and SHA-256. Set the number of repair symbols with --repair, or let --loss choose it.

    \b
    More examples:
      plada packetize task.plada -o task40.frames --frame-bytes 64 --loss 33% --receivers 40
    """  # noqa: D301
    from plada_codec import frames
    from plada_codec.progress import no_progress, progress_bar

    if repair is not None and loss_rate is not None:
        raise click.UsageError("--repair and --loss exclude each other.")
    if loss_rate is None and {burst_frames, receivers, probability} != {None}:
        raise click.UsageError("--burst, --receivers and --probability need --loss.")
    _check_output(output, source, framing, baud)
    if as_json and is_standard_output(output):
        raise click.UsageError("--json and frames cannot both be on standard output.")
    sender = frames.Sender(read_bytes(source), frame_bytes, tag)
    symbols, announces = sender.layout.symbols, 2
    if loss_rate is not None:
        receivers = DEFAULT_RECEIVERS if receivers is None else receivers
        probability = DEFAULT_PROBABILITY if probability is None else probability
        with usage_errors():
            symbols, announces = _enough(sender.layout, loss_of(loss_rate, burst_frames), receivers, probability)
    elif repair is not None:
        symbols += math.ceil(repair * symbols)
    else:
        symbols += max(math.ceil(symbols / 10), sender.layout.extra_symbols)
    count = symbols + announces * sender.layout.announce_parts
    # Frames on standard output may go to the terminal, or to a program with a bar of its own: no bar here.
    with nullcontext(no_progress) if output == "-" else progress_bar("packetizing", "frames") as progress:
        _send(
            _with_progress(progress, frames.packetize(sender, symbols, announces), count),
            output,
            framing,
            baud,
            sender.tag,
        )
    if as_json:
        object_bytes = sender.announce.object_bytes
        sent_bytes = symbols * sender.layout.frame_bytes + announces * sum(map(len, sender.announce_frames()))
        summary = {
            "tag": f"{sender.tag:03x}",
            "object_bytes": object_bytes,
            "object_symbols": sender.layout.symbols,
            "symbol_bytes": sender.layout.symbol_bytes,
            "symbols": symbols,
            "announces": announces,
            "frames": count,
            "sent_bytes": sent_bytes,
            "overhead": sent_bytes / object_bytes - 1,
        }
        click.echo(json.dumps(summary, indent=2))


@click.command()
@click.argument("source", metavar="FILE")
@_frames_output_option
@click.option(
    "--start", type=click.IntRange(0), default=0, show_default=True, metavar="N", help="Number of the first symbol."
)
@click.option("--count", type=click.IntRange(1), metavar="N", help="Number of frames to send.  [default: without end]")
@click.option(
    "--announce-every",
    type=click.IntRange(1),
    default=_ANNOUNCE_EVERY,
    show_default=True,
    metavar="N",
    help="Number of symbols between announces.",
)
@_frame_bytes_option
@_tag_option
@stream_options
def carousel(
    source: str,
    output: str,
    start: int,
    count: int | None,
    announce_every: int,
    frame_bytes: int,
    tag: int | None,
    framing: str | None,
    baud: int | None,
) -> None:
    """Send frames of a file without end.

    \b
    Example:
      plada carousel task.plada -o task.frames --count 50 --start 20

    Receivers may begin at any time, and stop when they have enough. FILE may be any file. A frame holds a symbol: first
    the pieces of the file, then new repair symbols, which are made from all pieces. Other frames hold the announce: the
    file's length and SHA-256. A sender that is started again should begin with another symbol: use the time of day, for
    example, as --start.

    \b
    More examples:
      plada carousel task.plada -o - | plada channel --loss 40% | plada reassemble - -o copy.plada
    """  # noqa: D301
    from plada_codec import frames

    _check_output(output, source, framing, baud)
    if count is None and not is_open_ended(output):
        raise click.UsageError("Frames without end do not fit a file or a folder: give --count.")
    sender = frames.Sender(read_bytes(source), frame_bytes, tag)
    _send(islice(frames.carousel(sender, start, announce_every), count), output, framing, baud, sender.tag)


@click.command()
@_rate_option("--loss", "loss_rate", "Share of the frames that is lost.")
@_burst_option
@_rate_option("--flip", "flip_rate", "Share of the bits that flips.")
@_rate_option("--duplicate", "duplicate_rate", "Share of the frames that arrives twice.")
@click.option(
    "--reorder", type=click.IntRange(0), default=0, metavar="N", help="Number of frames that overtake each other."
)
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of the random numbers.")
@click.option(
    "--framing",
    type=RegistryChoice("plada_codec.frames.framing", "FRAMINGS"),
    default="length",
    show_default=True,
    help="Framing of both streams.",
)
def channel(
    loss_rate: float,
    burst_frames: float | None,
    flip_rate: float,
    duplicate_rate: float,
    reorder: int,
    seed: int,
    framing: str,
) -> None:
    """Lose, damage, repeat and reorder frames, as a link does.

    \b
    Example:
      plada channel --loss 30% --burst 5 --flip 1e-4 --duplicate 10% --reorder 50 < sent.frames > received.frames

    A stream of frames comes from standard input and goes to standard output. Bits only flip inside frames: the ends of
    frames stay known.
    """  # noqa: D301
    from plada_codec import frames
    from plada_codec.testing.channel import channel as simulated_channel

    if burst_frames is not None and not loss_rate:
        raise click.UsageError("--burst needs --loss.")
    check_not_input("-", "-")
    with usage_errors():
        received = simulated_channel(
            _named("standard input", frames.read_frames(standard_input(), framing)),
            loss=loss_of(loss_rate, burst_frames),
            flip_rate=flip_rate,
            duplicate_rate=duplicate_rate,
            reorder_frames=reorder,
            seed=seed,
        )
    _stream(received, "-", framing, None)


def _send(sent: Iterable[bytes], output: str, framing: str | None, baud: int | None, tag: int) -> None:
    """Write the frames of the object `tag` as a stream or as a folder, according to the name of the output."""
    from plada_codec.frames import write_files

    if _is_stream(output):
        _stream(sent, output, framing, baud)
    else:
        write_files(sent, output, tag)


def _stream(sent: Iterable[bytes], output: str, framing: str | None, baud: int | None) -> None:
    """Write a stream of frames, until its reader stops."""
    from plada_codec.files import atomic_write
    from plada_codec.frames.framing import default_framing, write_frame
    from plada_codec.frames.ports import make_raw, open_stream

    target: AbstractContextManager[BinaryIO]
    if output == "-":
        target = nullcontext(standard_output())
    else:
        target = open_stream(output, "wb", baud) if is_open_ended(output) else atomic_write(output)
    try:
        with naming_device("standard output" if output == "-" else output), target as stream:
            if output == "-":
                make_raw(stream)
            framing = framing or default_framing(stream)
            for frame in sent:
                write_frame(stream, frame, framing)
    except OSError as error:
        if output == "-":
            # At its end, Python flushes the rest of the output once more: that must not fail again.
            os.dup2(os.open(os.devnull, os.O_WRONLY), standard_output().fileno())
        if not isinstance(error, BrokenPipeError):
            raise


def is_open_ended(output: str) -> bool:
    """Whether the output takes any number of frames: standard output, an existing pipe or device, an open file."""
    from plada_codec.files import descriptor_of

    path = Path(output)
    is_special = path.exists() and not path.is_file() and not path.is_dir()
    return output == "-" or is_special or descriptor_of(output) is not None


def _is_stream(output: str) -> bool:
    """Whether frames are written as one stream, not as files in a folder."""
    return is_open_ended(output) or output.endswith(".frames")


def _check_output(output: str, source: str, framing: str | None, baud: int | None) -> None:
    if framing is not None and not _is_stream(output):
        raise click.UsageError("--framing is for streams, not for a folder: name the file of a stream NAME.frames.")
    check_baud(baud, output)
    check_not_input(output, source)


def check_baud(baud: int | None, *names: str) -> None:
    """Refuse a baud rate if there is no serial port."""
    if baud is not None and not any(Path(name).is_char_device() for name in names):
        raise click.UsageError("--baud needs the name of a serial port.")


def _named(name: str, read: Iterable[bytes]) -> Iterator[bytes]:
    with naming_device(name):
        yield from read


def _with_progress(progress: Progress, sent: Iterable[bytes], count: int) -> Iterator[bytes]:
    for done, frame in enumerate(sent):
        progress(done, count)
        yield frame


def _enough(layout: Layout, loss: Loss, receivers: int, probability: float) -> tuple[int, int]:
    """The numbers of symbols and announces with which all receivers get the file, with this probability."""
    from plada_codec.links.delivery.one_way_plan import plan_one_way

    plan = plan_one_way(
        layout.symbols,
        layout.extra_symbols,
        loss,
        probability,
        receivers,
        announce_parts=layout.announce_parts,
        frame_bytes=layout.frame_bytes,
        announce_frame_bytes=layout.announce_frame_bytes,
    )
    return plan.symbols, plan.announces
