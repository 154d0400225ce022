"""The commands that send an object in frames, and receive it: `packetize`, `carousel`, `channel`, `reassemble`."""

from __future__ import annotations

import json
import math
import os
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import asdict
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

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


#: After so many bytes without a frame of a live stream, and so many frames without one of ours, it is time to say so.
_PATIENCE_BYTES, _PATIENCE_FRAMES = 4_096, 16
_ASK_FRAMING = ": is --framing what the sender's is?"


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
_frames_output_option = click.option(
    "-o",
    "--output",
    required=True,
    metavar="OUT",
    help="A stream, for NAME.frames, a serial port, a pipe and - ; any other name is that of a new folder.",
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
@_frames_output_option
@_frame_bytes_option
@click.option(
    "--repair",
    callback=quantity("ratio"),
    metavar="P",
    help="Repair symbols, as a share of the object's.  [default: 10%, and 2 or more]",
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

    Any file will do: it is the object. A frame holds a symbol: a piece of the object, or a repair symbol, made of all
    pieces. As many symbols as there are pieces, and two more, bring the object back, whichever they are. A frame of its
    own, the announce, says the object's length and SHA-256. How many repair symbols there are is said by --repair, or
    follows from --loss.

    \b
    Examples:
      plada packetize task.plada -o frames --repair 30%
      plada packetize task.plada -o task40.frames --frame-bytes 64 --loss 33% --receivers 40
    """  # noqa: D301
    from plada_codec import frames
    from plada_codec.progress import progress_bar

    if repair is not None and loss_rate is not None:
        raise click.UsageError("--repair and --loss exclude each other.")
    if loss_rate is None and {burst_frames, receivers, probability} != {None}:
        raise click.UsageError("--burst, --receivers and --probability need --loss.")
    _check_output(output, source, framing, baud)
    if as_json and output == "-":
        raise click.UsageError("--json and frames cannot both be on standard output.")
    sender = frames.Sender(read_bytes(source), frame_bytes, tag)
    symbols, announces = sender.layout.symbols, 2
    if loss_rate is not None:
        probability = 0.99 if probability is None else probability
        with _usage_errors():
            symbols, announces = _enough(sender.layout, _loss(loss_rate, burst_frames), receivers or 1, probability)
    elif repair is not None:
        symbols += math.ceil(repair * symbols)
    else:
        symbols += max(math.ceil(symbols / 10), sender.layout.extra)
    count = symbols + announces * sender.layout.announce_parts
    # What is on standard output may be on the terminal, or be drawn by who reads it: a bar would be in its way.
    with nullcontext(_still) if output == "-" else progress_bar("packetizing", "frames") as progress:
        _send(_moving(progress, frames.packetize(sender, symbols, announces), count), output, framing, baud, sender.tag)
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

    Any file will do: it is the object. A frame holds a symbol: the pieces of the object come first, then ever new
    repair symbols, made of all pieces. A frame of its own, the announce, says the object's length and SHA-256. A sender
    that is started again should start elsewhere: with the time of day, say, as the first symbol.

    \b
    Examples:
      plada carousel task.plada -o task.frames --count 50 --start 20
      plada carousel task.plada -o - | plada channel --loss 40% | plada reassemble - -o copy.plada
    """  # noqa: D301
    from plada_codec import frames

    _check_output(output, source, framing, baud)
    if count is None and not _is_open_ended(output):
        raise click.UsageError("Frames without end do not fit a file or a folder: give --count.")
    sender = frames.Sender(read_bytes(source), frame_bytes, tag)
    _send(islice(frames.carousel(sender, start, announce_every), count), output, framing, baud, sender.tag)


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

    if burst_frames is not None and not loss_rate:
        raise click.UsageError("--burst needs --loss.")
    with _usage_errors():
        received = frames.channel(
            _named("standard input", frames.read_frames(standard_input(), framing)),
            loss=_loss(loss_rate, burst_frames),
            flip_rate=flip_rate,
            duplicate_rate=duplicate_rate,
            reorder_frames=reorder,
            seed=seed,
        )
    _stream(received, "-", framing, None)


@click.command()
@click.argument("sources", metavar="FRAMES...", nargs=-1)
@click.option("-o", "--output", metavar="OUT", help="File to write, or - .")
@click.option("--state", "state_path", metavar="FILE", help="What was received before, and is now.")
@click.option("--status", is_flag=True, help="Say how far the objects of --state are; receive nothing.")
@click.option("--tag", callback=_tag, metavar="HEX", help="Object to receive.  [default: any]")
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
    """Make the object, which is the file that was sent, of frames: in any order, some lost, twice, damaged, of others.

    FRAMES are folders of files of one frame each, such files named *.frame, and streams: files, pipes, serial ports, -.
    A pipe or port is read until an object is complete. With --state, reception may be interrupted at any time, by loss
    of power too, and goes on with the same command. What it lacks can come later: the state is all there is to keep.

    \b
    Examples:
      plada reassemble received -o copy.plada
      plada reassemble received.frames -o copy.plada --state task.state
      plada reassemble --status --state task.state
    """  # noqa: D301
    if status:
        if state_path is None or sources or {output, framing, baud} != {None}:
            raise click.UsageError("--status is for --state and --tag alone, without FRAMES, --output and --framing.")
        _print_status(state_path, tag, as_json)
        return
    if output is None:
        raise click.UsageError("Missing option '-o' / '--output'.")
    if not sources and state_path is None:
        raise click.UsageError("Missing argument 'FRAMES...'.")
    if as_json and output == "-":
        raise click.UsageError("--json and the file cannot both be on standard output.")
    _check_baud(baud, *sources)
    _check_not_input(output, *sources, *([] if state_path is None else [state_path]))
    from plada_codec import frames

    with nullcontext() if state_path is None else frames.StateFile(state_path) as state:
        reassembler = frames.Reassembler(tag=tag)
        for frame in [] if state is None else state.frames:
            reassembler.add(frame)
        saved = Counter(reassembler.tags)
        if saved and tag is not None and tag not in saved:
            raise _other_state(state_path, saved, f"not of {tag:03x}: give that a state file of its own")
        if reassembler.complete and tag is None and any(map(_is_live, sources)):
            raise InvalidPayload(
                f"{state_path} already has object {_tags(reassembler.complete)} complete: "
                "give a new state, no FRAMES, or its --tag",
                rule="state",
            )
        watch = partial(_watched, reassembler=reassembler, wanted=set(saved) if tag is None else {tag})
        try:
            without = _receive(_inputs(sources, framing, baud, watch), reassembler, state, tag)
        except KeyboardInterrupt:
            raise _interrupted(state_path, reassembler) from None
    if not reassembler.tags:
        raise Truncated("; ".join(without) or f"{state_path} has no frame yet", rule="incomplete")
    for each in without:
        complain(f"plada: {each}")
    _check_found(state_path, saved, reassembler)
    try:
        data = reassembler.result(tag)
    except Truncated as error:
        if not reassembler.objects:
            raise
        keeps = "with --state FILE, which keeps what came"
        has = f"by the same command: {state_path} has these"
        raise Truncated(f"{error.args[0]}, {keeps if state_path is None else has}", rule=error.rule) from None
    write_bytes(data, output)
    got = reassembler.progress(reassembler.complete[0])
    if as_json:
        click.echo(json.dumps(_as_dict(got), indent=2))
    for problem in reassembler.problems(got.tag):
        complain(f"plada: {output} is object {got.tag:03x}, but {problem}")
    others = [each for each in reassembler.objects.values() if each.tag != got.tag]
    if others:
        complain(f"plada: {output} is object {got.tag:03x}; left out: {_shares(others)}")
    elif state_path is not None:
        complain(f"plada: {output} is complete: {state_path} is no longer needed")


def _check_found(state_path: str | None, saved: Counter[int], reassembler: Reassembler) -> None:
    """Refuses, where the state file was of some objects, to take another one for what was meant."""
    complete, came = reassembler.complete, reassembler.tags - saved
    if not saved or len(complete) > 1:
        return
    if complete and complete[0] not in saved:
        tag = f"{complete[0]:03x}"
        raise _other_state(state_path, saved, f"but what is complete is {tag}: --tag {tag} writes that")
    if came and came.keys().isdisjoint(complete or saved):
        but = f"but all frames that came are of {_tags(came)}: give each object a state file of its own"
        raise _other_state(state_path, saved, but)


def _interrupted(state_path: str | None, reassembler: Reassembler) -> Truncated:
    if state_path is None:
        return Truncated("interrupted: nothing is kept without --state", rule="incomplete")
    has = _shares(reassembler.objects.values()) or "no frame"
    return Truncated(f"interrupted: {state_path} has {has}: go on with the same command", rule="incomplete")


def _other_state(state_path: str | None, saved: Collection[int], but: str) -> InvalidPayload:
    return InvalidPayload(f"{state_path} is the state of {_tags(saved)}, {but}", rule="state")


def _tags(tags: Iterable[int]) -> str:
    return _listed([f"{tag:03x}" for tag in tags])


def _shares(objects: Iterable[Progress]) -> str:
    return _listed([f"{each.tag:03x} ({_share(each)})" for each in objects])


def _listed(words: list[str]) -> str:
    """What there is, however much that is."""
    return ", ".join(words[:6]) + (f" and {len(words) - 6} more" if len(words) > 6 else "")


class _Input(NamedTuple):
    """Where frames come from."""

    name: str
    batches: Iterator[list[bytes]]
    is_live: bool = False
    is_stream: bool = False


def _receive(inputs: Iterable[_Input], reassembler: Reassembler, state: StateFile | None, tag: int | None) -> list[str]:
    """Collects frames until inputs end, or the object that is asked for is complete: on live ones, the first one.

    Returns what is to be said about inputs that ended without a frame.
    """
    from plada_codec import frames
    from plada_codec.progress import progress_bar

    without: list[str] = []
    counts = reassembler.counts
    with progress_bar("receiving") as progress:
        for each in inputs:
            have, need = 0, None
            tags_before, seen = reassembler.tags.total(), counts.total()
            for new in chain([[]], frames.receive(each.batches, reassembler, state)):
                if reassembler.complete and (each.is_live or tag is not None):
                    return without
                if new:
                    got = reassembler.progress(frames.parse_frame(new[-1]).tag)
                    have, need = got.have, got.need
                if counts.total() > seen:
                    seen = counts.total()
                    damaged, foreign = counts[frames.Reception.DAMAGED], counts[frames.Reception.OTHER]
                    progress(have, need, f"receiving ({damaged:,} damaged, {foreign:,} foreign)")
            if reassembler.tags.total() == tags_before:
                without.append(f"{each.name} has no frames{_ASK_FRAMING if each.is_stream else ''}")
    return without


def _inputs(
    sources: Iterable[str],
    framing: str | None,
    baud: int | None,
    watch: Callable[[Iterator[bytes], str], Iterator[bytes]],
) -> Iterator[_Input]:
    """First folders, then files of one frame, then streams; `watch` is put between live ones and their frames."""
    from plada_codec.frames.streams import frame_files, read_files

    files: list[Path] = []
    streams: list[str] = []
    for source in sources:
        if source != "-" and Path(source).is_dir():
            yield _Input(source, read_files(frame_files(source)))
        elif source.endswith(".frame"):
            files.append(Path(source))
        else:
            streams.append(source)
    if files:
        yield _Input(str(files[0]) if len(files) == 1 else f"each of {len(files)} files", read_files(files))
    for source in streams:
        name, is_live = "standard input" if source == "-" else source, _is_live(source)
        yield _Input(name, _read(source, name, framing, baud, watch if is_live else None), is_live, is_stream=True)


def _read(
    source: str,
    name: str,
    framing: str | None,
    baud: int | None,
    watch: Callable[[Iterator[bytes], str], Iterator[bytes]] | None,
) -> Iterator[list[bytes]]:
    """The frames of a stream, which is opened when the first one is asked for: a pipe then waits for its sender."""
    from plada_codec.frames.streams import FRAMINGS, open_stream, read_chunks, usual_framing

    with nullcontext(standard_input()) if source == "-" else open_stream(source, "rb", baud) as stream:
        is_port = stream.isatty()
        chunks = read_chunks(stream)
        with _naming(name):
            yield from FRAMINGS[framing or usual_framing(stream)].split(
                chunks if watch is None else watch(chunks, name)
            )
    if is_port:
        complain(f"plada: {name} hung up")


def _watched(chunks: Iterator[bytes], name: str, reassembler: Reassembler, wanted: set[int]) -> Iterator[bytes]:
    """What a live stream sends. Says, once, why that may go on for ever: for want of frames, or of those wanted."""
    before = Counter(reassembler.tags)
    read_bytes, is_told = 0, False
    for chunk in chunks:
        yield chunk  # what follows sees what became of it
        read_bytes += len(chunk)
        came = reassembler.tags - before
        if not came and not is_told and read_bytes >= _PATIENCE_BYTES:
            complain(f"plada: {name}: no frames so far in {read_bytes:,} bytes{_ASK_FRAMING}")
            is_told = True
        if came and (not wanted or not came.keys().isdisjoint(wanted)):
            break
        if came.total() >= _PATIENCE_FRAMES:
            complain(
                f"plada: {name}: all {came.total()} frames so far are of {_tags(came)}, not of "
                f"{_tags(sorted(wanted))}: if that is meant, begin anew with its --tag and a state file of its own"
            )
            break
    yield from chunks


def _is_live(source: str) -> bool:
    """Whether a source of frames may never end."""
    from plada_codec.frames.streams import is_live

    return is_live(standard_input()) if source == "-" else _is_open_ended(source)


def _send(sent: Iterable[bytes], output: str, framing: str | None, baud: int | None, tag: int) -> None:
    """Writes frames of the object `tag`, as a stream or as a folder: the name of the output says which."""
    from plada_codec.frames import write_files

    if _is_stream(output):
        _stream(sent, output, framing, baud)
    else:
        write_files(sent, output, tag)


def _stream(sent: Iterable[bytes], output: str, framing: str | None, baud: int | None) -> None:
    """Writes a stream of frames, until nobody reads it any more."""
    from plada_codec.files import atomic_write
    from plada_codec.frames.streams import open_stream, usual_framing, write_frame

    target: AbstractContextManager[BinaryIO]
    if output == "-":
        target = nullcontext(standard_output())
    else:
        target = open_stream(output, "wb", baud) if _is_open_ended(output) else atomic_write(output)
    try:
        with _naming("standard output" if output == "-" else output), target as stream:
            framing = framing or usual_framing(stream)
            for frame in sent:
                write_frame(stream, frame, framing)
    except OSError as error:
        if output == "-":
            # Python flushes what is left once more when it ends, which must not fail again.
            os.dup2(os.open(os.devnull, os.O_WRONLY), standard_output().fileno())
        if not isinstance(error, BrokenPipeError):
            raise


def _is_open_ended(output: str) -> bool:
    """Whether any number of frames can be written: to standard output, a pipe or a device that is there."""
    path = Path(output)
    return output == "-" or (path.exists() and not path.is_file() and not path.is_dir())


def _is_stream(output: str) -> bool:
    """Whether frames are written one behind the other, not as files in a folder."""
    return _is_open_ended(output) or output.endswith(".frames")


def _check_output(output: str, source: str, framing: str | None, baud: int | None) -> None:
    if framing is not None and not _is_stream(output):
        raise click.UsageError("--framing is for streams, not for a folder: a stream's file is named NAME.frames.")
    _check_baud(baud, output)
    _check_not_input(output, source)


def _check_not_input(output: str, *inputs: str) -> None:
    for name in inputs:
        if name != "-" and os.path.realpath(name) == os.path.realpath(output):
            raise click.UsageError(f"-o {output} would take the place of the input {name}.")


def _check_baud(baud: int | None, *names: str) -> None:
    if baud is not None and not any(Path(name).is_char_device() for name in names):
        raise click.UsageError("--baud is for a serial port, by its name.")


@contextmanager
def _naming(name: str) -> Iterator[None]:
    """Puts a name into errors of the system that have none: those of reading and writing."""
    try:
        yield
    except OSError as error:
        error.filename = error.filename or name
        raise


def _named(name: str, read: Iterable[bytes]) -> Iterator[bytes]:
    with _naming(name):
        yield from read


def _still(done: int, total: int | None, what: str | None = None) -> None:
    """A progress bar that shows nothing."""


def _moving(progress: Callable[[int, int | None], None], sent: Iterable[bytes], count: int) -> Iterator[bytes]:
    for done, frame in enumerate(sent):
        progress(done, count)
        yield frame


def _loss(rate: float, burst_frames: float | None) -> Loss:
    from plada_codec.loss import BurstyLoss, IndependentLoss

    return IndependentLoss(rate) if burst_frames is None else BurstyLoss(rate, burst_frames)


def _enough(layout: Layout, loss: Loss, receivers: int, probability: float) -> tuple[int, int]:
    """How many symbols and announces make it so probable that all receivers have the object."""
    from plada_codec.delivery import one_way
    from plada_codec.frames import OVERHEAD_BYTES

    coded = one_way(
        layout.symbols,
        layout.extra,
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


def _print_status(state_path: str, tag: int | None, as_json: bool) -> None:
    """What a state file has and lacks of each object, and how long that will take at the rate so far."""
    from plada_codec import frames
    from plada_codec.units import show_seconds

    state = frames.read_state(state_path)
    reassembler = frames.Reassembler(tag=tag)
    for frame in state.frames:
        reassembler.add(frame)
    if not reassembler.objects:
        raise Truncated(f"{state_path} has no frame{'' if tag is None else f' of {tag:03x}'} yet", rule="incomplete")
    rates = state.frames_per_s()
    rows, dicts = [], []
    for got in reassembler.objects.values():
        rate, left_s = rates.get(got.tag), None
        if rate is not None and got.need is not None and not got.complete:
            left_s = max(got.need - got.have, 1) / rate
        dicts.append({**_as_dict(got), "frames_per_s": rate, "left_s": left_s})
        row = (
            f"{got.tag:03x}",
            "-" if got.object_bytes is None else f"{got.object_bytes:,}",
            _share(got),
            "-" if rate is None else show_seconds(1 / rate),
            "-" if left_s is None else show_seconds(left_s),
            ", ".join(got.problems) or "none",
        )
        rows.append(row)
    if as_json:
        click.echo(json.dumps(dicts, indent=2))
        return
    print_table(["object", "bytes", "symbols", "time for a frame", "time left", "problems"], rows)
    click.echo("Times are without interruptions.")


def _as_dict(got: Progress) -> dict[str, Any]:
    return asdict(got) | {"tag": f"{got.tag:03x}"}


def _share(got: Progress) -> str:
    """How far an object is, in words."""
    if got.complete:
        return f"complete, from {got.have:,} symbols"
    if got.need is None:
        return f"{got.have:,} symbols, but no announce"
    return f"{got.have:,} of {got.need:,} symbols, or a few more"
