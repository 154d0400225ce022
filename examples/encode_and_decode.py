"""Encode a selection of reference images as a payload, look at its parts, and decode it."""

from plada_codec import Payload, decode, encode, inspect

payload = Payload(
    indices=[2, 3, 4, 5, 12, 19],  # the kept images, ascending
    labels=[1, 1, 1, 0, 3, 1],  # the class of each
    reference_size=20,
    num_classes=4,
    reference_digest=bytes.fromhex("0123456789abcdef"),  # names the reference set
)
blob = encode(payload)
print(f"{payload.kept} of {payload.reference_size} images take {len(blob)} bytes: {blob.hex()}")
for section in inspect(blob).sections:
    print(f"  {section.type}: {section.bytes} bytes, coding {section.coding}")

received = decode(blob, expected_digest=payload.reference_digest)
assert received == payload
for index, label in zip(received.indices.tolist(), received.labels.tolist(), strict=True):
    print(f"  image {index} has class {label}")
