"""Identifiers of 64 bits: as catalogues have them and as rows hold them, each bit of them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.surveys.desi.grid import DESI_GRID
from engine.surveys.identifiers import shown_identifiers, stored_identifier
from engine.surveys.sdss.grid import SDSS_GRID
from models.errors import ConfigurationError
from models.grid import WavelengthGrid


@given(st.integers(1, 2**64 - 2))
def test_unsigned_identifiers_go_there_and_back(number: int) -> None:
    stored = stored_identifier(SDSS_GRID, number)
    shown = shown_identifiers(SDSS_GRID, np.array([stored], dtype=np.int64))
    assert (shown.dtype, shown.tolist()) == (np.uint64, [number])


@given(st.integers(-(2**63), 2**63 - 1))
def test_signed_identifiers_are_shown_as_they_are(number: int) -> None:
    for grid in (DESI_GRID, WavelengthGrid("of a test", "linear", 4000.0, 1.0, 100)):
        stored = stored_identifier(grid, number)
        assert shown_identifiers(grid, np.array([stored], dtype=np.int64)).tolist() == [number]


def test_no_identifier_is_zero_where_numbers_are_unsigned() -> None:
    assert shown_identifiers(SDSS_GRID, np.array([-1], dtype=np.int64)).tolist() == [0]


@pytest.mark.parametrize(
    ("grid", "number", "allowed"),
    [
        (SDSS_GRID, -1, "0 to 18446744073709551615"),
        (SDSS_GRID, 1 << 64, "0 to 18446744073709551615"),
        (DESI_GRID, 1 << 63, "-9223372036854775808 to 9223372036854775807"),
        (DESI_GRID, -(1 << 63) - 1, "-9223372036854775808 to 9223372036854775807"),
    ],
)
def test_numbers_that_no_identifier_has_are_refused(grid: WavelengthGrid, number: int, allowed: str) -> None:
    with pytest.raises(ConfigurationError, match="no identifier of the survey") as caught:
        stored_identifier(grid, number)
    assert (caught.value.got, caught.value.allowed) == (str(number), allowed)
