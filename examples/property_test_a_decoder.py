"""Property-test your own decoder with hypothesis. Needs the extra `conformance`.

Put your decoder in the place of `my_decoder`. The strategies draw payloads with all codings, boundary sizes and
optional sections, and damaged ones.
"""

from hypothesis import given, settings

from plada_codec import Payload, PladaError, decode
from plada_codec.testing.strategies import EncodedPayload, damaged_payloads, encoded_payloads


def my_decoder(blob: bytes) -> Payload | None:
    """Decode a payload, or return None to refuse it: here by plada's own decoder."""
    try:
        return decode(blob)
    except PladaError:
        return None


@settings(max_examples=50, deadline=None)
@given(encoded_payloads())
def test_payloads_come_back(encoded: EncodedPayload) -> None:
    """Each payload that was encoded is decoded to the same."""
    assert my_decoder(encoded.blob) == encoded.payload


@settings(max_examples=50, deadline=None)
@given(damaged_payloads())
def test_damaged_payloads_are_judged_alike(blob: bytes) -> None:
    """A damaged payload is refused, or accepted, as plada's decoder does it."""
    try:
        expected = decode(blob)
    except PladaError:
        expected = None
    assert my_decoder(blob) == expected


test_payloads_come_back()
test_damaged_payloads_are_judged_alike()
print("the decoder agrees with plada's on 100 generated payloads")
