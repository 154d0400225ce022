"""Carriers of frames: framings, state files, and the simulated channel that tests them."""

from __future__ import annotations

import io
import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plada_codec.errors import FileError, InvalidArgument, Unavailable
from plada_codec.frames import (
    FIRST_ANNOUNCE_ID,
    Frame,
    FrameLimits,
    Reassembler,
    Sender,
    StateFile,
    frame_paths,
    packetize,
    read_batches,
    read_files,
    read_frames,
    read_state,
    receive,
    write_files,
    write_frame,
)
from plada_codec.frames.ports import open_stream
from plada_codec.frames.slip import slip
from plada_codec.frames.state import time_mark
from plada_codec.links.loss import BurstyLoss, IndependentLoss
from plada_codec.testing.channel import channel

DATA = random.Random(5).randbytes(3_000)
SENDER = Sender(DATA, frame_bytes=128)
FRAMES = list(packetize(SENDER, SENDER.layout.symbols + 5, announces=1))
OTHER = list(packetize(Sender(b"another", tag=SENDER.tag ^ 1)))
#: Bytes that SLIP has to escape come often.
BYTES = st.binary(min_size=1, max_size=40) | st.lists(
    st.sampled_from([0xC0, 0xDB, 0xDC, 0xDD, 0]), min_size=1, max_size=20
).map(bytes)
NO_LOSS = IndependentLoss(0.0)


class Dribble(io.BytesIO):
    """A stream that gives out as many bytes at a time as it is told."""

    def __init__(self, data: bytes, sizes: Iterator[int]) -> None:
        super().__init__(data)
        self._sizes = sizes

    def read1(self, size: int | None = -1, /) -> bytes:
        return super().read1(next(self._sizes, 1))


def stream_of(frames: list[bytes], framing: str) -> bytes:
    stream = io.BytesIO()
    for frame in frames:
        write_frame(stream, frame, framing)
    return stream.getvalue()


@given(frames=st.lists(BYTES), framing=st.sampled_from(["length", "slip"]), sizes=st.lists(st.integers(1, 9)))
def test_frames_come_back_from_a_stream_wherever_it_is_split(
    frames: list[bytes], framing: str, sizes: list[int]
) -> None:
    assert list(read_frames(Dribble(stream_of(frames, framing), iter(sizes)), framing)) == frames


@given(frames=st.lists(BYTES, min_size=1), cut=st.integers(0))
def test_a_length_prefixed_stream_that_is_cut_gives_what_was_whole(frames: list[bytes], cut: int) -> None:
    stream = stream_of(frames, "length")
    cut %= len(stream)
    whole = [frame for number, frame in enumerate(frames) if len(stream_of(frames[: number + 1], "length")) <= cut]
    assert list(read_frames(io.BytesIO(stream[:cut]), "length")) == whole


@given(frames=st.lists(BYTES), garbage=st.binary(max_size=60), at=st.integers(0))
def test_garbage_in_a_slip_stream_costs_no_frame(frames: list[bytes], garbage: bytes, at: int) -> None:
    at %= len(frames) + 1
    stream = stream_of(frames[:at], "slip") + garbage + stream_of(frames[at:], "slip")
    received = list(read_frames(io.BytesIO(stream), "slip"))
    assert received[:at] == frames[:at]
    assert received[len(received) - len(frames) + at :] == frames[at:]


@pytest.mark.parametrize("bad", [b"\xdb", b"a\xdbb", b"\xdb\xdb\xdc"])
def test_a_packet_with_a_bad_escape_is_read_as_empty(bad: bytes) -> None:
    assert list(read_frames(io.BytesIO(b"\xc0" + bad + b"\xc0ok\xc0"), "slip")) == [b"", b"ok"]


def test_a_slip_stream_that_never_ends_a_packet_takes_no_memory() -> None:
    class Noise(io.BytesIO):
        blocks = [bytes(1 << 16)] * 200 + [b"\xc0ok\xc0"]

        def read1(self, size: int | None = -1, /) -> bytes:
            return self.blocks.pop(0) if self.blocks else b""

    noise, ok = read_frames(Noise(), "slip")
    assert len(noise) < 1 << 18
    assert ok == b"ok"


@pytest.mark.parametrize("framing", ["length", "slip"])
def test_a_frame_in_a_pipe_is_there_before_the_next_is_sent(framing: str) -> None:
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as source, os.fdopen(writing, "wb") as target:
        received = read_frames(source, framing)
        for frame in FRAMES[:5]:
            write_frame(target, frame, framing)
            assert next(received) == frame


