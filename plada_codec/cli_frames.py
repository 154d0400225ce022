"""The commands that send an object in frames, and receive it: `packetize`, `carousel`, `channel`, `reassemble`."""

from __future__ import annotations

import json
import math
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from plada_codec.errors import InvalidPayload, Truncated
from plada_codec.terminal import (
    complain,
    finite,
    json_option,
    option_group,
    print_table,
    quantity,
    read_bytes,
    standard_input,
    standard_output,
    write_bytes,
)

if TYPE_CHECKING:
    from typing import BinaryIO

    from plada_codec.frames import Layout, Progress, Reassembler, StateFile
    from plada_codec.loss import Loss


def _tag(ctx: click.Context, parameter: click.Parameter, text: str | None) -> int | None:
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
    default=256,
    show_default=True,
    metavar="F",
    help="Longest frame that the link takes.",
)
_tag_option = click.option(
    "--tag", callback=_tag, metavar="HEX", help="Tells the file from others in the air.  [default: from its SHA-256]"
)
_stream_options = option_group(
    click.option(
        "--framing",
        type=click.Choice(["length", "slip"]),
        help="How streams hold frames.  [default: slip on a serial port, else length]",
    ),
    click.option("--baud", type=click.IntRange(1), metavar="RATE", help="Speed of the serial port.  [default: as is]"),
)


def _rate_option(name: str, to: str, help: str) -> Callable[[Any], Any]:
    return click.option(name, to, default="0", show_default=True, callback=quantity("ratio"), metavar="P", help=help)


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
@click.option("-o", "--output", required=True, metavar="OUT", help="New folder, serial port or pipe, or - .")
@_frame_bytes_option
@click.option(
    "--repair", callback=quantity("ratio"), metavar="P", help="Repair symbols, as a share of the file's.  [default: 0%]"
)
@click.option("--loss", "loss_rate", callback=quantity("ratio"), metavar="P", help="Share of frames to expect lost.")
@_burst_option
@click.option("--receivers", type=click.IntRange(1), metavar="R", help="Who all must get the file.  [default: 1]")
@click.option(
    "--probability",
    callback=quantity("ratio"),
    metavar="P",
    help="How sure it must be that all receivers get it.  [default: 99%]",
)
@_tag_option
@_stream_options
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
    """Cut a file into frames that survive loss: a folder of files of one frame each, or a stream.

    How many repair symbols there are is said by --repair, or follows from --loss. Any so many frames as the file has
    symbols, and two more, bring it back, whichever they are.

    \b
    Examples:
      plada packetize task.plada -o frames --repair 30%
      plada packetize task.plada -o frames40 --frame-bytes 64 --loss 33% --receivers 40
    """  # noqa: D301
    from plada_codec import frames
    from plada_codec.progress import progress_bar

    if repair is not None and loss_rate is not None:
        raise click.UsageError("--repair and --loss exclude each other.")
    if loss_rate is None and {burst_frames, receivers, probability} != {None}:
        raise click.UsageError("--burst, --receivers and --probability need --loss.")
    to_stream = _is_stream(output)
    if framing is not None and not to_stream:
        raise click.UsageError("--framing is for streams, not for a folder.")
    _check_baud(baud, output)
    if as_json and output == "-":
        raise click.UsageError("--json and frames cannot both be on standard output.")
    sender = frames.Sender(read_bytes(source), frame_bytes, tag)
    symbols, announces = sender.layout.symbols, 2
    if repair is not None:
        symbols += math.ceil(repair * symbols)
    elif loss_rate is not None:
        probability = 0.99 if probability is None else probability
        with _usage_errors():
            symbols, announces = _enough(sender.layout, _loss(loss_rate, burst_frames), receivers or 1, probability)
    count = symbols + announces * sender.layout.announce_parts
    with progress_bar("packetizing", "frames") as progress:
        sent = _moving(progress, frames.packetize(sender, symbols, announces), count)
        if to_stream:
            _send(sent, output, framing, baud)
        else:
            frames.write_files(sent, output, sender.tag)
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
@click.option("-o", "--output", required=True, metavar="OUT", help="Serial port, pipe or file to write, or - .")
@click.option("--start", type=click.IntRange(0), default=0, show_default=True, metavar="N", help="First symbol.")
@click.option("--count", type=click.IntRange(1), metavar="N", help="Frames to send.  [default: without end]")
@click.option(
    "--announce-every", type=click.IntRange(1), default=16, show_default=True, metavar="N", help="Symbols an announce."
)
@_frame_bytes_option
@_tag_option
@_stream_options
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
    """Send frames of a file without end: receivers may begin at any time, and stop when they have enough.

    A sender that is started again should start elsewhere: with the time of day, say, as the first symbol.

    \b
    Examples:
      plada carousel task.plada -o task.frames --count 50 --start 20
      plada carousel task.plada -o - | plada channel --loss 40% | plada reassemble - -o copy.plada
    """  # noqa: D301
    from plada_codec import frames

    if count is None and not _is_stream(output):
        raise click.UsageError("Frames without end do not fit a file: give --count.")
    _check_baud(baud, output)
    sender = frames.Sender(read_bytes(source), frame_bytes, tag)
    _send(islice(frames.carousel(sender, start, announce_every), count), output, framing, baud)


