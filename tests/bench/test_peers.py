"""The peers of the benchmark decode to their input, so that their sizes can be trusted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plada_codec import Payload, Universe, compare
from plada_codec.interop.comparison import paper_layouts
from tests.helpers.examples import examples

if TYPE_CHECKING:
    from hypothesis.strategies import DrawFn
    from numpy.typing import NDArray

    Positions = tuple[NDArray[np.int64], int]

for package in ("brotli", "constriction", "pcodec", "pyppmd", "pyroaring"):
    pytest.importorskip(package, reason="needs the extra 'bench'")

from bench.payload import baselines, peers


@st.composite
def positions_and_space(draw: DrawFn) -> Positions:
    """Strictly increasing positions, at least one, below a space."""
    gaps = draw(st.lists(st.one_of(st.integers(0, 3), st.integers(0, 5000)), min_size=1, max_size=60))
    positions = np.cumsum(np.array(gaps, np.int64) + 1) - 1
    return positions, int(positions[-1]) + 1 + draw(st.integers(0, 5000))


@st.composite
def selections(draw: DrawFn) -> peers.Selection:
    positions, space = draw(positions_and_space())
    if draw(st.booleans()):
        positions, space = np.arange(len(positions)), len(positions)
    classes = draw(st.sampled_from([2, 3, 200, 255, 256, 257, 70_000 // 2]))
    seed = draw(st.integers(0, 9))
    labels = np.random.default_rng(seed).integers(0, classes, len(positions)).astype(np.int32)
    return peers.Selection(positions, labels, peers.SharedFacts(space, classes, len(positions)))


@given(positions_and_space())
def test_elias_fano_gives_back_the_positions(case: Positions) -> None:
    positions, space = case
    data = baselines.elias_fano_encode(positions, space)
    assert np.array_equal(baselines.elias_fano_decode(data, len(positions), space), positions)
    assert 8 * len(data) <= len(positions) * (2 + max(0, (space // len(positions)).bit_length())) + 8


@given(positions_and_space())
def test_interpolative_coding_gives_back_the_positions(case: Positions) -> None:
    positions, space = case
    data = baselines.interpolative_encode(positions, space)
    assert np.array_equal(baselines.interpolative_decode(data, len(positions), space), positions)


def test_interpolative_coding_of_a_full_run_takes_nothing() -> None:
    assert baselines.interpolative_encode(np.arange(1000), 1000) == b""


@examples(0.1)
@given(selections())
def test_every_peer_gives_back_the_selection_in_every_variant(selection: peers.Selection) -> None:
    for peer in peers.PEERS:
        for variant in peer.variants(selection):
            data = peer.encode(selection, variant)
            positions, labels = peer.decode(data, selection.shared, variant)
            assert np.array_equal(positions, selection.positions), (peer.name, variant)
            assert np.array_equal(labels, selection.labels), (peer.name, variant)


def test_ppmd_gives_back_data_larger_than_its_buffers() -> None:
    labels = np.random.default_rng(0).integers(0, 101, 300_000)
    selection = peers.Selection(np.arange(len(labels)), labels, peers.SharedFacts(len(labels), 101, len(labels)))
    ppmd = next(peer for peer in peers.PEERS if peer.name == "PPMd")
    for variant in ppmd.variants(selection):
        decoded = ppmd.decode(ppmd.encode(selection, variant), selection.shared, variant)
        assert np.array_equal(decoded[1], labels), variant


def test_the_layouts_of_peers_are_those_of_the_paper() -> None:
    random = np.random.default_rng(0)
    indices = np.flatnonzero(random.random(5000) < 0.03)
    payload = Payload(indices, random.integers(0, 300, len(indices)), 5000, 300)
    selection = peers.Selection.of(payload)
    gaps, bitmap, _ = (peers.write_layout(selection, name) for name in peers.layout_names(selection))
    papers = paper_layouts(payload)
    assert (gaps, bitmap) == (papers["idx-compact"], papers["bmp-compact"])
    sizes = [len(peers.ZSTD_19.encode(selection, name)) for name in peers.layout_names(selection)[:2]]
    assert min(sizes) == compare(payload).best_zstd_bytes


def test_a_fully_kept_universe_needs_no_positions() -> None:
    payload = Payload(np.arange(3, 1000, 10), np.arange(100) % 7, 1000, 7, b"", Universe(3, 10))
    selection = peers.Selection.of(payload)
    assert peers.layout_names(selection) == ["labels"]
    assert np.array_equal(selection.positions, np.arange(100))
