"""The package's receiver and the plain one of the specification, which shares no code with it, agree on everything."""

from __future__ import annotations

import doctest
import hashlib
import io
import json
from dataclasses import dataclass
from itertools import pairwise
from operator import itemgetter
from pathlib import Path
from random import Random
from typing import Any

import plada_frames_decode as oracle
import pytest
import raptorq_plain
from hypothesis import assume, given
from hypothesis import strategies as st
from rfc6330_tables import DEGREE_BOUNDS, SYSTEMATIC_INDICES, V

from plada_codec import PladaError
from plada_codec.frames import FIRST_ANNOUNCE_ID, Frame, Reassembler, Reception, Sender, packetize
from plada_codec.frames.framing import FRAMINGS, read_frames
from tests.helpers.paths import FRAME_VECTORS

raptorq = pytest.importorskip("raptorq")


# RaptorQ


def test_the_tables_of_rfc_6330_have_their_sizes_primes_and_ranges() -> None:
    assert [len(table) for table in V] == [256] * 4
    assert all(0 <= value < 2**32 for table in V for value in table)
    assert len(DEGREE_BOUNDS) == 31
    assert DEGREE_BOUNDS[-1] == 2**20
    assert len(SYSTEMATIC_INDICES) == 477
    for ascending in (DEGREE_BOUNDS, [row[0] for row in SYSTEMATIC_INDICES]):
        assert all(a < b for a, b in pairwise(ascending))
    for k, j, s, h, w in SYSTEMATIC_INDICES:
        assert 0 <= j <= 1000
        assert raptorq_plain.is_prime(s)
        assert raptorq_plain.is_prime(w)
        assert k < w <= k + s
        assert 10 <= h <= 16


@pytest.mark.parametrize("k", [row[0] for row in SYSTEMATIC_INDICES if row[0] <= 200] + [400])
def test_source_symbols_determine_a_block_of_each_size(k: int) -> None:
    source = [bytes([i % 251]) for i in range(k)]
    intermediate = raptorq_plain.intermediate_symbols(k, dict(enumerate(source)))
    assert intermediate is not None
    assert [raptorq_plain.encode(k, intermediate, esi) for esi in range(k)] == source


def package_symbols(data: bytes, size: int, repairs: int) -> dict[int, bytes]:
    """The symbols that raptorq makes of `data`, by their encoding symbol id."""
    packets = raptorq.Encoder.with_defaults(data, size).get_encoded_packets(repairs)
    return {int.from_bytes(packet[1:4], "big"): packet[4:] for packet in packets}


@given(st.data(), st.integers(2, 60), st.sampled_from([*range(1, 64), 64, 72]))
def test_plain_raptorq_makes_the_symbols_of_the_package_and_reads_them(data: st.DataObject, k: int, size: int) -> None:
    block = data.draw(st.randoms(use_true_random=False)).randbytes(k * size)
    symbols = package_symbols(block, size, repairs=k + 10)
    source = [block[at : at + size] for at in range(0, len(block), size)]
    intermediate = raptorq_plain.intermediate_symbols(k, dict(enumerate(source)))
    assert intermediate is not None
    assert {esi: raptorq_plain.encode(k, intermediate, esi) for esi in symbols} == symbols

    received = data.draw(st.permutations(sorted(symbols)))[: k + data.draw(st.integers(0, 3))]
    decoded = raptorq_plain.decode(k, {esi: symbols[esi] for esi in received})
    assert decoded in (source, None)
    assert decoded == source or len(received) < k + 2


def test_plain_raptorq_agrees_with_the_package_on_larger_blocks() -> None:
    block = bytes(i * i % 251 for i in range(200 * 16))
    symbols = package_symbols(block, 16, repairs=210)
    assert raptorq_plain.decode(200, {esi: symbols[esi] for esi in range(200, 402)}) == [
        block[at : at + 16] for at in range(0, len(block), 16)
    ]


def test_the_example_of_plain_raptorq_runs() -> None:
    assert doctest.testmod(raptorq_plain).failed == 0


# Receivers


@dataclass(frozen=True)
class Outcome:
    """Result of a receiver for the frames of one tag: the object, or the rule of the error.

    `have` and `need` are None of an object that is complete, or not announced.
    """

    result: bytes | str
    have: int | None = None
    need: int | None = None


def plain_outcome(received: oracle.Object) -> Outcome:
    try:
        return Outcome(received.result())
    except oracle.FramesError as error:
        announce = received.announce
        return Outcome(error.rule, received.have, announce.k) if announce else Outcome(error.rule)


