"""Cases to test decoders on: the vectors of the specification, and generated payloads and streams of frames."""

from __future__ import annotations

import io
import json
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

from plada_codec.errors import FileError, PladaError, Unavailable
from plada_codec.frames import FrameLimits, Reassembler, Sender, packetize, read_frames
from plada_codec.frames.framing import FRAMINGS
from plada_codec.limits import Limits
from plada_codec.links.loss import IndependentLoss
from plada_codec.progress import Progress, no_progress
from plada_codec.testing.answers import Answers, right_answers, sha256_of
from plada_codec.testing.channel import channel

if TYPE_CHECKING:
    from plada_codec.testing.strategies import EncodedPayload

_PACKAGE = Path(__file__).parents[1]
#: Where vectors are: in an installed distribution, and in a checkout.
_VECTORS = (_PACKAGE / "vectors", _PACKAGE.parent / "spec" / "vectors")
PAYLOAD_VECTOR_FOLDERS = tuple(folder / "payload" for folder in _VECTORS)
FRAME_VECTOR_FOLDERS = tuple(folder / "frames" for folder in _VECTORS)

#: Options that every receiver of frames must have: a stream cannot be read without them.
_EVERY_RECEIVER_HAS = {"framing", "tag"}
#: Damaged copies of each whole payload. Making a copy takes a tenth of the time of making a payload.
_DAMAGED_COPIES = 3
#: Damage hits these first bytes (mostly the header) as often as all bytes together.
_HEADER_BYTES = 40
_CHECKSUM_BYTES = 4
#: Bytes of a generated case that its comment shows.
_SHOWN_BYTES = 64


@dataclass(frozen=True)
class Case:
    """A payload or a stream of frames, and the right answers.

    Attributes:
        id: name of the vector, or number of a generated case.
        comment: purpose of the vector, or origin of the generated case.
        data: its bytes.
        right_answers: the right answers.
        options: options for the decoder, by name: limits, `expected_digest`, `framing`, `tag`.
    """

    id: str
    comment: str
    data: bytes
    right_answers: Answers
    options: Mapping[str, str] = field(default_factory=dict)

    @property
    def needs_options(self) -> bool:
        """Whether the case needs a decoder with options for limits and the expected digest."""
        return not self.options.keys() <= _EVERY_RECEIVER_HAS


def payload_vectors() -> list[Case]:
    """The vectors of spec/vectors/payload."""
    return [_payload_case(vector, data) for vector, data in _vectors(PAYLOAD_VECTOR_FOLDERS)]


def frame_vectors() -> list[Case]:
    """The vectors of spec/vectors/frames."""
    return [_frame_case(vector, data) for vector, data in _vectors(FRAME_VECTOR_FOLDERS)]


def _vectors(folders: tuple[Path, ...]) -> list[tuple[dict[str, Any], bytes]]:
    """Entries of the index in the first of these folders that has one, with the bytes of their files."""
    for folder in folders:
        if (folder / "index.json").exists():
            vectors = json.loads((folder / "index.json").read_text(encoding="utf-8"))["vectors"]
            return [(vector, (folder / vector["file"]).read_bytes()) for vector in vectors]
    raise FileError(f"the test vectors are missing: there is no {folders[0]}", rule="vectors")


def _payload_case(vector: dict[str, Any], data: bytes) -> Case:
    limits = vector.get("limits", {})
    options = {name: str(value) for name, value in limits.items()}
    if "expected_digest" in vector:
        options["expected_digest"] = vector["expected_digest"]
    if "error" not in vector:
        right = Answers(outputs=frozenset([vector["csv_sha256"]]))
    else:
        expected = bytes.fromhex(vector["expected_digest"]) if "expected_digest" in vector else None
        others = right_answers(data, Limits(**limits), expected)
        right = Answers(others.outputs, others.errors | {_error(vector)})
    return Case(vector["id"], vector["comment"], data, right, options)


def _frame_case(vector: dict[str, Any], data: bytes) -> Case:
    options = {"framing": vector.get("framing", "length")}
    if "tag" in vector:
        options["tag"] = vector["tag"]
    options |= {name: str(value) for name, value in vector.get("limits", {}).items()}
    if "error" in vector:
        right = Answers(errors=frozenset([_error(vector)]))
    else:
        right = Answers(outputs=frozenset([vector["object"]["sha256"]]))
    return Case(vector["id"], vector["comment"], data, right, options)


def _error(vector: dict[str, Any]) -> str:
    return f"{vector['error']['kind']} {vector['error']['rule']}"


