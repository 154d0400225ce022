"""The command that receives objects in frames: `reassemble`."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import nullcontext
from dataclasses import asdict
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from plada_codec.cli.frames.commands import check_baud, stream_options, tag_of
from plada_codec.cli.terminal import (
    check_not_input,
    complain,
    is_standard_output,
    json_option,
    naming_device,
    print_table,
    standard_input,
    write_bytes,
)
from plada_codec.errors import FileError, Truncated
from plada_codec.reader import HEAD_BYTES, wrapping_of

if TYPE_CHECKING:
    from plada_codec.frames import Reassembler, ReceptionProgress, StateFile

#: The user is warned after this many bytes of a live stream without a frame, or this many frames of other objects.
_PATIENCE_BYTES, _PATIENCE_FRAMES = 4_096, 16
_ASK_FRAMING = ": does --framing match the sender?"


@click.command()
@click.argument("sources", metavar="FRAMES...", nargs=-1)
@click.option("-o", "--output", metavar="OUT", help="File to write, or - .")
@click.option("--state", "state_path", metavar="FILE", help="File that keeps all received frames.")
@click.option("--status", is_flag=True, help="Show what --state holds; receive nothing.")
@click.option("--tag", callback=tag_of, metavar="HEX", help="Tag of the file to receive.  [default: any]")
@stream_options
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
    """Rebuild a file from frames, in spite of losses and damage.

    \b
    Example:
      plada reassemble received -o copy.plada

    FRAMES are folders with a file for each frame, such files with names *.frame, and streams of frames: files, pipes,
    serial ports and -. A pipe or port is read until a file is complete. With --state, reception may be interrupted at
    any time, even by a power failure: the same command goes on. Missing frames can come later, and only the state file
    must be kept.

    \b
    More examples:
      plada reassemble received.frames -o copy.plada --state task.state
      plada reassemble --status --state task.state
    """  # noqa: D301
    if status:
        if state_path is None or sources or {output, framing, baud} != {None}:
            raise click.UsageError("--status takes --state and --tag only, without FRAMES, --output and --framing.")
        _print_status(state_path, tag, as_json)
        return
    if output is None:
        raise click.UsageError("Missing option '-o' / '--output'.")
    if not sources and state_path is None:
        raise click.UsageError("Missing argument 'FRAMES...'.")
    if as_json and is_standard_output(output):
        raise click.UsageError("--json and the file cannot both be on standard output.")
    check_baud(baud, *sources)
    if framing is not None and all(source.endswith(".frame") or Path(source).is_dir() for source in sources):
        raise click.UsageError("--framing is for streams: a folder or file of frames has none.")
    check_not_input(output, *sources, state_path)
    if state_path is not None:
        check_not_input(state_path, *sources)
    from plada_codec import frames

    with nullcontext() if state_path is None else frames.StateFile(state_path) as state:
        reassembler = frames.Reassembler(tag=tag)
        for frame in [] if state is None else state.frames:
            reassembler.add(frame)
        saved = Counter(reassembler.tags)
        if saved and tag is not None and tag not in saved:
            raise _other_state(state_path, saved, f"not of {tag:03x}: give that object its own state file")
        if reassembler.complete and tag is None and any(map(_is_live, sources)):
            has = f"{state_path} already has object {_tags(reassembler.complete)} complete"
            if is_standard_output(output) or Path(output).exists():
                but = "" if is_standard_output(output) else f", and there is a file {output}"
                raise FileError(f"{has}{but}: give a new state, no FRAMES, or its --tag", rule="state")
            # If an interruption came between the last frame and the file, the same command continues.
            complain(f"plada: {has}: nothing is received")
            sources = ()
        watch = partial(_watched, reassembler=reassembler, wanted=set(saved) if tag is None else {tag})
        try:
            without = _receive(_inputs(sources, framing, baud, watch), reassembler, state, tag)
        except KeyboardInterrupt:
            raise _interrupted(state_path, reassembler) from None
    if not reassembler.tags:
        raise Truncated("; ".join(without) or f"{state_path} has no frame yet", rule="incomplete")
    for message in without:
        complain(f"plada: {message}")
    _check_found(state_path, saved, reassembler)
    write_bytes(_result(reassembler, tag, state_path), output)
    _report(reassembler, output, state_path, saved, as_json)


def _result(reassembler: Reassembler, tag: int | None, state_path: str | None) -> bytes:
    """The complete object. The error for an incomplete object says how to go on."""
    try:
        return reassembler.result(tag)
    except Truncated as error:
        if not reassembler.objects:
            raise
        keeps = "with --state FILE, which keeps received frames"
        has = f"by the same command: {state_path} has these"
        damaged = _damaged(reassembler)
        how = f"{keeps if state_path is None else has}{damaged and f' ({damaged})'}"
        raise Truncated(f"{error.args[0]}, {how}", rule=error.rule) from None


def _damaged(reassembler: Reassembler) -> str:
    """The number of damaged frames, for people; nothing if there were none."""
    from plada_codec.frames import Reception

    count = reassembler.counts[Reception.DAMAGED]
    return f"{count:,} damaged frame{'s were' if count > 1 else ' was'} left out" if count else ""


def _report(reassembler: Reassembler, output: str, state_path: str | None, saved: Counter[int], as_json: bool) -> None:
    """Print the result, and warn of problems and of objects that were left out."""
    got = reassembler.progress(reassembler.complete[0])
    if as_json:
        click.echo(json.dumps(_as_dict(got), indent=2))
    if damaged := _damaged(reassembler):
        complain(f"plada: {damaged}")
    for problem in reassembler.problems(got.tag):
        complain(f"plada: {output} is object {got.tag:03x}, but {problem}")
    others = [each for each in reassembler.objects.values() if each.tag != got.tag]
    if others:
        complain(f"plada: {output} is object {got.tag:03x}; left out: {_shares(others)}")
    elif state_path is not None:
        # With a tag, the reassembler does not know the other objects of the state file.
        rest = _tags(sorted(saved.keys() - {got.tag}))
        complain(f"plada: {output} is complete: {state_path} is no longer needed{rest and f', except for {rest}'}")


def _check_found(state_path: str | None, saved: Counter[int], reassembler: Reassembler) -> None:
    """Refuse objects other than those of the state file, if no tag asks for them."""
    complete, came = reassembler.complete, reassembler.tags - saved
    if not saved or len(complete) > 1:
        return
    if complete and complete[0] not in saved:
        tag = f"{complete[0]:03x}"
        raise _other_state(state_path, saved, f"but the complete object is {tag}: --tag {tag} writes it")
    if came and came.keys().isdisjoint(complete or saved):
        but = f"but all received frames are of {_tags(came)}: give each object its own state file"
        raise _other_state(state_path, saved, but)


def _interrupted(state_path: str | None, reassembler: Reassembler) -> Truncated:
    if state_path is None:
        return Truncated("interrupted: nothing is kept without --state", rule="incomplete")
    has = _shares(reassembler.objects.values()) or "no frame"
    return Truncated(f"interrupted: {state_path} has {has}: go on with the same command", rule="incomplete")


def _other_state(state_path: str | None, saved: Collection[int], but: str) -> FileError:
    return FileError(f"{state_path} is the state of {_tags(saved)}, {but}", rule="state")


def _tags(tags: Iterable[int]) -> str:
    return _listed([f"{tag:03x}" for tag in tags])


def _shares(objects: Iterable[ReceptionProgress]) -> str:
    return _listed([f"{each.tag:03x} ({_share(each)})" for each in objects])


def _listed(words: list[str]) -> str:
    """A list of words for people; after six words, the number of the rest."""
    return ", ".join(words[:6]) + (f" and {len(words) - 6} more" if len(words) > 6 else "")


class _Input(NamedTuple):
    """A source of frames: a folder, files of one frame, or a stream. `head` notes the first bytes that came."""

    name: str
    batches: Iterator[list[bytes]]
    head: bytearray
    is_live: bool = False
    is_stream: bool = False

    @property
    def without_frames(self) -> str:
        """The message if no frame came: it says what the first bytes look like."""
        looks = wrapping_of(bytes(self.head))
        return f"{self.name} has no frames" + (f": {looks}" if looks else _ASK_FRAMING if self.is_stream else "")


def _noted(chunks: Iterator[bytes], head: bytearray) -> Iterator[bytes]:
    """Pass on chunks, and note how they begin."""
    for chunk in chunks:
        head += chunk[: max(0, HEAD_BYTES - len(head))]
        yield chunk


def _noted_frames(batches: Iterator[list[bytes]], head: bytearray) -> Iterator[list[bytes]]:
    """Pass on batches of frames, and note how they begin."""
    for batch in batches:
        head += b"".join(batch[:1])[: max(0, HEAD_BYTES - len(head))]
        yield batch


def _receive(inputs: Iterable[_Input], reassembler: Reassembler, state: StateFile | None, tag: int | None) -> list[str]:
    """Collect frames until the inputs end, or the wanted object is complete (from live inputs: the first object).

    Returns a message about each input that ended without a frame.
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
                    progress.label(f"receiving ({damaged:,} damaged, {foreign:,} foreign)")
                    progress(have, need)
            if reassembler.tags.total() == tags_before:
                without.append(each.without_frames)
    return without