def package_outcome(reassembler: Reassembler, tag: int) -> Outcome:
    progress = reassembler.objects[tag]
    try:
        return Outcome(reassembler.result(tag))
    except PladaError as error:
        return Outcome(error.rule, progress.have, progress.need) if progress.announced else Outcome(error.rule)


def assert_agreement(frames: list[bytes]) -> dict[int, bytes | str]:
    """Assert that both receivers have the same outcomes for these frames; return the outcomes by tag."""
    receiver, reassembler = oracle.Receiver(), Reassembler()
    for frame in frames:
        receiver.add(frame)
        reassembler.add(frame)
    outcomes = {tag: plain_outcome(received) for tag, received in receiver.objects.items()}
    assert {tag: package_outcome(reassembler, tag) for tag in reassembler.objects} == outcomes
    assert reassembler.counts[Reception.DAMAGED] == receiver.damaged.total()
    return {tag: outcome.result for tag, outcome in outcomes.items()}


#: An object, and the frames of it that came.
Received = tuple[bytes, list[bytes]]

randoms = st.integers(0, 2**32 - 1).map(Random)


@st.composite
def receptions(draw: st.DrawFn, tag: int = 1) -> Received:
    """Some symbols of an object, some twice, and perhaps its announce, in any order."""
    random = draw(randoms)
    data = random.randbytes(draw(st.integers(1, 250)))
    sender = Sender(data, draw(st.integers(9, 100)), tag)
    k = sender.layout.symbols
    symbols = random.choices(range(2 * k + 4), k=draw(st.integers(k // 2, 2 * k + 6)))
    frames = [*map(sender.symbol_frame, symbols), *sender.announce_frames() * draw(st.integers(0, 2))]
    return data, shuffled(random, frames) if draw(st.booleans()) else frames


def shuffled(random: Random, frames: list[bytes]) -> list[bytes]:
    return random.sample(frames, len(frames))


def damaged(random: Random, frame: bytes) -> bytes:
    """A frame with bits flipped, or cut short, or other bytes."""
    flipped = bytes(byte ^ (random.random() < 0.1) << random.randrange(8) for byte in frame)
    return random.choice([flipped, frame[: random.randrange(len(frame))], random.randbytes(len(frame))])


@given(receptions(), randoms)
def test_the_receivers_agree_on_an_object_among_damaged_frames(received: Received, random: Random) -> None:
    sent, frames = received
    found = assert_agreement(shuffled(random, frames + [damaged(random, frame) for frame in frames]))
    assert found.get(1, "incomplete") in (sent, "incomplete")


@given(receptions(tag=1), receptions(tag=2), randoms)
def test_the_receivers_agree_on_two_objects(one: Received, other: Received, random: Random) -> None:
    found = assert_agreement(shuffled(random, one[1] + other[1]))
    assert found.get(1, "incomplete") in (one[0], "incomplete")
    assert found.get(2, "incomplete") in (other[0], "incomplete")


@given(receptions(), st.integers(0, 400), st.integers(0, 100), st.integers(1, 50), randoms)
def test_the_receivers_agree_on_announces_that_say_something_else(
    received: Received, length: int, symbol_bytes: int, part_bytes: int, random: Random
) -> None:
    sent, frames = received
    announce = length.to_bytes(4, "little") + symbol_bytes.to_bytes(2, "little") + hashlib.sha256(sent).digest()
    parts = [announce[at : at + part_bytes] for at in range(0, len(announce), part_bytes)]
    other = [Frame(1, FIRST_ANNOUNCE_ID + number, part).to_bytes() for number, part in enumerate(parts)]
    assert_agreement(shuffled(random, frames + random.sample(other, random.randint(len(other) // 2, len(other)))))


# Where K symbols do not decode and K + 1 do, which of them decide is not said, and it matters if one is forged. Source
# symbols always decode: so forgeries come with these alone.


@given(st.lists(st.tuples(st.integers(1, 250), st.integers(46, 100)), min_size=1, max_size=2), randoms)
def test_the_receivers_agree_on_two_objects_of_one_tag(shapes: list[tuple[int, int]], random: Random) -> None:
    one, other = (Sender(random.randbytes(length), size, tag=1) for length, size in (shapes[0], shapes[-1]))
    assume(one.layout == other.layout or one.layout.symbol_bytes != other.layout.symbol_bytes)
    frames = [some_source_frames(sender, random) for sender in (one, other)]
    assert_agreement(frames[0] + frames[1])


@given(st.binary(min_size=1, max_size=250), st.integers(9, 100), st.integers(0, 6), st.booleans(), randoms)
def test_the_receivers_agree_on_forged_symbols(
    sent: bytes, frame_bytes: int, forged: int, same_size: bool, random: Random
) -> None:
    sender = Sender(sent, frame_bytes, tag=1)
    size = sender.layout.symbol_bytes if same_size else random.randint(1, 100)
    ids = range(sender.layout.symbols)
    strangers = [Frame(1, random.choice(ids), random.randbytes(size)).to_bytes() for _ in range(forged)]
    assert_agreement(shuffled(random, some_source_frames(sender, random) + strangers))


def some_source_frames(sender: Sender, random: Random) -> list[bytes]:
    """Symbols 0 .. K - 1, some of them twice, and an announce, in any order; one frame in ten is lost."""
    frames = [*map(sender.symbol_frame, range(sender.layout.symbols)), *sender.announce_frames()]
    return shuffled(random, [frame for frame in frames * 2 if random.random() < 0.9])


# Vectors and streams


@pytest.mark.parametrize(
    "vector", json.loads((FRAME_VECTORS / "index.json").read_text())["vectors"], ids=itemgetter("id")
)
def test_the_plain_receiver_gives_the_stated_result_of_each_vector(vector: dict[str, Any]) -> None:
    receiver = oracle.Receiver(oracle.Limits(**vector.get("limits", {})))
    for frame in oracle.SPLIT[vector.get("framing", "length")]((FRAME_VECTORS / vector["file"]).read_bytes()):
        receiver.add(frame)
    tag = int(vector["tag"], 16) if "tag" in vector else None
    if "error" in vector:
        with pytest.raises(oracle.FramesError) as refused:
            receiver.result(tag)
        assert {"kind": refused.value.kind, "rule": refused.value.rule} == vector["error"]
    else:
        found = receiver.result(tag)
        assert len(found) == vector["object"]["bytes"]
        assert hashlib.sha256(found).hexdigest() == vector["object"]["sha256"]


@given(st.data(), st.lists(st.binary(min_size=1), max_size=8), st.binary(max_size=20))
def test_both_readers_of_torn_streams_find_the_same_frames(
    data: st.DataObject, frames: list[bytes], tail: bytes
) -> None:
    for framing, split in oracle.SPLIT.items():
        stream = b"".join(FRAMINGS[framing].record(frame) for frame in frames)
        assert list(split(stream)) == frames
        at = data.draw(st.integers(0, len(stream)))
        torn = stream[:at] + tail
        assert list(split(torn)) == list(read_frames(io.BytesIO(torn), framing))


@pytest.mark.parametrize("framing", ["length", "slip"])
def test_the_program_writes_the_object_of_a_stream(
    framing: str, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    sent = bytes(range(256)) * 4
    stream = b"".join(FRAMINGS[framing].record(frame) for frame in packetize(Sender(sent, frame_bytes=100, tag=0xABC)))
    path = tmp_path / "object.frames"
    path.write_bytes(stream)
    for arguments in ([str(path)], [str(path), "--tag", "abc"]):
        assert oracle.main([*arguments, "--framing", framing]) == 0
        assert capfdbinary.readouterr().out == sent
    path.write_bytes(stream[:300])
    assert oracle.main([str(path), "--framing", framing]) == 1
    out, err = capfdbinary.readouterr()
    assert out == b""
    assert b"incomplete" in err
    assert err.count(b"\n") == 1


def test_the_program_reads_a_file_of_one_frame(tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    frame = Sender(b"any object at all").announce_frames()[0]
    (tmp_path / "a.frame").write_bytes(frame)
    assert oracle.main([str(tmp_path / "a.frame")]) == 1
    assert b"0 symbols of 1 " in capfdbinary.readouterr().err


def test_the_program_reads_a_folder_of_frames(tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    for number, frame in enumerate(packetize(Sender(b"any object at all", frame_bytes=12))):
        (tmp_path / f"rx_{number:02}.bin").write_bytes(frame)
    (tmp_path / ".hidden").write_bytes(Frame(1, FIRST_ANNOUNCE_ID, bytes(38)).to_bytes())
    assert oracle.main([str(tmp_path)]) == 0
    assert capfdbinary.readouterr().out == b"any object at all"
