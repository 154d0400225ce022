"""Frames: guarantees to every receiver on any link, and the vectors of the specification."""

from __future__ import annotations

import ast
import dataclasses
import hashlib
import itertools
import json
import random
import re
import subprocess
import sys
import tracemalloc
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import jsonschema
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from plada_codec import Corrupt, InvalidArgument, LimitExceeded, PladaError, Truncated, Unavailable
from plada_codec.frames import (
    FIRST_ANNOUNCE_ID,
    MAX_FRAME_BYTES,
    MIN_FRAME_BYTES,
    OVERHEAD_BYTES,
    Announce,
    Frame,
    FrameLimits,
    Reassembler,
    Reception,
    Sender,
    carousel,
    fountain,
    layout,
    packetize,
    parse_frame,
    read_frames,
)
from tests.helpers.examples import examples
from tests.helpers.paths import FRAME_VECTORS, SPEC

TEXT = (SPEC / "plada-frames-1.md").read_text(encoding="utf-8")
INDEX = json.loads((FRAME_VECTORS / "index.json").read_text(encoding="utf-8"))
VECTORS: list[dict[str, Any]] = INDEX["vectors"]

objects = st.integers(1, 4000).map(lambda size: random.Random(size).randbytes(size))
#: Down to the shortest, and around the lengths from which symbols are multiples of 8.
frame_sizes = st.integers(MIN_FRAME_BYTES, 100) | st.integers(248, 264)
randoms = st.randoms(use_true_random=False)
#: The object of the odd frames: their announces state its digest, or a digest of no object.
ZEROS = bytes(8)
odd_announces = st.builds(
    lambda length, size, digest: length.to_bytes(4, "little") + size.to_bytes(2, "little") + digest,
    st.just(8) | st.integers(0, 10) | st.integers(0, 2**32 - 1),
    st.sampled_from([8, 4, 3]) | st.integers(0, 10),
    st.sampled_from([bytes(32), hashlib.sha256(ZEROS).digest()]),
)
#: Frames of ours as nobody would send them.
odd_frames = st.builds(
    Frame,
    tag=st.sampled_from([0, 1]),
    id=st.integers(0, 5) | st.just(FIRST_ANNOUNCE_ID) | st.integers(FIRST_ANNOUNCE_ID, FIRST_ANNOUNCE_ID + 4),
    content=st.binary(min_size=1, max_size=40) | st.sampled_from([8, 4, 3]).map(bytes) | odd_announces,
).map(Frame.to_bytes)


def received(frames: list[bytes], **options: Any) -> Reassembler:
    reassembler = Reassembler(**options)
    for frame in frames:
        reassembler.add(frame)
    return reassembler


def rule_of(reassembler: Reassembler) -> str:
    with pytest.raises(PladaError) as refused:
        reassembler.result()
    return refused.value.rule


@given(objects, frame_sizes, randoms)
def test_any_k_plus_two_symbols_bring_the_object_back(data: bytes, frame_bytes: int, draw: random.Random) -> None:
    sender = Sender(data, frame_bytes)
    count = sender.layout.symbols
    ids = draw.sample(range(3 * count + 10), count + 2)
    frames = sender.announce_frames() + [sender.symbol_frame(id) for id in ids]
    draw.shuffle(frames)
    assert received(frames).result() == data


