"""Decode bytes that nobody vouches for: limits bound the memory, and every fault is a PladaError with its rule."""

from plada_codec import Limits, Payload, PladaError, decode, encode

MY_REFERENCE = bytes.fromhex("0123456789abcdef")
#: This receiver has 10,000 images and room for 1,000 labels.
LIMITS = Limits(max_reference_size=10_000, max_classes=100, max_kept=1_000)


def receive(name: str, blob: bytes) -> None:
    """Decode one payload, or say why it is refused."""
    try:
        payload = decode(blob, limits=LIMITS, expected_digest=MY_REFERENCE)
    except PladaError as error:
        print(f"{name}: refused, kind {error.kind}, rule {error.rule}, byte {error.offset}")
    else:
        print(f"{name}: good, {payload.kept} images")


good = encode(Payload(range(0, 600, 3), [i % 5 for i in range(200)], 10_000, 5, MY_REFERENCE))
large = encode(Payload(range(5_000), [0] * 5_000, 10_000, 5, MY_REFERENCE))
foreign = encode(Payload([1, 2], [0, 1], 10_000, 5, bytes(8)))

receive("good", good)
receive("cut off", good[:-3])
receive("one bit flipped", bytes([*good[:20], good[20] ^ 1, *good[21:]]))
receive("too many images", large)
receive("of another reference set", foreign)
receive("no payload", b"GET / HTTP/1.1")