def test_frames_that_are_there_together_are_one_batch() -> None:
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as source, os.fdopen(writing, "wb") as target:
        batches = read_batches(source, "slip")
        target.write(b"".join(map(slip, FRAMES[:5])))
        target.flush()
        assert next(batches) == FRAMES[:5]


def test_a_serial_line_becomes_raw_and_ends_where_the_other_end_hangs_up() -> None:
    modem, port = os.openpty()
    with open_stream(os.ttyname(port), "rb", baud=9600) as line:
        os.close(port)
        control = bytes(range(32)) + b"\xff\x11\x13\r\n"
        os.write(modem, slip(control))
        received = read_frames(line, "slip")
        assert next(received) == control
        os.set_blocking(modem, False)
        with pytest.raises(BlockingIOError):
            os.read(modem, 1)  # no echo
        os.close(modem)
        assert list(received) == []


def test_a_reader_that_waits_for_a_serial_line_ends_where_the_other_end_hangs_up() -> None:
    modem, port = os.openpty()
    with open_stream(os.ttyname(port), "rb") as line:
        os.close(port)
        hang_up = threading.Timer(0.2, os.close, [modem])
        hang_up.start()
        assert list(read_frames(line, "slip")) == []
        hang_up.join()


def test_a_baud_rate_is_refused_for_a_file_and_if_no_port_has_it(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for name in (str(tmp_path / "file"), "/dev/null"):
        with pytest.raises(FileError, match="not a serial port"):
            open_stream(name, "rb", baud=9600)
    modem, port = os.openpty()
    with pytest.raises(FileError, match="9601"):
        open_stream(os.ttyname(port), "rb", baud=9601)
    os.close(modem)
    os.close(port)


def test_files_of_frames_are_in_the_order_of_sending(tmp_path: Path) -> None:
    write_files(FRAMES, tmp_path / "frames", SENDER.tag)
    files = frame_paths(tmp_path / "frames")
    assert files[0].name == f"{SENDER.tag:03x}-0000000.frame"
    assert [frame for batch in read_files(files) for frame in batch] == FRAMES


def test_all_files_of_a_folder_are_frames_but_hidden_ones_and_folders(tmp_path: Path) -> None:
    for number, frame in enumerate(FRAMES[:3]):
        (tmp_path / f"rx_{number}.bin").write_bytes(frame)
    (tmp_path / ".rx_3.bin").write_bytes(FRAMES[3])
    (tmp_path / "folder.frame").mkdir()
    os.mkfifo(tmp_path / "pipe.frame")
    assert list(read_files(frame_paths(tmp_path))) == [FRAMES[:3]]


def test_a_folder_of_frames_is_complete_or_not_there(tmp_path: Path) -> None:
    def failing() -> Iterator[bytes]:
        yield FRAMES[0]
        raise InvalidArgument("no more", rule="test")

    with pytest.raises(InvalidArgument):
        write_files(failing(), tmp_path / "frames", 1)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_empty_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    with pytest.raises(FileError, match="not empty"):
        write_files(FRAMES, tmp_path, 1)
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A state file of several writes."""
    path = tmp_path_factory.mktemp("state") / "state"
    with StateFile(path) as state:
        for begin in range(0, len(FRAMES), 4):
            state.append(FRAMES[begin : begin + 4])
    return path.read_bytes()


def test_a_state_file_keeps_what_is_appended(tmp_path: Path) -> None:
    path = tmp_path / "state"
    with StateFile(path) as state:
        assert state.frames == []
        state.append(FRAMES[:3])
    with StateFile(path) as state:
        assert state.frames == FRAMES[:3]
        state.append(FRAMES[3:])
    assert list(read_state(path).frames) == FRAMES


@given(cut=st.integers(0), tail=st.binary(max_size=50))
def test_a_state_file_survives_any_cut_and_any_tail(
    tmp_path_factory: pytest.TempPathFactory, written: bytes, cut: int, tail: bytes
) -> None:
    cut %= len(written)
    whole = [frame for frame in FRAMES if written.find(slip(frame)) + len(slip(frame)) <= cut]
    path = tmp_path_factory.mktemp("cut") / "state"
    path.write_bytes(written[:cut] + tail)
    if cut == 0 and tail and tail[0] != 0xC0:
        return  # a file of some other kind
    with StateFile(path) as state:
        # A frame that lacks only its last end counts, too.
        assert state.frames[: len(whole)] == whole
        assert set(state.frames) <= set(FRAMES)
        rest = [frame for frame in FRAMES if frame not in state.frames]
        state.append(rest)
    assert set(read_state(path).frames) == set(FRAMES)


def test_a_state_file_is_a_stream_of_frames_and_two_of_them_too(written: bytes) -> None:
    reassembler = Reassembler()
    for frame in read_frames(io.BytesIO(written + written), "slip"):
        reassembler.add(frame)
    assert reassembler.result() == DATA


def test_a_state_file_holds_the_frames_of_all_objects_or_of_the_requested_one(tmp_path: Path) -> None:
    for tag, saved in ((None, [*FRAMES[:2], *OTHER[:2]]), (SENDER.tag, FRAMES[:2])):
        with StateFile(tmp_path / f"state{tag}") as state:
            for _ in receive([[*FRAMES[:2], *OTHER]], Reassembler(tag=tag), state):
                pass
        assert list(read_state(tmp_path / f"state{tag}").frames) == saved


def test_only_one_receiver_writes_a_state_file(tmp_path: Path) -> None:
    with StateFile(tmp_path / "state"):
        with pytest.raises(FileError, match="another receiver"), StateFile(tmp_path / "state"):
            pass
        read_state(tmp_path / "state")
    with StateFile(tmp_path / "state"):
        pass


@pytest.mark.parametrize("content", [b"my notes\n", bytes(5), bytes(range(100)), stream_of(FRAMES, "length")])
def test_a_file_of_another_kind_is_not_taken_for_a_state(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "mine"
    path.write_bytes(content)
    with pytest.raises(FileError, match="not a state file"), StateFile(path):
        pass
    assert path.read_bytes() == content


def test_only_a_regular_file_is_taken_for_a_state(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/zero")):
        with pytest.raises(FileError, match="not a regular file"), StateFile(path):
            pass
        with pytest.raises(FileError, match="not a regular file"):
            read_state(path)


def test_the_frame_rate_leaves_out_interruptions(tmp_path: Path) -> None:
    path = tmp_path / "state"
    times_s = [0, 2, 4, 6, 86_400, 86_402, 86_406]
    path.write_bytes(
        b"".join(slip(time_mark(1000 * time)) + slip(frame) for time, frame in zip(times_s, FRAMES, strict=False))
    )
    assert read_state(path).frames_per_s() == {SENDER.tag: pytest.approx(5 / 12)}
    path.write_bytes(slip(time_mark(5)) + slip(FRAMES[0]))
    assert read_state(path).frames_per_s() == {}


def test_frames_that_arrived_at_once_give_no_frame_rate(tmp_path: Path) -> None:
    with StateFile(tmp_path / "state") as state:
        for frame in FRAMES:
            state.append([frame])
    assert read_state(tmp_path / "state").frames_per_s() == {}


def test_the_frame_rate_leaves_out_the_wait_for_the_first_frame_and_torn_writes(tmp_path: Path) -> None:
    path = tmp_path / "state"
    path.write_bytes(slip(time_mark(1_000)) + slip(FRAMES[0]) + slip(time_mark(2_000)) + slip(FRAMES[1])[:-9])
    assert read_state(path).frames_per_s() == {}
    writes = [(0, []), (60_000, FRAMES[:1]), (61_000, [FRAMES[1], OTHER[0]]), (62_000, FRAMES[2:4])]
    path.write_bytes(b"".join(b"".join(map(slip, [time_mark(time_ms), *frames])) for time_ms, frames in writes))
    assert read_state(path).frames_per_s() == {SENDER.tag: pytest.approx(1.5), SENDER.tag ^ 1: pytest.approx(0.5)}


def test_reception_saves_each_frame_once_until_the_object_is_complete(tmp_path: Path) -> None:
    repeated = [frame for frame in FRAMES for _ in range(2)]
    reassembler = Reassembler()
    with StateFile(tmp_path / "state") as state:
        for _ in receive([[b"noise", *repeated[:9]], OTHER, repeated[9:]], reassembler, state):
            pass
    saved = list(read_state(tmp_path / "state").frames)
    assert len(saved) == len(set(saved)) == SENDER.layout.symbols + 1 + 2  # and what there is of the other object
    again = Reassembler()
    for frame in saved:
        again.add(frame)
    assert again.result(SENDER.tag) == DATA


#: Three objects of one tag, two of them with symbols of one size, and one of another, in announces of several parts.
HOSTILE = [Sender(random.Random(size).randbytes(size), 24, tag=7) for size in (40, 41, 60)]
HOSTILE.append(Sender(b"another", 24, tag=8))
#: An announce above the limits, and one that is not valid.
REFUSED = [length.to_bytes(4, "little") + b"\x10\x20" + bytes(32) for length in (1 << 27, 0)]
hostile_frames = st.one_of(
    st.builds(Sender.symbol_frame, st.sampled_from(HOSTILE), st.integers(0, 6)).map(lambda frame: [frame]),
    st.sampled_from([sender.announce_frames() for sender in HOSTILE]),
    st.sampled_from([[frame] for sender in HOSTILE for frame in sender.announce_frames()]),
    st.sampled_from(
        [
            [Frame(7, FIRST_ANNOUNCE_ID + at // size, whole[at : at + size]).to_bytes()]
            for whole in REFUSED
            for size in (19, 38)
            for at in range(0, 38, size)
        ]
    ),
    st.builds(lambda id, size: [Frame(7, id, bytes(size)).to_bytes()], st.integers(0, 6), st.sampled_from([14, 15])),
    st.binary(max_size=20).map(lambda garbage: [garbage]),
)


@given(
    batches=st.lists(st.lists(hostile_frames, max_size=12).map(lambda batch: list(chain(*batch))), max_size=8),
    tag=st.sampled_from([None, 7]),
    limit=st.sampled_from([1 << 20, 800]),
)
def test_a_receiver_that_is_interrupted_anywhere_goes_on_as_the_same(
    tmp_path_factory: pytest.TempPathFactory, batches: list[list[bytes]], tag: int | None, limit: int
) -> None:
    path = tmp_path_factory.mktemp("hostile") / "state"
    limits = FrameLimits(max_held_bytes=limit)
    uninterrupted = Reassembler(limits, tag)
    came = 0
    for batch in batches:
        with StateFile(path) as state:
            interrupted = Reassembler(limits, tag)
            for frame in state.frames:
                interrupted.add(frame)
                assert interrupted.changed
            for _ in receive([batch], interrupted, state):
                pass
        for frame in batch:
            uninterrupted.add(frame)
        came += len(batch)
        assert interrupted.objects == uninterrupted.objects
        assert interrupted.complete == uninterrupted.complete
        for complete in interrupted.complete:
            assert interrupted.result(complete) == uninterrupted.result(complete)
        assert len(list(read_state(path).frames)) <= came


def test_a_false_frame_is_saved_and_so_are_the_symbols_that_are_received_again_after_it(tmp_path: Path) -> None:
    count = SENDER.layout.symbols
    false = Frame(SENDER.tag, 3, bytes(SENDER.layout.symbol_bytes)).to_bytes()
    symbols = [SENDER.symbol_frame(id) for id in range(count)]
    sent = [*SENDER.announce_frames(), *symbols[:3], false, *symbols[4:], *symbols[:-1]]
    for frames in (sent, sent[1 : count + 1] + sent[:1] + sent[count + 1 :]):
        with StateFile(tmp_path / str(len(list(tmp_path.iterdir())))) as state:
            for _ in receive([[frame] for frame in frames], Reassembler(), state):
                pass
            saved = read_state(state._path).frames
        again = Reassembler()
        for frame in saved:
            again.add(frame)
        assert again.objects[SENDER.tag].have == count - 1
        again.add(symbols[-1])
        assert again.result() == DATA


def test_a_frame_that_does_not_change_the_receiver_is_never_saved(tmp_path: Path) -> None:
    first, second = Sender(bytes(100), 27, tag=1), Sender(bytes(101), 27, tag=1)
    path = tmp_path / "state"
    for _ in range(3):
        with StateFile(path) as state:
            reassembler = Reassembler()
            for frame in state.frames:
                reassembler.add(frame)
            for _ in receive([first.announce_frames(), second.announce_frames() * 50, OTHER], reassembler, state):
                pass
    assert list(read_state(path).frames) == [*first.announce_frames(), second.announce_frames()[0], *OTHER[:2]]


def test_frames_that_came_before_decoding_failed_are_saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "raptorq", None)
    with StateFile(tmp_path / "state") as state, pytest.raises(Unavailable):
        list(receive([FRAMES], Reassembler(), state))
    assert list(read_state(tmp_path / "state").frames) == FRAMES[: SENDER.layout.symbols + 1]


RECEIVER = """
import os, sys
from plada_codec.frames import Reassembler, StateFile, read_frames, receive
with StateFile(sys.argv[1]) as state:
    batches = ([frame] for frame in read_frames(sys.stdin.buffer, "length"))
    for _ in receive(batches, Reassembler(), state):
        os.write(1, b"+")
"""
#: A false symbol spoils the object in the midst of these.
SPOILT = [FRAMES[0], Frame(SENDER.tag, 3, bytes(SENDER.layout.symbol_bytes)).to_bytes(), *FRAMES[1:], *FRAMES[1:15]]


@pytest.mark.parametrize("seed", range(12))
def test_acknowledged_frames_survive_kill_9_and_a_torn_write(tmp_path: Path, seed: int) -> None:
    draw = random.Random(seed)
    path = tmp_path / "state"
    receiver = subprocess.Popen(
        [sys.executable, "-c", RECEIVER, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
    )
    assert receiver.stdin is not None
    assert receiver.stdout is not None
    with receiver:
        receiver.stdin.write(stream_of(SPOILT, "length"))
        acknowledged = 0
        for _ in range(draw.randrange(1, len(SPOILT))):
            acknowledged += len(receiver.stdout.read(1) or b"")
        receiver.send_signal(signal.SIGKILL)
        acknowledged += len(receiver.stdout.read() or b"")
    live = Reassembler()
    promised = 0
    on_disk = path.read_bytes()
    for frame in SPOILT[:acknowledged]:
        live.add(frame)
        if live.changed:
            promised = on_disk.index(slip(frame), promised) + len(slip(frame))
    # A loss of power keeps what fsync promised, and of what came behind it anything.
    path.write_bytes(on_disk[: draw.randint(promised, len(on_disk))] + draw.randbytes(draw.randrange(30)))
    with StateFile(path) as state:
        reassembler = Reassembler()
        for frame in state.frames:
            reassembler.add(frame)
        live_after = [live.objects]
        for frame in SPOILT[acknowledged:]:
            live.add(frame)
            live_after.append(live.objects)
        assert reassembler.objects in live_after
        for _ in receive([FRAMES, FRAMES], reassembler, state):
            pass
    assert reassembler.result() == DATA


@given(frames=st.lists(st.binary()), seed=st.integers())
def test_a_channel_without_faults_changes_nothing(frames: list[bytes], seed: int) -> None:
    assert list(channel(frames, loss=NO_LOSS, seed=seed)) == frames


@given(count=st.integers(0, 60), waiting=st.integers(0, 20), seed=st.integers())
def test_reordering_keeps_all_frames_and_moves_none_forward_by_more_than_asked(
    count: int, waiting: int, seed: int
) -> None:
    frames = [bytes([number]) for number in range(count)]
    arrived = list(channel(frames, loss=NO_LOSS, reorder_frames=waiting, seed=seed))
    assert sorted(arrived) == frames
    # When frame n is sent, all but `waiting` of those before have arrived: so none comes before its turn by more.
    assert all(frame[0] <= turn + waiting for turn, frame in enumerate(arrived))


def test_a_channel_is_the_same_for_the_same_seed() -> None:
    def arrived(seed: int) -> list[bytes]:
        loss = BurstyLoss(0.3, 5)
        return list(channel(FRAMES, loss=loss, flip_rate=1e-3, duplicate_rate=0.2, reorder_frames=5, seed=seed))

    assert arrived(1) == arrived(1) != arrived(2)


def test_a_channel_yields_frames_of_an_endless_stream() -> None:
    def endless() -> Iterator[bytes]:
        while True:
            yield b"frame"

    received = channel(endless(), loss=IndependentLoss(0.5), duplicate_rate=0.5, reorder_frames=50)
    assert [next(received) for _ in range(100)] == [b"frame"] * 100


@pytest.mark.parametrize("rate", [0.01, 0.5])
def test_a_channel_flips_loses_and_repeats_at_the_given_rates(rate: float) -> None:
    sent = [bytes(10)] * 20_000
    flips = sum(int.from_bytes(frame).bit_count() for frame in channel(sent, loss=NO_LOSS, flip_rate=rate))
    assert flips / 1_600_000 == pytest.approx(rate, rel=0.05)
    assert len(list(channel(sent, loss=IndependentLoss(rate)))) / 20_000 == pytest.approx(1 - rate, abs=0.02)
    assert len(list(channel(sent, loss=NO_LOSS, duplicate_rate=rate))) / 20_000 == pytest.approx(1 + rate, abs=0.02)


def test_flips_hit_every_bit_of_a_frame_alike() -> None:
    counts = [0] * 16
    for frame in channel([bytes(2)] * 20_000, loss=NO_LOSS, flip_rate=0.1, seed=3):
        for bit in range(16):
            counts[bit] += frame[bit // 8] >> bit % 8 & 1
    assert all(1_700 < count < 2_300 for count in counts)


@pytest.mark.parametrize(
    "bad", [{"flip_rate": 1.0}, {"flip_rate": -0.1}, {"duplicate_rate": 1.1}, {"reorder_frames": -1}]
)
def test_a_channel_refuses_invalid_rates(bad: dict[str, float]) -> None:
    with pytest.raises(InvalidArgument):
        channel([], loss=NO_LOSS, **bad)  # type: ignore[arg-type]