def _inputs(
    sources: Iterable[str],
    framing: str | None,
    baud: int | None,
    watch: Callable[[Iterator[bytes], str], Iterator[bytes]],
) -> Iterator[_Input]:
    """The inputs: first folders, then files of one frame, then streams. `watch` wraps the chunks of live streams."""
    from plada_codec.frames.frame_files import frame_paths, read_files

    files: list[Path] = []
    streams: list[str] = []
    for source in sources:
        if source != "-" and Path(source).is_dir():
            head = bytearray()
            yield _Input(source, _noted_frames(read_files(frame_paths(source)), head), head)
        elif source.endswith(".frame"):
            files.append(Path(source))
        else:
            streams.append(source)
    if files:
        head = bytearray()
        name = str(files[0]) if len(files) == 1 else f"each of {len(files)} files"
        yield _Input(name, _noted_frames(read_files(files), head), head)
    for source in streams:
        name, is_live = "standard input" if source == "-" else source, _is_live(source)
        head = bytearray()
        batches = _read(source, name, framing, baud, head, watch if is_live else None)
        yield _Input(name, batches, head, is_live, is_stream=True)


def _read(
    source: str,
    name: str,
    framing: str | None,
    baud: int | None,
    head: bytearray,
    watch: Callable[[Iterator[bytes], str], Iterator[bytes]] | None,
) -> Iterator[list[bytes]]:
    """Read the frames of a stream, and note its first bytes in `head`.

    It is opened with the first frame: opening a pipe waits for its sender.
    """
    from plada_codec.frames.framing import FRAMINGS, default_framing
    from plada_codec.frames.ports import make_raw, open_stream, read_chunks

    with nullcontext(standard_input()) if source == "-" else open_stream(source, "rb", baud) as stream:
        if source == "-":
            make_raw(stream)
        is_port = stream.isatty()
        chunks = _noted(read_chunks(stream), head)
        with naming_device(name):
            yield from FRAMINGS[framing or default_framing(stream)].split(
                chunks if watch is None else watch(chunks, name)
            )
    if is_port:
        complain(f"plada: {name} hung up")