@given(objects, frame_sizes, randoms, st.lists(st.binary(max_size=80), max_size=20))
def test_order_duplicates_other_objects_and_garbage_change_nothing(
    data: bytes, frame_bytes: int, draw: random.Random, garbage: list[bytes]
) -> None:
    sender = Sender(data, frame_bytes, tag=5)
    frames = list(packetize(sender))
    damaged = [damage(frame, draw) for frame in frames]
    other = list(packetize(Sender(data[::-1] + b"other", frame_bytes, tag=6)))
    mixed = [*frames, *draw.sample(frames, len(frames) // 2), *damaged, *other, *garbage]
    draw.shuffle(mixed)
    reassembler = received(mixed)
    assert reassembler.result(tag=5) == data
    assert reassembler.result(tag=6) == data[::-1] + b"other"
    assert reassembler.counts[Reception.DAMAGED] == len(damaged) + len(garbage)
    assert rule_of(reassembler) == "objects"
    assert received(mixed, tag=5).result() == data


def damage(frame: bytes, draw: random.Random) -> bytes:
    at = draw.randrange(8 * len(frame))
    return (int.from_bytes(frame, "little") ^ 1 << at).to_bytes(len(frame), "little")


@given(st.lists(st.binary(max_size=60) | odd_frames, max_size=60), st.none() | st.integers(0, 2))
def test_any_input_yields_only_announced_objects(frames: list[bytes], tag: int | None) -> None:
    reassembler = received(frames, tag=tag)
    for progress in reassembler.objects.values():
        if progress.complete:
            assert reassembler.result(progress.tag) == ZEROS
        else:
            with pytest.raises(PladaError):
                reassembler.result(progress.tag)


@given(objects, frame_sizes, randoms)
def test_before_it_has_enough_a_receiver_says_how_much_it_has_and_needs(
    data: bytes, frame_bytes: int, draw: random.Random
) -> None:
    sender = Sender(data, frame_bytes)
    count = sender.layout.symbols
    ids = draw.sample(range(2 * count), count - 1)
    reassembler = received([*sender.announce_frames(), *map(sender.symbol_frame, ids)])
    assert rule_of(reassembler) == "incomplete"
    progress = reassembler.objects[sender.tag]
    assert (progress.have, progress.need, progress.object_bytes) == (count - 1, count, len(data))
    assert progress.announced
    assert not progress.complete
    assert not progress.problems


@given(objects, frame_sizes)
def test_a_repeated_frame_changes_nothing(data: bytes, frame_bytes: int) -> None:
    frames = list(packetize(Sender(data, frame_bytes), announces=1))
    reassembler = Reassembler()
    assert {reassembler.add(frame) for frame in frames[:-1]} <= {Reception.NEW}
    assert {reassembler.add(frame) for frame in frames[:-1]} <= {Reception.DUPLICATE}
    assert reassembler.add(frames[-1]) == Reception.COMPLETE
    assert {reassembler.add(frame) for frame in frames} == {Reception.COMPLETE}


def test_every_flipped_bit_of_a_frame_is_noticed() -> None:
    frame = Sender(b"Hello, PLADA!").symbol_frame(7)
    for at in range(8 * len(frame)):
        with pytest.raises(Corrupt) as refused:
            parse_frame((int.from_bytes(frame, "little") ^ 1 << at).to_bytes(len(frame), "little"))
        assert refused.value.rule == "checksum"


@given(st.integers(0, 4095), st.integers(0, 2**20 - 1), st.binary(min_size=1, max_size=300))
def test_a_frame_comes_back_from_its_bytes(tag: int, id: int, content: bytes) -> None:
    frame = Frame(tag, id, content)
    assert parse_frame(frame.to_bytes()) == frame
    assert len(frame.to_bytes()) == len(content) + OVERHEAD_BYTES
    assert frame.is_announce == (id >= FIRST_ANNOUNCE_ID)


@pytest.mark.parametrize(
    "fields", [(-1, 0, b"."), (4096, 0, b"."), (0, 2**20, b"."), (0, 0, b""), (0, 0, bytes(65_528))]
)
def test_invalid_fields_make_no_frame(fields: tuple[int, int, bytes]) -> None:
    with pytest.raises(InvalidArgument, match="no frame can have"):
        Frame(*fields)


@given(st.integers(1, 1 << 26), st.integers(MIN_FRAME_BYTES, MAX_FRAME_BYTES))
def test_the_layout_is_valid_fits_the_frames_and_has_the_fewest_symbols(object_bytes: int, frame_bytes: int) -> None:
    try:
        plan = layout(object_bytes, frame_bytes)
    except InvalidArgument as error:
        least = int(re.findall(r"needs ([0-9,]+) to", str(error))[0].replace(",", ""))
        assert frame_bytes < least
        assert layout(object_bytes, least).symbols <= 56_403
        assert object_bytes > 56_403 * widest_symbol(least - 1)
        return
    announce = Announce(object_bytes, plan.symbol_bytes, bytes(32))
    assert announce.symbols == plan.symbols
    assert plan.frame_bytes <= frame_bytes
    assert plan.symbols == 1 or plan.symbols == -(-object_bytes // widest_symbol(frame_bytes))
    assert plan.symbols == 1 or object_bytes > frame_bytes - OVERHEAD_BYTES
    smaller = plan.symbol_bytes - (8 if plan.symbol_bytes > 64 else 1)
    assert plan.symbols == 1 or smaller * plan.symbols < object_bytes
    parts = announce.parts(plan.part_bytes)
    assert len(parts) == plan.announce_parts
    assert all(len(part) + OVERHEAD_BYTES <= frame_bytes for part in parts)
    assert plan.symbols < plan.cycle_symbols <= FIRST_ANNOUNCE_ID
    assert plan.extra_symbols == (2 if plan.symbols > 1 else 0)


def widest_symbol(frame_bytes: int) -> int:
    return max(size for size in range(max(1, frame_bytes - 15), frame_bytes - 7) if size < 64 or size % 8 == 0)


@pytest.mark.parametrize(
    ("object_bytes", "frame_bytes", "rule"),
    [(0, 256, "object"), (100, 8, "frame-bytes"), (100, 65_536, "frame-bytes"), (2**26 + 1, 65_535, "limits")],
)
def test_an_object_or_frame_of_impossible_size_is_refused(object_bytes: int, frame_bytes: int, rule: str) -> None:
    with pytest.raises((InvalidArgument, LimitExceeded)) as refused:
        layout(object_bytes, frame_bytes)
    assert refused.value.rule == rule


def test_frames_that_are_too_short_are_told_from_those_that_are_too_long() -> None:
    with pytest.raises(
        InvalidArgument, match=r"frames of 256 bytes are too short .* 16,777,216 bytes: it needs 312 to 65,"
    ):
        layout(1 << 24, 256)
    with pytest.raises(InvalidArgument, match="too long for an object of 100 bytes: it needs 9 to 65,535"):
        layout(100, 65_536)


def test_a_sender_refuses_numbers_out_of_range() -> None:
    sender = Sender(b"Hello, PLADA!", 16)
    for wrong in (
        lambda: Sender(b".", tag=4096),
        lambda: sender.symbol_frame(FIRST_ANNOUNCE_ID),
        lambda: sender.symbol_frame(-1),
        lambda: packetize(sender, FIRST_ANNOUNCE_ID + 1),
        lambda: packetize(sender, announces=0),
        lambda: carousel(sender, announce_every=0),
    ):
        with pytest.raises(InvalidArgument):
            wrong()


@given(st.integers(1, 2000), st.integers(0, 50), st.integers(1, 6))
def test_announces_are_spread_evenly_from_before_the_first_symbol_to_behind_the_last(
    object_bytes: int, repair: int, announces: int
) -> None:
    sender = Sender(bytes(object_bytes), 64)
    count = sender.layout.symbols + repair
    ids = [parse_frame(frame).id for frame in packetize(sender, count, announces)]
    assert [id for id in ids if id < FIRST_ANNOUNCE_ID] == list(range(count))
    runs = [len(list(run)) for is_symbol, run in itertools.groupby(ids, lambda id: id < FIRST_ANNOUNCE_ID) if is_symbol]
    assert ids.count(FIRST_ANNOUNCE_ID) == announces
    assert ids[0] == FIRST_ANNOUNCE_ID
    assert announces == 1 or ids[-1] == FIRST_ANNOUNCE_ID
    assert max(runs) - min(runs) <= 1


@given(objects, st.integers(30, 264), st.integers(0, 2**40))
@examples(0.3)
def test_a_receiver_may_join_a_carousel_at_any_frame(data: bytes, frame_bytes: int, start: int) -> None:
    sender = Sender(data, frame_bytes)
    # As if the cycle were short: its length is the layout's affair, and far symbols take their time.
    start = start % (3 * sender.layout.symbols) + sender.layout.cycle_symbols
    reassembler = Reassembler()
    sent = 0
    for frame in carousel(sender, start):
        sent += 1
        if reassembler.add(frame) == Reception.COMPLETE:
            break
    count = sender.layout.symbols
    assert reassembler.result() == data
    assert sent <= count + 2 + -(-(count + 2) // 16) * sender.layout.announce_parts


def test_a_carousel_begins_again_when_its_cycle_is_over() -> None:
    sender = Sender(bytes(4000), 1024)
    cycle = sender.layout.cycle_symbols
    assert cycle == 4 + 16_778
    frames = itertools.islice(carousel(sender, cycle - 3, announce_every=4), 10)
    ids = [parse_frame(frame).id for frame in frames]
    assert ids == [0xFFF00, cycle - 3, cycle - 2, cycle - 1, 0, 0xFFF00, 1, 2, 3, 4]


def test_the_cycle_of_a_long_object_is_bounded() -> None:
    assert layout(1 << 26, 1200).cycle_symbols == 56_300 + 56_300
    assert layout(20_000, 48).cycle_symbols == 500 + 65_536
    assert layout(40_000_000, 65_535).cycle_symbols == 611 + 611


@given(objects, frame_sizes, frame_sizes, randoms)
def test_of_two_objects_with_one_tag_the_first_announced_comes_out_or_none(
    data: bytes, frame_bytes: int, other_frame_bytes: int, draw: random.Random
) -> None:
    first = Sender(data, frame_bytes, tag=9)
    second = Sender(data + b"!", other_frame_bytes, tag=9)
    frames = list(packetize(first)) + list(packetize(second))
    draw.shuffle(frames)
    reassembler = received(first.announce_frames() + frames)
    problems = reassembler.objects[9].problems
    try:
        assert reassembler.result() == data
    except Corrupt as error:
        assert error.rule == problems[0]
        assert error.rule in ("tag", "symbol-size", "digest")


def test_a_receiver_goes_on_after_a_false_symbol_of_the_right_checksum() -> None:
    data = random.Random(1).randbytes(1000)
    sender = Sender(data, 72)
    false = Frame(sender.tag, 3, bytes(sender.layout.symbol_bytes)).to_bytes()
    reassembler = received([false, *packetize(sender)])
    assert rule_of(reassembler) == "digest"
    assert reassembler.objects[sender.tag].have == 0
    for id in itertools.count(16):
        if reassembler.add(sender.symbol_frame(id)) == Reception.COMPLETE:
            break
    assert reassembler.result() == data


@given(objects, st.integers(9, 45), st.integers(9, 45), randoms)
def test_one_announce_in_parts_of_two_sizes_is_never_another(
    data: bytes, frame_bytes: int, other_frame_bytes: int, draw: random.Random
) -> None:
    announce = Sender(data, 60, tag=1).announce
    sizes = [size - OVERHEAD_BYTES for size in (frame_bytes, other_frame_bytes)]
    parts = [(number, part) for size in sizes for number, part in enumerate(announce.parts(size))]
    assert all(announce.has_part(*part) for part in parts)
    # Section 5: the last part of one size can pass for one of the other size.
    assume(len({(number, len(part)) for number, part in parts}) == len(set(parts)))
    frames = [Frame(1, FIRST_ANNOUNCE_ID + number, part).to_bytes() for number, part in 2 * parts]
    draw.shuffle(frames)
    (progress,) = received(frames).objects.values()
    assert progress.object_bytes in (len(data), None)
    assert not progress.problems


def test_once_announced_a_part_of_another_announce_is_a_conflict() -> None:
    first, second = Sender(b"first" * 20, 20, tag=1), Sender(b"second" * 20, 20, tag=1)
    reassembler = received(first.announce_frames())
    assert {reassembler.add(frame) for frame in first.announce_frames()} == {Reception.DUPLICATE}
    assert reassembler.add(second.announce_frames()[2]) == Reception.REFUSED
    assert rule_of(reassembler) == "tag"


def test_symbols_that_make_no_object_are_forgotten_after_a_few_decodings(monkeypatch: pytest.MonkeyPatch) -> None:
    data, count = random.Random(1).randbytes(400), 100
    sender, only_first = Sender(data, 12), Sender(b"!" + bytes(399), 12)
    without_first = [id for id in range(count, 20_000) if not any(only_first.symbol_frame(id)[4:-4])]
    decoded = Mock(side_effect=fountain._decode)
    monkeypatch.setattr(fountain, "_decode", decoded)
    reassembler = received([sender.symbol_frame(id) for id in [*range(1, count), *without_first]])
    for frame in sender.announce_frames():
        reassembler.add(frame)
    assert decoded.call_count == count + 8
    assert rule_of(reassembler) == "digest"
    assert reassembler.objects[sender.tag].have == 0
    for frame in packetize(sender):
        reassembler.add(frame)
    assert reassembler.result() == data


def test_a_receiver_holds_bounded_memory_for_any_input() -> None:
    draw = random.Random(1)
    limits = FrameLimits(max_held_bytes=1 << 18)
    reassembler = Reassembler(limits)
    tracemalloc.start()
    for _ in range(20_000):
        content = draw.randbytes(draw.randrange(1, 40))
        reassembler.add(Frame(draw.randrange(4), draw.randrange(FIRST_ANNOUNCE_ID), content).to_bytes())
    held = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert held < 4 * limits.max_held_bytes
    assert rule_of(reassembler) == "limits"


def test_a_complete_object_frees_room_for_the_next() -> None:
    data = [random.Random(seed).randbytes(2000) for seed in range(20)]
    # Room for the objects, and for the symbols of one more.
    reassembler = Reassembler(FrameLimits(max_held_bytes=20 * 2000 + 20 * (128 + 128)))
    for tag, each in enumerate(data):
        for frame in packetize(Sender(each, 136, tag)):
            reassembler.add(frame)
    assert [reassembler.result(tag) for tag in range(20)] == data


def test_a_limit_must_be_a_number() -> None:
    with pytest.raises(InvalidArgument, match="max_held_bytes"):
        FrameLimits(max_held_bytes=-1)


def test_without_raptorq_objects_of_one_symbol_pass_and_source_symbols_are_sent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "raptorq", None)
    assert received(list(packetize(Sender(b"Hello, PLADA!")))).result() == b"Hello, PLADA!"
    sender = Sender(bytes(100), 64)
    frames = list(packetize(sender))
    with pytest.raises(Unavailable, match=r"pip install plada\[frames\]"):
        sender.symbol_frame(2)
    with pytest.raises(Unavailable, match=r"pip install plada\[frames\]"):
        received(frames)


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("raise ImportError('libgcc_s.so.1:\\ncannot open')", "broken: libgcc_s.so.1: cannot open"),
        ("import nothing_", "nothing_"),
    ],
)
def test_a_package_that_is_broken_is_told_from_one_that_is_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, said: str
) -> None:
    (tmp_path / "raptorq.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "raptorq", raising=False)
    with pytest.raises(Unavailable, match=said) as refused:
        Sender(bytes(100), 64).symbol_frame(2)
    assert "pip install" not in str(refused.value)


def test_frames_can_be_imported_where_there_is_no_fcntl() -> None:
    code = "import sys; sys.modules['fcntl'] = None; import plada_codec.frames, plada_codec.cli.main"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_panic_of_raptorq_is_an_error_of_ours() -> None:
    import raptorq

    with pytest.raises(Corrupt) as refused:
        fountain._decode(raptorq.Decoder.with_defaults(100, 10), b"")
    assert refused.value.rule == "digest"


@given(st.integers(2, 3000), st.integers(0, 40))
@examples(0.3)
def test_long_objects_are_coded_in_columns_with_the_same_symbols(object_bytes: int, id: int) -> None:
    data = random.Random(object_bytes).randbytes(object_bytes)
    size = layout(object_bytes, 264).symbol_bytes
    whole = fountain.FountainEncoder(data, size).symbol(id)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fountain, "_MAX_COLUMN_BYTES", 8 * -(-object_bytes // size))
        assert fountain.FountainEncoder(data, size).symbol(id) == whole
        decoder = fountain.FountainDecoder(object_bytes, size)
        encoder = fountain.FountainEncoder(data, size)
        symbols = (decoder.add(id, encoder.symbol(id)) for id in range(1, 100))
        assert next(filter(None, symbols)) == data


def test_an_object_of_many_megabytes_passes_with_its_bytes_in_place() -> None:
    data = random.Random(1).randbytes(12 << 20)
    sender = Sender(data, MAX_FRAME_BYTES)
    frames = [sender.symbol_frame(id) for id in range(2, sender.layout.symbols + 5)]
    assert frames[0][4:-4] == data[2 * sender.layout.symbol_bytes :][: sender.layout.symbol_bytes]
    assert received(sender.announce_frames() + frames).result() == data


def test_frames_need_no_numpy_and_raptorq_only_to_code() -> None:
    code = "import sys, plada_codec.frames; assert not {'numpy', 'raptorq', 'numba'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("vector", VECTORS, ids=[vector["id"] for vector in VECTORS])
def test_a_vector_has_the_stated_result(vector: dict[str, Any]) -> None:
    limits = FrameLimits(**vector.get("limits", {}))
    with (FRAME_VECTORS / str(vector["file"])).open("rb") as stream:
        frames = list(read_frames(stream, vector.get("framing", "length")))
    reassembler = received(frames, limits=limits, tag=int(vector["tag"], 16) if "tag" in vector else None)
    if "error" in vector:
        with pytest.raises(PladaError) as refused:
            reassembler.result()
        assert {"kind": refused.value.kind, "rule": refused.value.rule} == vector["error"]
        assert "\n" not in str(refused.value)
    else:
        data = reassembler.result()
        assert {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}.items() <= vector["object"].items()
        assert vector["object"].get("hex", data.hex()) == data.hex()


def test_the_index_follows_its_schema_and_names_every_file_once() -> None:
    jsonschema.validate(INDEX, json.loads((FRAME_VECTORS / "schema.json").read_text(encoding="utf-8")))
    assert len({vector["id"] for vector in VECTORS}) == len(VECTORS)
    there = [path.relative_to(FRAME_VECTORS).as_posix() for path in (FRAME_VECTORS / "streams").iterdir()]
    assert sorted(vector["file"] for vector in VECTORS) == sorted(there)
    assert {flag for vector in VECTORS for flag in vector["flags"]} == set(INDEX["flags"])


def flagged(flag: str) -> set[str]:
    return {vector["id"] for vector in VECTORS if flag in vector["flags"]}


def test_the_flags_of_a_vector_agree_with_its_other_keys() -> None:
    assert flagged("tag") == {vector["id"] for vector in VECTORS if "tag" in vector}
    for flag in ("slip", "state"):
        assert flagged(flag) == {vector["id"] for vector in VECTORS if vector["file"].endswith(f".{flag}")}
    with_limits = {vector["id"] for vector in VECTORS if "limits" in vector}
    assert with_limits <= flagged("limits")
    for flag, rule in (("incomplete", "incomplete"), ("limits", "limits"), ("announce", "announce")):
        reported = {vector["id"] for vector in VECTORS if vector.get("error", {}).get("rule") == rule}
        assert reported <= flagged(flag)


def test_every_worked_example_is_a_vector() -> None:
    examples = re.findall(r"```hex ([a-z-]+)\n(.*?)```", TEXT, re.DOTALL)
    assert len(examples) >= 3
    assert {name for name, _ in examples} == flagged("example")
    files = {vector["id"]: vector["file"] for vector in VECTORS}
    for name, listing in examples:
        shown = bytes.fromhex("".join(line[:48] for line in listing.splitlines()))
        assert shown == (FRAME_VECTORS / files[name]).read_bytes()


def test_the_limits_have_the_defaults_that_the_specification_states() -> None:
    stated = re.findall(r"^\| `(max_[a-z_]+)` \| 2\^(\d+) \|", TEXT, re.MULTILINE)
    assert {name: 1 << int(power) for name, power in stated} == dataclasses.asdict(FrameLimits())


def stated_errors(table: str) -> set[tuple[str, str]]:
    """Rules and kinds of a table of section 10."""
    return set(re.findall(r"^\| `([a-z-]+)` \| ([A-Z][A-Za-z]+) \|", table, re.MULTILINE))


def test_receivers_report_the_rules_that_the_specification_states() -> None:
    stated = stated_errors(TEXT.split("\nA receiver reports:\n")[1].split("\nA sender")[0])
    met = {(vector["error"]["rule"], vector["error"]["kind"]) for vector in VECTORS if "error" in vector}
    assert stated == met | {("frame", "Corrupt"), ("checksum", "Corrupt"), ("state", "FileError")}


def test_the_package_raises_the_rules_that_the_specification_states() -> None:
    raised = set()
    package = Path(fountain.__file__).parents[1]
    for path in (
        *package.glob("frames/*.py"),
        package / "cli" / "frames" / "commands.py",
        package / "cli" / "frames" / "reassemble.py",
        package / "extras.py",
        package / "testing" / "channel.py",
    ):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                rules = [each.value for each in node.keywords if each.arg == "rule"]
                raised |= {(rule.value, node.func.id) for rule in rules if isinstance(rule, ast.Constant)}
    assert raised == stated_errors(TEXT)


def test_an_input_without_a_frame_of_ours_is_incomplete() -> None:
    with pytest.raises(Truncated, match="no frame"):
        Reassembler().result()
    with pytest.raises(Truncated, match="no frame of tag abc"):
        Reassembler().result(0xABC)
