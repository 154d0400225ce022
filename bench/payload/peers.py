"""The peers: compressors of others, each of which writes a selection as bytes and reads it back.

A peer is given for nothing what our header says: the universe's size, the number of classes, the number of kept images
(`Known`), and which of its variants was used. It carries no checksum and no digest, where ours does.

General-purpose compressors take the smallest of three layouts; where all of the universe is kept, the labels alone:

    gaps|labels    the paper's compact index list: differences in the smallest integer type, then labels likewise
    bitmap|labels  a bit for each image of the universe, then the labels
    status         an integer for each image of the universe: 0 dropped, 1 + class kept

Specialised ones and baselines code the indices, and the labels as said in `PEERS`.
"""

from __future__ import annotations

import bz2
import lzma
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import brotli
import constriction
import numpy as np
import pcodec
import pyppmd
import pyroaring
import zstandard

from bench.payload import baselines
from plada_codec.reader import Reader, varint_bytes

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from plada_codec import Payload

    Integers = NDArray[np.integer[Any]]

_TYPES = tuple(np.dtype(name) for name in ("<u1", "<u2", "<u4"))


class Known(NamedTuple):
    """Facts that both sides know before the first byte."""

    universe_size: int
    num_classes: int
    kept: int

    @property
    def all_kept(self) -> bool:
        return self.kept == self.universe_size


class Selection(NamedTuple):
    """The kept positions of a universe (int64 [k], increasing), the class of each (integers [k])."""

    positions: Integers
    labels: Integers
    known: Known

    @classmethod
    def of(cls, payload: Payload) -> Selection:
        known = Known(payload.universe_size, payload.num_classes, payload.kept)
        return cls(payload.positions, payload.labels, known)


class Peer(Protocol):
    """A way to write selections, with variants of which the smallest counts."""

    @property
    def name(self) -> str: ...

    @property
    def kind(self) -> str: ...

    def variants(self, selection: Selection) -> Sequence[str]:
        """The names of the variants that can express `selection`; none if it says nothing about it."""
        ...

    def encode(self, selection: Selection, variant: str) -> bytes: ...

    def decode(self, data: bytes, known: Known, variant: str) -> tuple[Integers, Integers]:
        """(positions, labels)."""
        ...


# Layouts


def layout_names(selection: Selection) -> list[str]:
    """The layouts of `selection`, the widths of their integers in their names."""
    if selection.known.all_kept:
        return ["labels"]
    gap_type = _smallest_type(int(_differences(selection.positions).max()))
    status_type = _smallest_type(selection.known.num_classes)
    return [f"gaps {gap_type.str[1:]}|labels", "bitmap|labels", f"status {status_type.str[1:]}"]


def write_layout(selection: Selection, name: str) -> bytes:
    """The bytes of `selection` in a layout."""
    positions, labels, known = selection
    kind, width = _parsed(name)
    compact_labels = labels.astype(_smallest_type(known.num_classes - 1))
    if kind == "status":
        status = np.zeros(known.universe_size, width)
        status[positions] = labels + 1
        return status.tobytes()
    if kind == "gaps":
        return _differences(positions).astype(width).tobytes() + compact_labels.tobytes()
    if kind == "bitmap":
        bits = np.zeros(known.universe_size, np.uint8)
        bits[positions] = 1
        return np.packbits(bits).tobytes() + compact_labels.tobytes()
    return compact_labels.tobytes()