def _watched(chunks: Iterator[bytes], name: str, reassembler: Reassembler, wanted: set[int]) -> Iterator[bytes]:
    """Pass on the chunks of a live stream. Warn once if no frame comes, or no frame of the wanted objects."""
    before = Counter(reassembler.tags)
    read_bytes, is_told = 0, False
    for chunk in chunks:
        yield chunk  # the reassembler has taken its frames now
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
                f"{_tags(sorted(wanted))}: to receive it, begin again with its --tag and its own state file"
            )
            break
    yield from chunks


def _is_live(source: str) -> bool:
    """Whether a source of frames may never end."""
    from plada_codec.frames.ports import is_live

    path = Path(source)
    return is_live(standard_input()) if source == "-" else path.exists() and not path.is_file() and not path.is_dir()


def _print_status(state_path: str, tag: int | None, as_json: bool) -> None:
    """Print the progress of each object in a state file, and the time left at the rate so far."""
    from plada_codec import frames
    from plada_codec.links.units import show_seconds

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


def _as_dict(got: ReceptionProgress) -> dict[str, Any]:
    return asdict(got) | {"tag": f"{got.tag:03x}"}


def _share(got: ReceptionProgress) -> str:
    """The progress of an object, for people."""
    if got.complete:
        return f"complete, from {got.have:,} symbols"
    if got.need is None:
        return f"{got.have:,} symbols, but no announce"
    return f"{got.have:,} of {got.need:,} symbols, or a few more"
