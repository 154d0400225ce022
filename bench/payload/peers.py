"""The peers: compressors of others, each of which encodes a selection as bytes and decodes it.

A peer need not send the numbers of our header: the universe's size, the number of classes, the number of kept images
(`SharedFacts`), and the variant. It sends no checksum and no digest, while our files hold both.

General-purpose compressors use the smallest of three layouts; if all of the universe is kept, the labels alone:

    gaps|labels    the paper's compact index list: differences in the smallest integer type, then labels likewise
    bitmap|labels  a bit for each image of the universe, then the labels
    status         an integer for each image of the universe: 0 dropped, 1 + class kept

Specialised peers and baselines encode the indices in their own way; `PEERS` names their coding of the labels.
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


class SharedFacts(NamedTuple):
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
    shared: SharedFacts

    @classmethod
    def of(cls, payload: Payload) -> Selection:
        shared = SharedFacts(payload.universe_size, payload.num_classes, payload.kept)
        return cls(payload.positions, payload.labels, shared)


class Peer(Protocol):
    """A compressor of selections; its smallest variant counts."""

    @property
    def name(self) -> str: ...

    @property
    def kind(self) -> str: ...

    def variants(self, selection: Selection) -> Sequence[str]:
        """The names of the variants that can express `selection`; none if the peer is not for such selections."""
        ...

    def encode(self, selection: Selection, variant: str) -> bytes: ...

    def decode(self, data: bytes, shared: SharedFacts, variant: str) -> tuple[Integers, Integers]:
        """The positions and the labels."""
        ...


# Layouts


def layout_names(selection: Selection) -> list[str]:
    """The names of the layouts of `selection`; they include the widths of integers."""
    if selection.shared.all_kept:
        return ["labels"]
    gap_type = _smallest_type(int(_differences(selection.positions).max()))
    status_type = _smallest_type(selection.shared.num_classes)
    return [f"gaps {gap_type.str[1:]}|labels", "bitmap|labels", f"status {status_type.str[1:]}"]


def write_layout(selection: Selection, name: str) -> bytes:
    """Encode `selection` in a layout."""
    positions, labels, shared = selection
    kind, width = _parsed(name)
    compact_labels = labels.astype(_smallest_type(shared.num_classes - 1))
    if kind == "status":
        status = np.zeros(shared.universe_size, width)
        status[positions] = labels + 1
        return status.tobytes()
    if kind == "gaps":
        return _differences(positions).astype(width).tobytes() + compact_labels.tobytes()
    if kind == "bitmap":
        bits = np.zeros(shared.universe_size, np.uint8)
        bits[positions] = 1
        return np.packbits(bits).tobytes() + compact_labels.tobytes()
    return compact_labels.tobytes()


def layout_bytes(shared: SharedFacts, name: str) -> int:
    """Size of a selection in a layout."""
    kind, width = _parsed(name)
    if kind == "status":
        return shared.universe_size * width.itemsize
    index_bytes = {"gaps": shared.kept * width.itemsize, "bitmap": -(-shared.universe_size // 8), "labels": 0}[kind]
    return index_bytes + shared.kept * _smallest_type(shared.num_classes - 1).itemsize


def read_layout(content: bytes, shared: SharedFacts, name: str) -> tuple[Integers, Integers]:
    """Decode a layout to positions and labels."""
    kind, width = _parsed(name)
    if kind == "status":
        status = np.frombuffer(content, width)
        positions = np.flatnonzero(status)
        return positions, status[positions] - 1
    labels = np.frombuffer(content, np.uint8)[-shared.kept * _smallest_type(shared.num_classes - 1).itemsize :]
    labels = labels.view(_smallest_type(shared.num_classes - 1))
    if kind == "gaps":
        return np.cumsum(np.frombuffer(content, width, shared.kept), dtype=np.int64), labels
    if kind == "bitmap":
        bitmap = np.frombuffer(content, np.uint8, -(-shared.universe_size // 8))
        return np.flatnonzero(np.unpackbits(bitmap)), labels
    return np.arange(shared.universe_size), labels


def _parsed(name: str) -> tuple[str, np.dtype[Any]]:
    kind, _, width = name.removesuffix("|labels").partition(" ")
    return kind, np.dtype(f"<{width or 'u1'}")


def _differences(positions: Integers) -> Integers:
    return np.diff(positions, prepend=0)


def _smallest_type(largest: int) -> np.dtype[Any]:
    return next(dtype for dtype in _TYPES if largest <= np.iinfo(dtype).max)


# General-purpose compressors


class Setting(NamedTuple):
    """A compressor as two functions. `decompress` also takes the size of the content, as some formats lack it."""

    name: str
    compress: Callable[[bytes], bytes]
    decompress: Callable[[bytes, int], bytes]


@dataclass(frozen=True)
class GeneralPurpose:
    """A general-purpose compressor; its variants are all its settings over all layouts."""

    name: str
    settings: tuple[Setting, ...]
    kind: str = "general-purpose"

    def variants(self, selection: Selection) -> Sequence[str]:
        layouts = layout_names(selection)
        return [f"{layout}, {setting.name}".removesuffix(", ") for setting in self.settings for layout in layouts]

    def encode(self, selection: Selection, variant: str) -> bytes:
        layout, setting = self._parsed(variant)
        return setting.compress(write_layout(selection, layout))

    def decode(self, data: bytes, shared: SharedFacts, variant: str) -> tuple[Integers, Integers]:
        layout, setting = self._parsed(variant)
        return read_layout(setting.decompress(data, layout_bytes(shared, layout)), shared, layout)

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
    # The container .lzma takes some 60 bytes less than .xz, which matters for small payloads
    return lzma.compress(content, lzma.FORMAT_ALONE, preset=9 | lzma.PRESET_EXTREME)


def _ppmd(order: int) -> Setting:
    memory_bytes = 1 << 28

    def compress(content: bytes) -> bytes:
        # pyppmd 1.3.1 can lose a byte if one call's output exceeds its first buffer of 32 KiB: pieces stay below it
        encoder, piece = pyppmd.Ppmd7Encoder(order, memory_bytes), 1 << 13
        coded = [encoder.encode(content[at : at + piece]) for at in range(0, len(content), piece)]
        return b"".join([*coded, encoder.flush(False)])

    def decompress(data: bytes, size: int) -> bytes:
        decoder = pyppmd.Ppmd7Decoder(order, memory_bytes)
        content: bytes = decoder.decode(data, size)
        while len(content) < size:  # the decoder needs a byte after the last one
            content += decoder.decode(b"\0", size - len(content))
        return content

    return Setting(f"order {order}", compress, decompress)


# Specialised compressors and baselines


@dataclass(frozen=True)
class IndexCompressor:
    """A compressor of increasing integers, with labels under zstd-19. It does not apply if every image is kept."""

    name: str
    kind: str
    write: Callable[[Integers, int], bytes]
    read: Callable[[bytes, int, int], Integers]

    def variants(self, selection: Selection) -> Sequence[str]:
        return [] if selection.shared.all_kept else ["indices, zstd-19 labels"]

    def encode(self, selection: Selection, variant: str) -> bytes:
        positions, labels, shared = selection
        compact_labels = labels.astype(_smallest_type(shared.num_classes - 1)).tobytes()
        return _joined(self.write(positions, shared.universe_size), _zstd_19(compact_labels))

    def decode(self, data: bytes, shared: SharedFacts, variant: str) -> tuple[Integers, Integers]:
        index_data, label_data = _split(data)
        label_type = _smallest_type(shared.num_classes - 1)
        labels = np.frombuffer(_zstd_decompress(label_data, shared.kept * label_type.itemsize), label_type)
        return self.read(index_data, shared.kept, shared.universe_size), labels


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
        return ["labels" if selection.shared.all_kept else "gaps, labels"]

    def encode(self, selection: Selection, variant: str) -> bytes:
        positions, labels, shared = selection
        label_data = self._compress(labels.astype(_smallest_type(shared.num_classes - 1)))
        if shared.all_kept:
            return label_data
        differences = _differences(positions)
        # 8-bit integers need an option; 16-bit integers take no more bytes
        index_data = self._compress(differences.astype(np.uint16 if differences.max() < 1 << 16 else np.uint32))
        return _joined(index_data, label_data)

    def decode(self, data: bytes, shared: SharedFacts, variant: str) -> tuple[Integers, Integers]:
        if shared.all_kept:
            return np.arange(shared.universe_size), self._decompress(data)
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
    """constriction's range coder. Its order-0 models are fitted to the selection and sent before it.

    A gap g is coded as the exponent e = floor(log2(g + 1)), with a fitted model, and e equally likely bits. Labels have
    a fitted model. A model is sent as a byte for each symbol: the eighths of an octave by which the symbol is rarer
    than the most frequent symbol, or 255 if it is absent.
    """

    name = "range coder (constriction)"
    kind = "specialised"

    _ABSENT = 255

    def variants(self, selection: Selection) -> Sequence[str]:
        return ["order-0 labels" if selection.shared.all_kept else "order-0 gaps and labels"]

    def encode(self, selection: Selection, variant: str) -> bytes:
        positions, labels, shared = selection
        tables = []
        coder = constriction.stream.queue.RangeEncoder()
        if not shared.all_kept:
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
        label_table = self._table(labels, shared.num_classes)
        tables.append(label_table.tobytes())
        coder.encode(labels.astype(np.int32), self._model(label_table))
        return b"".join([*tables, coder.get_compressed().astype("<u4").tobytes()])

    def decode(self, data: bytes, shared: SharedFacts, variant: str) -> tuple[Integers, Integers]:
        exponent_symbols = 0 if shared.all_kept else data[0]
        table_bytes = shared.num_classes + (0 if shared.all_kept else 1 + exponent_symbols)
        tables = np.frombuffer(data, np.uint8, table_bytes)
        coder = constriction.stream.queue.RangeDecoder(np.frombuffer(data, "<u4", offset=table_bytes).astype(np.uint32))
        positions: Integers = np.arange(shared.kept)
        if not shared.all_kept:
            exponents = coder.decode(self._model(tables[1 : 1 + exponent_symbols]), shared.kept)
            after_gap = np.left_shift(1, exponents, dtype=np.int64)
            for exponent in range(1, exponent_symbols):
                places = np.flatnonzero(exponents == exponent)
                if len(places):
                    uniform = constriction.stream.model.Uniform(1 << exponent)
                    after_gap[places] += coder.decode(uniform, len(places))
            positions = np.cumsum(after_gap) - 1
        labels = coder.decode(self._model(tables[-shared.num_classes :]), shared.kept)
        return positions, labels

    def _table(self, symbols: Integers, size: int) -> NDArray[np.uint8]:
        counts = np.bincount(symbols, minlength=size)
        eighths = np.round(8 * np.log2(counts.max() / np.maximum(counts, 1)))
        return np.where(counts > 0, np.minimum(eighths, self._ABSENT - 1), self._ABSENT).astype(np.uint8)

    def _model(self, table: NDArray[np.uint8]) -> Any:
        probabilities = np.where(table < self._ABSENT, 2.0 ** -(table / 8), 0.0)
        return constriction.stream.model.Categorical(probabilities / probabilities.sum(), perfect=False)


def _joined(first: bytes, second: bytes) -> bytes:
    """Join two parts; the size of the first comes before them as a varint."""
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
    IndexCompressor("Roaring + zstd-19", "specialised", _roaring_write, _roaring_read),
    IndexCompressor("Elias-Fano + zstd-19", "baseline", baselines.elias_fano_encode, baselines.elias_fano_decode),
    IndexCompressor(
        "interpolative + zstd-19", "baseline", baselines.interpolative_encode, baselines.interpolative_decode
    ),
)
#: Sizes from ../shared/corpora/README.md, by cell, of compressors that are not packages and take minutes for a file.
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