@click.command()
@_rate_option("--loss", "loss_rate", "Share of frames that are lost.")
@_burst_option
@_rate_option("--flip", "flip_rate", "Share of bits that flip.")
@_rate_option("--duplicate", "duplicate_rate", "Share of frames that come twice.")
@click.option("--reorder", type=click.IntRange(0), default=0, metavar="N", help="Frames that are under way at a time.")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--framing", type=click.Choice(["length", "slip"]), default="length", show_default=True)
def channel(
    loss_rate: float,
    burst_frames: float | None,
    flip_rate: float,
    duplicate_rate: float,
    reorder: int,
    seed: int,
    framing: str,
) -> None:
    """Lose, damage, repeat and reorder the frames of a stream: from standard input to standard output.

    Bits flip within frames; where frames begin and end stays known, in SLIP too.

    \b
    Example:
      plada channel --loss 30% --burst 5 --flip 1e-4 --duplicate 10% --reorder 50 < sent.frames > received.frames
    """  # noqa: D301
    from plada_codec import frames

    with _usage_errors():
        received = frames.channel(
            frames.read_frames(standard_input(), framing),
            loss=_loss(loss_rate, burst_frames),
            flip_rate=flip_rate,
            duplicate_rate=duplicate_rate,
            reorder_frames=reorder,
            seed=seed,
        )
    _send(received, "-", framing, None)


