"""The class check shows that a payload is for other classes; and no two classes have the same name."""

from __future__ import annotations

import unicodedata

import plada_decode as oracle
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plada_codec import ClassMismatch, InvalidPayload, Payload, class_check, decode, encode, inspect
from plada_codec.testing.strategies import class_names, payloads

NAMES = ["Straße", "cafe\u0301", "犬"]


def payload_of(**optional: object) -> Payload:
    return Payload([3, 5, 9], [0, 1, 2], 10, 3, **optional)  # type: ignore[arg-type]


@given(st.integers(1, 20).flatmap(class_names))
def test_the_check_is_that_of_the_plain_decoder_in_any_normalisation_form(names: list[str]) -> None:
    check = class_check(names)
    assert check == oracle.class_check(names)
    assert check == class_check([unicodedata.normalize("NFD", name) for name in names])


@given(payloads(max_kept=50), st.binary(min_size=2, max_size=2), st.sampled_from(range(0, 34, 2)))
def test_a_check_takes_two_bytes_and_comes_back_with_every_digest(payload: Payload, check: bytes, size: int) -> None:
    digest = bytes(range(size)) if size >= 8 else b""
    sections = {name: value for name, value in payload.sections.items() if name != "class_names"}
    header = payload.indices, payload.labels, payload.reference_size, payload.num_classes, digest, payload.universe
    blob = encode(Payload(*header, **sections, class_check=check), "fast")
    assert decode(blob).class_check == inspect(blob).class_check == check
    assert len(blob) == len(encode(Payload(*header, **sections), "fast")) + 2


def test_the_header_has_one_flag_for_the_check_and_one_code_for_each_length_of_a_digest() -> None:
    for size in (0, *range(8, 33, 2)):
        for check in (b"", b"ab"):
            blob = encode(payload_of(reference_digest=bytes(size), class_check=check))
            assert blob[4] & 0x1F == (0x10 if check else 0) | (size // 2 - 3 if size else 0)


@pytest.mark.parametrize("size", [*range(1, 8), *range(9, 33, 2), 33, 34])
def test_a_digest_of_another_length_is_refused(size: int) -> None:
    with pytest.raises(InvalidPayload, match="even number"):
        payload_of(reference_digest=bytes(size))


@pytest.mark.parametrize("check", [b"a", b"abc", "ab", 7, None, [1, 2]])
def test_a_check_that_is_not_two_bytes_is_refused(check: object) -> None:
    with pytest.raises(InvalidPayload, match="class_check"):
        payload_of(class_check=check)


def test_a_payload_has_class_names_or_their_check_but_not_both() -> None:
    with pytest.raises(InvalidPayload, match="must not have a class check"):
        payload_of(class_names=NAMES, class_check=class_check(NAMES))


@pytest.mark.parametrize("known", [{}, {"class_names": NAMES}, {"class_check": class_check(NAMES)}])
def test_names_that_do_not_contradict_the_payload_take_the_place_of_its_check(known: dict[str, object]) -> None:
    payload = payload_of(**known, weights=[1, 2, 3])
    assert payload.with_class_names(NAMES) == payload_of(class_names=NAMES, weights=[1, 2, 3])
    assert payload.with_class_check(NAMES) == payload_of(class_check=class_check(NAMES), weights=[1, 2, 3])
    composed = [unicodedata.normalize("NFC", name) for name in NAMES]
    assert payload.with_class_check(composed) == payload.with_class_check(NAMES)


@pytest.mark.parametrize("known", [{"class_names": NAMES}, {"class_check": class_check(NAMES)}])
@pytest.mark.parametrize("other", [NAMES[::-1], [*NAMES[:2], "wolf"], [name.upper() for name in NAMES]])
def test_other_names_or_another_order_are_refused(known: dict[str, object], other: list[str]) -> None:
    for attach in (payload_of(**known).with_class_names, payload_of(**known).with_class_check):
        with pytest.raises(ClassMismatch):
            attach(other)


@pytest.mark.parametrize("names", [NAMES[:2], [*NAMES, "one more"], ["a", "b", ""], ["a", "b", "c\n"], "abc", None, 3])
def test_names_that_no_payload_can_have_are_refused(names: object) -> None:
    for attach in (payload_of().with_class_names, payload_of().with_class_check):
        with pytest.raises(InvalidPayload, match="class"):
            attach(names)  # type: ignore[arg-type]


@pytest.mark.parametrize("names", [["a", "a", "b"], ["a", "b", "a"], ["é", "x", "e\u0301"], ["Å", "\u212b", "x"]])
def test_a_name_that_two_classes_have_is_refused_also_after_normalisation(names: list[str]) -> None:
    for use in (class_check, lambda names: payload_of(class_names=names), payload_of().with_class_names):
        with pytest.raises(InvalidPayload, match=r"classes \d and \d have the same name"):
            use(names)


def test_names_that_differ_in_case_or_compatibility_only_are_different() -> None:
    names = ["a", "A", "\ufb01", "fi"]
    assert Payload([], [], 5, 4, class_names=names).class_names == tuple(names)