def generated_payloads(examples: int, seed: int, progress: Progress = no_progress) -> list[Case]:
    """Generate payloads, and damaged copies of each: always the same for one seed and one release of hypothesis.

    `progress` is called with the number of finished payloads, and the final number.

    Raises:
        Unavailable: (rule extra) if hypothesis is not installed.
    """
    cases: list[Case] = []
    whole = -(-examples // (1 + _DAMAGED_COPIES))
    # Two steps: generate, then damage and answer. Each takes about half of the time
    for number, sent in enumerate(_whole_payloads(whole, seed, lambda done: progress(done, 2 * whole))):
        progress(whole + number, 2 * whole)
        random = Random(f"{seed} {number}")
        for blob in (sent, *(damaged_copy(sent, random) for _ in range(_DAMAGED_COPIES))):
            comment = f"seed {seed}, bytes {blob[:_SHOWN_BYTES].hex()}"
            cases.append(Case(f"generated-{len(cases)}", comment, blob, right_answers(blob, sent=sent)))
    return cases[:examples]


def _whole_payloads(examples: int, seed: int, progress: Callable[[int], None]) -> list[bytes]:
    if not examples:
        return []
    try:
        from hypothesis import HealthCheck, Phase, given, settings
        from hypothesis import seed as seeded

        from plada_codec.testing.strategies import encoded_payloads
    except ImportError:
        raise Unavailable(
            "generated payloads need hypothesis: pip install 'plada[conformance]', or use --examples 0", rule="extra"
        ) from None

    found: list[bytes] = []

    @seeded(seed)
    @settings(
        max_examples=examples,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(encoded_payloads())
    def collect(example: EncodedPayload) -> None:
        found.append(example.blob)
        progress(len(found))

    collect()
    return found


def damaged_copy(sent: bytes, random: Random) -> bytes:
    """A copy with bytes changed, removed, added or cut off. Most get a right checksum, so that decoders go on."""
    blob = bytearray(sent)
    for _ in range(random.choice([1, 1, 2, 3])):
        at = random.randrange(min(len(blob), random.choice([_HEADER_BYTES, len(blob)])) + 1)
        how = random.choice(["flip", "flip", "change", "cut out", "add", "cut off"])
        if how == "flip" and at < len(blob):
            blob[at] ^= 1 << random.randrange(8)
        elif how == "change":
            blob[at : at + 1] = random.choice([b"\x00", b"\x01", b"\x7f", b"\x80", b"\xff"])
        elif how == "cut out":
            del blob[at : at + random.randint(1, 8)]
        elif how == "add":
            blob[at:at] = random.randbytes(random.randint(1, 8))
        elif how == "cut off":
            del blob[at:]
    if random.random() < 0.8:
        blob[-_CHECKSUM_BYTES:] = zlib.crc32(blob[:-_CHECKSUM_BYTES]).to_bytes(_CHECKSUM_BYTES, "little")
    return bytes(blob)


def generated_streams(examples: int, seed: int, progress: Progress = no_progress) -> list[Case]:
    """Generate streams of frames of one object or two, after a lossy link: always the same for one seed.

    `progress` is called with the number of finished payloads, and the final number.

    Raises:
        Unavailable: (rule extra) if raptorq is not installed.
    """
    cases = []
    for number in range(examples):
        cases.append(_generated_stream(number, seed))
        progress(len(cases), examples)
    return cases


def _generated_stream(number: int, seed: int) -> Case:
    random = Random(f"{seed} {number}")
    tags = random.sample(range(1 << 12), random.choice([1, 1, 2]))
    senders = [Sender(random.randbytes(random.randint(1, 600)), random.randint(9, 120), tag) for tag in tags]
    sent = [frame for sender in senders for frame in _sent_frames(sender, random)]
    link = channel(
        sent,
        loss=IndependentLoss(random.choice([0, 0.1, 0.3])),
        flip_rate=random.choice([0, 0.0005]),
        duplicate_rate=random.choice([0, 0.2]),
        reorder_frames=random.choice([0, 0, 3, len(sent)]),
        seed=random.getrandbits(32),
    )
    framing = random.choice(sorted(FRAMINGS))
    stream = b"".join(map(FRAMINGS[framing].record, link))
    if random.random() < 0.1:
        stream = stream[: random.randint(0, len(stream))]
    tag = random.choice([None, *tags])
    options = {"framing": framing} if tag is None else {"framing": framing, "tag": f"{tag:03x}"}
    comment = f"seed {seed}, {framing}, {len(tags)} sent, bytes {stream[:_SHOWN_BYTES].hex()}"
    return Case(f"generated-{number}", comment, stream, _right_of_stream(stream, framing, tag), options)


def _sent_frames(sender: Sender, random: Random) -> list[bytes]:
    symbols = sender.layout.symbols
    return list(packetize(sender, random.randint(symbols, 2 * symbols + 2), random.randint(1, 3)))


def _right_of_stream(stream: bytes, framing: str, tag: int | None) -> Answers:
    """The right answers to a stream. No frame is forged: an incomplete object can only break the rule `incomplete`."""
    reassembler = Reassembler(FrameLimits(), tag)
    for frame in read_frames(io.BytesIO(stream), framing):
        reassembler.add(frame)
    try:
        return Answers(outputs=frozenset([sha256_of(reassembler.result())]))
    except PladaError as error:
        return Answers(errors=frozenset([f"{error.kind} {error.rule}"]))