@click.command()
@click.argument("sources", metavar="FRAMES...", nargs=-1)
@click.option("-o", "--output", metavar="OUT", help="File to write, or - .")
@click.option("--state", "state_path", metavar="FILE", help="What was received before, and is now.")
@click.option("--status", is_flag=True, help="Say how far --state is; receive nothing.")
@click.option("--tag", callback=_tag, metavar="HEX", help="Object to receive.  [default: that of --state, or any]")
@_stream_options
@json_option
def reassemble(
    sources: tuple[str, ...],
    output: str | None,
    state_path: str | None,
    status: bool,
    tag: int | None,
    framing: str | None,
    baud: int | None,
    as_json: bool,
) -> None:
    """Make a file of frames that came in any order, some not, some twice, some damaged, some of other files.

    FRAMES are folders of frames, files *.frame of one frame each, and streams: files, pipes, serial ports, - . A pipe
    or port is read until the file is complete. With --state, reception may be interrupted at any time, by loss of power
    too, and goes on with the same command. What it lacks can come later: the state file is all there is to keep.

    \b
    Examples:
      plada reassemble received -o copy.plada
      plada reassemble received.frames -o copy.plada --state task.state
      plada reassemble --status --state task.state
    """  # noqa: D301
    if status:
        if state_path is None or sources or output is not None:
            raise click.UsageError("--status is for --state alone, without FRAMES and --output.")
        _print_status(state_path, as_json)
        return
    if output is None:
        raise click.UsageError("Missing option '-o' / '--output'.")
    if not sources and state_path is None:
        raise click.UsageError("Missing argument 'FRAMES...'.")
    if as_json and output == "-":
        raise click.UsageError("--json and the file cannot both be on standard output.")
    _check_baud(baud, *sources)
    from plada_codec import frames
    from plada_codec.frames import Reception

    with nullcontext() if state_path is None else frames.StateFile(state_path, tag) as state:
        reassembler = frames.Reassembler(tag=tag if state is None else state.tag)
        for frame in [] if state is None else state.frames:
            reassembler.add(frame)
        saved = Counter(reassembler.counts)
        _receive(_inputs(sources, framing, baud), reassembler, state, tag)
        came = reassembler.counts - saved
        if state is not None:
            tag = state.tag
            if state.frames and came[Reception.OTHER] and came.keys() <= {Reception.OTHER, Reception.DAMAGED}:
                raise InvalidPayload(
                    f"{state_path} is for object {tag:03x}, but all frames that came are of others: "
                    "give each object a state file of its own",
                    rule="state",
                )
    if reassembler.counts.keys() <= {Reception.DAMAGED}:
        raise Truncated("no frames came: if streams did, is --framing what the sender's is?", rule="incomplete")
    data = reassembler.result(tag)
    write_bytes(data, output)
    got = next(each for each in reassembler.objects.values() if each.complete and tag in (None, each.tag))
    if as_json:
        click.echo(json.dumps(_as_dict(got), indent=2))
    others = [f"{each.tag:03x} ({_share(each)})" for each in reassembler.objects.values() if each.tag != got.tag]
    if others:
        complain(f"plada: {output} is object {got.tag:03x}; left out: {', '.join(others)}")
    if state_path is not None:
        complain(f"plada: {output} is complete: {state_path} is no longer needed")


def _receive(
    inputs: Iterable[tuple[Iterable[list[bytes]], bool]],
    reassembler: Reassembler,
    state: StateFile | None,
    tag: int | None,
) -> None:
    """Collects frames until inputs end, or the object that is asked for is complete: on live ones, the first one."""
    from plada_codec import frames
    from plada_codec.progress import progress_bar

    def is_done(live: bool) -> bool:
        wanted = tag if state is None else state.tag
        return any(
            each.complete for each in reassembler.objects.values() if each.tag == wanted or (wanted is None and live)
        )

    with progress_bar("receiving") as progress:
        if is_done(live=False):
            return
        for batches, live in inputs:
            for _ in frames.receive(batches, reassembler, state):
                if is_done(live):
                    return
                nearest = max(reassembler.objects.values(), key=lambda each: each.have, default=None)
                if nearest is not None:
                    progress(nearest.have, nearest.need)


def _inputs(
    sources: Iterable[str], framing: str | None, baud: int | None
) -> Iterator[tuple[Iterable[list[bytes]], bool]]:
    """The frames of each input, and whether it is live: first those of files of one frame, then streams."""
    from plada_codec.frames.streams import frame_files, is_live, open_stream, read_batches, read_files, usual_framing

    files: list[Path] = []
    names: list[str] = []
    for source in sources:
        if source != "-" and Path(source).is_dir():
            files += frame_files(source)
        elif source.endswith(".frame"):
            files.append(Path(source))
        else:
            names.append(source)
    yield read_files(files), False
    for name in names:
        with nullcontext(standard_input()) if name == "-" else open_stream(name, "rb", baud) as stream:
            yield read_batches(stream, framing or usual_framing(stream)), is_live(stream)


