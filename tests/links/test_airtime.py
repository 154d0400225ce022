"""Airtime models have the times of their standards, and a unit and bounds for each number."""

from __future__ import annotations

from dataclasses import fields
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plada_codec.errors import LinkError
from plada_codec.links.airtime.janus import Janus
from plada_codec.links.airtime.lora import Lora
from plada_codec.links.airtime.registry import AIRTIME_MODELS
from plada_codec.links.link import all_quantities

# Airtime: LoRa


@pytest.mark.parametrize(
    ("spreading_factor", "bandwidth_hz", "phy_bytes", "milliseconds"),
    [
        (12, 125_000, 64, 2793.472),
        (7, 125_000, 64, 118.016),
        (7, 125_000, 235, 368.896),
        (9, 125_000, 12, 144.384),
        (11, 250_000, 253, 2050.048),
    ],
)
def test_lora_takes_the_known_time(
    spreading_factor: int, bandwidth_hz: float, phy_bytes: int, milliseconds: float
) -> None:
    model = Lora(spreading_factor, bandwidth_hz, header_bytes=0)
    assert model.airtime_s(phy_bytes) * 1000 == pytest.approx(milliseconds, rel=1e-12)


@pytest.mark.parametrize(
    ("spreading_factor", "phy_bytes", "coding_rate", "implicit_header", "milliseconds"),
    # Preamble, 6.25 and 8 symbols, then blocks of CR + 4; a symbol takes 2^SF / 125 kHz.
    [
        (5, 64, 1, False, (12 + 14.25 + 27 * 5) * 0.256),  # ceil((512 + 16 - 20 + 20) / 20) = 27
        (6, 64, 1, False, (12 + 14.25 + 22 * 5) * 0.512),  # ceil((512 + 16 - 24 + 20) / 24) = 22
        (5, 255, 4, True, (12 + 14.25 + 102 * 8) * 0.256),  # ceil((2040 + 16 - 20) / 20) = 102
    ],
)
def test_lora_takes_the_time_of_the_data_sheet_with_sf_5_and_6(
    spreading_factor: int, phy_bytes: int, coding_rate: int, implicit_header: bool, milliseconds: float
) -> None:
    model = Lora(spreading_factor, 125_000, coding_rate, preamble=12, header_bytes=0, implicit_header=implicit_header)
    assert model.airtime_s(phy_bytes) * 1000 == pytest.approx(milliseconds, rel=1e-12)


def test_a_preamble_that_is_too_short_for_sf_5_and_6_is_refused() -> None:
    for spreading_factor in (5, 6):
        with pytest.raises(LinkError, match="preamble of at least 12 symbols, not 8") as caught:
            Lora(spreading_factor, 125_000)
        assert caught.value.rule == "value"
    with pytest.raises(LinkError, match="spreading_factor must be a whole number from 5 to 12"):
        Lora(4, 125_000, preamble=12)


def lora_by_blocks(model: Lora, phy_bytes: int) -> Fraction:
    """Time on air by the interleaver: nibbles, one codeword each, are interleaved into blocks of symbols.

    The first block always is at the reduced rate, SF - 2 codewords of 8 bits, and holds the header's 5 nibbles; each
    further one holds a codeword for each bit of a symbol.
    """
    symbol_s = Fraction(2**model.spreading_factor) / Fraction(model.bandwidth_hz)
    nibbles = 2 * phy_bytes + (4 if model.crc else 0) + (0 if model.implicit_header else 5)
    nibbles -= model.spreading_factor - 2
    symbols = 8
    while nibbles > 0:
        nibbles -= model.spreading_factor - (2 if symbol_s >= Fraction(16, 1000) else 0)
        symbols += 4 + model.coding_rate
    return (model.preamble + Fraction(17, 4) + symbols) * symbol_s


@given(
    st.builds(
        Lora,
        spreading_factor=st.integers(7, 12),
        bandwidth_hz=st.sampled_from([62_500, 125_000, 250_000, 500_000]),
        coding_rate=st.integers(1, 4),
        preamble=st.integers(6, 20),
        header_bytes=st.integers(0, 13),
        crc=st.booleans(),
        implicit_header=st.booleans(),
    )
)
def test_lora_agrees_with_a_count_of_interleaver_blocks(model: Lora) -> None:
    for packet_bytes in range(0, 243, 3):
        expected = lora_by_blocks(model, packet_bytes + model.header_bytes)
        assert model.airtime_s(packet_bytes) == pytest.approx(float(expected), rel=1e-12)


# Airtime: JANUS


@pytest.mark.parametrize(("cargo_bytes", "seconds"), [(0, 1.1), (64, 7.6), (256, 26.8)])
def test_janus_takes_the_known_time(cargo_bytes: int, seconds: float) -> None:
    assert Janus(wake_up=False).airtime_s(cargo_bytes) == pytest.approx(seconds, rel=1e-12)
    assert Janus().airtime_s(cargo_bytes) == pytest.approx(seconds + 0.475, rel=1e-12)


def test_janus_agrees_with_a_count_of_chips() -> None:
    """The code has rate 1/2 and is flushed with 8 bits; the packet's 64 bits and its cargo are coded apart."""
    chip_s = Fraction(1, 160)

    def chips(bits: int) -> int:
        return 2 * (bits + 8)

    wake_up_s = 3 * 4 * chip_s + Fraction(4, 10)
    for cargo_bytes in range(4097):
        total = 32 + chips(64) + (chips(8 * cargo_bytes) if cargo_bytes else 0)
        assert Janus().airtime_s(cargo_bytes) == pytest.approx(float(wake_up_s + total * chip_s), rel=1e-12)


# Registry


def test_every_number_of_a_model_has_a_unit_and_bounds_and_no_two_models_differ_about_them() -> None:
    for model in AIRTIME_MODELS.values():
        assert {field.name for field in fields(model)} == model.quantities().keys() | model.switches().keys()
        for name, quantity in model.quantities().items():
            assert all_quantities()[name] == quantity
