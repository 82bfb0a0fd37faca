"""Name filters: no name that is in one is ever said to be absent, few others are said to be there."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.catalogue.name_filter import BLOCK_BYTES, block_start, may_hold, name_filter


def holds(data: bytes, name: str) -> bool:
    at = block_start(name, len(data))
    return may_hold(data[at : at + BLOCK_BYTES], name)


@given(st.lists(st.text(st.characters(exclude_categories=("Cs",))), max_size=60))
def test_every_name_that_is_in_it_is_found(names: list[str]) -> None:
    data = name_filter(names)
    assert len(data) % BLOCK_BYTES == 0
    assert all(holds(data, name) for name in names)


def test_few_of_the_others_seem_to_be_in_it() -> None:
    names = [str(number) for number in range(20_000)]
    data = name_filter(names)
    assert len(data) == pytest.approx(20_000 * 16 / 8, rel=0.01)
    assert all(holds(data, name) for name in names[::50])
    seem = sum(holds(data, f"iron/main/dark/{number}") for number in range(20_000))
    assert seem < 0.005 * 20_000


def test_of_no_names_it_holds_none() -> None:
    assert not holds(name_filter([]), "1")


def test_its_bytes_are_the_same_for_ever() -> None:
    # Stores hold them: another hash would say of every name that it is absent.
    assert name_filter(["39627835576420141", "iron/main/dark/10000/39627835576420141"]).hex() == FROZEN


def test_a_damaged_block_is_told() -> None:
    data = bytearray(name_filter(["1"]))
    data[5] ^= 4
    with pytest.raises(ValueError, match="checksum does not match"):
        holds(bytes(data), "1")


FROZEN = "08002000080000018800000000000088800000040080200000080008d6f8c7f1"