def _send(sent: Iterable[bytes], output: str, framing: str | None, baud: int | None) -> None:
    """Writes a stream of frames, until nobody reads it any more."""
    from plada_codec.files import atomic_write
    from plada_codec.frames.streams import open_stream, usual_framing, write_frame

    target: AbstractContextManager[BinaryIO]
    if output == "-":
        target = nullcontext(standard_output())
    else:
        target = open_stream(output, "wb", baud) if _is_stream(output) else atomic_write(output)
    try:
        with target as stream:
            framing = framing or usual_framing(stream)
            for frame in sent:
                write_frame(stream, frame, framing)
    except BrokenPipeError:
        if output == "-":
            # Python flushes what is left once more when it ends, which must not fail again.
            os.dup2(os.open(os.devnull, os.O_WRONLY), standard_output().fileno())


def _is_stream(output: str) -> bool:
    """Whether frames are written one behind the other: to standard output, a pipe or a device that is there."""
    path = Path(output)
    return output == "-" or (path.exists() and not path.is_file() and not path.is_dir())


def _check_baud(baud: int | None, *names: str) -> None:
    if baud is not None and not any(Path(name).is_char_device() for name in names):
        raise click.UsageError("--baud is for a serial port, by its name.")


def _moving(progress: Callable[[int, int | None], None], sent: Iterable[bytes], count: int) -> Iterator[bytes]:
    for done, frame in enumerate(sent):
        progress(done, count)
        yield frame


def _loss(rate: float, burst_frames: float | None) -> Loss:
    from plada_codec.loss import BurstyLoss, IndependentLoss

    return IndependentLoss(rate) if burst_frames is None else BurstyLoss(rate, burst_frames)


def _enough(layout: Layout, loss: Loss, receivers: int, probability: float) -> tuple[int, int]:
    """How many symbols and announces make it so probable that all receivers have the object."""
    from plada_codec.budget import EXTRA_SYMBOLS
    from plada_codec.delivery import one_way
    from plada_codec.frames import OVERHEAD_BYTES

    coded = one_way(
        layout.symbols,
        EXTRA_SYMBOLS if layout.symbols > 1 else 0,
        loss,
        probability,
        receivers,
        announce_parts=layout.announce_parts,
        frame_bytes=layout.frame_bytes,
        announce_frame_bytes=layout.part_bytes + OVERHEAD_BYTES,
    )
    return coded.symbols, coded.announces


@contextmanager
def _usage_errors() -> Iterator[None]:
    """Makes an error about quantities one about the options that said them."""
    from plada_codec.units import BadLink

    try:
        yield
    except BadLink as error:
        raise click.UsageError(error.args[0]) from None


def _print_status(state_path: str, as_json: bool) -> None:
    """What a state file has and lacks, and how long that will take at the rate so far."""
    from plada_codec import frames
    from plada_codec.units import show_seconds

    state = frames.read_state(state_path)
    if state.tag is None:
        raise Truncated(f"{state_path} has no frame yet", rule="incomplete")
    reassembler = frames.Reassembler(tag=state.tag)
    for frame in state.frames:
        reassembler.add(frame)
    got = reassembler.objects[state.tag]
    rate, left_s = state.frames_per_s(), None
    if rate and got.need and not got.complete:
        left_s = max(got.need - got.have, 1) / rate
    if as_json:
        click.echo(json.dumps({**_as_dict(got), "frames_per_s": rate, "left_s": left_s}, indent=2))
        return
    rows = [
        ("object", f"{got.tag:03x}"),
        ("bytes", "-" if got.object_bytes is None else f"{got.object_bytes:,}"),
        ("symbols", _share(got)),
        ("time for a frame", "-" if rate is None else f"{show_seconds(1 / rate)}, interruptions left out"),
        ("time left", "-" if left_s is None else f"{show_seconds(left_s)}, without interruptions"),
        ("problems", ", ".join(got.problems) or "none"),
    ]
    print_table(["", state_path], rows)


def _as_dict(got: Progress) -> dict[str, Any]:
    return asdict(got) | {"tag": f"{got.tag:03x}"}


def _share(got: Progress) -> str:
    """How far an object is, in words."""
    if got.complete:
        return f"complete, from {got.have:,} symbols"
    if got.need is None:
        return f"{got.have:,} symbols, but no announce"
    return f"{got.have:,} of {got.need:,} symbols, or a few more"