def layout_bytes(known: Known, name: str) -> int:
    """The size of a layout."""
    kind, width = _parsed(name)
    if kind == "status":
        return known.universe_size * width.itemsize
    index_bytes = {"gaps": known.kept * width.itemsize, "bitmap": -(-known.universe_size // 8), "labels": 0}[kind]
    return index_bytes + known.kept * _smallest_type(known.num_classes - 1).itemsize


def read_layout(content: bytes, known: Known, name: str) -> tuple[Integers, Integers]:
    """(positions, labels) of a layout."""
    kind, width = _parsed(name)
    if kind == "status":
        status = np.frombuffer(content, width)
        positions = np.flatnonzero(status)
        return positions, status[positions] - 1
    labels = np.frombuffer(content, np.uint8)[-known.kept * _smallest_type(known.num_classes - 1).itemsize :]
    labels = labels.view(_smallest_type(known.num_classes - 1))
    if kind == "gaps":
        return np.cumsum(np.frombuffer(content, width, known.kept), dtype=np.int64), labels
    if kind == "bitmap":
        bitmap = np.frombuffer(content, np.uint8, -(-known.universe_size // 8))
        return np.flatnonzero(np.unpackbits(bitmap)), labels
    return np.arange(known.universe_size), labels


def _parsed(name: str) -> tuple[str, np.dtype[Any]]:
    kind, _, width = name.removesuffix("|labels").partition(" ")
    return kind, np.dtype(f"<{width or 'u1'}")


def _differences(positions: Integers) -> Integers:
    return np.diff(positions, prepend=0)


def _smallest_type(largest: int) -> np.dtype[Any]:
    return next(dtype for dtype in _TYPES if largest <= np.iinfo(dtype).max)


# General-purpose compressors


class Setting(NamedTuple):
    """A compressor as two functions; `decompress` is told the size of the content, as some do not store it."""

    name: str
    compress: Callable[[bytes], bytes]
    decompress: Callable[[bytes, int], bytes]


@dataclass(frozen=True)
class GeneralPurpose:
    """A general-purpose compressor: the smallest of all its settings over all layouts."""

    name: str
    settings: tuple[Setting, ...]
    kind: str = "general-purpose"

    def variants(self, selection: Selection) -> Sequence[str]:
        layouts = layout_names(selection)
        return [f"{layout}, {setting.name}".removesuffix(", ") for setting in self.settings for layout in layouts]

    def encode(self, selection: Selection, variant: str) -> bytes:
        layout, setting = self._parsed(variant)
        return setting.compress(write_layout(selection, layout))

    def decode(self, data: bytes, known: Known, variant: str) -> tuple[Integers, Integers]:
        layout, setting = self._parsed(variant)
        return read_layout(setting.decompress(data, layout_bytes(known, layout)), known, layout)

    def _parsed(self, variant: str) -> tuple[str, Setting]:
        layout, _, name = variant.partition(", ")
        return layout, next(setting for setting in self.settings if setting.name == name)


def _zstd_19(content: bytes) -> bytes:
    return zstandard.ZstdCompressor(level=19).compress(content)


def _zstd_22_long(content: bytes) -> bytes:
    parameters = zstandard.ZstdCompressionParameters.from_level(
        22, source_size=len(content), window_log=27, enable_ldm=True
    )
    return zstandard.ZstdCompressor(compression_params=parameters).compress(content)


def _zstd_decompress(data: bytes, size: int) -> bytes:
    return zstandard.ZstdDecompressor(max_window_size=1 << 27).decompress(data, max_output_size=size)


def _brotli_11(content: bytes) -> bytes:
    # The default window holds 4 MiB, the largest of the format 16 MiB
    return bytes(brotli.compress(content, quality=11, lgwin=24 if len(content) > 1 << 22 else 22))


def _xz_9e(content: bytes) -> bytes:
    # The container .lzma takes some 60 bytes less than .xz, which would decide the small cells
    return lzma.compress(content, lzma.FORMAT_ALONE, preset=9 | lzma.PRESET_EXTREME)


def _ppmd(order: int) -> Setting:
    memory_bytes = 1 << 28

    def compress(content: bytes) -> bytes:
        # pyppmd 1.3.1 can lose a byte where one call's output outgrows its first buffer of 32 KiB: pieces stay below
        encoder, piece = pyppmd.Ppmd7Encoder(order, memory_bytes), 1 << 13
        coded = [encoder.encode(content[at : at + piece]) for at in range(0, len(content), piece)]
        return b"".join([*coded, encoder.flush(False)])

    def decompress(data: bytes, size: int) -> bytes:
        decoder = pyppmd.Ppmd7Decoder(order, memory_bytes)
        content: bytes = decoder.decode(data, size)
        while len(content) < size:  # it wants a byte beyond the last one
            content += decoder.decode(b"\0", size - len(content))
        return content

    return Setting(f"order {order}", compress, decompress)


# Specialised coders and baselines


@dataclass(frozen=True)
class IndexCoder:
    """A coder of increasing integers, beside labels under zstd-19. Says nothing where every image is kept."""

    name: str
    kind: str
    write: Callable[[Integers, int], bytes]
    read: Callable[[bytes, int, int], Integers]

    def variants(self, selection: Selection) -> Sequence[str]:
        return [] if selection.known.all_kept else ["indices, zstd-19 labels"]

    def encode(self, selection: Selection, variant: str) -> bytes:
        positions, labels, known = selection
        compact_labels = labels.astype(_smallest_type(known.num_classes - 1)).tobytes()
        return _joined(self.write(positions, known.universe_size), _zstd_19(compact_labels))

    def decode(self, data: bytes, known: Known, variant: str) -> tuple[Integers, Integers]:
        index_data, label_data = _split(data)
        label_type = _smallest_type(known.num_classes - 1)
        labels = np.frombuffer(_zstd_decompress(label_data, known.kept * label_type.itemsize), label_type)
        return self.read(index_data, known.kept, known.universe_size), labels


def _roaring_write(positions: Integers, space: int) -> bytes:
    bitmap = pyroaring.BitMap(positions.astype(np.uint32))
    bitmap.run_optimize()
    return bytes(bitmap.serialize())


def _roaring_read(data: bytes, count: int, space: int) -> Integers:
    return np.asarray(pyroaring.BitMap.deserialize(data).to_array(), np.int64)


class Pcodec:
    """pcodec, level 12, over differences and labels."""

    name = "pcodec"
    kind = "specialised"

    def variants(self, selection: Selection) -> Sequence[str]:
        return ["labels" if selection.known.all_kept else "gaps, labels"]

    def encode(self, selection: Selection, variant: str) -> bytes:
        positions, labels, known = selection
        label_data = self._compress(labels.astype(_smallest_type(known.num_classes - 1)))
        if known.all_kept:
            return label_data
        differences = _differences(positions)
        # It knows no 8-bit integers unless asked; its 16-bit ones are no larger
        index_data = self._compress(differences.astype(np.uint16 if differences.max() < 1 << 16 else np.uint32))
        return _joined(index_data, label_data)

    def decode(self, data: bytes, known: Known, variant: str) -> tuple[Integers, Integers]:
        if known.all_kept:
            return np.arange(known.universe_size), self._decompress(data)
        index_data, label_data = _split(data)
        return np.cumsum(self._decompress(index_data), dtype=np.int64), self._decompress(label_data)

    @staticmethod
    def _compress(values: Integers) -> bytes:
        config = pcodec.ChunkConfig(compression_level=12, enable_8_bit=True)
        return bytes(pcodec.standalone.simple_compress(values, config))

    @staticmethod
    def _decompress(data: bytes) -> Integers:
        values: Integers = pcodec.standalone.simple_decompress(data)
        return values


class RangeCoder:
    """constriction's range coder with order-0 models fitted to the selection, sent in front of it.

    A gap g is the exponent e = floor(log2(g + 1)), with a fitted model, and e bits, equally likely; a label has a
    fitted model. A model is sent as a byte for each symbol: how many eighths of an octave it is less frequent than the
    most frequent one, 255 if absent.
    """

    name = "range coder (constriction)"
    kind = "specialised"

    _ABSENT = 255

    def variants(self, selection: Selection) -> Sequence[str]:
        return ["order-0 labels" if selection.known.all_kept else "order-0 gaps and labels"]

    def encode(self, selection: Selection, variant: str) -> bytes:
        positions, labels, known = selection
        tables = []
        coder = constriction.stream.queue.RangeEncoder()
        if not known.all_kept:
            after_gap = np.diff(positions, prepend=-1)  # gap + 1
            exponents = (np.frexp(after_gap.astype(np.float64))[1] - 1).astype(np.int32)
            exponent_table = self._table(exponents, max(2, int(exponents.max()) + 1))
            tables += [bytes([len(exponent_table)]), exponent_table.tobytes()]
            coder.encode(exponents, self._model(exponent_table))
            for exponent in range(1, len(exponent_table)):
                mantissas = after_gap[exponents == exponent] - (1 << exponent)
                if len(mantissas):
                    uniform = constriction.stream.model.Uniform(1 << exponent)
                    coder.encode(mantissas.astype(np.int32), uniform)
        label_table = self._table(labels, known.num_classes)
        tables.append(label_table.tobytes())
        coder.encode(labels.astype(np.int32), self._model(label_table))
        return b"".join([*tables, coder.get_compressed().astype("<u4").tobytes()])

    def decode(self, data: bytes, known: Known, variant: str) -> tuple[Integers, Integers]:
        exponent_symbols = 0 if known.all_kept else data[0]
        table_bytes = known.num_classes + (0 if known.all_kept else 1 + exponent_symbols)
        tables = np.frombuffer(data, np.uint8, table_bytes)
        coder = constriction.stream.queue.RangeDecoder(np.frombuffer(data, "<u4", offset=table_bytes).astype(np.uint32))
        positions: Integers = np.arange(known.kept)
        if not known.all_kept:
            exponents = coder.decode(self._model(tables[1 : 1 + exponent_symbols]), known.kept)
            after_gap = np.left_shift(1, exponents, dtype=np.int64)
            for exponent in range(1, exponent_symbols):
                places = np.flatnonzero(exponents == exponent)
                if len(places):
                    uniform = constriction.stream.model.Uniform(1 << exponent)
                    after_gap[places] += coder.decode(uniform, len(places))
            positions = np.cumsum(after_gap) - 1
        labels = coder.decode(self._model(tables[-known.num_classes :]), known.kept)
        return positions, labels

    def _table(self, symbols: Integers, size: int) -> NDArray[np.uint8]:
        counts = np.bincount(symbols, minlength=size)
        eighths = np.round(8 * np.log2(counts.max() / np.maximum(counts, 1)))
        return np.where(counts > 0, np.minimum(eighths, self._ABSENT - 1), self._ABSENT).astype(np.uint8)

    def _model(self, table: NDArray[np.uint8]) -> Any:
        probabilities = np.where(table < self._ABSENT, 2.0 ** -(table / 8), 0.0)
        return constriction.stream.model.Categorical(probabilities / probabilities.sum(), perfect=False)


def _joined(first: bytes, second: bytes) -> bytes:
    """Both, with the size of the first in front as a varint."""
    return varint_bytes(len(first)) + first + second


def _split(data: bytes) -> tuple[bytes, bytes]:
    reader = Reader(memoryview(data), 0, len(data), "header")
    first = bytes(reader.take(reader.varint("size"), "the first part"))
    return first, data[reader.position :]


ZSTD_19 = GeneralPurpose("zstd-19", (Setting("", _zstd_19, _zstd_decompress),))
BROTLI_11 = GeneralPurpose("brotli -11", (Setting("", _brotli_11, lambda data, size: brotli.decompress(data)),))
PEERS: tuple[Peer, ...] = (
    ZSTD_19,
    GeneralPurpose("zstd-22, long window", (Setting("", _zstd_22_long, _zstd_decompress),)),
    GeneralPurpose("xz -9e", (Setting("", _xz_9e, lambda data, size: lzma.decompress(data)),)),
    BROTLI_11,
    GeneralPurpose("bz2 -9", (Setting("", bz2.compress, lambda data, size: bz2.decompress(data)),)),
    GeneralPurpose("PPMd", tuple(_ppmd(order) for order in range(2, 7))),
    Pcodec(),
    RangeCoder(),
    IndexCoder("Roaring + zstd-19", "specialised", _roaring_write, _roaring_read),
    IndexCoder("Elias-Fano + zstd-19", "baseline", baselines.elias_fano_encode, baselines.elias_fano_decode),
    IndexCoder("interpolative + zstd-19", "baseline", baselines.interpolative_encode, baselines.interpolative_decode),
)
#: Figures of ../shared/corpora/README.md, by cell, for compressors that are no packages to install: minutes a file.
QUOTED = {
    f"clothing10 lowest-energy {keep}": [
        {"what": "file", "coder": coder, "kind": "quoted", "variant": "", "bytes": size}
        for coder, size in sizes.items()
    ]
    for keep, sizes in {
        "0.05": {"cmix": 4356, "paq8px": 4354},
        "0.25": {"cmix": 15_793, "paq8px": 15_807},
    }.items()
}
