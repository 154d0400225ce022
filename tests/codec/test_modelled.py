"""The modelled codings (spec sections 5.5, 6.6, 7.5) follow the text, come near the entropy and refuse bad streams."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import plada_decode as oracle
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from plada_codec import LimitExceeded, Limits, Payload, PladaError, Universe, decode, encode, inspect
from plada_codec.codings import classes_modelled, gaps_modelled, modelled
from plada_codec.codings.base import CodingContext, Stream
from plada_codec.codings.registry import INDEX_CODINGS, LABEL_CODINGS, coding_named
from plada_codec.container import build_container
from plada_codec.kernels import classes_modelled as classes_kernel
from plada_codec.kernels import gaps_modelled as gaps_kernel
from plada_codec.kernels import mixing, range_coder
from plada_codec.testing.strategies import class_counts, payloads, reference_sizes
from tests.helpers.examples import examples
from tests.helpers.memory import peak_bytes

Integers = NDArray[np.signedinteger[Any]]

CHANGES, PRIORS = st.integers(0, 15), st.integers(0, 7)
_LARGEST = 2815
_WIDE = Limits(max_reference_size=2**63 - 1)
_WIDE_ORACLE = oracle.Limits(max_reference_size=2**63 - 1)


# --- the range coder -------------------------------------------------------------------------------------------------


@dataclass
class Decisions:
    """Bits and the probabilities, of a one in units of 2^-16, that they are coded with."""

    probabilities: list[int]
    bits: list[int]

    @property
    def chances(self) -> list[int]:
        """The probability of each bit as it is, in units of 2^-16."""
        return [p if bit else 65_536 - p for p, bit in zip(self.probabilities, self.bits, strict=True)]

    @property
    def information_bits(self) -> float:
        return sum(16 - math.log2(chance) for chance in self.chances)

    @property
    def rounding_bits(self) -> float:
        """Bits that rounding can add or save: `bound` is rounded down, and a range is at least 2^24."""
        return sum(-math.log2(1 - 2**-8 / chance) for chance in self.chances)


@st.composite
def decisions(draw: st.DrawFn) -> Decisions:
    """Decisions of every kind: listed, or many that are as likely as they are said to be, or much less so."""
    extremes = st.sampled_from([1, 2, 32_767, 32_768, 32_769, 65_534, 65_535])
    probabilities = draw(st.lists(extremes | st.integers(1, 65_535), max_size=20))
    if draw(st.booleans()):
        return Decisions(probabilities, [draw(st.integers(0, 1)) for _ in probabilities])
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    count = draw(st.integers(0, 300))
    kind = draw(st.sampled_from(["one", "any"]))
    many = np.full(count, draw(extremes)) if kind == "one" else random.integers(1, 65_536, count)
    bits = random.random(count) < many / 65_536
    if draw(st.booleans()):
        bits = bits ^ (random.random(count) < draw(st.sampled_from([0.01, 0.5, 1])))
    return Decisions(many.tolist(), bits.astype(int).tolist())


def written(some: Decisions) -> bytes:
    data = np.empty(2 * len(some.bits) + 5, np.uint8)
    coder = range_coder.new_coder()
    range_coder.start_encoder(coder)
    for p, bit in zip(some.probabilities, some.bits, strict=True):
        assert range_coder.code(coder, data, p, bit) == bit
    return data[: range_coder.finish(coder, data)].tobytes()


def reader(stream: bytes) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
    coder, data = range_coder.new_coder(), np.frombuffer(bytearray(stream), np.uint8)
    range_coder.start_decoder(coder, data)
    return coder, data


@given(decisions())
@examples(3)
def test_the_range_coder_gives_back_any_decisions_of_any_probabilities(some: Decisions) -> None:
    stream = written(some)
    coder, data = reader(stream)
    assert [range_coder.code(coder, data, p, 0) for p in some.probabilities] == some.bits
    assert not range_coder.ended(coder)
    # At most four zero bytes of those that were read have been left out.
    assert coder[range_coder.AT] - 4 <= len(stream) <= coder[range_coder.AT]
    plain = oracle.RangeDecoder(stream, 0)
    assert [plain.decide(p) for p in some.probabilities] == some.bits
    assert plain.r == coder[range_coder.AT]
    plain.check_end()


@given(decisions())
@examples(3)
def test_a_stream_is_within_a_byte_of_the_information_in_it(some: Decisions) -> None:
    excess_bits = 8 * len(written(some)) - some.information_bits
    assert abs(excess_bits) <= 8 + some.rounding_bits + 1e-6


@given(decisions())
def test_the_estimate_in_the_parameter_search_is_within_a_byte_of_the_information(some: Decisions) -> None:
    coder, nowhere = range_coder.new_coder(), np.empty(0, np.uint8)
    range_coder.start_encoder(coder)
    for p, bit in zip(some.probabilities, some.bits, strict=True):
        range_coder.code(coder, nowhere, p, bit)
    # 32 bits of a range are nothing spent; the part of a bit is linear instead of a logarithm, up to 0.09 off.
    cost_bits = range_coder.cost(coder) / 256 + 32
    assert abs(cost_bits - some.information_bits) <= 8 + some.rounding_bits + 0.1


@given(decisions())
def test_an_encoder_without_room_says_how_much_there_must_be(some: Decisions) -> None:
    stream = written(some)
    for room in {0, len(stream) // 2, len(stream)}:
        data = np.zeros(room, np.uint8)
        coder = range_coder.new_coder()
        range_coder.start_encoder(coder)
        for p, bit in zip(some.probabilities, some.bits, strict=True):
            range_coder.code(coder, data, p, bit)
        size = range_coder.finish(coder, data)
        assert len(stream) <= size <= len(stream) + 4
        assert data[: len(stream)].tobytes() == stream[:room]


@given(st.binary(max_size=20), st.integers(0, 30))
def test_a_decoder_has_ended_when_it_has_read_more_than_four_bytes_beyond_the_end(stream: bytes, count: int) -> None:
    coder, data = reader(stream)
    # Raw numbers are the stream's bits, inverted, and then zeros; after n bytes of them n + 3 have been read.
    filled = stream.ljust(count, b"\0")
    for at in range(count):
        assert range_coder.code_raw(coder, data, 0, 8) == 255 - filled[at]
        assert coder[range_coder.AT] == at + 4
        assert range_coder.ended(coder) == (at > len(stream))


@given(st.integers(0, 0xFE), st.integers(1, 100), st.integers(0, 2**32 - 1))
def test_a_carry_runs_through_any_number_of_full_bytes(first: int, full: int, seed: int) -> None:
    # Decisions that lead close below a carry, then zeros, which lead above it.
    random = np.random.default_rng(seed)
    coder, data = reader(bytes([first]) + b"\xff" * (full + 4))
    some = Decisions([], [])
    while coder[range_coder.AT] < full + 5:
        some.probabilities.append(int(random.integers(1, 65_536)))
        some.bits.append(int(range_coder.code(coder, data, some.probabilities[-1], 0)))
    for _ in range(60):
        some.probabilities.append(32_768)
        some.bits.append(0)
    stream = written(some)
    assert stream[: full + 1] == bytes([first + 1]) + bytes(full)
    coder, data = reader(stream)
    assert [range_coder.code(coder, data, p, 0) for p in some.probabilities] == some.bits


# --- squash and stretch ----------------------------------------------------------------------------------------------


def test_squash_and_stretch_are_those_of_the_specification() -> None:
    decay = [1 << 30]
    for _ in range(_LARGEST):
        decay.append(decay[-1] * 255 // 256 + (decay[-1] % 256 != 0))  # E - (E >> 8), said otherwise
    squash = {x: 2**46 // (2**30 + decay[x]) for x in range(_LARGEST + 1)}
    squash |= {-x: 65_536 - squash[x] for x in range(1, _LARGEST + 1)}
    xs = range(-_LARGEST, _LARGEST + 1)
    assert mixing._SQUASH.tolist() == oracle.squash_table() == [squash[x] for x in xs]
    stretch = [min(x for x in xs if squash[x] >= 16 * step + 8) for step in range(0, 4_096, 15)]
    assert [mixing.stretch(16 * step) for step in range(0, 4_096, 15)] == stretch
    assert [mixing.stretch(16 * step) for step in range(4_096)] == oracle.stretch_table()
    assert [mixing.stretch(16 * step + 15) for step in range(4_096)] == oracle.stretch_table()


def test_squash_is_a_rising_symmetric_probability_close_to_the_logistic_function() -> None:
    squash = mixing._SQUASH
    assert len(squash) == 2 * _LARGEST + 1
    assert (np.diff(squash) >= 0).all()
    assert squash.min() >= 1
    assert squash.max() <= 65_535
    assert squash[_LARGEST] == 32_768
    assert (squash + squash[::-1] == 65_536).all()
    x = np.arange(-_LARGEST, _LARGEST + 1)
    assert np.abs(squash - 65_536 / (1 + np.exp(-x / 256))).max() < 32


@given(st.integers(0, 65_535))
def test_stretch_is_the_inverse_of_squash(probability: int) -> None:
    x = int(mixing.stretch(probability))
    step = 16 * (probability >> 4) + 8
    assert -_LARGEST <= x <= _LARGEST
    assert mixing._SQUASH[x + _LARGEST] >= step
    assert x == -_LARGEST or mixing._SQUASH[x + _LARGEST - 1] < step
    # and back: no farther off than one step of either table
    assert abs(int(mixing._SQUASH[x + _LARGEST]) - probability) <= 16 + 65_536 // 1024


# --- the codec and the plain decoder ---------------------------------------------------------------------------------


def container(payload: Payload, index: bytes, labels: bytes, *, complement: bool = False) -> bytes:
    """The bytes that say `payload` with these two modelled streams; its own indices and labels are not looked at."""
    return claim(payload.reference_size, payload.num_classes, payload.kept, index, labels, complement, payload.universe)


def claim(
    reference_size: int,
    num_classes: int,
    kept: int,
    index: bytes,
    labels: bytes,
    complement: bool = False,
    universe: Universe = Universe(),
    index_coding: str = "gaps-modelled",
    label_coding: str = "classes-modelled",
) -> bytes:
    return build_container(
        index_coding=coding_named(INDEX_CODINGS, index_coding),
        label_coding=coding_named(LABEL_CODINGS, label_coding),
        reference_size=reference_size,
        num_classes=num_classes,
        universe=universe,
        complement=complement,
        kept=kept,
        reference_digest=b"",
        class_check=b"",
        sections=[],
        index_stream=index,
        label_stream=labels,
    )


def index_stream(positions: Integers, universe_size: int, change: int) -> bytes:
    if not len(positions):
        return b""
    return modelled.write(gaps_modelled.model(np.array(positions), universe_size, change), len(positions)).stream


def label_stream(positions: Integers, labels: Integers, num_classes: int, change: int, prior: int) -> bytes:
    if not len(positions):
        return b""
    return modelled.write(label_model(positions, labels, num_classes, change, prior), len(labels)).stream


def label_model(positions: Integers, labels: Integers, num_classes: int, change: int, prior: int) -> modelled.Model:
    given_ = CodingContext(num_classes, Limits(), np.array(positions, np.int64))
    return classes_modelled.model(np.array(labels, np.int32), given_, change, prior)


def bare(payload: Payload) -> Payload:
    """The payload without digest and class names."""
    fields = payload.indices, payload.labels, payload.reference_size, payload.num_classes, b"", payload.universe
    return Payload(*fields)


def agreed(blob: bytes) -> Payload | str:
    """Decode with both decoders; return the payload, or the rule by which both refuse the bytes."""
    try:
        payload = decode(blob, _WIDE)
    except PladaError as error:
        with pytest.raises(oracle.DecodeError) as refused:
            oracle.decode(blob, _WIDE_ORACLE)
        assert (refused.value.kind, refused.value.rule) == (error.kind, error.rule)
        return error.rule
    decoded = oracle.decode(blob, _WIDE_ORACLE)
    assert decoded.indices == payload.indices.tolist()
    assert decoded.labels == payload.labels.tolist()
    return payload


@given(payloads(max_kept=100), CHANGES, CHANGES, PRIORS, st.booleans())
@examples(3)
def test_both_decoders_read_modelled_payloads_of_any_parameters(
    payload: Payload, change: int, label_change: int, prior: int, complement: bool
) -> None:
    positions, size = payload.positions, payload.universe_size
    complement = complement and size <= 1_000
    coded = np.setdiff1d(np.arange(size), positions) if complement else positions
    index = index_stream(coded, size, change)
    labels = label_stream(positions, payload.labels, payload.num_classes, label_change, prior)
    assert agreed(container(payload, index, labels, complement=complement)) == bare(payload)


def streams() -> st.SearchStrategy[bytes]:
    """Bytes that no encoder wrote: any, and long ones of one kind, which drive the models to extremes."""
    repeated = st.builds(lambda some, times: some * times, st.binary(min_size=1, max_size=3), st.integers(1, 60))
    return st.binary(max_size=60) | repeated | st.sampled_from([bytes(100), b"\xff" * 100])


@given(
    reference_sizes() | st.integers(1, 2**63 - 1),
    class_counts(),
    st.integers(0, 5) | st.integers(0, 100),
    streams(),
    streams(),
    st.booleans(),
)
@examples(3)
def test_both_decoders_agree_on_arbitrary_bytes(
    size: int, num_classes: int, kept: int, index: bytes, labels: bytes, complement: bool
) -> None:
    kept = min(kept, size)
    agreed(claim(size, num_classes, kept, index, labels, complement and size <= 300))
    # Any labels, where the index stream is not in their way.
    few = min(size, 100)
    agreed(claim(few, num_classes, few, b"", labels, index_coding="all-plain"))


@given(payloads(max_kept=60), CHANGES, CHANGES, PRIORS, st.data())
@examples(2)
def test_both_decoders_agree_on_streams_that_were_changed(
    payload: Payload, change: int, label_change: int, prior: int, data: st.DataObject
) -> None:
    index = bytearray(index_stream(payload.positions, payload.universe_size, change))
    labels = bytearray(label_stream(payload.positions, payload.labels, payload.num_classes, label_change, prior))
    stream = data.draw(st.sampled_from([index, labels]), "stream")
    at = data.draw(st.integers(0, min(9, len(stream))) | st.integers(0, len(stream)))
    how = data.draw(st.sampled_from(["flip", "cut off", "cut out", "add", "zeros"]))
    if how == "flip" and at < len(stream):
        stream[at] ^= 1 << data.draw(st.integers(0, 7))
    elif how == "cut off":
        del stream[at:]
    elif how == "cut out":
        del stream[at : at + 1]
    elif how == "add":
        stream[at:at] = data.draw(st.binary(min_size=1, max_size=4))
    else:
        stream += bytes(data.draw(st.integers(0, 6)))
    agreed(container(payload, bytes(index), bytes(labels)))


@given(payloads(max_kept=60).filter(lambda payload: payload.kept > 0), CHANGES, CHANGES, PRIORS, st.integers(0, 5))
def test_zero_bytes_may_follow_a_stream_only_as_far_as_it_is_read(
    payload: Payload, change: int, label_change: int, prior: int, zeros: int
) -> None:
    positions, size, num_classes = payload.positions, payload.universe_size, payload.num_classes
    index = index_stream(positions, size, change)
    labels = label_stream(positions, payload.labels, num_classes, label_change, prior)
    for stream, count, model in (
        (index, len(positions), gaps_modelled.model(np.array(positions), size, 0)),
        (labels, len(positions), label_model(positions, np.zeros(len(positions), int), num_classes, 0, 0)),
    ):
        coder, data = reader(stream)
        assert model(coder, data) == count
        allowed = int(coder[range_coder.AT]) - len(stream)
        assert 0 <= allowed <= 4
        more = stream + bytes(zeros)
        blob = container(payload, more, labels) if stream is index else container(payload, index, more)
        assert agreed(blob) == (bare(payload) if zeros <= allowed else "stream-length")


def test_a_stream_that_outgrows_its_room_is_written_again() -> None:
    positions = np.cumsum(np.random.default_rng(0).integers(1, 1 << 41, 300))
    payload = Payload(positions, np.zeros(300, int), 1 << 50, 1)
    stream = index_stream(positions, 1 << 50, 9)
    assert len(stream) > modelled._BYTES_PER_VALUE * 300 + modelled._LEAST_ROOM
    assert agreed(container(payload, stream, label_stream(positions, payload.labels, 1, 9, 3))) == payload


def test_a_stream_shorter_than_its_claim_is_refused() -> None:
    # Empty blocks all the way are past the end of a small universe, and more than the stream has of a large one.
    assert agreed(claim(1_000, 2, 100, bytes(9), b"")) == "index-range"
    assert agreed(claim(2**62, 2, 1_000_000, b"\xff" * 9, b"")) == "stream-end"
    assert agreed(claim(10, 65_536, 10, b"", b"", index_coding="all-plain")) == "stream-end"


# --- sizes -----------------------------------------------------------------------------------------------------------


@dataclass
class Drawn:
    """A selection drawn from a known process, and its size in bytes for a coder that knows the process."""

    payload: Payload
    index_bytes: float
    label_bytes: float


def runs_of_alike_images(seed: int, runs: int, length: int, num_classes: int) -> Drawn:
    """Each run keeps a share of its own, and 0.7 of its labels are its favourite class."""
    random = np.random.default_rng(seed)
    shares = np.repeat(random.beta(0.3, 3, runs), length)
    favourites = np.repeat(random.integers(0, num_classes, runs), length)
    is_kept = random.random(runs * length) < shares
    kept = np.flatnonzero(is_kept)
    labels = np.where(random.random(len(kept)) < 0.7, favourites[kept], random.integers(0, num_classes, len(kept)))
    chances = np.where(is_kept, shares, 1 - shares)
    label_chances = 0.7 * (labels == favourites[kept]) + 0.3 / num_classes
    return Drawn(
        Payload(kept, labels, runs * length, num_classes),
        -float(np.log2(chances).sum()) / 8,
        -float(np.log2(label_chances).sum()) / 8,
    )


def section_bytes(payload: Payload, index_coding: str, label_coding: str) -> tuple[int, int]:
    info = inspect(encode(payload, index_coding=index_coding, label_coding=label_coding))
    return info.sections[0].bytes, info.sections[1].bytes


SEEDS = st.integers(0, 2**32 - 1)


@given(SEEDS, st.sampled_from([10, 200]))
@examples(1 / 20)
def test_runs_of_alike_images_cost_little_more_than_if_the_runs_were_known(seed: int, num_classes: int) -> None:
    # Where the runs begin, what they keep and what they prefer has to be learned, anew in each run: that is a cost for
    # each run, about the same however long it is.
    runs = 10
    drawn = runs_of_alike_images(seed, runs, 5_000, num_classes)
    index, labels = section_bytes(drawn.payload, "gaps-modelled", "classes-modelled")
    assert index <= 1.01 * drawn.index_bytes + 2 * runs
    assert labels <= 1.02 * drawn.label_bytes + 6 * runs


@given(SEEDS, st.sampled_from([0.01, 0.1, 0.5, 0.9]))
@examples(1 / 15)
def test_images_kept_by_chance_cost_half_a_percent_more_than_their_entropy(seed: int, share: float) -> None:
    is_kept = np.random.default_rng(seed).random(int(2_000 / min(share, 1 - share))) < share
    kept = np.flatnonzero(is_kept)
    entropy_bytes = -np.log2(np.where(is_kept, share, 1 - share)).sum() / 8
    index, _ = section_bytes(Payload(kept, 0 * kept, len(is_kept), 1), "gaps-modelled", "auto")
    assert index <= 1.005 * entropy_bytes + 1


@given(SEEDS, st.sampled_from([2, 10, 256, 65_536]), st.sampled_from([0.1, 0.3, 0.6]))
@examples(1 / 15)
def test_labels_drawn_from_one_distribution_cost_a_percent_more_than_their_entropy(
    seed: int, num_classes: int, parameter: float
) -> None:
    count = 5_000
    labels = np.minimum(np.random.default_rng(seed).geometric(parameter, count) - 1, num_classes - 1)
    tail = labels == num_classes - 1
    chances = (1 - parameter) ** labels * np.where(tail, 1, parameter)
    entropy_bytes = -np.log2(chances).sum() / 8
    _, size = section_bytes(Payload(range(count), labels, count, num_classes), "all-plain", "classes-modelled")
    # and what it takes to say a class when it first comes up
    assert size <= 1.01 * entropy_bytes + len(np.unique(labels)) + 1


@given(SEEDS, st.sampled_from([2, 10, 200]), st.sampled_from([(10, 2_000), (40, 500), (100, 200)]))
@examples(1 / 30)
def test_runs_of_alike_images_are_smallest_with_the_modelled_codings(
    seed: int, num_classes: int, shape: tuple[int, int]
) -> None:
    payload = runs_of_alike_images(seed, *shape, num_classes).payload
    index, labels = section_bytes(payload, "gaps-modelled", "classes-modelled")
    for coding in INDEX_CODINGS[1:]:
        assert coding.coder.is_slow or section_bytes(payload, coding.name, "classes-plain")[0] > index
    for coding in LABEL_CODINGS[1:]:
        assert coding.coder.is_slow or section_bytes(payload, "gaps-plain", coding.name)[1] > labels


@given(SEEDS, st.integers(2, 60), st.integers(1, 1_000))
@examples(1 / 8)
def test_unused_classes_cost_two_bytes_per_used_class_or_four_if_used_classes_are_scattered(
    seed: int, used: int, step: int
) -> None:
    drawn = runs_of_alike_images(seed, 10, 1_000, used)
    positions, labels = drawn.payload.indices, drawn.payload.labels.astype(np.int64)
    classes = len(np.unique(labels))
    narrow = len(label_stream(positions, labels, used, 9, 3))
    wide = len(label_stream(positions, labels, 65_536, 9, 3))
    scattered = len(label_stream(positions, labels * step, 65_536, 9, 3))
    # To say a class takes up to 16 bits when it first comes up, and some more until it is learned again in another run.
    assert wide - narrow <= 2 * classes + 8
    assert scattered - narrow <= 4 * classes + 8


@given(SEEDS, st.sampled_from([2, 3, 10, 256, 65_536]), st.integers(1, 3_000))
@examples(1 / 8)
def test_auto_costs_no_more_than_plain_for_random_data(seed: int, num_classes: int, kept: int) -> None:
    random = np.random.default_rng(seed)
    indices = np.flatnonzero(random.random(2 * kept) < 0.5)
    labels = random.integers(0, num_classes, len(indices))
    payload = Payload(indices, labels, 2 * kept, num_classes)
    plain = section_bytes(payload, "bitmap-plain", "classes-plain")
    modelled_ = section_bytes(payload, "gaps-modelled", "classes-modelled")
    auto = section_bytes(payload, "auto", "auto")
    assert auto[0] <= plain[0]
    assert auto[1] <= plain[1]
    assert len(encode(payload)) <= len(encode(payload, index_coding="bitmap-plain", label_coding="classes-plain"))
    assert modelled_[0] <= 1.01 * plain[0] + 4
    assert modelled_[1] <= 1.01 * plain[1] + 4 + min(num_classes, 256) / 8


@given(payloads(max_kept=300), st.sampled_from(["auto", "classes-plain", "classes-huffman", "classes-zstd"]))
def test_auto_of_profile_small_is_never_larger_than_any_other_coding(payload: Payload, label_coding: str) -> None:
    small = len(encode(payload))
    for index_coding in ("gaps-plain", "gaps-huffman", "gaps-zstd", "runs-plain", "runs-zstd"):
        assert small <= len(encode(payload, index_coding=index_coding, label_coding=label_coding))


@given(payloads(max_kept=300).filter(lambda payload: payload.kept > 0))
def test_the_parameters_that_are_looked_for_are_no_worse_than_the_usual_ones(payload: Payload) -> None:
    positions, labels, size = payload.positions, payload.labels, payload.universe_size
    info = inspect(encode(payload, index_coding="gaps-modelled", label_coding="classes-modelled"))
    index, classes = info.sections[0].bytes, info.sections[1].bytes
    # The search goes by what is written so far, which leaves the last three bytes open.
    assert info.complement or index <= len(index_stream(positions, size, 9)) + 3
    assert classes <= len(label_stream(positions, labels, payload.num_classes, 9, 3)) + 3


# --- encoders that use them ------------------------------------------------------------------------------------------


@given(SEEDS)
@examples(1 / 30)
def test_neither_profile_fast_nor_receivers_below_full_are_given_a_modelled_coding(seed: int) -> None:
    payload = runs_of_alike_images(seed, 20, 1_000, 10).payload
    codings = {
        (profile, receiver): [section.coding for section in inspect(encode(payload, profile, receiver)).sections]
        for profile in ("small", "fast")
        for receiver in ("core", "zstd", "full")
    }
    assert codings.pop(("small", "full")) == ["gaps-modelled", "classes-modelled"]
    assert not [name for names in codings.values() for name in names if name.endswith("-modelled")]


@given(
    payloads(max_kept=200), st.sampled_from([("fast", "full"), ("fast", "core"), ("small", "core"), ("small", "zstd")])
)
def test_encoders_that_must_not_use_modelled_codings_never_use_them(payload: Payload, options: tuple[str, str]) -> None:
    sections = inspect(encode(payload, *options)).sections
    assert not [section.coding for section in sections if section.coding.endswith("-modelled")]


# --- arrays, limits, threads -----------------------------------------------------------------------------------------


@given(payloads(max_kept=100))
def test_read_only_arrays_and_slices_with_strides_encode_alike(payload: Payload) -> None:
    def encoded(indices: Integers, labels: Integers) -> bytes:
        again = Payload(indices, labels, payload.reference_size, payload.num_classes, universe=payload.universe)
        return encode(again, index_coding="gaps-modelled", label_coding="classes-modelled")

    plain = encoded(np.array(payload.indices), np.array(payload.labels, np.int64))
    backwards = np.ascontiguousarray(payload.indices[::-1])[::-1]
    assert encoded(backwards, np.repeat(payload.labels, 3)[::3]) == plain
    fixed = np.array(payload.indices)
    fixed.flags.writeable = False
    assert encoded(fixed, payload.labels.astype(np.uint16)) == plain
    both = np.stack([payload.indices, payload.labels], axis=1)
    both.flags.writeable = False
    assert encoded(both[:, 0], both[:, 1]) == plain
    assert decode(memoryview(bytearray(plain)).toreadonly()) == bare(payload)


def test_one_compiled_kernel_serves_every_call(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLADA_KERNELS", "compiled")
    for universe in (Universe(), Universe(1, 3)):
        indices = np.arange(universe.offset, 900, universe.stride)[::2]
        payload = Payload(indices, indices % 7, 1_000, 7, universe=universe)
        for view in (encode(payload), memoryview(encode(payload)), bytearray(encode(payload))):
            assert decode(view) == payload
    # A second one would take its user seconds to compile.
    assert len(gaps_kernel.code_positions.compiled.signatures) == 1
    assert len(classes_kernel.code_labels.compiled.signatures) == 1


@pytest.mark.parametrize("kept", [1_001, 2**25, 2**31, 2**62])
def test_claims_above_max_kept_are_refused_before_anything_is_read(kept: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(modelled, "read")  # whoever reads a stream now fails by it
    limits = Limits(max_kept=1_000, max_reference_size=2**63 - 1)
    for complement in (False, True):
        size = 2 * kept if kept < 2**62 else 2**63 - 1
        with pytest.raises(LimitExceeded) as refused:
            decode(claim(size, 2, kept, bytes(9), bytes(9), complement), limits)
        assert refused.value.rule == "limit-kept"


@pytest.mark.parametrize("count", [2**31, 2**40, 2**62])
def test_the_models_count_in_31_bits_whatever_the_limits(count: int) -> None:
    limits = Limits(max_kept=2**63 - 1, max_reference_size=2**63 - 1)
    stream = Stream(np.zeros(9, np.uint8), 20)

    def refuse_count() -> None:
        for codec, known in (
            (gaps_modelled.GapsModelled(), CodingContext(2**63 - 1, limits)),
            (classes_modelled.ClassesModelled(), CodingContext(2, limits, np.zeros(1, np.int64))),
        ):
            with pytest.raises(LimitExceeded) as refused:
                codec.decode(stream, count, known)
            assert (refused.value.rule, refused.value.offset) == ("limit-kept", 20)

    assert peak_bytes(refuse_count) < 1 << 20
    blob = claim(2**63 - 1, 2, count, bytes(9), b"")
    with pytest.raises(LimitExceeded, match="2147483647") as both:
        decode(blob, limits)
    with pytest.raises(oracle.DecodeError) as oracles:
        oracle.decode(blob, oracle.Limits(max_kept=2**63 - 1, max_reference_size=2**63 - 1))
    assert oracles.value.rule == both.value.rule == "limit-kept"


def test_threads_may_encode_and_decode_at_once() -> None:
    payloads_ = [runs_of_alike_images(seed, 20, 1_000, 10).payload for seed in range(4)]
    blobs = [encode(payload) for payload in payloads_]
    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(decode, blobs * 10)) == payloads_ * 10
        assert list(threads.map(encode, payloads_)) == blobs
